/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_private.h - what a struct cert is made of, for the files that implement cert.h
 */
#ifndef CRYPTO_CERT_PRIVATE_H
#define CRYPTO_CERT_PRIVATE_H

#include "crypto/cert.h"

#include <openssl/x509v3.h>

#include <stdatomic.h>
#include <stdlib.h>

#define CERT_NO_KU UINT32_MAX

struct cert {
	atomic_uint refs;
	X509 *x509;         /* owned; shared by threads, never changed */
	unsigned char *der; /* owned */
	size_t der_len;
	unsigned char sha256[SHA256_SIZE];
	char fingerprint[2 * SHA256_SIZE + 1];
	char *subject, *issuer, *serial;  /* owned texts */
	unsigned char *serial_der, *spki; /* owned */
	size_t serial_len, spki_len;
	const unsigned char *issuer_der; /* borrowed from x509 */
	size_t issuer_len;
	int64_t not_before, not_after;
	enum key_type key_type;
	int key_bits;
	const char *addrs[CERT_MAX_ADDRS]; /* owned; subjectAltName's first */
	size_t n_addrs, n_san_addrs;
	uint32_t ku; /* KU_ bits of OpenSSL; CERT_NO_KU: no such extension */
	bool has_eku, eku_email, eku_any;
	bool ca, self_issued;
};

/* Decodes everything; no cache. cert_decode.c */
enum rc cert_decode(const void *der, size_t len, const unsigned char *sha256, struct cert **out,
	struct err *err);
void cert_destroy(struct cert *cert);

/* The process-wide cache, cert_cache.c. A certificate that is found has got a reference. */
struct cert *cert_cache_find(const unsigned char *sha256);
/* Puts CERT in, with a reference of the cache's own. When another thread was faster, *CERT is
 * dropped and replaced by what is there. */
void cert_cache_insert(struct cert **cert);

#endif
