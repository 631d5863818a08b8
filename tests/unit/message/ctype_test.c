/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime.h"

#include "tests/unit/unit.h"

#include <stdio.h>

/* type|name=value|name=value */
static void
show(const struct ctype *ctype, struct buf *out)
{
	struct err err = ERR_INIT;

	buf_clear(out);
	CHECK_INT("show", buf_append_str(out, ctype->type, &err), RC_OK);
	for (size_t i = 0; i < ctype->n; i++)
		CHECK_INT("show",
			buf_appendf(
				out, &err, "|%s=%s", ctype->params[i].name, ctype->params[i].value),
			RC_OK);
}

static const struct {
	const char *value, *want; /* NULL: refused */
} cases[] = {
	{" text/plain", "text/plain"},
	{" Text/PLAIN; Charset=UTF-8", "text/plain|charset=UTF-8"},
	{" text/plain;\n\tcharset=\"a;b\" ; x = y", "text/plain|charset=a;b|x=y"},
	{" multipart/mixed; boundary=\"a\\\"b\\c\"", "multipart/mixed|boundary=a\"bc"},
	{" multipart/mixed; boundary=\"a\r\n b\"", "multipart/mixed|boundary=a b"},
	{" multipart/mixed; boundary=----=_Part/1?", "multipart/mixed|boundary=----=_Part/1?"},
	{" multipart/mixed (comment; x=y) ; (c) boundary=(d)b (e)", "multipart/mixed|boundary=b"},
	{" multipart/mixed boundary=b", "multipart/mixed|boundary=b"},
	{" multipart/mixed; boundary*0=ab; boundary*1=\"c d\"", "multipart/mixed|boundary=abc d"},
	{" multipart/mixed; boundary*1=b; boundary*0=a; boundary*3=d",
		"multipart/mixed|boundary=ab"},
	{" multipart/mixed; boundary*=us-ascii'en'a%20b", "multipart/mixed|boundary=a b"},
	{" a/b; n*0*=utf-8''%e3%81; n*1*=%82; n*2=\"%41\"", "a/b|n=\xe3\x81\x82%41"},
	{" a/b; n*=x", "a/b|n=x"},
	{" a/b; n*1=x", "a/b"},
	{" attachment; filename=x.p7m", "attachment|filename=x.p7m"},
	{" a/b; x=\"not closed", "a/b|x=not closed"},
	{" a/b; x=", "a/b|x="},
	{" a/b; ;; junk; =y; x=1", "a/b|x=1"},
	{" a/b; x=1; x=2", "a/b|x=1|x=2"},
	{" a/b; x=\"a\\", "a/b|x=a\\"},
	{"", NULL},
	{" ;", NULL},
	{" /b", NULL},
	{" a/", NULL},
	{" a/b/c", NULL},
	{" a/b=c", NULL},
	{" a\xe9/b", NULL},
	{" a/b; n*x*=1", NULL},
	{" a/b; n*=a''b%00c", NULL},
	{" (not closed a/b", NULL},
};

static void
test_cases(void **state)
{
	struct buf out = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].value);
		char *value = exact(cases[i].value, len);
		struct err err = ERR_INIT;
		struct ctype ctype;
		enum rc rc = ctype_parse(value, len, &ctype, &err);

		CHECK_INT(cases[i].value, rc, cases[i].want ? RC_OK : RC_PERM);
		if (cases[i].want) {
			show(&ctype, &out);
			CHECK_STR(cases[i].value, buf_text(&out), cases[i].want);
		} else {
			CHECK_INT(cases[i].value, err.code, ERR_MSG_MALFORMED);
		}
		ctype_fini(&ctype);
		free(value);
	}
	buf_fini(&out);
}

static void
test_limits(void **state)
{
	char text[MIME_MAX_PARAMS * 8 + 32];
	size_t n = 3;
	struct err err = ERR_INIT;
	struct ctype ctype;

	(void)state;
	memcpy(text, "a/b", 3);
	for (int i = 0; i < MIME_MAX_PARAMS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ";x*%d=y", i);
	CHECK_INT("as many as may be", ctype_parse(text, n, &ctype, &err), RC_OK);
	CHECK_INT("joined", strlen(ctype_param(&ctype, "x")), MIME_MAX_PARAMS);
	assert_null(ctype_param(&ctype, "y"));
	ctype_fini(&ctype);
	memcpy(text + n, ";x=y", 4);
	CHECK_INT("one more", ctype_parse(text, n + 4, &ctype, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	CHECK_INT("NUL", ctype_parse("a/b\0;", 5, &ctype, &err), RC_PERM);
}

/* Every cut and every flipped bit, from blocks of the exact size. */
static void
test_mutation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t bit = 0; bit < strlen(cases[i].value) * 9; bit++) {
			size_t len = strlen(cases[i].value), cut = bit / 9;
			char *value = exact(cases[i].value, bit % 9 == 8 ? cut : len);
			struct err err = ERR_INIT;
			struct ctype ctype;

			if (bit % 9 < 8)
				value[cut] = (char)(value[cut] ^ 1 << bit % 9);
			if (ctype_parse(value, bit % 9 == 8 ? cut : len, &ctype, &err) == RC_OK)
				assert_non_null(ctype.type);
			ctype_fini(&ctype);
			free(value);
		}
}

/* What all readers agree on, and what some of them read in another way. */
static void
test_clear(void **state)
{
	static const struct {
		const char *value;
		bool clear;
	} values[] = {
		{" multipart/signed; boundary=b", true},
		{" multipart/signed; boundary=\"----=_Part (1)\"; micalg=sha-256", true},
		{" multipart/signed; micalg=sha1;\r\n\tBoundary = \"b\" ;", true},
		{" multipart/signed;boundary=----=_Part/1?:'+.", true},
		{" multipart/signed; boundary=\"Boundary_(ID_x)\"", true},
		{" multipart/signed; boundary=\"boundary-1=2\"", true},
		{" multipart/signed; x=\"\xff\"; boundary=b", true},
		{" multipart/signed", false},
		{" multipart/signed; boundary=", false},
		{" multipart/signed; boundary=\"\"", false},
		{" multipart/signed; boundary=b; boundary=o", false},
		{" multipart/signed; boundary=b; BOUNDARY*=us-ascii''o", false},
		{" multipart/signed; boundary*=us-ascii''b", false},
		{" multipart/signed; boundary*0=\"b\"", false},
		{" multipart/signed; boundary*0*=\"b\"", false},
		{" multipart/signed; (boundary=o;) boundary=b", false},
		{" multipart/signed; boundary=(o)b", false},
		{" multipart/signed; boundary=b(o)", false},
		{" multipart/signed (x); boundary=b", false},
		{" multipart/signed; boundary=\"\\b\"", false},
		{" multipart/signed; x=\"\\\"; boundary=o; y=\\\"\"; boundary=b", false},
		{" multipart/signed; x=\"; boundary=o\"; boundary=b", false},
		{" multipart/signed; x=y boundary=b", false},
		{" multipart/signed; boundary=\"b", false},
		{" multipart/signed; boundary=\"b\"o", false},
		{" multipart/signed; boundary=b\"o\"", false},
		{" multipart/signed; boundary=b,c", false},
		{" multipart/signed; boundary=b\xe9", false},
		{" multipart/signed; boundary=\"a\r\n b\"", false},
		{" multipart/signed; x=y\r; boundary=b", false},
		{" multipart/signed; boundary=b; x=\"y", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		size_t len = strlen(values[i].value);
		char *copy = exact(values[i].value, len);

		CHECK_INT(values[i].value, ctype_is_clear(copy, len), values[i].clear);
		/* Cut off anywhere: no more than what is there is read. */
		for (size_t n = 0; n < len; n++) {
			char *part = exact(copy, n);

			(void)ctype_is_clear(part, n);
			free(part);
		}
		free(copy);
	}
	CHECK_INT("NUL", ctype_is_clear(" multipart/signed; boundary=b\0o", 32), false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_mutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
