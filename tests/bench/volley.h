/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volley.h - a client of the vault that has many requests in flight on each connection
 */
#ifndef TESTS_BENCH_VOLLEY_H
#define TESTS_BENCH_VOLLEY_H

#include "base/err.h"

#include <stdbool.h>

struct volley {
	const char *path;   /* of the vault's socket */
	const char *key;    /* that signs */
	unsigned in_flight; /* on one connection */
	volatile bool *stop;
	long done, failed; /* atomic */
};

/* A thread's function: one connection of the struct volley CTX, until *stop. */
void *volley_run(void *ctx);

#endif
