/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * corpora_test.c - real mail of every shape goes in and comes out the same
 *
 * Reads mail/ of the third-party corpora (SEALGATE_CORPORA, or ../shared/corpora beside the
 * source); skipped where they are absent.
 */
#include "message/addr.h"
#include "message/classify.h"
#include "message/msg.h"
#include "tests/unit/message/seven.h"

#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[4096];

/* The file as msg_read should take it, told without its code: no mbox line, CRLF for LF if the
 * first line end is one; a field's line end is always written as CRLF. */
static void
normalise(const struct buf *file, struct buf *out)
{
	const char *p = buf_text(file), *end = p + file->len,
		   *lf = file->len ? memchr(p, '\n', file->len) : NULL;
	bool add = lf && (lf == p || lf[-1] != '\r'), in_header = true;
	struct err err = ERR_INIT;
	size_t line = 0;

	if (strncmp(p, "From ", 5) == 0)
		p = lf ? lf + 1 : end;
	for (; p < end; p++) {
		if (*p == '\n') {
			if ((add || in_header) && !(out->len && out->data[out->len - 1] == '\r'))
				buf_append_char(out, '\r', &err);
			in_header = in_header && line > 0;
		}
		line = *p == '\n' ? 0 : line + (*p != '\r');
		CHECK_INT("append", buf_append_char(out, *p, &err), RC_OK);
	}
}

/* The message as written is the file; an empty line that the file lacked behind its header is put
 * there. */
static void
check_identical(const char *name, const struct msg *msg, const struct buf *file)
{
	struct buf want = BUF_INIT(64u << 20), got = BUF_INIT(64u << 20);
	struct sink sink = sink_to_buf(&got);
	struct err err = ERR_INIT;
	size_t head = msg->hdrs.bytes;

	normalise(file, &want);
	CHECK_INT(name, msg_write(msg, &sink, &err), RC_OK);
	CHECK_INT(name, msg_size(msg), got.len);
	if (want.len >= head && strncmp(want.data + head, "\r\n", 2) != 0) {
		size_t gap;

		/* The body began with a line that is no field, or there is no body. */
		CHECK_INT(name, hdrs_field_name(want.data + head, want.len - head, &gap), 0);
		CHECK_INT(name, got.len, want.len + 2);
		assert_memory_equal(got.data, want.data, head);
		assert_memory_equal(got.data + head + 2, buf_text(&want) + head, want.len - head);
	} else {
		CHECK_INT(name, got.len, want.len);
		assert_memory_equal(got.data, want.data, want.len);
	}
	buf_fini(&want);
	buf_fini(&got);
}

/* The fields that go inside when a message is signed. */
static void
content_hdrs(const struct hdrs *hdrs, struct hdrs *out)
{
	struct err err = ERR_INIT;

	hdrs_init(out);
	for (size_t i = 0; i < hdrs->n; i++)
		if (strncasecmp(hdrs->v[i].name, "content-", 8) == 0)
			CHECK_INT("add",
				hdrs_add(out, hdrs->v[i].name, hdrs->v[i].name_len,
					hdrs->v[i].value, hdrs->v[i].value_len, &err),
				RC_OK);
}

/* Both styles; counts what could be written. */
static void
check_both(const char *name, const struct entity *root, const struct msg *msg, int *written,
	int *unchanged)
{
	struct hdrs hdrs;

	content_hdrs(&msg->hdrs, &hdrs);
	for (int style = MIME_STYLE_NORMAL; style <= MIME_STYLE_BASE64; style++) {
		struct buf out = BUF_INIT(64u << 20), body = BUF_INIT(64u << 20);
		struct sink sink = sink_to_buf(&body);
		struct err err = ERR_INIT;
		enum rc rc = check_7bit(name, root, &hdrs, msg->body, style, &out, &err);

		if (rc != RC_OK)
			CHECK_INT(name, err.code, ERR_POLICY_UNSAFE);
		CHECK_INT(
			name, spool_send(msg->body, 0, spool_size(msg->body), &sink, &err), RC_OK);
		if (rc == RC_OK && style == MIME_STYLE_NORMAL) {
			++*written;
			*unchanged +=
				out.len >= body.len && body.len &&
				memcmp(out.data + out.len - body.len, body.data, body.len) == 0;
		}
		buf_fini(&out);
		buf_fini(&body);
	}
	hdrs_fini(&hdrs);
}

/* Each field can be unfolded and decoded; address fields are a list or a clear error. */
static void
check_fields(const char *name, const struct hdrs *hdrs, int *lists, int *bad_lists)
{
	for (size_t i = 0; i < hdrs->n; i++) {
		struct buf out = BUF_INIT(0);
		struct err err = ERR_INIT;
		struct addrlist list;

		CHECK_INT(name, hdr_decode(&hdrs->v[i], &out, &err), RC_OK);
		buf_fini(&out);
		if (strcasecmp(hdrs->v[i].name, "from") != 0)
			continue;
		++*lists;
		if (addrlist_parse(hdrs->v[i].value, hdrs->v[i].value_len, &list, &err) != RC_OK) {
			CHECK_INT(name, err.code, ERR_ADDR_SYNTAX);
			++*bad_lists;
		}
		addrlist_fini(&list);
	}
}

static void
test_mail(void **state)
{
	char **names;
	size_t count;
	struct err err = ERR_INIT;
	int mails = 0, written = 0, unchanged = 0, lists = 0, bad_lists = 0;

	(void)state;
	CHECK_INT("list", file_list(folder, 10000, &names, &count, &err), RC_OK);
	for (size_t i = 0; i < count; i++) {
		const struct spool_conf conf = {.memory = 1 << 16};
		char *path = file_join(folder, names[i]);
		struct buf file = BUF_INIT(64u << 20);
		struct entity *root;
		struct msg *msg;
		unsigned classes;
		int fd;

		if (strlen(names[i]) > 4 && strcmp(names[i] + strlen(names[i]) - 4, ".eml") == 0) {
			CHECK_INT(path, file_read(path, &file, &err), RC_OK);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			CHECK_INT(path, msg_read(fd, &conf, &msg, &err), RC_OK);
			close(fd);
			check_identical(names[i], msg, &file);
			CHECK_INT(names[i], mime_parse(&msg->hdrs, msg->body, &root, &err), RC_OK);
			check_both(names[i], root, msg, &written, &unchanged);
			check_fields(names[i], &msg->hdrs, &lists, &bad_lists);
			CHECK_INT(names[i],
				classify(
					&msg->hdrs, root, msg->body, "a@b.example", &classes, &err),
				RC_OK);
			entity_free(&root);
			msg_free(&msg);
			mails++;
		}
		buf_fini(&file);
		free(path);
	}
	file_list_free(&names, count);
	printf("%d mails: %d can be made 7-bit, %d of them without change; From: %d, of which %d are refused\n",
		mails, written, unchanged, lists, bad_lists);
	assert_true(mails >= 880);
	assert_true(written > mails / 2 && unchanged > mails / 3);
	assert_true(lists > mails / 2 && bad_lists < mails / 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail),
	};
	const char *corpora = getenv("SEALGATE_CORPORA"), *source = getenv("srcdir");
	struct stat st;

	if (corpora)
		snprintf(folder, sizeof(folder), "%s/mail", corpora);
	else
		snprintf(folder, sizeof(folder), "%s/../shared/corpora/mail",
			source ? source : "..");
	if (stat(folder, &st) != 0) {
		printf("SKIP: %s is not there\n", folder);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
