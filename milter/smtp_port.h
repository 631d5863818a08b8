/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_port.h - the inside of struct smtp_port, for smtp_port.c, smtp_login.c and smtp_send.c only
 */
#ifndef MILTER_SMTP_PORT_H
#define MILTER_SMTP_PORT_H

#include "base/secret.h"
#include "milter/smtp_conn.h"

#include <pthread.h>
#include <stdatomic.h>

#define SMTP_PORT_KEPT 64 /* idle connections at most, whatever is configured */

enum smtp_tls { SMTP_TLS_NONE, SMTP_TLS_STARTTLS, SMTP_TLS_IMPLICIT };

struct smtp_port {
	char *name; /* "inet:10027@127.0.0.1" */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	enum smtp_tls mode;
	struct tls_client *tls; /* NULL: SMTP_TLS_NONE */
	char *helo, *user;      /* user NULL: no AUTH */
	struct secret *password;
	int64_t connect_ms, command_ms, data_ms, end_ms, idle_ms;
	size_t max_recipients, max_kept;
	int stop_fd;
	atomic_ullong size_limit; /* as last offered */
	atomic_bool told_dropped; /* that DSN parameters are lost was logged */
	pthread_mutex_t lock;     /* over what follows; never held while the network is used */
	struct smtp_conn *kept[SMTP_PORT_KEPT];
	size_t n_kept;
};

/* Greeting, EHLO, STARTTLS, AUTH on a fresh connection, all before DEADLINE (0: none). smtp_login.c
 */
enum rc
smtp_login(struct smtp_port *port, struct smtp_conn *conn, int64_t deadline, struct err *err);
/* One command, or several lines that get one answer together, and the answer. smtp_login.c */
enum rc smtp_ask(struct smtp_port *port, struct smtp_conn *conn, const char *command,
	struct smtp_reply *reply, int64_t deadline, struct err *err);
/* A kept connection (*KEPT), unless FRESH, or a new one that is logged in. */
enum rc smtp_port_take(struct smtp_port *port, bool fresh, int64_t deadline, struct smtp_conn **out,
	bool *kept, struct err *err);
/* Taken. GOOD: it is between two messages, and may be used again. */
void smtp_port_give(struct smtp_port *port, struct smtp_conn **conn, bool good);
/* The earlier of now + MS and DEADLINE (0: none). */
int64_t smtp_until(int64_t ms, int64_t deadline);

#endif
