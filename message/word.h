/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * word.h - encoded words (RFC 2047)
 */
#ifndef MESSAGE_WORD_H
#define MESSAGE_WORD_H

#include "base/buf.h"

#include <stdbool.h>

/* An encoded word (RFC 2047 section 2), pointing into the value. */
struct word {
	const char *charset; /* without the language of RFC 2231 … */
	size_t charset_len;
	size_t named_len; /* … and with it */
	bool base64;
	const char *text;
	size_t text_len;
	size_t length; /* of the word with its marks */
};

/* Reads the encoded word at P; blanks inside, which many mailers write, are let pass. */
bool word_parse(const char *p, size_t len, struct word *out);
/* Its bytes, in its charset. What is not encoded rightly stands for itself, or is passed over. */
enum rc word_decode(const struct word *word, struct buf *out, struct err *err);
bool word_same_charset(const struct word *a, const struct word *b);
/* Length of the blanks and folds at P. */
size_t word_blanks(const char *p, size_t len);
/* CHARSET may have a language behind it. */
enum rc word_encode(const char *charset, size_t charset_len, bool base64, const void *bytes,
	size_t len, struct buf *out, struct err *err);

#endif
