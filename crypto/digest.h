/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * digest.h - hashes, several over one stream
 */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/sink.h"

enum digest {
	DIGEST_NONE,
	DIGEST_MD5,
	DIGEST_SHA1,
	DIGEST_SHA224,
	DIGEST_SHA256,
	DIGEST_SHA384,
	DIGEST_SHA512,
	DIGEST_COUNT
};

#define DIGEST_MAX_SIZE 64
#define SHA256_SIZE     32

size_t digest_size(enum digest digest);
const char *digest_name(enum digest digest);   /* "sha256" */
const char *digest_micalg(enum digest digest); /* "sha-256" (RFC 8551 section 3.5.3.2) */
enum rc digest_bytes(enum digest digest, const void *data, size_t len,
	unsigned char out[DIGEST_MAX_SIZE], struct err *err);

/* Hashes one stream with each digest in the bit set SET (1 << DIGEST_SHA256 | …). */
struct hasher;
enum rc hasher_new(unsigned set, struct hasher **out, struct err *err);
struct sink hasher_sink(struct hasher *hasher);
/* After finish: the value; NULL when that digest was not in the set. */
const unsigned char *hasher_value(const struct hasher *hasher, enum digest digest);
void hasher_free(struct hasher **hasher);

#endif
