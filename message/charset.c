/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#define ESC         '\x1b'
#define REPLACEMENT "\xef\xbf\xbd"

/* Names in mail and the converter's own. Where a later set contains the named one and mail uses it
 * under the old name, the later one stands here. */
static const struct {
	const char *name;
	const char *iconv_name; /* NULL: decoded here as UTF-8; "JIS": decoded here as CP50221 */
} charsets[] = {
	{"us-ascii", NULL},
	{"ascii", NULL},
	{"utf-8", NULL},
	{"utf8", NULL},
	{"unknown-8bit", NULL},
	{"iso-2022-jp", "JIS"},
	{"iso-2022-jp-1", "JIS"},
	{"iso-2022-jp-2", "JIS"},
	{"iso-2022-jp-3", "JIS"},
	{"iso-2022-jp-ms", "JIS"},
	{"csiso2022jp", "JIS"},
	{"cp50220", "JIS"},
	{"cp50221", "JIS"},
	{"cp50222", "JIS"},
	{"shift_jis", "CP932"},
	{"shift-jis", "CP932"},
	{"sjis", "CP932"},
	{"x-sjis", "CP932"},
	{"csshiftjis", "CP932"},
	{"ms_kanji", "CP932"},
	{"windows-31j", "CP932"},
	{"cp932", "CP932"},
	{"euc-jp", "EUC-JP-MS"},
	{"x-euc-jp", "EUC-JP-MS"},
	{"eucjp-ms", "EUC-JP-MS"},
	{"gb2312", "GB18030"},
	{"gbk", "GB18030"},
	{"gb18030", "GB18030"},
	{"cp936", "GB18030"},
	{"big5", "BIG5-HKSCS"},
	{"big5-hkscs", "BIG5-HKSCS"},
	{"euc-kr", "UHC"},
	{"ks_c_5601-1987", "UHC"},
	{"cp949", "UHC"},
	{"iso-2022-kr", "ISO-2022-KR"},
	{"utf-7", "UTF-7"},
	{"utf-16", "UTF-16"},
	{"utf-16be", "UTF-16BE"},
	{"utf-16le", "UTF-16LE"},
	{"koi8-r", "KOI8-R"},
	{"koi8-u", "KOI8-U"},
	{"tis-620", "TIS-620"},
	{"macintosh", "MACINTOSH"},
	{"iso-8859-1", "ISO-8859-1"},
	{"latin1", "ISO-8859-1"},
	{"iso-8859-2", "ISO-8859-2"},
	{"iso-8859-3", "ISO-8859-3"},
	{"iso-8859-4", "ISO-8859-4"},
	{"iso-8859-5", "ISO-8859-5"},
	{"iso-8859-6", "ISO-8859-6"},
	{"iso-8859-7", "ISO-8859-7"},
	{"iso-8859-8", "ISO-8859-8"},
	{"iso-8859-8-i", "ISO-8859-8"},
	{"iso-8859-9", "ISO-8859-9"},
	{"iso-8859-10", "ISO-8859-10"},
	{"iso-8859-11", "ISO-8859-11"},
	{"iso-8859-13", "ISO-8859-13"},
	{"iso-8859-14", "ISO-8859-14"},
	{"iso-8859-15", "ISO-8859-15"},
	{"iso-8859-16", "ISO-8859-16"},
	{"windows-1250", "CP1250"},
	{"windows-1251", "CP1251"},
	{"windows-1252", "CP1252"},
	{"windows-1253", "CP1253"},
	{"windows-1254", "CP1254"},
	{"windows-1255", "CP1255"},
	{"windows-1256", "CP1256"},
	{"windows-1257", "CP1257"},
	{"windows-1258", "CP1258"},
	{"cp1250", "CP1250"},
	{"cp1251", "CP1251"},
	{"cp1252", "CP1252"},
	{"ibm850", "CP850"},
	{"cp850", "CP850"},
	{"ibm437", "CP437"},
	{"cp437", "CP437"},
	{"cp866", "CP866"},
};

size_t
utf8_length(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t n = u[0] < 0x80   ? 1
		   : u[0] < 0xc2 ? 0
		   : u[0] < 0xe0 ? 2
		   : u[0] < 0xf0 ? 3
		   : u[0] < 0xf5 ? 4
				 : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	if ((u[0] == 0xe0 && u[1] < 0xa0) ||
		(u[0] == 0xed && u[1] > 0x9f) || /* overlong, surrogate */
		(u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

bool
utf8_is_valid(const char *text, size_t len)
{
	while (len > 0) {
		size_t n = utf8_length(text, len);

		if (n == 0)
			return false;
		text += n;
		len -= n;
	}
	return true;
}

/* Copies UTF-8, each bad byte as U+FFFD. */
static enum rc
decode_utf8(const char *text, size_t len, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		size_t good = 0, n;

		while (good < len && (n = utf8_length(text + good, len - good)))
			good += n;
		rc = buf_append(out, text, good, err);
		text += good;
		len -= good;
		if (rc == RC_OK && len > 0) {
			rc = buf_append_str(out, REPLACEMENT, err);
			text++;
			len--;
		}
	}
	return rc;
}

/* Runs the converter over TEXT; a bad or cut character becomes U+FFFD and one byte is left out. */
static enum rc
convert(iconv_t cd, const char *text, size_t len, struct buf *out, struct err *err)
{
	char piece[1024], *in = (char *)text; /* iconv does not write to it */
	enum rc rc = RC_OK;

	while (rc == RC_OK) {
		char *to = piece;
		size_t room = sizeof(piece), bad;
		bool done = len == 0;

		bad = iconv(cd, done ? NULL : &in, done ? NULL : &len, &to, &room);
		rc = buf_append(out, piece, sizeof(piece) - room, err);
		if (rc != RC_OK || (bad != (size_t)-1 && done))
			break;
		if (bad == (size_t)-1 && errno != E2BIG) {
			rc = buf_append_str(out, REPLACEMENT, err);
			if (len == 0)
				break;
			in++;
			len--;
		}
	}
	return rc;
}

/*
 * The converter from charset NAME; RC_NONE when this machine does not have it. Converters are
 * loaded from files, and what is in the way of that (memory, descriptors) is told as if there were
 * none: one that was there before still is. A rule may look for the text, so trouble is no answer.
 */
static enum rc
open_converter(const char *name, iconv_t *cd, struct err *err)
{
	static atomic_bool worked[sizeof(charsets) / sizeof(*charsets)];
	size_t i = 0;
	int why;

	while (i + 1 < sizeof(charsets) / sizeof(*charsets) &&
		(!charsets[i].iconv_name || strcmp(charsets[i].iconv_name, name) != 0))
		i++;
	*cd = iconv_open("UTF-8", name);
	if (*cd != (iconv_t)-1) {
		atomic_store_explicit(&worked[i], true, memory_order_relaxed);
		return RC_OK;
	}
	why = errno;
	if (why == EINVAL && !atomic_load_explicit(&worked[i], memory_order_relaxed))
		return RC_NONE;
	return err_set(err, ERR_SYSTEM, "charset %s: %s", name, strerror(why));
}

void
charset_prepare(void)
{
	for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++) {
		const char *name = charsets[i].iconv_name;
		iconv_t cd;

		if (name && strcmp(name, "JIS") != 0 && open_converter(name, &cd, NULL) == RC_OK)
			iconv_close(cd);
	}
}

/* Decodes by the converter's charset NAME. */
static enum rc
decode_iconv(const char *name, const char *text, size_t len, struct buf *out, struct err *err)
{
	iconv_t cd;
	enum rc rc = open_converter(name, &cd, err);

	if (rc == RC_NONE)
		return decode_utf8(text, len, out, err);
	if (rc != RC_OK)
		return rc;
	rc = convert(cd, text, len, out, err);
	iconv_close(cd);
	return rc;
}

/* What the bytes of ISO-2022-JP stand for at the moment. */
enum jis_set { JIS_ASCII, JIS_KANA, JIS_0208, JIS_0212, JIS_OTHER };

/* The escape sequence at P: its length, or 0, and the set that it calls. */
static size_t
jis_escape(const char *p, size_t len, enum jis_set *set)
{
	static const struct {
		const char *sequence;
		enum jis_set set;
	} sequences[] = {
		{"(B", JIS_ASCII},
		{"(J", JIS_ASCII},
		{"(H", JIS_ASCII}, /* a common mistake for (J */
		{"(I", JIS_KANA},
		{"$@", JIS_0208},
		{"$B", JIS_0208},
		{"$(D", JIS_0212},
		{"$(B", JIS_0208},
		{"$(@", JIS_0208},
		{"&@", JIS_0208},
	};

	if (len == 0 || p[0] != ESC)
		return 0;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++) {
		size_t n = strlen(sequences[i].sequence);

		if (len > n && memcmp(p + 1, sequences[i].sequence, n) == 0) {
			*set = sequences[i].set;
			return n + 1;
		}
	}
	if (len > 2 && p[1] == '$') { /* sets of ISO-2022-JP-2 that are not Japanese */
		*set = JIS_OTHER;
		return len > 3 && p[2] == '(' ? 4 : 3;
	}
	return 0;
}

size_t
jis_shift_length(const char *p, size_t len)
{
	enum jis_set set = JIS_ASCII;
	size_t n = jis_escape(p, len, &set);

	return set == JIS_ASCII ? 0 : n;
}

size_t
jis_run_length(const char *p, size_t len)
{
	size_t at = 0;

	while (at < len && p[at] != '\n') {
		enum jis_set set = JIS_KANA;
		size_t n = jis_escape(p + at, len - at, &set);

		at += n ? n : 1;
		if (set == JIS_ASCII)
			break;
	}
	return at;
}

size_t
jis_state_next(struct jis_state *state, const char *p, size_t len)
{
	enum jis_set set = JIS_ASCII;
	size_t n = jis_escape(p, len, &set);

	if (n > 0 && n <= JIS_ESCAPE_MAX) {
		memcpy(state->escape, p, n);
		state->len = n;
		state->width = set == JIS_ASCII ? 0 : set == JIS_KANA ? 1 : 2;
		return n;
	}
	if (*p == '\n')
		*state = (struct jis_state)JIS_STATE_INIT;
	return 0;
}

size_t
jis_char_length(const struct jis_state *state, bool utf8, const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t n;

	if (u[0] > 0x7f && utf8) {
		n = utf8_length(p, len);
		return n ? n : 1;
	}
	return state->width == 2 && len > 1 && u[0] > 0x20 && u[0] < 0x7f && u[1] > 0x20 &&
			       u[1] < 0x7f
		       ? 2
		       : 1;
}

bool
jis_state_same(const struct jis_state *a, const struct jis_state *b)
{
	return a->len == b->len && memcmp(a->escape, b->escape, a->len) == 0;
}

/* One character of two bytes A and B, as CP932 or EUC has it. */
static enum rc
decode_pair(iconv_t cp932, iconv_t euc, enum jis_set set, const unsigned char *ab, struct buf *out,
	struct err *err)
{
	unsigned row = ab[0] - 0x20u, cell = ab[1] - 0x20u;
	char text[3];

	if (set == JIS_OTHER)
		return buf_append_str(out, REPLACEMENT, err);
	if (set == JIS_0212) {
		text[0] = '\x8f';
		text[1] = (char)(ab[0] | 0x80);
		text[2] = (char)(ab[1] | 0x80);
		return convert(euc, text, 3, out, err);
	}
	text[0] = (char)((row - 1) / 2 + (row < 63 ? 0x81 : 0xc1));
	if (row % 2)
		text[1] = (char)(cell + (cell < 64 ? 0x3f : 0x40));
	else
		text[1] = (char)(cell + 0x9e);
	return convert(cp932, text, 2, out, err);
}

/* A character in a set that is not ASCII; *used tells its bytes. */
static enum rc
decode_jis_char(iconv_t cd[2], enum jis_set set, const char *p, size_t len, size_t *used,
	struct buf *out, struct err *err)
{
	const unsigned char *u = (const unsigned char *)p;
	char kana;

	*used = 1;
	if (set == JIS_KANA && u[0] > 0x20 && u[0] < 0x60) {
		kana = (char)(u[0] | 0x80);
		return convert(cd[0], &kana, 1, out, err);
	}
	if (set != JIS_KANA && len > 1 && u[0] > 0x20 && u[0] < 0x7f && u[1] > 0x20 &&
		u[1] < 0x7f) {
		*used = 2;
		return decode_pair(cd[0], cd[1], set, u, out, err);
	}
	if (u[0] <= ' ') /* blanks and line ends are what they are in every set */
		return buf_append(out, p, 1, err);
	return buf_append_str(out, REPLACEMENT, err);
}

/* ISO-2022-JP as it is met: escape sequences, SO and SI for kana, UTF-8 or 8-bit kana in ASCII
 * state. */
static enum rc
decode_jis_with(
	iconv_t cd[2], const char *text, size_t len, bool utf8, struct buf *out, struct err *err)
{
	enum jis_set set = JIS_ASCII, back = JIS_ASCII;
	enum rc rc = RC_OK;
	size_t n;

	for (; rc == RC_OK && len > 0; text += n, len -= n) {
		n = jis_escape(text, len, &set);
		if (n > 0)
			continue;
		n = 1;
		if (*text == '\n')
			set = JIS_ASCII; /* RFC 1468: each line begins in ASCII */
		if (*text == '\x0e' || *text == '\x0f') {
			if (*text == '\x0e' && set != JIS_KANA)
				back = set;
			set = *text == '\x0e' ? JIS_KANA : back;
		} else if (set != JIS_ASCII && (unsigned char)*text < 0x80) {
			rc = decode_jis_char(cd, set, text, len, &n, out, err);
		} else if ((unsigned char)*text < 0x80) {
			rc = buf_append(out, text, 1, err);
		} else if (!utf8) {
			rc = convert(cd[0], text, 1, out, err);
		} else {
			n = utf8_length(text, len);
			rc = n ? buf_append(out, text, n, err)
			       : buf_append_str(out, REPLACEMENT, err);
			n = n ? n : 1;
		}
	}
	return rc;
}

/* ISO-2022-JP; bytes above 127 are UTF-8 if the flag says so, half-width kana otherwise. */
static enum rc
decode_jis(const char *text, size_t len, bool utf8, struct buf *out, struct err *err)
{
	iconv_t cd[2] = {(iconv_t)-1, (iconv_t)-1};
	enum rc rc = open_converter("CP932", &cd[0], err);

	if (rc == RC_OK)
		rc = open_converter("EUC-JP-MS", &cd[1], err);
	if (rc == RC_OK)
		rc = decode_jis_with(cd, text, len, utf8, out, err);
	else if (rc == RC_NONE)
		rc = decode_utf8(text, len, out, err);
	for (int i = 0; i < 2; i++)
		if (cd[i] != (iconv_t)-1)
			iconv_close(cd[i]);
	return rc;
}

/* The converter's name for CHARSET: NULL for UTF-8 and what is unknown. */
static const char *
find_iconv_name(const char *charset, size_t charset_len)
{
	for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++)
		if (strlen(charsets[i].name) == charset_len &&
			strncasecmp(charsets[i].name, charset, charset_len) == 0)
			return charsets[i].iconv_name;
	return NULL;
}

enum charset_kind
charset_kind(const char *charset, size_t charset_len)
{
	const char *name = find_iconv_name(charset, charset_len);

	if (!name)
		return CHARSET_UTF8;
	if (strcmp(name, "JIS") == 0)
		return CHARSET_JIS;
	return strncmp(name, "UTF-", 4) == 0 || strncmp(name, "ISO-2022", 8) == 0 ? CHARSET_OTHER
										  : CHARSET_BYTES;
}

size_t
charset_char_length(const char *charset, size_t charset_len, const char *p, size_t len)
{
	const char *name = find_iconv_name(charset, charset_len);
	const unsigned char *u = (const unsigned char *)p;
	bool euc, two;
	size_t n = 1;

	if (!name) {
		n = utf8_length(p, len);
		return n ? n : 1;
	}
	euc = strcmp(name, "EUC-JP-MS") == 0;
	two = strcmp(name, "GB18030") == 0 || strcmp(name, "BIG5-HKSCS") == 0 ||
	      strcmp(name, "UHC") == 0;
	if (strcmp(name, "CP932") == 0)
		n = (u[0] > 0x80 && u[0] < 0xa0) || (u[0] > 0xdf && u[0] < 0xfd) ? 2 : 1;
	else if (euc)
		n = u[0] == 0x8f ? 3 : u[0] == 0x8e || (u[0] > 0xa0 && u[0] < 0xff) ? 2 : 1;
	else if (two)
		n = u[0] > 0x80 && u[0] < 0xff ? 2 : 1;
	if (n == 2 && strcmp(name, "GB18030") == 0 && len > 1 && u[1] >= '0' && u[1] <= '9')
		n = 4;
	return n <= len ? n : 1;
}

enum rc
charset_decode(const char *charset, size_t charset_len, const char *text, size_t len,
	struct buf *out, struct err *err)
{
	for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++) {
		if (strlen(charsets[i].name) != charset_len ||
			strncasecmp(charsets[i].name, charset, charset_len) != 0)
			continue;
		if (!charsets[i].iconv_name)
			break;
		if (strcmp(charsets[i].iconv_name, "JIS") == 0)
			return decode_jis(text, len, false, out, err);
		return decode_iconv(charsets[i].iconv_name, text, len, out, err);
	}
	return charset_decode_raw(text, len, out, err);
}

enum rc
charset_decode_raw(const char *text, size_t len, struct buf *out, struct err *err)
{
	return len && memchr(text, ESC, len) ? decode_jis(text, len, true, out, err)
					     : decode_utf8(text, len, out, err);
}

/* One line, ending in ASCII. */
static enum rc
encode_jis_line(iconv_t cd, const char *text, size_t len, struct buf *out, struct err *err)
{
	size_t room = 4 * len + 16, left = room;
	char *in = (char *)text, *to;
	enum rc rc = buf_reserve(out, room, err);

	if (rc != RC_OK)
		return rc;
	to = out->data + out->len;
	if (iconv(cd, &in, &len, &to, &left) != 0 || iconv(cd, NULL, NULL, &to, &left) != 0)
		return RC_NONE;
	out->len += room - left;
	out->data[out->len] = '\0';
	return RC_OK;
}

enum rc
charset_encode_jis(const char *text, size_t len, struct buf *out, struct err *err)
{
	iconv_t cd = iconv_open("ISO-2022-JP", "UTF-8");
	enum rc rc = RC_OK;

	if (cd == (iconv_t)-1)
		return RC_NONE; /* UTF-8 says it as well */
	while (rc == RC_OK && len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) + 1 : len;

		rc = encode_jis_line(cd, text, line, out, err);
		text += line;
		len -= line;
	}
	iconv_close(cd);
	return rc;
}
