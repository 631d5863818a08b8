/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap.h"

#include <stdio.h>

#include "tests/unit/unit.h"

/* What is in an address can never become a part of the filter. */
static void
test_escaping(void **state)
{
	static const struct {
		const char *name, *template, *addr, *want;
	} cases[] = {
		{"plain", "(mail=%a)", "carol@example.org", "(mail=carol@example.org)"},
		{"usual marks", "(mail=%a)", "a.b-c_d+e=f@x.org", "(mail=a.b-c_d+e=f@x.org)"},
		{"star", "(mail=%a)", "*", "(mail=\\2a)"},
		{"closing", "(mail=%a)", "a)(uid=*", "(mail=a\\29\\28uid=\\2a)"},
		{"backslash", "(mail=%a)", "a\\2a@x", "(mail=a\\5c2a@x)"},
		{"operators", "(mail=%a)", "&|!<>~", "(mail=\\26\\7c\\21\\3c\\3e\\7e)"},
		{"blank", "(mail=%a)", " a b ", "(mail=\\20a\\20b\\20)"},
		{"quoted local part", "(mail=%a)", "\"a b\"@x", "(mail=\\22a\\20b\\22@x)"},
		{"control", "(mail=%a)", "a\r\n\x01", "(mail=a\\0d\\0a\\01)"},
		{"UTF-8", "(mail=%a)", "r\xc3\xa9my@x", "(mail=r\\c3\\a9my@x)"},
		{"percent in the address", "(mail=%a)", "%a%%", "(mail=\\25a\\25\\25)"},
		{"twice", "(|(mail=%a)(alias=smtp:%a))", "a*", "(|(mail=a\\2a)(alias=smtp:a\\2a))"},
		{"percent in the template", "(&(mail=%a)(cn=5%%))", "a", "(&(mail=a)(cn=5%))"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(4096);
		struct err err = ERR_INIT;
		char *addr = exact(cases[i].addr, strlen(cases[i].addr) + 1);

		CHECK_INT(cases[i].name, ldap_filter_format(cases[i].template, addr, &out, &err),
			RC_OK);
		CHECK_STR(cases[i].name, buf_text(&out), cases[i].want);
		buf_fini(&out);
		free(addr);
	}
}

static void
test_bad_templates(void **state)
{
	static const struct {
		const char *name, *template;
	} cases[] = {
		{"no address", "(mail=*)"},
		{"empty", ""},
		{"unknown letter", "(&(mail=%a)(uid=%u))"},
		{"percent at the end", "(mail=%a)%"},
		{"not closed", "(&(mail=%a)"},
		{"closed too often", "(mail=%a))("},
		{"closed first", ")(mail=%a)("},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(4096);
		struct err err = ERR_INIT;

		CHECK_INT(cases[i].name, ldap_filter_format(cases[i].template, "a", &out, &err),
			RC_PERM);
		CHECK_INT(cases[i].name, err.code, ERR_CONFIG);
		buf_fini(&out);
	}
}

/* Every byte but NUL, one by one: what is not plain is escaped, and nothing is lost. */
static void
test_every_byte(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		struct buf out = BUF_INIT(64);
		struct err err = ERR_INIT;
		char addr[2] = {(char)c, '\0'}, escaped[16], plain[16];

		assert_int_equal(ldap_filter_format("(m=%a)", addr, &out, &err), RC_OK);
		snprintf(escaped, sizeof(escaped), "(m=\\%02x)", c);
		snprintf(plain, sizeof(plain), "(m=%c)", c);
		if (strcmp(buf_text(&out), escaped) != 0) {
			assert_string_equal(buf_text(&out), plain);
			assert_null(strchr("*()\\&|!~<>", c));
			assert_true(c > ' ' && c < 0x7f);
		}
		buf_fini(&out);
	}
}

struct bad_conf {
	const char *name, *text, *want;
};

/* Refused when the configuration is loaded, with the option's name. */
static void
test_bad_configuration(void **state)
{
#define HEAD \
	"organisation = { domains = \"example.org\"; }; directories = ( { name = \"d\"; base = \"o=x\"; "
	static const struct bad_conf cases[] = {
		{"not a URI", HEAD "uri = \"127.0.0.1:389\"; } );", "uri"},
		{"another scheme", HEAD "uri = \"http://127.0.0.1/\"; } );", "uri"},
		{"STARTTLS over TLS", HEAD "uri = \"ldaps://127.0.0.1/\"; starttls = true; } );",
			"starttls"},
		{"filter", HEAD "uri = \"ldap://127.0.0.1/\"; filter = \"(mail=%m)\"; } );",
			"filter"},
		{"no password", HEAD "uri = \"ldap://127.0.0.1/\"; bind = \"simple\"; } );",
			"bind"},
		{"password file not there",
			HEAD "uri = \"ldap://127.0.0.1/\"; bind = \"simple\"; bind_dn = \"cn=x\"; "
			     "password_file = \"nowhere\"; } );",
			"password_file"},
		{"empty password",
			HEAD "uri = \"ldap://127.0.0.1/\"; bind = \"simple\"; bind_dn = \"cn=x\"; "
			     "password_file = \"/dev/null\"; } );",
			"password_file"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct conf *conf;
		struct source *source;

		if (conf_parse(cases[i].text, "test", "/tmp", &conf, &err) != RC_OK)
			fail_msg("%s: %s", cases[i].name, err.detail);
		CHECK_INT(cases[i].name,
			source_ldap_new(
				conf, conf_item(conf, "directories", 0), 1000, &source, &err),
			RC_PERM);
		assert_null(source);
		if (!strstr(err.detail, cases[i].want))
			fail_msg("%s: got \"%s\", want it to name %s", cases[i].name, err.detail,
				cases[i].want);
		conf_unref(&conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_bad_templates),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_bad_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
