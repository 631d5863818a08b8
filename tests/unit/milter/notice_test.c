/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices from what a message came to, to the bytes that would be submitted. The messages are
 * compared with those in tests/unit/milter/notices, decoded; NOTICE_DUMP=DIR writes what was made,
 * so that somebody else's parser can be asked as well.
 */
#include "tests/unit/milter/notice_world.h"

static const char *dump_suffix = "";

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
	dump_suffix = "";
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(golden_english),
		TEST(golden_german),
		TEST(golden_iso_2022_jp),
		TEST(golden_japanese),
		TEST(both_languages),
		TEST(hostile),
		TEST(international),
		TEST(whole_message),
		TEST(many_recipients),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
