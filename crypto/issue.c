/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue.c - certificates that Outlook, Thunderbird and Apple Mail take (RFC 5280, RFC 8550, RFC
 * 9598)
 */
#include "crypto/issue.h"

#include "crypto/issue_private.h"
#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"
#include "message/addr.h"

#include <openssl/x509v3.h>

#include <string.h>

/* SHA-256, or what goes with a larger curve; an Edwards key has its own. */
const EVP_MD *
issue_digest(const struct pkey *key)
{
	switch (pkey_type(key)) {
	case KEY_EC_P384:
		return digest_evp(DIGEST_SHA384);
	case KEY_EC_P521:
		return digest_evp(DIGEST_SHA512);
	case KEY_ED25519:
		return NULL;
	default:
		return digest_evp(DIGEST_SHA256);
	}
}

/* 128 random bits. */
static bool
set_serial(X509 *x509)
{
	unsigned char random[16];
	BIGNUM *number;
	bool ok;

	if (random_bytes(random, sizeof(random), NULL) != RC_OK)
		return false;
	number = BN_bin2bn(random, sizeof(random), NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
	BN_free(number);
	return ok;
}

static bool
add_name(X509_NAME *name, int nid, const char *text)
{
	return !text || !*text ||
	       X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text,
		       (int)strlen(text), -1, 0);
}

/* A common name has 64 characters at most (RFC 5280, ub-common-name); a long address is left out of
 * it. */
static const char *
common_name(const struct issue_request *request)
{
	if (request->common_name)
		return request->common_name;
	return request->addr && strlen(request->addr) <= 64 ? request->addr : NULL;
}

static bool
set_time(ASN1_TIME *at, int64_t seconds)
{
	return ASN1_TIME_adj(at, (time_t)seconds, 0, 0) != NULL; /* UTCTime before 2050 */
}

static bool
add_ext(X509 *x509, int nid, void *value, bool critical)
{
	return value && X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

static bool
add_basic_constraints(X509 *x509, bool ca)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	bool ok;

	if (bc)
		bc->ca = ca ? 0xff : 0;
	ok = add_ext(x509, NID_basic_constraints, bc, true);
	BASIC_CONSTRAINTS_free(bc);
	return ok;
}

/* BITS are numbered as in RFC 5280: 0 digitalSignature, 2 keyEncipherment, 4 keyAgreement, 5, 6. */
static bool
add_key_usage(X509 *x509, unsigned bits)
{
	ASN1_BIT_STRING *ku = ASN1_BIT_STRING_new();
	bool ok = ku != NULL;
	int i;

	for (i = 0; ok && i < 9; i++)
		if (bits & 1u << i)
			ok = ASN1_BIT_STRING_set_bit(ku, i, 1);
	ok = ok && add_ext(x509, NID_key_usage, ku, true);
	ASN1_BIT_STRING_free(ku);
	return ok;
}

static bool
add_email_eku(X509 *x509)
{
	EXTENDED_KEY_USAGE *eku = sk_ASN1_OBJECT_new_null();
	ASN1_OBJECT *oid = OBJ_nid2obj(NID_email_protect); /* static */
	bool ok = eku && sk_ASN1_OBJECT_push(eku, oid) &&
		  add_ext(x509, NID_ext_key_usage, eku, false);

	sk_ASN1_OBJECT_free(eku);
	return ok;
}

/* SubjectKeyIdentifier: SHA-1 over the key's bits (RFC 5280 section 4.2.1.2); a name, no
 * protection. */
static bool
add_ski(X509 *x509)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned len;
	ASN1_OCTET_STRING *ski = ASN1_OCTET_STRING_new();
	bool ok = ski && X509_pubkey_digest(x509, digest_evp(DIGEST_SHA1), hash, &len) &&
		  ASN1_OCTET_STRING_set(ski, hash, (int)len) &&
		  add_ext(x509, NID_subject_key_identifier, ski, false);

	ASN1_OCTET_STRING_free(ski);
	return ok;
}

/* AuthorityKeyIdentifier with the issuer's SubjectKeyIdentifier alone. */
static AUTHORITY_KEYID *
make_aki(X509 *issuer)
{
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(issuer); /* get0 */
	AUTHORITY_KEYID *aki = ski ? AUTHORITY_KEYID_new() : NULL;

	if (aki)
		aki->keyid = ASN1_OCTET_STRING_dup(ski);
	if (aki && !aki->keyid) {
		AUTHORITY_KEYID_free(aki);
		aki = NULL;
	}
	return aki;
}

static bool
add_aki(X509 *x509, X509 *issuer)
{
	AUTHORITY_KEYID *aki;
	bool ok;

	if (!X509_get0_subject_key_id(issuer))
		return true; /* a foreign CA without one */
	aki = make_aki(issuer);
	ok = add_ext(x509, NID_authority_key_identifier, aki, false);
	AUTHORITY_KEYID_free(aki);
	return ok;
}

static bool
is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text > 127)
			return false;
	return true;
}

/* rfc822Name; SmtpUTF8Mailbox when the local part is not ASCII, its domain as A-labels. */
GENERAL_NAME *
issue_mailbox(const char *addr)
{
	bool ascii = is_ascii(addr);
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text = ASN1_STRING_type_new(ascii ? V_ASN1_IA5STRING : V_ASN1_UTF8STRING);
	ASN1_TYPE *value = NULL;

	if (!name || !text || !ASN1_STRING_set(text, addr, -1))
		goto fail;
	if (ascii) {
		GENERAL_NAME_set0_value(name, GEN_EMAIL, text);
		return name;
	}
	value = ASN1_TYPE_new();
	if (!value)
		goto fail;
	ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
	text = NULL; /* VALUE's */
	if (GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_id_on_SmtpUTF8Mailbox), value))
		return name;
fail:
	ASN1_TYPE_free(value);
	ASN1_STRING_free(text);
	GENERAL_NAME_free(name);
	return NULL;
}

static bool
add_san(X509 *x509, const char *addr)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = issue_mailbox(addr);
	bool ok = names && name && sk_GENERAL_NAME_push(names, name);

	if (ok)
		name = NULL; /* the stack's */
	ok = ok && add_ext(x509, NID_subject_alt_name, names, false);
	GENERAL_NAME_free(name);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return ok;
}

/* Fields that roots and leaves share. */
static X509 *
make_cert(const struct issue_request *request, EVP_PKEY *key)
{
	X509 *x509 = X509_new();
	X509_NAME *subject;

	if (!x509)
		return NULL;
	subject = X509_get_subject_name(x509); /* get0 */
	if (X509_set_version(x509, X509_VERSION_3) && set_serial(x509) &&
		set_time(X509_getm_notBefore(x509), request->not_before) &&
		set_time(X509_getm_notAfter(x509), request->not_after) &&
		add_name(subject, NID_organizationName, request->organisation) &&
		add_name(subject, NID_commonName, common_name(request)) &&
		X509_set_pubkey(x509, key))
		return x509;
	X509_free(x509);
	return NULL;
}

/* Signs, and parses what came out as anybody else would. Takes *X509 over. */
static enum rc
finish_cert(X509 **x509, bool made, const struct pkey *ca_key, struct cert **out, struct err *err)
{
	unsigned char *der = NULL;
	int len = -1;
	enum rc rc;

	if (made && X509_sign(*x509, pkey_evp(ca_key), issue_digest(ca_key)) > 0)
		len = i2d_X509(*x509, &der);
	rc = len > 0 ? cert_parse(der, (size_t)len, out, err)
		     : ossl_err(err, ERR_CRYPTO, "making a certificate");
	OPENSSL_free(der);
	X509_free(*x509);
	*x509 = NULL;
	return rc;
}

enum rc
issue_root(const struct pkey *key, const struct issue_request *request, struct cert **out,
	struct err *err)
{
	X509 *x509;
	bool made;

	*out = NULL;
	if (!common_name(request) && !request->organisation)
		return err_set(err, ERR_USAGE, "a CA needs a name");
	x509 = make_cert(request, pkey_evp(key));
	made = x509 && X509_set_issuer_name(x509, X509_get_subject_name(x509)) &&
	       add_basic_constraints(x509, true) && add_key_usage(x509, 1u << 5 | 1u << 6) &&
	       add_ski(x509);
	return finish_cert(&x509, made, key, out, err);
}

/* keyUsage bits for the kind of key and what it is for. */
enum rc
issue_key_usage(EVP_PKEY *key, unsigned use, unsigned *bits, struct err *err)
{
	*bits = use & CERT_SIGN ? 1u << 0 : 0;
	switch (evp_key_type(key)) {
	case KEY_RSA:
		*bits |= use & CERT_ENCRYPT ? 1u << 2 : 0;
		return RC_OK;
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		*bits |= use & CERT_ENCRYPT ? 1u << 4 : 0;
		return RC_OK;
	case KEY_RSA_PSS:
	case KEY_ED25519:
		if (!(use & CERT_ENCRYPT))
			return RC_OK;
		break;
	default:
		break;
	}
	return err_set(err, ERR_CERT_UNSUPPORTED, "no certificate of this use for a key of type %s",
		key_type_name(evp_key_type(key)));
}

enum rc
issue_leaf(const struct pkey *ca_key, struct cert *ca, const void *spki, size_t spki_len,
	const struct issue_request *request, struct cert **out, struct err *err)
{
	const unsigned char *p = spki;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki_len);
	X509 *x509 = NULL, *issuer = cert_x509(ca); /* get0 */
	char addr[ADDR_MAX + 1];
	unsigned bits;
	bool made;
	enum rc rc;

	*out = NULL;
	if (!key || p != (const unsigned char *)spki + spki_len)
		rc = ossl_err(err, ERR_KEY_MALFORMED, "the public key is malformed");
	else if (!request->addr || !(request->use & (CERT_SIGN | CERT_ENCRYPT)))
		rc = err_set(err, ERR_USAGE, "a person's certificate needs an address and a use");
	else
		rc = addr_canonical(request->addr, strlen(request->addr), addr, err);
	if (rc == RC_OK)
		rc = issue_key_usage(key, request->use, &bits, err);
	if (rc == RC_OK) {
		x509 = make_cert(request, key);
		made = x509 && X509_set_issuer_name(x509, X509_get_subject_name(issuer)) &&
		       add_basic_constraints(x509, false) && add_key_usage(x509, bits) &&
		       add_email_eku(x509) && add_san(x509, addr) && add_ski(x509) &&
		       add_aki(x509, issuer);
		rc = finish_cert(&x509, made, ca_key, out, err);
	}
	EVP_PKEY_free(key);
	return rc;
}

/* One entry of a CRL. */
static bool
add_revoked(X509_CRL *crl, const struct revoked *revoked)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	BIGNUM *number = BN_bin2bn(revoked->serial, (int)revoked->serial_len, NULL);
	ASN1_INTEGER *serial = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
	ASN1_TIME *at = ASN1_TIME_adj(NULL, (time_t)revoked->at, 0, 0);
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
	bool ok = entry && serial && at && reason && X509_REVOKED_set_serialNumber(entry, serial) &&
		  X509_REVOKED_set_revocationDate(entry, at);

	if (ok && revoked->reason > 0) /* "unspecified" should be left out (RFC 5280 5.3.1) */
		ok = ASN1_ENUMERATED_set(reason, revoked->reason) &&
		     X509_REVOKED_add1_ext_i2d(
			     entry, NID_crl_reason, reason, 0, X509V3_ADD_APPEND) == 1;
	ok = ok && X509_CRL_add0_revoked(crl, entry);
	if (ok)
		entry = NULL; /* the CRL's */
	X509_REVOKED_free(entry);
	ASN1_INTEGER_free(serial);
	BN_free(number);
	ASN1_TIME_free(at);
	ASN1_ENUMERATED_free(reason);
	return ok;
}

static bool
add_crl_ext(X509_CRL *crl, int nid, void *value)
{
	return value && X509_CRL_add1_ext_i2d(crl, nid, value, 0, X509V3_ADD_APPEND) == 1;
}

/* Version, names, times, number. */
static bool
fill_crl(X509_CRL *crl, struct cert *ca, int64_t number, int64_t this_update, int64_t next_update)
{
	X509 *issuer = cert_x509(ca); /* get0 */
	ASN1_INTEGER *crl_number = ASN1_INTEGER_new();
	ASN1_TIME *from = ASN1_TIME_adj(NULL, (time_t)this_update, 0, 0);
	ASN1_TIME *to = ASN1_TIME_adj(NULL, (time_t)next_update, 0, 0);
	AUTHORITY_KEYID *aki = make_aki(issuer);
	bool ok = crl_number && from && to && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
		  X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) &&
		  X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to) &&
		  ASN1_INTEGER_set_int64(crl_number, number) &&
		  (!aki || add_crl_ext(crl, NID_authority_key_identifier, aki)) &&
		  add_crl_ext(crl, NID_crl_number, crl_number);

	ASN1_INTEGER_free(crl_number);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	AUTHORITY_KEYID_free(aki);
	return ok;
}

enum rc
issue_crl(const struct pkey *ca_key, struct cert *ca, const struct revoked *v, size_t n,
	int64_t number, int64_t this_update, int64_t next_update, struct buf *der, struct err *err)
{
	X509_CRL *crl = X509_CRL_new();
	unsigned char *bytes = NULL;
	int len = -1;
	enum rc rc;
	size_t i;

	if (crl && fill_crl(crl, ca, number, this_update, next_update)) {
		for (i = 0; i < n && add_revoked(crl, &v[i]); i++)
			;
		if (i == n && X509_CRL_sort(crl) &&
			X509_CRL_sign(crl, pkey_evp(ca_key), issue_digest(ca_key)) > 0)
			len = i2d_X509_CRL(crl, &bytes);
	}
	rc = len > 0 ? buf_append(der, bytes, (size_t)len, err)
		     : ossl_err(err, ERR_CRYPTO, "making a CRL");
	OPENSSL_free(bytes);
	X509_CRL_free(crl);
	return rc;
}
