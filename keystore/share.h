/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.h - how the workers of a pool are shared by the users that connect
 *
 * Each uid has a line of connections that have something for us. Whichever worker is free takes
 * from the lines in turn, and while one uid has its limit of workers, its line waits. So a service
 * that floods the vault lets the others wait for the processor, but not for all that stands before
 * them.
 *
 * Threads: under the lock of the pool.
 */
#ifndef KEYSTORE_SHARE_H
#define KEYSTORE_SHARE_H

#include "keystore/conn.h"

struct share {
	struct share *next;
	int64_t uid;
	size_t conns, working; /* freed when there are none of both */
	struct conn *first, **last;
	size_t waiting; /* in the line */
};

struct shares {
	struct share *list; /* whose turn it is comes first */
	size_t limit;       /* of workers for one of them */
};

/* For one more connection of UID, made when there is none; NULL: no memory. */
struct share *shares_join(struct shares *shares, int64_t uid);
/* A connection less. */
void shares_leave(struct shares *shares, struct share *share);
/* CONN has something for us. */
void share_line_up(struct conn *conn);
/* Is there anybody in a line that may be served now? */
bool shares_have_work(const struct shares *shares);
/* For one more worker: the share whose turn it is, or NULL. */
struct share *shares_take(struct shares *shares);
void shares_give_back(struct shares *shares, struct share *share); /* a worker less */
struct conn *share_pop(struct share *share);                       /* or NULL */

#endif
