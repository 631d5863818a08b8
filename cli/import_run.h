/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_run.h - many key files into the vault, one after the other
 *
 * Each file is one request, whole or not at all, and what is in already is known when it comes
 * again: so a run may be interrupted anywhere, and repeated. What is nobody's fault but the vault's
 * or the disk's ends the run, since the next file would fare no better.
 */
#ifndef CLI_IMPORT_RUN_H
#define CLI_IMPORT_RUN_H

#include "cli/cmd.h"
#include "cli/import_report.h"
#include "cli/key_files.h"
#include "keystore/admin.h"

#define PASSWORDS_MAX 1000

struct passwords_list {
	struct secret *v[PASSWORDS_MAX]; /* owned */
	size_t n;
};
/* FIRST: the first line only. ERR_USAGE, ERR_LIMIT, ERR_FILE. */
enum rc passwords_read(const char *path, bool first, struct passwords_list *out, struct err *err);
void passwords_list_fini(struct passwords_list *list);

struct import_options {
	const char *address, *name, *kind; /* NULL: not given */
	bool client_key, foreign, hold;
};

struct import_run {
	struct admin_session *session;
	struct key_files *files;
	const struct import_options *options;
	const struct passwords_list *passwords; /* tried for each file */
	struct import_report report;
	size_t *certs; /* files named one by one with nothing but certificates */
	size_t n_certs;
	size_t last; /* the first password of the chunk that fitted last */
	enum rc rc;  /* what ended the run */
	struct err err;
	enum rc worst;   /* the first failure of a file, for the exit status */
	bool unreadable; /* it was that a file could not be read */
};

/* One file of the list. ADDRESS and PIN override the options'; NULL: theirs. */
void import_run_file(struct import_run *run, size_t i, const char *address, struct secret *pin);
/* A line of a table names a file that is not there, or nothing that can be used. */
void import_run_fail(struct import_run *run, const char *name, const struct err *why);
/* What goes with a file; all borrowed, and may be NULL. */
struct import_with {
	const struct admin_bytes *certs; /* in files of their own */
	size_t n_certs;
	struct secret *pin;
	const char *address; /* NULL: the options' */
	const char *label;   /* where it is held */
};
/* The request for one file: ANSWER is the caller's. */
enum rc import_send(struct import_run *run, struct secret *file, const struct import_with *with,
	struct json_value **answer, struct err *err);
/* Looks for files with nothing but certificates among those that were named. */
enum rc import_run_prepare(struct import_run *run, struct err *err);
void import_run_fini(struct import_run *run);

/* SIGINT and SIGTERM end a run between two files; a second one at once. */
void import_catch_stop(void);
bool import_stopped(void);

/* --- import_answer.c --- */
/* A line of the report for each key that the file NAME brought. */
void import_report_answer(
	struct import_report *report, const char *name, const struct json_value *answer);
/* The keys as key list shows them, notes on standard error; EX_OK, or EX_DATAERR: all were left
 * out. */
int import_tell(const struct cli *cli, const char *name, const struct json_value *answer);

#endif
