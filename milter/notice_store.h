/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_store.h - what is still to be said, to whom it was said already, and who waits for whom
 *
 * One SQLite file (notices.store), mode 0600, that all services' processes on a machine share: an
 * outbox of messages that are not yet submitted, as facts and not as text; a row for each limited
 * message, so that limits survive a restart; and pairs of correspondent without a certificate and
 * sender who wrote to them. Everything is durable when a call returns.
 *
 * A file that was deleted is made anew, a damaged one is moved aside (PATH.damaged), with a line in
 * the log; whoever called then gets ERR_NOTICES once.
 *
 * Threads: any; and any number of processes of one machine.
 * Limits:  those given with each call; STORE_MAX_ITEM bytes in an item.
 */
#ifndef MILTER_NOTICE_STORE_H
#define MILTER_NOTICE_STORE_H

#include "base/buf.h"

#include <stdint.h>

#define STORE_MAX_ITEM  (2u << 20)
#define STORE_MAX_PAIRS 20 /* senders that wait for one correspondent */

struct notice_store;
/* Opens nothing yet. */
enum rc notice_store_new(const char *path, struct notice_store **out, struct err *err);
void notice_store_free(struct notice_store **store);

struct notice_item {
	int64_t id;
	int64_t created;
	int tries;       /* this one counted */
	struct buf data; /* facts, JSON */
	struct buf head; /* a header block, bytes as they came; may be empty */
};
void notice_item_init(struct notice_item *item);
void notice_item_fini(struct notice_item *item);

struct notice_limit { /* at most MAX with this KEY in SECONDS */
	const char *key;
	int64_t max, seconds;
};

struct notice_limits {
	const struct notice_limit *v;
	size_t n;
	int64_t outbox; /* items in it */
};

/* Keeps an item in the outbox. RC_NONE: one of the limits is reached, *which says the index. A full
 * outbox is RC_TEMP. */
enum rc notice_store_keep(struct notice_store *store, const struct notice_item *item,
	const struct notice_limits *limits, int64_t now, size_t *which, struct err *err);
/* Gives the item that has been due longest and makes it due again in LEASE seconds, so that nobody
 * else takes it meanwhile. RC_NONE: nothing is due. */
enum rc notice_store_take(struct notice_store *store, int64_t now, int64_t lease,
	struct notice_item *item, struct err *err);
enum rc notice_store_done(struct notice_store *store, int64_t id, struct err *err);
enum rc notice_store_later(struct notice_store *store, int64_t id, int64_t when, struct err *err);

/* SENDER waits for a certificate of RCPT. At most MAX pairs: the oldest give way. */
enum rc notice_store_wait(struct notice_store *store, const char *rcpt, const char *sender,
	int64_t max, int64_t now, struct err *err);
/* The next correspondent behind AFTER ("" to begin) that somebody waits for; RC_NONE at the end. */
enum rc notice_store_awaited(
	struct notice_store *store, const char *after, struct buf *rcpt, struct err *err);
/* One of those who wait for RCPT; RC_NONE: nobody. */
enum rc notice_store_waiter(
	struct notice_store *store, const char *rcpt, struct buf *sender, struct err *err);
/* SENDER waits no more: is told by ITEM, both at once. */
enum rc notice_store_tell(struct notice_store *store, const char *rcpt, const char *sender,
	const struct notice_item *item, int64_t now, struct err *err);
/* Removes what was said before SAID and pairs from before WAITED. */
enum rc
notice_store_sweep(struct notice_store *store, int64_t said, int64_t waited, struct err *err);

#endif
