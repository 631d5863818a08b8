/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/entity_split.h"

#include "tests/unit/unit.h"

static const struct spool_conf conf = {.memory = 1 << 20, .max = 1 << 20};

static const struct {
	const char *in;
	enum rc rc;
	size_t fields;
	const char *body;
} cases[] = {
	{"Content-Type: text/plain\r\n\r\nx\r\n", RC_OK, 1, "x\r\n"},
	{"Content-Type: text/plain\n\nx\ny", RC_OK, 1, "x\r\ny"},
	{"\r\nno header\r\n", RC_OK, 0, "no header\r\n"},
	{"Content-Type: text/plain;\r\n\tcharset=x\r\nX: y\r\n\r\n", RC_OK, 2, ""},
	{"Content-Type: text/plain\r\n\r\na\rb\n\r\n\n", RC_OK, 1, "a\rb\r\n\r\n\r\n"},
	{"Content-Type: text/plain\rX: y\r\n\r\nx", RC_PERM, 0, NULL},
	{"Subject: no content\r\n\r\nx", RC_PERM, 0, NULL},
	{"Content-Type: text/plain\r\n", RC_PERM, 0, NULL},
	{"", RC_PERM, 0, NULL},
	{"garbage\r\n\r\nx", RC_PERM, 0, NULL},
	{"Content-Type: text/plain\r\nno field\r\n\r\nx", RC_PERM, 0, NULL},
};

static void
check(size_t i, size_t step)
{
	struct entity_split *split;
	struct sink sink;
	struct inner inner;
	size_t len = strlen(cases[i].in);
	char *in = exact(cases[i].in, len);
	enum rc rc = RC_OK;

	assert_int_equal(entity_split_new(&conf, 0, &split, NULL), RC_OK);
	sink = entity_split_sink(split);
	for (size_t at = 0; rc == RC_OK && at < len; at += step)
		rc = sink_feed(&sink, in + at, len - at < step ? len - at : step, NULL);
	if (rc == RC_OK)
		rc = entity_split_take(split, &inner, NULL);
	CHECK_INT(cases[i].in, rc, cases[i].rc);
	if (rc == RC_OK) {
		char body[200] = "";
		size_t size = spool_size(inner.body);

		CHECK_INT(cases[i].in, inner.hdrs.n, cases[i].fields);
		assert_true(size < sizeof(body));
		assert_int_equal(spool_read(inner.body, 0, body, size, NULL), RC_OK);
		CHECK_STR(cases[i].in, body, cases[i].body);
		inner_fini(&inner);
	}
	entity_split_free(&split);
	free(in);
}

static void
test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t step = 1; step < 20; step++)
			check(i, step);
}

/* A header that does not end is refused before it fills the memory. */
static void
test_endless(void **state)
{
	struct entity_split *split;
	struct err err = ERR_INIT;
	struct sink sink;
	char line[1000];
	enum rc rc = RC_OK;
	size_t n = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(entity_split_new(&conf, 0, &split, NULL), RC_OK);
	sink = entity_split_sink(split);
	for (; rc == RC_OK && n < 1000; n++)
		rc = sink_feed(&sink, line, sizeof(line), &err);
	assert_int_equal(rc, RC_PERM);
	assert_int_equal(err.code, ERR_MSG_MALFORMED);
	assert_true(n < 300);
	entity_split_free(&split);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split), cmocka_unit_test(test_endless)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
