/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pkey_private.h"

#include "crypto/openssl_glue.h"
#include "crypto/token_key.h"

#include <openssl/rsa.h>

#include <stdlib.h>
#include <string.h>

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

/*
 * OpenSSL keeps with an RSA key a pair of numbers that hide what the key works on from whoever
 * measures time, and makes a new pair at every 32nd use. Memory that is refused just then leaves a
 * pair that does not belong together: this use and the next 31, in whichever thread, give wrong
 * numbers and are called good (3.0.22). So once memory was refused, what an RSA key gave is held
 * against its public half, and a wrong one is made anew, until there is a new pair.
 */
#define TRIES 33

static bool
must_check(const struct pkey *pkey)
{
	return (pkey->type == KEY_RSA || pkey->type == KEY_RSA_PSS) && ossl_was_refused();
}

static enum rc
never_right(const struct pkey *pkey, struct err *err)
{
	return ossl_err(
		err, ERR_CRYPTO, "what a key of type %s gives is wrong", key_type_name(pkey->type));
}

/* Does OUT, made from DATA, give DATA with the public half again? */
static bool
raw_holds(const struct pkey *pkey, const void *data, size_t len, const unsigned char *out,
	size_t out_len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey->evp, NULL);
	unsigned char again[PKEY_MAX_SIGNATURE];
	size_t n = sizeof again;
	bool good = ctx && len <= out_len && EVP_PKEY_encrypt_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
		    EVP_PKEY_encrypt(ctx, again, &n, out, out_len) == 1 && n == out_len &&
		    memcmp(again + (n - len), data, len) == 0;

	for (size_t i = 0; good && i < n - len; i++)
		good = again[i] == 0;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* The operation once. */
static bool
raw_once(const struct pkey *pkey, const void *data, size_t len, unsigned char *out, size_t *out_len)
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
pkey_raw_rsa(const struct pkey *pkey, const void *data, size_t len, unsigned char *out,
	size_t *out_len, bool *good, struct err *err)
{
	unsigned refusals = ossl_refusals();
	size_t size = *out_len;

	for (int i = 0; i < TRIES; i++) {
		*out_len = size;
		*good = raw_once(pkey, data, len, out, out_len);
		if (!*good && ossl_refusals() != refusals)
			return err_set(err, ERR_MEMORY, "an RSA key's use");
		if (!*good || !must_check(pkey) || raw_holds(pkey, data, len, out, *out_len))
			return RC_OK;
	}
	*good = false;
	return never_right(pkey, err);
}

static bool
hash_holds(const struct pkey *pkey, enum digest digest, const unsigned char *hash,
	const unsigned char *sig, size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey->evp, NULL);
	bool good = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(ctx, digest_evp(digest)) == 1 &&
		    EVP_PKEY_verify(ctx, sig, len, hash, digest_size(digest)) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* The signature once. */
static enum rc
sign_once(const struct pkey *pkey, enum digest digest, const unsigned char *hash,
	unsigned char *sig, size_t *len, struct err *err)
{
	bool usual = digest == pkey_usual_digest(pkey->type);
	EVP_PKEY_CTX *ctx = usual ? take(keeper(pkey)->sign) : NULL;
	unsigned refusals = ossl_refusals();
	size_t room = *len;
	bool done;

	if (!ctx)
		ctx = new_context(pkey, digest);
	/* ECDSA's last step may fail, and the length be -1, while all is said to be done. */
	done = ctx && EVP_PKEY_sign(ctx, sig, len, hash, digest_size(digest)) == 1 && *len <= room;
	if (ossl_refusals() != refusals) {
		EVP_PKEY_CTX_free(ctx);
		ossl_clear();
		return err_set(err, ERR_MEMORY, "a signature");
	}
	if (!done) {
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

enum rc
pkey_sign_hash(const struct pkey *pkey, enum digest digest, const unsigned char *hash,
	unsigned char *sig, size_t *len, struct err *err)
{
	size_t size = *len;
	enum rc rc;

	if (pkey->token)
		return token_key_sign(pkey, false, digest, hash, sig, len, err);
	for (int i = 0; i < TRIES; i++) {
		*len = size;
		rc = sign_once(pkey, digest, hash, sig, len, err);
		if (rc || !must_check(pkey) || hash_holds(pkey, digest, hash, sig, *len))
			return rc;
	}
	return never_right(pkey, err);
}

/* A context for a whole text, to sign or to check. */
static EVP_MD_CTX *
text_context(const struct pkey *pkey, const struct pkey_pss *pss, bool sign)
{
	const EVP_MD *md = digest_evp(pss ? pss->digest : pkey_usual_digest(pkey->type));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* borrowed from ctx */
	bool good = ctx && (sign ? EVP_DigestSignInit(ctx, &pctx, md, NULL, pkey->evp)
				 : EVP_DigestVerifyInit(ctx, &pctx, md, NULL, pkey->evp)) == 1;

	if (good && pss)
		good = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, md) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	if (good)
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

static bool
text_holds(const struct pkey *pkey, const struct pkey_pss *pss, const void *data, size_t len,
	const unsigned char *sig, size_t size)
{
	EVP_MD_CTX *ctx = text_context(pkey, pss, false);
	bool good = ctx && EVP_DigestVerify(ctx, sig, size, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

enum rc
pkey_sign_text(const struct pkey *pkey, const struct pkey_pss *pss, const void *data, size_t len,
	unsigned char *sig, size_t *size, struct err *err)
{
	size_t room = *size;

	for (int i = 0; i < TRIES; i++) {
		EVP_MD_CTX *ctx = text_context(pkey, pss, true);
		bool good;

		*size = room;
		good = ctx && EVP_DigestSign(ctx, sig, size, data, len) == 1 && *size <= room;
		EVP_MD_CTX_free(ctx);
		if (!good)
			return ossl_err(err, ERR_CRYPTO, "signing with a key of type %s",
				key_type_name(pkey->type));
		if (!must_check(pkey) || text_holds(pkey, pss, data, len, sig, *size))
			return RC_OK;
	}
	return never_right(pkey, err);
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
		rc = pkey_sign_text(pkey, NULL, data, len, sig, &size, err);
	} else {
		rc = digest_bytes(digest, data, len, hash, err);
		if (rc == RC_OK)
			rc = pkey_sign_hash(pkey, digest, hash, sig, &size, err);
	}
	return rc == RC_OK ? buf_append(out, sig, size, err) : rc;
}
