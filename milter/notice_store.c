/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "milter/notice_store.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define BUSY_MS        2000
#define APPLICATION_ID 1397180239 /* "SGNO" in the file's header */

struct notice_store {
	char *path;
	pthread_mutex_t lock; /* for all below */
	sqlite3 *db;          /* NULL: not open now */
	struct stat seen;     /* the file behind it */
};

/* clang-format off */
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE outbox ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" created INTEGER NOT NULL,"
	" due INTEGER NOT NULL,"
	" tries INTEGER NOT NULL,"
	" data TEXT NOT NULL,"
	" head BLOB NOT NULL);"
	"CREATE INDEX outbox_due ON outbox (due);"
	"CREATE TABLE said (key TEXT NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX said_key ON said (key, at);"
	"CREATE TABLE waiting ("
	" rcpt TEXT NOT NULL,"
	" sender TEXT NOT NULL,"
	" at INTEGER NOT NULL,"
	" PRIMARY KEY (rcpt, sender));"
	"PRAGMA application_id = 1397180239;"
	"PRAGMA user_version = 1;"
	"COMMIT;";
/* clang-format on */

void
notice_item_init(struct notice_item *item)
{
	memset(item, 0, sizeof(*item));
	buf_init(&item->data, STORE_MAX_ITEM);
	buf_init(&item->head, STORE_MAX_ITEM);
}

void
notice_item_fini(struct notice_item *item)
{
	buf_fini(&item->data);
	buf_fini(&item->head);
}

enum rc
notice_store_new(const char *path, struct notice_store **out, struct err *err)
{
	struct notice_store *store = calloc(1, sizeof(*store));

	*out = NULL;
	if (!store || !(store->path = strdup(path))) {
		free(store);
		return err_set(err, ERR_MEMORY, "notices");
	}
	pthread_mutex_init(&store->lock, NULL);
	*out = store;
	return RC_OK;
}

static void
close_file(struct notice_store *store)
{
	sqlite3_close(store->db);
	store->db = NULL;
}

void
notice_store_free(struct notice_store **store)
{
	if (!*store)
		return;
	close_file(*store);
	pthread_mutex_destroy(&(*store)->lock);
	free((*store)->path);
	free(*store);
	*store = NULL;
}

/* What SQLite said; a damaged file is moved out of the way, so that the next call finds none. */
static enum rc
failed(struct notice_store *store, struct err *err)
{
	int code = store->db ? sqlite3_errcode(store->db) & 0xff : SQLITE_NOMEM;
	char *aside = NULL;

	err_set(err, ERR_NOTICES, "%s: %s", store->path,
		store->db ? sqlite3_errmsg(store->db) : "no memory");
	if (store->db && !sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (code == SQLITE_BUSY || code == SQLITE_FULL || code == SQLITE_CONSTRAINT)
		return RC_TEMP;
	close_file(store);
	if ((code == SQLITE_CORRUPT || code == SQLITE_NOTADB) &&
		asprintf(&aside, "%s.damaged", store->path) > 0) {
		log_event(LOGL_ERROR, NULL, "notices-damaged", "file", store->path, "moved",
			rename(store->path, aside) == 0 ? aside : "no", NULL);
		free(aside);
	}
	return RC_TEMP;
}

static enum rc
exec_sql(struct notice_store *store, const char *sql, struct err *err)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? RC_OK
									   : failed(store, err);
}

/*
 * Prepares SQL and binds by FORMAT: 's' a string, 'i' an int64_t, 'b' a struct buf as a blob, 't' a
 * struct buf as text.
 */
static enum rc
prepare(struct notice_store *store, sqlite3_stmt **stmt, struct err *err, const char *sql,
	const char *format, ...)
{
	const struct buf *buf;
	va_list ap;
	int bad = sqlite3_prepare_v2(store->db, sql, -1, stmt, NULL);

	va_start(ap, format);
	for (int i = 1; bad == SQLITE_OK && *format; format++, i++) {
		if (*format == 's') {
			bad = sqlite3_bind_text(
				*stmt, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
		} else if (*format == 'i') {
			bad = sqlite3_bind_int64(*stmt, i, va_arg(ap, int64_t));
		} else {
			buf = va_arg(ap, const struct buf *);
			bad = *format == 't' ? sqlite3_bind_text(*stmt, i, buf_text(buf),
						       (int)buf->len, SQLITE_STATIC)
					     : sqlite3_bind_blob(*stmt, i, buf_text(buf),
						       (int)buf->len, SQLITE_STATIC);
		}
	}
	va_end(ap);
	return bad == SQLITE_OK ? RC_OK : failed(store, err);
}

/* RC_OK: there is a row; RC_NONE: there is none (more). */
static enum rc
step(struct notice_store *store, sqlite3_stmt *stmt, struct err *err)
{
	int result = sqlite3_step(stmt);

	if (result == SQLITE_ROW)
		return RC_OK;
	return result == SQLITE_DONE ? RC_NONE : failed(store, err);
}

/* A statement that gives no rows. */
#define RUN(store, err, ...) run_stmt(store, err, prepare(store, &stmt, err, __VA_ARGS__), &stmt)

static enum rc
run_stmt(struct notice_store *store, struct err *err, enum rc rc, sqlite3_stmt **stmt)
{
	if (rc == RC_OK)
		rc = step(store, *stmt, err);
	sqlite3_finalize(*stmt);
	*stmt = NULL;
	return rc == RC_NONE ? RC_OK : rc;
}

/* One number. */
static enum rc
query(struct notice_store *store, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = prepare(store, &stmt, err, sql, "");

	if (rc == RC_OK)
		rc = step(store, stmt, err);
	if (rc == RC_OK)
		*value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == RC_NONE ? err_set(err, ERR_NOTICES, "%s: no answer", store->path) : rc;
}

static enum rc
check_schema(struct notice_store *store, struct err *err)
{
	int64_t application = 0, version = 0, tables = 0;
	enum rc rc = query(store, "PRAGMA application_id", &application, err);

	if (rc == RC_OK)
		rc = query(store, "PRAGMA user_version", &version, err);
	if (rc == RC_OK)
		rc = query(store, "SELECT count(*) FROM sqlite_master", &tables, err);
	if (rc != RC_OK || (application == APPLICATION_ID && version == 1))
		return rc;
	if (application != 0 || version != 0 || tables != 0) {
		close_file(store);
		return err_set(
			err, ERR_NOTICES, "%s: not a file of notices of this version", store->path);
	}
	rc = exec_sql(store, schema, err);
	if (rc == RC_OK && chmod(store->path, 0600) != 0)
		rc = err_set(err, ERR_NOTICES, "%s: its mode cannot be set", store->path);
	if (rc == RC_OK)
		return rc;
	/* Another process may have been quicker. */
	err_clear(err);
	if (!store->db || query(store, "PRAGMA application_id", &application, err) != RC_OK ||
		application != APPLICATION_ID)
		return err_set(err, ERR_NOTICES, "%s: cannot be made", store->path);
	return RC_OK;
}

static enum rc
open_file(struct notice_store *store, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int bad = sqlite3_open_v2(store->path, &store->db, flags, NULL);
	enum rc rc;

	if (bad != SQLITE_OK)
		return failed(store, err);
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, 2 * (int)STORE_MAX_ITEM + 65536);
	rc = exec_sql(store, "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL", err);
	if (rc == RC_OK)
		rc = check_schema(store, err);
	if (rc == RC_OK && stat(store->path, &store->seen) != 0)
		rc = err_set(err, ERR_NOTICES, "%s: %s", store->path, strerror(errno));
	if (rc != RC_OK)
		close_file(store);
	return rc;
}

/* Takes the lock and has the file open that is at the path now. */
static enum rc
begin(struct notice_store *store, struct err *err)
{
	struct stat now;

	pthread_mutex_lock(&store->lock);
	if (store->db && (stat(store->path, &now) != 0 || now.st_ino != store->seen.st_ino ||
				 now.st_dev != store->seen.st_dev)) {
		log_event(LOGL_WARN, NULL, "notices-replaced", "file", store->path, NULL);
		close_file(store);
	}
	return store->db ? RC_OK : open_file(store, err);
}

static enum rc
begin_writing(struct notice_store *store, struct err *err)
{
	enum rc rc = begin(store, err);

	return rc == RC_OK ? exec_sql(store, "BEGIN IMMEDIATE", err) : rc;
}

/* Ends what begin began; whatever was written is kept for RC_OK only. */
static enum rc
end(struct notice_store *store, enum rc rc, struct err *err)
{
	if (store->db && !sqlite3_get_autocommit(store->db)) {
		if (rc == RC_OK)
			rc = exec_sql(store, "COMMIT", err);
		else
			sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* RC_NONE: the limit is reached. */
static enum rc
count_said(
	struct notice_store *store, const struct notice_limit *limit, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t n = 0;
	enum rc rc =
		prepare(store, &stmt, err, "SELECT count(*) FROM said WHERE key = ? AND at > ?",
			"si", limit->key, now - limit->seconds);

	if (rc == RC_OK)
		rc = step(store, stmt, err);
	if (rc == RC_OK)
		n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	stmt = NULL;
	if (rc != RC_OK)
		return rc;
	if (n >= limit->max)
		return RC_NONE;
	return RUN(store, err, "INSERT INTO said VALUES (?, ?)", "si", limit->key, now);
}

static enum rc
insert(struct notice_store *store, const struct notice_item *item, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	return RUN(store, err,
		"INSERT INTO outbox (created, due, tries, data, head) VALUES (?, ?, 0, ?, ?)",
		"iitb", now, now, &item->data, &item->head);
}

enum rc
notice_store_keep(struct notice_store *store, const struct notice_item *item,
	const struct notice_limits *limits, int64_t now, size_t *which, struct err *err)
{
	int64_t kept = 0;
	enum rc rc = begin_writing(store, err);

	for (*which = 0; rc == RC_OK && *which < limits->n; (*which)++)
		if ((rc = count_said(store, &limits->v[*which], now, err)) == RC_NONE)
			break;
	if (rc == RC_OK)
		rc = query(store, "SELECT count(*) FROM outbox", &kept, err);
	if (rc == RC_OK && kept >= limits->outbox)
		rc = err_set(err, ERR_NOTICES, "%s: %lld messages wait to be sent", store->path,
			(long long)kept);
	if (rc == RC_OK)
		rc = insert(store, item, now, err);
	return end(store, rc, err);
}

static enum rc
read_item(sqlite3_stmt *stmt, struct notice_item *item, struct err *err)
{
	enum rc rc;

	item->id = sqlite3_column_int64(stmt, 0);
	item->created = sqlite3_column_int64(stmt, 1);
	item->tries = sqlite3_column_int(stmt, 2) + 1;
	rc = buf_append(&item->data, sqlite3_column_blob(stmt, 3),
		(size_t)sqlite3_column_bytes(stmt, 3), err);
	return rc == RC_OK ? buf_append(&item->head, sqlite3_column_blob(stmt, 4),
				     (size_t)sqlite3_column_bytes(stmt, 4), err)
			   : rc;
}

enum rc
notice_store_take(struct notice_store *store, int64_t now, int64_t lease, struct notice_item *item,
	struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin_writing(store, err);

	if (rc == RC_OK)
		rc = prepare(store, &stmt, err,
			"SELECT id, created, tries, data, head FROM outbox"
			" WHERE due <= ? ORDER BY due LIMIT 1",
			"i", now);
	if (rc == RC_OK)
		rc = step(store, stmt, err);
	if (rc == RC_OK)
		rc = read_item(stmt, item, err);
	sqlite3_finalize(stmt);
	stmt = NULL;
	if (rc == RC_OK)
		rc = RUN(store, err, "UPDATE outbox SET due = ?, tries = tries + 1 WHERE id = ?",
			"ii", now + lease, item->id);
	return end(store, rc, err);
}

enum rc
notice_store_done(struct notice_store *store, int64_t id, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin(store, err);

	if (rc == RC_OK)
		rc = RUN(store, err, "DELETE FROM outbox WHERE id = ?", "i", id);
	return end(store, rc, err);
}

enum rc
notice_store_later(struct notice_store *store, int64_t id, int64_t when, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin(store, err);

	if (rc == RC_OK)
		rc = RUN(store, err, "UPDATE outbox SET due = ? WHERE id = ?", "ii", when, id);
	return end(store, rc, err);
}

enum rc
notice_store_wait(struct notice_store *store, const char *rcpt, const char *sender, int64_t max,
	int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin_writing(store, err);

	if (rc == RC_OK)
		rc = RUN(store, err,
			"INSERT INTO waiting VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
			"ssi", rcpt, sender, now);
	if (rc == RC_OK) /* the last ones who wrote to this correspondent stay */
		rc = RUN(store, err,
			"DELETE FROM waiting WHERE rcpt = ?1 AND sender NOT IN (SELECT sender"
			" FROM waiting WHERE rcpt = ?1 ORDER BY at DESC, sender = ?2 DESC LIMIT ?3)",
			"ssi", rcpt, sender, (int64_t)STORE_MAX_PAIRS);
	if (rc == RC_OK)
		rc = RUN(store, err,
			"DELETE FROM waiting WHERE rowid IN (SELECT rowid FROM waiting"
			" ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?)",
			"i", max);
	return end(store, rc, err);
}

/* The text in the first row, if there is one. */
static enum rc
first_text(struct notice_store *store, sqlite3_stmt *stmt, enum rc rc, struct buf *out,
	struct err *err)
{
	if (rc == RC_OK)
		rc = step(store, stmt, err);
	if (rc == RC_OK)
		rc = buf_append(out, sqlite3_column_text(stmt, 0),
			(size_t)sqlite3_column_bytes(stmt, 0), err);
	sqlite3_finalize(stmt);
	return rc;
}

enum rc
notice_store_awaited(
	struct notice_store *store, const char *after, struct buf *rcpt, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin(store, err);

	if (rc == RC_OK)
		rc = prepare(store, &stmt, err,
			"SELECT rcpt FROM waiting WHERE rcpt > ? ORDER BY rcpt LIMIT 1", "s",
			after);
	rc = first_text(store, stmt, rc, rcpt, err);
	return end(store, rc, err);
}

enum rc
notice_store_waiter(
	struct notice_store *store, const char *rcpt, struct buf *sender, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin(store, err);

	if (rc == RC_OK)
		rc = prepare(store, &stmt, err,
			"SELECT sender FROM waiting WHERE rcpt = ? ORDER BY at LIMIT 1", "s", rcpt);
	rc = first_text(store, stmt, rc, sender, err);
	return end(store, rc, err);
}

enum rc
notice_store_tell(struct notice_store *store, const char *rcpt, const char *sender,
	const struct notice_item *item, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin_writing(store, err);
	bool first = false;

	if (rc == RC_OK)
		rc = RUN(store, err, "DELETE FROM waiting WHERE rcpt = ? AND sender = ?", "ss",
			rcpt, sender);
	if (rc == RC_OK) /* another process may have told them already */
		first = sqlite3_changes(store->db) > 0;
	if (rc == RC_OK && first)
		rc = insert(store, item, now, err);
	rc = end(store, rc, err);
	return rc == RC_OK && !first ? RC_NONE : rc;
}

enum rc
notice_store_sweep(struct notice_store *store, int64_t said, int64_t waited, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = begin_writing(store, err);

	if (rc == RC_OK)
		rc = RUN(store, err, "DELETE FROM said WHERE at < ?", "i", said);
	if (rc == RC_OK)
		rc = RUN(store, err, "DELETE FROM waiting WHERE at < ?", "i", waited);
	return end(store, rc, err);
}
