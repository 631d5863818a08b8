/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/policy.h"

#include "base/file.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#define BASE                                                      \
	"organisation = { domains = [ \"example.org\" ]; };\n"    \
	"services = ( { name = \"all\"; socket = \"unix:a\"; }, " \
	"{ name = \"hop\"; socket = \"unix:b\"; } );\n"

static char dir[] = "/tmp/sealgate-rights-XXXXXX";

static enum rc
compile(const char *text, struct rights **out, struct err *err)
{
	struct conf *conf;
	char *whole = malloc(strlen(BASE) + strlen(text) + 1);
	enum rc rc;

	strcpy(whole, BASE);
	strcat(whole, text);
	rc = conf_parse(whole, "test.conf", dir, &conf, err);
	free(whole);
	if (rc != RC_OK)
		return rc;
	rc = rights_compile(conf, out, err);
	conf_unref(&conf);
	return rc;
}

struct ask {
	const char *service, *identity, *client, *from;
	enum tri want;
	const char *key;
};

static void
check(const char *text, const struct ask *asks, size_t n)
{
	struct rights *rights = NULL;
	struct err err = ERR_INIT;
	const char *key;

	if (compile(text, &rights, &err) != RC_OK)
		fail_msg("%s: %s", text, err.detail);
	for (size_t i = 0; i < n; i++) {
		char name[200];

		snprintf(name, sizeof(name), "%s %s %s", asks[i].identity, asks[i].client,
			asks[i].from);
		CHECK_INT(name,
			rights_may_sign(rights, asks[i].service, asks[i].identity, asks[i].client,
				asks[i].from, &key),
			asks[i].want);
		CHECK_STR(name, key, asks[i].key);
	}
	rights_free(&rights);
}

static void
test_default(void **state)
{
	static const struct ask asks[] = {
		{"all", "alice@example.org", NULL, "alice@example.org", TRI_YES, "own"},
		{"all", "Alice@Example.ORG", NULL, "alice@example.org", TRI_YES, "own"},
		{"all", "alice@example.org", NULL, "bob@example.org", TRI_NO, NULL},
		{"all", "alice", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", NULL, "127.0.0.1", "alice@example.org", TRI_NO, NULL},
		{"all", "", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", "alice@example.org", NULL, "", TRI_NO, NULL},
	};

	(void)state;
	check("", asks, sizeof(asks) / sizeof(*asks));
}

static void
test_rows(void **state)
{
	static const struct ask asks[] = {
		{"all", "carol", NULL, "carol@example.org", TRI_YES, "own"},
		{"all", "carol", NULL, "c.smith@example.org", TRI_YES, "own"},
		{"all", "carol", NULL, "carla@example.org", TRI_NO, NULL},
		{"all", "dave", NULL, "carla@example.org", TRI_NO, NULL},
		{"all", "boss", NULL, "anybody@sub.example.org", TRI_YES, "own"},
		{"all", "boss", NULL, "anybody@example.org", TRI_NO, NULL},
		{"all", NULL, "192.0.2.77", "robot@example.org", TRI_YES, "noreply@example.org"},
		{"hop", NULL, "192.0.2.77", "robot@example.org", TRI_NO, NULL},
		{"all", NULL, "192.0.3.1", "robot@example.org", TRI_NO, NULL},
		{"all", NULL, "::ffff:192.0.2.1", "robot@example.org", TRI_YES,
			"noreply@example.org"},
		{"all", NULL, "2001:db8:5::1", "robot@example.org", TRI_YES, "noreply@example.org"},
		{"all", NULL, "IPv6:2001:db8:5::1", "robot@example.org", TRI_YES,
			"noreply@example.org"},
		{"all", NULL, "2001:db9::1", "robot@example.org", TRI_NO, NULL},
		{"all", NULL, "unknown", "robot@example.org", TRI_NO, NULL},
		{"all", "both", "10.1.2.3", "x@example.org", TRI_YES, "own"},
		{"all", "both", "11.1.2.3", "x@example.org", TRI_NO, NULL},
		{"all", "both", NULL, "x@example.org", TRI_NO, NULL},
	};
	static const char logins[] = "# people\n\ncarol carol@example.org  C.Smith@Example.org\r\n"
				     "dave\tdave@example.org\n";
	char path[100];

	(void)state;
	snprintf(path, sizeof(path), "%s/logins", dir);
	assert_int_equal(file_write(path, logins, sizeof(logins) - 1, 0600, NULL), RC_OK);
	check("senders = { login_map = \"logins\"; };\n"
	      "rights = ( { identity = \"*\"; from = [ \"%m\" ]; },\n"
	      " { identity = \"boss\"; from = [ \".example.org\" ]; },\n"
	      " { identity = \"both\"; networks = [ \"10.0.0.0/8\" ]; from = \"@example.org\"; },\n"
	      " { services = [ \"all\" ]; networks = [ \"192.0.2.0/24\", \"2001:db8::/32\" ];\n"
	      "   from = [ \"robot@example.org\" ]; key = \"noreply@example.org\"; } );\n",
		asks, sizeof(asks) / sizeof(*asks));
	unlink(path);
}

static const struct {
	const char *text, *want;
} bad[] = {
	{"rights = ( { from = \"*\"; } );", "needs an identity or networks"},
	{"rights = ( { networks = \"10.0.0.0/8\"; from = \"*\"; } );", "role keys only"},
	{"rights = ( { networks = \"10.0.0.0/33\"; from = \"*\"; key = \"a@b.c\"; } );",
		"no address or network"},
	{"rights = ( { networks = \"10.0.0.0/8x\"; from = \"*\"; key = \"a@b.c\"; } );",
		"no address or network"},
	{"rights = ( { networks = \"10.0.0.0/8\"; from = \"%l\"; key = \"a@b.c\"; } );",
		"need an identity"},
	{"rights = ( { identity = \"x\"; from = \"%m\"; } );", "needs senders.login_map"},
	{"rights = ( { identity = \"x\"; from = \"nonsense\"; } );", "no address"},
	{"rights = ( { identity = \"x\"; from = \"%l\"; key = \"nonsense\"; } );", "neither"},
	{"rights = ( { identity = \"x\"; from = \"%l\"; services = \"y\"; } );", "no service"},
	{"senders = { login_map = \"missing\"; };", "is not there"},
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct rights *rights = NULL;
		struct err err = ERR_INIT;

		CHECK_INT(bad[i].text, compile(bad[i].text, &rights, &err), RC_PERM);
		CHECK_INT(bad[i].text, err.code, ERR_CONFIG);
		if (!strstr(err.detail, bad[i].want))
			fail_msg("%s: got \"%s\", want \"%s\"", bad[i].text, err.detail,
				bad[i].want);
		assert_null(rights);
	}
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_default),
		cmocka_unit_test(test_rows), cmocka_unit_test(test_refused)};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
