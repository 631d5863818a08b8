/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood.h - how much a service may write into the ledger without using a key
 *
 * Refusals come in floods when a service was taken over, or a client tries keys. The first
 * FLOOD_EACH of a minute that are alike (service, use, key, reason) are recorded each, as long as
 * there are not more than FLOOD_ALL in all; the rest is counted, and one record for each kind says
 * how many there were, once the minute is over.
 *
 * Decisions follow uses of keys: each use, which budgets limit, gives as many as it named
 * recipients, and FLOOD_SPARE an hour are free.
 *
 * A vault that is killed loses the counts of the present minute; one that stops writes them.
 *
 * Threads: any.  Limits: FLOOD_KINDS kinds in a minute, the rest is one more; FLOOD_SERVICES.
 */
#ifndef KEYSTORE_FLOOD_H
#define KEYSTORE_FLOOD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOOD_EACH     10
#define FLOOD_ALL      600
#define FLOOD_KINDS    1024u
#define FLOOD_SERVICES 64u
#define FLOOD_SPARE    1000

struct flood;

struct flood_kind {
	char service[65], use[16], key[64], reason[64]; /* "" for none */
	int64_t count;                                  /* that were not recorded */
	int64_t first, last;                            /* when, in seconds */
};

enum rc flood_new(struct flood **out, struct err *err);
void flood_free(struct flood **flood);
/* May this refusal be recorded by itself? False: it was counted. KEY may be NULL. */
bool flood_admits(struct flood *flood, const char *service, const char *use, const char *key,
	const char *reason, int64_t now);
/* Calls EACH for what was counted in minutes that are over (ALL: in this one too), and forgets it
 * when EACH returns true. */
typedef bool flood_each(void *ctx, const struct flood_kind *kind);
void flood_flush(struct flood *flood, int64_t now, bool all, flood_each *each, void *ctx);

/* A use of a key for so many recipients; a decision: false when there was no use for it. */
void flood_credit(struct flood *flood, const char *service, size_t recipients, int64_t now);
bool flood_spend(struct flood *flood, const char *service, int64_t now);

#endif
