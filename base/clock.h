/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - the time, which tests may set
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/err.h"

#include <stdint.h>
#include <stddef.h>

int64_t clock_now(void);          /* seconds since 1970, UTC */
int64_t clock_now_us(void);       /* the same in microseconds */
int64_t clock_monotonic_ms(void); /* for time limits; never set back */

/* Fixes clock_now to SECONDS; a negative value gives the real clock back. Tests only. */
void clock_set(int64_t seconds);

/* RFC 3339 in UTC with Z: "2026-11-21T22:14:03Z"; with microseconds: "….123456Z". */
#define CLOCK_TEXT_SIZE 32
const char *clock_format(int64_t seconds, char out[CLOCK_TEXT_SIZE]);
const char *clock_format_us(int64_t us, char out[CLOCK_TEXT_SIZE]);
/* Accepts RFC 3339 with Z or an offset, and a bare date YYYY-MM-DD (midnight UTC). */
enum rc clock_parse(const char *text, int64_t *seconds, struct err *err);
/* The Date: form of RFC 5322 in UTC: "Sat, 21 Nov 2026 22:14:03 +0000". */
const char *clock_format_mail(int64_t seconds, char out[40]);
/* Parses a Date: header (RFC 5322 with obsolete zones); RC_PERM when it is none. */
enum rc clock_parse_mail(const char *text, size_t len, int64_t *seconds, struct err *err);

#endif
