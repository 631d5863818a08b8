/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store.h"

#include <stdio.h>
#include <string.h>

#include "crypto/digest.h"
#include "keystore/store_row.h"

#define KEY_COLUMNS \
	"id, person, purpose, status, type, fingerprint, created, changed, seq, use_from, replaces, mac"
#define FALLBACK_SIZE 32
#define WRAPPED_MAX   (1 << 20)
#define FALLBACK_MAX  1024

static const char *const statuses[KEY_STATUSES] = {
	"active", "retired", "revoked", "waiting", "destroyed"};
static const char *const purposes[] = {NULL, "sign", "open", "both", "ca"};

const char *
key_purpose_name(enum key_purpose purpose)
{
	return purpose >= PURPOSE_SIGN && purpose <= PURPOSE_CA ? purposes[purpose] : "?";
}

bool
key_purpose_find(const char *text, enum key_purpose *purpose)
{
	for (int i = PURPOSE_SIGN; i <= PURPOSE_CA; i++)
		if (strcmp(text, purposes[i]) == 0) {
			*purpose = i;
			return true;
		}
	return false;
}

const char *
key_status_name(enum key_status status)
{
	return status < KEY_STATUSES ? statuses[status] : "?";
}

/* What a wrapped key is bound to; WHAT tells the key from its fallback secret. */
static int
key_aad(const char *what, const struct store_key *key, char aad[256])
{
	return snprintf(aad, 256, "sealgate %s 1|%s|%s|%s|%s", what, key->id, key->person,
		key_purpose_name(key->purpose), key->fingerprint);
}

static void
put_key_columns(struct row *row, const struct store_key *key)
{
	row_put_text(row, key->id);
	row_put_text(row, key->person);
	row_put_int(row, key->purpose);
	row_put_int(row, key->status);
	row_put_int(row, key->type);
	row_put_text(row, key->fingerprint);
	row_put_int(row, key->created);
	row_put_int(row, key->changed);
	row_put_int(row, key->seq);
	row_put_int(row, key->use_from);
	row_put_text(row, key->replaces);
}

static enum rc
read_key(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_key *out = what;
	struct row row;

	row_read(&row, store, "keys", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->person, sizeof(out->person));
	out->purpose = (enum key_purpose)row_get_int(&row, PURPOSE_SIGN, PURPOSE_CA);
	out->status = (enum key_status)row_get_int(&row, 0, KEY_STATUSES - 1);
	out->type = (enum key_type)row_get_int(&row, KEY_OTHER, KEY_X25519);
	row_get_text(&row, out->fingerprint, sizeof(out->fingerprint));
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->changed = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	out->use_from = row_get_int(&row, 0, INT64_MAX);
	row_get_text(&row, out->replaces, sizeof(out->replaces));
	return row_check(&row, err);
}

/* Key and fallback secret, wrapped. */
static enum rc
wrap_key(struct store *store, const struct store_key *key, const struct pkey *pkey,
	struct buf *wrapped, struct buf *fallback, struct err *err)
{
	struct secret *der = NULL, *random = NULL;
	char aad[256];
	enum rc rc = pkey_format(pkey, &der, err);

	if (!rc)
		rc = keyring_wrap(
			store->keyring, aad, (size_t)key_aad("key", key, aad), der, wrapped, err);
	if (!rc)
		rc = secret_random(FALLBACK_SIZE, &random, err);
	if (!rc)
		rc = keyring_wrap(store->keyring, aad, (size_t)key_aad("fallback", key, aad),
			random, fallback, err);
	secret_free(&der);
	secret_free(&random);
	return rc;
}

enum rc
store_add_key(
	struct store *store, const struct store_key *key, const struct pkey *pkey, struct err *err)
{
	struct buf wrapped = BUF_INIT(1u << 20), fallback = BUF_INIT(1024);
	struct store_key other;
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_find_key(store, key->fingerprint, &other, err);
	if (rc == RC_OK)
		rc = err_set(err, ERR_KEY_EXISTS, "key %s has the same fingerprint", other.id);
	else if (rc == RC_NONE)
		rc = wrap_key(store, key, pkey, &wrapped, &fallback, err);
	if (!rc)
		rc = row_begin(&row, store, "keys",
			"INSERT INTO keys(" KEY_COLUMNS
			", wrapped, fallback) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			err);
	if (!rc) {
		put_key_columns(&row, key);
		rc = row_seal(&row, err);
	}
	if (!rc) {
		sqlite3_bind_blob64(row.st, 13, wrapped.data, wrapped.len, SQLITE_STATIC);
		sqlite3_bind_blob64(row.st, 14, fallback.data, fallback.len, SQLITE_STATIC);
		rc = store_run(store, row.st, err);
	}
	pthread_mutex_unlock(&store->lock);
	buf_fini(&wrapped);
	buf_fini(&fallback);
	return rc;
}

enum rc
store_get_key(struct store *store, const char *id, struct store_key *out, struct err *err)
{
	enum rc rc = row_find(
		store, "SELECT " KEY_COLUMNS " FROM keys WHERE id = ?", id, read_key, out, err);

	if (!rc && strcmp(out->id, id) != 0)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table keys");
	return rc;
}

enum rc
store_find_key(struct store *store, const char *fingerprint, struct store_key *out, struct err *err)
{
	return row_find(store, "SELECT " KEY_COLUMNS " FROM keys WHERE fingerprint = ?",
		fingerprint, read_key, out, err);
}

enum rc
store_set_status(struct store *store, const char *id, enum key_status status, int64_t at,
	int64_t seq, struct err *err)
{
	struct store_key key;
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_get_key(store, id, &key, err);
	if (!rc && key.status == KEY_DESTROYED)
		rc = err_set(err, ERR_VAULT_DENIED, "key %s was destroyed", id);
	if (!rc)
		rc = row_begin(&row, store, "keys",
			"UPDATE keys SET id = ?1, person = ?2, purpose = ?3, status = ?4, type = ?5,"
			" fingerprint = ?6, created = ?7, changed = ?8, seq = ?9, use_from = ?10,"
			" replaces = ?11, mac = ?12 WHERE id = ?1",
			err);
	if (!rc) {
		key.status = status;
		key.changed = at;
		key.seq = seq;
		put_key_columns(&row, &key);
		rc = row_seal(&row, err);
		if (!rc)
			rc = store_run(store, row.st, err);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_destroy_key(struct store *store, const char *id, int64_t at, int64_t seq, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_set_status(store, id, KEY_DESTROYED, at, seq, err);
	if (!rc)
		rc = store_prepare(store,
			"UPDATE keys SET wrapped = zeroblob(0), fallback = zeroblob(0) WHERE id = ?",
			&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
		rc = store_run(store, st, err);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* A key's row with what is wrapped in it, and the keyring that does. */
struct wrapped {
	struct store_key key;
	struct buf pkey, fallback;
	struct keyring *keyring;
};

/* The row that ST stands at. */
static enum rc
read_wrapped(struct store *store, sqlite3_stmt *st, struct wrapped *out, struct err *err)
{
	enum rc rc = read_key(store, st, &out->key, err);

	if (!rc && out->key.status == KEY_DESTROYED)
		rc = err_set(err, ERR_VAULT_NO_KEY, "it was destroyed");
	if (!rc && (sqlite3_column_bytes(st, 12) > WRAPPED_MAX ||
			   sqlite3_column_bytes(st, 13) > FALLBACK_MAX))
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "a wrapped secret is too long");
	if (!rc)
		rc = buf_append(&out->pkey, sqlite3_column_blob(st, 12),
			(size_t)sqlite3_column_bytes(st, 12), err);
	if (!rc)
		rc = buf_append(&out->fallback, sqlite3_column_blob(st, 13),
			(size_t)sqlite3_column_bytes(st, 13), err);
	return rc;
}

/* With the store's lock held. */
static enum rc
find_wrapped(struct store *store, const char *id, struct wrapped *out, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc = store_prepare(store,
		"SELECT " KEY_COLUMNS ", wrapped, fallback FROM keys WHERE id = ?", &st, err);

	if (rc)
		return rc;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	rc = store_step(store, st, err);
	if (!rc)
		rc = read_wrapped(store, st, out, err);
	out->keyring = keyring_ref(store->keyring); /* the one of these bytes */
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

enum rc
store_unwrap_key(struct store *store, const char *id, struct pkey **pkey, struct secret **fallback,
	struct err *err)
{
	struct wrapped wrapped = {
		.pkey = BUF_INIT(WRAPPED_MAX), .fallback = BUF_INIT(FALLBACK_MAX)};
	const struct store_key *key = &wrapped.key;
	struct secret *der = NULL;
	char aad[256];
	enum rc rc;

	*pkey = NULL;
	if (fallback)
		*fallback = NULL;
	pthread_mutex_lock(&store->lock);
	rc = find_wrapped(store, id, &wrapped, err);
	pthread_mutex_unlock(&store->lock);

	/* Unwrapping and parsing cost more than the look-up: not under the lock. */
	if (!rc)
		rc = keyring_unwrap(wrapped.keyring, aad, (size_t)key_aad("key", key, aad),
			wrapped.pkey.data, wrapped.pkey.len, &der, err);
	if (!rc && fallback)
		rc = keyring_unwrap(wrapped.keyring, aad, (size_t)key_aad("fallback", key, aad),
			wrapped.fallback.data, wrapped.fallback.len, fallback, err);
	if (!rc)
		rc = pkey_parse(secret_data(der), secret_len(der), key->type, pkey, err);
	if (rc < 0 && err)
		err_prefix(err, "key %s", id);
	if (rc && fallback)
		secret_free(fallback);
	keyring_free(&wrapped.keyring);
	secret_free(&der);
	buf_fini(&wrapped.pkey);
	buf_fini(&wrapped.fallback);
	return rc;
}

enum rc
store_list_keys(struct store *store, const char *person, const char *after, size_t max,
	store_each_key *each, void *ctx, struct err *err)
{
	struct store_key key;
	struct rows rows;
	enum rc rc;

	if (person)
		rows_begin(&rows, store,
			"SELECT " KEY_COLUMNS " FROM keys WHERE person = ? AND id > ?"
			" ORDER BY created DESC, seq DESC, id LIMIT ?",
			err);
	else
		rows_begin(&rows, store,
			"SELECT " KEY_COLUMNS
			" FROM keys WHERE ?1 IS NULL AND id > ?2 ORDER BY id LIMIT ?3",
			err);
	rows_text(&rows, 1, person);
	rows_text(&rows, 2, after);
	rows_int(&rows, 3, (int64_t)max);
	while ((rc = rows_next(&rows, read_key, &key, err)) == RC_OK)
		if ((rc = each(ctx, &key, err)) != RC_OK)
			break;
	return rows_end(&rows, rc);
}
