/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/hdrs.h"

#include "message/charset.h"

#include <string.h>
#include <strings.h>

#define CHARSET_MAX 64

/* An encoded word (RFC 2047 section 2), pointing into the value. */
struct word {
	const char *charset; /* without the language of RFC 2231 */
	size_t charset_len;
	bool base64;
	const char *text;
	size_t text_len;
	size_t length; /* of the word with its marks */
};

/* Reads the encoded word at P; blanks inside, which many mailers write, are let pass. */
static bool
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

/* Length of the blanks at P. */
static size_t
blanks(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && (p[n] == ' ' || p[n] == '\t'))
		n++;
	return n;
}

/* Decodes the run of words that begins at P: those of one charset that follow each other with only
 * blanks between are joined first, because characters get split between them. */
static enum rc
decode_words(const char *p, size_t len, size_t *used, struct buf *out, struct err *err)
{
	struct buf bytes = BUF_INIT(HDRS_MAX_BYTES);
	struct word first, word;
	size_t at = 0;
	enum rc rc = RC_OK;

	word_parse(p, len, &first);
	word = first;
	while (rc == RC_OK) {
		rc = word.base64 ? decode_b(&word, &bytes, err) : decode_q(&word, &bytes, err);
		at += word.length;
		*used = at;
		at += blanks(p + at, len - at);
		if (!word_parse(p + at, len - at, &word) || word.charset_len != first.charset_len ||
			strncasecmp(word.charset, first.charset, word.charset_len) != 0)
			break;
	}
	if (rc == RC_OK)
		rc = charset_decode(
			first.charset, first.charset_len, buf_text(&bytes), bytes.len, out, err);
	buf_fini(&bytes);
	return rc;
}

/* Length of the text at P up to the next encoded word, if there is one. */
static size_t
raw_length(const char *p, size_t len, bool *found)
{
	struct word word;
	size_t at = 0;

	*found = false;
	while (at < len) {
		if (p[at] == '=' && word_parse(p + at, len - at, &word)) {
			*found = true;
			return at;
		}
		at += jis_shift_length(p + at, len - at) ? jis_run_length(p + at, len - at) : 1;
	}
	return at;
}

/* Decodes an unfolded value. Blanks between two encoded words are not text. */
static enum rc
decode_value(const char *p, size_t len, struct buf *out, struct err *err)
{
	bool found, after_word = false;
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		size_t n = raw_length(p, len, &found), used = 0;

		if (!after_word || !found || blanks(p, n) != n)
			rc = charset_decode_raw(p, n, out, err);
		if (rc == RC_OK && found)
			rc = decode_words(p + n, len - n, &used, out, err);
		after_word = found;
		p += n + used;
		len -= n + used;
	}
	return rc;
}

enum rc
hdr_decode(const struct hdr *hdr, struct buf *out, struct err *err)
{
	struct buf value = BUF_INIT(HDRS_MAX_BYTES);
	enum rc rc = hdr_unfold(hdr, &value, err);

	if (rc == RC_OK)
		rc = decode_value(buf_text(&value), value.len, out, err);
	buf_fini(&value);
	return rc;
}
