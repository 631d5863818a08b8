/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_urls.h - where a certificate or a revocation list says that more is to be found
 *
 * Only texts: whoever made the certificate wrote them, and the mail path never follows one.
 * Limits: CERT_URLS_MAX of a kind, each of CERT_URL_BYTES; what is longer or has a NUL, a blank
 * or a control character is left out.
 */
#ifndef CRYPTO_CERT_URLS_H
#define CRYPTO_CERT_URLS_H

#include "crypto/cert.h"

#define CERT_URLS_MAX  8
#define CERT_URL_BYTES 1024

enum cert_url_kind {
	CERT_URL_CRL,    /* cRLDistributionPoints and freshestCRL */
	CERT_URL_ISSUER, /* authorityInfoAccess: caIssuers */
	CERT_URL_OCSP    /* authorityInfoAccess: ocsp */
};

struct cert_urls {
	char *v[CERT_URLS_MAX]; /* owned */
	size_t n;
};

enum rc cert_urls_get(
	const struct cert *cert, enum cert_url_kind kind, struct cert_urls *out, struct err *err);
/* The freshestCRL of a list (DER): where its deltas are. */
enum rc cert_urls_of_crl(const void *der, size_t len, struct cert_urls *out, struct err *err);
void cert_urls_fini(struct cert_urls *urls);

#endif
