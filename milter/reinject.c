/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 7. What is kept where a try ends is in delivery.h; here is what the ends mean: the reply,
 * and a report to the sender about those who were left out though others have the message.
 */
#include "milter/reinject.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "milter/delivery.h"
#include "milter/edit_list.h"
#include "milter/reply.h"
#include "milter/tell.h"
#include "milter/trace.h"
#include "milter/tx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy that was begun in time may take so much longer: an answer that is not waited for would
 * make a duplicate. */
#define LAST_COPY_MS 30000

struct work {
	const struct reinject *r;
	struct transaction *tx;
	struct result *result;
	struct delivery_rcpt *rcpts;
	enum errcode *causes; /* for each copy: why it could not be made */
	bool asked;           /* whether the port is there, … */
	struct err port_err;  /* … which it is not */
	struct buf trace;
	struct delivery *delivery;
};

/* The Message-ID that the client gave: one that the MTA made for this try would tell a retry from
 * it. Postfix's have the queue id in them. */
static enum rc
client_message_id(const struct reinject *r, struct buf *out, const char **id, struct err *err)
{
	const struct hdr *hdr = hdrs_find(&r->tx->msg->hdrs, "Message-ID", 0);
	char mark[80];
	enum rc rc;

	*id = NULL;
	if (!hdr)
		return RC_OK;
	rc = hdr_unfold(hdr, out, err);
	snprintf(mark, sizeof(mark), ".%s@", r->qid ? r->qid : "");
	if (rc == RC_OK && !(r->qid && *r->qid && strstr(buf_text(out), mark)))
		*id = buf_text(out);
	return rc;
}

/* What tells messages with the same text apart when no Message-ID does: an alert about one machine
 * is no retry of that about another. Not Date:, which an MTA adds to each try. */
static enum rc
feed_subject(const struct reinject *r, const struct sink *sink, struct err *err)
{
	static const char *const names[] = {"From", "To", "Cc", "Subject"};
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	for (size_t k = 0; rc == RC_OK && k < sizeof(names) / sizeof(*names); k++) {
		rc = sink_feed(sink, names[k], strlen(names[k]) + 1, err);
		for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(&r->tx->msg->hdrs, names[k], i));
			i++) {
			rc = sink_feed(sink, hdr->value, hdr->value_len, err);
			if (rc == RC_OK)
				rc = sink_feed(sink, "", 1, err);
		}
	}
	return rc;
}

/* The body, and without a Message-ID what else there is. */
static enum rc
hash_content(const struct reinject *r, bool has_id, unsigned char out[SHA256_SIZE], struct err *err)
{
	struct spool *body = r->tx->msg->body;
	struct hasher *hasher = NULL;
	struct sink sink;
	enum rc rc = hasher_new(1u << DIGEST_SHA256, &hasher, err);

	if (rc != RC_OK)
		return rc;
	sink = hasher_sink(hasher);
	if (!has_id)
		rc = feed_subject(r, &sink, err);
	if (rc == RC_OK)
		rc = spool_send(body, 0, spool_size(body), &sink, err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	if (rc == RC_OK)
		memcpy(out, hasher_value(hasher, DIGEST_SHA256), SHA256_SIZE);
	hasher_free(&hasher);
	return rc;
}

/* What tells this transaction from others. ID keeps the Message-ID. */
static enum rc
make_key(const struct reinject *r, struct delivery_key *key, struct buf *id, struct err *err)
{
	enum rc rc;

	*key = (struct delivery_key){.service = engine_service(r->tx->engine),
		.sender = r->tx->sender,
		.identity = r->tx->identity,
		.envid = r->envelope->envid};
	rc = client_message_id(r, id, &key->message_id, err);
	return rc == RC_OK ? hash_content(r, key->message_id, key->digest, err) : rc;
}

enum rc
reinject_was_begun(const struct reinject *r, bool *begun, struct err *err)
{
	struct journal *journal = outlet_journal(r->outlet);
	struct buf id = BUF_INIT(HDRS_MAX_BYTES);
	struct delivery_key key;
	const char **addrs;
	enum rc rc;

	*begun = false;
	if (journal_is_empty(journal))
		return RC_OK;
	rc = gate_take_stamp(r->tx, err); /* the login that it tells is a part of the key */
	if (rc != RC_OK)
		return rc;
	addrs = calloc(r->tx->n ? r->tx->n : 1, sizeof(*addrs));
	if (!addrs)
		return err_set(err, ERR_MEMORY, "copies");
	for (size_t i = 0; i < r->tx->n; i++)
		addrs[i] = r->tx->rcpts[i].addr;
	rc = make_key(r, &key, &id, err);
	if (rc == RC_OK)
		*begun = delivery_was_begun(journal, &key, addrs, r->tx->n);
	buf_fini(&id);
	free(addrs);
	return rc;
}

static enum rc
open_delivery(struct work *w, struct err *err)
{
	struct buf id = BUF_INIT(HDRS_MAX_BYTES);
	struct delivery_key key;
	enum rc rc = make_key(w->r, &key, &id, err);

	if (rc == RC_OK)
		rc = delivery_open(outlet_journal(w->r->outlet), &key, w->rcpts, w->tx->n,
			w->r->qid, &w->delivery, err);
	buf_fini(&id);
	return rc;
}

/* Those whom the rules refuse have their reply already. */
static enum rc
init_rcpts(struct work *w, struct err *err)
{
	const struct result *result = w->result;

	w->rcpts = calloc(w->tx->n, sizeof(*w->rcpts));
	w->causes = calloc(result->n_copies + 1, sizeof(*w->causes));
	if (!w->rcpts || !w->causes)
		return err_set(err, ERR_MEMORY, "copies");
	for (size_t i = 0; i < w->tx->n; i++) {
		const struct rcpt_result *from = &result->rcpts[i];
		struct delivery_rcpt *to = &w->rcpts[i];

		to->addr = from->addr;
		to->copy = from->outcome == PLAN_DELIVER ? from->copy : DELIVERY_NO_COPY;
		to->code = from->smtp;
		memcpy(to->enhanced, from->enhanced, sizeof(to->enhanced));
		snprintf(to->text, sizeof(to->text), "%.*s", (int)sizeof(to->text) - 1, from->text);
	}
	return RC_OK;
}

static enum rc
format_trace(struct work *w, struct err *err)
{
	struct trace trace = {.authserv_id = engine_authserv_id(w->tx->engine),
		.service = engine_service(w->tx->engine),
		.sender = w->tx->sender,
		.qid = w->r->qid,
		.client = w->r->client,
		.extended = w->r->envelope->extended,
		.authenticated = w->tx->identity,
		.now = clock_now()};

	return trace_format(&trace, &w->trace, err);
}

static enum rc
make(void *ctx, size_t copy, struct err *err)
{
	struct work *w = ctx;
	enum rc rc;

	/* While the port is gone each try would use keys, and up their budgets, for nothing. */
	if (!w->asked)
		(void)smtp_port_reach(outlet_port(w->r->outlet), w->r->deadline_ms, &w->port_err);
	w->asked = true;
	if (w->port_err.code != ERR_NONE) {
		*err = w->port_err;
		return RC_TEMP;
	}
	rc = pipeline_make_copy(w->tx, w->result, copy, err);

	w->causes[copy] = rc == RC_PERM ? err->code : ERR_NONE;
	return rc;
}

static void
drop(void *ctx, size_t copy)
{
	struct work *w = ctx;

	copy_drop(&w->result->copies[copy]);
}

static bool
stop(void *ctx)
{
	const struct reinject *r = ((struct work *)ctx)->r;

	return r->stopping(r->ctx) || clock_monotonic_ms() >= r->deadline_ms;
}

static int64_t
now(void *ctx)
{
	(void)ctx;
	return clock_now();
}

struct writing {
	struct work *work;
	const struct copy *copy;
};

static enum rc
write_message(void *ctx, const struct sink *to, struct err *err)
{
	struct writing *writing = ctx;
	struct work *w = writing->work;
	struct sink unfinished = {.feed = to->feed, .ctx = to->ctx}; /* finished by the client */
	enum rc rc = sink_feed(to, w->trace.data, w->trace.len, err);

	return rc == RC_OK ? copy_write(w->tx, writing->copy, &unfinished, err) : rc;
}

static enum rc
look_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	const unsigned char *p = data;
	bool *found = ctx;

	(void)err;
	for (size_t i = 0; !*found && i < len; i++)
		*found = p[i] > 127;
	return RC_OK;
}

/* Size, and whether there are bytes above 127 in what is sent. */
static enum rc
measure(struct work *w, const struct copy *copy, struct smtp_envelope *out, struct err *err)
{
	struct spool *body = copy->body ? copy->body : w->tx->msg->body;
	struct sink sink = {.feed = look_feed, .ctx = &out->eightbit};
	struct hdrs hdrs;
	enum rc rc = edit_list_apply(copy, &w->tx->msg->hdrs, &hdrs, err);

	out->size = w->trace.len + hdrs.bytes + 2 + spool_size(body);
	if (rc == RC_OK)
		rc = hdrs_write(&hdrs, &sink, err);
	if (rc == RC_OK && !(copy->done & (PLAN_SIGN | PLAN_ENCRYPT)))
		rc = spool_send(body, 0, spool_size(body), &sink, err);
	hdrs_fini(&hdrs);
	return rc;
}

static const char *
known(const char *text)
{
	return *text ? text : NULL;
}

static void
fill_envelope(const struct work *w, const struct copy *copy, struct smtp_envelope *out)
{
	const struct envelope *envelope = w->r->envelope;
	const struct envelope_client *client = w->r->client;

	*out = (struct smtp_envelope){.sender = envelope->sender,
		.ret = copy->new_ret ? copy->new_ret : envelope->ret,
		.envid = envelope->envid,
		.smtputf8 = envelope->smtputf8,
		.xforward = {.name = known(client->name),
			.addr = known(client->addr),
			.port = known(client->port),
			.proto = envelope->extended ? "ESMTP" : "SMTP",
			.helo = known(client->helo),
			.ident = w->r->qid}};
}

static void
take_answer(struct delivery_rcpt *to, const struct smtp_rcpt *from)
{
	to->code = from->code;
	memcpy(to->enhanced, from->enhanced, sizeof(to->enhanced));
	memcpy(to->text, from->text, sizeof(to->text));
}

static enum rc
send(void *ctx, size_t k, struct delivery_rcpt *rcpts, const size_t *who, size_t n, bool *in_doubt,
	struct err *err)
{
	struct work *w = ctx;
	const struct copy *copy = &w->result->copies[k];
	struct writing writing = {.work = w, .copy = copy};
	struct smtp_envelope envelope;
	struct smtp_outcome outcome = {0};
	enum rc rc;

	fill_envelope(w, copy, &envelope);
	envelope.n = n;
	envelope.rcpts = calloc(n, sizeof(*envelope.rcpts));
	if (!envelope.rcpts)
		return err_set(err, ERR_MEMORY, "copies");
	for (size_t i = 0; i < n; i++) {
		const struct envelope_rcpt *rcpt = &w->r->envelope->rcpts[who[i]];

		envelope.rcpts[i] = (struct smtp_rcpt){
			.addr = rcpt->addr, .notify = rcpt->notify, .orcpt = rcpt->orcpt};
	}
	rc = measure(w, copy, &envelope, err);
	if (rc == RC_OK)
		rc = smtp_send(outlet_port(w->r->outlet), &envelope, write_message, &writing,
			w->r->deadline_ms + LAST_COPY_MS, &outcome, err);
	*in_doubt = outcome.in_doubt;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		take_answer(&rcpts[who[i]], &envelope.rcpts[i]);
	free(envelope.rcpts);
	return rc;
}

/* What became of each recipient, into the result. */
static void
fill_result(struct work *w)
{
	for (size_t i = 0; i < w->tx->n; i++) {
		const struct delivery_rcpt *from = &w->rcpts[i];
		struct rcpt_result *to = &w->result->rcpts[i];

		to->outcome = from->code / 100 == 2   ? PLAN_DELIVER
			      : from->code / 100 == 5 ? PLAN_REFUSE
						      : PLAN_DEFER;
		to->known = from->known;
		if (from->copy == DELIVERY_NO_COPY)
			continue; /* the rules' own words stand there */
		to->smtp = to->outcome == PLAN_DELIVER ? 0 : from->code;
		memcpy(to->enhanced, from->enhanced, sizeof(to->enhanced));
		snprintf(to->text, sizeof(to->text), "%s",
			to->outcome == PLAN_DELIVER ? "" : from->text);
	}
}

/* The reply is what was said about recipient I. */
static void
reply_as(struct work *w, size_t i, enum outcome outcome)
{
	const struct rcpt_result *rcpt = &w->result->rcpts[i];
	struct result *result = w->result;

	result->outcome = outcome;
	/* 421 would end the client's connection with our MTA. */
	result->smtp = w->rcpts[i].code == 421 ? 451 : w->rcpts[i].code;
	memcpy(result->enhanced, rcpt->enhanced, sizeof(result->enhanced));
	memcpy(result->text, rcpt->text, sizeof(result->text));
}

/* Must its body not go back to the sender as it came? Copies that an earlier try sent were not made
 * in this one. */
static bool
is_secret(const struct work *w)
{
	if (w->tx->facts.classes & CLASS_OPENED)
		return true;
	for (size_t k = 0; k < w->result->n_copies; k++)
		if (w->result->copies[k].transform & PLAN_ENCRYPT ||
			w->result->copies[k].done & PLAN_OPEN)
			return true;
	for (size_t i = 0; i < w->tx->n; i++)
		if (w->tx->rcpts[i].decision.verdicts.encrypt == ENCRYPT_REQUIRED)
			return true;
	return false;
}

static enum errcode
cause_of(const struct work *w, size_t i)
{
	if (w->rcpts[i].copy == DELIVERY_NO_COPY)
		return w->tx->plan ? w->tx->plan_rcpts[i].err.code : ERR_NONE;
	return w->causes[w->rcpts[i].copy];
}

/* Those who were refused and whose sender does not know it yet. */
static size_t
list_refused(const struct work *w, struct notice_rcpt *list, size_t *who)
{
	size_t n = 0;

	for (size_t i = 0; i < w->tx->n; i++) {
		const struct rcpt_result *rcpt = &w->result->rcpts[i];
		const struct envelope_rcpt *given = &w->r->envelope->rcpts[i];

		if (w->rcpts[i].code / 100 != 5 || (w->rcpts[i].told & JOURNAL_REPORTED))
			continue;
		who[n] = i;
		list[n++] = (struct notice_rcpt){.addr = rcpt->addr,
			.orcpt = given->orcpt,
			.notify = given->notify,
			.cause = cause_of(w, i),
			.code = w->rcpts[i].code,
			.enhanced = rcpt->enhanced,
			.text = rcpt->text,
			.rule = rcpt->rule,
			.message = w->tx->rcpts[i].decision.verdicts.message};
	}
	return n;
}

static enum rc
report_to_sender(struct work *w, struct notice_rcpt *list, size_t *who, struct err *err)
{
	struct transaction *tx = w->tx;
	struct notice_message msg = {.qid = w->r->qid,
		.sender = tx->sender,
		.identity = tx->identity,
		.ours = tell_is_own_sender(tx),
		.envid = w->r->envelope->envid,
		.ret = w->r->envelope->ret,
		.smtputf8 = w->r->envelope->smtputf8,
		.secret = is_secret(w),
		.arrival = clock_now(),
		.classes = tx->facts.classes,
		.hdrs = &tx->msg->hdrs,
		.body = tx->msg->body,
		.rcpts = list,
		.n = list_refused(w, list, who)};
	enum rc rc;

	if (msg.n == 0)
		return RC_OK;
	rc = notice_failed(outlet_notices(w->r->outlet), &msg, err);
	return rc == RC_OK
		       ? delivery_told(w->delivery, who, msg.n, JOURNAL_REPORTED, clock_now(), err)
		       : rc;
}

/* Somebody has it, others never will: the sender is told of exactly those. */
static enum rc
report(struct work *w, struct err *err)
{
	struct notice_rcpt *list = calloc(w->tx->n, sizeof(*list));
	size_t *who = calloc(w->tx->n, sizeof(*who));
	enum rc rc = list && who ? report_to_sender(w, list, who, err)
				 : err_set(err, ERR_MEMORY, "report");

	free(list);
	free(who);
	return rc;
}

static enum rc
settle(struct work *w, struct err *err)
{
	size_t blamed = 0;
	enum delivery_end end = delivery_end(w->delivery, &blamed);
	enum rc rc = RC_OK;

	fill_result(w);
	if (end == DELIVERY_DEFER) { /* the journal stays open for the next try */
		reply_as(w, blamed, PLAN_DEFER);
		return RC_OK;
	}
	if (end == DELIVERY_REPORT)
		rc = report(w, err);
	if (rc == RC_OK)
		rc = delivery_close(w->delivery, err);
	if (rc == RC_OK && end == DELIVERY_REFUSE)
		reply_as(w, blamed, PLAN_REFUSE);
	else if (rc == RC_OK && w->result->outcome != PLAN_DELIVER)
		reply_accept(w->result, "Accepted"); /* an earlier try had been handed on */
	return rc;
}

void
reinject_run(const struct reinject *reinject)
{
	static const struct delivery_ops ops = {
		.make = make, .send = send, .drop = drop, .stop = stop, .now = now};
	struct work w = {.r = reinject,
		.tx = reinject->tx,
		.result = reinject->result,
		.trace = BUF_INIT(0)};
	struct err err = ERR_INIT;
	enum rc rc = init_rcpts(&w, &err);

	if (rc == RC_OK)
		rc = format_trace(&w, &err);
	if (rc == RC_OK)
		rc = open_delivery(&w, &err);
	if (rc == RC_OK)
		rc = delivery_run(w.delivery, &ops, &w, &err);
	if (rc == RC_OK)
		rc = settle(&w, &err);
	if (rc == RC_PERM) /* trouble of our own, whatever it calls itself */
		err_set(&err, ERR_INTERNAL, "copies: %s", err_public(err.code));
	if (rc != RC_OK)
		pipeline_stop(w.tx, w.result, &err);
	pipeline_conclude(w.tx, w.result);
	delivery_free(&w.delivery);
	buf_fini(&w.trace);
	free(w.rcpts);
	free(w.causes);
}
