/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/startup.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void
buffers(void **state)
{
	struct buf buf = BUF_INIT(10);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(buf_append(&buf, "12345", 5, &err), RC_OK);
	assert_int_equal(buf_appendf(&buf, &err, "%d", 67890), RC_OK);
	assert_int_equal(buf_append(&buf, "x", 1, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	CHECK_STR("unchanged", buf_text(&buf), "1234567890");
	buf_fini(&buf);
	CHECK_STR("empty", buf_text(&buf), "");
}

static void
errors(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_VAULT_DOWN, "%s", "x"), RC_TEMP);
	assert_int_equal(err_prefix(&err, "a %d", 1), RC_TEMP);
	CHECK_STR("detail", err.detail, "a 1: x");
	CHECK_STR("name", err_name(ERR_VAULT_DOWN), "vault-down");
	err_set(&err, ERR_FILE, "again: %s", err.detail);
	CHECK_STR("itself", err.detail, "again: a 1: x");
	/* Nothing that a terminal obeys. */
	err_set(&err, ERR_FILE, "a\nb\t\x1b[J\x7f\r\xc2\x9bz\xc3\x9b");
	CHECK_STR("controls", err.detail, "a\nb\t?[J????z\xc3\x9b");
	err_prefix(&err, "\x07");
	CHECK_STR("controls", err.detail, "?: a\nb\t?[J????z\xc3\x9b");
	/* A reply's class, its enhanced code and its outcome never contradict each other, texts are
	 * ASCII. */
	for (int i = 1; i < ERR_COUNT; i++) {
		enum errcode code = (enum errcode)i;

		CHECK_INT(err_name(code), err_enhanced(code)[0] - '0', err_smtp(code) / 100);
		CHECK_INT(err_name(code), err_rc(code), err_smtp(code) < 500 ? RC_TEMP : RC_PERM);
		for (const char *p = err_public(code); *p; p++)
			assert_in_range(*p, ' ', '~');
	}
}

/* All of the texts, or none. */
static void
append_all(void **state)
{
	struct buf buf = BUF_INIT(8);
	struct err err = ERR_INIT;

	(void)state;
	CHECK_INT("none", buf_append_all(&buf, &err, NULL), RC_OK);
	CHECK_INT("some", buf_append_all(&buf, &err, "ab", "", "cd", NULL), RC_OK);
	CHECK_STR("text", buf_text(&buf), "abcd");
	CHECK_INT("too many", buf_append_all(&buf, &err, "efg", "hi", NULL), RC_PERM);
	CHECK_INT("why", err.code, ERR_LIMIT);
	CHECK_STR("as before", buf_text(&buf), "abcd");
	CHECK_INT("length", buf.len, 4);
	CHECK_INT("full", buf_append_all(&buf, &err, "ef", "gh", NULL), RC_OK);
	CHECK_STR("all", buf_text(&buf), "abcdefgh");
	buf_fini(&buf);
}

static void
times(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} cases[] = {{"2026-11-21T22:14:03Z", 1795299243},
		{"2026-11-21T22:14:03.5+09:00", 1795266843}, {"2026-11-21", 1795219200},
		{"2026-02-29", -1}, {"2024-02-29", 1709164800}, {"2026-13-01", -1},
		{"2026-11-21T25:00:00Z", -1}, {"2026-11-21T22:14:03", -1}, {"", -1},
		{"2026-11-21Zx", -1}};
	static const struct {
		const char *text;
		int64_t want;
	} mail[] = {{"Sat, 21 Nov 2026 22:14:03 +0900 (JST)", 1795266843},
		{"21 Nov 26 22:14 GMT", 1795299240},
		{"Sat,\r\n 21 Nov 2026 22:14:03 EST", 1795317243}, {"yesterday", -1},
		{"99 Nov 2026 22:14:03 +0000", -1}, {"Fri, 1 jan 99 0:00 -0500", 915166800},
		{"1 Jan 1999 05:00:00", 915166800}, {"1 Jan 1999 05:00: x", 915166800},
		{"1 Jan 1999 5", -1}, {"1 Jan 1999 05:x", -1}, {"1 January 1999 05:00", -1},
		{"1 Foo 1999 05:00", -1}, {"Jan 1999", -1}, {"-1 Jan 1999 05:00", -1}, {"1", -1},
		{"", -1}};
	char text[CLOCK_TEXT_SIZE];
	int64_t t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (clock_parse(cases[i].text, &t, NULL))
			t = -1;
		CHECK_INT(cases[i].text, t, cases[i].want);
	}
	for (size_t i = 0; i < sizeof mail / sizeof *mail; i++) {
		char *copy = exact(mail[i].text, strlen(mail[i].text));

		if (clock_parse_mail(copy, strlen(mail[i].text), &t, NULL))
			t = -1;
		CHECK_INT(mail[i].text, t, mail[i].want);
		free(copy);
	}
	CHECK_STR("format", clock_format_us(1795299243000123, text), "2026-11-21T22:14:03.000123Z");
	/* Every day from 1970 to 2150, at another second each, as the C library has them. */
	for (time_t at = 0; at < 5680281600; at += 86400 + 3607) {
		char want[CLOCK_TEXT_SIZE];
		struct tm tm;

		assert_non_null(gmtime_r(&at, &tm));
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
		CHECK_STR("a day", clock_format(at, text), want);
	}
	CHECK_STR("last", clock_format(253402300799, text), "9999-12-31T23:59:59Z");
	CHECK_STR("too late", clock_format(253402300800, text), "1970-01-01T00:00:00Z");
	CHECK_STR("too early", clock_format(-1, text), "1970-01-01T00:00:00Z");
	clock_set(5);
	CHECK_INT("fixed", clock_now(), 5);
	clock_set(-1);
	assert_true(clock_now() > 1000000);
}

static void
secrets(void **state)
{
	unsigned char old[200];
	struct secret *secret;

	(void)state;
	assert_int_equal(secret_copy("hello", 5, &secret, NULL), RC_OK);
	assert_memory_equal(secret_data(secret), "hello", 5);
	secret_truncate(secret, 2);
	CHECK_INT("len", secret_len(secret), 2);
	assert_int_equal(secret_data(secret)[3], 0);
	secret_free(&secret);
	assert_null(secret);
	/* Nothing of one secret is in the next, which lies where it lay. */
	memset(old, 0xa5, sizeof(old));
	assert_int_equal(secret_copy(old, sizeof(old), &secret, NULL), RC_OK);
	secret_free(&secret);
	assert_int_equal(secret_new(sizeof(old), &secret, NULL), RC_OK);
	for (size_t i = 0; i < sizeof(old); i++)
		CHECK_INT("wiped", secret_data(secret)[i], 0);
	secret_free(&secret);
	assert_int_equal(secret_new((size_t)SECRET_MAX + 1, &secret, NULL), RC_PERM);
}

static void
files(void **state)
{
	char dir[] = "/tmp/base_test.XXXXXX", path[64];
	struct buf buf = BUF_INIT(4);
	struct stat st;
	char **names;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f", dir);
	assert_int_equal(file_read(path, &buf, NULL), RC_NONE);
	assert_int_equal(file_write(path, "abcd", 4, 0400, NULL), RC_OK);
	assert_int_equal(stat(path, &st), 0);
	CHECK_INT("mode", st.st_mode & 0777, 0400);
	assert_int_equal(file_read(path, &buf, NULL), RC_OK);
	CHECK_STR("content", buf_text(&buf), "abcd");
	assert_int_equal(file_write(path, "abcdefgh", 8, 0600, NULL), RC_OK);
	buf_clear(&buf);
	assert_int_equal(file_read(path, &buf, NULL), RC_PERM);
	assert_int_equal(file_write_new(path, "x", 1, 0600, NULL), RC_PERM);
	assert_int_equal(file_list(dir, 10, &names, &n, NULL), RC_OK);
	CHECK_INT("names", n, 1);
	CHECK_STR("names", names[0], "f");
	file_list_free(&names, n);
	buf_fini(&buf);
	unlink(path);
	rmdir(dir);
}

/* What is hostile in a value cannot break a line or forge a pair. */
static void
log_quoting(void **state)
{
	char text[2048];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_open("test", true);
	log_event(LOGL_INFO, "Q", "e", "k", "a\nb=\"c\\", "empty", "", "none", NULL, "n",
		LOG_NUM(7), NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], text, sizeof text - 1);
	close(fds[0]);
	close(fds[1]);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "qid=Q event=e k=\"a\\x0ab=\\\"c\\\\\" empty=\"\" n=7\n"));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

static void
log_numbers(void **state)
{
	static const struct {
		long long n;
		const char *text;
	} cases[] = {{0, "0"}, {7, "7"}, {-10, "-10"}, {LLONG_MAX, "9223372036854775807"},
		{LLONG_MIN, "-9223372036854775808"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_STR("number", LOG_NUM(cases[i].n), cases[i].text);
}

/* A line that is too long is cut, and ends all the same. */
static void
log_long(void **state)
{
	char text[8192], value[LOG_VALUE_MAX + 1];
	int fds[2], saved = dup(STDERR_FILENO);
	const char *pairs;
	ssize_t n;

	(void)state;
	memset(value, 'v', sizeof value);
	value[LOG_VALUE_MAX] = '\0';
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_open("test", true);
	log_event(LOGL_INFO, NULL, "e", "a", value, "b", value, "c", value, "d", value, "e", value,
		"f", value, "x", value, "y", value, "g", value, "h", value, "i", value, "j", value,
		NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], text, sizeof text - 1);
	close(fds[0]);
	close(fds[1]);
	assert_true(n > 0);
	text[n] = '\0';
	pairs = strstr(text, "]: info event=e a=v");
	assert_non_null(pairs);
	CHECK_INT("length", strlen(pairs + strlen("]: info ")), 4096);
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

static void
command_lines(void **state)
{
	static const struct {
		const char *argv[5];
		bool good, foreground;
	} cases[] = {
		{{"x", "-c", "a.conf"}, true, false},
		{{"x", "-f", "-c", "a.conf"}, true, true},
		{{"x", "-f"}, false, false},
		{{"x", "-c"}, false, false},
		{{"x", "-z", "-c", "a.conf"}, false, false},
		{{"x", "-c", "a.conf", "more"}, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *argv[6] = {NULL};
		struct startup args;
		int argc = 0;

		for (; argc < 5 && cases[i].argv[argc]; argc++)
			argv[argc] = (char *)(uintptr_t)cases[i].argv[argc];
		optind = 0; /* from the beginning again */
		assert_false(startup_answer("x", argc, argv));
		CHECK_INT("good", startup_parse("x", argc, argv, &args), cases[i].good);
		if (!cases[i].good)
			continue;
		CHECK_STR("file", args.conf, "a.conf");
		CHECK_INT("foreground", args.foreground, cases[i].foreground);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers),
		cmocka_unit_test(errors),
		cmocka_unit_test(times),
		cmocka_unit_test(secrets),
		cmocka_unit_test(files),
		cmocka_unit_test(append_all),
		cmocka_unit_test(log_quoting),
		cmocka_unit_test(log_numbers),
		cmocka_unit_test(log_long),
		cmocka_unit_test(command_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
