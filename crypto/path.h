/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.h - from a certificate to a trust anchor (RFC 5280 section 6), and whether each step was
 * revoked
 *
 * path_build.h finds the ways, path.c judges each complete one: OpenSSL's own check of exactly
 * these certificates, our rules (path_rules.h), the anchor's floors (trust_rules.h), revocation
 * (path_revocation.h). The best path wins; when none is valid, the reason is that of the one that
 * came nearest.
 */
#ifndef CRYPTO_PATH_H
#define CRYPTO_PATH_H

#include "crypto/anchorset.h"
#include "crypto/revocation.h"
#include "crypto/trustlist.h"
#include "crypto/verdict.h"
#include "crypto/watch.h"
#include "crypto/effort.h"

#include <openssl/x509.h>

struct path_request {
	struct cert *cert; /* may be NULL when there is no ADDR */
	X509 *leaf;        /* of CERT */
	const struct anchorset *anchors;
	const struct issuerset *intermediates; /* ours */
	const struct certset *extra;           /* the message's; may be NULL */
	STACK_OF(X509) * untrusted;            /* both of them, for issuers of CRLs */
	const char *addr;                      /* canonical; NULL: no matter */
	const struct trustlist *denied;        /* may be NULL */
	const struct trust_rules *rules;       /* for want of an anchor; about revocation: the
						  anchor's */
	struct revocation *revocation;         /* NULL: revocation is not asked */
	bool aside;      /* it is asked where the anchor does not want it, too,
			    and noted aside */
	int64_t at;      /* for revocation */
	int64_t path_at; /* for validity: AT, or when it signed */
	/* For the path of somebody who signed a list or an answer: */
	X509 *only;                    /* the trust anchor that it has to end at; NULL: any */
	bool plain;                    /* policies do not matter */
	unsigned level;                /* how many such paths lead here */
	const struct watcher *watcher; /* may be NULL */
	struct effort *effort;         /* of the message; NULL: no matter */
};

/* verdict_note about one of OpenSSL's certificates. */
void path_note(struct verdict *verdict, enum verdict_part part, const X509 *x509, const char *text);

/* Fills path, revocation, sender, strength, reasons and missing issuers. RC_OK whatever the answer;
 * RC_TEMP for want of memory. */
enum rc path_check(const struct path_request *request, struct verdict *verdict, struct err *err);

#endif
