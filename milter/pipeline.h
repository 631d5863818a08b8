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
/* A daemon's engine may hold decisions for the ledger back for a moment, so that they go with the
 * next request to the vault, and it writes what messages teach behind their backs; flush sends and
 * writes what is held, at the end. */
void engine_hold_decisions(struct engine *engine);
void engine_flush_decisions(struct engine *engine);
const struct conf *engine_conf(const struct engine *engine);
struct spool_conf engine_spool_conf(const struct engine *engine);

/* What the configuration says about each message, read once. */
struct engine_limits {
	size_t recipients, copies; /* of a message at most */
	uint64_t next_size;        /* SIZE that the next hop accepts; 0: none known */
	unsigned depth;            /* layers that are opened or verified */
	int64_t end_ms;            /* for all copies */
	bool refuse_at_rcpt;
};
const struct engine_limits *engine_limits(const struct engine *engine);

struct transaction;
enum rc transaction_new(struct engine *engine, struct transaction **out, struct err *err);
void transaction_free(struct transaction **tx);
/* SENDER with or without <>. IDENTITY: SASL login, or NULL. CLIENT: IP address as text, or NULL. */
enum rc transaction_sender(struct transaction *tx, const char *sender, const char *identity,
	const char *client, struct err *err);
/* The certificate that the SMTP client showed; strings are copied. */
enum rc
transaction_client_cert(struct transaction *tx, const struct client_cert *cert, struct err *err);
/* Begins the look-up of certificates where a rule could need it. */
enum rc transaction_rcpt(struct transaction *tx, const char *rcpt, struct err *err);
struct rcpt_result;
/*
 * After transaction_rcpt: can it be said already that its recipient is refused, or is one too many?
 * RC_PERM, RC_TEMP: it is with the words in REPLY, and was taken back. RC_OK: the end of the
 * message decides. May wait for the directory, where milter.refuse_at_rcpt says so.
 */
enum rc transaction_rcpt_early(struct transaction *tx, struct rcpt_result *reply, struct err *err);
void transaction_set_qid(struct transaction *tx, const char *qid);
/* Recipients who need different treatment may have copies of their own; else they are refused, or
 * get the message unopened. SIZE_LIMIT: of the port, as far as it is known; 0: none. */
void transaction_allow_copies(struct transaction *tx, uint64_t size_limit);
/* An earlier try handed copies of this message on, so that this one does too: what goes by the
 * message in hand, or is refused as a whole, nobody could tell from that. */
void transaction_was_begun(struct transaction *tx);
struct msg *transaction_msg(struct transaction *tx); /* header and body are added here */
/* Replaces it by one that was read as a whole; taken. */
void transaction_set_msg(struct transaction *tx, struct msg **msg);
/* Does the end of the message have nothing to wait for? */
bool transaction_is_ready(const struct transaction *tx);
/* What end of message will have to wait for; for the daemon, which must not block a worker on it.
 * DONE is called once. */
void transaction_when_ready(struct transaction *tx, void (*done)(void *ctx), void *ctx);

enum edit_kind { EDIT_DELETE, EDIT_CHANGE, EDIT_INSERT, EDIT_ADD };
struct edit { /* one header modification, in the milter's terms */
	enum edit_kind kind;
	char *name;
	size_t index; /* DELETE, CHANGE: which of that name, from 1; INSERT: position from 0 */
	char *value; /* as in struct hdr: with its leading blank, "\n" line ends; in NAME's block */
};

#define RESULT_NO_COPY ((size_t)-1)

struct rcpt_result {
	const char *addr; /* canonical */
	const char *rule;
	enum outcome outcome;
	bool known;  /* an earlier try had it delivered */
	size_t copy; /* which of the copies is this recipient's, or RESULT_NO_COPY */
	/* otherwise the reply about this recipient; for a delivered one 0 */
	int smtp;
	char enhanced[12];
	char text[400];
	const char *why; /* what the plan said, borrowed from the transaction; or NULL */
};

struct layer {
	const char *kind;
	char detail[160];
}; /* "enveloped", "signed" */

/* What some recipients get: the message with one transformation. */
struct copy {
	const char *rule; /* of its first recipient; borrowed, as the verdicts are */
	const struct verdicts *verdicts;
	unsigned transform; /* enum transform: what is planned */
	size_t *rcpts;      /* indices into the result's recipients, in order */
	size_t n;           /* 0: they were refused in the end */
	/* from here on: once it was made */
	bool made, key_used;
	unsigned done;              /* enum transform: what was done */
	enum content_cipher cipher; /* of the envelope, or CIPHER_NONE */
	size_t narrowed;            /* readers who can't open what the preset likes best */
	char detail[160];
	struct edit *edits; /* none, and no body: the message as it came */
	size_t n_edits;
	struct spool *body; /* the new body, or NULL: unchanged */
	bool body_shared;   /* it is the transaction's, for other copies too; otherwise owned */
	char *new_ret;      /* RET= for the envelope ("HDRS"), or NULL */
	struct layer *layers;
	size_t n_layers;
	struct verdict *verdict; /* of the outermost signature that was verified, or NULL */
};

struct result {
	enum outcome outcome; /* PLAN_DELIVER: the copies, else the reply and no copy */
	int smtp;             /* 250, 451, 550 … */
	char enhanced[12];
	char text[400]; /* ASCII, what a person understands */
	/* The one copy is for every recipient and was made: the message in hand is edited.
	 * Otherwise each copy is made by pipeline_make_copy and sent, and the original is
	 * discarded. */
	bool in_place;
	struct copy *copies;
	size_t n_copies;
	struct rcpt_result *rcpts;
	size_t n_rcpts;
};

enum pipeline_mode { PIPELINE_RUN, PIPELINE_EXPLAIN /* never uses a key */ };
/* RC_OK with a result also for refusal and deferral; anything else is our own trouble: defer. */
enum rc
pipeline_run(struct transaction *tx, enum pipeline_mode mode, struct result **out, struct err *err);
void result_free(struct result **result);
/*
 * Makes copy K of a result that is not in place. One at a time: what it holds is freed by
 * copy_drop, so that a thousand copies of a large message need the room of one. RC_PERM: its
 * recipients can't have it, the others can have theirs; RC_TEMP: try the whole again later.
 */
enum rc
pipeline_make_copy(struct transaction *tx, struct result *result, size_t k, struct err *err);
/* Copy K can't be had (WHY: RC_PERM): its recipients are refused; when nobody is left, the message.
 */
void pipeline_refuse_copy(
	struct transaction *tx, struct result *result, size_t k, const struct err *why);
/* The message as a whole can't be had, by WHY: the result is a refusal or deferral. */
void pipeline_stop(struct transaction *tx, struct result *result, const struct err *why);
/* After the copies were sent, with each recipient's outcome in RESULT: log and counters. */
void pipeline_conclude(const struct transaction *tx, const struct result *result);
/* Frees what was made; what is known about it stays. */
void copy_drop(struct copy *copy);
/* The message as the MTA would have it after the edits. COPY NULL: as it came. */
enum rc copy_write(const struct transaction *tx, const struct copy *copy, const struct sink *sink,
	struct err *err);
/* For `explain`: everything that led to the result. */
enum rc pipeline_explain_text(
	struct transaction *tx, const struct result *result, struct buf *out, struct err *err);
/* Members of an open object: "v", those of result_json, and what led to them. */
enum rc
pipeline_explain_json(struct transaction *tx, const struct result *result, struct json *json);
/* "reply", "copies", "refused" and "layers" of the contract, into an open object. FILES: with the
 * copies' names, 1.eml and so on, counting those with recipients. */
void result_json(const struct result *result, bool files, struct json *json);

#endif
