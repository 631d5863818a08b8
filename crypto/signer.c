/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/signer.h"

#include "crypto/openssl_glue.h"
#include "crypto/signature.h"

#include <string.h>

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

/* What the attributes have to fit. */
struct expected {
	const struct signer *signer;
	const struct der *type;      /* the content's */
	const unsigned char *digest; /* the content's */
};

/* One attribute. Those that we do not know say nothing about validity. */
static bool
check_attribute(enum oid oid, struct der values, const struct expected *expected,
	struct found *found, struct signer_claims *claims, const char **reason)
{
	struct der_item value;
	bool single = der_next(&values, &value) && der_done(&values);

	switch (oid) {
	case OID_CONTENT_TYPE:
		*reason = "the contentType attribute is not that of the content";
		return first_time(&found->content_type) && single && value.tag == DER_OID &&
		       der_equal(&value.whole, expected->type);
	case OID_MESSAGE_DIGEST:
		*reason = "the content was changed (its digest differs)";
		return first_time(&found->message_digest) && single && value.tag == DER_OCTETS &&
		       value.body.len == digest_size(expected->signer->digest) &&
		       memcmp(value.body.p, expected->digest, value.body.len) == 0;
	case OID_SIGNING_TIME:
		*reason = "malformed signingTime attribute";
		return first_time(&found->signing_time) && single &&
		       der_time(&value, &claims->signing_time);
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
	const struct expected expected = {s, content_type, content_digest};
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
		if (!check_attribute(oid, values.body, &expected, &found, claims, reason))
			return false;
		*reason = "malformed signed attributes";
	}
	*reason = "the contentType or messageDigest attribute is missing";
	return found.content_type && found.message_digest;
}

/* --- the signature --- */

static unsigned
weakness_of(const struct signer *s, const struct signature_scheme *scheme, const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);
	unsigned weak = 0;

	if (s->digest < DIGEST_SHA1 || scheme->digest < DIGEST_SHA1 || scheme->family == FAMILY_DSA)
		weak |= SIGNER_WEAK_HASH;
	else if (s->digest == DIGEST_SHA1 || scheme->digest == DIGEST_SHA1)
		weak |= SIGNER_WEAK_SHA1;
	if (scheme->family == FAMILY_ECDSA
			? bits < MIN_EC_BITS
			: scheme->family != FAMILY_ED25519 && bits < MIN_RSA_BITS)
		weak |= SIGNER_WEAK_KEY;
	return weak;
}

/* Over the attributes, or over the content when there are none. */
static bool
verify(const struct signer *s, const struct signature_scheme *scheme, EVP_PKEY *key,
	const unsigned char *content_digest)
{
	if (s->has_attributes)
		return signature_verify(scheme, s->signature, s->attributes, key);
	return signature_verify_digest(scheme, s->signature, content_digest, key);
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
	const unsigned char *content_digest, unsigned *weak, const char **reason)
{
	struct signature_scheme scheme;
	EVP_PKEY *key = cert_pubkey(cert);
	bool good;

	*reason = "the signature's algorithm is not supported";
	if (!signature_find_scheme(s->algorithm, s->params, s->digest, &scheme) || !key ||
		!digest_evp(scheme.digest))
		return SIGNATURE_UNSUPPORTED;
	*reason = "the signer's key is of another kind than the signature";
	if (!signature_fits(&scheme, key))
		return SIGNATURE_BAD;
	if (!s->has_attributes && (scheme.family == FAMILY_ED25519 || scheme.digest != s->digest)) {
		*reason = "a signature without attributes in this algorithm is not supported";
		return SIGNATURE_UNSUPPORTED;
	}
	*weak = weakness_of(s, &scheme, key);
	good = verify(s, &scheme, key, content_digest);
	ossl_clear();
	*reason = "the signature does not fit the signer's key";
	if (!good)
		return SIGNATURE_BAD;
	*reason = "the signature was made with another certificate";
	return is_claimed_cert(claims, cert) ? SIGNATURE_GOOD : SIGNATURE_BAD;
}
