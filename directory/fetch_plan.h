/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_plan.h - when a thing is fetched next
 *
 * Pure: times come in and go out, in seconds since 1970.
 */
#ifndef DIRECTORY_FETCH_PLAN_H
#define DIRECTORY_FETCH_PLAN_H

#include "directory/fetch_list.h"
#include "directory/fetch_settings.h"

#define FETCH_SOONEST 30 /* seconds between two fetches of the same, whatever it says of itself */

/*
 * After it went well at NOW, when what is there is good from BEGINS to ENDS (-1: unknown). LUCK
 * (0 to 99) spreads what would fall on one moment.
 */
int64_t fetch_plan_refresh(const struct fetch_settings *settings, enum want_kind kind,
	int64_t begins, int64_t ends, int64_t now, unsigned luck);
/* After FAILURES (at least 1) in a row; RETRY_AFTER: what the server said, in seconds, or 0. */
int64_t fetch_plan_retry(const struct fetch_settings *settings, long failures, int64_t retry_after,
	int64_t now, unsigned luck);
/* Has nobody asked for it so long that it goes? */
bool fetch_plan_is_forgotten(
	const struct fetch_settings *settings, const struct fetch_item *item, int64_t now);

#endif
