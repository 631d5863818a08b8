/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "milter/journal_file.h"

#include "base/log.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID "1397181007" /* "SGJO" */
#define BUSY_MS        5000
#define SWEEP_SECONDS  60
#define FILE_LOCK      0 /* the byte of PATH.lock for opening and replacing; rows' are far above */

/*
 * The write-ahead log: one fsync for a commit. It is left behind when a connection closes
 * (NO_CKPT_ON_CLOSE): SQLite would remove it by its name, and by then that can be the log of a file
 * that another process made in place of ours.
 */
/* clang-format off */
static const char pragmas[] =
	"PRAGMA trusted_schema = OFF;"
	"PRAGMA journal_mode = WAL;"
	"PRAGMA journal_size_limit = 4194304;";
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE meta (key BLOB NOT NULL);"
	"INSERT INTO meta VALUES (randomblob(32));"
	"CREATE TABLE rows (id BLOB PRIMARY KEY, flags INTEGER NOT NULL, touched INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE INDEX rows_touched ON rows (touched);"
	"PRAGMA application_id = " APPLICATION_ID ";"
	"PRAGMA user_version = 1;"
	"COMMIT;";
/* clang-format on */

enum rc
journal_lock_open(const struct journal *journal, int *fd, struct err *err)
{
	*fd = open(journal->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return err_set(err, ERR_JOURNAL, "%s: %s", journal->lock_path, strerror(errno));
	return RC_OK;
}

/* The owner is the descriptor, not the process: threads exclude each other as processes do. */
enum rc
journal_lock_range(const struct journal *journal, int fd, int64_t start, int64_t len, bool wait,
	struct err *err)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	int rc;

	do
		rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return RC_OK;
	if (errno == EAGAIN || errno == EACCES)
		return RC_NONE;
	return err_set(err, ERR_JOURNAL, "%s: %s", journal->lock_path, strerror(errno));
}

bool
journal_file_is(const char *path, const struct stat *seen)
{
	struct stat now;

	return stat(path, &now) == 0 && now.st_ino == seen->st_ino && now.st_dev == seen->st_dev;
}

/* Nobody else opens or replaces the file meanwhile. */
static enum rc
lock_file(struct journal *journal, struct err *err)
{
	enum rc rc = journal_lock_open(journal, &journal->file_lock, err);

	if (rc == RC_OK)
		rc = journal_lock_range(journal, journal->file_lock, FILE_LOCK, 1, true, err);
	return rc;
}

static void
unlock_file(struct journal *journal)
{
	if (journal->file_lock >= 0)
		close(journal->file_lock);
	journal->file_lock = -1;
}

void
journal_file_close(struct journal *journal)
{
	sqlite3_finalize(journal->get);
	sqlite3_finalize(journal->put);
	sqlite3_finalize(journal->drop);
	sqlite3_finalize(journal->any);
	sqlite3_close(journal->db);
	journal->get = journal->put = journal->drop = journal->any = NULL;
	journal->db = NULL;
}

/* PATH with ENDING renamed to PATH.damaged with ENDING, or removed. */
static void
put_away(const struct journal *journal, const char *ending, bool keep)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (snprintf(from, sizeof(from), "%s%s", journal->path, ending) >= (int)sizeof(from) ||
		snprintf(to, sizeof(to), "%s.damaged%s", journal->path, ending) >= (int)sizeof(to))
		return;
	if (!keep || rename(from, to) != 0)
		unlink(from);
}

/*
 * One damaged file is kept for whoever wants to look; it holds no mail and no address. Another
 * process may have done it already, so under the lock it must still be the file that failed.
 */
static void
move_aside(struct journal *journal, const struct err *why)
{
	bool held = journal->file_lock >= 0;

	if ((held || lock_file(journal, NULL) == RC_OK) &&
		journal_file_is(journal->path, &journal->seen)) {
		put_away(journal, "", true);
		put_away(journal, "-wal", true);
		put_away(journal, "-shm", false);
		log_error(LOGL_ERROR, NULL, "journal-damaged", why, "moved-to", ".damaged", NULL);
	}
	if (!held)
		unlock_file(journal);
}

enum rc
journal_file_failed(struct journal *journal, const char *what, struct err *err)
{
	int code = journal->db ? sqlite3_errcode(journal->db) & 0xff : SQLITE_NOMEM;
	struct err why = ERR_INIT;

	err_set(&why, ERR_JOURNAL, "%s: %s: %s", journal->path, what,
		journal->db ? sqlite3_errmsg(journal->db) : "no memory");
	if (journal->db && !sqlite3_get_autocommit(journal->db))
		sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
	if (code != SQLITE_BUSY)
		journal_file_close(journal);
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		move_aside(journal, &why);
	if (err)
		*err = why;
	return RC_TEMP;
}

enum rc
journal_file_damaged(struct journal *journal, struct err *err)
{
	struct err why = ERR_INIT;

	err_set(&why, ERR_JOURNAL, "%s: a row does not add up", journal->path);
	sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
	journal_file_close(journal);
	move_aside(journal, &why);
	if (err)
		*err = why;
	return RC_TEMP;
}

/* One number that SQL gives; -1 with DB's error when it can't. */
static int64_t
number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static enum rc
read_key(struct journal *journal, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = RC_OK;

	if (sqlite3_prepare_v2(journal->db, "SELECT key FROM meta", -1, &stmt, NULL) != SQLITE_OK)
		return journal_file_failed(journal, "meta", err);
	if (sqlite3_step(stmt) == SQLITE_ROW &&
		sqlite3_column_bytes(stmt, 0) == (int)JOURNAL_KEY_SIZE)
		memcpy(journal->key, sqlite3_column_blob(stmt, 0), JOURNAL_KEY_SIZE);
	else
		rc = RC_TEMP;
	sqlite3_finalize(stmt);
	return rc == RC_OK ? RC_OK : journal_file_failed(journal, "no key", err);
}

/* A file of ours, or an empty one, in which the tables are made. */
static enum rc
check_schema(struct journal *journal, struct err *err)
{
	int64_t application = number(journal->db, "PRAGMA application_id");
	int64_t version = number(journal->db, "PRAGMA user_version");
	int64_t tables = number(journal->db, "SELECT count(*) FROM sqlite_master");
	bool empty = tables == 0 && application == 0 && version == 0;

	if (application < 0 || version < 0 || tables < 0)
		return journal_file_failed(journal, "opening", err);
	if (!empty && (application != atoll(APPLICATION_ID) || version != 1)) {
		journal_file_close(journal);
		return err_set(
			err, ERR_JOURNAL, "%s: not a journal of this version", journal->path);
	}
	if (sqlite3_exec(journal->db, pragmas, NULL, NULL, NULL) != SQLITE_OK ||
		(empty && sqlite3_exec(journal->db, schema, NULL, NULL, NULL) != SQLITE_OK))
		return journal_file_failed(journal, "opening", err);
	return read_key(journal, err);
}

static enum rc
prepare(struct journal *journal, struct err *err)
{
	static const char put[] = "INSERT INTO rows (id, flags, touched) VALUES (?1, ?2, ?3)"
				  " ON CONFLICT (id) DO UPDATE SET flags = ?2, touched = ?3";
	static const char get[] = "SELECT flags FROM rows WHERE id = ?1";
	static const char drop[] = "DELETE FROM rows WHERE id = ?1";
	static const char any[] = "SELECT 1 FROM rows LIMIT 1";

	if (sqlite3_prepare_v2(journal->db, get, -1, &journal->get, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(journal->db, put, -1, &journal->put, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(journal->db, drop, -1, &journal->drop, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(journal->db, any, -1, &journal->any, NULL) != SQLITE_OK)
		return journal_file_failed(journal, "opening", err);
	return RC_OK;
}

/*
 * Is what lies at the path ours to move aside when it turns out to be damaged? Where our lock file
 * is, we have been. Otherwise its header must say so, or it is a mistake in the configuration.
 */
static enum rc
check_owner(const struct journal *journal, struct err *err)
{
	unsigned char head[72] = {0};
	ssize_t n;
	int fd;

	if (access(journal->lock_path, F_OK) == 0)
		return RC_OK;
	fd = open(journal->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RC_OK
				       : err_set(err, ERR_JOURNAL, "%s: %s", journal->path,
						 strerror(errno));
	n = read(fd, head, sizeof(head));
	close(fd);
	if (n == 0 || (n == sizeof(head) && memcmp(head, "SQLite format 3", 16) == 0 &&
			      memcmp(head + 68, "SGJO", 4) == 0))
		return RC_OK;
	return err_set(err, ERR_JOURNAL, "%s: not a journal", journal->path);
}

/* With the file's lock held. */
static enum rc
open_file(struct journal *journal, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	const char *durable =
		journal->conf.unsynced ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL";

	memset(&journal->seen, 0, sizeof(journal->seen));
	if (access(journal->path, F_OK) != 0) {
		put_away(journal, "-wal", false);
		put_away(journal, "-shm", false);
		log_event(journal->opened ? LOGL_ERROR : LOGL_INFO, NULL,
			journal->opened ? "journal-lost" : "journal-made", "path", journal->path,
			NULL);
	}
	if (sqlite3_open_v2(journal->path, &journal->db, flags, NULL) != SQLITE_OK ||
		stat(journal->path, &journal->seen) != 0 ||
		sqlite3_exec(journal->db, durable, NULL, NULL, NULL) != SQLITE_OK)
		return journal_file_failed(journal, "opening", err);
	sqlite3_extended_result_codes(journal->db, 1);
	sqlite3_busy_timeout(journal->db, BUSY_MS);
	sqlite3_db_config(journal->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return check_schema(journal, err);
}

enum rc
journal_file_ready(struct journal *journal, struct err *err)
{
	enum rc rc;

	if (journal->dead)
		return err_set(err, ERR_JOURNAL, "crashed");
	if (journal->db && journal_file_is(journal->path, &journal->seen))
		return RC_OK;
	journal_file_close(journal);
	rc = check_owner(journal, err);
	if (rc == RC_OK)
		rc = lock_file(journal, err);
	if (rc == RC_OK)
		rc = open_file(journal, err);
	if (rc == RC_OK)
		rc = prepare(journal, err);
	if (rc == RC_OK)
		journal->opened = true;
	unlock_file(journal);
	return rc;
}

/* Removes what SQL says and logs how many under EVENT. */
static enum rc
remove_rows(struct journal *journal, const char *sql, int64_t a, enum log_level level,
	const char *event, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int changed;

	if (sqlite3_prepare_v2(journal->db, sql, -1, &stmt, NULL) != SQLITE_OK ||
		sqlite3_bind_int64(stmt, 1, a) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_DONE) {
		sqlite3_finalize(stmt);
		return journal_file_failed(journal, event, err);
	}
	sqlite3_finalize(stmt);
	changed = sqlite3_changes(journal->db);
	if (changed > 0)
		log_event(level, NULL, event, "path", journal->path, "recipients", LOG_NUM(changed),
			NULL);
	return RC_OK;
}

/* Past the limit a sixteenth more is removed, so that it isn't done for each message. */
enum rc
journal_file_sweep(struct journal *journal, int64_t now, struct err *err)
{
	int64_t slack = journal->conf.max_entries / 16, count;
	enum rc rc;

	if (now >= journal->swept_at && now - journal->swept_at < SWEEP_SECONDS &&
		journal->written <= slack)
		return RC_OK;
	rc = remove_rows(journal, "DELETE FROM rows WHERE touched < ?1",
		now - journal->conf.max_age, LOGL_INFO, "journal-expired", err);
	if (rc != RC_OK)
		return rc;
	count = number(journal->db, "SELECT count(*) FROM rows");
	if (count < 0)
		return journal_file_failed(journal, "sweeping", err);
	if (count > journal->conf.max_entries - slack)
		rc = remove_rows(journal,
			"DELETE FROM rows WHERE id IN (SELECT id FROM rows ORDER BY touched LIMIT ?1)",
			count - journal->conf.max_entries + 2 * slack, LOGL_WARN, "journal-full",
			err);
	journal->swept_at = now;
	journal->written = 0;
	return rc;
}
