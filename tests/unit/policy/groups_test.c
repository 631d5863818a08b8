/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups as criteria of rules: what is known, what is not, and what has to be asked. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#define Y TRI_YES
#define N TRI_NO
#define U TRI_UNKNOWN

/* The rule names the groups a and b for the sender, c and d for the recipient, in that order. */
static const struct {
	const char *criteria;
	const enum tri *sender, *rcpt; /* NULL: not asked for */
	enum tri cert, want;
	bool wants_sender, wants_rcpt, wants_certs;
} cases[] = {
#define KNOWN(a, b, c, d)  \
	(const enum tri[]) \
	{                  \
		a, b, c, d \
	}
	{"", KNOWN(Y, N, N, N), KNOWN(N, N, N, Y), N, Y, false, false, false},
	{"", KNOWN(N, Y, N, N), KNOWN(N, N, Y, N), N, Y, false, false, false},
	{"", KNOWN(N, N, Y, Y), KNOWN(N, N, Y, N), N, N, false, false, false},
	{"", KNOWN(Y, Y, N, N), KNOWN(Y, Y, N, N), N, N, false, false, false},
	{"", NULL, NULL, N, U, true, true, false},
	{"", KNOWN(Y, N, N, N), NULL, N, U, true, true, false},
	{"", KNOWN(N, N, N, N), NULL, N, N, false, false, false},
	{"", NULL, KNOWN(N, N, N, N), N, N, false, false, false},
	{"", KNOWN(U, Y, N, N), KNOWN(N, N, Y, N), N, Y, false, false, false},
	{"", KNOWN(U, N, N, N), KNOWN(N, N, Y, N), N, U, true, true, false},
	{"", KNOWN(U, U, U, U), KNOWN(N, N, N, N), N, N, false, false, false},
	{"", KNOWN(U, U, U, U), KNOWN(U, U, U, U), N, U, true, true, false},
	/* What else does not hold saves the question; what else is not known is asked too. */
	{"senders = \"x@y.test\";", NULL, NULL, N, N, false, false, false},
	{"recipients = \"x@y.test\";", NULL, NULL, N, N, false, false, false},
	{"certificate = \"known\";", NULL, NULL, N, N, false, false, false},
	{"certificate = \"known\";", NULL, NULL, U, U, true, true, true},
	{"certificate = \"known\";", KNOWN(U, U, U, U), KNOWN(U, U, U, U), U, U, true, true, true},
	{"certificate = \"known\";", KNOWN(Y, Y, Y, Y), KNOWN(Y, Y, Y, Y), U, U, false, false,
		true},
};

static void
test_criteria(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conf *conf = NULL;
		struct policy *policy = NULL;
		struct policy_view *view = NULL;
		struct hdrs hdrs;
		struct msg_facts facts = {.service = "all",
			.sender = "alice@example.org",
			.hdrs = &hdrs,
			.groups = cases[i].sender};
		struct rcpt_facts rcpt = {.addr = "carol@partner.test",
			.direction = DIR_OUTBOUND,
			.cert_known = cases[i].cert,
			.groups = cases[i].rcpt};
		const char *const *names;
		struct decision d;
		struct err err = ERR_INIT;
		char text[600];

		snprintf(text, sizeof(text),
			"organisation = { domains = \"example.org\"; };\n"
			"groups = { directory = \"d\"; };\n"
			"rules = ( { name = \"r\"; sender_group = [\"a\", \"b\"];\n"
			"  recipient_group = [\"c\", \"d\", \"c\"]; %s } );\n",
			cases[i].criteria);
		hdrs_init(&hdrs);
		if (conf_parse(text, "test", "/", &conf, &err) != RC_OK ||
			policy_compile(conf, &policy, &err) != RC_OK ||
			policy_view_new(policy, &facts, &view, &err) != RC_OK ||
			policy_decide(view, &rcpt, &d, &err) != RC_OK)
			fail_msg("case %zu: %s", i, err.detail);
		assert_int_equal(policy_groups(policy, &names), 4);
		assert_string_equal(names[3], "d");
		if (strcmp(rule_name(d.rule), "r") != 0)
			d.known = TRI_NO;
		if (d.known != cases[i].want || d.wants_sender_groups != cases[i].wants_sender ||
			d.wants_groups != cases[i].wants_rcpt ||
			d.wants_certs != cases[i].wants_certs)
			fail_msg("case %zu: got %d %d %d %d, want %d %d %d %d", i, d.known,
				d.wants_sender_groups, d.wants_groups, d.wants_certs, cases[i].want,
				cases[i].wants_sender, cases[i].wants_rcpt, cases[i].wants_certs);
		policy_view_free(&view);
		policy_free(&policy);
		hdrs_fini(&hdrs);
		conf_unref(&conf);
	}
}

/* Without a directory nobody could say who is in it. */
static void
test_refused(void **state)
{
	static const char *const bad[] = {
		"rules = ( { name = \"r\"; sender_group = \"a\"; } );",
		"groups = { directory = \"d\"; }; rules = ( { name = \"r\"; recipient_group = \"\"; } );",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct conf *conf = NULL;
		struct policy *policy = NULL;
		struct err err = ERR_INIT;
		char text[300];

		snprintf(text, sizeof(text), "organisation = { domains = \"example.org\"; };\n%s",
			bad[i]);
		assert_int_equal(conf_parse(text, "test", "/", &conf, &err), RC_OK);
		assert_int_equal(policy_compile(conf, &policy, &err), RC_PERM);
		assert_null(policy);
		assert_non_null(strstr(err.detail, "_group"));
		conf_unref(&conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_criteria),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
