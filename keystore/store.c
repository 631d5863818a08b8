/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keystore/store_root.h"
#include "keystore/store_row.h"

#define SCHEMA_VERSION 2
#define LOOK_MS        100 /* between looks for changes by others */

static const char SCHEMA[] =
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE secrets(name TEXT PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE persons(id TEXT PRIMARY KEY, name TEXT NOT NULL, kind INTEGER NOT NULL,"
	" client_key INTEGER NOT NULL, created INTEGER NOT NULL, left_at INTEGER NOT NULL,"
	" left_by_sync INTEGER NOT NULL, uid TEXT NOT NULL, missing INTEGER NOT NULL,"
	" seq INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX persons_uid ON persons(uid) WHERE uid <> '';"
	"CREATE TABLE addresses(id TEXT PRIMARY KEY, person TEXT NOT NULL, addr TEXT NOT NULL,"
	" lookup TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,"
	" synced INTEGER NOT NULL, seq INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX addresses_lookup ON addresses(lookup);"
	"CREATE INDEX addresses_person ON addresses(person);"
	"CREATE TABLE grants(id TEXT PRIMARY KEY, owner TEXT NOT NULL, person TEXT NOT NULL,"
	" origin TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,"
	" created INTEGER NOT NULL, keep INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX grants_owner ON grants(owner, person);"
	"CREATE INDEX grants_person ON grants(person);"
	"CREATE TABLE keys(id TEXT PRIMARY KEY, person TEXT NOT NULL, purpose INTEGER NOT NULL,"
	" status INTEGER NOT NULL, type INTEGER NOT NULL, fingerprint TEXT NOT NULL UNIQUE,"
	" created INTEGER NOT NULL, changed INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" use_from INTEGER NOT NULL, replaces TEXT NOT NULL,"
	" mac BLOB NOT NULL, wrapped BLOB NOT NULL, fallback BLOB NOT NULL);"
	"CREATE INDEX keys_person ON keys(person);"
	"CREATE INDEX keys_ca ON keys(created) WHERE purpose = 4;"
	"CREATE TABLE certs(sha256 TEXT PRIMARY KEY, key TEXT NOT NULL, ident BLOB NOT NULL,"
	" ski BLOB NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
	" created INTEGER NOT NULL, seq INTEGER NOT NULL, chain BLOB NOT NULL, mac BLOB NOT NULL,"
	" der BLOB NOT NULL);"
	"CREATE INDEX certs_key ON certs(key);"
	"CREATE INDEX certs_ident ON certs(ident);"
	"CREATE INDEX certs_ski ON certs(ski);"
	"CREATE TABLE chain(sha256 BLOB PRIMARY KEY, der BLOB NOT NULL);"
	"CREATE TABLE requests(key TEXT PRIMARY KEY, addr TEXT NOT NULL, subject TEXT NOT NULL,"
	" replaces TEXT NOT NULL, created INTEGER NOT NULL, seq INTEGER NOT NULL, der BLOB NOT NULL,"
	" mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE masters(state TEXT PRIMARY KEY, spec TEXT NOT NULL, kdf TEXT NOT NULL,"
	" since INTEGER NOT NULL, wrapped BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE officers(id TEXT PRIMARY KEY, name TEXT NOT NULL, keyid TEXT NOT NULL,"
	" since INTEGER NOT NULL, until INTEGER NOT NULL, seq INTEGER NOT NULL, cert BLOB NOT NULL,"
	" mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE quorum(id TEXT PRIMARY KEY, threshold INTEGER NOT NULL,"
	" changed INTEGER NOT NULL, seq INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE acts(id TEXT PRIMARY KEY, act TEXT NOT NULL, state INTEGER NOT NULL,"
	" uses INTEGER NOT NULL, max_uses INTEGER NOT NULL, quorum INTEGER NOT NULL,"
	" made INTEGER NOT NULL, expires INTEGER NOT NULL, changed INTEGER NOT NULL,"
	" head INTEGER NOT NULL, hash TEXT NOT NULL, seq INTEGER NOT NULL, command TEXT NOT NULL,"
	" text BLOB NOT NULL, mac BLOB NOT NULL);"
	"CREATE TABLE approvals(id TEXT PRIMARY KEY, request TEXT NOT NULL, officer TEXT NOT NULL,"
	" at INTEGER NOT NULL, sha256 TEXT NOT NULL, seq INTEGER NOT NULL, cms BLOB NOT NULL,"
	" mac BLOB NOT NULL);"
	"CREATE INDEX approvals_request ON approvals(request);"
	"CREATE TABLE held(id TEXT PRIMARY KEY, addr TEXT NOT NULL, label TEXT NOT NULL,"
	" sha256 TEXT NOT NULL UNIQUE, is_foreign INTEGER NOT NULL, created INTEGER NOT NULL,"
	" tries INTEGER NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, mac BLOB NOT NULL,"
	" wrapped BLOB NOT NULL);"
	"CREATE INDEX held_waiting ON held(id) WHERE key = '';"
	"CREATE INDEX certs_end ON certs(not_after);"
	"CREATE TABLE cas(key TEXT PRIMARY KEY, role INTEGER NOT NULL, parent TEXT NOT NULL,"
	" last INTEGER NOT NULL, crl_next INTEGER NOT NULL, created INTEGER NOT NULL,"
	" seq INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE revocations(sha256 TEXT PRIMARY KEY, ca TEXT NOT NULL, serial BLOB NOT NULL,"
	" at INTEGER NOT NULL, reason INTEGER NOT NULL, comment TEXT NOT NULL,"
	" not_after INTEGER NOT NULL, seq INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX revocations_ca ON revocations(ca);"
	"PRAGMA user_version=2;";

/* Settings of every connection: durable commits, no other reader of half-written pages, deleted
 * rows overwritten. */
static const char PRAGMAS[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
	"PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";

/* A connection with these settings. */
enum rc
store_connect(const char *path, sqlite3 **db, struct err *err)
{
	enum rc rc = RC_OK;

	*db = NULL;
	if (sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK)
		rc = err_set(
			err, ERR_KEYSTORE, "%s: %s", path, *db ? sqlite3_errmsg(*db) : "no memory");
	if (!rc) {
		sqlite3_busy_timeout(*db, 5000);
		(void)sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		if (sqlite3_exec(*db, PRAGMAS, NULL, NULL, NULL) != SQLITE_OK)
			rc = err_set(err, ERR_KEYSTORE, "%s: %s", path, sqlite3_errmsg(*db));
	}
	if (rc) {
		sqlite3_close(*db);
		*db = NULL;
	}
	return rc;
}

enum rc
store_open_file(const char *path, struct store **out, struct err *err)
{
	pthread_mutexattr_t attr;
	struct store *store = calloc(1, sizeof(*store));
	enum rc rc;

	*out = NULL;
	if (!store)
		return err_set(err, ERR_MEMORY, "store");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&store->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	store->path = strdup(path);
	rc = store->path ? store_connect(path, &store->db, err) : err_set(err, ERR_MEMORY, "store");
	if (!rc)
		rc = store_version(store, &store->version, err);
	if (rc) {
		store_close(&store);
		return rc;
	}
	*out = store;
	return RC_OK;
}

void
store_close(struct store **store)
{
	if (!*store)
		return;
	for (size_t i = 0; i < (*store)->n_cache; i++)
		sqlite3_finalize((*store)->cache[i].st);
	sqlite3_close((*store)->db);
	keyring_free(&(*store)->keyring);
	secret_free(&(*store)->root);
	free((*store)->path);
	pthread_mutex_destroy(&(*store)->lock);
	free(*store);
	*store = NULL;
}

enum rc
store_put_meta(struct store *store, const char *name, const char *value, struct err *err)
{
	struct row row;
	enum rc rc = row_begin(&row, store, "meta",
		"INSERT OR REPLACE INTO meta(name, value, mac) VALUES(?, ?, ?)", err);

	if (rc)
		return rc;
	row_put_text(&row, name);
	row_put_text(&row, value);
	rc = row_seal(&row, err);
	return rc ? rc : store_run(store, row.st, err);
}

enum rc
store_get_meta(struct store *store, const char *name, char *out, size_t size, struct err *err)
{
	static const char sql[] = "SELECT name, value, mac FROM meta WHERE name = ?";
	sqlite3_stmt *st;
	struct row row;
	char same[64];
	enum rc rc = store_prepare(store, sql, &st, err);

	out[0] = 0;
	if (rc)
		return rc;
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	rc = store_step(store, st, err);
	if (!rc) {
		row_read(&row, store, "meta", st);
		row_get_text(&row, same, sizeof(same));
		row_get_text(&row, out, size);
		rc = row_check(&row, err);
	}
	sqlite3_reset(st);
	return rc;
}

static enum rc
fill_new(struct store *store, const char *spec, const char *kdf, struct secret *master,
	struct err *err)
{
	char now[CLOCK_TEXT_SIZE];
	enum rc rc = secret_random(MASTER_SIZE, &store->root, err);

	if (!rc)
		rc = keyring_new(store->root, &store->keyring, err);
	if (!rc)
		rc = store_begin(store, err);
	if (!rc)
		rc = store_exec(store, SCHEMA, err);
	if (!rc)
		rc = store_root_create(store, spec, kdf, master, err);
	if (!rc)
		rc = store_put_meta(store, "created", clock_format(clock_now(), now), err);
	if (!rc)
		rc = store_put_meta(store, "sum",
			"0000000000000000000000000000000000000000000000000000000000000000", err);
	return rc ? rc : store_commit(store, err);
}

enum rc
store_create(const char *path, const char *spec, const char *kdf, struct secret *master,
	struct store **out, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum rc rc;

	*out = NULL;
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_KEYSTORE, "%s: is there already", path);
	if (fd < 0)
		return err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	close(fd);
	rc = store_open_file(path, out, err);
	if (!rc)
		rc = fill_new(*out, spec, kdf, master, err);
	if (rc) {
		store_close(out);
		unlink(path);
	}
	return rc;
}

static enum rc
check_version(struct store *store, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc = store_prepare(store, "PRAGMA user_version", &st, err);
	int version = 0;

	if (!rc)
		rc = store_step(store, st, err);
	if (!rc)
		version = sqlite3_column_int(st, 0);
	if (st)
		sqlite3_reset(st);
	if (!rc && version != SCHEMA_VERSION)
		rc = err_set(err, ERR_KEYSTORE, "key store of version %d, this program knows %d",
			version, SCHEMA_VERSION);
	return rc == RC_NONE ? err_set(err, ERR_KEYSTORE, "no key store") : rc;
}

enum rc
store_open(const char *path, struct store **out, struct err *err)
{
	struct stat st;
	enum rc rc;

	*out = NULL;
	if (stat(path, &st))
		return err_set(err, ERR_KEYSTORE, "%s: %s", path, strerror(errno));
	if (st.st_mode & 077)
		return err_set(err, ERR_KEYSTORE, "%s: has mode %04o, must not be open to others",
			path, (unsigned)st.st_mode & 07777);
	rc = store_open_file(path, out, err);
	if (!rc)
		rc = check_version(*out, err);
	if (rc)
		store_close(out);
	return rc;
}

enum rc
store_unlock(struct store *store, struct secret *master, struct err *err)
{
	enum rc rc = store_root_open(store, master, err);

	if (!rc)
		rc = store_version(store, &store->version, err);
	return rc ? rc : store_check(store, err);
}

enum rc
store_checkpoint(struct store *store, struct err *err)
{
	sqlite3_stmt *st;
	bool busy = false;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, "PRAGMA wal_checkpoint(TRUNCATE)", &st, err);
	if (!rc)
		rc = store_step(store, st, err);
	if (!rc) {
		busy = sqlite3_column_int(st, 0) != 0;
		sqlite3_reset(st);
	}
	pthread_mutex_unlock(&store->lock);
	return busy            ? err_set(err, ERR_KEYSTORE,
					 "another reader of the key store keeps its log from being emptied")
	       : rc == RC_NONE ? RC_OK
			       : rc;
}

enum rc
store_version(struct store *store, int64_t *version, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, "PRAGMA data_version", &st, err);
	if (!rc)
		rc = store_step(store, st, err);
	if (!rc) {
		*version = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

void
store_next_generation(struct store *store)
{
	__atomic_add_fetch(&store->generation, 1, __ATOMIC_ACQ_REL);
}

uint64_t
store_generation(const struct store *store)
{
	return __atomic_load_n(&store->generation, __ATOMIC_ACQUIRE);
}

/* A copy of the store put in place by hand, or another program's change, is seen here. Whoever
 * comes while it is looked at waits for what comes out. */
static enum rc
look_at_version(struct store *store, struct err *err)
{
	int64_t version;
	enum rc rc = RC_OK;

	pthread_mutex_lock(&store->lock);
	/* Within our own transaction nobody else writes, and it was looked when that began. */
	if (!store->in_tx)
		rc = store_version(store, &version, err);
	if (!rc && !store->in_tx &&
		__atomic_exchange_n(&store->version, version, __ATOMIC_ACQ_REL) != version) {
		store_next_generation(store);
		rc = store_check(store, err);
		if (rc)
			log_error(LOGL_ERROR, NULL, "keystore-changed", err, NULL);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_look_now(struct store *store, struct err *err)
{
	enum rc rc = look_at_version(store, err);

	if (!rc && store_is_broken(store))
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "rows of the key store were changed");
	return rc;
}

enum rc
store_look(struct store *store, struct err *err)
{
	int64_t now = clock_monotonic_ms(),
		looked = __atomic_load_n(&store->looked, __ATOMIC_RELAXED);
	enum rc rc = RC_OK;

	if (now - looked >= LOOK_MS && __atomic_compare_exchange_n(&store->looked, &looked, now,
					       false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		rc = look_at_version(store, err);
	if (!rc && store_is_broken(store))
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "rows of the key store were changed");
	return rc;
}

static void
begin_tx(struct store *store)
{
	memcpy(store->saved, store->sum, sizeof(store->sum));
	store->in_tx = true;
}

enum rc
store_begin(struct store *store, struct err *err)
{
	struct err ignored;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store->in_tx ? err_set(err, ERR_INTERNAL, "a transaction within a transaction")
			  : store_exec(store, "BEGIN IMMEDIATE", err);
	if (rc) {
		pthread_mutex_unlock(&store->lock);
		return rc;
	}
	/* From here on nobody else writes: was there somebody? */
	rc = look_at_version(store, err);
	if (!rc && store->broken)
		rc = err_set(
			err, ERR_KEYSTORE_TAMPERED, "nothing is added to a store that was changed");
	if (rc) {
		(void)store_exec(store, "ROLLBACK", &ignored);
		pthread_mutex_unlock(&store->lock);
		return rc;
	}
	begin_tx(store);
	return RC_OK;
}

/* The lock that store_begin took is given up whatever came out. */
static void
end_tx(struct store *store)
{
	store->in_tx = false;
	pthread_mutex_unlock(&store->lock);
}

enum rc
store_commit(struct store *store, struct err *err)
{
	enum rc rc = store_sum_put(store, err);

	if (!rc)
		rc = store_exec(store, "COMMIT", err);
	store_next_generation(store); /* before anybody else can read */
	if (rc) {
		struct err ignored;

		(void)store_exec(store, "ROLLBACK", &ignored);
		memcpy(store->sum, store->saved, sizeof(store->sum));
	}
	end_tx(store);
	return rc;
}

void
store_rollback(struct store *store)
{
	struct err ignored;
	bool ours;

	/* Recursive: only the thread that is in a transaction gets here with in_tx set. */
	pthread_mutex_lock(&store->lock);
	ours = store->in_tx;
	if (ours) {
		(void)store_exec(store, "ROLLBACK", &ignored);
		memcpy(store->sum, store->saved, sizeof(store->sum));
	}
	pthread_mutex_unlock(&store->lock);
	if (ours)
		end_tx(store);
}

enum rc
store_new_id(char letter, char id[STORE_ID_SIZE], struct err *err)
{
	unsigned char r[8];
	enum rc rc = random_bytes(r, sizeof(r), err);

	if (rc)
		return rc;
	snprintf(id, STORE_ID_SIZE, "%c%02x%02x%02x%02x%02x%02x%02x%02x", letter, r[0], r[1], r[2],
		r[3], r[4], r[5], r[6], r[7]);
	return RC_OK;
}

size_t
store_secret_aad(const char *name, char aad[STORE_SECRET_AAD_SIZE])
{
	snprintf(aad, STORE_SECRET_AAD_SIZE, "sealgate secret 1|%s", name);
	return strlen(aad);
}

enum rc
store_put_secret(struct store *store, const char *name, struct secret *secret, struct err *err)
{
	struct buf wrapped = BUF_INIT(1u << 20);
	char aad[STORE_SECRET_AAD_SIZE];
	size_t len = store_secret_aad(name, aad);
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = keyring_wrap(store->keyring, aad, len, secret, &wrapped, err);
	if (!rc)
		rc = store_prepare(store,
			"INSERT OR REPLACE INTO secrets(name, wrapped) VALUES(?, ?)", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_blob64(st, 2, wrapped.data, wrapped.len, SQLITE_STATIC);
		rc = store_run(store, st, err);
	}
	pthread_mutex_unlock(&store->lock);
	buf_fini(&wrapped);
	return rc;
}

enum rc
store_get_secret(struct store *store, const char *name, struct secret **out, struct err *err)
{
	char aad[STORE_SECRET_AAD_SIZE];
	size_t len = store_secret_aad(name, aad);
	sqlite3_stmt *st;
	enum rc rc;

	*out = NULL;
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, "SELECT wrapped FROM secrets WHERE name = ?", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		rc = store_step(store, st, err);
		if (!rc)
			rc = keyring_unwrap(store->keyring, aad, len, sqlite3_column_blob(st, 0),
				(size_t)sqlite3_column_bytes(st, 0), out, err);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_del_secrets(struct store *store, const char *first, const char *last, struct err *err)
{
	sqlite3_stmt *st;
	bool any = false;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, "DELETE FROM secrets WHERE name >= ? AND name <= ?", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, first, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, last, -1, SQLITE_STATIC);
		rc = store_run(store, st, err);
		any = !rc && sqlite3_changes(store->db) > 0;
	}
	/* The bytes are in the write-ahead log too, until that is cut. */
	if (any && !store->in_tx)
		rc = store_checkpoint(store, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_list_secrets(
	struct store *store, const char *prefix, store_each_name *each, void *ctx, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT name FROM secrets WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1"
		" ORDER BY name",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, prefix, -1, SQLITE_STATIC);
		while ((rc = store_step(store, st, err)) == RC_OK) {
			rc = each(ctx, (const char *)sqlite3_column_text(st, 0), err);
			if (rc)
				break;
		}
		rc = rc == RC_NONE ? RC_OK : rc;
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}
