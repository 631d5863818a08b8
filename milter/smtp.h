/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp.h - hands a message on to the re-injection port, and says exactly who got it
 *
 * One port is configured (section "port"): an MTA of ours behind sealgate, reached over a unix
 * socket, loopback, or TLS. Every recipient ends with a reply code of its own. "The message was
 * sent whole and no reply came" (in doubt) is told apart from "nobody got it": after the first the
 * port may have taken the message, so that sending again may make a duplicate.
 *
 * Nothing that comes from a mail reaches the wire unchecked: an address or a parameter with a
 * control character or of the wrong syntax is refused or left out here.
 *
 * Threads: one port is shared by any number. Each smtp_send uses a connection of its own.
 * Memory:  envelope and recipients belong to the caller; strings in them are borrowed.
 * Limits:  those of the configuration for each stage; SMTP_REPLY_* for what the port says.
 */
#ifndef MILTER_SMTP_H
#define MILTER_SMTP_H

#include "base/conf.h"
#include "base/sink.h"

#include <stdbool.h>
#include <stdint.h>

struct smtp_port;

/* What the port offers in its answer to EHLO. */
struct smtp_caps {
	bool dsn, smtputf8, eightbitmime, pipelining, starttls, chunking, enhanced;
	bool auth_plain, auth_login;
	unsigned xforward; /* a bit for each attribute, see smtp_wire.h; 0: not offered */
	bool size_offered; /* SIZE= may be said */
	uint64_t size;     /* the largest message; 0: no fixed limit, or not known */
};

struct smtp_rcpt {
	const char *addr; /* with or without <> */
	const char *notify,
		*orcpt; /* values as the client gave them, without the name and "="; or NULL */
	/* Filled whatever smtp_send returns: 2xx only when the port took the message for it. */
	int code;
	char enhanced[12]; /* "2.1.5"; made up from the code where the port has none */
	char text[200];    /* printable ASCII, without the codes */
};

/* Any may be NULL: not known. */
struct smtp_xforward {
	const char *name, *addr, *port, *proto, *helo, *ident, *source;
};

struct smtp_envelope {
	const char *sender;      /* with or without <>; "" or "<>": the null path */
	const char *ret, *envid; /* values as the client gave them; or NULL */
	bool eightbit;           /* the content has bytes above 127 */
	bool smtputf8;           /* addresses or headers need it (addresses are looked at, too) */
	uint64_t size;           /* bytes of the message with CRLF; 0: not known */
	struct smtp_xforward xforward;
	struct smtp_rcpt *rcpts;
	size_t n;
};

struct smtp_outcome {
	bool in_doubt; /* a message was sent whole and no reply that can be read came */
	int code; /* the reply to the end of data; 0: none. The last one, if there were several. */
	char enhanced[12];
	char text[200];
};

/* Writes the message: lines end with CRLF, dots are not doubled. A failure ends the connection
 * before the end of data, so that nobody gets a part of it. May be called more than once. */
typedef enum rc smtp_write_fn(void *ctx, const struct sink *to, struct err *err);

/* RC_NONE: no port is configured. ERR_CONFIG with file and line. Nothing is connected yet. */
enum rc smtp_port_new(struct conf *conf, struct smtp_port **out, struct err *err);
/* The same for port.own_address, where our own mail goes. RC_NONE: where copies go. */
enum rc smtp_port_new_own(struct conf *conf, struct smtp_port **out, struct err *err);
void smtp_port_free(struct smtp_port **port);
/* Connects, authenticates, and says what the port offers; logs it, and what will be missed. */
enum rc smtp_port_probe(struct smtp_port *port, struct smtp_caps *out, struct err *err);
/* Is the port there? Connects and authenticates unless a kept connection is at hand; the next
 * smtp_send finds it. To be asked before keys are used for what could not be sent. */
enum rc smtp_port_reach(struct smtp_port *port, int64_t deadline, struct err *err);
/* "inet:10027@127.0.0.1", "unix:/path": for the log and for people. */
const char *smtp_port_name(const struct smtp_port *port);
/* The largest message that the port said it takes, last time; 0: no limit, or not known yet. */
uint64_t smtp_port_size_limit(const struct smtp_port *port);
/* The process is ending: waits end at once with RC_TEMP, but the one for the reply to a message
 * that was sent whole. For good; any thread. */
void smtp_port_stop(struct smtp_port *port);

/*
 * Sends one message to the envelope's recipients, in as many transactions as the port's limit on
 * recipients asks for. DEADLINE_MS: clock_monotonic_ms at which everything ends; 0: the stages'
 * limits alone.
 *   RC_OK    every recipient has the port's word: 2xx, 4xx, 5xx. At least one answer is the port's
 *            (or ours: 5.6.3, 5.6.7, 5.3.4, 5.1.3 before anything was sent).
 *   RC_TEMP  nobody got it, or in_doubt; recipients that were not answered have 4xx. ERR says why.
 *   other    what the writer returned; nobody got it.
 * When a later transaction fails and an earlier one was taken, it is RC_OK with 4xx for the rest;
 * in_doubt may be set then, too.
 */
enum rc smtp_send(struct smtp_port *port, struct smtp_envelope *envelope, smtp_write_fn *write,
	void *ctx, int64_t deadline_ms, struct smtp_outcome *outcome, struct err *err);

#endif
