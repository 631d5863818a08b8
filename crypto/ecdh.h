/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ecdh.h - key agreement for CMS (RFC 5753): ECDH, the X9.63 KDF and AES key wrap
 */
#ifndef CRYPTO_ECDH_H
#define CRYPTO_ECDH_H

#include "crypto/oid.h"
#include "crypto/openssl_glue.h"

#define ECDH_MAX_SECRET  66 /* P-521 */
#define ECDH_MAX_WRAPPED 40 /* a key of 32 bytes, wrapped */

struct ecdh {
	enum digest kdf;
	enum oid wrap;        /* AES128_WRAP, AES192_WRAP, AES256_WRAP, DES3_WRAP */
	struct der wrap_info; /* its AlgorithmIdentifier, whole, as in the message */
	struct der ukm;       /* content of the user keying material; p NULL: none */
};

enum digest ecdh_kdf_of(enum oid scheme); /* DIGEST_NONE: not a scheme that we know */
bool ecdh_is_wrap(enum oid wrap);
size_t ecdh_wrapped_size(enum oid wrap, size_t key_len);
/* The public key at POINT on the curve of KEY; NULL when it is none. */
EVP_PKEY *ecdh_peer(EVP_PKEY *key, const unsigned char *point, size_t len);
/* Wraps or unwraps between KEY (private) and PEER. OUT has room for IN_LEN + 8 bytes. False: did
 * not work, and why is nobody's business. */
bool ecdh_wrap(const struct ecdh *ecdh, EVP_PKEY *key, EVP_PKEY *peer, const unsigned char *in,
	size_t in_len, unsigned char *out);
bool ecdh_unwrap(const struct ecdh *ecdh, EVP_PKEY *key, EVP_PKEY *peer, const unsigned char *in,
	size_t in_len, unsigned char *out);

/* The same with the shared secret Z, from a key in a token. */
bool ecdh_unwrap_secret(const struct ecdh *ecdh, const unsigned char *z, size_t z_len,
	const unsigned char *in, size_t in_len, unsigned char *out);

#endif
