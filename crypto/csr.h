/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csr.h - asking an outside CA for a certificate (PKCS#10, RFC 2986)
 */
#ifndef CRYPTO_CSR_H
#define CRYPTO_CSR_H

#include "crypto/cert.h"
#include "crypto/dn.h"

struct csr_request {
	const struct dn *subject;
	const char *addr; /* subjectAltName of the extensionRequest */
	unsigned use;     /* CERT_SIGN | CERT_ENCRYPT: keyUsage, with emailProtection */
};

/* Can the name be encoded? ERR_USAGE says which part cannot. */
enum rc csr_check_subject(const struct dn *subject, struct err *err);
/* A request for KEY, signed by it; DER. ERR_USAGE when the subject can't be encoded: it says which
 * part. */
enum rc csr_make(const struct pkey *key, const struct csr_request *request, struct buf *der,
	struct err *err);
enum rc csr_format_pem(const void *der, size_t len, struct buf *out, struct err *err);
/* SHA-256 of a SubjectPublicKeyInfo in lower-case hex: what a key and its certificate share. */
enum rc
spki_fingerprint(const void *spki, size_t len, char out[2 * SHA256_SIZE + 1], struct err *err);

#endif
