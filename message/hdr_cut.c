/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cutting characters out of a header value. The pieces are gone through in order; what lost nothing
 * is copied, what lost something is written anew from the bytes that stay.
 *
 * What follows from RFC 2047: blanks between two words are no text, so a word that goes takes a gap
 * with it, and a blank that has to be seen between two words becomes a word itself.
 */
#include "message/hdr_text.h"

#include "message/charset.h"

#include <string.h>

#define UTF8_WORD_MAX 45 /* bytes, so that the word has 75 characters at most */

struct cutter {
	const struct hdr_text *text;
	const bool *cut;
	struct buf *out;
	const struct hdr_piece *gap; /* the last one seen */
	bool after_word;             /* a word is the last that was written */
	size_t next;                 /* the first character not before the piece in hand */
	struct jis_state state;      /* of the run in hand, as it came */
	bool carried; /* a word of the run was written anew that did not end in ASCII: the rest of
			 the run relied on it */
};

/* What is to be seen of one piece: the bytes that stay. */
struct kept {
	struct buf bytes;
	bool touched;
};

static enum rc
keep_chars(struct cutter *c, const struct hdr_piece *piece, struct kept *kept, struct err *err)
{
	const struct hdr_text *text = c->text;
	const struct hdr_run *run = &text->runs[piece->run];
	size_t end = run->first + run->chars;
	enum rc rc = RC_OK;

	for (size_t i = c->next; rc == RC_OK && i < end && text->v[i].from < piece->to; i++) {
		size_t from = text->v[i].from, to = text->v[i].to;

		c->next = to <= piece->to ? i + 1 : i; /* it may go on in the next word */
		from = from < piece->from ? piece->from : from;
		to = to > piece->to ? piece->to : to;
		if (c->cut[i])
			kept->touched = true;
		else
			rc = buf_append(
				&kept->bytes, buf_text(&text->bytes) + from, to - from, err);
		if (c->next == i)
			break;
	}
	return rc;
}

/* The same with escape sequences where they are needed. */
static enum rc
keep_jis(struct cutter *c, const struct hdr_piece *piece, struct kept *kept, struct err *err)
{
	const struct hdr_text *text = c->text;
	const struct hdr_run *run = &text->runs[piece->run];
	size_t end = run->first + run->chars;
	struct jis_state state = JIS_STATE_INIT, ascii = JIS_STATE_INIT;
	size_t at = piece->from;
	enum rc rc = RC_OK;

	while (rc == RC_OK && at < piece->to) {
		const char *p = buf_text(&text->bytes) + at;
		size_t n = jis_state_next(&c->state, p, piece->to - at);

		if (n > 0) {
			at += n;
			continue;
		}
		while (c->next < end && text->v[c->next].to <= at)
			c->next++;
		n = jis_char_length(&c->state, run->utf8, p, piece->to - at);
		at += n;
		if (c->next < end && c->cut[c->next]) {
			kept->touched = true;
			continue;
		}
		if (!jis_state_same(&state, &c->state))
			rc = buf_append(&kept->bytes, c->state.escape, c->state.len, err);
		state = c->state;
		if (rc == RC_OK)
			rc = buf_append(&kept->bytes, p, n, err);
	}
	if (rc == RC_OK && !jis_state_same(&state, &ascii))
		rc = buf_append(&kept->bytes, ascii.escape, ascii.len, err);
	return rc;
}

static enum rc
write_gap(struct cutter *c, struct err *err)
{
	enum rc rc = RC_OK;

	if (c->after_word)
		rc = c->gap ? buf_append(c->out, c->gap->raw, c->gap->raw_len, err)
			    : buf_append_char(c->out, ' ', err);
	c->gap = NULL;
	c->after_word = true;
	return rc;
}

static enum rc
write_word(
	struct cutter *c, const struct hdr_piece *piece, const struct kept *kept, struct err *err)
{
	const struct word *word = &piece->word;
	enum rc rc;

	if (kept->touched && kept->bytes.len == 0)
		return RC_OK;
	rc = write_gap(c, err);
	if (rc != RC_OK)
		return rc;
	return kept->touched ? word_encode(word->charset, word->named_len, word->base64,
				       buf_text(&kept->bytes), kept->bytes.len, c->out, err)
			     : buf_append(c->out, piece->raw, piece->raw_len, err);
}

/* Is there a word, or what is left of one, right behind piece I? */
static bool
word_follows(const struct cutter *c, size_t i)
{
	return i + 1 < c->text->n_pieces && c->text->pieces[i + 1].kind == HDR_WORD;
}

static enum rc
write_raw(struct cutter *c, size_t i, const struct kept *kept, struct err *err)
{
	const struct hdr_piece *piece = &c->text->pieces[i];
	bool blank = word_blanks(buf_text(&kept->bytes), kept->bytes.len) == kept->bytes.len;

	if (kept->touched && blank && c->after_word && word_follows(c, i)) {
		c->gap = NULL;
		return kept->bytes.len ? buf_append_str(c->out, " =?us-ascii?Q?_?=", err) : RC_OK;
	}
	if (kept->touched && kept->bytes.len == 0)
		return RC_OK;
	c->gap = NULL;
	c->after_word = false;
	return kept->touched ? buf_append(c->out, kept->bytes.data, kept->bytes.len, err)
			     : buf_append(c->out, piece->raw, piece->raw_len, err);
}

/* A run that is only known as a whole: what stays becomes words of UTF-8. */
static enum rc
write_whole(struct cutter *c, const struct hdr_run *run, struct err *err)
{
	const struct hdr_text *text = c->text;
	struct buf word = BUF_INIT(0);
	enum rc rc = RC_OK;

	for (size_t i = run->first; rc == RC_OK && i <= run->first + run->chars; i++) {
		bool last = i == run->first + run->chars;
		size_t end = i + 1 < text->n ? text->v[i + 1].at : text->text.len;
		size_t len = last ? 0 : end - text->v[i].at;

		if (word.len > 0 && (last || word.len + len > UTF8_WORD_MAX)) {
			rc = write_gap(c, err);
			if (rc == RC_OK)
				rc = word_encode(
					"utf-8", 5, true, word.data, word.len, c->out, err);
			buf_clear(&word);
		}
		if (rc == RC_OK && !last && !c->cut[i])
			rc = buf_append(&word, text->text.data + text->v[i].at, len, err);
	}
	buf_fini(&word);
	return rc;
}

static bool
is_cut(const struct cutter *c, const struct hdr_run *run)
{
	for (size_t i = 0; i < run->chars; i++)
		if (c->cut[run->first + i])
			return true;
	return false;
}

static enum rc
write_piece(struct cutter *c, size_t i, struct err *err)
{
	const struct hdr_piece *piece = &c->text->pieces[i];
	const struct hdr_run *run = &c->text->runs[piece->run];
	struct kept kept = {.bytes = BUF_INIT(HDR_TEXT_MAX * 4)};
	enum rc rc = RC_OK;

	if (piece->kind == HDR_GAP) {
		c->gap = piece;
		return RC_OK;
	}
	kept.touched = c->carried;
	if (run->kind == HDR_RUN_JIS) {
		rc = keep_jis(c, piece, &kept, err);
		c->carried = kept.touched && c->state.width > 0;
	} else if (run->kind == HDR_RUN_CHARS) {
		rc = keep_chars(c, piece, &kept, err);
	}
	if (rc == RC_OK)
		rc = piece->kind == HDR_WORD ? write_word(c, piece, &kept, err)
					     : write_raw(c, i, &kept, err);
	buf_fini(&kept.bytes);
	return rc;
}

enum rc
hdr_text_cut(const struct hdr_text *text, const bool *cut, struct buf *out, struct err *err)
{
	struct cutter c = {.text = text, .cut = cut, .out = out};
	size_t lead = text->n_pieces ? (size_t)(text->pieces[0].raw - text->hdr->value)
				     : text->hdr->value_len;
	const char *end;
	enum rc rc = buf_append(out, text->hdr->value, lead, err);

	for (size_t r = 0; rc == RC_OK && r < text->n_runs; r++) {
		const struct hdr_run *run = &text->runs[r];

		c.next = run->first;
		c.carried = false;
		c.state = (struct jis_state)JIS_STATE_INIT;
		if (run->kind == HDR_RUN_WHOLE && is_cut(&c, run) &&
			text->pieces[run->piece].kind == HDR_WORD) {
			rc = write_whole(&c, run, err);
			if (text->pieces[run->end - 1].kind == HDR_GAP)
				c.gap = &text->pieces[run->end - 1];
			continue;
		}
		for (size_t i = run->piece; rc == RC_OK && i < run->end; i++)
			rc = write_piece(&c, i, err);
	}
	end = text->n_pieces ? text->pieces[text->n_pieces - 1].raw +
				       text->pieces[text->n_pieces - 1].raw_len
			     : text->hdr->value + text->hdr->value_len;
	return rc == RC_OK ? buf_append(out, end,
				     (size_t)(text->hdr->value + text->hdr->value_len - end), err)
			   : rc;
}
