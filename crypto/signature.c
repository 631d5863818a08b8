/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/signature.h"

#include "crypto/openssl_glue.h"

#include <openssl/rsa.h>

static const struct {
	enum oid oid;
	enum signature_family family;
	enum digest digest; /* DIGEST_NONE: that of the content */
} algorithms[] = {
	{OID_RSA, FAMILY_RSA, DIGEST_NONE},
	{OID_RSA_MD5, FAMILY_RSA, DIGEST_MD5},
	{OID_RSA_SHA1, FAMILY_RSA, DIGEST_SHA1},
	{OID_RSA_SHA1_OIW, FAMILY_RSA, DIGEST_SHA1},
	{OID_RSA_SHA224, FAMILY_RSA, DIGEST_SHA224},
	{OID_RSA_SHA256, FAMILY_RSA, DIGEST_SHA256},
	{OID_RSA_SHA384, FAMILY_RSA, DIGEST_SHA384},
	{OID_RSA_SHA512, FAMILY_RSA, DIGEST_SHA512},
	{OID_RSA_PSS, FAMILY_PSS, DIGEST_NONE},
	{OID_DSA, FAMILY_DSA, DIGEST_NONE},
	{OID_DSA_SHA1, FAMILY_DSA, DIGEST_SHA1},
	{OID_DSA_SHA224, FAMILY_DSA, DIGEST_SHA224},
	{OID_DSA_SHA256, FAMILY_DSA, DIGEST_SHA256},
	{OID_EC, FAMILY_ECDSA, DIGEST_NONE},
	{OID_ECDSA_SHA1, FAMILY_ECDSA, DIGEST_SHA1},
	{OID_ECDSA_SHA224, FAMILY_ECDSA, DIGEST_SHA224},
	{OID_ECDSA_SHA256, FAMILY_ECDSA, DIGEST_SHA256},
	{OID_ECDSA_SHA384, FAMILY_ECDSA, DIGEST_SHA384},
	{OID_ECDSA_SHA512, FAMILY_ECDSA, DIGEST_SHA512},
	{OID_ED25519, FAMILY_ED25519, DIGEST_SHA512},
};

#define N_ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

/* RSASSA-PSS-params (RFC 4055): what is left out is SHA-1, MGF1 with SHA-1, a salt of 20 bytes. */
static bool
parse_pss(struct der params, struct signature_scheme *scheme)
{
	struct der_item seq, part;
	struct der inner;
	enum oid oid;
	int trailer = 1;

	scheme->digest = scheme->mgf1 = DIGEST_SHA1;
	scheme->salt_len = 20;
	if (!der_take(&params, DER_SEQUENCE, &seq) || !der_done(&params))
		return false;
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &inner) || !der_no_params(&inner))
			return false;
		scheme->digest = oid_digest(oid);
	}
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 1, &part)) {
		if (!der_take_algorithm(&part.body, &oid, &params) || oid != OID_MGF1 ||
			!der_take_algorithm(&params, &oid, &inner) || !der_no_params(&inner))
			return false;
		scheme->mgf1 = oid_digest(oid);
	}
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 2, &part) &&
		(!der_take_int(&part.body, &scheme->salt_len) || !der_done(&part.body)))
		return false;
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 3, &part) &&
		!der_take_int(&part.body, &trailer))
		return false;
	return der_done(&seq.body) && trailer == 1 && scheme->salt_len >= 0 &&
	       scheme->digest != DIGEST_NONE && scheme->mgf1 != DIGEST_NONE;
}

bool
signature_find_scheme(
	enum oid algorithm, struct der params, enum digest digest, struct signature_scheme *scheme)
{
	size_t i = 0;

	while (i < N_ALGORITHMS && algorithms[i].oid != algorithm)
		i++;
	if (i == N_ALGORITHMS)
		return false;
	*scheme = (struct signature_scheme){
		.family = algorithms[i].family, .digest = algorithms[i].digest};
	if (scheme->family == FAMILY_PSS)
		return parse_pss(params, scheme);
	if (scheme->digest == DIGEST_NONE)
		scheme->digest = digest;
	return true;
}

bool
signature_fits(const struct signature_scheme *scheme, const EVP_PKEY *key)
{
	switch (scheme->family) {
	case FAMILY_RSA:
		return EVP_PKEY_is_a(key, "RSA");
	case FAMILY_PSS:
		return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS");
	case FAMILY_DSA:
		return EVP_PKEY_is_a(key, "DSA");
	case FAMILY_ECDSA:
		return EVP_PKEY_is_a(key, "EC");
	case FAMILY_ED25519:
		return EVP_PKEY_is_a(key, "ED25519");
	}
	return false;
}

bool
signature_verify_bytes(struct der signature, struct der bytes, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, signature.p, signature.len, bytes.p, bytes.len) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

bool
signature_verify_digest(const struct signature_scheme *scheme, struct der signature,
	const unsigned char *value, EVP_PKEY *key)
{
	const EVP_MD *md = digest_evp(scheme->digest);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool good = ctx && EVP_PKEY_verify_init(ctx) == 1;

	if (good && scheme->family == FAMILY_PSS)
		good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_evp(scheme->mgf1)) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, scheme->salt_len) == 1;
	else if (good)
		good = EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
	good = good && EVP_PKEY_verify(ctx, signature.p, signature.len, value,
			       digest_size(scheme->digest)) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

bool
signature_verify(const struct signature_scheme *scheme, struct der signature, struct der bytes,
	EVP_PKEY *key)
{
	unsigned char value[DIGEST_MAX_SIZE];

	if (scheme->family == FAMILY_ED25519)
		return signature_verify_bytes(signature, bytes, key);
	return digest_evp(scheme->digest) &&
	       digest_bytes(scheme->digest, bytes.p, bytes.len, value, NULL) == RC_OK &&
	       signature_verify_digest(scheme, signature, value, key);
}
