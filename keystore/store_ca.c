/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_ca.h"

#include <string.h>

#include "keystore/store_row.h"

#define CA_COLUMNS         "key, role, parent, last, crl_next, created, seq, mac"
#define REVOCATION_COLUMNS "sha256, ca, serial, at, reason, comment, not_after, seq, mac"

const char *
ca_role_name(enum ca_role role)
{
	return role == CA_ROOT ? "root" : "issuing";
}

static void
put_ca(struct row *row, const void *what)
{
	const struct store_ca *ca = what;

	row_put_text(row, ca->key);
	row_put_int(row, ca->role);
	row_put_text(row, ca->parent);
	row_put_int(row, ca->last);
	row_put_int(row, ca->crl_next);
	row_put_int(row, ca->created);
	row_put_int(row, ca->seq);
}

enum rc
store_put_ca(struct store *store, const struct store_ca *ca, struct err *err)
{
	return row_store(store, "cas",
		"INSERT OR REPLACE INTO cas(" CA_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?)", put_ca,
		ca, err);
}

static enum rc
read_ca(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_ca *out = what;
	struct row row;

	row_read(&row, store, "cas", st);
	row_get_text(&row, out->key, sizeof(out->key));
	out->role = (enum ca_role)row_get_int(&row, CA_ROOT, CA_ISSUING);
	row_get_text(&row, out->parent, sizeof(out->parent));
	out->last = row_get_int(&row, 0, INT64_MAX);
	out->crl_next = row_get_int(&row, 0, INT64_MAX);
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

enum rc
store_get_ca(struct store *store, const char *key, struct store_ca *out, struct err *err)
{
	return row_find(
		store, "SELECT " CA_COLUMNS " FROM cas WHERE key = ?", key, read_ca, out, err);
}

enum rc
store_list_cas(struct store *store, struct store_ca *v, size_t *n, struct err *err)
{
	struct store_ca ca;
	struct rows rows;
	enum rc rc;

	*n = 0;
	rows_begin(&rows, store, "SELECT " CA_COLUMNS " FROM cas ORDER BY created, seq, key", err);
	while ((rc = rows_next(&rows, read_ca, &ca, err)) == RC_OK) {
		if (*n == STORE_MAX_CAS) {
			rc = err_set(err, ERR_LIMIT, "more than %d CAs", STORE_MAX_CAS);
			break;
		}
		v[(*n)++] = ca;
	}
	return rows_end(&rows, rc);
}

enum rc
store_find_ca(
	struct store *store, enum ca_role role, int64_t at, struct store_ca *out, struct err *err)
{
	struct store_ca v[STORE_MAX_CAS];
	struct store_cert cert;
	struct store_key key;
	size_t n;
	enum rc rc = store_list_cas(store, v, &n, err);

	for (size_t i = n; !rc && i-- > 0;) {
		if (v[i].role != role)
			continue;
		rc = store_get_key(store, v[i].key, &key, err);
		if (rc || key.status != KEY_ACTIVE) {
			rc = rc == RC_NONE ? err_set(err, ERR_KEYSTORE_TAMPERED, "a CA has no key")
					   : rc;
			continue;
		}
		rc = store_current_cert(store, v[i].key, at, &cert, err);
		if (rc == RC_OK) {
			store_cert_fini(&cert);
			*out = v[i];
			return RC_OK;
		}
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	return rc ? rc : RC_NONE;
}

static void
put_revocation(struct row *row, const void *what)
{
	const struct store_revocation *revocation = what;

	row_put_text(row, revocation->sha256);
	row_put_text(row, revocation->ca);
	row_put_blob(row, revocation->serial, revocation->serial_len);
	row_put_int(row, revocation->at);
	row_put_int(row, revocation->reason);
	row_put_text(row, revocation->comment);
	row_put_int(row, revocation->not_after);
	row_put_int(row, revocation->seq);
}

enum rc
store_put_revocation(
	struct store *store, const struct store_revocation *revocation, struct err *err)
{
	return row_store(store, "revocations",
		"INSERT OR REPLACE INTO revocations(" REVOCATION_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		put_revocation, revocation, err);
}

static enum rc
read_revocation(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_revocation *out = what;
	const void *serial;
	size_t len;
	struct row row;

	row_read(&row, store, "revocations", st);
	row_get_text(&row, out->sha256, sizeof(out->sha256));
	row_get_text(&row, out->ca, sizeof(out->ca));
	serial = row_get_blob(&row, &len);
	out->serial_len = len > sizeof(out->serial) ? sizeof(out->serial) : len;
	if (out->serial_len)
		memcpy(out->serial, serial, out->serial_len);
	out->at = row_get_int(&row, 0, INT64_MAX);
	out->reason = (int)row_get_int(&row, 0, 10);
	row_get_text(&row, out->comment, sizeof(out->comment));
	out->not_after = row_get_int(&row, INT64_MIN, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

enum rc
store_get_revocation(
	struct store *store, const char *sha256, struct store_revocation *out, struct err *err)
{
	return row_find(store, "SELECT " REVOCATION_COLUMNS " FROM revocations WHERE sha256 = ?",
		sha256, read_revocation, out, err);
}

enum rc
store_list_revocations(struct store *store, const char *ca, store_each_revocation *each, void *ctx,
	struct err *err)
{
	struct store_revocation revocation;
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " REVOCATION_COLUMNS " FROM revocations WHERE ca = ? ORDER BY at, sha256",
		err);
	rows_text(&rows, 1, ca);
	while ((rc = rows_next(&rows, read_revocation, &revocation, err)) == RC_OK)
		if ((rc = each(ctx, &revocation, err)) != RC_OK)
			break;
	return rows_end(&rows, rc);
}

static enum rc
read_id(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	const void *text = sqlite3_column_text(st, 0);
	size_t len = (size_t)sqlite3_column_bytes(st, 0);
	char *id = what;

	(void)store;
	if (!text || len >= STORE_ID_SIZE)
		return err_set(err, ERR_KEYSTORE_TAMPERED, "an id that is none");
	memcpy(id, text, len);
	id[len] = 0;
	return RC_OK;
}

/* The first column of what SQL finds; bound are ?1 AFTER, ?2 how many, ?3 UNTIL. */
static enum rc
list_ids(struct store *store, const char *sql, const char *after, int64_t until,
	struct store_ids *ids, struct err *err)
{
	struct rows rows;
	enum rc rc = RC_OK;

	ids->n = 0;
	rows_begin(&rows, store, sql, err);
	rows_text(&rows, 1, after);
	rows_int(&rows, 2, (int64_t)ids->max);
	rows_int(&rows, 3, until);
	while (ids->n < ids->max && (rc = rows_next(&rows, read_id, ids->v[ids->n], err)) == RC_OK)
		ids->n++;
	return rows_end(&rows, rc);
}

enum rc
store_list_due(struct store *store, int64_t until, const char *after, struct store_ids *ids,
	struct err *err)
{
	static const char sql[] =
		"SELECT k.id FROM keys k WHERE k.status = 0 AND k.purpose < 4 AND k.id > ?1"
		" AND EXISTS (SELECT 1 FROM certs c WHERE c.key = k.id)"
		" AND NOT EXISTS (SELECT 1 FROM certs c WHERE c.key = k.id AND c.not_after > ?3)"
		" ORDER BY k.id LIMIT ?2";

	return list_ids(store, sql, after, until, ids, err);
}

enum rc
store_list_successors(
	struct store *store, const char *after, struct store_ids *ids, struct err *err)
{
	static const char sql[] =
		"SELECT id FROM keys WHERE status = 0 AND replaces <> '' AND id > ?1 AND ?3 NOTNULL"
		" ORDER BY id LIMIT ?2";

	return list_ids(store, sql, after, 0, ids, err);
}
