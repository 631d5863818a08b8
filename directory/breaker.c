/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/breaker.h"

#include <limits.h>
#include <stdio.h>

enum breaker_answer
breaker_ask(struct breaker *b, int64_t now, int64_t ttl_ms)
{
	if (b->state == BREAKER_CLOSED)
		return BREAKER_PASS;
	if (now < b->until_ms) {
		b->refused++;
		return BREAKER_REFUSE;
	}
	b->state = BREAKER_HALF_OPEN;
	b->until_ms = now + ttl_ms;
	return BREAKER_PROBE;
}

bool
breaker_success(struct breaker *b)
{
	bool was_open = b->state != BREAKER_CLOSED;

	b->state = BREAKER_CLOSED;
	b->failures = 0;
	return was_open;
}

bool
breaker_failure(
	struct breaker *b, int64_t now, int64_t ttl_ms, int most, bool certain, const char *why)
{
	bool was_closed = b->state == BREAKER_CLOSED;

	if (b->failures < INT_MAX)
		b->failures++;
	snprintf(b->why, sizeof(b->why), "%s", why);
	if (was_closed && !certain && b->failures < most)
		return false;
	b->state = BREAKER_OPEN;
	b->until_ms = now + ttl_ms;
	if (was_closed) {
		b->since_ms = now;
		b->refused = 0;
	}
	return was_closed;
}
