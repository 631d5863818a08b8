/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/policy.h"

#include "message/addr.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BASE                                                                     \
	"organisation = { domains = [ \"example.org\", \".example.org\" ]; };\n" \
	"services = ( { name = \"all\"; socket = \"unix:a\"; }, "                \
	"{ name = \"hop\"; socket = \"unix:b\"; } );\n"

static enum rc
compile(const char *text, struct policy **out, struct err *err)
{
	struct conf *conf;
	char *whole = malloc(strlen(BASE) + strlen(text) + 1);
	enum rc rc;

	*out = NULL;
	strcpy(whole, BASE);
	strcat(whole, text);
	rc = conf_parse(whole, "test.conf", "/", &conf, err);
	free(whole);
	if (rc != RC_OK)
		return rc;
	rc = policy_compile(conf, out, err);
	conf_unref(&conf);
	return rc;
}

/* A message that a case changes in one place: what is named again after the defaults is meant. */
#pragma GCC diagnostic ignored "-Woverride-init"
struct mail {
	const char *rcpt;
	enum direction direction;
	unsigned classes;
	enum tri authorised;
	const char *sender, *from, *identity, *service;
	uint64_t size;
	const char *header, *value;
	enum tri known, proven, sealed, leaves;
	bool stamped; /* with a stamp that nobody can make anything of */
	bool unread;  /* a From: that can't be read */
};

#define MAIL(...)                                                                                  \
	{                                                                                          \
		.rcpt = "carol@partner.test", .direction = DIR_OUTBOUND, .classes = CLASS_PLAIN,   \
		.authorised = TRI_YES, .sender = "alice@example.org", .from = "alice@example.org", \
		.identity = "alice@example.org", .service = "all", .size = 1000,                   \
		.known = TRI_UNKNOWN, .proven = TRI_UNKNOWN, __VA_ARGS__                           \
	}

static void
decide(const struct policy *policy, const char *name, const struct mail *mail, struct decision *out)
{
	struct hdrs hdrs;
	char *from[] = {(char *)(uintptr_t)mail->from};
	struct addrlist list = {.v = from, .n = 1};
	struct msg_facts facts = {.service = mail->service,
		.sender = mail->sender,
		.from = &list,
		.from_unread = mail->unread,
		.hdrs = &hdrs,
		.identity = mail->identity,
		.identity_unknown = mail->stamped,
		.authorised = mail->authorised,
		.size = mail->size,
		.classes = mail->classes};
	struct rcpt_facts rcpt = {.addr = mail->rcpt,
		.direction = mail->direction,
		.cert_known = mail->known,
		.cert_proven = mail->proven,
		.sealed = mail->sealed,
		.leaves = mail->leaves};
	struct policy_view *view;
	struct err err = ERR_INIT;

	hdrs_init(&hdrs);
	if (mail->header)
		assert_int_equal(hdrs_add(&hdrs, mail->header, strlen(mail->header), mail->value,
					 strlen(mail->value), NULL),
			RC_OK);
	if (policy_view_new(policy, &facts, &view, &err) != RC_OK ||
		policy_decide(view, &rcpt, out, &err) != RC_OK)
		fail_msg("%s: %s", name, err.detail);
	policy_view_free(&view);
	hdrs_fini(&hdrs);
}

static const struct {
	const char *want;
	struct mail mail;
} shipped[] = {
	{"shipped-outbound", MAIL()},
	{"shipped-internal", MAIL(.direction = DIR_INTERNAL, .rcpt = "bob@example.org")},
	{"shipped-inbound", MAIL(.direction = DIR_INBOUND, .authorised = TRI_NO)},
	{"shipped-rest", MAIL(.authorised = TRI_NO)},
	{"shipped-signed", MAIL(.classes = CLASS_SIGNED, .sealed = TRI_YES)},
	{"shipped-signed",
		MAIL(.classes = CLASS_ENVELOPED, .sealed = TRI_YES, .direction = DIR_INTERNAL)},
	{"shipped-outbound", MAIL(.classes = CLASS_SIGNED)}, /* only says so */
	{"shipped-outbound", MAIL(.classes = CLASS_ENVELOPED)},
	{"shipped-pgp", MAIL(.classes = CLASS_ENVELOPED | CLASS_PGP)},
	{"shipped-inbound",
		MAIL(.classes = CLASS_ENVELOPED | CLASS_LIST, .direction = DIR_INBOUND)},
	{"shipped-pgp", MAIL(.classes = CLASS_PGP)},
	{"shipped-calendar", MAIL(.classes = CLASS_PLAIN | CLASS_CALENDAR)},
	{"shipped-tnef", MAIL(.classes = CLASS_PLAIN | CLASS_TNEF)},
	{"shipped-report", MAIL(.classes = CLASS_PLAIN | CLASS_REPORT)},
	{"shipped-list", MAIL(.classes = CLASS_PLAIN | CLASS_LIST)},
	{"shipped-auto-reply", MAIL(.classes = CLASS_PLAIN | CLASS_AUTO_REPLY)},
	{"shipped-outbound", MAIL(.classes = CLASS_PLAIN | CLASS_DKIM_SIGNED)},
	{"shipped-dkim", MAIL(.classes = CLASS_PLAIN | CLASS_DKIM_SIGNED | CLASS_DKIM_OWN)},
};

static void
test_shipped(void **state)
{
	struct policy *policy;
	struct decision d;

	(void)state;
	assert_int_equal(compile("", &policy, NULL), RC_OK);
	for (size_t i = 0; i < sizeof(shipped) / sizeof(*shipped); i++) {
		decide(policy, shipped[i].want, &shipped[i].mail, &d);
		CHECK_STR(shipped[i].want, rule_name(d.rule), shipped[i].want);
		CHECK_INT(shipped[i].want, d.known, TRI_YES);
		CHECK_INT(shipped[i].want, rule_line(d.rule), 0);
	}
	assert_true(policy_needs_certs(policy, DIR_OUTBOUND));
	assert_false(policy_needs_certs(policy, DIR_INBOUND));
	assert_false(policy_needs_certs(policy, DIR_INTERNAL));
	assert_true(policy_needs_sealed(policy, DIR_OUTBOUND));
	assert_true(policy_needs_sealed(policy, DIR_INTERNAL));
	assert_false(policy_needs_sealed(policy, DIR_INBOUND));
	assert_int_equal(policy_direction(policy, true, "x@sub.example.org"), DIR_INTERNAL);
	assert_int_equal(policy_direction(policy, false, "x@example.org"), DIR_INBOUND);
	assert_int_equal(policy_direction(policy, false, "x@partner.test"), DIR_OUTBOUND);
	/* Postfix and Sendmail take our domain off and send to what is left. */
	assert_int_equal(
		policy_direction(policy, true, "x%partner.test@example.org"), DIR_OUTBOUND);
	assert_int_equal(
		policy_direction(policy, true, "partner.test!x@example.org"), DIR_OUTBOUND);
	assert_int_equal(
		policy_direction(policy, true, "\"x@partner.test\"@example.org"), DIR_OUTBOUND);
	assert_int_equal(policy_direction(policy, true, "o'x+y=z@example.org"), DIR_INTERNAL);
	policy_free(&policy);
}

/* One rule of one criterion; does it match? */
static const struct {
	const char *criterion;
	enum tri want;
	struct mail mail;
} criteria[] = {
	{"services = \"all\";", TRI_YES, MAIL()},
	{"services = [\"hop\"];", TRI_NO, MAIL()},
	{"services = [\"hop\", \"all\"];", TRI_YES, MAIL()},
	{"direction = \"outbound\";", TRI_YES, MAIL()},
	{"direction = [\"inbound\", \"internal\"];", TRI_NO, MAIL()},
	{"senders = \"@example.org\";", TRI_YES, MAIL()},
	{"senders = \"@Example.ORG\";", TRI_YES, MAIL()},
	{"senders = \".example.org\";", TRI_NO, MAIL()},
	{"senders = \".example.org\";", TRI_YES, MAIL(.sender = "x@a.b.example.org")},
	{"senders = [\"bob@example.org\", \"ALICE@example.org\"];", TRI_YES, MAIL()},
	{"senders = \"<>\";", TRI_NO, MAIL()},
	{"senders = \"<>\";", TRI_YES, MAIL(.sender = "")},
	{"senders = \"*\";", TRI_YES, MAIL(.sender = "")},
	{"recipients = \"carol@partner.test\";", TRI_YES, MAIL()},
	{"recipients = \"@partner.test\";", TRI_YES, MAIL(.rcpt = "X@partner.test")},
	{"recipients = \"@partner.test\";", TRI_NO, MAIL(.rcpt = "x@a.partner.test")},
	{"recipients = \".test\";", TRI_YES, MAIL()},
	{"recipients = \".partner.test\";", TRI_NO, MAIL(.rcpt = "x@otherpartner.test")},
	{"from = \"alice@example.org\";", TRI_YES, MAIL(.sender = "bounce@example.org")},
	{"from = \"bob@example.org\";", TRI_NO, MAIL()},
	{"from = \"bob@example.org\";", TRI_UNKNOWN, MAIL(.unread = true)},
	{"from = \"alice@example.org\";", TRI_YES, MAIL(.unread = true)},
	{"from = \"bob@example.org\"; direction = \"inbound\";", TRI_NO, MAIL(.unread = true)},
	{"identity = \"alice@example.org\";", TRI_YES, MAIL()},
	{"identity = \"*\";", TRI_NO, MAIL(.identity = NULL)},
	{"identity = \"*\";", TRI_UNKNOWN, MAIL(.identity = NULL, .stamped = true)},
	{"identity = \"*\"; direction = \"inbound\";", TRI_NO,
		MAIL(.identity = NULL, .stamped = true)},
	{"final_recipient = \"outside\";", TRI_YES, MAIL(.leaves = TRI_YES)},
	{"final_recipient = \"outside\";", TRI_NO, MAIL()},
	{"final_recipient = \"outside\";", TRI_UNKNOWN, MAIL(.leaves = TRI_UNKNOWN)},
	{"final_recipient = \"inside\";", TRI_YES, MAIL()},
	{"final_recipient = [\"inside\", \"outside\"];", TRI_YES, MAIL(.leaves = TRI_UNKNOWN)},
	{"final_recipient = \"inside\"; certificate = \"none\";", TRI_NO,
		MAIL(.leaves = TRI_UNKNOWN, .known = TRI_YES)},
	{"authorised = \"yes\";", TRI_YES, MAIL()},
	{"authorised = \"no\";", TRI_NO, MAIL()},
	{"authorised = \"yes\";", TRI_UNKNOWN, MAIL(.authorised = TRI_UNKNOWN)},
	{"authorised = [\"yes\", \"no\"];", TRI_YES, MAIL(.authorised = TRI_UNKNOWN)},
	{"authorised = \"yes\"; senders = \"x@y.z\";", TRI_NO, MAIL(.authorised = TRI_UNKNOWN)},
	{"size_over = 999;", TRI_YES, MAIL()},
	{"size_over = 1000;", TRI_NO, MAIL()},
	{"size_under = 1000;", TRI_NO, MAIL()},
	{"size_over = 10; size_under = 1001;", TRI_YES, MAIL()},
	{"class = [\"signed\", \"list\"];", TRI_YES, MAIL(.classes = CLASS_PLAIN | CLASS_LIST)},
	{"class = \"signed\";", TRI_NO, MAIL()},
	{"sealed = \"yes\";", TRI_YES, MAIL(.sealed = TRI_YES)},
	{"sealed = \"yes\";", TRI_NO, MAIL()},
	{"sealed = \"no\";", TRI_YES, MAIL()},
	{"sealed = \"no\";", TRI_UNKNOWN, MAIL(.sealed = TRI_UNKNOWN)},
	{"sealed = [\"yes\", \"no\"];", TRI_YES, MAIL(.sealed = TRI_UNKNOWN)},
	{"sealed = \"yes\"; certificate = \"none\";", TRI_NO,
		MAIL(.sealed = TRI_UNKNOWN, .known = TRI_YES)},
	{"sealed = \"yes\"; certificate = \"known\";", TRI_UNKNOWN,
		MAIL(.sealed = TRI_UNKNOWN, .known = TRI_YES)},
	{"sealed = \"yes\"; recipients = \"x@y.z\";", TRI_NO, MAIL(.sealed = TRI_UNKNOWN)},
	{"certificate = \"known\";", TRI_UNKNOWN, MAIL()},
	{"certificate = \"known\";", TRI_YES, MAIL(.known = TRI_YES)},
	{"certificate = \"none\";", TRI_NO, MAIL(.known = TRI_YES)},
	{"certificate = \"none\";", TRI_YES, MAIL(.known = TRI_NO)},
	{"certificate = \"none\";", TRI_UNKNOWN, MAIL()},
	{"certificate = \"proven\";", TRI_NO, MAIL(.known = TRI_YES, .proven = TRI_NO)},
	{"certificate = [\"proven\", \"none\"];", TRI_YES, MAIL(.known = TRI_NO, .proven = TRI_NO)},
	{"certificate = [\"known\", \"none\"];", TRI_YES, MAIL()},
	{"header = \"X-Level: ^ *high\";", TRI_YES, MAIL(.header = "x-level", .value = " HIGH")},
	{"header = \"X-Level: ^high$\";", TRI_NO, MAIL(.header = "X-Level", .value = " higher")},
	{"header = \"X-Level: .\";", TRI_NO, MAIL()},
	{"header = [\"A: b\", \"Subject: gr\xc3\xbc\xc3\x9f\"];", TRI_YES,
		MAIL(.header = "Subject", .value = " =?utf-8?q?gr=C3=BC=C3=9Fe?=")},
	{"subject_mark = \"[Encrypt]\";", TRI_YES,
		MAIL(.header = "Subject", .value = " Re: [ENCRYPT] x")},
	{"header = \"X-Level: secret\";", TRI_YES,
		MAIL(.header = "X-Level", .value = " =?utf-8?q?a=00secret?=")},
	{"subject_mark = \"[encrypt]\";", TRI_NO, MAIL(.header = "Subject", .value = " encrypt")},
	{"subject_mark = \"[encrypt]\";", TRI_NO, MAIL()},
	/* full-width brackets in an encoded word, split inside the mark */
	{"subject_mark = \"[\xe6\x9a\x97\xe5\x8f\xb7]\";", TRI_YES,
		MAIL(.header = "Subject", .value = " =?utf-8?b?77y75pqX?= =?utf-8?b?5Y+377y9?= x")},
};

static void
test_criteria(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(criteria) / sizeof(*criteria); i++) {
		struct policy *policy;
		struct decision d;
		struct err err = ERR_INIT;
		char text[500];

		snprintf(text, sizeof(text),
			"forwarding = { directory = \"d\"; };\nrules = ( { name = \"r\"; %s } );",
			criteria[i].criterion);
		if (compile(text, &policy, &err) != RC_OK)
			fail_msg("%s: %s", text, err.detail);
		decide(policy, text, &criteria[i].mail, &d);
		CHECK_INT(text, strcmp(rule_name(d.rule), "r") == 0 ? (int)d.known : TRI_NO,
			criteria[i].want);
		policy_free(&policy);
	}
}

/* Of a very long field the beginning is searched; what stands behind is not known to be absent. */
static void
test_long_header(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		enum tri want;
	} table[] = {{"at the start", 0, TRI_YES}, {"within", 65000, TRI_YES},
		{"behind", 80000, TRI_UNKNOWN}, {"nowhere", 0x10000000, TRI_UNKNOWN}};
	struct policy *policy;

	(void)state;
	assert_int_equal(compile("rules = ( { name = \"r\"; header = \"X-Level: secret\"; } );",
				 &policy, NULL),
		RC_OK);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct mail mail = MAIL(.header = "X-Level");
		struct decision d;
		char *value = malloc(90001);

		assert_non_null(value);
		memset(value, 'x', 90000);
		value[90000] = '\0';
		if (table[i].at < 90000)
			memcpy(value + table[i].at, "secret", 6);
		mail.value = value;
		decide(policy, table[i].name, &mail, &d);
		CHECK_STR(table[i].name, rule_name(d.rule), "r");
		CHECK_INT(table[i].name, d.known, table[i].want);
		free(value);
	}
	policy_free(&policy);
}

/* First match decides, also against what a header claims; an observe rule only looks. */
/* What becomes of opened mail, whatever else its rule says. */
static void
test_opened(void **state)
{
	static const struct {
		const char *name, *rule;
		struct mail mail;
		enum tri known;
		bool out, open;
		enum verdict_encrypt encrypt;
		enum if_missing missing;
	} cases[] = {
		{"a rule that says nothing", "", MAIL(.classes = CLASS_PLAIN | CLASS_OPENED),
			TRI_YES, true, false, ENCRYPT_REQUIRED, MISSING_REFUSE_RECIPIENT},
		{"other mail", "", MAIL(), TRI_YES, false, false, ENCRYPT_NEVER,
			MISSING_REFUSE_ALL},
		{"inside", "", MAIL(.classes = CLASS_OPENED, .direction = DIR_INBOUND), TRI_YES,
			false, false, ENCRYPT_NEVER, MISSING_REFUSE_ALL},
		{"without a certificate: clear", "encrypt = \"required\"; if_missing = \"clear\";",
			MAIL(.classes = CLASS_OPENED), TRI_YES, true, false, ENCRYPT_REQUIRED,
			MISSING_REFUSE_RECIPIENT},
		{"without a certificate: nobody",
			"encrypt = \"required\"; if_missing = \"refuse-all\";",
			MAIL(.classes = CLASS_OPENED), TRI_YES, true, false, ENCRYPT_REQUIRED,
			MISSING_REFUSE_ALL},
		{"clear", "opened = \"clear\";", MAIL(.classes = CLASS_OPENED), TRI_YES, true,
			false, ENCRYPT_NEVER, MISSING_REFUSE_ALL},
		{"original, ends outside", "open = \"if-possible\"; opened = \"original\";",
			MAIL(.classes = CLASS_ENVELOPED, .direction = DIR_INBOUND,
				.leaves = TRI_YES),
			TRI_YES, false, false, ENCRYPT_NEVER, MISSING_REFUSE_ALL},
		{"original, ends inside", "open = \"if-possible\"; opened = \"original\";",
			MAIL(.classes = CLASS_ENVELOPED, .direction = DIR_INBOUND), TRI_YES, false,
			true, ENCRYPT_NEVER, MISSING_REFUSE_ALL},
		{"original, nobody knows", "open = \"if-possible\"; opened = \"original\";",
			MAIL(.classes = CLASS_ENVELOPED, .direction = DIR_INBOUND,
				.leaves = TRI_UNKNOWN),
			TRI_UNKNOWN, false, false, ENCRYPT_NEVER, MISSING_REFUSE_ALL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *name = cases[i].name;
		struct policy *policy;
		struct decision d;
		char text[500];

		snprintf(text, sizeof(text),
			"forwarding = { directory = \"d\"; };\nrules = ( { name = \"r\"; %s } );",
			cases[i].rule);
		assert_int_equal(compile(text, &policy, NULL), RC_OK);
		decide(policy, name, &cases[i].mail, &d);
		CHECK_INT(name, d.known, cases[i].known);
		CHECK_INT(name, d.opened_out, cases[i].out);
		CHECK_INT(name, d.wants_leaves, cases[i].known == TRI_UNKNOWN);
		CHECK_INT(name, d.verdicts.open, cases[i].open);
		CHECK_INT(name, d.verdicts.encrypt, cases[i].encrypt);
		CHECK_INT(name, d.verdicts.if_missing, cases[i].missing);
		policy_free(&policy);
	}
}

static void
test_order(void **state)
{
	static const struct mail mail = MAIL(.classes = CLASS_ENVELOPED | CLASS_LIST);
	struct policy *policy;
	struct decision d;

	(void)state;
	assert_int_equal(
		compile("rules = ("
			"{ name = \"watch\"; mode = \"observe\"; sign = \"required\"; },"
			"{ name = \"unsure\"; mode = \"observe\"; certificate = \"known\"; },"
			"{ name = \"other\"; recipients = \"@else.test\"; encrypt = \"required\"; },"
			"{ name = \"must\"; recipients = [\"@partner.test\", "
			"\"carol@partner.test\"]; encrypt = \"required\"; },"
			"{ name = \"late\"; senders = \"@example.org\"; sign = \"required\"; } );",
			&policy, NULL),
		RC_OK);
	decide(policy, "order", &mail, &d);
	CHECK_STR("order", rule_name(d.rule), "must");
	CHECK_INT("order", d.verdicts.encrypt, ENCRYPT_REQUIRED);
	CHECK_INT("order", d.n_observed, 2);
	CHECK_STR("order", rule_name(d.observed[0]), "watch");
	CHECK_INT("order", d.undecided[0], false);
	CHECK_STR("order", rule_name(d.observed[1]), "unsure");
	CHECK_INT("order", d.undecided[1], true);
	CHECK_INT("order", d.wants_certs, true);
	CHECK_INT("order", rule_line(d.rule) > 0, true);
	policy_free(&policy);
}

static void
test_unknown_decides(void **state)
{
	static const struct mail mail = MAIL();
	struct policy *policy;
	struct decision d;

	(void)state;
	assert_int_equal(compile("rules = ( { name = \"a\"; certificate = \"known\"; },"
				 "{ name = \"b\"; sign = \"required\"; } );",
				 &policy, NULL),
		RC_OK);
	decide(policy, "unknown", &mail, &d);
	CHECK_STR("unknown", rule_name(d.rule), "a");
	CHECK_INT("unknown", d.known, TRI_UNKNOWN);
	CHECK_INT("unknown", d.wants_certs, true);
	policy_free(&policy);
}

static void
test_trace(void **state)
{
	struct hdrs hdrs = {0};
	struct addrlist from = {0};
	struct msg_facts facts = {.service = "all",
		.sender = "alice@example.org",
		.from = &from,
		.hdrs = &hdrs,
		.authorised = TRI_YES,
		.classes = CLASS_PLAIN};
	struct rcpt_facts rcpt = {.addr = "carol@partner.test", .direction = DIR_OUTBOUND};
	struct rule_trace trace[40];
	struct policy *policy;
	struct policy_view *view;
	size_t n;

	(void)state;
	assert_int_equal(compile("rules = ( { name = \"a\"; recipients = \"bob@example.org\"; },"
				 "{ name = \"b\"; mode = \"observe\"; },"
				 "{ name = \"c\"; senders = \"<>\"; } );",
				 &policy, NULL),
		RC_OK);
	assert_int_equal(policy_view_new(policy, &facts, &view, NULL), RC_OK);
	assert_int_equal(policy_trace(view, &rcpt, trace, 40, &n, NULL), RC_OK);
	CHECK_STR("a", trace[0].criterion, "recipients");
	CHECK_INT("b", trace[1].matched, TRI_YES);
	CHECK_INT("b", rule_is_observed(trace[1].rule), true);
	CHECK_STR("c", trace[2].criterion, "senders");
	CHECK_STR("pgp", trace[4].criterion, "class");
	CHECK_STR("last", rule_name(trace[n - 1].rule), "shipped-outbound");
	CHECK_INT("last", trace[n - 1].matched, TRI_YES);
	assert_null(trace[n - 1].criterion);
	policy_view_free(&view);
	policy_free(&policy);
}

static const struct {
	const char *text, *want;
} bad[] = {
	{"{ name = \"a\"; }, { name = \"a\"; }", "name of the rule in line"},
	{"{ name = \"shipped-rest\"; }", "name of a shipped rule"},
	{"{ name = \"a\\\"b\"; }", "without quotes"},
	{"{ name = \"a\"; direction = \"upward\"; }", "unknown word"},
	{"{ name = \"a\"; class = \"first\"; }", "unknown word"},
	{"{ name = \"a\"; authorised = \"maybe\"; }", "unknown word"},
	{"{ name = \"a\"; certificate = \"good\"; }", "unknown word"},
	{"{ name = \"a\"; services = \"nowhere\"; }", "no service"},
	{"{ name = \"a\"; senders = \"nonsense\"; }", "no address"},
	{"{ name = \"a\"; recipients = \"@\"; }", "no domain"},
	{"{ name = \"a\"; from = \"@b@c\"; }", "no domain"},
	{"{ name = \"a\"; header = \"Subject\"; }", "is not \"Name: pattern\""},
	{"{ name = \"a\"; header = \"Subject: (\"; }", "pattern"},
	{"{ name = \"a\"; subject_mark = \"\"; }", ""},
	{"{ name = \"a\"; size_over = 10; size_under = 10; }", "size_over"},
	{"{ name = \"a\"; sign_key = \"me\"; }", "neither"},
	{"{ name = \"a\"; sign_key = [\"own\", \"%d\"]; }", "neither"},
	{"{ name = \"a\"; encrypt = \"required\"; escrow = \"archive\"; }", "no address"},
	{"{ name = \"a\"; escrow = \"archive@b.c\"; }", "only with encryption"},
	{"{ name = \"a\"; copy_sender = true; }", "only with encryption"},
	{"{ name = \"a\"; preset = \"jp-classic\"; form = \"opaque\"; }", "signs clear"},
	{"{ name = \"a\"; remove_mark = true; }", "no subject_mark"},
	{"{ name = \"a\"; remove_mark = true; header = \"Sensitivity: x\"; }", "begins with X-"},
	{"{ name = \"a\"; encoding = \"uuencode\"; }", "encoding"},
	{"{ name = \"a\"; if_missing = \"clear\"; }", "only with encrypt"},
	{"{ name = \"a\"; direction = \"inbound\"; sign = \"required\"; }", "inbound mail"},
	{"{ name = \"a\"; direction = \"outbound\"; open = \"if-possible\"; }", "outbound mail"},
	{"{ name = \"a\"; message = \"gr\xc3\xbc\xc3\x9f\"; }", "ASCII"},
};

/* Addresses of mailing lists, in a file. */
static void
test_lists(void **state)
{
	static const struct mail to_list = MAIL(.rcpt = "Staff@lists.example.org");
	static const struct mail other = MAIL(.rcpt = "x@lists.example.org");
	char path[] = "/tmp/sealgate-lists-XXXXXX", text[200];
	struct policy *policy;
	struct decision d;
	struct err err = ERR_INIT;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, "# lists\n\nstaff@lists.example.org\r\n  @groups.example.org  all of them\n");
	snprintf(text, sizeof(text), "policy = { list_map = \"%s\"; };", path);
	assert_int_equal(compile(text, &policy, &err), RC_OK);
	decide(policy, "to a list", &to_list, &d);
	CHECK_STR("to a list", rule_name(d.rule), "shipped-to-list");
	decide(policy, "to another", &other, &d);
	CHECK_STR("to another", rule_name(d.rule), "shipped-outbound");
	assert_true(policy_is_list(policy, "x@groups.example.org"));
	assert_false(policy_is_list(policy, "x@lists.example.org"));
	policy_free(&policy);
	dprintf(fd, "nonsense\n");
	assert_int_equal(compile(text, &policy, &err), RC_PERM);
	assert_non_null(strstr(err.detail, ":5: "));
	close(fd);
	unlink(path);
	assert_int_equal(compile(text, &policy, &err), RC_PERM);
	assert_non_null(strstr(err.detail, "list_map is not there"));
}

/* Patterns of sign_key. */
static void
test_sign_key(void **state)
{
	static const struct {
		const char *key, *domain, *want;
	} cases[] = {
		{"smime@%d", "Dept.Example.ORG", "smime@dept.example.org"},
		{"%d@example.org", "a.example", "a.example@example.org"},
		{"office@example.org", "other.example", "office@example.org"},
		{"own", "example.org", NULL},
		{"%d", "example.org", NULL},
		{"%u@example.org", "a.example", "%u@example.org"},
	};
	char out[ADDR_MAX + 1], longer[ADDR_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool found = sign_key_expand(cases[i].key, cases[i].domain, out);

		CHECK_INT(cases[i].key, found, cases[i].want != NULL);
		if (found)
			CHECK_STR(cases[i].key, out, cases[i].want);
	}
	memset(longer, 'd', ADDR_MAX);
	longer[ADDR_MAX] = '\0';
	assert_false(sign_key_expand("a@%d", longer, out));
}

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct policy *policy;
		struct err err = ERR_INIT;
		char text[300];

		snprintf(text, sizeof(text), "rules = ( %s );", bad[i].text);
		CHECK_INT(text, compile(text, &policy, &err), RC_PERM);
		CHECK_INT(text, err.code, ERR_CONFIG);
		if (!strstr(err.detail, bad[i].want) || !strstr(err.detail, "test.conf:"))
			fail_msg("%s: got \"%s\", want \"%s\"", text, err.detail, bad[i].want);
	}
}

static void
test_without_shipped(void **state)
{
	static const struct mail mail = MAIL();
	struct policy *policy;
	struct decision d;

	(void)state;
	assert_int_equal(compile("policy = { shipped_rules = false; };", &policy, NULL), RC_OK);
	CHECK_INT("count", policy_count(policy), 1);
	decide(policy, "rest", &mail, &d);
	CHECK_STR("rest", rule_name(d.rule), "shipped-rest");
	policy_free(&policy);
}

static double
cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* 5,000 rules by recipient, 5,000 by sender, 500 recipients: the tables must be used. A walk over
 * all rules for each recipient would take five million steps; the bound is generous for sanitizers.
 */
static void
test_many(void **state)
{
	struct buf text = BUF_INIT(4u << 20);
	struct policy *policy;
	struct policy_view *view;
	struct hdrs hdrs = {0};
	struct addrlist from = {0};
	struct msg_facts facts = {.service = "all",
		.sender = "s4999@example.org",
		.from = &from,
		.hdrs = &hdrs,
		.authorised = TRI_YES,
		.classes = CLASS_PLAIN};
	struct err err = ERR_INIT;
	double start, took;

	(void)state;
	buf_append_str(&text, "rules = ( ", NULL);
	for (int i = 0; i < 5000; i++)
		buf_appendf(&text, NULL,
			"{ name = \"r%d\"; recipients = \"%s%d.test\"; },"
			"{ name = \"s%d\"; senders = \"s%d@example.org\"; class = \"pgp\"; },",
			i, i % 2 ? "@d" : "c@d", i, i, i);
	buf_append_str(&text, "{ name = \"last\"; recipients = \"@unused.test\"; } );", NULL);
	if (compile(buf_text(&text), &policy, &err) != RC_OK)
		fail_msg("%s", err.detail);
	start = cpu_ms();
	assert_int_equal(policy_view_new(policy, &facts, &view, NULL), RC_OK);
	for (int i = 0; i < 500; i++) {
		char addr[40], want[20];
		struct rcpt_facts rcpt = {.addr = addr, .direction = DIR_OUTBOUND};
		struct decision d;

		snprintf(addr, sizeof(addr), "c@d%d.test", i * 10);
		snprintf(want, sizeof(want), "r%d", i * 10);
		assert_int_equal(policy_decide(view, &rcpt, &d, NULL), RC_OK);
		CHECK_STR(addr, rule_name(d.rule), want);
	}
	took = cpu_ms() - start;
	if (took > 100)
		fail_msg("500 recipients against 10,000 rules took %.1f ms of CPU", took);
	policy_view_free(&view);
	policy_free(&policy);
	buf_fini(&text);
}

/* What can be told when a recipient is named, and what must wait for the message. */
static const struct {
	const char *rules;
	const char *rcpt;
	enum direction direction;
	enum tri cert, known;
	const char *rule;
	bool may_encrypt;
} early[] = {
	{"{ name = \"a\"; senders = \"alice@example.org\"; recipients = \"@p.test\"; encrypt = "
	 "\"required\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_YES, "a", true},
	{"{ name = \"a\"; identity = \"alice@example.org\"; services = \"all\"; direction = "
	 "\"outbound\"; encrypt = \"required\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_YES, "a", true},
	{"{ name = \"a\"; identity = \"bob@example.org\"; encrypt = \"required\"; },"
	 "{ name = \"b\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_YES, "b", false},
	{"{ name = \"a\"; class = \"list\"; }, { name = \"b\"; encrypt = \"required\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_UNKNOWN, "a", true},
	{"{ name = \"a\"; header = \"X: y\"; }, { name = \"b\"; }", "c@p.test", DIR_OUTBOUND,
		TRI_UNKNOWN, TRI_UNKNOWN, "a", false},
	{"{ name = \"a\"; subject_mark = \"y\"; encrypt = \"required\"; }", "c@p.test",
		DIR_OUTBOUND, TRI_UNKNOWN, TRI_UNKNOWN, "a", true},
	{"{ name = \"a\"; from = \"@y.test\"; }", "c@p.test", DIR_OUTBOUND, TRI_UNKNOWN,
		TRI_UNKNOWN, "a", true},
	{"{ name = \"a\"; authorised = \"yes\"; }", "c@p.test", DIR_OUTBOUND, TRI_UNKNOWN,
		TRI_UNKNOWN, "a", true},
	{"{ name = \"a\"; size_over = 1000; }", "c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_UNKNOWN,
		"a", true},
	{"{ name = \"a\"; mode = \"observe\"; encrypt = \"required\"; }, { name = \"b\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_YES, "b", false},
	{"{ name = \"a\"; certificate = \"none\"; }, { name = \"b\"; encrypt = \"if-known\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_NO, TRI_YES, "a", false},
	{"{ name = \"a\"; certificate = \"none\"; }, { name = \"b\"; encrypt = \"if-known\"; }",
		"c@p.test", DIR_OUTBOUND, TRI_UNKNOWN, TRI_UNKNOWN, "a", true},
	{"{ name = \"a\"; direction = \"inbound\"; }", "c@example.org", DIR_INBOUND | DIR_INTERNAL,
		TRI_UNKNOWN, TRI_UNKNOWN, "a", false},
	{"{ name = \"a\"; direction = [ \"inbound\", \"internal\" ]; }", "c@example.org",
		DIR_INBOUND | DIR_INTERNAL, TRI_UNKNOWN, TRI_YES, "a", false},
	{"{ name = \"a\"; direction = \"outbound\"; }, { name = \"b\"; }", "c@example.org",
		DIR_INBOUND | DIR_INTERNAL, TRI_UNKNOWN, TRI_YES, "b", false},
};

static void
test_early(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(early) / sizeof(*early); i++) {
		struct msg_facts facts = {.envelope_only = true,
			.service = "all",
			.sender = "alice@example.org",
			.identity = "alice@example.org"};
		struct rcpt_facts rcpt = {.addr = early[i].rcpt,
			.direction = early[i].direction,
			.cert_known = early[i].cert,
			.cert_proven = early[i].cert};
		char text[600];
		struct policy_view *view;
		struct policy *policy;
		struct decision decision;
		bool may;

		snprintf(text, sizeof(text), "rules = ( %s );", early[i].rules);
		assert_int_equal(compile(text, &policy, NULL), RC_OK);
		assert_int_equal(policy_view_new(policy, &facts, &view, NULL), RC_OK);
		assert_int_equal(policy_decide(view, &rcpt, &decision, NULL), RC_OK);
		CHECK_INT(text, decision.known, early[i].known);
		CHECK_STR(text, rule_name(decision.rule), early[i].rule);
		assert_int_equal(policy_may_encrypt(view, &rcpt, &may, NULL), RC_OK);
		CHECK_INT(text, may, early[i].may_encrypt);
		policy_view_free(&view);
		policy_free(&policy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_criteria), cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_opened), cmocka_unit_test(test_order),
		cmocka_unit_test(test_unknown_decides), cmocka_unit_test(test_trace),
		cmocka_unit_test(test_lists), cmocka_unit_test(test_sign_key),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_without_shipped),
		cmocka_unit_test(test_many), cmocka_unit_test(test_early)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
