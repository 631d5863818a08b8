/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_report.h - what became of each file of a run, and how far it got
 *
 * One line for each key or file on standard output, or in the file of --report (then fields are
 * separated by tabs); with --json one object in each line, the last one with the counts. Progress
 * goes to standard error: a bar on a terminal, otherwise a line now and then.
 */
#ifndef CLI_IMPORT_REPORT_H
#define CLI_IMPORT_REPORT_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>

enum import_result {
	RESULT_IMPORTED,
	RESULT_KNOWN,
	RESULT_HELD,
	RESULT_SKIPPED,
	RESULT_FAILED,
	RESULTS
};

struct import_report {
	FILE *file; /* --report; NULL: standard output */
	bool json, terminal;
	size_t total, done; /* files */
	size_t counts[RESULTS];
	int64_t shown; /* when the bar was drawn last */
	bool broken;   /* the report cannot be written */
};

/* One line; what is NULL is left out. */
struct import_line {
	enum import_result result;
	const char *file, *address, *key, *purpose, *status;
	const char *held;
	const char *error;  /* its name */
	const char *detail; /* for people */
};

/* PATH NULL: standard output. The file is made anew, for its owner only. */
enum rc import_report_open(
	struct import_report *report, const char *path, bool json, size_t total, struct err *err);
void import_report_put(struct import_report *report, const struct import_line *line);
/* One more file is done. */
void import_report_step(struct import_report *report);
/* The counts, and the end of the bar. ERR_FILE: something of the report was not written. */
enum rc import_report_close(struct import_report *report, bool interrupted, struct err *err);

#endif
