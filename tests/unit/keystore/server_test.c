/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What peers may do to the vault's sockets: broken frames, silence, too much, wrong names. Others
 * are served all the while.
 */
#include "keystore/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "keystore/proto.h"
#include "tests/unit/keystore/vault_world.h"

static struct world w;
static struct vault_client *client;
static struct later stranger, flooder; /* made before the vault has threads */
static struct err err = ERR_INIT;

static int
dial(const char *which)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/run/%s.sock", w.dir, which);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void
put_hello(struct buf *out, int version, const char *service, const char *role)
{
	struct proto_writer wr;

	proto_begin(&wr, out, PROTO_HELLO, 1);
	proto_put_number(&wr, TAG_VERSION, version);
	proto_put_text(&wr, TAG_SERVICE, service);
	proto_put_text(&wr, TAG_ROLE, role);
	MUST(proto_end(&wr, &err));
}

static void
put_ping(struct buf *out, uint32_t id)
{
	struct proto_writer wr;

	proto_begin(&wr, out, PROTO_PING, id);
	MUST(proto_end(&wr, &err));
}

/* Reads until N bytes or the end; how many came. */
static ssize_t
read_some(int fd, void *data, size_t n)
{
	size_t got = 0;

	while (got < n) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t r;

		if (poll(&p, 1, 5000) != 1)
			return -1; /* still open, and silent */
		r = recv(fd, (char *)data + got, n - got, 0);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* The type of the next frame; 0: closed. */
static int
next_type(int fd)
{
	unsigned char head[PROTO_HEAD], rest[4096];
	size_t len;

	if (read_some(fd, head, sizeof(head)) != sizeof(head))
		return 0;
	len = ((size_t)head[2] << 8 | head[3]) + 4 - sizeof(head);
	assert_true(len < sizeof(rest));
	assert_int_equal(read_some(fd, rest, len), len);
	return head[5];
}

static void
send_buf(int fd, const struct buf *buf)
{
	for (size_t at = 0; at < buf->len;) {
		ssize_t n = send(fd, buf->data + at, buf->len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the vault has enough of it */
		at += (size_t)n;
	}
}

static void
test_hello(void **state)
{
	static const struct {
		const char *name, *socket;
		int version;
		const char *service, *role;
		int answer;
	} cases[] = {
		{"right", "vault", PROTO_VERSION, "all", "all", PROTO_WELCOME},
		{"version", "vault", 2, "all", "all", PROTO_ERROR},
		{"no such service", "vault", PROTO_VERSION, "nix", "all", PROTO_ERROR},
		{"another role", "vault", PROTO_VERSION, "open", "all", PROTO_ERROR},
		{"another's service", "vault", PROTO_VERSION, "other", "all", PROTO_ERROR},
		{"admin on the services' socket", "vault", PROTO_VERSION, "admin", "admin",
			PROTO_ERROR},
		{"service on the admin socket", "admin", PROTO_VERSION, "all", "all", PROTO_ERROR},
		{"admin", "admin", PROTO_VERSION, "admin", "admin", PROTO_WELCOME},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf out = BUF_INIT(4096);
		int fd = dial(cases[i].socket);

		put_hello(&out, cases[i].version, cases[i].service, cases[i].role);
		send_buf(fd, &out);
		CHECK_INT(cases[i].name, next_type(fd), cases[i].answer);
		if (cases[i].answer == PROTO_ERROR)
			CHECK_INT(cases[i].name, next_type(fd), 0);
		close(fd);
		buf_fini(&out);
	}
}

/* Each of these ends its connection without an answer, and nothing else. */
static void
test_broken(void **state)
{
	static const struct {
		const char *name;
		bool hello;
		const char *bytes;
		size_t len;
	} cases[] = {
		{"not our protocol", false, "GET / HTTP/1.0\r\n\r\n", 18},
		{"ping before hello", false, "\0\0\0\10\0\4\0\0\0\0\0\1", 12},
		{"long before hello", false, "\0\0\20\0\0\1\0\0\0\0\0\1", 12},
		{"hello twice", true, NULL, 0},
		{"too long", true, "\0\40\0\0\0\13\0\0\0\0\0\1", 12},
		{"unknown type", true, "\0\0\0\10\0\177\0\0\0\0\0\1", 12},
		{"an answer as request", true, "\0\0\0\10\0\5\0\0\0\0\0\1", 12},
		{"admin request of a service", true, "\0\0\0\21\0\23\0\0\0\0\0\1\0\24\0\0\0\3{}\0",
			21},
		{"field missing", true, "\0\0\0\10\0\6\0\0\0\0\0\1", 12},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf out = BUF_INIT(4096);
		int fd = dial("vault");

		if (cases[i].hello)
			put_hello(&out, PROTO_VERSION, "all", "all");
		if (cases[i].bytes)
			MUST(buf_append(&out, cases[i].bytes, cases[i].len, &err));
		else
			put_hello(&out, PROTO_VERSION, "all", "all");
		send_buf(fd, &out);
		if (cases[i].hello)
			CHECK_INT(cases[i].name, next_type(fd), PROTO_WELCOME);
		CHECK_INT(cases[i].name, next_type(fd), 0);
		close(fd);
		buf_fini(&out);
		MUST(vault_ping(client, &err));
	}
}

/* Requests that come in one go, and byte by byte. */
static void
test_pieces(void **state)
{
	struct buf out = BUF_INIT(65536);
	int fd = dial("vault");

	(void)state;
	put_hello(&out, PROTO_VERSION, "all", "all");
	for (uint32_t i = 0; i < 50; i++)
		put_ping(&out, i);
	send_buf(fd, &out);
	CHECK_INT("hello", next_type(fd), PROTO_WELCOME);
	for (int i = 0; i < 50; i++)
		CHECK_INT("ping", next_type(fd), PROTO_PONG);
	buf_clear(&out);
	put_ping(&out, 99);
	for (size_t i = 0; i < out.len; i++)
		assert_int_equal(send(fd, out.data + i, 1, MSG_NOSIGNAL), 1);
	CHECK_INT("bytes", next_type(fd), PROTO_PONG);
	close(fd);
	buf_fini(&out);
}

/* Sends N zero bytes, in so far as the vault takes them; false: it closed the connection. */
static bool
push_zeros(int fd, size_t n)
{
	static const unsigned char zeros[65536];

	while (n) {
		ssize_t did = send(fd, zeros, n < sizeof(zeros) ? n : sizeof(zeros), MSG_NOSIGNAL);

		if (did <= 0)
			return false;
		n -= (size_t)did;
	}
	return true;
}

/* Begins a large frame; *fd: the connection. */
static bool
begin_large(int *fd)
{
	static const unsigned char head[PROTO_HEAD] = {0, 0x0f, 0xff, 0, 0, PROTO_RECORD};
	struct buf hello = BUF_INIT(4096);
	unsigned char answer[512];

	*fd = dial("vault");
	put_hello(&hello, PROTO_VERSION, "all", "all");
	send_buf(*fd, &hello);
	buf_fini(&hello);
	return read(*fd, answer, sizeof(answer)) > 0 &&
	       send(*fd, head, sizeof(head), MSG_NOSIGNAL) == sizeof(head) &&
	       push_zeros(*fd, 1000000);
}

/* Large frames that never come to their end have only so much memory, and others are served. */
static void
test_begun(void **state)
{
	enum { PEERS = 200 };
	int fds[PEERS], taken = 0;
	bool again = false;

	(void)state;
	for (int i = 0; i < PEERS; i++)
		taken += begin_large(&fds[i]);
	/* 128 MB, and what lies in the sockets themselves */
	if (taken < 50 || taken > 160)
		fail_msg("%d large frames were taken", taken);
	MUST(vault_ping(client, &err));
	for (int i = 0; i < PEERS; i++)
		close(fds[i]);
	/* The room is there again as soon as the vault saw that. */
	for (int i = 0; i < 1000 && !again; i++) {
		again = begin_large(&fds[0]);
		close(fds[0]);
		if (!again)
			poll(NULL, 0, 20);
	}
	assert_true(again);
}

/* Many silent peers, with and without half a frame, hold no worker. */
static void
test_silent(void **state)
{
	int fds[300];

	(void)state;
	for (int i = 0; i < 300; i++) {
		fds[i] = dial("vault");
		if (i % 3)
			assert_int_equal(
				send(fds[i], "\0\0\0", (size_t)(i % 3), MSG_NOSIGNAL), i % 3);
	}
	for (int i = 0; i < 100; i++) /* one that is not served in time fails */
		MUST(vault_ping(client, &err));
	for (int i = 0; i < 300; i++)
		close(fds[i]);
}

/* A peer that asks and never reads. */
static void
test_deaf(void **state)
{
	struct buf out = BUF_INIT(4u << 20);
	int fd = dial("vault");
	struct timeval tv = {.tv_usec = 200000};

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
	put_hello(&out, PROTO_VERSION, "all", "all");
	for (uint32_t i = 0; i < 100000; i++)
		put_ping(&out, i);
	send_buf(fd, &out);
	for (int i = 0; i < 20; i++)
		MUST(vault_ping(client, &err));
	close(fd);
	buf_fini(&out);
}

/* The same, and it will send nothing more: waiting for it costs nothing. */
static void
test_half_closed(void **state)
{
	struct buf out = BUF_INIT(4u << 20);
	struct timeval tv = {.tv_usec = 200000};
	struct rusage before, after;
	int fd = dial("vault");
	int64_t us;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
	put_hello(&out, PROTO_VERSION, "all", "all");
	for (uint32_t i = 0; i < 100000; i++)
		put_ping(&out, i);
	send_buf(fd, &out);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	usleep(200000);
	getrusage(RUSAGE_SELF, &before);
	usleep(500000);
	getrusage(RUSAGE_SELF, &after);
	us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
		     before.ru_stime.tv_sec) *
		     (int64_t)1000000 +
	     after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
	     before.ru_stime.tv_usec;
	if (us > 200000)
		fail_msg("half a second of waiting cost %lld us of CPU", (long long)us);
	MUST(vault_ping(client, &err));
	close(fd);
	buf_fini(&out);
}

/* A stranger's part of test_strangers: how many of its connections stay. */
static int
dial_often(void *ctx)
{
	int open_ones = 0, fds[100];
	char c;

	(void)ctx;
	if (setgid(65534) || setuid(65534))
		return 255;
	for (int i = 0; i < 100; i++)
		fds[i] = dial("admin");
	usleep(300000);
	for (int i = 0; i < 100; i++)
		open_ones += recv(fds[i], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
	return open_ones;
}

/* Another user's connections to the admin socket are few, and take nothing from the services. */
static void
test_strangers(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(w.dir, 0755), 0);
	later_go(&stranger);
	CHECK_INT("connections of a stranger", later_wait(&stranger), 16);
	assert_int_equal(chmod(w.dir, 0700), 0);
	MUST(vault_ping(client, &err));
}

/* Floods the vault as service "other" with questions that take long, and reads no answer but what
 * it must. */
static int
flood(void *ctx)
{
	struct buf out = BUF_INIT(1u << 20);
	unsigned char candidate[33] = {'i'};
	struct proto_writer wr;
	struct pollfd p[150];
	char answers[65536];

	(void)ctx;
	alarm(20);
	if (setuid(4242))
		return 255;
	proto_begin(&wr, &out, PROTO_MATCH, 1);
	proto_put_text(&wr, TAG_ADDR, "alice@example.org");
	for (int i = 0; i < 2000; i++)
		proto_put(&wr, TAG_CANDIDATE, candidate, sizeof(candidate));
	if (proto_end(&wr, &err))
		return 1;
	for (int i = 0; i < 150; i++) {
		struct buf hello = BUF_INIT(4096);

		p[i] = (struct pollfd){dial("vault"), POLLIN | POLLOUT, 0};
		put_hello(&hello, PROTO_VERSION, "other", "all");
		send_buf(p[i].fd, &hello);
		if (next_type(p[i].fd) != PROTO_WELCOME)
			return 2;
	}
	for (;;)
		for (int i = 0; poll(p, 150, 1000) >= 0 && i < 150; i++) {
			if (p[i].revents & POLLIN)
				(void)!recv(p[i].fd, answers, sizeof(answers), MSG_DONTWAIT);
			if (p[i].revents & POLLOUT)
				(void)send(p[i].fd, out.data, out.len, MSG_NOSIGNAL);
			if (p[i].revents & (POLLHUP | POLLERR))
				return 3;
		}
}

/* One user's flood does not stand before the others' requests. */
static void
test_flood(void **state)
{
	int64_t began;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(w.dir, 0755), 0);
	later_go(&flooder);
	usleep(1500000);
	began = clock_monotonic_ms();
	for (int i = 0; i < 20; i++)
		MUST(vault_ping(client, &err));
	began = clock_monotonic_ms() - began;
	assert_int_equal(waitpid(flooder.pid, NULL, WNOHANG), 0);
	kill(flooder.pid, SIGKILL);
	CHECK_INT("killed", later_wait(&flooder), 256);
	assert_int_equal(chmod(w.dir, 0700), 0);
	if (began > 1500)
		fail_msg("20 pings took %d ms", (int)began);
}

static void
test_modes(void **state)
{
	struct stat st;
	char name[128];

	(void)state;
	snprintf(name, sizeof(name), "%s/run/vault.sock", w.dir);
	assert_int_equal(stat(name, &st), 0);
	CHECK_INT("mode of vault.sock", st.st_mode & 07777, 0660);
	snprintf(name, sizeof(name), "%s/run/admin.sock", w.dir);
	assert_int_equal(stat(name, &st), 0);
	CHECK_INT("mode of admin.sock", st.st_mode & 07777, 0666);
	snprintf(name, sizeof(name), "%s/master.key", w.dir);
	assert_int_equal(stat(name, &st), 0);
	CHECK_INT("mode of master.key", st.st_mode & 07777, 0400);
	snprintf(name, sizeof(name), "%s/vault.db", w.dir);
	assert_int_equal(stat(name, &st), 0);
	CHECK_INT("mode of vault.db", st.st_mode & 07777, 0600);
}

/* A second vault on the same store is refused; a reload that is refused changes nothing. */
static void
test_reload(void **state)
{
	struct conf *conf, *bad;
	struct vault_client *late;

	(void)state;
	conf = world_conf(&w, "operators = ( { user = \"root\"; rights = [\"audit\"]; } );\n");
	MUST(vault_reload(w.vault, conf, &err));
	bad = world_conf(&w, "budgets = ( { service = \"nix\"; hour = 1; } );\n");
	REFUSED(vault_reload(w.vault, bad, &err), ERR_CONFIG);
	MUST(vault_ping(client, &err));
	MUST(vault_reload(w.vault, w.conf, &err));
	MUST(vault_client_new(conf, "all", &late, &err));
	MUST(vault_ping(late, &err));
	vault_client_free(&late);
	conf_unref(&conf);
	conf_unref(&bad);
}

static int
begin(void **state)
{
	(void)state;
	world_init(&w, NULL);
	stranger = later_begin(dial_often, NULL);
	flooder = later_begin(flood, NULL);
	world_start(&w);
	MUST(vault_client_new(w.conf, "all", &client, &err));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	vault_client_free(&client);
	world_fini(&w);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_begun),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
