/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_row.h - inside the store: statements, and rows that carry an HMAC
 *
 * A row is written and read by naming its columns in one order, which is the one of the schema;
 * each column goes into the HMAC with its length, after the table's name, and the last one is the
 * HMAC itself, in the column "mac". Columns behind it are not covered. A table's first column is
 * its key. Columns of type BLOB have a line in store_reencrypt.c.
 */
#ifndef KEYSTORE_STORE_ROW_H
#define KEYSTORE_STORE_ROW_H

#include "keystore/store.h"

#include <pthread.h>
#include <sqlite3.h>

#define STORE_STATEMENTS 160

struct store {
	sqlite3 *db;
	pthread_mutex_t lock; /* recursive: held through a transaction */
	char *path;
	struct secret *root;     /* the store key … */
	struct keyring *keyring; /* … and what is derived from it */
	bool opened_pending;     /* by the pending master key (store_root.h) */
	bool in_tx;
	unsigned char sum[WRAP_MAC_SIZE]; /* of the HMACs of all rows that count; see store_sum.c */
	unsigned char saved[WRAP_MAC_SIZE]; /* as it was when the transaction began */
	bool broken; /* the rows did not add up: refuse everything; atomic, as the next three */
	uint64_t generation; /* counts changes of rows, ours and others' */
	int64_t looked;      /* clock_monotonic_ms, for changes by others … */
	int64_t version;     /* … against this store_version */
	struct {
		const char *sql;
		sqlite3_stmt *st;
	} cache[STORE_STATEMENTS];
	size_t n_cache;
};

/* A prepared statement for SQL (a literal), reset and without bindings. */
enum rc store_prepare(struct store *store, const char *sql, sqlite3_stmt **out, struct err *err);
/* RC_OK: a row, RC_NONE: done. */
enum rc store_step(struct store *store, sqlite3_stmt *st, struct err *err);
/* Steps a statement that gives no rows. */
enum rc store_run(struct store *store, sqlite3_stmt *st, struct err *err);
enum rc store_exec(struct store *store, const char *sql, struct err *err);
enum rc store_trouble(struct store *store, const char *what, struct err *err);

struct row {
	struct store *store;
	sqlite3_stmt *st;
	const char *table;
	char pk[80];    /* first column, for rows that are written */
	int column;     /* next */
	struct buf mac; /* what the HMAC is over */
	enum rc rc;     /* first failure */
	struct err err;
};

/* Writing: row_begin, row_put… for each column, row_seal; then further columns may be bound by
 * hand. */
enum rc row_begin(
	struct row *row, struct store *store, const char *table, const char *sql, struct err *err);
void row_put_text(struct row *row, const char *text);
void row_put_blob(struct row *row, const void *data, size_t len);
void row_put_int(struct row *row, int64_t n);
/* Binds the HMAC, gives the first failure. */
enum rc row_seal(struct row *row, struct err *err);

/* Reading the row that ST stands on: row_read, row_get… for each, row_check. */
void row_read(struct row *row, struct store *store, const char *table, sqlite3_stmt *st);
void row_get_text(struct row *row, char *out, size_t size); /* too long: tampered */
const void *row_get_blob(struct row *row, size_t *len);
int64_t row_get_int(struct row *row, int64_t min, int64_t max);
void row_get_any(struct row *row); /* of whatever type */
/* ERR_KEYSTORE_TAMPERED when the HMAC does not fit. */
enum rc row_check(struct row *row, struct err *err);
/* The same with an HMAC made by OLD; MAC: what it is with the store's own keyring. */
enum rc row_check_anew(struct row *row, const struct keyring *old, unsigned char mac[WRAP_MAC_SIZE],
	struct err *err);

/* --- the usual ways of a table's rows; each takes the store's lock --- */
/* Reads the row that ST stands on into OUT, a struct of the table's. */
typedef enum rc row_reader(struct store *store, sqlite3_stmt *st, void *out, struct err *err);
/* Puts the columns of WHAT, a struct of the table's. */
typedef void row_putter(struct row *row, const void *what);
enum rc row_store(struct store *store, const char *table, const char *sql, row_putter *put,
	const void *what, struct err *err);
/* The row that SQL finds for TEXT; RC_NONE. */
enum rc row_find(struct store *store, const char *sql, const char *text, row_reader *read,
	void *out, struct err *err);
/* SQL deletes the row ID of TABLE; RC_NONE: there was none. */
enum rc row_delete(
	struct store *store, const char *table, const char *sql, const char *id, struct err *err);

/*
 * Rows one after the other: rows_begin, rows_text and rows_int for what SQL leaves open, rows_next
 * until it gives something else than RC_OK, rows_end in any case.
 */
struct rows {
	struct store *store;
	sqlite3_stmt *st; /* NULL: it could not be prepared */
	enum rc rc;
	bool unbound; /* a parameter could not be given, and would be read as NULL */
};
void rows_begin(struct rows *rows, struct store *store, const char *sql, struct err *err);
void rows_text(struct rows *rows, int at, const char *text); /* may be NULL */
void rows_int(struct rows *rows, int at, int64_t n);
void rows_blob(struct rows *rows, int at, const void *data, size_t len);
enum rc rows_next(struct rows *rows, row_reader *read, void *out, struct err *err);
/* Gives RC, with RC_OK for RC_NONE. */
enum rc rows_end(struct rows *rows, enum rc rc);

/* Is something that holds from SINCE to before UNTIL (0: no end) in force at AT? *changes comes
 * down to when the answer may be another one. Rows come by SINCE, latest first, until one decides.
 */
bool store_period_decides(int64_t since, int64_t until, int64_t at, int64_t *changes);

/* --- store_sum.c --- */
/* The row PK of TABLE gets MAC (NULL: it goes away). Only within a transaction. */
enum rc store_sum_change(struct store *store, const char *table, const char *pk,
	const unsigned char *mac, struct err *err);
/* Takes the sum from the rows as they are. */
enum rc store_sum_make(struct store *store, struct err *err);
/* Writes the sum with the transaction that is about to end. */
enum rc store_sum_put(struct store *store, struct err *err);

/* --- store.c --- */
/* A row of meta; replaced when it is there. */
enum rc store_put_meta(struct store *store, const char *name, const char *value, struct err *err);
enum rc
store_get_meta(struct store *store, const char *name, char *out, size_t size, struct err *err);
/* A connection with the settings of all; a store over one, without a key yet. */
enum rc store_connect(const char *path, sqlite3 **db, struct err *err);
enum rc store_open_file(const char *path, struct store **out, struct err *err);
void store_next_generation(struct store *store);

/* What a secret is bound to when it is wrapped: its name. Returns the length. */
#define STORE_SECRET_AAD_SIZE 128
size_t store_secret_aad(const char *name, char aad[STORE_SECRET_AAD_SIZE]);

#endif
