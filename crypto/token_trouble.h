/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_trouble.h - keys that a token fails with, and when they may be tried again
 *
 * A broken object shall not keep a token busy, or have it started again and again, for the keys
 * that are in order. After its second failure in a row a key has to wait: a second, two, four and
 * so on up to TROUBLE_MAX_MS; when the time is over one use of it is a try, and others wait on.
 * What the token does with it is the end of that.
 *
 * Threads: under the token's lock.  Limits: TROUBLES_MAX keys; beyond it the oldest is forgotten.
 */
#ifndef CRYPTO_TOKEN_TROUBLE_H
#define CRYPTO_TOKEN_TROUBLE_H

#include "crypto/token_uri.h"

#include <stdbool.h>
#include <stdint.h>

#define TROUBLES_MAX   32
#define TROUBLE_MS     1000
#define TROUBLE_MAX_MS 300000

struct token_trouble {
	struct token_uri uri;
	unsigned count;       /* failures in a row */
	uint64_t serial;      /* of the process of the last one that ended its process */
	int64_t noted, until; /* monotonic, milliseconds */
};

struct token_troubles {
	struct token_trouble v[TROUBLES_MAX];
	size_t n;
};

/* How long the key has to wait, in milliseconds; 0: the caller tries now. */
int64_t troubles_wait(struct token_troubles *troubles, const struct token_uri *uri, int64_t now);
/* SERIAL: several uses that end with one process count once; 0: of its own. */
void troubles_note(
	struct token_troubles *troubles, const struct token_uri *uri, uint64_t serial, int64_t now);
void troubles_clear(struct token_troubles *troubles, const struct token_uri *uri);

#endif
