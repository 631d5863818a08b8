/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tar.h - archives of plain files (POSIX ustar), as a stream
 *
 * Writing: tar_header for each file, its bytes, zeros up to a multiple of TAR_BLOCK; TAR_END bytes
 * of zeros at the end. Reading: a stage that calls OPEN with each file's name and size, DATA with
 * its bytes, CLOSE at its end. Names are relative, without "." or ".." or empty parts; anything
 * else, links and devices are refused.
 *
 * Limits: names of TAR_NAME_MAX bytes; files of 64 GB; TAR_FILES_MAX files.
 */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include "base/buf.h"
#include "base/sink.h"

#include <stdint.h>

#define TAR_BLOCK     512u
#define TAR_END       1024u
#define TAR_NAME_MAX  255u
#define TAR_FILES_MAX 1000000u

/* Bytes that a file of SIZE bytes takes, with its header. */
uint64_t tar_size(uint64_t size);
/* Appends the header. ERR_LIMIT: the name is too long or none. */
enum rc
tar_header(struct buf *out, const char *name, uint64_t size, int64_t mtime, struct err *err);
/* Zeros behind a file of SIZE bytes. */
size_t tar_padding(uint64_t size);

struct tar_reader_calls {
	enum rc (*open)(void *ctx, const char *name, uint64_t size, struct err *err);
	enum rc (*data)(void *ctx, const void *data, size_t len, struct err *err);
	enum rc (*close)(void *ctx, struct err *err);
	void *ctx;
};
struct tar_reader;
enum rc
tar_reader_new(const struct tar_reader_calls *calls, struct tar_reader **out, struct err *err);
struct sink tar_reader_sink(struct tar_reader *reader);
void tar_reader_free(struct tar_reader **reader);

#endif
