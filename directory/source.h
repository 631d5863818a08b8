/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - something that can be asked for the certificates of an address
 *
 * A source is a row of functions, so that look-up knows nothing of LDAP or SQLite and a test can
 * stand one in. find() gives RC_OK with at least one candidate, RC_NONE when the source was asked
 * and has none, and RC_TEMP for everything else; what it put into the answer then is thrown away.
 *
 * Threads: find() is called by several threads at once.
 * Limits:  LOOKUP_MAX_CERTS candidates in an answer; past that the answer is ERR_DIR_ANSWER.
 */
#ifndef DIRECTORY_SOURCE_H
#define DIRECTORY_SOURCE_H

#include "directory/lookup.h"

struct answer {
	struct candidate *v; /* owned, as are what they point to */
	size_t n;
	struct certset extra; /* certificates that came along: untrusted help for building paths */
	bool partial; /* there is more that the source did not give: found is found, but there is no
			 "none" */
	bool prefer;  /* of each entry, the certificates with the lowest rank */
	struct err partial_err;
	/* ERR_CERT_NAMED: an administrator named what this source has, and nothing of it can be
	 * used. Also with RC_NONE. */
	struct err named;
};

struct source {
	char *name;       /* owned: "store", "ldap:NAME" */
	enum tier tier;   /* the best that one of its answers can have */
	char **domains;   /* owned: domains that it is asked for */
	size_t n_domains; /* 0: all */
	enum rc (*find)(void *ctx, const char *addr, struct answer *answer, struct err *err);
	void (*free)(void *ctx); /* may be NULL */
	void *(*ref)(
		void *ctx); /* CTX for one more source, freed by it; NULL: CTX is for one alone */
	void *ctx;
};

/* Takes a new reference to CERT and copies SOURCE. */
enum rc answer_add(struct answer *answer, struct cert *cert, const char *source, enum tier tier,
	bool proven, struct err *err);
/* Adds a copy of C. Of the same certificate twice there is one candidate, the better one. */
enum rc answer_take(struct answer *answer, const struct candidate *c, struct err *err);
/* Of each entry only the usable certificates (why is "") of the attribute that is preferred go on;
 * the others lose. */
void answer_prefer(struct answer *answer);
void answer_fini(struct answer *answer);
void candidates_free(struct candidate **v, size_t n);

/* Is ADDR one that the source is asked for? */
bool source_covers(const struct source *source, const char *addr);
void source_free(struct source **source);
/* One more source with the context of SOURCE, which has a ref(). */
enum rc source_share(const struct source *source, struct source **out, struct err *err);

/* The local store as a source. STORE is borrowed. PROOF_MONTHS: for which a signature is proof. */
enum rc
source_store_new(struct certstore *store, int proof_months, struct source **out, struct err *err);

/* Which are used of several usable certificates of the deciding tier: every one, the one that is
 * valid since the latest time (of those the one that expires last), or the one that expires last
 * (of those the newest). What is the same in both is decided by the fingerprint. */
enum several { SEVERAL_ALL, SEVERAL_NEWEST, SEVERAL_LONGEST };

/* Limits and times of the look-ups, from the section "lookup". */
struct lookup_settings {
	size_t cache_size;
	int64_t positive_ttl, negative_ttl; /* seconds */
	int64_t stale_ms; /* for which an answer is kept that rests on a stale one */
	int threads;
	enum several several;
	int proof_months; /* for which a signature is proof */
	bool ask_all;
};

/* One source for each item of "domain_certificates", into SOURCES (room for conf_count of them)
 * from *N on. PERSONAL: the sources that are asked for a certificate by a gateway's address,
 * borrowed, as is STORE. */
enum rc domain_sources(const struct conf *conf, struct certstore *store, struct trust *trust,
	struct source **personal, size_t n_personal, struct source **sources, size_t *n,
	struct err *err);

/* SOURCES and what they point to are taken in any case. STORE may be NULL: no cache is kept by its
 * generation. */
enum rc
lookups_new_sources(const struct lookup_settings *settings, struct source **sources, size_t n,
	struct certstore *store, struct trust *trust, struct lookups **out, struct err *err);

#endif
