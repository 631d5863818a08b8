/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crl.h - one revocation list (RFC 5280 section 5), read once
 *
 * The entries are walked over as bytes and kept as a struct serialset, the rest of the list as
 * fields; the bytes themselves are dropped. The signature is over a digest that was computed while
 * reading, so it can be checked against any key later without them (Ed25519 wants the bytes: then
 * they stay). All parsed lists of the process are known by the SHA-256 of their DER: the same bytes
 * are never parsed, nor verified against the same issuer, twice while somebody holds them.
 *
 * Threads: immutable but for what is remembered of signatures, under a lock.
 * Limits:  SERIALSET_MAX entries, SERIAL_MAX bytes of a serial number, CRL_MAX_* below.
 */
#ifndef CRYPTO_CRL_H
#define CRYPTO_CRL_H

#include "crypto/digest.h"
#include "crypto/serialset.h"
#include "crypto/signature.h"

#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdatomic.h>

#define CRL_MAX_EXTENSIONS       64
#define CRL_MAX_ENTRY_EXTENSIONS 16
#define CRL_MAX_ISSUERS          16384 /* certificate issuers in an indirect list */
#define CRL_MAX_NUMBER           32    /* bytes of a CRL number; RFC 5280 allows 20 */
#define CRL_MEMOS                4

/* The reasons that a list or a distribution point speaks for, as bits of ReasonFlags (RFC 5280
 * section 4.2.1.13): bit 0, "unused", is none. */
#define CRL_ALL_REASONS 0x1feu

struct crl_number {
	unsigned char bytes[CRL_MAX_NUMBER];
	size_t len; /* 0: none */
};

struct crl {
	atomic_uint refs;
	unsigned char sha256[SHA256_SIZE];
	struct crl *next; /* in the table of all lists */
	X509_NAME *issuer;
	int64_t this_update, next_update; /* INT64_MAX: none; ask crl_until */
	int64_t expired_since; /* who expired since then is listed still; INT64_MAX: nobody */
	struct crl_number number, base; /* base: it is a delta to that one */
	bool delta;
	bool unknown;            /* a critical extension that nobody here knows: it clears nobody */
	AUTHORITY_KEYID *aki;    /* owned; NULL: none */
	ISSUING_DIST_POINT *idp; /* owned; NULL: none */
	unsigned char *idp_der;  /* owned, to compare scopes */
	size_t idp_len;
	unsigned reasons; /* CRL_ALL_REASONS but where idp names some */
	bool indirect;
	struct serialset *entries;
	X509_NAME **names; /* owned; certificate issuers: number 1 is names[0] */
	unsigned *sorted;  /* owned; their numbers by name */
	size_t n_names;
	size_t probes; /* names that were passed over when these were looked for while reading */
	/* the signature */
	bool supported; /* its algorithm */
	struct signature_scheme scheme;
	unsigned char digest[DIGEST_MAX_SIZE];
	unsigned char *signature, *signed_bytes; /* owned; the latter only where needed */
	size_t signature_len, signed_len;
	pthread_mutex_t lock; /* of what follows */
	struct {
		X509 *issuer; /* owned reference */
		bool good;    /* its key verifies the list */
	} memo[CRL_MEMOS];
	unsigned memos; /* ever written */
};

/* DER. The list is found among all lists of the process, or parsed. */
enum rc crl_parse(const void *der, size_t len, struct crl **out, struct err *err);
void crl_unref(struct crl **crl);
/* Did the key of ISSUER, which may sign lists, sign this one? Found out once. */
bool crl_is_signed_by(struct crl *crl, X509 *issuer);
/* Is the certificate with SERIAL of ISSUER listed? */
bool crl_find(const struct crl *crl, const X509_NAME *issuer, const unsigned char *serial,
	size_t len, struct serialset_entry *entry);
/* Until when what it says holds. RFC 5280 wants a nextUpdate in every list; without one it counts
 * for CRL_MAX_AGE seconds, since nobody could tell otherwise that a newer one is kept from us. */
#define CRL_MAX_AGE (7 * 86400)
int64_t crl_until(const struct crl *crl);
/* Less than 0, 0, more than 0, as numbers. */
int crl_number_cmp(const struct crl_number *a, const struct crl_number *b);
size_t crl_bytes(const struct crl *crl); /* of memory, about */

/* crl_decode.c: fills an empty *CRL. */
enum rc crl_decode(const unsigned char *der, size_t len, struct crl *crl, struct err *err);

#endif
