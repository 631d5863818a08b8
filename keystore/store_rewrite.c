/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_rewrite.h"

#include <stdio.h>
#include <string.h>

#include "keystore/store_row.h"

#define MAX_COLUMNS 32
#define BLOB_MAX    (64u << 20)

static int
aad_secret(sqlite3_stmt *st, char aad[512])
{
	return (int)store_secret_aad((const char *)sqlite3_column_text(st, 0), aad);
}

/* As key_aad of store_key.c: id, person, purpose, fingerprint. */
static int
aad_of_key(const char *what, sqlite3_stmt *st, char aad[512])
{
	return snprintf(aad, 512, "sealgate %s 1|%s|%s|%s|%s", what, sqlite3_column_text(st, 0),
		sqlite3_column_text(st, 1),
		key_purpose_name((enum key_purpose)sqlite3_column_int(st, 2)),
		sqlite3_column_text(st, 5));
}

static int
aad_key(sqlite3_stmt *st, char aad[512])
{
	return aad_of_key("key", st, aad);
}

static int
aad_fallback(sqlite3_stmt *st, char aad[512])
{
	return aad_of_key("fallback", st, aad);
}

/* As held_aad of store_held.c: id, sha256. */
static int
aad_held(sqlite3_stmt *st, char aad[512])
{
	return snprintf(aad, 512, "sealgate held 1|%s|%s", sqlite3_column_text(st, 0),
		sqlite3_column_text(st, 3));
}

/* Every BLOB column but "mac". */
static const struct blob {
	const char *table, *column;
	int (*aad)(sqlite3_stmt *st, char aad[512]); /* NULL: not wrapped */
} blobs[] = {
	{"secrets", "wrapped", aad_secret}, {"keys", "wrapped", aad_key},
	{"keys", "fallback", aad_fallback}, {"certs", "ident", NULL}, {"certs", "ski", NULL},
	{"certs", "chain", NULL}, {"certs", "der", NULL}, {"chain", "sha256", NULL},
	{"chain", "der", NULL}, {"requests", "der", NULL}, {"officers", "cert", NULL},
	{"acts", "text", NULL}, {"approvals", "cms", NULL}, {"held", "wrapped", aad_held},
	{"revocations", "serial", NULL},
	{"masters", "wrapped", NULL}, /* by the master key; its row is made anew */
};

struct table {
	char name[64];
	int n;       /* columns */
	int mac;     /* which one it is, -1: none */
	bool number; /* the first one is INTEGER, else TEXT */
	const struct blob *blob[MAX_COLUMNS];
	struct buf select,
		update; /* all columns; mac and those that are wrapped, by the first one */
};

/* --- what the tables are --- */

static enum rc
find_blob(struct table *table, const char *column, struct err *err)
{
	for (size_t i = 0; i < sizeof(blobs) / sizeof(*blobs); i++)
		if (strcmp(blobs[i].table, table->name) == 0 &&
			strcmp(blobs[i].column, column) == 0) {
			table->blob[table->n] = blobs[i].aad ? &blobs[i] : NULL;
			return RC_OK;
		}
	return err_set(err, ERR_INTERNAL, "table %s: nobody says how column %s is wrapped",
		table->name, column);
}

static enum rc
add_column(struct table *table, const char *name, const char *type, char first[64], struct err *err)
{
	bool changes;
	enum rc rc = RC_OK;

	if (table->n == MAX_COLUMNS)
		return err_set(err, ERR_INTERNAL, "table %s: too many columns", table->name);
	if (table->n == 0) {
		snprintf(first, 64, "%s", name);
		table->number = strcmp(type, "INTEGER") == 0;
	}
	if (strcmp(name, "mac") == 0)
		table->mac = table->n;
	else if (strcmp(type, "BLOB") == 0)
		rc = find_blob(table, name, err);
	changes = table->mac == table->n || table->blob[table->n];
	if (!rc)
		rc = buf_appendf(&table->select, err, "%s%s", table->n ? ", " : "SELECT ", name);
	if (!rc && changes)
		rc = buf_appendf(&table->update, err, "%s%s = ?%d", table->update.len ? ", " : "",
			name, table->n + 1);
	table->n++;
	return rc;
}

/* NAME's columns, and the statements. */
static enum rc
describe(struct store *store, const char *name, struct table *table, struct err *err)
{
	char sql[128], first[64] = "";
	struct buf set = BUF_INIT(4096);
	sqlite3_stmt *st = NULL;
	enum rc rc = RC_OK;

	*table = (struct table){.mac = -1, .select = BUF_INIT(4096), .update = BUF_INIT(4096)};
	snprintf(table->name, sizeof(table->name), "%s", name);
	snprintf(sql, sizeof(sql), "PRAGMA table_info(%.63s)", name);
	if (sqlite3_prepare_v2(store->db, sql, -1, &st, NULL) != SQLITE_OK)
		return store_trouble(store, "table_info", err);
	while (!rc && sqlite3_step(st) == SQLITE_ROW)
		rc = add_column(table, (const char *)sqlite3_column_text(st, 1),
			(const char *)sqlite3_column_text(st, 2), first, err);
	sqlite3_finalize(st);
	/* One row at a time, by the key: a row that is changed may move under a longer look. */
	if (!rc)
		rc = buf_appendf(&table->select, err, " FROM %s WHERE %s > ?1 ORDER BY %s LIMIT 1",
			name, first, first);
	if (!rc && table->update.len) {
		rc = buf_appendf(&set, err, "UPDATE %s SET %s WHERE %s = ?1", name,
			buf_text(&table->update), first);
		buf_fini(&table->update);
		table->update = set;
	}
	return rc;
}

static void
table_fini(struct table *table)
{
	buf_fini(&table->select);
	buf_fini(&table->update);
}

/* --- one row --- */

/* A table on its way from one keyring to another. */
struct rewrite {
	struct store *store; /* has the new keyring */
	const struct keyring *old;
	const struct table *table;
	sqlite3_stmt *select, *update;
};

/* Column I of the row, wrapped by the old keyring, is bound to the update wrapped by the new one.
 */
static enum rc
rewrap(const struct rewrite *r, int i, struct err *err)
{
	struct buf wrapped = BUF_INIT(BLOB_MAX);
	struct secret *plain = NULL;
	char aad[512];
	int len = r->table->blob[i]->aad(r->select, aad);
	enum rc rc;

	if (len < 0 || len >= (int)sizeof(aad))
		return err_set(err, ERR_KEYSTORE_TAMPERED, "table %s: a long name", r->table->name);
	if (sqlite3_column_bytes(r->select, i) == 0) /* of a key that was destroyed */
		return sqlite3_bind_zeroblob(r->update, i + 1, 0) == SQLITE_OK
			       ? RC_OK
			       : err_set(err, ERR_MEMORY, "re-encrypting");
	rc = keyring_unwrap(r->old, aad, (size_t)len, sqlite3_column_blob(r->select, i),
		(size_t)sqlite3_column_bytes(r->select, i), &plain, err);
	if (!rc)
		rc = keyring_wrap(r->store->keyring, aad, (size_t)len, plain, &wrapped, err);
	if (!rc && sqlite3_bind_blob64(r->update, i + 1, wrapped.data, wrapped.len,
			   SQLITE_TRANSIENT) != SQLITE_OK)
		rc = err_set(err, ERR_MEMORY, "re-encrypting");
	secret_free(&plain);
	buf_fini(&wrapped);
	return rc;
}

static enum rc
rewrite_row(const struct rewrite *r, struct err *err)
{
	const struct table *table = r->table;
	unsigned char mac[WRAP_MAC_SIZE];
	sqlite3_value *id;
	struct row row;
	enum rc rc = RC_OK;

	if (table->mac >= 0) {
		row_read(&row, r->store, table->name, r->select);
		for (int i = 0; i < table->mac; i++)
			row_get_any(&row);
		rc = row_check_anew(&row, r->old, mac, err);
		if (!rc)
			sqlite3_bind_blob(
				r->update, table->mac + 1, mac, sizeof(mac), SQLITE_TRANSIENT);
	}
	for (int i = 0; !rc && i < table->n; i++)
		if (table->blob[i])
			rc = rewrap(r, i, err);
	if (rc)
		return rc;
	sqlite3_bind_value(r->update, 1, sqlite3_column_value(r->select, 0));
	/* Changing a statement's parameter needs it reset, and that ends the life of its row. */
	id = sqlite3_value_dup(sqlite3_column_value(r->select, 0));
	sqlite3_reset(r->select);
	if (!id || sqlite3_bind_value(r->select, 1, id) != SQLITE_OK)
		rc = err_set(err, ERR_MEMORY, "re-encrypting");
	sqlite3_value_free(id);
	return rc ? rc : store_run(r->store, r->update, err);
}

enum rc
store_rewrite(struct store *store, const char *name, const struct keyring *old, struct err *err)
{
	struct table table;
	struct rewrite r = {.store = store, .old = old, .table = &table};
	enum rc rc = describe(store, name, &table, err);

	if (!rc && table.update.len) {
		if (sqlite3_prepare_v2(store->db, table.select.data, -1, &r.select, NULL) !=
				SQLITE_OK ||
			sqlite3_prepare_v2(store->db, table.update.data, -1, &r.update, NULL) !=
				SQLITE_OK)
			rc = store_trouble(store, name, err);
		if (!rc && table.number)
			sqlite3_bind_int64(r.select, 1, INT64_MIN);
		else if (!rc)
			sqlite3_bind_text(r.select, 1, "", -1, SQLITE_STATIC);
		while (!rc && (rc = store_step(store, r.select, err)) == RC_OK)
			rc = rewrite_row(&r, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	sqlite3_finalize(r.select);
	sqlite3_finalize(r.update);
	table_fini(&table);
	if (rc && err)
		err_prefix(err, "%s", name);
	return rc;
}
