/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define READ_STEP 32768u
#define OUT_MAX   (64u << 20)
#define LOAD      40960u
#define ANSWER    4096u           /* a signature with its certificates */
#define KEEP_CAP  (2 * READ_STEP) /* an idle connection has no larger buffer */
#define BEGUN_MAX (128u << 20)    /* bytes of large frames on their way in, for each socket */

/* What connections with a larger buffer than KEEP_CAP have, services' and operators': whoever may
 * connect often could have us wait for the ends of a thousand large frames. */
static size_t begun[2];

/* Notes the size of CONN's buffer; false: there is no room for it. */
static bool
count_buffer(struct conn *conn)
{
	size_t *sum = &begun[conn->session.admin ? 1 : 0],
	       cap = conn->in.cap > KEEP_CAP ? conn->in.cap : 0, now;

	now = __atomic_add_fetch(sum, cap - conn->counted, __ATOMIC_RELAXED);
	conn->counted = cap;
	return cap == 0 || now <= BEGUN_MAX;
}

static bool
make_room(struct conn *conn)
{
	struct err err = ERR_INIT;

	if (buf_reserve(&conn->in, READ_STEP, &err) != RC_OK)
		return false;
	if (count_buffer(conn))
		return true;
	err_set(&err, ERR_MEMORY, "too many large frames were begun");
	session_log_broken(&conn->session, &err);
	return false;
}

struct conn *
conn_new(int fd, bool admin, struct vault *vault, const struct ucred *cred)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->fd = fd;
	conn->session = (struct session){
		.vault = vault, .admin = admin, .uid = cred->uid, .pid = cred->pid};
	buf_init(&conn->in, PROTO_MAX_ADMIN + READ_STEP);
	buf_init(&conn->out, OUT_MAX);
	conn->in.wipe = conn->out.wipe = true;
	conn->busy_since = clock_monotonic_ms();
	return conn;
}

void
conn_free(struct conn **conn)
{
	struct conn *c = *conn;

	*conn = NULL;
	if (!c)
		return;
	close(c->fd);
	buf_fini(&c->in);
	(void)count_buffer(c);
	buf_fini(&c->out);
	free(c);
}

bool
conn_is_stuck(const struct conn *conn)
{
	return conn->sent < conn->out.len;
}

/* The length of the frame that comes next, when it is there as a whole; 0: it is not. */
static size_t
next_frame(const struct conn *conn, enum rc *rc, struct err *err)
{
	size_t left = conn->in.len - conn->taken, frame = 0;

	*rc = proto_frame_len(
		conn->in.data + conn->taken, left, session_limit(&conn->session), &frame, err);
	return *rc == RC_OK && frame <= left ? frame : 0;
}

bool
conn_has_frame(const struct conn *conn)
{
	enum rc rc;

	return !conn->broken && !conn->session.closing && conn->in.len > conn->taken &&
	       (next_frame(conn, &rc, NULL) > 0 || rc != RC_OK);
}

bool
conn_read(struct conn *conn)
{
	while (!conn_has_frame(conn)) {
		ssize_t n;

		if (!make_room(conn))
			return false;
		n = recv(conn->fd, conn->in.data + conn->in.len, READ_STEP, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0)
			return false;
		conn->in.len += (size_t)n;
		if ((size_t)n < READ_STEP)
			return true;
	}
	return true;
}

bool
conn_take_frame(struct conn *conn, const void **frame, size_t *len)
{
	struct err err = ERR_INIT;
	enum rc rc;

	if (conn->broken || conn->session.closing || conn->in.len == conn->taken)
		return false;
	*len = next_frame(conn, &rc, &err);
	if (rc) {
		session_log_broken(&conn->session, &err);
		conn->broken = true;
	}
	if (*len == 0)
		return false;
	*frame = conn->in.data + conn->taken;
	conn->taken += *len;
	return true;
}

void
conn_consume(struct conn *conn)
{
	size_t left = conn->in.len - conn->taken;

	if (conn->taken == 0)
		return;
	memmove(conn->in.data, conn->in.data + conn->taken, left);
	secret_wipe(conn->in.data + left, conn->taken);
	conn->in.len = left;
	conn->taken = 0;
	conn->moved = true;
	if (left == 0 && conn->in.cap > KEEP_CAP) {
		buf_fini(&conn->in);
		(void)count_buffer(conn);
	}
}

bool
conn_flush(struct conn *conn)
{
	while (conn->sent < conn->out.len) {
		ssize_t n = send(conn->fd, conn->out.data + conn->sent, conn->out.len - conn->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0)
			return false;
		conn->sent += (size_t)n;
		conn->moved = true;
	}
	if (conn->out.len > 0)
		secret_wipe(conn->out.data, conn->out.len);
	conn->out.len = conn->sent = 0;
	if (conn->out.cap > KEEP_CAP)
		buf_fini(&conn->out);
	return !conn->session.closing;
}

void
conn_expect(struct conn *conn, size_t n)
{
	size_t room = n * ANSWER < LOAD + ANSWER ? n * ANSWER : LOAD + ANSWER;

	(void)buf_reserve(&conn->out, room, NULL); /* if not now, then as they come */
}

bool
conn_has_load(const struct conn *conn)
{
	return conn->out.len >= LOAD && conn->sent == 0;
}

void
conn_note_wait(struct conn *conn)
{
	bool waits = conn_is_stuck(conn) || conn->in.len > 0 || !conn->session.service[0];
	int64_t since = __atomic_load_n(&conn->busy_since, __ATOMIC_RELAXED);

	/* HELLO is due from the beginning on, a frame from its first byte; each part of an answer
	 * that is sent gives the peer time for the next. */
	if (!waits)
		since = 0;
	else if (since == 0 || conn->moved)
		since = clock_monotonic_ms();
	conn->moved = false;
	__atomic_store_n(&conn->busy_since, since, __ATOMIC_RELAXED);
}

bool
conn_is_late(const struct conn *conn, int64_t now)
{
	int64_t since = __atomic_load_n(&conn->busy_since, __ATOMIC_RELAXED);

	return since && now - since > CONN_PATIENCE_MS &&
	       !__atomic_load_n(&conn->in_hand, __ATOMIC_RELAXED);
}

void
conn_set_in_hand(struct conn *conn, bool in_hand)
{
	__atomic_store_n(&conn->in_hand, in_hand, __ATOMIC_RELAXED);
}
