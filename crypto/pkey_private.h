/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkey_private.h - from OpenSSL's keys to ours and their types, and what the files of struct pkey
 * share
 */
#ifndef CRYPTO_PKEY_PRIVATE_H
#define CRYPTO_PKEY_PRIVATE_H

#include "crypto/pkey.h"

#include "crypto/digest.h"

#include <openssl/evp.h>
#include <stdatomic.h>

#define PKEY_IDLE          4 /* contexts kept for each kind of use */
#define PKEY_MAX_SIGNATURE 2048

typedef _Atomic(EVP_PKEY_CTX *) pkey_slot; /* NULL: none, or it is in use */

struct token_key;

struct pkey {
	atomic_uint refs;
	EVP_PKEY *evp; /* of a key in a token the public half only */
	enum key_type type;
	struct token_key *token;   /* token_key.h; NULL: the key is here; owned */
	pkey_slot sign[PKEY_IDLE]; /* ready to sign */
	pkey_slot raw[PKEY_IDLE];  /* RSA: ready for the bare operation */
};

/* NULL reads as KEY_OTHER. */
enum key_type evp_key_type(const EVP_PKEY *key);
/* Takes *EVP over in any case. ERR_KEY_MALFORMED when it has no private part. */
enum rc pkey_from_evp(EVP_PKEY **evp, struct pkey **out, struct err *err);

/* The digest that goes with a key; DIGEST_NONE for EdDSA, which has its own. */
enum digest pkey_usual_digest(enum key_type type);
/* Signs HASH, made with DIGEST: RSA v1.5 or ECDSA. SIG has room for *len bytes. */
enum rc pkey_sign_hash(const struct pkey *pkey, enum digest digest, const unsigned char *hash,
	unsigned char *sig, size_t *len, struct err *err);
/* Signs a whole text: EdDSA, and RSA-PSS by PSS, or with the parameters that the key names (NULL).
 * SIG has room for *size bytes. */
struct pkey_pss {
	enum digest digest; /* for the text, the mask and the length of the salt */
};
enum rc pkey_sign_text(const struct pkey *pkey, const struct pkey_pss *pss, const void *data,
	size_t len, unsigned char *sig, size_t *size, struct err *err);
/* The bare private RSA operation on LEN bytes; OUT has room for *out_len. *good is false when they
 * are too long, or not below the modulus; anybody can see that. */
enum rc pkey_raw_rsa(const struct pkey *pkey, const void *data, size_t len, unsigned char *out,
	size_t *out_len, bool *good, struct err *err);
void pkey_free_idle(struct pkey *pkey); /* at its end */

#endif
