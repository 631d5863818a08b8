/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/path_rules.h"

#include "base/clock.h"
#include "crypto/mail_constraints.h"
#include "crypto/name_text.h"
#include "crypto/openssl_glue.h"
#include "message/addr.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_EXTENSIONS 100 /* of one certificate on a path; real ones have 8 to 15 */
#define OID_SIZE       80

/* Always false, so that a check can end with it. */
__attribute__((format(printf, 4, 5))) static bool
refuse(struct path_fault *fault, enum path_score score, X509 *cert, const char *fmt, ...)
{
	va_list ap;

	fault->score = score;
	fault->cert = cert;
	va_start(ap, fmt);
	(void)vsnprintf(fault->text, sizeof(fault->text), fmt, ap);
	va_end(ap);
	return false;
}

static struct cert *
cert_of(const X509 *x509)
{
	struct cert *cert = NULL;
	unsigned char *der = NULL;
	int len = x509 ? i2d_X509(x509, &der) : 0;

	if (len > 0)
		(void)cert_parse(der, (size_t)len, &cert, NULL);
	OPENSSL_free(der);
	return cert;
}

void
path_note(struct verdict *verdict, enum verdict_part part, const X509 *x509, const char *text)
{
	struct cert *about = cert_of(x509);

	verdict_note(verdict, part, about, "%s", text);
	cert_unref(&about);
}

const struct trustlist_entry *
path_rules_denied(const struct path_request *request, X509 *x509)
{
	const struct trustlist_entry *entry;
	struct cert *cert;

	if (!request->denied || !request->denied->n)
		return NULL;
	cert = cert_of(x509);
	entry = cert ? trustlist_denies(request->denied, cert) : NULL;
	cert_unref(&cert);
	return entry;
}

static bool
check_denied(const struct path_request *request, X509 *x509, struct path_fault *fault)
{
	const struct trustlist_entry *entry = path_rules_denied(request, x509);
	char name[NAME_TEXT_SIZE];

	if (!entry)
		return true;
	return refuse(fault, PATH_DENIED, x509, "the certificate of %s is denied%s%.200s",
		name_text_of(x509, name), *entry->reason ? ": " : "", entry->reason);
}

bool
path_rules_before(const struct path_request *request, const struct path_chain *chain,
	struct path_fault *fault)
{
	char name[NAME_TEXT_SIZE];
	size_t names;
	int i;

	for (i = 0; i < chain->n; i++) {
		if (!check_denied(request, chain->v[i], fault))
			return false;
		if (X509_get_ext_count(chain->v[i]) > MAX_EXTENSIONS)
			return refuse(fault, PATH_BROKEN, chain->v[i],
				"the certificate of %s has %d extensions, more than %d",
				name_text_of(chain->v[i], name), X509_get_ext_count(chain->v[i]),
				MAX_EXTENSIONS);
	}
	names = mail_constraints_work(chain->v, chain->n);
	if (names <= MAIL_CONSTRAINTS_MAX_WORK && !effort_names(request->effort, names))
		return refuse(fault, PATH_BROKEN, chain->v[0], "%s", effort_reason());
	if (names > MAIL_CONSTRAINTS_MAX_WORK)
		return refuse(fault, PATH_BROKEN, chain->v[0],
			"the certificate of %s has too many names for the constraints of its CAs to be checked",
			name_text_of(chain->v[0], name));
	return true;
}

/* The first critical extension that nobody here understands; NULL: all are known. */
static const X509_EXTENSION *
unknown_critical(const X509 *x509)
{
	int i;

	for (i = 0; i < X509_get_ext_count(x509); i++) {
		X509_EXTENSION *ext = X509_get_ext(x509, i); /* get0 */

		if (X509_EXTENSION_get_critical(ext) && !X509_supported_extension(ext))
			return ext;
	}
	return NULL;
}

static bool
check_critical(X509 *x509, struct path_fault *fault)
{
	const X509_EXTENSION *ext = unknown_critical(x509);
	char name[NAME_TEXT_SIZE], oid[OID_SIZE];

	if (!ext)
		return true;
	if (OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object((X509_EXTENSION *)ext), 1) <= 0)
		(void)snprintf(oid, sizeof(oid), "an unreadable OID");
	return refuse(fault, PATH_BROKEN, x509,
		"the certificate of %s has a critical extension that is not known: %s",
		name_text_of(x509, name), oid);
}

/*
 * KeyUsage of a CA, and its extendedKeyUsage: a CA whose extendedKeyUsage leaves out mail does not
 * issue certificates for mail, as browsers and mail programs have it (RFC 5280 is silent, OpenSSL
 * does not look). An anchor's is its administrator's matter.
 */
static bool
check_ca(X509 *ca, bool is_anchor, struct path_fault *fault)
{
	uint32_t flags = X509_get_extension_flags(ca);
	char name[NAME_TEXT_SIZE];

	name_text_of(ca, name);
	if (flags & EXFLAG_BCONS && !(flags & EXFLAG_CA))
		return refuse(
			fault, PATH_BROKEN, ca, "%s issued a certificate, but is not a CA", name);
	if (!(X509_get_key_usage(ca) & KU_KEY_CERT_SIGN)) /* all bits without one */
		return refuse(fault, PATH_BROKEN, ca,
			"the CA %s may not sign certificates: its keyUsage has no keyCertSign",
			name);
	if (!is_anchor && flags & EXFLAG_XKUSAGE &&
		!(X509_get_extended_key_usage(ca) & (XKU_SMIME | XKU_ANYEKU)))
		return refuse(fault, PATH_BROKEN, ca,
			"the CA %s may not issue certificates for mail: its extendedKeyUsage leaves them out",
			name);
	return true;
}

bool
path_rules_after(const struct path_request *request, const struct path_chain *chain,
	struct path_fault *fault)
{
	char why[PATH_FAULT_SIZE];
	int i;

	(void)request;
	for (i = 0; i < chain->n; i++)
		if (!check_critical(chain->v[i], fault) ||
			(i && !check_ca(chain->v[i], i == chain->n - 1, fault)))
			return false;
	return mail_constraints_check(chain->v, chain->n, &i, why, sizeof(why)) ||
	       refuse(fault, PATH_BROKEN, chain->v[i], "%s", why);
}

static void
expired(X509 *cert, const char *name, struct path_fault *fault)
{
	char day[CLOCK_TEXT_SIZE];
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		(void)refuse(fault, PATH_TIMED, cert, "the certificate of %s expired on %.10s",
			name, clock_format((int64_t)timegm(&tm), day));
	else
		(void)refuse(fault, PATH_TIMED, cert, "the certificate of %s expired", name);
}

void
path_rules_error(const struct path_chain *chain, int error, int depth, struct path_fault *fault)
{
	/* An anchor that is the leaf, and not self-signed, is its own issuer for OpenSSL: one more.
	 */
	X509 *cert = chain->v[depth < 0 ? 0 : depth < chain->n ? depth : chain->n - 1];
	char name[NAME_TEXT_SIZE];

	name_text_of(cert, name);
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		expired(cert, name, fault);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		(void)refuse(
			fault, PATH_TIMED, cert, "the certificate of %s is not valid yet", name);
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		(void)refuse(fault, PATH_FORGED, cert, "the certificate of %s: %s", name,
			X509_verify_cert_error_string(error));
		break;
	case X509_V_ERR_OUT_OF_MEM: /* memory there was: OpenSSL's limit of a policy tree */
		(void)refuse(fault, PATH_BROKEN, chain->v[0],
			"the certificate policies on the path are too many to be judged");
		break;
	case X509_V_ERR_UNSPECIFIED:
		(void)refuse(fault, PATH_BROKEN, cert,
			"the certificate of %s: it is too complex to be judged", name);
		break;
	default:
		(void)refuse(fault, PATH_BROKEN, cert, "the certificate of %s: %s", name,
			X509_verify_cert_error_string(error));
	}
}

/* The way that came farthest; of several the first. */
static const struct path_end *
best_end(const struct path_search *search)
{
	const struct path_end *best = &search->ends[0];
	size_t i;

	for (i = 1; i < search->n_ends; i++)
		if (search->ends[i].depth > best->depth)
			best = &search->ends[i];
	return best;
}

void
path_rules_end(const struct path_search *search, struct path_fault *fault)
{
	const struct path_end *end = best_end(search);
	char name[NAME_TEXT_SIZE], issuer[NAME_TEXT_SIZE];

	if (search->exhausted) {
		(void)refuse(fault, PATH_NO_WAY, search->crowded,
			"too many certificates might have issued that of %s (%s): given up after %u signatures and %u paths",
			name_text_of(search->crowded, name),
			name_text(X509_get_issuer_name(search->crowded), issuer),
			search->signatures, search->tries);
		return;
	}
	name_text_of(end->cert, name);
	name_text(X509_get_issuer_name(end->cert), issuer);
	switch (end->kind) {
	case PATH_END_UNKNOWN:
		(void)refuse(fault, PATH_NO_WAY, end->cert,
			"no path to a trust anchor: the issuer of %s (%s) is not known or not trusted",
			name, issuer);
		break;
	case PATH_END_UNTRUSTED:
		(void)refuse(fault, PATH_NO_WAY, end->cert,
			"no path to a trust anchor: it ends at %s, which is not trusted", name);
		break;
	case PATH_END_FORGED:
		(void)refuse(fault, PATH_NO_WAY, end->cert,
			"no path to a trust anchor: the issuer of %s (%s) is known or trusted only with other keys, which did not sign it",
			name, issuer);
		break;
	case PATH_END_CIRCLE:
		(void)refuse(fault, PATH_NO_WAY, end->cert,
			"no path to a trust anchor: %s and its issuers go in circles", name);
		break;
	case PATH_END_LONG:
		(void)refuse(fault, PATH_NO_WAY, end->cert,
			"no path to a trust anchor: there are more than %d intermediate CAs",
			PATH_MAX_CERTS - 2);
	}
}

void
path_rules_issuers(X509 *x509, struct verdict *verdict)
{
	AUTHORITY_INFO_ACCESS *aia = X509_get_ext_d2i(x509, NID_info_access, NULL, NULL);
	int i;

	for (i = 0; i < sk_ACCESS_DESCRIPTION_num(aia); i++) {
		const ACCESS_DESCRIPTION *ad = sk_ACCESS_DESCRIPTION_value(aia, i);
		const ASN1_IA5STRING *uri = ad->location->d.uniformResourceIdentifier;
		char url[VERDICT_MAX_URL + 1];
		int len;

		if (OBJ_obj2nid(ad->method) != NID_ad_ca_issuers || ad->location->type != GEN_URI)
			continue;
		len = ASN1_STRING_length(uri);
		if (len <= 0 || len > VERDICT_MAX_URL ||
			memchr(ASN1_STRING_get0_data(uri), '\0', (size_t)len))
			continue;
		memcpy(url, ASN1_STRING_get0_data(uri), (size_t)len);
		url[len] = '\0';
		verdict_missing(verdict, url);
	}
	AUTHORITY_INFO_ACCESS_free(aia);
	ossl_clear();
}
