/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alias.h - other addresses of the same mailbox: a file of lines "alias canonical-address"
 */
#ifndef MESSAGE_ALIAS_H
#define MESSAGE_ALIAS_H

#include "base/err.h"

struct alias_map;

/* PATH NULL: an empty map. A line that is none is ERR_CONFIG with its number. */
enum rc alias_map_load(const char *path, struct alias_map **out, struct err *err);
void alias_map_free(struct alias_map **map);
/* ADDR canonical; compared without case. NULL: it is no alias. */
const char *alias_map_find(const struct alias_map *map, const char *addr);
/* The address by which whoever has ADDR (canonical) is known: what it is an alias of; else ADDR
 * without its extension, or what that is an alias of. DELIMITER 0: no extensions, as with other
 * people's domains. OUT has ADDR_MAX + 1 bytes. */
void alias_map_person(const struct alias_map *map, const char *addr, char delimiter, char *out);

#endif
