/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revocation_private.h - what the files around struct revocation share
 */
#ifndef CRYPTO_REVOCATION_PRIVATE_H
#define CRYPTO_REVOCATION_PRIVATE_H

#include "crypto/crl.h"
#include "crypto/name_text.h"
#include "crypto/ocsp.h"
#include "crypto/path.h"

#define REVOCATION_SKEW      300 /* seconds that another's clock may be ahead */
#define REVOCATION_TEXT_SIZE 320

struct held_crl {
	struct crl *crl; /* a reference */
	char *file;      /* owned; NULL: unknown */
	struct held_crl *next;
};

struct held_ocsp {
	unsigned char *der; /* owned */
	size_t len;
	char *file; /* owned; NULL: unknown */
	struct held_ocsp *next;
};

#define CRL_BUCKETS 1024

struct revocation {
	struct held_crl *bucket[CRL_BUCKETS]; /* by their issuer's name */
	size_t n_crls, n_ocsp;
	struct held_ocsp *ocsp; /* what was added by hand */
	char *ocsp_dir;         /* owned; NULL: none */
};

/* The lists whose issuer's name may be NAME: others can be among them. */
const struct held_crl *revocation_lists(const struct revocation *revocation, const X509_NAME *name);

/* One certificate of a path. */
struct revocation_question {
	const struct path_request *request;
	const STACK_OF(X509) * chain; /* borrowed; the path */
	int place;                    /* of the subject on it */
	X509 *subject, *issuer;       /* borrowed */
	X509 *anchor;                 /* borrowed; at the path's end */
	const unsigned char *serial;  /* borrowed; content of the INTEGER */
	size_t serial_len;
	int64_t at;       /* when it has to be unrevoked */
	int64_t expired;  /* the subject's end: what was said after it may leave it out */
	int64_t known_at; /* what was published until then counts */
};

int64_t revocation_expiry(const X509 *subject);

struct revocation_status {
	enum verdict_revocation state; /* good, revoked, unknown */
	bool none;                     /* unknown: nothing is at hand */
	unsigned reason;               /* revoked: CRLReason, REASON_NONE */
	int64_t when, invalid;         /* revoked: dates; 0: not known */
	int64_t as_of;                 /* thisUpdate of what says so */
	int64_t stale; /* unknown, but only because what says "good" is out of date by so many
			  seconds; 0: not that */
	bool weak;     /* a key that had to be believed is too short */
	char text[REVOCATION_TEXT_SIZE]; /* "by the list of CN=CA of 2026-11-22 (ca.crl)", or why it
					    is unknown */
};

/* By the lists (RFC 5280 section 6.3). RC_TEMP for want of memory. */
enum rc crl_check(const struct revocation_question *question, struct revocation_status *status,
	struct err *err);
/* By the answers of responders (RFC 6960). RC_TEMP for want of memory. */
enum rc ocsp_check(const struct revocation_question *question, struct revocation_status *status,
	struct err *err);

/* The reasons for which CRL speaks about SUBJECT, whose cRLDistributionPoints are POINTS (NULL:
 * none); 0: not at all. crl_scope.c */
unsigned crl_scope(const struct crl *crl, X509 *subject, const CRL_DIST_POINTS *points);
/* Makes whole names of those in POINTS that are relative. */
bool crl_scope_prepare(CRL_DIST_POINTS *points, const X509 *subject);
/* Distribution points and names in each that are looked at. */
#define CRL_MAX_POINTS 64

/* Who signed CRL, and may it: the question's issuer, or another certificate of the list's issuer
 * whose own path ends at the same anchor. NULL: nobody known; *WHY says more. crl_signer.c */
X509 *crl_signer(const struct revocation_question *question, struct crl *crl, unsigned *tries,
	bool *weak, const char **why);

/* The two hashes of a CertID, and the answer's file. ocsp.c */
bool ocsp_hash_issuer(enum digest digest, X509 *subject, X509 *issuer,
	unsigned char name[DIGEST_MAX_SIZE], unsigned char key[DIGEST_MAX_SIZE]);
enum rc ocsp_name_for(X509 *subject, X509 *issuer, const unsigned char *serial, size_t serial_len,
	char out[OCSP_FILE_NAME_SIZE], struct err *err);
/* How long an answer holds. */
struct ocsp_single;
int64_t ocsp_until(const struct ocsp_single *single);

#endif
