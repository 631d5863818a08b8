/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bundle.c - keeps modifications back until the reply
 *
 * For each modification libmilter calls writev() with one packet: four bytes of length and one of
 * the command, then the data. The MTA sleeps until the reply, so each packet wakes it, only to
 * sleep again: a signed message costs four writes and up to four wakeups on either side, an opened
 * one nine, which on a machine with nothing else to do is dearer than everything that was done for
 * the message. libmilter has no way to put this off. But its writev() is found by name, and the
 * program comes before the C library, so the one below is called. It is the system's for everything
 * but a modification while a bundle is open; anything else that is written to the same connection
 * is the reply, and takes along what was kept. (The other functions that libmilter calls for a
 * connection are in ahead.c.)
 *
 * Nothing becomes less safe: the reply is written in any case after the callback, and until then an
 * MTA that loses us has less of a half changed message than before. Where the symbol is bound in
 * another way (a libmilter linked statically with its own C library), every packet is written at
 * once, as without this.
 */
#include "milter/bundle.h"

#include "milter/ahead.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HEAD_SIZE     5 /* length and command */
#define PARTS         3
#define CAP_FIRST     16384u
#define WAIT_FOR_ROOM 7210 /* s, libmilter's own limit */

struct bundle {
	bool open;
	int fd; /* -1: none yet */
	unsigned char *data;
	size_t len, cap;
};

static _Thread_local struct bundle own = {.fd = -1};

static void
end(struct bundle *bundle)
{
	free(bundle->data);
	*bundle = (struct bundle){.fd = -1};
}

void
bundle_begin(void)
{
	end(&own);
	own.open = true;
}

/* Its reply was never written: libmilter gave up before. */
void
bundle_forget(int fd)
{
	if (fd >= 0 && own.fd == fd)
		end(&own);
}

/* Is this one packet of libmilter's? Its command in *COMMAND. */
static bool
is_packet(const struct iovec *iov, int n, unsigned char *command)
{
	const unsigned char *head = iov[0].iov_base;
	size_t len = n == 2 ? iov[1].iov_len : 0;

	if (n < 1 || n > 2 || iov[0].iov_len != HEAD_SIZE)
		return false;
	*command = head[4];
	return len + 1 ==
	       ((size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
}

/* Recipients, body, envelope, header fields, quarantine. */
static bool
is_modification(unsigned char command)
{
	return command && strchr("+-2behimq", command);
}

static bool
keep(struct bundle *bundle, const struct iovec *iov, int n)
{
	size_t more = iov[0].iov_len + (n == 2 ? iov[1].iov_len : 0);
	size_t cap = bundle->cap ? bundle->cap : CAP_FIRST;
	unsigned char *data;

	if (bundle->len + more > BUNDLE_MAX)
		return false;
	while (cap < bundle->len + more)
		cap *= 2;
	if (cap != bundle->cap) {
		data = realloc(bundle->data, cap);
		if (!data)
			return false;
		bundle->data = data;
		bundle->cap = cap;
	}
	for (int i = 0; i < n; i++) {
		memcpy(bundle->data + bundle->len, iov[i].iov_base, iov[i].iov_len);
		bundle->len += iov[i].iov_len;
	}
	return true;
}

/* The system's writev(); where nobody asked whether there is room it is waited for here, as long as
 * libmilter would. */
static ssize_t
write_some(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	struct timespec limit = {.tv_sec = WAIT_FOR_ROOM};
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	ssize_t done;

	if (!ahead_wrote(fd))
		return syscall(SYS_writev, fd, iov, n);
	while ((done = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 &&
		(errno == EAGAIN || errno == EINTR)) {
		int ready = errno == EAGAIN ? ppoll(&room, 1, &limit, NULL) : 1;

		if (ready == 0)
			errno = ETIMEDOUT;
		if (ready == 0 || (ready < 0 && errno != EINTR))
			return -1;
	}
	return done;
}

/* All of it, since libmilter could not go on in the middle. */
static ssize_t
write_all(int fd, struct iovec *iov, int n)
{
	while (n > 0) {
		ssize_t done = write_some(fd, iov, n);

		if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
			struct pollfd room = {.fd = fd, .events = POLLOUT};

			(void)ppoll(&room, 1, NULL, NULL);
			continue;
		}
		if (done < 0)
			return -1;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

/* What was kept, and then this packet. */
static ssize_t
write_with_kept(struct bundle *bundle, int fd, const struct iovec *iov, int n)
{
	struct iovec parts[PARTS] = {{bundle->data, bundle->len}};
	ssize_t len = 0, failed;

	for (int i = 0; i < n; i++) {
		parts[i + 1] = iov[i];
		len += (ssize_t)iov[i].iov_len;
	}
	failed = write_all(fd, parts, n + 1);
	bundle->len = 0;
	return failed ? -1 : len;
}

/* In the place of the C library's. */
ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	struct bundle *bundle = &own;
	unsigned char command = 0;
	ssize_t done;

	if (!bundle->open || (bundle->fd >= 0 && bundle->fd != fd) || !is_packet(iov, n, &command))
		return write_some(fd, iov, n);
	bundle->fd = fd;
	if (is_modification(command) && keep(bundle, iov, n))
		return (ssize_t)(iov[0].iov_len + (n == 2 ? iov[1].iov_len : 0));
	done = write_with_kept(bundle, fd, iov, n);
	if (!is_modification(command)) {
		int error = errno;

		end(bundle);
		errno = error;
	}
	return done;
}
