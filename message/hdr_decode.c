/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/hdrs.h"

#include "message/charset.h"
#include "message/word.h"

#include <string.h>

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
		rc = word_decode(&word, &bytes, err);
		at += word.length;
		*used = at;
		at += word_blanks(p + at, len - at);
		if (!word_parse(p + at, len - at, &word) || !word_same_charset(&word, &first))
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

		if (!after_word || !found || word_blanks(p, n) != n)
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
