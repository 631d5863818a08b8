/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "milter/replies.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/mac.h"

#include <libgen.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS    2000
#define KEY_SIZE   32
#define ID_SIZE    16  /* of the HMAC: enough for a table of any size */
#define TIDY_EVERY 256 /* insertions between two looks at age and number */
#define ID_MAX     2000

struct replies {
	const struct conf *conf; /* a reference */
	const char *path;        /* its */
	int64_t max_age, max_entries;
	pthread_mutex_t lock; /* for all below */
	sqlite3 *db;          /* NULL: not open now */
	struct stat seen;     /* the file behind it */
	unsigned char key[KEY_SIZE];
	unsigned inserted;
};

/* clang-format off */
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS secret (key BLOB NOT NULL);"
	"INSERT INTO secret SELECT randomblob(32) WHERE NOT EXISTS (SELECT 1 FROM secret);"
	"CREATE TABLE IF NOT EXISTS opened (id BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS opened_at ON opened (at);"
	"COMMIT;";
/* clang-format on */

enum rc
replies_new(const struct conf *conf, struct replies **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "replies");
	struct replies *replies = calloc(1, sizeof(*replies));

	*out = NULL;
	if (!replies)
		return err_set(err, ERR_MEMORY, "replies");
	replies->conf = conf_ref((struct conf *)(uintptr_t)conf);
	replies->path = conf_str(group, "path");
	replies->max_age = conf_int(group, "max_age");
	replies->max_entries = conf_int(group, "max_entries");
	pthread_mutex_init(&replies->lock, NULL);
	*out = replies;
	return RC_OK;
}

static void
close_file(struct replies *replies)
{
	sqlite3_close(replies->db);
	replies->db = NULL;
}

void
replies_free(struct replies **replies)
{
	struct replies *r = *replies;
	struct conf *conf;

	*replies = NULL;
	if (!r)
		return;
	close_file(r);
	pthread_mutex_destroy(&r->lock);
	conf = (struct conf *)(uintptr_t)r->conf;
	conf_unref(&conf);
	secret_wipe(r->key, sizeof(r->key));
	free(r);
}

/* What SQLite said; the file is opened anew by the next call. */
static enum rc
failed(struct replies *replies, struct err *err)
{
	err_set(err, ERR_STORE, "%s: %s", replies->path,
		replies->db ? sqlite3_errmsg(replies->db) : "no memory");
	close_file(replies);
	return RC_TEMP;
}

static enum rc
read_key(struct replies *replies, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = RC_OK;

	if (sqlite3_prepare_v2(replies->db, "SELECT key FROM secret", -1, &stmt, NULL) !=
			SQLITE_OK ||
		sqlite3_step(stmt) != SQLITE_ROW || sqlite3_column_bytes(stmt, 0) != KEY_SIZE)
		rc = RC_TEMP;
	else
		memcpy(replies->key, sqlite3_column_blob(stmt, 0), KEY_SIZE);
	sqlite3_finalize(stmt);
	return rc == RC_OK ? RC_OK : failed(replies, err);
}

/* A file that root made for the operator's tool is the daemons' like the folder. */
static void
give_to_folder(const char *path)
{
	char *copy = strdup(path);
	struct stat folder;

	if (copy && geteuid() == 0 && stat(dirname(copy), &folder) == 0 &&
		chown(path, folder.st_uid, folder.st_gid) != 0)
		log_event(LOGL_WARN, NULL, "replies-owner", "file", path, NULL);
	free(copy);
}

/* The file, made when it is not there. */
static enum rc
open_file(struct replies *replies, struct err *err)
{
	static const char pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
	bool made = access(replies->path, F_OK) != 0;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
	int code = sqlite3_open_v2(replies->path, &replies->db, flags, NULL);
	enum rc rc;

	if (code == SQLITE_OK) {
		sqlite3_busy_timeout(replies->db, BUSY_MS);
		code = sqlite3_exec(replies->db, pragmas, NULL, NULL, NULL);
	}
	if (code == SQLITE_OK)
		code = sqlite3_exec(replies->db, schema, NULL, NULL, NULL);
	if (code == SQLITE_OK && made) {
		give_to_folder(replies->path);
		/* Mail that came encrypted before now is forgotten. */
		log_event(LOGL_WARN, NULL, "replies-new", "file", replies->path, NULL);
	}
	if (code != SQLITE_OK || stat(replies->path, &replies->seen) != 0)
		return failed(replies, err);
	rc = read_key(replies, err);
	if (rc == RC_OK)
		replies->inserted = TIDY_EVERY - 1; /* the first one looks */
	return rc;
}

/* Open, and still the file that is there. */
static enum rc
ready(struct replies *replies, struct err *err)
{
	struct stat now;

	if (replies->db && (stat(replies->path, &now) != 0 || now.st_ino != replies->seen.st_ino ||
				   now.st_dev != replies->seen.st_dev))
		close_file(replies);
	return replies->db ? RC_OK : open_file(replies, err);
}

static enum rc
make_id(const struct replies *replies, const char *person, const char *id, size_t len,
	unsigned char out[MAC_SIZE], struct err *err)
{
	struct buf text = BUF_INIT(0);
	enum rc rc = RC_OK;

	for (; rc == RC_OK && *person; person++) /* as addresses are compared */
		rc = buf_append_char(&text,
			*person >= 'A' && *person <= 'Z' ? (char)(*person | 0x20) : *person, err);
	if (rc == RC_OK)
		rc = buf_append_char(&text, '\0', err);
	if (rc == RC_OK)
		rc = buf_append(&text, id, len, err);
	if (rc == RC_OK)
		rc = mac_bytes(replies->key, KEY_SIZE, text.data, text.len, out, err);
	buf_fini(&text);
	return rc;
}

/* The next <id> at or behind *P; false: there is none. */
static bool
next_id(const char **p, const char *end, const char **id, size_t *len)
{
	const char *open = *p < end ? memchr(*p, '<', (size_t)(end - *p)) : NULL;
	const char *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;

	if (!close)
		return false;
	*id = open;
	*len = (size_t)(close + 1 - open);
	*p = close + 1;
	return true;
}

/* Age and number; a failure leaves more than there should be, until the next time. */
static void
tidy(struct replies *replies, int64_t now)
{
	char *sql = sqlite3_mprintf(
		"DELETE FROM opened WHERE at < %lld;"
		"DELETE FROM opened WHERE id IN (SELECT id FROM opened ORDER BY at DESC"
		" LIMIT -1 OFFSET %lld);",
		(long long)(now - replies->max_age), (long long)replies->max_entries);

	if (!sql || sqlite3_exec(replies->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		log_event(LOGL_WARN, NULL, "replies-not-tidied", "file", replies->path, NULL);
	sqlite3_free(sql);
	replies->inserted = 0;
}

static enum rc
insert(struct replies *replies, const unsigned char id[MAC_SIZE], struct err *err)
{
	static const char sql[] = "INSERT INTO opened (id, at) VALUES (?, ?)"
				  " ON CONFLICT (id) DO UPDATE SET at = excluded.at";
	sqlite3_stmt *stmt = NULL;
	int64_t now = clock_now();
	bool done = sqlite3_prepare_v2(replies->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		    sqlite3_bind_blob(stmt, 1, id, ID_SIZE, SQLITE_STATIC) == SQLITE_OK &&
		    sqlite3_bind_int64(stmt, 2, now) == SQLITE_OK &&
		    sqlite3_step(stmt) == SQLITE_DONE;

	sqlite3_finalize(stmt);
	if (!done)
		return failed(replies, err);
	if (++replies->inserted >= TIDY_EVERY)
		tidy(replies, now);
	return RC_OK;
}

enum rc
replies_remember(
	struct replies *replies, const char *person, const struct hdrs *hdrs, struct err *err)
{
	const struct hdr *hdr = hdrs_find(hdrs, "Message-ID", 0);
	const char *p = hdr ? hdr->value : NULL, *id;
	unsigned char mac[MAC_SIZE];
	size_t len;
	enum rc rc;

	if (!p || !next_id(&p, hdr->value + hdr->value_len, &id, &len) || len > ID_MAX)
		return RC_OK;
	pthread_mutex_lock(&replies->lock);
	rc = ready(replies, err);
	if (rc == RC_OK)
		rc = make_id(replies, person, id, len, mac, err);
	if (rc == RC_OK)
		rc = insert(replies, mac, err);
	pthread_mutex_unlock(&replies->lock);
	return rc == RC_PERM ? RC_TEMP : rc;
}

static enum rc
find_one(struct replies *replies, const char *person, const char *id, size_t len, struct err *err)
{
	unsigned char mac[MAC_SIZE];
	sqlite3_stmt *stmt = NULL;
	enum rc rc = make_id(replies, person, id, len, mac, err);
	int code;

	if (rc != RC_OK)
		return rc;
	if (sqlite3_prepare_v2(replies->db, "SELECT 1 FROM opened WHERE id = ? AND at >= ?", -1,
		    &stmt, NULL) != SQLITE_OK ||
		sqlite3_bind_blob(stmt, 1, mac, ID_SIZE, SQLITE_STATIC) != SQLITE_OK ||
		sqlite3_bind_int64(stmt, 2, clock_now() - replies->max_age) != SQLITE_OK)
		code = SQLITE_ERROR;
	else
		code = sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return failed(replies, err);
	return code == SQLITE_ROW ? RC_OK : RC_NONE;
}

struct id {
	const char *p;
	size_t len;
};

/* The last Message-IDs that the fields name: a thread's beginning may be long ago. */
static size_t
collect_ids(const struct hdrs *hdrs, struct id ids[REPLIES_MAX_IDS])
{
	static const char *const names[] = {"References", "In-Reply-To"};
	const struct hdr *hdr;
	size_t n = 0;

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; (hdr = hdrs_find(hdrs, names[k], i)); i++) {
			const char *p = hdr->value, *end = p + hdr->value_len;
			struct id one;

			while (next_id(&p, end, &one.p, &one.len))
				if (one.len <= ID_MAX)
					ids[n++ % REPLIES_MAX_IDS] = one;
		}
	return n < REPLIES_MAX_IDS ? n : REPLIES_MAX_IDS;
}

enum rc
replies_find(struct replies *replies, const char *person, const struct hdrs *hdrs, struct err *err)
{
	struct id ids[REPLIES_MAX_IDS];
	size_t n = collect_ids(hdrs, ids);
	enum rc rc = RC_NONE;

	if (n == 0)
		return RC_NONE;
	pthread_mutex_lock(&replies->lock);
	rc = ready(replies, err);
	if (rc == RC_OK)
		rc = RC_NONE;
	for (size_t i = 0; rc == RC_NONE && i < n; i++)
		rc = find_one(replies, person, ids[i].p, ids[i].len, err);
	pthread_mutex_unlock(&replies->lock);
	return rc == RC_PERM ? RC_TEMP : rc;
}
