/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many requests in hand: answers in their order, intents that share a write, and what one request
 * does to the others.
 */
#include "keystore/batch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "keystore/ledger_verify.h"
#include "keystore/share.h"
#include "tests/unit/keystore/vault_world.h"

static struct err err = ERR_INIT;

#define OTHER_INTENTS 1 /* the CA issued the certificate */

/* A world with a key, and a connection to its vault that has said HELLO. */
struct scene {
	struct world w;
	char key[64];
	int fd;
};

/* Reads N bytes; false: closed, or nothing came for long. */
static bool
read_all(int fd, void *data, size_t n)
{
	for (size_t got = 0; got < n;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t r = poll(&p, 1, 10000) == 1 ? recv(fd, (char *)data + got, n - got, 0) : 0;

		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

/* The type of the next answer and its id; 0: closed. */
static int
next_answer(int fd, uint32_t *id)
{
	static unsigned char rest[1u << 20];
	unsigned char h[PROTO_HEAD];
	size_t len;

	if (!read_all(fd, h, sizeof(h)))
		return 0;
	len = ((size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3]) + 4 - sizeof(h);
	assert_true(len < sizeof(rest) && read_all(fd, rest, len));
	*id = (uint32_t)h[8] << 24 | (uint32_t)h[9] << 16 | (uint32_t)h[10] << 8 | h[11];
	return h[5];
}

static void
send_all(int fd, const struct buf *out)
{
	assert_int_equal(send(fd, out->data, out->len, MSG_NOSIGNAL), out->len);
}

static void
put_sign(struct buf *out, const char *key, uint32_t id)
{
	struct proto_writer wr;
	unsigned char value[SHA256_SIZE] = {(unsigned char)id, (unsigned char)(id >> 8)};

	proto_begin(&wr, out, PROTO_SIGN, id);
	proto_put_text(&wr, TAG_KEY, key);
	proto_put_text(&wr, TAG_DIGEST, "sha256");
	proto_put(&wr, TAG_VALUE, value, sizeof(value));
	proto_put_number(&wr, TAG_FLAG, 0);
	proto_put_text(&wr, TAG_CLAIM_SENDER, "alice@example.org");
	for (uint32_t i = 0; i < id % 12; i++) /* also more than have room in a task */
		proto_put_text(&wr, TAG_CLAIM_RCPT, "carol@example.net");
	MUST(proto_end(&wr, &err));
}

static void
put_plain(struct buf *out, enum proto_type type, const char *addr, uint32_t id)
{
	struct proto_writer wr;

	proto_begin(&wr, out, type, id);
	proto_put_text(&wr, TAG_ADDR, addr);
	MUST(proto_end(&wr, &err));
}

static void
scene_open(struct scene *s)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct buf out = BUF_INIT(4096);
	struct proto_writer wr;
	uint32_t id;

	world_init(&s->w, NULL);
	world_do(&s->w, "{\"cmd\":\"key.new\",\"addr\":\"alice@example.org\",\"type\":\"p256\"}",
		s->key);
	world_start(&s->w);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/run/vault.sock", s->w.dir);
	assert_int_equal(connect(s->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	proto_begin(&wr, &out, PROTO_HELLO, 1);
	proto_put_number(&wr, TAG_VERSION, PROTO_VERSION);
	proto_put_text(&wr, TAG_SERVICE, "all");
	proto_put_text(&wr, TAG_ROLE, "all");
	MUST(proto_end(&wr, &err));
	send_all(s->fd, &out);
	CHECK_INT("hello", next_answer(s->fd, &id), PROTO_WELCOME);
	buf_fini(&out);
}

/* Stops the vault and verifies what it wrote. */
static struct ledger_report
scene_close(struct scene *s)
{
	struct ledger_report report;
	char dir[100];

	close(s->fd);
	world_stop(&s->w);
	snprintf(dir, sizeof(dir), "%s/ledger", s->w.dir);
	MUST(ledger_verify(dir, NULL, 0, &report, &err));
	if (!report.ok)
		fail_msg("%s", report.problem);
	world_fini(&s->w);
	return report;
}

/* What the Ith request of test_order is answered with. */
static int
answer_to(uint32_t i)
{
	return i % 7 == 3    ? PROTO_PONG
	       : i % 11 == 5 ? PROTO_ERROR
	       : i % 13 == 6 ? PROTO_NONE
			     : PROTO_SIGNED;
}

static void
test_order(void **state)
{
	enum { N = 400 };
	struct scene s;
	struct buf out = BUF_INIT(1u << 20);
	struct ledger_report report;
	uint64_t signs = 0;

	(void)state;
	scene_open(&s);
	for (uint32_t i = 0; i < N; i++) {
		if (answer_to(i) == PROTO_PONG)
			put_plain(&out, PROTO_PING, NULL, i);
		else if (answer_to(i) == PROTO_ERROR)
			put_sign(&out, "k0123456789abcdef", i);
		else if (answer_to(i) == PROTO_NONE)
			put_plain(&out, PROTO_HOLDS, "nobody@example.org", i);
		else
			put_sign(&out, s.key, i);
		signs += answer_to(i) == PROTO_SIGNED;
	}
	send_all(s.fd, &out);
	for (uint32_t i = 0, id = 0; i < N; i++) {
		CHECK_INT("answer", next_answer(s.fd, &id), answer_to(i));
		CHECK_INT("id", id, i);
	}
	report = scene_close(&s);
	CHECK_INT("intents", report.intents, signs + OTHER_INTENTS);
	CHECK_INT("without outcome", report.unknown_outcomes, 0);
	buf_fini(&out);
}

/* How many intents stand one behind the other at most. */
static int
longest_run(const char *dir)
{
	struct buf text = BUF_INIT(16u << 20);
	char name[128];
	int run = 0, most = 0;

	snprintf(name, sizeof(name), "%s/ledger/000001.jsonl", dir);
	MUST(file_read(name, &text, &err));
	for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
		run = strstr(line, "\"type\":\"intent\"") ? run + 1 : 0;
		most = run > most ? run : most;
	}
	buf_fini(&text);
	return most;
}

/* What comes together is written together: outcomes come behind all intents. */
static void
test_shared_write(void **state)
{
	enum { N = 40 };
	struct scene s;
	struct buf out = BUF_INIT(1u << 20);

	(void)state;
	scene_open(&s);
	for (uint32_t i = 0; i < N; i++)
		put_sign(&out, s.key, i);
	send_all(s.fd, &out);
	for (uint32_t i = 0, id = 0; i < N; i++)
		CHECK_INT("answer", next_answer(s.fd, &id), PROTO_SIGNED);
	CHECK_INT("intents in one write", longest_run(s.w.dir), N);
	CHECK_INT("intents", scene_close(&s).intents, N + OTHER_INTENTS);
	buf_fini(&out);
}

/* A broken frame ends its connection when what came before it was answered. */
static void
test_broken_behind(void **state)
{
	struct scene s;
	struct buf out = BUF_INIT(1u << 20);
	uint32_t id;

	(void)state;
	scene_open(&s);
	for (uint32_t i = 0; i < 5; i++)
		put_sign(&out, s.key, i);
	MUST(buf_append(&out, "\0\0\0\10\0\177\0\0\0\0\0\1", 12, &err));
	put_sign(&out, s.key, 6);
	send_all(s.fd, &out);
	for (uint32_t i = 0; i < 5; i++) {
		CHECK_INT("before", next_answer(s.fd, &id), PROTO_SIGNED);
		CHECK_INT("before", id, i);
	}
	CHECK_INT("behind", next_answer(s.fd, &id), 0);
	CHECK_INT("intents", scene_close(&s).intents, 5 + OTHER_INTENTS);
	buf_fini(&out);
}

/* No record, no use: not for the first and not for the last of them. */
static void
test_full_disk(void **state)
{
	struct rlimit limit, small;
	struct scene s;
	struct buf out = BUF_INIT(1u << 20);
	uint32_t id;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){.rlim_cur = 4096, .rlim_max = limit.rlim_max};
	scene_open(&s);
	for (uint32_t i = 0; i < 20; i++)
		put_sign(&out, s.key, i);
	put_plain(&out, PROTO_PING, NULL, 20);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	send_all(s.fd, &out);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_INT("refused", next_answer(s.fd, &id), PROTO_ERROR);
	CHECK_INT("still there", next_answer(s.fd, &id), PROTO_PONG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	send_all(s.fd, &out);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_INT("signed", next_answer(s.fd, &id), PROTO_SIGNED);
	CHECK_INT("intents", scene_close(&s).intents, 20 + OTHER_INTENTS);
	buf_fini(&out);
}

/* Users take turns, and none has all workers. */
static void
test_turns(void **state)
{
	struct shares shares = {.limit = 2};
	struct share *a = shares_join(&shares, 1), *b = shares_join(&shares, 2);
	struct conn conns[6] = {0};

	(void)state;
	assert_false(shares_have_work(&shares));
	assert_null(shares_take(&shares));
	for (int i = 0; i < 6; i++) {
		conns[i].share = i < 5 ? a : b;
		share_line_up(&conns[i]);
	}
	assert_ptr_equal(shares_join(&shares, 1), a);
	assert_ptr_equal(shares_take(&shares), b);
	assert_ptr_equal(shares_take(&shares), a);
	assert_ptr_equal(share_pop(b), &conns[5]);
	assert_null(share_pop(b));
	assert_ptr_equal(share_pop(a), &conns[0]);
	assert_ptr_equal(shares_take(&shares), a); /* nobody else has anything */
	assert_false(shares_have_work(&shares));   /* the limit */
	assert_null(shares_take(&shares));
	share_line_up(&conns[5]);
	assert_ptr_equal(shares_take(&shares), b);
	assert_null(shares_take(&shares)); /* both have theirs */
	shares_give_back(&shares, a);
	assert_ptr_equal(shares_take(&shares), a);
	CHECK_INT("waiting", a->waiting, 4);
	for (int i = 1; i < 5; i++)
		assert_ptr_equal(share_pop(a), &conns[i]);
	assert_ptr_equal(share_pop(b), &conns[5]);
	for (int i = 0; i < 2; i++) {
		shares_give_back(&shares, a);
		shares_give_back(&shares, b);
		shares_leave(&shares, a);
	}
	shares_leave(&shares, b);
	assert_null(shares.list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_shared_write),
		cmocka_unit_test(test_broken_behind),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
