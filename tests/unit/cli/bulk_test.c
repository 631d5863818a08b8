/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps of forms, rows byte for byte, renewals, and a service's list beside the keys here.
 */
#include "cli/bulk_form.h"
#include "cli/bulk_status.h"

#include "base/file.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static struct err err = ERR_INIT;

#define MUST(call)                                             \
	do {                                                   \
		if ((call) != RC_OK)                           \
			fail_msg("%s: %s", #call, err.detail); \
	} while (0)

static void
parse(const char *text, struct bulk_map *map)
{
	MUST(bulk_map_parse(text, strlen(text), "map", map, &err));
}

static void
maps_are_checked(void **state)
{
	static const struct {
		const char *text, *why; /* WHY NULL: fine */
	} cases[] = {
		{"form = issue\ncolumn 1 = {dn}\n", NULL},
		{"# a comment\n\n  form = revoke  \r\nreason x = 1\ncolumn 1 =\n", NULL},
		{"form = status\ncolumn 3 = address\nany = serial\nstate revoked = a|b\nignore 2 = 5\n",
			NULL},
		{"form = other\n", "map:1: form: issue, renew, revoke or status"},
		{"form=issue\n", "map:1: no \" = \" in the line"},
		{"\nwhat = x\n", "map:2: unknown setting \"what\""},
		{"form x = issue\n", "map:1: form takes no name"},
		{"column 0 = x\n", "map:1: column: a number from 1 to 100"},
		{"column 101 = x\n", "map:1: column: a number from 1 to 100"},
		{"column x = x\n", "map:1: column: a number from 1 to 100"},
		{"column = x\n", "map:1: column: a number from 1 to 100"},
		{"column 1 = x\ncolumn 1 = y\n", "map:2: column 1 a second time"},
		{"column 1 big = x\n",
			"map:1: column 1: required, ascii or max=NUMBER, not \"big\""},
		{"column 1 max=0 = x\n",
			"map:1: column 1: required, ascii or max=NUMBER, not \"max=0\""},
		{"set a = 1\nset a = 2\n", "map:2: a a second time"},
		{"set = 1\n", "map:1: a name is missing"},
		{"charset = latin1\n", "map:1: charset: cp932 or utf-8"},
		{"line-end = cr\n", "map:1: line-end: crlf or lf"},
		{"dn-max = many\n", "map:1: dn-max: a number of characters"},
		{"renew-if = never\n", "map:1: renew-if: same-dn, cn-is-address"},
		{"state gone = x\n", "map:1: state: valid, revoked or expired"},
		{"any = thing\n", "map:1: any: serial or state"},
		{"form = status\ncolumn 1 = city\n",
			"map:2: column 1: dn, address, serial, state or not-after"},
		{"form = status\ncolumn 1 = serial\n",
			"map:2: a list needs a column for the address or the dn"},
		{"form = issue\n", "map:1: no column is named"},
		{"form = revoke\ncolumn 1 = x\n", "map:2: no reason is named"},
		{"set a = \xff\n", "map: no UTF-8 text"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bulk_map map;
		enum rc rc =
			bulk_map_parse(cases[i].text, strlen(cases[i].text), "map", &map, &err);

		CHECK_INT(cases[i].text, rc, cases[i].why ? RC_PERM : RC_OK);
		if (cases[i].why) {
			CHECK_STR(cases[i].text, err.detail, cases[i].why);
			CHECK_INT(cases[i].text, err.code, ERR_CONFIG);
			err_clear(&err);
		}
		bulk_map_fini(&map);
	}
}

/* The maps that are shipped: they load, and want what only the administrator knows. */
static void
shipped_maps(void **state)
{
	static const struct {
		const char *name;
		enum bulk_form form;
		size_t columns;
	} cases[] = {
		{"upki-issue", BULK_ISSUE, 16},
		{"upki-renew", BULK_RENEW, 16},
		{"upki-revoke", BULK_REVOKE, 10},
		{"upki-status", BULK_STATUS, 15},
	};
	struct bulk_facts facts = {.addr = "alice@example.ac.jp", .serial = "0f", .name = "A"};
	struct buf row = BUF_INIT(10000);
	struct bulk_map map;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		MUST(bulk_map_load(SRCDIR "/contrib", cases[i].name, &map, &err));
		CHECK_INT(cases[i].name, map.form, cases[i].form);
		CHECK_INT(cases[i].name, map.n_columns, cases[i].columns);
		if (cases[i].form != BULK_STATUS) {
			CHECK_INT(cases[i].name, map.style.cp932 && map.style.crlf, true);
			CHECK_INT(cases[i].name, map.dn_max, 250);
			CHECK_INT(cases[i].name, bulk_append_row(&map, &facts, 1, &row, &err),
				RC_PERM);
			CHECK_INT(cases[i].name, err.code, ERR_CONFIG);
			err_clear(&err);
			CHECK_INT("nothing half done", row.len, 0);
		}
		bulk_map_fini(&map);
	}
	CHECK_INT("no map", bulk_map_load("/nonexistent", "nix", &map, &err), RC_PERM);
	CHECK_INT("no map", err.code, ERR_CONFIG);
	err_clear(&err);
	CHECK_INT("no file", bulk_map_load("/nonexistent", "./nix.conf", &map, &err), RC_PERM);
	err_clear(&err);
	buf_fini(&row);
}

static const char issue_map[] =
	"form = issue\n"
	"dn = CN={address},OU={ou},O=Example University,L=Academe,ST=Tokyo,C=JP\n"
	"dn-max = 250\n"
	"allow CN = '(),-./:=@_\n"
	"allow OU = '(),-./:=\n"
	"set officer = \u56fd\u7acb \u592a\u90ce\n"
	"set ou = Center\n"
	"set p12 = {local}-{domain}\n"
	"column 1 required ascii max=250 = {dn}\n"
	"column 2 required = 7\n"
	"column 4 = {officer}\n"
	"column 5 required max=8 = {name}\n"
	"column 6 = {p12}.p12\n"
	"column 7 ascii = {department}\n";

static const char people_table[] = "Address\tname\tdepartment\tou\n"
				   "alice@example.ac.jp\t\u82b1\u5b50\u2460\t\tA, B\n"
				   "bob@example.ac.jp\t\t\t\n"
				   "carol@example.ac.jp\t\u3231\uff5e\uff71\tDept\t\n"
				   "dave@example.ac.jp\t\U00020bb7\t\t\n"
				   "erin@example.ac.jp\tErin\t\u7dcf\u52d9\t\n"
				   "o+x@example.ac.jp\tO\t\t\n"
				   "long@example.ac.jp\t123456789\t\t\n"
				   "umlaut@example.ac.jp\tU\t\tx\u00e9\n";

/* One row for ADDR: its bytes, or what is wrong with it. */
static void
row_of(const char *addr, const char *vault_name, const char *bytes, const char *why)
{
	struct buf out = BUF_INIT(10000);
	struct bulk_map map;
	struct tsv people;
	struct bulk_facts facts = {.addr = addr, .name = vault_name, .people = &people};
	size_t hint = 0;
	enum rc rc;

	parse(issue_map, &map);
	MUST(tsv_parse(people_table, sizeof(people_table) - 1, "people", &people, &err));
	MUST(bulk_check_people(&people, "people", &err));
	facts.person = bulk_find_person(&people, addr, &hint);
	assert_ptr_equal(bulk_find_person(&people, addr, &hint), facts.person);
	assert_null(bulk_find_person(&people, "nobody@example.ac.jp", &hint));
	assert_null(bulk_find_person(&people, "address", &hint));
	rc = bulk_append_row(&map, &facts, 3, &out, &err);
	CHECK_INT(addr, rc, bytes ? RC_OK : RC_PERM);
	if (bytes)
		CHECK_STR(addr, buf_text(&out), bytes);
	else
		CHECK_STR(addr, err.detail, why);
	err_clear(&err);
	tsv_fini(&people);
	bulk_map_fini(&map);
	buf_fini(&out);
}

#define OFFICER "\x8d\x91\x97\xa7 \x91\xbe\x98\x59"

static void
rows_byte_for_byte(void **state)
{
	(void)state;
	row_of("alice@example.ac.jp", NULL,
		"CN=alice@example.ac.jp,OU=A\\, B,O=Example University,L=Academe,ST=Tokyo,C=JP\t7\t\t" OFFICER
		"\t\x89\xd4\x8e\x71\x87\x40\talice-example.ac.jp.p12\t\r\n",
		NULL);
	row_of("Carol@Example.ac.jp", "ignored",
		"CN=Carol@Example.ac.jp,OU=Center,O=Example University,L=Academe,ST=Tokyo,C=JP\t7\t\t" OFFICER
		"\t\x87\x8a\x81\x60\xb1\tCarol-Example.ac.jp.p12\tDept\r\n",
		NULL);
	row_of("bob@example.ac.jp", "Bob",
		"CN=bob@example.ac.jp,OU=Center,O=Example University,L=Academe,ST=Tokyo,C=JP\t7\t\t" OFFICER
		"\tBob\tbob-example.ac.jp.p12\t\r\n",
		NULL);
	row_of("bob@example.ac.jp", NULL, NULL,
		"row 3, column 5: empty, and the form needs it: {name}");
	row_of("dave@example.ac.jp", NULL, NULL,
		"row 3, column 5: U+20BB7 (\U00020bb7) cannot be written in CP932");
	row_of("erin@example.ac.jp", NULL, NULL,
		"row 3, column 7: only ASCII is allowed: \u7dcf\u52d9");
	row_of("long@example.ac.jp", NULL, NULL,
		"row 3, column 5: 9 characters, and 8 are allowed: 123456789");
	row_of("o+x@example.ac.jp", NULL, NULL,
		"row 3, column 1: the name has \"+\" in CN=o+x@example.ac.jp, which the service does not "
		"take");
	row_of("umlaut@example.ac.jp", NULL, NULL,
		"row 3, column 1: the name has \"\u00e9\" in OU=x\u00e9, which the service does not take");
}

/* A map with these lines over TEMPLATE in column 1: the field, or what is wrong. */
static void
fills(const char *lines, const char *template, const char *field, const char *why)
{
	struct bulk_facts facts = {.addr = "a.b@example.org",
		.key = "k1",
		.serial = "00ffAB",
		.reason = "4",
		.comment = "c"};
	struct buf map_text = BUF_INIT(10000), out = BUF_INIT(10000);
	struct bulk_map map;
	enum rc rc;

	MUST(buf_appendf(&map_text, &err,
		"form = issue\ncharset = utf-8\nline-end = lf\n"
		"last-line-end = no\n%scolumn 1 = %s\n",
		lines, template));
	parse(buf_text(&map_text), &map);
	rc = bulk_append_row(&map, &facts, 1, &out, &err);
	CHECK_INT(template, rc, field ? RC_OK : RC_PERM);
	bulk_finish(&map, &out);
	CHECK_STR(template, field ? buf_text(&out) : err.detail, field ? field : why);
	err_clear(&err);
	bulk_map_fini(&map);
	buf_fini(&map_text);
	buf_fini(&out);
}

static void
words(void **state)
{
	(void)state;
	fills("",
		"{local} at {domain}: {key} {serial} {serial-dec} {serial-upper} {reason}{comment}",
		"a.b at example.org: k1 00ffAB 65451 00FFAB 4c", NULL);
	fills("set a = <{b}>\nset b = {address}\n", "{a}{a}", "<a.b@example.org><a.b@example.org>",
		NULL);
	fills("set a = {a}\n", "{a}", NULL,
		"row 1, column 1: {words} within words, without an end");
	fills("", "{city}", NULL,
		"row 1, column 1: {city} is neither set in the form nor a column of the --people file");
	fills("", "{", NULL, "row 1, column 1: \"{\": no word in braces");
	fills("", "{}", NULL, "row 1, column 1: \"{}\": no word in braces");
	fills("", "{dn}", NULL, "row 1, column 1: the form has no setting dn");
	fills("dn = CN={address}\ndn-max = 10\n", "{dn}", NULL,
		"row 1, column 1: the name has 18 characters, and 10 are allowed: CN=a.b@example.org");
	fills("dn = nonsense\n", "{dn}", NULL,
		"row 1, column 1: the name \"nonsense\": part 1 is no TYPE=VALUE");
	fills("dn = CN={dn}\n", "{dn}", NULL,
		"row 1, column 1: {words} within words, without an end");
}

static void
serials(void **state)
{
	static const struct {
		const char *hex, *text;
		bool same;
	} cases[] = {
		{"0f", "0F", true},
		{"0f", "15", true},
		{"0f", "f", true},
		{"00a1b2", "A1:B2", true},
		{"a1b2", "0xA1B2", true},
		{"ffffffffffffffffffffffffffffffff", "340282366920938463463374607431768211455",
			true},
		{"7fffffffffffffff", "9223372036854775807", true},
		{"0f", "16", false},
		{"0f", "", false},
		{"0f", "0f g", false},
		{"0f", "-15", false},
		{"10", "16", true},
		{"0", "0", true},
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_INT(cases[i].text, bulk_same_serial(cases[i].hex, cases[i].text),
			cases[i].same);
	CHECK_INT("no number", bulk_serial_dec("xyz", out), false);
	CHECK_INT("nothing", bulk_serial_dec("", out), false);
}

static void
renewals(void **state)
{
	static const char whole[] = "CN=a@x.jp,OU=L,O=E,C=JP";
	static const struct {
		const char *name, *rules, *old, *subject, *why;
	} cases[] = {
		{"the same", "", whole, whole, ""},
		{"the list has the whole name", "", whole, "CN=a@x.jp", ""},
		{"without the list, a short name", "", NULL, "CN=a@x.jp", ""},
		{"without the list, the whole name", "", NULL, whole, ""},
		{"another department", "", "CN=a@x.jp,OU=M,O=E,C=JP", "CN=a@x.jp",
			"the name of the old certificate is another one"},
		{"another department, in the certificate", "", NULL, "CN=a@x.jp,OU=M,O=E,C=JP",
			"the name of the old certificate is another one"},
		{"a person's name", "", NULL, "CN=HANAKO,OU=L,O=E,C=JP",
			"the CN of the old certificate is \"HANAKO\", not the address"},
		{"no CN", "", NULL, "O=E",
			"the CN of the old certificate is \"\", not the address"},
		{"rules of the map", "renew-if = same-dn\n", "CN=HANAKO", "CN=HANAKO",
			"the name of the old certificate is another one"},
		{"no rules", "renew-if =\n", "CN=HANAKO", "CN=HANAKO", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct dn new, old = {.n = 0}, subject;
		struct bulk_map map;
		char text[200], why[256];

		snprintf(text, sizeof(text), "form = renew\ncolumn 1 = x\n%s", cases[i].rules);
		parse(text, &map);
		MUST(dn_parse(whole, strlen(whole), &new, &err));
		if (cases[i].old)
			MUST(dn_parse(cases[i].old, strlen(cases[i].old), &old, &err));
		MUST(dn_parse(cases[i].subject, strlen(cases[i].subject), &subject, &err));
		CHECK_INT(cases[i].name,
			bulk_may_renew(
				&map, &new, cases[i].old ? &old : NULL, &subject, "A@x.jp", why),
			!*cases[i].why);
		CHECK_STR(cases[i].name, why, cases[i].why);
		dn_fini(&new);
		dn_fini(&old);
		dn_fini(&subject);
		bulk_map_fini(&map);
	}
}

/* Keys as the vault would list them. */
static void
make_keys(struct bulk_keys *keys, struct json_value **addrs)
{
	static const struct {
		const char *id, *status, *serial, *issuer, *addrs;
	} rows[] = {
		{"k1", "active", "a1a1a1a1a1", "CN=Service", "[\"alice@x.jp\",\"al@x.jp\"]"},
		{"k2", "active", "b2b2b2b2b2", "CN=Service", "[\"bob@x.jp\"]"},
		{"k3", "revoked", "c3c3c3c3c3", "CN=Service", "[\"carol@x.jp\"]"},
		{"k4", "active", "d4d4d4d4d4", "CN=Own", "[\"dave@x.jp\"]"},
		{"k5", "active", "e5e5e5e5e5", "CN=Service", "[\"erin@x.jp\"]"},
		{"k6", "waiting", NULL, NULL, "[\"frank@x.jp\"]"},
		{"k7", "retired", "a700000000", "CN=Service", "[\"alice@x.jp\",\"al@x.jp\"]"},
	};
	size_t n = sizeof(rows) / sizeof(*rows);

	*keys = (struct bulk_keys){.n_own_cas = 2};
	keys->own_cas = calloc(2, sizeof(*keys->own_cas));
	keys->own_cas[0] = "CN=Former";
	keys->own_cas[1] = "CN=Own";
	keys->v = calloc(n, sizeof(*keys->v));
	keys->owners = calloc(2 * n, sizeof(*keys->owners));
	for (size_t i = 0; i < n; i++) {
		MUST(json_parse(rows[i].addrs, strlen(rows[i].addrs), &addrs[i], &err));
		keys->v[keys->n++] = (struct bulk_key){.id = rows[i].id,
			.status = rows[i].status,
			.purpose = "both",
			.serial = rows[i].serial,
			.issuer = rows[i].issuer,
			.addrs = addrs[i]};
	}
	/* By address. */
	static const struct bulk_owner owners[] = {{"al@x.jp", 0}, {"al@x.jp", 6},
		{"alice@x.jp", 0}, {"alice@x.jp", 6}, {"bob@x.jp", 1}, {"carol@x.jp", 2},
		{"dave@x.jp", 3}, {"erin@x.jp", 4}, {"frank@x.jp", 5}};
	memcpy(keys->owners, owners, sizeof(owners));
	keys->n_owners = sizeof(owners) / sizeof(*owners);
}

static void
compares(void **state)
{
	static const char with_columns[] =
		"form = status\nheader = yes\ncolumn 1 = address\ncolumn 2 = serial\ncolumn 3 = state\n"
		"column 4 = not-after\nstate valid = \u6709\u52b9\nstate revoked = \u5931\u52b9|gone\n"
		"state expired = \u671f\u9650\u5207\u308c\nignore 5 = 5|11\n";
	static const char without[] = "form = status\ncolumn 1 = dn\nany = serial\nany = state\n"
				      "state revoked = gone\n";
	/* NOW is 2026-09-21. */
	static const struct {
		const char *name, *map, *list, *findings;
		size_t rows, same, ignored;
	} cases[] = {
		{"all is well", with_columns,
			"h\nAlice@x.jp\tA1A1A1A1A1\t\u6709\u52b9\nbob@x.jp\tb2b2b2b2b2\t\u6709\u52b9\n"
			"erin@x.jp\te5e5e5e5e5\t\u6709\u52b9\n",
			"", 3, 3, 0},
		{"each kind", with_columns,
			"h\nalice@x.jp\ta1a1a1a1a1\t\u5931\u52b9\n" /* revoked there */
			"bob@x.jp\tb2b2b2b2b2\tgone\n"
			"carol@x.jp\tc3c3c3c3c3\t\u6709\u52b9\n"     /* revoked here */
			"dave@x.jp\t99\t\u6709\u52b9\n"              /* only our own CA's here */
			"grace@x.jp\t98\t\u6709\u52b9\n"             /* nothing here */
			"frank@x.jp\t97\t\n"                         /* a key that waits */
			"alice@x.jp\t96\t\u671f\u9650\u5207\u308c\n" /* an old one */
			"\t95\t\n"
			"zoe@x.jp\t94\t\u6709\u52b9\t\t5\n", /* another kind of certificate */
			"revoked-there k1 2,revoked-there k2 3,revoked-here k3 4,no-key - 5,no-key - 6,"
			"no-key - 7,old-key-missing - 8,no-address - 9,not-listed k5 0,",
			9, 0, 1},
		{"serial numbers differ", with_columns,
			"h\nalice@x.jp\t77\t\nbob@x.jp\tb2:b2:b2:b2:b2\t\n"
			"erin@x.jp\t985887139301\t\n",
			"serial-differs k1 2,serial-differs k5 4,", 3, 1, 0},
		{"days", with_columns,
			"h\nalice@x.jp\ta1a1a1a1a1\t\t2026/09/20\nbob@x.jp\tb2b2b2b2b2\t\t2026-09-21 10:00\n"
			"erin@x.jp\te5e5e5e5e5\t\t20250101\n",
			"expired-there k1 2,expired-there k5 4,", 3, 1, 0},
		{"a retired key is as it should be", with_columns,
			"h\nalice@x.jp\ta700000000\t\u671f\u9650\u5207\u308c\nal@x.jp\ta1a1a1a1a1\t\n"
			"bob@x.jp\tb2b2b2b2b2\t\nerin@x.jp\te5e5e5e5e5\t\n",
			"", 4, 4, 0},
		{"without columns", without,
			"CN=alice@x.jp,O=E\t1\tgone\tA1A1A1A1A1\nCN=bob@x.jp,O=E\tb2b2b2b2b2\tx\n"
			"CN=E. R. In,O=E\te5e5e5e5e5\nnonsense\n",
			"revoked-there k1 1,no-address - 3,no-address - 4,not-listed k5 0,", 4, 1,
			0},
		{"an empty list", without, "", "not-listed k1 0,not-listed k2 0,not-listed k5 0,",
			0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct json_value *addrs[16] = {NULL};
		struct buf got = BUF_INIT(10000);
		struct bulk_report report;
		struct bulk_keys keys;
		struct bulk_map map;
		struct tsv list;

		parse(cases[i].map, &map);
		make_keys(&keys, addrs);
		MUST(tsv_parse(cases[i].list, strlen(cases[i].list), "list", &list, &err));
		MUST(bulk_compare(&map, &list, &keys, 1790000000, &report, &err));
		for (size_t k = 0; k < report.n; k++)
			MUST(buf_appendf(&got, &err, "%s %s %zu,",
				bulk_finding_name(report.v[k].kind),
				report.v[k].key ? report.v[k].key : "-", report.v[k].line));
		CHECK_STR(cases[i].name, buf_text(&got), cases[i].findings);
		CHECK_INT(cases[i].name, report.rows, cases[i].rows);
		CHECK_INT(cases[i].name, report.same, cases[i].same);
		CHECK_INT(cases[i].name, report.ignored, cases[i].ignored);
		bulk_report_fini(&report);
		tsv_fini(&list);
		bulk_map_fini(&map);
		bulk_keys_fini(&keys);
		for (size_t k = 0; k < 16; k++)
			json_free(&addrs[k]);
		buf_fini(&got);
	}
}

static void
people_tables(void **state)
{
	size_t hint = 0;
	struct tsv people;

	(void)state;
	MUST(tsv_parse("mail\tname\na@x\tA\n", 16, "people", &people, &err));
	CHECK_INT("no address", bulk_check_people(&people, "people", &err), RC_PERM);
	CHECK_STR("no address", err.detail,
		"people: the first row names the columns, and none is \"address\"");
	err_clear(&err);
	assert_null(bulk_find_person(&people, "a@x", &hint));
	tsv_fini(&people);
	CHECK_INT("none", bulk_check_people(&people, "people", &err), RC_PERM);
	err_clear(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_are_checked),
		cmocka_unit_test(shipped_maps),
		cmocka_unit_test(rows_byte_for_byte),
		cmocka_unit_test(words),
		cmocka_unit_test(serials),
		cmocka_unit_test(renewals),
		cmocka_unit_test(compares),
		cmocka_unit_test(people_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
