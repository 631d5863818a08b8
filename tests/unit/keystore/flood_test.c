/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/flood.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define T0 (60 * 1000000)

struct seen {
	size_t n;
	int64_t count;
	struct flood_kind last;
	bool refuse;
};

static bool
see(void *ctx, const struct flood_kind *kind)
{
	struct seen *seen = ctx;

	if (seen->refuse)
		return false;
	seen->n++;
	seen->count += kind->count;
	seen->last = *kind;
	return true;
}

static struct flood *
fresh(void)
{
	struct flood *flood;

	assert_int_equal(flood_new(&flood, NULL), RC_OK);
	return flood;
}

/* The first few are recorded each; then they are counted, and told once the minute is over. */
static void
test_alike(void **state)
{
	struct flood *flood = fresh();
	struct seen seen = {.n = 0};
	int admitted = 0;

	(void)state;
	for (int i = 0; i < 5000; i++)
		admitted += flood_admits(flood, "mx", "open", "k1", "vault-denied", T0 + i / 100);
	CHECK_INT("recorded", admitted, FLOOD_EACH);
	flood_flush(flood, T0 + 59, false, see, &seen);
	CHECK_INT("within the minute", seen.n, 0);
	seen.refuse = true;
	flood_flush(flood, T0 + 60, false, see, &seen);
	seen.refuse = false;
	CHECK_INT("not written", seen.n, 0);
	flood_flush(flood, T0 + 60, false, see, &seen);
	CHECK_INT("told", seen.n, 1);
	CHECK_INT("count", seen.count, 5000 - FLOOD_EACH);
	CHECK_STR("service", seen.last.service, "mx");
	CHECK_STR("use", seen.last.use, "open");
	CHECK_STR("key", seen.last.key, "k1");
	CHECK_STR("reason", seen.last.reason, "vault-denied");
	CHECK_INT("first", seen.last.first, T0);
	CHECK_INT("last", seen.last.last, T0 + 49);
	flood_flush(flood, T0 + 120, false, see, &seen);
	CHECK_INT("once", seen.n, 1);
	assert_true(flood_admits(flood, "mx", "open", "k1", "vault-denied", T0 + 120));
	flood_free(&flood);
}

/* Others are not held up by one; many kinds are limited together, and none is lost. */
static void
test_kinds(void **state)
{
	struct flood *flood = fresh();
	struct seen seen = {.n = 0};
	int64_t admitted = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)flood_admits(flood, "mx", "open", NULL, "vault-denied", T0);
	assert_true(flood_admits(flood, "mx", "sign", NULL, "vault-denied", T0));
	assert_true(flood_admits(flood, "out", "open", NULL, "vault-denied", T0));
	assert_true(flood_admits(flood, "mx", "open", "k", "vault-denied", T0));
	assert_true(flood_admits(flood, "mx", "open", NULL, "vault-no-key", T0));
	flood_free(&flood);

	flood = fresh();
	for (int i = 0; i < 5000; i++) {
		char key[20];

		snprintf(key, sizeof(key), "k%d", i);
		admitted += flood_admits(flood, "mx", "open", key, "vault-denied", T0);
	}
	CHECK_INT("recorded", admitted, FLOOD_ALL);
	flood_flush(flood, T0, true, see, &seen);
	CHECK_INT("all are told", seen.count + admitted, 5000);
	CHECK_INT("in kinds", seen.n, FLOOD_KINDS - FLOOD_ALL + 1);
	CHECK_STR("the rest", seen.last.reason, "many");
	flood_free(&flood);
}

static void
test_decisions(void **state)
{
	struct flood *flood = fresh();
	int64_t n = 0;

	(void)state;
	while (flood_spend(flood, "mx", T0))
		n++;
	CHECK_INT("free", n, FLOOD_SPARE);
	flood_credit(flood, "mx", 20, T0);
	for (n = 0; flood_spend(flood, "mx", T0); n++)
		;
	CHECK_INT("after a use", n, 21);
	assert_true(flood_spend(flood, "out", T0));
	assert_false(flood_spend(flood, "mx", T0 + 10));
	for (n = 0; flood_spend(flood, "mx", T0 + 3600); n++)
		;
	CHECK_INT("the next hour", n, FLOOD_SPARE);
	flood_free(&flood);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_alike),
		cmocka_unit_test(test_kinds), cmocka_unit_test(test_decisions)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
