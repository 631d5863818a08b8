/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_request.h"

#include "keystore/store_row.h"

#include <string.h>

enum rc
store_put_request(struct store *store, const struct store_request *request, const struct buf *der,
	struct err *err)
{
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, "requests",
		"INSERT OR REPLACE INTO requests(key, addr, subject, replaces, created, seq, der, mac)"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		err);
	if (!rc) {
		row_put_text(&row, request->key);
		row_put_text(&row, request->addr);
		row_put_text(&row, request->subject);
		row_put_text(&row, request->replaces);
		row_put_int(&row, request->created);
		row_put_int(&row, request->seq);
		row_put_blob(&row, der->data, der->len);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

static enum rc
read_request(struct store *store, sqlite3_stmt *st, struct store_request *out, struct buf *der,
	struct err *err)
{
	struct row row;
	const void *bytes;
	size_t len;
	enum rc rc;

	row_read(&row, store, "requests", st);
	row_get_text(&row, out->key, sizeof(out->key));
	row_get_text(&row, out->addr, sizeof(out->addr));
	row_get_text(&row, out->subject, sizeof(out->subject));
	row_get_text(&row, out->replaces, sizeof(out->replaces));
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	bytes = row_get_blob(&row, &len);
	rc = row_check(&row, err);
	if (!rc && der)
		rc = buf_append(der, bytes, len, err);
	return rc;
}

enum rc
store_get_request(struct store *store, const char *key, struct store_request *out, struct buf *der,
	struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT key, addr, subject, replaces, created, seq, der, mac FROM requests"
		" WHERE key = ?",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
		rc = store_step(store, st, err);
		if (!rc)
			rc = read_request(store, st, out, der, err);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	if (!rc && strcmp(out->key, key) != 0)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table requests");
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_del_request(struct store *store, const char *key, struct err *err)
{
	enum rc rc = row_delete(store, "requests", "DELETE FROM requests WHERE key = ?", key, err);

	return rc == RC_NONE ? RC_OK : rc;
}
