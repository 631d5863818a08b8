/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addrmap.h - address patterns in a hash table: pattern → numbers
 *
 * Matching an address costs one look-up for itself, one for its domain and one for each parent
 * domain, however many patterns there are. Addresses are compared without case, the local part
 * too, as directories do.
 */
#ifndef POLICY_ADDRMAP_H
#define POLICY_ADDRMAP_H

#include "message/addr.h"

/* More lists than a domain of 255 bytes has labels. */
#define ADDRMAP_MAX_LISTS 132

struct addrmap_list { /* numbers in the order they were put */
	unsigned *v;
	size_t n, cap;
};

/* A canonical address made ready for looking up. */
struct addrkey {
	char text[ADDR_MAX + 1]; /* lower case */
	size_t len;
	size_t at; /* offset of the last '@'; LEN when there is none */
};

void addrkey_set(struct addrkey *key, const char *addr);

struct addrmap;

enum rc addrmap_new(struct addrmap **out, struct err *err);
void addrmap_free(struct addrmap **map);
/* PATTERN as in addr_match; RC_PERM, ERR_USAGE with a sentence when it is none. */
enum rc addrmap_put(struct addrmap *map, const char *pattern, unsigned value, struct err *err);
bool addrmap_has(const struct addrmap *map, const struct addrkey *key);
/* Lists of the patterns that match KEY, at most ADDRMAP_MAX_LISTS. */
size_t addrmap_lists(
	const struct addrmap *map, const struct addrkey *key, const struct addrmap_list **lists);
/* A file with one pattern a line, '#' begins a comment line; OPTION names it in errors. */
enum rc addrmap_load(struct addrmap *map, const char *path, const char *option, struct err *err);

#endif
