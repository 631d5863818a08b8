/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * batch.h - the requests that one worker has in hand, from one connection or many
 *
 * The intents of all of them are written together, so that a use of a key costs its part of a write
 * and a sync, then the requests are answered in their order. A connection is done with when its
 * own requests are: it does not wait for those of the others.
 *
 * Threads: one at a time.  Limits: BATCH_TASKS requests, and BATCH_COST of work, so that nobody
 * waits for long behind a batch.
 */
#ifndef KEYSTORE_BATCH_H
#define KEYSTORE_BATCH_H

#include "keystore/conn.h"

#define BATCH_TASKS LEDGER_GROUP_MAX
#define BATCH_COST  256u

struct batch;

enum rc batch_new(struct vault *vault, struct batch **out, struct err *err);
void batch_free(struct batch **batch);
bool batch_has_room(const struct batch *batch);
/* Takes what CONN has for us: requests, as many as there is room for, or room for its answers. */
void batch_take(struct batch *batch, struct conn *conn);
/* Works on all, and empties the batch. DONE is called for each connection that was taken; not
 * ALIVE: it has to be closed. */
typedef void batch_done(void *ctx, struct conn *conn, bool alive);
void batch_run(struct batch *batch, batch_done *done, void *ctx);

#endif
