/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group_walk.h - from an address to the person's groups, in a directory; for groups.c alone
 *
 * First the person's entry is found by the directory's filter, then their groups: in an attribute
 * of the entry, or by a search for group entries. Then, where groups in groups count, the groups of
 * those, each once, until there are no more.
 *
 * Threads: one struct group_walk may be used by any number of threads.
 */
#ifndef DIRECTORY_GROUP_WALK_H
#define DIRECTORY_GROUP_WALK_H

#include "base/conf.h"

struct group {       /* as it was found */
	char *dn;    /* crawl_dn */
	char *cn;    /* value of the first part of the name */
	char *exact; /* the name as the server writes it */
};
struct group_list {
	struct group *v;
	size_t n, room;
};
void group_list_fini(struct group_list *list);

struct group_name {     /* as a rule names it */
	char *dn;       /* crawl_dn; NULL: it is a common name */
	const char *cn; /* borrowed */
};
/* ERR_CONFIG: TEXT has a "=" and is no distinguished name. */
enum rc group_name_init(struct group_name *name, const char *text, struct err *err);
void group_name_fini(struct group_name *name);
bool group_name_is(const struct group_name *name, const struct group *group);

struct group_walk;
/* *domains, *n_domains: those of the directory, borrowed from CONF. */
enum rc group_walk_new(struct conf *conf, struct group_walk **out, const char *const **domains,
	size_t *n_domains, struct err *err);
void group_walk_free(struct group_walk **walk);
/* Every group of whoever has ADDR; none is RC_OK. */
enum rc
group_walk_run(struct group_walk *walk, const char *addr, struct group_list *out, struct err *err);

#endif
