/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slowldap.c - an LDAP server that knows nobody and takes its time to say so
 *
 *   slowldap PORT MILLISECONDS [FILE [TIMES]]
 *
 * Bind is answered at once, a search with "success" and no entry after the given time; searches of
 * one connection wait side by side. Nothing else of LDAP is understood: such a connection is
 * closed. What the FILE holds then, in hexadecimal digits, at most 100 bytes, is sent before the
 * "success" as the operation of a message, once or TIMES: an entry, broken in whatever way.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
	int fd;
	int users; /* reader and answers under way */
	pthread_mutex_t mutex;
};

struct answer {
	struct conn *conn;
	int id;
	unsigned char op;
	long wait_ms;
};

static long delay_ms, times = 1;
static const char *entry_path;

static void
leave(struct conn *conn)
{
	int left;

	pthread_mutex_lock(&conn->mutex);
	left = --conn->users;
	pthread_mutex_unlock(&conn->mutex);
	if (left)
		return;
	close(conn->fd);
	free(conn);
}

/* The operation from the file in a message with ID; its length, 0: none. */
static size_t
read_entry(unsigned id, unsigned char out[128])
{
	FILE *file = entry_path ? fopen(entry_path, "r") : NULL;
	unsigned byte;
	size_t n = 0;

	while (file && n < 100 && fscanf(file, "%2x", &byte) == 1)
		out[8 + n++] = (unsigned char)byte;
	if (file)
		fclose(file);
	out[0] = 0x30;
	out[1] = (unsigned char)(6 + n);
	out[2] = 0x02;
	out[3] = 4;
	for (int i = 0; i < 4; i++)
		out[4 + i] = (unsigned char)(id >> (24 - 8 * i));
	return n ? 8 + n : 0;
}

/* LDAPMessage { id, [APPLICATION op] { resultCode success, matchedDN "", diagnosticMessage "" } }
 */
static void *
send_answer(void *arg)
{
	struct answer *answer = arg;
	unsigned id = (unsigned)answer->id;
	unsigned char packet[] = {0x30, 15, 0x02, 4, (unsigned char)(id >> 24),
		(unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id, answer->op,
		7, 0x0a, 1, 0, 4, 0, 4, 0};
	unsigned char entry[128];
	size_t len = answer->op == 0x65 ? read_entry(id, entry) : 0;

	usleep((useconds_t)answer->wait_ms * 1000);
	pthread_mutex_lock(&answer->conn->mutex);
	for (long i = 0; len && i < times; i++)
		if (send(answer->conn->fd, entry, len, MSG_NOSIGNAL) < 0)
			break;
	if (send(answer->conn->fd, packet, sizeof packet, MSG_NOSIGNAL) < 0) {
		/* the client has gone: that is its right */
	}
	pthread_mutex_unlock(&answer->conn->mutex);
	leave(answer->conn);
	free(answer);
	return NULL;
}

static void
answer_later(struct conn *conn, int id, unsigned char op, long wait_ms)
{
	struct answer *answer = malloc(sizeof *answer);
	pthread_t thread;

	*answer = (struct answer){conn, id, op, wait_ms};
	pthread_mutex_lock(&conn->mutex);
	conn->users++;
	pthread_mutex_unlock(&conn->mutex);
	if (pthread_create(&thread, NULL, send_answer, answer) != 0)
		abort();
	pthread_detach(thread);
}

static int
read_exact(int fd, unsigned char *out, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, out, len);

		if (n <= 0)
			return 0;
		out += n;
		len -= (size_t)n;
	}
	return 1;
}

/* One LDAPMessage: its id and operation; 0 at the end or for what is not understood. */
static int
read_request(int fd, int *id, unsigned char *op)
{
	unsigned char head[2], data[65536];
	size_t len, n;

	if (!read_exact(fd, head, 2) || head[0] != 0x30)
		return 0;
	len = head[1];
	if (len & 0x80) {
		n = len & 0x7f;
		if (n > 2 || !read_exact(fd, data, n))
			return 0;
		for (len = 0; n > 0; n--)
			len = len << 8 | data[(head[1] & 0x7f) - n];
	}
	if (len < 7 || len > sizeof data || !read_exact(fd, data, len))
		return 0;
	if (data[0] != 0x02 || data[1] < 1 || data[1] > 4)
		return 0;
	*id = 0;
	for (n = 0; n < data[1]; n++)
		*id = *id << 8 | data[2 + n];
	*op = data[2 + data[1]];
	return 1;
}

static void *
serve(void *arg)
{
	struct conn *conn = arg;
	unsigned char op;
	int id;

	while (read_request(conn->fd, &id, &op)) {
		if (op == 0x60) /* bindRequest */
			answer_later(conn, id, 0x61, 0);
		else if (op == 0x63) /* searchRequest */
			answer_later(conn, id, 0x65, delay_ms);
		else if (op != 0x50) /* abandonRequest */
			break;
	}
	shutdown(conn->fd, SHUT_RD);
	leave(conn);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (argc < 3 || argc > 5) {
		fputs("usage: slowldap PORT MILLISECONDS [FILE [TIMES]]\n", stderr);
		return 64;
	}
	addr.sin_port = htons((unsigned short)atoi(argv[1]));
	delay_ms = atol(argv[2]);
	entry_path = argv[3];
	if (argc == 5)
		times = atol(argv[4]);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0 ||
		listen(listener, 128) < 0) {
		perror("slowldap");
		return 69;
	}
	for (;;) {
		struct conn *conn = calloc(1, sizeof *conn);
		pthread_t thread;

		conn->fd = accept(listener, NULL, NULL);
		conn->users = 1;
		pthread_mutex_init(&conn->mutex, NULL);
		if (conn->fd < 0 || pthread_create(&thread, NULL, serve, conn) != 0)
			return 70;
		pthread_detach(thread);
	}
}
