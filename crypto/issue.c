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

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <string.h>

#define KU_OF_A_CA (1u << 5 | 1u << 6) /* keyCertSign, cRLSign */

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

/* What may stand in a subject, with its upper bound (RFC 5280 appendix A.1). */
static const struct {
	const char *type;
	int max;
} attrs[] = {{"CN", 64}, {"O", 64}, {"OU", 64}, {"C", 2}, {"ST", 128}, {"L", 128}, {"street", 128},
	{"postalCode", 40}, {"title", 64}, {"SN", 64}, {"GN", 64}, {"initials", 64},
	{"pseudonym", 128}, {"serialNumber", 64}, {"emailAddress", 255}, {"DC", 63}, {"UID", 256},
	{"organizationIdentifier", 64}};

int
issue_attr_max(const char *type)
{
	for (size_t i = 0; i < sizeof(attrs) / sizeof(*attrs); i++)
		if (strcmp(attrs[i].type, type) == 0)
			return attrs[i].max;
	return 0;
}

bool
issue_is_oid(const char *text)
{
	ASN1_OBJECT *oid = strspn(text, "0123456789.") == strlen(text) && strlen(text) < 128
				   ? OBJ_txt2obj(text, 1)
				   : NULL;
	bool is = oid != NULL;

	ASN1_OBJECT_free(oid);
	ERR_clear_error();
	return is;
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

/* The subject, attribute by attribute. */
static bool
add_subject(X509_NAME *subject, const struct issue_request *request)
{
	const struct issue_extra *extra = request->extra;
	bool ok = true;

	if (request->like) {
		X509_NAME *same = X509_get_subject_name(cert_x509(request->like)); /* get0 */

		for (int i = 0; ok && i < X509_NAME_entry_count(same); i++)
			ok = X509_NAME_add_entry(subject, X509_NAME_get_entry(same, i), -1, 0);
		return ok;
	}
	if (!extra || !extra->n_subject)
		return add_name(subject, NID_organizationName, request->organisation) &&
		       add_name(subject, NID_commonName, common_name(request));
	for (size_t i = 0; ok && i < extra->n_subject; i++) {
		const struct issue_attr *attr = &extra->subject[i];

		ok = issue_attr_max(attr->type) > 0 &&
		     add_name(subject, OBJ_txt2nid(attr->type), attr->text);
	}
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
		add_subject(subject, request) && X509_set_pubkey(x509, key))
		return x509;
	X509_free(x509);
	return NULL;
}

/* Signs, and parses what came out as anybody else would. Takes *X509 over. */
static enum rc
finish_cert(X509 **x509, bool made, const struct pkey *ca_key, enum digest digest,
	struct cert **out, struct err *err)
{
	const EVP_MD *usual = issue_digest(ca_key);
	unsigned char *der = NULL;
	int len = -1;
	enum rc rc;

	if (made &&
		X509_sign(*x509, pkey_evp(ca_key),
			usual && digest != DIGEST_NONE ? digest_evp(digest) : usual) > 0 &&
		(!ossl_was_refused() || X509_verify(*x509, pkey_evp(ca_key)) == 1))
		len = i2d_X509(*x509, &der);
	rc = len > 0 ? cert_parse(der, (size_t)len, out, err)
		     : ossl_err(err, ERR_CRYPTO, "making a certificate");
	OPENSSL_free(der);
	X509_free(*x509);
	*x509 = NULL;
	/* An extension that others cannot read would make it useless for ever. */
	if (rc == RC_OK && X509_get_extension_flags(cert_x509(*out)) & EXFLAG_INVALID) {
		cert_unref(out);
		rc = ossl_err(err, ERR_CRYPTO, "making a certificate: an extension came out wrong");
	}
	return rc;
}

enum rc
issue_root(const struct pkey *key, const struct issue_request *request, struct cert **out,
	struct err *err)
{
	X509 *x509;
	bool made;

	*out = NULL;
	if (!request->like && !common_name(request) && !request->organisation)
		return err_set(err, ERR_USAGE, "a CA needs a name");
	x509 = make_cert(request, pkey_evp(key));
	made = x509 && X509_set_issuer_name(x509, X509_get_subject_name(x509)) &&
	       issue_add_constraints(x509, true, -1) && issue_add_usage(x509, KU_OF_A_CA) &&
	       issue_add_ski(x509);
	return finish_cert(&x509, made, key, DIGEST_NONE, out, err);
}

/* SPKI as a key; ERR_KEY_MALFORMED. */
static enum rc
parse_spki(const void *spki, size_t spki_len, EVP_PKEY **out, struct err *err)
{
	const unsigned char *p = spki;

	*out = d2i_PUBKEY(NULL, &p, (long)spki_len);
	if (*out && p == (const unsigned char *)spki + spki_len)
		return RC_OK;
	EVP_PKEY_free(*out);
	*out = NULL;
	return ossl_err(err, ERR_KEY_MALFORMED, "the public key is malformed");
}

enum rc
issue_ca(const struct pkey *ca_key, struct cert *ca, const void *spki, size_t spki_len,
	const struct issue_request *request, struct cert **out, struct err *err)
{
	static const struct issue_extra none;
	const struct issue_extra *extra = request->extra ? request->extra : &none;
	X509 *x509, *issuer = cert_x509(ca); /* get0 */
	EVP_PKEY *key;
	bool made;
	enum rc rc = parse_spki(spki, spki_len, &key, err);

	*out = NULL;
	if (rc)
		return rc;
	x509 = make_cert(request, key);
	made = x509 && X509_set_issuer_name(x509, X509_get_subject_name(issuer)) &&
	       issue_add_constraints(x509, true, 0) && issue_add_usage(x509, KU_OF_A_CA) &&
	       issue_add_ski(x509) && issue_add_aki(x509, issuer) &&
	       issue_add_pointers(x509, extra);
	EVP_PKEY_free(key);
	return finish_cert(&x509, made, ca_key, extra->digest, out, err);
}

enum rc
issue_cross(const struct pkey *old_key, struct cert *old, struct cert *new_root, struct cert **out,
	struct err *err)
{
	X509 *x509 = X509_new(), *issuer = cert_x509(old), *subject = cert_x509(new_root);
	int64_t until = cert_not_after(old) < cert_not_after(new_root) ? cert_not_after(old)
								       : cert_not_after(new_root);
	bool made = x509 && X509_set_version(x509, X509_VERSION_3) && set_serial(x509) &&
		    set_time(X509_getm_notBefore(x509), cert_not_before(new_root)) &&
		    set_time(X509_getm_notAfter(x509), until) &&
		    X509_set_subject_name(x509, X509_get_subject_name(subject)) &&
		    X509_set_issuer_name(x509, X509_get_subject_name(issuer)) &&
		    X509_set_pubkey(x509, X509_get0_pubkey(subject)) &&
		    issue_add_constraints(x509, true, -1) && issue_add_usage(x509, KU_OF_A_CA) &&
		    issue_add_ski(x509) && issue_add_aki(x509, issuer);

	*out = NULL;
	return finish_cert(&x509, made, old_key, DIGEST_NONE, out, err);
}

enum rc
issue_ca_csr(const struct pkey *key, const struct issue_request *request, struct buf *der,
	struct err *err)
{
	X509_REQ *req = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *exts = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *constraints = X509V3_EXT_conf_nid(
		NULL, NULL, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	X509_EXTENSION *usage =
		X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "critical,keyCertSign,cRLSign");
	unsigned char *bytes = NULL;
	int len = -1;
	enum rc rc;

	if (req && exts && constraints && usage && X509_REQ_set_version(req, X509_REQ_VERSION_1) &&
		add_subject(X509_REQ_get_subject_name(req), request) &&
		X509_REQ_set_pubkey(req, pkey_evp(key)) &&
		sk_X509_EXTENSION_push(exts, constraints) && sk_X509_EXTENSION_push(exts, usage) &&
		X509_REQ_add_extensions(req, exts) &&
		X509_REQ_sign(req, pkey_evp(key), issue_digest(key)) > 0 &&
		(!ossl_was_refused() || X509_REQ_verify(req, pkey_evp(key)) == 1))
		len = i2d_X509_REQ(req, &bytes);
	rc = len > 0 ? buf_append(der, bytes, (size_t)len, err)
		     : ossl_err(err, ERR_CRYPTO, "making a certificate request");
	OPENSSL_free(bytes);
	X509_EXTENSION_free(constraints);
	X509_EXTENSION_free(usage);
	sk_X509_EXTENSION_free(exts);
	X509_REQ_free(req);
	return rc;
}

bool
issue_may_sign_certs(const struct cert *cert)
{
	uint32_t usage = X509_get_key_usage(cert_x509(cert));

	return (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) == (KU_KEY_CERT_SIGN | KU_CRL_SIGN);
}

bool
issue_is_by(const struct cert *cert, const struct cert *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(cert_x509(issuer)); /* get0 */
	bool by = X509_check_issued(cert_x509(issuer), cert_x509(cert)) == X509_V_OK && key &&
		  X509_verify(cert_x509(cert), key) == 1;

	ERR_clear_error();
	return by;
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

/* What a profile wants, as far as the kind of key can do it; what the use needs is always there. */
static unsigned
wanted_usage(EVP_PKEY *key, unsigned needed, unsigned wanted)
{
	bool rsa = evp_key_type(key) == KEY_RSA;
	unsigned possible = ISSUE_KU_SIGNATURE | ISSUE_KU_NON_REPUDIATION |
			    (rsa ? ISSUE_KU_KEY_ENCIPHERMENT | ISSUE_KU_DATA_ENCIPHERMENT
				 : ISSUE_KU_KEY_AGREEMENT);
	unsigned opens =
		ISSUE_KU_KEY_ENCIPHERMENT | ISSUE_KU_DATA_ENCIPHERMENT | ISSUE_KU_KEY_AGREEMENT;
	unsigned bits = wanted & possible;

	/* Of a pair of keys, one signs only and one opens only. */
	if (!(needed & opens))
		bits &= ~opens;
	if (!(needed & ISSUE_KU_SIGNATURE))
		bits &= ~(ISSUE_KU_SIGNATURE | ISSUE_KU_NON_REPUDIATION);
	if (needed & ISSUE_KU_SIGNATURE && !(bits & ISSUE_KU_NON_REPUDIATION))
		bits |= ISSUE_KU_SIGNATURE;
	return bits | (needed & opens);
}

enum rc
issue_leaf(const struct pkey *ca_key, struct cert *ca, const void *spki, size_t spki_len,
	const struct issue_request *request, struct cert **out, struct err *err)
{
	static const struct issue_extra none;
	const struct issue_extra *extra = request->extra ? request->extra : &none;
	X509 *x509 = NULL, *issuer = cert_x509(ca); /* get0 */
	char addr[ADDR_MAX + 1];
	EVP_PKEY *key;
	unsigned bits;
	bool made;
	enum rc rc = parse_spki(spki, spki_len, &key, err);

	*out = NULL;
	if (!rc && (!request->addr || !(request->use & (CERT_SIGN | CERT_ENCRYPT))))
		rc = err_set(err, ERR_USAGE, "a person's certificate needs an address and a use");
	if (!rc)
		rc = addr_canonical(request->addr, strlen(request->addr), addr, err);
	if (rc == RC_OK)
		rc = issue_key_usage(key, request->use, &bits, err);
	if (rc == RC_OK && extra->key_usage)
		bits = wanted_usage(key, bits, extra->key_usage);
	if (rc == RC_OK) {
		x509 = make_cert(request, key);
		made = x509 && X509_set_issuer_name(x509, X509_get_subject_name(issuer)) &&
		       issue_add_constraints(x509, false, -1) && issue_add_usage(x509, bits) &&
		       issue_add_eku(x509, extra) && issue_add_san(x509, addr, extra) &&
		       issue_add_ski(x509) && issue_add_aki(x509, issuer) &&
		       issue_add_pointers(x509, extra);
		rc = finish_cert(&x509, made, ca_key, extra->digest, out, err);
	}
	EVP_PKEY_free(key);
	return rc;
}
