/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/conf.h"

#include "tests/unit/unit.h"

#define ORG "organisation = { domains = [\"example.org\"]; };\n"

/* Texts that are refused, and what the message has to say. */
static void
refusals(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"syntax", ORG "vault = {", "test.conf:"},
		{"unknown section", ORG "vualt = { };", "test.conf:2: vualt: no such section"},
		{"unknown option", ORG "vault = { sokcet = \"x\"; };",
			"test.conf:2: vault.sokcet: no such option"},
		{"missing", "organisation = { };", "organisation.domains: is missing"},
		{"absent section", "", "organisation.domains: is missing"},
		{"type", ORG "vault = { workers = \"many\"; };",
			"vault.workers: must be a number, without quotes"},
		{"bool", ORG "trust = { anchors_from_store = 1; };",
			"must be true or false, without quotes"},
		{"bounds", ORG "vault = { workers = 1000; };", "must be from 0 to 256"},
		{"unit", ORG "vault = { timeout = \"5 parsecs\"; };", "known unit"},
		{"negative", ORG "vault = { timeout = -5; };", "must not be negative"},
		{"word", ORG "log = { level = \"loud\"; };", "an unknown word"},
		{"words", ORG "operators = ( { user = \"u\"; rights = [\"all\"]; } );",
			"an unknown word"},
		{"list", ORG "rules = { };", "must be a list of groups"},
		{"item", ORG "rules = ( 1 );", "must be a list of groups"},
		{"group", ORG "vault = ( );", "must be a group"},
		{"strings", ORG "rules = ( { name = \"x\"; senders = 3; } );", "string or a list"},
		{"too few", "organisation = { domains = []; };", "too few or too many"},
		{"huge size", ORG "milter = { max_message = \"9999999999999G\"; };", "known unit"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct conf *conf;
		struct err err = ERR_INIT;
		enum rc rc = conf_parse(cases[i].text, "test.conf", "/etc", &conf, &err);

		CHECK_INT(cases[i].name, rc, RC_PERM);
		assert_null(conf);
		if (!strstr(err.detail, cases[i].want))
			fail_msg("%s: got \"%s\", want \"%s\" in it", cases[i].name, err.detail,
				cases[i].want);
	}
}

/* Values, defaults, units, paths. */
static void
values(void **state)
{
	static const char text[] = ORG
		"milter = { spool = \"sp\"; spool_memory = \"1M\"; max_depth = 2; };\n"
		"vault = { timeout = \"2s\"; store = \"/x/y.db\"; };\n"
		"ledger = { checkpoint_interval = \"2h\"; };\n"
		"rules = ( { name = \"a\"; senders = \"one\"; }, { name = \"b\"; senders = [\"x\", \"y\"]; mode = \"observe\"; } );\n";
	struct conf *conf;
	struct err err = ERR_INIT;
	const char *const *v;

	(void)state;
	if (conf_parse(text, "test.conf", "/etc/sg", &conf, &err))
		fail_msg("%s", err.detail);
	CHECK_STR("path", conf_str(conf_section(conf, "milter"), "spool"), "/etc/sg/sp");
	CHECK_STR("absolute", conf_str(conf_section(conf, "vault"), "store"), "/x/y.db");
	CHECK_INT("size", conf_int(conf_section(conf, "milter"), "spool_memory"), 1048576);
	CHECK_INT("ms", conf_int(conf_section(conf, "vault"), "timeout"), 2000);
	CHECK_INT("duration", conf_int(conf_section(conf, "ledger"), "checkpoint_interval"), 7200);
	CHECK_INT("default", conf_int(conf_section(conf, "milter"), "max_recipients"), 1000);
	CHECK_INT("rules", conf_count(conf, "rules"), 2);
	CHECK_INT("single string", conf_strings(conf_item(conf, "rules", 0), "senders", &v), 1);
	CHECK_STR("single string", v[0], "one");
	CHECK_INT("strings", conf_strings(conf_item(conf, "rules", 1), "senders", &v), 2);
	CHECK_STR("enum", conf_str(conf_item(conf, "rules", 1), "mode"), "observe");
	CHECK_STR("enum default", conf_str(conf_item(conf, "rules", 0), "mode"), "enforce");
	CHECK_INT("line", conf_line(conf_section(conf, "vault")), 3);
	assert_false(conf_is_set(conf_section(conf, "vault"), "socket"));
	assert_null(conf_str(conf_section(conf, "senders"), "login_map"));
	conf_unref(&conf);
}

/* What conf_format writes is taken back and written the same. */
static void
format_again(void **state)
{
	static const char text[] =
		ORG "rules = ( { name = \"q\\\"\\\\\"; header = [\"X: \\x01\"]; } );\n"
		    "budgets = ( { hour = 5; } );\n";
	struct buf first = BUF_INIT(0), second = BUF_INIT(0);
	struct conf *conf, *again;
	struct err err = ERR_INIT;

	(void)state;
	if (conf_parse(text, "t", "/d", &conf, &err) || conf_format(conf, &first, &err))
		fail_msg("%s", err.detail);
	if (conf_parse(buf_text(&first), "t", "/other", &again, &err) ||
		conf_format(again, &second, &err))
		fail_msg("%s in\n%s", err.detail, buf_text(&first));
	CHECK_STR("again", buf_text(&second), buf_text(&first));
	assert_non_null(strstr(buf_text(&first), "q\\\"\\\\"));
	conf_unref(&conf);
	conf_unref(&again);
	buf_fini(&first);
	buf_fini(&second);
}

/* Every row's default passes the row's own check, and words stand in brackets. */
static void
table(void **state)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_non_null(rows[i].help);
		if (rows[i].type == CONF_ENUM &&
			(*rows[i].help != '[' || !strchr(rows[i].help, ']')))
			fail_msg("%s.%s: no words in brackets", rows[i].section, rows[i].name);
		for (size_t j = 0; j < i; j++)
			if (strcmp(rows[i].section, rows[j].section) == 0 &&
				strcmp(rows[i].name, rows[j].name) == 0)
				fail_msg("%s.%s stands twice", rows[i].section, rows[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(values),
		cmocka_unit_test(format_again),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
