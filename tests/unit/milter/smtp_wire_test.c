/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_wire_test.c - what reaches the wire, byte for byte, and what never does
 */
#include "tests/unit/unit.h"

#include "milter/smtp_wire.h"

#include <stdio.h>

static const struct smtp_caps all = {.dsn = true,
	.smtputf8 = true,
	.eightbitmime = true,
	.size_offered = true,
	.xforward = (1u << SMTP_XFORWARD_COUNT) - 1};

static void
test_addresses(void **state)
{
	static const struct {
		const char *addr;
		bool good;
	} rows[] = {
		{"a@b.test", true},
		{"<a@b.test>", true},
		{"a..b.@docomo.example", true},
		{"postmaster", true},
		{"\"a b\"@b.test", true},
		{"\"a\\\"b>\"@b.test", true},
		{"r\xc3\xa9sum\xc3\xa9@b.test", true},
		{"a+b=c@b.test", true},
		{"", false},
		{"<>", false},
		{"a b@b.test", false},
		{"a@b.test>", false},
		{"a@b.test> NOTIFY=NEVER", false},
		{"a@b.test>\r\nRCPT TO:<x@y.test", false},
		{"a@b.test\n", false},
		{"a@b.test\r", false},
		{"a@b.test\x7f", false},
		{"\"a@b.test", false},
		{"\"a\\\n\"@b.test", false},
		{"\"a\\", false},
		{"a\\b@b.test", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK_INT(rows[i].addr, smtp_addr_is_good(rows[i].addr, false), rows[i].good);
	assert_true(smtp_addr_is_good("", true));
	assert_true(smtp_addr_is_good("<>", true));
}

static void
test_mail(void **state)
{
	static const struct {
		const char *name;
		struct smtp_envelope e;
		bool utf8;
		const char *want;
		bool dropped;
	} rows[] = {
		{"null path", {.sender = "<>"}, false, "MAIL FROM:<>\r\n", false},
		{"all",
			{.sender = "<a@b.test>",
				.size = 12,
				.eightbit = true,
				.ret = "HDRS",
				.envid = "QQ+2B314"},
			false,
			"MAIL FROM:<a@b.test> SIZE=12 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314\r\n",
			false},
		{"utf8", {.sender = "\xc3\xa4@b.test"}, true,
			"MAIL FROM:<\xc3\xa4@b.test> BODY=8BITMIME SMTPUTF8\r\n", false},
		{"bad RET", {.sender = "a@b.test", .ret = "FULL SMTPUTF8"}, false,
			"MAIL FROM:<a@b.test>\r\n", true},
		{"bad ENVID", {.sender = "a@b.test", .envid = "a\r\nRSET"}, false,
			"MAIL FROM:<a@b.test>\r\n", true},
		{"empty ENVID", {.sender = "a@b.test", .envid = ""}, false,
			"MAIL FROM:<a@b.test>\r\n", true},
		{"ENVID with half an escape", {.sender = "a@b.test", .envid = "a+2"}, false,
			"MAIL FROM:<a@b.test>\r\n", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = BUF_INIT(0);
		bool dropped = false;

		CHECK_INT(rows[i].name,
			smtp_format_mail(&rows[i].e, &all, rows[i].utf8, &out, &dropped, NULL),
			RC_OK);
		CHECK_STR(rows[i].name, buf_text(&out), rows[i].want);
		CHECK_INT(rows[i].name, dropped, rows[i].dropped);
		buf_fini(&out);
	}
}

static void
test_rcpt(void **state)
{
	static const struct {
		const char *notify, *orcpt;
		bool utf8;
		const char *want;
		bool dropped;
	} rows[] = {
		{NULL, NULL, false, "RCPT TO:<a@b.test>\r\n", false},
		{"SUCCESS,FAILURE", "rfc822;a+2Bx@b.test", false,
			"RCPT TO:<a@b.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bx@b.test\r\n",
			false},
		{"never", NULL, false, "RCPT TO:<a@b.test> NOTIFY=never\r\n", false},
		{"NEVER,SUCCESS", NULL, false, "RCPT TO:<a@b.test>\r\n", true},
		{"SUCCESS,", NULL, false, "RCPT TO:<a@b.test>\r\n", true},
		{"", NULL, false, "RCPT TO:<a@b.test>\r\n", true},
		{"SUCCESS\r\nDATA", NULL, false, "RCPT TO:<a@b.test>\r\n", true},
		{NULL, "a@b.test", false, "RCPT TO:<a@b.test>\r\n", true},
		{NULL, ";a@b.test", false, "RCPT TO:<a@b.test>\r\n", true},
		{NULL, "rfc822;", false, "RCPT TO:<a@b.test>\r\n", true},
		{NULL, "rfc822;a b", false, "RCPT TO:<a@b.test>\r\n", true},
		{NULL, "rfc822;\xc3\xa4@b.test", false, "RCPT TO:<a@b.test>\r\n", true},
		{NULL, "utf-8;\xc3\xa4@b.test", true,
			"RCPT TO:<a@b.test> ORCPT=utf-8;\xc3\xa4@b.test\r\n", false},
		{NULL, "utf-8;\xc3\xa4@b.test", false, "RCPT TO:<a@b.test>\r\n", true},
	};
	struct smtp_caps none = all;
	struct smtp_rcpt full = {.addr = "a@b.test", .notify = "NEVER", .orcpt = "rfc822;a"};
	struct buf out = BUF_INIT(0);
	bool dropped = false;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_rcpt rcpt = {
			.addr = "a@b.test", .notify = rows[i].notify, .orcpt = rows[i].orcpt};

		buf_clear(&out);
		dropped = false;
		assert_int_equal(
			smtp_format_rcpt(&rcpt, &all, rows[i].utf8, &out, &dropped, NULL), RC_OK);
		CHECK_STR("rcpt", buf_text(&out), rows[i].want);
		CHECK_INT(rows[i].want, dropped, rows[i].dropped);
	}
	none.dsn = false;
	buf_clear(&out);
	dropped = false;
	assert_int_equal(smtp_format_rcpt(&full, &none, false, &out, &dropped, NULL), RC_OK);
	CHECK_STR("no DSN", buf_text(&out), "RCPT TO:<a@b.test>\r\n");
	assert_true(dropped);
	buf_fini(&out);
}

static void
test_xforward(void **state)
{
	struct smtp_xforward x = {.name = "client.test",
		.addr = "2001:db8::1",
		.helo = "a b+c=\r\n\xc3\xa4",
		.ident = "ABC123",
		.proto = "ESMTP"};
	struct smtp_caps some = {.xforward = 1u << 1 | 1u << 4 | 1u << 5};
	char long_name[400];
	struct buf out = BUF_INIT(0);
	size_t n;

	(void)state;
	assert_int_equal(smtp_format_xforward(&x, &some, &out, &n, NULL), RC_OK);
	CHECK_STR("some", buf_text(&out),
		"XFORWARD ADDR=IPV6:2001:db8::1 HELO=a+20b+2Bc+3D+0D+0A+C3+A4 IDENT=ABC123\r\n");
	assert_int_equal(n, 1);
	buf_clear(&out);
	memset(long_name, 'x', sizeof long_name);
	long_name[sizeof long_name - 1] = 0;
	x.name = x.helo = long_name;
	assert_int_equal(smtp_format_xforward(&x, &all, &out, &n, NULL), RC_OK);
	assert_int_equal(n, 2);
	for (char *line = out.data; *line; line = strchr(line, '\n') + 1)
		assert_true(strncmp(line, "XFORWARD ", 9) == 0 && strchr(line, '\n') - line < 512);
	buf_clear(&out);
	x = (struct smtp_xforward){0};
	assert_int_equal(smtp_format_xforward(&x, &all, &out, &n, NULL), RC_OK);
	assert_int_equal(n + out.len, 0);
	buf_fini(&out);
}

/* Whatever the pieces are in which it comes. */
static void
test_dots(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"a\r\nb\r\n", "a\r\nb\r\n"},
		{".\r\n", "..\r\n"},
		{"a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n"},
		{"..a\r\n", "...a\r\n"},
		{"a\n.\nb\n", "a\r\n..\r\nb\r\n"},
		{"a", "a\r\n"},
		{"a\r\n.", "a\r\n..\r\n"},
		{"", ""},
		{"\r\n\r\n.", "\r\n\r\n..\r\n"},
		{"a\r.\r\nb\r", "a\r.\r\nb\r\r\n"},
		{"\n", "\r\n"},
		{"a.b\r\n", "a.b\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t piece = 1; piece < 5; piece++) {
			struct buf out = BUF_INIT(0);
			struct sink sink = sink_to_buf(&out);
			struct smtp_dots dots = {.to = &sink};
			size_t len = strlen(rows[i].in);

			for (size_t at = 0; at < len; at += piece) {
				size_t n = len - at < piece ? len - at : piece;
				char *p = exact(rows[i].in + at, n);

				assert_int_equal(smtp_dots_feed(&dots, p, n, NULL), RC_OK);
				free(p);
			}
			assert_int_equal(smtp_dots_end_line(&dots, NULL), RC_OK);
			CHECK_STR(rows[i].in, buf_text(&out), rows[i].want);
			buf_fini(&out);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_mail), cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_xforward), cmocka_unit_test(test_dots)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
