/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/settings.h"

#include "base/file.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

static struct err err = ERR_INIT;
static char path[] = "/tmp/sg-settings-XXXXXX";

static enum rc
load(const char *more, struct settings **settings)
{
	struct conf *conf;
	char text[4096];
	enum rc rc;

	snprintf(text, sizeof(text),
		"organisation = { domains = [\"example.org\", \".example.org\"]; alias_map = \"%s\"; };\n"
		"milter = { user = \"1234\"; };\n%s",
		path, more);
	err_clear(&err);
	if (conf_parse(text, "test.conf", "/", &conf, &err))
		fail_msg("%s", err.detail);
	rc = settings_new(conf, settings, &err);
	conf_unref(&conf);
	return rc;
}

static void
test_services(void **state)
{
	struct settings *s;

	(void)state;
	if (load("services = (\n"
		 " { name = \"mx\"; role = \"open\"; socket = \"unix:a\"; },\n"
		 " { name = \"out\"; role = \"seal\"; socket = \"unix:b\"; user = \"77\"; },\n"
		 " { name = \"small\"; socket = \"unix:c\"; user = \"no-such-user-here\"; },\n"
		 " { name = \"sub\"; role = \"gate\"; socket = \"unix:d\"; } );\n",
		    &s))
		fail_msg("%s", err.detail);
	CHECK_INT("open", settings_service(s, "mx")->role, ROLE_OPEN);
	CHECK_INT("user of the milter", settings_service(s, "mx")->uid, 1234);
	CHECK_INT("seal", settings_service(s, "out")->role, ROLE_SIGN);
	CHECK_INT("own user", settings_service(s, "out")->uid, 77);
	CHECK_INT("all", settings_service(s, "small")->role, ROLE_SIGN | ROLE_OPEN);
	CHECK_INT("unknown user", settings_service(s, "small")->has_uid, false);
	CHECK_INT("gate", settings_service(s, "sub")->role, ROLE_NONE);
	assert_null(settings_service(s, "nix"));
	settings_unref(&s);
	settings_unref(&s);
}

static void
test_rights(void **state)
{
	struct settings *s;

	(void)state;
	if (load("operators = ( { user = \"500\"; rights = [\"keys\", \"process\"]; },\n"
		 " { user = \"501\"; rights = \"audit\"; }, { user = \"503\"; rights = \"officer\"; }, { user = \"0\"; rights = \"process\"; } );\n",
		    &s))
		fail_msg("%s", err.detail);
	CHECK_INT("500", settings_rights(s, 500, 99), RIGHT_KEYS | RIGHT_PROCESS);
	CHECK_INT("501", settings_rights(s, 501, 99), RIGHT_AUDIT);
	CHECK_INT("503", settings_rights(s, 503, 99), RIGHT_OFFICER);
	CHECK_INT("502", settings_rights(s, 502, 99), 0);
	CHECK_INT("root", settings_rights(s, 0, 99), RIGHT_KEYS | RIGHT_AUDIT | RIGHT_PROCESS);
	CHECK_INT("own", settings_rights(s, 99, 99), RIGHT_KEYS | RIGHT_AUDIT);
	settings_unref(&s);
}

/* Users that make one daemon of two, or one service of two. */
static void
test_warnings(void **state)
{
#define SERVICES(a, b)                                                                    \
	"services = ( { name = \"mx\"; role = \"open\"; socket = \"unix:a\"; user = \"" a \
	"\"; }, { name = \"out\"; role = \"seal\"; socket = \"unix:b\"; user = \"" b "\"; } );\n"
	static const struct {
		const char *name, *text;
		int warnings;
	} cases[] = {
		{"users of their own", SERVICES("600", "601"), 0},
		{"one user for two roles", SERVICES("600", "600"), 1},
		{"the vault's", SERVICES("600", "99"), 1},
		{"root", SERVICES("0", "601"), 1},
		{"an operator over keys",
			SERVICES("600",
				"601") "operators = ( { user = \"601\"; rights = \"keys\"; } );\n",
			1},
		{"an auditor",
			SERVICES("600",
				"601") "operators = ( { user = \"601\"; rights = \"audit\"; } );\n",
			0},
	};
	struct settings *s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (load(cases[i].text, &s))
			fail_msg("%s", err.detail);
		CHECK_INT(cases[i].name, settings_warn(s, 99), cases[i].warnings);
		settings_unref(&s);
	}
}

static void
test_resolve(void **state)
{
	static const struct {
		const char *addr, *person;
	} cases[] = {
		{"alice@example.org", "alice@example.org"},
		{"<alice@EXAMPLE.org>", "alice@example.org"},
		{"alice+lists@example.org", "alice@example.org"},
		{"alice+lists@sub.example.org", "alice@sub.example.org"},
		/* Elsewhere it may be another person. */
		{"alice+lists@example.net", "alice+lists@example.net"},
		{"A.Smith@example.org", "alice@example.org"},
		{"a.smith+x@example.org", "alice@example.org"},
		{"", ""},
	};
	char out[ADDR_MAX + 1];
	struct settings *s;

	(void)state;
	assert_int_equal(load("", &s), RC_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_INT(cases[i].addr, settings_resolve(s, cases[i].addr, out, &err), RC_OK);
		CHECK_STR(cases[i].addr, out, cases[i].person);
	}
	settings_unref(&s);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *conf, *where;
	} cases[] = {
		{"budgets = ( { service = \"nix\"; hour = 1; } );\n", "test.conf:3"},
		{"operators = ( { user = \"no-such-user-here\"; rights = \"keys\"; } );\n",
			"test.conf:3"},
		{"services = ( { name = \"a\"; socket = \"unix:a\"; },\n { name = \"a\"; socket = \"unix:b\"; } );\n",
			"test.conf:4"},
		{"services = ( { name = \"admin\"; socket = \"unix:a\"; } );\n", "test.conf:3"},
	};
	struct settings *s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_INT(cases[i].conf, load(cases[i].conf, &s), RC_PERM);
		CHECK_INT(cases[i].conf, err.code, ERR_CONFIG);
		if (!strstr(err.detail, cases[i].where))
			fail_msg("%s: \"%s\" does not say %s", cases[i].conf, err.detail,
				cases[i].where);
		assert_null(s);
	}
}

static int
begin(void **state)
{
	static const char text[] = "a.smith@example.org alice@example.org\n";

	(void)state;
	close(mkstemp(path));
	return file_write(path, text, sizeof(text) - 1, 0600, &err) != RC_OK;
}

static int
end(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
