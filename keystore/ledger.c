/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger.h"

#include "base/log.h"
#include "keystore/ledger_private.h"

#include <stdlib.h>
#include <string.h>

/*
 * Group commit. A thread that appends puts its record, or a group of them, into the queue. If
 * nobody is writing, it becomes the committer: it takes the queue, numbers and chains its records,
 * writes them with one write and one sync, and tells the others. Whoever comes meanwhile waits in
 * the queue, and one of those is the next committer. So one thread alone pays one sync for a
 * record, and 64 threads share one among up to 64. Numbers, times and hashes are given by the
 * committer, since only then is it known which record is the last durable one: after a failed write
 * the chain goes on from there as if the lost ones had never been.
 *
 * Each waiting thread sleeps on a futex of its own group and is woken once, when its records are
 * written, or to be the next committer. With one condition variable for all, every write would wake
 * every thread, and they would queue up for the lock only to sleep again.
 *
 * What belongs to the committer (file, signer, position while it works) needs no lock: `committing`
 * is it. What others read is published under the lock when the write is done.
 */

#define OUT_KEPT (256u << 10) /* a larger buffer is not kept from one write to the next */

/* Appends one line to OUT and steps AT over it. */
static enum rc
chain_line(struct ledger *ledger, struct ledger_position *at, struct buf *out,
	enum ledger_type type, const char *body, size_t len, struct err *err)
{
	struct ledger_prefix prefix = {.seq = at->seq + 1,
		.prev = at->hash,
		.time_us = clock_now_us(),
		.node = ledger->node,
		.type = type};
	size_t start = out->len;
	enum rc rc;

	if (type == LEDGER_CHECKPOINT)
		rc = ledger_signer_checkpoint(&ledger->epoch, out, &prefix, &at->anchor, err);
	else
		rc = ledger_line_format(out, &prefix, body, len, err);
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
		rc = chain_line(ledger, at, out, LEDGER_EPOCH, body.data, body.len, err);
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
		rc = chain_line(ledger, &after, &line, LEDGER_OPEN, body.data, body.len, err);
	if (rc == RC_OK)
		rc = ledger_file_begin(&ledger->file, segment, line.data, line.len, err);
	if (rc == RC_OK) {
		*at = after;
		ledger->segment_since = clock_now();
	}
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

/* The records of GROUP as lines. */
static enum rc
chain_group(struct ledger *ledger, struct ledger_position *at, struct buf *out,
	struct ledger_group *group, struct err *err)
{
	const char *body = group->text.data;
	enum rc rc = RC_OK;

	group->first = at->seq + 1;
	for (size_t i = 0; i < group->n && rc == RC_OK; i++) {
		rc = chain_line(
			ledger, at, out, group->parts[i].type, body, group->parts[i].len, err);
		body += group->parts[i].len;
	}
	return rc;
}

enum rc
ledger_write_batch(struct ledger *ledger, struct ledger_group *batch, unsigned want,
	struct ledger_position *at, struct err *err)
{
	struct buf *out = &ledger->out;
	struct ledger_position after = *at;
	bool handover = (want & LEDGER_WANT_EPOCH) && ledger->next.number;
	enum rc rc = RC_OK;

	buf_clear(out);
	for (struct ledger_group *g = batch; g && rc == RC_OK; g = g->next)
		rc = chain_group(ledger, &after, out, g, err);
	if (rc == RC_OK && handover)
		rc = chain_epoch(ledger, &after, out, err);
	if (rc == RC_OK && after.since &&
		((want & ~LEDGER_WANT_EPOCH) || handover ||
			after.since >= (uint64_t)ledger->checkpoint_records))
		rc = chain_line(ledger, &after, out, LEDGER_CHECKPOINT, NULL, 0, err);
	if (rc == RC_OK && out->len)
		rc = ledger_file_write(&ledger->file, out->data, out->len, err);
	if (out->cap > OUT_KEPT)
		buf_fini(out);
	if (rc)
		return rc;
	*at = after;
	if (handover)
		switch_epoch(ledger);
	if (want & LEDGER_WANT_SEGMENT)
		next_segment(ledger, at);
	return RC_OK;
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
	struct ledger_group *batch = ledger_take_batch(ledger), *ready;
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
	ready = ledger_finish_batch(ledger, batch, rc);
	ledger->committing = false;
	pthread_cond_broadcast(&ledger->idle);
	next = ledger_choose_next(ledger);
	pthread_mutex_unlock(&ledger->lock);
	ledger_wake_turn(next);
	ledger_tell(ready, rc, &trouble);
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

/* Queues GROUP and returns when it is written or has failed, writing when it is this thread's turn.
 */
static void
wait_written(struct ledger *ledger, struct ledger_group *group)
{
	pthread_mutex_lock(&ledger->lock);
	ledger_put_group(ledger, group);
	while (ledger_get_turn(group) != LEDGER_DONE) {
		if (!ledger->committing) {
			(void)ledger_commit(ledger, 0, NULL); /* our own outcome is in the group */
			continue;
		}
		pthread_mutex_unlock(&ledger->lock);
		ledger_wait_turn(group);
		if (ledger_get_turn(group) == LEDGER_DONE)
			return;
		pthread_mutex_lock(&ledger->lock);
		/* Somebody who came just now may have been faster; then we go on waiting. */
		ledger_pass_turn(group);
	}
	pthread_mutex_unlock(&ledger->lock);
}

enum rc
ledger_group_write(struct ledger_group *group, struct err *err)
{
	if (group->n == 0)
		return RC_OK;
	wait_written(group->ledger, group);
	if (group->rc)
		return err_set(err, group->err.code, "%s", group->err.detail);
	return RC_OK;
}

/* Queues a record for the next write, or writes it when too many wait. */
static enum rc
append_lazy(
	struct ledger *ledger, const struct ledger_record *record, bool *queued, struct err *err)
{
	struct buf body = BUF_INIT(LEDGER_MAX_LINE - LEDGER_LINE_OVERHEAD);
	enum rc rc = ledger_make_body(ledger, record, &body, err);

	*queued = false;
	if (rc == RC_OK) {
		pthread_mutex_lock(&ledger->lock);
		*queued = ledger_put_lazy(ledger, record->type, &body);
		pthread_mutex_unlock(&ledger->lock);
	}
	buf_fini(&body);
	return rc;
}

enum rc
ledger_append(
	struct ledger *ledger, const struct ledger_record *record, uint64_t *seq, struct err *err)
{
	struct ledger_group group;
	size_t index;
	bool queued = false;
	enum rc rc = record->lazy ? append_lazy(ledger, record, &queued, err) : RC_OK;

	if (seq)
		*seq = 0;
	if (rc || queued)
		return rc;
	ledger_group_init(&group, ledger);
	rc = ledger_group_add(&group, record, &index, err);
	if (rc == RC_OK)
		rc = ledger_group_write(&group, err);
	if (rc == RC_OK && seq)
		*seq = ledger_group_seq(&group, index);
	ledger_group_fini(&group);
	return rc;
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

enum rc
ledger_last_anchor(struct ledger *ledger, struct buf *out, struct err *err)
{
	struct ledger_anchor anchor;

	pthread_mutex_lock(&ledger->lock);
	anchor = ledger->at.anchor;
	pthread_mutex_unlock(&ledger->lock);
	return anchor.seq ? ledger_anchor_format(out, &anchor, err) : RC_NONE;
}
