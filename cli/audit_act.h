/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_act.h - one line of the auditor's report: who did what with which key
 */
#ifndef CLI_AUDIT_ACT_H
#define CLI_AUDIT_ACT_H

#include "cli/audit.h"

enum report_format { REPORT_TEXT, REPORT_CSV, REPORT_JSON };

enum act_outcome { ACT_UNKNOWN, ACT_DONE, ACT_FAILED };

/* Names that the vault told. */
struct act_names {
	const struct audit_filter *filter; /* pseudonyms of the addresses that were asked for */
	void *owners;                      /* of keys; filled by act_names_load */
	size_t n_owners;
};
/* The owners of all keys; needs the right to read them. */
enum rc act_names_load(struct act_names *names, struct cli *cli, struct err *err);
void act_names_fini(struct act_names *names);

/* Where acts are written; all borrowed. */
struct act_writer {
	enum report_format format;
	const struct act_names *names;
	struct buf *out;
	struct json *json; /* REPORT_JSON: over OUT, with an array open */
};
enum rc act_header(const struct act_writer *w, struct err *err);
/* The act of the record LINE. */
enum rc act_write(const struct act_writer *w, const char *line, size_t len,
	enum act_outcome outcome, struct err *err);

/* Who could open mail to ADDR at TIME. The exit status. */
int audit_could(struct cli *cli, const char *addr, int64_t time, enum report_format format);

#endif
