/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_opened.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "crypto/digest.h"

#define HASH_SIZE   16
#define COMMIT_EACH 512   /* rows in one transaction at most */
#define FORGET_EACH 20000 /* rows in one go: openings wait meanwhile */
#define RETRY_SECS  3600  /* after a failure */
#define LIMIT_SECS  3600  /* between looks at the size, which takes a while */

static const char SCHEMA[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA trusted_schema=OFF;"
	"CREATE TABLE IF NOT EXISTS opened(hash BLOB PRIMARY KEY, first INTEGER NOT NULL,"
	" last INTEGER NOT NULL, count INTEGER NOT NULL, qid INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS opened_last ON opened(last);";

enum statement { FIND, ADD, AGAIN, FORGET, SIZE, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[FIND] = "SELECT first, last, count, qid FROM opened WHERE hash = ?",
	[ADD] = "INSERT INTO opened(hash, first, last, count, qid) VALUES(?1, ?2, ?2, 1, ?3)",
	[AGAIN] = "UPDATE opened SET last = ?2, qid = ?3, count = count + 1 WHERE hash = ?1",
	[FORGET] = "DELETE FROM opened WHERE hash IN"
		   " (SELECT hash FROM opened WHERE last < ?1 ORDER BY last LIMIT ?2)",
	[SIZE] = "SELECT count(*), min(last) FROM opened",
};

struct opened {
	char *path;
	pthread_mutex_t lock;
	sqlite3 *db; /* NULL: not open */
	sqlite3_stmt *st[STATEMENTS];
	size_t uncommitted;
	int64_t failed;  /* when; 0: it works */
	int64_t limited; /* when its size was looked at */
};

enum rc
opened_new(const char *store, struct opened **out, struct err *err)
{
	struct opened *opened = calloc(1, sizeof(*opened));

	*out = NULL;
	if (!opened || asprintf(&opened->path, "%s.opened", store) < 0) {
		free(opened);
		return err_set(err, ERR_MEMORY, "openings");
	}
	pthread_mutex_init(&opened->lock, NULL);
	*out = opened;
	return RC_OK;
}

static void
close_db(struct opened *opened)
{
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(opened->st[i]);
		opened->st[i] = NULL;
	}
	sqlite3_close(opened->db);
	opened->db = NULL;
	opened->uncommitted = 0;
}

/* Said once, tried again in an hour. */
static void
failed(struct opened *opened, int64_t now)
{
	log_event(LOGL_WARN, NULL, "reopen-memory-lost", "file", opened->path, "reason",
		opened->db ? sqlite3_errmsg(opened->db) : "no memory", NULL);
	opened->failed = now;
	close_db(opened);
}

static bool
prepare(struct opened *opened)
{
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(opened->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &opened->st[i], NULL) != SQLITE_OK)
			return false;
	return true;
}

static bool
ready(struct opened *opened, int64_t now)
{
	mode_t mask;
	bool made;
	int code;

	if (opened->db)
		return true;
	made = access(opened->path, F_OK) != 0;
	if (opened->failed && now < opened->failed + RETRY_SECS && now >= opened->failed)
		return false;
	mask = umask(077);
	code = sqlite3_open_v2(opened->path, &opened->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK) {
		sqlite3_busy_timeout(opened->db, 1000);
		code = sqlite3_exec(opened->db, SCHEMA, NULL, NULL, NULL);
	}
	umask(mask);
	if (code != SQLITE_OK || !prepare(opened)) {
		failed(opened, now);
		return false;
	}
	opened->failed = 0;
	if (made)
		log_event(LOGL_INFO, NULL, "reopen-memory-new", "file", opened->path, NULL);
	return true;
}

static bool
commit(struct opened *opened)
{
	bool done = opened->uncommitted == 0 ||
		    sqlite3_exec(opened->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;

	opened->uncommitted = 0;
	return done;
}

void
opened_free(struct opened **opened)
{
	struct opened *o = *opened;

	*opened = NULL;
	if (!o)
		return;
	if (o->db)
		(void)commit(o);
	close_db(o);
	pthread_mutex_destroy(&o->lock);
	free(o->path);
	free(o);
}

static bool
find(struct opened *opened, const unsigned char *hash, int64_t qid, struct opened_before *before)
{
	sqlite3_stmt *st = opened->st[FIND];
	int code;

	sqlite3_bind_blob(st, 1, hash, HASH_SIZE, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		before->first = sqlite3_column_int64(st, 0);
		before->last = sqlite3_column_int64(st, 1);
		before->count = sqlite3_column_int64(st, 2);
		before->retry = qid && sqlite3_column_int64(st, 3) == qid;
	}
	sqlite3_reset(st);
	return code == SQLITE_ROW;
}

/* ADD or AGAIN; *there: ADD found it. */
static bool
put(struct opened *opened, enum statement what, const unsigned char *hash, int64_t qid, int64_t now,
	bool *there)
{
	sqlite3_stmt *st = opened->st[what];
	int code;

	sqlite3_bind_blob(st, 1, hash, HASH_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, now);
	sqlite3_bind_int64(st, 3, qid);
	code = sqlite3_step(st);
	sqlite3_reset(st);
	*there = code == SQLITE_CONSTRAINT;
	return code == SQLITE_DONE || *there;
}

/* Nearly everything is new, so it is added first and looked for only when that fails. */
static bool
note(struct opened *opened, const unsigned char *hash, int64_t qid, int64_t now,
	struct opened_before *before)
{
	bool there, ignored;

	if (opened->uncommitted == 0 &&
		sqlite3_exec(opened->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return false;
	opened->uncommitted++;
	if (!put(opened, ADD, hash, qid, now, &there))
		return false;
	if (there &&
		(!find(opened, hash, qid, before) || !put(opened, AGAIN, hash, qid, now, &ignored)))
		return false;
	return opened->uncommitted < COMMIT_EACH || commit(opened);
}

/* The first eight bytes of a hash, for the queue id; 0 for none. */
static int64_t
hash_qid(const char *qid)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	int64_t n = 0;

	if (!qid || !*qid || digest_bytes(DIGEST_SHA256, qid, strlen(qid), hash, NULL) != RC_OK)
		return 0;
	memcpy(&n, hash, sizeof(n));
	return n;
}

/* Over the key's id and the encryptedKey, whose leading zeros say nothing. */
static bool
hash_key(const char *key, const unsigned char *data, size_t len, unsigned char *hash)
{
	struct buf text = BUF_INIT(65536);
	enum rc rc = buf_append(&text, key, strlen(key) + 1, NULL);

	while (len && *data == 0) {
		data++;
		len--;
	}
	if (rc == RC_OK)
		rc = buf_append(&text, data, len, NULL);
	if (rc == RC_OK)
		rc = digest_bytes(DIGEST_SHA256, text.data, text.len, hash, NULL);
	buf_fini(&text);
	return rc == RC_OK;
}

void
opened_note(struct opened *opened, const char *key, const void *encrypted_key, size_t len,
	const char *qid, int64_t now, struct opened_before *before)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	int64_t claimed = hash_qid(qid);

	*before = (struct opened_before){.count = 0};
	if (!hash_key(key, encrypted_key, len, hash))
		return;
	pthread_mutex_lock(&opened->lock);
	if (ready(opened, now) && !note(opened, hash, claimed, now, before))
		failed(opened, now);
	pthread_mutex_unlock(&opened->lock);
}

static bool
forget(struct opened *opened, int64_t before)
{
	sqlite3_stmt *st = opened->st[FORGET];
	int code;

	sqlite3_bind_int64(st, 1, before);
	sqlite3_bind_int64(st, 2, FORGET_EACH);
	code = sqlite3_step(st);
	sqlite3_reset(st);
	return code == SQLITE_DONE;
}

/* Too many rows: a day of the oldest goes. */
static bool
limit(struct opened *opened, int64_t now)
{
	sqlite3_stmt *st = opened->st[SIZE];
	int64_t oldest = -1;
	bool done;

	if (now >= opened->limited && now < opened->limited + LIMIT_SECS)
		return true;
	opened->limited = now;
	done = sqlite3_step(st) == SQLITE_ROW;
	if (done && sqlite3_column_int64(st, 0) > OPENED_MAX)
		oldest = sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return done && (oldest < 0 || forget(opened, oldest + 86400));
}

void
opened_tick(struct opened *opened, int64_t now, int64_t memory)
{
	pthread_mutex_lock(&opened->lock);
	if (opened->db && (!commit(opened) || !forget(opened, now - memory) || !limit(opened, now)))
		failed(opened, now);
	pthread_mutex_unlock(&opened->lock);
}
