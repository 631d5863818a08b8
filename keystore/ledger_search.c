/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_search.h"

#include "keystore/ledger_stub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_GROUPS 32u
#define PREFIX_MAX 512 /* a line's fixed beginning */
/* The last segment grows: its index is made anew when so much is behind it. */
#define TAIL_MIN (1 << 20)

/* --- the query --- */

void
ledger_query_group(struct ledger_query *query)
{
	query->groups++;
}

enum rc
ledger_query_add(struct ledger_query *query, char kind, const char *text, struct err *err)
{
	if (query->n == LEDGER_QUERY_MAX || query->groups > MAX_GROUPS)
		return err_set(err, ERR_LIMIT, "too much is asked for at once");
	if (query->n == query->room) {
		size_t room = query->room ? query->room * 2 : 16;
		struct ledger_wanted *grown = realloc(query->v, room * sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_MEMORY, "a query");
		query->v = grown;
		query->room = room;
	}
	query->v[query->n++] = (struct ledger_wanted){query->groups - 1, kind, text};
	return RC_OK;
}

void
ledger_query_fini(struct ledger_query *query)
{
	free(query->v);
	*query = (struct ledger_query){.v = NULL};
}

/* Does the time or number of a record fit? */
static bool
in_range(const struct ledger_query *query, const struct ledger_line *prefix)
{
	if ((query->first && prefix->seq < query->first) ||
		(query->last && prefix->seq > query->last))
		return false;
	/* "2026-11-21T22:14:03" sorts as the times do */
	if (query->since && strncmp(prefix->time, query->since, 19) < 0)
		return false;
	return !query->until || strncmp(prefix->time, query->until, 19) < 0;
}

struct meeting {
	const struct ledger_query *query;
	uint32_t met; /* groups */
};

static enum rc
meet(void *ctx, char kind, const char *text, struct err *err)
{
	struct meeting *meeting = ctx;
	const struct ledger_query *query = meeting->query;

	(void)err;
	for (size_t i = 0; i < query->n; i++)
		if (query->v[i].kind == kind && strcmp(query->v[i].text, text) == 0)
			meeting->met |= 1u << query->v[i].group;
	return RC_OK;
}

static bool
matches(const struct ledger_query *query, const struct ledger_line *prefix,
	const struct json_value *record)
{
	struct meeting meeting = {.query = query};
	uint64_t all = (1ull << query->groups) - 1;

	if (!query->groups)
		return true;
	return ledger_terms(prefix, record, meet, &meeting, NULL) == RC_OK && meeting.met == all;
}

/* Does TEXT stand in a line as it is? */
static bool
is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
			return false;
	return true;
}

/* May the line match? What is not in it cannot, and parsing costs more. */
static bool
may_match(const struct ledger_query *query, const char *line, size_t len)
{
	bool may[MAX_GROUPS] = {false};

	for (size_t i = 0; i < query->n; i++) {
		const struct ledger_wanted *wanted = &query->v[i];

		if (!may[wanted->group])
			may[wanted->group] = !is_plain(wanted->text) ||
					     wanted->kind == LEDGER_TERM_REOPEN ||
					     memmem(line, len, wanted->text, strlen(wanted->text));
	}
	for (unsigned g = 0; g < query->groups; g++)
		if (!may[g])
			return false;
	return true;
}

/* --- reading --- */

/* What one search has at hand. */
struct walk {
	struct ledger_search *search;
	ledger_found *each;
	void *ctx;
	uint64_t segment, last; /* the last segment */
	char *line;             /* LEDGER_MAX_LINE and PREFIX_MAX bytes */
};

static enum rc
broken(const struct walk *walk, uint64_t seq, struct err *err)
{
	return err_set(err, ERR_LEDGER_BROKEN,
		"segment %06" PRIu64 ": record %" PRIu64
		" is not the one that the next record follows on; see audit verify",
		walk->segment, seq);
}

/* Hands a record on when it is wanted. FOUND: it was. */
static enum rc
offer(struct walk *walk, const char *line, size_t len, const struct ledger_line *prefix,
	bool *found, struct err *err)
{
	const struct ledger_query *query = walk->search->query;
	struct json_value *record = NULL;
	enum rc rc;

	*found = false;
	if (query && (!in_range(query, prefix) || !may_match(query, line, len)))
		return RC_OK;
	rc = json_parse(line, len, &record, err);
	if (rc == RC_OK && (!query || matches(query, prefix, record))) {
		*found = true;
		rc = walk->each(walk->ctx, line, len, prefix, record, err);
	}
	json_free(&record);
	return rc;
}

/* The hash that the first line of the next segment names; "" when there is none. */
static void
next_segment_prev(const struct walk *walk, char out[LEDGER_HASH_SIZE])
{
	char text[PREFIX_MAX];
	int fd;

	*out = '\0';
	if (ledger_segment_open(walk->search->dir, walk->segment + 1, &fd, NULL) != RC_OK)
		return;
	if (pread(fd, text, sizeof(text), 0) == (ssize_t)sizeof(text)) {
		const char *prev = memmem(text, 64, "\"prev\":\"", 8);

		if (prev && ledger_is_hash(prev + 8, 64)) {
			memcpy(out, prev + 8, 64);
			out[64] = '\0';
		}
	}
	close(fd);
}

/* Does the line behind, TEXT, follow on this one? No line behind: nothing can be said. */
static enum rc
check_next(const struct walk *walk, const char *line, size_t len, uint64_t seq, const char *text,
	size_t text_len, struct err *err)
{
	char hash[LEDGER_HASH_SIZE], next[LEDGER_HASH_SIZE] = "";
	const char *prev =
		text_len ? memmem(text, text_len < 64 ? text_len : 64, "\"prev\":\"", 8) : NULL;

	if (prev && (size_t)(text + text_len - prev) >= 8 + 64) {
		memcpy(next, prev + 8, 64);
		next[64] = '\0';
	} else if (!text_len) {
		next_segment_prev(walk, next);
	}
	if (!*next)
		return RC_OK;
	if (ledger_hash(line, len, hash, err) != RC_OK)
		return RC_TEMP;
	return strcmp(hash, next) == 0 ? RC_OK : broken(walk, seq, err);
}

/* The line at PLACE, as the index has it. */
static enum rc
look(struct walk *walk, int fd, int64_t place, struct err *err)
{
	ssize_t n = pread(fd, walk->line, LEDGER_MAX_LINE + PREFIX_MAX, (off_t)place);
	const char *lf = n > 0 ? memchr(walk->line, '\n', (size_t)n) : NULL;
	struct ledger_line prefix;
	bool found;
	size_t len;
	enum rc rc;

	if (!lf || !ledger_line_parse(walk->line, (size_t)(lf - walk->line) + 1, &prefix))
		return err_set(err, ERR_LEDGER_BROKEN,
			"segment %06" PRIu64 ": no record at byte %" PRId64
			" where one was; see audit verify",
			walk->segment, place);
	if (!in_range(walk->search->query, &prefix))
		return RC_OK;
	len = (size_t)(lf - walk->line) + 1;
	rc = check_next(walk, walk->line, len, prefix.seq, walk->line + len, (size_t)n - len, err);
	return rc ? rc : offer(walk, walk->line, len, &prefix, &found, err);
}

static int
by_place(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* What is in both lists stays in A. */
static void
intersect(struct ledger_places *a, const struct ledger_places *b)
{
	size_t n = 0;

	for (size_t i = 0, k = 0; i < a->n; i++) {
		while (k < b->n && b->v[k] < a->v[i])
			k++;
		if (k < b->n && b->v[k] == a->v[i])
			a->v[n++] = a->v[i];
	}
	a->n = n;
}

/* Sorted, each once. */
static void
tidy(struct ledger_places *places)
{
	size_t n = 0;

	if (places->n)
		qsort(places->v, places->n, sizeof(*places->v), by_place);
	for (size_t i = 0; i < places->n; i++)
		if (!n || places->v[n - 1] != places->v[i])
			places->v[n++] = places->v[i];
	places->n = n;
}

/* Places where all groups may be met. */
static enum rc
find_places(const struct ledger_query *query, const struct ledger_index *index,
	struct ledger_places *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (unsigned g = 0; rc == RC_OK && g < query->groups; g++) {
		struct ledger_places places = {.v = NULL};
		size_t terms = 0;

		for (size_t i = 0; rc == RC_OK && i < query->n; i++)
			if (query->v[i].group == g) {
				rc = ledger_index_find(
					index, query->v[i].kind, query->v[i].text, &places, err);
				terms++;
			}
		if (terms != 1)
			tidy(&places);
		if (g == 0) {
			*out = places;
			continue;
		}
		intersect(out, &places);
		free(places.v);
	}
	return rc;
}

static enum rc
walk_indexed(struct walk *walk, const struct ledger_index *index, struct err *err)
{
	struct ledger_places places = {.v = NULL};
	int fd = -1;
	enum rc rc = find_places(walk->search->query, index, &places, err);

	if (rc == RC_OK && places.n)
		rc = ledger_segment_open(walk->search->dir, walk->segment, &fd, err);
	for (size_t i = 0; rc == RC_OK && i < places.n; i++)
		rc = look(walk, fd, places.v[i], err);
	if (fd >= 0)
		close(fd);
	free(places.v);
	return rc;
}

/* A line that was cut off, or is being written. */
static bool
is_unfinished(const struct walk *walk, const char *line, size_t len)
{
	return walk->segment == walk->last && line[len - 1] != '\n';
}

/* Reads the segment's lines from byte FROM on. */
static enum rc
walk_lines(struct walk *walk, int64_t from, struct err *err)
{
	struct ledger_reader *reader = NULL;
	uint64_t before = 0; /* the record found on the line before */
	char hash[LEDGER_HASH_SIZE] = "";
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open_one(walk->search->dir, walk->segment, &reader, err);

	if (rc == RC_OK && from)
		rc = ledger_reader_seek(reader, from, err);
	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct ledger_line prefix;
		bool found;

		if (!ledger_line_parse(line, len, &prefix)) {
			if (!is_unfinished(walk, line, len))
				rc = err_set(err, ERR_LEDGER_BROKEN,
					"segment %06" PRIu64 ": no record at byte %" PRId64,
					walk->segment, ledger_reader_offset(reader));
			break;
		}
		if (before && memcmp(prefix.prev, hash, 64) != 0) {
			rc = broken(walk, before, err);
			break;
		}
		walk->search->scanned_bytes += (int64_t)len;
		rc = offer(walk, line, len, &prefix, &found, err);
		before = found ? prefix.seq : 0;
		if (rc == RC_OK && found)
			rc = ledger_hash(line, len, hash, err);
	}
	ledger_reader_close(&reader);
	if (rc == RC_NONE && before) { /* the segment's last line was found */
		char next[LEDGER_HASH_SIZE];

		next_segment_prev(walk, next);
		if (*next && strcmp(next, hash) != 0)
			return broken(walk, before, err);
	}
	return rc;
}

/* --- segments --- */

/* Is nothing of what INDEX covers within the query's bounds? */
static bool
is_outside(const struct ledger_query *query, const struct ledger_index *index)
{
	return (query->first && index->last < query->first) ||
	       (query->last && index->first > query->last) ||
	       (query->since && strncmp(index->to, query->since, 19) < 0) ||
	       (query->until && strncmp(index->from, query->until, 19) >= 0);
}

/* Bytes of SEGMENT; -1: not to be told. */
static int64_t
segment_size(const char *dir, uint64_t segment)
{
	struct stat st = {.st_size = -1};
	int fd;

	if (ledger_segment_open(dir, segment, &fd, NULL) != RC_OK)
		return -1;
	if (fstat(fd, &st))
		st.st_size = -1;
	close(fd);
	return (int64_t)st.st_size;
}

/* Is so much behind what the index covers that a new one pays? */
static bool
is_old(const struct walk *walk, const struct ledger_index *index)
{
	int64_t behind = segment_size(walk->search->dir, walk->segment) - index->covered;

	if (walk->segment < walk->last)
		return behind > 0 && index->covered < INDEX_MAX_FILE;
	return behind > TAIL_MIN && behind > index->covered / 4;
}

/* The index of the present segment: that which is there, or a new one. RC_NONE: do without. */
static enum rc
get_index(struct walk *walk, int folder, struct ledger_index *index, struct err *err)
{
	struct ledger_search *search = walk->search;
	struct err trouble = ERR_INIT;
	enum rc rc = RC_NONE;

	*index = (struct ledger_index){.file = BUF_INIT(INDEX_MAX_FILE)};
	if (search->use == LEDGER_INDEX_NONE || folder < 0)
		return RC_NONE;
	if (search->use == LEDGER_INDEX_AUTO)
		rc = ledger_index_load(folder, search->dir, walk->segment, index, err);
	if (rc == RC_OK && !is_old(walk, index))
		return RC_OK;
	ledger_index_fini(index);
	rc = ledger_index_build(search->dir, walk->segment, index, &trouble);
	if (rc == RC_OK && ledger_index_save(folder, index, &trouble) == RC_OK)
		search->built++;
	else if (!search->no_folder && rc != RC_NONE) {
		search->no_folder = true;
		snprintf(search->why, sizeof(search->why), "%s", trouble.detail);
	}
	return rc ? RC_NONE : RC_OK;
}

static enum rc
walk_segment(struct walk *walk, int folder, struct err *err)
{
	struct ledger_search *search = walk->search;
	struct ledger_index index;
	int64_t from = 0;
	enum rc rc = get_index(walk, folder, &index, err);

	if (rc == RC_OK) {
		search->indexed++;
		if (search->query && is_outside(search->query, &index)) {
			from = index.covered;
		} else if (search->query && search->query->groups) {
			rc = walk_indexed(walk, &index, err);
			from = index.covered;
		}
	} else {
		search->scanned++;
		rc = RC_OK;
	}
	ledger_index_fini(&index);
	if (rc || !walk->each || (from && from == segment_size(search->dir, walk->segment)))
		return rc;
	rc = walk_lines(walk, from, err);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Notes the records that are dropped. */
static void
note_dropped(struct ledger_search *search, const struct ledger_files *files)
{
	for (uint64_t n = files->last; n >= files->first && n; n--) {
		struct buf text = BUF_INIT(LEDGER_MAX_STUB);
		struct ledger_stub stub;

		if (ledger_files_kind(files, n) != LEDGER_STUB)
			continue;
		if (ledger_stub_read(search->dir, n, &text, NULL) == RC_OK &&
			ledger_stub_parse(text.data, text.len, n, &stub, NULL) == RC_OK)
			search->dropped_to = stub.last;
		buf_fini(&text);
		return;
	}
}

struct stop {
	ledger_found *each;
	void *ctx;
	bool stopped;
};

/* Tells an end that the caller wants from the end of a segment. */
static enum rc
call(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	struct stop *stop = ctx;
	enum rc rc = stop->each(stop->ctx, line, len, prefix, record, err);

	stop->stopped |= rc == RC_NONE;
	return rc;
}

static enum rc
walk_all(struct ledger_search *search, ledger_found *each, void *ctx, struct err *err)
{
	struct stop stop = {.each = each, .ctx = ctx};
	struct walk walk = {.search = search, .each = each ? call : NULL, .ctx = &stop};
	struct err trouble = ERR_INIT;
	struct ledger_files files;
	uint64_t gone = 0; /* the last segment that was dropped */
	int folder = -1;
	enum rc rc = ledger_files_list(search->dir, &files, err);

	if (rc)
		return rc;
	walk.last = files.last;
	walk.line = malloc(LEDGER_MAX_LINE + PREFIX_MAX);
	if (!walk.line)
		rc = err_set(err, ERR_MEMORY, "a search");
	note_dropped(search, &files);
	if (search->use != LEDGER_INDEX_NONE &&
		ledger_index_folder(search->dir, search->folder, true, &folder, &trouble)) {
		search->no_folder = true;
		snprintf(search->why, sizeof(search->why), "%s", trouble.detail);
	}
	for (uint64_t n = files.first; rc == RC_OK && n && n <= files.last && !stop.stopped; n++) {
		walk.segment = n;
		if (ledger_files_kind(&files, n) & LEDGER_LINES) {
			rc = walk_segment(&walk, folder, err);
			rc = rc == RC_NONE ? RC_OK : rc; /* the end, or dropped meanwhile */
		} else {
			gone = n;
		}
	}
	if (folder >= 0 && gone)
		ledger_index_drop(folder, gone + 1);
	if (folder >= 0)
		close(folder);
	free(walk.line);
	ledger_files_free(&files);
	return rc;
}

enum rc
ledger_search(struct ledger_search *search, ledger_found *each, void *ctx, struct err *err)
{
	return walk_all(search, each, ctx, err);
}

enum rc
ledger_search_index(struct ledger_search *search, struct err *err)
{
	return walk_all(search, NULL, NULL, err);
}
