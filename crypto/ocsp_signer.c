/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ocsp_signer.h"

#include "crypto/openssl_glue.h"
#include "crypto/signature.h"

#include <openssl/ocsp.h>

#include <string.h>

#define MIN_RSA_BITS 1024 /* of a responder's key; below the configured floor it counts as weak */

bool
ocsp_is_responder(const struct ocsp_response *response, X509 *cert)
{
	unsigned char sha1[DIGEST_MAX_SIZE];
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(cert); /* get0 */
	const unsigned char *p = response->responder_name.p;
	X509_NAME *name;
	bool same;

	if (response->responder_key.len)
		return response->responder_key.len == digest_size(DIGEST_SHA1) && bits &&
		       digest_bytes(DIGEST_SHA1, ASN1_STRING_get0_data(bits),
			       (size_t)ASN1_STRING_length(bits), sha1, NULL) == RC_OK &&
		       memcmp(sha1, response->responder_key.p, response->responder_key.len) == 0;
	name = d2i_X509_NAME(NULL, &p, (long)response->responder_name.len);
	same = name && X509_NAME_cmp(name, X509_get_subject_name(cert)) == 0;
	X509_NAME_free(name);
	return same;
}

bool
ocsp_is_signed_by(const struct ocsp_response *response, X509 *cert)
{
	struct signature_scheme scheme;
	EVP_PKEY *key = X509_get0_pubkey(cert); /* get0 */
	bool good = key &&
		    signature_find_scheme(
			    response->algorithm, response->params, DIGEST_NONE, &scheme) &&
		    scheme.digest > DIGEST_MD5 && signature_fits(&scheme, key) &&
		    (!(EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) ||
			    EVP_PKEY_get_bits(key) >= MIN_RSA_BITS) &&
		    signature_verify(&scheme, response->signature, response->tbs, key);

	ossl_clear();
	return good;
}

bool
ocsp_next_cert(struct der *certs, size_t *n, X509 **cert)
{
	struct der_item item;
	const unsigned char *p;

	*cert = NULL;
	if (*n == OCSP_MAX_CERTS || !der_take(certs, DER_SEQUENCE, &item))
		return false;
	++*n;
	p = item.whole.p;
	*cert = d2i_X509(NULL, &p, (long)item.whole.len);
	ossl_clear();
	return true;
}

const char *
ocsp_delegate_fault(X509 *issuer, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer); /* get0 */
	uint32_t usage = X509_get_key_usage(cert);

	if (X509_get_extension_flags(cert) & (EXFLAG_INVALID | EXFLAG_CRITICAL))
		return "its responder's certificate is malformed, or has an unknown critical extension";
	if (!(X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) ||
		!(X509_get_extended_key_usage(cert) & XKU_OCSP_SIGN))
		return "its responder's certificate is not for answering (OCSPSigning)";
	if (!(usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		return "its responder's certificate is not for signing";
	if (X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) != 0 || !key ||
		X509_verify(cert, key) != 1) {
		ossl_clear();
		return "its responder's certificate is not by the CA that it answers for";
	}
	return NULL;
}

bool
ocsp_is_by(const struct ocsp_response *response, X509 *issuer)
{
	struct der certs = response->certs;
	bool is = ocsp_is_responder(response, issuer) && ocsp_is_signed_by(response, issuer);
	size_t n = 0;
	X509 *cert;

	while (!is && ocsp_next_cert(&certs, &n, &cert)) {
		is = cert && ocsp_is_responder(response, cert) &&
		     ocsp_is_signed_by(response, cert) && !ocsp_delegate_fault(issuer, cert);
		X509_free(cert);
	}
	return is;
}
