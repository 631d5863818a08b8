/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_read.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BUFFER (4u * LEDGER_MAX_LINE)
#define DISK_BLOCK  512 /* what a disk writes whole or not at all; larger ones are multiples */

struct ledger_reader {
	char *dir;
	uint64_t segment;
	bool single;    /* no further segment */
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

const char *
ledger_stub_name(uint64_t segment, char out[LEDGER_SEGMENT_NAME])
{
	(void)snprintf(out, LEDGER_SEGMENT_NAME, "%06" PRIu64 ".stub", segment % 1000000000);
	return out;
}

/* The number in the file name of a segment or stub, or 0 for any other file. */
static uint64_t
segment_number(const char *name, unsigned char *kind)
{
	char again[LEDGER_SEGMENT_NAME];
	uint64_t n = strtoull(name, NULL, 10);

	*kind = strcmp(ledger_segment_name(n, again), name) == 0 ? LEDGER_LINES
		: strcmp(ledger_stub_name(n, again), name) == 0  ? LEDGER_STUB
								 : 0;
	return *kind ? n : 0;
}

/* First and last number among NAMES. */
static void
find_range(char **names, size_t count, uint64_t *first, uint64_t *last)
{
	unsigned char kind;

	*first = *last = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t n = segment_number(names[i], &kind);

		if (n && (!*first || n < *first))
			*first = n;
		if (n > *last)
			*last = n;
	}
}

enum rc
ledger_files_list(const char *dir, struct ledger_files *files, struct err *err)
{
	char **names = NULL;
	size_t count = 0, found = 0;
	unsigned char kind;
	enum rc rc = file_list(dir, LEDGER_MAX_FILES, &names, &count, err);

	*files = (struct ledger_files){.kind = NULL};
	if (rc)
		return rc == RC_NONE ? RC_TEMP : rc;
	find_range(names, count, &files->first, &files->last);
	/* So many names cannot fill a wider range, and a name may say any number. */
	if (files->last - files->first < count)
		files->kind = calloc(files->last - files->first + 1, 1);
	for (size_t i = 0; files->kind && i < count; i++) {
		uint64_t n = segment_number(names[i], &kind);

		if (n) {
			found += !files->kind[n - files->first];
			files->kind[n - files->first] |= kind;
		}
	}
	file_list_free(&names, count);
	if (!files->last)
		rc = RC_OK;
	else if (files->last - files->first < count && !files->kind)
		rc = err_set(err, ERR_MEMORY, "segments");
	else if (found != files->last - files->first + 1)
		rc = err_set(err, ERR_LEDGER_BROKEN,
			"%s: a segment between %06" PRIu64 " and %06" PRIu64 " is missing", dir,
			files->first, files->last);
	if (rc)
		ledger_files_free(files);
	return rc;
}

void
ledger_files_free(struct ledger_files *files)
{
	free(files->kind);
	*files = (struct ledger_files){.kind = NULL};
}

unsigned
ledger_files_kind(const struct ledger_files *files, uint64_t segment)
{
	return files->kind && segment >= files->first && segment <= files->last
		       ? files->kind[segment - files->first]
		       : 0;
}

enum rc
ledger_segments(const char *dir, uint64_t *first, uint64_t *last, struct err *err)
{
	struct ledger_files files;
	enum rc rc = ledger_files_list(dir, &files, err);

	*first = *last = 0;
	for (uint64_t n = files.first; n && n <= files.last; n++)
		if (ledger_files_kind(&files, n) & LEDGER_LINES) {
			*last = n;
			*first = *first ? *first : n;
		}
	if (rc == RC_OK && *last != files.last)
		rc = err_set(err, ERR_LEDGER_BROKEN, "%s: the last segment is gone", dir);
	ledger_files_free(&files);
	return rc;
}

/*
 * The file NAME of DIR; RC_NONE when it is not there. What was copied here may be anything: a pipe
 * would keep the reader for ever.
 */
static enum rc
open_file(const char *dir, const char *name, int *fd, struct err *err)
{
	char *path = file_join(dir, name);
	struct stat st;
	bool missing;

	*fd = -1;
	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	missing = *fd < 0 && errno == ENOENT;
	if (*fd < 0 && !missing) {
		err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	} else if (*fd >= 0 && (fstat(*fd, &st) || !S_ISREG(st.st_mode))) {
		err_set(err, ERR_FILE, "%s: not a file", path);
		close(*fd);
		*fd = -1;
	}
	free(path);
	return missing ? RC_NONE : *fd < 0 ? RC_TEMP : RC_OK;
}

enum rc
ledger_segment_open(const char *dir, uint64_t segment, int *fd, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];

	return open_file(dir, ledger_segment_name(segment, name), fd, err);
}

/* Is there a stub in SEGMENT's place? */
static bool
is_dropped(const char *dir, uint64_t segment)
{
	char name[LEDGER_SEGMENT_NAME];
	int fd;

	if (open_file(dir, ledger_stub_name(segment, name), &fd, NULL) == RC_OK)
		close(fd);
	return fd >= 0;
}

enum rc
ledger_stub_read(const char *dir, uint64_t segment, struct buf *out, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];
	int fd;
	enum rc rc = open_file(dir, ledger_stub_name(segment, name), &fd, err);

	if (rc)
		return rc;
	rc = file_read_fd(fd, name, out, err);
	close(fd);
	return rc;
}

/* Goes on to SEGMENT; RC_NONE when it is not there. */
static enum rc
enter(struct ledger_reader *reader, uint64_t segment, struct err *err)
{
	int fd;
	enum rc rc = ledger_segment_open(reader->dir, segment, &fd, err);

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

/* A reader that stands before SEGMENT; 0: there is none. */
static enum rc
reader_new(
	const char *dir, uint64_t segment, bool single, struct ledger_reader **out, struct err *err)
{
	struct ledger_reader *reader = calloc(1, sizeof *reader);
	enum rc rc = RC_OK;

	*out = NULL;
	if (!reader)
		return err_set(err, ERR_MEMORY, "ledger reader");
	reader->fd = -1;
	reader->single = single;
	reader->dir = strdup(dir);
	reader->data = malloc(READ_BUFFER);
	if (!reader->dir || !reader->data)
		rc = err_set(err, ERR_MEMORY, "ledger reader");
	else if (segment)
		rc = enter(reader, segment, err);
	if (rc)
		ledger_reader_close(&reader);
	*out = reader;
	return rc;
}

enum rc
ledger_reader_open(const char *dir, uint64_t from, struct ledger_reader **out, struct err *err)
{
	uint64_t first, last;
	enum rc rc;

	*out = NULL;
	for (int tries = 3; tries; tries--) { /* the first one may be dropped right now */
		rc = ledger_segments(dir, &first, &last, err);
		if (rc == RC_OK)
			rc = reader_new(dir, from > first ? from : first, false, out, err);
		if (rc != RC_NONE)
			return rc;
	}
	return err_set(err, ERR_FILE, "%s: the first segment is not there", dir);
}

enum rc
ledger_reader_open_one(
	const char *dir, uint64_t segment, struct ledger_reader **out, struct err *err)
{
	return reader_new(dir, segment, true, out, err);
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

/* Goes on to the next segment that is there; RC_NONE when this one was the last. */
static enum rc
enter_next(struct ledger_reader *reader, struct err *err)
{
	uint64_t next = reader->segment;
	enum rc rc;

	if (reader->single)
		return RC_NONE;
	do
		rc = enter(reader, ++next, err);
	while (rc == RC_NONE && is_dropped(reader->dir, next));
	return rc;
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
		rc = !reader->eof ? refill(reader, err) : enter_next(reader, err);
		if (rc)
			return rc;
	}
	return RC_NONE;
}

enum rc
ledger_reader_seek(struct ledger_reader *reader, int64_t offset, struct err *err)
{
	if (reader->fd < 0 || lseek(reader->fd, (off_t)offset, SEEK_SET) < 0)
		return err_set(err, ERR_FILE, "ledger segment %06" PRIu64 ": %s", reader->segment,
			strerror(errno));
	reader->at = reader->end = 0;
	reader->eof = false;
	reader->line = 0;
	reader->offset = reader->next = offset;
	return RC_OK;
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

/* Reads FD from OFFSET to its end; more than LEDGER_MAX_TORN is ERR_LIMIT. */
static enum rc
read_rest(int fd, int64_t offset, struct buf *out, struct err *err)
{
	if (lseek(fd, offset, SEEK_SET) < 0)
		return err_set(err, ERR_FILE, "ledger segment: %s", strerror(errno));
	return file_read_fd(fd, "ledger segment", out, err);
}

/*
 * Are the zeros around REST[AT] such as blocks that were never written leave? They begin where the
 * file was durable, or with a block, and end with one or with the file. OFFSET is REST's place in
 * the file; the durable end lies at REST's beginning or before it.
 */
static bool
is_lost_block(const struct buf *rest, size_t at, int64_t offset)
{
	size_t begin = at, end = at;

	while (begin && rest->data[begin - 1] == '\0')
		begin--;
	while (end < rest->len && rest->data[end] == '\0')
		end++;
	return (begin == 0 || (offset + (int64_t)begin) % DISK_BLOCK == 0) &&
	       (end == rest->len || (offset + (int64_t)end) % DISK_BLOCK == 0);
}

/*
 * One write ends with a checkpoint at the latest, so behind a checkpoint's line nothing can stand
 * that came with the same write. Lines that are damaged themselves do not count.
 */
static bool
is_one_write(const struct buf *rest)
{
	const char *p = rest->data, *end = p + rest->len, *lf;
	bool covered = false;

	for (; p < end && (lf = memchr(p, '\n', (size_t)(end - p))); p = lf + 1) {
		struct ledger_line line;
		bool whole = ledger_line_parse(p, (size_t)(lf - p) + 1, &line);

		if (covered)
			return false;
		covered = whole && line.type == LEDGER_CHECKPOINT;
	}
	return !covered || p == end || memchr(p, '\0', 1);
}

/* Is REST, which does not continue the chain, the end of a write that the power cut short? */
static bool
looks_torn(const struct buf *rest, int64_t offset)
{
	const char *lf = memchr(rest->data, '\n', rest->len), *zero;

	if (!lf)
		return true; /* a line without its end, or nothing but zeros */
	zero = memchr(rest->data, '\0', (size_t)(lf - rest->data));
	return zero && is_lost_block(rest, (size_t)(zero - rest->data), offset) &&
	       is_one_write(rest);
}

enum rc
ledger_is_torn(const char *dir, uint64_t segment, int64_t offset, bool *torn, int64_t *bytes,
	char hash[LEDGER_HASH_SIZE], struct err *err)
{
	struct buf rest = BUF_INIT(LEDGER_MAX_TORN);
	struct err trouble = ERR_INIT;
	int fd;
	enum rc rc = ledger_segment_open(dir, segment, &fd, err);

	*torn = false;
	if (rc)
		return rc == RC_NONE ? RC_TEMP : rc;
	rc = read_rest(fd, offset, &rest, &trouble);
	close(fd);
	if (rc == RC_OK && rest.len) {
		*torn = looks_torn(&rest, offset);
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
