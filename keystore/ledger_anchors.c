/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_anchors.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define ANCHOR_WORD "sealgate-anchor:"

/* Room for one more; sorts repeated ones out before it asks for much memory. */
static enum rc
make_room(struct ledger_anchors *anchors, struct err *err)
{
	size_t room = anchors->room ? 2 * anchors->room : 64;
	void *more;

	if (anchors->n < anchors->room)
		return RC_OK;
	ledger_anchors_sort(anchors);
	if (anchors->n < anchors->room / 2)
		return RC_OK;
	if (anchors->n >= LEDGER_MAX_ANCHORS)
		return err_set(err, ERR_LIMIT, "more than %u anchors", LEDGER_MAX_ANCHORS);
	more = realloc(anchors->v, room * sizeof *anchors->v);
	if (!more)
		return err_set(err, ERR_MEMORY, "anchors");
	anchors->v = more;
	anchors->room = room;
	return RC_OK;
}

/* Adds the anchor in the line, if there is one. */
static enum rc
take_line(struct ledger_anchors *anchors, const char *line, size_t len, struct err *err)
{
	const char *at = memmem(line, len, ANCHOR_WORD, strlen(ANCHOR_WORD));
	enum rc rc;

	if (!at || *line == '#')
		return RC_NONE;
	len -= (size_t)(at - line);
	while (len && strchr(" \r\t", at[len - 1]))
		len--;
	rc = make_room(anchors, err);
	if (rc == RC_OK)
		rc = ledger_anchor_parse(at, len, &anchors->v[anchors->n], err);
	if (rc == RC_OK)
		anchors->n++;
	return rc;
}

enum rc
ledger_anchors_read(struct ledger_anchors *anchors, const char *path, struct err *err)
{
	struct buf text = BUF_INIT(ANCHORS_MAX_FILE);
	enum rc rc = file_read(path, &text, err);
	const char *p = buf_text(&text), *end = p + text.len, *lf;
	bool any = false;

	if (rc == RC_NONE)
		rc = RC_TEMP;
	for (unsigned line = 1; rc == RC_OK && p < end; p = lf + 1, line++) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf)
			lf = end;
		rc = take_line(anchors, p, (size_t)(lf - p), err);
		any |= rc == RC_OK;
		if (rc == RC_NONE)
			rc = RC_OK;
		else if (rc)
			err_prefix(err, "%s line %u", path, line);
	}
	buf_fini(&text);
	if (rc == RC_OK && !any)
		return err_set(err, ERR_LEDGER_BROKEN, "%s: there is no anchor in it", path);
	return rc;
}

void
ledger_anchors_fini(struct ledger_anchors *anchors)
{
	free(anchors->v);
	*anchors = (struct ledger_anchors){.v = NULL};
}

/* Do both say the same? Signatures may differ. */
static int
by_text(const struct ledger_anchor *x, const struct ledger_anchor *y)
{
	int order = strcmp(x->hash, y->hash);

	if (!order)
		order = strcmp(x->time, y->time);
	return order ? order : strcmp(x->keyid, y->keyid);
}

/* For qsort: node, number, text, signature. */
static int
compare(const void *a, const void *b)
{
	const struct ledger_anchor *x = a, *y = b;
	int order = strcmp(x->node, y->node);

	if (!order && x->seq != y->seq)
		order = x->seq < y->seq ? -1 : 1;
	if (!order)
		order = by_text(x, y);
	if (!order && x->signature_len != y->signature_len)
		order = x->signature_len < y->signature_len ? -1 : 1;
	return order ? order : memcmp(x->signature, y->signature, x->signature_len);
}

void
ledger_anchors_sort(struct ledger_anchors *anchors)
{
	size_t to = 0;

	if (!anchors->n)
		return;
	qsort(anchors->v, anchors->n, sizeof *anchors->v, compare);
	for (size_t i = 1; i < anchors->n; i++)
		if (compare(&anchors->v[to], &anchors->v[i]) != 0 && ++to != i)
			anchors->v[to] = anchors->v[i];
	anchors->n = to + 1;
}

size_t
ledger_anchors_contradiction(const struct ledger_anchors *anchors)
{
	for (size_t i = 1; i < anchors->n; i++) {
		const struct ledger_anchor *x = &anchors->v[i - 1], *y = &anchors->v[i];

		if (x->seq == y->seq && strcmp(x->node, y->node) == 0 && by_text(x, y) != 0)
			return i;
	}
	return 0;
}

void
ledger_anchors_of(
	const struct ledger_anchors *anchors, const char *node, size_t *begin, size_t *end)
{
	for (*begin = 0; *begin < anchors->n && strcmp(anchors->v[*begin].node, node) != 0;)
		++*begin;
	for (*end = *begin; *end < anchors->n && strcmp(anchors->v[*end].node, node) == 0;)
		++*end;
}
