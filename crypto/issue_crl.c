/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue_crl.c - revocation lists (RFC 5280 section 5)
 */
#include "crypto/issue.h"

#include "crypto/issue_private.h"
#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"

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
	AUTHORITY_KEYID *aki = issue_aki(issuer);
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
			X509_CRL_sign(crl, pkey_evp(ca_key), issue_digest(ca_key)) > 0 &&
			(!ossl_was_refused() || X509_CRL_verify(crl, pkey_evp(ca_key)) == 1))
			len = i2d_X509_CRL(crl, &bytes);
	}
	rc = len > 0 ? buf_append(der, bytes, (size_t)len, err)
		     : ossl_err(err, ERR_CRYPTO, "making a CRL");
	OPENSSL_free(bytes);
	X509_CRL_free(crl);
	return rc;
}
