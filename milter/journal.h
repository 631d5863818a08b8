/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h - what became of the recipients of transactions that are not finished
 *
 * One small row for each recipient of an unfinished transaction, in a SQLite file that all
 * services' processes on a machine share. A row's name is a keyed hash of the transaction and the
 * recipient, the key is random and stays in the file: no address and no text of a mail is there.
 * Losing rows is never losing mail: a retry then sends again what had been accepted.
 *
 * So the file heals itself. Damaged, it is moved aside (PATH.damaged); deleted, a new one is made;
 * with a full disk, writing fails. In each case the messages at hand are deferred, ERR_JOURNAL,
 * with a line in the log, and the next one goes on. Rows older than max_age, and the oldest ones
 * past max_entries, are removed and logged; a retry that comes after that sends to all again. A
 * file that is somebody else's is never touched: all that need the journal are deferred until that
 * is mended.
 *
 * Threads: any; and any number of processes of one machine.
 * Limits:  max_age, max_entries. A hold's recipients: JOURNAL_MAX_ROWS.
 */
#ifndef MILTER_JOURNAL_H
#define MILTER_JOURNAL_H

#include "base/conf.h"

#define JOURNAL_ID_SIZE  16u
#define JOURNAL_MAX_ROWS 65536u

struct journal;
struct journal_hold; /* a transaction's recipients, held against everybody else */

struct journal_conf {
	const char *path;    /* the locks are beside it in PATH.lock */
	int64_t max_age;     /* seconds since a row was last touched */
	int64_t max_entries; /* rows */
	bool unsynced;       /* tests only: not durable when the machine dies */
};

enum {
	JOURNAL_BEGUN = 1,    /* was handed to the port; alone: nobody knows what became of it */
	JOURNAL_ACCEPTED = 2, /* the port has it */
	JOURNAL_REPORTED = 4, /* the sender has a DSN about it */
	JOURNAL_NOTICED = 8   /* the sender has a notice about it */
};

struct journal_row {
	unsigned char id[JOURNAL_ID_SIZE];
	unsigned flags; /* 0: there is no row */
};

struct journal_conf journal_conf_of(const struct conf *conf); /* section "journal" */
/* Opens nothing yet, and fails for want of memory only. */
enum rc journal_new(const struct journal_conf *conf, struct journal **out, struct err *err);
void journal_free(struct journal **journal);
/* Opens it, makes it when it is not there: for a warning at start. */
enum rc journal_probe(struct journal *journal, struct err *err);

struct journal_mail {     /* a transaction; all borrowed */
	const void *name; /* that tells it from all others */
	size_t len;
	const char *const *addrs; /* its recipients */
	size_t n;
};
/*
 * Holds the recipients and gives ROWS[i] its id and flags. ERR_JOURNAL_BUSY: another session or
 * process works on one of them; a hold ends with the process that had it, whichever way that died.
 * No address twice.
 */
enum rc journal_hold(struct journal *journal, const struct journal_mail *mail,
	struct journal_row *rows, struct journal_hold **out, struct err *err);
/* The same without holding them: what is there at this moment. Addresses may repeat. */
enum rc journal_look(struct journal *journal, const struct journal_mail *mail,
	struct journal_row *rows, struct err *err);
/* Is there no row at all? A journal that can't be asked is empty. */
bool journal_is_empty(struct journal *journal);
/* Makes ROWS durable, all or none, as touched at NOW (0 where rows only go). After anything but
 * RC_OK the transaction must be deferred; ERR_JOURNAL also when the file was replaced since the
 * hold was taken. */
enum rc journal_put(struct journal_hold *hold, const struct journal_row *rows, size_t n,
	int64_t now, struct err *err);
void journal_release(struct journal_hold **hold);

struct journal_stats {
	int64_t entries;  /* rows */
	int64_t doubtful; /* begun, and nobody knows */
	int64_t oldest;   /* when the oldest was last touched; 0: none */
};
/* For `check`: RC_NONE when there is no file. */
enum rc journal_stats(const char *path, struct journal_stats *out, struct err *err);

/* Tests only: asked before (DONE false) and after each durable step what happens there. */
enum journal_fault {
	JOURNAL_NO_FAULT,
	JOURNAL_FAIL, /* the step fails, or fails to say that it is done */
	JOURNAL_CRASH /* nothing more is done until the journal is freed */
};
void journal_set_fault(
	struct journal *journal, enum journal_fault (*fault)(void *ctx, bool done), void *ctx);

#endif
