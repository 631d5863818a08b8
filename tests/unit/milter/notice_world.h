/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_world.h - notices of a configuration, with an outside that the test decides
 */
#ifndef TESTS_UNIT_MILTER_NOTICE_WORLD_H
#define TESTS_UNIT_MILTER_NOTICE_WORLD_H

#include "milter/notice_work.h"

#include "base/clock.h"
#include "base/file.h"
#include "directory/certstore.h"
#include "message/charset.h"
#include "message/classify.h"
#include "message/mime.h"
#include "milter/notice_store.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0  1795300443 /* Sat, 21 Nov 2026 22:34:03 UTC */
#define DAY 86400

static const char *organisation = "Universität Beispiel";
static char dir[] = "/tmp/notice_test.XXXXXX";

/* The outside. */
static struct {
	int64_t now;
	const char *language; /* NULL: the person has none */
	enum rc language_rc, send_rc, sign_rc;
	const char *known; /* address with a certificate */
	int sent, signed_count, asked;
	struct notices *other; /* another process, which works while this one sends */
	struct buf message;    /* the last one */
	char to[1100];
	bool smtputf8;
} world;

static inline void work(struct notices *notices);

static inline enum rc
ask_language(void *ctx, const char *addr, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)addr;
	world.asked++;
	if (world.language_rc == RC_TEMP)
		return err_set(err, ERR_DIR_TIMEOUT, "down");
	return world.language ? buf_append_str(out, world.language, err) : RC_NONE;
}

static inline enum rc
do_sign(void *ctx, struct msg *msg, const char *from, const char *to, const char *rule,
	struct err *err)
{
	(void)ctx;
	(void)from;
	(void)to;
	(void)rule;
	if (world.sign_rc == RC_PERM)
		return err_set(err, ERR_VAULT_NO_KEY, "no key");
	if (world.sign_rc == RC_TEMP)
		return err_set(err, ERR_VAULT_DOWN, "down");
	world.signed_count++;
	return hdrs_insert(&msg->hdrs, 0, "X-Signed", " yes", err);
}

static inline enum rc
do_send(void *ctx, struct msg *msg, const char *to, bool smtputf8, struct err *err)
{
	struct sink sink = sink_to_buf(&world.message);

	(void)ctx;
	if (world.send_rc == RC_TEMP)
		return err_set(err, ERR_TIMEOUT, "port is down");
	if (world.send_rc == RC_PERM)
		return err_set(err, ERR_POLICY_REFUSED, "550 no");
	if (world.other) {
		struct notices *other = world.other;

		world.other = NULL;
		work(other);
	}
	world.sent++;
	snprintf(world.to, sizeof(world.to), "%s", to);
	world.smtputf8 = smtputf8;
	buf_clear(&world.message);
	return msg_write(msg, &sink, err);
}

static inline enum rc
is_known(void *ctx, const char *addr, struct err *err)
{
	(void)ctx;
	(void)err;
	return world.known && strcmp(addr, world.known) == 0 ? RC_OK : RC_NONE;
}

static inline int64_t
get_now(void *ctx)
{
	(void)ctx;
	return world.now;
}

static inline bool
never_stop(void *ctx)
{
	(void)ctx;
	return false;
}

static const struct notice_ops ops = {.language = ask_language,
	.sign = do_sign,
	.send = do_send,
	.known = is_known,
	.now = get_now};

static inline struct notices *
notices_of(const char *settings)
{
	struct buf text = BUF_INIT(0);
	struct conf *conf = NULL;
	struct notices *notices = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(
		buf_appendf(&text, &err,
			"organisation = { name = \"%s\"; domains = "
			"[\"org.example\"]; help_url = \"https://help.org.example/mail\"; };"
			"services = ( { name = \"all\"; socket = \"unix:x\"; } );"
			"notices = { store = \"%s/notices.db\"; %s };",
			organisation, dir, settings),
		RC_OK);
	if (conf_parse(buf_text(&text), "test.conf", dir, &conf, &err) != RC_OK ||
		notices_new(conf, &notices, &err) != RC_OK)
		fail_msg("%s", err.detail);
	notices_attach(notices, &ops, NULL);
	conf_unref(&conf);
	buf_fini(&text);
	return notices;
}

static inline void
work(struct notices *notices)
{
	struct err err = ERR_INIT;

	if (notices_work(notices, never_stop, NULL, &err) != RC_OK)
		fail_msg("work: %s", err.detail);
}

/* The message that things are said about. */
struct sample {
	struct hdrs hdrs;
	struct spool *body;
	struct notice_rcpt rcpts[3];
	struct notice_message msg;
};

static inline void
add(struct sample *s, const char *name, const char *value)
{
	struct err err = ERR_INIT;

	assert_int_equal(hdrs_insert(&s->hdrs, s->hdrs.n, name, value, &err), RC_OK);
}

static inline void
sample_init(struct sample *s, const char *subject)
{
	const struct spool_conf conf = {.memory = 65536};
	struct err err = ERR_INIT;

	memset(s, 0, sizeof(*s));
	hdrs_init(&s->hdrs);
	add(s, "From", " Alice <alice@org.example>");
	add(s, "To", " carol@partner.example");
	if (subject)
		add(s, "Subject", subject);
	add(s, "Date", " Sat, 21 Nov 2026 23:30:00 +0100");
	add(s, "Message-ID", " <1@org.example>");
	assert_int_equal(spool_new(&conf, &s->body, &err), RC_OK);
	assert_int_equal(spool_append(s->body, "the secret plan\r\n", 17, &err), RC_OK);
	s->rcpts[0] = (struct notice_rcpt){.addr = "carol@partner.example",
		.orcpt = "rfc822;Carol@partner.example",
		.cause = ERR_POLICY_NO_CERT,
		.code = 550,
		.enhanced = "5.7.1",
		.text = "This message must be encrypted",
		.rule = "must-encrypt"};
	s->rcpts[1] = (struct notice_rcpt){.addr = "dave@partner.example",
		.code = 550,
		.enhanced = "5.1.1",
		.text = "<dave@partner.example>: no such user",
		.message = "Ask Bob."};
	s->msg = (struct notice_message){.qid = "QID1",
		.sender = "alice@org.example",
		.identity = "alice",
		.ours = true,
		.envid = "QQ+2B314",
		.arrival = T0 - 60,
		.hdrs = &s->hdrs,
		.body = s->body,
		.rcpts = s->rcpts,
		.n = 2};
}

static inline void
sample_fini(struct sample *s)
{
	hdrs_fini(&s->hdrs);
	spool_free(&s->body);
}

/* What a reader sees: the same lines that the script beside this test prints. */
static inline void
render_entity(const struct entity *entity, struct spool *body, struct buf *out)
{
	struct err err = ERR_INIT;
	const char *charset = ctype_param(&entity->ctype, "charset");
	const char *report = ctype_param(&entity->ctype, "report-type");
	struct buf text = BUF_INIT(0);
	struct sink sink = sink_to_buf(&text);

	assert_int_equal(buf_appendf(out, &err, "== %s%s%s\n", entity->ctype.type,
				 report ? " " : "", report ? report : ""),
		RC_OK);
	for (size_t i = 0; i < entity->n; i++)
		render_entity(entity->parts[i], body, out);
	if (strncmp(entity->ctype.type, "multipart/", 10) == 0)
		return;
	assert_int_equal(entity_decode(entity, body, &sink, &err), RC_OK);
	if (charset && strcmp(charset, "iso-2022-jp") == 0) {
		struct buf decoded = BUF_INIT(0);

		assert_int_equal(charset_decode(charset, strlen(charset), buf_text(&text), text.len,
					 &decoded, &err),
			RC_OK);
		buf_fini(&text);
		text = decoded;
	}
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] != '\r')
			assert_int_equal(buf_append_char(out, text.data[i], &err), RC_OK);
	if (text.len && text.data[text.len - 1] != '\n')
		assert_int_equal(buf_append_char(out, '\n', &err), RC_OK);
	buf_fini(&text);
}

static inline void
render(struct buf *out)
{
	static const char *const names[] = {"From", "To", "Reply-To", "Subject", "Date",
		"In-Reply-To", "References", "Auto-Submitted", "X-Signed"};
	const struct spool_conf conf = {.memory = 65536};
	struct hdrs hdrs;
	struct spool *body = NULL;
	struct entity *root = NULL;
	struct err err = ERR_INIT;
	size_t used = 0;

	assert_int_equal(
		hdrs_parse(world.message.data, world.message.len, &hdrs, &used, &err), RC_OK);
	assert_int_equal(spool_new(&conf, &body, &err), RC_OK);
	assert_int_equal(
		spool_append(body, world.message.data + used, world.message.len - used, &err),
		RC_OK);
	assert_int_equal(mime_parse(&hdrs, body, &root, &err), RC_OK);
	assert_int_equal(hdrs_count(&hdrs, "Message-ID"), 1);
	assert_int_equal(hdrs_count(&hdrs, "MIME-Version"), 1);
	assert_int_equal(entity_flags(root) & (MIME_BAD_TYPE | MIME_UNCLOSED | MIME_LONG_LINE), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct hdr *hdr = hdrs_find(&hdrs, names[i], 0);

		assert_true(hdrs_count(&hdrs, names[i]) <= 1);
		if (!hdr)
			continue;
		assert_int_equal(buf_appendf(out, &err, "%s: ", names[i]), RC_OK);
		assert_int_equal(hdr_decode(hdr, out, &err), RC_OK);
		assert_int_equal(buf_append_char(out, '\n', &err), RC_OK);
	}
	render_entity(root, body, out);
	entity_free(&root);
	spool_free(&body);
	hdrs_fini(&hdrs);
}

static inline int
reset(void **state)
{
	const struct dirent *entry;
	DIR *d = opendir(dir);

	(void)state;
	while (d && (entry = readdir(d)) != NULL) {
		char *path = file_join(dir, entry->d_name);

		unlink(path);
		free(path);
	}
	closedir(d);
	buf_fini(&world.message);
	memset(&world, 0, sizeof(world));
	world.now = T0;
	organisation = "Universität Beispiel";
	return 0;
}

static const struct notice_invitation invitation = {.rcpt = "carol@partner.example",
	.sender = "alice@org.example",
	.qid = "QID1",
	.rule = "must-encrypt"};

static inline int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static inline int
remove_dir(void **state)
{
	reset(state);
	return rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

#endif
