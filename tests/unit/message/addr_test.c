/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/addr.h"

#include "base/buf.h"
#include "tests/unit/unit.h"

static void
test_canonical(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{"", ""},
		{"<>", ""},
		{" <> ", ""},
		{"<Alice@Example.ORG>", "Alice@example.org"},
		{"alice@example.org.", "alice@example.org"},
		{"<a..b.@docomo.ne.jp>", "a..b.@docomo.ne.jp"},
		{".a@docomo.ne.jp", ".a@docomo.ne.jp"},
		{"\"a..b.\"@docomo.ne.jp", "a..b.@docomo.ne.jp"},
		{"\"alice\"@example.org", "alice@example.org"},
		{"\"al\\ice\"@example.org", "alice@example.org"},
		{"\"a b\"@example.org", "\"a b\"@example.org"},
		{"\"a\\\"b\\\\\"@example.org", "\"a\\\"b\\\\\"@example.org"},
		{"\"a@b\"@example.org", "\"a@b\"@example.org"},
		{"a@b@example.org", "\"a@b\"@example.org"},
		{"\"\"@example.org", "\"\"@example.org"},
		{"<@relay.example,@r2.example:alice@example.org>", "alice@example.org"},
		{"postmaster", "postmaster"},
		{"user+ext@example.org", "user+ext@example.org"},
		{"alice@[192.0.2.1]", "alice@[192.0.2.1]"},
		{"alice@[IPv6:2001:DB8::1]", "alice@[ipv6:2001:db8::1]"},
		{"alice@\xe4\xbe\x8b\xe3\x81\x88.jp", "alice@xn--r8jz45g.jp"},
		{"alice@B\xc3\x9c"
		 "CHER.example",
			"alice@xn--bcher-kva.example"},
		{"\xe5\xa4\xaa\xe9\x83\x8e@example.jp", "\xe5\xa4\xaa\xe9\x83\x8e@example.jp"},
		{"a_b@under_score.example", "a_b@under_score.example"},
		{"<alice@example.org", NULL},
		{"alice@", NULL},
		{"@example.org", NULL},
		{"<@relay.example:>", NULL},
		{"alice@ex ample.org", NULL},
		{"alice@example..org", NULL},
		{"alice@.example.org", NULL},
		{"alice@example.org>x", NULL},
		{"alice@[192.0.2.1", NULL},
		{"alice@[]", NULL},
		{"alice@[a\"b]", NULL},
		{"\"alice@example.org", NULL},
		{"al\nice@example.org", NULL},
		{"al\x7fice@example.org", NULL},
		{"al\xffice@example.org", NULL},
		{"alice@ex\xff.org", NULL},
		{"alice@\xe2\x80\x8b.example", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text);
		char *text = exact(cases[i].text, len), *out = malloc(ADDR_MAX + 1);
		struct err err = ERR_INIT;
		enum rc rc = addr_canonical(text, len, out, &err);

		CHECK_INT(cases[i].text, rc, cases[i].want ? RC_OK : RC_PERM);
		if (cases[i].want)
			CHECK_STR(cases[i].text, out, cases[i].want);
		else
			CHECK_INT(cases[i].text, err.code, ERR_ADDR_SYNTAX);
		free(text);
		free(out);
	}
}

/* Canonical is a fixed point, at the limits too. */
static void
test_lengths(void **state)
{
	(void)state;
	for (size_t local = 1; local < ADDR_MAX; local += 7)
		for (int quoted = 0; quoted < 2; quoted++) {
			char text[2 * ADDR_MAX], *out = malloc(ADDR_MAX + 1),
						 *again = malloc(ADDR_MAX + 1);
			struct err err = ERR_INIT;
			size_t n = 0;

			text[n++] = '"';
			for (size_t i = 0; i < local; i++)
				text[n++] = quoted ? ' ' : 'x';
			memcpy(text + n, "\"@", 2);
			n += 2;
			memset(text + n, 'd', 255);
			n += 255;
			if (addr_canonical(text, n, out, &err) == RC_OK) {
				assert_true(strlen(out) <= ADDR_MAX);
				CHECK_INT("again", addr_canonical(out, strlen(out), again, &err),
					RC_OK);
				CHECK_STR("fixed point", again, out);
			} else {
				assert_true(local > 300);
			}
			free(out);
			free(again);
		}
}

/* Joins a list with '|'. */
static const char *
joined(const struct addrlist *list, struct buf *out)
{
	struct err err = ERR_INIT;

	buf_clear(out);
	for (size_t i = 0; i < list->n; i++)
		CHECK_INT("join", buf_appendf(out, &err, "%s%s", i ? "|" : "", list->v[i]), RC_OK);
	return buf_text(out);
}

static void
test_list(void **state)
{
	static const struct {
		const char *value, *want; /* NULL: refused */
	} cases[] = {
		{"", ""},
		{" alice@example.org", "alice@example.org"},
		{" Alice <alice@example.org>", "alice@example.org"},
		{" <alice@example.org>, bob@Example.com", "alice@example.org|bob@example.com"},
		{" \"bob@example.com\" <alice@example.org>", "alice@example.org"},
		{" \"Doe, John\" <john@example.org>", "john@example.org"},
		{" Doe, John <john@example.org>", "john@example.org"},
		{" John Q. Public <john@example.org>", "john@example.org"},
		{" alice@example.org (Alice (in \\) Wonderland), bob@x)", "alice@example.org"},
		{" (only a comment)", ""},
		{" alice . b @ example . org", "alice.b@example.org"},
		{" alice@example.org\n bob@example.org", "alice@example.org|bob@example.org"},
		{" <alice @\n example.org>", "alice@example.org"},
		{" <@r.example:alice@example.org>", "alice@example.org"},
		{" undisclosed-recipients:;", ""},
		{" Friends: alice@a.example, Bob <bob@b.example>;, carol@c.example",
			"alice@a.example|bob@b.example|carol@c.example"},
		{" alice@a.example; bob@b.example", "alice@a.example|bob@b.example"},
		{" <>", ""},
		{" MAILER-DAEMON", "MAILER-DAEMON"},
		{" root (Cron Daemon)", "root"},
		{" Mail Delivery System", ""},
		{" \"Somebody\"", ""},
		{" ,, alice@a.example ,", "alice@a.example"},
		{" <<alice@a.example>>", "alice@a.example"},
		{" a@a.example <alice@b.example>", "alice@b.example"},
		{" <alice@a.example> <bob@b.example>", "alice@a.example|bob@b.example"},
		{" alice@a.example bob@b.example", "alice@a.example|bob@b.example"},
		{" \"a b\"@example.org", "\"a b\"@example.org"},
		{" \"x\" \"y\"@example.org", "y@example.org"},
		{" a..b.@docomo.ne.jp", "a..b.@docomo.ne.jp"},
		{" <a..b.@docomo.ne.jp>", "a..b.@docomo.ne.jp"},
		{" user@[IPv6:::1], b@c.example", "user@[ipv6:::1]|b@c.example"},
		{" =?UTF-8?B?44GC?= <alice@example.org>", "alice@example.org"},
		{" \xe3\x81\x82 <alice@example.org>", "alice@example.org"},
		/* raw ISO-2022-JP with " < @ , > ( ) : ; as bytes */
		{" \x1b$B\"<@,>()$:;\x1b(B <alice@example.org>", "alice@example.org"},
		{" \x1b$B<\"@@\x1b(J<alice@example.org>", "alice@example.org"},
		{" \"\x1b$B\"\"\\\"\x1b(B\" <alice@example.org>, b@c.example",
			"alice@example.org|b@c.example"},
		{" a@b.example (\x1b$B)(\x1b(B)", "a@b.example"},
		{" \x1b(I<@,\x1b(B <alice@example.org>", "alice@example.org"},
		{" \x1b$(D\"<\x1b(B <alice@example.org>", "alice@example.org"},
		{" \x1b$B<<<\n <alice@example.org>", "alice@example.org"},
		{" \x1b$B<<\x1b(B@example.org", NULL},
		{" \x1b$B<<\x1b(B", ""},
		{" \x1b<alice@example.org>", "alice@example.org"},
		{" \"not closed <alice@example.org>", NULL},
		{" (not closed <alice@example.org>", NULL},
		{" <alice@example.org", NULL},
		{" <alice b@example.org>", NULL},
		{" alice@", NULL},
		{" <alice@a.example> bob@b.example", NULL},
		{" [\"]x@y", NULL},
		{" \\", ""},
		{" \"\\", NULL},
		{" (\\", NULL},
	};
	struct buf text = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].value);
		char *value = exact(cases[i].value, len);
		struct err err = ERR_INIT;
		struct addrlist list;
		enum rc rc = addrlist_parse(value, len, &list, &err);

		CHECK_INT(cases[i].value, rc, cases[i].want ? RC_OK : RC_PERM);
		if (cases[i].want)
			CHECK_STR(cases[i].value, joined(&list, &text), cases[i].want);
		else
			CHECK_INT(cases[i].value, err.code, ERR_ADDR_SYNTAX);
		addrlist_fini(&list);
		free(value);
	}
	buf_fini(&text);
}

/* A limit on the count; time grows with the length only. */
static void
test_list_limit(void **state)
{
	size_t count = ADDR_MAX_LIST + 1;
	char *text = malloc(8 * count + 1);
	struct err err = ERR_INIT;
	struct addrlist list;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + 8 * i, "a@b.cd, ", 8);
	CHECK_INT("one too many", addrlist_parse(text, 8 * count, &list, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	CHECK_INT("just enough", addrlist_parse(text, 8 * count - 8, &list, &err), RC_OK);
	CHECK_INT("count", list.n, ADDR_MAX_LIST);
	assert_true(addrlist_has(&list, "A@B.CD"));
	assert_false(addrlist_has(&list, "b@b.cd"));
	addrlist_fini(&list);
	memset(text, '(', 8 * count);
	CHECK_INT("parentheses", addrlist_parse(text, 8 * count, &list, &err), RC_PERM);
	memset(text, '<', 8 * count);
	CHECK_INT("brackets", addrlist_parse(text, 8 * count, &list, &err), RC_PERM);
	free(text);
}

static void
test_match(void **state)
{
	static const struct {
		const char *pattern, *addr;
		bool want;
	} cases[] = {
		{"*", "a@b.cd", true},
		{"*", "", true},
		{"<>", "", true},
		{"<>", "a@b.cd", false},
		{"a@b.cd", "A@b.cd", true},
		{"a@B.CD", "a@b.cd", true},
		{"a@b.cd", "aa@b.cd", false},
		{"a@b.cd", "", false},
		{"@b.cd", "x@b.cd", true},
		{"@b.cd", "x@a.b.cd", false},
		{"@b.cd", "root", false},
		{".b.cd", "x@a.b.cd", true},
		{".b.cd", "x@c.a.b.cd", true},
		{".b.cd", "x@b.cd", false},
		{".b.cd", "x@ab.cd", false},
		{"root", "root", true},
		{"root", "root@b.cd", false},
		{"@\xe4\xbe\x8b\xe3\x81\x88.jp", "x@xn--r8jz45g.jp", true},
		{".\xe4\xbe\x8b\xe3\x81\x88.jp", "x@m.xn--r8jz45g.jp", true},
		{"a@\xe4\xbe\x8b\xe3\x81\x88.jp", "a@xn--r8jz45g.jp", true},
		{"@b.cd", "\"x@b.cd\"", false},
	};
	static const char *const domains[] = {"example.org", ".example.com"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_INT(cases[i].pattern, addr_match(cases[i].pattern, cases[i].addr),
			cases[i].want);
	assert_true(addr_domain_in("example.org", domains, 2));
	assert_true(addr_domain_in("a.example.com", domains, 2));
	assert_false(addr_domain_in("example.com", domains, 2));
	assert_false(addr_domain_in("a.example.org", domains, 2));
	assert_true(addr_equal("A@b.cd", "a@b.cd"));
	assert_false(addr_equal("A@b.cd", "a@b.ce"));
}

static void
test_parts(void **state)
{
	static const struct {
		const char *addr, *want;
		char delimiter;
	} cases[] = {
		{"user+ext@d.example", "user@d.example", '+'},
		{"user+a+b@d.example", "user@d.example", '+'},
		{"+ext@d.example", "+ext@d.example", '+'},
		{"user+ext@d.example", "user+ext@d.example", '\0'},
		{"user-ext@a+b.example", "user@a+b.example", '-'},
		{"user@a+b.example", "user@a+b.example", '+'},
		{"user+ext", "user", '+'},
		{"\"user +x\"@d.example", "\"user +x\"@d.example", '+'},
		{"", "", '+'},
	};
	char out[ADDR_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		addr_strip_extension(cases[i].addr, cases[i].delimiter, out);
		CHECK_STR(cases[i].addr, out, cases[i].want);
	}
	CHECK_STR("domain", addr_domain("\"a@b\"@c.example"), "c.example");
	assert_null(addr_domain("\"a@b\""));
	assert_null(addr_domain("root"));
	assert_null(addr_domain(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_limit),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
