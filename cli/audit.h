/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit.h - what the files of sealgate audit … share
 */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "cli/answer.h"
#include "keystore/ledger_read.h"

extern const struct command audit_show, audit_search, audit_export, audit_report;
extern const struct command audit_verify, audit_anchor, audit_retire, audit_erase;

/* The ledger's folder: --dir, or the configuration's. False: *status is what to return. */
bool audit_dir(const struct command *command, struct cli *cli, const char *opt, const char **dir,
	int *status);

/* TEXT (NULL: not given) of the option --NAME in the form of the records' times. False: 64, said.
 */
bool audit_time(const struct command *command, const char *name, const char *text,
	char out[CLOCK_TEXT_SIZE], const char **set, int *status);

#define AUDIT_MAX_PERIODS 1200 /* a hundred years */

/* Which records are wanted. Zeros: all. */
struct audit_filter {
	const char *key, *qid, *type, *event, *service;
	const char *since, *until; /* RFC 3339; times of records have the same form */
	char since_text[CLOCK_TEXT_SIZE], until_text[CLOCK_TEXT_SIZE];
	uint64_t seq;
	/* pseudonyms of an address; any of them */
	char pseudonyms[AUDIT_MAX_PERIODS][LEDGER_PSEUDONYM_SIZE];
	size_t n_pseudonyms;
	bool by_address;
};

/* Calls EACH for each record that FILTER (NULL: all) lets through, with its parsed line. RC_NONE
 * from EACH ends it. */
typedef enum rc audit_each(void *ctx, const char *line, size_t len,
	const struct ledger_line *prefix, const struct json_value *record, struct err *err);
enum rc audit_walk(const char *dir, const struct audit_filter *filter, audit_each *each, void *ctx,
	struct err *err);

#endif
