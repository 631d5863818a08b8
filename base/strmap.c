/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/strmap.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

void
strmap_fini(struct strmap *map)
{
	free(map->slots);
	*map = (struct strmap){.no_case = map->no_case};
}

static uint64_t
hash(const struct strmap *map, const char *text)
{
	uint64_t h = map->key;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		h = (h ^ (map->no_case ? (unsigned)tolower(c) : c)) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

static bool
same(const struct strmap *map, const char *a, const char *b)
{
	return (map->no_case ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

/* Where TEXT is, or would be. */
static struct strmap_slot *
slot_of(const struct strmap *map, const char *text)
{
	size_t i = (size_t)hash(map, text) & (map->room - 1);

	while (map->slots[i].text && !same(map, map->slots[i].text, text))
		i = (i + 1) & (map->room - 1);
	return &map->slots[i];
}

static enum rc
grow(struct strmap *map, struct err *err)
{
	struct strmap bigger = {.room = map->room ? map->room * 2 : 64, .no_case = map->no_case};

	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return err_set(err, ERR_MEMORY, "table");
	bigger.key = map->key;
	if (!map->slots && getrandom(&bigger.key, sizeof(bigger.key), 0) < 0)
		bigger.key = (uintptr_t)bigger.slots;
	bigger.n = map->n;
	for (size_t i = 0; i < map->room; i++)
		if (map->slots[i].text)
			*slot_of(&bigger, map->slots[i].text) = map->slots[i];
	free(map->slots);
	*map = bigger;
	return RC_OK;
}

enum rc
strmap_put(struct strmap *map, const char *text, size_t number, bool *was_there, struct err *err)
{
	struct strmap_slot *slot;
	enum rc rc = map->n * 2 >= map->room ? grow(map, err) : RC_OK;

	if (rc)
		return rc;
	slot = slot_of(map, text);
	if (was_there)
		*was_there = slot->text != NULL;
	if (!slot->text) {
		*slot = (struct strmap_slot){text, number};
		map->n++;
	}
	return RC_OK;
}

bool
strmap_find(const struct strmap *map, const char *text, size_t *number)
{
	const struct strmap_slot *slot = map->room ? slot_of(map, text) : NULL;

	if (!slot || !slot->text)
		return false;
	*number = slot->number;
	return true;
}
