/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a sender's mark away: "[encrypt]" is meant for the gateway, not for the recipient. Found
 * as the criterion finds it, in folded text; cut where those characters stand in the field.
 */
#include "policy/rule.h"

#include "message/hdr_text.h"
#include "policy/fold.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Sets CUT for the characters that stand at [FROM, TO) of the text. */
static void
cut_range(const struct hdr_text *text, size_t from, size_t to, bool *cut)
{
	for (size_t i = 0; i < text->n; i++)
		cut[i] |= text->v[i].at >= from && text->v[i].at < to;
}

static bool
is_blank(const struct hdr_text *text, size_t i)
{
	const char *p = text->text.data + text->v[i].at;
	size_t len = (i + 1 < text->n ? text->v[i + 1].at : text->text.len) - text->v[i].at;

	return (len == 1 && strchr(" \t\r\n", *p) && *p) ||
	       (len == 2 && memcmp(p, "\xc2\xa0", 2) == 0) ||
	       (len == 3 && memcmp(p, "\xe3\x80\x80", 3) == 0);
}

/* Blanks beside a mark go with it, so that none begins or ends the text and two don't meet. */
static void
cut_blanks(const struct hdr_text *text, bool *cut)
{
	for (size_t i = 0, end; i < text->n; i = end) {
		end = i + 1;
		if (!cut[i])
			continue;
		while (end < text->n && cut[end])
			end++;
		if (end == text->n)
			for (size_t k = i; k > 0 && is_blank(text, k - 1); k--)
				cut[k - 1] = true;
		else if (i == 0 || is_blank(text, i - 1))
			while (end < text->n && (cut[end] || is_blank(text, end)))
				cut[end++] = true;
	}
}

/* Every mark wherever it stands; false: none. */
static bool
find_marks(const struct rule *rule, const struct hdr_text *text, const struct buf *folded,
	const struct fold_map *map, bool *cut)
{
	bool found = false;

	for (size_t i = 0; i < rule->n_marks; i++) {
		size_t len = strlen(rule->marks[i]);
		const char *at = buf_text(folded), *end = at + folded->len;

		while ((at = memmem(at, (size_t)(end - at), rule->marks[i], len))) {
			size_t k = (size_t)(at - folded->data);

			cut_range(text, map->v[k], map->v[k + len], cut);
			found = true;
			at += len;
		}
	}
	if (found)
		cut_blanks(text, cut);
	return found;
}

static enum rc
cut_marks(const struct rule *rule, const struct hdr *hdr, bool *found, struct buf *value,
	struct err *err)
{
	struct buf folded = BUF_INIT(HDR_TEXT_MAX * 8);
	struct fold_map map = {0};
	struct hdr_text text;
	bool *cut = NULL;
	enum rc rc = hdr_text_parse(hdr, &text, err);

	*found = false;
	if (rc == RC_OK)
		rc = fold_text_mapped(buf_text(&text.text), text.text.len, &folded, &map, err);
	if (rc == RC_OK && !(cut = calloc(text.n + 1, sizeof(*cut))))
		rc = err_set(err, ERR_MEMORY, "marks");
	if (rc == RC_OK)
		*found = find_marks(rule, &text, &folded, &map, cut);
	if (rc == RC_OK && *found)
		rc = hdr_text_cut(&text, cut, value, err);
	free(cut);
	free(map.v);
	buf_fini(&folded);
	hdr_text_fini(&text);
	return rc;
}

enum rc
rule_unmark(const struct rule *rule, const struct hdr *hdr, enum unmark *what, struct buf *value,
	struct err *err)
{
	struct err why = ERR_INIT;
	bool found = false;
	enum rc rc;

	*what = UNMARK_KEEP;
	if (strcasecmp(hdr->name, "Subject") == 0 && rule->n_marks) {
		rc = cut_marks(rule, hdr, &found, value, &why);
		if (rc == RC_OK && found)
			*what = UNMARK_CHANGE;
		if (rc != RC_OK && why.code != ERR_LIMIT) { /* a longer one stays as it is */
			if (err)
				*err = why;
			return rc;
		}
		return RC_OK;
	}
	if (strncasecmp(hdr->name, "X-", 2) != 0)
		return RC_OK;
	rc = rule_match_field(rule, hdr, &found, err);
	if (found)
		*what = UNMARK_DELETE;
	return rc;
}
