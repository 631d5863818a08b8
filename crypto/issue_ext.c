/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue_ext.c - the extensions of certificates that we make (RFC 5280 section 4.2, RFC 9598)
 */
#include "crypto/issue_private.h"

#include "crypto/issue.h"
#include "crypto/openssl_glue.h"

#include <string.h>

static bool
add_ext(X509 *x509, int nid, void *value, bool critical)
{
	return value && X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

/* PATHLEN -1: none. */
bool
issue_add_constraints(X509 *x509, bool ca, int pathlen)
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
bool
issue_add_usage(X509 *x509, unsigned bits)
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
bool
issue_add_eku(X509 *x509, const struct issue_extra *extra)
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
bool
issue_add_ski(X509 *x509)
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
AUTHORITY_KEYID *
issue_aki(X509 *issuer)
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

bool
issue_add_aki(X509 *x509, X509 *issuer)
{
	AUTHORITY_KEYID *aki;
	bool ok;

	if (!X509_get0_subject_key_id(issuer))
		return true; /* a foreign CA without one */
	aki = issue_aki(issuer);
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
bool
issue_add_pointers(X509 *x509, const struct issue_extra *extra)
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
bool
issue_add_san(X509 *x509, const char *addr, const struct issue_extra *extra)
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
