/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/tsv.h"

#include "tests/unit/unit.h"

#include <stdio.h>

/* The table as "a|b/c|d": fields by "|", rows by "/". */
static void
flatten(const struct tsv *tsv, struct buf *out)
{
	for (size_t i = 0; i < tsv->n; i++)
		for (size_t k = 0; k < tsv->rows[i].n; k++) {
			assert_int_equal(buf_appendf(out, NULL, "%s%s",
						 k   ? "|"
						 : i ? "/"
						     : "",
						 tsv->rows[i].v[k]),
				RC_OK);
		}
}

static void
reads(void **state)
{
	static const struct {
		const char *name, *bytes, *table; /* TABLE NULL: refused … */
		const char *why;                  /* … with this */
	} cases[] = {
		{"nothing", "", "", NULL},
		{"LF", "a\tb\nc\td\n", "a|b/c|d", NULL},
		{"CR LF, last end missing", "a\tb\r\nc\td", "a|b/c|d", NULL},
		{"both", "a\r\nb\nc\r\n", "a/b/c", NULL},
		{"empty fields", "\ta\t\t\n", "|a||", NULL},
		{"rows without text", "a\n\n\t\t\r\n  \nb\n", "a/b", NULL},
		{"UTF-8", "\u6771\u4eac\t\u2460\n", "\u6771\u4eac|\u2460", NULL},
		{"byte order mark", "\xef\xbb\xbf\u6771\tb\n", "\u6771|b", NULL},
		{"CP932", "\x93\x8c\x8b\x9e\t\x87\x40\x81\x60\xb1\r\n",
			"\u6771\u4eac|\u2460\uff5e\uff71", NULL},
		{"CP932 with a backslash inside", "\x95\x5c\tb", "\u8868|b", NULL},
		{"quotes inside", "a \"b\" c\t\"d\n", "a \"b\" c|\"d", NULL},
		{"quoted", "a\t\"b\"\n", NULL, "list: row 1, column 2: the field is in quotes"},
		{"CR alone", "a\rb\n", NULL,
			"list: row 1, column 1: a control character (0d), a CR without LF"},
		{"CR at the end", "a\nb\r", NULL,
			"list: row 2, column 1: a control character (0d)"},
		{"escape", "a\nx\tb\x1b\n", NULL,
			"list: row 2, column 2: a control character (1b)"},
		{"a control character of terminals",
			"a\xc2\x9b"
			"2J",
			NULL, "list: row 1, column 1: a control character"},
		{"two files in one", "a\n\ufeffb", NULL,
			"list: row 2, column 1: a byte order mark within the file"},
		{"DEL", "\x7f", NULL, "list: row 1, column 1: a control character (7f)"},
		{"neither", "ok\nx\ty\t\xff\xff\n", NULL,
			"list: row 2, column 3: neither UTF-8 nor CP932"},
		{"mark, then no UTF-8",
			"\xef\xbb\xbf"
			"a\tb\xff",
			NULL, "list: row 1, column 2: neither UTF-8 nor CP932"},
		{"what another program could not read", "\xef\xbf\xbd", NULL,
			"list: row 1, column 1: neither UTF-8 nor CP932"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].bytes);
		char *bytes = exact(cases[i].bytes, len);
		struct buf out = BUF_INIT(10000);
		struct err err = ERR_INIT;
		struct tsv tsv;
		enum rc rc = tsv_parse(bytes, len, "list", &tsv, &err);

		CHECK_INT(cases[i].name, rc, cases[i].table ? RC_OK : RC_PERM);
		flatten(&tsv, &out);
		if (cases[i].table)
			CHECK_STR(cases[i].name, buf_text(&out), cases[i].table);
		else if (strncmp(err.detail, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("%s: got \"%s\", want \"%s\"", cases[i].name, err.detail,
				cases[i].why);
		tsv_fini(&tsv);
		buf_fini(&out);
		free(bytes);
	}
}

static void
counts_lines(void **state)
{
	struct tsv tsv;

	(void)state;
	assert_int_equal(tsv_parse("a\n\n\nb\tc\n", 8, "list", &tsv, NULL), RC_OK);
	CHECK_INT("rows", tsv.n, 2);
	CHECK_INT("line", tsv.rows[1].line, 4);
	CHECK_STR("field", tsv_field(&tsv.rows[1], 2), "c");
	CHECK_STR("no such field", tsv_field(&tsv.rows[1], 3), "");
	CHECK_STR("field 0", tsv_field(&tsv.rows[1], 0), "");
	tsv_fini(&tsv);
	assert_int_equal(tsv_parse("a\0b", 3, "list", &tsv, NULL), RC_PERM);
	assert_int_equal(tsv_read("/nonexistent/list", &tsv, NULL), RC_TEMP);
}

/* COUNT times UNIT: the outcome, and the error's beginning. */
static void
limit(const char *name, const char *unit, size_t count, const char *why)
{
	struct buf text = BUF_INIT(3u * TSV_MAX_BYTES);
	struct err err = ERR_INIT;
	struct tsv tsv;
	enum rc rc;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_append_str(&text, unit, &err), RC_OK);
	rc = tsv_parse(text.data, text.len, "list", &tsv, &err);
	CHECK_INT(name, rc, why ? RC_PERM : RC_OK);
	if (why) {
		CHECK_INT(name, err.code, ERR_LIMIT);
		if (strncmp(err.detail, why, strlen(why)) != 0)
			fail_msg("%s: %s", name, err.detail);
	}
	tsv_fini(&tsv);
	buf_fini(&text);
}

static void
has_limits(void **state)
{
	(void)state;
	limit("rows", "x\n", TSV_MAX_ROWS, NULL);
	limit("one row more", "x\n", TSV_MAX_ROWS + 1, "list: more than 100000 rows");
	limit("columns", "x\t", TSV_MAX_COLUMNS - 1, NULL);
	limit("one column more", "x\t", TSV_MAX_COLUMNS, "list: row 1: more than 100 columns");
	limit("field", "x", TSV_MAX_FIELD, NULL);
	limit("one byte more", "x", TSV_MAX_FIELD + 1, "list: row 1, column 1: a field of 65537");
	limit("bytes", "0123456789abcdef\n\n\n", TSV_MAX_BYTES / 19 + 1, "list: more than");
}

static void
writes(void **state)
{
	static const struct {
		const char *name;
		struct tsv_style style;
		const char *fields[3];
		const char *bytes, *why;
	} cases[] = {
		{"CP932, CR LF", {true, true}, {"\u6771\u4eac", "", "\u2460\u3231\uff5e\uff71"},
			"\x93\x8c\x8b\x9e\t\t\x87\x40\x87\x8a\x81\x60\xb1\r\n", NULL},
		{"UTF-8, LF", {false, false}, {"\u6771", "\U00020bb7", ""},
			"\u6771\t\U00020bb7\t\n", NULL},
		{"not in CP932", {true, true}, {"a", "\u5409\u91ce\U00020bb7", ""}, NULL,
			"row 7, column 2: U+20BB7 (\U00020bb7) cannot be written in CP932"},
		{"yen", {true, true}, {"\u00a5", "", ""}, NULL,
			"row 7, column 1: U+00A5 (\u00a5) cannot be written in CP932"},
		{"tab", {true, true}, {"a", "b", "c\td"}, NULL,
			"row 7, column 3: a tab in a field"},
		{"line end", {false, true}, {"a\n", "b", "c"}, NULL,
			"row 7, column 1: a line end in a field"},
		{"control", {true, true}, {"a", "\x01", "c"}, NULL,
			"row 7, column 2: a control character in a field"},
		{"no UTF-8", {false, true}, {"a", "b", "\xff"}, NULL, "row 7, column 3: no UTF-8"},
		{"quotes", {true, true}, {"\"a\"", "b", "c"}, NULL,
			"row 7, column 1: a field in quotes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf out = BUF_INIT(1000);
		struct err err = ERR_INIT;
		enum rc rc = tsv_append_row(
			&cases[i].style, (char *const *)cases[i].fields, 3, 7, &out, &err);

		CHECK_INT(cases[i].name, rc, cases[i].bytes ? RC_OK : RC_PERM);
		if (cases[i].bytes)
			CHECK_STR(cases[i].name, buf_text(&out), cases[i].bytes);
		else
			CHECK_STR(cases[i].name, err.detail, cases[i].why);
		buf_fini(&out);
	}
}

/* Each byte of a table wrong in turn, and each length of it: read or refused, and what was read
 * can be written again when it is not in quotes. */
static void
mutations(void **state)
{
	static const char table[] = "\x93\x8c\x8b\x9e\tb\r\n\xb1\t\x87\x40\r\nx\ty\n";
	const struct tsv_style style = {false, false};

	(void)state;
	for (size_t i = 0; i < 8 * (sizeof(table) - 1) + sizeof(table); i++) {
		size_t flips = 8 * (sizeof(table) - 1);
		size_t len = i < flips ? sizeof(table) - 1 : i - flips;
		char *bytes = exact(table, len);
		struct buf out = BUF_INIT(1000);
		struct tsv tsv, again;

		if (i < flips)
			bytes[i / 8] ^= (char)(1 << i % 8);
		if (tsv_parse(bytes, len, "list", &tsv, NULL) == RC_OK) {
			for (size_t k = 0; k < tsv.n; k++)
				assert_int_equal(tsv_append_row(&style, tsv.rows[k].v,
							 tsv.rows[k].n, k + 1, &out, NULL),
					RC_OK);
			assert_int_equal(
				tsv_parse(buf_text(&out), out.len, "again", &again, NULL), RC_OK);
			CHECK_INT("rows", again.n, tsv.n);
			tsv_fini(&again);
		}
		tsv_fini(&tsv);
		buf_fini(&out);
		free(bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(counts_lines),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(writes),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
