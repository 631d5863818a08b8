/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_private.h - the local store's connection, for the files of directory/ that keep
 * something in it
 *
 * Tables stand in certstore_schema.def, all of them. A statement is a constant string: it is
 * prepared at its first use and kept. What is read or written goes like this:
 *
 *	rc = certstore_begin(store, err);              // writing; for reading: certstore_lock
 *	if (rc == RC_OK)
 *		rc = certstore_stmt(store, sql, &stmt, err);
 *	if (rc == RC_OK)
 *		rc = certstore_bind(store, stmt, err, "ti", addr, (int64_t)7);
 *	if (rc == RC_OK)
 *		rc = certstore_run(store, stmt, NULL, err);
 *	certstore_done(stmt);                          // may be NULL
 *	return certstore_end(store, rc, err);          // writing; for reading: certstore_unlock
 *
 * Threads: everything between certstore_begin and certstore_end, or lock and unlock, is one
 * thread's. Both nest in one thread; the outermost end commits.
 */
#ifndef DIRECTORY_CERTSTORE_PRIVATE_H
#define DIRECTORY_CERTSTORE_PRIVATE_H

#include "directory/certstore.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define CERTSTORE_MAX_STMTS 64

struct certstore_stmt {
	const char *sql; /* the constant itself is the key */
	sqlite3_stmt *stmt;
};

/*
 * Two connections. The first does all the work, behind one mutex, and waits for writers of
 * other processes. The second is asked for nothing but the generation and never waits, so
 * that a look-up can be answered from a cache while somebody writes.
 *
 * The journal is SQLite's plain one on purpose: with it a reader needs no right to write
 * beside the file, and the tool of root and the daemon of another user can share it.
 */
struct certstore {
	pthread_mutex_t lock; /* recursive */
	sqlite3 *db;
	struct certstore_stmt stmts[CERTSTORE_MAX_STMTS];
	size_t n_stmts;
	int depth;    /* of certstore_begin */
	bool touched; /* the transaction changes what look-ups answer */
	bool failed;  /* a part of the transaction failed: nothing of it is kept */
	pthread_mutex_t generation_lock;
	sqlite3 *generation_db;
	sqlite3_stmt *generation;
	struct stat seen;            /* the file when it was asked last … */
	int64_t seen_generation;     /* … and what it said; valid when seen.st_ino is not 0 */
	struct certstore_uses *uses; /* certstore_used.c */
};

void certstore_lock(struct certstore *store);
void certstore_unlock(struct certstore *store);
/* Locks, and begins a transaction. When it fails nothing is locked. */
enum rc certstore_begin(struct certstore *store, struct err *err);
/* Commits when RC is RC_OK or RC_NONE, else takes back; unlocks. Gives RC, or RC_TEMP when it could
 * not be committed. */
enum rc certstore_end(struct certstore *store, enum rc rc, struct err *err);
/* Within a transaction: what it writes changes answers of look-ups, or anchors. Moves the
 * generation, which empties every cache: not for dates of last sight. */
void certstore_touch(struct certstore *store);

/* The statement of SQL, a constant, ready to bind; RC_TEMP. */
enum rc
certstore_stmt(struct certstore *store, const char *sql, sqlite3_stmt **stmt, struct err *err);
/* Binds parameters from ?1 on, one for each letter of TYPES: t text (const char *, NULL is ""; it
 * stays the caller's until certstore_done), i int64_t, b blob (const void *, size_t). */
enum rc certstore_bind(
	struct certstore *store, sqlite3_stmt *stmt, struct err *err, const char *types, ...);
/* One step: RC_OK with a row, RC_NONE at the end, RC_TEMP. */
enum rc certstore_step(struct certstore *store, sqlite3_stmt *stmt, struct err *err);
/* Runs a statement that gives no rows; CHANGED may be NULL. */
enum rc certstore_run(struct certstore *store, sqlite3_stmt *stmt, int *changed, struct err *err);
/* Bind and run in one: for statements that give no rows. */
enum rc
certstore_exec(struct certstore *store, struct err *err, const char *sql, const char *types, ...);
void certstore_done(sqlite3_stmt *stmt);
/* Column I as a string of our own; never NULL on RC_OK. */
enum rc certstore_text(sqlite3_stmt *stmt, int i, char **out, struct err *err);
/* What SQLite said, as an error. Whatever it is, trying later may help. */
enum rc certstore_err(struct certstore *store, struct err *err);

/* The id of CERT in "certs"; CREATE: within a transaction, puts it there. RC_NONE: not there. */
enum rc certstore_cert_id(
	struct certstore *store, struct cert *cert, bool create, int64_t *id, struct err *err);
/* The certificate of a row: column I is its DER. Damage is RC_TEMP. */
enum rc certstore_column_cert(sqlite3_stmt *stmt, int i, struct cert **out, struct err *err);
/* Within a transaction: takes the certificate ID away when no table speaks of it any more. A table
 * that does has to be named in its statement. */
enum rc certstore_drop_cert(struct certstore *store, int64_t id, struct err *err);
struct certstore_event {
	const char *addr; /* "": of an anchor */
	int64_t cert;     /* its id */
	int what;         /* CERTEVENT_… */
	int64_t at;
	const char *source, *who, *why;
};
/* Within a transaction: adds a row to the history of the event's address. */
enum rc
certstore_remember(struct certstore *store, const struct certstore_event *event, struct err *err);

/* TEXT (NULL is "") as it may be shown on a terminal, cut to CERTSTORE_MAX_WORD bytes: control
 * characters become "?". */
const char *certstore_word(const char *text, char out[CERTSTORE_MAX_WORD + 1]);
/* Addresses that a walk over the store reads at a time. */
#define CERTSTORE_WALK      256
#define CERTSTORE_WALK_TEXT "256"
/* The first and the last SHA-256 that begin with PREFIX; false: no 4 to 64 hex digits. */
bool certstore_prefix(
	const char *prefix, unsigned char low[SHA256_SIZE], unsigned char high[SHA256_SIZE]);
/* The id of the one certificate that FINGERPRINT, full or cut, stands for; RC_NONE. */
enum rc certstore_fingerprint_id(
	struct certstore *store, const char *fingerprint, int64_t *id, struct err *err);

/* certstore_used.c: at the end. */
void certstore_uses_close(struct certstore *store);

#endif
