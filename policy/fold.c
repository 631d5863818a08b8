/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/fold.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Decodes one character; returns its length, 0 when the bytes are no UTF-8. */
static size_t
decode(const unsigned char *s, size_t len, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? *s : *s & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*out = c;
	return n;
}

static enum rc
encode(uint32_t c, struct buf *out, struct err *err)
{
	char s[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		s[0] = (char)c;
		return buf_append(out, s, 1, err);
	}
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		s[i] = (char)(0x80 | (c & 0x3f));
	s[0] = (char)((0xf00u >> n & 0xff) | c);
	return buf_append(out, s, n, err);
}

/* Half-width katakana from U+FF61 on, as full-width ones. */
static const uint16_t katakana[] = {0x3002, 0x300c, 0x300d, 0x3001, 0x30fb, 0x30f2, 0x30a1, 0x30a3,
	0x30a5, 0x30a7, 0x30a9, 0x30e3, 0x30e5, 0x30e7, 0x30c3, 0x30fc, 0x30a2, 0x30a4, 0x30a6,
	0x30a8, 0x30aa, 0x30ab, 0x30ad, 0x30af, 0x30b1, 0x30b3, 0x30b5, 0x30b7, 0x30b9, 0x30bb,
	0x30bd, 0x30bf, 0x30c1, 0x30c4, 0x30c6, 0x30c8, 0x30ca, 0x30cb, 0x30cc, 0x30cd, 0x30ce,
	0x30cf, 0x30d2, 0x30d5, 0x30d8, 0x30db, 0x30de, 0x30df, 0x30e0, 0x30e1, 0x30e2, 0x30e4,
	0x30e6, 0x30e8, 0x30e9, 0x30ea, 0x30eb, 0x30ec, 0x30ed, 0x30ef, 0x30f3, 0x3099, 0x309a};

/* C with the voicing mark NEXT (U+3099, U+309A, already widened) joined, or 0 when they don't join.
 */
static uint32_t
voiced(uint32_t c, uint32_t next)
{
	bool h_row = c >= 0x30cf && c <= 0x30db && (c - 0x30cf) % 3 == 0;

	if (next == 0x3099 && c == 0x30a6)
		return 0x30f4;
	if (next == 0x3099 && ((c >= 0x30ab && c <= 0x30c2 && c % 2 == 1) || c == 0x30c4 ||
				      c == 0x30c6 || c == 0x30c8 || h_row))
		return c + 1;
	return next == 0x309a && h_row ? c + 2 : 0;
}

static uint32_t
widen(uint32_t c)
{
	return c >= 0xff61 && c <= 0xff9f ? katakana[c - 0xff61] : c;
}

/* One character without its width and case. Letters of Latin-1, Greek and Cyrillic have their lower
 * case at a fixed distance; others are compared as they are. */
static uint32_t
fold_char(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e)
		c -= 0xfee0;
	else if (c == 0x3000 || c == 0xa0 || c == '\t' || c == '\n' || c == '\r')
		return ' ';
	if (c >= 'A' && c <= 'Z')
		return c + 32;
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) ||
		(c >= 0x410 && c <= 0x42f))
		return c + 32;
	if (c >= 0x400 && c <= 0x40f)
		return c + 80;
	return widen(c);
}

/* Notes that the bytes of OUT from BEGUN on come from offset AT. */
static enum rc
note(struct fold_map *map, size_t begun, size_t end, size_t at, struct err *err)
{
	if (!map || end == begun)
		return RC_OK;
	if (end + 1 > map->cap) {
		size_t cap = (end + 1) * 2 + 64;
		size_t *v = realloc(map->v, cap * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "folding");
		map->v = v;
		map->cap = cap;
	}
	for (; begun < end; begun++)
		map->v[begun] = at;
	return RC_OK;
}

enum rc
fold_text_mapped(
	const char *text, size_t len, struct buf *out, struct fold_map *map, struct err *err)
{
	const unsigned char *begin = (const unsigned char *)text, *s = begin, *end = s + len;
	uint32_t c, next, joined;
	bool blank = false;
	enum rc rc = RC_OK;

	while (rc == RC_OK && s < end) {
		size_t n = decode(s, (size_t)(end - s), &c), m, begun = out->len;
		size_t at = (size_t)(s - begin);

		if (n == 0) {
			rc = buf_append(out, s++, 1, err);
			blank = false;
		} else {
			s += n;
			joined = 0;
			if (s < end && (m = decode(s, (size_t)(end - s), &next)) != 0 &&
				(joined = voiced(widen(c), widen(next))) != 0)
				s += m;
			c = joined ? joined : fold_char(c);
			if (c != ' ' || !blank)
				rc = encode(c, out, err);
			blank = c == ' ';
		}
		if (rc == RC_OK)
			rc = note(map, begun, out->len, at, err);
	}
	if (rc == RC_OK)
		rc = note(map, out->len, out->len + 1, len, err);
	return rc;
}

enum rc
fold_text(const char *text, size_t len, struct buf *out, struct err *err)
{
	return fold_text_mapped(text, len, out, NULL, err);
}
