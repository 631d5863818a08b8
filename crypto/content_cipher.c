/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/content_cipher.h"

#include "crypto/openssl_glue.h"

#include <pthread.h>

static const struct {
	const char *name;
	enum oid oid;
	size_t key_size, iv_size;
	bool authenticated;
	const char *evp; /* OpenSSL's name */
} table[CIPHER_COUNT] = {
	[CIPHER_NONE] = {"unknown", OID_NONE, 0, 0, false, NULL},
	[CIPHER_3DES_CBC] = {"3des-cbc", OID_DES3_CBC, 24, 8, false, "DES-EDE3-CBC"},
	[CIPHER_AES128_CBC] = {"aes-128-cbc", OID_AES128_CBC, 16, 16, false, "AES-128-CBC"},
	[CIPHER_AES192_CBC] = {"aes-192-cbc", OID_AES192_CBC, 24, 16, false, "AES-192-CBC"},
	[CIPHER_AES256_CBC] = {"aes-256-cbc", OID_AES256_CBC, 32, 16, false, "AES-256-CBC"},
	[CIPHER_AES128_GCM] = {"aes-128-gcm", OID_AES128_GCM, 16, 12, true, "AES-128-GCM"},
	[CIPHER_AES192_GCM] = {"aes-192-gcm", OID_AES192_GCM, 24, 12, true, "AES-192-GCM"},
	[CIPHER_AES256_GCM] = {"aes-256-gcm", OID_AES256_GCM, 32, 12, true, "AES-256-GCM"},
};

const char *
content_cipher_name(enum content_cipher cipher)
{
	return table[cipher < CIPHER_COUNT ? cipher : CIPHER_NONE].name;
}

size_t
content_cipher_key_size(enum content_cipher cipher)
{
	return cipher < CIPHER_COUNT ? table[cipher].key_size : 0;
}

size_t
content_cipher_iv_size(enum content_cipher cipher)
{
	return cipher < CIPHER_COUNT ? table[cipher].iv_size : 0;
}

bool
content_cipher_is_authenticated(enum content_cipher cipher)
{
	return cipher < CIPHER_COUNT && table[cipher].authenticated;
}

static EVP_CIPHER *fetched[CIPHER_COUNT];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

/* Once, as for the digests. */
static void
fetch_all(void)
{
	for (int i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++)
		fetched[i] = EVP_CIPHER_fetch(NULL, table[i].evp, NULL);
	ossl_clear();
}

const EVP_CIPHER *
content_cipher_evp(enum content_cipher cipher)
{
	(void)pthread_once(&fetch_once, fetch_all);
	return cipher > CIPHER_NONE && cipher < CIPHER_COUNT ? fetched[cipher] : NULL;
}

enum oid
content_cipher_oid(enum content_cipher cipher)
{
	return cipher < CIPHER_COUNT ? table[cipher].oid : OID_NONE;
}

enum content_cipher
content_cipher_of(enum oid oid)
{
	for (int i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++) {
		if (table[i].oid == oid)
			return i;
	}
	return CIPHER_NONE;
}
