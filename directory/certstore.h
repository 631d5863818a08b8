/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore.h - other people's certificates and anchors on this machine (SQLite)
 *
 * Each row: certificate, addresses, provenance (source, first and last seen, who vouched), tier,
 * pin. Anchors carry the domains that they speak for.
 *
 * The file may be read by a user who cannot write it; writers need to write beside it too (SQLite's
 * journal).
 *
 * Threads: one struct certstore may be used by any number of threads. A busy store waits at most
 * CERTSTORE_BUSY_MS and is then RC_TEMP.
 * Limits:  100000 rows in an answer.
 */
#ifndef DIRECTORY_CERTSTORE_H
#define DIRECTORY_CERTSTORE_H

#include "crypto/cert.h"

#define CERTSTORE_BUSY_MS 2000

enum tier {
	TIER_PINNED = 1,
	TIER_DIRECTORY = 2,
	TIER_SMIMEA = 3,
	TIER_HARVESTED = 4
}; /* lower is better */

struct certrow {
	struct cert *cert; /* owned reference */
	char *addr;        /* the address it is filed under; "" for an anchor */
	char *source;      /* "admin", "ldap:NAME", "harvest", "import" */
	char *vouched;     /* who: a system user, a directory; may be "" */
	enum tier tier;
	bool proven; /* an administrator's or a willing directory's word, or a dated signature */
	bool pinned;
	bool anchor;
	char *domains; /* anchors: entries separated by blanks; "" for all */
	int64_t first_seen, last_seen, signed_at; /* signed_at: last signature of theirs; 0: none */
};

struct certstore;
enum rc certstore_open(const char *path, bool create, struct certstore **out, struct err *err);
void certstore_close(struct certstore **store);
/* Updates the row when this certificate is filed under this address (or as an anchor) already: a
 * worse tier does not overwrite a better one's word, pin and proof stay. ROW's strings may be NULL;
 * times of 0 mean now (signed_at: none). */
enum rc certstore_add(struct certstore *store, const struct certrow *row, struct err *err);
/* Rows for ADDR (case does not matter), best tier first, no anchors; RC_NONE when there are none.
 * Free with certrows_free. A pinned row's tier reads as TIER_PINNED. A damaged row is RC_TEMP,
 * never left out. */
enum rc certstore_find(struct certstore *store, const char *addr, struct certrow **rows, size_t *n,
	struct err *err);
enum rc certstore_list(
	struct certstore *store, bool anchors, struct certrow **rows, size_t *n, struct err *err);
enum rc certstore_by_fingerprint(struct certstore *store, const char *sha256_prefix,
	struct certrow **rows, size_t *n, struct err *err);
/* A fingerprint may be cut to 4 digits or more; ERR_USAGE when two certificates begin so. */
enum rc certstore_pin(struct certstore *store, const char *fingerprint, bool pinned,
	struct err *err); /* RC_NONE: no such */
enum rc certstore_forget(struct certstore *store, const char *fingerprint, struct err *err);
/* A copy of the file as it is at one moment, into the empty file TO; RC_NONE: there is none. */
enum rc certstore_copy(const char *path, const char *to, struct err *err);
void certrows_free(struct certrow **rows, size_t n);
/* Changes with every write by any process: for caches and for reloading anchors. Never waits:
 * RC_TEMP while somebody writes. */
enum rc certstore_generation(struct certstore *store, int64_t *generation, struct err *err);

#endif
