/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/alias.h"

#include "base/file.h"
#include "base/text.h"
#include "message/addr.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALIAS_MAP_MAX (32u << 20)

struct alias {
	char *from, *to;
};

struct alias_map {
	struct alias *v; /* sorted by FROM without case */
	size_t n, cap;
};

static int
compare(const void *a, const void *b)
{
	return strcasecmp(((const struct alias *)a)->from, ((const struct alias *)b)->from);
}

static enum rc
add(struct alias_map *map, const char *from, const char *to, struct err *err)
{
	if (map->n == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 64;
		struct alias *v = realloc(map->v, cap * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "alias map");
		map->v = v;
		map->cap = cap;
	}
	map->v[map->n] = (struct alias){.from = strdup(from), .to = strdup(to)};
	map->n++;
	return map->v[map->n - 1].from && map->v[map->n - 1].to
		       ? RC_OK
		       : err_set(err, ERR_MEMORY, "alias map");
}

static enum rc
parse_line(struct alias_map *map, char *line, const char *path, int number, struct err *err)
{
	char from[ADDR_MAX + 1], to[ADDR_MAX + 1], *save = NULL;
	const char *a = strtok_r(line, " \t\r", &save), *b = strtok_r(NULL, " \t\r", &save);

	if (!a || *a == '#')
		return RC_OK;
	if (!b || strtok_r(NULL, " \t\r", &save))
		return err_set(
			err, ERR_CONFIG, "%s:%d: not \"alias canonical-address\"", path, number);
	if (addr_canonical(a, strlen(a), from, NULL) != RC_OK || !addr_domain(from) ||
		addr_canonical(b, strlen(b), to, NULL) != RC_OK || !addr_domain(to))
		return err_set(err, ERR_CONFIG, "%s:%d: not an address", path, number);
	return add(map, from, to, err);
}

enum rc
alias_map_load(const char *path, struct alias_map **out, struct err *err)
{
	struct alias_map *map = calloc(1, sizeof(*map));
	struct buf text = BUF_INIT(ALIAS_MAP_MAX);
	enum rc rc = RC_OK;

	*out = NULL;
	if (!map)
		return err_set(err, ERR_MEMORY, "alias map");
	if (path) {
		rc = file_read(path, &text, err);
		if (rc == RC_NONE)
			rc = err_set(
				err, ERR_CONFIG, "%s: organisation.alias_map is not there", path);
	}
	if (rc == RC_OK && text.len) {
		char *next = text.data, *line;
		int number = 0;

		while (rc == RC_OK && (line = strsep(&next, "\n")))
			rc = parse_line(map, line, path, ++number, err);
	}
	buf_fini(&text);
	if (map->n)
		qsort(map->v, map->n, sizeof(*map->v), compare);
	if (rc == RC_OK)
		*out = map;
	else
		alias_map_free(&map);
	return rc;
}

void
alias_map_free(struct alias_map **map)
{
	if (!*map)
		return;
	for (size_t i = 0; i < (*map)->n; i++) {
		free((*map)->v[i].from);
		free((*map)->v[i].to);
	}
	free((*map)->v);
	free(*map);
	*map = NULL;
}

const char *
alias_map_find(const struct alias_map *map, const char *addr)
{
	size_t low = 0, high = map->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int c = strcasecmp(map->v[middle].from, addr);

		if (c == 0)
			return map->v[middle].to;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
alias_map_person(const struct alias_map *map, const char *addr, char delimiter, char *out)
{
	const char *other = alias_map_find(map, addr);

	if (!other && delimiter) {
		addr_strip_extension(addr, delimiter, out);
		other = alias_map_find(map, out);
	} else if (!other) {
		other = addr;
	}
	if (other)
		text_copy(out, ADDR_MAX + 1, other);
}
