/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_file.h"

#include "base/file.h"
#include "keystore/ledger_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DIR_MODE 0750
#define RESERVE  (1 << 20) /* bytes of room at a time */

enum rc
ledger_file_open(struct ledger_file *file, const char *dir, const struct ledger_disk *disk,
	bool create, struct err *err)
{
	char *path;
	enum rc rc = create ? file_make_dir(dir, DIR_MODE, err) : RC_OK;

	*file = (struct ledger_file){.disk = ledger_disk_complete(disk), .lock_fd = -1, .fd = -1};
	if (rc)
		return rc;
	file->dir = strdup(dir);
	path = file_join(dir, ".lock");
	if (!file->dir || !path) {
		free(path);
		return err_set(err, ERR_MEMORY, "ledger");
	}
	file->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LEDGER_FILE_MODE);
	free(path);
	if (file->lock_fd < 0)
		return err_set(err, errno == ENOENT ? ERR_LEDGER_BROKEN : ERR_LEDGER, "%s: %s", dir,
			strerror(errno));
	if (flock(file->lock_fd, LOCK_EX | LOCK_NB))
		return err_set(err, ERR_LEDGER, "%s: %s", dir,
			errno == EWOULDBLOCK ? "another process is writing this ledger"
					     : strerror(errno));
	return RC_OK;
}

/* Gives the room back that was reserved and not needed, and closes the segment. */
static void
close_segment(struct ledger_file *file)
{
	if (file->fd < 0)
		return;
	if (file->reserved > file->size && !file->damaged)
		(void)!ftruncate(file->fd, (off_t)file->size);
	close(file->fd);
	file->fd = -1;
}

void
ledger_file_close(struct ledger_file *file)
{
	close_segment(file);
	if (file->lock_fd >= 0)
		close(file->lock_fd);
	free(file->dir);
	*file = (struct ledger_file){.lock_fd = -1, .fd = -1};
}

/* The segment's file, opened with FLAGS. */
static enum rc
open_for_writing(
	const struct ledger_file *file, uint64_t segment, int flags, int *fd, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];

	return ledger_disk_open(
		&file->disk, file->dir, ledger_segment_name(segment, name), flags, fd, err);
}

/* Sees to it that there is room for LEN bytes more; a disk that cannot promise it may still have
 * it.
 */
static void
reserve(struct ledger_file *file, size_t len)
{
	if (file->size + (int64_t)len <= file->reserved)
		return;
	(void)fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)file->size, (off_t)len + RESERVE);
	file->reserved = file->size + (int64_t)len + RESERVE; /* not asked again before that */
}

enum rc
ledger_file_write(struct ledger_file *file, const void *data, size_t len, struct err *err)
{
	enum rc rc = RC_OK;

	if (file->damaged) {
		rc = ledger_disk_cut(&file->disk, file->fd, file->size, err);
		file->reserved = 0;
	}
	if (rc)
		return rc;
	file->damaged = false;
	reserve(file, len);
	rc = ledger_disk_write(&file->disk, file->fd, data, len, file->size, err);
	if (rc)
		file->damaged = true;
	else
		file->size += (int64_t)len;
	return rc;
}

enum rc
ledger_file_begin(
	struct ledger_file *file, uint64_t segment, const void *data, size_t len, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];
	int fd;
	/* A file that an earlier attempt left was never part of the ledger: its number is above the
	 * last one. */
	enum rc rc = open_for_writing(file, segment, O_CREAT | O_TRUNC, &fd, err);

	if (rc)
		return rc;
	rc = ledger_disk_write(&file->disk, fd, data, len, 0, err);
	if (rc == RC_OK)
		rc = ledger_disk_sync(&file->disk, file->dir, err);
	if (rc == RC_OK) {
		close_segment(file);
		file->fd = fd;
		file->segment = segment;
		file->size = (int64_t)len;
		file->reserved = 0;
		file->damaged = false;
		return RC_OK;
	}
	close(fd);
	/* If it stays, ledger_file_recover finds a beginning that is torn, or left over. */
	(void)ledger_disk_unlink(&file->disk, file->dir, ledger_segment_name(segment, name), NULL);
	return rc;
}

/* Copies the end of the segment from TORN's offset to a file of its own, as evidence. */
static enum rc
put_aside(const struct ledger_file *file, int fd, const struct ledger_torn *torn, struct err *err)
{
	struct buf rest = BUF_INIT(LEDGER_MAX_TORN);
	char name[80];
	char *path;
	enum rc rc;

	(void)snprintf(name, sizeof name, "torn-%06" PRIu64 "-%" PRId64 "-%.8s", torn->segment,
		torn->offset, torn->hash);
	path = file_join(file->dir, name);
	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	if (lseek(fd, (off_t)torn->offset, SEEK_SET) < 0)
		rc = err_set(err, ERR_LEDGER, "%s: %s", file->dir, strerror(errno));
	else
		rc = file_read_fd(fd, "ledger segment", &rest, err);
	if (rc == RC_OK)
		rc = file_write(path, rest.data, rest.len, LEDGER_FILE_MODE, err);
	buf_fini(&rest);
	free(path);
	return rc;
}

/* Removes the last segment, in which no whole line stands that counts. */
static enum rc
drop_segment(const struct ledger_file *file, uint64_t segment, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];
	enum rc rc =
		ledger_disk_unlink(&file->disk, file->dir, ledger_segment_name(segment, name), err);

	return rc ? rc : ledger_disk_sync(&file->disk, file->dir, err);
}

/*
 * Follows segment SEGMENT to its end. *end is the offset behind the last line that fits; what comes
 * after it must look like the rest of a crash.
 */
static enum rc
follow(const struct ledger_file *file, uint64_t segment, struct ledger_chain *chain, int64_t *end,
	struct ledger_torn *torn, struct err *err)
{
	struct ledger_reader *reader = NULL;
	struct err why = ERR_INIT;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open_one(file->dir, segment, &reader, err);

	*end = 0;
	*torn = (struct ledger_torn){.segment = segment};
	if (rc)
		return rc == RC_NONE ? err_set(err, ERR_LEDGER_BROKEN,
					       "segment %06" PRIu64 " is gone", segment)
				     : rc;
	ledger_chain_adopt(chain, segment);
	while ((rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		rc = ledger_chain_line(chain, line, len, &why);
		if (rc)
			break;
		*end += (int64_t)len;
	}
	if (rc == RC_NONE) {
		rc = RC_OK;
	} else if (rc == RC_PERM) {
		rc = ledger_is_torn(
			file->dir, segment, *end, &torn->found, &torn->bytes, torn->hash, err);
		torn->offset = *end;
		if (rc == RC_OK && !torn->found)
			rc = err_set(err, ERR_LEDGER_BROKEN,
				"segment %06" PRIu64 " line %" PRIu64 ": %s", segment,
				ledger_reader_line(reader), why.detail);
	} else if (why.code) {
		err_set(err, why.code, "%s", why.detail);
	}
	ledger_reader_close(&reader);
	return rc;
}

/* Puts the torn end of SEGMENT aside and cuts it off. */
static enum rc
mend(const struct ledger_file *file, uint64_t segment, int64_t end, const struct ledger_torn *torn,
	struct err *err)
{
	int fd;
	enum rc rc = open_for_writing(file, segment, 0, &fd, err);

	if (rc)
		return rc;
	rc = put_aside(file, fd, torn, err);
	if (rc == RC_OK)
		rc = ledger_disk_cut(&file->disk, fd, end, err);
	close(fd);
	return rc;
}

/* Puts the whole of SEGMENT, which never became a part of the ledger, aside and removes it. */
static enum rc
remove_left(
	const struct ledger_file *file, uint64_t segment, struct ledger_torn *torn, struct err *err)
{
	struct buf text = BUF_INIT(LEDGER_MAX_LINE);
	int fd;
	enum rc rc = open_for_writing(file, segment, 0, &fd, err);

	*torn = (struct ledger_torn){.segment = segment};
	if (rc)
		return rc;
	rc = file_read_fd(fd, "ledger segment", &text, err);
	torn->found = text.len != 0;
	torn->bytes = (int64_t)text.len;
	if (rc == RC_OK)
		rc = ledger_hash(buf_text(&text), text.len, torn->hash, err);
	if (rc == RC_OK && torn->found)
		rc = put_aside(file, fd, torn, err);
	close(fd);
	buf_fini(&text);
	return rc ? rc : drop_segment(file, segment, err);
}

/* The last segment, after one that was left over is gone. RC_NONE: there is no segment. */
static enum rc
find_last(const struct ledger_file *file, uint64_t *last, struct ledger_torn *torn, struct err *err)
{
	struct ledger_files files;
	bool left = false;
	enum rc rc = ledger_files_list(file->dir, &files, err);

	if (rc == RC_OK)
		rc = ledger_find_last(file->dir, &files, last, &left, err);
	if (rc == RC_OK && left)
		rc = remove_left(file, files.last, torn, err);
	if (rc == RC_OK && !files.last)
		rc = RC_NONE;
	ledger_files_free(&files);
	return rc;
}

enum rc
ledger_file_recover(struct ledger_file *file, struct ledger_chain *chain, struct ledger_torn *torn,
	struct err *err)
{
	struct ledger_torn end_torn;
	uint64_t last;
	int64_t end;
	enum rc rc;

	*torn = (struct ledger_torn){.found = false};
	rc = find_last(file, &last, torn, err);
	if (rc == RC_OK)
		rc = follow(file, last, chain, &end, &end_torn, err);
	if (rc)
		return rc;
	if (!end) { /* a crash while the ledger was made: nothing else begins so */
		if (last > 1 || end_torn.bytes > (int64_t)LEDGER_MAX_LINE)
			return err_set(err, ERR_LEDGER_BROKEN,
				"segment %06" PRIu64 " has no beginning", last);
		rc = remove_left(file, last, torn, err);
		return rc ? rc : RC_NONE;
	}
	if (end_torn.found) {
		rc = mend(file, last, end, &end_torn, err);
		*torn = end_torn;
	}
	if (rc == RC_OK)
		rc = open_for_writing(file, last, 0, &file->fd, err);
	file->segment = last;
	file->size = end;
	return rc;
}
