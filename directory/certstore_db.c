/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_db.c - the store's file: opening, transactions, statements, the generation
 */
#include "config.h"

#include "directory/certstore_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define APPLICATION_ID   0x53474353 /* "SGCS" in the file's header */
#define CERTSTORE_SCHEMA 2          /* 1 was never released */
#define SETTLED_US       50000
#define STRING(x)        STRING_OF(x)
#define STRING_OF(x)     #x

/* clang-format off */
#define SQL(text) text
static const char schema[] =
	"BEGIN IMMEDIATE;"
#include "directory/certstore_schema.def"
	"PRAGMA application_id = 1397179219;" /* APPLICATION_ID */
	"PRAGMA user_version = " STRING(CERTSTORE_SCHEMA) ";"
	"COMMIT;";
#undef SQL
/* clang-format on */

static enum rc
db_err(sqlite3 *db, const char *what, struct err *err)
{
	return err_set(err, ERR_STORE, "%s: %s", what, db ? sqlite3_errmsg(db) : "no memory");
}

enum rc
certstore_err(struct certstore *store, struct err *err)
{
	return db_err(store->db, "certificate store", err);
}

static enum rc
exec_sql(sqlite3 *db, const char *sql, const char *what, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_err(db, what, err);
	return RC_OK;
}

/* Reads one number that SQL gives. */
static enum rc
query_int(sqlite3 *db, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = RC_OK;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return db_err(db, "certificate store", err);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	else
		rc = db_err(db, "certificate store", err);
	sqlite3_finalize(stmt);
	return rc;
}

static enum rc
open_connection(const char *path, bool create, int busy_ms, sqlite3 **db, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);

	if (sqlite3_open_v2(path, db, flags, NULL) != SQLITE_OK)
		return db_err(*db, path, err);
	sqlite3_extended_result_codes(*db, 1);
	sqlite3_busy_timeout(*db, busy_ms);
	sqlite3_limit(*db, SQLITE_LIMIT_LENGTH, 4 << 20);
	return exec_sql(*db,
		"PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
		"PRAGMA cache_size = -" STRING(CERTSTORE_CACHE_KB),
		path, err);
}

/* Makes the tables in an empty file; refuses a file of somebody else's, and of another version. */
static enum rc
check_schema(sqlite3 *db, const char *path, bool create, struct err *err)
{
	int64_t application = 0, version = 0, tables = 0;
	enum rc rc;

	if ((rc = query_int(db, "PRAGMA application_id", &application, err)) != RC_OK ||
		(rc = query_int(db, "PRAGMA user_version", &version, err)) != RC_OK ||
		(rc = query_int(db, "SELECT count(*) FROM sqlite_master", &tables, err)) != RC_OK)
		return err_prefix(err, "%s", path);
	if (application == APPLICATION_ID && version == CERTSTORE_SCHEMA)
		return RC_OK;
	if (application == APPLICATION_ID)
		return err_set(err, ERR_STORE,
			"%s: a certificate store of version %lld; this program knows version %d",
			path, (long long)version, CERTSTORE_SCHEMA);
	if (application != 0 || version != 0 || tables != 0 || !create)
		return err_set(err, ERR_STORE, "%s: not a certificate store", path);
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

static void
init_locks(struct certstore *store)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&store->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_mutex_init(&store->generation_lock, NULL);
}

enum rc
certstore_open(const char *path, bool create, struct certstore **out, struct err *err)
{
	struct certstore *store = calloc(1, sizeof(*store));
	enum rc rc;

	*out = NULL;
	if (!store)
		return err_set(err, ERR_MEMORY, "certificate store");
	init_locks(store);
	rc = open_connection(path, create, CERTSTORE_BUSY_MS, &store->db, err);
	if (rc == RC_OK)
		rc = check_schema(store->db, path, create, err);
	if (rc == RC_OK)
		rc = open_connection(path, false, 0, &store->generation_db, err);
	if (rc == RC_OK && sqlite3_prepare_v2(store->generation_db, "SELECT generation FROM meta",
				   -1, &store->generation, NULL) != SQLITE_OK)
		rc = db_err(store->generation_db, path, err);
	if (rc != RC_OK) {
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
	certstore_uses_close(*store);
	for (size_t i = 0; i < (*store)->n_stmts; i++)
		sqlite3_finalize((*store)->stmts[i].stmt);
	sqlite3_finalize((*store)->generation);
	sqlite3_close((*store)->generation_db);
	sqlite3_close((*store)->db);
	pthread_mutex_destroy(&(*store)->generation_lock);
	pthread_mutex_destroy(&(*store)->lock);
	free(*store);
	*store = NULL;
}

void
certstore_lock(struct certstore *store)
{
	pthread_mutex_lock(&store->lock);
}

void
certstore_unlock(struct certstore *store)
{
	pthread_mutex_unlock(&store->lock);
}

enum rc
certstore_begin(struct certstore *store, struct err *err)
{
	enum rc rc = RC_OK;

	certstore_lock(store);
	if (store->depth == 0) {
		store->touched = store->failed = false;
		rc = certstore_exec(store, err, "BEGIN IMMEDIATE", "");
	}
	if (rc == RC_OK)
		store->depth++;
	else
		certstore_unlock(store);
	return rc;
}

enum rc
certstore_end(struct certstore *store, enum rc rc, struct err *err)
{
	bool keep = rc == RC_OK || rc == RC_NONE;
	enum rc end = RC_OK;

	if (!keep)
		store->failed = true;
	if (--store->depth > 0) {
		certstore_unlock(store);
		return rc;
	}
	if (keep && store->failed)
		end = err_set(err, ERR_STORE, "certificate store: a part of a change failed");
	if (keep && end == RC_OK && store->touched)
		end = certstore_exec(store, err, "UPDATE meta SET generation = generation + 1", "");
	if (keep && end == RC_OK)
		end = certstore_exec(store, err, "COMMIT", "");
	if (!keep || end != RC_OK) /* SQLite may have taken it back by itself */
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	certstore_unlock(store);
	return end != RC_OK ? end : rc;
}

void
certstore_touch(struct certstore *store)
{
	store->touched = true;
}

enum rc
certstore_stmt(struct certstore *store, const char *sql, sqlite3_stmt **stmt, struct err *err)
{
	struct certstore_stmt *kept = store->stmts;
	size_t i;

	*stmt = NULL;
	for (i = 0; i < store->n_stmts; i++)
		if (kept[i].sql == sql) {
			*stmt = kept[i].stmt;
			return RC_OK;
		}
	if (i == CERTSTORE_MAX_STMTS)
		return err_set(err, ERR_INTERNAL, "certificate store: too many statements");
	if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) !=
		SQLITE_OK)
		return certstore_err(store, err);
	kept[i] = (struct certstore_stmt){.sql = sql, .stmt = *stmt};
	store->n_stmts++;
	return RC_OK;
}

/* sqlite's bind functions fail only for want of memory, or for a parameter that is not there. */
static enum rc
bind_list(struct certstore *store, sqlite3_stmt *stmt, struct err *err, const char *types,
	va_list *list)
{
	int code = SQLITE_OK;

	for (int i = 1; types[i - 1] && code == SQLITE_OK; i++) {
		if (types[i - 1] == 'i') {
			code = sqlite3_bind_int64(stmt, i, va_arg(*list, int64_t));
		} else if (types[i - 1] == 'b') {
			const void *blob = va_arg(*list, const void *);

			code = sqlite3_bind_blob64(
				stmt, i, blob, va_arg(*list, size_t), SQLITE_STATIC);
		} else {
			const char *text = va_arg(*list, const char *);

			code = sqlite3_bind_text(stmt, i, text ? text : "", -1, SQLITE_STATIC);
		}
	}
	return code == SQLITE_OK ? RC_OK : certstore_err(store, err);
}

enum rc
certstore_bind(struct certstore *store, sqlite3_stmt *stmt, struct err *err, const char *types, ...)
{
	va_list list;
	enum rc rc;

	va_start(list, types);
	rc = bind_list(store, stmt, err, types, &list);
	va_end(list);
	return rc;
}

enum rc
certstore_step(struct certstore *store, sqlite3_stmt *stmt, struct err *err)
{
	int step = sqlite3_step(stmt);

	if (step == SQLITE_ROW)
		return RC_OK;
	return step == SQLITE_DONE ? RC_NONE : certstore_err(store, err);
}

enum rc
certstore_run(struct certstore *store, sqlite3_stmt *stmt, int *changed, struct err *err)
{
	if (sqlite3_step(stmt) != SQLITE_DONE)
		return certstore_err(store, err);
	if (changed)
		*changed = sqlite3_changes(store->db);
	return RC_OK;
}

enum rc
certstore_exec(struct certstore *store, struct err *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt = NULL;
	va_list list;
	enum rc rc = certstore_stmt(store, sql, &stmt, err);

	va_start(list, types);
	if (rc == RC_OK)
		rc = bind_list(store, stmt, err, types, &list);
	va_end(list);
	if (rc == RC_OK)
		rc = certstore_run(store, stmt, NULL, err);
	certstore_done(stmt);
	return rc;
}

void
certstore_done(sqlite3_stmt *stmt)
{
	if (!stmt)
		return;
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

enum rc
certstore_text(sqlite3_stmt *stmt, int i, char **out, struct err *err)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	*out = NULL;
	if (!text && sqlite3_column_type(stmt, i) != SQLITE_NULL)
		return err_set(err, ERR_MEMORY, "certificate store");
	*out = strdup(text ? (const char *)text : "");
	return *out ? RC_OK : err_set(err, ERR_MEMORY, "certificate store");
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
		rc = db_err(store->generation_db, "certificate store", err);
	sqlite3_reset(store->generation);
	if (rc == RC_OK && known && is_settled(&now, asked)) {
		store->seen = now;
		store->seen_generation = *generation;
	}
	pthread_mutex_unlock(&store->generation_lock);
	return rc;
}
