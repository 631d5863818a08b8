/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_key.h - a private key in a token as a struct pkey
 *
 * key_open gives one from the key's name and its public half, without asking the token: that
 * happens when it is used. The uses below answer RC_OK, or ERR_TOKEN when the token is not at hand;
 * what is wrong with the data themselves is said by a flag, never by an error (rinfo.c tells why).
 */
#ifndef CRYPTO_TOKEN_KEY_H
#define CRYPTO_TOKEN_KEY_H

#include "crypto/digest.h"
#include "crypto/oaep.h"
#include "crypto/pkey.h"
#include "crypto/token_uri.h"

#include <stdbool.h>

/* URI: see token_uri.h; SPKI: its SubjectPublicKeyInfo: RSA, P-256, P-384 or P-521. */
enum rc key_open(const char *uri, const void *spki, size_t len, struct pkey **out, struct err *err);
/* The key's name, or NULL for one that is no token's. */
const char *pkey_uri(const struct pkey *pkey);
/* ERR_TOKEN: a use would fail now. */
enum rc pkey_ready(const struct pkey *pkey, struct err *err);

/*
 * A secret for an RSA key in a token to open: OAEP with SHA-256, which every token can do, by the
 * bare operation where not as a mechanism of its own. ERR_TOKEN; ERR_KEYSTORE: it was wrapped for
 * another key.
 */
enum rc token_wrap(const char *uri, struct secret *secret, struct buf *wrapped, struct err *err);
enum rc token_unwrap(const char *uri, const void *wrapped, size_t len, size_t plain_len,
	struct secret **out, struct err *err);

/* --- for the files of crypto/ --- */
struct token_key {
	struct token_uri uri;
	char text[TOKEN_URI_MAX + 1];
};
/* What the store keeps of it: URI, line end, SPKI. */
enum rc token_key_format(const struct pkey *pkey, struct secret **out, struct err *err);
bool token_key_is(const void *data, size_t len);
enum rc token_key_parse(const void *data, size_t len, struct pkey **out, struct err *err);
/* Signs HASH; PSS: with a salt as long as the hash. SIG has room for *len bytes. */
enum rc token_key_sign(const struct pkey *pkey, bool pss, enum digest digest,
	const unsigned char *hash, unsigned char *sig, size_t *len, struct err *err);
/* What an operation with the private key gave, in room that is the caller's. */
struct token_result {
	unsigned char *data;
	size_t len; /* before: the room */
	bool good;  /* false: the token says that it does not fit */
	bool raw;   /* DATA is the block with its padding, whole; else what was in it */
};
/* RSA, undone as far as the token does. OAEP: its parameters, of which the label does not count for
 * the token; NULL: PKCS#1 v1.5. */
enum rc token_key_decrypt(const struct pkey *pkey, const struct oaep *oaep, const void *data,
	size_t len, struct token_result *out, struct err *err);
/* ECDH with the public key at POINT, which was found to be on the curve. */
enum rc token_key_derive(const struct pkey *pkey, const void *point, size_t len,
	struct token_result *out, struct err *err);

#endif
