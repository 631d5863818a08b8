/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/spool.h"

#include "base/buf.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[] = "/tmp/spool_test.XXXXXX";

/* Byte I of the test's content. */
static unsigned char
byte_at(uint64_t i)
{
	return (unsigned char)((i * 2654435761u) >> 11);
}

/* Appends SIZE bytes of content in uneven pieces. */
static void
fill(struct spool *spool, size_t size)
{
	struct err err = ERR_INIT;
	unsigned char *piece = malloc(200000);
	size_t step = 1;

	assert_non_null(piece);
	for (size_t at = 0; at < size; step = step * 7 % 199999 + 1) {
		size_t n = size - at < step ? size - at : step;

		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(at + i);
		CHECK_INT("append", spool_append(spool, piece, n, &err), RC_OK);
		at += n;
	}
	free(piece);
}

/* Reads [OFFSET, OFFSET+LEN) and compares. */
static void
check_range(struct spool *spool, uint64_t offset, size_t len)
{
	struct err err = ERR_INIT;
	unsigned char *got = malloc(len ? len : 1);

	assert_non_null(got);
	CHECK_INT("read", spool_read(spool, offset, got, len, &err), RC_OK);
	for (size_t i = 0; i < len; i++)
		if (got[i] != byte_at(offset + i))
			fail_msg("byte %llu differs", (unsigned long long)offset + i);
	if (spool_peek(spool, offset, len))
		assert_memory_equal(spool_peek(spool, offset, len), got, len);
	free(got);
}

/* Every place and every border, in memory only and with a file. */
static void
test_read(void **state)
{
	static const struct {
		size_t memory, size;
		bool file;
	} cases[] = {
		{1000, 0, true},
		{1000, 1000, true},
		{1000, 1001, true},
		{0, 300000, true},
		{4097, 65536 + 4097, true},
		{10000, 1000000, true},
		{10000, 1000000, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct spool_conf conf = {
			.dir = cases[i].file ? dir : NULL, .memory = cases[i].memory};
		size_t size = cases[i].size;
		struct err err = ERR_INIT;
		struct buf all = BUF_INIT(0);
		struct sink sink = sink_to_buf(&all);
		struct spool *spool;
		char c;

		CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
		fill(spool, size / 2);
		check_range(spool, 0, size / 2);
		spool_free(&spool);
		CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
		spool_expect(spool, size / 2 * (i % 4)); /* right or wrong, it is only a hint */
		fill(spool, size);
		CHECK_INT("size", spool_size(spool), size);
		check_range(spool, 0, size);
		assert_int_equal(!!spool_peek(spool, 0, size),
			size && (size <= cases[i].memory || !cases[i].file));
		assert_null(spool_peek(spool, 0, size + 1));
		assert_null(spool_peek(spool, size + 1, 0));
		for (size_t at = 0; at + 70000 <= size; at += 33333)
			check_range(spool, at, 70000 - at % 13);
		for (size_t at = 0; at < size; at += 997)
			check_range(spool, at, size - at < 17 ? size - at : 17);
		CHECK_INT("send", spool_send(spool, size / 3, size - size / 3, &sink, &err), RC_OK);
		CHECK_INT("sent", all.len, size - size / 3);
		for (size_t k = 0; k < all.len; k++)
			if ((unsigned char)all.data[k] != byte_at(size / 3 + k))
				fail_msg("sent byte %zu differs", k);
		CHECK_INT("past the end", spool_read(spool, size, &c, 1, &err), RC_TEMP);
		CHECK_INT("past the end", spool_read(spool, size + 1, &c, 0, &err), RC_TEMP);
		CHECK_INT("past the end", spool_send(spool, 1, size, &sink, &err), RC_TEMP);
		CHECK_INT("wrapped", spool_send(spool, 1, UINT64_MAX, &sink, &err), RC_TEMP);
		buf_fini(&all);
		spool_free(&spool);
	}
}

/* Appending after reading, across a piece's border. */
static void
test_append_after_read(void **state)
{
	const struct spool_conf conf = {.dir = dir, .memory = 10};
	struct err err = ERR_INIT;
	struct spool *spool;
	unsigned char c;

	(void)state;
	CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
	for (uint64_t i = 0; i < 140000; i++) {
		c = byte_at(i);
		CHECK_INT("append", spool_append(spool, &c, 1, &err), RC_OK);
		if (i % 1009 == 0 || i % 65536 == 9)
			check_range(spool, i > 50 ? i - 50 : 0, i > 50 ? 51 : (size_t)i + 1);
	}
	check_range(spool, 0, 140000);
	spool_free(&spool);
}

static void
test_limit(void **state)
{
	const struct spool_conf conf = {.dir = dir, .memory = 10, .max = 100};
	struct err err = ERR_INIT;
	struct spool *spool;
	char data[100] = "";

	(void)state;
	CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
	CHECK_INT("append", spool_append(spool, data, 60, &err), RC_OK);
	CHECK_INT("too much", spool_append(spool, data, 41, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_MSG_TOO_BIG);
	CHECK_INT("the rest", spool_append(spool, data, 40, &err), RC_OK);
	spool_free(&spool);
	spool_free(&spool);
}

/* The folder stays empty, and what is on the disk is not the content. */
static void
test_file(void **state)
{
	const struct spool_conf conf = {.dir = dir, .memory = 0};
	struct err err = ERR_INIT;
	struct spool *spool;
	static char content[1 << 17], disk[1 << 16];
	struct dirent *entry;
	int files = 0, fd = -1;
	char path[64];
	DIR *d;

	(void)state;
	memset(content, 'A', sizeof(content));
	CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
	CHECK_INT("append", spool_append(spool, content, sizeof(content), &err), RC_OK);
	d = opendir(dir);
	assert_non_null(d);
	while ((entry = readdir(d)))
		files += entry->d_name[0] != '.';
	closedir(d);
	CHECK_INT("files in the folder", files, 0);
	for (fd = 3; fd < 64; fd++) {
		char name[256];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, name, sizeof(name) - 1);
		if (n > 0 && (name[n] = '\0', strncmp(name, dir, strlen(dir)) == 0))
			break;
	}
	assert_true(fd < 64);
	CHECK_INT("pread", pread(fd, disk, sizeof(disk), 0), sizeof(disk));
	assert_null(memmem(disk, sizeof(disk), "AAAA", 4));
	spool_free(&spool);
}

/* A disk that takes no more is ERR_SPOOL, now and at each further append. */
static void
test_disk_full(void **state)
{
	const struct spool_conf conf = {.dir = dir, .memory = 0};
	struct rlimit old, small;
	struct err err = ERR_INIT;
	struct spool *spool;
	static char content[1 << 16];
	enum rc rc = RC_OK;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	CHECK_INT("getrlimit", getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 200000, .rlim_max = old.rlim_max};
	CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
	CHECK_INT("setrlimit", setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 10 && rc == RC_OK; i++)
		rc = spool_append(spool, content, sizeof(content), &err);
	CHECK_INT("setrlimit", setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_INT("full", rc, RC_TEMP);
	CHECK_INT("code", err.code, ERR_SPOOL);
	err_clear(&err);
	CHECK_INT("still", spool_append(spool, content, 1, &err), RC_TEMP);
	CHECK_INT("code", err.code, ERR_SPOOL);
	spool_free(&spool);
}

static void
test_no_folder(void **state)
{
	const struct spool_conf conf = {.dir = "/nonexistent/folder", .memory = 4};
	struct err err = ERR_INIT;
	struct spool *spool;

	(void)state;
	CHECK_INT("new", spool_new(&conf, &spool, &err), RC_OK);
	CHECK_INT("in memory", spool_append(spool, "abcd", 4, &err), RC_OK);
	CHECK_INT("past it", spool_append(spool, "e", 1, &err), RC_TEMP);
	CHECK_INT("code", err.code, ERR_SPOOL);
	spool_free(&spool);
}

/* Removes the folder; that it is empty is part of the test. */
static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_append_after_read),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_no_folder),
	};

	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, remove_dir);
}
