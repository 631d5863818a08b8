/* SPDX-License-Identifier: BSD-2-Clause */
/* When a server is left alone, and when it is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "directory/breaker.h"

/* Steps of one breaker that opens for 100 ms after 3 failures; a probe has 50 ms. */
static const struct {
	int64_t at;
	char what; /* ?: ask, +: success, -: failure, !: a certain one */
	int want;  /* enum breaker_answer, or whether it turned */
	enum breaker_state state;
} steps[] = {
	{0, '?', BREAKER_PASS, BREAKER_CLOSED}, {1, '-', false, BREAKER_CLOSED},
	{2, '-', false, BREAKER_CLOSED}, {3, '+', false, BREAKER_CLOSED}, /* in a row only */
	{4, '-', false, BREAKER_CLOSED}, {5, '-', false, BREAKER_CLOSED},
	{6, '-', true, BREAKER_OPEN},
	{7, '-', false, BREAKER_OPEN}, /* one that was under way: from now on */
	{106, '?', BREAKER_REFUSE, BREAKER_OPEN}, {107, '?', BREAKER_PROBE, BREAKER_HALF_OPEN},
	{108, '?', BREAKER_REFUSE, BREAKER_HALF_OPEN}, {110, '-', false, BREAKER_OPEN},
	{209, '?', BREAKER_REFUSE, BREAKER_OPEN}, {210, '?', BREAKER_PROBE, BREAKER_HALF_OPEN},
	{259, '?', BREAKER_REFUSE, BREAKER_HALF_OPEN},
	{260, '?', BREAKER_PROBE, BREAKER_HALF_OPEN}, /* the first was never heard of again */
	{261, '+', true, BREAKER_CLOSED}, {262, '?', BREAKER_PASS, BREAKER_CLOSED},
	{263, '-', false, BREAKER_CLOSED}, {264, '!', true, BREAKER_OPEN},
	{265, '+', true, BREAKER_CLOSED}, /* an answer that was under way is an answer */
};

static void
test_steps(void **state)
{
	struct breaker b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		int got = -1;

		if (steps[i].what == '?')
			got = (int)breaker_ask(&b, steps[i].at, 50);
		else if (steps[i].what == '+')
			got = breaker_success(&b);
		else
			got = breaker_failure(&b, steps[i].at, 100, 3, steps[i].what == '!', "why");
		if (got != steps[i].want || b.state != steps[i].state)
			fail_msg("step %zu: got %d in state %d, want %d in state %d", i, got,
				b.state, steps[i].want, steps[i].state);
	}
	assert_string_equal(b.why, "why");
	assert_int_equal(b.refused, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
