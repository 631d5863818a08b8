/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signed_by.h - is this a signature over exactly these bytes, and with whose key?
 *
 * For approvals, where a signature is an act and a public key is a person: one SignedData (RFC
 * 5652), detached or with the content in it, in DER, BER or PEM, with exactly one signer, over
 * content of type id-data, with SHA-256 or longer and a key that is not weak. No path is looked
 * for: what counts is the key.
 *
 * Limits: SIGNED_BY_MAX bytes, and those of cms_verify.h.
 */
#ifndef CRYPTO_SIGNED_BY_H
#define CRYPTO_SIGNED_BY_H

#include "crypto/cert.h"

#define SIGNED_BY_MAX (256u << 10)

/*
 * RC_OK: *SIGNER (a reference for the caller) holds the key. KNOWN: certificates for a signature
 * that brings none. ERR_APPROVAL says what is wrong with it; ERR_MEMORY, ERR_CRYPTO: nobody
 * knows.
 */
enum rc signed_by(const void *cms, size_t len, const void *content, size_t content_len,
	const struct certset *known, struct cert **signer, struct err *err);

/*
 * What tells one public key from another, however it is written: SHA-256 over the modulus of RSA
 * (also as RSA-PSS), over curve and x of EC (compressed or not), over the bytes of Ed25519.
 * ERR_CERT_UNSUPPORTED for other keys.
 */
enum rc cert_key_id(const struct cert *cert, unsigned char out[SHA256_SIZE], struct err *err);
/* Is it one of those kinds (RSA without PSS), written in the one way in which keys are mostly
 * written and pkey_public writes them? */
bool cert_key_is_usual(const struct cert *cert);

#endif
