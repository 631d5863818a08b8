/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pastclock.c - a clock that is CLOCK_BACK seconds late, for a program it is loaded into
 * (LD_PRELOAD)
 *
 * So a test can have something happen last month, which the programs themselves offer no way to.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int (*real)(clockid_t, struct timespec *);
	const char *back = getenv("CLOCK_BACK");
	int rc;

	*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, t);
	if (rc == 0 && back && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec -= atol(back);
	return rc;
}

time_t
time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	out->tv_sec = t.tv_sec;
	out->tv_usec = t.tv_nsec / 1000;
	return 0;
}
