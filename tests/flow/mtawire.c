/* SPDX-License-Identifier: BSD-2-Clause */
/* mtawire.c - packets of the milter protocol, MTA's side */
#include "tests/flow/mtawire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Marks the connection as gone; the first reason stays. */
bool
mta_lose(struct mta *mta, const char *fmt, ...)
{
	va_list ap;

	if (!mta->dead) {
		va_start(ap, fmt);
		vsnprintf(mta->why, sizeof mta->why, fmt, ap);
		va_end(ap);
	}
	mta->dead = true;
	return false;
}

static int
connect_unix(const char *path, char why[200])
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0)
		return fd;
	snprintf(why, 200, "%.150s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* SPEC is PORT@ADDRESS. */
static int
connect_inet(const char *spec, char why[200])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *ai;
	char port[16];
	const char *at = strchr(spec, '@');
	int fd = -1;

	snprintf(port, sizeof port, "%.*s", at ? (int)(at - spec) : 8, spec);
	if (getaddrinfo(at ? at + 1 : "127.0.0.1", port, &hints, &ai) != 0) {
		snprintf(why, 200, "%.150s: bad address", spec);
		return -1;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		snprintf(why, 200, "%.150s: %s", spec, strerror(errno));
		close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

/* By the kind of the socket. */
int
mta_connect(const char *socket, char why[200])
{
	if (!strncmp(socket, "unix:", 5))
		return connect_unix(socket + 5, why);
	if (!strncmp(socket, "inet:", 5))
		return connect_inet(socket + 5, why);
	if (!strncmp(socket, "inet6:", 6))
		return connect_inet(socket + 6, why);
	snprintf(why, 200, "%.150s: unix:PATH or inet:PORT@ADDRESS", socket);
	return -1;
}

/* Writes to the milter, cutting the connection where the options say so. */
static bool
write_all(struct mta *mta, const void *data, size_t len)
{
	const unsigned char *p = data;
	int64_t cut = mta->options->cut_after;
	ssize_t n;

	while (len > 0 && !mta->dead) {
		size_t want = len;

		if (cut >= 0 && mta->sent + (int64_t)want > cut)
			want = (size_t)(cut - mta->sent);
		if (want == 0) {
			shutdown(mta->fd, SHUT_RDWR);
			return mta_lose(mta, "cut after %lld bytes", (long long)cut);
		}
		n = send(mta->fd, p, want, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mta_lose(mta, "write: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
		mta->sent += n;
	}
	return !mta->dead;
}

bool
mta_flush(struct mta *mta)
{
	size_t len = mta->out_len;

	mta->out_len = 0;
	return len == 0 ? !mta->dead : write_all(mta, mta->out, len);
}

static bool
put(struct mta *mta, const void *data, size_t len)
{
	if (mta->out_len + len > OUT_SIZE && !mta_flush(mta))
		return false;
	if (len > OUT_SIZE)
		return write_all(mta, data, len);
	if (len)
		memcpy(mta->out + mta->out_len, data, len);
	mta->out_len += len;
	return !mta->dead;
}

bool
mta_put_packet(struct mta *mta, char cmd, const void *data, size_t len)
{
	uint32_t n = htonl((uint32_t)len + 1);

	if (mta->options->inject_stage == cmd && !mta->injected) {
		mta->injected = true;
		if (!put(mta, mta->options->inject, mta->options->inject_len))
			return false;
	}
	return put(mta, &n, 4) && put(mta, &cmd, 1) && put(mta, data, len);
}

static bool
read_exact(struct mta *mta, unsigned char *out, size_t len)
{
	struct pollfd pfd = {.fd = mta->fd, .events = POLLIN};
	ssize_t n;

	while (len > 0) {
		size_t have = mta->in_len - mta->in_at;

		if (have > 0) {
			size_t take = have < len ? have : len;

			memcpy(out, mta->in + mta->in_at, take);
			mta->in_at += take;
			out += take;
			len -= take;
			continue;
		}
		if (poll(&pfd, 1, mta->options->timeout_ms) == 0)
			return mta_lose(mta, "no answer in %d ms", mta->options->timeout_ms);
		n = recv(mta->fd, mta->in, sizeof mta->in, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return mta_lose(
				mta, "read: %s", n ? strerror(errno) : "closed by the milter");
		mta->in_at = 0;
		mta->in_len = (size_t)n;
	}
	return true;
}

/* Reads one packet; its letter, or 0 when the connection is lost. */
char
mta_get_packet(struct mta *mta)
{
	unsigned char head[5];
	uint32_t len;

	if (!mta_flush(mta) || !read_exact(mta, head, 5))
		return 0;
	len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (len < 1 || len > MAX_PACKET) {
		mta_lose(mta, "bad packet length %u", len);
		return 0;
	}
	mta->packet_len = len - 1;
	if (!read_exact(mta, mta->packet, mta->packet_len))
		return 0;
	mta->packet[mta->packet_len] = '\0';
	return (char)head[4];
}

/* Takes what the milter wants of the macros: (stage as 32 bits, names, NUL) repeated. */
static bool
take_symlists(struct mta *mta, size_t at)
{
	while (at < mta->packet_len) {
		size_t room = mta->packet_len - at, len;
		unsigned stage;

		if (room < 5)
			return mta_lose(mta, "bad macro list");
		stage = mta->packet[at + 3];
		len = strnlen((char *)mta->packet + at + 4, room - 4);
		if (stage >= sizeof MTA_STAGES - 1 || len == room - 4)
			return mta_lose(mta, "bad macro list");
		free(mta->symlist[stage]);
		mta->symlist[stage] = strdup((char *)mta->packet + at + 4);
		at += 4 + len + 1;
	}
	return true;
}

uint32_t
mta_get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool
mta_negotiate(struct mta *mta)
{
	const struct mta_options *options = mta->options;
	uint32_t offer[3] = {
		htonl(options->version), htonl(options->actions), htonl(options->protocol)};
	uint32_t version;

	if (!mta_put_packet(mta, 'O', offer, sizeof offer))
		return false;
	if (mta_get_packet(mta) != 'O' || mta->packet_len < 12)
		return mta_lose(mta, "no negotiation");
	version = mta_get32(mta->packet);
	mta->actions = mta_get32(mta->packet + 4);
	mta->protocol = mta_get32(mta->packet + 8);
	if (version > options->version || version < 2)
		return mta_lose(mta, "version %u answered to %u", version, options->version);
	if (mta->actions & ~options->actions || mta->protocol & ~options->protocol)
		return mta_lose(mta, "asks for what was not offered: actions %#x protocol %#x",
			mta->actions, mta->protocol);
	return take_symlists(mta, 12);
}
