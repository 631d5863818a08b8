/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkey.h - one private key, parsed once
 *
 * Immutable and reference-counted; any number of threads may use one. Only the vault and the
 * operator's tool link what makes one.
 */
#ifndef CRYPTO_PKEY_H
#define CRYPTO_PKEY_H

#include "base/buf.h"
#include "base/secret.h"

enum key_type {
	KEY_OTHER,
	KEY_RSA,
	KEY_RSA_PSS,
	KEY_EC_P256,
	KEY_EC_P384,
	KEY_EC_P521,
	KEY_ED25519,
	KEY_X25519
};

struct pkey;

const char *key_type_name(enum key_type type); /* "rsa", "ec-p256", … */
/* "rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521"; ERR_USAGE for anything else. */
enum rc pkey_generate(const char *kind, struct pkey **out, struct err *err);
/* DER of PKCS#8 PrivateKeyInfo, unencrypted, or the name of a key in a token (token_key.h), as
 * pkey_format gave it. TYPE (when known, else KEY_OTHER) makes it several
 * times faster. */
enum rc
pkey_parse(const void *der, size_t len, enum key_type type, struct pkey **out, struct err *err);
enum rc pkey_format(const struct pkey *pkey, struct secret **out, struct err *err);
struct pkey *pkey_ref(struct pkey *pkey);
void pkey_unref(struct pkey **pkey);
enum key_type pkey_type(const struct pkey *pkey);
/* Signs / verifies DATA (not a digest) with the key's usual algorithm and SHA-256 (P-384: SHA-384,
 * P-521: SHA-512): for checkpoints and approvals. The public key is a SubjectPublicKeyInfo. */
enum rc
pkey_sign(const struct pkey *pkey, const void *data, size_t len, struct buf *out, struct err *err);
enum rc pkey_public(const struct pkey *pkey, struct buf *spki, struct err *err);
enum rc spki_verify(const void *spki, size_t spki_len, const void *data, size_t len,
	const void *sig, size_t sig_len, struct err *err); /* RC_PERM when it does not verify */

#endif
