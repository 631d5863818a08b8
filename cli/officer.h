/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * officer.h - what the commands about acts of two persons share
 */
#ifndef CLI_OFFICER_H
#define CLI_OFFICER_H

#include "cli/answer.h"

#define OFFICER_FILE_MAX (1u << 20)

extern const struct command officer_requests, officer_show, officer_sign, officer_approve,
	officer_withdraw, officer_run;
extern const struct command key_export, key_delete, audit_open;

/* Options that every command has that may make a request, or be the run of one. */
struct officer_act {
	const char *reason, *hours, *request;
};
#define OFFICER_ACT_OPTS 3
#define OFFICER_ACT_DETAILS                                                  \
	"  --reason TEXT      for the officers to read\n"                    \
	"  --hours N          how long they have; default 24, at most 168\n" \
	"  --request REQUEST  carry out what was asked for before and is approved\n"
void officer_act_opts(struct officer_act *act, struct cmd_opt *opts);
/* Reason and hours as members. False: *status is 64, and it was said. */
bool officer_act_put(const struct command *command, const struct officer_act *act,
	struct asking *asking, int *status);
/* Is ANSWER a request that waits for officers? Then says so. */
bool officer_is_request(const struct json_value *answer);
int officer_print_request(const struct cli *cli, const struct json_value *answer);
/* Sends an act's command. When the answer is a request that waits for officers, says so and *made
 * is true. */
int officer_ask(struct cli *cli, struct asking *asking, struct secret *blob,
	struct json_value **answer, bool *made);
struct officer_run {
	const char *request;
	const char *act;     /* that it has to be for ("key.export"); NULL: any */
	struct secret *blob; /* or NULL */
};
/* Runs a request; *answer and *result for the caller. False: *status, and it was said. */
bool officer_run_request(struct cli *cli, const struct officer_run *run, struct json_value **answer,
	struct secret **result, int *status);
/* The same where SHOW tells all that comes of it. */
typedef int officer_show_answer(const struct cli *cli, const struct json_value *answer);
int
officer_run_shown(struct cli *cli, const char *request, const char *act, officer_show_answer *show);
/* The same as a command: `officer run`. */
int officer_carry_out(struct cli *cli, const char *request, const char *act, const char *out,
	const char *password);

/* A password: the first line of the file PATH, or (NULL) asked for on the terminal; TWICE: a new
 * one. RC_NONE: there is no terminal. */
enum rc officer_password(
	const char *path, const char *prompt, bool twice, struct secret **out, struct err *err);
/* RESULT to the new file PATH, mode 0600, or (NULL) to standard output, if that is no terminal. */
int officer_write(const char *path, struct secret *result);
/* PATH as text that JSON can carry (PEM; a DER certificate becomes PEM): member NAME. */
enum rc officer_put_cert(struct json *json, const char *name, const char *path, struct err *err);

#endif
