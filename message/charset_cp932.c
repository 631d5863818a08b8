/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/charset.h"

#include <iconv.h>
#include <string.h>

/* Pairs of Unicode for one character of JIS: the C library writes the first, and reads it as the
 * second. */
static bool
is_same_in_jis(const char *a, size_t a_len, const char *b, size_t b_len)
{
	static const char *const pairs[][2] = {
		{"\u301c", "\uff5e"}, /* wave dash, full-width tilde */
		{"\u2014", "\u2015"}, /* dashes */
		{"\u2016", "\u2225"}, /* double and parallel lines */
		{"\u2212", "\uff0d"}, /* minus */
		{"\u00a2", "\uffe0"}, /* cent */
		{"\u00a3", "\uffe1"}, /* pound */
		{"\u00ac", "\uffe2"}, /* not */
	};

	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return true;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (strlen(pairs[i][0]) == a_len && memcmp(pairs[i][0], a, a_len) == 0 &&
			strlen(pairs[i][1]) == b_len && memcmp(pairs[i][1], b, b_len) == 0)
			return true;
	return false;
}

/* One character there and back again: bytes of CP932 in TO, or 0. */
static size_t
encode_cp932_char(iconv_t to_cp932, iconv_t from_cp932, const char *p, size_t n, char to[4])
{
	char back[8], *in = (char *)p, *out = to;
	size_t left = n, room = 4, used;

	iconv(to_cp932, NULL, NULL, NULL, NULL);
	if (iconv(to_cp932, &in, &left, &out, &room) != 0 || left != 0)
		return 0;
	used = 4 - room;
	in = to;
	left = used;
	out = back;
	room = sizeof(back);
	iconv(from_cp932, NULL, NULL, NULL, NULL);
	if (iconv(from_cp932, &in, &left, &out, &room) != 0 || left != 0)
		return 0;
	return is_same_in_jis(p, n, back, sizeof(back) - room) ? used : 0;
}

/* Characters of nobody: what they look like is agreed on elsewhere. */
static bool
is_private_use(const char *p, size_t n)
{
	return n == 3 && (unsigned char)p[0] >= 0xee &&
	       ((unsigned char)p[0] == 0xee ||
		       ((unsigned char)p[0] == 0xef && (unsigned char)p[1] < 0xa4));
}

enum rc
charset_encode_cp932(const char *text, size_t len, struct buf *out, size_t *bad, struct err *err)
{
	iconv_t to = iconv_open("CP932", "UTF-8"), from = iconv_open("UTF-8", "CP932");
	enum rc rc = RC_OK;
	size_t at = 0;

	if (to == (iconv_t)-1 || from == (iconv_t)-1)
		rc = err_set(err, ERR_SYSTEM, "this machine has no converter for CP932");
	while (rc == RC_OK && at < len) {
		size_t n = utf8_length(text + at, len - at), used = 0;
		char bytes[4];

		if (n == 1 && text[at] != 0) {
			rc = buf_append_char(out, text[at++], err); /* ASCII is the same */
			continue;
		}
		if (n > 1 && !is_private_use(text + at, n))
			used = encode_cp932_char(to, from, text + at, n, bytes);
		if (used == 0) {
			*bad = at;
			rc = RC_NONE;
		} else {
			rc = buf_append(out, bytes, used, err);
		}
		at += n;
	}
	if (to != (iconv_t)-1)
		iconv_close(to);
	if (from != (iconv_t)-1)
		iconv_close(from);
	return rc;
}
