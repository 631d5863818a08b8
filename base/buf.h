/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf.h - a growing run of bytes with an upper limit
 *
 * Storage of struct buf is the caller's; buf_fini releases what grew. The data are
 * always followed by a NUL that is not counted, so a text can be printed. Growing past
 * MAX is ERR_LIMIT, no memory is ERR_MEMORY; after either nothing was appended.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL only when nothing was ever appended */
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* limit for len; 0 means BUF_MAX_DEFAULT */
	bool wipe;  /* wipe before freeing or moving: the bytes are secret */
};

#define BUF_MAX_DEFAULT (16u << 20)
#define BUF_INIT(limit)        \
	{                      \
		.max = (limit) \
	}

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);              /* leaves it empty and usable, with its limit */
void buf_clear(struct buf *buf);             /* keeps the memory */
const char *buf_text(const struct buf *buf); /* never NULL; "" when empty */
enum rc buf_reserve(struct buf *buf, size_t more, struct err *err);
enum rc buf_append(struct buf *buf, const void *data, size_t len, struct err *err);
enum rc buf_append_str(struct buf *buf, const char *text, struct err *err);
/* Texts one after the other, up to NULL; all or nothing. */
enum rc buf_append_all(struct buf *buf, struct err *err, ...) __attribute__((sentinel));
enum rc buf_append_char(struct buf *buf, char c, struct err *err);
enum rc buf_appendf(struct buf *buf, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum rc buf_append_hex(struct buf *buf, const void *data, size_t len, struct err *err);
enum rc buf_append_u32(struct buf *buf, unsigned v, struct err *err); /* big endian */

#endif
