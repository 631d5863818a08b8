/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpu.h - CPU time of one call, for programs with a struct world of their own
 *
 * BENCH is the program's name. Machines are noisy: each figure is the best of BATCHES batches.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES       5
#define BATCH_SECONDS 0.08

struct world;

static struct err err = ERR_INIT;

/* Ends the program on any failure: a figure of something that failed is worth nothing. */
static void
must(enum rc rc, const char *what)
{
	if (rc == RC_OK)
		return;
	fprintf(stderr, BENCH ": %s: %s\n", what, err.detail);
	exit(70);
}

/* CPU seconds of this process. */
static double
cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Microseconds of CPU for one call of FN. */
static double
measure(void (*fn)(struct world *), struct world *w)
{
	double best = 1e18;

	fn(w);
	for (int i = 0; i < BATCHES; i++) {
		double start = cpu(), used;
		int n = 0;

		do {
			fn(w);
			n++;
			used = cpu() - start;
		} while (used < BATCH_SECONDS);
		if (used / n < best)
			best = used / n;
	}
	return best * 1e6;
}

#endif
