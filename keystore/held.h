/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * held.h - frames that nobody waits for, until somebody takes them along
 *
 * A decision sent by itself wakes the vault for a few bytes. Held back, it goes with the next
 * request in the same write, or after HELD_MS by itself: a thread sees to that. Frames that could
 * not be sent come back and stay; until they are through nothing more is held, so that whoever has
 * another one learns of the trouble.
 *
 * Threads: any. Limits: HELD_MAX bytes.
 */
#ifndef KEYSTORE_HELD_H
#define KEYSTORE_HELD_H

#include "base/buf.h"

#include <pthread.h>
#include <stdbool.h>

#define HELD_MS  100
#define HELD_MAX (256u << 10)

struct held {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	void (*send)(void *ctx); /* takes what is held and sends it, from the thread */
	void *ctx;
	struct buf frames;
	bool started; /* there is a thread */
	bool asleep;  /* it waits for the first frame */
	bool moved;   /* a frame came in this round */
	bool stuck;   /* frames came back */
	bool stop;
};

void held_init(struct held *held);
/* SEND is called with CTX, from a thread that begins with the first frame. */
void held_start(struct held *held, void (*send)(void *ctx), void *ctx);
/* No thread any more; what is still held is the caller's to take. */
void held_stop(struct held *held);
void held_fini(struct held *held);

/* Keeps a copy of FRAME. False: it has to go now, not started, full, or stuck. */
bool held_add(struct held *held, const struct buf *frame);
/* Puts all that is held at the beginning of OUT, which is empty; returns the bytes. */
size_t held_take(struct held *held, struct buf *out);
/* What became of the first LEN bytes of FRAMES, which held_take gave. held_back returns true when
 * this is the first trouble of its kind. */
bool held_back(struct held *held, const struct buf *frames, size_t len);
void held_gone(struct held *held, size_t len);

#endif
