/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_root.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/store_row.h"

#define WRAPPED_MAX 256

static const char *const states[] = {"current", "pending"};

struct root_row {
	struct store_master master;
	unsigned char wrapped[WRAPPED_MAX];
	size_t len;
};

/* The wrapped store key is bound to what the row says of the master key. */
static enum rc
root_aad(const struct store_master *master, struct buf *aad, struct err *err)
{
	return buf_appendf(aad, err, "sealgate root 1|%s|%s", master->spec, master->kdf);
}

/* The row that ST stands on, without its HMAC when CHECK is false. */
static enum rc
read_root(struct store *store, sqlite3_stmt *st, bool check, struct root_row *out, struct err *err)
{
	const void *wrapped;
	struct row row;
	char state[16];

	*out = (struct root_row){0};
	row_read(&row, store, "masters", st);
	row_get_text(&row, state, sizeof(state));
	row_get_text(&row, out->master.spec, sizeof(out->master.spec));
	row_get_text(&row, out->master.kdf, sizeof(out->master.kdf));
	out->master.since = row_get_int(&row, 0, INT64_MAX);
	wrapped = row_get_blob(&row, &out->len);
	out->master.pending = strcmp(state, states[1]) == 0;
	out->master.opened = out->master.pending == store->opened_pending;
	if (!row.rc && (out->len > sizeof(out->wrapped) ||
			       (!out->master.pending && strcmp(state, states[0]) != 0)))
		row.rc = err_set(&row.err, ERR_KEYSTORE_TAMPERED, "table masters: a bad row");
	if (!row.rc && out->len)
		memcpy(out->wrapped, wrapped, out->len);
	if (check)
		return row_check(&row, err);
	buf_fini(&row.mac);
	if (row.rc && err)
		*err = row.err;
	return row.rc;
}

static enum rc
read_roots(struct store *store, bool check, struct root_row out[2], size_t *n, struct err *err)
{
	static const char sql[] =
		"SELECT state, spec, kdf, since, wrapped, mac FROM masters ORDER BY state";
	sqlite3_stmt *st;
	enum rc rc;

	*n = 0;
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, sql, &st, err);
	while (!rc && (rc = store_step(store, st, err)) == RC_OK) {
		if (*n == 2)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "table masters: too many rows");
		else
			rc = read_root(store, st, check, &out[(*n)++], err);
	}
	if (st)
		sqlite3_reset(st);
	pthread_mutex_unlock(&store->lock);
	if (rc < 0)
		return rc;
	return *n && !out[0].master.pending
		       ? RC_OK
		       : err_set(err, ERR_KEYSTORE_TAMPERED, "table masters: no current row");
}

/* "scrypt", "pkcs11", "": the kind of parameters that a master key from SPEC has. */
static const char *
kdf_kind(const char *spec)
{
	return strcmp(spec, "ask") == 0           ? "scrypt "
	       : strncmp(spec, "pkcs11:", 7) == 0 ? "pkcs11 "
						  : "";
}

enum rc
store_find_kdf(struct store *store, const char *spec, char out[STORE_KDF_SIZE], struct err *err)
{
	const char *kind = kdf_kind(spec);
	struct root_row rows[2];
	const struct root_row *found = NULL;
	size_t n;
	enum rc rc = read_roots(store, false, rows, &n, err);

	out[0] = 0;
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (strncmp(rows[i].master.kdf, kind, strlen(kind)) == 0 &&
			(!found || strcmp(rows[i].master.spec, spec) == 0))
			found = &rows[i];
	if (!found)
		return RC_NONE;
	strcpy(out, found->master.kdf);
	return RC_OK;
}

enum rc
store_list_masters(struct store *store, struct store_master out[2], size_t *n, struct err *err)
{
	struct root_row rows[2];
	enum rc rc = read_roots(store, true, rows, n, err);

	for (size_t i = 0; !rc && i < *n; i++)
		out[i] = rows[i].master;
	return rc;
}

/* ROW's store key; ERR_MASTER_KEY when MASTER is another. */
static enum rc
unwrap_root(
	const struct root_row *row, struct secret *master, struct secret **root, struct err *err)
{
	struct buf aad = BUF_INIT(8192);
	struct keyring *keyring = NULL;
	enum rc rc = keyring_new(master, &keyring, err);

	*root = NULL;
	if (!rc)
		rc = root_aad(&row->master, &aad, err);
	if (!rc)
		rc = keyring_unwrap(keyring, aad.data, aad.len, row->wrapped, row->len, root, err);
	if (rc && err && err->code == ERR_KEYSTORE_TAMPERED)
		rc = err_set(err, ERR_MASTER_KEY,
			strcmp(row->master.spec, "ask") == 0
				? "that is not the passphrase of this key store"
				: "the master key is not this store's");
	keyring_free(&keyring);
	buf_fini(&aad);
	return rc;
}

enum rc
store_root_put(struct store *store, struct secret *root, const struct store_master *master,
	struct secret *key, struct err *err)
{
	struct buf aad = BUF_INIT(8192), wrapped = BUF_INIT(WRAPPED_MAX);
	struct keyring *keyring = NULL;
	struct row row;
	enum rc rc = keyring_new(key, &keyring, err);

	if (!rc)
		rc = root_aad(master, &aad, err);
	if (!rc)
		rc = keyring_wrap(keyring, aad.data, aad.len, root, &wrapped, err);
	if (!rc)
		rc = row_begin(&row, store, "masters",
			"INSERT OR REPLACE INTO masters(state, spec, kdf, since, wrapped, mac)"
			" VALUES(?, ?, ?, ?, ?, ?)",
			err);
	if (!rc) {
		row_put_text(&row, states[master->pending]);
		row_put_text(&row, master->spec);
		row_put_text(&row, master->kdf);
		row_put_int(&row, master->since);
		row_put_blob(&row, wrapped.data, wrapped.len);
		rc = row_seal(&row, err);
		if (!rc)
			rc = store_run(store, row.st, err);
	}
	keyring_free(&keyring);
	buf_fini(&aad);
	buf_fini(&wrapped);
	return rc;
}

static enum rc
fill_master(struct store_master *master, const char *spec, const char *kdf, struct err *err)
{
	*master = (struct store_master){.since = clock_now()};
	if (strlen(spec) >= sizeof(master->spec) || strlen(kdf) >= sizeof(master->kdf))
		return err_set(err, ERR_LIMIT, "the source of the master key has too long a name");
	strcpy(master->spec, spec);
	strcpy(master->kdf, kdf);
	return RC_OK;
}

enum rc
store_root_create(struct store *store, const char *spec, const char *kdf, struct secret *master,
	struct err *err)
{
	struct store_master row;
	enum rc rc = fill_master(&row, spec, kdf, err);

	return rc ? rc : store_root_put(store, store->root, &row, master, err);
}

enum rc
store_root_open(struct store *store, struct secret *master, struct err *err)
{
	struct root_row rows[2];
	size_t n;
	enum rc rc = read_roots(store, false, rows, &n, err);

	secret_free(&store->root);
	keyring_free(&store->keyring);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		rc = unwrap_root(&rows[i], master, &store->root, err);
		store->opened_pending = rows[i].master.pending;
		if (!rc)
			break;
		if (err && err->code != ERR_MASTER_KEY)
			return rc;
	}
	if (rc)
		return rc;
	rc = keyring_new(store->root, &store->keyring, err);
	return rc ? rc : read_roots(store, true, rows, &n, err);
}

/* The row of STATE is gone, in the open transaction. */
static enum rc
delete_row(struct store *store, const char *state, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc = store_sum_change(store, "masters", state, NULL, err);

	if (!rc)
		rc = store_prepare(store, "DELETE FROM masters WHERE state = ?", &st, err);
	if (rc)
		return rc;
	sqlite3_bind_text(st, 1, state, -1, SQLITE_STATIC);
	return store_run(store, st, err);
}

/* What was deleted stands in the write-ahead log until that is cut. */
static enum rc
commit_and_cut(struct store *store, enum rc rc, struct err *err)
{
	if (!rc)
		rc = store_commit(store, err);
	else
		store_rollback(store);
	return rc ? rc : store_checkpoint(store, err);
}

static bool
has_pending(struct store *store)
{
	struct root_row rows[2];
	size_t n;

	return read_roots(store, true, rows, &n, NULL) != RC_OK || n > 1;
}

enum rc
store_add_master(struct store *store, const char *spec, const char *kdf, struct secret *master,
	struct err *err)
{
	struct store_master row;
	enum rc rc = fill_master(&row, spec, kdf, err);

	row.pending = true;
	if (!rc)
		rc = store_begin(store, err);
	if (rc)
		return rc;
	rc = has_pending(store)
		     ? err_set(err, ERR_KEYSTORE, "another replacement is not finished yet")
		     : store_root_put(store, store->root, &row, master, err);
	return commit_and_cut(store, rc, err);
}

/* In the open transaction. */
static enum rc
settle(struct store *store, struct secret *master, struct err *err)
{
	struct secret *root = NULL;
	struct root_row rows[2];
	struct row row;
	size_t n;
	enum rc rc = read_roots(store, true, rows, &n, err);

	if (!rc && n < 2)
		rc = err_set(err, ERR_KEYSTORE, "there is no pending master key");
	if (!rc && master)
		rc = unwrap_root(&rows[1], master, &root, err);
	else if (!rc && !store->opened_pending)
		rc = err_set(err, ERR_KEYSTORE, "the pending master key has to be shown");
	secret_free(&root);
	if (!rc)
		rc = delete_row(store, states[0], err);
	if (!rc)
		rc = delete_row(store, states[1], err);
	/* The same wrapped bytes, in a row of another state. */
	if (!rc)
		rc = row_begin(&row, store, "masters",
			"INSERT INTO masters(state, spec, kdf, since, wrapped, mac)"
			" VALUES(?, ?, ?, ?, ?, ?)",
			err);
	if (rc)
		return rc;
	row_put_text(&row, states[0]);
	row_put_text(&row, rows[1].master.spec);
	row_put_text(&row, rows[1].master.kdf);
	row_put_int(&row, rows[1].master.since);
	row_put_blob(&row, rows[1].wrapped, rows[1].len);
	rc = row_seal(&row, err);
	return rc ? rc : store_run(store, row.st, err);
}

enum rc
store_settle_master(struct store *store, struct secret *master, struct err *err)
{
	enum rc rc = store_begin(store, err);

	if (rc)
		return rc;
	rc = commit_and_cut(store, settle(store, master, err), err);
	if (!rc)
		store->opened_pending = false;
	return rc;
}

enum rc
store_drop_master(struct store *store, struct err *err)
{
	enum rc rc = store_begin(store, err);

	if (rc)
		return rc;
	rc = store->opened_pending ? err_set(err, ERR_KEYSTORE,
					     "the store was opened with the pending master key")
				   : delete_row(store, states[1], err);
	return commit_and_cut(store, rc, err);
}

enum rc
store_check_master(struct store *store, struct secret *master, bool pending, struct err *err)
{
	struct secret *root = NULL;
	struct root_row rows[2];
	size_t n;
	enum rc rc = read_roots(store, true, rows, &n, err);

	if (!rc && pending && n < 2)
		rc = err_set(err, ERR_KEYSTORE, "there is no pending master key");
	if (!rc)
		rc = unwrap_root(&rows[pending], master, &root, err);
	secret_free(&root);
	return rc;
}

enum rc
store_get_root(struct store *store, struct secret **root, struct err *err)
{
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = secret_copy(secret_data(store->root), secret_len(store->root), root, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* In the open transaction. */
static enum rc
replace_all(
	struct store *store, const struct store_master *row, struct secret *master, struct err *err)
{
	struct root_row rows[2];
	size_t n;
	enum rc rc = read_roots(store, true, rows, &n, err);

	if (!rc && n > 1)
		rc = delete_row(store, states[1], err);
	return rc ? rc : store_root_put(store, store->root, row, master, err);
}

enum rc
store_adopt(const char *path, struct secret *root, const char *spec, const char *kdf,
	struct secret *master, struct err *err)
{
	struct store_master row;
	struct store *store;
	enum rc rc = store_open(path, &store, err);

	if (!rc)
		rc = secret_copy(secret_data(root), secret_len(root), &store->root, err);
	if (!rc)
		rc = keyring_new(store->root, &store->keyring, err);
	if (!rc)
		rc = store_check(store, err);
	if (!rc)
		rc = fill_master(&row, spec, kdf, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = commit_and_cut(store, replace_all(store, &row, master, err), err);
	store_close(&store);
	return rc;
}
