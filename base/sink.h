/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sink.h - a consumer of bytes; every streaming stage is one and feeds the next
 *
 * feed() is called any number of times with at most SINK_CHUNK bytes, then finish() once,
 * unless a feed failed. A stage passes finish() on to its own sink. The object behind CTX
 * is freed by whoever made it, in any state.
 */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include "base/err.h"

#include <stddef.h>

#define SINK_CHUNK 65536u

struct sink {
	enum rc (*feed)(void *ctx, const void *data, size_t len, struct err *err);
	enum rc (*finish)(void *ctx, struct err *err); /* may be NULL: nothing to do */
	void *ctx;
};

/* Hands DATA on in chunks of at most SINK_CHUNK. */
enum rc sink_feed(const struct sink *sink, const void *data, size_t len, struct err *err);
enum rc sink_feed_str(const struct sink *sink, const char *text, struct err *err);
enum rc sink_finish(const struct sink *sink, struct err *err);

struct buf;
/* A sink that appends to BUF (borrowed). */
struct sink sink_to_buf(struct buf *buf);
/* A sink that forgets everything. */
struct sink sink_null(void);

#endif
