/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_row.h"

#include <stdio.h>
#include <string.h>

enum rc
store_trouble(struct store *store, const char *what, struct err *err)
{
	int code = sqlite3_errcode(store->db);

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return err_set(
			err, ERR_KEYSTORE_TAMPERED, "%s: %s", what, sqlite3_errmsg(store->db));
	return err_set(err, ERR_KEYSTORE, "%s: %s", what, sqlite3_errmsg(store->db));
}

enum rc
store_prepare(struct store *store, const char *sql, sqlite3_stmt **out, struct err *err)
{
	size_t i;

	*out = NULL;
	for (i = 0; i < store->n_cache && store->cache[i].sql != sql; i++)
		;
	if (i == store->n_cache) {
		if (i == STORE_STATEMENTS)
			return err_set(err, ERR_INTERNAL, "too many statements");
		if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
			    &store->cache[i].st, NULL) != SQLITE_OK)
			return store_trouble(store, "prepare", err);
		store->cache[i].sql = sql;
		store->n_cache++;
	}
	*out = store->cache[i].st;
	sqlite3_reset(*out);
	sqlite3_clear_bindings(*out);
	return RC_OK;
}

enum rc
store_step(struct store *store, sqlite3_stmt *st, struct err *err)
{
	int code = sqlite3_step(st);
	enum rc rc;

	if (code == SQLITE_ROW)
		return RC_OK;
	if (code == SQLITE_DONE) {
		sqlite3_reset(st);
		return RC_NONE;
	}
	rc = store_trouble(store, "step", err);
	sqlite3_reset(st);
	return rc;
}

enum rc
store_run(struct store *store, sqlite3_stmt *st, struct err *err)
{
	enum rc rc = store_step(store, st, err);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
store_exec(struct store *store, const char *sql, struct err *err)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_trouble(store, "exec", err);
	return RC_OK;
}

/* Adds one column to what the HMAC is over. */
static void
mac_column(struct row *row, char kind, const void *data, size_t len)
{
	if (row->rc)
		return;
	row->rc = buf_append_char(&row->mac, kind, &row->err);
	if (!row->rc)
		row->rc = buf_append_u32(&row->mac, (unsigned)len, &row->err);
	if (!row->rc && len)
		row->rc = buf_append(&row->mac, data, len, &row->err);
}

static void
mac_int(struct row *row, int64_t n)
{
	unsigned char v[8];

	for (int i = 0; i < 8; i++)
		v[i] = (uint64_t)n >> (56 - 8 * i) & 0xff;
	mac_column(row, 'i', v, sizeof(v));
}

static void
row_init(struct row *row, struct store *store, const char *table, sqlite3_stmt *st)
{
	*row = (struct row){.store = store, .st = st, .table = table, .err = ERR_INIT};
	buf_init(&row->mac, 1u << 20);
	mac_column(row, 'T', table, strlen(table));
}

enum rc
row_begin(struct row *row, struct store *store, const char *table, const char *sql, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc = store_prepare(store, sql, &st, err);

	if (rc)
		return rc;
	row_init(row, store, table, st);
	row->column = 1;
	return RC_OK;
}

static void
bound(struct row *row, int code)
{
	if (!row->rc && code != SQLITE_OK)
		row->rc = store_trouble(row->store, "bind", &row->err);
}

void
row_put_text(struct row *row, const char *text)
{
	if (row->column == 1)
		snprintf(row->pk, sizeof(row->pk), "%s", text);
	bound(row, sqlite3_bind_text(row->st, row->column++, text, -1, SQLITE_TRANSIENT));
	mac_column(row, 't', text, strlen(text));
}

void
row_put_blob(struct row *row, const void *data, size_t len)
{
	/* SQLite makes NULL of a NULL pointer; an empty blob has to stay one. */
	bound(row, sqlite3_bind_blob64(
			   row->st, row->column++, len ? data : "", len, SQLITE_TRANSIENT));
	mac_column(row, 'b', data, len);
}

void
row_put_int(struct row *row, int64_t n)
{
	bound(row, sqlite3_bind_int64(row->st, row->column++, n));
	mac_int(row, n);
}

enum rc
row_seal(struct row *row, struct err *err)
{
	unsigned char mac[WRAP_MAC_SIZE];
	enum rc rc = row->rc;

	if (!rc)
		rc = row->rc = keyring_mac(
			row->store->keyring, row->mac.data, row->mac.len, mac, &row->err);
	if (!rc)
		rc = row->rc = store_sum_change(row->store, row->table, row->pk, mac, &row->err);
	if (!rc) {
		bound(row, sqlite3_bind_blob(
				   row->st, row->column++, mac, sizeof(mac), SQLITE_TRANSIENT));
		rc = row->rc;
	}
	if (rc && err)
		*err = row->err;
	buf_fini(&row->mac);
	return rc;
}

void
row_read(struct row *row, struct store *store, const char *table, sqlite3_stmt *st)
{
	row_init(row, store, table, st);
}

/* The first thing that cannot have been written by us. */
static void
tampered(struct row *row, const char *what)
{
	if (!row->rc)
		row->rc = err_set(&row->err, ERR_KEYSTORE_TAMPERED, "table %s, column %d: %s",
			row->table, row->column, what);
}

void
row_get_text(struct row *row, char *out, size_t size)
{
	const void *text = sqlite3_column_text(row->st, row->column);
	size_t len = (size_t)sqlite3_column_bytes(row->st, row->column);

	out[0] = 0;
	if (!text && sqlite3_column_type(row->st, row->column) == SQLITE_TEXT) {
		row->rc = row->rc ? row->rc : err_set(&row->err, ERR_MEMORY, "a row");
	} else if (sqlite3_column_type(row->st, row->column) != SQLITE_TEXT || len >= size ||
		   memchr(text, 0, len)) {
		tampered(row, "no text that fits");
	} else {
		memcpy(out, text, len);
		out[len] = 0;
		mac_column(row, 't', out, len);
	}
	row->column++;
}

const void *
row_get_blob(struct row *row, size_t *len)
{
	const void *data = sqlite3_column_blob(row->st, row->column);

	*len = (size_t)sqlite3_column_bytes(row->st, row->column);
	if (sqlite3_column_type(row->st, row->column) != SQLITE_BLOB || *len > 512u << 10) {
		tampered(row, "no bytes that fit");
		*len = 0;
	} else {
		mac_column(row, 'b', data, *len);
	}
	row->column++;
	return data;
}

int64_t
row_get_int(struct row *row, int64_t min, int64_t max)
{
	int64_t n = sqlite3_column_int64(row->st, row->column);

	if (sqlite3_column_type(row->st, row->column) != SQLITE_INTEGER || n < min || n > max) {
		tampered(row, "no number in bounds");
		n = min;
	}
	mac_int(row, n);
	row->column++;
	return n;
}

void
row_get_any(struct row *row)
{
	size_t len = (size_t)sqlite3_column_bytes(row->st, row->column);

	switch (sqlite3_column_type(row->st, row->column)) {
	case SQLITE_TEXT:
		mac_column(row, 't', sqlite3_column_text(row->st, row->column), len);
		break;
	case SQLITE_BLOB:
		mac_column(row, 'b', sqlite3_column_blob(row->st, row->column), len);
		break;
	case SQLITE_INTEGER:
		mac_int(row, sqlite3_column_int64(row->st, row->column));
		break;
	default:
		tampered(row, "no value that the vault writes");
	}
	row->column++;
}

/* Does the HMAC fit that stands in this column? */
static void
compare(struct row *row, const struct keyring *keyring)
{
	unsigned char mac[WRAP_MAC_SIZE];
	const void *stored = sqlite3_column_blob(row->st, row->column);

	if (!row->rc)
		row->rc = keyring_mac(keyring, row->mac.data, row->mac.len, mac, &row->err);
	if (!row->rc && (sqlite3_column_bytes(row->st, row->column) != WRAP_MAC_SIZE || !stored ||
				secret_compare(stored, mac, WRAP_MAC_SIZE)))
		row->rc = err_set(&row->err, ERR_KEYSTORE_TAMPERED,
			"a row of table %s was not written by the vault", row->table);
}

/* The end of reading: the first failure. */
static enum rc
end(struct row *row, struct err *err)
{
	if (row->rc && err)
		*err = row->err;
	buf_fini(&row->mac);
	return row->rc;
}

enum rc
row_check(struct row *row, struct err *err)
{
	compare(row, row->store->keyring);
	return end(row, err);
}

enum rc
row_check_anew(struct row *row, const struct keyring *old, unsigned char mac[WRAP_MAC_SIZE],
	struct err *err)
{
	compare(row, old);
	if (!row->rc)
		row->rc = keyring_mac(
			row->store->keyring, row->mac.data, row->mac.len, mac, &row->err);
	return end(row, err);
}

/* --- the usual ways --- */

enum rc
row_store(struct store *store, const char *table, const char *sql, row_putter *put,
	const void *what, struct err *err)
{
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, table, sql, err);
	if (!rc) {
		put(&row, what);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

void
rows_begin(struct rows *rows, struct store *store, const char *sql, struct err *err)
{
	rows->store = store;
	rows->unbound = false;
	pthread_mutex_lock(&store->lock);
	rows->rc = store_prepare(store, sql, &rows->st, err);
}

void
rows_text(struct rows *rows, int at, const char *text)
{
	if (rows->st)
		rows->unbound |=
			sqlite3_bind_text(rows->st, at, text, -1, SQLITE_TRANSIENT) != SQLITE_OK;
}

void
rows_int(struct rows *rows, int at, int64_t n)
{
	if (rows->st)
		rows->unbound |= sqlite3_bind_int64(rows->st, at, n) != SQLITE_OK;
}

void
rows_blob(struct rows *rows, int at, const void *data, size_t len)
{
	if (rows->st)
		rows->unbound |=
			sqlite3_bind_blob64(rows->st, at, data, len, SQLITE_TRANSIENT) != SQLITE_OK;
}

enum rc
rows_next(struct rows *rows, row_reader *read, void *out, struct err *err)
{
	if (!rows->rc && rows->unbound)
		rows->rc = err_set(err, ERR_MEMORY, "a question to the key store");
	if (!rows->rc)
		rows->rc = store_step(rows->store, rows->st, err);
	if (!rows->rc)
		rows->rc = read(rows->store, rows->st, out, err);
	return rows->rc;
}

enum rc
rows_end(struct rows *rows, enum rc rc)
{
	if (rows->st) {
		sqlite3_reset(rows->st);
		sqlite3_clear_bindings(rows->st);
	}
	pthread_mutex_unlock(&rows->store->lock);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
row_find(struct store *store, const char *sql, const char *text, row_reader *read, void *out,
	struct err *err)
{
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store, sql, err);
	rows_text(&rows, 1, text);
	rc = rows_next(&rows, read, out, err);
	(void)rows_end(&rows, rc);
	return rc;
}

enum rc
row_delete(struct store *store, const char *table, const char *sql, const char *id, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_sum_change(store, table, id, NULL, err);
	if (!rc)
		rc = store_prepare(store, sql, &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
		rc = store_run(store, st, err);
		if (!rc && sqlite3_changes(store->db) == 0)
			rc = RC_NONE;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}
