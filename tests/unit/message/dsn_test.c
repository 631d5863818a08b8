/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/dsn.h"

#include "tests/unit/unit.h"

static void
notify(void **state)
{
	static const struct {
		const char *notify;
		bool want;
	} cases[] = {{NULL, true}, {"", true}, {"NEVER", false}, {"never", false},
		{"FAILURE", true}, {"SUCCESS", false}, {"DELAY", false}, {"SUCCESS,DELAY", false},
		{"SUCCESS,FAILURE,DELAY", true}, {"delay,failure", true}, {"NEVER,FAILURE", true},
		{"FAILURES", true}, {"nonsense", true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_INT(cases[i].notify ? cases[i].notify : "(none)",
			dsn_wants_failure(cases[i].notify), cases[i].want);
}

static void
status(void **state)
{
	static const struct {
		int code;
		const char *enhanced, *want;
	} cases[] = {{550, "5.7.1", "5.7.1"}, {550, NULL, "5.0.0"}, {550, "", "5.0.0"},
		{550, "4.7.1", "5.0.0"}, {451, "4.3.0", "4.3.0"}, {451, NULL, "4.0.0"},
		{550, "5.7.1\r\nX: y", "5.0.0"}, {550, "5.7", "5.0.0"}, {550, "5..1", "5.0.0"},
		{550, "5.7.1000", "5.0.0"}, {550, "5.7.1.1", "5.0.0"},
		{550, "5.100.100", "5.100.100"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_STR(cases[i].enhanced ? cases[i].enhanced : "(none)",
			dsn_status(cases[i].code, cases[i].enhanced), cases[i].want);
}

static void
xtext(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {{"abc", "abc"}, {"o+2Bx@orig.test", "o+x@orig.test"}, {"", ""}, {"a+2", NULL},
		{"a+", NULL}, {"a+zz", NULL}, {"a+2b", NULL}, {"a+0D+0ABcc: x", NULL},
		{"a\r\nb", NULL}, {"\xc3\xa4", NULL}, {"+20+7E", " ~"}, {"+7F", NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].in);
		char *in = exact(cases[i].in, len);
		struct buf out = BUF_INIT(0);
		struct err err = ERR_INIT;
		enum rc rc = dsn_decode_xtext(in, len, &out, &err);

		CHECK_INT(cases[i].in, rc, cases[i].want ? RC_OK : RC_PERM);
		if (cases[i].want)
			CHECK_STR(cases[i].in, buf_text(&out), cases[i].want);
		buf_fini(&out);
		free(in);
	}
}

static void
check_report(const char *name, const struct dsn *dsn, const char *want)
{
	struct buf out = BUF_INIT(0);
	struct sink sink = sink_to_buf(&out);
	struct err err = ERR_INIT;

	CHECK_INT(name, dsn_write(dsn, &sink, &err), RC_OK);
	CHECK_STR(name, buf_text(&out), want);
	buf_fini(&out);
}

static void
reports(void **state)
{
	struct dsn_rcpt rcpts[] = {
		{.addr = "carol@partner.example",
			.orcpt = "rfc822;o+2Bx@orig.test",
			.code = 550,
			.enhanced = "5.7.1",
			.text = "This message must be encrypted, but there is no usable certificate "
				"for a recipient"},
		{.addr = "dave@partner.example", .code = 554, .text = ""},
	};
	struct dsn dsn = {.reporting_mta = "mail.org.example",
		.envid = "QQ+2B314",
		.qid = "ABC123",
		.arrival = 1795300443,
		.v = rcpts,
		.n = 2};

	(void)state;
	check_report("two", &dsn,
		"Original-Envelope-Id: QQ+314\r\n"
		"Reporting-MTA: dns; mail.org.example\r\n"
		"X-Sealgate-Queue-Id: ABC123\r\n"
		"Arrival-Date: Sat, 21 Nov 2026 22:34:03 +0000\r\n"
		"\r\n"
		"Original-Recipient: rfc822; o+x@orig.test\r\n"
		"Final-Recipient: rfc822; carol@partner.example\r\n"
		"Action: failed\r\n"
		"Status: 5.7.1\r\n"
		"Diagnostic-Code: smtp; 550 5.7.1 This message must be encrypted, but\r\n"
		"\tthere is no usable certificate for a recipient\r\n"
		"\r\n"
		"Final-Recipient: rfc822; dave@partner.example\r\n"
		"Action: failed\r\n"
		"Status: 5.0.0\r\n"
		"Diagnostic-Code: smtp; 554\r\n");
}

static void
utf8_addresses(void **state)
{
	struct dsn_rcpt rcpt = {
		.addr = "dör+te@b.example", .orcpt = "utf-8;d\\x{F6}rte@b.example", .code = 550};
	struct dsn dsn = {.reporting_mta = "m", .v = &rcpt, .n = 1};

	(void)state;
	check_report("7-bit", &dsn,
		"Reporting-MTA: dns; m\r\n"
		"Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
		"\r\n"
		"Original-Recipient: utf-8; d\\x{F6}rte@b.example\r\n"
		"Final-Recipient: utf-8; d\\x{F6}r\\x{2B}te@b.example\r\n"
		"Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550\r\n");
	dsn.utf8 = true;
	check_report("raw", &dsn,
		"Reporting-MTA: dns; m\r\n"
		"Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
		"\r\n"
		"Original-Recipient: utf-8; d\\x{F6}rte@b.example\r\n"
		"Final-Recipient: utf-8; dör\\x{2B}te@b.example\r\n"
		"Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550\r\n");
	assert_string_equal(dsn_type(false), "message/delivery-status");
	assert_string_equal(dsn_type(true), "message/global-delivery-status");
}

/* What a client or a server said to break out of a field does not. */
static void
hostile(void **state)
{
	struct dsn_rcpt rcpt = {.addr = "a@b.example",
		.orcpt = "rfc822;x+0D+0AAction: delivered",
		.code = 550,
		.enhanced = "5.1.1\r\nX: 1",
		.text = "no\r\nAction: relayed\r\n\r\nFinal-Recipient: rfc822; z@z\x80"};
	struct dsn dsn = {.reporting_mta = "m",
		.envid = "a+0D+0AX-Evil: 1",
		.qid = "Q\r\nX: 1",
		.v = &rcpt,
		.n = 1};

	(void)state;
	check_report("hostile", &dsn,
		"Reporting-MTA: dns; m\r\n"
		"Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
		"\r\n"
		"Final-Recipient: rfc822; a@b.example\r\n"
		"Action: failed\r\nStatus: 5.0.0\r\n"
		"Diagnostic-Code: smtp; 550 5.1.1 X: 1 no Action: relayed\r\n"
		"\tFinal-Recipient: rfc822; z@z?\r\n");
	rcpt = (struct dsn_rcpt){.addr = "a@b.example", .orcpt = "no type", .code = 550};
	dsn = (struct dsn){.reporting_mta = "m", .v = &rcpt, .n = 1};
	check_report("orcpt", &dsn,
		"Reporting-MTA: dns; m\r\n"
		"Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
		"\r\n"
		"Final-Recipient: rfc822; a@b.example\r\n"
		"Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notify),
		cmocka_unit_test(status),
		cmocka_unit_test(xtext),
		cmocka_unit_test(reports),
		cmocka_unit_test(utf8_addresses),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
