/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/bundle.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char got[8 << 20];

/* What libmilter does for one packet. */
static void
put(int fd, char command, const char *data, size_t len)
{
	unsigned char head[5] = {(unsigned char)((len + 1) >> 24), (unsigned char)((len + 1) >> 16),
		(unsigned char)((len + 1) >> 8), (unsigned char)(len + 1), (unsigned char)command};
	struct iovec iov[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)data, len}};

	assert_int_equal(writev(fd, iov, len ? 2 : 1), sizeof(head) + len);
}

/* What arrived until now, as its commands. */
static const char *
commands(int fd)
{
	static char out[64];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	size_t count = 0;

	for (ssize_t at = 0; at + 5 <= n;) {
		const unsigned char *p = (unsigned char *)got + at;
		size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

		out[count++] = (char)p[4];
		at += (ssize_t)(4 + len);
		if (at > n)
			out[count++] = '?';
	}
	out[count] = 0;
	return out;
}

static void
pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
}

static void
modifications_wait_for_the_reply(void **state)
{
	int fd[2];

	(void)state;
	pair(fd);
	put(fd[0], 'h', "a", 1);
	assert_string_equal(commands(fd[1]), "h"); /* none was begun */
	bundle_begin();
	put(fd[0], 'b', "body", 4);
	put(fd[0], 'h', "X\0y", 4);
	put(fd[0], 'i', "X\0y", 4);
	put(fd[0], 'm', "X\0y", 4);
	put(fd[0], 'e', "x", 2);
	put(fd[0], '+', "x", 2);
	put(fd[0], '-', "x", 2);
	put(fd[0], '2', "x", 2);
	put(fd[0], 'q', "x", 2);
	assert_string_equal(commands(fd[1]), "");
	put(fd[0], 'c', NULL, 0);
	assert_string_equal(commands(fd[1]), "bhime+-2qc");
	assert_memory_equal(got, "\0\0\0\5bbody\0\0\0\5hX\0y\0", 18);
	put(fd[0], 'h', "a", 1); /* the reply ended it */
	assert_string_equal(commands(fd[1]), "h");
	close(fd[0]);
	close(fd[1]);
}

static void
another_begins_with_nothing(void **state)
{
	int fd[2];

	(void)state;
	pair(fd);
	bundle_begin();
	put(fd[0], 'h', "a", 1);
	bundle_begin();
	put(fd[0], 't', NULL, 0);
	assert_string_equal(commands(fd[1]), "t");
	close(fd[0]);
	close(fd[1]);
}

/* libmilter gives up before the reply; the next connection gets the same descriptor and thread. */
static void
close_ends_it(void **state)
{
	int fd[2], again[2];

	(void)state;
	pair(fd);
	bundle_begin();
	put(fd[0], 'h', "somebody else's", 15);
	close(fd[0]);
	pair(again);
	assert_int_equal(again[0], fd[0]);
	put(again[0], 'O', "negotiation", 11);
	assert_string_equal(commands(again[1]), "O");
	close(fd[1]);
	close(again[0]);
	close(again[1]);
}

static void
only_packets_of_the_one_connection(void **state)
{
	int fd[2], other[2];
	struct iovec odd[3] = {{(void *)(uintptr_t) "od", 2}, {(void *)(uintptr_t) "d", 1},
		{(void *)(uintptr_t) "!", 1}};

	(void)state;
	pair(fd);
	pair(other);
	bundle_begin();
	put(fd[0], 'h', "a", 1);
	put(other[0], 'h', "b", 1);
	assert_string_equal(commands(other[1]), "h");
	assert_int_equal(writev(other[0], odd, 3), 4);
	assert_int_equal(recv(other[1], got, 9, MSG_DONTWAIT), 4);
	assert_memory_equal(got, "odd!", 4);
	put(fd[0], 'c', NULL, 0);
	assert_string_equal(commands(fd[1]), "hc");
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(other[i]);
	}
}

static void *
write_many(void *ctx)
{
	static char body[65535];
	int fd = *(int *)ctx;

	memset(body, 'x', sizeof(body));
	bundle_begin();
	put(fd, 'h', "before", 6);
	for (int i = 0; i < 20; i++)
		put(fd, 'b', body, sizeof(body));
	put(fd, 'i', "behind", 6);
	put(fd, 'c', NULL, 0);
	close(fd);
	return NULL;
}

/* More than is kept goes out in order, while the other side is slow. */
static void
large_ones_go_at_once(void **state)
{
	size_t len = 0, want = 11 + 20 * (5 + 65535) + 11 + 5;
	pthread_t thread;
	ssize_t n;
	int fd[2];

	(void)state;
	pair(fd);
	assert_int_equal(pthread_create(&thread, NULL, write_many, &fd[0]), 0);
	while ((n = read(fd[1], got + len, 50000)) > 0)
		len += (size_t)n;
	pthread_join(thread, NULL);
	assert_int_equal(len, want);
	assert_memory_equal(got, "\0\0\0\7hbefore\0\1\0\0bx", 17);
	assert_memory_equal(got + want - 16, "\0\0\0\7ibehind\0\0\0\1c", 16);
	close(fd[1]);
}

static void
a_lost_connection_is_said(void **state)
{
	unsigned char head[5] = {0, 0, 0, 1, 'c'};
	struct iovec iov = {head, sizeof(head)};
	int fd[2];

	(void)state;
	pair(fd);
	close(fd[1]);
	bundle_begin();
	put(fd[0], 'h', "a", 1);
	assert_int_equal(writev(fd[0], &iov, 1), -1);
	close(fd[0]);
}

/* libmilter finds ours, as any library in the program does. */
static void
libraries_find_it(void **state)
{
	ssize_t (*ours)(int, const struct iovec *, int) = writev;
	void *theirs = dlsym(RTLD_DEFAULT, "writev");

	(void)state;
	assert_memory_equal(&ours, &theirs, sizeof(theirs));
	assert_non_null(dlsym(RTLD_NEXT, "writev"));
	assert_ptr_not_equal(dlsym(RTLD_NEXT, "writev"), theirs);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(modifications_wait_for_the_reply),
		cmocka_unit_test(another_begins_with_nothing),
		cmocka_unit_test(close_ends_it),
		cmocka_unit_test(only_packets_of_the_one_connection),
		cmocka_unit_test(large_ones_go_at_once),
		cmocka_unit_test(a_lost_connection_is_said),
		cmocka_unit_test(libraries_find_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
