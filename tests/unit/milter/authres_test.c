/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/authres.h"

#include "crypto/cert_private.h"
#include "tests/unit/directory/people.h"

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

#define FOUND(...)                                                           \
	{                                                                    \
		.signature = SIGNATURE_GOOD, .path = PATH_VALID, __VA_ARGS__ \
	}

/* What RFC 7281, section 3.1, calls each thing that can be found. */
static const struct {
	const char *name;
	struct verdict v;
	bool required;
	const char *want;
} results[] = {
	{"not signed", {.signature = SIGNATURE_NONE}, false, "none"},
	{"good", FOUND(.sender = SENDER_MATCH), false, "pass"},
	{"does not hold", {.signature = SIGNATURE_BAD, .path = PATH_VALID}, false, "fail"},
	{"expired", {.signature = SIGNATURE_GOOD, .path = PATH_INVALID}, false, "fail"},
	{"no path", {.signature = SIGNATURE_GOOD, .path = PATH_UNKNOWN}, false, "fail"},
	{"revoked", FOUND(.revocation = REVOCATION_REVOKED), false, "fail"},
	{"revoked, and another's",
		FOUND(.revocation = REVOCATION_REVOKED, .sender = SENDER_MISMATCH), false, "fail"},
	{"unknown revocation", FOUND(.revocation = REVOCATION_UNKNOWN), false, "pass"},
	{"unknown and required", FOUND(.revocation = REVOCATION_UNKNOWN), true, "temperror"},
	{"unknown, required, weak",
		FOUND(.revocation = REVOCATION_UNKNOWN, .strength = STRENGTH_WEAK), true, "policy"},
	{"another's", FOUND(.sender = SENDER_MISMATCH), false, "policy"},
	{"weak", FOUND(.strength = STRENGTH_WEAK), false, "policy"},
	{"odd time", FOUND(.time = TIME_ODD), false, "policy"},
	{"algorithm", {.signature = SIGNATURE_UNSUPPORTED}, false, "neutral"},
	{"no certificate of the signer",
		{.signature = SIGNATURE_UNSUPPORTED, .signer_missing = true}, false, "permerror"},
	{"not to be read", {.overall = VERDICT_PERMERROR, .malformed = true}, false, "neutral"},
	{"no multipart/signed", {.overall = VERDICT_PERMERROR}, false, "permerror"},
	{"our own trouble", {.overall = VERDICT_TEMPERROR}, false, "temperror"},
};

static void
test_result(void **state)
{
	char want[40];

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
		struct verdict v = results[i].v;
		struct buf out = BUF_INIT(0);
		char *smime;

		verdict_conclude(&v, results[i].required);
		assert_int_equal(authres_format("x", &v, 1, NULL, &out, NULL), RC_OK);
		assert_non_null(smime = strstr(buf_text(&out), "smime="));
		snprintf(want, sizeof(want), "%.*s", (int)strcspn(smime + 6, " ;"), smime + 6);
		CHECK_STR(results[i].name, want, results[i].want);
		buf_fini(&out);
	}
}

/* Properties as RFC 8601 wants values: tokens as they are, all else quoted, no line too
   long. */
static void
test_properties(void **state)
{
	static const struct {
		const char *addr, *issuer, *want;
	} t[] = {{"al@x.test", "CN=One",
			 "\n\tbody.smime-identifier=al@x.test\n\tbody.smime-serial=0A"
			 "\n\tbody.smime-issuer=\"CN=One\""},
		{"\"a b\"@x.test", "O=a\\\"b\r\nX: y,CN=\xc3\xbc",
			"\n\tbody.smime-identifier=\"\\\"a b\\\"@x.test\"\n\tbody.smime-serial=0A"
			"\n\tbody.smime-issuer=\"O=a\\\\\\\"b??X: y,CN=??\""},
		{"al@x.test", NULL, "\n\tbody.smime-identifier=al@x.test"}};
	struct people people;

	(void)state;
	clock_set(TEST_NOW);
	people_init(&people);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct cert *cert = people_cert(&people, t[i].addr, 30, CERT_SIGN);
		struct buf out = BUF_INIT(0);
		struct verdict v;
		char want[400];

		free(cert->serial);
		cert->serial = strdup("0A");
		free(cert->issuer);
		cert->issuer = t[i].issuer ? strdup(t[i].issuer) : calloc(1, 502);
		if (!t[i].issuer)
			memset(cert->issuer, '"', 501); /* too long once it is quoted */
		snprintf(want, sizeof(want), " x;\n\tsmime=pass%s", t[i].want);
		verdict_init(&v);
		v.signature = SIGNATURE_GOOD;
		v.path = PATH_VALID;
		v.sender = SENDER_MATCH;
		v.signers[v.n_signers++] = cert;
		verdict_conclude(&v, false);
		assert_int_equal(authres_format("x", &v, 1, t[i].addr, &out, NULL), RC_OK);
		CHECK_STR(t[i].addr, buf_text(&out), want);
		buf_fini(&out);
		verdict_fini(&v);
	}
	people_fini(&people);
	clock_set(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_examine),
		cmocka_unit_test(test_format), cmocka_unit_test(test_result),
		cmocka_unit_test(test_properties)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
