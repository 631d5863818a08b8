/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "keystore/store_row.h"

/*
 * A new store key: a copy of the whole file is made beside it, every wrapped secret and every HMAC
 * in the copy is made anew, and the copy takes the file's place by one rename. Until then the store
 * is in use as it was: nobody waits, and whatever interrupts us leaves it untouched. Only for the
 * end it is closed to others: the secrets, which threads of the ledger may have changed, are copied
 * once more (there are few), and the files change places. If rows changed meanwhile, all is done
 * again.
 *
 * So that this knows every table: the HMAC of a row is over the columns before "mac" in the order
 * of the schema, and each column of type BLOB is named below, with what its bytes are bound to when
 * they are wrapped. A table of which this is not true is refused, before anything is changed.
 */

#define TRIES       3
#define MAX_COLUMNS 32
#define BLOB_MAX    (64u << 20)

static int
aad_secret(sqlite3_stmt *st, char aad[512])
{
	return snprintf(aad, 512, "sealgate secret 1|%s", sqlite3_column_text(st, 0));
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

/* Column I of the row, wrapped by OLD, is bound to UPDATE wrapped by FRESH. */
static enum rc
rewrap(const struct table *table, int i, const struct keyring *old, const struct keyring *fresh,
	sqlite3_stmt *select, sqlite3_stmt *update, struct err *err)
{
	struct buf wrapped = BUF_INIT(BLOB_MAX);
	struct secret *plain = NULL;
	char aad[512];
	int len = table->blob[i]->aad(select, aad);
	enum rc rc;

	if (len < 0 || len >= (int)sizeof(aad))
		return err_set(err, ERR_KEYSTORE_TAMPERED, "table %s: a long name", table->name);
	if (sqlite3_column_bytes(select, i) == 0) /* of a key that was destroyed */
		return sqlite3_bind_zeroblob(update, i + 1, 0) == SQLITE_OK
			       ? RC_OK
			       : err_set(err, ERR_MEMORY, "re-encrypting");
	rc = keyring_unwrap(old, aad, (size_t)len, sqlite3_column_blob(select, i),
		(size_t)sqlite3_column_bytes(select, i), &plain, err);
	if (!rc)
		rc = keyring_wrap(fresh, aad, (size_t)len, plain, &wrapped, err);
	if (!rc && sqlite3_bind_blob64(
			   update, i + 1, wrapped.data, wrapped.len, SQLITE_TRANSIENT) != SQLITE_OK)
		rc = err_set(err, ERR_MEMORY, "re-encrypting");
	secret_free(&plain);
	buf_fini(&wrapped);
	return rc;
}

static enum rc
rewrite_row(struct store *store, const struct table *table, const struct keyring *old,
	sqlite3_stmt *select, sqlite3_stmt *update, struct err *err)
{
	unsigned char mac[WRAP_MAC_SIZE];
	sqlite3_value *id;
	struct row row;
	enum rc rc = RC_OK;

	if (table->mac >= 0) {
		row_read(&row, store, table->name, select);
		for (int i = 0; i < table->mac; i++)
			row_get_any(&row);
		rc = row_check_anew(&row, old, mac, err);
		if (!rc)
			sqlite3_bind_blob(
				update, table->mac + 1, mac, sizeof(mac), SQLITE_TRANSIENT);
	}
	for (int i = 0; !rc && i < table->n; i++)
		if (table->blob[i])
			rc = rewrap(table, i, old, store->keyring, select, update, err);
	if (rc)
		return rc;
	sqlite3_bind_value(update, 1, sqlite3_column_value(select, 0));
	/* Changing a statement's parameter needs it reset, and that ends the life of its row. */
	id = sqlite3_value_dup(sqlite3_column_value(select, 0));
	sqlite3_reset(select);
	if (!id || sqlite3_bind_value(select, 1, id) != SQLITE_OK)
		rc = err_set(err, ERR_MEMORY, "re-encrypting");
	sqlite3_value_free(id);
	return rc ? rc : store_run(store, update, err);
}

/* All rows of a table. STORE has the new keyring. */
static enum rc
rewrite_table(struct store *store, const char *name, const struct keyring *old, struct err *err)
{
	sqlite3_stmt *select = NULL, *update = NULL;
	struct table table;
	enum rc rc = describe(store, name, &table, err);

	if (!rc && table.update.len) {
		if (sqlite3_prepare_v2(store->db, table.select.data, -1, &select, NULL) !=
				SQLITE_OK ||
			sqlite3_prepare_v2(store->db, table.update.data, -1, &update, NULL) !=
				SQLITE_OK)
			rc = store_trouble(store, name, err);
		if (!rc && table.number)
			sqlite3_bind_int64(select, 1, INT64_MIN);
		else if (!rc)
			sqlite3_bind_text(select, 1, "", -1, SQLITE_STATIC);
		while (!rc && (rc = store_step(store, select, err)) == RC_OK)
			rc = rewrite_row(store, &table, old, select, update, err);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	sqlite3_finalize(select);
	sqlite3_finalize(update);
	table_fini(&table);
	if (rc && err)
		err_prefix(err, "%s", name);
	return rc;
}

/* --- the copy --- */

/* A copy of the file as it is at one moment; STORE may be in use. */
static enum rc
copy_file(struct store *store, sqlite3 *to, struct err *err)
{
	sqlite3_backup *backup;
	sqlite3 *from;
	int code = SQLITE_OK;
	enum rc rc = store_connect(store->path, &from, err);

	if (rc)
		return rc;
	backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup) {
		code = sqlite3_backup_step(backup, -1);
		(void)sqlite3_backup_finish(backup);
	}
	if (!backup || code != SQLITE_DONE)
		rc = err_set(err, ERR_KEYSTORE, "copying the key store: %s",
			backup ? sqlite3_errstr(code) : sqlite3_errmsg(to));
	sqlite3_close(from);
	return rc;
}

enum rc
store_copy(struct store *store, const char *path, struct store **out, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum rc rc;

	*out = NULL;
	if (fd < 0)
		return err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	close(fd);
	rc = store_open_file(path, out, err);
	/* Its changes are safe when it is finished, or worth nothing. */
	if (!rc) {
		(void)sqlite3_db_config((*out)->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
		rc = store_exec(*out,
			"PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF;"
			"PRAGMA synchronous=OFF;",
			err);
	}
	if (!rc)
		rc = copy_file(store, (*out)->db, err);
	if (!rc)
		rc = store_exec(*out, "PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF;", err);
	if (!rc)
		rc = store_version(*out, &(*out)->version, err); /* the copying was ours */
	if (rc)
		store_close(out);
	return rc;
}

/* Everything in the copy under its own new key. */
static enum rc
rewrite(struct store *copy, const struct keyring *old, const struct store_master *master,
	struct secret *key, struct err *err)
{
	static const char sql[] =
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
	char names[64][64];
	sqlite3_stmt *st;
	size_t n = 0;
	enum rc rc = store_prepare(copy, sql, &st, err);

	while (!rc && (rc = store_step(copy, st, err)) == RC_OK)
		if (n == 64)
			rc = err_set(err, ERR_INTERNAL, "too many tables");
		else
			snprintf(names[n++], 64, "%s", (const char *)sqlite3_column_text(st, 0));
	if (rc != RC_NONE)
		return rc;
	sqlite3_reset(st);
	rc = store_exec(copy, "BEGIN", err);
	for (size_t i = 0; !rc && i < n; i++)
		if (strcmp(names[i], "masters") != 0)
			rc = rewrite_table(copy, names[i], old, err);
	if (!rc)
		rc = store_exec(copy, "DELETE FROM masters; COMMIT", err);
	if (!rc)
		rc = store_sum_make(copy, err);
	if (!rc)
		rc = store_begin(copy, err);
	if (rc)
		return rc;
	rc = store_root_put(copy, copy->root, master, key, err);
	/* The sum is another one in any case. */
	memset(copy->saved, 0xff, sizeof(copy->saved));
	if (!rc)
		return store_commit(copy, err);
	store_rollback(copy);
	return rc;
}

/* The live secrets, once more; with the lock of LIVE held. */
static enum rc
copy_secrets(struct store *live, struct store *copy, struct err *err)
{
	sqlite3_stmt *st = NULL;
	enum rc rc = store_exec(copy, "BEGIN; DELETE FROM secrets", err);

	if (!rc)
		rc = store_prepare(live, "SELECT name, wrapped FROM secrets", &st, err);
	while (!rc && (rc = store_step(live, st, err)) == RC_OK) {
		struct secret *secret = NULL;
		char aad[512];
		int len = aad_secret(st, aad);

		rc = keyring_unwrap(live->keyring, aad, (size_t)len, sqlite3_column_blob(st, 1),
			(size_t)sqlite3_column_bytes(st, 1), &secret, err);
		if (!rc)
			rc = store_put_secret(
				copy, (const char *)sqlite3_column_text(st, 0), secret, err);
		secret_free(&secret);
	}
	if (st)
		sqlite3_reset(st); /* after a failure it would keep the live file's log */
	return rc == RC_NONE ? store_exec(copy, "COMMIT", err) : rc;
}

/* --- changing places --- */

static void
finalize_all(struct store *store)
{
	for (size_t i = 0; i < store->n_cache; i++)
		sqlite3_finalize(store->cache[i].st);
	store->n_cache = 0;
}

static enum rc
sync_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), failed;

	if (fd < 0)
		return err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	failed = fsync(fd);
	close(fd);
	return failed ? err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno)) : RC_OK;
}

/* A log beside the old file would be taken for the new one's. */
static enum rc
check_no_log(const char *path, struct err *err)
{
	struct buf name = BUF_INIT(4096);
	struct stat st;
	enum rc rc = buf_appendf(&name, err, "%s-wal", path);

	if (!rc && stat(name.data, &st) == 0 && st.st_size > 0)
		rc = err_set(
			err, ERR_KEYSTORE, "%s: another program has the key store open", name.data);
	buf_fini(&name);
	return rc;
}

static enum rc
sync_parent(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
	enum rc rc = dir ? file_sync_dir(dir, err) : err_set(err, ERR_MEMORY, "re-encrypting");

	free(dir);
	return rc;
}

/* Opens the file at the store's path; when that fails the store is of no use any more. */
static enum rc
reopen(struct store *store, struct err *err)
{
	enum rc rc = store_connect(store->path, &store->db, err);

	if (rc) {
		__atomic_store_n(&store->broken, true, __ATOMIC_RELEASE);
		(void)sqlite3_open(":memory:", &store->db);
		log_error(LOGL_ERROR, NULL, "keystore-lost", err, "reason", "restart the vault",
			NULL);
	}
	return rc;
}

/* Closes *COPY and puts its file in the place of STORE's. With the store's lock held. */
static enum rc
change_places(struct store *store, struct store **copy, const char *path, struct err *err)
{
	struct secret *root = (*copy)->root;
	struct keyring *keyring = (*copy)->keyring;
	unsigned char sum[WRAP_MAC_SIZE];
	struct err why = ERR_INIT;
	bool renamed = false;
	enum rc rc;

	memcpy(sum, (*copy)->sum, sizeof(sum));
	(*copy)->root = NULL; /* ours now */
	(*copy)->keyring = NULL;
	store_close(copy);
	rc = check_no_log(path, err);
	if (!rc)
		rc = sync_file(path, err);
	if (!rc)
		rc = store_checkpoint(store, err);
	if (!rc) {
		finalize_all(store);
		sqlite3_close(store->db);
		store->db = NULL;
		rc = check_no_log(store->path, err);
		if (!rc && rename(path, store->path))
			rc = err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
		renamed = !rc;
		if (renamed && sync_parent(store->path, &why))
			log_error(LOGL_WARN, NULL, "keystore-sync", &why, NULL);
		if (reopen(store, &why) && !rc)
			rc = err_set(err, why.code, "%s", why.detail);
	}
	if (renamed) {
		secret_free(&store->root);
		keyring_free(&store->keyring);
		store->root = root;
		store->keyring = keyring;
		store->opened_pending = false;
		memcpy(store->sum, sum, sizeof(sum));
		store_next_generation(store);
		(void)store_version(store, &store->version, &why);
	} else {
		secret_free(&root);
		keyring_free(&keyring);
	}
	return rc;
}

/* One try. RC_NONE: rows changed meanwhile. */
static enum rc
reencrypt_once(struct store *store, const char *path, const struct store_master *master,
	struct secret *key, struct err *err)
{
	uint64_t generation = store_generation(store);
	struct store *copy;
	enum rc rc;

	store_clean(store->path);
	rc = store_copy(store, path, &copy, err);
	if (!rc)
		rc = secret_random(MASTER_SIZE, &copy->root, err);
	if (!rc)
		rc = keyring_new(copy->root, &copy->keyring, err);
	if (!rc)
		rc = rewrite(copy, store->keyring, master, key, err);
	if (!rc) {
		pthread_mutex_lock(&store->lock);
		if (store_generation(store) != generation || store->in_tx)
			rc = RC_NONE;
		if (!rc)
			rc = copy_secrets(store, copy, err);
		if (!rc)
			rc = change_places(store, &copy, path, err);
		pthread_mutex_unlock(&store->lock);
	}
	store_close(&copy);
	if (rc)
		store_clean(store->path);
	return rc;
}

enum rc
store_reencrypt(struct store *store, struct secret *key, struct err *err)
{
	struct store_master masters[2];
	struct buf path = BUF_INIT(4096);
	size_t n;
	enum rc rc = store_list_masters(store, masters, &n, err);

	if (!rc && n > 1)
		rc = err_set(err, ERR_KEYSTORE,
			"the replacement of the master key has to be finished first");
	if (!rc)
		rc = store_check_master(store, key, false, err);
	if (!rc)
		rc = store_check(store, err);
	if (!rc)
		rc = buf_appendf(&path, err, "%s.rekey", store->path);
	for (int i = 0; !rc && i < TRIES; i++) {
		rc = reencrypt_once(store, path.data, &masters[0], key, err);
		if (rc != RC_NONE)
			break;
		rc = i + 1 < TRIES ? RC_OK
				   : err_set(err, ERR_KEYSTORE, "rows go on changing: try again");
	}
	buf_fini(&path);
	return rc;
}

enum rc
store_snapshot(struct store *store, const char *path, struct err *err)
{
	struct store *copy;
	enum rc rc = store_copy(store, path, &copy, err);

	store_close(&copy);
	if (!rc)
		rc = check_no_log(path, err);
	if (rc)
		(void)unlink(path);
	return rc;
}

void
store_clean(const char *path)
{
	static const char *const suffixes[] = {".rekey", ".rekey-wal", ".rekey-shm",
		".rekey-journal", ".backup", ".backup-wal", ".backup-shm", ".backup-journal"};
	struct buf name = BUF_INIT(4096);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		buf_clear(&name);
		if (buf_appendf(&name, NULL, "%s%s", path, suffixes[i]) == RC_OK)
			(void)unlink(name.data);
	}
	buf_fini(&name);
}
