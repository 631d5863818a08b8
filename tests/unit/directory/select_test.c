/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of a person's certificates are used: by what they may be used for, by tier, of several. */
#include "config.h"

#include "directory/select.h"

#include <stdio.h>

#include "tests/unit/directory/people.h"

#define CAROL "carol@example.org"
#define MAX   4

struct world {
	struct people people;
	struct trust *trust;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};

	clock_set(TEST_NOW);
	people_init(&w->people);
	assert_int_equal(trust_new(&options, &w->trust, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(w->trust, w->people.ca, NULL, 0, NULL), RC_OK);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	trust_unref(&w->trust);
	people_fini(&w->people);
	free(w);
	return 0;
}

struct one {
	int from, to; /* days from now; both 0: there is none */
	unsigned use;
	enum tier tier;
};

#define BOTH (CERT_SIGN | CERT_ENCRYPT)

/* USED: the numbers of those that are used; WHY: of the first that is not. */
static const struct select_case {
	const char *name;
	enum several several;
	struct one certs[MAX];
	enum rc rc;
	const char *used, *why;
} cases[] = {
	{"one to sign, one to encrypt", SEVERAL_ALL,
		{{-1, 9, CERT_SIGN, TIER_DIRECTORY}, {-1, 9, CERT_ENCRYPT, TIER_DIRECTORY}}, RC_OK,
		"1", "keyAgreement"},
	{"only one to sign", SEVERAL_ALL, {{-1, 9, CERT_SIGN, TIER_DIRECTORY}}, RC_NONE, "",
		"keyAgreement"},
	{"all of the best tier", SEVERAL_ALL,
		{{-1, 9, BOTH, TIER_DIRECTORY}, {-2, 8, BOTH, TIER_DIRECTORY},
			{-1, 9, BOTH, TIER_HARVESTED}},
		RC_OK, "01", "worse tier: one of an administrator or a directory decides"},
	{"an unusable one does not decide", SEVERAL_ALL,
		{{-9, -1, BOTH, TIER_DIRECTORY}, {-1, 9, BOTH, TIER_HARVESTED}}, RC_OK, "1",
		"expired"},
	{"but a pinned one does", SEVERAL_ALL,
		{{-9, -1, BOTH, TIER_PINNED}, {-1, 9, BOTH, TIER_DIRECTORY}}, RC_TEMP, "",
		"expired"},
	{"another pinned one is used", SEVERAL_ALL,
		{{-9, -1, BOTH, TIER_PINNED}, {-1, 9, BOTH, TIER_PINNED}}, RC_OK, "1", "expired"},
	{"not yet valid", SEVERAL_NEWEST,
		{{1, 9, BOTH, TIER_DIRECTORY}, {-5, 9, BOTH, TIER_DIRECTORY}}, RC_OK, "1",
		"not valid before"},
	{"the newest", SEVERAL_NEWEST,
		{{-9, 90, BOTH, TIER_DIRECTORY}, {-2, 5, BOTH, TIER_DIRECTORY},
			{-3, 99, BOTH, TIER_DIRECTORY}},
		RC_OK, "1", "is newer"},
	{"the newest, of those the longest", SEVERAL_NEWEST,
		{{-2, 5, BOTH, TIER_DIRECTORY}, {-2, 6, BOTH, TIER_DIRECTORY}}, RC_OK, "1",
		"is newer"},
	{"the longest", SEVERAL_LONGEST,
		{{-9, 90, BOTH, TIER_DIRECTORY}, {-2, 5, BOTH, TIER_DIRECTORY},
			{-3, 99, BOTH, TIER_DIRECTORY}},
		RC_OK, "2", "for longer"},
	{"the longest, of those the newest", SEVERAL_LONGEST,
		{{-9, 90, BOTH, TIER_DIRECTORY}, {-2, 90, BOTH, TIER_DIRECTORY}}, RC_OK, "1",
		"for longer"},
	{"the longest that can be encrypted to", SEVERAL_LONGEST,
		{{-9, 90, CERT_SIGN, TIER_DIRECTORY}, {-2, 5, BOTH, TIER_DIRECTORY}}, RC_OK, "1",
		"keyAgreement"},
	{"of the best tier only", SEVERAL_NEWEST,
		{{-9, 9, BOTH, TIER_DIRECTORY}, {-1, 99, BOTH, TIER_HARVESTED}}, RC_OK, "0",
		"worse tier"},
	{"a domain's before a person's", SEVERAL_ALL,
		{{-1, 9, BOTH, TIER_DIRECTORY}, {-1, 9, BOTH, TIER_DOMAIN_FIRST}}, RC_OK, "1",
		"worse tier"},
	{"a pin before a domain's", SEVERAL_ALL,
		{{-1, 9, BOTH, TIER_PINNED}, {-1, 9, BOTH, TIER_DOMAIN_FIRST}}, RC_OK, "0",
		"worse tier"},
	{"a person's before a domain's", SEVERAL_ALL,
		{{-1, 9, BOTH, TIER_HARVESTED}, {-1, 9, BOTH, TIER_DOMAIN}}, RC_OK, "0",
		"worse tier"},
	{"a domain's where nobody else's is good", SEVERAL_ALL,
		{{-9, -1, BOTH, TIER_DIRECTORY}, {-1, 9, BOTH, TIER_DOMAIN}}, RC_OK, "1",
		"expired"},
};

static struct cert *
make(struct world *w, const struct one *one)
{
	struct err err = ERR_INIT;
	struct cert *cert = NULL;
	struct issue_request request = {.common_name = "Carol",
		.addr = CAROL,
		.not_before = TEST_NOW + (int64_t)one->from * DAY,
		.not_after = TEST_NOW + (int64_t)one->to * DAY,
		.use = one->use};

	if (issue_leaf(w->people.ca_key, w->people.ca, w->people.spki.data, w->people.spki.len,
		    &request, &cert, &err) != RC_OK)
		fail_msg("%s", err.detail);
	return cert;
}

static void
check(struct world *w, const struct select_case *c)
{
	struct err err = ERR_INIT;
	struct selection selection;
	struct lookup_result result;
	struct cert *certs[MAX] = {0};
	char used[MAX + 1] = "";
	const char *why = "";

	selection_init(&selection, w->trust, CAROL);
	selection.several = c->several;
	for (size_t i = 0; i < MAX && c->certs[i].use; i++) {
		struct answer answer = {0};

		certs[i] = make(w, &c->certs[i]);
		assert_int_equal(
			answer_add(&answer, certs[i], "test", c->certs[i].tier, false, &err),
			RC_OK);
		assert_int_equal(selection_add(&selection, &answer, &err), RC_OK);
		answer_fini(&answer);
	}
	selection_finish(&selection, &result);
	for (size_t i = 0; i < result.n; i++) {
		if (result.v[i].used)
			snprintf(used + strlen(used), 2, "%zu", i);
		else if (!*why)
			why = result.v[i].why;
	}
	CHECK_INT(c->name, result.rc, c->rc);
	CHECK_STR(c->name, used, c->used);
	if (!strstr(why, c->why))
		fail_msg("%s: got \"%s\", want \"%s\"", c->name, why, c->why);
	candidates_free(&result.v, result.n);
	selection_fini(&selection);
	for (size_t i = 0; i < MAX; i++)
		cert_unref(&certs[i]);
}

static void
test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(*state, &cases[i]);
}

/* A directory that names CERT; DOWN: it did before it could not be asked. */
struct naming {
	struct cert *cert;
	bool down;
};

static enum rc
name_it(void *ctx, const char *addr, struct answer *answer, struct err *err)
{
	const struct naming *n = ctx;
	enum rc rc = answer_add(answer, n->cert, "x", TIER_DIRECTORY, false, err);

	(void)addr;
	if (rc != RC_OK || !n->down)
		return rc;
	answer->v[0].stale = 60;
	answer->partial = true;
	err_set(&answer->partial_err, ERR_DIR_UNAVAILABLE, "down");
	return RC_OK;
}

/* What is used is stale unless somebody of its tier says the same now; what of it can't be used
 * any more leaves nothing known. */
static void
test_stale(void **state)
{
	static const struct {
		const char *name;
		bool first, second; /* down? */
		int to;
		bool stale;
		enum rc rc;
	} t[] = {{"both asked", false, false, 9, false, RC_OK},
		{"one by the other", true, false, 9, false, RC_OK},
		{"the other by one", false, true, 9, false, RC_OK},
		{"neither", true, true, 9, true, RC_OK},
		{"expired", true, true, -1, false, RC_TEMP},
		{"expired, and asked", false, false, -1, false, RC_NONE}};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct one one = {.from = -5, .to = t[i].to, .use = BOTH, .tier = TIER_DIRECTORY};
		struct cert *cert = make(w, &one);
		struct naming named[] = {{cert, t[i].first}, {cert, t[i].second}};
		struct source first = {.tier = TIER_DIRECTORY, .find = name_it, .ctx = &named[0]},
			      second = {.tier = TIER_DIRECTORY, .find = name_it, .ctx = &named[1]};
		struct source *sources[] = {&first, &second};
		struct selection selection;
		struct lookup_result result;

		selection_init(&selection, w->trust, CAROL);
		selection_ask(&selection, sources, 2);
		selection_finish(&selection, &result);
		CHECK_INT(t[i].name, result.rc, t[i].rc);
		CHECK_INT(t[i].name, result.stale, t[i].stale);
		candidates_free(&result.v, result.n);
		selection_fini(&selection);
		cert_unref(&cert);
	}
}

/* Who brings so many issuers of one name that the search for a path is given up has not shown that
 * there is none. */
static void
test_crowd(void **state)
{
	struct world *w = *state;
	struct answer answer = {0};
	struct selection selection;
	struct lookup_result result;
	struct cert *leaf = NULL;
	struct issue_request who = {.common_name = "Carol",
		.addr = CAROL,
		.not_before = TEST_NOW - DAY,
		.not_after = TEST_NOW + DAY,
		.use = BOTH};

	for (int i = 0; i < 120; i++) {
		struct issue_request request = {.common_name = "Sub",
			.not_before = TEST_NOW - DAY - i,
			.not_after = TEST_NOW + DAY};
		struct cert *ca = NULL;

		assert_int_equal(issue_root(w->people.key, &request, &ca, NULL), RC_OK);
		assert_int_equal(certset_add(&answer.extra, ca, NULL), RC_OK);
		cert_unref(&ca);
	}
	assert_int_equal(issue_leaf(w->people.key, answer.extra.v[0], w->people.spki.data,
				 w->people.spki.len, &who, &leaf, NULL),
		RC_OK);
	selection_init(&selection, w->trust, CAROL);
	assert_int_equal(answer_add(&answer, leaf, "x", TIER_DIRECTORY, false, NULL), RC_OK);
	assert_int_equal(selection_add(&selection, &answer, NULL), RC_OK);
	selection_finish(&selection, &result);
	CHECK_INT("crowd", result.rc, RC_TEMP);
	assert_non_null(strstr(result.err.detail, "too many issuers"));
	candidates_free(&result.v, result.n);
	selection_fini(&selection);
	answer_fini(&answer);
	cert_unref(&leaf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
