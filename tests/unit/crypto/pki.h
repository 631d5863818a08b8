/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pki.h - certificates of any shape for tests, made with OpenSSL's own API
 */
#ifndef TESTS_UNIT_CRYPTO_PKI_H
#define TESTS_UNIT_CRYPTO_PKI_H

#include "crypto/cert.h"
#include "tests/unit/unit.h"

#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <unistd.h>

#define PKI_NOW      1790000000 /* 2026-09-21 */
#define PKI_YEAR     (365 * 86400)
#define PKI_MAX_EXTS 8
#define PKI_CA_EXTS                                                                          \
	{NID_basic_constraints, "critical,CA:TRUE"}, {NID_key_usage, "keyCertSign,cRLSign"}, \
	{                                                                                    \
		NID_subject_key_identifier, "hash"                                           \
	} /* of a CA that signs lists too */

struct pki_ext {
	int nid;
	const char *value; /* as in openssl.cnf, "critical," in front where wanted */
};

struct pki_spec {
	const char *name;     /* CN */
	const char *email;    /* emailAddress in the subject; may be NULL */
	X509 *issuer;         /* NULL: self-signed */
	EVP_PKEY *issuer_key; /* NULL: KEY */
	EVP_PKEY *key;
	int64_t from, until; /* 0: a year around PKI_NOW */
	const EVP_MD *md;    /* NULL: SHA-256 */
	struct pki_ext exts[PKI_MAX_EXTS];
};

static inline EVP_PKEY *
pki_p256(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_non_null(key);
	return key;
}

static inline X509 *
pki_x509(const struct pki_spec *spec)
{
	static long serial = 0x1234;
	X509 *x509 = X509_new();
	X509_NAME *subject = X509_get_subject_name(x509);
	CONF *conf = NCONF_new(NULL); /* empty, but some extensions want one */
	X509V3_CTX ctx;
	size_t i;

	assert_true(X509_set_version(x509, X509_VERSION_3));
	assert_true(ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++));
	assert_true(X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_UTF8, (const unsigned char *)spec->name, -1, -1, 0));
	if (spec->email)
		assert_true(X509_NAME_add_entry_by_txt(subject, "emailAddress", MBSTRING_UTF8,
			(const unsigned char *)spec->email, -1, -1, 0));
	assert_non_null(ASN1_TIME_adj(
		X509_getm_notBefore(x509), spec->from ? spec->from : PKI_NOW - PKI_YEAR, 0, 0));
	assert_non_null(ASN1_TIME_adj(
		X509_getm_notAfter(x509), spec->until ? spec->until : PKI_NOW + PKI_YEAR, 0, 0));
	assert_true(X509_set_issuer_name(
		x509, X509_get_subject_name(spec->issuer ? spec->issuer : x509)));
	assert_true(X509_set_pubkey(x509, spec->key));
	X509V3_set_ctx(&ctx, spec->issuer ? spec->issuer : x509, x509, NULL, NULL, 0);
	X509V3_set_nconf(&ctx, conf);
	for (i = 0; i < PKI_MAX_EXTS && spec->exts[i].nid; i++) {
		X509_EXTENSION *ext =
			X509V3_EXT_nconf_nid(conf, &ctx, spec->exts[i].nid, spec->exts[i].value);

		if (!ext)
			fail_msg("%s: extension %s = %s", spec->name, OBJ_nid2sn(spec->exts[i].nid),
				spec->exts[i].value);
		assert_true(X509_add_ext(x509, ext, -1));
		X509_EXTENSION_free(ext);
	}
	assert_true(X509_sign(x509, spec->issuer_key ? spec->issuer_key : spec->key,
			    spec->md ? spec->md : EVP_sha256()) > 0);
	NCONF_free(conf);
	return x509;
}

/* Through DER into ours; frees X509. */
static inline struct cert *
pki_take(X509 *x509)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);
	struct cert *cert;
	struct err err = ERR_INIT;

	assert_true(len > 0);
	if (cert_parse(der, (size_t)len, &cert, &err) != RC_OK)
		fail_msg("cert_parse: %s", err.detail);
	OPENSSL_free(der);
	X509_free(x509);
	return cert;
}

/* The same; X509 stays the caller's. */
static inline struct cert *
pki_copy(X509 *x509)
{
	assert_true(X509_up_ref(x509));
	return pki_take(x509);
}

static inline struct cert *
pki_cert(const struct pki_spec *spec)
{
	return pki_take(pki_x509(spec));
}

/* The whole of a corpus file into a buffer; false when the corpora are not here. */
static inline bool
pki_corpus(const char *name, struct buf *out)
{
	const char *dir = getenv("SEALGATE_CORPORA");
	char path[512], block[4096];
	FILE *file;
	size_t n;

	snprintf(
		path, sizeof(path), "%s/%s", dir && *dir ? dir : SRCDIR "/../shared/corpora", name);
	file = fopen(path, "rb");
	if (!file)
		return false;
	while ((n = fread(block, 1, sizeof(block), file)) > 0)
		assert_int_equal(buf_append(out, block, n, NULL), RC_OK);
	fclose(file);
	return true;
}

#endif
