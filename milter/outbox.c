/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/outbox.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct outbox {
	atomic_int refs; /* the owner's and the thread's */
	struct notices *notices;
	void (*ended)(void *ctx);
	void *ctx;
	pthread_mutex_t mutex; /* for all below */
	pthread_cond_t changed;
	bool stop, woken, done;
};

static bool
is_stopping(void *ctx)
{
	struct outbox *outbox = ctx;
	bool stop;

	pthread_mutex_lock(&outbox->mutex);
	stop = outbox->stop;
	pthread_mutex_unlock(&outbox->mutex);
	return stop;
}

static void
wake(void *ctx)
{
	struct outbox *outbox = ctx;

	pthread_mutex_lock(&outbox->mutex);
	outbox->woken = true;
	pthread_cond_broadcast(&outbox->changed);
	pthread_mutex_unlock(&outbox->mutex);
}

static struct timespec
after(long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* True: to be ended. */
static bool
wait_for_work(struct outbox *outbox)
{
	struct timespec until = after(notices_interval(outbox->notices) * 1000);
	int timed_out = 0;
	bool stop;

	pthread_mutex_lock(&outbox->mutex);
	while (!outbox->stop && !outbox->woken && timed_out == 0)
		timed_out = pthread_cond_timedwait(&outbox->changed, &outbox->mutex, &until);
	outbox->woken = false;
	stop = outbox->stop;
	pthread_mutex_unlock(&outbox->mutex);
	return stop;
}

static void
unref(struct outbox *outbox)
{
	if (atomic_fetch_sub(&outbox->refs, 1) != 1)
		return;
	pthread_cond_destroy(&outbox->changed);
	pthread_mutex_destroy(&outbox->mutex);
	free(outbox);
}

/* A store that cannot be used is said once, until it can be again. */
static void *
run(void *arg)
{
	struct outbox *outbox = arg;
	bool stuck = false;

	do {
		struct err err = ERR_INIT;
		enum rc rc = notices_work(outbox->notices, is_stopping, outbox, &err);

		if (rc != RC_OK && !stuck)
			log_error(LOGL_ERROR, NULL, "notices-stuck", &err, NULL);
		stuck = rc != RC_OK;
	} while (!wait_for_work(outbox));
	notices_wake(outbox->notices, NULL, NULL);
	outbox->ended(outbox->ctx);
	pthread_mutex_lock(&outbox->mutex);
	outbox->done = true;
	pthread_cond_broadcast(&outbox->changed);
	pthread_mutex_unlock(&outbox->mutex);
	unref(outbox);
	return NULL;
}

void
outbox_free(struct outbox **outbox)
{
	if (*outbox)
		unref(*outbox);
	*outbox = NULL;
}

enum rc
outbox_start(struct notices *notices, void (*ended)(void *ctx), void *ctx, struct outbox **out,
	struct err *err)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));
	pthread_condattr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int failed;

	*out = NULL;
	if (!outbox)
		return err_set(err, ERR_MEMORY, "outbox");
	*outbox = (struct outbox){.notices = notices, .ended = ended, .ctx = ctx};
	atomic_init(&outbox->refs, 2);
	pthread_mutex_init(&outbox->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&outbox->changed, &attr);
	pthread_condattr_destroy(&attr);
	notices_wake(notices, wake, outbox);
	*out = outbox;
	sigfillset(&all); /* signals are the first thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	failed = pthread_create(&thread, NULL, run, outbox);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!failed) {
		pthread_detach(thread);
		return RC_OK;
	}
	notices_wake(notices, NULL, NULL);
	unref(outbox); /* the thread's */
	outbox_free(out);
	return err_set(err, ERR_SYSTEM, "no thread: %s", strerror(failed));
}

void
outbox_stop(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox->stop = true;
	pthread_cond_broadcast(&outbox->changed);
	pthread_mutex_unlock(&outbox->mutex);
}

bool
outbox_wait(struct outbox *outbox, long ms)
{
	struct timespec until = after(ms);
	bool done;

	pthread_mutex_lock(&outbox->mutex);
	while (!outbox->done &&
		pthread_cond_timedwait(&outbox->changed, &outbox->mutex, &until) == 0)
		;
	done = outbox->done;
	pthread_mutex_unlock(&outbox->mutex);
	return done;
}
