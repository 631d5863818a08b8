/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/wrap.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "crypto/mac.h"
#include "crypto/openssl_glue.h"

#include <stdlib.h>
#include <string.h>

#define WRAP_VERSION 1
#define NONCE_SIZE   12
#define TAG_SIZE     16

struct keyring {
	int refs;
	struct secret *wrap;
	struct secret *mac;
};

/* HKDF-SHA-256 without salt: the master key is uniform already. */
static enum rc
derive(struct secret *master, const char *label, struct secret **out, struct err *err)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[4];
	enum rc rc;

	EVP_KDF_free(kdf);
	if (!ctx)
		return ossl_err(err, ERR_CRYPTO, "HKDF");
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0);
	params[1] = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, secret_data(master), secret_len(master));
	params[2] = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)label, strlen(label));
	params[3] = OSSL_PARAM_construct_end();
	rc = secret_new(32, out, err);
	if (!rc && EVP_KDF_derive(ctx, secret_data(*out), 32, params) != 1) {
		secret_free(out);
		rc = ossl_err(err, ERR_CRYPTO, "HKDF");
	}
	EVP_KDF_CTX_free(ctx);
	return rc;
}

enum rc
keyring_new(struct secret *master, struct keyring **out, struct err *err)
{
	struct keyring *keyring;
	enum rc rc;

	*out = NULL;
	if (secret_len(master) != MASTER_SIZE)
		return err_set(err, ERR_KEYSTORE, "a master key of %zu bytes", secret_len(master));
	keyring = calloc(1, sizeof(*keyring));
	if (!keyring)
		return err_set(err, ERR_MEMORY, "keyring");
	keyring->refs = 1;
	rc = derive(master, "sealgate wrap 1", &keyring->wrap, err);
	if (!rc)
		rc = derive(master, "sealgate rows 1", &keyring->mac, err);
	if (rc)
		keyring_free(&keyring);
	*out = keyring;
	return rc;
}

struct keyring *
keyring_ref(struct keyring *keyring)
{
	__atomic_add_fetch(&keyring->refs, 1, __ATOMIC_RELAXED);
	return keyring;
}

void
keyring_free(struct keyring **keyring)
{
	struct keyring *k = *keyring;

	*keyring = NULL;
	if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	secret_free(&k->wrap);
	secret_free(&k->mac);
	free(k);
}

struct gcm {
	bool encrypt;
	struct secret *key;
	const unsigned char *nonce;
	const void *aad;
	size_t aad_len;
	unsigned char *tag; /* written when encrypting, else compared */
};

/* One AES-256-GCM pass; IN and OUT may be of length 0. */
static bool
gcm(EVP_CIPHER_CTX *ctx, const struct gcm *g, const unsigned char *in, size_t len,
	unsigned char *out)
{
	int n;

	if (EVP_CipherInit_ex(
		    ctx, EVP_aes_256_gcm(), NULL, secret_data(g->key), g->nonce, g->encrypt) != 1 ||
		EVP_CipherUpdate(ctx, NULL, &n, g->aad, (int)g->aad_len) != 1 ||
		EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1 || (size_t)n != len)
		return false;
	if (!g->encrypt && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, g->tag) != 1)
		return false;
	if (EVP_CipherFinal_ex(ctx, out + len, &n) != 1)
		return false;
	return !g->encrypt ||
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, g->tag) == 1;
}

enum rc
keyring_wrap(const struct keyring *keyring, const void *aad, size_t aad_len, struct secret *plain,
	struct buf *out, struct err *err)
{
	size_t len = secret_len(plain), at = out->len;
	unsigned char *p;
	EVP_CIPHER_CTX *ctx;
	struct gcm g = {true, keyring->wrap, NULL, aad, aad_len, NULL};
	enum rc rc = buf_reserve(out, len + WRAP_OVERHEAD, err);

	if (rc)
		return rc;
	p = (unsigned char *)out->data + at;
	p[0] = WRAP_VERSION;
	rc = random_bytes(p + 1, NONCE_SIZE, err);
	if (rc)
		return rc;
	g.nonce = p + 1;
	g.tag = p + 1 + NONCE_SIZE + len;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx || !gcm(ctx, &g, secret_data(plain), len, p + 1 + NONCE_SIZE))
		rc = ossl_err(err, ERR_CRYPTO, "wrapping a secret");
	else
		out->len = at + len + WRAP_OVERHEAD;
	out->data[out->len] = 0;
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

enum rc
keyring_unwrap(const struct keyring *keyring, const void *aad, size_t aad_len, const void *wrapped,
	size_t len, struct secret **out, struct err *err)
{
	const unsigned char *p = wrapped;
	unsigned char tag[TAG_SIZE];
	struct gcm g = {false, keyring->wrap, p + 1, aad, aad_len, tag};
	EVP_CIPHER_CTX *ctx;
	size_t plain;
	enum rc rc;

	*out = NULL;
	if (len < WRAP_OVERHEAD || p[0] != WRAP_VERSION)
		return err_set(err, ERR_KEYSTORE_TAMPERED, "a wrapped secret of %zu bytes", len);
	plain = len - WRAP_OVERHEAD;
	rc = secret_new(plain, out, err);
	if (rc)
		return rc;
	memcpy(tag, p + len - TAG_SIZE, TAG_SIZE);
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx) {
		rc = ossl_err(err, ERR_CRYPTO, "unwrapping a secret");
	} else if (!gcm(ctx, &g, p + 1 + NONCE_SIZE, plain, secret_data(*out))) {
		ossl_clear();
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "a wrapped secret does not open");
	}
	EVP_CIPHER_CTX_free(ctx);
	if (rc)
		secret_free(out);
	return rc;
}

enum rc
keyring_mac(const struct keyring *keyring, const void *data, size_t len,
	unsigned char out[WRAP_MAC_SIZE], struct err *err)
{
	return mac_bytes(secret_data(keyring->mac), secret_len(keyring->mac), data, len, out, err);
}
