/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - whole small files, written durably or not at all
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

#include <sys/types.h>

/* Reads all of PATH, refusing more than the buffer's limit. RC_NONE when it is not there. */
enum rc file_read(const char *path, struct buf *out, struct err *err);
enum rc file_read_fd(int fd, const char *name, struct buf *out, struct err *err);
/* Writes a new file beside PATH, syncs it, renames it over PATH, syncs the folder. */
enum rc file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* Fails (RC_PERM, ERR_FILE's text) when PATH is there already. */
enum rc
file_write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* Makes the folder and those above it as needed; an existing one is fine and left as it is. */
enum rc file_make_dir(const char *path, mode_t mode, struct err *err);
enum rc file_sync_dir(const char *path, struct err *err);
enum rc file_write_all(int fd, const void *data, size_t len, struct err *err);
/* Sorted names of the plain files in DIR (no "."-names), at most MAX; free with file_list_free. */
enum rc file_list(const char *dir, size_t max, char ***names, size_t *count, struct err *err);
void file_list_free(char ***names, size_t count);
/* DIR "/" NAME as a new string, or NULL for no memory. */
char *file_join(const char *dir, const char *name);

#endif
