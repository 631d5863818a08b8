/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/minder.h"

#include "tests/unit/unit.h"

#include <unistd.h>

/* Whoever asked for a kick may be gone, and the last session with it, before the minder looks: it
 * must not hold the lock over that for ever. */
static void
test_kick_for_nobody(void **state)
{
	struct minder *minder;
	struct err err = ERR_INIT;

	(void)state;
	alarm(60);
	CHECK_INT("start", minder_start("unix:/nonexistent/socket", &minder, &err), RC_OK);
	for (int i = 0; i < 2000; i++) {
		struct minded task = {.still_at_it = NULL};

		if (i % 2)
			minder_count(minder, 1);
		minder_begin(minder, &task);
		minder_kick(minder, &task);
		minder_end(minder, &task);
		if (i % 2)
			minder_count(minder, -1);
		if (i % 100 == 0)
			usleep(1000);
	}
	minder_stop(&minder);
	alarm(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kick_for_nobody)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
