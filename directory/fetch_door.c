/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_door.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define BATCH      64 /* packets of one connection in a row */

struct door_conn {
	int fd;
	int64_t tokens, filled; /* thousandths of a packet; when they were counted, ms */
	int64_t used;           /* when it said something last, ms */
	bool listing;
	uint64_t place;
	struct buf answer; /* that could not be sent yet */
};

struct fetch_door {
	int fd;
	bool bound;
	struct sockaddr_un addr;
	struct door_conn conns[DOOR_CONNS];
	size_t n;
};

/* Does somebody listen there? */
static bool
is_alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
					errno == EAGAIN || errno == EPROTOTYPE);

	if (fd >= 0)
		close(fd);
	return alive;
}

static enum rc
bind_socket(struct fetch_door *door, uid_t uid, gid_t gid, struct err *err)
{
	const char *path = door->addr.sun_path;
	struct stat st;
	mode_t mask;
	int failed;

	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || is_alive(&door->addr))
			return err_set(err, ERR_CONFIG, "%s: is there and no stale socket", path);
		if (unlink(path) != 0)
			return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	}
	door->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (door->fd < 0)
		return err_set(err, ERR_SYSTEM, "socket: %s", strerror(errno));
	/* The umask gives it its mode when it is made; the owner is changed without following
	 * links.
	 */
	mask = umask(0117);
	failed = bind(door->fd, (struct sockaddr *)&door->addr, sizeof(door->addr));
	umask(mask);
	if (failed)
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	door->bound = true;
	if (gid != (gid_t)-1 && lchown(path, uid, gid) != 0 && geteuid() == 0)
		return err_set(err, ERR_SYSTEM, "%s: chown: %s", path, strerror(errno));
	if (listen(door->fd, 64) != 0)
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	return RC_OK;
}

enum rc
fetch_door_open(const char *path, uid_t uid, gid_t gid, struct fetch_door **out, struct err *err)
{
	struct fetch_door *door = calloc(1, sizeof(*door));
	enum rc rc = RC_OK;

	*out = NULL;
	if (!door)
		return err_set(err, ERR_MEMORY, "socket");
	door->fd = -1;
	door->addr.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(door->addr.sun_path))
		rc = err_set(err, ERR_CONFIG, "%s: too long for a socket", path);
	else
		strcpy(door->addr.sun_path, path);
	if (rc == RC_OK)
		rc = bind_socket(door, uid, gid, err);
	if (rc == RC_OK)
		*out = door;
	else
		fetch_door_close(&door);
	return rc;
}

static void
drop(struct fetch_door *door, struct door_conn *conn)
{
	close(conn->fd);
	buf_fini(&conn->answer);
	*conn = door->conns[--door->n];
}

void
fetch_door_close(struct fetch_door **door)
{
	if (!*door)
		return;
	while ((*door)->n > 0)
		drop(*door, &(*door)->conns[(*door)->n - 1]);
	if ((*door)->fd >= 0)
		close((*door)->fd);
	if ((*door)->bound)
		(void)unlink((*door)->addr.sun_path);
	free(*door);
	*door = NULL;
}

/* Counts what CONN may send by now. */
static void
fill_tokens(struct door_conn *conn, int64_t now)
{
	conn->tokens += (now - conn->filled) * DOOR_RATE;
	if (conn->tokens > DOOR_BURST * 1000)
		conn->tokens = DOOR_BURST * 1000;
	conn->filled = now;
}

size_t
fetch_door_fds(struct fetch_door *door, struct pollfd *fds, size_t max, int *timeout_ms)
{
	int64_t now = clock_monotonic_ms();
	size_t n = 0;

	/* Always the first, so that places tell who is who. */
	fds[n++] = (struct pollfd){.fd = door->fd, .events = POLLIN};
	for (size_t i = 0; i < door->n && n < max; i++) {
		struct door_conn *conn = &door->conns[i];
		short events = 0;

		fill_tokens(conn, now);
		if (conn->listing || conn->answer.len)
			events = POLLOUT;
		else if (conn->tokens >= 1000)
			events = POLLIN;
		else if (*timeout_ms > 100)
			*timeout_ms = 100;
		fds[n++] = (struct pollfd){.fd = conn->fd, .events = events};
	}
	return n;
}

/* The one that said nothing for the longest goes; if it has something to say, it comes again. */
static void
make_room(struct fetch_door *door)
{
	struct door_conn *idle = &door->conns[0];

	for (size_t i = 1; i < door->n; i++)
		if (door->conns[i].used < idle->used)
			idle = &door->conns[i];
	drop(door, idle);
}

/* A few who wait. */
static void
answer_the_door(struct fetch_door *door)
{
	for (int i = 0; i < 16; i++) {
		int64_t now = clock_monotonic_ms();
		int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (door->n == DOOR_CONNS)
			make_room(door);
		door->conns[door->n++] = (struct door_conn){.fd = fd,
			.tokens = DOOR_BURST * 1000,
			.filled = now,
			.used = now,
			.answer = BUF_INIT(ANSWER_MAX)};
	}
}

/* Sends what is to be sent; false: the peer is gone. */
static bool
send_answers(struct door_conn *conn, const struct door_handler *handler)
{
	for (;;) {
		ssize_t n;

		if (conn->answer.len == 0 && conn->listing &&
			handler->list(handler->ctx, &conn->place, &conn->answer) == RC_NONE) {
			conn->listing = false;
			(void)buf_append_str(&conn->answer, "{}", NULL);
		}
		if (conn->answer.len == 0)
			return true;
		n = send(
			conn->fd, conn->answer.data, conn->answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			return true;
		if (n < 0)
			return false;
		buf_clear(&conn->answer);
	}
}

/* Reads packets while CONN may send; false: it is gone, or talks nonsense. */
static bool
read_packets(struct door_conn *conn, const struct door_handler *handler)
{
	char packet[WANT_MAX + 1];

	for (int i = 0; i < BATCH && conn->tokens >= 1000 && !conn->listing && !conn->answer.len;
		i++) {
		ssize_t n = recv(conn->fd, packet, sizeof(packet), MSG_DONTWAIT);
		struct err err = ERR_INIT;
		struct want want;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		conn->tokens -= 1000;
		conn->used = clock_monotonic_ms();
		if (want_parse(packet, (size_t)n, &want, &err) != RC_OK) {
			log_error(LOGL_WARN, NULL, "want-refused", &err, NULL);
			counter_add(COUNTER_FETCH_TURNED_AWAY, 1);
			return false;
		}
		if (want.verb == WANT_LIST) {
			conn->listing = true;
			conn->place = 0;
		} else {
			handler->take(handler->ctx, &want, &conn->answer);
		}
	}
	return send_answers(conn, handler);
}

void
fetch_door_serve(struct fetch_door *door, const struct pollfd *fds, size_t n,
	const struct door_handler *handler)
{
	/* From the end: one that is dropped is replaced by the last, which was served. */
	for (size_t i = n; i-- > 1;) {
		struct door_conn *conn = &door->conns[i - 1];
		bool stays = true;

		if (fds[i].revents & POLLOUT)
			stays = send_answers(conn, handler);
		else if (fds[i].revents & POLLIN)
			stays = read_packets(conn, handler);
		else if (fds[i].revents & (POLLHUP | POLLERR))
			stays = false;
		if (!stays)
			drop(door, conn);
	}
	if (n > 0 && fds[0].revents & POLLIN)
		answer_the_door(door);
}
