/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum rc
file_read_fd(int fd, const char *name, struct buf *out, struct err *err)
{
	char chunk[16384];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		enum rc rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
		rc = buf_append(out, chunk, (size_t)n, err);
		if (rc) {
			if (out->wipe)
				explicit_bzero(chunk, sizeof chunk);
			err_prefix(err, "%s", name);
			return rc;
		}
	}
	if (out->wipe)
		explicit_bzero(chunk, sizeof chunk);
	return RC_OK;
}

enum rc
file_read(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum rc rc;

	if (fd < 0 && errno == ENOENT) {
		err_set(err, ERR_FILE, "%s: no such file", path);
		return RC_NONE;
	}
	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	rc = file_read_fd(fd, path, out, err);
	close(fd);
	return rc;
}

enum rc
file_write_all(int fd, const void *data, size_t len, struct err *err)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_FILE, "write: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return RC_OK;
}

/* The folder that PATH lies in, in OUT. */
static void
parent_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(out, PATH_MAX, ".");
	else if (slash == path)
		snprintf(out, PATH_MAX, "/");
	else
		snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

enum rc
file_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed;

	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	failed = fsync(fd);
	if (failed)
		err_set(err, ERR_FILE, "%s: fsync: %s", path, strerror(errno));
	close(fd);
	return failed ? RC_TEMP : RC_OK;
}

/* Fills and syncs the open file FD, called NAME in messages. */
static enum rc
fill(int fd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
{
	enum rc rc = file_write_all(fd, data, len, err);

	if (rc) {
		err_prefix(err, "%s", name);
		return rc;
	}
	if (fchmod(fd, mode) || fsync(fd))
		return err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	return RC_OK;
}

enum rc
file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	char temp[PATH_MAX], dir[PATH_MAX];
	int fd;
	enum rc rc;

	if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
		return err_set(err, ERR_FILE, "%s: the name is too long", path);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	rc = fill(fd, path, data, len, mode, err);
	close(fd);
	if (!rc && rename(temp, path))
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (rc) {
		unlink(temp);
		return rc;
	}
	parent_of(path, dir);
	return file_sync_dir(dir, err);
}

enum rc
file_write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	char dir[PATH_MAX];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum rc rc;

	if (fd < 0) {
		rc = errno == EEXIST ? RC_PERM : RC_TEMP;
		err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
		return rc;
	}
	rc = fill(fd, path, data, len, mode, err);
	close(fd);
	if (rc) {
		unlink(path);
		return rc;
	}
	parent_of(path, dir);
	return file_sync_dir(dir, err);
}

enum rc
file_make_dir(const char *path, mode_t mode, struct err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof part || !len)
		return err_set(err, ERR_FILE, "%s: a bad folder name", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		struct stat st;

		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, i == len ? mode : 0755) && errno != EEXIST)
			return err_set(err, ERR_FILE, "%s: %s", part, strerror(errno));
		if (stat(part, &st) || !S_ISDIR(st.st_mode))
			return err_set(err, ERR_FILE, "%s: not a folder", part);
		part[i] = i == len ? '\0' : '/';
	}
	return RC_OK;
}

/* For qsort over names. */
static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is the entry a plain file, or a link to one? */
static bool
is_plain_file(const char *dir, const struct dirent *entry)
{
	struct stat st;
	char path[PATH_MAX];

	if (entry->d_name[0] == '.')
		return false;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= sizeof path)
		return false;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Appends a copy of NAME to the *N names; *ROOM is how many there is room for. */
static enum rc
add_name(char ***v, size_t *n, size_t *room, const char *name, struct err *err)
{
	if (*n == *room) {
		size_t more = *room ? 2 * *room : 64;
		char **grown = realloc(*v, more * sizeof **v);

		if (!grown)
			return err_set(err, ERR_MEMORY, "no memory for %zu names", more);
		*v = grown;
		*room = more;
	}
	(*v)[*n] = strdup(name);
	if (!(*v)[*n])
		return err_set(err, ERR_MEMORY, "no memory for a name");
	++*n;
	return RC_OK;
}

enum rc
file_list(const char *dir, size_t max, char ***names, size_t *count, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char **v = NULL;
	size_t n = 0, room = 0;
	enum rc rc = RC_OK;

	*names = NULL;
	*count = 0;
	if (!d) {
		rc = errno == ENOENT ? RC_NONE : RC_TEMP;
		err_set(err, ERR_FILE, "%s: %s", dir, strerror(errno));
		return rc;
	}
	while (!rc && (entry = readdir(d)) != NULL) {
		if (!is_plain_file(dir, entry))
			continue;
		rc = n < max ? add_name(&v, &n, &room, entry->d_name, err)
			     : err_set(err, ERR_LIMIT, "%s: more than %zu files", dir, max);
	}
	closedir(d);
	if (rc) {
		file_list_free(&v, n);
		return rc;
	}
	if (n)
		qsort(v, n, sizeof *v, by_name);
	*names = v;
	*count = n;
	return RC_OK;
}

void
file_list_free(char ***names, size_t count)
{
	for (size_t i = 0; *names && i < count; i++)
		free((*names)[i]);
	free(*names);
	*names = NULL;
}

char *
file_join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}
