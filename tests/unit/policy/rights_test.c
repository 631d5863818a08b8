/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/policy.h"

#include "base/file.h"
#include "message/addr.h"
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

/* A case says what it is about; the rest is not known. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
struct ask {
	const char *service, *identity, *client, *from;
	enum tri want;
	const char *key;
	const char *connector;
	const struct addrlist *addresses;
};

static void
check(const char *text, const struct ask *asks, size_t n)
{
	struct rights *rights = NULL;
	struct err err = ERR_INIT;
	struct right_found found;

	if (compile(text, &rights, &err) != RC_OK)
		fail_msg("%s: %s", text, err.detail);
	for (size_t i = 0; i < n; i++) {
		struct right_ask ask = {.service = asks[i].service,
			.identity = asks[i].identity,
			.client = asks[i].client,
			.connector = asks[i].connector,
			.addresses = asks[i].addresses};
		char name[200];

		snprintf(name, sizeof(name), "%s %s %s", asks[i].identity, asks[i].client,
			asks[i].from);
		CHECK_INT(name, rights_may_sign(rights, &ask, asks[i].from, &found), asks[i].want);
		CHECK_STR(name, found.key, asks[i].key);
		CHECK_INT(name, found.is_network,
			asks[i].key && strcmp(asks[i].key, "noreply@example.org") == 0);
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
		{"all", "somebody", "192.0.2.77", "robot@example.org", TRI_YES,
			"noreply@example.org", "any connector"},
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

/* Delegates: named logins that may write as somebody else, with that one's key or a role's. */
static void
test_delegates(void **state)
{
	static const struct ask asks[] = {
		{"all", "secretary", NULL, "boss@example.org", TRI_YES, "own"},
		{"all", "deputy", NULL, "boss@example.org", TRI_YES, "own"},
		{"all", "intern", NULL, "boss@example.org", TRI_NO, NULL},
		{"all", "intern", NULL, "office@example.org", TRI_YES, "office@example.org"},
		{"all", "secretary", NULL, "office@example.org", TRI_NO, NULL},
		{"all", "secretary", NULL, "boss2@example.org", TRI_NO, NULL},
	};

	(void)state;
	check("rights = ("
	      " { identity = [ \"secretary\", \"deputy\" ]; from = \"boss@example.org\"; },"
	      " { identity = \"intern\"; from = \"office@example.org\";"
	      "   key = \"office@example.org\"; } );",
		asks, sizeof(asks) / sizeof(*asks));
}

/* Addresses made of the login. */
static void
test_patterns(void **state)
{
	static const struct ask asks[] = {
		{"all", "alice", NULL, "alice@example.org", TRI_YES, "own"},
		{"all", "alice", NULL, "Alice@Example.org", TRI_YES, "own"},
		{"all", "alice@REALM", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", "alice@Example.ORG", NULL, "alice@example.org", TRI_YES, "own"},
		{"all", "alice@x@example.org", NULL, "alice@example.org", TRI_NO, NULL},
		{"hop", "alice@REALM", NULL, "alice@realm.example.org", TRI_YES, "own"},
		{"all", "alice", NULL, "bob@example.org", TRI_NO, NULL},
		{"all", "", NULL, "@example.org", TRI_NO, NULL},
		{"all", "@REALM", NULL, "@example.org", TRI_NO, NULL},
		/* what would make another address of the login */
		{"all", "alice>", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", "\"alice\"", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", "(x)alice", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", " alice", NULL, "alice@example.org", TRI_NO, NULL},
		{"all", "alice\r\n", NULL, "alice@example.org", TRI_NO, NULL},
		/* identity_pattern */
		{"hop", "STAFF\\alice.smith", NULL, "alice.smith@staff.example.org", TRI_YES,
			"own"},
		{"hop", "GUEST\\alice.smith", NULL, "alice.smith@staff.example.org", TRI_NO, NULL},
		{"hop", "STAFF\\alice.smithx", NULL, "alice.smith@staff.example.org", TRI_NO, NULL},
		{"hop", "xSTAFF\\alice.smith", NULL, "alice.smith@staff.example.org", TRI_NO, NULL},
		{"hop", "STAFF\\a@b", NULL, "a@b@staff.example.org", TRI_NO, NULL},
		{"hop", NULL, NULL, "alice.smith@staff.example.org", TRI_NO, NULL},
	};

	(void)state;
	check("rights = ("
	      " { services = \"all\"; identity = \"*\"; from = \"%u@example.org\"; },"
	      " { services = \"hop\"; identity_pattern = \"STAFF\\\\\\\\([a-z.@]+)\";"
	      "   from = \"%1@staff.example.org\"; },"
	      " { services = \"hop\"; identity_pattern = \".*@REALM\"; from = \"%u@realm.example.org\"; } );",
		asks, sizeof(asks) / sizeof(*asks));
}

/* Addresses that the directory has for the login: unknown until it was asked. */
static void
test_directory(void **state)
{
	char one[] = "alice@example.org", two[] = "a.smith@example.org";
	char *v[] = {one, two};
	const struct addrlist list = {.v = v, .n = 2}, none = {0};
	const struct ask asks[] = {
		{"all", "u1", NULL, "alice@example.org", TRI_YES, "own", NULL, &list},
		{"all", "u1", NULL, "A.Smith@example.org", TRI_YES, "own", NULL, &list},
		{"all", "u1", NULL, "bob@example.org", TRI_NO, NULL, NULL, &list},
		{"all", "u1", NULL, "alice@example.org", TRI_NO, NULL, NULL, &none},
		{"all", "u1", NULL, "alice@example.org", TRI_UNKNOWN, NULL, NULL, NULL},
		{"all", NULL, NULL, "alice@example.org", TRI_NO, NULL, NULL, NULL},
		/* what needs no directory does not wait for it */
		{"all", "u1", NULL, "all@example.org", TRI_YES, "own", NULL, NULL},
	};

	(void)state;
	check("directories = ( { name = \"d\"; uri = \"ldap://127.0.0.1:1\"; base = \"\"; } );"
	      "senders = { directory = \"d\"; };"
	      "rights = ( { identity = \"*\"; from = [ \"%a\", \"all@example.org\" ]; } );",
		asks, sizeof(asks) / sizeof(*asks));
}

#define CONNECTOR                                                                                 \
	"connectors = ( { name = \"hosted\"; certificate = \"mail.hosted.example\";"              \
	" issuer = \"Good CA\"; headers = [ \"X-Tenant-Id: 8c1f\", \"X-Auth-As: Internal\" ]; }," \
	" { name = \"other\"; certificate = [ \"a\", \"mail.hosted.example\" ];"                  \
	" headers = \"X-Tenant-Id: other\"; } );"

static void
test_connector(void **state)
{
	static const struct {
		const char *name, *subject, *issuer, *verify, *fields, *want;
	} cases[] = {
		{"all of it", "mail.hosted.example", "Good CA", NULL,
			"X-Tenant-Id: 8c1f\r\nx-auth-as:  Internal\r\n", "hosted"},
		{"verified", "mail.hosted.example", "Good CA", "OK",
			"X-Tenant-Id: 8c1f\r\nX-Auth-As: Internal\r\n", "hosted"},
		{"not verified", "mail.hosted.example", "Good CA", "FAIL",
			"X-Tenant-Id: 8c1f\r\nX-Auth-As: Internal\r\n", NULL},
		{"no certificate", NULL, NULL, NULL, "X-Tenant-Id: 8c1f\r\nX-Auth-As: Internal\r\n",
			NULL},
		{"empty certificate", "", "", NULL, "X-Tenant-Id: 8c1f\r\nX-Auth-As: Internal\r\n",
			NULL},
		{"another certificate", "mail.evil.example", "Good CA", NULL,
			"X-Tenant-Id: 8c1f\r\nX-Auth-As: Internal\r\n", NULL},
		{"another issuer", "mail.hosted.example", "Bad CA", NULL,
			"X-Tenant-Id: 8c1f\r\nX-Auth-As: Internal\r\n", NULL},
		{"no field", "mail.hosted.example", "Good CA", NULL, "X-Tenant-Id: 8c1f\r\n", NULL},
		{"another tenant", "mail.hosted.example", "Good CA", NULL,
			"X-Tenant-Id: 9999\r\nX-Auth-As: Internal\r\n", NULL},
		{"more than the value", "mail.hosted.example", "Good CA", NULL,
			"X-Tenant-Id: 8c1f 9999\r\nX-Auth-As: Internal\r\n", NULL},
		{"one more field", "mail.hosted.example", "Good CA", NULL,
			"X-Tenant-Id: 8c1f\r\nX-Tenant-Id: 9999\r\nX-Auth-As: Internal\r\n", NULL},
		{"encoded", "mail.hosted.example", "Good CA", NULL,
			"X-Tenant-Id: =?us-ascii?q?8c1f?=\r\nX-Auth-As: Internal\r\n", NULL},
		{"the second", "mail.hosted.example", "Bad CA", NULL, "X-Tenant-Id: other\r\n",
			"other"},
	};
	struct rights *rights;

	(void)state;
	assert_int_equal(compile(CONNECTOR, &rights, NULL), RC_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct client_cert cert = {cases[i].subject, cases[i].issuer, cases[i].verify};
		char text[400];
		const char *name;
		struct hdrs hdrs;
		size_t used;

		snprintf(text, sizeof(text), "%s\r\n", cases[i].fields);
		assert_int_equal(hdrs_parse(text, strlen(text), &hdrs, &used, NULL), RC_OK);
		assert_int_equal(rights_connector(rights, &cert, &hdrs, &name, NULL), RC_OK);
		CHECK_STR(cases[i].name, name, cases[i].want);
		hdrs_fini(&hdrs);
	}
	rights_free(&rights);
}

static void
test_connector_rows(void **state)
{
	static const struct ask asks[] = {
		{"all", NULL, "192.0.2.1", "alice@example.org", TRI_YES, "own", "hosted", NULL},
		{"all", NULL, "192.0.2.1", "alice@example.org", TRI_NO, NULL, "other", NULL},
		{"all", NULL, "192.0.2.1", "alice@example.org", TRI_NO, NULL, NULL, NULL},
		{"all", NULL, "198.51.100.1", "alice@example.org", TRI_NO, NULL, "hosted", NULL},
		{"all", NULL, "192.0.2.1", "alice@elsewhere.example", TRI_NO, NULL, "hosted", NULL},
	};

	(void)state;
	check(CONNECTOR "rights = ( { connector = \"hosted\"; networks = \"192.0.2.0/24\";"
			" from = \"@example.org\"; } );",
		asks, sizeof(asks) / sizeof(*asks));
}

static const struct {
	const char *text, *want;
} bad[] = {
	{"rights = ( { identity = \"x\"; from = \"%a\"; } );", "needs senders.directory"},
	{"rights = ( { identity = \"x\"; from = \"%u\"; } );", "gives no address"},
	{"rights = ( { identity = \"x\"; from = \"%x@a.b\"; } );", "gives no address"},
	{"rights = ( { identity = \"x\"; from = \"a@b.c%\"; } );", "gives no address"},
	{"rights = ( { identity = \"x\"; from = \"%1@a.b\"; } );", "gives no address"},
	{"rights = ( { identity_pattern = \"(x)\"; from = \"%2@a.b\"; } );", "gives no address"},
	{"rights = ( { identity_pattern = \"(x\"; from = \"a@b.c\"; } );", "identity_pattern"},
	{"rights = ( { networks = \"10.0.0.0/8\"; from = \"%u@b.c\"; key = \"a@b.c\"; } );",
		"need an identity"},
	{"rights = ( { connector = \"x\"; from = \"a@b.c\"; } );", "no connector"},
	{"connectors = ( { name = \"x\"; certificate = \"y\"; headers = \"z\"; } );",
		"is not \"Name: value\""},
	{"connectors = ( { name = \"x\"; certificate = \"y\"; headers = \"z: \"; } );",
		"is not \"Name: value\""},
	{"connectors = ( { name = \"x\"; certificate = \"y\"; } );", "headers"},
	{"connectors = ( { name = \"x\"; headers = \"a: b\"; } );", "certificate"},
	{"connectors = ( { name = \"x\"; certificate = \"y\"; headers = \"a: b\"; },"
	 " { name = \"x\"; certificate = \"y\"; headers = \"a: b\"; } );",
		"another connector"},
	{"rights = ( { from = \"*\"; } );", "needs an identity, a connector"},
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
		cmocka_unit_test(test_rows), cmocka_unit_test(test_delegates),
		cmocka_unit_test(test_patterns), cmocka_unit_test(test_directory),
		cmocka_unit_test(test_connector), cmocka_unit_test(test_connector_rows),
		cmocka_unit_test(test_refused)};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
