/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices from what a message came to, to the bytes that would be submitted. The messages are
 * compared with those in tests/unit/milter/notices, decoded; NOTICE_DUMP=DIR writes what was made,
 * so that somebody else's parser can be asked as well.
 */
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
static const char *dump_suffix = "";
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

static void work(struct notices *notices);

static enum rc
ask_language(void *ctx, const char *addr, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)addr;
	world.asked++;
	if (world.language_rc == RC_TEMP)
		return err_set(err, ERR_DIR_TIMEOUT, "down");
	return world.language ? buf_append_str(out, world.language, err) : RC_NONE;
}

static enum rc
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

static enum rc
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

static enum rc
is_known(void *ctx, const char *addr, struct err *err)
{
	(void)ctx;
	(void)err;
	return world.known && strcmp(addr, world.known) == 0 ? RC_OK : RC_NONE;
}

static int64_t
get_now(void *ctx)
{
	(void)ctx;
	return world.now;
}

static bool
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

static struct notices *
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

static void
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

static void
add(struct sample *s, const char *name, const char *value)
{
	struct err err = ERR_INIT;

	assert_int_equal(hdrs_insert(&s->hdrs, s->hdrs.n, name, value, &err), RC_OK);
}

static void
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

static void
sample_fini(struct sample *s)
{
	hdrs_fini(&s->hdrs);
	spool_free(&s->body);
}

/* What a reader sees: the same lines that the script beside this test prints. */
static void
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

static void
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

/* The last message sent is the one in the file NAME. */
static void
check_golden(const char *name)
{
	const char *src = getenv("SEALGATE_SRC"), *dump = getenv("NOTICE_DUMP");
	struct buf got = BUF_INIT(0), want = BUF_INIT(0), path = BUF_INIT(0);
	struct err err = ERR_INIT;

	render(&got);
	if (dump) {
		struct buf file = BUF_INIT(0);
		char *to;

		assert_int_equal(buf_appendf(&file, &err, "%s%s", name, dump_suffix), RC_OK);
		to = file_join(dump, buf_text(&file));
		assert_int_equal(
			file_write(to, world.message.data, world.message.len, 0600, &err), RC_OK);
		free(to);
		buf_fini(&file);
	}
	assert_int_equal(
		buf_appendf(&path, &err, "%s/tests/unit/milter/notices/%s", src ? src : ".", name),
		RC_OK);
	if (getenv("NOTICE_ACCEPT"))
		assert_int_equal(
			file_write(buf_text(&path), buf_text(&got), got.len, 0644, &err), RC_OK);
	assert_int_equal(file_read(buf_text(&path), &want, &err), RC_OK);
	CHECK_STR(name, buf_text(&got), buf_text(&want));
	buf_fini(&got);
	buf_fini(&want);
	buf_fini(&path);
}

static int
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
	dump_suffix = "";
	return 0;
}

static const struct notice_invitation invitation = {.rcpt = "carol@partner.example",
	.sender = "alice@org.example",
	.qid = "QID1",
	.rule = "must-encrypt"};

/* Each kind of message in one language. */
static void
golden_in(const char *tag, const char *preferred, const char *subject, const char *settings)
{
	struct notices *notices = notices_of(settings);
	struct notice_invitation invited = invitation;
	struct err err = ERR_INIT;
	struct sample s;
	char name[64];

	sample_init(&s, subject);
	invited.language = world.language = preferred;
	s.msg.n = 1;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	snprintf(name, sizeof(name), "refused.%s", tag);
	check_golden(name);
	s.msg.n = 2;
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	snprintf(name, sizeof(name), "failed.%s", tag);
	check_golden(name);
	s.msg.n = 1;
	s.msg.hdrs = NULL;
	s.msg.qid = NULL;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	snprintf(name, sizeof(name), "named.%s", tag);
	check_golden(name);
	assert_int_equal(notice_invite(notices, &invited, &err), RC_OK);
	work(notices);
	snprintf(name, sizeof(name), "invite.%s", tag);
	CHECK_STR(name, world.to, "carol@partner.example");
	check_golden(name);
	world.known = "carol@partner.example";
	world.now += DAY;
	work(notices);
	world.now = T0;
	snprintf(name, sizeof(name), "learned.%s", tag);
	CHECK_STR(name, world.to, "alice@org.example");
	check_golden(name);
	CHECK_INT(tag, world.sent, 5);
	CHECK_INT(tag, world.signed_count, 4);
	sample_fini(&s);
	notices_free(&notices);
}

static void
golden_english(void **state)
{
	(void)state;
	golden_in("en", "en", " Budget 2027", "sign = true;");
}

static void
golden_german(void **state)
{
	(void)state;
	golden_in("de", "de", " =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=", "sign = true;");
}

static void
golden_japanese(void **state)
{
	(void)state;
	organisation = "例示大学";
	golden_in("ja", "ja", " =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=", "sign = true;");
}

/* The same words in the other charset. */
static void
golden_iso_2022_jp(void **state)
{
	(void)state;
	organisation = "例示大学";
	dump_suffix = ".jis";
	golden_in("ja", "ja",
		" =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=", "sign = true; japanese = \"iso-2022-jp\";");
	assert_non_null(strstr(world.message.data, "charset=iso-2022-jp"));
	assert_non_null(strstr(world.message.data, "=?ISO-2022-JP?B?"));
	assert_null(strstr(world.message.data, "=?UTF-8?B?6"));
}

static void
both_languages(void **state)
{
	struct notices *notices = notices_of("sign = true; language = \"de+en\";");
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT(0);
	struct sample s;

	(void)state;
	sample_init(&s, NULL);
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	render(&text);
	assert_non_null(strstr(buf_text(&text),
		"Subject: Nicht gesendet: (kein Betreff) / Not sent: (no subject)\n"));
	assert_non_null(strstr(buf_text(&text), "nicht gesendet"));
	assert_non_null(strstr(buf_text(&text), "was not sent"));
	buf_fini(&text);
	sample_fini(&s);
	notices_free(&notices);
}

static void
notify(void **state)
{
	static const struct {
		const char *first, *second;
		int told;
	} cases[] = {{NULL, NULL, 2}, {"NEVER", NULL, 1}, {"NEVER", "NEVER", 0},
		{"SUCCESS", "DELAY", 0}, {"FAILURE", "NEVER", 1}, {"FAILURE,DELAY", "failure", 2},
		{"SUCCESS,DELAY", "SUCCESS,FAILURE", 1}};
	struct notices *notices = notices_of("per_day = 100;");
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sample s;
		struct buf text = BUF_INIT(0);

		sample_init(&s, " x");
		s.rcpts[0].notify = cases[i].first;
		s.rcpts[1].notify = cases[i].second;
		world.sent = 0;
		assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
		work(notices);
		CHECK_INT("report sent", world.sent, cases[i].told > 0);
		if (cases[i].told > 0) {
			render(&text);
			CHECK_INT("first", strstr(buf_text(&text), "rfc822; carol@") != NULL,
				!cases[i].first || strstr(cases[i].first, "FAILURE") != NULL);
			CHECK_INT("second", strstr(buf_text(&text), "rfc822; dave@") != NULL,
				!cases[i].second || strcasestr(cases[i].second, "FAILURE") != NULL);
			CHECK_STR("to", world.to, "alice@org.example");
		}
		world.sent = 0;
		CHECK_INT("notice kept", notice_refused(notices, &s.msg, &err),
			cases[i].told > 0 ? RC_OK : RC_NONE);
		work(notices);
		CHECK_INT("notice sent", world.sent, cases[i].told > 0);
		buf_fini(&text);
		sample_fini(&s);
	}
	notices_free(&notices);
}

/* Who is never told of a refusal. */
static void
silence(void **state)
{
	static const struct {
		const char *name, *sender, *identity, *precedence;
		bool ours;
		unsigned classes;
		enum rc want;
	} cases[] = {{"plain", "alice@org.example", "alice", NULL, true, CLASS_PLAIN, RC_OK},
		{"null sender", "", "alice", NULL, true, 0, RC_NONE},
		{"nobody logged in", "alice@org.example", NULL, NULL, true, 0, RC_NONE},
		{"not ours", "x@elsewhere.example", "alice", NULL, false, 0, RC_NONE},
		{"list", "alice@org.example", "alice", NULL, true, CLASS_LIST, RC_NONE},
		{"auto-reply", "alice@org.example", "alice", NULL, true, CLASS_AUTO_REPLY, RC_NONE},
		{"report", "alice@org.example", "alice", NULL, true, CLASS_REPORT, RC_NONE},
		{"bulk", "alice@org.example", "alice", " Bulk", true, 0, RC_NONE},
		{"first-class", "alice@org.example", "alice", " first-class", true, 0, RC_OK}};
	struct notices *notices = notices_of("");
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sample s;

		sample_init(&s, " x");
		if (cases[i].precedence)
			add(&s, "Precedence", cases[i].precedence);
		s.msg.sender = cases[i].sender;
		s.msg.identity = cases[i].identity;
		s.msg.ours = cases[i].ours;
		s.msg.classes = cases[i].classes;
		CHECK_INT(cases[i].name, notice_refused(notices, &s.msg, &err), cases[i].want);
		sample_fini(&s);
	}
	work(notices);
	assert_int_equal(world.sent, 2);
	notices_free(&notices);
	notices = notices_of("on_refusal = false;");
	{
		struct sample s;

		sample_init(&s, " x");
		assert_int_equal(notice_refused(notices, &s.msg, &err), RC_NONE);
		s.msg.sender = "";
		assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
		work(notices);
		assert_int_equal(world.sent, 2);
		sample_fini(&s);
	}
	notices_free(&notices);
}

/* So many in 24 hours for the same cause and rule; a restart forgets nothing. */
static void
limits(void **state)
{
	struct notices *notices = notices_of("per_day = 2;");
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	world.now += 3600;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_NONE);
	notices_free(&notices);
	notices = notices_of("per_day = 2;");
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_NONE);
	s.rcpts[0].rule = "another";
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	s.msg.sender = "bob@org.example";
	s.rcpts[0].rule = "must-encrypt";
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	s.msg.sender = "alice@org.example";
	world.now = T0 + DAY - 1;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_NONE);
	world.now = T0 + DAY;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_NONE);
	/* Reports are not limited: nobody else says it. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_int_equal(world.sent, 10);
	sample_fini(&s);
	notices_free(&notices);
}

static void
invitations(void **state)
{
	static const char *const machines[] = {"", "noreply@x.example", "No-Reply@x.example",
		"mailer-daemon@x.example", "owner-list@x.example", "list-request@x.example",
		"news-bounces@x.example", "postmaster@x.example", "bounce+1@x.example"};
	static const unsigned classes[] = {CLASS_LIST, CLASS_REPORT, CLASS_AUTO_REPLY};
	struct notices *notices =
		notices_of("sign = true; invite_interval = \"30d\"; invite_per_day = 3;");
	struct notice_invitation i = invitation;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t k = 0; k < sizeof(machines) / sizeof(*machines); k++) {
		i.rcpt = machines[k];
		CHECK_INT(machines[k], notice_invite(notices, &i, &err), RC_NONE);
	}
	i = invitation;
	for (size_t k = 0; k < 3; k++) {
		i.classes = classes[k];
		assert_int_equal(notice_invite(notices, &i, &err), RC_NONE);
	}
	i = invitation;
	i.sender = "";
	assert_int_equal(notice_invite(notices, &i, &err), RC_NONE);
	i = invitation;
	assert_int_equal(notice_invite(notices, &i, &err), RC_OK);
	assert_int_equal(notice_invite(notices, &i, &err), RC_NONE);
	i.rcpt = "CAROL@partner.example";
	assert_int_equal(notice_invite(notices, &i, &err), RC_NONE);
	i.rcpt = "dave@partner.example";
	assert_int_equal(notice_invite(notices, &i, &err), RC_OK);
	i.rcpt = "eve@partner.example";
	assert_int_equal(notice_invite(notices, &i, &err), RC_OK);
	i.rcpt = "frank@partner.example"; /* the fourth of the day */
	assert_int_equal(notice_invite(notices, &i, &err), RC_NONE);
	world.now += DAY;
	assert_int_equal(notice_invite(notices, &i, &err), RC_OK);
	world.now = T0 + 30 * DAY - 1;
	assert_int_equal(notice_invite(notices, &invitation, &err), RC_NONE);
	world.now++;
	assert_int_equal(notice_invite(notices, &invitation, &err), RC_OK);
	work(notices);
	assert_int_equal(world.sent, 5);
	assert_int_equal(world.signed_count, 5);
	notices_free(&notices);
	notices = notices_of("");
	i.rcpt = "grace@partner.example";
	assert_int_equal(notice_invite(notices, &i, &err), RC_NONE);
	notices_free(&notices);
}

/* Whoever waits is told once, whoever does not is not; many are told, in bounds. */
static void
news(void **state)
{
	struct notices *notices = notices_of(
		"sign = true; check_interval = 60; wait_entries = 25; wait_age = \"30d\";");
	struct notice_invitation i = invitation;
	struct err err = ERR_INIT;
	char sender[64];

	(void)state;
	for (int k = 0; k < 30; k++) { /* 20 are remembered for one correspondent */
		snprintf(sender, sizeof(sender), "p%02d@org.example", k);
		i.sender = sender;
		world.now++;
		(void)notice_invite(notices, &i, &err);
	}
	work(notices);
	assert_int_equal(world.sent, 1);
	world.known = "carol@partner.example";
	work(notices); /* not yet: the interval */
	assert_int_equal(world.sent, 1);
	world.now += 60;
	work(notices);
	assert_int_equal(world.sent, 21);
	assert_string_equal(world.to, "p29@org.example");
	world.now += 60;
	work(notices);
	assert_int_equal(world.sent, 21);
	/* Too long ago. */
	i.rcpt = world.known = "dave@partner.example";
	assert_int_equal(notice_invite(notices, &i, &err), RC_OK);
	world.known = NULL;
	work(notices);
	world.now += 31 * DAY;
	work(notices);
	world.known = "dave@partner.example";
	world.now += 61;
	work(notices);
	assert_int_equal(world.sent, 22);
	notices_free(&notices);
}

static void
trouble(void **state)
{
	struct notices *notices = notices_of("sign = true; outbox_age = \"1d\";");
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	s.msg.n = 1;
	world.send_rc = RC_TEMP;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	world.send_rc = RC_OK;
	work(notices); /* not due */
	assert_int_equal(world.sent, 0);
	notices_free(&notices); /* a restart loses nothing */
	notices = notices_of("sign = true; outbox_age = \"1d\";");
	world.now += 60;
	work(notices);
	assert_int_equal(world.sent, 1);
	/* A directory that is down is waited for, but not for ever. */
	world.language_rc = RC_TEMP;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	for (int i = 0; i < 3; i++) {
		work(notices);
		world.now += 3600;
	}
	assert_int_equal(world.sent, 2);
	world.language_rc = RC_OK;
	/* What cannot be signed now waits; for good, it goes out unsigned. */
	world.sign_rc = RC_TEMP;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_int_equal(world.sent, 2);
	world.sign_rc = RC_PERM;
	world.now += 3600;
	work(notices);
	assert_int_equal(world.sent, 3);
	assert_null(strstr(world.message.data, "X-Signed"));
	/* An invitation never does. */
	assert_int_equal(notice_invite(notices, &invitation, &err), RC_OK);
	work(notices);
	world.sign_rc = RC_OK;
	world.now += 2 * 3600;
	work(notices);
	assert_int_equal(world.sent, 3);
	/* Refused for good, or too old: given up. */
	world.send_rc = RC_PERM;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	world.send_rc = RC_TEMP;
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	for (int i = 0; i < 40; i++) {
		work(notices);
		world.now += 3600;
	}
	world.send_rc = RC_OK;
	world.now += 3600;
	work(notices);
	assert_int_equal(world.sent, 3);
	sample_fini(&s);
	notices_free(&notices);
}

/* A port that is down is not knocked at for each of a thousand. */
static void
many_while_down(void **state)
{
	struct notices *notices = notices_of("per_day = 100; outbox_entries = 100;");
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	for (int i = 0; i < 10; i++)
		assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	world.send_rc = RC_TEMP;
	work(notices);
	assert_int_equal(world.asked, 3);
	world.send_rc = RC_OK;
	work(notices);
	assert_int_equal(world.sent, 7);
	world.now += 60;
	work(notices);
	assert_int_equal(world.sent, 10);
	sample_fini(&s);
	notices_free(&notices);
}

/* Two processes share the file: what one is about to send the other leaves alone. */
static void
two_processes(void **state)
{
	struct notices *one = notices_of("per_day = 100;"), *two = notices_of("per_day = 100;");
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	for (int i = 0; i < 10; i++)
		assert_int_equal(notice_refused(i % 2 ? one : two, &s.msg, &err), RC_OK);
	world.other = two;
	work(one);
	assert_int_equal(world.sent, 10);
	work(two);
	assert_int_equal(world.sent, 10);
	sample_fini(&s);
	notices_free(&one);
	notices_free(&two);
}

/* What a mail says breaks out of nothing. */
static void
hostile(void **state)
{
	struct notices *notices = notices_of("");
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT(0);
	struct sample s;

	(void)state;
	sample_init(&s, " =?UTF-8?Q?a=0D=0ABcc:_evil@x.example=0D=0A=0D=0A--=3D=5Fx?= %{url}");
	hdrs_remove(&s.hdrs, 4);
	add(&s, "Message-ID", " <1@x>\n\tBcc: evil@x.example");
	add(&s, "X-Raw", " caf\xe9 \x1b$B");
	add(&s, "X-Sealgate-Stamp", " keyed");
	s.rcpts[0].message = "line\r\nBcc: evil@x.example";
	s.rcpts[1].text = "no\r\n\r\nBcc: evil@x.example";
	s.rcpts[1].orcpt = "rfc822;a+0D+0ABcc: evil@x.example";
	s.msg.envid = "x+0D+0ABcc: evil@x.example";
	s.msg.qid = "Q\r\nBcc: evil@x.example";
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_int_equal(world.sent, 1);
	render(&text);
	assert_null(strstr(buf_text(&text), "\nBcc:"));
	assert_null(strstr(world.message.data, "\nBcc:"));
	assert_null(strstr(buf_text(&text), "In-Reply-To:"));
	assert_null(strstr(buf_text(&text), "X-Sealgate-Stamp"));
	assert_non_null(strstr(buf_text(&text), "%{url}"));
	assert_non_null(strstr(buf_text(&text), "X-Raw: caf\xe9 \x1b$B"));
	for (size_t i = 0; i < world.message.len; i++)
		assert_true((unsigned char)world.message.data[i] < 128);
	buf_clear(&text);
	assert_int_equal(notice_refused(notices, &s.msg, &err), RC_OK);
	work(notices);
	render(&text);
	assert_null(strstr(world.message.data, "\nBcc:"));
	assert_null(strstr(buf_text(&text), "\nBcc:"));
	buf_fini(&text);
	sample_fini(&s);
	notices_free(&notices);
}

static void
international(void **state)
{
	struct notices *notices = notices_of("");
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " Grüße");
	s.rcpts[0].addr = "dörte@partner.example";
	s.rcpts[0].orcpt = NULL;
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_false(world.smtputf8);
	assert_non_null(strstr(world.message.data, "message/delivery-status"));
	assert_non_null(strstr(world.message.data, "utf-8; d\\x{F6}rte@partner.example"));
	s.msg.smtputf8 = true;
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_true(world.smtputf8);
	assert_non_null(strstr(world.message.data, "message/global-delivery-status"));
	assert_non_null(strstr(world.message.data, "message/global-headers"));
	assert_non_null(strstr(world.message.data, "utf-8; dörte@partner.example"));
	assert_non_null(strstr(world.message.data, "Subject: Grüße\r\n"));
	sample_fini(&s);
	notices_free(&notices);
}

/* The whole message goes back when asked for, allowed and nothing secret; never into the file. */
static void
whole_message(void **state)
{
	static const struct {
		const char *ret;
		bool secret, allowed, full;
	} cases[] = {{"FULL", false, true, true}, {"full", false, true, true},
		{"HDRS", false, true, false}, {NULL, false, true, false},
		{"FULL", true, true, false}, {"FULL", false, false, false}};
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct notices *notices = notices_of(cases[i].allowed ? "return_full = true;" : "");

		s.msg.ret = cases[i].ret;
		s.msg.secret = cases[i].secret;
		world.sent = 0;
		assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
		CHECK_INT("at once", world.sent, cases[i].full);
		work(notices);
		CHECK_INT("sent", world.sent, 1);
		CHECK_INT("body", strstr(world.message.data, "the secret plan") != NULL,
			cases[i].full);
		CHECK_INT("type", strstr(world.message.data, "message/rfc822\r\n") != NULL,
			cases[i].full);
		notices_free(&notices);
	}
	{
		struct notices *notices = notices_of("return_full = true;");

		s.msg.ret = "FULL";
		s.msg.secret = false;
		world.send_rc = RC_TEMP;
		assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
		world.send_rc = RC_OK;
		world.sent = 0;
		work(notices);
		assert_int_equal(world.sent, 1);
		assert_null(strstr(world.message.data, "the secret plan"));
		notices_free(&notices);
	}
	sample_fini(&s);
}

static void
many_recipients(void **state)
{
	enum { N = 2 * NOTICE_MAX_RCPTS + 200 };
	struct notices *notices = notices_of("outbox_entries = 4;");
	struct notice_rcpt *rcpts = calloc(N, sizeof(*rcpts));
	char(*addrs)[40] = calloc(N, sizeof(*addrs));
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	for (int i = 0; i < N; i++) {
		snprintf(addrs[i], sizeof(addrs[i]), "r%d@partner.example", i);
		rcpts[i] = (struct notice_rcpt){.addr = addrs[i], .code = 550};
		if (i % 2)
			rcpts[i].notify = "FAILURE";
	}
	s.msg.rcpts = rcpts;
	s.msg.n = N;
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_int_equal(world.sent, 3);
	assert_non_null(strstr(world.message.data, "r1199@partner.example"));
	assert_null(strstr(world.message.data, "r999@partner.example"));
	assert_non_null(strstr(world.message.data, "and 150 more recipients"));
	/* No room in the outbox: deferred, not lost. */
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_TEMP);
	free(rcpts);
	free(addrs);
	sample_fini(&s);
	notices_free(&notices);
}

/* A damaged file defers once, is put aside, and a new one is made; a deleted one at once. */
static void
broken_store(void **state)
{
	struct notices *notices = notices_of("");
	char *path = file_join(dir, "notices.db");
	struct certstore *certs = NULL;
	struct stat st;
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_init(&s, " x");
	assert_int_equal(
		file_write(path, "this is no database, it is 16 bytes and more", 44, 0600, &err),
		RC_OK);
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_TEMP);
	assert_int_equal(err.code, ERR_NOTICES);
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	work(notices);
	assert_int_equal(world.sent, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(notice_failed(notices, &s.msg, &err), RC_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	work(notices);
	assert_int_equal(world.sent, 2);
	/* Somebody else's database is left alone. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(certstore_open(path, true, &certs, &err), RC_OK);
	certstore_close(&certs);
	for (int i = 0; i < 2; i++)
		assert_int_equal(notice_failed(notices, &s.msg, &err), RC_TEMP);
	assert_int_equal(certstore_open(path, false, &certs, &err), RC_OK);
	certstore_close(&certs);
	notices_free(&notices);
	sample_fini(&s);
	free(path);
}

static void
settings(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {{"language = \"fr\";", "there is no text in fr"},
		{"from = \"nobody\";", "is no mail address"},
		{"templates = \"nowhere\";", "nowhere"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf text = BUF_INIT(0);
		struct conf *conf = NULL;
		struct notices *notices = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(buf_appendf(&text, &err,
					 "organisation = { domains = [\".org.example\"]; };"
					 "services = ( { name = \"all\"; socket = \"unix:x\"; } );"
					 "notices = { %s };",
					 cases[i].text),
			RC_OK);
		assert_int_equal(conf_parse(buf_text(&text), "test.conf", dir, &conf, &err), RC_OK);
		CHECK_INT(cases[i].text, notices_new(conf, &notices, &err), RC_PERM);
		CHECK_INT(cases[i].text, err.code, ERR_CONFIG);
		if (!strstr(err.detail, cases[i].want))
			fail_msg("%s: \"%s\"", cases[i].text, err.detail);
		conf_unref(&conf);
		buf_fini(&text);
	}
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	reset(state);
	return rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(golden_english),
		TEST(golden_german),
		TEST(golden_iso_2022_jp),
		TEST(golden_japanese),
		TEST(both_languages),
		TEST(notify),
		TEST(silence),
		TEST(limits),
		TEST(invitations),
		TEST(news),
		TEST(trouble),
		TEST(many_while_down),
		TEST(two_processes),
		TEST(hostile),
		TEST(international),
		TEST(whole_message),
		TEST(many_recipients),
		TEST(broken_store),
		TEST(settings),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
