/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certset.c - sets of certificates, and the files that hold several
 */
#include "crypto/cert_private.h"
#include "crypto/openssl_glue.h"
#include "crypto/pem.h"

#include <openssl/cms.h>
#include <openssl/pem.h>

#include <stdlib.h>
#include <string.h>

enum rc
certset_add(struct certset *set, struct cert *cert, struct err *err)
{
	struct cert **grown;
	size_t i;

	for (i = 0; i < set->n; i++)
		if (set->v[i] == cert || memcmp(set->v[i]->sha256, cert->sha256, SHA256_SIZE) == 0)
			return RC_OK;
	if (set->n >= CERTSET_MAX)
		return err_set(err, ERR_LIMIT, "more than %d certificates", CERTSET_MAX);
	if ((set->n & (set->n - 1)) == 0) { /* the array grows at each power of two */
		grown = realloc(set->v, (set->n ? 2 * set->n : 1) * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_MEMORY, "certificates");
		set->v = grown;
	}
	set->v[set->n++] = cert_ref(cert);
	return RC_OK;
}

void
certset_fini(struct certset *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		cert_unref(&set->v[i]);
	free(set->v);
	set->v = NULL;
	set->n = 0;
}

static enum rc
add_der(struct certset *set, const void *der, size_t len, struct err *err)
{
	struct cert *cert;
	enum rc rc = cert_parse(der, len, &cert, err);

	if (rc == RC_OK)
		rc = certset_add(set, cert, err);
	cert_unref(&cert);
	return rc;
}

/* Adds the certificates of a degenerate PKCS#7. CMS_get1_certs gives copies that go through DER
 * into our cache. */
static enum rc
add_p7(struct certset *set, const unsigned char *der, size_t len, struct err *err)
{
	const unsigned char *p = der;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)len);
	STACK_OF(X509) *certs = NULL;
	enum rc rc = RC_OK;
	int i;

	if (!cms || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
		rc = ossl_err(err, ERR_CERT_MALFORMED, "neither a certificate nor a PKCS#7 file");
		goto out;
	}
	certs = CMS_get1_certs(cms); /* get1; NULL when there are none */
	for (i = 0; rc == RC_OK && i < sk_X509_num(certs); i++) {
		unsigned char *one = NULL;
		int n = i2d_X509(sk_X509_value(certs, i), &one);

		rc = n > 0 ? add_der(set, one, (size_t)n, err)
			   : ossl_err(err, ERR_CERT_MALFORMED, "a certificate in a PKCS#7 file");
		OPENSSL_free(one);
	}
out:
	sk_X509_pop_free(certs, X509_free);
	CMS_ContentInfo_free(cms);
	ossl_clear();
	return rc;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static enum rc
add_pem_block(
	void *ctx, const char *name, char *header, unsigned char *der, size_t len, struct err *err)
{
	static const char *const cert_names[] = {PEM_STRING_X509, PEM_STRING_X509_OLD, NULL};
	static const char *const p7_names[] = {
		PEM_STRING_PKCS7, PEM_STRING_PKCS7_SIGNED, PEM_STRING_CMS, NULL};

	(void)header;
	if (is_one_of(name, cert_names))
		return add_der(ctx, der, len, err);
	if (is_one_of(name, p7_names))
		return add_p7(ctx, der, len, err);
	return RC_OK; /* keys, CRLs, parameters: not ours to judge */
}

static enum rc
parse_pem(const void *data, size_t len, struct certset *set, struct err *err)
{
	size_t before = set->n;
	enum rc rc = pem_each(data, len, ERR_CERT_MALFORMED, add_pem_block, set, err);

	if (rc == RC_OK && set->n == before)
		rc = err_set(err, ERR_CERT_MALFORMED, "a PEM file without a certificate");
	return rc;
}

static enum rc
parse_any(const void *data, size_t len, struct certset *set, struct err *err)
{
	static const char begin[] = "-----BEGIN ";
	struct cert *cert;
	enum rc rc;

	if (len > BUF_MAX_DEFAULT)
		return err_set(err, ERR_LIMIT, "a file of %zu bytes", len);
	if (memmem(data, len, begin, sizeof(begin) - 1))
		return parse_pem(data, len, set, err);
	if (len <= CERT_MAX_BYTES && cert_parse(data, len, &cert, NULL) == RC_OK) {
		rc = certset_add(set, cert, err);
		cert_unref(&cert);
		return rc;
	}
	return add_p7(set, data, len, err);
}

/* What could not be decoded for want of memory is not malformed. */
enum rc
certset_parse(const void *data, size_t len, struct certset *set, struct err *err)
{
	unsigned refusals = ossl_refusals();
	enum rc rc = parse_any(data, len, set, err);

	return rc == RC_PERM && ossl_refusals() != refusals
		       ? err_set(err, ERR_MEMORY, "certificates")
		       : rc;
}

enum rc
certset_format_p7(const struct certset *set, struct buf *out, struct err *err)
{
	/* No content, no signers: SignedData that only carries certificates (RFC 8551 section 3.8).
	 */
	CMS_ContentInfo *cms =
		CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_DETACHED | CMS_BINARY);
	unsigned char *der = NULL;
	enum rc rc;
	size_t i;
	int len = -1;

	for (i = 0; cms && i < set->n; i++)
		if (!CMS_add1_cert(cms, set->v[i]->x509))
			break;
	if (cms && i == set->n)
		len = i2d_CMS_ContentInfo(cms, &der);
	rc = len > 0 ? buf_append(out, der, (size_t)len, err)
		     : ossl_err(err, ERR_CRYPTO, "certificates as PKCS#7");
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	return rc;
}
