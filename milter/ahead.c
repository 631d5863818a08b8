/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ahead.c - reads from the MTA what is there, and gives it out in libmilter's pieces
 *
 * For each packet libmilter calls poll() to see whether the connection's thread may go on, poll()
 * and read() for five bytes of head, and poll() and read() for what the head says; before each
 * packet that it writes, poll() again. An MTA sends a message as 20 to 50 packets in three or four
 * writes, so a message of 4 KB costs more than sixty calls of the system, which is a quarter of all
 * that is done for it. libmilter can't be told to read more, but it finds these functions by name,
 * and the program comes before the C library.
 *
 * So the read() for a head takes what the connection has, and what libmilter did not ask for is
 * given out by the next ones; poll() says at once that there is something while this lasts. It must
 * never happen that something waits here while libmilter looks at the descriptor, or is read out
 * of order, so it is done only where everything is seen to pass through here:
 *  - connections are those that accept() gave out here, and end with close() here;
 *  - on each, the first packet, which always is the negotiation, must have been read as above: five
 *    bytes, then as many as they say. A libmilter that reads in another way is left alone;
 *  - a read() takes more than it was asked for only right after a poll() for the same connection.
 * What is held belongs to the descriptor, not to the thread, since libmilter hands a connection
 * from one thread to another; it does that under its lock, and while nothing is held (it asks by
 * poll(), which says that there is more).
 *
 * On a stop libmilter's controller closes all connections, also those that a worker waits in; so
 * from then on nothing is freed that a worker may look at.
 *
 * The program's own files and sockets, and those of other libraries, are not connections, and go
 * straight to the system.
 */
#undef _FORTIFY_SOURCE /* the functions' inline forms */
#include "milter/ahead.h"
#include "milter/bundle.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HEAD_SIZE 5 /* of a packet: length and command */

enum proof { IN_HEAD, IN_REST, PROVED, FAILED };

struct conn {
	enum proof proof;
	unsigned char head[HEAD_SIZE];
	size_t have;         /* of the head, while proof is IN_HEAD */
	size_t need;         /* of the first packet, while it is IN_REST */
	bool polled;         /* the last call for it was poll() */
	bool ready;          /* and it said that there is something to be read, and no more */
	_Atomic bool wrote;  /* its packets are written by our writev() */
	unsigned char *data; /* AHEAD_SIZE bytes, or NULL: nothing is held */
	size_t at, end;      /* what is held of it */
	struct conn *next;   /* in kept */
};

static struct conn *_Atomic conns[AHEAD_FDS];
static atomic_bool keeps;         /* closed ones go there */
static struct conn *_Atomic kept; /* libmilter's workers may still be in one */

static struct conn *
find(int fd)
{
	return fd >= 0 && fd < AHEAD_FDS ? atomic_load_explicit(&conns[fd], memory_order_acquire)
					 : NULL;
}

static void
forget(int fd)
{
	struct conn *conn = find(fd) ? atomic_exchange(&conns[fd], NULL) : NULL;

	if (!conn)
		return;
	if (atomic_load(&keeps)) {
		conn->next = atomic_load(&kept);
		while (!atomic_compare_exchange_weak(&kept, &conn->next, conn))
			;
		return;
	}
	free(conn->data);
	free(conn);
}

void
ahead_keep(void)
{
	atomic_store(&keeps, true);
}

bool
ahead_wrote(int fd)
{
	struct conn *conn = find(fd);

	if (conn)
		conn->wrote = true;
	return conn != NULL;
}

/* The system's read(), which has no other name in C. */
static ssize_t
read_plain(int fd, void *out, size_t want)
{
	struct iovec iov = {out, want};

	return readv(fd, &iov, 1);
}

/* Follows how the first packet is read: GOT bytes for WANT at OUT. */
static void
prove(struct conn *conn, const unsigned char *out, size_t want, ssize_t got)
{
	if (got <= 0)
		return;
	if (conn->proof == IN_HEAD && want == HEAD_SIZE - conn->have) {
		memcpy(conn->head + conn->have, out, (size_t)got);
		conn->have += (size_t)got;
		if (conn->have < HEAD_SIZE)
			return;
		conn->need = ((size_t)conn->head[0] << 24 | (size_t)conn->head[1] << 16 |
				     (size_t)conn->head[2] << 8 | conn->head[3]) -
			     1;
		conn->proof = conn->need ? IN_REST : PROVED;
	} else if (conn->proof == IN_REST && want == conn->need) {
		conn->need -= (size_t)got;
		if (!conn->need)
			conn->proof = PROVED;
	} else {
		conn->proof = FAILED;
	}
}

static size_t
give(struct conn *conn, void *out, size_t want)
{
	size_t n = conn->end - conn->at < want ? conn->end - conn->at : want;

	memcpy(out, conn->data + conn->at, n);
	conn->at += n;
	if (conn->at == conn->end) {
		free(conn->data);
		conn->data = NULL;
		conn->at = conn->end = 0;
	}
	return n;
}

/* What was asked for goes where it was asked, the rest is held. */
static ssize_t
read_more(struct conn *conn, int fd, void *out, size_t want)
{
	struct iovec iov[2] = {{out, want}, {malloc(AHEAD_SIZE), AHEAD_SIZE}};
	ssize_t n = readv(fd, iov, iov[1].iov_base ? 2 : 1);

	if (n <= (ssize_t)want) {
		int error = errno;

		free(iov[1].iov_base);
		errno = error;
		return n;
	}
	conn->data = iov[1].iov_base;
	conn->at = 0;
	conn->end = (size_t)n - want;
	return (ssize_t)want;
}

static int
poll_plain(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};

	return ppoll(fds, n, timeout < 0 ? NULL : &limit, NULL);
}

static int
poll_conn(struct conn *conn, struct pollfd *fd, int timeout)
{
	bool reads = fd->events & POLLIN;
	int n;

	if (reads && (conn->data || conn->ready)) {
		fd->revents = POLLIN;
		conn->polled = true;
		return 1;
	}
	if (fd->events == POLLOUT && conn->proof == PROVED && conn->wrote) {
		fd->revents = POLLOUT;
		return 1;
	}
	n = poll_plain(fd, 1, timeout);
	if (reads) {
		conn->polled = true;
		conn->ready = conn->proof == PROVED && n == 1 && fd->revents == POLLIN;
	}
	return n;
}

/* Several at a time, as libmilter waits for those without a thread. */
static int
poll_many(struct pollfd *fds, nfds_t n, int timeout)
{
	bool held = false;
	int found;

	for (nfds_t i = 0; i < n && !held; i++)
		held = find(fds[i].fd) && find(fds[i].fd)->data;
	found = poll_plain(fds, n, held ? 0 : timeout);
	for (nfds_t i = 0; held && found >= 0 && i < n; i++)
		if (find(fds[i].fd) && find(fds[i].fd)->data && (fds[i].events & POLLIN)) {
			found += !fds[i].revents;
			fds[i].revents |= POLLIN;
		}
	return found;
}

static int
poll_any(struct pollfd *fds, nfds_t n, int timeout)
{
	struct conn *conn = n == 1 ? find(fds[0].fd) : NULL;

	return conn ? poll_conn(conn, fds, timeout) : poll_many(fds, n, timeout);
}

#ifndef __SANITIZE_THREAD__ /* which has functions of its own in their places */

/* From here on in the place of the C library's. */
int
accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict len)
{
	int got = accept4(fd, address, len, 0);
	struct conn *conn = got >= 0 && got < AHEAD_FDS ? calloc(1, sizeof(*conn)) : NULL;

	forget(got);
	if (conn)
		atomic_store_explicit(&conns[got], conn, memory_order_release);
	return got;
}

int
close(int fd)
{
	forget(fd);
	bundle_forget(fd);
	return (int)syscall(SYS_close, fd);
}

int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return poll_any(fds, n, timeout);
}

ssize_t
read(int fd, void *out, size_t want)
{
	struct conn *conn = find(fd);
	bool polled;
	ssize_t n;

	if (!conn)
		return read_plain(fd, out, want);
	polled = conn->polled;
	conn->polled = conn->ready = false;
	if (conn->data)
		return (ssize_t)give(conn, out, want);
	if (conn->proof == PROVED && polled && want < AHEAD_SIZE)
		return read_more(conn, fd, out, want);
	n = read_plain(fd, out, want);
	if (conn->proof != PROVED)
		prove(conn, out, want, n);
	return n;
}

/* As a libmilter that was built to check its own buffers calls them. */
ssize_t __read_chk(int fd, void *out, size_t want, size_t size);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);

ssize_t
__read_chk(int fd, void *out, size_t want, size_t size)
{
	if (want > size)
		abort();
	return read(fd, out, want);
}

int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return poll_any(fds, n, timeout);
}

#endif
