/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "milter/delivery.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLED (JOURNAL_ACCEPTED | JOURNAL_REPORTED)

struct delivery {
	struct journal_hold *hold;
	struct delivery_rcpt *rcpts; /* borrowed */
	size_t n;
	char *qid;
	/* One for each different address */
	struct journal_row *rows;
	size_t n_rows;
	size_t *row_of; /* for each recipient */
	size_t *first;  /* for each row: the first recipient with that address */
	/* For one copy at a time */
	size_t *who;
	struct journal_row *changed;
};

/* What a copy of delivery_run needs at hand. */
struct run {
	struct delivery *delivery;
	const struct delivery_ops *ops;
	void *ctx;
	bool over; /* nothing more is sent in this try */
};

static void
append_field(struct buf *out, const char *text, enum rc *rc, struct err *err)
{
	if (*rc == RC_OK)
		*rc = buf_append_u32(out, text ? (unsigned)strlen(text) + 1 : 0, err);
	if (*rc == RC_OK && text)
		*rc = buf_append_str(out, text, err);
}

/* Each field with its length, so that no two keys have the same name. */
static enum rc
format_name(const struct delivery_key *key, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	append_field(out, key->service, &rc, err);
	append_field(out, key->sender, &rc, err);
	append_field(out, key->identity, &rc, err);
	append_field(out, key->message_id, &rc, err);
	append_field(out, key->envid, &rc, err);
	return rc == RC_OK ? buf_append(out, key->digest, sizeof(key->digest), err) : rc;
}

static int
by_addr(const void *a, const void *b, void *ctx)
{
	const struct delivery_rcpt *rcpts = ctx;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;
	int order = strcmp(rcpts[i].addr, rcpts[k].addr);

	return order ? order : (i > k) - (i < k);
}

/* Finds those named twice: the first of each address gets a row, in the order of the recipients. */
static void
number_rows(struct delivery *d, size_t *sorted)
{
	size_t same = 0;

	for (size_t i = 0; i < d->n; i++)
		sorted[i] = i;
	qsort_r(sorted, d->n, sizeof(*sorted), by_addr, d->rcpts);
	for (size_t i = 0; i < d->n; i++) {
		if (i == 0 || strcmp(d->rcpts[sorted[i]].addr, d->rcpts[sorted[same]].addr) != 0)
			same = i;
		d->row_of[sorted[i]] = sorted[same]; /* a recipient, until rows have numbers */
	}
	for (size_t i = 0; i < d->n; i++) {
		if (d->row_of[i] == i) {
			d->first[d->n_rows] = i;
			d->row_of[i] = d->n_rows++;
		} else {
			d->row_of[i] = d->row_of[d->row_of[i]];
		}
	}
}

static enum rc
hold_rows(struct delivery *d, struct journal *journal, const struct delivery_key *key,
	struct err *err)
{
	const char **addrs = calloc(d->n_rows, sizeof(*addrs));
	struct buf name = BUF_INIT(0);
	enum rc rc = addrs ? RC_OK : err_set(err, ERR_MEMORY, "delivery");

	if (rc == RC_OK)
		rc = format_name(key, &name, err);
	for (size_t i = 0; rc == RC_OK && i < d->n_rows; i++)
		addrs[i] = d->rcpts[d->first[i]].addr;
	if (rc == RC_OK)
		rc = journal_hold(journal,
			&(struct journal_mail){name.data, name.len, addrs, d->n_rows}, d->rows,
			&d->hold, err);
	buf_fini(&name);
	free(addrs);
	return rc;
}

enum rc
delivery_open(struct journal *journal, const struct delivery_key *key, struct delivery_rcpt *rcpts,
	size_t n, const char *qid, struct delivery **out, struct err *err)
{
	struct delivery *d = calloc(1, sizeof(*d));
	size_t room = n ? n : 1;
	enum rc rc = RC_OK;

	*out = NULL;
	if (!d)
		return err_set(err, ERR_MEMORY, "delivery");
	d->rcpts = rcpts;
	d->n = n;
	d->qid = qid ? strdup(qid) : NULL;
	d->rows = calloc(room, sizeof(*d->rows));
	d->row_of = calloc(room, sizeof(*d->row_of));
	d->first = calloc(room, sizeof(*d->first));
	d->who = calloc(room, sizeof(*d->who));
	d->changed = calloc(room, sizeof(*d->changed));
	if ((qid && !d->qid) || !d->rows || !d->row_of || !d->first || !d->who || !d->changed)
		rc = err_set(err, ERR_MEMORY, "delivery");
	if (rc == RC_OK)
		number_rows(d, d->who);
	if (rc == RC_OK && n > 0)
		rc = hold_rows(d, journal, key, err);
	if (rc == RC_OK)
		*out = d;
	else
		delivery_free(&d);
	return rc;
}

void
delivery_free(struct delivery **delivery)
{
	struct delivery *d = *delivery;

	*delivery = NULL;
	if (!d)
		return;
	journal_release(&d->hold);
	free(d->qid);
	free(d->rows);
	free(d->row_of);
	free(d->first);
	free(d->who);
	free(d->changed);
	free(d);
}

bool
delivery_was_begun(
	struct journal *journal, const struct delivery_key *key, const char *const *addrs, size_t n)
{
	struct journal_row *rows;
	struct buf name = BUF_INIT(0);
	bool begun = false;

	rows = calloc(n ? n : 1, sizeof(*rows));
	if (rows && format_name(key, &name, NULL) == RC_OK &&
		journal_look(journal, &(struct journal_mail){name.data, name.len, addrs, n}, rows,
			NULL) == RC_OK)
		for (size_t i = 0; i < n; i++)
			begun |= rows[i].flags != 0;
	buf_fini(&name);
	free(rows);
	return begun;
}

static void
set_reply(struct delivery_rcpt *rcpt, int code, const char *enhanced, const char *text)
{
	rcpt->code = code;
	snprintf(rcpt->enhanced, sizeof(rcpt->enhanced), "%s", enhanced);
	snprintf(rcpt->text, sizeof(rcpt->text), "%s", text);
}

static void
set_reply_err(struct delivery_rcpt *rcpt, const struct err *why)
{
	enum errcode code = why->code == ERR_NONE ? ERR_INTERNAL : why->code;

	set_reply(rcpt, err_smtp(code), err_enhanced(code), err_public(code));
}

/* What earlier tries came to. Acceptance stands whatever the rules say by now. */
static void
recall(struct delivery *d)
{
	for (size_t i = 0; i < d->n_rows; i++) {
		struct delivery_rcpt *rcpt = &d->rcpts[d->first[i]];
		unsigned flags = d->rows[i].flags;

		rcpt->told = flags & (JOURNAL_REPORTED | JOURNAL_NOTICED);
		rcpt->known = flags & SETTLED;
		rcpt->doubtful = flags & JOURNAL_BEGUN && !rcpt->known;
		if (flags & JOURNAL_ACCEPTED)
			set_reply(rcpt, 250, "2.0.0", "Accepted by an earlier try");
		else if (rcpt->copy != DELIVERY_NO_COPY && flags & JOURNAL_REPORTED)
			set_reply(rcpt, 550, "5.0.0", "Reported by an earlier try");
		else if (rcpt->copy != DELIVERY_NO_COPY)
			rcpt->code = 0;
		if (rcpt->known)
			log_event(LOGL_INFO, d->qid, "known-duplicate", "rcpt", rcpt->addr, "was",
				flags & JOURNAL_ACCEPTED ? "accepted" : "reported", NULL);
	}
}

/* Rows that were there and are not changed by this try count as touched all the same: a client
 * that keeps on trying for longer than max_age is still known. */
static enum rc
touch(struct run *run, struct err *err)
{
	struct delivery *d = run->delivery;
	size_t n = 0;

	for (size_t i = 0; i < d->n_rows; i++)
		if (d->rows[i].flags)
			d->changed[n++] = d->rows[i];
	return n ? journal_put(d->hold, d->changed, n, run->ops->now(run->ctx), err) : RC_OK;
}

/* The flags of the N recipients WHO, durably. */
static enum rc
put(struct run *run, const size_t *who, size_t n, struct err *err)
{
	struct delivery *d = run->delivery;

	for (size_t i = 0; i < n; i++)
		d->changed[i] = d->rows[d->row_of[who[i]]];
	return journal_put(d->hold, d->changed, n, run->ops->now(run->ctx), err);
}

/* Those of copy COPY that still need it, into WHO. */
static size_t
gather(const struct delivery *d, size_t copy, size_t *who, bool *doubtful)
{
	size_t n = 0;

	*doubtful = false;
	for (size_t i = 0; i < d->n_rows; i++) {
		const struct delivery_rcpt *rcpt = &d->rcpts[d->first[i]];

		if (rcpt->copy != copy || rcpt->code != 0)
			continue;
		*doubtful |= rcpt->doubtful;
		who[n++] = d->first[i];
	}
	return n;
}

/* The recipients WHO may be getting the message from now on. */
static enum rc
begin(struct run *run, const size_t *who, size_t n, struct err *err)
{
	struct delivery *d = run->delivery;

	for (size_t i = 0; i < n; i++) {
		if (d->rcpts[who[i]].doubtful)
			log_event(LOGL_WARN, d->qid, "maybe-duplicate", "rcpt",
				d->rcpts[who[i]].addr, "why", "an earlier try got no answer", NULL);
		d->rows[d->row_of[who[i]]].flags |= JOURNAL_BEGUN;
	}
	return put(run, who, n, err);
}

/* What the row of a recipient is that did not get it now. An older doubt stays: the next try has to
 * tell of it too. */
static void
not_accepted(struct delivery *d, size_t i)
{
	if (!d->rcpts[i].doubtful)
		d->rows[d->row_of[i]].flags &= ~(unsigned)JOURNAL_BEGUN;
}

/* After a send that had an answer for each; IN_DOUBT: a later one of its transactions had none, and
 * whoever was in it is put off. Gives in WHO and N whoever the port will take next. */
static size_t
take_answers(struct delivery *d, size_t *who, size_t n, bool in_doubt, size_t *accepted)
{
	size_t again = 0;

	*accepted = 0;
	for (size_t i = 0; i < n; i++) {
		struct delivery_rcpt *rcpt = &d->rcpts[who[i]];

		if (rcpt->code < 200 || rcpt->code > 599 || rcpt->code / 100 == 3)
			set_reply(rcpt, 451, "4.5.0", "The next server answered badly");
		if (rcpt->code / 100 == 2) {
			d->rows[d->row_of[who[i]]].flags &= ~(unsigned)JOURNAL_BEGUN;
			d->rows[d->row_of[who[i]]].flags |= JOURNAL_ACCEPTED;
			(*accepted)++;
			continue;
		}
		if (!in_doubt || rcpt->code / 100 == 5)
			not_accepted(d, who[i]);
		again += rcpt->code == 452;
	}
	return *accepted ? again : 0;
}

/* Nobody got it, or nobody knows. The port is left alone for this try. */
static void
take_failure(struct run *run, const size_t *who, size_t n, bool in_doubt, const struct err *why)
{
	struct delivery *d = run->delivery;

	for (size_t i = 0; i < n; i++) {
		struct delivery_rcpt *rcpt = &d->rcpts[who[i]];

		set_reply_err(rcpt, why);
		if (rcpt->code / 100 != 4)
			set_reply(rcpt, 451, "4.4.2", "The next server failed, try again later");
		if (!in_doubt)
			not_accepted(d, who[i]);
	}
	run->over = true;
	log_error(LOGL_WARN, d->qid, in_doubt ? "copy-in-doubt" : "copy-not-sent", why,
		"recipients", LOG_NUM(n), NULL);
}

/* Sends a copy that was made to WHO, in as many turns as the port wants. */
static enum rc
send_copy(struct run *run, size_t copy, size_t *who, size_t n, struct err *err)
{
	struct delivery *d = run->delivery;
	size_t accepted, again;
	enum rc rc = RC_OK;

	do {
		struct err why = ERR_INIT;
		bool in_doubt = false;

		rc = begin(run, who, n, err);
		if (rc != RC_OK)
			return rc;
		again = 0;
		if (run->ops->send(run->ctx, copy, d->rcpts, who, n, &in_doubt, &why) != RC_OK)
			take_failure(run, who, n, in_doubt, &why);
		else
			again = take_answers(d, who, n, in_doubt, &accepted);
		rc = put(run, who, n, err);
		if (rc != RC_OK || !again)
			return rc;
		for (size_t i = 0, k = 0; i < n; i++)
			if (d->rcpts[who[i]].code == 452)
				who[k++] = who[i];
		n = again;
	} while (!run->over && !run->ops->stop(run->ctx));
	return RC_OK;
}

/* One copy: made, sent, dropped. */
static enum rc
run_copy(struct run *run, size_t copy, size_t *who, size_t n, struct err *err)
{
	struct delivery *d = run->delivery;
	struct err why = ERR_INIT;
	enum rc rc;

	if (run->ops->make(run->ctx, copy, &why) == RC_OK) {
		rc = send_copy(run, copy, who, n, err);
		run->ops->drop(run->ctx, copy);
		return rc;
	}
	log_error(LOGL_ERROR, d->qid, "copy-not-made", &why, "recipients", LOG_NUM(n), NULL);
	for (size_t i = 0; i < n; i++)
		set_reply_err(&d->rcpts[who[i]], &why);
	return RC_OK;
}

/* All copies that somebody needs; those in doubt after the others, so that one on which the port
 * chokes each time does not keep the rest waiting for ever. */
static enum rc
run_copies(struct run *run, size_t n_copies, bool in_doubt, struct err *err)
{
	struct delivery *d = run->delivery;
	enum rc rc = RC_OK;

	for (size_t copy = 0; rc == RC_OK && copy < n_copies && !run->over; copy++) {
		bool doubtful;
		size_t n = gather(d, copy, d->who, &doubtful);

		if (n == 0 || doubtful != in_doubt)
			continue;
		run->over = run->ops->stop(run->ctx);
		if (!run->over)
			rc = run_copy(run, copy, d->who, n, err);
	}
	return rc;
}

/* Whoever has no code yet was not tried; who is named twice has what the first one has. */
static void
fill_rest(struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct delivery_rcpt *rcpt = &d->rcpts[i], *first;

		first = &d->rcpts[d->first[d->row_of[i]]];
		if (rcpt->code == 0 && first == rcpt)
			set_reply(rcpt, 451, "4.4.5", "Not sent yet, please try again later");
		if (first == rcpt)
			continue;
		rcpt->code = first->code;
		memcpy(rcpt->enhanced, first->enhanced, sizeof(rcpt->enhanced));
		memcpy(rcpt->text, first->text, sizeof(rcpt->text));
		rcpt->known = first->known;
		rcpt->doubtful = first->doubtful;
		rcpt->told = first->told;
	}
}

static size_t
count_copies(const struct delivery *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->rcpts[i].copy != DELIVERY_NO_COPY && d->rcpts[i].copy >= n)
			n = d->rcpts[i].copy + 1;
	return n;
}

enum rc
delivery_run(struct delivery *delivery, const struct delivery_ops *ops, void *ctx, struct err *err)
{
	struct run run = {.delivery = delivery, .ops = ops, .ctx = ctx};
	size_t n_copies = count_copies(delivery);
	enum rc rc;

	recall(delivery);
	rc = touch(&run, err);
	if (rc == RC_OK)
		rc = run_copies(&run, n_copies, false, err);
	if (rc == RC_OK)
		rc = run_copies(&run, n_copies, true, err);
	fill_rest(delivery);
	return rc;
}

/* True when RCPT is done with: it has the message, or its sender knows that it has not. */
static bool
is_settled(const struct delivery_rcpt *rcpt)
{
	return rcpt->code / 100 == 2 || rcpt->told & JOURNAL_REPORTED;
}

enum delivery_end
delivery_end(const struct delivery *delivery, size_t *blamed)
{
	size_t settled = 0, refused = 0, left = 0, bad = 0, last = 0;

	for (size_t i = 0; i < delivery->n; i++) {
		const struct delivery_rcpt *rcpt = &delivery->rcpts[i];

		if (is_settled(rcpt)) {
			settled++;
		} else if (rcpt->code / 100 == 5) {
			if (refused++ == 0)
				bad = i;
		} else if (left++ == 0) {
			last = i;
		}
	}
	if (blamed)
		*blamed = left ? last : bad;
	if (left)
		return DELIVERY_DEFER;
	if (refused == 0)
		return DELIVERY_DONE;
	return settled ? DELIVERY_REPORT : DELIVERY_REFUSE;
}

enum rc
delivery_told(struct delivery *delivery, const size_t *who, size_t n, unsigned what, int64_t now,
	struct err *err)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct journal_row *row = &delivery->rows[delivery->row_of[who[i]]];

		delivery->rcpts[who[i]].told |= what;
		if ((row->flags & what) == what)
			continue;
		row->flags |= what;
		delivery->changed[k++] = *row;
	}
	return k ? journal_put(delivery->hold, delivery->changed, k, now, err) : RC_OK;
}

enum rc
delivery_close(struct delivery *delivery, struct err *err)
{
	size_t n = 0;
	enum rc rc;

	for (size_t i = 0; i < delivery->n_rows; i++) {
		if (!delivery->rows[i].flags)
			continue;
		delivery->changed[n] = delivery->rows[i];
		delivery->changed[n++].flags = 0;
	}
	rc = n ? journal_put(delivery->hold, delivery->changed, n, 0, err) : RC_OK;
	for (size_t i = 0; rc == RC_OK && i < delivery->n_rows; i++)
		delivery->rows[i].flags = 0;
	return rc;
}
