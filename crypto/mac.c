/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/mac.h"

#include "crypto/openssl_glue.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum rc
mac_bytes(const void *key, size_t key_len, const void *data, size_t len,
	unsigned char out[MAC_SIZE], struct err *err)
{
	unsigned n = MAC_SIZE;

	if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &n) || n != MAC_SIZE)
		return ossl_err(err, ERR_CRYPTO, "HMAC");
	return RC_OK;
}
