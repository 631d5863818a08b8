/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/word.h"

#include "message/b64.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHARSET_MAX 64

bool
word_parse(const char *p, size_t len, struct word *out)
{
	const char *end = p + len, *mark;

	if (len < 8 || p[0] != '=' || p[1] != '?')
		return false;
	out->charset = p + 2;
	mark = memchr(out->charset, '?', len - 2 < CHARSET_MAX ? len - 2 : CHARSET_MAX);
	if (!mark || mark == out->charset || end - mark < 3 || mark[2] != '?')
		return false;
	out->charset_len = (size_t)(mark - out->charset);
	if (mark[1] != 'B' && mark[1] != 'b' && mark[1] != 'Q' && mark[1] != 'q')
		return false;
	out->base64 = mark[1] == 'B' || mark[1] == 'b';
	out->text = mark + 3;
	mark = memchr(out->text, '?', (size_t)(end - out->text));
	if (!mark || mark + 1 == end || mark[1] != '=')
		return false;
	out->text_len = (size_t)(mark - out->text);
	out->length = (size_t)(mark + 2 - p);
	out->named_len = out->charset_len;
	mark = memchr(out->charset, '*', out->charset_len);
	if (mark)
		out->charset_len = (size_t)(mark - out->charset);
	return true;
}

/* 0 to 15, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The "Q" encoding; what is not encoded rightly stands for itself. */
static enum rc
decode_q(const struct word *word, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < word->text_len; i++) {
		char c = word->text[i];

		if (c == '_') {
			c = ' ';
		} else if (c == '=' && i + 2 < word->text_len &&
			   hex_value(word->text[i + 1]) >= 0 && hex_value(word->text[i + 2]) >= 0) {
			c = (char)(hex_value(word->text[i + 1]) << 4 |
				   hex_value(word->text[i + 2]));
			i += 2;
		}
		rc = buf_append_char(out, c, err);
	}
	return rc;
}

/* 0 to 63, or -1. */
static int
b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The "B" encoding; other characters are passed over, padding may be missing. */
static enum rc
decode_b(const struct word *word, struct buf *out, struct err *err)
{
	unsigned bits = 0, count = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < word->text_len; i++) {
		int v = b64_value(word->text[i]);

		if (v < 0)
			continue;
		bits = (bits << 6 | (unsigned)v) & 0xffffff;
		count += 6;
		if (count >= 8) {
			count -= 8;
			rc = buf_append_char(out, (char)(bits >> count), err);
		}
	}
	return rc;
}

enum rc
word_decode(const struct word *word, struct buf *out, struct err *err)
{
	return word->base64 ? decode_b(word, out, err) : decode_q(word, out, err);
}

bool
word_same_charset(const struct word *a, const struct word *b)
{
	return a->charset_len == b->charset_len &&
	       strncasecmp(a->charset, b->charset, a->charset_len) == 0;
}

size_t
word_blanks(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && (p[n] == ' ' || p[n] == '\t' || p[n] == '\r' || p[n] == '\n'))
		n++;
	return n;
}

/* Is C itself in the "Q" encoding, wherever the word stands (RFC 2047 section 5)? */
static bool
is_q_safe(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!*+-/", c));
}

static enum rc
encode_q(const unsigned char *p, size_t len, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < len; i++) {
		if (p[i] == ' ')
			rc = buf_append_char(out, '_', err);
		else if (is_q_safe(p[i]))
			rc = buf_append_char(out, (char)p[i], err);
		else
			rc = buf_appendf(out, err, "=%02X", p[i]);
	}
	return rc;
}

enum rc
word_encode(const char *charset, size_t charset_len, bool base64, const void *bytes, size_t len,
	struct buf *out, struct err *err)
{
	char *room;
	enum rc rc = buf_append_str(out, "=?", err);

	if (rc == RC_OK)
		rc = buf_append(out, charset, charset_len, err);
	if (rc == RC_OK)
		rc = buf_append_str(out, base64 ? "?B?" : "?Q?", err);
	if (rc == RC_OK && !base64) {
		rc = encode_q(bytes, len, out, err);
	} else if (rc == RC_OK) {
		room = malloc(4 * ((len + 2) / 3) + 1);
		rc = room ? buf_append(out, room, b64_encode(bytes, len, room), err)
			  : err_set(err, ERR_MEMORY, "encoded word");
		free(room);
	}
	return rc == RC_OK ? buf_append_str(out, "?=", err) : rc;
}
