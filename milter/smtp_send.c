/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_send.c - one message, its recipients, and what the port said about each
 *
 * Why our own client: the two libraries that could do it were looked at. libcurl speaks SMTP, but
 * tells one result for a whole transfer: neither the reply to each recipient, nor whether the
 * message was sent whole when the connection broke, and it knows no XFORWARD. libesmtp has replies
 * for recipients, but hides the state that "in doubt" needs as well, has no XFORWARD, and its TLS
 * and its time limits are settled per process. What is needed is a page of protocol with exact
 * answers, so it is here.
 *
 * A transaction is XFORWARD, MAIL, RCPT…, sent together when the port can do PIPELINING; then,
 * when somebody was accepted, DATA on its own. Until the final dot is written nobody has got
 * anything, whatever breaks: a server must not take a message whose end it has not seen. From the
 * final dot on only a reply tells: without one the message is in doubt. A reply that comes before
 * the final dot is never taken for the reply to it.
 *
 * Recipients that the port does not take at once (452 4.5.3) go in a further transaction. A kept
 * connection that turns out to be dead before it answered anything is replaced by a new one, once.
 */
#include "milter/smtp_port.h"
#include "milter/smtp_wire.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW  100   /* recipients named before their replies are read */
#define CONTENT 32768 /* bytes of a message in one piece */

enum state { PENDING, ACCEPTED, DONE };

/* What the N-th command of an exchange was: a recipient's index, or one of these. */
#define WAS_XFORWARD SIZE_MAX
#define WAS_MAIL     (SIZE_MAX - 1)

struct sending {
	struct smtp_port *port;
	struct smtp_conn *conn;
	struct smtp_envelope *envelope;
	struct smtp_outcome *outcome;
	int64_t deadline;
	bool utf8;
	unsigned char *state; /* of each recipient */

	/* of the transaction under way */
	struct buf commands;
	size_t queue[WINDOW + SMTP_XFORWARD_COUNT + 1], n_queue;
	bool answered;  /* the port has said something that is no 421 */
	bool mail_ok;   /* … 2xx to MAIL */
	bool reusable;  /* the connection is fit for another message */
	size_t n_named; /* recipients in this transaction */
	size_t n_accepted;
};

/* --- what recipients are told --- */

static void
tell(struct smtp_rcpt *rcpt, int code, const char *enhanced, const char *text)
{
	rcpt->code = code;
	snprintf(rcpt->enhanced, sizeof rcpt->enhanced, "%s", enhanced);
	snprintf(rcpt->text, sizeof rcpt->text, "%s", text);
}

/* Tells everybody in state WHICH, who is DONE then. */
static void
tell_all(struct sending *s, enum state which, int code, const char *enhanced, const char *text)
{
	for (size_t i = 0; i < s->envelope->n; i++) {
		if (s->state[i] != which)
			continue;
		tell(&s->envelope->rcpts[i], code, enhanced, text);
		s->state[i] = DONE;
	}
}

static size_t
count(const struct sending *s, enum state which)
{
	size_t n = 0;

	for (size_t i = 0; i < s->envelope->n; i++)
		n += s->state[i] == which;
	return n;
}

/* --- before anything is sent --- */

static void
refuse_malformed(struct sending *s)
{
	struct smtp_envelope *e = s->envelope;

	if (!smtp_addr_is_good(e->sender, true))
		tell_all(s, PENDING, 553, "5.1.7", "The sender's address is malformed");
	for (size_t i = 0; i < e->n; i++) {
		if (s->state[i] != PENDING || smtp_addr_is_good(e->rcpts[i].addr, false))
			continue;
		tell(&e->rcpts[i], 553, "5.1.3", "The address is malformed");
		s->state[i] = DONE;
	}
}

static bool
needs_utf8(const struct sending *s)
{
	const struct smtp_envelope *e = s->envelope;

	if (e->smtputf8 || !smtp_is_ascii(e->sender))
		return true;
	for (size_t i = 0; i < e->n; i++)
		if (s->state[i] == PENDING && !smtp_is_ascii(e->rcpts[i].addr))
			return true;
	return false;
}

/* What the port would have to change, or refuse late. */
static void
refuse_unfit(struct sending *s)
{
	const struct smtp_caps *caps = &s->conn->caps;

	if (s->utf8 && !caps->smtputf8)
		tell_all(s, PENDING, 553, "5.6.7", "The next mail server takes no UTF-8 addresses");
	else if ((s->envelope->eightbit || s->utf8) && !caps->eightbitmime)
		tell_all(s, PENDING, 554, "5.6.3", "The next mail server takes no 8-bit content");
	else if (caps->size && s->envelope->size > caps->size)
		tell_all(s, PENDING, 552, "5.3.4", "Too big for the next mail server");
}

/* --- XFORWARD, MAIL, RCPT --- */

static void
log_dropped(struct sending *s)
{
	const char *qid = s->envelope->xforward.ident;

	if (s->conn->caps.dsn)
		log_event(LOGL_WARN, qid, "dsn-parameter-dropped", "why", "malformed", NULL);
	else if (!atomic_exchange(&s->port->told_dropped, true))
		log_event(LOGL_WARN, qid, "dsn-parameter-dropped", "port", s->port->name, "why",
			"the port does not offer DSN", NULL);
}

static void
enqueue(struct sending *s, size_t what)
{
	s->queue[s->n_queue++] = what;
}

static enum rc
put_head(struct sending *s, struct err *err)
{
	bool dropped = false;
	size_t n = 0;
	enum rc rc =
		smtp_format_xforward(&s->envelope->xforward, &s->conn->caps, &s->commands, &n, err);

	while (n-- > 0)
		enqueue(s, WAS_XFORWARD);
	if (!rc)
		rc = smtp_format_mail(
			s->envelope, &s->conn->caps, s->utf8, &s->commands, &dropped, err);
	enqueue(s, WAS_MAIL);
	if (dropped)
		log_dropped(s);
	return rc;
}

/* The next recipients from *AT on, as many as go into one window and one transaction. */
static enum rc
put_rcpts(struct sending *s, size_t *at, struct err *err)
{
	bool dropped = false;
	enum rc rc = RC_OK;

	for (size_t n = 0; !rc && n < WINDOW && *at < s->envelope->n; (*at)++) {
		if (s->state[*at] != PENDING)
			continue;
		if (s->n_named == s->port->max_recipients)
			break;
		rc = smtp_format_rcpt(&s->envelope->rcpts[*at], &s->conn->caps, s->utf8,
			&s->commands, &dropped, err);
		enqueue(s, *at);
		s->n_named++;
		n++;
	}
	if (dropped)
		log_dropped(s);
	return rc;
}

/* RFC 5321 section 4.5.3.1.10: too many at once, which a further transaction heals. */
static bool
is_too_many(const struct smtp_reply *reply)
{
	if (reply->code == 452)
		return !strcmp(reply->enhanced, "4.5.3") || !strcmp(reply->enhanced, "4.0.0");
	return reply->code == 552 && !strcmp(reply->enhanced, "5.5.3");
}

/* The answer to one command. */
static enum rc
take_answer(struct sending *s, size_t what, const struct smtp_reply *reply, struct err *err)
{
	bool ok = reply->code / 100 == 2;

	if (reply->code == 421)
		return err_set(err, ERR_PORT_REFUSED, "%s: 421 %s %s", s->port->name,
			reply->enhanced, reply->text);
	s->answered = true;
	if (what == WAS_XFORWARD)
		return RC_OK; /* for the log only: mail does not depend on it */
	if (reply->code / 100 == 3)
		return err_set(err, ERR_PORT_ANSWER, "%d to MAIL or RCPT", reply->code);
	if (what == WAS_MAIL) {
		s->mail_ok = ok;
		if (!ok)
			tell_all(s, PENDING, reply->code, reply->enhanced, reply->text);
	} else if (s->mail_ok && ok) {
		s->state[what] = ACCEPTED;
		s->n_accepted++;
	} else if (s->mail_ok && !(s->n_accepted > 0 && is_too_many(reply))) {
		tell(&s->envelope->rcpts[what], reply->code, reply->enhanced, reply->text);
		s->state[what] = DONE;
	}
	return RC_OK;
}

static enum rc
read_answer(struct sending *s, size_t what, struct err *err)
{
	struct smtp_reply reply;
	enum rc rc = smtp_conn_reply(
		s->conn, &reply, NULL, smtp_until(s->port->command_ms, s->deadline), err);

	return rc ? rc : take_answer(s, what, &reply, err);
}

static enum rc
say(struct sending *s, const char *text, size_t len, struct err *err)
{
	if (!smtp_conn_is_silent(s->conn))
		return s->conn->closed ? err_set(err, ERR_PORT_DOWN, "connection lost")
				       : err_set(err, ERR_PORT_ANSWER, "a reply before a command");
	return smtp_conn_write(
		s->conn, text, len, smtp_until(s->port->command_ms, s->deadline), err);
}

/* Sends what is queued, together or one by one, and takes the answers. */
static enum rc
exchange(struct sending *s, struct err *err)
{
	const char *at = s->commands.data;
	enum rc rc = RC_OK;

	if (s->conn->caps.pipelining) {
		rc = say(s, at, s->commands.len, err);
		for (size_t i = 0; !rc && i < s->n_queue; i++)
			rc = read_answer(s, s->queue[i], err);
	} else {
		for (size_t i = 0; !rc && i < s->n_queue; i++) {
			size_t len = (size_t)(strchr(at, '\n') - at) + 1;

			if (s->queue[i] < WAS_MAIL && !s->mail_ok)
				break; /* MAIL was refused: nothing follows it */
			rc = say(s, at, len, err);
			at += len;
			if (!rc)
				rc = read_answer(s, s->queue[i], err);
		}
	}
	buf_clear(&s->commands);
	s->n_queue = 0;
	return rc;
}

static enum rc
name_everybody(struct sending *s, struct err *err)
{
	size_t at = 0;
	enum rc rc;

	s->answered = s->mail_ok = false;
	s->n_named = s->n_accepted = s->n_queue = 0;
	rc = put_head(s, err);
	do {
		if (!rc)
			rc = put_rcpts(s, &at, err);
		if (!rc && s->n_queue == 0)
			break;
		if (!rc)
			rc = exchange(s, err);
	} while (!rc && s->mail_ok);
	return rc;
}

/* --- DATA --- */

struct content {
	struct sending *s;
	struct smtp_dots dots;
	bool lost; /* the connection failed, not the writer */
	size_t len;
	char data[CONTENT];
};

static enum rc
flush_content(struct content *c, struct err *err)
{
	enum rc rc = smtp_conn_write(
		c->s->conn, c->data, c->len, smtp_until(c->s->port->data_ms, c->s->deadline), err);

	c->lost |= rc != RC_OK;
	c->len = 0;
	return rc;
}

static enum rc
gather(void *ctx, const void *data, size_t len, struct err *err)
{
	struct content *c = ctx;
	const char *p = data;
	enum rc rc = RC_OK;

	while (!rc && len > 0) {
		size_t n = sizeof c->data - c->len;

		if (n > len)
			n = len;
		memcpy(c->data + c->len, p, n);
		c->len += n;
		p += n;
		len -= n;
		if (c->len == sizeof c->data)
			rc = flush_content(c, err);
	}
	return rc;
}

static enum rc
feed_dots(void *ctx, const void *data, size_t len, struct err *err)
{
	return smtp_dots_feed(&((struct content *)ctx)->dots, data, len, err);
}

/* The message up to its final dot. *LOST as above. */
static enum rc
send_content(struct sending *s, smtp_write_fn *write, void *ctx, bool *lost, struct err *err)
{
	struct content *c = calloc(1, sizeof(*c));
	struct sink out = {.feed = gather, .ctx = c}, in = {.feed = feed_dots, .ctx = c};
	enum rc rc;

	*lost = false;
	if (!c)
		return err_set(err, ERR_MEMORY, "message");
	c->s = s;
	c->dots.to = &out;
	rc = write(ctx, &in, err);
	if (!rc)
		rc = smtp_dots_end_line(&c->dots, err);
	if (!rc)
		rc = flush_content(c, err);
	*lost = c->lost;
	secret_wipe(c->data, sizeof c->data);
	free(c);
	return rc;
}

static void
take_outcome(struct sending *s, const struct smtp_reply *reply)
{
	s->outcome->code = reply->code;
	snprintf(s->outcome->enhanced, sizeof s->outcome->enhanced, "%s", reply->enhanced);
	snprintf(s->outcome->text, sizeof s->outcome->text, "%s", reply->text);
	tell_all(s, ACCEPTED, reply->code, reply->enhanced, reply->text);
}

/* Something came before the final dot was written. Only a refusal can make sense there; nobody has
 * got the message. RC and ERR: what is known without it. */
static enum rc
take_early(struct sending *s, enum rc rc, struct err *err)
{
	struct smtp_reply reply;

	if (!smtp_conn_has_reply(s->conn, &reply)) {
		if (rc)
			return rc;
		return s->conn->closed ? err_set(err, ERR_PORT_DOWN, "connection lost")
				       : err_set(err, ERR_PORT_ANSWER, "a reply before its time");
	}
	if (reply.code < 400)
		return err_set(err, ERR_PORT_ANSWER, "%d before the end of data", reply.code);
	take_outcome(s, &reply);
	return RC_OK;
}

/* The final dot, and from there on only a reply tells who got the message. */
static enum rc
end_data(struct sending *s, struct err *err)
{
	int64_t until = smtp_until(s->port->end_ms, s->deadline);
	struct smtp_reply reply;
	struct err why = ERR_INIT;
	enum rc rc;

	s->conn->never_stop = true;
	rc = smtp_conn_write(s->conn, ".\r\n", 3, until, &why);
	if (!rc)
		rc = smtp_conn_reply(s->conn, &reply, NULL, until, &why);
	if (!rc && reply.code / 100 == 3)
		rc = err_set(&why, ERR_PORT_ANSWER, "%d to the end of data", reply.code);
	if (rc) {
		s->outcome->in_doubt = true;
		return err_set(err, ERR_PORT_DOUBT, "%s: no answer to the end of data: %s",
			s->port->name, why.detail);
	}
	take_outcome(s, &reply);
	s->reusable = reply.code != 421;
	return RC_OK;
}

static enum rc
say_rset(struct sending *s, struct err *err)
{
	struct smtp_reply reply;

	/* Everybody has an answer already: a connection that fails here is just not used again. */
	s->reusable = smtp_ask(s->port, s->conn, "RSET\r\n", &reply, s->deadline, err) == RC_OK &&
		      reply.code / 100 == 2;
	err_clear(err);
	return RC_OK;
}

static enum rc
send_data(struct sending *s, smtp_write_fn *write, void *ctx, struct err *err)
{
	struct smtp_reply reply;
	bool lost;
	enum rc rc = smtp_ask(s->port, s->conn, "DATA\r\n", &reply, s->deadline, err);

	if (!rc && reply.code == 421)
		rc = err_set(err, ERR_PORT_REFUSED, "DATA: 421 %s", reply.text);
	if (!rc && reply.code < 400 && reply.code != 354)
		rc = err_set(err, ERR_PORT_ANSWER, "%d to DATA", reply.code);
	if (rc)
		return rc;
	if (reply.code != 354) {
		take_outcome(s, &reply);
		return say_rset(s, err);
	}
	rc = send_content(s, write, ctx, &lost, err);
	if (rc && !lost)
		return rc;
	if (rc || !smtp_conn_is_silent(s->conn))
		return take_early(s, rc, err);
	return end_data(s, err);
}

/* --- the whole --- */

static enum rc
transaction(struct sending *s, smtp_write_fn *write, void *ctx, struct err *err)
{
	enum rc rc;

	s->reusable = false;
	rc = name_everybody(s, err);
	if (rc)
		return rc;
	if (s->n_accepted > 0)
		return send_data(s, write, ctx, err);
	if (s->mail_ok)
		return say_rset(s, err);
	s->reusable = true;
	return RC_OK;
}

/* Until everybody has an answer, or something fails. */
static enum rc
send_all(struct sending *s, smtp_write_fn *write, void *ctx, struct err *err)
{
	bool kept, fresh = false;
	enum rc rc;

	while (count(s, PENDING) > 0) {
		rc = smtp_port_take(s->port, fresh, s->deadline, &s->conn, &kept, err);
		if (rc)
			return rc;
		refuse_unfit(s);
		if (count(s, PENDING) == 0) {
			smtp_port_give(s->port, &s->conn, true);
			return RC_OK;
		}
		rc = transaction(s, write, ctx, err);
		smtp_port_give(s->port, &s->conn, rc == RC_OK && s->reusable);
		if (rc && !(kept && !s->answered))
			return rc;
		fresh = rc != RC_OK; /* it had died while nobody used it */
		if (!rc)
			continue;
		err_clear(err);
	}
	return RC_OK;
}

/* What is to be said when it ended with RC. */
static enum rc
conclude(struct sending *s, enum rc rc, const struct err *err)
{
	bool taken = false;

	if (rc) {
		tell_all(s, PENDING, err_smtp(err->code), err_enhanced(err->code),
			err_public(err->code));
		tell_all(s, ACCEPTED, err_smtp(err->code), err_enhanced(err->code),
			err_public(err->code));
	}
	for (size_t i = 0; i < s->envelope->n; i++)
		taken |= s->envelope->rcpts[i].code / 100 == 2;
	return taken ? RC_OK : rc;
}

enum rc
smtp_send(struct smtp_port *port, struct smtp_envelope *envelope, smtp_write_fn *write, void *ctx,
	int64_t deadline_ms, struct smtp_outcome *outcome, struct err *err)
{
	struct sending *s = calloc(1, sizeof(*s));
	struct err why = ERR_INIT;
	enum rc rc;

	*outcome = (struct smtp_outcome){0};
	for (size_t i = 0; i < envelope->n; i++)
		tell(&envelope->rcpts[i], err_smtp(ERR_MEMORY), err_enhanced(ERR_MEMORY),
			err_public(ERR_MEMORY));
	if (s)
		s->state = calloc(envelope->n + 1, 1);
	if (!s || !s->state) {
		free(s);
		return err_set(err, ERR_MEMORY, "sending");
	}
	s->port = port;
	s->envelope = envelope;
	s->outcome = outcome;
	s->deadline = deadline_ms;
	refuse_malformed(s);
	s->utf8 = needs_utf8(s);
	rc = send_all(s, write, ctx, &why);
	rc = conclude(s, rc, &why);
	if (why.code != ERR_NONE && err)
		*err = why;
	buf_fini(&s->commands);
	free(s->state);
	free(s);
	return rc;
}
