/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_channel.h - starting, asking and ending the process that a token's module lives in
 *
 * For token.c, which says who may do what when: refs and busy are under the token's lock.
 */
#ifndef CRYPTO_TOKEN_CHANNEL_H
#define CRYPTO_TOKEN_CHANNEL_H

#include "crypto/token.h"

/* What it is started with. */
struct process_spec {
	char *name, *module;
	char *user, *group; /* that it becomes when we are root */
	size_t sessions;
};

/* A process, as long as somebody talks to it. */
struct process {
	int refs;        /* under the token's lock, as BUSY */
	uint64_t serial; /* no two have the same */
	pid_t pid;
	int control;
	int fds[TOKEN_SESSIONS_MAX];
	bool busy[TOKEN_SESSIONS_MAX];
	size_t n;
};

/* NULL: errno says why. */
struct process *process_new(const struct process_spec *spec);
void process_unref(struct process *p);
/* Whoever waits for an answer gets an end. */
void process_kill(struct process *p);

/* Length of the packet; 0: it is too long. URI may be NULL. */
size_t process_request(unsigned char packet[WIRE_MAX], enum wire_op op, unsigned param,
	const struct token_uri *uri, const void *data, size_t len);
/* One exchange by the time UNTIL (monotonic). ANSWER has WIRE_MAX bytes. False: no answer. */
bool process_exchange(int fd, const unsigned char *packet, size_t len, int64_t until,
	unsigned char *answer, size_t *answer_len);

#endif
