/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/smtp_conn.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waits for EVENTS until the time UNTIL, or until the process is to stop. */
static enum rc
wait_for(struct smtp_conn *conn, short events, int64_t until, short *got, struct err *err)
{
	struct pollfd p[2] = {{.fd = conn->fd, .events = events},
		{.fd = conn->never_stop ? -1 : conn->stop_fd, .events = POLLIN}};

	for (;;) {
		int64_t left = until - clock_monotonic_ms();
		int n = poll(p, 2, left <= 0 ? 0 : left > 60000 ? 60000 : (int)left);

		if (n < 0 && errno != EINTR)
			return err_set(err, ERR_SYSTEM, "poll: %s", strerror(errno));
		if (n > 0 && p[1].revents)
			return err_set(err, ERR_PORT_DOWN, "stopping");
		if (n > 0 && p[0].revents) {
			*got = p[0].revents;
			return RC_OK;
		}
		if (left <= 0)
			return err_set(err, ERR_PORT_TIMEOUT, "no answer in time");
	}
}

/* An end in the middle of something. */
static enum rc
lost(struct smtp_conn *conn, const char *why, struct err *err)
{
	conn->closed = true;
	return err_set(err, ERR_PORT_DOWN, "connection lost: %s", why);
}

/* --- without waiting --- */

/* What one step of TLS wants, as events for poll(); 0: an end, with ERR set. */
static short
tls_events(struct smtp_conn *conn, enum tls_step step, struct err *err)
{
	if (step == TLS_NEEDS_READ)
		return POLLIN;
	if (step == TLS_NEEDS_WRITE)
		return POLLOUT;
	conn->closed = true;
	if (step == TLS_CLOSED)
		lost(conn, "closed by the port", err);
	return 0;
}

/* Writes what can be written now. *NEEDS: 0 when some was; else what to wait for. */
static enum rc
write_some(struct smtp_conn *conn, const char *data, size_t len, size_t *done, short *needs,
	struct err *err)
{
	ssize_t n;

	*done = 0;
	*needs = 0;
	if (conn->tls) {
		enum tls_step step = tls_write(conn->tls, data, len, done, err);

		if (step == TLS_DONE)
			return RC_OK;
		*needs = tls_events(conn, step, err);
		return *needs ? RC_OK : RC_TEMP;
	}
	n = send(conn->fd, data, len, MSG_NOSIGNAL);
	if (n >= 0)
		*done = (size_t)n;
	else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		*needs = POLLOUT;
	else
		return lost(conn, strerror(errno), err);
	return RC_OK;
}

/* Reads what is there now. *NEEDS as above. */
static enum rc
read_some(struct smtp_conn *conn, short *needs, struct err *err)
{
	char *to = conn->in + conn->in_len;
	size_t room = SMTP_CONN_IN - conn->in_len, done = 0;
	ssize_t n;

	*needs = 0;
	if (room == 0)
		return err_set(err, ERR_PORT_ANSWER, "more than %d bytes of replies", SMTP_CONN_IN);
	if (conn->tls) {
		enum tls_step step = tls_read(conn->tls, to, room, &done, err);

		if (step != TLS_DONE)
			*needs = tls_events(conn, step, err);
		conn->in_len += done;
		return step == TLS_DONE || *needs ? RC_OK : RC_TEMP;
	}
	n = recv(conn->fd, to, room, 0);
	if (n > 0)
		conn->in_len += (size_t)n;
	else if (n == 0)
		return lost(conn, "closed by the port", err);
	else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		*needs = POLLIN;
	else
		return lost(conn, strerror(errno), err);
	return RC_OK;
}

static void
drain(struct smtp_conn *conn)
{
	short needs = 0;

	while (!conn->closed && !needs)
		if (read_some(conn, &needs, NULL))
			return;
}

bool
smtp_conn_is_silent(struct smtp_conn *conn)
{
	drain(conn);
	return !conn->closed && conn->in_len == 0;
}

/* Takes the first reply out of what waits. RC_NONE: it is not whole. */
static enum rc
take_reply(
	struct smtp_conn *conn, struct smtp_reply *reply, struct smtp_caps *caps, struct err *err)
{
	size_t used;
	enum rc rc = smtp_reply_parse(conn->in, conn->in_len, reply, &used, caps, err);

	if (rc)
		return rc;
	conn->in_len -= used;
	memmove(conn->in, conn->in + used, conn->in_len);
	return RC_OK;
}

bool
smtp_conn_has_reply(struct smtp_conn *conn, struct smtp_reply *reply)
{
	drain(conn);
	return take_reply(conn, reply, NULL, NULL) == RC_OK;
}

/* --- with waiting --- */

enum rc
smtp_conn_write(
	struct smtp_conn *conn, const void *data, size_t len, int64_t until, struct err *err)
{
	const char *p = data;
	size_t done;
	short needs, got;
	enum rc rc = RC_OK;

	while (!rc && len > 0) {
		rc = write_some(conn, p, len, &done, &needs, err);
		if (rc)
			return rc;
		p += done;
		len -= done;
		if (!needs)
			continue;
		rc = wait_for(conn, (short)(needs | POLLIN), until, &got, err);
		if (!rc && (got & POLLIN))
			rc = read_some(conn, &needs, err);
	}
	return rc;
}

enum rc
smtp_conn_reply(struct smtp_conn *conn, struct smtp_reply *reply, struct smtp_caps *caps,
	int64_t until, struct err *err)
{
	short needs, got;
	enum rc rc;

	for (;;) {
		rc = take_reply(conn, reply, caps, err);
		if (rc != RC_NONE)
			return rc;
		rc = read_some(conn, &needs, err);
		if (!rc && needs)
			rc = wait_for(conn, needs, until, &got, err);
		/* A server that sends a byte now and then does not get time for ever. */
		if (!rc && clock_monotonic_ms() > until)
			rc = err_set(err, ERR_PORT_TIMEOUT, "no whole answer in time");
		if (rc)
			return rc;
	}
}

enum rc
smtp_conn_start_tls(
	struct smtp_conn *conn, struct tls_client *client, int64_t until, struct err *err)
{
	enum rc rc;

	/* What an attacker put behind the answer to STARTTLS would be taken for the server's. */
	if (conn->in_len > 0)
		return err_set(err, ERR_PORT_ANSWER, "a reply before TLS was there");
	rc = tls_new(client, conn->fd, &conn->tls, err);
	while (!rc) {
		enum tls_step step = tls_handshake(conn->tls, err);
		short got, needs;

		if (step == TLS_DONE)
			return RC_OK;
		needs = tls_events(conn, step, err);
		rc = needs ? wait_for(conn, needs, until, &got, err) : RC_TEMP;
	}
	return rc;
}

/* --- begin and end --- */

static enum rc
connect_to(struct smtp_conn *conn, const struct sockaddr *addr, socklen_t addr_len, int64_t until,
	struct err *err)
{
	int one = 1, error = 0;
	socklen_t len = sizeof error;
	short got;
	enum rc rc;

	conn->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (conn->fd < 0)
		return err_set(err, ERR_SYSTEM, "socket: %s", strerror(errno));
	if (addr->sa_family != AF_UNIX) /* a command is not to wait for the last one's ACK */
		(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(conn->fd, addr, addr_len) == 0)
		return RC_OK;
	if (errno != EINPROGRESS)
		return err_set(err, ERR_PORT_DOWN, "connect: %s", strerror(errno));
	rc = wait_for(conn, POLLOUT, until, &got, err);
	if (!rc && (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error))
		rc = err_set(err, ERR_PORT_DOWN, "connect: %s", strerror(error ? error : errno));
	return rc;
}

enum rc
smtp_conn_open(const struct sockaddr *addr, socklen_t addr_len, int stop_fd, int64_t until,
	struct smtp_conn **out, struct err *err)
{
	struct smtp_conn *conn = calloc(1, sizeof(*conn));
	enum rc rc;

	*out = NULL;
	if (!conn)
		return err_set(err, ERR_MEMORY, "connection");
	conn->fd = -1;
	conn->stop_fd = stop_fd;
	conn->in = malloc(SMTP_CONN_IN);
	if (!conn->in)
		rc = err_set(err, ERR_MEMORY, "connection");
	else
		rc = connect_to(conn, addr, addr_len, until, err);
	conn->closed = rc != RC_OK;
	if (rc)
		smtp_conn_close(&conn);
	*out = conn;
	return rc;
}

void
smtp_conn_close(struct smtp_conn **conn)
{
	struct smtp_conn *c = *conn;
	size_t done;
	short needs;

	*conn = NULL;
	if (!c)
		return;
	if (!c->closed)
		(void)write_some(c, "QUIT\r\n", 6, &done, &needs, NULL);
	tls_free(&c->tls);
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	free(c);
}
