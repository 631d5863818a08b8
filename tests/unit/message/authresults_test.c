/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "message/authresults.h"

#include <stdio.h>

static const char *const ids[] = {"mx.example.org", "filter.example.org"};

/* WANT: "foreign", "unreadable", or one of "pass d i s b" or "no d i s b" for each result of DKIM.
 */
static const struct {
	const char *name, *value, *want;
} cases[] = {
	{"plain", " mx.example.org; dkim=pass header.d=partner.example",
		"pass partner.example - - -;"},
	{"all of it",
		" mx.example.org 1;\n\tdkim/1=pass reason=\"good\" header.d=Partner.EXAMPLE\n\t"
		"header.i=@Sub.partner.example header.s=K1 header.b=\"abc/D+=\"",
		"pass partner.example sub.partner.example k1 abc/D+=;"},
	{"another name", " mx.example.com; dkim=pass header.d=partner.example", "foreign"},
	{"longer name", " mx.example.org.evil.example; dkim=pass header.d=partner.example",
		"foreign"},
	{"name in a comment", " (mx.example.org) evil.example; dkim=pass header.d=p.example",
		"foreign"},
	{"second name", " filter.example.org; dkim=pass header.d=p.example",
		"pass p.example - - -;"},
	{"case of the name", " MX.Example.ORG; DKIM=Pass Header.D=p.example",
		"pass p.example - - -;"},
	{"quoted name", " \"mx.example.org\"; dkim=pass header.d=p.example",
		"pass p.example - - -;"},
	{"comments everywhere",
		" (a(b)c) mx.example.org (x) 1 (y) ; (z) dkim (q) = (;) pass (dkim=fail; \\)) "
		"header (a) . (b) d (c) = (d) p.example (e)",
		"pass p.example - - -;"},
	{"pass only in a comment", " mx.example.org; dkim=fail (dkim=pass header.d=p.example)",
		"no - - - -;"},
	{"pass only in a string",
		" mx.example.org; spf=fail reason=\"; dkim=pass header.d=p.example\"", ""},
	{"version 2", " mx.example.org 2; dkim=pass header.d=p.example", "unreadable"},
	{"version of the method", " mx.example.org; dkim/2=pass header.d=p.example", "unreadable"},
	{"two words as version", " mx.example.org 1 1; dkim=pass header.d=p.example", "unreadable"},
	{"nothing", " mx.example.org; none", ""},
	{"only the name", " mx.example.org", ""},
	{"ends with a semicolon", " mx.example.org; dkim=pass header.d=p.example;",
		"pass p.example - - -;"},
	{"others",
		" mx.example.org; spf=pass smtp.mailfrom=a@b.example; dmarc=pass (p=NONE) action=none "
		"header.from=b.example; dkim=none",
		"no - - - -;"},
	{"two signatures",
		" mx.example.org; dkim=fail header.d=a.example; dkim=pass header.i=@b.example",
		"no a.example - - -;pass - b.example - -;"},
	{"domain twice", " mx.example.org; dkim=pass header.d=a.example header.d=b.example",
		"unreadable"},
	{"domain of another type", " mx.example.org; dkim=pass smtp.d=a.example", "pass - - - -;"},
	{"no value", " mx.example.org; dkim=pass header.d=", "unreadable"},
	{"no result", " mx.example.org; dkim", "unreadable"},
	{"empty result", " mx.example.org; dkim=; dkim=pass header.d=a.example", "unreadable"},
	{"open comment", " mx.example.org; dkim=pass (header.d=a.example", "unreadable"},
	{"open string", " mx.example.org; dkim=pass header.d=\"a.example", "unreadable"},
	{"property without a type", " mx.example.org; dkim=pass d=a.example", "unreadable"},
	{"something behind", " mx.example.org; dkim=pass header.d=a.example x", "unreadable"},
	{"result run together", " mx.example.org; dkim=passheader.d=a.example", "no - - - -;"},
	{"i with a local part", " mx.example.org; dkim=pass header.i=joe@a.example",
		"pass - a.example - -;"},
	{"i in quotes", " mx.example.org; dkim=pass header.i=\"joe@x\"@a.example", "unreadable"},
};

static void
describe(const struct authresults *results, char *out, size_t size)
{
	size_t n = 0;

	*out = '\0';
	if (results->kind != AUTHRESULTS_OURS)
		snprintf(out, size, "%s",
			results->kind == AUTHRESULTS_FOREIGN ? "foreign" : "unreadable");
	for (size_t i = 0; i < results->n; i++) {
		const struct dkim_result *r = &results->dkim[i];

		n += (size_t)snprintf(out + n, size - n, "%s %s %s %s %s;", r->pass ? "pass" : "no",
			*r->d ? r->d : "-", *r->i ? r->i : "-", *r->s ? r->s : "-",
			*r->b ? r->b : "-");
	}
}

static void
test_read(void **state)
{
	char got[4096];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t len = strlen(cases[i].value);
		char *value = exact(cases[i].value, len);
		struct authresults results;

		authresults_read(value, len, ids, 2, &results);
		describe(&results, got, sizeof got);
		CHECK_STR(cases[i].name, got, cases[i].want);
		free(value);
	}
}

static void
test_limits(void **state)
{
	static const char one[] = "; dkim=pass header.d=a.example";
	char *value = malloc(AUTHRESULTS_MAX_BYTES + 100);
	struct authresults results;
	size_t len = (size_t)sprintf(value, " mx.example.org");

	(void)state;
	for (int i = 0; i < AUTHRESULTS_MAX; i++)
		len += (size_t)sprintf(value + len, "%s", one);
	authresults_read(value, len, ids, 2, &results);
	assert_int_equal(results.n, AUTHRESULTS_MAX);
	len += (size_t)sprintf(value + len, "%s", one);
	authresults_read(value, len, ids, 2, &results);
	assert_int_equal(results.kind, AUTHRESULTS_UNREADABLE);
	assert_int_equal(results.n, 0);
	len = (size_t)sprintf(value, " mx.example.org; dkim=pass header.d=a.example");
	memset(value + len, ' ', AUTHRESULTS_MAX_BYTES + 1 - len);
	authresults_read(value, AUTHRESULTS_MAX_BYTES, ids, 2, &results);
	assert_int_equal(results.n, 1);
	authresults_read(value, AUTHRESULTS_MAX_BYTES + 1, ids, 2, &results);
	assert_int_equal(results.kind, AUTHRESULTS_UNREADABLE);
	len = (size_t)sprintf(value, " mx.example.org; dkim=pass ");
	memset(value + len, '(', 100);
	memset(value + len + 100, ')', 100);
	authresults_read(value, len + 200, ids, 2, &results);
	assert_int_equal(results.kind, AUTHRESULTS_UNREADABLE);
	free(value);
}

/* Every flipped bit and every truncation: no over-read, and never a pass for a domain that does not
 * stand there. */
static void
test_mutation(void **state)
{
	struct authresults results;
	struct dkim_signature signature;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t len = strlen(cases[i].value);

		for (size_t bit = 0; bit < len * 8; bit++) {
			char *value = exact(cases[i].value, len);

			value[bit / 8] ^= (char)(1 << bit % 8);
			authresults_read(value, len, ids, 2, &results);
			assert_true(results.n == 0 || results.kind == AUTHRESULTS_OURS);
			(void)dkim_signature_read(value, len, &signature);
			free(value);
		}
		for (size_t cut = 0; cut < len; cut++) {
			char *value = exact(cases[i].value, cut);

			authresults_read(value, cut, ids, 2, &results);
			(void)dkim_signature_read(value, cut, &signature);
			free(value);
		}
	}
}

static const struct {
	const char *name, *value, *want; /* "d s b [partial]"; NULL: refused */
} signatures[] = {
	{"usual",
		" v=1; a=rsa-sha256; c=relaxed/relaxed; d=Partner.example; s=K1;\n\th=from:to; "
		"bh=abc=;\n\tb=Q W\n\tE/r==",
		"partner.example k1 QWE/r=="},
	{"length", " d=a.example; s=k; l=10; b=x", "a.example k x partial"},
	{"domain twice", " d=a.example; d=b.example; s=k; b=x", NULL},
	{"no domain", " s=k; b=x", NULL},
	{"no selector", " d=a.example; b=x", NULL},
	{"no equals sign", " d=a.example; s=k; b", NULL},
	{"blanks", " d = a.exa\n\tmple ; s= k ;b=x;", "a.example k x"},
	{"tag with two letters", " dd=b.example; d=a.example; s=k; b=x", "a.example k x"},
	{"control character", " d=a\001.example; s=k; b=x", NULL},
	{"empty", "", NULL},
};

static void
test_signatures(void **state)
{
	char got[1024];

	(void)state;
	for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
		struct dkim_signature s;
		size_t len = strlen(signatures[i].value);
		char *value = exact(signatures[i].value, len);
		bool read = dkim_signature_read(value, len, &s);

		snprintf(got, sizeof got, "%s %s %s%s", s.d, s.s, s.b, s.partial ? " partial" : "");
		CHECK_INT(signatures[i].name, read, signatures[i].want != NULL);
		if (read)
			CHECK_STR(signatures[i].name, got, signatures[i].want);
		free(value);
	}
}

static void
test_is_of(void **state)
{
	static const struct {
		const char *name;
		struct dkim_result result;
		bool want;
	} table[] = {
		{"domain", {.d = "a.example"}, true},
		{"another domain", {.d = "b.example"}, false},
		{"below", {.d = "x.a.example"}, false},
		{"identity below", {.i = "x.a.example"}, true},
		{"identity", {.i = "a.example"}, true},
		{"identity that only ends so", {.i = "xa.example"}, false},
		{"no domain", {.s = "k"}, false},
		{"selector", {.d = "a.example", .s = "k"}, true},
		{"another selector", {.d = "a.example", .s = "j"}, false},
		{"beginning", {.d = "a.example", .b = "QWE"}, true},
		{"another beginning", {.d = "a.example", .b = "QWX"}, false},
		{"longer", {.d = "a.example", .b = "QWERTYX"}, false},
	};
	const struct dkim_signature signature = {.d = "a.example", .s = "k", .b = "QWERTY"};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		CHECK_INT(table[i].name, dkim_result_is_of(&table[i].result, &signature),
			table[i].want);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_mutation),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_is_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
