/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.h - from a certificate to a trust anchor (RFC 5280 section 6), and whether each step was
 * revoked
 */
#ifndef CRYPTO_PATH_H
#define CRYPTO_PATH_H

#include "crypto/revocation.h"
#include "crypto/verdict.h"

#include <openssl/x509.h>

struct path_request {
	X509 *leaf;
	STACK_OF(X509) * anchors;      /* candidates for the end of the path */
	STACK_OF(X509) * untrusted;    /* candidates for its middle */
	struct revocation *revocation; /* NULL: revocation is not asked */
	int64_t at;
	int min_rsa;
	const STACK_OF(ASN1_OBJECT) * policies; /* NULL: any */
	bool require_policy, inhibit_mapping, inhibit_any;
	unsigned level; /* 1: the path of somebody who signed a list or an answer */
};

/* verdict_note about one of OpenSSL's certificates. */
void path_note(struct verdict *verdict, enum verdict_part part, const X509 *x509, const char *text);

/* Fills path, revocation, strength and reason. RC_OK whatever the answer; RC_TEMP for want of
 * memory. */
enum rc path_check(const struct path_request *request, struct verdict *verdict, struct err *err);

#endif
