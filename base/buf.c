/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include "base/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

void
buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max};
}

void
buf_fini(struct buf *buf)
{
	if (buf->wipe && buf->data)
		secret_wipe(buf->data, buf->cap);
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
}

void
buf_clear(struct buf *buf)
{
	if (buf->wipe && buf->data)
		secret_wipe(buf->data, buf->cap);
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

const char *
buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

/* A new block of CAP bytes in place of the old one, which is wiped when it has to be. */
static enum rc
grow(struct buf *buf, size_t cap, struct err *err)
{
	char *data;

	if (!buf->wipe) {
		data = realloc(buf->data, cap);
		if (!data)
			return err_set(err, ERR_MEMORY, "no memory for %zu bytes", cap);
	} else {
		data = malloc(cap);
		if (!data)
			return err_set(err, ERR_MEMORY, "no memory for %zu bytes", cap);
		if (buf->data) {
			memcpy(data, buf->data, buf->len);
			secret_wipe(buf->data, buf->cap);
			free(buf->data);
		}
	}
	data[buf->len] = '\0';
	buf->data = data;
	buf->cap = cap;
	return RC_OK;
}

static size_t
limit(const struct buf *buf)
{
	return buf->max ? buf->max : BUF_MAX_DEFAULT;
}

/* Nearly always there is room already. */
static inline bool
has_room(const struct buf *buf, size_t more)
{
	return more < buf->cap - buf->len && more <= limit(buf) - buf->len;
}

enum rc
buf_reserve(struct buf *buf, size_t more, struct err *err)
{
	size_t max = limit(buf), need, cap;

	if (more > max || buf->len > max - more)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", max);
	need = buf->len + more + 1;
	if (need <= buf->cap)
		return RC_OK;
	/* The first block is what most texts need, or they would be copied several times. */
	cap = buf->cap < FIRST_CAP ? FIRST_CAP : buf->cap;
	while (cap < need)
		cap += cap / 2 + 64;
	return grow(buf, cap, err);
}

enum rc
buf_append(struct buf *buf, const void *data, size_t len, struct err *err)
{
	enum rc rc = has_room(buf, len) ? RC_OK : buf_reserve(buf, len, err);

	if (rc)
		return rc;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return RC_OK;
}

enum rc
buf_append_str(struct buf *buf, const char *text, struct err *err)
{
	return buf_append(buf, text, strlen(text), err);
}

enum rc
buf_append_all(struct buf *buf, struct err *err, ...)
{
	size_t before = buf->len;
	const char *text;
	va_list ap;
	enum rc rc = RC_OK;

	va_start(ap, err);
	while (rc == RC_OK && (text = va_arg(ap, const char *)))
		rc = buf_append_str(buf, text, err);
	va_end(ap);
	if (rc != RC_OK && buf->data) {
		buf->len = before;
		buf->data[before] = '\0';
	}
	return rc;
}

enum rc
buf_append_char(struct buf *buf, char c, struct err *err)
{
	enum rc rc = has_room(buf, 1) ? RC_OK : buf_reserve(buf, 1, err);

	if (rc)
		return rc;
	buf->data[buf->len++] = c;
	buf->data[buf->len] = '\0';
	return RC_OK;
}

enum rc
buf_appendf(struct buf *buf, struct err *err, const char *fmt, ...)
{
	size_t room = buf->data ? buf->cap - buf->len : 0;
	char first = '\0';
	va_list ap;
	int n;
	enum rc rc;

	/* Nearly always there is room for it where it is to stand. */
	va_start(ap, fmt);
	n = vsnprintf(room ? buf->data + buf->len : NULL, room, fmt, ap);
	va_end(ap);
	if (room) {
		first = buf->data[buf->len];
		buf->data[buf->len] = '\0';
	}
	if (n < 0)
		return err_set(err, ERR_INTERNAL, "a text could not be formatted");
	rc = buf_reserve(buf, (size_t)n, err);
	if (rc)
		return rc;
	if ((size_t)n < room) {
		buf->data[buf->len] = first;
	} else {
		va_start(ap, fmt);
		vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	buf->len += (size_t)n;
	return RC_OK;
}

enum rc
buf_append_hex(struct buf *buf, const void *data, size_t len, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	enum rc rc;

	if (len > BUF_MAX_DEFAULT)
		return err_set(err, ERR_LIMIT, "more than %u bytes", BUF_MAX_DEFAULT);
	rc = buf_reserve(buf, 2 * len, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < len; i++) {
		buf->data[buf->len++] = digits[p[i] >> 4];
		buf->data[buf->len++] = digits[p[i] & 15];
	}
	buf->data[buf->len] = '\0';
	return RC_OK;
}

enum rc
buf_append_u32(struct buf *buf, unsigned v, struct err *err)
{
	unsigned char b[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
		(unsigned char)(v >> 8), (unsigned char)v};

	return buf_append(buf, b, sizeof b, err);
}
