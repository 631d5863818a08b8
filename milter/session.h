/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - one connection of the MTA, message after message, without libmilter's types
 *
 * What the MTA said is put into a transaction; at the end of the message the pipeline is run.
 * Header and body are not answered, so trouble there is kept and becomes the answer to the end of
 * the message.
 *
 * Threads: one at a time; which one may change between calls.
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include "milter/daemon.h"

#include <sys/socket.h>

struct session;

struct reply {
	int code;     /* 0: nothing to say, go on */
	bool discard; /* copies went out: the message itself is thrown away */
	char enhanced[12];
	char text[400]; /* ASCII without line ends */
};

/* LEADSPC: header values come and go with their leading blanks. */
struct session *
session_new(struct daemon *daemon, bool leadspc, unsigned long actions); /* or NULL */
void session_free(struct session **session);
/* CLIENT: NULL, its address is unknown. NAME: its host name. HOST: the MTA's own name, or NULL. */
void session_connect(
	struct session *session, const struct sockaddr *client, const char *name, const char *host);
void session_helo(struct session *session, const char *helo);

/* ARGV: address and ESMTP parameters, as libmilter has them. IDENTITY: SASL login or NULL. */
/* CERT: the SMTP client's certificate. What is wrong is said at the first recipient: nobody waits
 * for an answer to MAIL. */
void session_mail(
	struct session *session, char **argv, const char *identity, const struct client_cert *cert);
/* MAIL came without what it needs: the message is deferred. */
void session_no_mail(struct session *session);
void session_rcpt(struct session *session, char **argv, struct reply *reply);
void session_header(struct session *session, const char *name, const char *value);
void session_body(struct session *session, const void *data, size_t len);
/*
 * Runs the pipeline. A result means: apply it (it has been checked that it can be), then call
 * session_reset; NULL: REPLY says why not, or that copies went out instead.
 */
struct result *
session_finish(struct session *session, const char *qid, struct minded *task, struct reply *reply);
/* The message is over, in whichever way. */
void session_reset(struct session *session);

bool session_leadspc(const struct session *session);
const char *session_qid(const struct session *session);
/* Sender with <> and ESMTP parameters for a new RET=, keeping ENVID=. */
const char *session_sender(const struct session *session);
enum rc
session_ret_args(const struct session *session, const char *ret, struct buf *out, struct err *err);

#endif
