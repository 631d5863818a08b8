/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_piece.h"

#include "base/file.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_LINES 256 /* between looks whether somebody found a problem */

/* A piece at work. */
struct walking {
	struct ledger_piece *piece;
	const struct ledger_piece_job *job;
	size_t next, end; /* anchors of this node that are not reached yet */
	bool placed;      /* the two above are set */
	uint64_t epoch;   /* of a stub's chain, as far as its keys were noted */
};

/* The piece's sentence; the first one counts. Gives RC_PERM. */
static enum rc __attribute__((format(printf, 2, 3)))
problem(struct ledger_piece *piece, const char *fmt, ...)
{
	va_list ap;

	if (*piece->problem)
		return RC_PERM;
	va_start(ap, fmt);
	(void)vsnprintf(piece->problem, sizeof piece->problem, fmt, ap);
	va_end(ap);
	return RC_PERM;
}

/* Anchors before the piece are the business of others. */
static void
place_anchors(struct walking *w)
{
	const struct ledger_anchors *anchors = w->job->anchors;

	ledger_anchors_of(anchors, w->piece->chain.node, &w->next, &w->end);
	while (w->next < w->end && anchors->v[w->next].seq < w->piece->first)
		w->next++;
	w->placed = true;
}

/* Another record stands, or stood, where ANCHOR says. */
static enum rc
other_history(struct walking *w, const struct ledger_chain *chain,
	const struct ledger_anchor *anchor, const char *what)
{
	struct err ignored = ERR_INIT;
	bool own = ledger_chain_check_anchor(chain, anchor, &ignored) == RC_OK;

	return problem(w->piece, "record %" PRIu64 " %s at %s: this is another history%s",
		anchor->seq, what, anchor->time,
		own ? ", and the anchor is signed with this ledger's own key: there are two"
		    : "; the anchor's key is none that is in force there");
}

/* Does ANCHOR say what a checkpoint with TIME and KEYID and SIGNATURE (NULL: not known) said? */
static bool
is_checkpoint(const struct ledger_anchor *anchor, const char *time, const char *keyid)
{
	return memcmp(anchor->time, time, 27) == 0 && strcmp(anchor->keyid, keyid) == 0;
}

/*
 * LINE was added to the chain. An anchor for record N holds when N has its hash and N + 1 is the
 * very checkpoint: so nothing could have been put between the two.
 */
static enum rc
check_anchors(struct walking *w, const struct ledger_line *line)
{
	struct ledger_piece *piece = w->piece;
	const struct ledger_chain *chain = &piece->chain;
	const struct ledger_anchor *v = w->job->anchors->v;

	for (; w->next < w->end && v[w->next].seq < chain->seq; w->next++) {
		const struct ledger_anchor *a = &v[w->next];

		if (line->type != LEDGER_CHECKPOINT ||
			!is_checkpoint(a, line->time, chain->anchor.keyid))
			return other_history(
				w, chain, a, "is not followed by the checkpoint that was anchored");
		if (a->signature_len != chain->anchor.signature_len ||
			memcmp(a->signature, chain->anchor.signature, a->signature_len) != 0)
			return problem(
				piece, "the anchor for record %" PRIu64 " is not genuine", a->seq);
		piece->anchors++;
		piece->last_anchored = a->seq;
	}
	if (w->next < w->end && v[w->next].seq == chain->seq &&
		strcmp(v[w->next].hash, chain->hash) != 0)
		return other_history(w, chain, &v[w->next], "is not the one that was anchored");
	return RC_OK;
}

/* KEYID came into force. */
static enum rc
note_key(struct ledger_piece *piece, const char *keyid, struct err *err)
{
	void *more = realloc(piece->keyids, (piece->n_keyids + 1) * sizeof *piece->keyids);

	if (!more)
		return err_set(err, ERR_MEMORY, "epochs");
	piece->keyids = more;
	memcpy(piece->keyids[piece->n_keyids++], keyid, LEDGER_HASH_SIZE);
	return RC_OK;
}

/* The record says that a segment was dropped. */
static enum rc
note_retired(struct ledger_piece *piece, const struct ledger_retired *retired, struct err *err)
{
	void *more = realloc(piece->retired, (piece->n_retired + 1) * sizeof *retired);

	if (!more)
		return err_set(err, ERR_MEMORY, "dropped segments");
	piece->retired = more;
	piece->retired[piece->n_retired++] = *retired;
	return RC_OK;
}

/* The number that an outcome gives; its strings have no bare quotes, and this member comes before
 * any of them that is not the writer's. */
static uint64_t
intent_of(const char *line, size_t len)
{
	static const char name[] = ",\"intent\":";
	const char *p = memmem(line, len, name, sizeof name - 1);

	return p ? strtoull(p + sizeof name - 1, NULL, 10) : 0;
}

/* What a line that fits says beside that. */
static enum rc
note_line(struct walking *w, const struct ledger_line *line, const char *text, size_t len,
	uint64_t epoch, struct err *err)
{
	struct ledger_piece *piece = w->piece;
	struct ledger_retired retired;
	enum rc rc = RC_OK;

	if (!piece->begun) {
		piece->begun = true;
		piece->first = line->seq;
		memcpy(piece->prev, line->prev, LEDGER_HASH_SIZE - 1);
		piece->epoch = piece->chain.epoch;
		epoch = piece->epoch.number;
	}
	if (line->type == LEDGER_INTENT) {
		rc = ledger_uses_intent(&piece->uses, line->seq, err);
		if (!piece->recent && memcmp(line->time, w->job->since, 27) >= 0)
			piece->recent = line->seq;
	} else if (line->type == LEDGER_OUTCOME) {
		rc = ledger_uses_outcome(&piece->uses, intent_of(text, len), err);
	} else if (line->type == LEDGER_CHECKPOINT) {
		piece->has_checkpoint = true;
		if (piece->chain.epoch.number != epoch)
			rc = note_key(piece, piece->chain.epoch.keyid, err);
	} else if (ledger_retire_parse(text, len, line, &retired)) {
		rc = note_retired(piece, &retired, err);
	}
	return rc;
}

/* A line did not fit: the rest of a crash at the very end, or a problem. */
static enum rc
judge_break(struct walking *w, const struct ledger_reader *reader, const struct err *why,
	struct err *err)
{
	struct ledger_piece *piece = w->piece;
	char hash[LEDGER_HASH_SIZE];
	int64_t bytes;
	enum rc rc = RC_OK;

	if (piece->last && (piece->begun || piece->segment == 1))
		rc = ledger_is_torn(w->job->dir, piece->segment, ledger_reader_offset(reader),
			&piece->torn, &bytes, hash, err);
	if (rc == RC_OK && !piece->torn)
		rc = problem(piece, "segment %06" PRIu64 " line %" PRIu64 ": %s", piece->segment,
			ledger_reader_line(reader), why->detail);
	return rc;
}

/* The lines from first to last. */
static enum rc
follow_lines(struct walking *w, struct ledger_reader *reader, struct err *err)
{
	struct ledger_piece *piece = w->piece;
	struct err why = ERR_INIT;
	const char *text;
	size_t len;
	enum rc rc;

	while ((rc = ledger_reader_next(reader, &text, &len, err)) == RC_OK) {
		uint64_t epoch = piece->chain.epoch.number;
		struct ledger_line line;

		if (ledger_reader_line(reader) % STOP_LINES == 0 &&
			__atomic_load_n(&w->job->stop, __ATOMIC_RELAXED))
			return RC_OK;
		rc = ledger_chain_step(&piece->chain, text, len, &line, &why);
		if (rc == RC_PERM)
			return judge_break(w, reader, &why, err);
		if (rc)
			return err_set(err, why.code, "%s", why.detail);
		rc = note_line(w, &line, text, len, epoch, err);
		if (!w->placed)
			place_anchors(w);
		if (rc == RC_OK && w->next < w->end)
			rc = check_anchors(w, &line);
		if (rc)
			return rc;
	}
	return rc == RC_NONE ? RC_OK : rc;
}

/* A segment that is closed ends with a checkpoint, and no anchor waits for one. */
static enum rc
check_end(struct walking *w)
{
	struct ledger_piece *piece = w->piece;
	bool waits = w->next < w->end && w->job->anchors->v[w->next].seq == piece->chain.seq;

	if (piece->last) {
		piece->waiting = waits ? piece->chain.seq : 0;
		return RC_OK;
	}
	if (!piece->begun)
		return problem(piece, "segment %06" PRIu64 " is empty", piece->segment);
	if (piece->chain.last_checkpoint + 1 != piece->chain.seq)
		return problem(piece, "segment %06" PRIu64 " does not end with a checkpoint",
			piece->segment);
	if (waits)
		return other_history(w, &piece->chain, &w->job->anchors->v[w->next],
			"is not followed by the checkpoint that was anchored");
	return RC_OK;
}

/* The chain before the first line of the piece. */
static void
begin_chain(struct ledger_piece *piece)
{
	ledger_chain_adopt(&piece->chain, piece->segment);
}

static enum rc
verify_lines(struct walking *w, struct err *err)
{
	struct ledger_piece *piece = w->piece;
	struct ledger_reader *reader = NULL;
	enum rc rc = ledger_reader_open_one(w->job->dir, piece->segment, &reader, err);

	if (rc)
		return rc;
	begin_chain(piece);
	rc = follow_lines(w, reader, err);
	if (rc == RC_OK && !__atomic_load_n(&w->job->stop, __ATOMIC_RELAXED))
		rc = check_end(w);
	ledger_reader_close(&reader);
	return rc;
}

/* --- stubs --- */

/* Before a line of the stub: anchors for records up to it. Most of these records are gone, but the
 * key that signed them is told by the stub. */
static enum rc
before_stub_line(void *ctx, const struct ledger_chain *chain, const struct ledger_line *line,
	struct err *err)
{
	struct walking *w = ctx;
	struct ledger_piece *piece = w->piece;
	const struct ledger_anchor *v = w->job->anchors->v;

	if (line->type == LEDGER_OPEN) {
		piece->first = line->seq;
		memcpy(piece->prev, line->prev, LEDGER_HASH_SIZE - 1);
		return RC_OK;
	}
	if (!piece->begun) {
		piece->begun = true;
		piece->epoch = chain->epoch;
		w->epoch = chain->epoch.number;
	}
	if (chain->epoch.number != w->epoch && note_key(piece, chain->epoch.keyid, err))
		return RC_TEMP;
	w->epoch = chain->epoch.number;
	if (!w->placed)
		place_anchors(w);
	if (line->type != LEDGER_CHECKPOINT) /* the one behind it is signed with the same key */
		return RC_OK;
	for (; w->next < w->end && v[w->next].seq < line->seq; w->next++) {
		const struct ledger_anchor *a = &v[w->next];
		struct err ignored = ERR_INIT;

		if (a->seq == line->seq - 1 &&
			(strcmp(a->hash, chain->hash) != 0 ||
				!is_checkpoint(a, line->time, chain->epoch.keyid)))
			return other_history(w, chain, a, "is not the one that was anchored");
		if (ledger_chain_check_anchor(chain, a, &ignored) != RC_OK)
			return other_history(
				w, chain, a, "(dropped) was anchored with another key");
		piece->anchors += a->seq == line->seq - 1;
		piece->anchors_dropped += a->seq != line->seq - 1;
		piece->last_anchored = a->seq;
	}
	return RC_OK;
}

static enum rc
verify_stub(struct walking *w, const struct buf *text, struct err *err)
{
	struct ledger_piece *piece = w->piece;
	struct err why = ERR_INIT;
	enum rc rc;

	piece->is_stub = true;
	begin_chain(piece);
	rc = ledger_stub_follow(
		text->data, text->len, &piece->stub, &piece->chain, before_stub_line, w, &why);
	piece->has_checkpoint = true;
	if (rc == RC_PERM)
		return problem(piece, "%s", why.detail);
	if (rc == RC_OK && piece->chain.epoch.number != w->epoch)
		rc = note_key(piece, piece->chain.epoch.keyid, &why);
	if (rc)
		return err_set(err, why.code, "%s", why.detail);
	return check_end(w);
}

/* Lines and stub are both there: do they tell the same? */
static enum rc
compare_stub(struct walking *w, struct err *err)
{
	struct ledger_piece *piece = w->piece;
	struct buf chunk = BUF_INIT(1u << 20);
	struct hasher *hasher = NULL;
	char hex[2 * SHA256_SIZE + 1] = "";
	ssize_t n = 0;
	int fd = -1;
	enum rc rc = ledger_segment_open(w->job->dir, piece->segment, &fd, err);

	if (rc == RC_OK)
		rc = buf_reserve(&chunk, SINK_CHUNK, err);
	if (rc == RC_OK)
		rc = hasher_new(1u << DIGEST_SHA256, &hasher, err);
	while (rc == RC_OK && (n = read(fd, chunk.data, SINK_CHUNK)) > 0) {
		struct sink sink = hasher_sink(hasher);

		rc = sink_feed(&sink, chunk.data, (size_t)n, err);
	}
	if (rc == RC_OK && n < 0)
		rc = err_set(err, ERR_FILE, "segment %06" PRIu64 " cannot be read", piece->segment);
	if (rc == RC_OK) {
		struct sink sink = hasher_sink(hasher);

		rc = sink_finish(&sink, err);
	}
	for (size_t i = 0; rc == RC_OK && i < SHA256_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", hasher_value(hasher, DIGEST_SHA256)[i]);
	hasher_free(&hasher);
	buf_fini(&chunk);
	if (fd >= 0)
		close(fd);
	if (rc == RC_OK && (strcmp(hex, piece->stub.sha256) != 0 ||
				   strcmp(piece->chain.hash, piece->stub.hash) != 0))
		rc = problem(piece, "segment %06" PRIu64 " is not the one that its stub tells of",
			piece->segment);
	return rc == RC_NONE ? RC_OK : rc;
}

void
ledger_piece_verify(struct ledger_piece *piece, const struct ledger_piece_job *job)
{
	struct walking w = {.piece = piece, .job = job};
	struct buf text = BUF_INIT(LEDGER_MAX_STUB);
	enum rc rc = RC_NONE;

	if (piece->kind & LEDGER_LINES)
		rc = verify_lines(&w, &piece->err);
	if (rc == RC_OK && !(piece->kind & LEDGER_STUB))
		goto out;
	if (rc == RC_OK || rc == RC_NONE) { /* it may have been dropped just now */
		enum rc got = ledger_stub_read(job->dir, piece->segment, &text, &piece->err);
		struct err why = ERR_INIT;

		if (got == RC_OK)
			got = ledger_stub_parse(
				text.data, text.len, piece->segment, &piece->stub, &why);
		if (got == RC_PERM)
			rc = problem(piece, "%s", why.detail);
		else if (got == RC_NONE)
			rc = problem(piece, "segment %06" PRIu64 " is missing", piece->segment);
		else if (got)
			rc = got;
		else
			rc = rc == RC_OK ? compare_stub(&w, &piece->err)
					 : verify_stub(&w, &text, &piece->err);
	}
out:
	piece->rc = rc == RC_PERM ? RC_OK : rc;
	buf_fini(&text);
}

void
ledger_piece_fini(struct ledger_piece *piece)
{
	ledger_uses_fini(&piece->uses);
	free(piece->retired);
	free(piece->keyids);
	*piece = (struct ledger_piece){.retired = NULL};
}
