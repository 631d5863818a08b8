/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/crl_source.h"

#include "crypto/openssl_glue.h"

#include <openssl/x509v3.h>

enum rc
crl_source(const void *der, size_t len, struct buf *out, struct err *err)
{
	const unsigned char *p = der;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)len);
	AUTHORITY_KEYID *aki = NULL;
	unsigned char *name = NULL;
	int name_len = -1;
	enum rc rc;

	if (crl && p == (const unsigned char *)der + len)
		name_len = i2d_X509_NAME(X509_CRL_get_issuer(crl), &name); /* get0 */
	if (name_len <= 0) {
		rc = ossl_err(err, ERR_CERT_MALFORMED, "no revocation list");
		goto out;
	}
	aki = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
	rc = buf_append(out, name, (size_t)name_len, err);
	if (!rc && aki && aki->keyid)
		rc = buf_append(out, ASN1_STRING_get0_data(aki->keyid),
			(size_t)ASN1_STRING_length(aki->keyid), err);
out:
	AUTHORITY_KEYID_free(aki);
	OPENSSL_free(name);
	X509_CRL_free(crl);
	return rc;
}
