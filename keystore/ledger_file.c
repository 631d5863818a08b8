/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_file.h"

#include "base/file.h"
#include "keystore/ledger_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SEGMENT_MODE 0640
#define DIR_MODE     0750
#define RESERVE      (1 << 20) /* bytes of room at a time */

/* The system's own calls, where tests have put nothing in their place. */
static ssize_t
disk_write(void *ctx, int fd, const void *data, size_t len, off_t at)
{
	(void)ctx;
	return pwrite(fd, data, len, at);
}

/* The same for syncing. */
static int
disk_sync(void *ctx, int fd)
{
	(void)ctx;
	return fdatasync(fd);
}

enum rc
ledger_file_open(struct ledger_file *file, const char *dir, const struct ledger_disk *disk,
	bool create, struct err *err)
{
	char *path;
	enum rc rc = create ? file_make_dir(dir, DIR_MODE, err) : RC_OK;

	*file = (struct ledger_file){.disk = *disk, .lock_fd = -1, .fd = -1};
	if (!disk->write)
		file->disk.write = disk_write;
	if (!disk->sync)
		file->disk.sync = disk_sync;
	if (rc)
		return rc;
	file->dir = strdup(dir);
	path = file_join(dir, ".lock");
	if (!file->dir || !path) {
		free(path);
		return err_set(err, ERR_MEMORY, "ledger");
	}
	file->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, SEGMENT_MODE);
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
	char *path = file_join(file->dir, ledger_segment_name(segment, name));

	*fd = -1;
	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	*fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, SEGMENT_MODE);
	if (*fd < 0)
		err_set(err, ERR_LEDGER, "%s: %s", path, strerror(errno));
	free(path);
	return *fd < 0 ? RC_TEMP : RC_OK;
}

/* Writes all of it at offset AT of FD and syncs. */
static enum rc
write_durable(const struct ledger_file *file, int fd, const char *data, size_t len, int64_t at,
	struct err *err)
{
	while (len) {
		ssize_t n = file->disk.write(file->disk.ctx, fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, ERR_LEDGER, "%s: write: %s", file->dir,
				n ? strerror(errno) : "nothing was written");
		data += n;
		len -= (size_t)n;
		at += n;
	}
	if (file->disk.sync(file->disk.ctx, fd))
		return err_set(err, ERR_LEDGER, "%s: sync: %s", file->dir, strerror(errno));
	return RC_OK;
}

/* Cuts FD to SIZE, durably. */
static enum rc
cut(const struct ledger_file *file, int fd, int64_t size, struct err *err)
{
	if (ftruncate(fd, (off_t)size) || file->disk.sync(file->disk.ctx, fd))
		return err_set(err, ERR_LEDGER, "%s: truncate: %s", file->dir, strerror(errno));
	return RC_OK;
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
		rc = cut(file, file->fd, file->size, err);
		file->reserved = 0;
	}
	if (rc)
		return rc;
	file->damaged = false;
	reserve(file, len);
	rc = write_durable(file, file->fd, data, len, file->size, err);
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
	char *path;
	int fd;
	/* A file that an earlier attempt left was never part of the ledger: its number is above the
	 * last one. */
	enum rc rc = open_for_writing(file, segment, O_CREAT | O_TRUNC, &fd, err);

	if (rc)
		return rc;
	rc = write_durable(file, fd, data, len, 0, err);
	if (rc == RC_OK && file_sync_dir(file->dir, err))
		rc = err_set(err, ERR_LEDGER, "%s: cannot be synced", file->dir);
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
	path = file_join(file->dir, ledger_segment_name(segment, name));
	if (path)
		(void)unlink(path); /* if it stays, ledger_file_recover sees a torn beginning */
	free(path);
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
		rc = file_write(path, rest.data, rest.len, SEGMENT_MODE, err);
	buf_fini(&rest);
	free(path);
	return rc;
}

/* Removes the last segment, in which no whole line stands. */
static enum rc
drop_segment(const struct ledger_file *file, uint64_t segment, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME];
	char *path = file_join(file->dir, ledger_segment_name(segment, name));
	int failed;

	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	failed = unlink(path);
	if (failed)
		err_set(err, ERR_LEDGER, "%s: %s", path, strerror(errno));
	free(path);
	return failed ? RC_TEMP : file_sync_dir(file->dir, err);
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
	enum rc rc = ledger_reader_open(file->dir, segment, &reader, err);

	*end = 0;
	*torn = (struct ledger_torn){.segment = segment};
	if (rc)
		return rc;
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

/* Puts the torn end of SEGMENT aside and cuts it off; without a whole line the segment goes. */
static enum rc
mend(const struct ledger_file *file, uint64_t segment, int64_t end, const struct ledger_torn *torn,
	struct err *err)
{
	int fd;
	enum rc rc = open_for_writing(file, segment, 0, &fd, err);

	if (rc)
		return rc;
	if (torn->found)
		rc = put_aside(file, fd, torn, err);
	if (rc == RC_OK && torn->found && end)
		rc = cut(file, fd, end, err);
	close(fd);
	if (rc == RC_OK && !end)
		rc = drop_segment(file, segment, err);
	return rc;
}

enum rc
ledger_file_recover(struct ledger_file *file, struct ledger_chain *chain, struct ledger_torn *torn,
	struct err *err)
{
	struct ledger_torn none;
	uint64_t first, last;
	int64_t end;
	enum rc rc = ledger_segments(file->dir, &first, &last, err);

	*torn = (struct ledger_torn){.found = false};
	if (rc)
		return rc;
	if (!last)
		return RC_NONE;
	rc = follow(file, last, chain, &end, torn, err);
	if (rc == RC_OK)
		rc = mend(file, last, end, torn, err);
	if (rc == RC_OK && !end) {
		if (last == first)
			return RC_NONE;
		/* A crash at the beginning of a segment: the one before it is whole. */
		rc = follow(file, --last, chain, &end, &none, err);
		if (rc == RC_OK && (none.found || !end))
			rc = err_set(err, ERR_LEDGER_BROKEN, "segment %06" PRIu64 " is torn", last);
	}
	if (rc == RC_OK)
		rc = open_for_writing(file, last, 0, &file->fd, err);
	file->segment = last;
	file->size = end;
	return rc;
}
