/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_disk.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The system's own calls, where tests have put nothing in their place. */
static ssize_t
system_write(void *ctx, int fd, const void *data, size_t len, off_t at)
{
	(void)ctx;
	return pwrite(fd, data, len, at);
}

static int
system_sync(void *ctx, int fd)
{
	(void)ctx;
	return fdatasync(fd);
}

static int
system_open(void *ctx, const char *path, int flags, mode_t mode)
{
	(void)ctx;
	return open(path, flags, mode);
}

static int
system_truncate(void *ctx, int fd, off_t size)
{
	(void)ctx;
	return ftruncate(fd, size);
}

static int
system_rename(void *ctx, const char *from, const char *to)
{
	(void)ctx;
	return rename(from, to);
}

static int
system_unlink(void *ctx, const char *path)
{
	(void)ctx;
	return unlink(path);
}

static int
system_sync_dir(void *ctx, const char *dir)
{
	(void)ctx;
	return file_sync_dir(dir, NULL) == RC_OK ? 0 : -1;
}

int64_t
ledger_disk_room(const char *dir)
{
	struct statvfs st;

	if (statvfs(dir, &st) || st.f_bavail > INT64_MAX / st.f_frsize)
		return -1;
	return (int64_t)(st.f_bavail * st.f_frsize);
}

static int64_t
system_room(void *ctx, const char *dir)
{
	(void)ctx;
	return ledger_disk_room(dir);
}

struct ledger_disk
ledger_disk_complete(const struct ledger_disk *disk)
{
	return (struct ledger_disk){
		.write = disk->write ? disk->write : system_write,
		.sync = disk->sync ? disk->sync : system_sync,
		.open = disk->open ? disk->open : system_open,
		.truncate = disk->truncate ? disk->truncate : system_truncate,
		.rename = disk->rename ? disk->rename : system_rename,
		.unlink = disk->unlink ? disk->unlink : system_unlink,
		.sync_dir = disk->sync_dir ? disk->sync_dir : system_sync_dir,
		.room = disk->room ? disk->room : system_room,
		.ctx = disk->ctx,
	};
}

enum rc
ledger_disk_open(const struct ledger_disk *disk, const char *dir, const char *name, int flags,
	int *fd, struct err *err)
{
	char *path = file_join(dir, name);

	*fd = -1;
	if (!path)
		return err_set(err, ERR_MEMORY, "a path");
	*fd = disk->open(
		disk->ctx, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, LEDGER_FILE_MODE);
	if (*fd < 0)
		err_set(err, ERR_LEDGER, "%s: %s", path, strerror(errno));
	free(path);
	return *fd < 0 ? RC_TEMP : RC_OK;
}

enum rc
ledger_disk_write(const struct ledger_disk *disk, int fd, const char *data, size_t len, int64_t at,
	struct err *err)
{
	while (len) {
		ssize_t n = disk->write(disk->ctx, fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, ERR_LEDGER, "write: %s",
				n ? strerror(errno) : "nothing was written");
		data += n;
		len -= (size_t)n;
		at += n;
	}
	if (disk->sync(disk->ctx, fd))
		return err_set(err, ERR_LEDGER, "sync: %s", strerror(errno));
	return RC_OK;
}

enum rc
ledger_disk_cut(const struct ledger_disk *disk, int fd, int64_t size, struct err *err)
{
	if (disk->truncate(disk->ctx, fd, (off_t)size) || disk->sync(disk->ctx, fd))
		return err_set(err, ERR_LEDGER, "truncate: %s", strerror(errno));
	return RC_OK;
}

enum rc
ledger_disk_put(const struct ledger_disk *disk, const char *dir, const char *name, const void *data,
	size_t len, struct err *err)
{
	int fd;
	enum rc rc = ledger_disk_open(disk, dir, name, O_CREAT | O_TRUNC, &fd, err);

	if (rc)
		return rc;
	rc = ledger_disk_write(disk, fd, data, len, 0, err);
	close(fd);
	return rc ? err_prefix(err, "%s/%s", dir, name) : RC_OK;
}

enum rc
ledger_disk_rename(const struct ledger_disk *disk, const char *dir, const char *from,
	const char *to, struct err *err)
{
	char *a = file_join(dir, from), *b = file_join(dir, to);
	enum rc rc = RC_OK;

	if (!a || !b)
		rc = err_set(err, ERR_MEMORY, "a path");
	else if (disk->rename(disk->ctx, a, b))
		rc = err_set(err, ERR_LEDGER, "%s: %s", b, strerror(errno));
	free(a);
	free(b);
	return rc;
}

enum rc
ledger_disk_unlink(
	const struct ledger_disk *disk, const char *dir, const char *name, struct err *err)
{
	char *path = file_join(dir, name);
	enum rc rc = RC_OK;

	if (!path)
		rc = err_set(err, ERR_MEMORY, "a path");
	else if (disk->unlink(disk->ctx, path) && errno != ENOENT)
		rc = err_set(err, ERR_LEDGER, "%s: %s", path, strerror(errno));
	free(path);
	return rc;
}

enum rc
ledger_disk_sync(const struct ledger_disk *disk, const char *dir, struct err *err)
{
	if (disk->sync_dir(disk->ctx, dir))
		return err_set(err, ERR_LEDGER, "%s: cannot be synced: %s", dir, strerror(errno));
	return RC_OK;
}
