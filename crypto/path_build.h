/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_build.h - from a certificate up to the trust anchors, by every way there is
 *
 * A search in depth: at each step all certificates that may be the issuer (by name, key identifiers
 * and kind of key) are tried, the best first: trust anchors, then those valid at the time in
 * question, CAs that may sign, newer ones. Where there are several, only those whose key verifies
 * the signature are followed. A name with the same key does not come twice in a path, so
 * certificates that go in circles end.
 *
 * What an attacker can make us do is counted, not timed: PATH_MAX_SIGNATURES signatures (those of
 * complete paths included), PATH_MAX_TRIES complete paths and PATH_MAX_STEPS steps; then the search
 * ends, and says so.
 */
#ifndef CRYPTO_PATH_BUILD_H
#define CRYPTO_PATH_BUILD_H

#include "crypto/path.h"

#define PATH_MAX_CERTS      18 /* leaf, 16 intermediates, anchor */
#define PATH_MAX_SIGNATURES 100
#define PATH_MAX_TRIES      16
#define PATH_MAX_STEPS      1000
#define PATH_MAX_ENDS       8

struct path_chain {
	X509 *v[PATH_MAX_CERTS]; /* borrowed; leaf first, trust anchor last */
	int n;
	const struct anchor *anchor;
};

/* Why a way ended without an anchor. */
enum path_end_kind {
	PATH_END_UNKNOWN,   /* nobody of the issuer's name is known */
	PATH_END_UNTRUSTED, /* it is self-signed */
	PATH_END_FORGED,    /* the issuer's name is known, but none of its keys signed this */
	PATH_END_CIRCLE,    /* the issuer is on the path already */
	PATH_END_LONG
};
struct path_end {
	enum path_end_kind kind;
	X509 *cert; /* borrowed: the last of the way */
	int depth;
};

struct path_search {
	/* Set by the caller: what to do with a complete path; *ENOUGH ends the search. */
	enum rc (*try)(void *ctx, const struct path_chain *chain, bool *enough, struct err *err);
	void *ctx;
	/* Found out. */
	struct path_end ends[PATH_MAX_ENDS]; /* the first ones */
	size_t n_ends;
	bool exhausted; /* a limit was reached */
	X509 *crowded;  /* borrowed: whose issuers were too many then */
	unsigned signatures, tries, steps;
};

enum rc path_build(const struct path_request *request, struct path_search *search, struct err *err);

#endif
