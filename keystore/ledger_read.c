/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_read.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BUFFER (4u * LEDGER_MAX_LINE)

struct ledger_reader {
	char *dir;
	uint64_t segment;
	int fd;         /* -1: before the first segment, or after the last */
	char *data;     /* READ_BUFFER bytes */
	size_t at, end; /* unread bytes of it */
	bool eof;       /* the file has no more at present */
	uint64_t line;  /* number in the segment, from 1 */
	int64_t offset; /* of the line given last */
	int64_t next;   /* of the line after it */
};

const char *
ledger_segment_name(uint64_t segment, char out[LEDGER_SEGMENT_NAME])
{
	(void)snprintf(out, LEDGER_SEGMENT_NAME, "%06" PRIu64 ".jsonl", segment % 1000000000);
	return out;
}

/* The number in a segment's file name, or 0 for any other file. */
static uint64_t
segment_number(const char *name)
{
	char again[LEDGER_SEGMENT_NAME];
	uint64_t n = strtoull(name, NULL, 10);

	return n && strcmp(ledger_segment_name(n, again), name) == 0 ? n : 0;
}

enum rc
ledger_segments(const char *dir, uint64_t *first, uint64_t *last, struct err *err)
{
	char **names = NULL;
	size_t count = 0, found = 0;
	enum rc rc = file_list(dir, LEDGER_MAX_SEGMENTS, &names, &count, err);

	*first = *last = 0;
	if (rc)
		return rc == RC_NONE ? RC_TEMP : rc;
	for (size_t i = 0; i < count; i++) {
		uint64_t n = segment_number(names[i]);

		if (!n)
			continue;
		found++;
		if (!*first || n < *first)
			*first = n;
		if (n > *last)
			*last = n;
	}
	file_list_free(&names, count);
	if (found && *last - *first + 1 != found)
		return err_set(err, ERR_LEDGER_BROKEN,
			"%s: a segment between %06" PRIu64 " and %06" PRIu64 " is missing", dir,
			*first, *last);
	return RC_OK;
}

/* An open file of the segment; RC_NONE when it is not there. */
static enum rc
open_segment(const char *dir, uint64_t segment, int *fd, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];
	char *path = file_join(dir, ledger_segment_name(segment, name));
	bool missing;

	*fd = -1;
	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	missing = *fd < 0 && errno == ENOENT;
	if (*fd < 0 && !missing)
		err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	free(path);
	return missing ? RC_NONE : *fd < 0 ? RC_TEMP : RC_OK;
}

/* Goes on to SEGMENT; RC_NONE when it is not there. */
static enum rc
enter(struct ledger_reader *reader, uint64_t segment, struct err *err)
{
	int fd;
	enum rc rc = open_segment(reader->dir, segment, &fd, err);

	if (rc)
		return rc;
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = fd;
	reader->segment = segment;
	reader->at = reader->end = 0;
	reader->eof = false;
	reader->line = 0;
	reader->offset = reader->next = 0;
	return RC_OK;
}

enum rc
ledger_reader_open(const char *dir, uint64_t from, struct ledger_reader **out, struct err *err)
{
	struct ledger_reader *reader;
	uint64_t first, last;
	enum rc rc = ledger_segments(dir, &first, &last, err);

	*out = NULL;
	if (rc)
		return rc;
	reader = calloc(1, sizeof *reader);
	if (!reader)
		return err_set(err, ERR_MEMORY, "ledger reader");
	reader->fd = -1;
	reader->dir = strdup(dir);
	reader->data = malloc(READ_BUFFER);
	if (!reader->dir || !reader->data)
		rc = err_set(err, ERR_MEMORY, "ledger reader");
	else if (last)
		rc = enter(reader, from ? from : first, err);
	if (rc)
		ledger_reader_close(&reader);
	*out = reader;
	return rc;
}

void
ledger_reader_close(struct ledger_reader **reader)
{
	if (!*reader)
		return;
	if ((*reader)->fd >= 0)
		close((*reader)->fd);
	free((*reader)->dir);
	free((*reader)->data);
	free(*reader);
	*reader = NULL;
}

/* Fills the buffer behind what is unread. */
static enum rc
refill(struct ledger_reader *reader, struct err *err)
{
	ssize_t n;

	memmove(reader->data, reader->data + reader->at, reader->end - reader->at);
	reader->end -= reader->at;
	reader->at = 0;
	do
		n = read(reader->fd, reader->data + reader->end, READ_BUFFER - reader->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, ERR_FILE, "ledger segment %06" PRIu64 ": %s", reader->segment,
			strerror(errno));
	reader->eof = n == 0;
	reader->end += (size_t)n;
	return RC_OK;
}

/* Hands out the next LEN bytes as a line. */
static enum rc
give(struct ledger_reader *reader, size_t give_len, const char **line, size_t *len)
{
	*line = reader->data + reader->at;
	*len = give_len;
	reader->at += give_len;
	reader->offset = reader->next;
	reader->next += (int64_t)give_len;
	reader->line++;
	return RC_OK;
}

enum rc
ledger_reader_next(struct ledger_reader *reader, const char **line, size_t *len, struct err *err)
{
	enum rc rc;

	*line = NULL;
	*len = 0;
	while (reader->fd >= 0) {
		size_t have = reader->end - reader->at;
		const char *start = reader->data + reader->at;
		const char *lf = have ? memchr(start, '\n', have) : NULL;

		if (lf)
			return give(reader, (size_t)(lf - start) + 1, line, len);
		if (have > LEDGER_MAX_LINE || (reader->eof && have))
			return give(reader, have, line, len);
		if (!reader->eof)
			rc = refill(reader, err);
		else
			rc = enter(reader, reader->segment + 1, err);
		if (rc)
			return rc;
	}
	return RC_NONE;
}

uint64_t
ledger_reader_segment(const struct ledger_reader *reader)
{
	return reader->segment;
}

uint64_t
ledger_reader_line(const struct ledger_reader *reader)
{
	return reader->line;
}

int64_t
ledger_reader_offset(const struct ledger_reader *reader)
{
	return reader->offset;
}

bool
ledger_reader_in_last(const struct ledger_reader *reader)
{
	int fd;
	enum rc rc = open_segment(reader->dir, reader->segment + 1, &fd, NULL);

	if (fd >= 0)
		close(fd);
	return rc == RC_NONE;
}

/* Reads FD from OFFSET to its end; more than LEDGER_MAX_TORN is ERR_LIMIT. */
static enum rc
read_rest(int fd, int64_t offset, struct buf *out, struct err *err)
{
	if (lseek(fd, offset, SEEK_SET) < 0)
		return err_set(err, ERR_FILE, "ledger segment: %s", strerror(errno));
	return file_read_fd(fd, "ledger segment", out, err);
}

enum rc
ledger_is_torn(const char *dir, uint64_t segment, int64_t offset, bool *torn, int64_t *bytes,
	char hash[LEDGER_HASH_SIZE], struct err *err)
{
	struct buf rest = BUF_INIT(LEDGER_MAX_TORN);
	struct err trouble = ERR_INIT;
	const char *lf;
	int fd;
	enum rc rc = open_segment(dir, segment, &fd, err);

	*torn = false;
	if (rc)
		return rc == RC_NONE ? RC_TEMP : rc;
	rc = read_rest(fd, offset, &rest, &trouble);
	close(fd);
	if (rc == RC_OK && rest.len) {
		lf = memchr(rest.data, '\n', rest.len);
		*torn = !lf || memchr(rest.data, '\0', (size_t)(lf - rest.data));
		*bytes = (int64_t)rest.len;
		rc = ledger_hash(rest.data, rest.len, hash, &trouble);
	}
	buf_fini(&rest);
	if (rc && trouble.code == ERR_LIMIT)
		return RC_OK; /* more than one crash leaves: not torn */
	if (rc)
		return err_set(err, trouble.code, "%s", trouble.detail);
	return RC_OK;
}
