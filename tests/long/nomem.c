/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nomem.c - an LD_PRELOAD library: memory that is refused at a chosen moment
 *
 * NOMEM_AT=N refuses the Nth allocation of the process and NOMEM_SPAN-1 after it; NOMEM_COUNT=FILE
 * writes how many there were.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static long count, at = -1, span = 1;
static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t),
	*(*real_realloc)(void *, size_t);
static char early[65536]; /* for dlsym itself */
static size_t early_used;

static void
begin(void)
{
	static bool begun;

	if (begun)
		return;
	begun = true;
	real_malloc = dlsym(RTLD_NEXT, "malloc");
	real_realloc = dlsym(RTLD_NEXT, "realloc");
	real_calloc = dlsym(RTLD_NEXT, "calloc");
	if (getenv("NOMEM_AT"))
		at = atol(getenv("NOMEM_AT"));
	if (getenv("NOMEM_SPAN"))
		span = atol(getenv("NOMEM_SPAN"));
}

static bool
is_refused(void)
{
	long n;

	begin();
	n = __sync_fetch_and_add(&count, 1);
	if (at < 0 || n < at || n >= at + span)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return is_refused() ? NULL : real_malloc(size);
}

void *
realloc(void *old, size_t size)
{
	return is_refused() ? NULL : real_realloc(old, size);
}

void *
calloc(size_t n, size_t size)
{
	bool refused = is_refused();

	if (!real_calloc && early_used + n * size < sizeof early) {
		void *p = early + early_used;

		early_used += (n * size + 15) & ~(size_t)15;
		return p;
	}
	return refused ? NULL : real_calloc(n, size);
}

__attribute__((destructor)) static void
end(void)
{
	FILE *file = getenv("NOMEM_COUNT") ? fopen(getenv("NOMEM_COUNT"), "w") : NULL;

	if (!file)
		return;
	fprintf(file, "%ld\n", count);
	fclose(file);
}
