/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/authres.h"

#include "tests/unit/unit.h"

static const struct {
	const char *value;
	enum authres_kind kind;
	const char *rest;
} cases[] = {
	{" other.example; smime=pass", AUTHRES_OTHER, NULL},
	{" mx.example.org; spf=pass smtp.mailfrom=a@b; dkim=pass", AUTHRES_OTHER, NULL},
	{" mx.example.org; none", AUTHRES_OTHER, NULL},
	{" mx.example.org", AUTHRES_OTHER, NULL},
	{"", AUTHRES_OTHER, NULL},
	{" mx.example.org; smime=pass", AUTHRES_DELETE, NULL},
	{" MX.Example.ORG 1; SMIME = pass (ok)", AUTHRES_DELETE, NULL},
	{" (a; comment) mx.example.org (x); smime/1=pass", AUTHRES_DELETE, NULL},
	{" \"mx.example.org\"; smime=pass", AUTHRES_DELETE, NULL},
	{"mx.example.org;smime=pass;smime=fail", AUTHRES_DELETE, NULL},
	{"\n\tmx.example.org;\n\t(c)\n\tsmime=pass", AUTHRES_DELETE, NULL},
	{" mx.example.org; spf=pass; smime=pass\n\tbody.smime-identifier=\"a;b\"; dkim=fail",
		AUTHRES_CHANGE, " mx.example.org; spf=pass; dkim=fail"},
	{" mx.example.org; dkim=pass reason=\"x; smime=pass\"", AUTHRES_OTHER, NULL},
	{" mx.example.org; dkim=pass (x; smime=pass)", AUTHRES_OTHER, NULL},
	{" mx.example.org; dkim=pass; smime=pass (unclosed; spf=pass", AUTHRES_CHANGE,
		" mx.example.org; dkim=pass"},
	{" mx.example.org; smime=pass \"unclosed; spf=pass", AUTHRES_DELETE, NULL},
	{" mx.example.organ; smime=pass", AUTHRES_OTHER, NULL},
	{" mx.example.org; x-smime=pass", AUTHRES_OTHER, NULL},
};

static void
test_examine(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].value);
		char *value = exact(cases[i].value, len);
		struct buf rest = BUF_INIT(0);
		enum authres_kind kind;

		assert_int_equal(
			authres_examine(value, len, "mx.example.org", &kind, &rest, NULL), RC_OK);
		CHECK_INT(cases[i].value, kind, cases[i].kind);
		if (cases[i].rest)
			CHECK_STR(cases[i].value, buf_text(&rest), cases[i].rest);
		buf_fini(&rest);
		free(value);
	}
}

static void
test_format(void **state)
{
	struct verdict v[2];
	struct buf out = BUF_INIT(0);
	enum authres_kind kind;

	(void)state;
	verdict_init(&v[0]);
	verdict_init(&v[1]);
	v[0].overall = VERDICT_PASS;
	v[1].overall = VERDICT_FAIL;
	verdict_reason(&v[1], "bad (\"%s\")\r\nX: y", "gr\xc3\xbc\xc3\x9f");
	assert_int_equal(authres_format("mx.example.org", v, 2, NULL, &out, NULL), RC_OK);
	assert_non_null(strstr(buf_text(&out), " mx.example.org;\n\tsmime=pass;\n\tsmime=fail ("));
	assert_null(strchr(buf_text(&out), '\r'));
	assert_null(strstr(buf_text(&out), "\nX: y"));
	for (const char *p = buf_text(&out); *p; p++)
		assert_true((*p >= ' ' && *p <= '~') || *p == '\n' || *p == '\t');
	/* What we write is found again when it comes back forged. */
	{
		struct buf rest = BUF_INIT(0);

		assert_int_equal(authres_examine(buf_text(&out), out.len, "mx.example.org", &kind,
					 &rest, NULL),
			RC_OK);
		assert_int_equal(kind, AUTHRES_DELETE);
		buf_fini(&rest);
	}
	buf_fini(&out);
	verdict_fini(&v[0]);
	verdict_fini(&v[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examine), cmocka_unit_test(test_format)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
