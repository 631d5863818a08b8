/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ocsp_response.h - what an OCSPResponse (RFC 6960 section 4.2.1) says, before anybody believes it
 *
 * Everything points into the bytes that were parsed.
 *
 * Limits: OCSP_MAX_SINGLES answers in one response, OCSP_MAX_CERTS certificates,
 * OCSP_MAX_EXTENSIONS extensions in one place.
 */
#ifndef CRYPTO_OCSP_RESPONSE_H
#define CRYPTO_OCSP_RESPONSE_H

#include "crypto/oid.h"

#define OCSP_MAX_SINGLES    1000
#define OCSP_MAX_CERTS      8
#define OCSP_MAX_EXTENSIONS 32

enum ocsp_status { OCSP_SUCCESSFUL = 0, OCSP_INTERNAL_ERROR = 2, OCSP_TRY_LATER = 3 };

struct ocsp_id {            /* CertID */
	enum digest digest; /* DIGEST_NONE: not known here */
	struct der name_hash, key_hash, serial;
};

enum ocsp_answer { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };

struct ocsp_single {
	struct ocsp_id id;
	enum ocsp_answer answer;
	int64_t revoked;                  /* date */
	unsigned reason;                  /* CRLReason; REASON_NONE */
	int64_t this_update, next_update; /* next_update -1: none */
	int64_t cutoff; /* who expired since then is known still (archiveCutoff); -1: nobody says */
	bool unknown;   /* a critical extension that nobody here knows */
};

struct ocsp_response {
	int status;     /* OCSPResponseStatus; the rest only with OCSP_SUCCESSFUL */
	struct der tbs; /* what is signed */
	struct der responder_name, responder_key; /* one of them: a Name; a SHA-1 of the key */
	int64_t produced;
	struct der singles; /* for ocsp_single_take */
	bool has_nonce, unknown;
	struct der nonce; /* as it stands in the extension */
	enum oid algorithm;
	struct der params, signature;
	struct der certs; /* one behind the other */
};

/* False: *WHY says what is wrong with it. */
bool
ocsp_response_parse(const void *data, size_t len, struct ocsp_response *response, const char **why);
bool ocsp_single_take(struct der *in, struct ocsp_single *single);
/* CertID, the next element. */
bool ocsp_id_take(struct der *in, struct ocsp_id *id);
bool ocsp_id_equal(const struct ocsp_id *a, const struct ocsp_id *b);
const char *ocsp_status_name(int status); /* "tryLater" */

/* Extensions: SEQUENCE OF. Takes the nonce, if NONCE is not NULL; *UNKNOWN: another one is
 * critical. Those of an answer have the archiveCutoff and no nonce. */
bool ocsp_extensions_take(struct der in, struct der *nonce, bool *has_nonce, bool *unknown);
bool ocsp_single_extensions_take(struct der in, int64_t *cutoff, bool *unknown);

#endif
