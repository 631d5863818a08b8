/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/msg.h"

#include "tests/unit/unit.h"

#include <sys/mman.h>
#include <unistd.h>

/* A descriptor at the beginning of a file with TEXT. */
static int
file_of(const char *text, size_t len)
{
	int fd = memfd_create("msg_test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	CHECK_INT("write", write(fd, text, len), len);
	CHECK_INT("lseek", lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* What is read and written back. */
static void
test_read_write(void **state)
{
	static const struct {
		const char *name, *in, *out;
		size_t fields;
	} cases[] = {
		{"CRLF", "A: 1\r\nB: 2\r\n\r\nbody\r\n", "A: 1\r\nB: 2\r\n\r\nbody\r\n", 2},
		{"LF", "A: 1\nB: 2\n\nbody\n\n.\n", "A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n.\r\n", 2},
		{"CRLF, bare LF in the body", "A: 1\r\n\r\na\nb\rc\r\n", "A: 1\r\n\r\na\nb\rc\r\n",
			1},
		{"LF, one CRLF", "A: 1\n\na\r\nb\n", "A: 1\r\n\r\na\r\nb\r\n", 1},
		{"mbox", "From x Mon\nA: 1\n\nFrom y\n", "A: 1\r\n\r\nFrom y\r\n", 1},
		{"mbox with CRLF", "From x Mon\r\nA: 1\r\n\r\nb", "A: 1\r\n\r\nb", 1},
		{"only a From line", "From x", "\r\n", 0},
		{"no header", "\nbody", "\r\nbody", 0},
		{"no empty line", "A: 1\r\nbody\r\n", "A: 1\r\n\r\nbody\r\n", 1},
		{"no body", "A: 1\r\n", "A: 1\r\n\r\n", 1},
		{"no final line end", "A: 1\n\nx\ny", "A: 1\r\n\r\nx\r\ny", 1},
		{"empty", "", "\r\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct spool_conf conf = {.memory = 1000};
		struct buf out = BUF_INIT(0);
		struct sink sink = sink_to_buf(&out);
		struct err err = ERR_INIT;
		struct msg *msg;
		int fd = file_of(cases[i].in, strlen(cases[i].in));

		CHECK_INT(cases[i].name, msg_read(fd, &conf, &msg, &err), RC_OK);
		CHECK_INT(cases[i].name, msg->hdrs.n, cases[i].fields);
		CHECK_INT(cases[i].name, msg_write(msg, &sink, &err), RC_OK);
		CHECK_STR(cases[i].name, buf_text(&out), cases[i].out);
		CHECK_INT(cases[i].name, msg_size(msg), out.len);
		msg_free(&msg);
		buf_fini(&out);
		close(fd);
	}
}

/* Lines of every length, so that each border of a piece falls on CR, LF and between. */
static void
test_borders(void **state)
{
	const struct spool_conf conf = {.memory = 1 << 20};
	size_t pad, lines = 0, len;
	char *text = malloc(70000);

	(void)state;
	assert_non_null(text);
	for (pad = 65520; pad < 65545; pad++, lines++) {
		struct err err = ERR_INIT;
		struct buf out = BUF_INIT(0);
		struct sink sink = sink_to_buf(&out);
		struct msg *msg;
		int fd;

		memcpy(text, "A: ", 3);
		memset(text + 3, 'x', pad);
		memcpy(text + 3 + pad, "\r\nB: y\r\n\r\nC: z\r\n\r\n", 18);
		len = 3 + pad + 18;
		fd = file_of(text, len);
		CHECK_INT("read", msg_read(fd, &conf, &msg, &err), RC_OK);
		CHECK_INT("fields", msg->hdrs.n, 2);
		CHECK_INT("write", msg_write(msg, &sink, &err), RC_OK);
		CHECK_INT("length", out.len, len);
		assert_memory_equal(out.data, text, len);
		msg_free(&msg);
		buf_fini(&out);
		close(fd);
	}
	free(text);
}

/* A body without header and empty lines of more bytes than a header may have. */
static void
test_long(void **state)
{
	const struct spool_conf conf = {.memory = 1 << 20, .max = 12 << 20};
	struct err err = ERR_INIT;
	size_t len = 10 << 20;
	char *text = malloc(len);
	struct msg *msg;
	int fd;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	fd = file_of(text, len);
	CHECK_INT("read", msg_read(fd, &conf, &msg, &err), RC_OK);
	CHECK_INT("fields", msg->hdrs.n, 0);
	CHECK_INT("size", spool_size(msg->body), len);
	msg_free(&msg);
	close(fd);
	text[1] = ':';
	fd = file_of(text, len);
	CHECK_INT("header too long", msg_read(fd, &conf, &msg, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_LIMIT);
	close(fd);
	CHECK_INT("bad descriptor", msg_read(-1, &conf, &msg, &err), RC_TEMP);
	assert_null(msg);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
