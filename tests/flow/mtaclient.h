/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtaclient.h - the MTA's side of the milter protocol, for tests
 *
 * Speaks protocol versions 2 to 6 as Postfix does: negotiation with everything offered, macros
 * before each command (only those that the milter asked for), header fields one by one, the body in
 * chunks of 65535 bytes, no waiting where NR_* was agreed. What the milter asks for at the end of a
 * message is applied to the message at once, as Postfix's cleanup(8) does, so that a milter that
 * dies leaves here what it would leave there. It uses nothing of sealgate: it is the independent
 * other side.
 *
 * Memory:  everything in a struct mta_message and mta_reply belongs to it; *_fini frees it.
 * Threads: one struct mta by one thread at a time; any number of them side by side.
 * Trouble of the milter's (connection lost, packets that break the protocol) is an answer, not an
 * error: code 451 with the trouble in text, as an MTA with "tempfail" would say.
 */
#ifndef TESTS_FLOW_MTACLIENT_H
#define TESTS_FLOW_MTACLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTA_MAX_RCPTS  4000
#define MTA_MAX_MACROS 32

struct mta_macro {
	char stage; /* the command it is sent before: 'C', 'H', 'M', 'R', 'T', 'N', 'E' */
	const char *name;
	const char *value;
};

/* What is offered and said of the SMTP client; mta_options_init gives Postfix's. Borrowed strings.
 */
struct mta_options {
	const char *socket;      /* "unix:PATH" or "inet:PORT@ADDRESS" */
	uint32_t version;        /* 6 */
	uint32_t actions;        /* 0x1ff */
	uint32_t protocol;       /* 0x1fffff */
	const char *client_name; /* NULL: no connect packet */
	const char *client_addr; /* IPv4 or IPv6 as text; NULL: unknown */
	int client_port;
	const char *helo;
	struct mta_macro macros[MTA_MAX_MACROS]; /* beside the usual ones */
	size_t n_macros;
	char lose_macros;  /* no macros come with this command; 0: with all */
	int timeout_ms;    /* for each answer, begun anew by a progress packet */
	int64_t cut_after; /* bytes sent on the connection after which it is cut; -1: never */
	char inject_stage; /* before this command send the bytes of inject; 0: never */
	const void *inject;
	size_t inject_len;
};

struct mta_header {
	char *name;
	char *value; /* after the colon, with leading blanks and "\n" inside */
	bool own;    /* the MTA's own Received:, which milters do not see */
};

struct mta_rcpt {
	char *addr; /* as in RCPT TO, with <> */
	char *args; /* "NOTIFY=SUCCESS ORCPT=…" or NULL */
	bool refused;
};

struct mta_message {
	char *sender;
	char *sender_args; /* "RET=FULL ENVID=x" or NULL */
	struct mta_rcpt *rcpts;
	size_t n_rcpts;
	struct mta_header *headers;
	size_t n_headers;
	char *body; /* with CRLF */
	size_t body_len;
	const char *identity; /* {auth_authen}; borrowed, NULL: none */
	const char *qid;      /* borrowed; NULL: one is made */
};

struct mta_reply {
	char stage;   /* the command that was answered: 'C' … 'E' */
	int code;     /* 250, 451, 550 … */
	char *text;   /* whole line with code */
	bool changed; /* a modification came */
	bool discarded;
	bool lost; /* the connection is gone or out of step */
	bool body_changed;
	unsigned progress; /* packets that said "still at it" */
	unsigned n_actions;
	char actions[4000]; /* letters of the actions in their order, the first of them */
	char *quarantine;   /* reason or NULL */
};

struct mta; /* one connection to a milter */

void mta_options_init(struct mta_options *options, const char *socket);

/* Connects and negotiates; NULL with WHY filled when that failed. */
struct mta *mta_open(const struct mta_options *options, char why[200]);
/* CONNECT and HELO; false: refused or lost, see REPLY. */
bool mta_hello(struct mta *mta, struct mta_reply *reply);
/* Only the envelope, up to the last RCPT: false when MAIL or all recipients were refused. */
bool mta_envelope(struct mta *mta, struct mta_message *message, struct mta_reply *reply);
/* Header, body and end of message after mta_envelope; MESSAGE becomes what the MTA would have. */
void mta_content(struct mta *mta, struct mta_message *message, struct mta_reply *reply);
/* All of it: mta_envelope and mta_content; true for 2xx. */
bool mta_send(struct mta *mta, struct mta_message *message, struct mta_reply *reply);
void mta_abort(struct mta *mta);
/* A polite QUIT; and without one. Both free. */
void mta_quit(struct mta **mta);
void mta_cut(struct mta **mta);
uint32_t mta_protocol(const struct mta *mta); /* as agreed */
uint32_t mta_actions(const struct mta *mta);
int64_t mta_bytes_sent(const struct mta *mta);

/* From the text of a message file with LF or CRLF line ends (decided by the first). */
bool mta_message_parse(struct mta_message *message, const char *data, size_t len);
bool mta_message_read(struct mta_message *message, const char *path);
void mta_message_sender(struct mta_message *message, const char *sender, const char *args);
void mta_message_rcpt(struct mta_message *message, const char *rcpt, const char *args);
struct mta_message *mta_message_copy(const struct mta_message *message);
/* The message as the next hop would get it, without the MTA's own Received:. Line ends CRLF, or
 * LF. The result is malloc'ed and ends in a NUL that is not counted. */
char *mta_message_format(const struct mta_message *message, bool lf, size_t *len);
/* First field of that name, any case, or NULL. */
const char *mta_message_header(const struct mta_message *message, const char *name);
void mta_message_fini(struct mta_message *message);
void mta_reply_fini(struct mta_reply *reply);

#endif
