/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys of a token have to wait, and how long. */
#include "crypto/token_trouble.h"

#include "tests/unit/unit.h"

#include <stdio.h>

static void
test_waits(void **state)
{
	static const int64_t waits[] = {
		0, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000};
	struct token_uri a = {.object = "a"}, b = {.object = "b"};
	struct token_troubles t = {.n = 0};
	int64_t now = 1000;

	(void)state;
	CHECK_INT("nothing yet", troubles_wait(&t, &a, now), 0);
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		troubles_note(&t, &a, 0, now);
		CHECK_INT("others do not wait", troubles_wait(&t, &b, now), 0);
		if (waits[i]) {
			CHECK_INT("waits", troubles_wait(&t, &a, now), waits[i]);
			CHECK_INT("the last moment", troubles_wait(&t, &a, now + waits[i] - 1), 1);
		}
		now += waits[i];
		CHECK_INT("one try", troubles_wait(&t, &a, now), 0);
		CHECK_INT("and no other", troubles_wait(&t, &a, now), waits[i]);
	}
	troubles_clear(&t, &a);
	CHECK_INT("good again", troubles_wait(&t, &a, now), 0);
	CHECK_INT("none left", t.n, 0);
}

/* Many uses that end with one process are one failure. */
static void
test_process(void **state)
{
	struct token_uri a = {.id = "\1", .id_len = 1};
	struct token_troubles t = {.n = 0};

	(void)state;
	for (int i = 0; i < 9; i++)
		troubles_note(&t, &a, 7, 100);
	CHECK_INT("one process", troubles_wait(&t, &a, 100), 0);
	troubles_note(&t, &a, 8, 100);
	CHECK_INT("another", troubles_wait(&t, &a, 100), TROUBLE_MS);
}

/* Full: the oldest goes. */
static void
test_full(void **state)
{
	struct token_troubles t = {.n = 0};
	struct token_uri uri = {.object = ""};

	(void)state;
	for (int i = 0; i <= (int)TROUBLES_MAX; i++) {
		snprintf(uri.object, sizeof(uri.object), "key %d", i);
		troubles_note(&t, &uri, 0, 100 + i);
		troubles_note(&t, &uri, 0, 100 + i);
	}
	CHECK_INT("all", t.n, TROUBLES_MAX);
	assert_true(troubles_wait(&t, &uri, 200) > 0);
	strcpy(uri.object, "key 1");
	assert_true(troubles_wait(&t, &uri, 200) > 0);
	strcpy(uri.object, "key 0");
	CHECK_INT("forgotten", troubles_wait(&t, &uri, 200), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_waits),
		cmocka_unit_test(test_process), cmocka_unit_test(test_full)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
