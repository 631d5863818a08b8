/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline.h - one message through the house: shared by the daemon, `process` and `explain`
 *
 * Knows nothing of libmilter. The caller fills a struct transaction (envelope, message, identity),
 * runs the pipeline, and applies the result: a reply, and for delivery the edits. Everything that
 * can fail happens before the result is there.
 */
#ifndef MILTER_PIPELINE_H
#define MILTER_PIPELINE_H

#include "directory/lookup.h"
#include "keystore/client.h"
#include "message/msg.h"
#include "policy/plan.h"

/* What a configuration is compiled into; immutable, reference-counted, pinned by each transaction.
 */
struct engine;
enum rc engine_new(struct conf *conf, const char *service, struct engine **out, struct err *err);
struct engine *engine_ref(struct engine *engine);
void engine_unref(struct engine **engine);
const struct conf *engine_conf(const struct engine *engine);
struct spool_conf engine_spool_conf(const struct engine *engine);

struct transaction;
enum rc transaction_new(struct engine *engine, struct transaction **out, struct err *err);
void transaction_free(struct transaction **tx);
/* SENDER with or without <>. IDENTITY: SASL login, or NULL. CLIENT: IP address as text, or NULL. */
enum rc transaction_sender(struct transaction *tx, const char *sender, const char *identity,
	const char *client, struct err *err);
/* Begins the look-up of certificates where a rule could need it. */
enum rc transaction_rcpt(struct transaction *tx, const char *rcpt, struct err *err);
void transaction_set_qid(struct transaction *tx, const char *qid);
struct msg *transaction_msg(struct transaction *tx); /* header and body are added here */
/* Replaces it by one that was read as a whole; taken. */
void transaction_set_msg(struct transaction *tx, struct msg **msg);
/* What end of message will have to wait for; for the daemon, which must not block a worker on it.
 * DONE is called once. */
void transaction_when_ready(struct transaction *tx, void (*done)(void *ctx), void *ctx);

enum edit_kind { EDIT_DELETE, EDIT_CHANGE, EDIT_INSERT, EDIT_ADD };
struct edit { /* one header modification, in the milter's terms */
	enum edit_kind kind;
	char *name;
	size_t index; /* DELETE, CHANGE: which of that name, from 1; INSERT: position from 0 */
	char *value;  /* as in struct hdr: with its leading blank, "\n" line ends */
};

struct rcpt_result {
	const char *addr;
	const char *rule;
	enum outcome outcome;
	bool is_signed, encrypted, opened;
	int smtp; /* reply code when not delivered */
	char why[200];
};

struct layer {
	const char *kind;
	char detail[160];
}; /* "enveloped", "signed" */

struct result {
	enum outcome outcome; /* PLAN_DELIVER: apply edits (none: untouched), else the reply */
	int smtp;             /* 250, 451, 550 … */
	char enhanced[12];
	char text[400]; /* ASCII, what a person understands */
	struct edit *edits;
	size_t n_edits;
	struct spool *body; /* the new body, or NULL: unchanged; owned */
	char *new_ret;      /* RET= for the envelope ("HDRS"), or NULL */
	struct rcpt_result *rcpts;
	size_t n_rcpts;
	struct layer *layers;
	size_t n_layers;
	struct verdict *verdict; /* of the outermost signature that was verified, or NULL */
};

enum pipeline_mode { PIPELINE_RUN, PIPELINE_EXPLAIN /* never uses a key */ };
/* RC_OK with a result also for refusal and deferral; anything else is our own trouble: defer. */
enum rc
pipeline_run(struct transaction *tx, enum pipeline_mode mode, struct result **out, struct err *err);
void result_free(struct result **result);
/* The message as the MTA would have it after the edits. */
enum rc result_write(const struct transaction *tx, const struct result *result,
	const struct sink *sink, struct err *err);
/* For `explain`: everything that led to the result. */
enum rc pipeline_explain_text(
	struct transaction *tx, const struct result *result, struct buf *out, struct err *err);
/* Members of an open object: "v", those of result_json, and what led to them. */
enum rc
pipeline_explain_json(struct transaction *tx, const struct result *result, struct json *json);
/* "reply", "copies", "refused" and "layers" of the contract, into an open object. FILE: the copy's
 * name, or NULL. */
void result_json(const struct result *result, const char *file, struct json *json);

#endif
