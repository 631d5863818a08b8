/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_rules.h - what is wrong with a path, in words: our rules, and OpenSSL's errors
 *
 * OpenSSL checks a path as RFC 5280 section 6 says. Ours are the rules for mail of RFC 8550, the
 * anchor's domains, what an administrator denies, and limits of work.
 *
 * Threads: any; nothing is kept.
 */
#ifndef CRYPTO_PATH_RULES_H
#define CRYPTO_PATH_RULES_H

#include "crypto/path_build.h"

#define PATH_FAULT_SIZE 384

/* How near to a good path a bad one came: the fault of the nearest one is told. */
enum path_score {
	PATH_NO_WAY,
	PATH_FORGED, /* a signature does not hold */
	PATH_TIMED,  /* a certificate is out of date */
	PATH_BROKEN, /* anything else */
	PATH_SCOPED, /* all well, but the anchor may not speak for the address */
	PATH_DENIED, /* the administrator says no */
	PATH_GOOD
};

struct path_fault {
	enum path_score score;
	X509 *cert; /* borrowed: what it is about, or NULL */
	char text[PATH_FAULT_SIZE];
};

/* What must not even be shown to OpenSSL: denied, or more work than a path is worth. False: FAULT.
 */
bool path_rules_before(const struct path_request *request, const struct path_chain *chain,
	struct path_fault *fault);
/* Why X509 is denied, or NULL: of those, too, who speak about revocation. */
const struct trustlist_entry *path_rules_denied(const struct path_request *request, X509 *x509);
/* Our own rules; also where OpenSSL said no, for a better reason. */
bool path_rules_after(const struct path_request *request, const struct path_chain *chain,
	struct path_fault *fault);
/* X509_V_ERR_… about the certificate at DEPTH. */
void
path_rules_error(const struct path_chain *chain, int error, int depth, struct path_fault *fault);
/* No complete path: why the best way ended. */
void path_rules_end(const struct path_search *search, struct path_fault *fault);
/* http and ldap addresses of the issuer, from X509's authorityInfoAccess. */
void path_rules_issuers(X509 *x509, struct verdict *verdict);

#endif
