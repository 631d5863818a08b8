/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alias.h - other addresses of the same mailbox: a file of lines "alias canonical-address"
 */
#ifndef MILTER_ALIAS_H
#define MILTER_ALIAS_H

#include "base/err.h"

struct alias_map;

/* PATH NULL: an empty map. A line that is none is ERR_CONFIG with its number. */
enum rc alias_map_load(const char *path, struct alias_map **out, struct err *err);
void alias_map_free(struct alias_map **map);
/* ADDR canonical; compared without case. NULL: it is no alias. */
const char *alias_map_find(const struct alias_map *map, const char *addr);

#endif
