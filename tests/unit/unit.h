/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unit.h - what every unit test includes
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_include) && !__has_include(<cmocka.h>)
#error "the unit tests need the Debian package libcmocka-dev"
#endif
#include <cmocka.h>

/* A heap block of exactly LEN bytes with DATA in it, so that a sanitizer sees an over-read. */
static inline void *
exact(const void *data, size_t len)
{
	void *p = malloc(len ? len : 1);

	if (!p)
		abort();
	if (len)
		memcpy(p, data, len);
	return p;
}

/* "case: got X, want Y" for table-driven tests. */
#define CHECK_INT(name, got, want)                                                \
	do {                                                                      \
		long long got_ = (long long)(got), want_ = (long long)(want);     \
		if (got_ != want_)                                                \
			fail_msg("%s: got %lld, want %lld", (name), got_, want_); \
	} while (0)
#define CHECK_STR(name, got, want)                                                              \
	do {                                                                                    \
		const char *got_ = (got), *want_ = (want);                                      \
		if (!got_ || !want_ ? got_ != want_ : strcmp(got_, want_) != 0)                 \
			fail_msg("%s: got \"%s\", want \"%s\"", (name), got_ ? got_ : "(null)", \
				want_ ? want_ : "(null)");                                      \
	} while (0)

#endif
