/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cert.h"

#include "crypto/cert_private.h"
#include "crypto/openssl_glue.h"
#include "message/addr.h"

#include <openssl/pem.h>

#include <string.h>

enum rc
cert_parse(const void *der, size_t len, struct cert **out, struct err *err)
{
	unsigned char sha256[DIGEST_MAX_SIZE];
	unsigned refusals = ossl_refusals();
	enum rc rc;

	*out = NULL;
	if (len > CERT_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a certificate of %zu bytes (at most %d)", len,
			CERT_MAX_BYTES);
	rc = digest_bytes(DIGEST_SHA256, der, len, sha256, err);
	if (rc != RC_OK)
		return rc;
	*out = cert_cache_find(sha256);
	if (*out)
		return RC_OK;
	rc = cert_decode(der, len, sha256, out, err);
	/* One that was decoded in part must not stay in the cache as what it seems to be. */
	if (ossl_refusals() != refusals) {
		cert_unref(out);
		rc = err_set(err, ERR_MEMORY, "certificate");
	}
	if (rc == RC_OK)
		cert_cache_insert(out);
	return rc;
}

struct cert *
cert_ref(struct cert *cert)
{
	if (cert)
		atomic_fetch_add_explicit(&cert->refs, 1, memory_order_relaxed);
	return cert;
}

void
cert_unref(struct cert **cert)
{
	struct cert *gone = *cert;

	*cert = NULL;
	if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
		cert_destroy(gone);
}

X509 *
cert_x509(const struct cert *cert)
{
	return cert->x509;
}

EVP_PKEY *
cert_pubkey(const struct cert *cert)
{
	return X509_get0_pubkey(cert->x509); /* get0 */
}

const unsigned char *
cert_der(const struct cert *cert, size_t *len)
{
	*len = cert->der_len;
	return cert->der;
}

const unsigned char *
cert_sha256(const struct cert *cert)
{
	return cert->sha256;
}

const char *
cert_fingerprint(const struct cert *cert)
{
	return cert->fingerprint;
}

const char *
cert_subject(const struct cert *cert)
{
	return cert->subject;
}

const char *
cert_issuer(const struct cert *cert)
{
	return cert->issuer;
}

const char *
cert_serial(const struct cert *cert)
{
	return cert->serial;
}

int64_t
cert_not_before(const struct cert *cert)
{
	return cert->not_before;
}

int64_t
cert_not_after(const struct cert *cert)
{
	return cert->not_after;
}

enum key_type
cert_key_type(const struct cert *cert)
{
	return cert->key_type;
}

int
cert_key_bits(const struct cert *cert)
{
	return cert->key_bits;
}

size_t
cert_addrs(const struct cert *cert, bool also_subject, const char *const **addrs)
{
	*addrs = cert->addrs;
	return also_subject ? cert->n_addrs : cert->n_san_addrs;
}

bool
cert_has_addr(const struct cert *cert, const char *addr, bool also_subject)
{
	size_t n = also_subject ? cert->n_addrs : cert->n_san_addrs, i;

	for (i = 0; i < n; i++)
		if (addr_equal(cert->addrs[i], addr))
			return true;
	return false;
}

bool
cert_is_ca(const struct cert *cert)
{
	return cert->ca;
}

bool
cert_is_self_issued(const struct cert *cert)
{
	return cert->self_issued;
}

const unsigned char *
cert_issuer_der(const struct cert *cert, size_t *len)
{
	*len = cert->issuer_len;
	return cert->issuer_der;
}

const unsigned char *
cert_serial_bytes(const struct cert *cert, size_t *len)
{
	*len = cert->serial_len;
	return cert->serial_der;
}

const unsigned char *
cert_ski(const struct cert *cert, size_t *len)
{
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert->x509); /* get0 */

	*len = ski ? (size_t)ASN1_STRING_length(ski) : 0;
	return ski ? ASN1_STRING_get0_data(ski) : NULL;
}

const unsigned char *
cert_spki(const struct cert *cert, size_t *len)
{
	*len = cert->spki_len;
	return cert->spki;
}

enum rc
cert_format_pem(const struct cert *cert, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	enum rc rc;
	char *data;
	long len;

	if (!bio)
		return ossl_err(err, ERR_MEMORY, "a certificate as PEM");
	if (!PEM_write_bio(bio, PEM_STRING_X509, "", cert->der, (long)cert->der_len)) {
		rc = ossl_err(err, ERR_CRYPTO, "a certificate as PEM");
	} else {
		len = BIO_get_mem_data(bio, &data); /* get0 */
		rc = buf_append(out, data, (size_t)len, err);
	}
	BIO_free(bio);
	return rc;
}
