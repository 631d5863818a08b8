/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * anchorset.h - trust anchors, each with the mail domains that it may speak for
 *
 * Kept sorted by subject, so that a check looks only at those whose name occurs as an issuer: a
 * site with two hundred anchors pays no more for a path than one with two.
 */
#ifndef CRYPTO_ANCHORSET_H
#define CRYPTO_ANCHORSET_H

#include "crypto/cert.h"

#include <openssl/x509.h>

#define ANCHORSET_MAX 10000

struct anchor {
	struct cert *cert; /* owned reference */
	char **domains;    /* owned; n 0: all */
	size_t n;
};

struct anchorset {
	struct anchor *v; /* by subject */
	size_t n;
	bool scoped; /* one of them has domains */
};

/* The same certificate may be added several times: each time speaks for its own domains. */
enum rc anchorset_add(struct anchorset *set, struct cert *cert, const char *const *domains,
	size_t n, struct err *err);
void anchorset_fini(struct anchorset *set);
/*
 * Anchors that a path from LEAF over UNTRUSTED could end at, and that may speak for ADDR (NULL: no
 * matter). A new stack of borrowed certificates; NULL: no memory. *PASSED_OVER: some did not count
 * because of ADDR.
 */
STACK_OF(X509) * anchorset_for(const struct anchorset *set, X509 *leaf,
			 const STACK_OF(X509) * untrusted, const char *addr, bool *passed_over);

#endif
