/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pkey_private.h"

#include "crypto/openssl_glue.h"
#include "crypto/token_key.h"

#include <openssl/rsa.h>

#include <stdlib.h>

/*
 * Making a context for a signature costs a fifth of the signature itself with P-256, so a key keeps
 * a few that are ready, and others for the bare RSA operation. They hold a reference to the key and
 * nothing secret of their own. Each is used by one thread at a time: whoever finds one in its place
 * takes it out.
 */

enum digest
pkey_usual_digest(enum key_type type)
{
	switch (type) {
	case KEY_EC_P384:
		return DIGEST_SHA384;
	case KEY_EC_P521:
		return DIGEST_SHA512;
	case KEY_ED25519:
		return DIGEST_NONE;
	default:
		return DIGEST_SHA256;
	}
}

static EVP_PKEY_CTX *
new_context(const struct pkey *pkey, enum digest digest)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey->evp, NULL);

	if (ctx && EVP_PKEY_sign_init(ctx) == 1 &&
		(pkey->type != KEY_RSA ||
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1) &&
		EVP_PKEY_CTX_set_signature_md(ctx, digest_evp(digest)) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static EVP_PKEY_CTX *
take(pkey_slot *slots)
{
	EVP_PKEY_CTX *ctx = NULL;

	for (int i = 0; i < PKEY_IDLE && !ctx; i++)
		if (atomic_load_explicit(&slots[i], memory_order_relaxed))
			ctx = atomic_exchange_explicit(&slots[i], NULL, memory_order_acq_rel);
	return ctx;
}

static void
give_back(pkey_slot *slots, EVP_PKEY_CTX *ctx)
{
	for (int i = 0; i < PKEY_IDLE && ctx; i++) {
		EVP_PKEY_CTX *none = NULL;

		if (atomic_compare_exchange_strong_explicit(
			    &slots[i], &none, ctx, memory_order_acq_rel, memory_order_relaxed))
			ctx = NULL; /* the key's now */
	}
	EVP_PKEY_CTX_free(ctx);
}

void
pkey_free_idle(struct pkey *pkey)
{
	for (int i = 0; i < PKEY_IDLE; i++) {
		EVP_PKEY_CTX_free(pkey->sign[i]);
		EVP_PKEY_CTX_free(pkey->raw[i]);
	}
}

/* What a key keeps is no part of what it is. */
static struct pkey *
keeper(const struct pkey *pkey)
{
	return (struct pkey *)pkey;
}

bool
pkey_raw_rsa(
	const struct pkey *pkey, const void *data, size_t len, unsigned char *out, size_t *out_len)
{
	EVP_PKEY_CTX *ctx = take(keeper(pkey)->raw);
	bool ready = ctx != NULL;

	if (!ready) {
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey->evp, NULL);
		ready = ctx && EVP_PKEY_decrypt_init(ctx) == 1 &&
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1;
	}
	if (!ready || EVP_PKEY_decrypt(ctx, out, out_len, data, len) != 1) {
		EVP_PKEY_CTX_free(ctx);
		return false;
	}
	give_back(keeper(pkey)->raw, ctx);
	return true;
}

enum rc
pkey_sign_hash(const struct pkey *pkey, enum digest digest, const unsigned char *hash,
	unsigned char *sig, size_t *len, struct err *err)
{
	bool usual = digest == pkey_usual_digest(pkey->type);
	EVP_PKEY_CTX *ctx;

	if (pkey->token)
		return token_key_sign(pkey, false, digest, hash, sig, len, err);
	ctx = usual ? take(keeper(pkey)->sign) : NULL;
	if (!ctx)
		ctx = new_context(pkey, digest);
	if (!ctx || EVP_PKEY_sign(ctx, sig, len, hash, digest_size(digest)) != 1) {
		EVP_PKEY_CTX_free(ctx);
		return ossl_err(err, ERR_CRYPTO, "signing with a key of type %s",
			key_type_name(pkey->type));
	}
	if (usual)
		give_back(keeper(pkey)->sign, ctx);
	else
		EVP_PKEY_CTX_free(ctx);
	return RC_OK;
}

/* EdDSA, and RSA-PSS with the parameters that the key names. */
static enum rc
sign_whole(const struct pkey *pkey, const void *data, size_t len, unsigned char *sig, size_t *size,
	struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = digest_evp(pkey_usual_digest(pkey->type));
	bool good = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, pkey->evp) == 1 &&
		    EVP_DigestSign(ctx, sig, size, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	return good ? RC_OK : ossl_err(err, ERR_CRYPTO, "signing");
}

enum rc
pkey_sign(const struct pkey *pkey, const void *data, size_t len, struct buf *out, struct err *err)
{
	enum digest digest = pkey_usual_digest(pkey->type);
	unsigned char sig[PKEY_MAX_SIGNATURE], hash[DIGEST_MAX_SIZE];
	size_t size = sizeof sig;
	enum rc rc;

	if (EVP_PKEY_get_size(pkey->evp) > PKEY_MAX_SIGNATURE)
		return err_set(err, ERR_CERT_UNSUPPORTED, "signatures of this key are too long");
	if (pkey->type == KEY_ED25519 || pkey->type == KEY_RSA_PSS) {
		rc = sign_whole(pkey, data, len, sig, &size, err);
	} else {
		rc = digest_bytes(digest, data, len, hash, err);
		if (rc == RC_OK)
			rc = pkey_sign_hash(pkey, digest, hash, sig, &size, err);
	}
	return rc == RC_OK ? buf_append(out, sig, size, err) : rc;
}
