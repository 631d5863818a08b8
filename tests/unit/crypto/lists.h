/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lists.h - revocation lists of any shape and size for tests, written as bytes
 */
#ifndef TESTS_UNIT_CRYPTO_LISTS_H
#define TESTS_UNIT_CRYPTO_LISTS_H

#include "crypto/oid.h"
#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <time.h>

#define LISTS_NONE (-1)

struct list_entry {
	const unsigned char *serial;
	size_t len;
	int64_t when;
	int reason;              /* LISTS_NONE: left out */
	bool critical;           /* with an extension that nobody knows */
	const X509_NAME *issuer; /* certificateIssuer; NULL: left out */
};

struct list_spec {
	const X509 *issuer;       /* its subject is the list's issuer */
	EVP_PKEY *key;            /* P-256, signs with SHA-256 */
	int64_t from, until;      /* until 0: no nextUpdate */
	int number, base;         /* LISTS_NONE: left out; 0 too */
	const unsigned char *idp; /* content of the extension; NULL: left out */
	size_t idp_len;
	bool critical;     /* with an extension that nobody knows */
	const char *keeps; /* expiredCertsOnCRL, GeneralizedTime; NULL: left out */
	size_t n;
	/* The entry I, 0 … n - 1. */
	void (*entry)(void *ctx, size_t i, struct list_entry *entry);
	void *ctx;
};

static inline void
list_time(struct der_out *out, int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[40];

	gmtime_r(&t, &tm);
	snprintf(text, sizeof(text), "%02d%02d%02d%02d%02d%02dZ", tm.tm_year % 100, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	der_put(out, DER_UTC_TIME, text, strlen(text));
}

/* An extension; OID NULL: one that nobody knows. */
static inline void
list_extension(struct der_out *out, enum oid oid, bool critical, const void *value, size_t len)
{
	size_t at = der_begin(out);

	if (oid == OID_NONE)
		der_put(out, DER_OID, "\x2b\x06\x01\x04\x01\x86\x8d\x1f\x01", 9);
	else
		der_put_oid(out, oid);
	if (critical)
		der_put(out, DER_BOOLEAN, "\xff", 1);
	der_put(out, DER_OCTETS, value, len);
	der_end(out, at, DER_SEQUENCE);
}

static inline void
list_entry(struct der_out *out, const struct list_entry *entry)
{
	size_t at = der_begin(out), exts;
	unsigned char reason[3] = {0x0a, 1, (unsigned char)entry->reason};

	der_put(out, DER_INTEGER, entry->serial, entry->len);
	list_time(out, entry->when);
	exts = der_begin(out);
	if (entry->reason != LISTS_NONE)
		list_extension(out, OID_CE_CRL_REASON, false, reason, 3);
	if (entry->critical)
		list_extension(out, OID_NONE, true, "\x05", 2);
	if (entry->issuer) {
		unsigned char *der = NULL;
		int len = i2d_X509_NAME(entry->issuer, &der);
		size_t ext = der_begin(out), value, names, name;

		der_put_oid(out, OID_CE_CERTIFICATE_ISSUER);
		der_put(out, DER_BOOLEAN, "\xff", 1);
		value = der_begin(out);
		names = der_begin(out);
		name = der_begin(out);
		der_put_raw(out, der, (size_t)len);
		der_end(out, name, DER_CONTEXT_CONSTRUCTED | 4);
		der_end(out, names, DER_SEQUENCE);
		der_end(out, value, DER_OCTETS);
		der_end(out, ext, DER_SEQUENCE);
		OPENSSL_free(der);
	}
	if (der_begin(out) > exts)
		der_end(out, exts, DER_SEQUENCE);
	der_end(out, at, DER_SEQUENCE);
}

static inline void
list_number(struct der_out *out, enum oid oid, int number)
{
	unsigned char der[4] = {
		DER_INTEGER, 2, (unsigned char)(number >> 8), (unsigned char)number};

	if (number > 0)
		list_extension(out, oid, oid == OID_CE_DELTA_CRL, der, 4);
}

static inline void
list_tbs(struct der_out *out, const struct list_spec *spec, const char *algorithm, size_t n)
{
	size_t tbs = der_begin(out), seq, exts, tag, i;
	unsigned char *name = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(spec->issuer), &name);

	der_put_int(out, 1);
	der_put_raw(out, algorithm, n);
	der_put_raw(out, name, (size_t)len);
	OPENSSL_free(name);
	list_time(out, spec->from);
	if (spec->until)
		list_time(out, spec->until);
	seq = der_begin(out);
	for (i = 0; i < spec->n; i++) {
		struct list_entry entry = {.reason = LISTS_NONE, .when = spec->from};

		spec->entry(spec->ctx, i, &entry);
		list_entry(out, &entry);
	}
	if (spec->n)
		der_end(out, seq, DER_SEQUENCE);
	tag = der_begin(out);
	exts = der_begin(out);
	list_number(out, OID_CE_CRL_NUMBER, spec->number);
	list_number(out, OID_CE_DELTA_CRL, spec->base);
	if (spec->idp)
		list_extension(
			out, OID_CE_ISSUING_DISTRIBUTION_POINT, true, spec->idp, spec->idp_len);
	if (spec->keeps) {
		unsigned char value[17] = {DER_GENERALIZED_TIME, 15};

		memcpy(value + 2, spec->keeps, 15);
		list_extension(out, OID_CE_EXPIRED_CERTS_ON_CRL, false, value, sizeof(value));
	}
	if (spec->critical)
		list_extension(out, OID_NONE, true, "\x05", 2);
	if (der_begin(out) > exts) {
		der_end(out, exts, DER_SEQUENCE);
		der_end(out, tag, DER_CONTEXT_CONSTRUCTED);
	}
	der_end(out, tbs, DER_SEQUENCE);
}

/* Appends the list in DER. */
static inline void
list_make(const struct list_spec *spec, struct buf *der)
{
	static const char ecdsa_sha256[] = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
	struct der_out out;
	unsigned char signature[256] = {0};
	size_t len = sizeof(signature) - 1, list;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	der_out_init(&out, 512u << 20, NULL);
	list = der_begin(&out);
	list_tbs(&out, spec, ecdsa_sha256, 12);
	assert_int_equal(out.rc, RC_OK);
	assert_true(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, spec->key) == 1);
	assert_true(EVP_DigestSign(ctx, signature + 1, &len, (unsigned char *)out.buf.data,
			    out.buf.len) == 1);
	EVP_MD_CTX_free(ctx);
	der_put_raw(&out, ecdsa_sha256, 12);
	der_put(&out, DER_BIT_STRING, signature, len + 1);
	der_end(&out, list, DER_SEQUENCE);
	assert_int_equal(out.rc, RC_OK);
	assert_int_equal(buf_append(der, out.buf.data, out.buf.len, NULL), RC_OK);
	der_out_fini(&out);
}

#endif
