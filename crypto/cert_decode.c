/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_decode.c - everything that is asked of a certificate, taken out of it once
 */
#include "crypto/cert_private.h"
#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"
#include "message/addr.h"

#include <openssl/asn1.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SERIAL 64 /* bytes; RFC 5280 allows 20 */

static enum rc
malformed(struct err *err, const char *what)
{
	return ossl_err(err, ERR_CERT_MALFORMED, "certificate: %s", what);
}

/* A copy of a name's text, in which U+0080 to U+009F, which terminals obey, are "\C2\80" to
 * "\C2\9F"; OpenSSL has done so with other control characters. */
static char *
escape_controls(const char *data, size_t len)
{
	char *text = malloc(3 * len + 1), *to = text;

	for (size_t i = 0; text && i < len && data[i]; i++)
		if (data[i] == '\xc2' && i + 1 < len && (unsigned char)data[i + 1] >= 0x80 &&
			(unsigned char)data[i + 1] < 0xa0)
			to += sprintf(to, "\\C2\\%02X", (unsigned char)data[++i]);
		else
			*to++ = data[i];
	if (text)
		*to = 0;
	return text;
}

/* A name by RFC 4514 in UTF-8. */
static char *
name_text(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *data;
	long len;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		len = BIO_get_mem_data(bio, &data); /* get0 */
		text = escape_controls(data, data && len > 0 ? (size_t)len : 0);
	}
	BIO_free(bio);
	return text;
}

static enum rc
decode_names(struct cert *cert, struct err *err)
{
	X509_NAME *subject = X509_get_subject_name(cert->x509); /* get0 */
	X509_NAME *issuer = X509_get_issuer_name(cert->x509);   /* get0 */

	cert->subject = name_text(subject);
	cert->issuer = name_text(issuer);
	if (!cert->subject || !cert->issuer)
		return malformed(err, "a name in it cannot be read");
	if (!X509_NAME_get0_der(issuer, &cert->issuer_der, &cert->issuer_len))
		return malformed(err, "its issuer cannot be encoded");
	cert->self_issued = X509_NAME_cmp(subject, issuer) == 0;
	return RC_OK;
}

/* Content octets of the serial number as they stand in the certificate, and as text. */
static enum rc
decode_serial(struct cert *cert, struct err *err)
{
	static const char hex[] = "0123456789abcdef";
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert->x509); /* get0 */
	const unsigned char *bytes = ASN1_STRING_get0_data(serial), *p;
	int n = ASN1_STRING_length(serial), i;
	unsigned char *der = NULL;
	int len = i2d_ASN1_INTEGER(serial, &der), tag, class;
	long content;
	char *text;

	if (len <= 0)
		return malformed(err, "its serial number cannot be encoded");
	if (n > MAX_SERIAL) {
		OPENSSL_free(der);
		return malformed(err, "its serial number is too long");
	}
	p = der;
	if (ASN1_get_object(&p, &content, &tag, &class, len) & 0x80 || content <= 0) {
		OPENSSL_free(der);
		return malformed(err, "its serial number is empty");
	}
	cert->serial_len = (size_t)content;
	cert->serial_der = malloc(cert->serial_len);
	text = cert->serial = malloc(2 * (size_t)n + 4);
	if (cert->serial_der)
		memcpy(cert->serial_der, p, cert->serial_len);
	OPENSSL_free(der);
	if (!cert->serial_der || !text)
		return err_set(err, ERR_MEMORY, "certificate");
	if (ASN1_STRING_type(serial) & V_ASN1_NEG)
		*text++ = '-';
	for (i = 0; i < n; i++) {
		*text++ = hex[bytes[i] >> 4];
		*text++ = hex[bytes[i] & 15];
	}
	if (n == 0) {
		*text++ = '0';
		*text++ = '0';
	}
	*text = '\0';
	return RC_OK;
}

static enum rc
decode_time(const ASN1_TIME *from, int64_t *to, struct err *err)
{
	struct tm tm;

	if (!from || !ASN1_TIME_to_tm(from, &tm))
		return malformed(err, "its validity cannot be read");
	*to = timegm(&tm);
	return RC_OK;
}

/* A key that OpenSSL cannot read leaves a certificate that is merely of no use. */
static enum rc
decode_key(struct cert *cert, struct err *err)
{
	EVP_PKEY *key = X509_get0_pubkey(cert->x509); /* get0 */
	unsigned char *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert->x509), &spki);

	if (len <= 0)
		return malformed(err, "its public key cannot be encoded");
	cert->spki_len = (size_t)len;
	cert->spki = malloc(cert->spki_len);
	if (cert->spki)
		memcpy(cert->spki, spki, cert->spki_len);
	OPENSSL_free(spki);
	if (!cert->spki)
		return err_set(err, ERR_MEMORY, "certificate");
	cert->key_type = evp_key_type(key);
	cert->key_bits = key ? EVP_PKEY_get_bits(key) : 0;
	ossl_clear();
	return RC_OK;
}

/* Adds an address in canonical form; what is no address, or one too many, is left out. */
static enum rc
add_addr(struct cert *cert, const ASN1_STRING *text, struct err *err)
{
	const char *data = (const char *)ASN1_STRING_get0_data(text);
	size_t len = (size_t)ASN1_STRING_length(text), i;
	char addr[ADDR_MAX + 1];

	if (cert->n_addrs == CERT_MAX_ADDRS || memchr(data, '\0', len) || !memchr(data, '@', len))
		return RC_OK;
	if (addr_canonical(data, len, addr, NULL) != RC_OK || !addr_domain(addr))
		return RC_OK;
	for (i = 0; i < cert->n_addrs; i++)
		if (addr_equal(cert->addrs[i], addr))
			return RC_OK;
	cert->addrs[cert->n_addrs] = strdup(addr);
	if (!cert->addrs[cert->n_addrs])
		return err_set(err, ERR_MEMORY, "certificate");
	cert->n_addrs++;
	return RC_OK;
}

static enum rc
decode_addrs(struct cert *cert, struct err *err)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(cert->x509); /* get0 */
	enum rc rc = RC_OK;
	int i;

	for (i = 0; rc == RC_OK && i < sk_GENERAL_NAME_num(names); i++) {
		const ASN1_STRING *text = ossl_mailbox_of(sk_GENERAL_NAME_value(names, i));

		if (text)
			rc = add_addr(cert, text, err);
	}
	GENERAL_NAMES_free(names);
	cert->n_san_addrs = cert->n_addrs;
	for (i = -1; rc == RC_OK &&
		     (i = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, i)) >= 0;)
		rc = add_addr(cert, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)), err);
	ossl_clear();
	return rc;
}

/* Makes OpenSSL decode its extensions now, while no other thread has the certificate. */
static void
decode_extensions(struct cert *cert)
{
	uint32_t flags;

	X509_check_purpose(cert->x509, -1, 0);
	flags = X509_get_extension_flags(cert->x509);
	cert->ku = flags & EXFLAG_KUSAGE ? X509_get_key_usage(cert->x509) : CERT_NO_KU;
	cert->has_eku = flags & EXFLAG_XKUSAGE;
	if (cert->has_eku) {
		uint32_t eku = X509_get_extended_key_usage(cert->x509);

		cert->eku_email = eku & XKU_SMIME;
		cert->eku_any = eku & XKU_ANYEKU;
	}
	cert->ca = flags & EXFLAG_CA;
	ossl_clear();
}

static enum rc
decode_all(struct cert *cert, struct err *err)
{
	enum rc rc = decode_names(cert, err);

	if (rc == RC_OK)
		rc = decode_serial(cert, err);
	if (rc == RC_OK)
		rc = decode_time(X509_get0_notBefore(cert->x509), &cert->not_before, err);
	if (rc == RC_OK)
		rc = decode_time(X509_get0_notAfter(cert->x509), &cert->not_after, err);
	if (rc == RC_OK)
		rc = decode_key(cert, err);
	if (rc == RC_OK)
		rc = decode_addrs(cert, err);
	if (rc == RC_OK)
		decode_extensions(cert);
	return rc;
}

enum rc
cert_decode(const void *der, size_t len, const unsigned char *sha256, struct cert **out,
	struct err *err)
{
	const unsigned char *p = der;
	struct cert *cert = calloc(1, sizeof(*cert));
	enum rc rc;
	size_t i;

	*out = NULL;
	if (!cert)
		return err_set(err, ERR_MEMORY, "certificate");
	atomic_init(&cert->refs, 1);
	memcpy(cert->sha256, sha256, SHA256_SIZE);
	for (i = 0; i < SHA256_SIZE; i++)
		snprintf(cert->fingerprint + 2 * i, 3, "%02x", sha256[i]);
	cert->der = malloc(len ? len : 1);
	if (!cert->der) {
		rc = err_set(err, ERR_MEMORY, "certificate");
		goto out;
	}
	memcpy(cert->der, der, len);
	cert->der_len = len;
	cert->x509 = d2i_X509(NULL, &p, (long)len);
	if (!cert->x509)
		rc = malformed(err, "it is no X.509 certificate in DER");
	else if (p != (const unsigned char *)der + len)
		rc = malformed(err, "there are bytes after its end");
	else
		rc = decode_all(cert, err);
out:
	if (rc != RC_OK)
		cert_unref(&cert);
	*out = cert;
	return rc;
}

void
cert_destroy(struct cert *cert)
{
	size_t i;

	X509_free(cert->x509);
	for (i = 0; i < cert->n_addrs; i++)
		free((char *)cert->addrs[i]);
	free(cert->der);
	free(cert->subject);
	free(cert->issuer);
	free(cert->serial);
	free(cert->serial_der);
	free(cert->spki);
	free(cert);
}
