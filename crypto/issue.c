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

static bool
add_ext(X509 *x509, int nid, void *value, bool critical)
{
	return value && X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

/* PATHLEN -1: none. */
static bool
add_basic_constraints(X509 *x509, bool ca, int pathlen)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	bool ok = bc != NULL;

	if (ok)
		bc->ca = ca ? 0xff : 0;
	if (ok && pathlen >= 0)
		ok = (bc->pathlen = ASN1_INTEGER_new()) && ASN1_INTEGER_set(bc->pathlen, pathlen);
	ok = ok && add_ext(x509, NID_basic_constraints, bc, true);
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

/* emailProtection, or what EXTRA says instead. */
static bool
add_eku(X509 *x509, const struct issue_extra *extra)
{
	EXTENDED_KEY_USAGE *eku = sk_ASN1_OBJECT_new_null();
	bool ok = eku != NULL;

	if (ok && !extra->n_eku)
		ok = sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(NID_email_protect)); /* static */
	for (size_t i = 0; ok && i < extra->n_eku; i++) {
		ASN1_OBJECT *oid = OBJ_txt2obj(extra->eku[i], 1);

		ok = oid && sk_ASN1_OBJECT_push(eku, oid);
		if (!ok)
			ASN1_OBJECT_free(oid);
	}
	ok = ok && add_ext(x509, NID_ext_key_usage, eku, false);
	sk_ASN1_OBJECT_pop_free(eku, ASN1_OBJECT_free);
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
push_url(GENERAL_NAMES *names, const char *url)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (name && text && ASN1_STRING_set(text, url, -1)) {
		GENERAL_NAME_set0_value(name, GEN_URI, text);
		text = NULL; /* NAME's */
		if (sk_GENERAL_NAME_push(names, name))
			return true;
	}
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(name);
	return false;
}

/* One distribution point with all URLs: they lead to the same list. */
static bool
add_crl_urls(X509 *x509, const char *const *urls, size_t n)
{
	CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
	DIST_POINT *point = DIST_POINT_new();
	bool ok = points && point && (point->distpoint = DIST_POINT_NAME_new()) &&
		  (point->distpoint->name.fullname = sk_GENERAL_NAME_new_null());

	if (ok)
		point->distpoint->type = 0; /* fullName */
	for (size_t i = 0; ok && i < n; i++)
		ok = push_url(point->distpoint->name.fullname, urls[i]);
	ok = ok && sk_DIST_POINT_push(points, point);
	if (ok)
		point = NULL; /* the stack's */
	ok = ok && add_ext(x509, NID_crl_distribution_points, points, false);
	DIST_POINT_free(point);
	CRL_DIST_POINTS_free(points);
	return ok;
}

static bool
push_access(AUTHORITY_INFO_ACCESS *access, int method, const char *url)
{
	ACCESS_DESCRIPTION *one = ACCESS_DESCRIPTION_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (one && text && ASN1_STRING_set(text, url, -1)) {
		ASN1_OBJECT_free(one->method);
		one->method = OBJ_nid2obj(method); /* static */
		GENERAL_NAME_set0_value(one->location, GEN_URI, text);
		text = NULL; /* ONE's */
		if (sk_ACCESS_DESCRIPTION_push(access, one))
			return true;
	}
	ASN1_IA5STRING_free(text);
	ACCESS_DESCRIPTION_free(one);
	return false;
}

static bool
add_access(X509 *x509, const struct issue_extra *extra)
{
	AUTHORITY_INFO_ACCESS *access = sk_ACCESS_DESCRIPTION_new_null();
	bool ok = access != NULL;

	for (size_t i = 0; ok && i < extra->n_ocsp_urls; i++)
		ok = push_access(access, NID_ad_OCSP, extra->ocsp_urls[i]);
	for (size_t i = 0; ok && i < extra->n_ca_urls; i++)
		ok = push_access(access, NID_ad_ca_issuers, extra->ca_urls[i]);
	ok = ok && add_ext(x509, NID_info_access, access, false);
	sk_ACCESS_DESCRIPTION_pop_free(access, ACCESS_DESCRIPTION_free);
	return ok;
}

/* The pointer to a practice statement (RFC 5280 section 4.2.1.4). */
static POLICYQUALINFO *
make_cps(const char *url)
{
	POLICYQUALINFO *info = POLICYQUALINFO_new();

	if (info && (info->d.cpsuri = ASN1_IA5STRING_new()) &&
		ASN1_STRING_set(info->d.cpsuri, url, -1)) {
		info->pqualid = OBJ_nid2obj(NID_id_qt_cps); /* static */
		return info;
	}
	POLICYQUALINFO_free(info);
	return NULL;
}

static POLICYINFO *
make_policy(const struct issue_policy *policy)
{
	POLICYINFO *info = POLICYINFO_new();
	POLICYQUALINFO *cps = NULL;

	if (!info || !(info->policyid = OBJ_txt2obj(policy->oid, 1)))
		goto fail;
	if (!policy->cps)
		return info;
	cps = make_cps(policy->cps);
	info->qualifiers = sk_POLICYQUALINFO_new_null();
	if (cps && info->qualifiers && sk_POLICYQUALINFO_push(info->qualifiers, cps))
		return info;
	POLICYQUALINFO_free(cps);
fail:
	POLICYINFO_free(info);
	return NULL;
}

static bool
add_policies(X509 *x509, const struct issue_policy *v, size_t n)
{
	CERTIFICATEPOLICIES *policies = CERTIFICATEPOLICIES_new();
	bool ok = policies != NULL;

	for (size_t i = 0; ok && i < n; i++) {
		POLICYINFO *info = make_policy(&v[i]);

		ok = info && sk_POLICYINFO_push(policies, info);
		if (!ok)
			POLICYINFO_free(info);
	}
	ok = ok && add_ext(x509, NID_certificate_policies, policies, false);
	CERTIFICATEPOLICIES_free(policies);
	return ok;
}

/* What leads elsewhere: policies, revocation lists, the issuer's certificate. */
static bool
add_pointers(X509 *x509, const struct issue_extra *extra)
{
	return (!extra->n_policies || add_policies(x509, extra->policies, extra->n_policies)) &&
	       (!extra->n_crl_urls || add_crl_urls(x509, extra->crl_urls, extra->n_crl_urls)) &&
	       (!(extra->n_ca_urls + extra->n_ocsp_urls) || add_access(x509, extra));
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
push_mailbox(GENERAL_NAMES *names, const char *addr)
{
	GENERAL_NAME *name = names ? issue_mailbox(addr) : NULL;

	if (name && sk_GENERAL_NAME_push(names, name))
		return true;
	GENERAL_NAME_free(name);
	return false;
}

/* ADDR first, then the others that are not the same. */
static bool
add_san(X509 *x509, const char *addr, const struct issue_extra *extra)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	bool ok = push_mailbox(names, addr);

	for (size_t i = 0; ok && i < extra->n_addrs; i++)
		if (strcmp(extra->addrs[i], addr) != 0)
			ok = push_mailbox(names, extra->addrs[i]);
	ok = ok && add_ext(x509, NID_subject_alt_name, names, false);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return ok;
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

	if (made && X509_sign(*x509, pkey_evp(ca_key),
			    usual && digest != DIGEST_NONE ? digest_evp(digest) : usual) > 0)
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
	       add_basic_constraints(x509, true, -1) && add_key_usage(x509, KU_OF_A_CA) &&
	       add_ski(x509);
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
	       add_basic_constraints(x509, true, 0) && add_key_usage(x509, KU_OF_A_CA) &&
	       add_ski(x509) && add_aki(x509, issuer) && add_pointers(x509, extra);
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
		    add_basic_constraints(x509, true, -1) && add_key_usage(x509, KU_OF_A_CA) &&
		    add_ski(x509) && add_aki(x509, issuer);

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
		X509_REQ_sign(req, pkey_evp(key), issue_digest(key)) > 0)
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
		       add_basic_constraints(x509, false, -1) && add_key_usage(x509, bits) &&
		       add_eku(x509, extra) && add_san(x509, addr, extra) && add_ski(x509) &&
		       add_aki(x509, issuer) && add_pointers(x509, extra);
		rc = finish_cert(&x509, made, ca_key, extra->digest, out, err);
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
