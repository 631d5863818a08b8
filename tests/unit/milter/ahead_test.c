/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/ahead.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* A connection as the daemon has it: SIDE[0] from accept(), SIDE[1] the MTA's. */
static void
connect_pair(int side[2])
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(at.sun_family); /* a name that the system chooses */
	int door = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(bind(door, (struct sockaddr *)&at, len), 0);
	len = sizeof(at);
	assert_int_equal(getsockname(door, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(listen(door, 1), 0);
	side[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(side[1], (struct sockaddr *)&at, len), 0);
	side[0] = accept(door, NULL, NULL);
	assert_true(side[0] >= 0);
	close(door);
}

static void
close_pair(const int side[2])
{
	close(side[0]);
	close(side[1]);
}

/* The MTA's packet. */
static void
put(int fd, char command, const char *text)
{
	size_t len = strlen(text);
	unsigned char head[5] = {0, 0, (unsigned char)((len + 1) >> 8), (unsigned char)(len + 1),
		(unsigned char)command};

	assert_int_equal(send(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(send(fd, text, len, 0), len);
}

static int
wait_for(int fd, short events, int timeout)
{
	struct pollfd one = {.fd = fd, .events = events};
	int n = poll(&one, 1, timeout);

	return n == 1 ? one.revents : 0;
}

/* As libmilter reads LEN bytes: poll() before each read(). */
static size_t
get(int fd, char *out, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n;

		assert_int_not_equal(wait_for(fd, POLLIN | POLLPRI, 5000), 0);
		n = read(fd, out + got, len - got);
		assert_true(n >= 0);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* The next packet as "command:text", as libmilter reads it. */
static const char *
packet(int fd)
{
	static char text[70000];
	unsigned char head[5];
	size_t len;

	if (get(fd, (char *)head, sizeof(head)) != sizeof(head))
		return "end";
	len = ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]) - 1;
	text[0] = (char)head[4];
	text[1] = ':';
	assert_int_equal(get(fd, text + 2, len), len);
	text[2 + len] = 0;
	return text;
}

/* What the system still has of FD: nothing, when it was read ahead. */
static size_t
left(int fd)
{
	static char some[70000];
	ssize_t n = recv(fd, some, sizeof(some), MSG_PEEK | MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

static void
reads_ahead_after_the_first_packet(void **state)
{
	int side[2];

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	put(side[1], 'C', "connect");
	put(side[1], 'M', "<a@example.org>");
	assert_string_equal(packet(side[0]), "O:negotiation");
	assert_int_equal(left(side[0]), 12 + 20); /* nothing is known yet */
	assert_string_equal(packet(side[0]), "C:connect");
	assert_int_equal(left(side[0]), 0);
	assert_int_equal(wait_for(side[0], POLLIN, 0), POLLIN); /* there is more, here */
	assert_string_equal(packet(side[0]), "M:<a@example.org>");
	assert_int_equal(wait_for(side[0], POLLIN, 0), 0);
	close_pair(side);
}

static void
packets_in_pieces(void **state)
{
	static const char rest[] = "\0\0\0\4Rone\0\0\0\4Rtwo\0\0\0\6Rthree";
	int side[2];

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	packet(side[0]);
	for (size_t cut = 1; cut < sizeof(rest) - 1; cut++) {
		int fd = side[1];

		assert_int_equal(send(fd, rest, cut, 0), cut);
		if (cut >= 5 + 3 + 5)
			assert_string_equal(packet(side[0]), "R:one");
		assert_int_equal(
			send(fd, rest + cut, sizeof(rest) - 1 - cut, 0), sizeof(rest) - 1 - cut);
		if (cut < 5 + 3 + 5)
			assert_string_equal(packet(side[0]), "R:one");
		assert_string_equal(packet(side[0]), "R:two");
		assert_string_equal(packet(side[0]), "R:three");
		assert_int_equal(wait_for(side[0], POLLIN, 0), 0);
	}
	close_pair(side);
}

static void *
send_large(void *ctx)
{
	static char body[65535];
	int fd = *(int *)ctx;

	for (int i = 0; i < 40; i++) {
		unsigned char head[5] = {0, 1, 0, 0, 'B'};

		memset(body, 'a' + i % 26, sizeof(body));
		assert_int_equal(send(fd, head, sizeof(head), 0), sizeof(head));
		for (size_t at = 0; at < sizeof(body);) {
			size_t step = sizeof(body) - at < 1000u + (size_t)i * 777
					      ? sizeof(body) - at
					      : 1000u + (size_t)i * 777;

			at += (size_t)send(fd, body + at, step, 0);
		}
	}
	put(fd, 'E', "");
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void
large_packets_and_the_end(void **state)
{
	pthread_t thread;
	int side[2];

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	packet(side[0]);
	assert_int_equal(pthread_create(&thread, NULL, send_large, &side[1]), 0);
	for (int i = 0; i < 40; i++) {
		const char *text = packet(side[0]);

		assert_int_equal(strlen(text), 2 + 65535);
		assert_int_equal(text[0], 'B');
		assert_int_equal(strspn(text + 2, (char[]){(char)('a' + i % 26), 0}), 65535);
	}
	assert_string_equal(packet(side[0]), "E:");
	assert_string_equal(packet(side[0]), "end");
	pthread_join(thread, NULL);
	close_pair(side);
}

static void *
read_one(void *ctx)
{
	assert_string_equal(packet(*(int *)ctx), "M:two");
	return NULL;
}

/* libmilter waits for all that have no thread with one poll(), and another thread goes on. */
static void
another_thread_goes_on(void **state)
{
	struct pollfd all[3];
	pthread_t thread;
	int side[2], idle[2], pipes[2];

	(void)state;
	connect_pair(side);
	connect_pair(idle);
	assert_int_equal(pipe(pipes), 0);
	put(side[1], 'O', "negotiation");
	packet(side[0]);
	put(side[1], 'C', "one");
	put(side[1], 'M', "two");
	put(side[1], 'R', "three");
	assert_string_equal(packet(side[0]), "C:one");
	all[0] = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	all[1] = (struct pollfd){.fd = idle[0], .events = POLLIN};
	all[2] = (struct pollfd){.fd = side[0], .events = POLLIN};
	assert_int_equal(left(side[0]), 0);
	assert_int_equal(poll(all, 3, 10000), 1);
	assert_int_equal(all[2].revents, POLLIN);
	assert_int_equal(pthread_create(&thread, NULL, read_one, &side[0]), 0);
	pthread_join(thread, NULL);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(poll(all, 3, 10000), 2);
	assert_int_equal(all[0].revents, POLLIN);
	assert_string_equal(packet(side[0]), "R:three");
	assert_int_equal(poll(all, 3, 0), 1);
	close_pair(side);
	close_pair(idle);
	close_pair(pipes);
}

/* The next connection with the same descriptor has nothing of the one before. */
static void
close_forgets(void **state)
{
	int side[2], again[2], old;

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	packet(side[0]);
	put(side[1], 'C', "one");
	put(side[1], 'M', "somebody else's");
	packet(side[0]);
	assert_int_equal(left(side[0]), 0);
	old = side[0];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, again), 0);
	close(old);
	assert_int_equal(dup2(again[0], old), old);
	assert_int_equal(wait_for(old, POLLIN, 0), 0);
	put(again[1], 'x', "y");
	assert_string_equal(packet(old), "x:y");
	close_pair(again);
	close(side[1]);
	assert_int_equal(close(old), 0);
	errno = 0;
	assert_int_equal(close(old), -1);
	assert_int_equal(errno, EBADF);
}

/* Who reads in another way than libmilter, or without poll(), gets what it asks for, no more. */
static void
others_are_left_alone(void **state)
{
	char text[16];
	int side[2];

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	put(side[1], 'C', "connect");
	assert_int_equal(wait_for(side[0], POLLIN, 0), POLLIN);
	assert_int_equal(read(side[0], text, 4), 4); /* not the head's five */
	assert_int_equal(wait_for(side[0], POLLIN, 0), POLLIN);
	assert_int_equal(read(side[0], text, 1 + 11), 12);
	assert_int_equal(wait_for(side[0], POLLIN, 0), POLLIN);
	assert_int_equal(read(side[0], text, 5), 5);
	assert_int_equal(left(side[0]), 7);
	close_pair(side);

	connect_pair(side);
	put(side[1], 'O', "negotiation");
	put(side[1], 'C', "connect");
	packet(side[0]);
	assert_int_equal(read(side[0], text, 5), 5); /* nobody asked by poll() before */
	assert_int_equal(left(side[0]), 7);
	close_pair(side);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, side), 0); /* not accepted */
	put(side[1], 'O', "negotiation");
	put(side[1], 'C', "connect");
	put(side[1], 'C', "connect");
	packet(side[0]);
	packet(side[0]);
	assert_int_equal(left(side[0]), 12);
	assert_false(ahead_wrote(side[0]));
	close_pair(side);
}

/* A first packet that is only a head, and one that comes byte by byte. */
static void
odd_first_packets(void **state)
{
	static const char first[] = "\0\0\0\3Oab";
	int side[2];

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "");
	put(side[1], 'C', "one");
	put(side[1], 'C', "two");
	assert_string_equal(packet(side[0]), "O:");
	assert_string_equal(packet(side[0]), "C:one");
	assert_int_equal(left(side[0]), 0);
	assert_string_equal(packet(side[0]), "C:two");
	close_pair(side);

	connect_pair(side);
	for (size_t i = 0; i < sizeof(first) - 1; i++) {
		char text[8];

		assert_int_equal(send(side[1], first + i, 1, 0), 1);
		assert_int_equal(wait_for(side[0], POLLIN, 0), POLLIN);
		assert_int_equal(read(side[0], text, i < 5 ? 5 - i : 7 - i), 1);
		assert_int_equal(text[0], first[i]);
	}
	put(side[1], 'C', "one");
	put(side[1], 'C', "two");
	assert_string_equal(packet(side[0]), "C:one");
	assert_int_equal(left(side[0]), 0);
	close_pair(side);

	connect_pair(side); /* a length of nothing, which libmilter does not believe */
	assert_int_equal(send(side[1], "\0\0\0\0Oabcdefgh", 13, 0), 13);
	assert_int_equal(get(side[0], (char[5]){0}, 5), 5);
	assert_int_equal(get(side[0], (char[5]){0}, 5), 5);
	assert_int_equal(left(side[0]), 3);
	close_pair(side);
}

struct drain {
	int fd;
	size_t want, got;
};

static void *
drain_late(void *ctx)
{
	static char some[100000];
	struct drain *drain = ctx;
	ssize_t n;

	usleep(50000);
	while (drain->got < drain->want && (n = recv(drain->fd, some, sizeof(some), 0)) > 0)
		drain->got += (size_t)n;
	return NULL;
}

/* Once writev() was seen poll() promises room, and writev() waits for it. */
static void
room_is_waited_for_while_writing(void **state)
{
	static char body[60000];
	unsigned char head[5] = {0, 0, 0xea, 0x61, 'b'};
	struct iovec iov[2] = {{head, sizeof(head)}, {body, sizeof(body)}};
	struct drain drain = {.want = sizeof(head) + sizeof(body)};
	pthread_t thread;
	int side[2];
	ssize_t n;

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	packet(side[0]);
	while ((n = send(side[0], body, sizeof(body), MSG_DONTWAIT)) > 0)
		drain.want += (size_t)n;
	assert_int_equal(wait_for(side[0], POLLOUT, 0), 0);
	assert_true(ahead_wrote(side[0]));
	assert_int_equal(wait_for(side[0], POLLOUT, 0), POLLOUT);
	drain.fd = side[1];
	assert_int_equal(pthread_create(&thread, NULL, drain_late, &drain), 0);
	while (iov[0].iov_len + iov[1].iov_len) {
		n = writev(side[0], iov, 2);
		assert_true(n > 0);
		for (int i = 0; i < 2; i++) {
			size_t done = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;

			iov[i].iov_base = (char *)iov[i].iov_base + done;
			iov[i].iov_len -= done;
			n -= (ssize_t)done;
		}
	}
	pthread_join(thread, NULL);
	assert_int_equal(drain.got, drain.want);
	close_pair(side);
}

static void *
read_closed(void *ctx)
{
	int fd = *(int *)ctx;
	char text[8];

	assert_int_not_equal(wait_for(fd, POLLIN, 10000), 0);
	assert_int_equal(read(fd, text, 5), -1);
	assert_int_equal(errno, EBADF);
	return NULL;
}

/* On a stop libmilter's controller closes what a worker still waits for (ASan sees the difference).
 */
static void
closed_under_a_worker(void **state)
{
	pthread_t thread;
	int side[2];

	(void)state;
	connect_pair(side);
	put(side[1], 'O', "negotiation");
	packet(side[0]);
	ahead_keep();
	assert_int_equal(pthread_create(&thread, NULL, read_closed, &side[0]), 0);
	usleep(100000);
	close(side[0]);
	close(side[1]);
	pthread_join(thread, NULL);
}

/* libmilter finds ours, as any library in the program does. */
static void
libraries_find_them(void **state)
{
	static const char *const names[] = {
		"accept", "close", "poll", "read", "__read_chk", "__poll_chk"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_non_null(dlsym(RTLD_NEXT, names[i]));
		assert_ptr_not_equal(dlsym(RTLD_DEFAULT, names[i]), dlsym(RTLD_NEXT, names[i]));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_ahead_after_the_first_packet),
		cmocka_unit_test(packets_in_pieces), cmocka_unit_test(large_packets_and_the_end),
		cmocka_unit_test(another_thread_goes_on), cmocka_unit_test(close_forgets),
		cmocka_unit_test(others_are_left_alone), cmocka_unit_test(odd_first_packets),
		cmocka_unit_test(room_is_waited_for_while_writing),
		cmocka_unit_test(libraries_find_them),
		cmocka_unit_test(
			closed_under_a_worker), /* the last: nothing is freed from then on */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
