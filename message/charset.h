/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * charset.h - text of any charset that mail knows, as UTF-8
 *
 * Names of charsets come from outside and are looked up in a list; the converter never sees a
 * name that is not in it. ISO-2022-JP is read as CP50221 (NEC and IBM rows, half-width kana),
 * Shift_JIS as CP932. What can't be decoded stands as U+FFFD, one for each bad byte.
 */
#ifndef MESSAGE_CHARSET_H
#define MESSAGE_CHARSET_H

#include "base/buf.h"

#include <stdbool.h>

/* Length of the UTF-8 character at P, 1 to 4; 0 when there is none (LEN is not 0). */
size_t utf8_length(const char *p, size_t len);
bool utf8_is_valid(const char *text, size_t len);

/* Appends TEXT in UTF-8. An unknown charset is taken for UTF-8. */
enum rc charset_decode(const char *charset, size_t charset_len, const char *text, size_t len,
	struct buf *out, struct err *err);
/* Text without a charset: UTF-8, and ISO-2022-JP from one escape sequence to the next. */
enum rc charset_decode_raw(const char *text, size_t len, struct buf *out, struct err *err);
/* Appends TEXT (UTF-8) as ISO-2022-JP that every reader knows (RFC 1468), each line ending in
 * ASCII. RC_NONE when it can't say all of it; nothing useful was appended then. */
enum rc charset_encode_jis(const char *text, size_t len, struct buf *out, struct err *err);
/*
 * Appends TEXT (UTF-8) as CP932, which is what Shift_JIS means to those who write it: with ①, ㈱,
 * ～, half-width kana. Only characters that come back as themselves, or as their other shape in
 * JIS (〜 and ～, − and －), are written: not ¥, which is a backslash there. RC_NONE: *bad is where
 * the first character stands that cannot be said; nothing useful was appended then.
 */
enum rc
charset_encode_cp932(const char *text, size_t len, struct buf *out, size_t *bad, struct err *err);
/* How text of a charset falls into characters. */
enum charset_kind {
	CHARSET_UTF8,  /* unknown ones too */
	CHARSET_JIS,   /* by escape sequences: struct jis_state */
	CHARSET_BYTES, /* each character can be told by its own bytes */
	CHARSET_OTHER
};
enum charset_kind charset_kind(const char *charset, size_t charset_len);
/* Bytes of the character at P, for CHARSET_UTF8 and CHARSET_BYTES; 1 when it is none. */
size_t charset_char_length(const char *charset, size_t charset_len, const char *p, size_t len);

#define JIS_ESCAPE_MAX 8
struct jis_state { /* what bytes of ISO-2022-JP stand for: the last escape sequence */
	char escape[JIS_ESCAPE_MAX];
	size_t len;
	unsigned width; /* bytes of a character: 0 ASCII, 1 kana, 2 */
};
#define JIS_STATE_INIT                                   \
	{                                                \
		.escape = "\x1b(B", .len = 3, .width = 0 \
	}
/* Takes the escape sequence at P and gives its length; 0: there is a character. A line end brings
 * ASCII back. */
size_t jis_state_next(struct jis_state *state, const char *p, size_t len);
/* Bytes of the character at P. UTF8: bytes above 127 are that, otherwise half-width kana. */
size_t jis_char_length(const struct jis_state *state, bool utf8, const char *p, size_t len);
bool jis_state_same(const struct jis_state *a, const struct jis_state *b);
/* Is there an escape sequence of ISO-2022-JP at P after which bytes are not ASCII? Its length, or
 * 0. */
size_t jis_shift_length(const char *p, size_t len);
/* Length of the run at P, which begins with such a sequence, up to the return to ASCII with its
 * sequence, or to the end of the line: opaque to every parser. */
size_t jis_run_length(const char *p, size_t len);

/* Loads what is needed to decode while it can be loaded: a converter that the C library did not get
 * when it was first wanted, for want of descriptors or memory, is gone for the life of the process.
 * To be called at the start. */
void charset_prepare(void);

#endif
