/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakepipeline.c - the daemon's own code on a pipeline that does what the sender's address says
 *
 * Linked with everything of sealgate-milter but the pipeline, to test sockets, sessions, waiting,
 * reload and stop alone and at will. The local part is a list of words:
 *   lookup   the answer to a look-up comes after 2 s      work     the pipeline takes 2 s
 *   edit     every kind of edit, a new body and RET=      refuse   550
 *   trouble  the pipeline fails                           toobig   an edit that can't be sent
 *   inject   an edit with a line end in it                empty    an empty new body
 */
#include "milter/tell.h"
#include "milter/reinject.h"

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine {
	atomic_int refs;
	struct conf *conf;
	struct engine_limits limits;
};

struct transaction {
	struct engine *engine;
	struct msg *msg;
	char sender[256];
};

enum rc
engine_new(struct conf *conf, const char *service, struct engine **out, struct err *err)
{
	const struct conf_group *milter = conf_section(conf, "milter");

	(void)service, (void)err;
	*out = calloc(1, sizeof **out);
	(*out)->refs = 1;
	(*out)->conf = conf_ref(conf);
	(*out)->limits =
		(struct engine_limits){.recipients = (size_t)conf_int(milter, "max_recipients"),
			.end_ms = conf_int(milter, "end_timeout"),
			.refuse_at_rcpt = conf_bool(milter, "refuse_at_rcpt")};
	return RC_OK;
}

struct engine *
engine_ref(struct engine *engine)
{
	atomic_fetch_add(&engine->refs, 1);
	return engine;
}

void
engine_unref(struct engine **engine)
{
	if (*engine && atomic_fetch_sub(&(*engine)->refs, 1) == 1) {
		conf_unref(&(*engine)->conf);
		free(*engine);
	}
	*engine = NULL;
}

void
engine_hold_decisions(struct engine *engine)
{
	(void)engine;
}

void
engine_flush_decisions(struct engine *engine)
{
	(void)engine;
}

const struct conf *
engine_conf(const struct engine *engine)
{
	return engine->conf;
}

struct spool_conf
engine_spool_conf(const struct engine *engine)
{
	const struct conf_group *milter = conf_section(engine->conf, "milter");

	return (struct spool_conf){
		.memory = 262144, .max = (uint64_t)conf_int(milter, "max_message")};
}

const struct engine_limits *
engine_limits(const struct engine *engine)
{
	return &engine->limits;
}

enum rc
transaction_new(struct engine *engine, struct transaction **out, struct err *err)
{
	struct spool_conf conf = engine_spool_conf(engine);

	*out = calloc(1, sizeof **out);
	(*out)->engine = engine_ref(engine);
	return msg_new(&conf, &(*out)->msg, err);
}

void
transaction_free(struct transaction **tx)
{
	if (*tx) {
		msg_free(&(*tx)->msg);
		engine_unref(&(*tx)->engine);
		free(*tx);
	}
	*tx = NULL;
}

enum rc
transaction_sender(struct transaction *tx, const char *sender, const char *identity,
	const char *client, struct err *err)
{
	snprintf(tx->sender, sizeof tx->sender, "%s", sender);
	if (strstr(sender, "badsender"))
		return err_set(err, ERR_ADDR_SYNTAX, "as told");
	log_event(LOGL_INFO, NULL, "mail", "identity", identity, "client", client, NULL);
	return RC_OK;
}

enum rc
transaction_client_cert(struct transaction *tx, const struct client_cert *cert, struct err *err)
{
	(void)tx;
	(void)cert;
	(void)err;
	return RC_OK;
}

enum rc
transaction_rcpt(struct transaction *tx, const char *rcpt, struct err *err)
{
	(void)tx;
	return strstr(rcpt, "bad") ? err_set(err, ERR_ADDR_SYNTAX, "as told") : RC_OK;
}

void
transaction_set_qid(struct transaction *tx, const char *qid)
{
	const struct conf_group *org = conf_section(tx->engine->conf, "organisation");

	log_event(LOGL_INFO, qid, "end", "organisation", conf_str(org, "name"), NULL);
}

struct msg *
transaction_msg(struct transaction *tx)
{
	return tx->msg;
}

struct later {
	void (*done)(void *ctx);
	void *ctx;
};

static void *
call_later(void *arg)
{
	struct later *later = arg;

	sleep(2);
	later->done(later->ctx);
	free(later);
	return NULL;
}

bool
transaction_is_ready(const struct transaction *tx)
{
	return !strstr(tx->sender, "lookup");
}

void
transaction_when_ready(struct transaction *tx, void (*done)(void *ctx), void *ctx)
{
	struct later *later;
	pthread_t thread;

	(void)tx;
	later = malloc(sizeof *later);
	*later = (struct later){done, ctx};
	if (pthread_create(&thread, NULL, call_later, later) != 0)
		abort();
	pthread_detach(thread);
}

static char *
copy(const char *text)
{
	char *out = strdup(text);

	if (!out)
		abort();
	return out;
}

static void
add_edit(struct copy *out, enum edit_kind kind, const char *name, size_t index, const char *value)
{
	out->edits = realloc(out->edits, (out->n_edits + 1) * sizeof *out->edits);
	out->edits[out->n_edits++] =
		(struct edit){kind, copy(name), index, value ? copy(value) : NULL};
}

static void
make_edits(struct transaction *tx, struct copy *out)
{
	char *huge;

	if (strstr(tx->sender, "edit")) {
		add_edit(out, EDIT_CHANGE, "Subject", 1, " new subject");
		add_edit(out, EDIT_DELETE, "X-Twice", 2, NULL);
		add_edit(out, EDIT_ADD, "X-Added", 0, " one\n\ttwo");
		add_edit(out, EDIT_INSERT, "X-First", 0, " 1");
		out->new_ret = copy("HDRS");
	}
	if (strstr(tx->sender, "inject"))
		add_edit(out, EDIT_ADD, "X-Added", 0, " one\nX-Evil: two");
	if (strstr(tx->sender, "toobig")) {
		huge = calloc(1, 70001);
		memset(huge, 'x', 70000);
		add_edit(out, EDIT_ADD, "X-Huge", 0, huge);
		free(huge);
	}
}

static enum rc
make_body(struct transaction *tx, struct copy *out, struct err *err)
{
	struct spool_conf conf = engine_spool_conf(tx->engine);
	enum rc rc = spool_new(&conf, &out->body, err);

	for (int i = 0; rc == RC_OK && i < 20000 && !strstr(tx->sender, "empty"); i++)
		rc = spool_append(out->body, "new body\r\n", 10, err);
	return rc;
}

enum rc
pipeline_run(struct transaction *tx, enum pipeline_mode mode, struct result **out, struct err *err)
{
	struct result *result;
	enum rc rc = RC_OK;

	(void)mode;
	*out = NULL;
	if (strstr(tx->sender, "work"))
		sleep(2);
	if (strstr(tx->sender, "trouble"))
		return err_set(err, ERR_VAULT_DOWN, "as told");
	result = calloc(1, sizeof *result);
	result->smtp = 250;
	if (strstr(tx->sender, "refuse")) {
		result->outcome = PLAN_REFUSE;
		result->smtp = 550;
		snprintf(result->enhanced, sizeof result->enhanced, "5.7.1");
		snprintf(result->text, sizeof result->text, "100%% sure: no %%s");
	}
	result->in_place = true;
	result->n_copies = 1;
	result->copies = calloc(1, sizeof *result->copies);
	make_edits(tx, result->copies);
	if (strstr(tx->sender, "edit") || strstr(tx->sender, "empty"))
		rc = make_body(tx, result->copies, err);
	*out = result;
	return rc;
}

void
result_free(struct result **result)
{
	struct result *r = *result;

	*result = NULL;
	if (!r)
		return;
	for (size_t i = 0; r->copies && i < r->copies->n_edits; i++) {
		free(r->copies->edits[i].name);
		free(r->copies->edits[i].value);
	}
	if (r->copies) {
		free(r->copies->edits);
		free(r->copies->new_ret);
		spool_free(&r->copies->body);
	}
	free(r->copies);
	free(r);
}

/* No copies here, and nothing is said early. */
enum rc
transaction_rcpt_early(struct transaction *tx, struct rcpt_result *reply, struct err *err)
{
	(void)tx, (void)reply, (void)err;
	return RC_OK;
}

void
transaction_allow_copies(struct transaction *tx, uint64_t size_limit)
{
	(void)tx, (void)size_limit;
}

void
transaction_was_begun(struct transaction *tx)
{
	(void)tx;
}

enum rc
reinject_was_begun(const struct reinject *reinject, bool *begun, struct err *err)
{
	(void)reinject, (void)err;
	*begun = false;
	return RC_OK;
}

void
pipeline_conclude(const struct transaction *tx, const struct result *result)
{
	(void)tx, (void)result;
}

void
reinject_run(const struct reinject *reinject)
{
	(void)reinject;
}

enum rc
outlet_new(struct conf *conf, struct engine *engine, struct outlet **out, struct err *err)
{
	(void)conf, (void)engine, (void)err;
	*out = NULL;
	return RC_NONE;
}

struct outlet *
outlet_ref(struct outlet *outlet)
{
	return outlet;
}

void
outlet_unref(struct outlet **outlet)
{
	*outlet = NULL;
}

void
outlet_probe(struct outlet *outlet)
{
	(void)outlet;
}

enum rc
outlet_serve(struct outlet *outlet, struct err *err)
{
	(void)outlet, (void)err;
	return RC_OK;
}

bool
outlet_is_used(const struct outlet *outlet)
{
	(void)outlet;
	return false;
}

void
outlet_retire(struct outlet *outlet)
{
	(void)outlet;
}

bool
outlet_is_quiet(struct outlet *outlet, long ms)
{
	(void)outlet, (void)ms;
	return true;
}

struct notices *
outlet_notices(const struct outlet *outlet)
{
	(void)outlet;
	return NULL;
}

void
tell_named(struct notices *notices, struct transaction *tx, const struct rcpt_result *reply)
{
	(void)notices, (void)tx, (void)reply;
}

void
tell_people(struct notices *notices, struct transaction *tx, const struct result *result,
	const struct envelope *envelope)
{
	(void)notices, (void)tx, (void)result, (void)envelope;
}

void
outlet_stop(struct outlet *outlet)
{
	(void)outlet;
}

struct smtp_port *
outlet_port(const struct outlet *outlet)
{
	(void)outlet;
	return NULL;
}

uint64_t
smtp_port_size_limit(const struct smtp_port *port)
{
	(void)port;
	return 0;
}
