/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/mac.h"

#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/openssl_glue.h"

#include <openssl/evp.h>

#include <stdbool.h>
#include <string.h>

#define BLOCK 64

/* SHA-256 over the key's block, each byte with PAD, and the data. */
static bool
hash_padded(EVP_MD_CTX *ctx, const unsigned char key[BLOCK], unsigned char pad, const void *data,
	size_t len, unsigned char out[MAC_SIZE])
{
	unsigned char block[BLOCK];
	bool done;

	for (size_t i = 0; i < BLOCK; i++)
		block[i] = key[i] ^ pad;
	done = EVP_DigestInit_ex(ctx, digest_evp(DIGEST_SHA256), NULL) == 1 &&
	       EVP_DigestUpdate(ctx, block, BLOCK) == 1 && EVP_DigestUpdate(ctx, data, len) == 1 &&
	       EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	secret_wipe(block, BLOCK);
	return done;
}

/* OpenSSL's own function fetches the algorithms each time, which takes longer than a short MAC. */
enum rc
mac_bytes(const void *key, size_t key_len, const void *data, size_t len,
	unsigned char out[MAC_SIZE], struct err *err)
{
	unsigned char block[BLOCK] = {0}, inner[MAC_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum rc rc = ctx ? RC_OK : err_set(err, ERR_MEMORY, "HMAC");

	if (rc == RC_OK && key_len > BLOCK)
		rc = digest_bytes(DIGEST_SHA256, key, key_len, block, err);
	else if (rc == RC_OK && key_len > 0)
		memcpy(block, key, key_len);
	if (rc == RC_OK && (!hash_padded(ctx, block, 0x36, data, len, inner) ||
				   !hash_padded(ctx, block, 0x5c, inner, MAC_SIZE, out)))
		rc = ossl_err(err, ERR_CRYPTO, "HMAC");
	secret_wipe(block, sizeof(block));
	secret_wipe(inner, sizeof(inner));
	EVP_MD_CTX_free(ctx);
	return rc;
}
