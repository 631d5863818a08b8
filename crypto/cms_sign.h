/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_sign.h - SignedData over a digest that somebody else computed (RFC 5652, RFC 8551)
 *
 * The vault makes the SignedAttributes itself: contentType, messageDigest, signingTime,
 * smimeCapabilities, ESS signingCertificateV2, and key preference when a separate encryption
 * certificate is given.
 */
#ifndef CRYPTO_CMS_SIGN_H
#define CRYPTO_CMS_SIGN_H

#include "crypto/cert.h"

/* What is the same in every signature with one certificate, made once. Immutable: threads share it.
 */
struct cms_signer;
enum rc cms_signer_new(struct cert *cert, const struct certset *chain, struct cert *encrypt_cert,
	struct cms_signer **out, struct err *err);
void cms_signer_free(struct cms_signer **signer);

struct cms_sign_request {
	enum digest digest;
	const unsigned char *value; /* of the content, digest_size bytes */
	int64_t signing_time;       /* seconds; -1: leave it out */
	bool pss; /* RSA: PSS with a salt as long as the digest; a PSS-restricted key always */
	struct cert *encrypt_cert; /* for smimeEncryptionKeyPreference and the certificate bag; may
				      be NULL */
	const struct cms_signer *signer; /* of the same certificates; NULL: made for this one */
};

/* Keys: RSA, RSA-PSS, P-256, P-384, P-521, and Ed25519 (with SHA-512, as RFC 8419 wants). */
/* A detached SignedData (DER ContentInfo) with CERT and CHAIN in it. */
enum rc cms_sign_digest(const struct pkey *key, struct cert *cert, const struct certset *chain,
	const struct cms_sign_request *request, struct buf *der, struct err *err);
/* Digest to be used with this certificate's key: SHA-384 for P-384, SHA-512 for P-521, else
 * SHA-256. */
enum digest cms_sign_digest_for(const struct cert *cert);

/* Writes an opaque SignedData: detached DER and the content of CONTENT_LEN bytes fed to the
 * returned stage. DER, definite lengths. */
struct cms_opaque;
enum rc cms_opaque_new(const void *detached, size_t detached_len, uint64_t content_len,
	const struct sink *to, struct cms_opaque **out, struct err *err);
struct sink cms_opaque_sink(struct cms_opaque *opaque);
void cms_opaque_free(struct cms_opaque **opaque);

#endif
