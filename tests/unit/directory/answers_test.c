/* SPDX-License-Identifier: BSD-2-Clause */
/* What a directory said last, and how candidates of one answer are put together. */
#include "tests/unit/directory/people.h"

#include <stdio.h>

#include "directory/answers.h"

static struct people people;

static int
set_up(void **state)
{
	(void)state;
	clock_set(TEST_NOW);
	people_init(&people);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	people_fini(&people);
	clock_set(0);
	return 0;
}

static struct answer
answer_of(const char *addr, struct cert **keep)
{
	struct answer answer = {0};
	struct cert *cert = people_cert(&people, addr, 30, CERT_ENCRYPT);

	assert_int_equal(answer_add(&answer, cert, "ldap:x", TIER_DIRECTORY, false, NULL), RC_OK);
	assert_int_equal(certset_add(&answer.extra, cert, NULL), RC_OK);
	if (keep)
		*keep = cert;
	else
		cert_unref(&cert);
	return answer;
}

static void
test_kept(void **state)
{
	struct answers *answers = answers_new(1 << 20, 1000 * 3600);
	struct answer given = answer_of("a@x.test", NULL), found = {0}, nothing = {0};

	(void)state;
	assert_int_equal(answers_find(answers, "a@x.test", &found, NULL), RC_NONE);
	answers_keep(answers, "a@x.test", &given);
	answers_keep(answers, "a@x.test", &given); /* instead of the first */
	assert_int_equal(answers_find(answers, "b@x.test", &found, NULL), RC_NONE);
	assert_int_equal(answers_find(answers, "a@x.test", &found, NULL), RC_OK);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.extra.n, 1);
	assert_true(found.v[0].stale >= 1);
	assert_true(found.partial); /* unless it is used, the directory has to be asked */
	assert_int_equal(found.partial_err.code, ERR_DIR_UNAVAILABLE);
	assert_ptr_equal(found.v[0].cert, given.v[0].cert);
	answer_fini(&found);
	/* The directory has nothing any more. */
	answers_keep(answers, "a@x.test", &nothing);
	assert_int_equal(answers_find(answers, "a@x.test", &found, NULL), RC_NONE);
	assert_int_equal(answers_bytes(answers), 0);
	answer_fini(&given);
	answers_free(&answers);
}

static void
test_too_old(void **state)
{
	struct answers *answers = answers_new(1 << 20, 0);
	struct answer given = answer_of("a@x.test", NULL), found = {0};

	(void)state;
	answers_keep(answers, "a@x.test", &given);
	assert_true(answers_bytes(answers) > 0);
	assert_int_equal(answers_find(answers, "a@x.test", &found, NULL), RC_NONE);
	assert_int_equal(answers_bytes(answers), 0);
	answer_fini(&given);
	answers_free(&answers);
}

/* However many are kept: never more bytes than allowed, and the ones used last are there. */
static void
test_bounded(void **state)
{
	struct answers *answers = answers_new(100000, 1000 * 3600);
	struct answer given = answer_of("a@x.test", NULL), found = {0};
	size_t here = 0;
	char addr[40];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(addr, sizeof(addr), "u%d@x.test", i);
		answers_keep(answers, addr, &given);
		assert_true(answers_bytes(answers) <= 100000);
		assert_int_equal(answers_find(answers, "u0@x.test", &found, NULL), RC_OK);
		answer_fini(&found);
	}
	for (int i = 0; i < 500; i++) {
		snprintf(addr, sizeof(addr), "u%d@x.test", i);
		if (answers_find(answers, addr, &found, NULL) == RC_OK)
			here++;
		answer_fini(&found);
	}
	assert_true(here >= 2 && here < 100);
	answer_fini(&given);
	answers_free(&answers);
	/* One that is larger than all that is allowed is not kept. */
	answers = answers_new(10, 1000 * 3600);
	given = answer_of("a@x.test", NULL);
	answers_keep(answers, "a@x.test", &given);
	assert_int_equal(answers_bytes(answers), 0);
	answer_fini(&given);
	answers_free(&answers);
}

/* The same certificate twice in an answer, in entries and attributes; who goes on when the better
 * attribute is preferred. */
static const struct {
	const char *name;
	struct {
		unsigned cert, entry, rank;
		const char *why;
	} v[4];
	size_t n, left;
	const char *used; /* digits of certificates */
} cases[] = {
	{"one", {{0, 0, 1, ""}}, 1, 1, "0"},
	{"two attributes of an entry", {{0, 0, 0, ""}, {1, 0, 1, ""}}, 2, 2, "0"},
	{"the better one can't be used", {{0, 0, 0, "expired"}, {1, 0, 1, ""}}, 2, 2, "1"},
	{"two entries", {{0, 0, 0, ""}, {1, 1, 1, ""}}, 2, 2, "01"},
	{"several in the better one", {{0, 0, 0, ""}, {1, 0, 0, ""}, {2, 0, 1, ""}}, 3, 3, "01"},
	{"in both attributes", {{0, 0, 1, ""}, {0, 0, 0, ""}, {1, 0, 1, ""}}, 3, 2, "0"},
	{"better in another entry", {{0, 0, 1, ""}, {1, 1, 1, ""}, {0, 1, 0, ""}}, 3, 2, "0"},
	{"in a wrong entry too", {{0, 0, 0, "wrong"}, {0, 1, 1, ""}}, 2, 1, "0"},
	{"in a wrong entry later", {{0, 1, 1, ""}, {0, 0, 0, "wrong"}}, 2, 1, "0"},
};

static void
test_prefer(void **state)
{
	struct cert *certs[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		certs[i] = people_cert(&people, "a@x.test", 30 + i, CERT_ENCRYPT);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer answer = {.prefer = true};
		char used[8] = "";

		for (size_t k = 0; k < cases[i].n; k++) {
			struct candidate c = {.cert = certs[cases[i].v[k].cert],
				.source = (char *)(uintptr_t) "ldap:x",
				.entry = cases[i].v[k].entry,
				.rank = cases[i].v[k].rank};

			snprintf(c.why, sizeof(c.why), "%s", cases[i].v[k].why);
			assert_int_equal(answer_take(&answer, &c, NULL), RC_OK);
		}
		CHECK_INT(cases[i].name, answer.n, cases[i].left);
		answer_prefer(&answer);
		for (unsigned k = 0; k < 3; k++)
			for (size_t j = 0; j < answer.n; j++)
				if (answer.v[j].cert == certs[k] && !answer.v[j].why[0])
					snprintf(used + strlen(used), sizeof(used) - strlen(used),
						"%u", k);
		CHECK_STR(cases[i].name, used, cases[i].used);
		answer_fini(&answer);
	}
	for (int i = 0; i < 3; i++)
		cert_unref(&certs[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_too_old),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_prefer),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
