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

/* Letters of Latin Extended-A stand in pairs, upper case first. */
static uint32_t
fold_extended(uint32_t c)
{
	bool odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);

	if (c == 0x178)
		return 0xff;
	if (c == 0x130 || c == 0x131 || c == 0x138 || c == 0x149 || c == 0x17f)
		return c;
	return c % 2 == (odd ? 1u : 0u) ? c + 1 : c;
}

static bool
is_blank(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || c == 0xa0 || c == 0x3000 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f;
}

/* One character without its width and case. Letters of Latin-1, Greek and Cyrillic have their lower
 * case at a fixed distance; others are compared as they are. */
static uint32_t
fold_char(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e)
		c -= 0xfee0;
	else if (is_blank(c))
		return ' ';
	if (c >= 'A' && c <= 'Z')
		return c + 32;
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) ||
		(c >= 0x410 && c <= 0x42f))
		return c + 32;
	if (c >= 0x400 && c <= 0x40f)
		return c + 80;
	if (c >= 0x2460 && c <= 0x2468) /* digits in circles */
		return c - 0x2460 + '1';
	if (c >= 0x100 && c <= 0x17f)
		return fold_extended(c);
	return widen(c);
}

/* C, folded, with the accent NEXT joined, or 0: what some programs write in two characters. */
static uint32_t
accented(uint32_t c, uint32_t next)
{
	static const struct {
		uint16_t accent;
		const char *letters; /* and what they become, from Latin-1 */
		unsigned char joined[8];
	} accents[] = {
		{0x300, "aeiou", {0xe0, 0xe8, 0xec, 0xf2, 0xf9}},
		{0x301, "aeiouy", {0xe1, 0xe9, 0xed, 0xf3, 0xfa, 0xfd}},
		{0x302, "aeiou", {0xe2, 0xea, 0xee, 0xf4, 0xfb}},
		{0x303, "aon", {0xe3, 0xf5, 0xf1}},
		{0x308, "aeiouy", {0xe4, 0xeb, 0xef, 0xf6, 0xfc, 0xff}},
		{0x30a, "a", {0xe5}},
		{0x327, "c", {0xe7}},
	};

	for (size_t i = 0; i < sizeof(accents) / sizeof(*accents); i++) {
		const char *p = c && c < 0x80 && next == accents[i].accent
					? strchr(accents[i].letters, (int)c)
					: NULL;

		if (p)
			return accents[i].joined[p - accents[i].letters];
	}
	return 0;
}

/* Two characters that are one: a voicing mark or an accent behind a letter; 0: they are two. */
static uint32_t
join(uint32_t c, uint32_t next)
{
	bool hiragana = c >= 0x3046 && c <= 0x307b;
	uint32_t joined = voiced(hiragana ? c + 0x60 : widen(c), widen(next));

	if (joined)
		return hiragana ? joined - 0x60 : joined;
	return accented(fold_char(c), next);
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
				(joined = join(c, next)) != 0)
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
