/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore.h - other people's certificates and anchors on this machine (SQLite)
 *
 * A certificate is kept once and filed under any number of addresses. Each filing has a provenance
 * (source, who vouched, why, since when, first and last seen), a tier and a pin. Anchors carry the
 * domains that they speak for. What was replaced, pinned or forgotten stays in the history of the
 * address, as does which certificate was encrypted to and when.
 *
 * The file may be read by a user who cannot write it; writers need to write beside it too (SQLite's
 * journal).
 *
 * Threads: one struct certstore may be used by any number of threads. A busy store waits at most
 * CERTSTORE_BUSY_MS and is then RC_TEMP.
 * Memory:  CERTSTORE_CACHE_KB of pages for each of two connections, whatever the store's size.
 * Limits:  CERTSTORE_MAX_ROWS rows in an answer about one address or certificate (there is no limit
 *          for certstore_each), CERTSTORE_MAX_EVENTS rows of history of an address, the oldest go.
 */
#ifndef DIRECTORY_CERTSTORE_H
#define DIRECTORY_CERTSTORE_H

#include "crypto/cert.h"

#define CERTSTORE_BUSY_MS    2000
#define CERTSTORE_CACHE_KB   8192
#define CERTSTORE_MAX_ROWS   10000
#define CERTSTORE_MAX_EVENTS 100
#define CERTSTORE_MAX_WORD   500 /* bytes of a reason; longer ones are cut */

enum tier {
	TIER_PINNED = 1,
	TIER_DOMAIN_FIRST = 2, /* a domain certificate configured to go before personal ones */
	TIER_DIRECTORY = 3,
	TIER_SMIMEA = 4,
	TIER_HARVESTED = 5,
	TIER_DOMAIN = 6 /* a domain certificate, where nobody has a personal one */
}; /* lower is better; the store holds pinned, directory, smimea and harvested */

struct certrow {
	struct cert *cert; /* owned reference */
	char *addr;        /* the address it is filed under; "" for an anchor */
	char *source;      /* "admin", "ldap:NAME", "harvest", "import" */
	char *vouched;     /* who: a system user, a directory; may be "" */
	char *why;         /* an administrator's reason, a message's id; may be "" */
	enum tier tier;
	bool proven; /* an administrator's or a willing directory's word, or a dated signature */
	bool pinned;
	bool anchor;
	char *domains;   /* anchors: entries separated by blanks; "" for all */
	int64_t word_at; /* since when source, vouched and why are what they are; read only */
	int64_t first_seen, last_seen, signed_at; /* signed_at: last signature of theirs; 0: none */
};

/* Whose decision a change is, and why; either may be NULL. */
struct certword {
	const char *who, *why;
};

struct certstore;
enum rc certstore_open(const char *path, bool create, struct certstore **out, struct err *err);
void certstore_close(struct certstore **store);
/* Updates the row when this certificate is filed under this address (or as an anchor) already: a
 * worse tier does not overwrite a better one's word, pin and proof stay; a word that is overwritten
 * goes to the history. ROW's strings may be NULL; times of 0 mean now (signed_at: none). */
enum rc certstore_add(struct certstore *store, const struct certrow *row, struct err *err);
/* The same, and says what it came to: a new row, a new word for one that was there, or nothing. */
enum certadded { CERTADDED_NEW, CERTADDED_CHANGED, CERTADDED_KNOWN };
enum rc certstore_put(
	struct certstore *store, const struct certrow *row, enum certadded *added, struct err *err);
/* Many changes as one: all that this thread does between the two is kept or taken back together.
 * Other threads and processes wait meanwhile, so a batch should be over within a second. */
enum rc certstore_batch(struct certstore *store, struct err *err);
enum rc certstore_batch_end(struct certstore *store, enum rc rc, struct err *err);
/* Rows for ADDR (case does not matter), best tier first, no anchors; RC_NONE when there are none.
 * Free with certrows_free. A pinned row's tier reads as TIER_PINNED. A damaged row is RC_TEMP,
 * never left out. */
enum rc certstore_find(struct certstore *store, const char *addr, struct certrow **rows, size_t *n,
	struct err *err);
/* Every anchor. */
enum rc
certstore_anchors(struct certstore *store, struct certrow **rows, size_t *n, struct err *err);
/* Every pinned row, by addresses; reads the whole store. */
enum rc
certstore_pinned(struct certstore *store, struct certrow **rows, size_t *n, struct err *err);
enum rc certstore_by_fingerprint(struct certstore *store, const char *sha256_prefix,
	struct certrow **rows, size_t *n, struct err *err);
/* Calls EACH for every row that is no anchor, in the order of addresses and within an address as
 * certstore_find; *ROW is borrowed. No lock is held meanwhile and memory stays small, so what
 * changes during the walk may or may not be seen. Ends when EACH does not return RC_OK, with that.
 */
enum rc certstore_each(struct certstore *store,
	enum rc (*each)(void *ctx, const struct certrow *row, struct err *err), void *ctx,
	struct err *err);
/* A fingerprint may be cut to 4 digits or more; ERR_USAGE when two certificates begin so. ADDR:
 * only as it is filed there; NULL: everywhere. RC_NONE: no such. */
enum rc certstore_pin(struct certstore *store, const char *fingerprint, const char *addr,
	bool pinned, const struct certword *word, struct err *err);
enum rc certstore_forget(struct certstore *store, const char *fingerprint, const char *addr,
	const struct certword *word, struct err *err);
/* Takes away the certificate and everything that the store remembers of it. */
enum rc certstore_erase(struct certstore *store, const char *fingerprint, struct err *err);
/* A copy of the file as it is at one moment, into the empty file TO; RC_NONE: there is none. */
enum rc certstore_copy(const char *path, const char *to, struct err *err);
void certrows_free(struct certrow **rows, size_t n);
/* Changes with every write, by any process, that changes what a look-up answers: for caches and
 * for reloading anchors. Never waits: RC_TEMP while somebody writes. */
enum rc certstore_generation(struct certstore *store, int64_t *generation, struct err *err);

enum certevent {
	CERTEVENT_ADDED = 1, /* a word was given for it */
	CERTEVENT_PINNED = 2,
	CERTEVENT_UNPINNED = 3,
	CERTEVENT_FORGOTTEN = 4,
	CERTEVENT_USED = 5 /* encrypted to, from AT to UNTIL */
};
struct certhistory {
	enum certevent what;
	const char *addr;        /* "": as an anchor */
	const char *fingerprint; /* borrowed, as all here */
	struct cert *cert;
	const char *source, *who, *why;
	int64_t at, until;
};
/* What happened to the certificates of ADDR (NULL: of everybody, by addresses), in the order of
 * time; FINGERPRINT, full or cut: only that one; NULL: all. RC_NONE: nothing. */
enum rc certstore_history(struct certstore *store, const char *addr, const char *fingerprint,
	enum rc (*each)(void *ctx, const struct certhistory *event, struct err *err), void *ctx,
	struct err *err);
/* CERT from SOURCE was encrypted to for ADDR, now. Kept in memory and written together, each
 * certificate once a day: at most CERTSTORE_USED_S later, and at the end. */
#define CERTSTORE_USED_S 60
void
certstore_used(struct certstore *store, const char *addr, struct cert *cert, const char *source);
/* Writes them now. */
enum rc certstore_used_flush(struct certstore *store, struct err *err);

#endif
