/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool.h - bytes of a message, of any size in little memory
 *
 * The first bytes stay in memory; past MEMORY they go to an unlinked file in DIR
 * (O_TMPFILE, or open and unlink), encrypted by AES-256-CTR with a key of its own that is in
 * memory only, so reading may begin anywhere. Append first, read afterwards, any number of
 * times; appending after reading is allowed.
 *
 * Threads: one at a time. Errors: ERR_SPOOL (disk full, I/O), ERR_MSG_TOO_BIG past the limit.
 */
#ifndef MESSAGE_SPOOL_H
#define MESSAGE_SPOOL_H

#include "base/sink.h"

#include <stdint.h>

struct spool;

struct spool_conf {
	const char *dir; /* folder for files, borrowed for the spool's life; NULL: memory only */
	size_t memory;   /* bytes kept in memory */
	uint64_t max;    /* limit in bytes; 0: none */
};

enum rc spool_new(const struct spool_conf *conf, struct spool **out, struct err *err);
void spool_free(struct spool **spool);
/* About SIZE bytes will come: what stays in memory need not be moved as it grows. */
void spool_expect(struct spool *spool, uint64_t size);
enum rc spool_append(struct spool *spool, const void *data, size_t len, struct err *err);
uint64_t spool_size(const struct spool *spool);
/* Reads exactly LEN bytes at OFFSET; past the end is ERR_INTERNAL. */
enum rc spool_read(struct spool *spool, uint64_t offset, void *out, size_t len, struct err *err);
/* The same bytes where they lie, borrowed until the next append, when all of them are in memory;
 * else NULL. */
const char *spool_peek(const struct spool *spool, uint64_t offset, uint64_t len);
/* Feeds [OFFSET, OFFSET+LEN) to SINK; does not finish it. */
enum rc spool_send(struct spool *spool, uint64_t offset, uint64_t len, const struct sink *sink,
	struct err *err);
struct sink spool_sink(struct spool *spool);
const struct spool_conf *spool_conf(const struct spool *spool);

#endif
