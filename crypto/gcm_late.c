/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/gcm_late.h"

#include "base/secret.h"
#include "crypto/openssl_glue.h"

#include <stdbool.h>
#include <string.h>

/*
 * The tag of GCM is E(K, J0) xor a polynomial in H = E(K, 0) over GF(2^128) (NIST SP 800-38D
 * section 6.4):
 *
 *     A_1 H^(m+n+1) + … + A_m H^(n+2)  +  C_1 H^(n+1) + … + C_n H^2  +  (len A || len C) H
 *
 * with m blocks of AAD and n of ciphertext. It is linear, and the terms of C do not depend on A. So
 * the tag with AAD and the tag without differ by exactly
 *
 *     (A_1 H^m + … + A_m H) H^(n+1)  +  (len A || 0) H
 *
 * which needs K, the AAD and the number n, not the ciphertext: the content can go through OpenSSL
 * in one pass without AAD, and the expected tag is corrected before the comparison, which stays
 * OpenSSL's. H is secret, so the multiplication has no branch or index that depends on it.
 */
struct gf {
	uint64_t hi, lo; /* bit 0 of the field is the top bit of hi */
};

static uint64_t
load64(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void
store64(unsigned char *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (unsigned char)v;
}

static struct gf
multiply(struct gf x, struct gf y)
{
	struct gf z = {0, 0};

	for (int i = 0; i < 128; i++) {
		uint64_t take = 0 - (x.hi >> 63), carry = 0 - (y.lo & 1);

		z.hi ^= y.hi & take;
		z.lo ^= y.lo & take;
		x.hi = x.hi << 1 | x.lo >> 63;
		x.lo <<= 1;
		y.lo = y.lo >> 1 | y.hi << 63;
		y.hi = y.hi >> 1 ^ (carry & 0xe100000000000000u);
	}
	return z;
}

/* H to the power of N, which is no secret. */
static struct gf
power(struct gf h, uint64_t n)
{
	struct gf result = {1ull << 63, 0};

	for (; n; n >>= 1) {
		if (n & 1)
			result = multiply(result, h);
		h = multiply(h, h);
	}
	return result;
}

/* H = E(K, 0) with AES in ECB mode. */
static enum rc
hash_key(const unsigned char *key, size_t key_len, struct gf *h, struct err *err)
{
	const EVP_CIPHER *cipher = key_len == 16   ? EVP_aes_128_ecb()
				   : key_len == 24 ? EVP_aes_192_ecb()
						   : EVP_aes_256_ecb();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char zero[16] = {0}, out[32];
	int n = 0;
	bool good = ctx && EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL) == 1 &&
		    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		    EVP_EncryptUpdate(ctx, out, &n, zero, sizeof zero) == 1 && n == 16;

	EVP_CIPHER_CTX_free(ctx);
	if (!good)
		return ossl_err(err, ERR_CRYPTO, "AES for GCM");
	*h = (struct gf){load64(out), load64(out + 8)};
	secret_wipe(out, sizeof out);
	return RC_OK;
}

enum rc
gcm_late_tag(const unsigned char *key, size_t key_len, uint64_t ciphertext_len, const void *aad,
	size_t aad_len, unsigned char *tag, size_t tag_len, struct err *err)
{
	const unsigned char *p = aad;
	struct gf h, y = {0, 0}, bits;
	unsigned char block[16];
	enum rc rc = hash_key(key, key_len, &h, err);

	if (rc != RC_OK)
		return rc;
	for (size_t at = 0; at < aad_len; at += 16) {
		size_t n = aad_len - at < 16 ? aad_len - at : 16;

		memset(block, 0, sizeof block);
		memcpy(block, p + at, n);
		y.hi ^= load64(block);
		y.lo ^= load64(block + 8);
		y = multiply(y, h);
	}
	y = multiply(y, power(h, (ciphertext_len + 15) / 16 + 1));
	bits = multiply((struct gf){(uint64_t)aad_len * 8, 0}, h);
	store64(block, y.hi ^ bits.hi);
	store64(block + 8, y.lo ^ bits.lo);
	for (size_t i = 0; i < tag_len && i < sizeof block; i++)
		tag[i] ^= block[i];
	secret_wipe(&h, sizeof h);
	secret_wipe(&y, sizeof y);
	secret_wipe(block, sizeof block);
	return RC_OK;
}
