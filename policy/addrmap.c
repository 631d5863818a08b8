/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/addrmap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	char *key; /* "user@domain", "@domain", ".domain", "" (null path), "*"; NULL: free */
	struct addrmap_list list;
};

struct addrmap {
	struct slot *slots;
	size_t n, cap;   /* cap is a power of two, at least twice n */
	bool has_any;    /* there is a "*" */
	bool has_parent; /* there is a ".domain" */
};

/* FNV-1a: keys come from the configuration, so nobody outside chooses collisions. */
static size_t
hash(const char *text, size_t len)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void
addrkey_set(struct addrkey *key, const char *addr)
{
	size_t len = strlen(addr);

	if (len > ADDR_MAX)
		len = ADDR_MAX;
	key->at = len;
	for (size_t i = 0; i < len; i++) {
		key->text[i] = lower(addr[i]);
		if (addr[i] == '@')
			key->at = i;
	}
	key->text[len] = '\0';
	key->len = len;
}

enum rc
addrmap_new(struct addrmap **out, struct err *err)
{
	struct addrmap *map = calloc(1, sizeof(*map));

	*out = NULL;
	if (map)
		map->slots = calloc(map->cap = 8, sizeof(*map->slots));
	if (!map || !map->slots) {
		free(map);
		return err_set(err, ERR_MEMORY, "address patterns");
	}
	*out = map;
	return RC_OK;
}

void
addrmap_free(struct addrmap **map)
{
	if (!*map)
		return;
	for (size_t i = 0; i < (*map)->cap; i++) {
		free((*map)->slots[i].key);
		free((*map)->slots[i].list.v);
	}
	free((*map)->slots);
	free(*map);
	*map = NULL;
}

/* The slot that holds KEY, or the free one where it would go. */
static struct slot *
probe(const struct addrmap *map, const char *key, size_t len)
{
	size_t i = hash(key, len) & (map->cap - 1);

	while (map->slots[i].key &&
		(strncmp(map->slots[i].key, key, len) != 0 || map->slots[i].key[len] != '\0'))
		i = (i + 1) & (map->cap - 1);
	return &map->slots[i];
}

static enum rc
grow(struct addrmap *map, struct err *err)
{
	struct addrmap bigger = {.cap = map->cap * 2};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return err_set(err, ERR_MEMORY, "address patterns");
	for (size_t i = 0; i < map->cap; i++)
		if (map->slots[i].key)
			*probe(&bigger, map->slots[i].key, strlen(map->slots[i].key)) =
				map->slots[i];
	free(map->slots);
	map->slots = bigger.slots;
	map->cap = bigger.cap;
	return RC_OK;
}

static enum rc
list_add(struct addrmap_list *list, unsigned value, struct err *err)
{
	if (list->n && list->v[list->n - 1] == value)
		return RC_OK; /* the same pattern twice in one rule */
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 1;
		unsigned *v = realloc(list->v, cap * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "address patterns");
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = value;
	return RC_OK;
}

/* A domain is made canonical by way of an address in it. */
static enum rc
domain_key(const char *domain, char prefix, char *out, struct err *err)
{
	char addr[ADDR_MAX + 1], canonical[ADDR_MAX + 1];
	int n = snprintf(addr, sizeof(addr), "x@%s", domain);

	if (n < 3 || (size_t)n >= sizeof(addr) || strpbrk(domain, "@ \t<>"))
		return err_set(err, ERR_USAGE, "\"%.100s\" is no domain", domain);
	if (addr_canonical(addr, (size_t)n, canonical, NULL) != RC_OK || !addr_domain(canonical))
		return err_set(err, ERR_USAGE, "\"%.100s\" is no domain", domain);
	snprintf(out, ADDR_MAX + 1, "%c%s", prefix, addr_domain(canonical));
	return RC_OK;
}

static enum rc
pattern_key(const char *pattern, char *out, struct err *err)
{
	if (strcmp(pattern, "<>") == 0) {
		*out = '\0';
		return RC_OK;
	}
	if (strcmp(pattern, "*") == 0) {
		strcpy(out, "*");
		return RC_OK;
	}
	if (*pattern == '@' || *pattern == '.')
		return domain_key(pattern + 1, *pattern, out, err);
	if (addr_canonical(pattern, strlen(pattern), out, NULL) != RC_OK || !addr_domain(out))
		return err_set(err, ERR_USAGE,
			"\"%.100s\" is no address, @domain, .domain, <> or *", pattern);
	return RC_OK;
}

enum rc
addrmap_put(struct addrmap *map, const char *pattern, unsigned value, struct err *err)
{
	char key[ADDR_MAX + 1];
	struct slot *slot;
	enum rc rc = pattern_key(pattern, key, err);

	if (rc == RC_OK && map->n * 2 >= map->cap)
		rc = grow(map, err);
	if (rc != RC_OK)
		return rc;
	for (char *p = key; *p; p++)
		*p = lower(*p);
	slot = probe(map, key, strlen(key));
	if (!slot->key) {
		slot->key = strdup(key);
		if (!slot->key)
			return err_set(err, ERR_MEMORY, "address patterns");
		map->n++;
	}
	map->has_any |= strcmp(key, "*") == 0;
	map->has_parent |= *key == '.';
	return list_add(&slot->list, value, err);
}

static size_t
try_key(const struct addrmap *map, const char *key, size_t len, const struct addrmap_list **lists,
	size_t n)
{
	const struct slot *slot = probe(map, key, len);

	if (slot->key && n < ADDRMAP_MAX_LISTS)
		lists[n++] = &slot->list;
	return n;
}

size_t
addrmap_lists(
	const struct addrmap *map, const struct addrkey *key, const struct addrmap_list **lists)
{
	size_t n = try_key(map, key->text, key->len, lists, 0);

	if (map->has_any)
		n = try_key(map, "*", 1, lists, n);
	if (key->at == key->len)
		return n;
	n = try_key(map, key->text + key->at, key->len - key->at, lists, n);
	if (map->has_parent)
		for (const char *p = strchr(key->text + key->at, '.'); p && p[1];
			p = strchr(p + 1, '.'))
			n = try_key(map, p, (size_t)(key->text + key->len - p), lists, n);
	return n;
}

bool
addrmap_has(const struct addrmap *map, const struct addrkey *key)
{
	const struct addrmap_list *lists[ADDRMAP_MAX_LISTS];

	return addrmap_lists(map, key, lists) > 0;
}
