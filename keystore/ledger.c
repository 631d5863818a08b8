/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger.h"

#include "base/log.h"
#include "keystore/ledger_private.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Group commit. A thread that appends puts its record into the queue. If nobody is writing, it
 * becomes the committer: it takes the queue, numbers and chains its records, writes them with one
 * write and one sync, and tells the others. Whoever comes meanwhile waits in the queue, and one of
 * those is the next committer. So one thread alone pays one sync for a record, and 64 threads share
 * one among up to 64. Numbers, times and hashes are given by the committer, since only then is it
 * known which record is the last durable one: after a failed write the chain goes on from there as
 * if the lost ones had never been.
 *
 * Each waiting thread sleeps on a futex of its own entry and is woken once, when its record is
 * written, or to be the next committer. With one condition variable for all, every write would wake
 * every thread, and they would queue up for the lock only to sleep again.
 *
 * What belongs to the committer (file, signer, position while it works) needs no lock: `committing`
 * is it. What others read is published under the lock when the write is done.
 */

#define BATCH_BYTES (1u << 20) /* bodies in one write */
#define LAZY_MAX    4096       /* lazy records waiting; more are written as the others */

/* Appends one line to OUT and steps AT over it. */
static enum rc
chain_line(struct ledger *ledger, struct ledger_position *at, struct buf *out,
	enum ledger_type type, const struct buf *body, struct err *err)
{
	struct ledger_prefix prefix = {.seq = at->seq + 1,
		.prev = at->hash,
		.time_us = clock_now_us(),
		.node = ledger->node,
		.type = type};
	size_t start = out->len;
	enum rc rc;

	if (type == LEDGER_CHECKPOINT)
		rc = ledger_signer_checkpoint(&ledger->epoch, out, &prefix, err);
	else
		rc = ledger_line_format(out, &prefix, body->data, body->len, err);
	if (rc == RC_OK)
		rc = ledger_hash(out->data + start, out->len - start, at->hash, err);
	if (rc)
		return rc;
	at->seq++;
	at->since++;
	if (type == LEDGER_CHECKPOINT) {
		at->last_checkpoint = at->seq - 1;
		at->since = 0;
	}
	return RC_OK;
}

/* The announcement of the next epoch; the checkpoint that must follow is the caller's. */
static enum rc
chain_epoch(struct ledger *ledger, struct ledger_position *at, struct buf *out, struct err *err)
{
	struct buf body = BUF_INIT(4096);
	enum rc rc = ledger_body_epoch(
		&body, ledger->next.number, ledger->next.keyid, &ledger->next.spki, err);

	if (rc == RC_OK)
		rc = chain_line(ledger, at, out, LEDGER_EPOCH, &body, err);
	buf_fini(&body);
	return rc;
}

enum rc
ledger_begin_segment(
	struct ledger *ledger, uint64_t segment, struct ledger_position *at, struct err *err)
{
	struct buf body = BUF_INIT(4096), line = BUF_INIT(LEDGER_MAX_LINE);
	struct ledger_position after = *at;
	enum rc rc = ledger_body_open(&body, segment, ledger->epoch.number, ledger->epoch.keyid,
		&ledger->epoch.spki, err);

	if (rc == RC_OK)
		rc = chain_line(ledger, &after, &line, LEDGER_OPEN, &body, err);
	if (rc == RC_OK)
		rc = ledger_file_begin(&ledger->file, segment, line.data, line.len, err);
	if (rc == RC_OK)
		*at = after;
	buf_fini(&body);
	buf_fini(&line);
	return rc;
}

/* The handover is durable: the next key signs from now on. */
static void
switch_epoch(struct ledger *ledger)
{
	struct ledger_signer old;

	pthread_mutex_lock(&ledger->lock);
	old = ledger->epoch;
	ledger->epoch = ledger->next;
	memset(&ledger->next, 0, sizeof ledger->next);
	ledger->destroy = old.number;
	pthread_mutex_unlock(&ledger->lock);
	ledger_signer_fini(&old);
}

/* A segment that cannot be made is tried again later: the records are safe in the present one. */
static void
next_segment(struct ledger *ledger, struct ledger_position *at)
{
	struct err err = ERR_INIT;
	bool again = ledger->segment_due;

	ledger->segment_due =
		ledger_begin_segment(ledger, ledger->file.segment + 1, at, &err) != RC_OK;
	if (ledger->segment_due && !again)
		log_error(LOGL_ERROR, NULL, "ledger-segment", &err, NULL);
}

enum rc
ledger_write_batch(struct ledger *ledger, struct ledger_entry *batch, unsigned want,
	struct ledger_position *at, struct err *err)
{
	struct buf out = BUF_INIT(8u << 20);
	struct ledger_position after = *at;
	bool handover = (want & LEDGER_WANT_EPOCH) && ledger->next.number;
	enum rc rc = RC_OK;

	for (struct ledger_entry *e = batch; e && rc == RC_OK; e = e->next) {
		rc = chain_line(ledger, &after, &out, e->type, &e->body, err);
		e->seq = after.seq;
	}
	if (rc == RC_OK && handover)
		rc = chain_epoch(ledger, &after, &out, err);
	if (rc == RC_OK && after.since &&
		((want & ~LEDGER_WANT_EPOCH) || handover ||
			after.since >= (uint64_t)ledger->checkpoint_records))
		rc = chain_line(ledger, &after, &out, LEDGER_CHECKPOINT, NULL, err);
	if (rc == RC_OK && out.len)
		rc = ledger_file_write(&ledger->file, out.data, out.len, err);
	buf_fini(&out);
	if (rc)
		return rc;
	*at = after;
	if (handover)
		switch_epoch(ledger);
	if (want & LEDGER_WANT_SEGMENT)
		next_segment(ledger, at);
	return RC_OK;
}

/* Takes what one write may hold from the queue. */
static struct ledger_entry *
take_batch(struct ledger *ledger)
{
	struct ledger_entry *batch = ledger->head, **end = &batch;
	size_t bytes = 0;

	while (*end &&
		(bytes == 0 || bytes + (*end)->body.len + LEDGER_LINE_OVERHEAD <= BATCH_BYTES)) {
		bytes += (*end)->body.len + LEDGER_LINE_OVERHEAD;
		ledger->n_lazy -= (*end)->lazy ? 1 : 0;
		end = &(*end)->next;
	}
	ledger->head = *end;
	if (!ledger->head)
		ledger->tail = &ledger->head;
	*end = NULL;
	return batch;
}

/* Adds ENTRY to the queue; call with the lock held. */
static void
put_entry(struct ledger *ledger, struct ledger_entry *entry)
{
	entry->next = NULL;
	*ledger->tail = entry;
	ledger->tail = &entry->next;
	if (!entry->lazy)
		return;
	if (!ledger->n_lazy++) {
		ledger->lazy_since = clock_monotonic_ms();
		/* Most go with the next write, long before the keeper would have to look. */
		if (ledger->keeper_until > ledger->lazy_since + LEDGER_LAZY_MS)
			pthread_cond_signal(&ledger->wake);
	}
}

/* Changes a turn; gives the futex to be woken, or NULL if nobody sleeps on it. */
static uint32_t *
set_turn(struct ledger_entry *entry, enum ledger_turn turn)
{
	uint32_t *word = &entry->turn;

	return __atomic_exchange_n(word, turn, __ATOMIC_ACQ_REL) == LEDGER_SLEEPS ? word : NULL;
}

/* With LEDGER_DONE the entry may be gone by now; waking its address harms nobody. */
static void
wake_turn(uint32_t *word)
{
	if (word)
		(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static enum ledger_turn
get_turn(const struct ledger_entry *entry)
{
	return (enum ledger_turn)__atomic_load_n(&entry->turn, __ATOMIC_ACQUIRE);
}

/* Sleeps until the record is written or its thread is to commit. */
static void
wait_turn(struct ledger_entry *entry)
{
	uint32_t waits = LEDGER_WAITS;

	(void)__atomic_compare_exchange_n(
		&entry->turn, &waits, LEDGER_SLEEPS, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	while (get_turn(entry) == LEDGER_SLEEPS)
		(void)syscall(
			SYS_futex, &entry->turn, FUTEX_WAIT_PRIVATE, LEDGER_SLEEPS, NULL, NULL, 0);
}

/* The first thread in the queue commits next; gives what to wake when the lock is free, so that it
 * does not wake only to wait for that. Call with the lock held: nothing in the queue goes away. */
static uint32_t *
choose_next(const struct ledger *ledger)
{
	for (struct ledger_entry *e = ledger->head; e; e = e->next)
		if (!e->lazy)
			return set_turn(e, LEDGER_COMMITS);
	return NULL;
}

/* Lazy records of a write that failed go back to where they were. Gives the others, whose threads
 * wait. */
static struct ledger_entry *
finish_batch(struct ledger *ledger, struct ledger_entry *batch, enum rc rc)
{
	struct ledger_entry *again = NULL, **end = &again, *next;
	struct ledger_entry *ready = NULL, **ready_end = &ready;

	for (struct ledger_entry *e = batch; e; e = next) {
		next = e->next;
		e->next = NULL;
		if (!e->lazy) {
			*ready_end = e;
			ready_end = &e->next;
		} else if (rc == RC_OK) {
			buf_fini(&e->body);
			free(e);
		} else {
			*end = e;
			end = &e->next;
			ledger->n_lazy++;
		}
	}
	if (!again)
		return ready;
	*end = ledger->head;
	if (!ledger->head)
		ledger->tail = end;
	ledger->head = again;
	ledger->lazy_since = clock_monotonic_ms();
	return ready;
}

/* Tells each thread what became of its record; without the lock, so that the next write can begin.
 */
static void
tell(struct ledger_entry *ready, enum rc rc, const struct err *err)
{
	for (struct ledger_entry *e = ready, *next; e; e = next) {
		next = e->next;
		e->rc = rc;
		if (rc)
			e->err = *err;
		wake_turn(set_turn(e, LEDGER_DONE)); /* its thread's again */
	}
}

/* One line in the log when writing begins to fail, one when it works again. */
static void
note_health(struct ledger *ledger, enum rc rc, const struct err *err)
{
	if (rc && !ledger->failing)
		log_error(LOGL_ERROR, NULL, "ledger-failed", err, NULL);
	else if (!rc && ledger->failing)
		log_event(LOGL_INFO, NULL, "ledger-works-again", NULL);
	ledger->failing = rc != RC_OK;
}

enum rc
ledger_commit(struct ledger *ledger, unsigned want, struct err *err)
{
	struct err trouble = ERR_INIT;
	struct ledger_entry *batch = take_batch(ledger), *ready;
	struct ledger_position at = ledger->at;
	uint64_t before = at.seq;
	bool had = ledger->uncovered_since != 0;
	uint32_t *next;
	enum rc rc;

	ledger->committing = true;
	pthread_mutex_unlock(&ledger->lock);
	rc = ledger_write_batch(ledger, batch, want, &at, &trouble);
	pthread_mutex_lock(&ledger->lock);
	ledger->at = at;
	ledger->full = ledger->file.size >= ledger->segment_size;
	if (!at.since)
		ledger->uncovered_since = 0;
	else if (!had || (want & LEDGER_WANT_SEGMENT))
		ledger->uncovered_since = clock_monotonic_ms();
	if (ledger->full || !had || ledger->destroy)
		pthread_cond_signal(&ledger->wake);
	if (rc || at.seq != before)
		note_health(ledger, rc, &trouble);
	ready = finish_batch(ledger, batch, rc);
	ledger->committing = false;
	pthread_cond_broadcast(&ledger->idle);
	next = choose_next(ledger);
	pthread_mutex_unlock(&ledger->lock);
	wake_turn(next);
	tell(ready, rc, &trouble);
	pthread_mutex_lock(&ledger->lock);
	if (rc && err)
		*err = trouble;
	return rc;
}

void
ledger_wait_idle(struct ledger *ledger)
{
	while (ledger->committing)
		pthread_cond_wait(&ledger->idle, &ledger->lock);
}

/* The key for the month of now, fetched when the month is a new one. Call with period_lock held for
 * writing. */
static enum rc
refresh_period(struct ledger *ledger, struct err *err)
{
	char period[LEDGER_PERIOD_SIZE];
	struct secret *key = NULL;
	enum rc rc;

	ledger_period(clock_now(), period);
	if (ledger->period_key && strcmp(period, ledger->period) == 0)
		return RC_OK;
	rc = ledger->keys.period_key(ledger->keys.ctx, period, true, &key, err);
	if (rc == RC_OK && secret_len(key) != LEDGER_PERIOD_KEY_SIZE) {
		secret_free(&key);
		rc = err_set(err, ERR_LEDGER, "a pseudonym key of a wrong size");
	}
	if (rc == RC_NONE)
		rc = err_set(err, ERR_LEDGER, "no pseudonym key for %s", period);
	if (rc)
		return rc;
	secret_free(&ledger->period_key);
	ledger->period_key = key;
	memcpy(ledger->period, period, sizeof period);
	return RC_OK;
}

/* Leaves with period_lock held for reading and the key that is right now; many threads format at
 * once. */
static enum rc
lock_period(struct ledger *ledger, struct err *err)
{
	char period[LEDGER_PERIOD_SIZE];
	enum rc rc;

	for (;;) {
		ledger_period(clock_now(), period);
		pthread_rwlock_rdlock(&ledger->period_lock);
		if (ledger->period_key && strcmp(period, ledger->period) == 0)
			return RC_OK;
		pthread_rwlock_unlock(&ledger->period_lock);
		pthread_rwlock_wrlock(&ledger->period_lock);
		rc = refresh_period(ledger, err);
		pthread_rwlock_unlock(&ledger->period_lock);
		if (rc)
			return rc;
	}
}

/* The record's own members, with pseudonyms. */
static enum rc
make_body(struct ledger *ledger, const struct ledger_record *record, struct buf *body,
	struct err *err)
{
	enum rc rc;

	buf_init(body, LEDGER_MAX_LINE - LEDGER_LINE_OVERHEAD);
	if (!ledger_needs_period(record)) {
		rc = ledger_body_record(body, record, NULL, NULL, err);
	} else {
		rc = lock_period(ledger, err);
		if (rc == RC_OK) {
			rc = ledger_body_record(
				body, record, ledger->period, ledger->period_key, err);
			pthread_rwlock_unlock(&ledger->period_lock);
		}
	}
	if (rc)
		buf_fini(body);
	return rc;
}

/* Queues a copy of BODY (taken) for the next write. False: too many wait, or no memory. */
static bool
append_lazy(struct ledger *ledger, enum ledger_type type, struct buf *body)
{
	struct ledger_entry *entry = calloc(1, sizeof *entry);
	bool room;

	if (!entry)
		return false;
	entry->type = type;
	entry->lazy = true;
	entry->body = *body;
	pthread_mutex_lock(&ledger->lock);
	room = ledger->n_lazy < LAZY_MAX;
	if (room)
		put_entry(ledger, entry);
	pthread_mutex_unlock(&ledger->lock);
	if (!room)
		free(entry);
	return room;
}

/* Queues ENTRY and returns when it is written or has failed, writing when it is this thread's turn.
 */
static void
wait_written(struct ledger *ledger, struct ledger_entry *entry)
{
	uint32_t commits = LEDGER_COMMITS;

	pthread_mutex_lock(&ledger->lock);
	put_entry(ledger, entry);
	while (get_turn(entry) != LEDGER_DONE) {
		if (!ledger->committing) {
			(void)ledger_commit(ledger, 0, NULL); /* our own outcome is in the entry */
			continue;
		}
		pthread_mutex_unlock(&ledger->lock);
		wait_turn(entry);
		if (get_turn(entry) == LEDGER_DONE)
			return;
		pthread_mutex_lock(&ledger->lock);
		/* Somebody who came just now may have been faster; then we go on waiting. */
		commits = LEDGER_COMMITS;
		(void)__atomic_compare_exchange_n(&entry->turn, &commits, LEDGER_WAITS, false,
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	}
	pthread_mutex_unlock(&ledger->lock);
}

enum rc
ledger_append(
	struct ledger *ledger, const struct ledger_record *record, uint64_t *seq, struct err *err)
{
	struct ledger_entry entry = {.type = record->type};
	enum rc rc = make_body(ledger, record, &entry.body, err);

	if (seq)
		*seq = 0;
	if (rc)
		return rc;
	if (record->lazy && append_lazy(ledger, record->type, &entry.body))
		return RC_OK; /* the body is the queue's now */
	wait_written(ledger, &entry);
	buf_fini(&entry.body);
	if (entry.rc)
		return err_set(err, entry.err.code, "%s", entry.err.detail);
	if (seq)
		*seq = entry.seq;
	return RC_OK;
}

enum rc
ledger_checkpoint(struct ledger *ledger, struct err *err)
{
	enum rc rc;

	pthread_mutex_lock(&ledger->lock);
	do {
		ledger_wait_idle(ledger);
		rc = ledger_commit(ledger, LEDGER_WANT_CHECKPOINT, err);
	} while (rc == RC_OK && ledger->head);
	pthread_mutex_unlock(&ledger->lock);
	return rc;
}

void
ledger_head(struct ledger *ledger, struct ledger_head *head)
{
	pthread_mutex_lock(&ledger->lock);
	*head = (struct ledger_head){.seq = ledger->at.seq,
		.epoch = ledger->epoch.number,
		.last_checkpoint = ledger->at.last_checkpoint};
	memcpy(head->hash, ledger->at.hash, sizeof head->hash);
	memcpy(head->keyid, ledger->epoch.keyid, sizeof head->keyid);
	pthread_mutex_unlock(&ledger->lock);
}
