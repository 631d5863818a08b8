/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/daemon.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct daemon {
	const struct service *service;
	struct minder *minder;
	pthread_mutex_t mutex; /* for all below */
	pthread_cond_t quiet;  /* no content in flight */
	struct engine *engine;
	struct outlet *outlet;   /* or NULL */
	struct outlet **retired; /* of earlier configurations; sessions may still wait for them */
	size_t n_retired;
	unsigned long contents;
	bool stopping;
};

enum rc
daemon_new(const struct service *service, struct engine *engine, struct outlet *outlet,
	struct daemon **out, struct err *err)
{
	struct daemon *daemon = calloc(1, sizeof *daemon);
	pthread_condattr_t attr;

	*out = NULL;
	if (!daemon)
		return err_set(err, ERR_MEMORY, "daemon");
	daemon->service = service;
	daemon->engine = engine_ref(engine);
	engine_hold_decisions(engine);
	daemon->outlet = outlet_ref(outlet);
	pthread_mutex_init(&daemon->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&daemon->quiet, &attr);
	pthread_condattr_destroy(&attr);
	*out = daemon;
	return RC_OK;
}

void
daemon_free(struct daemon **daemon)
{
	if (!*daemon)
		return;
	minder_stop(&(*daemon)->minder);
	/* A session that is stuck in a callback keeps the engine alive. */
	engine_flush_decisions((*daemon)->engine);
	engine_unref(&(*daemon)->engine);
	outlet_unref(&(*daemon)->outlet);
	for (size_t i = 0; i < (*daemon)->n_retired; i++)
		outlet_unref(&(*daemon)->retired[i]);
	free((*daemon)->retired);
	pthread_cond_destroy(&(*daemon)->quiet);
	pthread_mutex_destroy(&(*daemon)->mutex);
	free(*daemon);
	*daemon = NULL;
}

const struct service *
daemon_service(const struct daemon *daemon)
{
	return daemon->service;
}

struct minder *
daemon_minder(struct daemon *daemon)
{
	return daemon->minder;
}

enum rc
daemon_start_minder(struct daemon *daemon, struct err *err)
{
	return minder_start(daemon->service->socket, &daemon->minder, err);
}

struct engine *
daemon_engine(struct daemon *daemon, struct outlet **outlet)
{
	struct engine *engine;

	pthread_mutex_lock(&daemon->mutex);
	engine = engine_ref(daemon->engine);
	*outlet = outlet_ref(daemon->outlet);
	pthread_mutex_unlock(&daemon->mutex);
	return engine;
}

/* Keeps OUTLET (taken) so that a stop reaches the sessions that use it, and lets go of those that
 * nobody uses; under the lock. */
static void
keep_retired(struct daemon *daemon, struct outlet *outlet)
{
	struct outlet **v;
	size_t n = 0;

	for (size_t i = 0; i < daemon->n_retired; i++) {
		if (outlet_is_used(daemon->retired[i]))
			daemon->retired[n++] = daemon->retired[i];
		else
			outlet_unref(&daemon->retired[i]);
	}
	daemon->n_retired = n;
	v = outlet ? realloc(daemon->retired, (n + 1) * sizeof(struct outlet *)) : NULL;
	if (!v) {
		outlet_unref(&outlet);
		return;
	}
	daemon->retired = v;
	daemon->retired[daemon->n_retired++] = outlet;
}

void
daemon_set_engine(struct daemon *daemon, struct engine *engine, struct outlet *outlet)
{
	struct outlet *old_outlet;
	struct engine *old;

	engine_hold_decisions(engine);
	pthread_mutex_lock(&daemon->mutex);
	old = daemon->engine;
	daemon->engine = engine_ref(engine);
	old_outlet = daemon->outlet;
	daemon->outlet = outlet_ref(outlet);
	outlet_retire(old_outlet);
	keep_retired(daemon, old_outlet);
	pthread_mutex_unlock(&daemon->mutex);
	engine_unref(&old);
}

bool
daemon_has_outlet(struct daemon *daemon)
{
	bool has;

	pthread_mutex_lock(&daemon->mutex);
	has = daemon->outlet;
	pthread_mutex_unlock(&daemon->mutex);
	return has;
}

void
daemon_content_begins(struct daemon *daemon)
{
	pthread_mutex_lock(&daemon->mutex);
	daemon->contents++;
	pthread_mutex_unlock(&daemon->mutex);
}

void
daemon_content_ends(struct daemon *daemon)
{
	pthread_mutex_lock(&daemon->mutex);
	if (--daemon->contents == 0)
		pthread_cond_broadcast(&daemon->quiet);
	pthread_mutex_unlock(&daemon->mutex);
}

bool
daemon_is_stopping(struct daemon *daemon)
{
	bool stopping;

	pthread_mutex_lock(&daemon->mutex);
	stopping = daemon->stopping;
	pthread_mutex_unlock(&daemon->mutex);
	return stopping;
}

/* Waits until no content is in flight, at most MS milliseconds; under the lock. */
static bool
wait_quiet(struct daemon *daemon, long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (daemon->contents > 0)
		if (pthread_cond_timedwait(&daemon->quiet, &daemon->mutex, &until) != 0)
			break;
	return daemon->contents == 0;
}

/* A message is over before libmilter has written its answer: a moment for that, as long as there
 * are sessions. */
static void
let_answers_out(struct daemon *daemon)
{
	struct timespec slice = {.tv_nsec = 10000000};

	for (int i = 0; i < 10 && minder_sessions(daemon->minder) > 0; i++)
		nanosleep(&slice, NULL);
}

bool
daemon_drain(struct daemon *daemon, long ms)
{
	bool quiet, busy;

	pthread_mutex_lock(&daemon->mutex);
	daemon->stopping = true;
	busy = daemon->contents > 0;
	quiet = wait_quiet(daemon, ms * 2 / 3);
	outlet_stop(daemon->outlet);
	for (size_t i = 0; i < daemon->n_retired; i++)
		outlet_stop(daemon->retired[i]);
	if (!quiet)
		quiet = wait_quiet(daemon, ms / 3);
	pthread_mutex_unlock(&daemon->mutex);
	if (busy && quiet)
		let_answers_out(daemon);
	return quiet;
}

bool
daemon_is_quiet(struct daemon *daemon, long ms)
{
	return outlet_is_quiet(daemon->outlet, ms);
}
