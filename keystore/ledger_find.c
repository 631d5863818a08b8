/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Number of the first record in SEGMENT; 0 when that cannot be told. */
static enum rc
first_of(const char *dir, uint64_t segment, uint64_t *seq, struct err *err)
{
	struct ledger_reader *reader;
	struct ledger_line parsed;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open(dir, segment, &reader, err);

	*seq = 0;
	if (rc)
		return rc;
	rc = ledger_reader_next(reader, &line, &len, err);
	if (!rc && ledger_line_parse(line, len, &parsed))
		*seq = parsed.seq;
	ledger_reader_close(&reader);
	return rc == RC_NONE ? RC_OK : rc;
}

/* The segment that record SEQ has to be in; RC_NONE: it is older than all of them. */
static enum rc
segment_of(const char *dir, uint64_t seq, uint64_t *segment, struct err *err)
{
	uint64_t first, last, begins;
	enum rc rc = ledger_segments(dir, &first, &last, err);

	for (uint64_t n = last; !rc && n && n >= first; n--) {
		rc = first_of(dir, n, &begins, err);
		if (!rc && begins && begins <= seq) {
			*segment = n;
			return RC_OK;
		}
	}
	return rc ? rc : RC_NONE;
}

/* Is NEEDLE in LINE? */
static bool
has(const char *line, size_t len, const char *needle)
{
	return memmem(line, len, needle, strlen(needle)) != NULL;
}

static void
note_time(const struct ledger_line *parsed, struct ledger_since *out)
{
	char time[CLOCK_TEXT_SIZE];
	int64_t seconds;

	memcpy(time, parsed->time, 27);
	time[27] = 0;
	if (clock_parse(time, &seconds, NULL) == RC_OK && seconds > out->newest)
		out->newest = seconds;
}

/* Texts of others stand in a line with their quotation marks escaped, so these members are ours. */
static void
note(const char *line, size_t len, const struct ledger_line *parsed, const char *request,
	struct ledger_since *out)
{
	char member[64];

	if (parsed->type != LEDGER_ADMIN)
		return;
	snprintf(member, sizeof(member), "\"request\":\"%.40s\"", request);
	if (has(line, len, "\"event\":\"officer.run\"") && has(line, len, member))
		out->runs++;
	if (has(line, len, "\"event\":\"officer.change\"") ||
		has(line, len, "\"event\":\"officer.init\""))
		out->changes++;
}

/* The walk: what comes next, and by which hash. */
struct walk {
	uint64_t seq;
	char hash[LEDGER_HASH_SIZE]; /* of the record before; "": it is the first one to be seen */
	bool found;
};

static enum rc
walk_line(struct walk *walk, const char *line, size_t len, const char *hash, const char *request,
	struct ledger_since *out, struct err *err)
{
	struct ledger_line parsed;

	if (!ledger_line_parse(line, len, &parsed))
		return err_set(err, ERR_LEDGER_BROKEN, "no record where %llu should be",
			(unsigned long long)walk->seq);
	if (parsed.seq < walk->seq && !walk->found)
		return RC_OK;
	if (parsed.seq != walk->seq ||
		(walk->found && memcmp(parsed.prev, walk->hash, LEDGER_HASH_SIZE - 1) != 0))
		return err_set(err, ERR_LEDGER_BROKEN,
			"record %llu does not follow on the one before",
			(unsigned long long)parsed.seq);
	if (ledger_hash(line, len, walk->hash, err) != RC_OK)
		return RC_TEMP;
	if (!walk->found && strcmp(walk->hash, hash) != 0)
		return RC_NONE;
	walk->seq++;
	note_time(&parsed, out);
	/* The record that the request names was there before it: what it did is no change since. */
	if (walk->found)
		note(line, len, &parsed, request, out);
	walk->found = true;
	return RC_OK;
}

enum rc
ledger_read_since(const char *dir, uint64_t seq, const char *hash, const char *request,
	struct ledger_since *out, struct err *err)
{
	struct ledger_reader *reader = NULL;
	struct walk walk = {.seq = seq};
	const char *line;
	uint64_t segment = 0;
	size_t len;
	enum rc rc = segment_of(dir, seq, &segment, err);

	*out = (struct ledger_since){0};
	if (!rc)
		rc = ledger_reader_open(dir, segment, &reader, err);
	if (rc)
		return rc;
	while ((rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		if (len == 0 || line[len - 1] != '\n')
			break; /* being written */
		rc = walk_line(&walk, line, len, hash, request, out, err);
		if (rc) {
			ledger_reader_close(&reader);
			return rc;
		}
	}
	ledger_reader_close(&reader);
	return rc < 0 ? rc : walk.found ? RC_OK : RC_NONE;
}

/* What is looked for from the last segment backwards. */
struct officers_walk {
	uint64_t found; /* the newest change that was carried out */
	bool done;      /* "done" was seen, its change is in an earlier segment */
	int epochs;     /* hand-overs passed */
};

static void
walk_officers(
	struct officers_walk *walk, const char *line, size_t len, uint64_t *change, bool *waiting)
{
	struct ledger_line parsed;

	if (!ledger_line_parse(line, len, &parsed))
		return;
	walk->epochs += parsed.type == LEDGER_EPOCH;
	if (parsed.type != LEDGER_ADMIN)
		return;
	if (has(line, len, "\"event\":\"officer.change\"") ||
		has(line, len, "\"event\":\"officer.init\""))
		*change = parsed.seq;
	if (!has(line, len, "\"event\":\"officer.done\"") ||
		!(has(line, len, "\"act\":\"officer.change\"") ||
			has(line, len, "\"act\":\"officer.init\"")))
		return;
	if (*change)
		walk->found = *change;
	else
		*waiting = true;
}

enum rc
ledger_officers_changed(const char *dir, uint64_t *seq, struct err *err)
{
	struct officers_walk walk = {0};
	uint64_t first, last;
	enum rc rc = ledger_segments(dir, &first, &last, err);

	*seq = 0;
	for (uint64_t n = last; !rc && n && n >= first && !walk.found && walk.epochs < 2; n--) {
		struct ledger_reader *reader;
		uint64_t change = 0;
		bool waiting = false;
		const char *line;
		size_t len;

		rc = ledger_reader_open_one(dir, n, &reader, err);
		if (rc == RC_NONE) { /* dropped */
			rc = RC_OK;
			continue;
		}
		if (rc)
			break;
		while ((rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK)
			walk_officers(&walk, line, len, &change, &waiting);
		ledger_reader_close(&reader);
		if (walk.done && change)
			walk.found = change;
		walk.done |= waiting;
		if (rc == RC_NONE)
			rc = RC_OK;
	}
	*seq = walk.found;
	return rc;
}

/* The last line that ends within TEXT and is one. */
static void
last_time(const char *text, size_t len, int64_t *seconds)
{
	struct ledger_line parsed;
	char time[CLOCK_TEXT_SIZE];

	while (len && text[len - 1] != '\n')
		len--;
	while (len) {
		size_t start = len - 1;

		while (start && text[start - 1] != '\n')
			start--;
		if (ledger_line_parse(text + start, len - start, &parsed)) {
			memcpy(time, parsed.time, 27);
			time[27] = 0;
			if (clock_parse(time, seconds, NULL) == RC_OK)
				return;
		}
		len = start;
	}
}

enum rc
ledger_newest(const char *dir, int64_t *seconds, struct err *err)
{
	char name[LEDGER_SEGMENT_NAME], *path = NULL, *text = NULL;
	uint64_t first, last;
	struct stat st;
	ssize_t n = 0;
	off_t from;
	int fd = -1;
	enum rc rc = ledger_segments(dir, &first, &last, err);

	*seconds = 0;
	if (rc || !last)
		return rc;
	path = file_join(dir, ledger_segment_name(last, name));
	text = malloc(2 * LEDGER_MAX_LINE);
	if (!path || !text)
		rc = err_set(err, ERR_MEMORY, "ledger");
	if (!rc) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 || fstat(fd, &st))
			rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	}
	if (!rc) {
		from = st.st_size > 2 * (off_t)LEDGER_MAX_LINE
			       ? st.st_size - 2 * (off_t)LEDGER_MAX_LINE
			       : 0;
		n = pread(fd, text, 2 * LEDGER_MAX_LINE, from);
		if (n < 0)
			rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
		else
			last_time(text, (size_t)n, seconds);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	free(path);
	return rc;
}
