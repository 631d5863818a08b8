/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ocsp.h - asking a responder about one certificate (RFC 6960), and what it said
 *
 * The mail path makes a request and a name for the answer's file; a fetcher sends the request, with
 * a nonce of its own (RFC 9654), and keeps the answer under that name when it fits the question.
 * Whether the answer is true is for each reader to find out, from its signature
 * (crypto/revocation.h).
 */
#ifndef CRYPTO_OCSP_H
#define CRYPTO_OCSP_H

#include "crypto/cert.h"

#define OCSP_FILE_NAME_SIZE 70           /* 64 hexadecimal digits, ".ocsp", NUL */
#define OCSP_NONCE_SIZE     32           /* what RFC 9654 wants of clients */
#define OCSP_REQUEST_MAX    4096         /* bytes */
#define OCSP_RESPONSE_MAX   (256u << 10) /* bytes; real ones have 500 to 5,000 */

/* The answer's file: a SHA-256 over issuer's name, issuer's key and serial number. */
enum rc ocsp_file_name(const struct cert *cert, const struct cert *issuer,
	char out[OCSP_FILE_NAME_SIZE], struct err *err);

/* Appends a request (DER, no nonce) for one certificate to OUT. Its CertID uses SHA-1, as RFC 5019
 * has it and every responder understands. */
enum rc
ocsp_request(const struct cert *cert, const struct cert *issuer, struct buf *out, struct err *err);
/* The same request with a nonce; refuses what is no request for exactly one certificate. */
enum rc ocsp_request_add_nonce(const void *request, size_t len,
	const unsigned char nonce[OCSP_NONCE_SIZE], struct buf *out, struct err *err);

enum ocsp_fit {
	OCSP_FITS,     /* keep it */
	OCSP_REPLAYED, /* another nonce than was sent: don't */
	OCSP_OTHER,    /* about another certificate, or none */
	OCSP_STALE,    /* out of date, or of the future */
	OCSP_LATER,    /* the responder's status: internalError, tryLater */
	OCSP_REFUSED,  /* malformedRequest, sigRequired, unauthorized */
	OCSP_MALFORMED
};

struct ocsp_facts {
	enum ocsp_fit fit;
	bool nonce_echoed; /* many responders leave the nonce out: then only the dates protect */
	int64_t this_update, next_update; /* -1: not given */
	char reason[160];
};

/* Is RESPONSE an answer to REQUEST (as sent) at NOW? Says nothing about its signature. */
void ocsp_response_fits(const void *response, size_t response_len, const void *request,
	size_t request_len, int64_t now, struct ocsp_facts *facts);
const char *ocsp_fit_name(enum ocsp_fit fit); /* "fits" */

/* Is the response signed for the CA that REQUEST is about? Only when that CA is in KNOWN (may be
 * NULL), by its key, can that be said. */
enum ocsp_proof { OCSP_UNPROVEN, OCSP_PROVEN, OCSP_FALSE };
enum ocsp_proof ocsp_response_proof(const void *data, size_t len, const void *request,
	size_t request_len, const struct certset *known);

#endif
