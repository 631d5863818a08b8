/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/minder.h"

#include "tests/unit/unit.h"

#include <pthread.h>
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

/* An MTA that does not read: telling it takes until somebody writes into the second pipe. */
struct deaf {
	int began[2], goes_on[2];
};

static void
tell_deaf(void *ctx)
{
	struct deaf *deaf = ctx;
	char c = 'x';

	(void)!write(deaf->began[1], &c, 1);
	(void)!read(deaf->goes_on[0], &c, 1);
}

static void *
let_go(void *arg)
{
	struct deaf *deaf = arg;

	usleep(50000);
	(void)!write(deaf->goes_on[1], "xx", 2);
	return NULL;
}

/* While one MTA is told, and does not read, other tasks come and go; its own waits. */
static void
test_deaf(void **state)
{
	struct minder *minder;
	struct err err = ERR_INIT;
	struct deaf deaf;
	struct minded slow = {.still_at_it = tell_deaf, .ctx = &deaf};
	pthread_t other;
	char c;

	(void)state;
	alarm(60);
	assert_int_equal(pipe(deaf.began), 0);
	assert_int_equal(pipe(deaf.goes_on), 0);
	CHECK_INT("start", minder_start("unix:/nonexistent/socket", &minder, &err), RC_OK);
	minder_begin(minder, &slow);
	slow.told_ms -= 60000; /* as if it had lasted that long */
	assert_int_equal(read(deaf.began[0], &c, 1), 1);
	for (int i = 0; i < 100; i++) {
		struct minded task = {.still_at_it = NULL};

		minder_count(minder, 1);
		minder_begin(minder, &task);
		minder_kick(minder, &task);
		minder_end(minder, &task);
		minder_count(minder, -1);
	}
	assert_int_equal(pthread_create(&other, NULL, let_go, &deaf), 0);
	minder_end(minder, &slow);
	assert_int_equal(
		read(deaf.goes_on[0], &c, 1), 1); /* the second x: end came after the write */
	pthread_join(other, NULL);
	minder_stop(&minder);
	for (int i = 0; i < 2; i++) {
		close(deaf.began[i]);
		close(deaf.goes_on[i]);
	}
	alarm(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kick_for_nobody), cmocka_unit_test(test_deaf)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
