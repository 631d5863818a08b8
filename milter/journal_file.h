/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal_file.h - inside the journal: its file, how it is opened, swept and replaced
 */
#ifndef MILTER_JOURNAL_FILE_H
#define MILTER_JOURNAL_FILE_H

#include "milter/journal.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define JOURNAL_KEY_SIZE 32u

struct journal {
	struct journal_conf conf;
	char *path, *lock_path;
	pthread_mutex_t lock; /* for all below */
	sqlite3 *db;          /* NULL: not open now */
	sqlite3_stmt *get, *put, *drop, *any;
	struct stat seen;                    /* the file behind DB */
	unsigned char key[JOURNAL_KEY_SIZE]; /* of that file */
	bool opened;                         /* once, so that a missing file was there */
	int file_lock;                       /* descriptor, while the file is opened; or -1 */
	int64_t swept_at;                    /* when rows were last removed for age or number */
	int64_t written;                     /* rows since then */
	struct journal *reader; /* a second one on the same file, for those who only look: they
				   need not wait for somebody's fsync; NULL in itself */
	bool dead;              /* a test's crash */
	enum journal_fault (*fault)(void *ctx, bool done);
	void *fault_ctx;
};

/* DB is open on the file that is at the path now. Under the lock, as all here. */
enum rc journal_file_ready(struct journal *journal, struct err *err);
/* What SQLite said about WHAT, as ERR_JOURNAL; a damaged file is moved aside. Closes DB. */
enum rc journal_file_failed(struct journal *journal, const char *what, struct err *err);
/* The same for damage that SQLite does not see. */
enum rc journal_file_damaged(struct journal *journal, struct err *err);
void journal_file_close(struct journal *journal);
/* Removes rows that are too old, and the oldest when there are too many; within a transaction. */
enum rc journal_file_sweep(struct journal *journal, int64_t now, struct err *err);
/* A descriptor of PATH.lock: what is locked through it is free again when it is closed. */
enum rc journal_lock_open(const struct journal *journal, int *fd, struct err *err);
/* LEN bytes of it from START, exclusively. RC_NONE: somebody else has them. */
enum rc journal_lock_range(const struct journal *journal, int fd, int64_t start, int64_t len,
	bool wait, struct err *err);
/* True when PATH is the file that SEEN tells of. */
bool journal_file_is(const char *path, const struct stat *seen);

#endif
