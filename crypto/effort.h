/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * effort.h - how much checking one message may cost
 *
 * A certificate by itself has limits already (path_build.h, mail_constraints.h); this one is for
 * all signers of all layers of a message together, since who writes it chooses how many there are.
 * It is counted, not timed, so that the answer is the same on every machine. When it is spent,
 * nothing more is checked: what is left is unknown, and says so.
 *
 * Threads: a struct effort belongs to one thread at a time.
 */
#ifndef CRYPTO_EFFORT_H
#define CRYPTO_EFFORT_H

#include <stdbool.h>
#include <stddef.h>

#define EFFORT_SIGNATURES 400 /* by keys of up to 4096 bits; larger ones count for more */
#define EFFORT_PATHS      64
#define EFFORT_STEPS      4000
#define EFFORT_NAMES      (1 << 20) /* comparisons of names with constraints */

struct evp_pkey_st; /* OpenSSL's */
struct effort {     /* zeros at the beginning */
	size_t signatures, paths, steps, names;
	bool spent;
};

/* May one more be done? It is counted then. WORK NULL: always. */
bool effort_signature(struct effort *effort, const struct evp_pkey_st *key);
bool effort_path(struct effort *effort);
bool effort_step(struct effort *effort);
bool effort_names(struct effort *effort, size_t n);
bool effort_is_spent(const struct effort *effort);
/* Why nothing more is checked. */
const char *effort_reason(void);

#endif
