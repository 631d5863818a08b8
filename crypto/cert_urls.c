/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cert_urls.h"

#include "crypto/openssl_glue.h"

#include <openssl/x509v3.h>

#include <string.h>

static enum rc
add(struct cert_urls *urls, const GENERAL_NAME *name, struct err *err)
{
	const ASN1_STRING *text;
	const unsigned char *data;
	int len;

	if (urls->n == CERT_URLS_MAX || !name || name->type != GEN_URI)
		return RC_OK;
	text = name->d.uniformResourceIdentifier;
	data = ASN1_STRING_get0_data(text);
	len = ASN1_STRING_length(text);
	if (len <= 0 || len > CERT_URL_BYTES)
		return RC_OK;
	for (int i = 0; i < len; i++)
		if (data[i] <= ' ' || data[i] >= 0x7f)
			return RC_OK;
	for (size_t i = 0; i < urls->n; i++)
		if (strlen(urls->v[i]) == (size_t)len && memcmp(urls->v[i], data, (size_t)len) == 0)
			return RC_OK;
	urls->v[urls->n] = strndup((const char *)data, (size_t)len);
	if (!urls->v[urls->n])
		return err_set(err, ERR_MEMORY, "URLs of a certificate");
	urls->n++;
	return RC_OK;
}

/* Takes POINTS, which may be NULL. */
static enum rc
add_points(struct cert_urls *urls, CRL_DIST_POINTS *points, struct err *err)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;

		if (!name || name->type != 0)
			continue;
		for (int k = 0; rc == RC_OK && k < sk_GENERAL_NAME_num(name->name.fullname); k++)
			rc = add(urls, sk_GENERAL_NAME_value(name->name.fullname, k), err);
	}
	CRL_DIST_POINTS_free(points);
	return rc;
}

static enum rc
add_access(struct cert_urls *urls, X509 *x, int method, struct err *err)
{
	AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(x, NID_info_access, NULL, NULL);
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < sk_ACCESS_DESCRIPTION_num(info); i++) {
		const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(info, i);

		if (OBJ_obj2nid(one->method) == method)
			rc = add(urls, one->location, err);
	}
	AUTHORITY_INFO_ACCESS_free(info);
	return rc;
}

/* An extension that cannot be decoded names no URL; one that could not be for want of memory is
 * trouble. */
static enum rc
finish(struct cert_urls *out, unsigned refusals, enum rc rc, struct err *err)
{
	ossl_clear();
	if (rc == RC_OK && ossl_refusals() != refusals)
		rc = err_set(err, ERR_MEMORY, "URLs of a certificate");
	if (rc != RC_OK)
		cert_urls_fini(out);
	return rc;
}

enum rc
cert_urls_get(
	const struct cert *cert, enum cert_url_kind kind, struct cert_urls *out, struct err *err)
{
	unsigned refusals = ossl_refusals();
	X509 *x = cert_x509(cert);
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if (kind != CERT_URL_CRL)
		return finish(out, refusals,
			add_access(out, x, kind == CERT_URL_OCSP ? NID_ad_OCSP : NID_ad_ca_issuers,
				err),
			err);
	rc = add_points(out, X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL), err);
	if (rc == RC_OK)
		rc = add_points(out, X509_get_ext_d2i(x, NID_freshest_crl, NULL, NULL), err);
	return finish(out, refusals, rc, err);
}

enum rc
cert_urls_of_crl(const void *der, size_t len, struct cert_urls *out, struct err *err)
{
	unsigned refusals = ossl_refusals();
	const unsigned char *p = der;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)len);
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	if (crl)
		rc = add_points(out, X509_CRL_get_ext_d2i(crl, NID_freshest_crl, NULL, NULL), err);
	X509_CRL_free(crl);
	return finish(out, refusals, rc, err);
}

void
cert_urls_fini(struct cert_urls *urls)
{
	for (size_t i = 0; i < urls->n; i++)
		free(urls->v[i]);
	urls->n = 0;
}
