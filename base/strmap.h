/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strmap.h - from texts to numbers, for tables of a hundred thousand names
 *
 * Texts are borrowed and have to outlive the map. They are spread by a hash with a key of the
 * process's own, so that names chosen by others cannot all meet in one place.
 */
#ifndef BASE_STRMAP_H
#define BASE_STRMAP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strmap { /* zeros are an empty one */
	struct strmap_slot {
		const char *text; /* NULL: free */
		size_t number;
	} * slots;
	size_t n, room; /* room: a power of two */
	bool no_case;   /* ASCII letters are the same in both cases; set before the first put */
	uint64_t key;
};

void strmap_fini(struct strmap *map);
/* The first number that is put for a text stays; *was_there tells (may be NULL). */
enum rc
strmap_put(struct strmap *map, const char *text, size_t number, bool *was_there, struct err *err);
bool strmap_find(const struct strmap *map, const char *text, size_t *number);

#endif
