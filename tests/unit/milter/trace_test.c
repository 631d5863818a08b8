/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/trace.h"

#include "milter/marks.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static const struct envelope_client client = {.name = "client.example",
	.addr = "192.0.2.7",
	.helo = "[192.0.2.7]",
	.host = "mx.example.org"};

static struct trace
trace_of(const char *service, const char *sender, const struct envelope_client *from)
{
	return (struct trace){.authserv_id = "example.org",
		.service = service,
		.sender = sender,
		.qid = "4QxY1",
		.client = from,
		.extended = true,
		.authenticated = true,
		.now = 1763769600};
}

static void
format(const struct trace *trace, struct buf *out)
{
	buf_clear(out);
	assert_int_equal(trace_format(trace, out, NULL), RC_OK);
}

/* Whatever the client calls itself, there are two fields, and no other. */
static void
test_format(void **state)
{
	static const char *const odd[] = {
		"", "a b", "a\r\nX-Evil: 1", "a(b", "a)", "a;b", "\xc3\xa4", "a\\", "\"a"};
	struct trace trace = trace_of("all", "alice@example.org", &client);
	struct buf text = BUF_INIT(0);
	struct hdrs hdrs;
	size_t used;

	(void)state;
	format(&trace, &text);
	if (strncmp(buf_text(&text),
		    "Received: from [192.0.2.7] (client.example [192.0.2.7])\r\n"
		    "\tby mx.example.org (sealgate) with ESMTPA id 4QxY1;\r\n\t",
		    109) != 0)
		fail_msg("got \"%s\"", buf_text(&text));
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		struct envelope_client from = {0};
		struct trace bad = trace_of("all", "", &from);

		bad.qid = odd[i];
		snprintf(from.name, sizeof(from.name), "%s", odd[i]);
		snprintf(from.helo, sizeof(from.helo), "%s", odd[i]);
		snprintf(from.host, sizeof(from.host), "%s", odd[i]);
		format(&bad, &text);
		assert_int_equal(buf_append_str(&text, "\r\n", NULL), RC_OK);
		assert_int_equal(hdrs_parse(text.data, text.len, &hdrs, &used, NULL), RC_OK);
		CHECK_INT(odd[i], hdrs.n, 2);
		CHECK_INT(odd[i], used, text.len);
		assert_non_null(strstr(buf_text(&text), "from unknown (unknown [unknown])"));
		hdrs_fini(&hdrs);
	}
	buf_fini(&text);
}

static const struct {
	const char *name, *mark; /* NULL: the one of service all and alice@example.org */
	const char *service, *sender;
	bool loop;
} cases[] = {
	{"back again", NULL, "all", "alice@example.org", true},
	{"by a list", NULL, "all", "list-bounces@lists.example", false},
	{"at another service", NULL, "open", "alice@example.org", false},
	{"bare", " example.org", "all", "", true},
	{"bare, any case", "\tEXAMPLE.org ", "all", "", true},
	{"with something else", " example.org; x=1", "all", "", true},
	{"another's", " example.net; h=00", "all", "", false},
	{"longer", " example.org.uk", "all", "", false},
	{"other binding", " example.org; h=0000000000000000", "all", "", false},
};

static void
test_loop(void **state)
{
	struct trace made = trace_of("all", "alice@example.org", &client);
	struct buf text = BUF_INIT(0);
	const char *mark;

	(void)state;
	format(&made, &text);
	mark = strstr(buf_text(&text), LOOP_MARK ":");
	assert_non_null(mark);
	mark += strlen(LOOP_MARK ":");
	text.data[text.len - 2] = '\0';
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trace trace = trace_of(cases[i].service, cases[i].sender, &client);
		const char *value = cases[i].mark ? cases[i].mark : mark;
		struct hdrs hdrs;
		bool loop;

		hdrs_init(&hdrs);
		assert_int_equal(
			hdrs_add(&hdrs, "x-sealgate-loop", 15, " other.example; h=1", 19, NULL),
			RC_OK);
		assert_int_equal(
			hdrs_add(&hdrs, LOOP_MARK, strlen(LOOP_MARK), value, strlen(value), NULL),
			RC_OK);
		assert_int_equal(trace_is_loop(&trace, &hdrs, &loop, NULL), RC_OK);
		CHECK_INT(cases[i].name, loop, cases[i].loop);
		hdrs_fini(&hdrs);
	}
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format), cmocka_unit_test(test_loop)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
