/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_reply_test.c - what an SMTP server may say, and what it may not
 */
#include "tests/unit/unit.h"

#include "milter/smtp_reply.h"
#include "milter/smtp_wire.h"

#include <stdio.h>

struct row {
	const char *name, *data;
	enum rc rc;
	int code;
	const char *enhanced, *text;
	size_t left; /* bytes that do not belong to the reply */
};

static const struct row rows[] = {
	{"one line", "250 2.1.5 Ok\r\n", RC_OK, 250, "2.1.5", "Ok", 0},
	{"LF alone", "250 2.1.5 Ok\n", RC_OK, 250, "2.1.5", "Ok", 0},
	{"no enhanced code", "451 later\r\n", RC_OK, 451, "4.0.0", "later", 0},
	{"enhanced code of another class is text", "250 5.1.5 Ok\r\n", RC_OK, 250, "2.0.0",
		"5.1.5 Ok", 0},
	{"three digits", "554 5.100.101 no\r\n", RC_OK, 554, "5.100.101", "no", 0},
	{"four digits are text", "554 5.1000.1 no\r\n", RC_OK, 554, "5.0.0", "5.1000.1 no", 0},
	{"code alone", "250\r\n", RC_OK, 250, "2.0.0", "", 0},
	{"code and blank", "250 \r\n", RC_OK, 250, "2.0.0", "", 0},
	{"several lines", "550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 three\r\n", RC_OK, 550,
		"5.1.1", "three", 0},
	{"empty last line", "550-5.1.1 one\r\n550 5.1.1\r\n", RC_OK, 550, "5.1.1", "one", 0},
	{"two replies", "250 a\r\n550 b\r\n", RC_OK, 250, "2.0.0", "a", 7},
	{"not printable", "250 \x01\xc3\xa4\tx\r\n", RC_OK, 250, "2.0.0", "????x", 0},
	{"half a line", "250 2.1.5 O", RC_NONE, 0, "", "", 0},
	{"nothing", "", RC_NONE, 0, "", "", 0},
	{"half a reply", "250-one\r\n250", RC_NONE, 250, "", "one", 0},
	{"codes that differ", "250-one\r\n550 two\r\n", RC_TEMP, 0, "", "", 0},
	{"no code", "hello\r\n", RC_TEMP, 0, "", "", 0},
	{"two digits", "25 Ok\r\n", RC_TEMP, 0, "", "", 0},
	{"four digits", "2500 Ok\r\n", RC_TEMP, 0, "", "", 0},
	{"code below", "199 Ok\r\n", RC_TEMP, 0, "", "", 0},
	{"code above", "600 Ok\r\n", RC_TEMP, 0, "", "", 0},
	{"empty line", "\r\n", RC_TEMP, 0, "", "", 0},
	{"another mark", "250+Ok\r\n", RC_TEMP, 0, "", "", 0},
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		size_t len = strlen(row->data), used;
		char *data = exact(row->data, len);
		struct smtp_reply reply;
		struct err err = ERR_INIT;

		CHECK_INT(
			row->name, smtp_reply_parse(data, len, &reply, &used, NULL, &err), row->rc);
		if (row->rc == RC_OK) {
			CHECK_INT(row->name, reply.code, row->code);
			CHECK_STR(row->name, reply.enhanced, row->enhanced);
			CHECK_STR(row->name, reply.text, row->text);
			CHECK_INT(row->name, len - used, row->left);
		} else {
			CHECK_INT(row->name, used, 0);
			CHECK_INT(row->name, err.code,
				row->rc == RC_NONE ? ERR_NONE : ERR_PORT_ANSWER);
		}
		free(data);
	}
}

/* A reply that never ends is not waited for. */
static void
test_limits(void **state)
{
	struct buf data = BUF_INIT(0);
	struct smtp_reply reply;
	struct err err = ERR_INIT;
	size_t used;

	(void)state;
	for (int i = 0; i < SMTP_REPLY_LINE - 1; i++)
		assert_int_equal(buf_append_char(&data,
					 i < 3    ? '2'
					 : i == 3 ? ' '
						  : 'x',
					 &err),
			RC_OK);
	assert_int_equal(smtp_reply_parse(data.data, data.len, &reply, &used, NULL, &err), RC_NONE);
	assert_int_equal(buf_append_str(&data, "x", &err), RC_OK);
	assert_int_equal(smtp_reply_parse(data.data, data.len, &reply, &used, NULL, &err), RC_TEMP);
	assert_int_equal(err.code, ERR_PORT_ANSWER);
	buf_clear(&data);
	for (int i = 0; i < SMTP_REPLY_LINES - 1; i++)
		assert_int_equal(buf_append_str(&data, "250-x\r\n", &err), RC_OK);
	assert_int_equal(smtp_reply_parse(data.data, data.len, &reply, &used, NULL, &err), RC_NONE);
	assert_int_equal(buf_append_str(&data, "250-x\r\n", &err), RC_OK);
	assert_int_equal(smtp_reply_parse(data.data, data.len, &reply, &used, NULL, &err), RC_TEMP);
	buf_fini(&data);
}

static void
test_caps(void **state)
{
	static const char text[] =
		"250-DSN this is the greeting\r\n250-SIZE 10485760\r\n250-pipelining\r\n"
		"250-8BITMIME\r\n250-AUTH CRAM-MD5 LOGIN plain\r\n250-STARTTLS\r\n"
		"250-XFORWARD NAME IDENT FUTURE\r\n250 SMTPUTF8\r\n";
	static const char other[] =
		"250-x\r\n250-SIZE\r\n250-AUTH=LOGIN\r\n250-DSNX\r\n250 DSN\r\n";
	static const char huge[] = "250-x\r\n250 SIZE 99999999999999999999999\r\n";
	struct smtp_reply reply;
	struct smtp_caps caps;
	size_t used;

	(void)state;
	assert_int_equal(smtp_reply_parse(text, strlen(text), &reply, &used, &caps, NULL), RC_OK);
	assert_true(caps.pipelining && caps.eightbitmime && caps.starttls && caps.smtputf8);
	assert_true(caps.auth_plain && caps.auth_login && caps.size_offered);
	assert_false(caps.dsn || caps.chunking || caps.enhanced);
	assert_int_equal(caps.size, 10485760);
	assert_int_equal(caps.xforward, 1u << 0 | 1u << 5);
	assert_int_equal(smtp_reply_parse(other, strlen(other), &reply, &used, &caps, NULL), RC_OK);
	assert_true(caps.size_offered && caps.auth_login && caps.dsn && !caps.auth_plain);
	assert_int_equal(caps.size, 0);
	assert_int_equal(smtp_reply_parse(huge, strlen(huge), &reply, &used, &caps, NULL), RC_OK);
	assert_int_equal(caps.size, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_caps)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
