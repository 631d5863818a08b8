/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_conn.h - one connection to the re-injection port: bytes out, replies in, with time limits
 *
 * The socket never blocks; every wait is a poll() until a time, and ends early when the process is
 * to stop. While we write, what the server says is read, so that neither waits for the other.
 * After any failure the connection is good for nothing but smtp_conn_close.
 *
 * Threads: belongs to one.
 */
#ifndef MILTER_SMTP_CONN_H
#define MILTER_SMTP_CONN_H

#include "crypto/tls.h"
#include "milter/smtp_reply.h"

#include <sys/socket.h>

#define SMTP_CONN_IN 65536 /* bytes of replies that may wait to be read */

struct smtp_conn {
	int fd;
	int stop_fd;     /* borrowed: readable when the process is to stop */
	bool never_stop; /* … which does not count just now */
	struct tls *tls; /* NULL: plain */
	char *in;        /* SMTP_CONN_IN bytes, of which … */
	size_t in_len;   /* … these wait to be read */
	bool closed;     /* the server closed its side */
	struct smtp_caps caps;
	int64_t idle_since; /* clock_monotonic_ms */
};

/* Times are those of clock_monotonic_ms. ERR_PORT_DOWN, ERR_PORT_TIMEOUT. */
enum rc smtp_conn_open(const struct sockaddr *addr, socklen_t addr_len, int stop_fd, int64_t until,
	struct smtp_conn **out, struct err *err);
void smtp_conn_close(struct smtp_conn **conn); /* says QUIT when that needs no waiting */
/* What the server said before, unencrypted, must have been read. */
enum rc smtp_conn_start_tls(
	struct smtp_conn *conn, struct tls_client *client, int64_t until, struct err *err);
enum rc smtp_conn_write(
	struct smtp_conn *conn, const void *data, size_t len, int64_t until, struct err *err);
/* Waits for one reply. CAPS as in smtp_reply_parse. */
enum rc smtp_conn_reply(struct smtp_conn *conn, struct smtp_reply *reply, struct smtp_caps *caps,
	int64_t until, struct err *err);
/* Looks without waiting: has the server nothing said, and not closed? */
bool smtp_conn_is_silent(struct smtp_conn *conn);
/* A reply that is there already; false when there is none that can be read. */
bool smtp_conn_has_reply(struct smtp_conn *conn, struct smtp_reply *reply);

#endif
