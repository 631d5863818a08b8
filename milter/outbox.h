/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outbox.h - a thread that submits what people are to be told
 *
 * It works when something was kept, and looks again now and then: for what is due again, and for
 * what another service's process left behind.
 */
#ifndef MILTER_OUTBOX_H
#define MILTER_OUTBOX_H

#include "milter/notice_work.h"

struct outbox;
/* NOTICES is borrowed until ENDED is called, by the thread, at its end; it may free what it likes,
 * OUTBOX too. */
enum rc outbox_start(struct notices *notices, void (*ended)(void *ctx), void *ctx,
	struct outbox **out, struct err *err);
/* Nothing more is begun; does not wait. */
void outbox_stop(struct outbox *outbox);
/* True when nothing more is done; waits for that, at most MS milliseconds. */
bool outbox_wait(struct outbox *outbox, long ms);
void outbox_free(struct outbox **outbox);

#endif
