/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/dn.h"

#include "tests/unit/unit.h"

static void
parses_and_formats(void **state)
{
	static const struct {
		const char *text, *again; /* NULL: refused … */
		const char *why;          /* … with this */
	} cases[] = {
		{"CN=a@example.org,OU=Lab,O=Ex,L=Academe,ST=Tokyo,C=JP",
			"CN=a@example.org,OU=Lab,O=Ex,L=Academe,ST=Tokyo,C=JP", NULL},
		{" cn = A  B , o=Ex ", "CN=A  B,O=Ex", NULL},
		{"CN=a\\,b\\+c\\\\d\\\"", "CN=a\\,b\\+c\\\\d\\\"", NULL},
		{"CN=a\\2cb\\C3\\A4", "CN=a\\,b\xc3\xa4", NULL},
		{"CN=\\ a\\ ", "CN=\\ a\\ ", NULL},
		{"CN=\\#a", "CN=\\#a", NULL},
		{"E=a@b,S=Tokyo", "emailAddress=a@b,ST=Tokyo", NULL},
		{"1.2.3=x,odd-Type=y", "1.2.3=x,odd-Type=y", NULL},
		{"CN=a+UID=7,O=x", "CN=a+UID=7,O=x", NULL},
		{"CN=a;O=x", "CN=a,O=x", NULL},
		{"CN=\xe6\x9d\xb1\xe4\xba\xac", "CN=\xe6\x9d\xb1\xe4\xba\xac", NULL},
		{"CN=a=b", "CN=a=b", NULL},
		{"", NULL, "part 1 is no TYPE=VALUE"},
		{"CN", NULL, "part 1 is no TYPE=VALUE"},
		{"CN=a,", NULL, "part 2 is no TYPE=VALUE"},
		{"CN=a,,O=b", NULL, "part 2 is no TYPE=VALUE"},
		{"=a", NULL, "part 1 is no TYPE=VALUE"},
		{"CN=", NULL, "CN has no value"},
		{"CN=  ,O=x", NULL, "CN has no value"},
		{"CN=a\\", NULL, "part 1 is no TYPE=VALUE"},
		{"CN=a\\x", NULL, "part 1 is no TYPE=VALUE"},
		{"CN=a\\00b", NULL, "part 1 is no TYPE=VALUE"},
		{"CN=\\ff", NULL, "CN is no UTF-8"},
		{"CN=\xff", NULL, "CN is no UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text);
		char *text = exact(cases[i].text, len);
		struct buf out = BUF_INIT(8192);
		struct err err = ERR_INIT;
		struct dn dn, again;
		enum rc rc = dn_parse(text, len, &dn, &err);

		CHECK_INT(cases[i].text, rc, cases[i].again ? RC_OK : RC_PERM);
		if (cases[i].again) {
			assert_int_equal(dn_format(&dn, &out, &err), RC_OK);
			CHECK_STR(cases[i].text, buf_text(&out), cases[i].again);
			assert_int_equal(dn_parse(out.data, out.len, &again, &err), RC_OK);
			assert_true(dn_same(&dn, &again));
			dn_fini(&again);
		} else {
			CHECK_STR(cases[i].text, err.detail, cases[i].why);
			CHECK_INT(cases[i].text, dn.n, 0);
		}
		dn_fini(&dn);
		buf_fini(&out);
		free(text);
	}
}

static void
compares(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"CN=a,O=b", "cn=a, o=b", true},
		{"CN=a,O=b", "CN=A,O=b", false},
		{"CN=a,O=b", "O=b,CN=a", false},
		{"CN=a,O=b", "CN=a", false},
		{"CN=a,O=b", "CN=a+O=b", false},
		{"CN=a\\,O\\=b", "CN=a,O=b", false},
		{"CN=a,OU=x,OU=y", "CN=a,OU=y,OU=x", false},
	};
	struct dn a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(dn_parse(cases[i].a, strlen(cases[i].a), &a, NULL), RC_OK);
		assert_int_equal(dn_parse(cases[i].b, strlen(cases[i].b), &b, NULL), RC_OK);
		CHECK_INT(cases[i].b, dn_same(&a, &b), cases[i].same);
		CHECK_STR("CN", dn_get(&a, "cn"), a.v[0].value);
		assert_null(dn_get(&a, "DC"));
		dn_fini(&a);
		dn_fini(&b);
	}
}

static void
has_limits(void **state)
{
	struct buf text = BUF_INIT(65536);
	struct err err = ERR_INIT;
	struct dn dn;

	(void)state;
	for (int i = 0; i < DN_MAX_PARTS; i++)
		assert_int_equal(buf_appendf(&text, &err, "%sOU=%d", i ? "," : "", i), RC_OK);
	assert_int_equal(dn_parse(text.data, text.len, &dn, &err), RC_OK);
	dn_fini(&dn);
	assert_int_equal(buf_append_str(&text, ",C=JP", &err), RC_OK);
	assert_int_equal(dn_parse(text.data, text.len, &dn, &err), RC_PERM);
	CHECK_INT("parts", err.code, ERR_LIMIT);
	err_clear(&err);
	while (text.len <= DN_MAX_BYTES)
		assert_int_equal(buf_append_char(&text, 'x', &err), RC_OK);
	assert_int_equal(dn_parse(text.data, text.len, &dn, &err), RC_PERM);
	CHECK_INT("bytes", err.code, ERR_LIMIT);
	err_clear(&err);
	assert_int_equal(dn_parse("CN=a\0b", 6, &dn, &err), RC_PERM);
	CHECK_INT("NUL", err.code, ERR_USAGE);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_formats),
		cmocka_unit_test(compares),
		cmocka_unit_test(has_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
