/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter.h - what a daemon has done since it started; written to the log at reload and stop
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

enum counter {
#define COUNTER(name) COUNTER_##name,
#include "base/counters.def"
#undef COUNTER
	COUNTER_COUNT
};

void counter_add(enum counter which, long n); /* any thread */
long counter_get(enum counter which);
void counter_log(void); /* one line, event=counters, zeros left out */

#endif
