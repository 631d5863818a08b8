/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/certstore.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

#define APPLICATION_ID 0x53474353 /* "SGCS" in the file's header */
#define SCHEMA_VERSION 1
#define MAX_ROWS       100000
#define SETTLED_US     50000

/*
 * Two connections. The first does all the work, behind one mutex, and waits for writers of
 * other processes. The second is asked for nothing but the generation and never waits, so
 * that a look-up can be answered from a cache while somebody writes.
 *
 * The journal is SQLite's plain one on purpose: with it a reader needs no right to write
 * beside the file, and the tool of root and the daemon of another user can share it.
 */
struct certstore {
	pthread_mutex_t lock;
	sqlite3 *db;
	pthread_mutex_t generation_lock;
	sqlite3 *generation_db;
	sqlite3_stmt *generation;
	struct stat seen;        /* the file when it was asked last … */
	int64_t seen_generation; /* … and what it said; valid when seen.st_ino is not 0 */
};

/* clang-format off */
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE certs ("
	" id INTEGER PRIMARY KEY,"
	" sha256 TEXT NOT NULL,"
	" addr TEXT NOT NULL COLLATE NOCASE,"
	" der BLOB NOT NULL,"
	" source TEXT NOT NULL,"
	" vouched TEXT NOT NULL,"
	" tier INTEGER NOT NULL,"
	" proven INTEGER NOT NULL,"
	" pinned INTEGER NOT NULL,"
	" anchor INTEGER NOT NULL,"
	" domains TEXT NOT NULL,"
	" first_seen INTEGER NOT NULL,"
	" last_seen INTEGER NOT NULL,"
	" signed_at INTEGER NOT NULL,"
	" UNIQUE (addr, sha256, anchor));"
	"CREATE INDEX certs_sha256 ON certs (sha256);"
	"CREATE TABLE meta (generation INTEGER NOT NULL);"
	"INSERT INTO meta VALUES (1);"
	"CREATE TRIGGER certs_i AFTER INSERT ON certs BEGIN"
	" UPDATE meta SET generation = generation + 1; END;"
	"CREATE TRIGGER certs_u AFTER UPDATE ON certs BEGIN"
	" UPDATE meta SET generation = generation + 1; END;"
	"CREATE TRIGGER certs_d AFTER DELETE ON certs BEGIN"
	" UPDATE meta SET generation = generation + 1; END;"
	"PRAGMA application_id = 1397179219;" /* APPLICATION_ID */
	"PRAGMA user_version = 1;"            /* SCHEMA_VERSION */
	"COMMIT;";

/*
 * What is seen again is updated. The word of a better tier is never overwritten by that of a
 * worse one, a pin stays until it is taken away, and proof that was there remains.
 */
static const char upsert[] =
	"INSERT INTO certs (sha256, addr, der, source, vouched, tier, proven, pinned, anchor,"
	" domains, first_seen, last_seen, signed_at)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
	" ON CONFLICT (addr, sha256, anchor) DO UPDATE SET"
	" source = CASE WHEN excluded.tier <= tier THEN excluded.source ELSE source END,"
	" vouched = CASE WHEN excluded.tier <= tier THEN excluded.vouched ELSE vouched END,"
	" domains = CASE WHEN excluded.tier <= tier THEN excluded.domains ELSE domains END,"
	" tier = min(tier, excluded.tier),"
	" proven = max(proven, excluded.proven),"
	" pinned = max(pinned, excluded.pinned),"
	" first_seen = min(first_seen, excluded.first_seen),"
	" last_seen = max(last_seen, excluded.last_seen),"
	" signed_at = max(signed_at, excluded.signed_at)";
/* clang-format on */

#define COLUMNS                                                                             \
	"SELECT der, addr, source, vouched, CASE WHEN pinned THEN 1 ELSE tier END AS rank," \
	" proven, pinned, anchor, domains, first_seen, last_seen, signed_at FROM certs "

/* What SQLite said, as an error. Whatever it is, trying later may help. */
static enum rc
store_err(sqlite3 *db, const char *what, struct err *err)
{
	return err_set(err, ERR_STORE, "%s: %s", what, db ? sqlite3_errmsg(db) : "no memory");
}

static enum rc
exec_sql(sqlite3 *db, const char *sql, const char *what, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_err(db, what, err);
	return RC_OK;
}

static enum rc
prepare(sqlite3 *db, const char *sql, sqlite3_stmt **stmt, struct err *err)
{
	if (sqlite3_prepare_v2(db, sql, -1, stmt, NULL) != SQLITE_OK)
		return store_err(db, "certificate store", err);
	return RC_OK;
}

/* Reads one number that SQL gives. */
static enum rc
query_int(sqlite3 *db, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = prepare(db, sql, &stmt, err);

	if (rc != RC_OK)
		return rc;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	else
		rc = store_err(db, "certificate store", err);
	sqlite3_finalize(stmt);
	return rc;
}

static enum rc
open_connection(const char *path, bool create, int busy_ms, sqlite3 **db, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);

	if (sqlite3_open_v2(path, db, flags, NULL) != SQLITE_OK)
		return store_err(*db, path, err);
	sqlite3_extended_result_codes(*db, 1);
	sqlite3_busy_timeout(*db, busy_ms);
	sqlite3_limit(*db, SQLITE_LIMIT_LENGTH, 4 << 20);
	return exec_sql(*db, "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL", path, err);
}

/* Makes the tables in an empty file; refuses a file of somebody else's. */
static enum rc
check_schema(sqlite3 *db, const char *path, bool create, struct err *err)
{
	int64_t application = 0, version = 0, tables = 0;
	enum rc rc;

	if ((rc = query_int(db, "PRAGMA application_id", &application, err)) != RC_OK ||
		(rc = query_int(db, "PRAGMA user_version", &version, err)) != RC_OK ||
		(rc = query_int(db, "SELECT count(*) FROM sqlite_master", &tables, err)) != RC_OK)
		return err_prefix(err, "%s", path);
	if (application == APPLICATION_ID && version == SCHEMA_VERSION)
		return RC_OK;
	if (application != 0 || version != 0 || tables != 0 || !create)
		return err_set(err, ERR_STORE, "%s: not a certificate store of this version", path);
	if ((rc = exec_sql(db, schema, path, err)) != RC_OK)
		return rc;
	if (chmod(path, 0640) != 0)
		return err_set(err, ERR_STORE, "%s: its mode cannot be set", path);
	return RC_OK;
}

enum rc
certstore_copy(const char *path, const char *to, struct err *err)
{
	sqlite3 *from = NULL, *db = NULL;
	sqlite3_backup *backup = NULL;
	struct stat st;
	enum rc rc;
	int code = SQLITE_ERROR;

	if (stat(path, &st) && errno == ENOENT)
		return RC_NONE;
	rc = open_connection(path, false, CERTSTORE_BUSY_MS, &from, err);
	if (!rc)
		rc = check_schema(from, path, false, err);
	if (!rc)
		rc = open_connection(to, false, 0, &db, err);
	if (!rc)
		backup = sqlite3_backup_init(db, "main", from, "main");
	if (backup) { /* all in one step, which is one moment */
		code = sqlite3_backup_step(backup, -1);
		(void)sqlite3_backup_finish(backup);
	}
	if (!rc && code != SQLITE_DONE)
		rc = err_set(err, ERR_STORE, "%s: copying: %s", path,
			backup ? sqlite3_errstr(code) : sqlite3_errmsg(db));
	sqlite3_close(db);
	sqlite3_close(from);
	return rc;
}

enum rc
certstore_open(const char *path, bool create, struct certstore **out, struct err *err)
{
	struct certstore *store = calloc(1, sizeof(*store));
	enum rc rc;

	*out = NULL;
	if (!store)
		return err_set(err, ERR_MEMORY, "certificate store");
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->generation_lock, NULL);
	if ((rc = open_connection(path, create, CERTSTORE_BUSY_MS, &store->db, err)) != RC_OK ||
		(rc = check_schema(store->db, path, create, err)) != RC_OK ||
		(rc = open_connection(path, false, 0, &store->generation_db, err)) != RC_OK ||
		(rc = prepare(store->generation_db, "SELECT generation FROM meta",
			 &store->generation, err)) != RC_OK) {
		certstore_close(&store);
		return rc;
	}
	*out = store;
	return RC_OK;
}

void
certstore_close(struct certstore **store)
{
	if (!*store)
		return;
	sqlite3_finalize((*store)->generation);
	sqlite3_close((*store)->generation_db);
	sqlite3_close((*store)->db);
	pthread_mutex_destroy(&(*store)->generation_lock);
	pthread_mutex_destroy(&(*store)->lock);
	free(*store);
	*store = NULL;
}

static int
bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	return sqlite3_bind_text(stmt, i, text ? text : "", -1, SQLITE_STATIC);
}

/* Binds the columns of the upsert; sqlite's bind functions fail only for want of memory. */
static bool
bind_row(sqlite3_stmt *stmt, const struct certrow *row)
{
	size_t len = 0;
	const unsigned char *der = cert_der(row->cert, &len);
	int64_t now = clock_now();
	int bad = 0;

	bad |= bind_text(stmt, 1, cert_fingerprint(row->cert));
	bad |= bind_text(stmt, 2, row->anchor ? "" : row->addr);
	bad |= sqlite3_bind_blob(stmt, 3, der, (int)len, SQLITE_STATIC);
	bad |= bind_text(stmt, 4, row->source);
	bad |= bind_text(stmt, 5, row->vouched);
	bad |= sqlite3_bind_int(stmt, 6, (int)row->tier);
	bad |= sqlite3_bind_int(stmt, 7, row->proven);
	bad |= sqlite3_bind_int(stmt, 8, row->pinned && !row->anchor);
	bad |= sqlite3_bind_int(stmt, 9, row->anchor);
	bad |= bind_text(stmt, 10, row->domains);
	bad |= sqlite3_bind_int64(stmt, 11, row->first_seen ? row->first_seen : now);
	bad |= sqlite3_bind_int64(stmt, 12, row->last_seen ? row->last_seen : now);
	bad |= sqlite3_bind_int64(stmt, 13, row->signed_at);
	return bad == 0;
}

/* Runs a statement that gives no rows and says how many were changed. */
static enum rc
run(struct certstore *store, sqlite3_stmt *stmt, int *changed, struct err *err)
{
	if (sqlite3_step(stmt) != SQLITE_DONE)
		return store_err(store->db, "certificate store", err);
	if (changed)
		*changed = sqlite3_changes(store->db);
	return RC_OK;
}

enum rc
certstore_add(struct certstore *store, const struct certrow *row, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	if (!row->cert || row->tier < TIER_PINNED || row->tier > TIER_HARVESTED)
		return err_set(err, ERR_USAGE, "a row needs a certificate and a tier");
	pthread_mutex_lock(&store->lock);
	rc = prepare(store->db, upsert, &stmt, err);
	if (rc == RC_OK && !bind_row(stmt, row))
		rc = err_set(err, ERR_MEMORY, "certificate store");
	if (rc == RC_OK)
		rc = run(store, stmt, NULL, err);
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* Column I as a string of our own; never NULL on RC_OK. */
static enum rc
column_text(sqlite3_stmt *stmt, int i, char **out, struct err *err)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	*out = strdup(text ? (const char *)text : "");
	return *out ? RC_OK : err_set(err, ERR_MEMORY, "certificate store");
}

static void
certrow_fini(struct certrow *row)
{
	cert_unref(&row->cert);
	free(row->addr);
	free(row->source);
	free(row->vouched);
	free(row->domains);
}

/* A row whose certificate does not parse is damage, not "none". */
static enum rc
read_row(sqlite3_stmt *stmt, struct certrow *row, struct err *err)
{
	enum rc rc;

	memset(row, 0, sizeof(*row));
	rc = cert_parse(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0),
		&row->cert, err);
	if (rc != RC_OK)
		return err_set(err, ERR_STORE, "a certificate in the store is damaged");
	row->tier = (enum tier)sqlite3_column_int(stmt, 4);
	row->proven = sqlite3_column_int(stmt, 5) != 0;
	row->pinned = sqlite3_column_int(stmt, 6) != 0;
	row->anchor = sqlite3_column_int(stmt, 7) != 0;
	row->first_seen = sqlite3_column_int64(stmt, 9);
	row->last_seen = sqlite3_column_int64(stmt, 10);
	row->signed_at = sqlite3_column_int64(stmt, 11);
	if ((rc = column_text(stmt, 1, &row->addr, err)) != RC_OK ||
		(rc = column_text(stmt, 2, &row->source, err)) != RC_OK ||
		(rc = column_text(stmt, 3, &row->vouched, err)) != RC_OK ||
		(rc = column_text(stmt, 8, &row->domains, err)) != RC_OK)
		certrow_fini(row);
	return rc;
}

static enum rc
append_row(sqlite3_stmt *stmt, struct certrow **rows, size_t *n, size_t *room, struct err *err)
{
	enum rc rc;

	if (*n == MAX_ROWS)
		return err_set(err, ERR_STORE, "more than %d rows", MAX_ROWS);
	if (*n == *room) {
		size_t more = *room ? *room * 2 : 8;
		struct certrow *grown = realloc(*rows, more * sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_MEMORY, "certificate store");
		*rows = grown;
		*room = more;
	}
	if ((rc = read_row(stmt, &(*rows)[*n], err)) == RC_OK)
		++*n;
	return rc;
}

/* Rows that SQL gives, with TEXT as its first parameter when there is one. */
static enum rc
select_rows(struct certstore *store, const char *sql, const char *text, struct certrow **rows,
	size_t *n, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	size_t room = 0;
	int step = SQLITE_DONE;
	enum rc rc;

	*rows = NULL;
	*n = 0;
	pthread_mutex_lock(&store->lock);
	rc = prepare(store->db, sql, &stmt, err);
	if (rc == RC_OK && text && bind_text(stmt, 1, text) != SQLITE_OK)
		rc = err_set(err, ERR_MEMORY, "certificate store");
	while (rc == RC_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = append_row(stmt, rows, n, &room, err);
	if (rc == RC_OK && step != SQLITE_DONE)
		rc = store_err(store->db, "certificate store", err);
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&store->lock);
	if (rc == RC_OK && *n > 0)
		return RC_OK;
	certrows_free(rows, *n);
	*n = 0;
	return rc == RC_OK ? RC_NONE : rc;
}

enum rc
certstore_find(struct certstore *store, const char *addr, struct certrow **rows, size_t *n,
	struct err *err)
{
	return select_rows(store,
		COLUMNS "WHERE addr = ?1 AND anchor = 0 ORDER BY rank, last_seen DESC, id", addr,
		rows, n, err);
}

enum rc
certstore_list(
	struct certstore *store, bool anchors, struct certrow **rows, size_t *n, struct err *err)
{
	return select_rows(store, COLUMNS "WHERE anchor = ?1 + 0 ORDER BY addr, rank, id",
		anchors ? "1" : "0", rows, n, err);
}

/* Lower-case hex of PREFIX into OUT; false when it is none or too long to be one of ours. */
static bool
fingerprint_prefix(const char *prefix, char out[2 * SHA256_SIZE + 1])
{
	size_t len = strlen(prefix);

	if (len < 4 || len > 2 * SHA256_SIZE)
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && !isxdigit((unsigned char)prefix[i]))
			return false;
		out[i] = (char)tolower((unsigned char)prefix[i]);
	}
	return true;
}

enum rc
certstore_by_fingerprint(struct certstore *store, const char *sha256_prefix, struct certrow **rows,
	size_t *n, struct err *err)
{
	char prefix[2 * SHA256_SIZE + 1];

	*rows = NULL;
	*n = 0;
	if (!fingerprint_prefix(sha256_prefix, prefix))
		return err_set(err, ERR_USAGE, "a fingerprint is 4 to 64 hex digits");
	/* "g" comes after every hex digit. */
	return select_rows(store,
		COLUMNS "WHERE sha256 >= ?1 AND sha256 < ?1 || 'g' ORDER BY sha256, rank, id",
		prefix, rows, n, err);
}

/* The one full fingerprint that FINGERPRINT, full or cut, stands for. */
static enum rc
unique_fingerprint(struct certstore *store, const char *fingerprint, char out[2 * SHA256_SIZE + 1],
	struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_by_fingerprint(store, fingerprint, &rows, &n, err);

	if (rc != RC_OK)
		return rc;
	snprintf(out, 2 * SHA256_SIZE + 1, "%s", cert_fingerprint(rows[0].cert));
	if (strcmp(out, cert_fingerprint(rows[n - 1].cert)) != 0)
		rc = err_set(
			err, ERR_USAGE, "%s: more than one certificate begins so", fingerprint);
	certrows_free(&rows, n);
	return rc;
}

/* Runs SQL with the fingerprint as ?1 and FLAG as ?2; RC_NONE when no row was changed. */
static enum rc
change(struct certstore *store, const char *sql, const char *fingerprint, int flag, struct err *err)
{
	char full[2 * SHA256_SIZE + 1];
	sqlite3_stmt *stmt = NULL;
	int changed = 0;
	enum rc rc = unique_fingerprint(store, fingerprint, full, err);

	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&store->lock);
	rc = prepare(store->db, sql, &stmt, err);
	if (rc == RC_OK && (bind_text(stmt, 1, full) != SQLITE_OK ||
				   (sqlite3_bind_parameter_count(stmt) > 1 &&
					   sqlite3_bind_int(stmt, 2, flag) != SQLITE_OK)))
		rc = err_set(err, ERR_MEMORY, "certificate store");
	if (rc == RC_OK)
		rc = run(store, stmt, &changed, err);
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&store->lock);
	return rc == RC_OK && changed == 0 ? RC_NONE : rc;
}

enum rc
certstore_pin(struct certstore *store, const char *fingerprint, bool pinned, struct err *err)
{
	return change(store, "UPDATE certs SET pinned = ?2 WHERE sha256 = ?1 AND anchor = 0",
		fingerprint, pinned, err);
}

enum rc
certstore_forget(struct certstore *store, const char *fingerprint, struct err *err)
{
	return change(store, "DELETE FROM certs WHERE sha256 = ?1", fingerprint, 0, err);
}

void
certrows_free(struct certrow **rows, size_t n)
{
	for (size_t i = 0; *rows && i < n; i++)
		certrow_fini(&(*rows)[i]);
	free(*rows);
	*rows = NULL;
}

/* Is the file as it was, and was it written so long before that a later change shows in its time?
 */
static bool
is_unchanged(const struct certstore *store, const struct stat *now)
{
	const struct stat *seen = &store->seen;

	return seen->st_ino != 0 && seen->st_ino == now->st_ino && seen->st_dev == now->st_dev &&
	       seen->st_size == now->st_size && seen->st_mtim.tv_sec == now->st_mtim.tv_sec &&
	       seen->st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

/* Changes closer together than the clock of the file system ticks could have one time; ASKED, in
 * us, is from before the file was looked at. */
static bool
is_settled(const struct stat *st, int64_t asked)
{
	return asked - (int64_t)st->st_mtim.tv_sec * 1000000 - st->st_mtim.tv_nsec / 1000 >
	       SETTLED_US;
}

/*
 * Asked for each message, so SQLite with its locks is asked only when the file has changed: every
 * commit writes to it, and none is over before its writes.
 */
enum rc
certstore_generation(struct certstore *store, int64_t *generation, struct err *err)
{
	const char *path = sqlite3_db_filename(store->generation_db, "main");
	struct stat now;
	int64_t asked = clock_now_us();
	bool known = path && stat(path, &now) == 0;
	enum rc rc = RC_OK;

	pthread_mutex_lock(&store->generation_lock);
	if (known && is_unchanged(store, &now)) {
		*generation = store->seen_generation;
		pthread_mutex_unlock(&store->generation_lock);
		return RC_OK;
	}
	store->seen.st_ino = 0;
	if (sqlite3_step(store->generation) == SQLITE_ROW)
		*generation = sqlite3_column_int64(store->generation, 0);
	else
		rc = store_err(store->generation_db, "certificate store", err);
	sqlite3_reset(store->generation);
	if (rc == RC_OK && known && is_settled(&now, asked)) {
		store->seen = now;
		store->seen_generation = *generation;
	}
	pthread_mutex_unlock(&store->generation_lock);
	return rc;
}
