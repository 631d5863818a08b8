/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret.h - bytes that must not leak: locked in memory where allowed, left out of core
 * files, wiped when freed, and with no way to be printed
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/err.h"

#include <stddef.h>

struct secret;

/* LEN zero bytes, at most SECRET_MAX. */
#define SECRET_MAX (64u << 20)
enum rc secret_new(size_t len, struct secret **out, struct err *err);
enum rc secret_copy(const void *data, size_t len, struct secret **out, struct err *err);
/* LEN bytes from the kernel's random source. */
enum rc secret_random(size_t len, struct secret **out, struct err *err);
unsigned char *secret_data(struct secret *secret); /* borrowed */
size_t secret_len(const struct secret *secret);
/* Cuts the secret to LEN bytes (LEN not above the present length), wiping the rest. */
void secret_truncate(struct secret *secret, size_t len);
void secret_free(struct secret **secret);

/* Wipes memory in a way that the compiler does not remove. */
void secret_wipe(void *data, size_t len);
/* Compares in constant time; 0 when equal. */
int secret_compare(const void *a, const void *b, size_t len);
/* Random bytes that are not secret (ids, nonces, boundaries). */
enum rc random_bytes(void *data, size_t len, struct err *err);

#endif
