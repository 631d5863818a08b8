/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_verify.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "keystore/ledger_chain.h"
#include "keystore/ledger_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct anchors {
	struct ledger_anchor *v;
	size_t n, room;
	size_t next; /* the first one that the chain has not reached */
};

/* Adds the anchors of one file: a line each; blank lines and lines with # are left out. */
static enum rc
read_anchors(const char *path, struct anchors *anchors, struct err *err)
{
	struct buf text = BUF_INIT(64u << 20);
	enum rc rc = file_read(path, &text, err);
	const char *p = buf_text(&text), *end = p + text.len, *lf;

	if (rc == RC_NONE)
		rc = RC_TEMP;
	for (unsigned line = 1; rc == RC_OK && p < end; p = lf + 1, line++) {
		size_t len;

		lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf)
			lf = end;
		for (len = (size_t)(lf - p); len && strchr(" \r\t", p[len - 1]); len--)
			;
		if (!len || *p == '#')
			continue;
		if (anchors->n == LEDGER_MAX_ANCHORS)
			rc = err_set(err, ERR_LIMIT, "%s: too many anchors", path);
		else if (anchors->n == anchors->room) {
			size_t room = anchors->room ? 2 * anchors->room : 16;
			void *more = realloc(anchors->v, room * sizeof *anchors->v);

			if (more) {
				anchors->v = more;
				anchors->room = room;
			} else {
				rc = err_set(err, ERR_MEMORY, "anchors");
			}
		}
		if (rc == RC_OK)
			rc = ledger_anchor_parse(p, len, &anchors->v[anchors->n], err);
		if (rc == RC_OK)
			anchors->n++;
		else
			err_prefix(err, "%s line %u", path, line);
	}
	buf_fini(&text);
	return rc;
}

/* For qsort over anchors. */
static int
by_seq(const void *a, const void *b)
{
	const struct ledger_anchor *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The report's sentence; the first one counts. */
static void __attribute__((format(printf, 2, 3)))
problem(struct ledger_report *report, const char *fmt, ...)
{
	va_list ap;

	if (*report->problem)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(report->problem, sizeof report->problem, fmt, ap);
	va_end(ap);
}

/* Compares what CHAIN has reached with the anchors for that record. */
static enum rc
check_anchors(const struct ledger_chain *chain, struct anchors *anchors,
	struct ledger_report *report, struct err *err)
{
	while (anchors->next < anchors->n && anchors->v[anchors->next].seq <= chain->seq) {
		const struct ledger_anchor *anchor = &anchors->v[anchors->next++];
		enum rc rc;

		if (strcmp(anchor->node, chain->node) != 0) {
			problem(report, "an anchor is for node %s, this is the ledger of %s",
				anchor->node, chain->node);
			return RC_PERM;
		}
		if (strcmp(anchor->hash, chain->hash) != 0) {
			problem(report,
				"record %" PRIu64 " is not the one that was anchored at %s: "
				"this is another history",
				anchor->seq, anchor->time);
			return RC_PERM;
		}
		rc = ledger_chain_check_anchor(chain, anchor, err);
		if (rc == RC_PERM)
			problem(report, "the anchor for record %" PRIu64 " is not genuine",
				anchor->seq);
		if (rc)
			return rc;
		report->last_anchored = anchor->seq;
		report->anchors++;
	}
	return RC_OK;
}

/* A line did not fit: the rest of a crash at the very end, or a problem. */
static enum rc
judge_break(const char *dir, const struct ledger_reader *reader, const struct err *why,
	struct ledger_report *report, struct err *err)
{
	uint64_t segment = ledger_reader_segment(reader);
	char hash[LEDGER_HASH_SIZE];
	int64_t bytes;
	enum rc rc = RC_OK;

	if (ledger_reader_in_last(reader))
		rc = ledger_is_torn(dir, segment, ledger_reader_offset(reader), &report->torn_tail,
			&bytes, hash, err);
	if (rc == RC_OK && !report->torn_tail)
		problem(report, "segment %06" PRIu64 " line %" PRIu64 ": %s", segment,
			ledger_reader_line(reader), why->detail);
	return rc;
}

/* Uses of the last seconds, counted apart. */
struct recent {
	char since[CLOCK_TEXT_SIZE]; /* intents from this time on are recent */
	uint64_t first;              /* number of the first of them; 0: none yet */
	uint64_t intents, outcomes;
};

#define RECENT_US 2000000

/* What follows NAME in a line that fits, whose strings have no bare quotes. */
static const char *
member(const char *line, size_t len, const char *name)
{
	const char *p = memmem(line, len, name, strlen(name));

	return p ? p + strlen(name) : NULL;
}

/* A line of TYPE was added to the chain as record SEQ. */
static void
count_recent(
	struct recent *recent, enum ledger_type type, uint64_t seq, const char *line, size_t len)
{
	const char *p;

	if (type == LEDGER_INTENT && !recent->first) {
		p = member(line, len, ",\"time\":\"");
		if (p && memcmp(p, recent->since, 27) >= 0)
			recent->first = seq;
	}
	if (!recent->first)
		return;
	if (type == LEDGER_INTENT) {
		recent->intents++;
	} else if (type == LEDGER_OUTCOME) {
		p = member(line, len, ",\"intent\":");
		recent->outcomes += p && strtoull(p, NULL, 10) >= recent->first;
	}
}

/* Follows all lines. */
static enum rc
walk(const char *dir, struct ledger_reader *reader, struct ledger_chain *chain,
	struct anchors *anchors, struct ledger_report *report, struct err *err)
{
	struct recent recent = {.first = 0};
	struct err why = ERR_INIT;
	const char *line;
	size_t len;
	enum rc rc;

	(void)clock_format_us(clock_now_us() - RECENT_US, recent.since);
	while ((rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		uint64_t segment = ledger_reader_segment(reader);
		uint64_t intents = chain->count[LEDGER_INTENT];
		uint64_t outcomes = chain->count[LEDGER_OUTCOME];

		if (segment != chain->segment) {
			ledger_chain_segment(chain, segment);
			report->segments++;
		}
		rc = ledger_chain_line(chain, line, len, &why);
		if (rc == RC_PERM)
			return judge_break(dir, reader, &why, report, err);
		if (rc)
			return err_set(err, why.code, "%s", why.detail);
		if (chain->count[LEDGER_INTENT] != intents)
			count_recent(&recent, LEDGER_INTENT, chain->seq, line, len);
		else if (chain->count[LEDGER_OUTCOME] != outcomes)
			count_recent(&recent, LEDGER_OUTCOME, chain->seq, line, len);
		report->under_way =
			recent.intents > recent.outcomes ? recent.intents - recent.outcomes : 0;
		rc = check_anchors(chain, anchors, report, err);
		if (rc)
			return rc == RC_PERM ? RC_OK : rc;
	}
	return rc == RC_NONE ? RC_OK : rc;
}

/* What the walk has counted. */
static void
fill_report(const struct ledger_chain *chain, const struct anchors *anchors,
	struct ledger_report *report)
{
	uint64_t outcomes = chain->count[LEDGER_OUTCOME];

	report->records = chain->seq;
	report->checkpoints = chain->count[LEDGER_CHECKPOINT];
	report->epochs = chain->epoch.number;
	report->last_checkpoint = chain->last_checkpoint;
	report->intents = chain->count[LEDGER_INTENT];
	if (report->intents < outcomes + report->under_way)
		report->under_way = 0; /* more outcomes than intents: nothing of our making */
	report->unknown_outcomes =
		report->intents > outcomes ? report->intents - outcomes - report->under_way : 0;
	report->recovered = chain->count[LEDGER_RECOVERED];
	report->recovered_bytes = chain->recovered_bytes;
	memcpy(report->head, chain->hash, sizeof report->head);
	memcpy(report->root, chain->root, sizeof report->root);
	memcpy(report->node, chain->node, sizeof report->node);
	if (!chain->seq)
		problem(report, "there is no ledger here");
	if (anchors->next < anchors->n)
		problem(report,
			"truncated: an anchor covers record %" PRIu64
			", the ledger ends with %" PRIu64,
			anchors->v[anchors->n - 1].seq, chain->seq);
	report->ok = !*report->problem;
}

enum rc
ledger_verify(const char *dir, const char *const *files, size_t n, struct ledger_report *report,
	struct err *err)
{
	struct anchors anchors = {.v = NULL};
	struct ledger_reader *reader = NULL;
	struct ledger_chain chain;
	struct err trouble = ERR_INIT;
	uint64_t first, last;
	enum rc rc = RC_OK;

	memset(report, 0, sizeof *report);
	ledger_chain_init(&chain);
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = read_anchors(files[i], &anchors, err);
	if (rc)
		goto out;
	if (anchors.n)
		qsort(anchors.v, anchors.n, sizeof *anchors.v, by_seq);
	rc = ledger_segments(dir, &first, &last, &trouble);
	if (rc == RC_OK && first > 1)
		rc = err_set(&trouble, ERR_LEDGER_BROKEN, "%s: segment 000001 is missing", dir);
	if (rc == RC_PERM) {
		problem(report, "%s", trouble.detail);
		rc = RC_OK;
		goto out;
	}
	if (rc == RC_OK)
		rc = ledger_reader_open(dir, 0, &reader, &trouble);
	if (rc == RC_OK)
		rc = walk(dir, reader, &chain, &anchors, report, &trouble);
	if (rc == RC_OK)
		fill_report(&chain, &anchors, report);
	else
		err_set(err, trouble.code, "%s", trouble.detail);
out:
	ledger_reader_close(&reader);
	free(anchors.v);
	return rc;
}

/* Reads the members of a checkpoint's line into ANCHOR. */
static enum rc
anchor_of(const char *line, size_t len, const struct ledger_line *prefix,
	struct ledger_anchor *anchor, struct err *err)
{
	struct json_value *record = NULL;
	enum rc rc = json_parse(line, len, &record, err);
	const char *keyid = rc ? NULL : json_get_text(record, "keyid");
	const char *sig = rc ? NULL : json_get_text(record, "sig");

	memset(anchor, 0, sizeof *anchor);
	if (rc == RC_OK && (!keyid || !ledger_is_hash(keyid, strlen(keyid)) || !sig ||
				   !ledger_unhex(sig, anchor->signature, sizeof anchor->signature,
					   &anchor->signature_len)))
		rc = err_set(err, ERR_LEDGER_BROKEN, "a malformed checkpoint");
	if (rc == RC_OK) {
		anchor->seq = prefix->seq - 1;
		memcpy(anchor->node, prefix->node, prefix->node_len);
		memcpy(anchor->hash, prefix->prev, 64);
		memcpy(anchor->time, prefix->time, 27);
		memcpy(anchor->keyid, keyid, 64);
	}
	json_free(&record);
	return rc;
}

enum rc
ledger_anchor(const char *dir, struct buf *out, struct err *err)
{
	struct ledger_reader *reader = NULL;
	struct ledger_anchor anchor = {.seq = 0};
	uint64_t first, last;
	const char *line;
	size_t len;
	enum rc rc = ledger_segments(dir, &first, &last, err);

	/* Each segment but the last ends with a checkpoint, so two segments are enough. */
	if (rc == RC_OK)
		rc = ledger_reader_open(dir, last > first ? last - 1 : first, &reader, err);
	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_line prefix;

		if (ledger_line_parse(line, len, &prefix) && prefix.type == LEDGER_CHECKPOINT &&
			prefix.seq > 1)
			rc = anchor_of(line, len, &prefix, &anchor, err);
	}
	ledger_reader_close(&reader);
	if (rc == RC_NONE && anchor.seq)
		return ledger_anchor_format(out, &anchor, err);
	return rc;
}

enum rc
ledger_all_anchors(const char *dir, struct buf *out, struct err *err)
{
	struct ledger_reader *reader = NULL;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open(dir, 0, &reader, err);

	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_anchor anchor;
		struct ledger_line prefix;

		if (!ledger_line_parse(line, len, &prefix) || prefix.type != LEDGER_CHECKPOINT ||
			prefix.seq < 2)
			continue;
		rc = anchor_of(line, len, &prefix, &anchor, err);
		if (rc == RC_OK)
			rc = ledger_anchor_format(out, &anchor, err);
		if (rc == RC_OK)
			rc = buf_append_char(out, '\n', err);
	}
	ledger_reader_close(&reader);
	return rc == RC_NONE && out->len ? RC_OK : rc;
}
