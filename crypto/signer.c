/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/signer.h"

#include "crypto/openssl_glue.h"

#include <openssl/rsa.h>

#include <string.h>
#include <time.h>

#define MIN_RSA_BITS 2048
#define MIN_EC_BITS  224

/*
 * Unsigned attributes say nothing, except that some must not be among them (RFC 5652 sections 11.1
 * to 11.3): whoever reads them there believes what nobody signed.
 */
static bool
take_unsigned(struct der list, bool *misplaced)
{
	struct der_item attribute, values;
	enum oid oid;

	for (unsigned n = 0; !der_done(&list); n++) {
		if (n == SIGNER_MAX_ATTRIBUTES || !der_take(&list, DER_SEQUENCE, &attribute) ||
			!der_take_oid(&attribute.body, &oid) ||
			!der_take(&attribute.body, DER_SET, &values) || !der_done(&attribute.body))
			return false;
		if (oid == OID_CONTENT_TYPE || oid == OID_MESSAGE_DIGEST || oid == OID_SIGNING_TIME)
			*misplaced = true;
	}
	return true;
}

bool
signer_take(struct der *in, struct signer *s)
{
	struct der_item info, id, name, item;
	struct der params;
	enum oid oid;
	int version;

	memset(s, 0, sizeof *s);
	if (!der_take(in, DER_SEQUENCE, &info) || !der_take_int(&info.body, &version))
		return false;
	if (der_take(&info.body, DER_SEQUENCE, &id)) {
		if (!der_take(&id.body, DER_SEQUENCE, &name) ||
			!der_take(&id.body, DER_INTEGER, &item) || !der_done(&id.body))
			return false;
		s->issuer = name.whole;
		s->serial = item.body;
	} else if (der_take(&info.body, DER_CONTEXT, &id)) {
		s->ski = id.body;
	} else {
		return false;
	}
	if (!der_take_algorithm(&info.body, &oid, &params))
		return false;
	s->digest = der_no_params(&params) ? oid_digest(oid) : DIGEST_NONE;
	if (der_take(&info.body, DER_CONTEXT_CONSTRUCTED, &item)) {
		s->has_attributes = true;
		s->attributes = item.whole;
		/* The bytes are ours; RFC 5652 section 5.4 signs them as a SET OF. */
		*(unsigned char *)(uintptr_t)item.whole.p = DER_SET;
	}
	if (!der_take_algorithm(&info.body, &s->algorithm, &s->params) ||
		!der_take(&info.body, DER_OCTETS, &item))
		return false;
	s->signature = item.body;
	if (der_take(&info.body, DER_CONTEXT_CONSTRUCTED | 1, &item) &&
		!take_unsigned(item.body, &s->misplaced))
		return false;
	return der_done(&info.body);
}

bool
signer_is(const struct signer *s, const struct cert *cert)
{
	struct der issuer, serial, ski;

	if (!s->issuer.p) {
		ski.p = cert_ski(cert, &ski.len);
		return s->ski.len && der_equal(&ski, &s->ski);
	}
	issuer.p = cert_issuer_der(cert, &issuer.len);
	serial.p = cert_serial_bytes(cert, &serial.len);
	return der_equal(&serial, &s->serial) && der_equal(&issuer, &s->issuer);
}

/* --- attributes --- */

/* UTCTime or GeneralizedTime as RFC 5652 section 11.3 writes them. */
static bool
parse_time(const struct der_item *value, int64_t *seconds)
{
	char text[16];
	size_t n = value->body.len;
	struct tm tm = {0};
	const char *rest;

	if (value->tag == DER_UTC_TIME && n == 13) {
		/* 50 to 99 are of the last century. */
		memcpy(text, value->body.p[0] >= '5' ? "19" : "20", 2);
		memcpy(text + 2, value->body.p, n);
	} else if (value->tag == DER_GENERALIZED_TIME && n == 15) {
		memcpy(text, value->body.p, n);
	} else {
		return false;
	}
	text[15] = '\0';
	for (size_t i = 0; i < 14; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	rest = strptime(text, "%Y%m%d%H%M%S", &tm);
	if (!rest || strcmp(rest, "Z") != 0)
		return false;
	*seconds = timegm(&tm);
	return true;
}

/* ESSCertID or ESSCertIDv2 of the first certificate, the signer's own (RFC 5035). */
static bool
parse_signing_cert(struct der value, bool v2, struct signer_claims *claims)
{
	struct der_item seq, list, id, hash;
	struct der params;
	enum oid oid;

	if (!der_take(&value, DER_SEQUENCE, &seq) || !der_take(&seq.body, DER_SEQUENCE, &list) ||
		!der_take(&list.body, DER_SEQUENCE, &id))
		return false;
	claims->cert_digest = v2 ? DIGEST_SHA256 : DIGEST_SHA1;
	if (v2 && id.body.len && id.body.p[0] == DER_SEQUENCE) {
		if (!der_take_algorithm(&id.body, &oid, &params))
			return false;
		claims->cert_digest = oid_digest(oid);
	}
	if (!der_take(&id.body, DER_OCTETS, &hash))
		return false;
	claims->cert_hash = hash.body;
	return claims->cert_digest != DIGEST_NONE;
}

struct found {
	bool content_type, message_digest, signing_time, signing_cert, signing_cert_v2;
};

/* True once, false when it was set already: none of these attributes may be there twice. */
static bool
first_time(bool *seen)
{
	bool was = *seen;

	*seen = true;
	return !was;
}

/* One attribute. Those that we do not know say nothing about validity. */
static bool
check_attribute(enum oid oid, struct der values, const struct signer *s, const struct der *type,
	const unsigned char *content_digest, struct found *found, struct signer_claims *claims,
	const char **reason)
{
	struct der_item value;
	bool single = der_next(&values, &value) && der_done(&values);

	switch (oid) {
	case OID_CONTENT_TYPE:
		*reason = "the contentType attribute is not that of the content";
		return first_time(&found->content_type) && single && value.tag == DER_OID &&
		       der_equal(&value.whole, type);
	case OID_MESSAGE_DIGEST:
		*reason = "the content was changed (its digest differs)";
		return first_time(&found->message_digest) && single && value.tag == DER_OCTETS &&
		       value.body.len == digest_size(s->digest) &&
		       memcmp(value.body.p, content_digest, value.body.len) == 0;
	case OID_SIGNING_TIME:
		*reason = "malformed signingTime attribute";
		return first_time(&found->signing_time) && single &&
		       parse_time(&value, &claims->signing_time);
	case OID_SIGNING_CERT:
	case OID_SIGNING_CERT_V2:
		*reason = "malformed signingCertificate attribute";
		if (!first_time(oid == OID_SIGNING_CERT ? &found->signing_cert
							: &found->signing_cert_v2) ||
			!single)
			return false;
		/* Where both are there the stronger one counts. */
		if (oid == OID_SIGNING_CERT && found->signing_cert_v2)
			return true;
		return parse_signing_cert(value.whole, oid == OID_SIGNING_CERT_V2, claims);
	default:
		return true;
	}
}

bool
signer_check_attributes(const struct signer *s, const struct der *content_type,
	const unsigned char *content_digest, struct signer_claims *claims, const char **reason)
{
	struct der all = s->attributes;
	struct der_item set, attribute, values;
	struct found found = {false, false, false, false, false};
	unsigned n = 0;
	enum oid oid;

	*claims = (struct signer_claims){.signing_time = -1};
	*reason = "malformed signed attributes";
	if (!der_take(&all, DER_SET, &set))
		return false;
	while (!der_done(&set.body)) {
		if (++n > SIGNER_MAX_ATTRIBUTES || !der_take(&set.body, DER_SEQUENCE, &attribute) ||
			!der_take_oid(&attribute.body, &oid) ||
			!der_take(&attribute.body, DER_SET, &values) || !der_done(&attribute.body))
			return false;
		if (!check_attribute(oid, values.body, s, content_type, content_digest, &found,
			    claims, reason))
			return false;
		*reason = "malformed signed attributes";
	}
	*reason = "the contentType or messageDigest attribute is missing";
	return found.content_type && found.message_digest;
}

/* --- the signature --- */

enum family { FAMILY_RSA, FAMILY_PSS, FAMILY_DSA, FAMILY_ECDSA, FAMILY_ED25519 };

static const struct {
	enum oid oid;
	enum family family;
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

struct scheme {
	enum family family;
	enum digest digest, mgf1;
	int salt_len;
};

/* RSASSA-PSS-params (RFC 4055): what is left out is SHA-1, MGF1 with SHA-1, a salt of 20 bytes. */
static bool
parse_pss(struct der params, struct scheme *scheme)
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

static bool
find_scheme(const struct signer *s, struct scheme *scheme)
{
	size_t i = 0;

	while (i < N_ALGORITHMS && algorithms[i].oid != s->algorithm)
		i++;
	if (i == N_ALGORITHMS)
		return false;
	*scheme = (struct scheme){.family = algorithms[i].family, .digest = algorithms[i].digest};
	if (scheme->family == FAMILY_PSS)
		return parse_pss(s->params, scheme);
	if (scheme->digest == DIGEST_NONE)
		scheme->digest = s->digest;
	return true;
}

static bool
fits(enum family family, const EVP_PKEY *key)
{
	switch (family) {
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

static bool
is_weak(const struct signer *s, const struct scheme *scheme, const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (s->digest <= DIGEST_SHA1 || scheme->digest <= DIGEST_SHA1)
		return true;
	if (scheme->family == FAMILY_ECDSA)
		return bits < MIN_EC_BITS;
	return scheme->family != FAMILY_ED25519 && bits < MIN_RSA_BITS;
}

/* Ed25519 signs the attributes themselves. OpenSSL's CMS learned that in 3.5, its EVP knew it
 * before. */
static bool
verify_one_shot(const struct signer *s, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, s->signature.p, s->signature.len, s->attributes.p,
			    s->attributes.len) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

/* The others sign a digest: of the attributes, or of the content when there are none. */
static bool
verify_digest(const struct signer *s, const struct scheme *scheme, EVP_PKEY *key,
	const unsigned char *content_digest)
{
	unsigned char value[DIGEST_MAX_SIZE];
	const EVP_MD *md = digest_evp(scheme->digest);
	EVP_PKEY_CTX *ctx;
	bool good;

	if (s->has_attributes) {
		if (digest_bytes(scheme->digest, s->attributes.p, s->attributes.len, value, NULL) !=
			RC_OK)
			return false;
		content_digest = value;
	}
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	good = ctx && EVP_PKEY_verify_init(ctx) == 1;
	if (good && scheme->family == FAMILY_PSS)
		good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_evp(scheme->mgf1)) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, scheme->salt_len) == 1;
	else if (good)
		good = EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
	good = good && EVP_PKEY_verify(ctx, s->signature.p, s->signature.len, content_digest,
			       digest_size(scheme->digest)) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* ESS: a signature made with one certificate must not be shown with another one of the same key. */
static bool
is_claimed_cert(const struct signer_claims *claims, const struct cert *cert)
{
	unsigned char value[DIGEST_MAX_SIZE];
	size_t len;
	const unsigned char *der = cert_der(cert, &len);

	if (claims->cert_digest == DIGEST_NONE)
		return true;
	return claims->cert_hash.len == digest_size(claims->cert_digest) &&
	       digest_bytes(claims->cert_digest, der, len, value, NULL) == RC_OK &&
	       memcmp(value, claims->cert_hash.p, claims->cert_hash.len) == 0;
}

enum verdict_signature
signer_verify(const struct signer *s, const struct signer_claims *claims, const struct cert *cert,
	const unsigned char *content_digest, bool *weak, const char **reason)
{
	struct scheme scheme;
	EVP_PKEY *key = cert_pubkey(cert);
	bool good;

	*reason = "the signature's algorithm is not supported";
	if (!find_scheme(s, &scheme) || !key || !digest_evp(scheme.digest))
		return SIGNATURE_UNSUPPORTED;
	*reason = "the signer's key is of another kind than the signature";
	if (!fits(scheme.family, key))
		return SIGNATURE_BAD;
	if (!s->has_attributes && (scheme.family == FAMILY_ED25519 || scheme.digest != s->digest)) {
		*reason = "a signature without attributes in this algorithm is not supported";
		return SIGNATURE_UNSUPPORTED;
	}
	*weak = is_weak(s, &scheme, key);
	good = scheme.family == FAMILY_ED25519 ? verify_one_shot(s, key)
					       : verify_digest(s, &scheme, key, content_digest);
	ossl_clear();
	*reason = "the signature does not fit the signer's key";
	if (!good)
		return SIGNATURE_BAD;
	*reason = "the signature was made with another certificate";
	return is_claimed_cert(claims, cert) ? SIGNATURE_GOOD : SIGNATURE_BAD;
}
