/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses and URLs the fetcher follows, what it is told, when it fetches. */
#include "tests/unit/unit.h"

#include "base/file.h"
#include "directory/fetch_addr.h"
#include "directory/fetch_hosts.h"
#include "directory/fetch_list.h"
#include "directory/fetch_plan.h"
#include "directory/fetch_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* --- addresses --- */

static const struct {
	const char *addr, *why; /* NULL: public */
} addresses[] = {
	{"8.8.8.8", NULL},
	{"1.1.1.1", NULL},
	{"9.255.255.255", NULL},
	{"11.0.0.0", NULL},
	{"100.63.255.255", NULL},
	{"100.128.0.0", NULL},
	{"126.255.255.255", NULL},
	{"128.0.0.0", NULL},
	{"169.253.255.255", NULL},
	{"169.255.0.0", NULL},
	{"172.15.255.255", NULL},
	{"172.32.0.0", NULL},
	{"192.167.255.255", NULL},
	{"192.169.0.0", NULL},
	{"192.0.1.0", NULL},
	{"198.17.255.255", NULL},
	{"198.20.0.0", NULL},
	{"223.255.255.255", NULL},
	{"0.0.0.0", "unspecified"},
	{"0.1.2.3", "unspecified"},
	{"10.0.0.0", "private"},
	{"10.255.255.255", "private"},
	{"100.64.0.0", "shared"},
	{"100.127.255.255", "shared"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.254", "loopback"},
	{"169.254.169.254", "link-local"},
	{"172.16.0.0", "private"},
	{"172.31.255.255", "private"},
	{"192.0.0.170", "special"},
	{"192.0.2.1", "documentation"},
	{"192.88.99.1", "special"},
	{"192.168.0.1", "private"},
	{"192.168.255.255", "private"},
	{"198.18.0.1", "special"},
	{"198.19.255.255", "special"},
	{"198.51.100.7", "documentation"},
	{"203.0.113.9", "documentation"},
	{"224.0.0.1", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.1", "special"},
	{"255.255.255.255", "special"},
	{"2606:4700::1111", NULL},
	{"2a00:1450::1", NULL},
	{"2001:200::1", NULL},
	{"3ffe::1", NULL},
	{"::", "unspecified"},
	{"::1", "loopback"},
	{"::2", "unspecified"}, /* 0.0.0.2, as IPv4-compatible */
	{"::127.0.0.1", "loopback"},
	{"::8.8.8.8", "tunnel"},
	{"::ffff:8.8.8.8", NULL},
	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:10.1.2.3", "private"},
	{"::ffff:169.254.169.254", "link-local"},
	{"::ffff:0:127.0.0.1", "loopback"},
	{"64:ff9b::8.8.8.8", NULL},
	{"64:ff9b::127.0.0.1", "loopback"},
	{"64:ff9b::10.0.0.1", "private"},
	{"64:ff9b:1::1", "tunnel"},
	{"2001::1", "tunnel"},
	{"2001:db8::1", "documentation"},
	{"2001:10::1", "special"},
	{"2002:7f00:1::1", "loopback"},
	{"2002:c0a8:101::1", "private"},
	{"2002:808:808::1", "tunnel"},
	{"3fff::1", "documentation"},
	{"4000::1", "special"},
	{"100::1", "special"},
	{"fc00::1", "private"},
	{"fdff::1", "private"},
	{"fe80::1", "link-local"},
	{"febf::1", "link-local"},
	{"fec0::1", "private"},
	{"ff02::1", "multicast"},
	{"ff0e::1", "multicast"},
};

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		struct sockaddr_in6 six = {.sin6_family = AF_INET6};
		struct sockaddr_in four = {.sin_family = AF_INET};
		const char *got = NULL;

		if (inet_pton(AF_INET, addresses[i].addr, &four.sin_addr) == 1)
			got = fetch_addr_refusal((struct sockaddr *)&four, sizeof(four));
		else if (inet_pton(AF_INET6, addresses[i].addr, &six.sin6_addr) == 1)
			got = fetch_addr_refusal((struct sockaddr *)&six, sizeof(six));
		else
			fail_msg("%s is no address", addresses[i].addr);
		CHECK_STR(addresses[i].addr, got, addresses[i].why);
	}
}

static void
test_no_address(void **state)
{
	struct sockaddr addr = {.sa_family = AF_UNIX};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};

	(void)state;
	CHECK_STR("unix", fetch_addr_refusal(&addr, sizeof(addr)), "no address");
	CHECK_STR("short", fetch_addr_refusal((struct sockaddr *)&six, sizeof(struct sockaddr_in)),
		"no address");
}

/* --- URLs --- */

static const struct {
	const char *url;
	bool good;
	enum fetch_scheme scheme;
	const char *host;
	unsigned port;
	const char *dn, *attribute;
} urls[] = {
	{"http://crl.example.org/ca.crl", true, FETCH_HTTP, "crl.example.org", 80, "", ""},
	{"HTTP://CRL.Example.org", true, FETCH_HTTP, "crl.example.org", 80, "", ""},
	{"https://a.example:8443/x?y=z", true, FETCH_HTTPS, "a.example", 8443, "", ""},
	{"http://a.example?x", true, FETCH_HTTP, "a.example", 80, "", ""},
	{"http://192.0.2.1/x", true, FETCH_HTTP, "192.0.2.1", 80, "", ""},
	{"http://[2001:db8::1]:81/x", true, FETCH_HTTP, "2001:db8::1", 81, "", ""},
	{"ldap://l.example/cn=CA%201,o=X?certificateRevocationList;binary", true, FETCH_LDAP,
		"l.example", 389, "cn=CA 1,o=X", "certificateRevocationList"},
	{"ldap://l.example/cn=A?cacertificate?base?(objectClass=*)", true, FETCH_LDAP, "l.example",
		389, "cn=A", "cACertificate"},
	{"ldap://l.example:1389/cn=A", true, FETCH_LDAP, "l.example", 1389, "cn=A", ""},
	{"ldap://l.example/cn=A?deltaRevocationList?base", true, FETCH_LDAP, "l.example", 389,
		"cn=A", "deltaRevocationList"},
	{.url = ""},
	{.url = "ftp://a.example/x"},
	{.url = "file:///etc/passwd"},
	{.url = "gopher://a.example/x"},
	{.url = "ldaps://a.example/cn=A"},
	{.url = "dict://a.example/"},
	{.url = "http:/a.example"},
	{.url = "http:///x"},
	{.url = "//a.example/x"},
	{.url = "http://user@a.example/x"},
	{.url = "http://user:pass@a.example/x"},
	{.url = "http://a.example@127.0.0.1/"},
	{.url = "http://a.example:0/"},
	{.url = "http://a.example:65536/"},
	{.url = "http://a.example:/"},
	{.url = "http://a.example:8x/"},
	{.url = "http://a.example:123456/"},
	{.url = "http://2130706433/"},
	{.url = "http://0x7f.1/"},
	{.url = "http://127.1/"},
	{.url = "http://0177.0.0.1/"},
	{.url = "http://1.2.3.4.5/"},
	{.url = "http://a..example/"},
	{.url = "http://.example/"},
	{.url = "http://a.example./"},
	{.url = "http://a%2eexample/"},
	{.url = "http://[::1/"},
	{.url = "http://[::1%25eth0]/"},
	{.url = "http://[]/"},
	{.url = "http://[1.2.3.4]/"},
	{.url = "http://a.example/x y"},
	{.url = "http://a.example/x\ty"},
	{.url = "http://a.example/x\r\nHost: b"},
	{.url = "http://a.example/\\x"},
	{.url = "http://a.example/#x"},
	{.url = "http://a.example/\"x"},
	{.url = "http://a.example/<x>"},
	{.url = "http://a.example/\xc3\xa4"},
	{.url = "http://a.example/\x7f"},
	{.url = "ldap:///cn=A?certificateRevocationList"},
	{.url = "ldap://l.example"},
	{.url = "ldap://l.example/"},
	{.url = "ldap://l.example/cn=A?userPassword"},
	{.url = "ldap://l.example/cn=A?certificateRevocationList,cACertificate"},
	{.url = "ldap://l.example/cn=A?certificateRevocationList;lang-de"},
	{.url = "ldap://l.example/cn=A?certificateRevocationList?sub"},
	{.url = "ldap://l.example/cn=A?certificateRevocationList?one"},
	{.url = "ldap://l.example/cn=A?certificateRevocationList?base?x?bindname=cn=B"},
	{.url = "ldap://l.example/cn=A%00"},
	{.url = "ldap://l.example/cn=A%0a"},
	{.url = "ldap://l.example/cn=A%4"},
	{.url = "ldap://l.example/cn=A%zz"},
};

static void
test_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		size_t len = strlen(urls[i].url);
		char *text = exact(urls[i].url, len);
		struct err err = ERR_INIT;
		struct fetch_url url;
		enum rc rc = fetch_url_parse(text, len, &url, &err);

		CHECK_INT(urls[i].url, rc == RC_OK, urls[i].good);
		if (rc == RC_OK) {
			CHECK_INT(urls[i].url, url.scheme, urls[i].scheme);
			CHECK_STR(urls[i].url, url.host, urls[i].host);
			CHECK_INT(urls[i].url, url.port, urls[i].port);
			CHECK_STR(urls[i].url, url.dn, urls[i].dn);
			CHECK_STR(urls[i].url, url.attribute, urls[i].attribute);
		} else {
			CHECK_INT(urls[i].url, err.code, ERR_FETCH_URL);
		}
		free(text);
	}
}

static void
test_url_length(void **state)
{
	char text[FETCH_URL_MAX + 2];
	struct fetch_url url;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "http://a.example/", 17);
	CHECK_INT("longest", fetch_url_parse(text, FETCH_URL_MAX, &url, NULL), RC_OK);
	CHECK_INT("too long", fetch_url_parse(text, FETCH_URL_MAX + 1, &url, NULL), RC_PERM);
	memset(text + 7, 'a', 300);
	CHECK_INT("long host", fetch_url_parse(text, 400, &url, NULL), RC_PERM);
}

static struct fetch_settings
settings_of(const char *section)
{
	struct fetch_settings settings;
	struct err err = ERR_INIT;
	struct conf *conf = NULL;
	char text[1024];

	snprintf(text, sizeof(text), "organisation = { domains = \"x.test\"; };\nfetch = { %s };\n",
		section);
	if (conf_parse(text, "test", "/tmp", &conf, &err) != RC_OK ||
		fetch_settings_read(conf, &settings, &err) != RC_OK)
		fail_msg("%s", err.detail);
	conf_unref(&conf);
	return settings;
}

static void
test_rules(void **state)
{
	static const struct {
		const char *section, *url;
		bool good;
	} table[] = {
		{"", "http://a.example/", true},
		{"", "https://a.example/", true},
		{"", "ldap://a.example/cn=A", true},
		{"", "http://a.example:8080/", false},
		{"", "http://127.0.0.1/", false},
		{"", "http://[::1]/", false},
		{"", "http://8.8.8.8/", true},
		{"allow_private = true;", "http://127.0.0.1/", true},
		{"allow_private = true;", "http://127.0.0.1:25/", false},
		{"ports = ( \"8080\" );", "http://a.example:8080/", true},
		{"ports = ( \"8080\" );", "http://a.example/", false},
		{"schemes = \"https\";", "http://a.example/", false},
		{"schemes = \"https\";", "https://a.example/", true},
		{"schemes = \"https\";", "ldap://a.example/cn=A", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fetch_settings settings = settings_of(table[i].section);
		struct fetch_url url;

		CHECK_INT(table[i].url,
			fetch_url_parse(table[i].url, strlen(table[i].url), &url, NULL), RC_OK);
		CHECK_INT(table[i].url, fetch_settings_allow(&settings, &url, NULL) == RC_OK,
			table[i].good);
		fetch_settings_fini(&settings);
	}
}

static void
test_bad_settings(void **state)
{
	static const char *const table[] = {
		"ports = \"0\";",
		"ports = \"http\";",
		"ports = \"80x\";",
		"proxy = \"socks5://a.example\";",
		"crl_urls = \"ftp://a.example/\";",
		"crl_urls = \"http://127.0.0.1/\";",
		"ca_urls = \"http://a.example:99/\";",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fetch_settings settings;
		struct err err = ERR_INIT;
		struct conf *conf = NULL;
		char text[512];

		snprintf(text, sizeof(text),
			"organisation = { domains = \"x.test\"; };\nfetch = { %s };\n", table[i]);
		CHECK_INT(table[i], conf_parse(text, "test", "/tmp", &conf, &err), RC_OK);
		CHECK_INT(table[i], fetch_settings_read(conf, &settings, &err), RC_PERM);
		CHECK_INT(table[i], err.code, ERR_CONFIG);
		conf_unref(&conf);
	}
}

/* --- wants --- */

static const struct {
	const char *text;
	size_t len; /* 0: of the text */
	bool good;
} wants[] = {
	{"crl http://a.example/\n", 0, true},
	{"ca http://a.example/\n", 0, true},
	{"ocsp http://a.example/ ab-1.ocsp\nDER", 0, true},
	{"list\n", 0, true},
	{"status\n", 0, true},
	{"now\n", 0, true},
	{"now http://a.example/\n", 0, true},
	{"issuer\nDER", 0, true},
	{"issuer\n", 0, false},
	{"issuer x\nDER", 0, false},
	{"list\nDER", 0, false},
	{"", 0, false},
	{"\n", 0, false},
	{"crl\n", 0, false},
	{"crl \n", 0, false},
	{"crl http://a.example/", 0, false},
	{"crl http://a.example/ \n", 0, false},
	{"crl http://a.example/ x\n", 0, false},
	{"crl http://a.example/\nmore", 0, false},
	{"CRL http://a.example/\n", 0, false},
	{" crl http://a.example/\n", 0, false},
	{"list http://a.example/\n", 0, false},
	{"list \n", 0, false},
	{"status x\n", 0, false},
	{"now a b\n", 0, false},
	{"ocsp http://a.example/\nDER", 0, false},
	{"ocsp http://a.example/ name\n", 0, false},
	{"ocsp http://a.example/ ../x\nDER", 0, false},
	{"ocsp http://a.example/ .x\nDER", 0, false},
	{"ocsp http://a.example/ a/b\nDER", 0, false},
	{"ocsp http://a.example/ A\nDER", 0, false},
	{"ocsp http://a.example/ a b\nDER", 0, false},
	{"ocsp http://a.example/ a\0b\nDER", 30, false},
	{"crl http://a.example/\0x\n", 24, false},
	{"ocsp http://a\0.example/ name\nDER", 32, false},
	{"delete http://a.example/\n", 0, false},
};

static void
test_wants(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
		size_t len = wants[i].len ? wants[i].len : strlen(wants[i].text);
		char *data = exact(wants[i].text, len);
		struct buf again = BUF_INIT(WANT_MAX);
		struct want want;
		enum rc rc = want_parse(data, len, &want, NULL);

		CHECK_INT(wants[i].text, rc == RC_OK, wants[i].good);
		if (rc == RC_OK) {
			CHECK_INT(wants[i].text, want_format(&want, &again, NULL), RC_OK);
			CHECK_INT(wants[i].text, again.len, len);
			assert_memory_equal(again.data, data, len);
		}
		buf_fini(&again);
		free(data);
	}
}

/* Every bit of every good one turned, every end cut off: an answer, and no more than was there. */
static void
test_wants_mutated(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
		size_t len = wants[i].len ? wants[i].len : strlen(wants[i].text);
		struct want want;

		for (size_t cut = 0; cut < len; cut++) {
			char *data = exact(wants[i].text, cut);

			(void)want_parse(data, cut, &want, NULL);
			free(data);
		}
		for (size_t bit = 0; bit < 8 * len; bit++) {
			char *data = exact(wants[i].text, len);

			data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
			if (want_parse(data, len, &want, NULL) == RC_OK && want.url) {
				struct fetch_url url;

				assert_true(
					want.url >= data && want.url + want.url_len <= data + len);
				(void)fetch_url_parse(want.url, want.url_len, &url, NULL);
			}
			free(data);
		}
	}
}

/* --- when --- */

#define NOW 1800000000

static void
test_plan(void **state)
{
	struct fetch_settings s = settings_of("refresh = \"4h\"; margin = \"1h\"; retry = 60; "
					      "retry_max = \"1h\"; refresh_ca = \"7d\";");
	const int64_t hour = 3600, day = 86400;

	(void)state;
#define REFRESH(kind, begins, ends) fetch_plan_refresh(&s, kind, begins, ends, NOW, 0)
	CHECK_INT("a week: often", REFRESH(WANT_CRL, NOW, NOW + 7 * day), NOW + 4 * hour);
	CHECK_INT("ahead of its end", REFRESH(WANT_CRL, NOW - day, NOW + 3 * hour), NOW + 2 * hour);
	CHECK_INT("a short life: a quarter", REFRESH(WANT_OCSP, NOW, NOW + 800), NOW + 600);
	CHECK_INT("never too soon", REFRESH(WANT_OCSP, NOW, NOW + 8), NOW + FETCH_SOONEST);
	CHECK_INT("no end", REFRESH(WANT_CRL, NOW, -1), NOW + 4 * hour);
	CHECK_INT("just expired", REFRESH(WANT_CRL, NOW - day, NOW - 10), NOW + 60);
	CHECK_INT("expired long ago", REFRESH(WANT_CRL, NOW - day, NOW - 8000), NOW + 2000);
	CHECK_INT("dead", REFRESH(WANT_CRL, 5, NOW - 900 * day), NOW + 4 * hour);
	CHECK_INT("a CA", REFRESH(WANT_CA, NOW, NOW + hour), NOW + 7 * day);
	CHECK_INT("luck", fetch_plan_refresh(&s, WANT_CRL, NOW, -1, NOW, 50),
		NOW + 4 * hour - 4 * hour * 50 / 1000);
	CHECK_INT("first failure", fetch_plan_retry(&s, 1, 0, NOW, 0), NOW + 60);
	CHECK_INT("third", fetch_plan_retry(&s, 3, 0, NOW, 0), NOW + 240);
	CHECK_INT("hundredth", fetch_plan_retry(&s, 100, 0, NOW, 0), NOW + hour);
	CHECK_INT("the server says when", fetch_plan_retry(&s, 1, 500, NOW, 0), NOW + 500);
	CHECK_INT("sooner than we would", fetch_plan_retry(&s, 3, 5, NOW, 0), NOW + 240);
	CHECK_INT("in a year", fetch_plan_retry(&s, 1, 365 * day, NOW, 0), NOW + day);
	fetch_settings_fini(&s);
}

static void
test_budget(void **state)
{
	struct fetch_settings s = settings_of("parallel = 3; host_parallel = 2; host_hour = 4; "
					      "host_day_bytes = 65536; day_bytes = 100000;");
	struct fetch_hosts *hosts = NULL;

	(void)state;
	assert_int_equal(fetch_hosts_new(&hosts, NULL), RC_OK);
#define BEGIN(host, at) fetch_hosts_begin(hosts, &s, host, at)
	CHECK_INT("one", BEGIN("a", NOW), 0);
	CHECK_INT("two", BEGIN("a", NOW), 0);
	CHECK_INT("host full", BEGIN("a", NOW), NOW);
	CHECK_INT("other host", BEGIN("b", NOW), 0);
	CHECK_INT("busy", fetch_hosts_busy(hosts, &s), true);
	CHECK_INT("all full", BEGIN("c", NOW), NOW);
	fetch_hosts_end(hosts, "a", 10, NOW);
	fetch_hosts_end(hosts, "a", 10, NOW);
	fetch_hosts_end(hosts, "b", 10, NOW);
	CHECK_INT("three", BEGIN("a", NOW), 0);
	CHECK_INT("four", BEGIN("a", NOW), 0);
	fetch_hosts_end(hosts, "a", 10, NOW);
	fetch_hosts_end(hosts, "a", 10, NOW);
	CHECK_INT("hour", BEGIN("a", NOW + 60), NOW + 3600);
	CHECK_INT("next hour", BEGIN("a", NOW + 3600), 0);
	fetch_hosts_end(hosts, "a", 70000, NOW + 3600);
	CHECK_INT("host's day", BEGIN("a", NOW + 3700), NOW + 86400);
	CHECK_INT("other host's day", BEGIN("b", NOW + 3700), 0);
	fetch_hosts_end(hosts, "b", 40000, NOW + 3600);
	CHECK_INT("everybody's day", BEGIN("c", NOW + 3700), NOW + 86400);
	CHECK_INT("the next day", BEGIN("c", NOW + 86400), 0);
	fetch_hosts_free(&hosts);
	fetch_settings_fini(&s);
}

/* --- the list --- */

static struct fetch_item *
add(struct fetch_list *list, enum want_kind kind, const char *url, int64_t now)
{
	struct want want = {.kind = kind, .url = url, .url_len = strlen(url)};
	struct fetch_item *item = NULL, *lost = NULL;
	bool is_new;

	if (kind == WANT_OCSP) {
		strcpy(want.name, "n.ocsp");
		want.request = "0\x03\x02\x01\x05";
		want.request_len = 5;
	}
	(void)fetch_list_ask(list, &want, "a.example", now, &item, &is_new, &lost, NULL);
	fetch_item_free(&lost);
	return item;
}

static void
test_list_full(void **state)
{
	struct fetch_list *list = NULL;
	struct fetch_item *a, *b, *c, *d;

	(void)state;
	assert_int_equal(fetch_list_new(4, &list, NULL), RC_OK);
	a = add(list, WANT_CRL, "http://a.example/a", NOW);
	b = add(list, WANT_CRL, "http://a.example/b", NOW + 1);
	c = add(list, WANT_CA, "http://a.example/c", NOW + 2);
	d = add(list, WANT_CRL, "http://a.example/d", NOW + 3);
	assert_non_null(a && b && c ? d : NULL);
	a->fetched = b->fetched = c->fetched = NOW;
	a->permanent = true;
	assert_ptr_equal(add(list, WANT_CRL, "http://a.example/a", NOW + 9), a);
	CHECK_INT("what was never fetched goes first",
		add(list, WANT_CA, "http://a.example/e", NOW + 4) != NULL, true);
	assert_null(fetch_list_find(list, WANT_CRL, "http://a.example/d", ""));
	add(list, WANT_CA, "http://a.example/e", NOW + 4)->fetched = NOW;
	assert_non_null(add(list, WANT_CA, "http://a.example/f", NOW + 5));
	assert_null(fetch_list_find(list, WANT_CA, "http://a.example/c", ""));
	assert_non_null(fetch_list_find(list, WANT_CRL, "http://a.example/b", ""));
	assert_non_null(fetch_list_find(list, WANT_CA, "http://a.example/e", ""));
	CHECK_INT("count", fetch_list_count(list), 4);
	fetch_list_find(list, WANT_CA, "http://a.example/f", "")->fetched = NOW;
	assert_null(add(list, WANT_OCSP, "http://a.example/o", NOW + 6)); /* not for others' sake */
	fetch_list_free(&list);
}

static void
test_list_saved(void **state)
{
	char dir[] = "/tmp/fetchXXXXXX", path[64];
	struct fetch_list *list = NULL, *again = NULL;
	struct buf text = BUF_INIT(0), more = BUF_INIT(0);
	struct fetch_item *item;
	size_t bad;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/wants", dir);
	assert_int_equal(fetch_list_new(10, &list, NULL), RC_OK);
	item = add(list, WANT_CRL, "http://a.example/a", NOW);
	item->fetched = NOW + 1;
	item->ends = NOW + 2;
	item->next = NOW + 3;
	item->failures = 7;
	strcpy(item->why, "no \"reason\"\n");
	strcpy(item->etag, "\"x\"");
	add(list, WANT_OCSP, "http://a.example/o", NOW);
	assert_int_equal(fetch_list_save(list, path, NULL), RC_OK);
	assert_int_equal(fetch_list_new(10, &again, NULL), RC_OK);
	assert_int_equal(fetch_list_load(again, path, &bad, NULL), RC_OK);
	CHECK_INT("bad lines", bad, 0);
	CHECK_INT("items", fetch_list_count(again), 2);
	item = fetch_list_find(again, WANT_CRL, "http://a.example/a", "");
	assert_non_null(item);
	CHECK_INT("asked", item->asked, NOW);
	CHECK_INT("fetched", item->fetched, NOW + 1);
	CHECK_INT("ends", item->ends, NOW + 2);
	CHECK_INT("next", item->next, NOW + 3);
	CHECK_INT("failures", item->failures, 7);
	CHECK_STR("why", item->why, "no \"reason\"\n");
	CHECK_STR("etag", item->etag, "\"x\"");
	CHECK_STR("host", item->host, "a.example");
	item = fetch_list_find(again, WANT_OCSP, "http://a.example/o", "n.ocsp");
	assert_non_null(item);
	CHECK_STR("request", item->request_hex, "3003020105");
	fetch_list_free(&again);

	/* Cut anywhere, the lines before are good and nothing else is believed. */
	assert_int_equal(file_read(path, &text, NULL), RC_OK);
	for (size_t cut = 0; cut < text.len; cut += 3) {
		assert_int_equal(file_write(path, text.data, cut, 0600, NULL), RC_OK);
		assert_int_equal(fetch_list_new(10, &again, NULL), RC_OK);
		assert_int_equal(fetch_list_load(again, path, &bad, NULL), RC_OK);
		assert_true(fetch_list_count(again) + bad <= 2);
		fetch_list_free(&again);
	}
	buf_append_str(&more,
		"{}\n[]\n{\"kind\":\"crl\",\"url\":\"file:///x\",\"name\":\"x\"}\n"
		"{\"kind\":\"crl\",\"url\":\"http://a.example/\",\"name\":\"../x\"}\n"
		"{\"kind\":\"ocsp\",\"url\":\"http://a.example/\",\"name\":\"x\",\"request\":\"3\"}\n"
		"{\"kind\":\"?\",\"url\":\"http://a.example/\",\"name\":\"x\"}\n",
		NULL);
	assert_int_equal(file_write(path, more.data, more.len, 0600, NULL), RC_OK);
	assert_int_equal(fetch_list_new(10, &again, NULL), RC_OK);
	assert_int_equal(fetch_list_load(again, path, &bad, NULL), RC_OK);
	CHECK_INT("bad lines", bad, 6);
	CHECK_INT("none", fetch_list_count(again), 0);
	fetch_list_free(&again);
	fetch_list_free(&list);
	buf_fini(&text);
	buf_fini(&more);
	unlink(path);
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_url_length),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_bad_settings),
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_wants_mutated),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_list_full),
		cmocka_unit_test(test_list_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
