/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mta_log.h - lines of a mail log: what Postfix, Sendmail and our milter say of a queue id
 *
 * In front stands a time as logline.h has it, then the machine, then "PROGRAM[PID]: ". Postfix and
 * Sendmail go on with "QUEUEID: " and what happened; ours with "qid=QUEUEID event=…". Programs of
 * the MTA may have any name (syslog_name), so a line is the MTA's by what it says.
 *
 * Limits: MTA_LOG_LINE bytes of a line are looked at, MTA_LOG_LINES lines, MTA_LOG_QIDS queue ids.
 */
#ifndef CLI_MTA_LOG_H
#define CLI_MTA_LOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTA_LOG_LINE  16384u
#define MTA_LOG_LINES 500000000u
#define MTA_LOG_QIDS  10000000u
#define MTA_LOG_QID   40

/* OTHER: no line of a log, PROGRAM: about no message that we could name. */
enum mta_log_what { MTA_LOG_OTHER, MTA_LOG_PROGRAM, MTA_LOG_MTA, MTA_LOG_OURS };
struct mta_log_line {
	enum mta_log_what what;
	int64_t time;          /* seconds; -1: not to be read */
	char qid[MTA_LOG_QID]; /* MTA, OURS: "" when the line is about no message */
	bool sent;             /* MTA: delivered to somebody, or handed on */
	bool key;              /* OURS: done with a key: signed, or opened */
	bool notice;           /* OURS: about a notice, whose signature claims no message */
};
/* LINE, ended by a NUL, is changed. NOW is for times without a year. */
void mta_log_parse(char *line, int64_t now, struct mta_log_line *out);

/* Reads PATH ("-": standard input) and calls EACH for all but OTHER lines. ERR_FILE;
 * ERR_USAGE: it is compressed; ERR_LIMIT. */
typedef enum rc mta_log_each(void *ctx, const struct mta_log_line *line, struct err *err);
enum rc mta_log_read(const char *path, int64_t now, mta_log_each *each, void *ctx, uint64_t *lines,
	struct err *err);

#endif
