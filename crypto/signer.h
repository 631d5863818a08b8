/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signer.h - one SignerInfo: its fields, its attributes, its signature
 */
#ifndef CRYPTO_SIGNER_H
#define CRYPTO_SIGNER_H

#include "crypto/cert.h"
#include "crypto/oid.h"
#include "crypto/verdict.h"

#define SIGNER_MAX_ATTRIBUTES 256

struct signer {                    /* points into the SignedData's bytes */
	struct der issuer, serial; /* DER of the Name, content of the INTEGER; or … */
	struct der ski;            /* … the SubjectKeyIdentifier */
	enum digest digest;        /* of the content; DIGEST_NONE: unknown */
	bool has_attributes;
	struct der attributes; /* as the SET OF that is signed, tag included */
	enum oid algorithm;
	struct der params;
	struct der signature;
	bool misplaced; /* an attribute that has to be signed stands among the unsigned ones */
};

/* Takes the next SignerInfo. Its attributes' tag is changed in place from [0] to SET OF. */
bool signer_take(struct der *in, struct signer *signer);
bool signer_is(const struct signer *signer, const struct cert *cert);

struct signer_claims {           /* what the signed attributes say */
	int64_t signing_time;    /* -1: nothing */
	enum digest cert_digest; /* of the ESS certificate hash; DIGEST_NONE: there is none */
	struct der cert_hash;
};

/* Checks the attributes against the content (its type, its digest). False: the signature is bad,
 * and REASON says why. */
bool signer_check_attributes(const struct signer *signer, const struct der *content_type,
	const unsigned char *content_digest, struct signer_claims *claims, const char **reason);
/* Checks the signature with CERT's key, and that the claimed certificate is CERT. *WEAK: a set of
 * enum signer_weakness. */
enum signer_weakness { SIGNER_WEAK_SHA1 = 1, SIGNER_WEAK_HASH = 2, SIGNER_WEAK_KEY = 4 };
enum verdict_signature signer_verify(const struct signer *signer,
	const struct signer_claims *claims, const struct cert *cert,
	const unsigned char *content_digest, unsigned *weak, const char **reason);

#endif
