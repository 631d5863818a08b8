/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * groups.h - which groups of a directory somebody is in
 *
 * For rules that name groups, by distinguished name or by common name. The section "groups" says
 * which directory is asked and how: for the attribute of a person that names their groups
 * (memberOf), or for group entries that name the person (member, uniqueMember, memberUid). Groups
 * in groups are followed by a rule of Active Directory's, in one question, or level by level.
 *
 * Whoever the directory does not know is in no group; whom it could not be asked about is RC_TEMP,
 * and so is an answer past the limits: half a list of groups is none. Answers are kept for
 * lookup.positive_ttl, and for negative_ttl of whoever is in none of the groups; trouble is never
 * kept.
 *
 * Threads: one struct groups may be used by any number of threads. A question blocks its caller
 *          for the directory's timeout for each server and level at most.
 * Limits:  GROUPS_MAX_KEPT answers, GROUPS_MAX_FOUND groups of one person, GROUPS_MAX_LEVELS
 * levels, GROUPS_MAX_QUESTIONS questions for one person.
 */
#ifndef DIRECTORY_GROUPS_H
#define DIRECTORY_GROUPS_H

#include "base/conf.h"

#define GROUPS_MAX_KEPT      4096
#define GROUPS_MAX_FOUND     4096
#define GROUPS_MAX_LEVELS    10
#define GROUPS_MAX_QUESTIONS 256

struct groups;
/* NAMES: N groups that will be asked for, borrowed. RC_NONE: no directory is configured. */
enum rc groups_new(struct conf *conf, const char *const *names, size_t n, struct groups **out,
	struct err *err);
void groups_free(struct groups **groups);
/* IN[i]: is ADDR (canonical; "" is nobody) in group number i? */
enum rc groups_find(struct groups *groups, const char *addr, bool *in, struct err *err);

#endif
