/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"

#define CLOSE_MS 100 /* for an answer that is owed, before a link is closed */

struct link {
	int fd;
	uint32_t id;   /* of the last frame sent */
	uint32_t owed; /* frames whose answers were not read yet; their ids are the last ones */
	struct buf in; /* answers hold content keys: wiped */
};

/* Waits until EVENTS or the time UNTIL. */
static enum rc
wait_for(int fd, short events, int64_t until, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = until - clock_monotonic_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return RC_OK;
		if (n == 0)
			return err_set(err, ERR_VAULT_DOWN, "no answer in time");
		if (errno != EINTR)
			return err_set(err, ERR_VAULT_DOWN, "poll: %s", strerror(errno));
	}
}

static enum rc
send_all(struct link *link, const struct buf *out, int64_t until, struct err *err)
{
	for (size_t at = 0; at < out->len;) {
		ssize_t n =
			send(link->fd, out->data + at, out->len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			at += (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (wait_for(link->fd, POLLOUT, until, err))
				return RC_TEMP;
		} else if (n < 0 && errno != EINTR) {
			return err_set(err, ERR_VAULT_DOWN, "send: %s", strerror(errno));
		}
	}
	return RC_OK;
}

/* Some bytes of an answer. The time limit of the socket spares the poll() before nearly every one.
 */
static enum rc
receive_some(struct link *link, size_t want, int64_t until, bool block, struct err *err)
{
	enum rc rc = buf_reserve(&link->in, want, err);
	ssize_t n;

	if (!rc && !block)
		rc = wait_for(link->fd, POLLIN, until, err);
	if (rc)
		return rc;
	n = recv(link->fd, link->in.data + link->in.len, want, block ? 0 : MSG_DONTWAIT);
	if (n == 0)
		return err_set(err, ERR_VAULT_DOWN, "the vault closed the connection");
	if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
		return err_set(err, ERR_VAULT_DOWN, "recv: %s", strerror(errno));
	if (n > 0)
		link->in.len += (size_t)n;
	return RC_OK;
}

/* Reads until there is one whole frame; more than what is owed is a broken protocol.
 * MAY_BLOCK: the socket's own time limit, which is that of its requests, is fine. */
static enum rc
receive(struct link *link, int64_t until, bool may_block, size_t *frame, struct err *err)
{
	enum rc rc;

	*frame = 0;
	for (bool first = may_block;; first = false) {
		size_t want = 4096;

		rc = proto_frame_len(link->in.data, link->in.len, PROTO_MAX_ADMIN, frame, err);
		if (rc)
			return rc;
		if (*frame && link->in.len > *frame && link->owed <= 1)
			return err_set(err, ERR_VAULT_PROTOCOL, "more than one answer");
		if (*frame && link->in.len >= *frame)
			return RC_OK;
		if (*frame && link->owed <= 1)
			want = *frame - link->in.len;
		rc = receive_some(link, want, until, first, err);
		if (rc)
			return rc;
	}
}

/* Takes the frame at the beginning out of the buffer, and leaves no copy of what follows it. */
static void
drop_frame(struct link *link, size_t frame)
{
	memmove(link->in.data, link->in.data + frame, link->in.len - frame);
	link->in.len -= frame;
	secret_wipe(link->in.data + link->in.len, frame);
}

/* Reads one answer that is owed; that the vault did not take something is for the log. */
static enum rc
settle_one(struct link *link, int64_t until, bool may_block, struct err *err)
{
	uint32_t id = link->id - link->owed + 1;
	struct proto_msg answer;
	struct err trouble = ERR_INIT;
	size_t frame;
	enum rc rc = receive(link, until, may_block, &frame, err);

	if (!rc)
		rc = proto_parse(link->in.data, frame, &answer, err);
	if (rc)
		return rc;
	if (answer.id != id)
		rc = err_set(err, ERR_VAULT_PROTOCOL, "answer to request %u instead of %u",
			answer.id, id);
	else if (answer.type == PROTO_ERROR && proto_error(&answer, &trouble))
		log_error(LOGL_ERROR, NULL, "vault-did-not-record", &trouble, NULL);
	proto_msg_fini(&answer);
	drop_frame(link, frame);
	link->owed--;
	return rc;
}

/* Reads what is owed but for the answers to the last KEEP frames. */
static enum rc
settle(struct link *link, uint32_t keep, int64_t until, bool may_block, struct err *err)
{
	enum rc rc = RC_OK;

	while (!rc && link->owed > keep)
		rc = settle_one(link, until, may_block, err);
	return rc;
}

/* The ids are the link's business, so that an answer to an earlier request is never taken for this
 * one's. From here on every frame in REQUEST is owed an answer. */
static enum rc
stamp(struct link *link, struct buf *request, struct err *err)
{
	size_t frame = 0;

	for (size_t at = 0; at < request->len; at += frame) {
		unsigned char *p = (unsigned char *)request->data + at;
		enum rc rc = proto_frame_len(p, request->len - at, PROTO_MAX_ADMIN, &frame, err);

		if (rc || !frame || frame > request->len - at)
			return err_set(err, ERR_INTERNAL, "half a frame for the vault");
		link->id++;
		link->owed++;
		for (int i = 0; i < 4; i++)
			p[8 + i] = link->id >> (24 - 8 * i) & 0xff;
	}
	return RC_OK;
}

/* What lies behind the bytes in use was wiped when they were dropped: nothing else shortens it. */
void
link_forget(struct link *link)
{
	secret_wipe(link->in.data, link->in.len);
	link->in.len = 0;
}

enum rc
link_tell(struct link *link, struct buf *request, int64_t timeout_ms, struct err *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	enum rc rc;

	link_forget(link);
	rc = settle(link, 0, until, true, err);
	if (!rc)
		rc = stamp(link, request, err);
	if (!rc)
		rc = send_all(link, request, until, err);
	if (rc)
		link->owed = 0;
	return rc;
}

/* An exchange failed: only what was told before it is still owed, of TOLD frames up to LAST. */
static void
take_back(struct link *link, uint32_t told, uint32_t last)
{
	uint32_t answered = told + (link->id - last) - link->owed;

	link->owed = answered < told ? told - answered : 0;
	link->id = last;
}

enum rc
link_ask(struct link *link, struct buf *request, int64_t timeout_ms, struct proto_msg *answer,
	bool *answered, struct err *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	uint32_t told = link->owed, last = link->id;
	size_t frame;
	enum rc rc;

	*answer = (struct proto_msg){0};
	*answered = false;
	link_forget(link);
	rc = stamp(link, request, err);
	if (!rc)
		rc = send_all(link, request, until, err);
	if (!rc)
		rc = settle(link, 1, until, true, err);
	if (!rc)
		rc = receive(link, until, true, &frame, err);
	*answered = link->in.len > 0;
	if (!rc)
		rc = proto_parse(link->in.data, frame, answer, err);
	if (!rc && answer->id != link->id) {
		proto_msg_fini(answer);
		rc = err_set(err, ERR_VAULT_PROTOCOL, "answer to request %u instead of %u",
			answer->id, link->id);
	}
	if (rc)
		take_back(link, told, last);
	else
		link->owed--;
	return rc;
}

bool
link_is_dead(const struct link *link)
{
	char c;
	ssize_t n = recv(link->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	/* Silence is what a link that owes nothing should have. */
	return n > 0 ? !link->owed : n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void
link_close(struct link **link)
{
	struct err err = ERR_INIT;

	if (!*link)
		return;
	if ((*link)->owed) {
		link_forget(*link);
		if (settle(*link, 0, clock_monotonic_ms() + CLOSE_MS, false, &err))
			log_error(LOGL_WARN, NULL, "vault-record-unconfirmed", &err, NULL);
	}
	if ((*link)->fd >= 0)
		close((*link)->fd);
	buf_fini(&(*link)->in);
	free(*link);
	*link = NULL;
}

static enum rc
connect_to(const char *path, int64_t timeout_ms, int *fd, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	int error;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(err, ERR_CONFIG, "%s: too long for a socket", path);
	strcpy(sun.sun_path, path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_set(err, ERR_SYSTEM, "socket: %s", strerror(errno));
	/* A full backlog blocks connect() for as long as the time limit for sending says. */
	(void)setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	(void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(*fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return RC_OK;
	error = errno;
	close(*fd);
	*fd = -1;
	err_set(err, error == EACCES || error == EPERM ? ERR_VAULT_DENIED : ERR_VAULT_DOWN,
		"%s: %s", path, strerror(error));
	return error == ENOENT || error == ECONNREFUSED ? RC_NONE
	       : error == EACCES || error == EPERM      ? RC_PERM
							: RC_TEMP;
}

/* Version and role must be agreed on before anything else. */
static enum rc
say_hello(struct link *link, const char *service, const char *role, int64_t timeout_ms,
	struct err *err)
{
	struct buf hello = BUF_INIT(PROTO_MAX_HELLO);
	struct proto_writer w;
	struct proto_msg answer = {0};
	bool answered;
	enum rc rc;

	proto_begin(&w, &hello, PROTO_HELLO, 0);
	proto_put_number(&w, TAG_VERSION, PROTO_VERSION);
	proto_put_text(&w, TAG_SERVICE, service);
	proto_put_text(&w, TAG_ROLE, role);
	rc = proto_end(&w, err);
	if (!rc)
		rc = link_ask(link, &hello, timeout_ms, &answer, &answered, err);
	if (!rc && answer.type == PROTO_ERROR)
		rc = proto_error(&answer, err);
	else if (!rc && (answer.type != PROTO_WELCOME ||
				proto_number(&answer, TAG_VERSION, 0) != PROTO_VERSION))
		rc = err_set(err, ERR_VAULT_PROTOCOL, "no welcome");
	proto_msg_fini(&answer);
	buf_fini(&hello);
	return rc;
}

enum rc
link_open(const char *path, const char *service, const char *role, int64_t timeout_ms,
	struct link **out, struct err *err)
{
	struct link *link = calloc(1, sizeof(*link));
	enum rc rc;

	*out = NULL;
	if (!link)
		return err_set(err, ERR_MEMORY, "link");
	link->fd = -1;
	buf_init(&link->in, PROTO_MAX_ADMIN);
	link->in.wipe = true;
	rc = connect_to(path, timeout_ms, &link->fd, err);
	if (!rc)
		rc = say_hello(link, service, role, timeout_ms, err);
	if (rc)
		link_close(&link);
	*out = link;
	return rc;
}
