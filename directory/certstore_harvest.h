/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_harvest.h - inside of harvest: what the files of its tables give each other
 *
 * All within certstore_begin and certstore_end; those that only read, within certstore_lock too.
 */
#ifndef DIRECTORY_CERTSTORE_HARVEST_H
#define DIRECTORY_CERTSTORE_HARVEST_H

#include "directory/certstore_private.h"
#include "directory/harvest_store.h"

#include <stdlib.h>

/* certstore_shown.c: RC_NONE and all zero: nothing is known. */
enum rc certstore_shown(struct certstore *store, const char *addr, int64_t cert,
	struct harvest_shown *out, struct err *err);
/* Is it news for OLD? */
bool certstore_shown_differs(const struct harvest_shown *old, const struct harvest_offer *offer);
enum rc certstore_show(struct certstore *store, const struct harvest_offer *offer, int64_t cert,
	const struct harvest_shown *old, struct err *err);

/* certstore_pending.c */
enum pending_state { PENDING_NONE, PENDING_WAITS, PENDING_REJECTED };
struct pending {
	enum pending_state state;
	int64_t last_seen;
};
enum rc certstore_pending(struct certstore *store, const char *addr, int64_t cert,
	struct pending *out, struct err *err);
/* How many wait: for ADDR, or in all (NULL). */
enum rc
certstore_pending_count(struct certstore *store, const char *addr, int64_t *n, struct err *err);
enum rc certstore_pend(struct certstore *store, const struct harvest_offer *offer, int64_t cert,
	const char *qid, int64_t now, struct err *err);
/* Takes away what waited or was rejected longer ago than AGE. */
enum rc certstore_pending_sweep(struct certstore *store, int64_t before, struct err *err);

#endif
