/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ecdh.h"

#include "base/secret.h"

#include <string.h>

#define MAX_SECRET ECDH_MAX_SECRET
#define MAX_KEK    32

/* Standard and cofactor agreement are the same on these curves: their cofactor is 1. */
static const struct {
	enum oid oid;
	enum digest kdf;
} schemes[] = {
	{OID_STD_DH_SHA1, DIGEST_SHA1},
	{OID_STD_DH_SHA224, DIGEST_SHA224},
	{OID_STD_DH_SHA256, DIGEST_SHA256},
	{OID_STD_DH_SHA384, DIGEST_SHA384},
	{OID_STD_DH_SHA512, DIGEST_SHA512},
	{OID_COFACTOR_DH_SHA1, DIGEST_SHA1},
	{OID_COFACTOR_DH_SHA224, DIGEST_SHA224},
	{OID_COFACTOR_DH_SHA256, DIGEST_SHA256},
	{OID_COFACTOR_DH_SHA384, DIGEST_SHA384},
	{OID_COFACTOR_DH_SHA512, DIGEST_SHA512},
};

enum digest
ecdh_kdf_of(enum oid scheme)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		if (schemes[i].oid == scheme)
			return schemes[i].kdf;
	}
	return DIGEST_NONE;
}

static const struct {
	enum oid oid;
	size_t kek_size, overhead;
	const EVP_CIPHER *(*evp)(void);
} wraps[] = {
	{OID_DES3_WRAP, 24, 16, EVP_des_ede3_wrap}, /* reading only */
	{OID_AES128_WRAP, 16, 8, EVP_aes_128_wrap},
	{OID_AES192_WRAP, 24, 8, EVP_aes_192_wrap},
	{OID_AES256_WRAP, 32, 8, EVP_aes_256_wrap},
};

#define N_WRAPS (sizeof wraps / sizeof wraps[0])

/* Its row, N_WRAPS when there is none. */
static size_t
wrap_row(enum oid wrap)
{
	size_t i = 0;

	while (i < N_WRAPS && wraps[i].oid != wrap)
		i++;
	return i;
}

static size_t
kek_size(enum oid wrap)
{
	size_t row = wrap_row(wrap);

	return row < N_WRAPS ? wraps[row].kek_size : 0;
}

size_t
ecdh_wrapped_size(enum oid wrap, size_t key_len)
{
	size_t row = wrap_row(wrap);

	return row < N_WRAPS ? key_len + wraps[row].overhead : 0;
}

bool
ecdh_is_wrap(enum oid wrap)
{
	return kek_size(wrap) != 0;
}

EVP_PKEY *
ecdh_peer(EVP_PKEY *key, const unsigned char *point, size_t len)
{
	EVP_PKEY *peer = EVP_PKEY_new();

	/* One byte would be the point at infinity. */
	if (peer && len > 1 && EVP_PKEY_copy_parameters(peer, key) == 1 &&
		EVP_PKEY_set1_encoded_public_key(peer, point, len) == 1)
		return peer;
	EVP_PKEY_free(peer);
	return NULL;
}

/*
 * The shared secret. The peer's point was found to be on the curve when it was decoded; with
 * cofactor 1 that is all there is to check, so OpenSSL's second validation, a whole multiplication,
 * is left out.
 */
static bool
derive(EVP_PKEY *key, EVP_PKEY *peer, unsigned char z[MAX_SECRET], size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool good;

	*len = MAX_SECRET;
	good = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
	       EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 && EVP_PKEY_derive(ctx, z, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* ECC-CMS-SharedInfo (RFC 5753 section 7.2). */
static enum rc
shared_info(const struct ecdh *ecdh, struct der_out *w)
{
	size_t bits = kek_size(ecdh->wrap) * 8, all = der_begin(w), part;
	unsigned char supp[4] = {0, 0, (unsigned char)(bits >> 8), (unsigned char)bits};

	der_put_raw(w, ecdh->wrap_info.p, ecdh->wrap_info.len);
	if (ecdh->ukm.p) {
		part = der_begin(w);
		der_put(w, DER_OCTETS, ecdh->ukm.p, ecdh->ukm.len);
		der_end(w, part, DER_CONTEXT_CONSTRUCTED);
	}
	part = der_begin(w);
	der_put(w, DER_OCTETS, supp, sizeof supp);
	der_end(w, part, DER_CONTEXT_CONSTRUCTED | 2);
	der_end(w, all, DER_SEQUENCE);
	return w->rc;
}

/* ANSI X9.63 KDF: H(Z || counter || info), as often as needed. */
static bool
kdf(enum digest digest, const unsigned char *z, size_t z_len, const struct buf *info,
	unsigned char *out, size_t out_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char block[EVP_MAX_MD_SIZE];
	size_t done = 0, n;
	bool good = ctx != NULL;

	for (unsigned char counter = 1; good && done < out_len; counter++) {
		unsigned char be[4] = {0, 0, 0, counter};

		good = EVP_DigestInit_ex2(ctx, digest_evp(digest), NULL) == 1 &&
		       EVP_DigestUpdate(ctx, z, z_len) == 1 &&
		       EVP_DigestUpdate(ctx, be, sizeof be) == 1 &&
		       EVP_DigestUpdate(ctx, info->data, info->len) == 1 &&
		       EVP_DigestFinal_ex(ctx, block, NULL) == 1;
		n = digest_size(digest);
		n = n < out_len - done ? n : out_len - done;
		if (good)
			memcpy(out + done, block, n);
		done += n;
	}
	EVP_MD_CTX_free(ctx);
	secret_wipe(block, sizeof block);
	return good;
}

/* The key-encryption key from a shared secret. */
static bool
kek_of(const struct ecdh *ecdh, const unsigned char *z, size_t z_len, unsigned char kek[MAX_KEK])
{
	struct der_out info;
	bool good;

	der_out_init(&info, 65536, NULL);
	good = shared_info(ecdh, &info) == RC_OK &&
	       kdf(ecdh->kdf, z, z_len, &info.buf, kek, kek_size(ecdh->wrap));
	der_out_fini(&info);
	return good;
}

/* The key-encryption key between two keys. */
static bool
make_kek(const struct ecdh *ecdh, EVP_PKEY *key, EVP_PKEY *peer, unsigned char kek[MAX_KEK])
{
	unsigned char z[MAX_SECRET];
	size_t z_len;
	bool good = digest_evp(ecdh->kdf) && derive(key, peer, z, &z_len) &&
		    kek_of(ecdh, z, z_len, kek);

	secret_wipe(z, sizeof z);
	return good;
}

/* Key wrap (RFC 3394; for 3DES RFC 3217), either way. */
static bool
wrap_cipher(enum oid wrap, const unsigned char *kek, bool seal, const unsigned char *in,
	size_t in_len, unsigned char *out)
{
	size_t row = wrap_row(wrap), want;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	bool good = false;

	want = seal ? in_len + wraps[row].overhead : in_len - wraps[row].overhead;
	if (ctx) {
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
		good = EVP_CipherInit_ex(ctx, wraps[row].evp(), NULL, kek, NULL, seal) == 1 &&
		       EVP_CipherUpdate(ctx, out, &n, in, (int)in_len) == 1 && n == (int)want;
	}
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

bool
ecdh_wrap(const struct ecdh *ecdh, EVP_PKEY *key, EVP_PKEY *peer, const unsigned char *in,
	size_t in_len, unsigned char *out)
{
	unsigned char kek[MAX_KEK];
	bool good = in_len >= 16 && in_len <= 32 && in_len % 8 == 0 &&
		    make_kek(ecdh, key, peer, kek) &&
		    wrap_cipher(ecdh->wrap, kek, true, in, in_len, out);

	secret_wipe(kek, sizeof kek);
	return good;
}

bool
ecdh_unwrap(const struct ecdh *ecdh, EVP_PKEY *key, EVP_PKEY *peer, const unsigned char *in,
	size_t in_len, unsigned char *out)
{
	unsigned char kek[MAX_KEK];
	bool good = ecdh_is_wrap(ecdh->wrap) && in_len >= 24 && in_len <= ECDH_MAX_WRAPPED &&
		    in_len % 8 == 0 && make_kek(ecdh, key, peer, kek) &&
		    wrap_cipher(ecdh->wrap, kek, false, in, in_len, out);

	secret_wipe(kek, sizeof kek);
	return good;
}

bool
ecdh_unwrap_secret(const struct ecdh *ecdh, const unsigned char *z, size_t z_len,
	const unsigned char *in, size_t in_len, unsigned char *out)
{
	unsigned char kek[MAX_KEK];
	bool good = ecdh_is_wrap(ecdh->wrap) && in_len >= 24 && in_len <= ECDH_MAX_WRAPPED &&
		    in_len % 8 == 0 && digest_evp(ecdh->kdf) && kek_of(ecdh, z, z_len, kek) &&
		    wrap_cipher(ecdh->wrap, kek, false, in, in_len, out);

	secret_wipe(kek, sizeof kek);
	return good;
}
