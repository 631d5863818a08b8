/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/session.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/text.h"
#include "milter/edits.h"
#include "milter/reinject.h"
#include "milter/tell.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define WAIT_SLICE_MS 20 /* how soon a waiting message notices that the daemon stops */
#define WAIT_MAX_MS   120000

struct session {
	struct daemon *daemon;
	bool leadspc;
	unsigned long actions; /* what the MTA lets us do, SMFIF_* */
	struct envelope_client client;
	/* one message */
	struct engine *engine;
	struct outlet *outlet; /* or NULL: no copies */
	struct transaction *tx;
	struct envelope envelope;
	char qid[64];
	size_t n_rcpts, max_rcpts;
	bool early;           /* something may be said when a recipient is named */
	bool content;         /* counted as in flight */
	struct reply at_mail; /* why there is no message; said when a recipient is named */
	struct err trouble;   /* first one in recipients, header or body */
};

struct session *
session_new(struct daemon *daemon, bool leadspc, unsigned long actions)
{
	struct session *session = calloc(1, sizeof *session);

	if (!session)
		return NULL;
	session->daemon = daemon;
	session->leadspc = leadspc;
	session->actions = actions;
	return session;
}

void
session_free(struct session **session)
{
	if (!*session)
		return;
	session_reset(*session);
	free(*session);
	*session = NULL;
}

/* An address in brackets is no name, nor is what Postfix says without one. */
static void
take_name(const char *text, char *out, size_t size)
{
	bool is_name = text && *text != '[' && strcmp(text, "unknown") != 0;

	snprintf(out, size, "%s", is_name ? text : "");
}

void
session_connect(
	struct session *session, const struct sockaddr *client, const char *name, const char *host)
{
	struct envelope_client *out = &session->client;
	socklen_t len = !client                         ? 0
			: client->sa_family == AF_INET  ? sizeof(struct sockaddr_in)
			: client->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							: 0;

	memset(out, 0, sizeof *out);
	if (len && getnameinfo(client, len, out->addr, sizeof out->addr, out->port,
			   sizeof out->port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		out->addr[0] = out->port[0] = '\0';
	if (strcmp(out->port, "0") == 0)
		out->port[0] = '\0';
	take_name(name, out->name, sizeof out->name);
	take_name(host, out->host, sizeof out->host);
}

void
session_helo(struct session *session, const char *helo)
{
	snprintf(session->client.helo, sizeof session->client.helo, "%s", helo ? helo : "");
}

void
session_reset(struct session *session)
{
	transaction_free(&session->tx);
	engine_unref(&session->engine);
	outlet_unref(&session->outlet);
	envelope_fini(&session->envelope);
	session->qid[0] = '\0';
	session->n_rcpts = 0;
	err_clear(&session->trouble);
	session->at_mail = (struct reply){0};
	if (session->content)
		daemon_content_ends(session->daemon);
	session->content = false;
}

/* Text that may stand in an SMTP reply: printable ASCII. */
static void
set_reply(struct reply *reply, int code, const char *enhanced, const char *text)
{
	reply->code = code;
	snprintf(reply->enhanced, sizeof reply->enhanced, "%s", enhanced);
	snprintf(reply->text, sizeof reply->text, "%s", text);
	for (char *p = reply->text; *p; p++)
		if (*p < 32 || *p > 126)
			*p = '?';
}

static const char *
known(const char *text)
{
	return *text ? text : NULL;
}

/* The one place where a session's trouble is logged and made an answer. */
static void
fail(struct session *session, const struct err *err, struct reply *reply)
{
	bool later = err_rc(err->code) != RC_PERM;

	counter_add(later ? COUNTER_DEFERRED : COUNTER_REFUSED, 1);
	log_error(later ? LOGL_WARN : LOGL_INFO, session->qid[0] ? session->qid : NULL,
		later ? "deferred" : "refused", err, "service",
		daemon_service(session->daemon)->name, "sender", session->envelope.sender, "client",
		known(session->client.addr), NULL);
	set_reply(reply, err_smtp(err->code), err_enhanced(err->code), err_public(err->code));
}

/* Keeps the first trouble for the end of the message. */
static void
keep_trouble(struct session *session, const struct err *err)
{
	if (session->trouble.code == ERR_NONE)
		session->trouble = *err;
}

static bool
refuse_while_stopping(struct session *session, struct reply *reply)
{
	if (!daemon_is_stopping(session->daemon))
		return false;
	set_reply(reply, 451, "4.3.2", "The mail filter is being stopped, try again later");
	return true;
}

static enum rc
begin_message(struct session *session, char **argv, const char *identity,
	const struct client_cert *cert, struct err *err)
{
	const struct engine_limits *limits;
	enum rc rc;

	session->engine = daemon_engine(session->daemon, &session->outlet);
	limits = engine_limits(session->engine);
	session->max_rcpts = limits->recipients;
	session->early = session->outlet || limits->refuse_at_rcpt;
	rc = envelope_mail(&session->envelope, argv, err);
	if (rc == RC_OK && session->envelope.size > engine_spool_conf(session->engine).max)
		rc = err_set(err, ERR_MSG_TOO_BIG, "announced %llu bytes",
			(unsigned long long)session->envelope.size);
	if (rc == RC_OK)
		rc = transaction_new(session->engine, &session->tx, err);
	if (rc == RC_OK)
		rc = transaction_sender(
			session->tx, argv[0], identity, known(session->client.addr), err);
	if (rc == RC_OK && session->outlet)
		transaction_allow_copies(
			session->tx, smtp_port_size_limit(outlet_port(session->outlet)));
	return rc == RC_OK ? transaction_client_cert(session->tx, cert, err) : rc;
}

void
session_mail(
	struct session *session, char **argv, const char *identity, const struct client_cert *cert)
{
	struct reply reply = {0};
	struct err err = ERR_INIT;

	session_reset(session);
	if (!refuse_while_stopping(session, &reply)) {
		if (!argv[0])
			err_set(&err, ERR_INTERNAL, "MAIL without an address");
		if (argv[0] && begin_message(session, argv, identity, cert, &err) == RC_OK)
			return;
		fail(session, &err, &reply);
		session_reset(session);
	}
	session->at_mail = reply;
}

void
session_no_mail(struct session *session)
{
	session_reset(session);
	set_reply(&session->at_mail, err_smtp(ERR_INTERNAL), err_enhanced(ERR_INTERNAL),
		err_public(ERR_INTERNAL));
}

/* False: the recipient is refused now. Mail from sendmail(1) has no dialogue for that. */
static bool
rcpt_early(struct session *session, struct reply *reply)
{
	struct minded task = {.still_at_it = NULL};
	struct rcpt_result early;
	struct err err = ERR_INIT;
	enum rc rc;

	if (!session->early || session->envelope.local)
		return true;
	minder_begin(daemon_minder(session->daemon), &task);
	rc = transaction_rcpt_early(session->tx, &early, &err);
	minder_end(daemon_minder(session->daemon), &task);
	if (rc == RC_OK)
		return true;
	if (rc == RC_PERM && session->outlet)
		tell_named(outlet_notices(session->outlet), session->tx, &early);
	session->n_rcpts--;
	counter_add(rc == RC_PERM ? COUNTER_REFUSED : COUNTER_DEFERRED, 1);
	set_reply(reply, early.smtp, early.enhanced, early.text);
	return false;
}

/* A client sends the rest as another message. sendmail(1) can't, and Postfix would keep a message
 * with a refused recipient for ever: so it is refused as a whole, and the sender told. */
static void
one_too_many(struct session *session, struct reply *reply)
{
	struct err err = ERR_INIT;

	if (!session->envelope.local) {
		set_reply(reply, 452, "4.5.3", "Too many recipients");
		return;
	}
	err_set(&err, ERR_RCPT_MANY, "more than %zu recipients", session->max_rcpts);
	keep_trouble(session, &err);
}

void
session_rcpt(struct session *session, char **argv, struct reply *reply)
{
	struct err err = ERR_INIT;

	if (session->at_mail.code && argv[0]) {
		if (!envelope_is_local(argv[0])) /* else Postfix would keep it; so at its end */
			*reply = session->at_mail;
		return;
	}
	if (!session->tx || !argv[0]) {
		err_set(&err, ERR_INTERNAL, "RCPT out of order");
		fail(session, &err, reply);
		return;
	}
	if (refuse_while_stopping(session, reply))
		return;
	if (session->n_rcpts >= session->max_rcpts) {
		one_too_many(session, reply);
		return;
	}
	session->n_rcpts++;
	if (transaction_rcpt(session->tx, argv[0], &err) != RC_OK)
		keep_trouble(session, &err);
	else if (!rcpt_early(session, reply))
		return;
	/* what is wrong with it is said at the end */
	if (envelope_rcpt(&session->envelope, argv, &err) != RC_OK)
		keep_trouble(session, &err);
}

/* The first header field or body chunk of a message: from now on a stop waits for it. False: there
 * was trouble already; otherwise there was none, and it may be set where it comes up. */
static bool
in_content(struct session *session)
{
	if (!session->tx) {
		if (session->trouble.code == ERR_NONE)
			err_set(&session->trouble, ERR_INTERNAL, "content out of order");
		return false;
	}
	if (!session->content)
		daemon_content_begins(session->daemon);
	session->content = true;
	return session->trouble.code == ERR_NONE;
}

void
session_header(struct session *session, const char *name, const char *value)
{
	struct hdrs *hdrs;
	char *spaced = NULL;

	if (!in_content(session))
		return;
	hdrs = &transaction_msg(session->tx)->hdrs;
	/* an MTA that has taken the blank away: nearly always there was one */
	if (!session->leadspc && value[0] != '\t' && asprintf(&spaced, " %s", value) < 0) {
		err_set(&session->trouble, ERR_MEMORY, "header");
		return;
	}
	(void)hdrs_add(hdrs, name, strlen(name), spaced ? spaced : value,
		strlen(spaced ? spaced : value), &session->trouble);
	free(spaced);
}

void
session_body(struct session *session, const void *data, size_t len)
{
	if (in_content(session))
		(void)spool_append(
			transaction_msg(session->tx)->body, data, len, &session->trouble);
}

/* Shared by the waiting message and whoever tells it that all answers are there; the last one
 * frees. */
struct wait {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done;
	int users;
};

static void
wait_leave(struct wait *wait)
{
	bool last = --wait->users == 0;

	pthread_mutex_unlock(&wait->mutex);
	if (!last)
		return;
	pthread_cond_destroy(&wait->cond);
	pthread_mutex_destroy(&wait->mutex);
	free(wait);
}

static void
wait_done(void *ctx)
{
	struct wait *wait = ctx;

	pthread_mutex_lock(&wait->mutex);
	wait->done = true;
	pthread_cond_signal(&wait->cond);
	wait_leave(wait);
}

/* One slice of waiting. */
static void
wait_slice(struct wait *wait)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_SLICE_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&wait->cond, &wait->mutex, &until);
}

/* Waits for the look-ups that were begun at RCPT; the pool is kicked first when it takes time. */
static enum rc
wait_until_ready(struct session *session, struct minded *task, struct err *err)
{
	struct wait *wait;
	int64_t limit = clock_monotonic_ms() + WAIT_MAX_MS;
	enum rc rc = RC_OK;

	if (transaction_is_ready(session->tx))
		return RC_OK;
	wait = calloc(1, sizeof *wait);
	if (!wait)
		return err_set(err, ERR_MEMORY, "wait");
	pthread_mutex_init(&wait->mutex, NULL);
	pthread_cond_init(&wait->cond, NULL);
	wait->users = 2;
	transaction_when_ready(session->tx, wait_done, wait);
	pthread_mutex_lock(&wait->mutex);
	if (!wait->done)
		minder_kick(daemon_minder(session->daemon), task);
	while (!wait->done && rc == RC_OK) {
		wait_slice(wait);
		if (wait->done)
			break;
		if (daemon_is_stopping(session->daemon))
			rc = err_set(err, ERR_TIMEOUT, "stopped while waiting for a look-up");
		else if (clock_monotonic_ms() > limit)
			rc = err_set(err, ERR_TIMEOUT, "look-ups took more than %d s",
				WAIT_MAX_MS / 1000);
	}
	wait_leave(wait);
	return rc;
}

static bool
is_stopping(void *ctx)
{
	return daemon_is_stopping(ctx);
}

/* What was decided is carried out by copies: they go out, or an earlier try's did; the result then
 * says what the original's client hears. */
static void
send_copies(struct session *session, struct reinject *reinject, struct minded *task)
{
	minder_kick(daemon_minder(session->daemon), task);
	if (reinject->result->outcome == PLAN_DEFER)
		pipeline_conclude(session->tx, reinject->result);
	else
		reinject_run(reinject);
}

static enum rc
run(struct session *session, struct minded *task, struct result **out, struct err *err)
{
	struct reinject reinject = {.outlet = session->outlet,
		.tx = session->tx,
		.envelope = &session->envelope,
		.client = &session->client,
		.qid = session->qid,
		.deadline_ms = clock_monotonic_ms() + engine_limits(session->engine)->end_ms,
		.stopping = is_stopping,
		.ctx = session->daemon};
	enum rc rc = wait_until_ready(session, task, err);
	bool begun = false;

	if (rc == RC_OK && session->outlet)
		rc = reinject_was_begun(&reinject, &begun, err);
	if (begun)
		transaction_was_begun(session->tx);
	if (rc == RC_OK)
		rc = pipeline_run(session->tx, PIPELINE_RUN, out, err);
	reinject.result = *out;
	if (rc == RC_OK && (*out)->outcome == PLAN_DELIVER && (*out)->in_place)
		rc = edits_check((*out)->copies, session->actions, err);
	else if (rc == RC_OK && (begun || (*out)->outcome == PLAN_DELIVER))
		send_copies(session, &reinject, task);
	if (rc == RC_OK && session->outlet)
		tell_people(outlet_notices(session->outlet), session->tx, *out, &session->envelope);
	if (rc != RC_OK)
		result_free(out);
	return rc;
}

struct result *
session_finish(struct session *session, const char *qid, struct minded *task, struct reply *reply)
{
	struct err err = ERR_INIT;
	struct result *result = NULL;

	text_copy(session->qid, sizeof session->qid, qid ? qid : "");
	if (session->at_mail.code) {
		*reply = session->at_mail;
		return NULL;
	}
	if (in_content(session)) {
		transaction_set_qid(session->tx, session->qid);
		if (run(session, task, &result, &err) != RC_OK)
			keep_trouble(session, &err);
	}
	if (session->trouble.code != ERR_NONE) {
		fail(session, &session->trouble, reply);
		return NULL;
	}
	if (result->outcome == PLAN_DELIVER && result->in_place)
		return result;
	set_reply(reply, result->smtp, result->enhanced, result->text);
	reply->discard = result->outcome == PLAN_DELIVER;
	result_free(&result);
	return NULL;
}

bool
session_leadspc(const struct session *session)
{
	return session->leadspc;
}

const char *
session_qid(const struct session *session)
{
	return session->qid[0] ? session->qid : NULL;
}

const char *
session_sender(const struct session *session)
{
	return session->envelope.sender;
}

enum rc
session_ret_args(const struct session *session, const char *ret, struct buf *out, struct err *err)
{
	const char *envid = session->envelope.envid;

	return buf_append_all(
		out, err, "RET=", ret, envid ? " ENVID=" : "", envid ? envid : "", NULL);
}
