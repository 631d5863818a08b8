/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_held.h"

#include <stdio.h>
#include <string.h>

#include "keystore/store_row.h"

#define HELD_COLUMNS "id, addr, label, sha256, is_foreign, created, tries, key, seq, mac"
#define WRAPPED_MAX  (9u << 20)

static int
held_aad(const struct store_held *held, char aad[160])
{
	return snprintf(aad, 160, "sealgate held 1|%s|%s", held->id, held->sha256);
}

static void
put_columns(struct row *row, const struct store_held *held)
{
	row_put_text(row, held->id);
	row_put_text(row, held->addr);
	row_put_text(row, held->label);
	row_put_text(row, held->sha256);
	row_put_int(row, held->foreign);
	row_put_int(row, held->created);
	row_put_int(row, held->tries);
	row_put_text(row, held->key);
	row_put_int(row, held->seq);
}

static enum rc
read_held(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_held *out = what;
	struct row row;

	*out = (struct store_held){0};
	row_read(&row, store, "held", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->addr, sizeof(out->addr));
	row_get_text(&row, out->label, sizeof(out->label));
	row_get_text(&row, out->sha256, sizeof(out->sha256));
	out->foreign = row_get_int(&row, 0, 1);
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->tries = row_get_int(&row, 0, INT64_MAX);
	row_get_text(&row, out->key, sizeof(out->key));
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

static enum rc
read_count(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	(void)store;
	(void)err;
	*(int64_t *)what = sqlite3_column_int64(st, 0);
	return RC_OK;
}

/* Is there room for one more? The file HELD itself may be there. */
static enum rc
check_room(struct store *store, const struct store_held *held, struct err *err)
{
	int64_t n = 0;
	enum rc rc = row_find(store, "SELECT COUNT(*) FROM held WHERE key = '' AND id <> ?",
		held->id, read_count, &n, err);

	if (!rc && n >= STORE_MAX_HELD)
		rc = err_set(err, ERR_LIMIT,
			"%lld files wait for their PIN: bring PINs, or drop some", (long long)n);
	return rc;
}

enum rc
store_put_held(
	struct store *store, const struct store_held *held, struct secret *file, struct err *err)
{
	struct buf wrapped = {.max = WRAPPED_MAX};
	char aad[160];
	struct row row;
	enum rc rc =
		keyring_wrap(store->keyring, aad, (size_t)held_aad(held, aad), file, &wrapped, err);

	pthread_mutex_lock(&store->lock);
	if (!rc)
		rc = check_room(store, held, err);
	if (!rc)
		rc = row_begin(&row, store, "held",
			"INSERT OR REPLACE INTO held(" HELD_COLUMNS
			", wrapped) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			err);
	if (!rc) {
		put_columns(&row, held);
		rc = row_seal(&row, err);
	}
	if (!rc) {
		sqlite3_bind_blob64(row.st, 11, wrapped.data, wrapped.len, SQLITE_STATIC);
		rc = store_run(store, row.st, err);
	}
	pthread_mutex_unlock(&store->lock);
	buf_fini(&wrapped);
	return rc;
}

enum rc
store_set_held(struct store *store, const struct store_held *held, struct err *err)
{
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, "held",
		"UPDATE held SET addr = ?2, label = ?3, sha256 = ?4, is_foreign = ?5, created = ?6, "
		"tries = ?7, key = ?8, seq = ?9, mac = ?10, "
		"wrapped = CASE ?8 WHEN '' THEN wrapped ELSE X'' END WHERE id = ?1",
		err);
	if (!rc) {
		put_columns(&row, held);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	if (!rc && sqlite3_changes(store->db) != 1)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "held file %s is gone", held->id);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_get_held(struct store *store, const char *id, struct store_held *out, struct err *err)
{
	return row_find(
		store, "SELECT " HELD_COLUMNS " FROM held WHERE id = ?", id, read_held, out, err);
}

enum rc
store_find_held(struct store *store, const char *sha256, struct store_held *out, struct err *err)
{
	return row_find(store, "SELECT " HELD_COLUMNS " FROM held WHERE sha256 = ?", sha256,
		read_held, out, err);
}

enum rc
store_unwrap_held(
	struct store *store, const struct store_held *held, struct secret **file, struct err *err)
{
	char aad[160];
	sqlite3_stmt *st;
	enum rc rc;

	*file = NULL;
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, "SELECT wrapped FROM held WHERE id = ?", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, held->id, -1, SQLITE_STATIC);
		rc = store_step(store, st, err);
		if (!rc)
			rc = keyring_unwrap(store->keyring, aad, (size_t)held_aad(held, aad),
				sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0),
				file, err);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_del_held(struct store *store, const char *id, struct err *err)
{
	return row_delete(store, "held", "DELETE FROM held WHERE id = ?", id, err);
}

enum rc
store_list_held(struct store *store, const char *addr, const char *after, size_t max,
	store_each_held *each, void *ctx, struct err *err)
{
	struct store_held held;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " HELD_COLUMNS
		" FROM held WHERE key = '' AND id > ?1 AND (?2 IS NULL OR addr = ?2 "
		"COLLATE NOCASE) ORDER BY id LIMIT ?3",
		err);
	rows_text(&rows, 1, after);
	rows_text(&rows, 2, addr);
	rows_int(&rows, 3, (sqlite3_int64)max);
	while ((rc = rows_next(&rows, read_held, &held, err)) == RC_OK)
		if ((rc = each(ctx, &held, err)) != RC_OK)
			break;
	return rows_end(&rows, rc);
}
