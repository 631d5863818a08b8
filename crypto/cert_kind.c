/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_kind.c - what else a certificate is: weak, for logging in only, made by another one
 */
#include "crypto/cert_private.h"
#include "crypto/openssl_glue.h"

#include <openssl/err.h>

const char *
cert_weakness(const struct cert *cert, int min_rsa)
{
	bool rsa = cert->key_type == KEY_RSA || cert->key_type == KEY_RSA_PSS;
	int hash = NID_undef;

	if (rsa && cert->key_bits < min_rsa)
		return "its RSA key is too short";
	if (!X509_get_signature_info(cert->x509, &hash, NULL, NULL, NULL))
		hash = NID_undef;
	ossl_clear();
	switch (hash) {
	case NID_md2:
	case NID_md4:
	case NID_md5:
		return "it is signed with MD5 or older";
	case NID_sha1:
		return "it is signed with SHA-1";
	default:
		return NULL;
	}
}

bool
cert_is_for_login(const struct cert *cert)
{
	return cert->has_eku && !cert->eku_email && !cert->eku_any &&
	       (X509_get_extended_key_usage(cert->x509) & XKU_SSL_CLIENT);
}

bool
cert_may_issue(const struct cert *cert)
{
	return cert->ca && (cert->ku == CERT_NO_KU || cert->ku & KU_KEY_CERT_SIGN);
}

bool
cert_is_issued_by(const struct cert *cert, const struct cert *issuer)
{
	EVP_PKEY *key = cert_pubkey(issuer); /* get0 */
	bool ok = issuer->ca && key && X509_check_issued(issuer->x509, cert->x509) == X509_V_OK &&
		  X509_verify(cert->x509, key) == 1;

	ossl_clear();
	return ok;
}
