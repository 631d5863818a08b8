/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.h - what the files of sealgate key … share
 */
#ifndef CLI_KEY_H
#define CLI_KEY_H

#include "cli/answer.h"

extern const struct command key_renew, key_expiring, key_revoke;
extern const struct command key_token, key_import, key_held, key_pin, key_import_certs, key_request;
extern const struct command key_bulk;

/* The keys of an answer as lines, or the answer as JSON. */
int key_print(const struct cli *cli, const struct json_value *answer);
/* Says that a certificate ends with the CA, earlier than wanted, when the answer has it. */
void key_note_limit(const struct json_value *answer);

/* "30d", "12h", "5m", "90s", "2w"; a bare number is refused, for who writes 30 means days. */
bool cmd_age(const char *text, int64_t *seconds);
/* Each key whose last certificate ends within so many seconds and that has no successor; EACH
 * returns whether to go on. */
int key_each_due(struct admin_session *session, int64_t within,
	bool (*each)(void *ctx, const struct json_value *due), void *ctx);

#endif
