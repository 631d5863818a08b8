/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/content_cipher.h"

static const struct {
	const char *name;
	enum oid oid;
	size_t key_size, iv_size;
	bool authenticated;
	const EVP_CIPHER *(*evp)(void);
} table[CIPHER_COUNT] = {
	[CIPHER_NONE] = {"unknown", OID_NONE, 0, 0, false, NULL},
	[CIPHER_3DES_CBC] = {"3des-cbc", OID_DES3_CBC, 24, 8, false, EVP_des_ede3_cbc},
	[CIPHER_AES128_CBC] = {"aes-128-cbc", OID_AES128_CBC, 16, 16, false, EVP_aes_128_cbc},
	[CIPHER_AES192_CBC] = {"aes-192-cbc", OID_AES192_CBC, 24, 16, false, EVP_aes_192_cbc},
	[CIPHER_AES256_CBC] = {"aes-256-cbc", OID_AES256_CBC, 32, 16, false, EVP_aes_256_cbc},
	[CIPHER_AES128_GCM] = {"aes-128-gcm", OID_AES128_GCM, 16, 12, true, EVP_aes_128_gcm},
	[CIPHER_AES192_GCM] = {"aes-192-gcm", OID_AES192_GCM, 24, 12, true, EVP_aes_192_gcm},
	[CIPHER_AES256_GCM] = {"aes-256-gcm", OID_AES256_GCM, 32, 12, true, EVP_aes_256_gcm},
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

const EVP_CIPHER *
content_cipher_evp(enum content_cipher cipher)
{
	return cipher > CIPHER_NONE && cipher < CIPHER_COUNT ? table[cipher].evp() : NULL;
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
