/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_plan.h"

#define RETRY_AFTER_MAX 86400

/* Expired as it came: whoever makes it is late, or does so no more. */
static int64_t
wait_for_late(const struct fetch_settings *settings, int64_t late)
{
	int64_t wait = late / 4;

	if (wait > settings->refresh)
		wait = settings->refresh;
	return wait > settings->retry ? wait : settings->retry;
}

int64_t
fetch_plan_refresh(const struct fetch_settings *settings, enum want_kind kind, int64_t begins,
	int64_t ends, int64_t now, unsigned luck)
{
	int64_t often = kind == WANT_CA ? settings->refresh_ca : settings->refresh;
	/* Up to a tenth earlier. */
	int64_t at = now + often - often * (int64_t)luck / 1000;
	int64_t life, margin;

	/* A CA's certificate that ends is replaced by another, and asked for then. */
	if (ends > 0 && kind != WANT_CA) {
		life = ends - (begins > 0 && begins < ends ? begins : now);
		margin = life / 4 < settings->margin ? life / 4 : settings->margin;
		if (ends - margin < at)
			at = ends - margin - margin * (int64_t)luck / 1000;
		if (ends <= now)
			at = now + wait_for_late(settings, now - ends);
	}
	return at < now + FETCH_SOONEST ? now + FETCH_SOONEST : at;
}

int64_t
fetch_plan_retry(const struct fetch_settings *settings, long failures, int64_t retry_after,
	int64_t now, unsigned luck)
{
	int64_t wait = settings->retry;

	for (long i = 1; i < failures && wait < settings->retry_max; i++)
		wait *= 2;
	if (wait > settings->retry_max)
		wait = settings->retry_max;
	wait += wait * (int64_t)luck / 1000;
	if (retry_after > RETRY_AFTER_MAX)
		retry_after = RETRY_AFTER_MAX;
	return now + (retry_after > wait ? retry_after : wait);
}

bool
fetch_plan_is_forgotten(
	const struct fetch_settings *settings, const struct fetch_item *item, int64_t now)
{
	return !item->permanent && !item->busy && now - item->asked > settings->forget;
}
