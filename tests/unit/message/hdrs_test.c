/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/hdrs.h"

#include "tests/unit/unit.h"

/* Parses TEXT from a block of its exact size. */
static enum rc
parse(const char *text, size_t len, struct hdrs *out, size_t *used)
{
	char *copy = exact(text, len);
	struct err err = ERR_INIT;
	enum rc rc = hdrs_parse(copy, len, out, used, &err);

	free(copy);
	return rc;
}

/* Blocks with CRLF come back byte for byte. */
static void
test_round_trip(void **state)
{
	static const char *const blocks[] = {
		"",
		"Subject: x\r\n",
		"Subject:x\r\nTo: a,\r\n b\r\n\t c\r\n",
		"Subject : blank before the colon\r\nX\t \t:\r\n",
		"X: \r\n \r\n \r\nY:\r\n",
		"X: bare\rCR and CR\r\r\n folded\r\r\n",
		"X: 8\xe3\x81\x82 bit\r\n",
		"X:\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		struct buf out = BUF_INIT(0);
		struct sink sink = sink_to_buf(&out);
		struct err err = ERR_INIT;
		struct hdrs hdrs, copy;
		size_t used;

		CHECK_INT(blocks[i], parse(blocks[i], strlen(blocks[i]), &hdrs, &used), RC_OK);
		CHECK_INT(blocks[i], used, strlen(blocks[i]));
		CHECK_INT(blocks[i], hdrs_write(&hdrs, &sink, &err), RC_OK);
		CHECK_STR("written", buf_text(&out), blocks[i]);
		CHECK_INT("bytes", hdrs.bytes, out.len);
		buf_clear(&out);
		CHECK_INT(blocks[i], hdrs_copy(&hdrs, &copy, &err), RC_OK);
		CHECK_INT(blocks[i], hdrs_write(&copy, &sink, &err), RC_OK);
		CHECK_STR("copied", buf_text(&out), blocks[i]);
		buf_fini(&out);
		hdrs_fini(&copy);
		hdrs_fini(&hdrs);
	}
}

/* Where the header ends and what is in it. */
static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		size_t used, n;
		const char *last_value;
	} cases[] = {
		{"A: 1\r\nB: 2\r\n\r\nbody", 14, 2, " 2"},
		{"A: 1\nB: 2\n\nbody", 11, 2, " 2"},
		{"A: 1\n\r\nbody", 7, 1, " 1"},
		{"A: 1\r\nno field\r\n\r\n", 6, 1, " 1"},
		{" leading blank\r\n", 0, 0, NULL},
		{": no name\r\n", 0, 0, NULL},
		{"A b: c\r\n", 0, 0, NULL},
		{"\xc3\x84: c\r\n", 0, 0, NULL},
		{"\r\nbody", 2, 0, NULL},
		{"A: cut", 6, 1, " cut"},
		{"A: cut\r", 7, 1, " cut\r"},
		{"A: x\n y\r\n\tz\r\n\r\n", 15, 1, " x\n y\n\tz"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hdrs hdrs;
		size_t used;

		CHECK_INT(cases[i].text, parse(cases[i].text, strlen(cases[i].text), &hdrs, &used),
			RC_OK);
		CHECK_INT(cases[i].text, used, cases[i].used);
		CHECK_INT(cases[i].text, hdrs.n, cases[i].n);
		if (cases[i].last_value)
			CHECK_STR(cases[i].text, hdrs.v[hdrs.n - 1].value, cases[i].last_value);
		hdrs_fini(&hdrs);
	}
}

/* NUL inside a value is kept. */
static void
test_nul(void **state)
{
	static const char text[] = "A: x\0y\r\n\r\n";
	struct hdrs hdrs;
	size_t used;

	(void)state;
	CHECK_INT("nul", parse(text, sizeof(text) - 1, &hdrs, &used), RC_OK);
	CHECK_INT("used", used, sizeof(text) - 1);
	CHECK_INT("length", hdrs.v[0].value_len, 4);
	assert_memory_equal(hdrs.v[0].value, " x\0y", 5);
	hdrs_fini(&hdrs);
}

static void
test_edit(void **state)
{
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT(0);
	struct sink sink = sink_to_buf(&out);
	struct hdrs hdrs;

	(void)state;
	hdrs_init(&hdrs);
	CHECK_INT("add", hdrs_add(&hdrs, "To", 2, " a", 2, &err), RC_OK);
	CHECK_INT("add", hdrs_add(&hdrs, "to", 2, " b\n c", 5, &err), RC_OK);
	CHECK_INT("insert", hdrs_insert(&hdrs, 0, "Received", " x", &err), RC_OK);
	CHECK_INT("insert", hdrs_insert(&hdrs, 99, "Last", " y", &err), RC_OK);
	CHECK_INT("count", hdrs_count(&hdrs, "TO"), 2);
	CHECK_STR("second", hdrs_find(&hdrs, "TO", 1)->value, " b\n c");
	assert_null(hdrs_find(&hdrs, "To", 2));
	assert_null(hdrs_find(&hdrs, "T", 0));
	hdrs_remove(&hdrs, 1);
	hdrs_remove(&hdrs, 7);
	CHECK_INT("write", hdrs_write(&hdrs, &sink, &err), RC_OK);
	CHECK_STR("written", buf_text(&out), "Received: x\r\nto: b\r\n c\r\nLast: y\r\n");
	CHECK_INT("bytes", hdrs.bytes, out.len);
	for (int i = 0; i < 40; i++)
		CHECK_INT("many", hdrs_insert(&hdrs, 1, "X", "y", &err), RC_OK);
	while (hdrs.n)
		hdrs_remove(&hdrs, hdrs.n / 2);
	CHECK_INT("bytes of nothing", hdrs.bytes, 0);
	for (int i = 0; i < 9; i++)
		CHECK_INT("again", hdrs_insert(&hdrs, 0, "X", "y", &err), RC_OK);
	hdrs_fini(&hdrs);
	buf_fini(&out);
}

/* Too many fields, too many bytes. */
static void
test_limits(void **state)
{
	struct err err = ERR_INIT;
	size_t len = HDRS_MAX_BYTES + 100, used;
	char *text = malloc(len);
	struct hdrs hdrs;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < HDRS_MAX + 1; i++)
		memcpy(text + 4 * i, "X:y\n", 4);
	CHECK_INT("fields", hdrs_parse(text, 4 * (HDRS_MAX + 1), &hdrs, &used, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	CHECK_INT("just enough", hdrs_parse(text, 4 * HDRS_MAX, &hdrs, &used, &err), RC_OK);
	CHECK_INT("one more", hdrs_add(&hdrs, "X", 1, "", 0, &err), RC_PERM);
	hdrs_fini(&hdrs);
	memset(text, 'x', len);
	memcpy(text, "X: ", 3);
	CHECK_INT("bytes", hdrs_parse(text, len, &hdrs, &used, &err), RC_PERM);
	for (size_t i = 0; i < 10; i++)
		memcpy(text + i * (len / 10), "\nX: ", 4);
	CHECK_INT("bytes in all", hdrs_parse(text + 1, len - 1, &hdrs, &used, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	free(text);
}

static void
test_unfold(void **state)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
		{" x", "x"},
		{"  a\n b \n\tc \n ", "a b \tc"},
		{"", ""},
		{" \n ", ""},
		{"a\r\n b", "a b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf out = BUF_INIT(0);
		struct hdrs hdrs;
		struct err err = ERR_INIT;

		hdrs_init(&hdrs);
		CHECK_INT("insert", hdrs_insert(&hdrs, 0, "X", cases[i].value, &err), RC_OK);
		CHECK_INT("unfold", hdr_unfold(&hdrs.v[0], &out, &err), RC_OK);
		CHECK_STR(cases[i].value, buf_text(&out), cases[i].want);
		hdrs_fini(&hdrs);
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_unfold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
