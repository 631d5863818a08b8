/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lookup.h - find usable certificates for one mail address
 *
 * Asks the local store and each configured directory; the best tier that answers decides, and all
 * its valid certificates are used. "Nobody knows this address" (RC_NONE) and "a source could not be
 * asked" (RC_TEMP) are different answers and stay different all the way up: the first may lead to
 * plain text if a rule says so, the second never does. A source of a worse tier that could not be
 * asked does not matter when a better one answered.
 *
 * What an administrator named by hand, a pinned certificate or one of "domain_certificates", is
 * not "none" either when it cannot be used and nothing else can: that is RC_TEMP with
 * ERR_CERT_NAMED, for which everybody was asked.
 *
 * A look-up runs in a thread of the directory's own from lookup_begin on, so that several proceed
 * side by side and the caller waits only at the end; look-ups for the same address at the same time
 * share one question. A source that failed is left alone for lookup.error_ttl.
 *
 * Threads: one struct lookups may be used by any number of threads.
 * Limits:  LOOKUP_MAX_CERTS certificates for an address, the directory's timeout for each source.
 */
#ifndef DIRECTORY_LOOKUP_H
#define DIRECTORY_LOOKUP_H

#include "base/conf.h"
#include "crypto/smimecaps.h"
#include "crypto/trust.h"
#include "directory/certstore.h"

#define LOOKUP_MAX_CERTS 64

struct candidate {
	struct cert *cert; /* owned reference */
	char *source;      /* "store", "ldap:NAME" */
	enum tier tier;
	bool proven;
	struct smimecaps caps; /* what they say that they can open */
	unsigned entry,
		rank;  /* of the directory's answer: which entry, and how far down among the
			  attributes in the order of preference; 0: the first, or no matter */
	int64_t stale; /* seconds since the directory said so, which can't be asked now; 0: it was
			  asked */
	bool judged;   /* by its source, which knows by which name: why is what was found */
	unsigned short_of; /* the modes (1 << enum revocation_mode) that too little is known of its
			      revocation for */
	bool beside;       /* asked for only to be shown: a better tier had decided */
	bool used;         /* chosen */
	char why[384]; /* why it lost: "expired 2025-01-01", "no keyEncipherment", "worse tier"; ""
			  when used */
};

struct lookup_result {
	enum rc rc;          /* RC_OK: at least one used; RC_NONE; RC_TEMP */
	struct err err;      /* when RC_TEMP */
	struct err beside;   /* a source that cannot matter could not be asked */
	struct err named;    /* ERR_CERT_NAMED: a certificate that an administrator named cannot be
				used; also when RC_OK, by another one */
	struct candidate *v; /* every candidate, used or not */
	size_t n;
	bool proven; /* one of those used is */
	bool stale;  /* so is one that a directory named which can't be asked now */
};

struct lookups; /* sources, caches, threads */
struct lookup;  /* one question under way */

/* CONF, TRUST: references are taken. STORE is borrowed and must outlive it. */
enum rc lookups_new(struct conf *conf, struct certstore *store, struct trust *trust,
	struct lookups **out, struct err *err);
/* The same with another TRUST: what OLD's directories have open and know goes on being used. */
enum rc
lookups_renew(struct lookups *old, struct trust *trust, struct lookups **out, struct err *err);
/* For people who want to see everything: sources that cannot matter any more are asked too. The
 * answer stays the same. Before the first look-up. */
void lookups_ask_all(struct lookups *lookups);
void lookups_free(struct lookups **lookups); /* waits for what is under way, at most its timeouts */
/* ADDR canonical. Never blocks on the network. */
enum rc
lookup_begin(struct lookups *lookups, const char *addr, struct lookup **out, struct err *err);
/* Waits up to TIMEOUT_MS. RC_TEMP with ERR_DIR_TIMEOUT when it is not there by then; else RC_OK and
 * *result, borrowed until lookup_free. */
enum rc lookup_wait(struct lookup *lookup, int timeout_ms, const struct lookup_result **result,
	struct err *err);
/* Calls DONE once, from another thread or at once, when the answer is there. */
void lookup_notify(struct lookup *lookup, void (*done)(void *ctx), void *ctx);
void lookup_free(struct lookup **lookup); /* also while under way */

#endif
