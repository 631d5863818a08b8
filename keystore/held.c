/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/held.h"

#include "base/clock.h"

#include <time.h>

#define QUIET_ROUNDS 10 /* without a frame, then the thread waits to be woken */

void
held_init(struct held *held)
{
	pthread_condattr_t attr;

	*held = (struct held){.frames = BUF_INIT(0)};
	pthread_mutex_init(&held->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&held->cond, &attr);
	pthread_condattr_destroy(&attr);
}

void
held_fini(struct held *held)
{
	held_stop(held);
	buf_fini(&held->frames);
	pthread_cond_destroy(&held->cond);
	pthread_mutex_destroy(&held->lock);
}

void
held_start(struct held *held, void (*send)(void *ctx), void *ctx)
{
	held->send = send;
	held->ctx = ctx;
}

/* One round of HELD_MS, or until the end. */
static void
wait_round(struct held *held)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += HELD_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!held->stop && pthread_cond_timedwait(&held->cond, &held->lock, &until) == 0)
		continue;
}

/*
 * Frames that were there when a round began have waited long enough at its end, unless they went
 * with a request meanwhile. While there is traffic the rounds follow each other, so that a frame
 * need not wake anybody.
 */
static void *
run(void *arg)
{
	struct held *held = arg;
	int quiet = 0;

	pthread_mutex_lock(&held->lock);
	while (!held->stop) {
		held->asleep = quiet >= QUIET_ROUNDS;
		while (held->asleep && !held->stop && held->frames.len == 0)
			pthread_cond_wait(&held->cond, &held->lock);
		held->asleep = false;
		wait_round(held);
		quiet = held->moved ? 0 : quiet + 1;
		held->moved = false;
		if (held->stop || held->frames.len == 0)
			continue;
		pthread_mutex_unlock(&held->lock);
		held->send(held->ctx);
		pthread_mutex_lock(&held->lock);
	}
	pthread_mutex_unlock(&held->lock);
	return NULL;
}

void
held_stop(struct held *held)
{
	bool started;

	pthread_mutex_lock(&held->lock);
	started = held->started;
	held->started = false;
	held->stop = true;
	pthread_cond_broadcast(&held->cond);
	pthread_mutex_unlock(&held->lock);
	if (started)
		pthread_join(held->thread, NULL);
}

/* The thread begins late: a daemon may fork before it has anything to hold. */
static bool
has_thread(struct held *held)
{
	if (!held->started && !held->stop && held->send)
		held->started = pthread_create(&held->thread, NULL, run, held) == 0;
	return held->started;
}

bool
held_add(struct held *held, const struct buf *frame)
{
	bool kept;

	pthread_mutex_lock(&held->lock);
	kept = !held->stuck && held->frames.len + frame->len <= HELD_MAX && has_thread(held) &&
	       buf_append(&held->frames, frame->data, frame->len, NULL) == RC_OK;
	if (kept && held->asleep)
		pthread_cond_signal(&held->cond);
	held->moved = true;
	pthread_mutex_unlock(&held->lock);
	return kept;
}

size_t
held_take(struct held *held, struct buf *out)
{
	size_t len;

	pthread_mutex_lock(&held->lock);
	len = held->frames.len;
	if (len && buf_append(out, held->frames.data, len, NULL) != RC_OK)
		len = 0;
	if (len)
		buf_clear(&held->frames);
	pthread_mutex_unlock(&held->lock);
	return len;
}

bool
held_back(struct held *held, const struct buf *frames, size_t len)
{
	bool first;

	if (!len)
		return false;
	pthread_mutex_lock(&held->lock);
	first = !held->stuck;
	held->stuck = true;
	/* Past HELD_MAX if need be: as much as the threads had in hand. */
	(void)buf_append(&held->frames, frames->data, len, NULL);
	pthread_mutex_unlock(&held->lock);
	return first;
}

void
held_gone(struct held *held, size_t len)
{
	if (!len)
		return;
	pthread_mutex_lock(&held->lock);
	held->stuck = false;
	pthread_mutex_unlock(&held->lock);
}
