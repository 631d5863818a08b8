/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signature.h - a signature, whatever it is over: algorithm by allow-list, key, bytes
 *
 * Of CMS, revocation lists and OCSP answers alike; PSS as RFC 4055, Ed25519 as RFC 8419 has it. No
 * is no: what cannot be checked is not good, and how strong a scheme is, is for the caller to
 * judge.
 *
 * Threads: any; nothing is kept.
 */
#ifndef CRYPTO_SIGNATURE_H
#define CRYPTO_SIGNATURE_H

#include "crypto/oid.h"

#include <openssl/evp.h>

enum signature_family { FAMILY_RSA, FAMILY_PSS, FAMILY_DSA, FAMILY_ECDSA, FAMILY_ED25519 };

struct signature_scheme {
	enum signature_family family;
	enum digest digest, mgf1;
	int salt_len;
};

/* From an AlgorithmIdentifier. DIGEST is for algorithms that name none (DIGEST_NONE: there is
 * none). False: not supported. */
bool signature_find_scheme(
	enum oid algorithm, struct der params, enum digest digest, struct signature_scheme *scheme);
/* Is it the kind of key that makes such signatures? */
bool signature_fits(const struct signature_scheme *scheme, const EVP_PKEY *key);
/* Over a digest that was computed before; not for Ed25519. */
bool signature_verify_digest(const struct signature_scheme *scheme, struct der signature,
	const unsigned char *value, EVP_PKEY *key);
/* Ed25519, which signs the bytes themselves. OpenSSL's CMS learned that in 3.5, its EVP knew it
 * before. */
bool signature_verify_bytes(struct der signature, struct der bytes, EVP_PKEY *key);
bool signature_verify(const struct signature_scheme *scheme, struct der signature, struct der bytes,
	EVP_PKEY *key);

#endif
