/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/hdr_text.h"

#include "message/charset.h"

#include <stdlib.h>
#include <string.h>

#define ESC         '\x1b'
#define PIECES_STEP 16

void
hdr_text_fini(struct hdr_text *text)
{
	buf_fini(&text->text);
	buf_fini(&text->bytes);
	free(text->v);
	free(text->pieces);
	free(text->runs);
	text->v = NULL;
	text->pieces = NULL;
	text->runs = NULL;
	text->n = text->n_pieces = text->n_runs = 0;
}

/* Length of the text at P up to the next encoded word, or to the end. */
static size_t
raw_length(const char *p, size_t len)
{
	struct word word;
	size_t at = 0;

	while (at < len && !(p[at] == '=' && word_parse(p + at, len - at, &word)))
		at += jis_shift_length(p + at, len - at) ? jis_run_length(p + at, len - at) : 1;
	return at;
}

static enum rc
add_piece(struct hdr_text *text, const struct hdr_piece *piece, struct err *err)
{
	struct hdr_piece *v = text->pieces;

	if (text->n_pieces % PIECES_STEP == 0)
		v = realloc(v, (text->n_pieces + PIECES_STEP) * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "header text");
	text->pieces = v;
	v[text->n_pieces] = *piece;
	v[text->n_pieces].from = v[text->n_pieces].to = text->bytes.len;
	text->n_pieces++;
	return RC_OK;
}

/* Raw text, words, and the gaps between words. */
static enum rc
split(struct hdr_text *text, const char *p, size_t len, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		bool after_word =
			text->n_pieces && text->pieces[text->n_pieces - 1].kind == HDR_WORD;
		struct hdr_piece piece = {.raw = p, .raw_len = raw_length(p, len)};

		if (piece.raw_len == 0) {
			word_parse(p, len, &piece.word);
			piece.kind = HDR_WORD;
			piece.raw_len = piece.word.length;
		} else if (after_word && piece.raw_len < len &&
			   word_blanks(p, piece.raw_len) == piece.raw_len) {
			piece.kind = HDR_GAP;
		}
		rc = add_piece(text, &piece, err);
		if (rc == RC_OK && piece.kind == HDR_WORD)
			rc = word_decode(&piece.word, &text->bytes, err);
		else if (rc == RC_OK && piece.kind == HDR_RAW)
			rc = buf_append(&text->bytes, p, piece.raw_len, err);
		if (rc == RC_OK)
			text->pieces[text->n_pieces - 1].to = text->bytes.len;
		p += piece.raw_len;
		len -= piece.raw_len;
	}
	return rc;
}

/* Pieces that are decoded together. A gap belongs to the run of the word before it. */
static enum rc
find_runs(struct hdr_text *text, struct err *err)
{
	text->runs = calloc(text->n_pieces + 1, sizeof(*text->runs));
	if (!text->runs)
		return err_set(err, ERR_MEMORY, "header text");
	for (size_t i = 0; i < text->n_pieces; i++) {
		struct hdr_piece *piece = &text->pieces[i];
		struct hdr_run *run = text->n_runs ? &text->runs[text->n_runs - 1] : NULL;
		const struct hdr_piece *first = run ? &text->pieces[run->piece] : NULL;
		bool joins = first && first->kind == HDR_WORD &&
			     (piece->kind == HDR_GAP ||
				     (piece->kind == HDR_WORD &&
					     word_same_charset(&piece->word, &first->word)));

		if (!joins) {
			run = &text->runs[text->n_runs++];
			run->piece = i;
		}
		run->end = i + 1;
		piece->run = text->n_runs - 1;
	}
	return RC_OK;
}

static enum rc
add_char(struct hdr_text *text, size_t at, size_t from, size_t to, struct err *err)
{
	if (text->n == text->cap) {
		size_t cap = text->cap ? text->cap * 2 : 256;
		struct hdr_char *v = realloc(text->v, cap * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "header text");
		text->v = v;
		text->cap = cap;
	}
	text->v[text->n++] = (struct hdr_char){.at = at, .from = from, .to = to};
	return RC_OK;
}

/* How RUN's bytes [FROM, TO) are cut into characters. */
static enum hdr_run_kind
kind_of(const struct hdr_text *text, struct hdr_run *run, size_t from, size_t to)
{
	const struct hdr_piece *piece = &text->pieces[run->piece];
	const char *bytes = buf_text(&text->bytes) + from;
	enum charset_kind kind = CHARSET_UTF8;

	if (piece->kind == HDR_WORD)
		kind = charset_kind(piece->word.charset, piece->word.charset_len);
	run->utf8 = kind == CHARSET_UTF8;
	if (kind == CHARSET_UTF8 && to > from && memchr(bytes, ESC, to - from))
		kind = CHARSET_JIS; /* as charset_decode has it */
	if (kind == CHARSET_JIS)
		return piece->kind == HDR_WORD && to > from &&
				       (memchr(bytes, 0x0e, to - from) ||
					       memchr(bytes, 0x0f, to - from))
			       ? HDR_RUN_WHOLE
			       : HDR_RUN_JIS;
	return kind == CHARSET_OTHER ? HDR_RUN_WHOLE : HDR_RUN_CHARS;
}

static enum rc
decode_bytes(struct hdr_text *text, const struct hdr_run *run, const char *p, size_t len,
	struct err *err)
{
	const struct hdr_piece *piece = &text->pieces[run->piece];

	if (run->kind != HDR_RUN_WHOLE && len == 1 && (unsigned char)*p < 0x80)
		return buf_append(&text->text, p, 1, err);
	return piece->kind == HDR_WORD ? charset_decode(piece->word.charset,
						 piece->word.charset_len, p, len, &text->text, err)
				       : charset_decode_raw(p, len, &text->text, err);
}

static enum rc
read_chars(
	struct hdr_text *text, const struct hdr_run *run, size_t from, size_t to, struct err *err)
{
	const struct hdr_piece *piece = &text->pieces[run->piece];
	enum rc rc = RC_OK;

	while (rc == RC_OK && from < to) {
		const char *p = buf_text(&text->bytes) + from;
		size_t at = text->text.len, n;

		n = piece->kind == HDR_WORD ? charset_char_length(piece->word.charset,
						      piece->word.charset_len, p, to - from)
					    : utf8_length(p, to - from);
		n = n ? n : 1;
		rc = decode_bytes(text, run, p, n, err);
		/* A converter that meets a bad character goes on with its second byte. */
		if (rc == RC_OK && n > 1 && text->text.len - at > 2 &&
			memcmp(text->text.data + at, "\xef\xbf\xbd", 3) == 0 &&
			piece->kind == HDR_WORD && !run->utf8) {
			text->text.len = at + 3;
			n = 1;
		}
		if (rc == RC_OK)
			rc = add_char(text, at, from, from + n, err);
		from += n;
	}
	return rc;
}

/* Does a word end between the bytes FROM and TO? */
static bool
is_split(const struct hdr_text *text, const struct hdr_run *run, size_t from, size_t to)
{
	for (size_t i = run->piece; i < run->end; i++)
		if (text->pieces[i].to > from && text->pieces[i].to < to)
			return true;
	return false;
}

static enum rc
read_jis(struct hdr_text *text, struct hdr_run *run, size_t from, size_t to, struct err *err)
{
	struct jis_state state = JIS_STATE_INIT;
	enum rc rc = RC_OK;

	while (rc == RC_OK && from < to) {
		const char *p = buf_text(&text->bytes) + from;
		size_t at = text->text.len, n = jis_state_next(&state, p, to - from);
		char one[JIS_ESCAPE_MAX + 4];

		if (n > 1 && is_split(text, run, from, from + n))
			run->kind = HDR_RUN_WHOLE;
		if (n > 0) {
			from += n;
			continue;
		}
		n = jis_char_length(&state, run->utf8, p, to - from);
		if (n > 1 && is_split(text, run, from, from + n))
			run->kind = HDR_RUN_WHOLE;
		if (state.width == 0 && n == 1 && (unsigned char)*p < 0x80) {
			rc = buf_append(&text->text, p, 1, err);
		} else {
			memcpy(one, state.escape, state.len);
			memcpy(one + state.len, p, n);
			rc = decode_bytes(text, run, one, state.len + n, err);
		}
		if (rc == RC_OK)
			rc = add_char(text, at, from, from + n, err);
		from += n;
	}
	return rc;
}

/* Characters without a place of their own. */
static enum rc
read_whole(
	struct hdr_text *text, const struct hdr_run *run, size_t from, size_t to, struct err *err)
{
	size_t at = text->text.len;
	enum rc rc = RC_OK;

	if (to > from)
		rc = decode_bytes(text, run, buf_text(&text->bytes) + from, to - from, err);
	while (rc == RC_OK && at < text->text.len) {
		size_t n = utf8_length(text->text.data + at, text->text.len - at);

		rc = add_char(text, at, 0, 0, err);
		at += n ? n : 1;
	}
	return rc;
}

static enum rc
read_run(struct hdr_text *text, struct hdr_run *run, struct err *err)
{
	size_t from = text->pieces[run->piece].from, to = text->pieces[run->end - 1].to;
	size_t begun = text->text.len;
	enum rc rc = RC_OK;

	run->kind = kind_of(text, run, from, to);
	run->first = text->n;
	if (run->kind == HDR_RUN_CHARS)
		rc = read_chars(text, run, from, to, err);
	else if (run->kind == HDR_RUN_JIS)
		rc = read_jis(text, run, from, to, err);
	if (rc == RC_OK && run->kind == HDR_RUN_WHOLE) { /* maybe found only now */
		text->text.len = begun;
		text->n = run->first;
		rc = read_whole(text, run, from, to, err);
	}
	run->chars = text->n - run->first;
	return rc;
}

enum rc
hdr_text_parse(const struct hdr *hdr, struct hdr_text *out, struct err *err)
{
	size_t skip = word_blanks(hdr->value, hdr->value_len), len = hdr->value_len;
	enum rc rc;

	memset(out, 0, sizeof(*out));
	out->hdr = hdr;
	buf_init(&out->text, HDR_TEXT_MAX * 6);
	buf_init(&out->bytes, HDR_TEXT_MAX * 2);
	if (hdr->value_len > HDR_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "%.60s has %zu bytes", hdr->name, hdr->value_len);
	while (len > skip && word_blanks(hdr->value + len - 1, 1))
		len--;
	rc = split(out, hdr->value + skip, len - skip, err);
	if (rc == RC_OK)
		rc = find_runs(out, err);
	for (size_t i = 0; rc == RC_OK && i < out->n_runs; i++)
		rc = read_run(out, &out->runs[i], err);
	return rc;
}
