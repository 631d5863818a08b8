/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_verify.h"

#include "base/clock.h"
#include "keystore/ledger_crew.h"
#include "keystore/ledger_tail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECENT_US 2000000 /* a vault that runs writes outcomes up to half a second later */

/*
 * The segments are pieces. Each is verified by itself, by threads (ledger_crew.h); the caller's
 * thread joins them in order: the first record of a piece must continue the last one of the piece
 * before, in the same epoch.
 */
struct verification {
	const struct ledger_verify_options *options;
	struct ledger_report *report;
	struct ledger_anchors anchors;
	struct ledger_files files;
	uint64_t last; /* segment in which the ledger ends */
	struct ledger_piece_job job;
	bool raced; /* a segment was dropped meanwhile */

	/* what is joined so far */
	struct ledger_piece end; /* the last piece, for its end */
	struct ledger_uses uses;
	uint64_t recent, first;
	struct ledger_stub *stubs; /* of the dropped segments */
	bool *dropped;             /* … of which the lines are gone too */
	size_t n_stubs;
	struct ledger_retired *retired;
	size_t n_retired;
	char (*keyids)[LEDGER_HASH_SIZE];
	size_t n_keyids;
};

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

/* --- joining --- */

/* Does PIECE continue what was joined before it? */
static void
check_joint(struct verification *v, const struct ledger_piece *piece)
{
	const struct ledger_chain *end = &v->end.chain;
	struct ledger_report *report = v->report;
	char where[48];

	snprintf(where, sizeof where, "segment %06" PRIu64 " line 1", piece->segment);
	if (piece->first != end->seq + 1)
		problem(report, "%s: record %" PRIu64 " stands where %" PRIu64 " is due", where,
			piece->first, end->seq + 1);
	else if (strcmp(piece->prev, end->hash) != 0)
		problem(report, "%s: record %" PRIu64 " does not continue the one before it", where,
			piece->first);
	else if (strcmp(piece->chain.node, end->node) != 0)
		problem(report, "%s: record %" PRIu64 " is another node's", where, piece->first);
	else if (piece->epoch.number != end->epoch.number ||
		 strcmp(piece->epoch.keyid, end->epoch.keyid) != 0)
		problem(report, "%s: another epoch than the one in force", where);
}

/* Appends N elements of SIZE to a list. */
static enum rc
extend(void **v, size_t *n, const void *more, size_t n_more, size_t size, struct err *err)
{
	void *grown;

	if (!n_more)
		return RC_OK;
	grown = realloc(*v, (*n + n_more) * size);
	if (!grown)
		return err_set(err, ERR_MEMORY, "verifying");
	*v = grown;
	memcpy((char *)grown + *n * size, more, n_more * size);
	*n += n_more;
	return RC_OK;
}

/* The stub of PIECE; lines that are there too make it a mere companion. */
static enum rc
add_stub(struct verification *v, const struct ledger_piece *piece, struct err *err)
{
	size_t n = v->n_stubs;
	bool gone = piece->is_stub;
	enum rc rc;

	if (!piece->stub.segment)
		return RC_OK;
	rc = extend((void **)&v->dropped, &n, &gone, 1, sizeof gone, err);
	if (rc == RC_OK)
		rc = extend(
			(void **)&v->stubs, &v->n_stubs, &piece->stub, 1, sizeof piece->stub, err);
	if (rc == RC_OK && gone) {
		v->report->dropped++;
		v->report->dropped_to = piece->stub.last;
	}
	return rc;
}

/* What PIECE counts. */
static void
add_counts(struct verification *v, const struct ledger_piece *piece)
{
	struct ledger_report *report = v->report;
	const struct ledger_chain *chain = &piece->chain;

	report->segments++;
	report->records = chain->seq;
	report->checkpoints += chain->count[LEDGER_CHECKPOINT];
	report->epochs = chain->epoch.number;
	report->intents += chain->count[LEDGER_INTENT];
	report->recovered += chain->count[LEDGER_RECOVERED];
	report->recovered_bytes += chain->recovered_bytes;
	report->torn_tail |= piece->torn;
	report->anchors += piece->anchors;
	report->anchors_dropped += piece->anchors_dropped;
	if (piece->last_anchored)
		report->last_anchored = piece->last_anchored;
	if (piece->has_checkpoint)
		report->last_checkpoint = chain->last_checkpoint;
	memcpy(report->head, chain->hash, sizeof report->head);
	v->recent = v->recent ? v->recent : piece->recent;
}

/* Puts PIECE behind what is joined. It is empty afterwards. */
static enum rc
join(struct verification *v, struct ledger_piece *piece, struct err *err)
{
	struct ledger_report *report = v->report;
	enum rc rc = piece->rc;

	if (rc)
		return err_set(err, piece->err.code, "%s", piece->err.detail);
	if (piece->begun && !v->end.begun) {
		memcpy(report->root, piece->epoch.keyid, sizeof report->root);
		memcpy(report->node, piece->chain.node, sizeof report->node);
		rc = extend((void **)&v->keyids, &v->n_keyids, piece->epoch.keyid, 1,
			LEDGER_HASH_SIZE, err);
	} else if (piece->begun) {
		check_joint(v, piece);
	}
	if (*report->problem)
		return RC_OK;
	v->raced |= piece->is_stub && (piece->kind & LEDGER_LINES);
	if (piece->begun && !piece->is_stub && !v->first)
		v->first = piece->first;
	if (piece->begun)
		add_counts(v, piece);
	if (rc == RC_OK)
		rc = add_stub(v, piece, err);
	if (rc == RC_OK)
		rc = extend((void **)&v->retired, &v->n_retired, piece->retired, piece->n_retired,
			sizeof *piece->retired, err);
	if (rc == RC_OK)
		rc = extend((void **)&v->keyids, &v->n_keyids, piece->keyids, piece->n_keyids,
			LEDGER_HASH_SIZE, err);
	if (rc == RC_OK)
		rc = ledger_uses_join(&v->uses, &piece->uses, err);
	if (*piece->problem)
		problem(report, "%s", piece->problem);
	if (piece->begun) {
		ledger_piece_fini(&v->end);
		v->end = *piece;
		*piece = (struct ledger_piece){.retired = NULL};
	}
	return rc;
}

/* Joins all pieces, up to the first problem. */
static enum rc
join_all(struct verification *v, struct ledger_crew *crew, struct err *err)
{
	enum rc rc = RC_OK;

	for (uint64_t n = v->files.first; rc == RC_OK && n <= v->last; n++) {
		struct ledger_piece *piece = ledger_crew_get(crew, n);

		if (!piece)
			return err_set(err, ERR_MEMORY, "segments");
		rc = join(v, piece, err);
		ledger_piece_fini(piece);
		free(piece);
		if (*v->report->problem)
			break;
	}
	return rc;
}

/* --- what only the whole tells --- */

/* The record that says that STUB's segment was dropped, with this very stub. */
static const struct ledger_retired *
find_retired(const struct verification *v, const struct ledger_stub *stub, bool *other)
{
	*other = false;
	for (size_t i = 0; i < v->n_retired; i++) {
		if (v->retired[i].segment != stub->segment)
			continue;
		if (strcmp(v->retired[i].stub, stub->self) == 0)
			return &v->retired[i];
		*other = true;
	}
	return NULL;
}

/*
 * Each stub must be named by a record that a checkpoint covers, or by the stub behind it that is.
 * From the last one down: each tells the hash of the one before.
 */
static void
check_stubs(struct verification *v)
{
	struct ledger_report *report = v->report;

	for (size_t i = v->n_stubs; i--;) {
		const struct ledger_stub *stub = &v->stubs[i],
					 *behind = i + 1 < v->n_stubs ? &v->stubs[i + 1] : NULL;
		bool other, follows = behind && behind->segment == stub->segment + 1;
		const struct ledger_retired *retired = find_retired(v, stub, &other);

		if (follows && strcmp(behind->before, stub->self) != 0)
			problem(report,
				"the stub of segment %06" PRIu64
				" is not the one that the stub behind it tells of",
				stub->segment);
		else if (!follows && !retired && v->dropped[i])
			problem(report,
				other ? "the stub of segment %06" PRIu64
					" is not the one that was recorded"
				      : "segment %06" PRIu64 " was dropped without a record",
				stub->segment);
		else if (!follows && retired && retired->record > report->last_checkpoint &&
			 v->dropped[i])
			problem(report,
				"segment %06" PRIu64 " was dropped by record %" PRIu64
				", which no checkpoint covers",
				stub->segment, retired->record);
	}
}

/* For qsort over key ids. */
static int
by_keyid(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* A private key is destroyed when its epoch ends; one that comes again was not. */
static void
check_keys(struct verification *v)
{
	if (!v->n_keyids)
		return;
	qsort(v->keyids, v->n_keyids, LEDGER_HASH_SIZE, by_keyid);
	for (size_t i = 1; i < v->n_keyids; i++)
		if (strcmp(v->keyids[i - 1], v->keyids[i]) == 0)
			problem(v->report, "the epoch key %.16s… was used for two epochs",
				v->keyids[i]);
}

/* Anchors that the ledger does not reach, and those that are about others. */
static void
check_anchors(struct verification *v)
{
	struct ledger_report *report = v->report;
	size_t begin, end;

	ledger_anchors_of(&v->anchors, report->node, &begin, &end);
	report->anchors_other = v->anchors.n - (end - begin);
	if (v->anchors.n && begin == end)
		problem(report, "all anchors are for other nodes (%s), this is the ledger of %s",
			v->anchors.v[0].node, report->node);
	else if (begin < end && v->anchors.v[end - 1].seq > report->records)
		problem(report,
			"truncated: an anchor covers record %" PRIu64
			", the ledger ends with %" PRIu64,
			v->anchors.v[end - 1].seq, report->records);
	else if (v->end.waiting)
		problem(report,
			"truncated: the checkpoint behind record %" PRIu64
			", which was anchored, is gone",
			v->end.waiting);
}

/* A use without an outcome: recent ones may still get theirs. */
struct counting {
	struct verification *v;
	uint64_t unknown, under_way;
};

static void
count_open(void *ctx, uint64_t seq)
{
	struct counting *counting = ctx;
	struct verification *v = counting->v;

	if (v->recent && seq >= v->recent) {
		counting->under_way++;
		return;
	}
	counting->unknown++;
}

/* The same for who wants the numbers. */
static void
tell_open(void *ctx, uint64_t seq)
{
	struct verification *v = ctx;

	if (!v->recent || seq < v->recent)
		v->options->unknown(v->options->ctx, seq);
}

static void
tell_gone(struct verification *v)
{
	for (size_t i = 0; i < v->n_stubs; i++) {
		const struct ledger_stub *stub = &v->stubs[i];
		bool other;
		const struct ledger_retired *retired = find_retired(v, stub, &other);
		struct ledger_gone gone = {stub->segment, stub->first, stub->last, stub->from,
			stub->to, stub->bytes, stub->sha256, retired ? retired->record : 0,
			retired ? retired->time : NULL};

		if (v->dropped[i])
			v->options->gone(v->options->ctx, &gone);
	}
}

/* After the last piece. */
static void
conclude(struct verification *v)
{
	struct ledger_report *report = v->report;
	struct counting counting = {.v = v};

	ledger_uses_end(&v->uses, v->first);
	ledger_uses_each(&v->uses, count_open, &counting);
	report->unknown_outcomes = counting.unknown;
	report->under_way = counting.under_way;
	report->strays = v->uses.strays;
	if (*report->problem)
		return;
	if (!report->records)
		problem(report, "there is no ledger here");
	else if (v->options->node && strcmp(v->options->node, report->node) != 0)
		problem(report, "this is the ledger of node %s, not of %s", report->node,
			v->options->node);
	check_stubs(v);
	check_keys(v);
	check_anchors(v);
}

/* --- setting up --- */

/* The segments, and which one is the last. What is wrong with their names is the report's. */
static enum rc
find_segments(struct verification *v, struct err *err)
{
	struct err why = ERR_INIT;
	bool left = false;
	enum rc rc = ledger_files_list(v->options->dir, &v->files, &why);

	if (rc == RC_OK)
		rc = ledger_find_last(v->options->dir, &v->files, &v->last, &left, &why);
	if (rc == RC_OK && left) {
		struct ledger_ends ends;

		rc = ledger_ends_read(v->options->dir, v->files.last, &ends, &why);
		v->report->torn_tail = ends.bytes != 0;
	}
	if (rc == RC_OK && v->files.first > 1)
		problem(v->report, "%s: segment 000001 is missing", v->options->dir);
	if (rc == RC_PERM)
		problem(v->report, "%s", why.detail);
	else if (rc)
		return err_set(err, why.code, "%s", why.detail);
	return RC_OK;
}

static enum rc
read_anchors(struct verification *v, struct err *err)
{
	size_t wrong;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < v->options->n_anchors && rc == RC_OK; i++)
		rc = ledger_anchors_read(&v->anchors, v->options->anchors[i], err);
	if (rc)
		return rc;
	ledger_anchors_sort(&v->anchors);
	wrong = ledger_anchors_contradiction(&v->anchors);
	if (wrong)
		problem(v->report,
			"two anchors for record %" PRIu64
			" of node %s cannot both be true: of %s and "
			"%s; there were two histories, or two ledgers of one name",
			v->anchors.v[wrong].seq, v->anchors.v[wrong].node,
			v->anchors.v[wrong - 1].time, v->anchors.v[wrong].time);
	return RC_OK;
}

/* How many threads are to work beside this one. */
static unsigned
count_helpers(const struct verification *v)
{
	long n = v->options->threads ? (long)v->options->threads : sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t pieces = v->last - v->files.first + 1;

	n = n > LEDGER_VERIFY_THREADS ? LEDGER_VERIFY_THREADS : n;
	n = (uint64_t)n > pieces ? (long)pieces : n;
	return n > 1 ? (unsigned)n - 1 : 0;
}

/* Has the pieces verified and joined. */
static enum rc
run(struct verification *v, struct err *err)
{
	struct ledger_crew crew;
	enum rc rc = ledger_crew_begin(&crew, &v->files, v->last, &v->job, count_helpers(v), err);

	if (rc == RC_OK)
		rc = join_all(v, &crew, err);
	ledger_crew_end(&crew);
	return rc;
}

static void
clean_up(struct verification *v)
{
	ledger_piece_fini(&v->end);
	ledger_uses_fini(&v->uses);
	ledger_anchors_fini(&v->anchors);
	ledger_files_free(&v->files);
	free(v->stubs);
	free(v->dropped);
	free(v->retired);
	free(v->keyids);
}

/* One pass over all. */
static enum rc
verify_once(struct verification *v, struct err *err)
{
	enum rc rc;

	memset(v->report, 0, sizeof *v->report);
	v->job = (struct ledger_piece_job){.dir = v->options->dir, .anchors = &v->anchors};
	(void)clock_format_us(clock_now_us() - RECENT_US, v->job.since);
	rc = read_anchors(v, err);
	if (rc == RC_OK)
		rc = find_segments(v, err);
	if (rc == RC_OK && v->files.last && !*v->report->problem)
		rc = run(v, err);
	if (rc == RC_OK)
		conclude(v);
	v->report->ok = rc == RC_OK && !*v->report->problem;
	return rc;
}

enum rc
ledger_verify_with(
	const struct ledger_verify_options *options, struct ledger_report *report, struct err *err)
{
	struct verification v;
	enum rc rc;

	for (int tries = 3; tries; tries--) {
		v = (struct verification){.options = options, .report = report};
		rc = verify_once(&v, err);
		/* The record that a segment is dropped may have come behind what was read. */
		if (rc || report->ok || !v.raced || tries == 1)
			break;
		clean_up(&v);
	}
	if (rc == RC_OK && options->gone)
		tell_gone(&v);
	if (rc == RC_OK && options->unknown)
		ledger_uses_each(&v.uses, tell_open, &v);
	clean_up(&v);
	return rc;
}

enum rc
ledger_verify(const char *dir, const char *const *files, size_t n, struct ledger_report *report,
	struct err *err)
{
	struct ledger_verify_options options = {.dir = dir, .anchors = files, .n_anchors = n};

	return ledger_verify_with(&options, report, err);
}
