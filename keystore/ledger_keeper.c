/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_private.h"

#include "base/log.h"
#include "keystore/ledger_retire.h"

#include <string.h>
#include <time.h>

#define RETRY_MS       1000 /* between attempts while something fails */
#define KEEPER_IDLE_MS 600000
#define ROOM_MS        5000    /* between looks at the room on the disk */
#define KEEP_MS        3600000 /* between looks for segments that are too old */

/* Is a new segment due? Call with the lock held and nobody writing. */
static bool
segment_is_due(const struct ledger *ledger)
{
	return ledger->full ||
	       (ledger->segment_age && clock_now() - ledger->segment_since >= ledger->segment_age);
}

/* Is a new epoch due? Call with the lock held and nobody writing. */
static bool
epoch_is_due(const struct ledger *ledger)
{
	return segment_is_due(ledger) ||
	       clock_now() - ledger->epoch.since >= ledger->epoch_interval;
}

/*
 * Drops the oldest segment when it is older than what is kept. One an hour at most, each with a
 * warning in the log: a clock that jumps ahead must not cost the whole ledger before somebody sees
 * it. Called and left with the lock held, which is free meanwhile.
 */
static void
drop_old(struct ledger *ledger)
{
	struct ledger_retire_order order = {
		.before = clock_now() - ledger->keep, .service = "vault", .uid = -1, .pid = -1};
	struct ledger_dropped dropped;
	struct err err = ERR_INIT;

	pthread_mutex_unlock(&ledger->lock);
	if (ledger_retire(ledger, &order, &dropped, &err) < 0)
		log_error(LOGL_ERROR, NULL, "ledger-retire", &err, NULL);
	pthread_mutex_lock(&ledger->lock);
	ledger->keep_next = clock_monotonic_ms() + KEEP_MS;
}

/* Destroys the old keys. Called and left with the lock held, which is free meanwhile. */
static enum rc
destroy_old(struct ledger *ledger)
{
	struct err err = ERR_INIT;
	uint64_t upto = ledger->destroy;
	enum rc rc;

	pthread_mutex_unlock(&ledger->lock);
	rc = ledger->keys.epoch_destroy(ledger->keys.ctx, upto, &err);
	if (rc)
		log_error(LOGL_ERROR, NULL, "ledger-epoch-destroy", &err, NULL);
	pthread_mutex_lock(&ledger->lock);
	if (rc == RC_OK && ledger->destroy == upto)
		ledger->destroy = 0;
	return rc;
}

/* Has a key made for the next epoch. Called and left with the lock held, which is free meanwhile.
 */
static enum rc
prepare_epoch(struct ledger *ledger)
{
	struct ledger_signer next;
	struct err err = ERR_INIT;
	uint64_t number = ledger->epoch.number + 1;
	enum rc rc;

	if (ledger->next.number)
		return RC_OK;
	pthread_mutex_unlock(&ledger->lock);
	rc = ledger_signer_make(&next, &ledger->keys, number, &err);
	if (rc)
		log_error(LOGL_ERROR, NULL, "ledger-epoch", &err, NULL);
	pthread_mutex_lock(&ledger->lock);
	if (rc == RC_OK)
		ledger->next = next;
	return rc;
}

/* Hands over to the next epoch, and goes on in a new segment if this one is full. */
static enum rc
renew_epoch(struct ledger *ledger)
{
	unsigned want = segment_is_due(ledger) ? LEDGER_WANT_SEGMENT : 0;
	enum rc rc = RC_OK;

	if (!ledger->segment_due) {
		rc = prepare_epoch(ledger);
		want |= LEDGER_WANT_EPOCH;
	}
	if (rc)
		return rc;
	ledger_wait_idle(ledger);
	rc = ledger_commit(ledger, want, NULL);
	return rc == RC_OK && ledger->segment_due ? RC_TEMP : rc;
}

void
ledger_look_at_room(struct ledger *ledger)
{
	int64_t room = ledger->file.disk.room(ledger->file.disk.ctx, ledger->file.dir);
	bool few = room >= 0 && room < ledger->warn_free, low = room >= 0 && room < ledger->reserve;
	bool was = __atomic_exchange_n(&ledger->low, low, __ATOMIC_RELAXED);

	if (low && !was)
		log_event(LOGL_ERROR, NULL, "ledger-disk-full", "free", LOG_NUM(room), "reserve",
			LOG_NUM(ledger->reserve), "reason", "no key is used until there is room",
			NULL);
	else if (few && !ledger->warned && !low)
		log_event(LOGL_WARN, NULL, "ledger-disk-fills", "free", LOG_NUM(room), "warn_free",
			LOG_NUM(ledger->warn_free), NULL);
	else if (!few && !low && (ledger->warned || was))
		log_event(LOGL_INFO, NULL, "ledger-disk-has-room", "free", LOG_NUM(room), NULL);
	ledger->warned = few || low;
	ledger->room_next = clock_monotonic_ms() + ROOM_MS;
}

/* Does what is due now; *wait is how long nothing will be. */
static enum rc
keeper_step(struct ledger *ledger, int64_t *wait)
{
	int64_t now = clock_monotonic_ms(), left;

	*wait = KEEPER_IDLE_MS;
	if (ledger->destroy)
		return destroy_old(ledger);
	if (ledger->warn_free || ledger->reserve) {
		if (now >= ledger->room_next)
			ledger_look_at_room(ledger);
		*wait = ROOM_MS;
	}
	ledger_wait_idle(ledger);
	if (epoch_is_due(ledger))
		return renew_epoch(ledger);
	if (ledger->keep && now >= ledger->keep_next)
		return drop_old(ledger), RC_OK;
	if (ledger->uncovered_since) {
		left = ledger->uncovered_since + ledger->checkpoint_ms - now;
		if (left <= 0)
			return ledger_commit(ledger, LEDGER_WANT_CHECKPOINT, NULL);
		*wait = left < *wait ? left : *wait;
	}
	if (ledger->n_lazy) {
		left = ledger->lazy_since + LEDGER_LAZY_MS - now;
		if (left <= 0)
			return ledger_commit(ledger, 0, NULL);
		*wait = left < *wait ? left : *wait;
	}
	return RC_NONE;
}

void *
ledger_keeper_main(void *arg)
{
	struct ledger *ledger = arg;
	struct timespec until;
	int64_t wait;
	enum rc rc;

	pthread_mutex_lock(&ledger->lock);
	while (!ledger->stopping) {
		rc = keeper_step(ledger, &wait);
		if (rc == RC_OK || ledger->stopping)
			continue;
		if (rc != RC_NONE)
			wait = RETRY_MS;
		ledger->keeper_until = clock_monotonic_ms() + wait;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += wait / 1000;
		until.tv_nsec += wait % 1000 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		(void)pthread_cond_timedwait(&ledger->wake, &ledger->lock, &until);
	}
	pthread_mutex_unlock(&ledger->lock);
	return NULL;
}
