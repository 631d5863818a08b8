/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is told, how often, and what becomes of it when something fails.
 */
#include "tests/unit/milter/notice_world.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(notify),
		TEST(silence),
		TEST(limits),
		TEST(invitations),
		TEST(news),
		TEST(trouble),
		TEST(many_while_down),
		TEST(two_processes),
		TEST(broken_store),
		TEST(settings),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
