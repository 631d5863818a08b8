/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volley.h - a client of the vault that has many requests in flight on each connection
 */
#ifndef TESTS_BENCH_VOLLEY_H
#define TESTS_BENCH_VOLLEY_H

#include "base/err.h"
#include "crypto/cms_envelope.h"

#include <stdbool.h>

#define VOLLEY_FRAMES 64u /* different requests */

struct volley {
	const char *path;           /* of the vault's socket */
	const char *key;            /* that signs … */
	const struct rinfo *rinfos; /* … or VOLLEY_FRAMES RecipientInfos to open for RECIPIENT */
	const char *recipient;
	unsigned in_flight; /* on one connection */
	volatile bool *stop;
	long done, failed; /* atomic */
};

/* A thread's function: one connection of the struct volley CTX, until *stop. */
void *volley_run(void *ctx);

#endif
