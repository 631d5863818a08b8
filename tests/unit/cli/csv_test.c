/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "cli/csv.h"
#include "cli/mta_log.h"

#include <stdio.h>

static void
cells(void **unused)
{
	static const char *const table[][2] = {{"", ""}, {"plain", "plain"}, {"a,b", "\"a,b\""},
		{"say \"x\"", "\"say \"\"x\"\"\""}, {"a\nb", "\"a\nb\""}, {"a\r", "\"a\r\""},
		{"=1+1", "'=1+1"}, {"+49", "'+49"}, {"-1", "'-1"}, {"@SUM(A1)", "'@SUM(A1)"},
		{"=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""},
		{"\t=1", "'\t=1"}, {"\n=1", "\"'\n=1\""}, {"a=1", "a=1"}, {NULL, ""}};

	(void)unused;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct buf out = BUF_INIT(0);

		assert_int_equal(csv_cell(&out, table[i][0], true, NULL), RC_OK);
		assert_string_equal(buf_text(&out), table[i][1]);
		assert_int_equal(csv_cell(&out, "z", false, NULL), RC_OK);
		assert_int_equal(csv_end(&out, NULL), RC_OK);
		assert_string_equal(buf_text(&out) + strlen(table[i][1]), ",z\r\n");
		buf_fini(&out);
	}
}

/* Lines of Postfix, Sendmail and ours, and what is none. */
static void
log_lines(void **unused)
{
	static const struct {
		const char *line;
		enum mta_log_what what;
		const char *qid;
		bool sent, key, notice;
	} table[] = {
		{"Nov 22 06:32:12 mx postfix/smtpd[4437]: 9EE76A7836C: client=unknown[127.0.0.1]",
			MTA_LOG_MTA, "9EE76A7836C", false, false, false},
		{"Nov 22 06:32:12 mx postfix/smtp[1]: 4bXyZ1AbCdzQ: to=<c@x.test>, relay=a, "
		 "dsn=2.0.0, status=sent (250 Ok)",
			MTA_LOG_MTA, "4bXyZ1AbCdzQ", true, false, false},
		{"Nov 22 06:32:12 mx postfix/smtp[1]: 4bXyZ1AbCdzQ: to=<c@x.test>, relay=a, "
		 "dsn=4.0.0, status=deferred (no)",
			MTA_LOG_MTA, "4bXyZ1AbCdzQ", false, false, false},
		{"2026-11-22T06:32:12.123456+01:00 mx sm-mta[9]: 5AM6XlwB012345: to=<b@x.test>, "
		 "delay=00:00:01, stat=Sent (OK)",
			MTA_LOG_MTA, "5AM6XlwB012345", true, false, false},
		{"2026-11-22T06:32:12Z mx sendmail[9]: 5AM6XlwB012345: from=<b@x.test>, size=1",
			MTA_LOG_MTA, "5AM6XlwB012345", false, false, false},
		{"Nov 22 06:32:12 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from a[1.2.3.4]",
			MTA_LOG_PROGRAM, "", false, false, false},
		{"Nov 22 06:32:12 mx sshd[1]: Accepted publickey for root", MTA_LOG_PROGRAM, "",
			false, false, false},
		{"Nov 22 06:32:12 mx cron[1]: 9EE76A7836C: something else", MTA_LOG_PROGRAM, "",
			false, false, false},
		{"Nov 22 06:32:12 mx sealgate-milter[2]: qid=9EE76A7836C event=sealed "
		 "rcpt=c@x.test how=sign+encrypt",
			MTA_LOG_OURS, "9EE76A7836C", false, true, false},
		{"Nov 22 06:32:12 mx sealgate-milter[2]: qid=9EE76A7836C event=sealed "
		 "rcpt=c@x.test how=encrypt",
			MTA_LOG_OURS, "9EE76A7836C", false, false, false},
		{"Nov 22 06:32:12 mx sealgate-milter[2]: qid=9EE76A7836C event=opened "
		 "rcpt=c@x.test",
			MTA_LOG_OURS, "9EE76A7836C", false, true, false},
		{"Nov 22 06:32:12 mx sealgate-milter[2]: event=notice what=sent", MTA_LOG_OURS, "",
			false, false, true},
		{"no log at all", MTA_LOG_OTHER, "", false, false, false},
		{"", MTA_LOG_OTHER, "", false, false, false},
		{"]: ", MTA_LOG_OTHER, "", false, false, false},
		{"[1]: : : ", MTA_LOG_PROGRAM, "", false, false, false},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct mta_log_line got;
		char *line = strdup(table[i].line);

		mta_log_parse(line, 1795328000, &got);
		if (got.what != table[i].what || strcmp(got.qid, table[i].qid) != 0 ||
			got.sent != table[i].sent || got.key != table[i].key ||
			got.notice != table[i].notice)
			fail_msg("%s: got %d \"%s\" %d %d %d", table[i].line, got.what, got.qid,
				got.sent, got.key, got.notice);
		free(line);
	}
}

/* Every beginning of every line, and every line with a byte changed. */
static void
any_line(void **unused)
{
	static const char whole[] =
		"2026-11-22T06:32:12.1Z mx sealgate-milter[2]: info qid=\"A\\x41\" "
		"event=sealed rcpt=x how=sign]: 9EE76A7836C: to=<a>, status=sent";

	(void)unused;
	for (size_t len = 0; len < sizeof(whole); len++)
		for (int c = 1; c < 256; c += 9) {
			struct mta_log_line got;
			char *line = calloc(1, len + 1);

			memcpy(line, whole, len);
			if (len)
				line[(len * 7 + (size_t)c) % len] = (char)c;
			mta_log_parse(line, 1795328000, &got);
			assert_true(strlen(got.qid) < MTA_LOG_QID);
			free(line);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(any_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
