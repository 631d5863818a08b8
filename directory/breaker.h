/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * breaker.h - leaves a server that fails alone, and tries it again with one question
 *
 * Closed: all is well. After some failures in a row, or one that leaves no doubt, it opens: for a
 * while nobody is let through, so that mail is deferred at once rather than after a timeout each,
 * and the server can recover. Then it is half open: one question goes through as a probe, and its
 * outcome closes the breaker or opens it again.
 *
 * Threads: the caller holds a lock. Times are those of the monotonic clock, in ms, and passed in.
 */
#ifndef DIRECTORY_BREAKER_H
#define DIRECTORY_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
	enum breaker_state state;
	int failures;          /* in a row */
	int64_t since_ms;      /* when it opened, and did not close since */
	int64_t until_ms;      /* while open: until then; while half open: the probe has so long */
	unsigned long refused; /* questions since it opened */
	char why[200];         /* the last failure */
};

enum breaker_answer { BREAKER_PASS, BREAKER_PROBE, BREAKER_REFUSE };

/* May a question go through? A probe that has not reported by TTL_MS is given up. */
enum breaker_answer breaker_ask(struct breaker *breaker, int64_t now, int64_t ttl_ms);
/* A question was answered. True: the breaker was not closed before, and is now. */
bool breaker_success(struct breaker *breaker);
/* A question failed, because of WHY. CERTAIN: one failure is enough, else MOST in a row. True: it
 * was closed before, and is open now. */
bool breaker_failure(struct breaker *breaker, int64_t now, int64_t ttl_ms, int most, bool certain,
	const char *why);

#endif
