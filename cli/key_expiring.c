/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_expiring.c - sealgate key expiring: what ends soon and has no successor, for people
 *
 * Certificates of persons, of whatever CA, and those of the organisation's own CA. As a mail it
 * goes through the port for our own mail, or to standard output when there is none, for sendmail
 * -t.
 */
#include "cli/key.h"

#include "base/clock.h"
#include "keystore/admin.h"
#include "message/addr.h"
#include "message/compose.h"
#include "message/msg.h"
#include "milter/notice_text.h"
#include "milter/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEND_MS  180000
#define LIST_MAX (200u << 10) /* bytes of the list in a mail; the rest is counted */

static int run(struct cli *cli, int argc, char **argv);

const struct command key_expiring = {
	.name = "key expiring",
	.usage = "--within AGE [--mail ADDR]",
	.help = "certificates that end soon and have no successor",
	.details =
		"  --within AGE   60d, 12h, …\n"
		"  --mail ADDR    as a mail in the language of notices.language, when there is\n"
		"                 something to say; without a port it is written to standard output\n",
	.run = run,
};

struct expiring {
	struct cli *cli;
	struct admin_session *session;
	int64_t within;
	size_t count, left_out;
	struct buf list; /* lines for people */
	struct buf text;
	struct json json;
	struct err err;
	enum rc rc;
};

static void
add_line(struct expiring *e, const char *ends, const char *who, const char *what, const char *by)
{
	e->count++;
	if (e->list.len > LIST_MAX)
		e->left_out++;
	else if (e->rc == RC_OK)
		e->rc = buf_appendf(
			&e->list, &e->err, "%.10s  %.320s  %.64s  %.300s\n", ends, who, what, by);
}

static bool
each_key(void *ctx, const struct json_value *due)
{
	struct expiring *e = ctx;
	const char *key = json_get_text(due, "key"), *ends = json_get_text(due, "not_after"),
		   *issuer = json_get_text(due, "issuer"),
		   *addr = json_text(json_at(json_find(due, "addresses"), 0));

	add_line(e, ends ? ends : "?", addr ? addr : "-", key ? key : "?", issuer ? issuer : "?");
	answer_put(&e->json, NULL, due);
	return e->rc == RC_OK;
}

/* CAs that still sign and end within the time. */
static int
look_at_cas(struct expiring *e)
{
	const struct json_value *cas;
	struct json_value *answer;
	struct asking asking;

	asking_begin(&asking, "ca.list");
	if (asking_send_in(&asking, e->session, &answer, &e->err) != RC_OK)
		return cmd_fail(&e->err);
	cas = json_find(answer, "cas");
	json_array(&e->json, "cas");
	for (size_t i = 0; cas && i < json_count(cas); i++) {
		const struct json_value *ca = json_at(cas, i);
		const char *ends = json_get_text(ca, "not_after"),
			   *status = json_get_text(ca, "status");
		int64_t at = 0;

		if (!ends || !status || strcmp(status, "active") != 0 ||
			clock_parse(ends, &at, NULL) != RC_OK || at > clock_now() + e->within)
			continue;
		add_line(e, ends, json_get_text(ca, "subject"), json_get_text(ca, "key"),
			json_get_text(ca, "role"));
		json_object(&e->json, NULL);
		json_str(&e->json, "key", json_get_text(ca, "key"));
		json_str(&e->json, "role", json_get_text(ca, "role"));
		json_str(&e->json, "subject", json_get_text(ca, "subject"));
		json_str(&e->json, "not_after", ends);
		json_object_end(&e->json);
	}
	json_array_end(&e->json);
	json_free(&answer);
	return EX_OK;
}

/* --- as a mail --- */

static enum rc
write_text(struct expiring *e, struct buf *subject, struct buf *body, struct err *err)
{
	const struct conf_group *group = conf_section(e->cli->conf, "notices"),
				*own = conf_section(e->cli->conf, "organisation");
	const char *language = conf_str(group, "language"), *name = conf_str(own, "name");
	const char *const *domains;
	char until[CLOCK_TEXT_SIZE], count[24];
	struct texts *texts = NULL;
	enum rc rc = texts_new(conf_str(group, "templates"), &texts, err);
	bool first = true;

	(void)conf_strings(own, "domains", &domains);
	clock_format(clock_now() + e->within, until);
	until[10] = '\0';
	snprintf(count, sizeof(count), "%zu", e->count);
	if (rc == RC_OK && !texts_has(texts, language))
		language = "en";
	if (rc == RC_OK && e->left_out)
		rc = buf_appendf(&e->list, err, "… + %zu\n", e->left_out);
	while (rc == RC_OK && language) {
		const struct text_value values[] = {
			{"organisation", name ? name : domains[0], false}, {"until", until, false},
			{"count", count, false}, {"list", buf_text(&e->list), true}};

		if (!first)
			rc = buf_append_str(body, "\n--\n\n", err);
		if (rc == RC_OK)
			rc = texts_format(&(struct text_use){texts, language, values, 4},
				TEXT_EXPIRING, first ? subject : NULL, body, err);
		first = false;
		language = strchr(language, '+');
		language += language != NULL;
	}
	texts_free(&texts);
	return rc;
}

/* The fields above the text. */
static enum rc
write_head(
	struct expiring *e, const char *to, const char *subject, struct hdrs *hdrs, struct err *err)
{
	const struct conf_group *group = conf_section(e->cli->conf, "notices"),
				*own = conf_section(e->cli->conf, "organisation");
	const char *from = conf_str(group, "from");
	const char *const *domains;
	enum compose_charset charset =
		strcmp(conf_str(group, "japanese"), "iso-2022-jp") == 0 &&
				strncmp(conf_str(group, "language"), "ja", 2) == 0
			? COMPOSE_ISO_2022_JP
			: COMPOSE_UTF8;
	char usual[ADDR_MAX + 1];
	enum rc rc;

	(void)conf_strings(own, "domains", &domains);
	snprintf(usual, sizeof(usual), "postmaster@%.900s", domains[0] + (*domains[0] == '.'));
	rc = compose_mailbox(
		hdrs, "From", conf_str(own, "name"), from ? from : usual, charset, err);
	if (rc == RC_OK)
		rc = compose_mailbox(hdrs, "To", NULL, to, charset, err);
	if (rc == RC_OK)
		rc = compose_text(hdrs, "Subject", subject, charset, err);
	if (rc == RC_OK)
		rc = compose_origin(hdrs, clock_now(), domains[0] + (*domains[0] == '.'), err);
	if (rc == RC_OK)
		rc = compose_field(hdrs, "Auto-Submitted", err, " auto-generated");
	return rc == RC_OK ? compose_field(hdrs, "MIME-Version", err, " 1.0") : rc;
}

static enum rc
make_message(struct expiring *e, const char *to, struct msg *msg, struct err *err)
{
	struct buf subject = BUF_INIT(4096), body = BUF_INIT(4u << 20);
	struct sink sink;
	enum rc rc = write_text(e, &subject, &body, err);

	if (rc == RC_OK)
		rc = write_head(e, to, buf_text(&subject), &msg->hdrs, err);
	if (rc == RC_OK) {
		sink = spool_sink(msg->body);
		rc = compose_plain(buf_text(&body), body.len, COMPOSE_UTF8, &msg->hdrs, &sink, err);
		if (rc == RC_OK)
			rc = sink_finish(&sink, err);
	}
	buf_fini(&subject);
	buf_fini(&body);
	return rc;
}

static enum rc
write_message(void *ctx, const struct sink *to, struct err *err)
{
	struct sink unfinished = {.feed = to->feed, .ctx = to->ctx};

	return msg_write(ctx, &unfinished, err);
}

/* To standard output with the line ends of files. */
static enum rc
print_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	const char *p = data;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\r' && putchar(p[i]) == EOF)
			return err_set(err, ERR_FILE, "standard output cannot be written");
	return RC_OK;
}

static enum rc
send_message(const struct cli *cli, struct msg *msg, const char *to, struct err *err)
{
	const struct sink print = {.feed = print_feed};
	struct smtp_rcpt rcpt = {.addr = to, .notify = "NEVER"};
	struct smtp_envelope envelope = {
		.sender = "", .size = msg_size(msg), .rcpts = &rcpt, .n = 1};
	struct smtp_outcome outcome = {0};
	struct smtp_port *port = NULL;
	enum rc rc = smtp_port_new_own(cli->conf, &port, err);

	if (rc == RC_NONE)
		rc = smtp_port_new(cli->conf, &port, err);
	if (rc == RC_NONE)
		return msg_write(msg, &print, err);
	if (rc == RC_OK)
		rc = smtp_send(port, &envelope, write_message, msg, clock_monotonic_ms() + SEND_MS,
			&outcome, err);
	if (rc == RC_OK && rcpt.code / 100 != 2) {
		err_set(err, ERR_PORT_REFUSED, "the port said %d %s %s", rcpt.code, rcpt.enhanced,
			rcpt.text);
		rc = rcpt.code / 100 == 5 ? RC_PERM : RC_TEMP;
	}
	smtp_port_free(&port);
	return rc;
}

static int
mail_report(struct expiring *e, const char *to)
{
	const struct spool_conf spool = {.dir = NULL, .memory = 8u << 20, .max = 8u << 20};
	struct msg *msg = NULL;
	struct err err = ERR_INIT;
	int status = EX_OK;
	enum rc rc = msg_new(&spool, &msg, &err);

	if (rc == RC_OK)
		rc = make_message(e, to, msg, &err);
	if (rc == RC_OK)
		rc = send_message(e->cli, msg, to, &err);
	if (rc != RC_OK) {
		status = cmd_fail(&err);
		status = rc == RC_TEMP ? EX_TEMPFAIL : status;
	}
	msg_free(&msg);
	return status;
}

static int
finish(struct expiring *e, const char *to)
{
	if (e->rc != RC_OK)
		return cmd_fail(&e->err);
	if (to)
		return e->count ? mail_report(e, to) : EX_OK;
	if (!e->cli->json) {
		fputs(buf_text(&e->list), stdout);
		if (e->left_out)
			printf("… and %zu more: --json has all\n", e->left_out);
		return EX_OK;
	}
	json_int(&e->json, "count", (int64_t)e->count);
	json_object_end(&e->json);
	return cmd_print_json(&e->json, EX_OK);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct expiring e = {.cli = cli, .err = ERR_INIT};
	const char *within = NULL, *mail = NULL;
	const struct cmd_opt opts[] = {{"within", OPT_VALUE, &within}, {"mail", OPT_VALUE, &mail}};
	char to[ADDR_MAX + 1] = "";
	int status;

	if (!cmd_parse(&key_expiring, cli, opts, 2, &argc, argv, &status))
		return status;
	if (argc > 1 || !within || !cmd_age(within, &e.within))
		return cmd_usage(&key_expiring, "--within is a time with a unit, such as 60d");
	if (mail && (addr_canonical(mail, strlen(mail), to, &e.err) != RC_OK || !addr_domain(to)))
		return cmd_usage(&key_expiring, "%s is no mail address", mail);
	if (!cmd_conf(&key_expiring, cli, &status))
		return status;
	if (admin_open(cli->conf, &e.session, &e.err) != RC_OK)
		return cmd_fail(&e.err);
	buf_init(&e.list, 1u << 20);
	buf_init(&e.text, 64u << 20);
	json_init(&e.json, &e.text);
	json_object(&e.json, NULL);
	json_int(&e.json, "v", 1);
	json_array(&e.json, "keys");
	status = key_each_due(e.session, e.within, each_key, &e);
	json_array_end(&e.json);
	if (status == EX_OK)
		status = look_at_cas(&e);
	if (status == EX_OK)
		status = finish(&e, mail ? to : NULL);
	admin_close(&e.session);
	buf_fini(&e.list);
	buf_fini(&e.text);
	return status;
}
