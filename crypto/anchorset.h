/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * anchorset.h - trust anchors, each with the mail domains that it may speak for; intermediates
 *
 * Kept sorted by subject, so that a check looks only at those whose name occurs as an issuer: a
 * site with two hundred anchors pays no more for a path than one with two.
 */
#ifndef CRYPTO_ANCHORSET_H
#define CRYPTO_ANCHORSET_H

#include "crypto/cert.h"

#include <openssl/x509.h>

#define ANCHORSET_MAX 10000
#define ISSUERSET_MAX 100000

struct trust_rules;

struct anchor {
	struct cert *cert; /* owned reference */
	char **domains;    /* owned; n 0: all */
	size_t n;
	struct trust_rules *rules; /* owned */
};

struct anchorset {
	struct anchor *v; /* by subject */
	size_t n;
};

/* The same certificate may be added several times: each time speaks for its own domains, by its own
 * rules. *RULES are taken when it succeeds. */
enum rc anchorset_add(struct anchorset *set, struct cert *cert, const char *const *domains,
	size_t n, struct trust_rules **rules, struct err *err);
void anchorset_fini(struct anchorset *set);
/* Those called NAME: start at the first, go on while it is not NULL. */
size_t anchorset_first(const struct anchorset *set, const X509_NAME *name);
const struct anchor *anchorset_named(const struct anchorset *set, size_t i, const X509_NAME *name);
/* May it speak for ADDR (NULL: no matter)? */
bool anchor_speaks_for(const struct anchor *anchor, const char *addr);

/* Intermediates in the same order. */
struct issuerset {
	struct cert **v; /* owned references, by subject */
	size_t n, cap;
};

/* Has CERT been signed by one of SET or of ANCHORS, whatever else is wrong with it? */
bool issuerset_vouches(
	const struct issuerset *set, const struct anchorset *anchors, const struct cert *cert);
/* Doubles are left out. */
enum rc issuerset_add(struct issuerset *set, struct cert *cert, struct err *err);
void issuerset_fini(struct issuerset *set);
size_t issuerset_first(const struct issuerset *set, const X509_NAME *name);
bool issuerset_named(const struct issuerset *set, size_t i, const X509_NAME *name);

#endif
