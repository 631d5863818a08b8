/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.h - asking the vault's operator side and showing what it says
 */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "base/secret.h"
#include "cli/cmd.h"

/* A request being written: members are added to JSON, then it is asked. */
struct admin_session;
struct asking {
	struct buf text;
	struct json json;
};
void asking_begin(struct asking *asking, const char *cmd);
/* Ends it: its text is the request, for admin_ask; buf_fini it afterwards. */
enum rc asking_end(struct asking *asking, struct err *err);
/* Sends it. BLOB may be NULL. *answer is owned by the caller. The asking is gone afterwards. */
enum rc asking_send(struct asking *asking, struct conf *conf, struct secret *blob,
	struct json_value **answer, struct err *err);
/* The same within a session of many. */
enum rc asking_send_in(struct asking *asking, struct admin_session *session,
	struct json_value **answer, struct err *err);

/* The parsed value as one line of JSON on standard output. */
int answer_print_json(const struct json_value *answer, int status);
/* VALUE under KEY (NULL in an array and at the top). */
void answer_put(struct json *json, const char *key, const struct json_value *value);

/* Asks the vault CMD about the address ADDR; *answer is the caller's. */
enum rc answer_about(const struct cli *cli, const char *cmd, const char *addr,
	struct json_value **answer, struct err *err);

#endif
