/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_login.c - from a fresh connection to the first MAIL: greeting, EHLO, STARTTLS, AUTH
 */
#include "milter/smtp_port.h"

#include "message/b64.h"

#include <stdio.h>
#include <string.h>

/* What the port says when it does not want us; its text may be read by an administrator. */
static enum rc
refused(const struct smtp_reply *reply, enum errcode code, const char *what, struct err *err)
{
	return err_set(err, code, "%s: %d %s %s", what, reply->code, reply->enhanced, reply->text);
}

enum rc
smtp_ask(struct smtp_port *port, struct smtp_conn *conn, const char *command,
	struct smtp_reply *reply, int64_t deadline, struct err *err)
{
	int64_t until = smtp_until(port->command_ms, deadline);
	enum rc rc;

	if (!smtp_conn_is_silent(conn))
		return conn->closed ? err_set(err, ERR_PORT_DOWN, "connection lost")
				    : err_set(err, ERR_PORT_ANSWER, "a reply before a command");
	rc = smtp_conn_write(conn, command, strlen(command), until, err);
	if (!rc)
		rc = smtp_conn_reply(conn, reply, NULL, until, err);
	return rc;
}

static enum rc
say_ehlo(struct smtp_port *port, struct smtp_conn *conn, int64_t deadline, struct err *err)
{
	int64_t until = smtp_until(port->command_ms, deadline);
	struct smtp_reply reply;
	char command[300];
	enum rc rc;

	if (!smtp_conn_is_silent(conn) && !conn->closed)
		return err_set(err, ERR_PORT_ANSWER, "a reply before EHLO");
	snprintf(command, sizeof command, "EHLO %s\r\n", port->helo);
	rc = smtp_conn_write(conn, command, strlen(command), until, err);
	if (!rc)
		rc = smtp_conn_reply(conn, &reply, &conn->caps, until, err);
	if (!rc && reply.code != 250)
		rc = refused(&reply, ERR_PORT_REFUSED, "EHLO", err);
	return rc;
}

static enum rc
start_tls(struct smtp_port *port, struct smtp_conn *conn, int64_t deadline, struct err *err)
{
	struct smtp_reply reply;
	enum rc rc;

	if (!conn->caps.starttls)
		return err_set(err, ERR_PORT_TLS, "the port does not offer STARTTLS");
	rc = smtp_ask(port, conn, "STARTTLS\r\n", &reply, deadline, err);
	if (!rc && reply.code != 220)
		rc = refused(&reply, ERR_PORT_TLS, "STARTTLS", err);
	if (!rc)
		rc = smtp_conn_start_tls(
			conn, port->tls, smtp_until(port->connect_ms, deadline), err);
	return rc;
}

/* "PREFIXbase64 CRLF" in OUT, which wipes itself. */
static enum rc
format_secret(struct buf *out, const char *prefix, const void *data, size_t len, struct err *err)
{
	enum rc rc;

	buf_clear(out);
	rc = buf_append_str(out, prefix, err);
	if (!rc)
		rc = buf_reserve(out, 4 * ((len + 2) / 3) + 2, err);
	if (!rc)
		out->len += b64_encode(data, len, out->data + out->len);
	return rc ? rc : buf_append_str(out, "\r\n", err);
}

/* RFC 4616: no authorization identity, login, password. */
static enum rc
auth_plain(struct smtp_port *port, struct smtp_conn *conn, struct smtp_reply *reply,
	int64_t deadline, struct err *err)
{
	struct buf plain = {.max = 4096, .wipe = true}, line = {.max = 8192, .wipe = true};
	enum rc rc = buf_append(&plain, "", 1, err);

	if (!rc)
		rc = buf_append(&plain, port->user, strlen(port->user) + 1, err);
	if (!rc)
		rc = buf_append(
			&plain, secret_data(port->password), secret_len(port->password), err);
	if (!rc)
		rc = format_secret(&line, "AUTH PLAIN ", plain.data, plain.len, err);
	if (!rc)
		rc = smtp_ask(port, conn, line.data, reply, deadline, err);
	buf_fini(&plain);
	buf_fini(&line);
	return rc;
}

static enum rc
auth_login(struct smtp_port *port, struct smtp_conn *conn, struct smtp_reply *reply,
	int64_t deadline, struct err *err)
{
	struct buf line = {.max = 8192, .wipe = true};
	enum rc rc = smtp_ask(port, conn, "AUTH LOGIN\r\n", reply, deadline, err);

	if (!rc && reply->code == 334)
		rc = format_secret(&line, "", port->user, strlen(port->user), err);
	if (!rc && reply->code == 334)
		rc = smtp_ask(port, conn, line.data, reply, deadline, err);
	if (!rc && reply->code == 334)
		rc = format_secret(
			&line, "", secret_data(port->password), secret_len(port->password), err);
	if (!rc && reply->code == 334)
		rc = smtp_ask(port, conn, line.data, reply, deadline, err);
	buf_fini(&line);
	return rc;
}

static enum rc
authenticate(struct smtp_port *port, struct smtp_conn *conn, int64_t deadline, struct err *err)
{
	struct smtp_reply reply;
	enum rc rc;

	if (conn->caps.auth_plain)
		rc = auth_plain(port, conn, &reply, deadline, err);
	else if (conn->caps.auth_login)
		rc = auth_login(port, conn, &reply, deadline, err);
	else
		return err_set(err, ERR_PORT_AUTH, "the port offers neither AUTH PLAIN nor LOGIN");
	if (!rc && reply.code != 235)
		rc = refused(&reply, ERR_PORT_AUTH, "AUTH", err);
	return rc;
}

enum rc
smtp_login(struct smtp_port *port, struct smtp_conn *conn, int64_t deadline, struct err *err)
{
	struct smtp_reply reply;
	enum rc rc = RC_OK;

	if (port->mode == SMTP_TLS_IMPLICIT)
		rc = smtp_conn_start_tls(
			conn, port->tls, smtp_until(port->connect_ms, deadline), err);
	if (!rc)
		rc = smtp_conn_reply(
			conn, &reply, NULL, smtp_until(port->command_ms, deadline), err);
	if (!rc && reply.code != 220)
		rc = refused(&reply, ERR_PORT_REFUSED, "greeting", err);
	if (!rc)
		rc = say_ehlo(port, conn, deadline, err);
	if (!rc && port->mode == SMTP_TLS_STARTTLS) {
		rc = start_tls(port, conn, deadline, err);
		if (!rc) /* what was offered before TLS does not count */
			rc = say_ehlo(port, conn, deadline, err);
	}
	if (!rc && port->user)
		rc = authenticate(port, conn, deadline, err);
	return rc;
}
