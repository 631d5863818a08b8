/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/sink.h"

#include "base/buf.h"

#include <string.h>

enum rc
sink_feed(const struct sink *sink, const void *data, size_t len, struct err *err)
{
	const char *p = data;

	while (len) {
		size_t n = len < SINK_CHUNK ? len : SINK_CHUNK;
		enum rc rc = sink->feed(sink->ctx, p, n, err);

		if (rc)
			return rc;
		p += n;
		len -= n;
	}
	return RC_OK;
}

enum rc
sink_feed_str(const struct sink *sink, const char *text, struct err *err)
{
	return sink_feed(sink, text, strlen(text), err);
}

enum rc
sink_finish(const struct sink *sink, struct err *err)
{
	return sink->finish ? sink->finish(sink->ctx, err) : RC_OK;
}

/* Feed of sink_to_buf. */
static enum rc
to_buf(void *ctx, const void *data, size_t len, struct err *err)
{
	return buf_append(ctx, data, len, err);
}

struct sink
sink_to_buf(struct buf *buf)
{
	return (struct sink){.feed = to_buf, .ctx = buf};
}

/* Feed of sink_null. */
static enum rc
to_nowhere(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)data;
	(void)len;
	(void)err;
	return RC_OK;
}

struct sink
sink_null(void)
{
	return (struct sink){.feed = to_nowhere};
}
