/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "milter/journal.h"

#include "base/secret.h"
#include "crypto/mac.h"
#include "milter/journal_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More recipients than this are held by holding the whole transaction: the kernel's list of locks
 * is walked for each. */
#define MANY_ROWS  512
#define FLAGS_MASK 0xff

struct journal_hold {
	struct journal *journal;
	int fd;                              /* owns the locks */
	unsigned char key[JOURNAL_KEY_SIZE]; /* of the file that the ids belong to */
};

struct journal_conf
journal_conf_of(const struct conf *conf)
{
	const struct conf_group *group = conf_section(conf, "journal");

	return (struct journal_conf){
		.path = conf_str(group, "path"),
		.max_age = conf_int(group, "max_age"),
		.max_entries = conf_int(group, "max_entries"),
	};
}

static enum rc
new_half(const struct journal_conf *conf, struct journal **out, struct err *err)
{
	struct journal *journal = calloc(1, sizeof(*journal));

	*out = NULL;
	if (!journal)
		return err_set(err, ERR_MEMORY, "journal");
	journal->conf = *conf;
	journal->file_lock = -1;
	pthread_mutex_init(&journal->lock, NULL);
	journal->path = strdup(conf->path);
	if (!journal->path || asprintf(&journal->lock_path, "%s.lock", conf->path) < 0) {
		journal->lock_path = NULL;
		journal_free(&journal);
		return err_set(err, ERR_MEMORY, "journal");
	}
	journal->conf.path = journal->path;
	*out = journal;
	return RC_OK;
}

enum rc
journal_new(const struct journal_conf *conf, struct journal **out, struct err *err)
{
	enum rc rc = new_half(conf, out, err);

	if (rc == RC_OK)
		rc = new_half(conf, &(*out)->reader, err);
	if (rc != RC_OK)
		journal_free(out);
	return rc;
}

void
journal_free(struct journal **journal)
{
	struct journal *j = *journal;

	*journal = NULL;
	if (!j)
		return;
	journal_free(&j->reader);
	journal_file_close(j);
	pthread_mutex_destroy(&j->lock);
	secret_wipe(j->key, sizeof(j->key));
	free(j->path);
	free(j->lock_path);
	free(j);
}

enum rc
journal_probe(struct journal *journal, struct err *err)
{
	enum rc rc;

	pthread_mutex_lock(&journal->lock);
	rc = journal_file_ready(journal, err);
	pthread_mutex_unlock(&journal->lock);
	return rc;
}

void
journal_set_fault(
	struct journal *journal, enum journal_fault (*fault)(void *ctx, bool done), void *ctx)
{
	journal->fault = fault;
	journal->fault_ctx = ctx;
}

/* What a test wants to happen here, as a kill or a full disk would. */
static enum rc
fault(struct journal *journal, bool done, struct err *err)
{
	enum journal_fault what = JOURNAL_NO_FAULT;

	if (!journal->dead && journal->fault)
		what = journal->fault(journal->fault_ctx, done);
	journal->dead |= what == JOURNAL_CRASH;
	if (what == JOURNAL_NO_FAULT && !journal->dead)
		return RC_OK;
	return err_set(err, ERR_JOURNAL, journal->dead ? "crashed" : "failed");
}

/*
 * Which byte of the lock file stands for a recipient: 31 bits of the transaction, 30 of the
 * recipient. Bit 62 keeps them apart from the byte for the file. Two that share a byte by chance
 * cost a deferral.
 */
static int64_t
lock_base(const unsigned char transaction[MAC_SIZE])
{
	uint32_t bits;

	memcpy(&bits, transaction, sizeof(bits));
	return (1LL << 62) | ((int64_t)(bits & 0x7fffffff) << 30);
}

static int64_t
lock_byte(const struct journal_row *row)
{
	uint32_t bits;

	memcpy(&bits, row->id, sizeof(bits));
	return bits & 0x3fffffff;
}

/* With the path still leading to the lock file that was locked, or once more. */
static enum rc
take_locks(struct journal *journal, int64_t base, const struct journal_row *rows, size_t n, int *fd,
	struct err *err)
{
	struct stat seen;
	enum rc rc;

	do {
		if (*fd >= 0)
			close(*fd);
		rc = journal_lock_open(journal, fd, err);
		if (rc != RC_OK)
			return rc;
		if (n > MANY_ROWS)
			rc = journal_lock_range(journal, *fd, base, 1LL << 30, false, err);
		for (size_t i = 0; rc == RC_OK && n <= MANY_ROWS && i < n; i++)
			rc = journal_lock_range(
				journal, *fd, base + lock_byte(&rows[i]), 1, false, err);
		if (rc == RC_NONE)
			return err_set(err, ERR_JOURNAL_BUSY, "held by another session");
		if (rc == RC_OK && fstat(*fd, &seen) != 0)
			rc = err_set(
				err, ERR_JOURNAL, "%s: %s", journal->lock_path, strerror(errno));
	} while (rc == RC_OK && !journal_file_is(journal->lock_path, &seen));
	return rc;
}

/* The rows' names and the transaction's, which is not written anywhere. */
static enum rc
name_rows(const unsigned char *key, const struct journal_mail *mail, struct journal_row *rows,
	int64_t *base, struct err *err)
{
	unsigned char transaction[MAC_SIZE], mac[MAC_SIZE];
	enum rc rc = mac_bytes(key, JOURNAL_KEY_SIZE, mail->name, mail->len, transaction, err);

	for (size_t i = 0; rc == RC_OK && i < mail->n; i++) {
		rc = mac_bytes(transaction, sizeof(transaction), mail->addrs[i],
			strlen(mail->addrs[i]), mac, err);
		memcpy(rows[i].id, mac, JOURNAL_ID_SIZE);
		rows[i].flags = 0;
	}
	*base = lock_base(transaction);
	return rc;
}

/*
 * What is written of a row's flags: they and 55 bits that only fit them, this row and this file. A
 * bit that a disk turned must not make somebody known who never got the message.
 */
static enum rc
seal_flags(
	const struct journal *journal, const struct journal_row *row, int64_t *out, struct err *err)
{
	unsigned char data[JOURNAL_ID_SIZE + 1], mac[MAC_SIZE];
	uint64_t bits;
	enum rc rc;

	memcpy(data, row->id, JOURNAL_ID_SIZE);
	data[JOURNAL_ID_SIZE] = (unsigned char)row->flags;
	rc = mac_bytes(journal->key, sizeof(journal->key), data, sizeof(data), mac, err);
	memcpy(&bits, mac, sizeof(bits));
	*out = (int64_t)(bits >> 9 << 8 | (row->flags & FLAGS_MASK));
	return rc;
}

static enum rc
check_flags(struct journal *journal, struct journal_row *row, int64_t sealed, struct err *err)
{
	int64_t want = 0;
	enum rc rc;

	row->flags = (unsigned)(sealed & FLAGS_MASK);
	rc = seal_flags(journal, row, &want, err);
	if (rc == RC_OK && want != sealed) {
		row->flags = 0;
		rc = journal_file_damaged(journal, err);
	}
	return rc;
}

static enum rc
read_row(struct journal *journal, struct journal_row *row, struct err *err)
{
	int64_t sealed = 0;
	int step;

	sqlite3_bind_blob(journal->get, 1, row->id, JOURNAL_ID_SIZE, SQLITE_STATIC);
	step = sqlite3_step(journal->get);
	if (step == SQLITE_ROW)
		sealed = sqlite3_column_int64(journal->get, 0);
	sqlite3_reset(journal->get);
	if (step == SQLITE_ROW)
		return check_flags(journal, row, sealed, err);
	return step == SQLITE_DONE ? RC_OK : journal_file_failed(journal, "reading", err);
}

/* In one transaction of SQLite's, which saves system calls. */
static enum rc
read_rows(struct journal *journal, struct journal_row *rows, size_t n, struct err *err)
{
	enum rc rc = RC_OK;

	if (sqlite3_exec(journal->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return journal_file_failed(journal, "reading", err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = read_row(journal, &rows[i], err);
	if (rc == RC_OK && sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		rc = journal_file_failed(journal, "reading", err);
	return rc;
}

enum rc
journal_hold(struct journal *journal, const struct journal_mail *mail, struct journal_row *rows,
	struct journal_hold **out, struct err *err)
{
	struct journal_hold *hold = calloc(1, sizeof(*hold));
	int64_t base = 0;
	enum rc rc;

	*out = NULL;
	if (!hold)
		return err_set(err, ERR_MEMORY, "journal");
	if (mail->n > JOURNAL_MAX_ROWS) {
		free(hold);
		return err_set(err, ERR_RCPT_LIMIT, "more than %u recipients", JOURNAL_MAX_ROWS);
	}
	hold->journal = journal;
	hold->fd = -1;
	pthread_mutex_lock(&journal->lock);
	rc = journal_file_ready(journal, err);
	if (rc == RC_OK) {
		memcpy(hold->key, journal->key, sizeof(hold->key));
		rc = name_rows(hold->key, mail, rows, &base, err);
	}
	if (rc == RC_OK)
		rc = take_locks(journal, base, rows, mail->n, &hold->fd, err);
	if (rc == RC_OK)
		rc = read_rows(journal, rows, mail->n, err);
	pthread_mutex_unlock(&journal->lock);
	if (rc == RC_OK)
		*out = hold;
	else
		journal_release(&hold);
	return rc;
}

enum rc
journal_look(struct journal *journal, const struct journal_mail *mail, struct journal_row *rows,
	struct err *err)
{
	int64_t base;
	enum rc rc;

	journal = journal->reader;
	pthread_mutex_lock(&journal->lock);
	rc = journal_file_ready(journal, err);
	if (rc == RC_OK)
		rc = name_rows(journal->key, mail, rows, &base, err);
	if (rc == RC_OK)
		rc = read_rows(journal, rows, mail->n, err);
	pthread_mutex_unlock(&journal->lock);
	return rc;
}

bool
journal_is_empty(struct journal *journal)
{
	bool empty = true;

	journal = journal->reader;
	pthread_mutex_lock(&journal->lock);
	if (journal_file_ready(journal, NULL) == RC_OK) {
		empty = sqlite3_step(journal->any) != SQLITE_ROW;
		sqlite3_reset(journal->any);
	}
	pthread_mutex_unlock(&journal->lock);
	return empty;
}

void
journal_release(struct journal_hold **hold)
{
	struct journal_hold *h = *hold;

	*hold = NULL;
	if (!h)
		return;
	if (h->fd >= 0)
		close(h->fd);
	secret_wipe(h->key, sizeof(h->key));
	free(h);
}

static enum rc
write_row(struct journal *journal, const struct journal_row *row, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = row->flags ? journal->put : journal->drop;
	int64_t sealed = 0;
	int step;

	if (row->flags && seal_flags(journal, row, &sealed, err) != RC_OK)
		return journal_file_failed(journal, "writing", err);
	sqlite3_bind_blob(stmt, 1, row->id, JOURNAL_ID_SIZE, SQLITE_STATIC);
	if (row->flags) {
		sqlite3_bind_int64(stmt, 2, sealed);
		sqlite3_bind_int64(stmt, 3, now);
	}
	step = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	if (step != SQLITE_DONE)
		return journal_file_failed(journal, "writing", err);
	return RC_OK;
}

static enum rc
write_rows(struct journal *journal, const struct journal_row *rows, size_t n, int64_t now,
	struct err *err)
{
	enum rc rc;

	if (sqlite3_exec(journal->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return journal_file_failed(journal, "writing", err);
	rc = now > 0 ? journal_file_sweep(journal, now, err) : RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = write_row(journal, &rows[i], now, err);
	if (rc == RC_OK && sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		rc = journal_file_failed(journal, "writing", err);
	if (rc == RC_OK)
		journal->written += (int64_t)n;
	return rc;
}

enum rc
journal_put(struct journal_hold *hold, const struct journal_row *rows, size_t n, int64_t now,
	struct err *err)
{
	struct journal *journal = hold->journal;
	enum rc rc;

	if (n == 0)
		return RC_OK;
	pthread_mutex_lock(&journal->lock);
	rc = fault(journal, false, err);
	if (rc == RC_OK)
		rc = journal_file_ready(journal, err);
	if (rc == RC_OK && memcmp(hold->key, journal->key, sizeof(hold->key)) != 0)
		rc = err_set(err, ERR_JOURNAL, "%s: was replaced", journal->path);
	if (rc == RC_OK)
		rc = write_rows(journal, rows, n, now, err);
	if (rc == RC_OK)
		rc = fault(journal, true, err);
	pthread_mutex_unlock(&journal->lock);
	return rc;
}

static bool
read_stats(sqlite3 *db, struct journal_stats *out)
{
	static const char sql[] =
		"SELECT count(*), total(flags & 255 = 1), ifnull(min(touched), 0) "
		"FROM rows";
	sqlite3_stmt *stmt = NULL;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		  sqlite3_step(stmt) == SQLITE_ROW;

	if (ok) {
		out->entries = sqlite3_column_int64(stmt, 0);
		out->doubtful = sqlite3_column_int64(stmt, 1);
		out->oldest = sqlite3_column_int64(stmt, 2);
	}
	sqlite3_finalize(stmt);
	return ok;
}

enum rc
journal_stats(const char *path, struct journal_stats *out, struct err *err)
{
	sqlite3 *db = NULL;
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return RC_NONE;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
		!read_stats(db, out))
		rc = err_set(
			err, ERR_JOURNAL, "%s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
	sqlite3_close(db);
	return rc;
}
