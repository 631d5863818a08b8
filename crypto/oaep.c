/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/oaep.h"

#include "base/secret.h"
#include "crypto/openssl_glue.h"

/* 0xff when X is 0, else 0. */
static unsigned char
is_zero(unsigned x)
{
	return (unsigned char)((x - 1u) >> 24 & ~(x >> 24));
}

/* MGF1 (RFC 8017 appendix B.2.1): OUT is XORed with the mask from SEED. */
static bool
mgf1_xor(enum digest digest, const unsigned char *seed, size_t seed_len, unsigned char *out,
	size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char block[EVP_MAX_MD_SIZE];
	bool good = ctx != NULL;

	for (unsigned counter = 0; good && len; counter++) {
		unsigned char be[4] = {0, 0, (unsigned char)(counter >> 8), (unsigned char)counter};
		size_t n = digest_size(digest) < len ? digest_size(digest) : len;

		good = EVP_DigestInit_ex2(ctx, digest_evp(digest), NULL) == 1 &&
		       EVP_DigestUpdate(ctx, seed, seed_len) == 1 &&
		       EVP_DigestUpdate(ctx, be, sizeof be) == 1 &&
		       EVP_DigestFinal_ex(ctx, block, NULL) == 1;
		for (size_t i = 0; good && i < n; i++)
			out[i] ^= block[i];
		out += n;
		len -= n;
	}
	EVP_MD_CTX_free(ctx);
	secret_wipe(block, sizeof block);
	return good;
}

bool
oaep_open(const struct oaep *params, unsigned char *em, size_t size, size_t len,
	const unsigned char **data, unsigned char *mask)
{
	size_t h = digest_size(params->md), db_len, at;
	unsigned char hash[DIGEST_MAX_SIZE], bad, *db = em + 1 + h;

	*mask = 0;
	*data = em;
	if (h == 0 || size < 2 * h + 2 + len)
		return false;
	db_len = size - h - 1;
	if (digest_bytes(params->md, params->label, params->label_len, hash, NULL) ||
		!mgf1_xor(params->mgf, db, db_len, em + 1, h) ||
		!mgf1_xor(params->mgf, em + 1, h, db, db_len))
		return false;
	at = db_len - len - 1;
	bad = (unsigned char)(em[0] | (db[at] ^ 1));
	for (size_t i = 0; i < h; i++)
		bad |= (unsigned char)(db[i] ^ hash[i]);
	for (size_t i = h; i < at; i++)
		bad |= db[i];
	*data = db + at + 1;
	*mask = is_zero(bad);
	return true;
}
