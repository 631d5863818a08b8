/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hdr_text.h - a header value as text that knows where each character stands in it
 *
 * The text is that of hdr_decode (RFC 2047, raw ISO-2022-JP). Characters can be cut out of the
 * value: encoded words that lose one are encoded anew, in their own charset and from their own
 * bytes, so that nothing is converted and each ends in ASCII state; everything else of the value
 * stays byte for byte. Only words of a charset whose characters can't be told apart one by one
 * (UTF-7, UTF-16, ISO-2022-KR) become UTF-8.
 *
 * Limits: HDR_TEXT_MAX bytes; longer ones are ERR_LIMIT.
 */
#ifndef MESSAGE_HDR_TEXT_H
#define MESSAGE_HDR_TEXT_H

#include "message/hdrs.h"
#include "message/word.h"

#define HDR_TEXT_MAX 65536u

struct hdr_char {
	size_t at;       /* in the text, up to the next one's */
	size_t from, to; /* in the bytes; both 0 in a run that is only known as a whole */
};

enum hdr_piece_kind { HDR_RAW, HDR_WORD, HDR_GAP /* blanks between two words: no text */ };

struct hdr_piece {
	enum hdr_piece_kind kind;
	const char *raw; /* in the value */
	size_t raw_len;
	struct word word;
	size_t from, to; /* its bytes */
	size_t run;
};

enum hdr_run_kind { HDR_RUN_CHARS, HDR_RUN_JIS, HDR_RUN_WHOLE };

struct hdr_run { /* pieces that are decoded together: a raw one, or words of one charset */
	enum hdr_run_kind kind;
	bool utf8;           /* JIS: bytes above 127 are that */
	size_t piece, end;   /* pieces [piece, end), gaps included */
	size_t first, chars; /* characters [first, first + chars) */
};

struct hdr_text {
	const struct hdr *hdr; /* borrowed */
	struct buf text;       /* UTF-8 */
	struct buf bytes;      /* what the pieces are decoded from */
	struct hdr_char *v;
	size_t n, cap;
	struct hdr_piece *pieces;
	size_t n_pieces;
	struct hdr_run *runs;
	size_t n_runs;
};

/* OUT is initialised here; hdr_text_fini it in any case. */
enum rc hdr_text_parse(const struct hdr *hdr, struct hdr_text *out, struct err *err);
void hdr_text_fini(struct hdr_text *text);
/* The value without the characters whose CUT is set, appended to OUT. */
enum rc
hdr_text_cut(const struct hdr_text *text, const bool *cut, struct buf *out, struct err *err);

#endif
