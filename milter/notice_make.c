/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From facts to a message: texts in the reader's language, and for a report the machine's part.
 */
#include "milter/notice_private.h"

#include "base/clock.h"
#include "message/dsn.h"
#include "message/qp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 900 /* of a 7-bit part */

struct making {
	const struct notices *notices;
	const struct notice_item *item;
	const struct json_value *facts, *rcpts;
	struct spool *original; /* its body, or NULL */
	struct notice_made *made;
	struct buf subject, text;
	int64_t now;
	bool utf8; /* the report may carry UTF-8 outside of encodings */
};

void
notice_made_fini(struct notice_made *made)
{
	msg_free(&made->msg);
}

/* What a recipient's line says: the word for the cause, with what the server said. */
static enum rc
append_reason(const struct making *m, const char *tag, const struct json_value *rcpt,
	struct buf *out, struct err *err)
{
	const char *cause = json_get_text(rcpt, "cause");
	struct buf reply = BUF_INIT(4096);
	const char *enhanced = json_get_text(rcpt, "enhanced"), *text = json_get_text(rcpt, "text");
	struct text_value value = {.name = "reply"};
	enum rc rc = buf_appendf(&reply, err, "%lld%s%s %s",
		(long long)json_get_int(rcpt, "code", 550), enhanced && *enhanced ? " " : "",
		enhanced ? enhanced : "", text ? text : "");

	value.value = buf_text(&reply);
	if (rc == RC_OK)
		rc = texts_word(&(struct text_use){m->notices->texts, tag, &value, 1},
			cause ? cause : "remote", "other", out, err);
	buf_fini(&reply);
	return rc;
}

static enum rc
append_rcpt(const struct making *m, const char *tag, const struct json_value *rcpt, struct buf *out,
	struct err *err)
{
	struct buf reason = BUF_INIT(65536);
	enum rc rc = append_reason(m, tag, rcpt, &reason, err);
	const struct text_value values[] = {{"recipient", json_get_text(rcpt, "addr"), false},
		{"reason", buf_text(&reason), true}, {"rule", json_get_text(rcpt, "rule"), false},
		{"message", json_get_text(rcpt, "message"), false}};

	if (rc == RC_OK)
		rc = texts_format(&(struct text_use){m->notices->texts, tag, values, 4},
			TEXT_RECIPIENT, NULL, out, err);
	if (rc == RC_OK)
		rc = buf_append_char(out, '\n', err);
	buf_fini(&reason);
	return rc;
}

/* The recipients for people: the first ones, and how many more there are. */
static enum rc
append_rcpts(const struct making *m, const char *tag, struct buf *out, struct err *err)
{
	size_t n = m->rcpts ? json_count(m->rcpts) : 0;
	char number[24];
	const struct text_value count = {"count", number, false};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n && i < NOTICE_SHOWN; i++)
		rc = append_rcpt(m, tag, json_at(m->rcpts, i), out, err);
	if (rc == RC_OK && out->len > 0)
		out->data[--out->len] = '\0'; /* the template's line has its own end */
	if (rc != RC_OK || n <= NOTICE_SHOWN)
		return rc;
	snprintf(number, sizeof(number), "%zu", n - NOTICE_SHOWN);
	rc = buf_append_str(out, "\n  ", err);
	if (rc == RC_OK)
		rc = texts_word(&(struct text_use){m->notices->texts, tag, &count, 1}, "more", NULL,
			out, err);
	return rc == RC_OK ? buf_append_char(out, '\n', err) : rc;
}

/* Subject and text in one language, behind what is there. */
static enum rc
append_language(struct making *m, const char *tag, struct err *err)
{
	static const enum text_kind kinds[NOTICE_KINDS] = {
		TEXT_FAILED, TEXT_REFUSED, TEXT_NAMED, TEXT_INVITE, TEXT_LEARNED};
	const struct notices *notices = m->notices;
	struct buf rcpts = BUF_INIT(TEXT_MAX_RESULT), none = BUF_INIT(4096);
	const char *subject = json_get_text(m->facts, "subject");
	enum notice_kind kind = m->made->kind;
	enum rc rc = append_rcpts(m, tag, &rcpts, err);

	if (rc == RC_OK && !subject)
		rc = texts_word(&(struct text_use){notices->texts, tag, NULL, 0}, "no-subject",
			NULL, &none, err);
	if (rc == RC_OK) {
		const char *sender =
			json_get_text(m->facts, kind == NOTICE_INVITE ? "sender" : "to");
		const char *rcpt =
			kind == NOTICE_NAMED
				? json_get_text(m->rcpts ? json_at(m->rcpts, 0) : NULL, "addr")
				: json_get_text(m->facts, kind == NOTICE_INVITE ? "to" : "rcpt");
		const struct text_value values[] = {{"organisation", notices->name, false},
			{"url", notices->url, false}, {"sender", sender, false},
			{"recipient", rcpt, false},
			{"subject", subject ? subject : buf_text(&none), false},
			{"date", json_get_text(m->facts, "date"), false},
			{"qid", json_get_text(m->facts, "qid"), false},
			{"recipients", buf_text(&rcpts), true}};

		rc = texts_format(&(struct text_use){notices->texts, tag, values,
					  sizeof(values) / sizeof(*values)},
			kinds[kind], &m->subject, &m->text, err);
	}
	buf_fini(&rcpts);
	buf_fini(&none);
	return rc;
}

/* "ja+en": one text behind the other, both subjects in one line. */
static enum rc
append_languages(struct making *m, const char *language, struct err *err)
{
	enum rc rc = RC_OK;

	for (bool first = true; rc == RC_OK; first = false) {
		if (!first)
			rc = buf_append_str(&m->text, "\n* * *\n\n", err);
		if (rc == RC_OK && !first)
			rc = buf_append_str(&m->subject, " / ", err);
		if (rc == RC_OK)
			rc = append_language(m, language, err);
		language += strcspn(language, "+");
		if (!*language++)
			break;
	}
	return rc;
}

/* The original's Message-ID, when it is one. */
static enum rc
add_references(struct hdrs *hdrs, const char *id, struct err *err)
{
	size_t len = id ? strlen(id) : 0;
	enum rc rc;

	if (len < 5 || len > 250 || id[0] != '<' || id[len - 1] != '>' || !strchr(id, '@') ||
		!compose_is_ascii(id) || strpbrk(id, " \t") || strcspn(id + 1, "<>") != len - 2)
		return RC_OK;
	rc = compose_field(hdrs, "In-Reply-To", err, " %s", id);
	return rc == RC_OK ? compose_field(hdrs, "References", err, " %s", id) : rc;
}

static enum compose_charset
charset_for(const struct making *m, const char *language)
{
	return strncmp(language, "ja", 2) == 0 ? m->notices->japanese : COMPOSE_UTF8;
}

static enum rc
add_header(struct making *m, const char *language, struct err *err)
{
	const struct notices *notices = m->notices;
	struct hdrs *hdrs = &m->made->msg->hdrs;
	enum compose_charset charset = charset_for(m, language);
	const char *answer = json_get_text(m->facts, "sender");
	enum rc rc = compose_mailbox(hdrs, "From", notices->name, notices->from, charset, err);

	if (rc == RC_OK)
		rc = compose_mailbox(hdrs, "To", NULL, m->made->to, charset, err);
	if (rc == RC_OK && m->made->kind == NOTICE_INVITE && answer)
		rc = compose_mailbox(hdrs, "Reply-To", NULL, answer, charset, err);
	if (rc == RC_OK)
		rc = compose_text(hdrs, "Subject", buf_text(&m->subject), charset, err);
	if (rc == RC_OK)
		rc = compose_origin(hdrs, m->now, notices->domain, err);
	if (rc == RC_OK)
		rc = add_references(hdrs, json_get_text(m->facts, "message_id"), err);
	if (rc == RC_OK)
		rc = compose_field(hdrs, "Auto-Submitted", err, " %s",
			m->made->kind == NOTICE_FAILED ? "auto-replied" : "auto-generated");
	if (rc == RC_OK)
		rc = compose_field(hdrs, "MIME-Version", err, " 1.0");
	return rc;
}

/* Delimiter and header of a part. */
static enum rc
begin_part(const struct sink *to, const char *boundary, const char *type, const char *encoding,
	struct err *err)
{
	struct buf text = BUF_INIT(4096);
	enum rc rc = buf_appendf(&text, err,
		"\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", boundary,
		type, encoding);

	if (rc == RC_OK)
		rc = sink_feed(to, text.data, text.len, err);
	buf_fini(&text);
	return rc;
}

static enum rc
write_human(const struct making *m, const char *boundary, const char *language,
	const struct sink *to, struct err *err)
{
	struct buf body = BUF_INIT(0);
	struct sink sink = sink_to_buf(&body);
	struct hdrs hdrs;
	enum rc rc;

	hdrs_init(&hdrs);
	rc = compose_plain(
		buf_text(&m->text), m->text.len, charset_for(m, language), &hdrs, &sink, err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, "--", err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, boundary, err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, "\r\n", err);
	if (rc == RC_OK)
		rc = hdrs_write(&hdrs, to, err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, "\r\n", err);
	if (rc == RC_OK)
		rc = sink_feed(to, buf_text(&body), body.len, err);
	hdrs_fini(&hdrs);
	buf_fini(&body);
	return rc;
}

static enum rc
write_status(const struct making *m, const char *boundary, const struct sink *to, struct err *err)
{
	size_t n = m->rcpts ? json_count(m->rcpts) : 0;
	struct dsn_rcpt *v = calloc(n ? n : 1, sizeof(*v));
	struct dsn dsn = {.reporting_mta = m->notices->host,
		.envid = json_get_text(m->facts, "envid"),
		.qid = json_get_text(m->facts, "qid"),
		.arrival = json_get_int(m->facts, "arrival", 0),
		.v = v,
		.n = n,
		.utf8 = m->utf8};
	enum rc rc;

	if (!v)
		return err_set(err, ERR_MEMORY, "a report");
	for (size_t i = 0; i < n; i++) {
		const struct json_value *rcpt = json_at(m->rcpts, i);
		const char *addr = json_get_text(rcpt, "addr");

		v[i] = (struct dsn_rcpt){.addr = addr ? addr : "",
			.orcpt = json_get_text(rcpt, "orcpt"),
			.code = (int)json_get_int(rcpt, "code", 550),
			.enhanced = json_get_text(rcpt, "enhanced"),
			.text = json_get_text(rcpt, "text")};
	}
	rc = begin_part(to, boundary, dsn_type(m->utf8), m->utf8 ? "8bit" : "7bit", err);
	if (rc == RC_OK)
		rc = dsn_write(&dsn, to, err);
	free(v);
	return rc;
}

/* Neither 8-bit nor longer than lines may be. */
static bool
is_7bit(const struct buf *text)
{
	size_t line = 0;

	for (size_t i = 0; i < text->len; i++) {
		line = text->data[i] == '\n' ? 0 : line + 1;
		if ((unsigned char)text->data[i] > 127 || text->data[i] == '\0' || line > MAX_LINE)
			return false;
	}
	return true;
}

static enum rc
write_qp(const struct buf *text, const struct sink *to, struct err *err)
{
	struct sink plain = {.feed = to->feed, .ctx = to->ctx}, stage;
	struct qp_encoder *encoder = NULL;
	enum rc rc = qp_encoder_new(&plain, &encoder, err);

	if (rc == RC_OK) {
		stage = qp_encoder_sink(encoder);
		rc = sink_feed(&stage, buf_text(text), text->len, err);
	}
	if (rc == RC_OK)
		rc = sink_finish(&stage, err);
	qp_encoder_free(&encoder);
	return rc;
}

/* The header that came, or the whole message (RFC 6522 section 4, RFC 6533 section 5). */
static enum rc
write_original(const struct making *m, const char *boundary, const struct sink *to, struct err *err)
{
	const struct buf *head = &m->item->head;
	bool seven = is_7bit(head);
	enum rc rc;

	if (m->original) {
		rc = begin_part(
			to, boundary, m->utf8 ? "message/global" : "message/rfc822", "8bit", err);
		if (rc == RC_OK)
			rc = sink_feed(to, buf_text(head), head->len, err);
		if (rc == RC_OK)
			rc = sink_feed_str(to, "\r\n", err);
		return rc == RC_OK ? spool_send(m->original, 0, spool_size(m->original), to, err)
				   : rc;
	}
	if (m->utf8 && !seven) {
		rc = begin_part(to, boundary, "message/global-headers", "8bit", err);
		return rc == RC_OK ? sink_feed(to, buf_text(head), head->len, err) : rc;
	}
	rc = begin_part(
		to, boundary, "text/rfc822-headers", seven ? "7bit" : "quoted-printable", err);
	if (rc != RC_OK)
		return rc;
	return seven ? sink_feed(to, buf_text(head), head->len, err) : write_qp(head, to, err);
}

static enum rc
write_report(struct making *m, const char *language, const struct sink *to, struct err *err)
{
	char boundary[COMPOSE_BOUNDARY_SIZE];
	struct hdrs *hdrs = &m->made->msg->hdrs;
	enum rc rc = compose_boundary(boundary, err);

	if (rc == RC_OK)
		rc = compose_field(hdrs, "Content-Type", err,
			" multipart/report; report-type=%s;\n boundary=\"%s\"",
			m->utf8 ? "global-delivery-status" : "delivery-status", boundary);
	if (rc == RC_OK && (m->utf8 || m->original))
		rc = compose_field(hdrs, "Content-Transfer-Encoding", err, " 8bit");
	if (rc == RC_OK)
		rc = write_human(m, boundary, language, to, err);
	if (rc == RC_OK)
		rc = write_status(m, boundary, to, err);
	if (rc == RC_OK)
		rc = write_original(m, boundary, to, err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, "\r\n--", err);
	if (rc == RC_OK)
		rc = sink_feed_str(to, boundary, err);
	return rc == RC_OK ? sink_feed_str(to, "--\r\n", err) : rc;
}

/* Is there UTF-8 that the report may carry as it is, because the message did (SMTPUTF8)? */
static bool
needs_utf8(const struct making *m)
{
	size_t n = m->rcpts ? json_count(m->rcpts) : 0;

	if (m->made->kind != NOTICE_FAILED || !json_is_true(json_find(m->facts, "utf8")))
		return false;
	if (!is_7bit(&m->item->head) || !compose_is_ascii(m->made->to))
		return true;
	for (size_t i = 0; i < n; i++) {
		const char *addr = json_get_text(json_at(m->rcpts, i), "addr");

		if (addr && !compose_is_ascii(addr))
			return true;
	}
	return false;
}

static enum rc
make(struct making *m, const char *language, struct err *err)
{
	const struct spool_conf conf = {.memory = SIZE_MAX};
	const char *dir = conf_str(conf_section(m->notices->conf, "milter"), "spool");
	const struct spool_conf large = {.dir = dir, .memory = 1 << 20};
	struct sink body;
	enum rc rc = msg_new(m->original ? &large : &conf, &m->made->msg, err);

	if (rc == RC_OK)
		rc = append_languages(m, language, err);
	if (rc == RC_OK)
		rc = add_header(m, language, err);
	if (rc != RC_OK)
		return rc;
	body = spool_sink(m->made->msg->body);
	if (m->made->kind == NOTICE_FAILED)
		return write_report(m, language, &body, err);
	return compose_plain(buf_text(&m->text), m->text.len, charset_for(m, language),
		&m->made->msg->hdrs, &body, err);
}

enum rc
notice_make(const struct notices *notices, const struct notice_item *item,
	const struct json_value *facts, const char *language, struct spool *body,
	struct notice_made *made, struct err *err)
{
	struct making m = {.notices = notices,
		.item = item,
		.facts = facts,
		.rcpts = json_find(facts, "rcpts"),
		.original = body,
		.made = made,
		.subject = BUF_INIT(65536),
		.text = BUF_INIT(1 << 20),
		.now = notices_now(notices)};
	const char *to = json_get_text(facts, "to");
	enum rc rc;

	memset(made, 0, sizeof(*made));
	made->kind = notice_kind_of(facts);
	if (made->kind == NOTICE_KINDS || !to || !*to || strlen(to) >= sizeof(made->to))
		return err_set(err, ERR_LIMIT, "facts that are no notice");
	strcpy(made->to, to);
	made->must = made->kind == NOTICE_INVITE;
	/* A signature around a report would hide from programs that it is one. */
	made->sign = conf_bool(notices->group, "sign") && made->kind != NOTICE_FAILED;
	m.utf8 = needs_utf8(&m);
	made->smtputf8 = m.utf8 || !compose_is_ascii(to);
	rc = make(&m, language, err);
	buf_fini(&m.subject);
	buf_fini(&m.text);
	if (rc != RC_OK)
		notice_made_fini(made);
	return rc;
}
