/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_private.h - a token as token.c (its life) and token_use.c (what is asked of it) see it
 */
#ifndef CRYPTO_TOKEN_PRIVATE_H
#define CRYPTO_TOKEN_PRIVATE_H

#include "crypto/token.h"
#include "crypto/token_channel.h"
#include "crypto/token_trouble.h"

#include <pthread.h>
#include <stdatomic.h>

enum token_condition { TOKEN_UNUSED, TOKEN_STARTING, TOKEN_UP, TOKEN_DOWN, TOKEN_PIN_REFUSED };

struct token {
	struct process_spec spec;
	char *pin_spec;
	int64_t timeout_ms;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t idle;  /* a session, or the state, changed */
	enum token_condition state;
	char why[200];
	struct secret *pin;
	struct process *process; /* TOKEN_UP only */
	struct token_troubles troubles;
	unsigned failures; /* in a row, of whatever keys, with no use that was good */
	bool keeper;       /* a thread is starting it, or waits to */
	bool gone;         /* no longer in the configuration */
};

extern const char *const token_state_names[];
extern atomic_bool token_background; /* processes are started by threads, not by who wants one */

/* The token of the configuration; borrowed: tokens stay until the process ends. ERR_TOKEN. */
enum rc token_find(const char *label, struct token **out, struct err *err);
/* One start; with the token's lock, which is free meanwhile. */
void token_begin(struct token *token);
/* PROCESS, if still the token's, is of no use any more; with the token's lock. */
void token_go_down(struct token *token, struct process *process, const char *why);

#endif
