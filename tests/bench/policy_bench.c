/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_bench.c - processor time to decide and plan for a thousand recipients, by number of rules
 *
 * Of N rules 50 (a tenth, when there are fewer) look at a pattern that no index can help with: a
 * header, a mark in the subject, subdomains of a sender. The others name a recipient's address or
 * domain, half each. A third of the recipients has an address that a rule names, a third a domain,
 * the rest neither.
 */
#include "message/addr.h"
#include "message/hdrs.h"
#include "policy/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RCPTS   1000
#define GOAL_MS 20.0

struct bench {
	struct policy *policy;
	struct msg_facts facts;
	char addrs[RCPTS][48];
	struct rcpt_facts rcpts[RCPTS];
	struct decision decisions[RCPTS];
	struct plan_rcpt plans[RCPTS];
};

static double
cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void
die(const struct err *err)
{
	fprintf(stderr, "policy_bench: %s\n", err->detail);
	exit(1);
}

/* The Ith rule of N. */
static void
format_rule(struct buf *out, int i, int n, struct err *err)
{
	int patterns = n < 500 ? n / 10 : 50, every = n / patterns;
	static const char *const verdicts[] = {"sign = \"if-possible\"; encrypt = \"if-known\"",
		"sign = \"required\"; encrypt = \"required\"; if_missing = \"clear\"",
		"sign = \"if-possible\"", "encrypt = \"if-proven\""};
	char what[80];

	if (i % every == 0 && i / every < patterns)
		snprintf(what, sizeof(what),
			(i / every) % 3 == 0   ? "header = \"X-Project: ^p%d-.*[0-9]+$\""
			: (i / every) % 3 == 1 ? "subject_mark = \"[project %d]\""
					       : "senders = \".unit%d.example.org\"",
			i);
	else
		snprintf(what, sizeof(what),
			i % 2 ? "recipients = \"person%d@partner.test\""
			      : "recipients = \"@firm%d.test\"",
			i);
	if (buf_appendf(out, err, "%s{ name = \"rule%d\"; %s; %s; }\n", i ? ", " : "", i, what,
		    verdicts[i % 4]) != RC_OK)
		die(err);
}

static void
compile(struct bench *bench, int n, struct err *err)
{
	struct buf text = BUF_INIT(8u << 20);
	struct conf *conf;

	if (buf_append_str(&text,
		    "organisation = { domains = \"example.org\"; };\n"
		    "services = ( { name = \"all\"; socket = \"unix:a\"; } );\nrules = (\n",
		    err) != RC_OK)
		die(err);
	for (int i = 0; i < n; i++)
		format_rule(&text, i, n, err);
	if (buf_append_str(&text, ");\n", err) != RC_OK ||
		conf_parse(text.data, "bench.conf", "/", &conf, err) != RC_OK ||
		policy_compile(conf, &bench->policy, err) != RC_OK)
		die(err);
	conf_unref(&conf);
	buf_fini(&text);
}

static void
name_recipients(struct bench *bench, int n)
{
	for (int i = 0; i < RCPTS; i++) {
		int which = (int)((unsigned)i * 2654435761u % (unsigned)n);

		snprintf(bench->addrs[i], sizeof(bench->addrs[i]),
			i % 3 == 0   ? "person%d@partner.test"
			: i % 3 == 1 ? "someone@firm%d.test"
				     : "nobody%d@elsewhere.test",
			i % 3 == 0 ? which | 1 : which & ~1);
		bench->rcpts[i] = (struct rcpt_facts){.addr = bench->addrs[i],
			.direction = DIR_OUTBOUND,
			.cert_known = i % 2 ? TRI_YES : TRI_NO,
			.cert_proven = i % 4 == 1 ? TRI_YES : TRI_NO};
	}
}

/* One message, as the pipeline does it. */
static size_t
decide(struct bench *bench, struct err *err)
{
	struct policy_view *view;
	struct plan *plan;
	size_t groups;

	if (policy_view_new(bench->policy, &bench->facts, &view, err) != RC_OK)
		die(err);
	for (int i = 0; i < RCPTS; i++) {
		const struct rcpt_facts *rcpt = &bench->rcpts[i];

		if (policy_decide(view, rcpt, &bench->decisions[i], err) != RC_OK)
			die(err);
		bench->plans[i] = (struct plan_rcpt){.addr = rcpt->addr,
			.decision = &bench->decisions[i],
			.cert_known = rcpt->cert_known,
			.cert_proven = rcpt->cert_proven,
			.held = TRI_NO,
			.hidden = i % 5 == 0,
			.signer = TRI_YES,
			.extra = TRI_YES};
	}
	if (plan_build(bench->plans, RCPTS, true, &plan, err) != RC_OK)
		die(err);
	groups = plan->n_groups;
	plan_free(&plan);
	policy_view_free(&view);
	return groups;
}

static void
run(int n, double *last)
{
	static const char *const fields[][2] = {{"From", " Alice <alice@example.org>"},
		{"X-Project", " p-none of them 7"},
		{"Subject", " =?UTF-8?Q?Minutes_of_the_meeting?="}};
	static struct bench bench;
	struct err err = ERR_INIT;
	struct hdrs hdrs;
	char *from[] = {(char *)(uintptr_t) "alice@example.org"};
	struct addrlist list = {.v = from, .n = 1};
	double begun, ms = 0;
	int rounds = 0;
	size_t groups = 0;

	hdrs_init(&hdrs);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (hdrs_add(&hdrs, fields[i][0], strlen(fields[i][0]), fields[i][1],
			    strlen(fields[i][1]), &err) != RC_OK)
			die(&err);
	bench.facts = (struct msg_facts){.service = "all",
		.sender = "alice@example.org",
		.from = &list,
		.hdrs = &hdrs,
		.identity = "alice",
		.authorised = TRI_YES,
		.size = 5000,
		.classes = CLASS_PLAIN};
	begun = cpu_ms();
	compile(&bench, n, &err);
	printf("policy %5d rules  compiled in %6.1f ms", n, cpu_ms() - begun);
	name_recipients(&bench, n);
	for (begun = cpu_ms(); ms < 300; rounds++, ms = cpu_ms() - begun)
		groups = decide(&bench, &err);
	ms /= rounds;
	printf("  %d recipients decided and planned in %6.3f ms (%zu groups)", RCPTS, ms, groups);
	if (*last > 0)
		printf("  %.2f times as long", ms / *last);
	if (n == 10000)
		printf("  goal %.0f: %s", GOAL_MS, ms <= GOAL_MS ? "kept" : "MISSED");
	printf("\n");
	*last = ms;
	policy_free(&bench.policy);
	hdrs_fini(&hdrs);
}

int
main(void)
{
	double last = 0;

	for (int n = 10; n <= 10000; n *= 10)
		run(n, &last);
	return 0;
}
