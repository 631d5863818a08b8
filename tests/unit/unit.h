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
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_include) && !__has_include(<cmocka.h>)
/* An #error would be followed by a screen of what comes of it; this ends the compilation. */
#include "install the Debian package libcmocka-dev and run configure again"
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

/*
 * A process that does something later, when it is told to. A child of a process with threads may
 * call next to nothing: another thread's lock (the allocator's, stdio's) stays locked in it for
 * ever. So it is made before there are threads, with later_begin(), and waits; when the test does
 * not come to later_go(), it ends with its parent.
 */
struct later {
	pid_t pid;
	int go; /* written to: begin; closed: end */
};

static inline struct later
later_begin(int (*what)(void *), void *ctx)
{
	struct later later;
	int ends[2];
	char c;

	if (pipe(ends))
		abort();
	later.go = ends[1];
	later.pid = fork();
	if (later.pid < 0)
		abort();
	if (later.pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &c, 1) == 1 ? what(ctx) : 0);
	}
	close(ends[0]);
	return later;
}

static inline void
later_go(struct later *later)
{
	if (write(later->go, "g", 1) != 1)
		abort();
	close(later->go);
	later->go = -1;
}

/* Its exit status, when it has ended; 256 when something killed it. */
static inline int
later_wait(const struct later *later)
{
	int status;

	if (waitpid(later->pid, &status, 0) != later->pid)
		abort();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

#endif
