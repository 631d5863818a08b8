/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token.h - tokens (PKCS#11): each one's module in a process of its own, and what is asked of it
 *
 * A token of the configuration (section "tokens") is known by its label. Its module is loaded by a
 * process that is started from this same program (token_process.c), logs in once, and is asked over
 * sockets, one for each of tokens.sessions, so that as many uses go on at a time. Who does not
 * answer within tokens.timeout is killed; from then on every use of the token's keys fails at once
 * with ERR_TOKEN, until a thread in the background has a new process logged in. So a token that is
 * stuck or was pulled out costs others one timeout, and comes back by itself. A PIN that was
 * refused is never tried again: a token locks after three. It takes another PIN, by tokens_set, or
 * a restart.
 *
 * There is one set of tokens in a process. Threads: any.
 * Limits: TOKENS_MAX tokens, TOKEN_SESSIONS_MAX sessions each.
 */
#ifndef CRYPTO_TOKEN_H
#define CRYPTO_TOKEN_H

#include "base/conf.h"
#include "base/secret.h"
#include "crypto/token_uri.h"
#include "crypto/token_wire.h"

#include <sys/types.h>

#define TOKENS_MAX         16u
#define TOKEN_SESSIONS_MAX 32u

/* The tokens of CONF; those that are there already go on. Reads the PINs: as root where the files
 * are root's. What cannot be read later on stays as it was. OWNER: whose PIN files may be besides
 * ours and root's. */
enum rc tokens_set(const struct conf *conf, uid_t owner, struct err *err);
/* Asks for PINs of "ask"; NULL: nobody can be asked. */
typedef enum rc token_prompt(const char *text, struct secret **out, struct err *err);
void tokens_set_prompt(token_prompt *prompt);
/* From now on processes are started, and started again, in the background. */
void tokens_start(void);
void tokens_stop(void); /* ends all processes */

/* ERR_TOKEN: a use would fail now. */
enum rc token_ready(const struct token_uri *uri, struct err *err);
struct token_use { /* one operation with a key; all borrowed */
	const struct token_uri *uri;
	enum wire_op op;
	unsigned param;
	const void *data;
	size_t len;
};
/*
 * *status is WIRE_OK, WIRE_REFUSED or WIRE_UNSUPPORTED when the token answered (RC_OK); everything
 * else is ERR_TOKEN. OUT has room for *out_len bytes.
 */
enum rc token_call(const struct token_use *use, enum wire_status *status, unsigned char *out,
	size_t *out_len, struct err *err);
/* A line for each private key of the token LABEL: type, id in hex, label, with tabs. */
enum rc token_list(const char *label, struct buf *out, struct err *err);

struct token_state {
	const char *name;  /* borrowed until tokens_stop */
	const char *state; /* "up", "down", "starting", "pin-refused", "unused" */
	char why[200];
};
size_t tokens_list(struct token_state out[TOKENS_MAX]);
bool tokens_refuse_pin(void); /* has one of them refused its PIN? */

/* In main, before anything else: is this the process of a token? Then it is all that main does. */
#define TOKEN_PROCESS_WORD "--token-process"
bool token_process_is_wanted(int argc, char **argv);
int token_process_main(char **argv);

#endif
