/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/keystore/ledger_world.h"

#include "base/clock.h"
#include "keystore/ledger_format.h"

#include <sys/stat.h>

/* The lines of one segment. */
struct lines {
	char *v[2000];
	size_t len[2000];
	size_t n;
};

static void
lines_read(struct world *world, const char *name, struct lines *lines)
{
	struct buf text = BUF_INIT(0);
	char *path = world_path(world, name);
	const char *p, *lf;

	assert_int_equal(file_read(path, &text, NULL), RC_OK);
	lines->n = 0;
	for (p = text.data; p < text.data + text.len; p = lf + 1) {
		lf = strchr(p, '\n');
		assert_non_null(lf);
		assert_true(lines->n < 2000);
		lines->len[lines->n] = (size_t)(lf - p) + 1;
		lines->v[lines->n++] = exact(p, (size_t)(lf - p) + 1);
	}
	buf_fini(&text);
	free(path);
}

static void
lines_free(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free(lines->v[i]);
	lines->n = 0;
}

/* Writes lines FROM to TO - 1, leaving out SKIP, with EXTRA put in before line AT. */
static void
lines_write(struct world *world, const char *name, const struct lines *lines, size_t skip,
	size_t at, const char *extra, size_t extra_len)
{
	struct buf text = BUF_INIT(0);
	char *path = world_path(world, name);

	for (size_t i = 0; i <= lines->n; i++) {
		if (i == at)
			assert_int_equal(buf_append(&text, extra, extra_len, NULL), RC_OK);
		if (i < lines->n && i != skip)
			assert_int_equal(
				buf_append(&text, lines->v[i], lines->len[i], NULL), RC_OK);
	}
	assert_int_equal(file_write(path, text.data, text.len, 0600, NULL), RC_OK);
	buf_fini(&text);
	free(path);
}

#define NOWHERE ((size_t)-1)

/* The ledger as it is on the disk now must not verify. */
static void
must_fail(struct world *world, const char *what, size_t line)
{
	struct ledger_report report = world_verify(world, NULL);

	if (report.ok)
		fail_msg("%s at line %zu was not found", what, line + 1);
	if (!*report.problem)
		fail_msg("%s at line %zu: no reason", what, line + 1);
}

/*
 * Three segments with an epoch each and everything covered by checkpoints. Whatever is done to one
 * line, at every place, must be found; only the end may be cut off, and then an anchor finds it.
 */
static void
make_ledger(struct world *world)
{
	world_init(world);
	world->options.segment_size = 4000;
	world->options.checkpoint_records = 6;
	world_open(world);
	for (int i = 0; i < 300; i++) {
		char *third = world_path(world, "000003.jsonl");
		bool there = access(third, F_OK) == 0;

		free(third);
		if (there)
			break;
		world_fill(world, 1);
		usleep(1000);
	}
	world->options.segment_size = 1 << 20;
	world_fill(world, 1);
	world_close(world);
	world_verify_ok(world);
}

static void
tamper_line(struct world *world, const char *name, struct lines *lines, size_t i, bool last_file)
{
	char *line = lines->v[i];
	size_t len = lines->len[i];

	/* every 31st byte changed, and the end of the line */
	for (size_t k = i % 31; k < len; k += k == len - 1 ? 1 : k + 31 < len ? 31 : len - 1 - k) {
		bool at_end = last_file && i == lines->n - 1;
		char old = line[k];

		line[k] = (char)(old ^ 1);
		lines_write(world, name, lines, NOWHERE, NOWHERE, NULL, 0);
		line[k] = old;
		/* without its LF, the last line looks like one that was cut off */
		if (!(at_end && k == len - 1))
			must_fail(world, "change", i);
	}
	lines_write(world, name, lines, NOWHERE, i, line, len);
	must_fail(world, "doubling", i);
	lines_write(world, name, lines, NOWHERE, i, "\n", 1);
	must_fail(world, "an empty line", i);
	if (i + 1 < lines->n) {
		char *next = lines->v[i + 1];
		size_t next_len = lines->len[i + 1];

		lines_write(world, name, lines, i, NOWHERE, NULL, 0);
		must_fail(world, "removal", i);
		lines->v[i] = next;
		lines->len[i] = next_len;
		lines->v[i + 1] = line;
		lines->len[i + 1] = len;
		lines_write(world, name, lines, NOWHERE, NOWHERE, NULL, 0);
		must_fail(world, "reordering", i);
		lines->v[i] = line;
		lines->len[i] = len;
		lines->v[i + 1] = next;
		lines->len[i + 1] = next_len;
	}
}

static void
test_tamper_matrix(void **state)
{
	static const char *const names[] = {"000001.jsonl", "000002.jsonl", "000003.jsonl"};
	static struct lines lines;
	struct world world;

	(void)state;
	make_ledger(&world);
	for (size_t f = 0; f < 3; f++) {
		lines_read(&world, names[f], &lines);
		for (size_t i = 0; i < lines.n; i++)
			tamper_line(&world, names[f], &lines, i, f == 2);
		lines_write(&world, names[f], &lines, NOWHERE, NOWHERE, NULL, 0);
		world_verify_ok(&world);
		lines_free(&lines);
	}
	world_fini(&world);
}

/* Whole segments removed, swapped, cut. */
static void
test_segments(void **state)
{
	struct world world;
	char *one, *two, *three, *aside;

	(void)state;
	make_ledger(&world);
	one = world_path(&world, "000001.jsonl");
	two = world_path(&world, "000002.jsonl");
	three = world_path(&world, "000003.jsonl");
	aside = world_path(&world, "aside");
	assert_int_equal(rename(two, aside), 0);
	must_fail(&world, "a segment in the middle is gone", 0);
	assert_int_equal(rename(one, two), 0);
	must_fail(&world, "the first segment is gone", 0);
	assert_int_equal(rename(aside, one), 0);
	must_fail(&world, "segments swapped", 0);
	assert_int_equal(rename(one, aside), 0);
	assert_int_equal(rename(two, one), 0);
	assert_int_equal(rename(aside, two), 0);
	world_verify_ok(&world);
	assert_int_equal(truncate(two, 1500), 0);
	must_fail(&world, "a segment in the middle is cut", 0);
	assert_int_equal(truncate(two, 0), 0);
	must_fail(&world, "a segment in the middle is empty", 0);
	free(one);
	free(two);
	free(three);
	free(aside);
	world_fini(&world);
}

/* Keeps the anchor of now in the file ANCHOR. */
static void
save_anchor(struct world *world, const char *file)
{
	struct buf anchor = BUF_INIT(4096);
	char *path = world_path(world, file);

	assert_int_equal(ledger_anchor(world->dir, &anchor, NULL), RC_OK);
	assert_int_equal(buf_append_char(&anchor, '\n', NULL), RC_OK);
	assert_int_equal(file_write(path, anchor.data, anchor.len, 0600, NULL), RC_OK);
	buf_fini(&anchor);
	free(path);
}

/* Anchors: what was cut off behind a checkpoint, and a second history, are found by them alone. */
static void
test_anchors(void **state)
{
	static struct lines lines;
	struct world world, other;
	struct ledger_report report;
	char *anchor, *path;

	(void)state;
	make_ledger(&world);
	anchor = world_path(&world, "anchor");
	save_anchor(&world, "anchor");
	report = world_verify(&world, anchor);
	assert_true(report.ok);
	CHECK_INT("anchored", report.last_anchored, report.last_checkpoint);
	CHECK_INT("anchors", report.anchors, 1);
	world_open(&world);
	world_fill(&world, 2);
	world_close(&world);
	report = world_verify(&world, anchor);
	assert_true(report.ok);
	assert_true(report.last_anchored < report.last_checkpoint);

	lines_read(&world, "000003.jsonl", &lines);
	path = world_path(&world, "000003.jsonl");
	assert_int_equal(truncate(path, (off_t)lines.len[0]), 0);
	assert_true(world_verify(&world, NULL).ok); /* nothing tells, … */
	report = world_verify(&world, anchor);      /* … but the anchor does */
	assert_false(report.ok);
	assert_non_null(strstr(report.problem, "truncated"));
	lines_write(&world, "000003.jsonl", &lines, NOWHERE, NOWHERE, NULL, 0);
	lines_free(&lines);

	world_init(&other);
	world_open(&other);
	world_fill(&other, 100);
	world_close(&other);
	assert_true(world_verify(&other, NULL).ok);
	report = world_verify(&other, anchor);
	assert_false(report.ok);
	assert_non_null(strstr(report.problem, "another history"));
	world_fini(&other);
	free(anchor);
	free(path);
	world_fini(&world);
}

/* An anchor whose signature or form is not right is not taken. */
static void
test_bad_anchors(void **state)
{
	struct world world;
	struct buf text = BUF_INIT(4096);
	char *anchor;
	const char *file;

	(void)state;
	make_ledger(&world);
	anchor = world_path(&world, "anchor");
	file = anchor;
	save_anchor(&world, "anchor");
	assert_int_equal(file_read(anchor, &text, NULL), RC_OK);
	for (size_t i = 0; i < text.len - 1; i++) {
		struct ledger_report report;
		struct err err = ERR_INIT;
		char old = text.data[i];
		enum rc rc;

		text.data[i] = old == '0' ? '1' : '0';
		assert_int_equal(file_write(anchor, text.data, text.len, 0600, NULL), RC_OK);
		text.data[i] = old;
		rc = ledger_verify(world.dir, &file, 1, &report, &err);
		if (rc == RC_OK && report.ok)
			fail_msg("byte %zu of an anchor changed and not noticed", i);
	}
	for (size_t len = 1; len < text.len - 1; len += 5) {
		struct ledger_report report;
		enum rc rc;

		assert_int_equal(file_write(anchor, text.data, len, 0600, NULL), RC_OK);
		rc = ledger_verify(world.dir, &file, 1, &report, NULL);
		if (rc == RC_OK && report.ok)
			fail_msg("an anchor cut at byte %zu was taken", len);
	}
	buf_fini(&text);
	free(anchor);
	world_fini(&world);
}

/* A whole ledger file after a crash: the file is LEN bytes of FULL, then ZEROS zero bytes. */
static void
crash_at(struct world *world, const struct buf *full, size_t len, size_t zeros)
{
	struct buf text = BUF_INIT(0);
	char *path = world_path(world, "000001.jsonl");

	assert_int_equal(buf_append(&text, full->data, len, NULL), RC_OK);
	for (size_t i = 0; i < zeros; i++)
		assert_int_equal(buf_append_char(&text, '\0', NULL), RC_OK);
	assert_int_equal(file_write(path, text.data ? text.data : "", text.len, 0600, NULL), RC_OK);
	buf_fini(&text);
	free(path);
}

/*
 * Power cut in the last records, among them an epoch handover: the ledger opens, goes
 * on, verifies, and has every record that was whole.
 */
static void
test_power_cut(void **state)
{
	struct world world;
	struct buf full = BUF_INIT(0);
	char *path;
	size_t start, recovered = 0;

	(void)state;
	world_init(&world);
	world.keep_keys = true;
	world_open(&world);
	path = world_path(&world, "000001.jsonl");
	world_fill(&world, 2);
	world_close(&world);
	assert_int_equal(file_read(path, &full, NULL), RC_OK);
	start = full.len;
	buf_clear(&full);
	clock_set(clock_now() + 100000); /* the epoch is old: a handover at once */
	world_open(&world);
	for (int i = 0; i < 400 && !world_has_epoch(&world, 2); i++)
		usleep(1000);
	world_fill(&world, 1);
	world_close(&world);
	CHECK_INT("epochs", world_verify_ok(&world).epochs, 2);
	clock_set(-1);
	assert_int_equal(file_read(path, &full, NULL), RC_OK);
	/* every byte around the ends of lines, every fifth in between */
	for (size_t len = start; len < full.len; len++) {
		struct ledger_report before, after;
		bool whole = full.data[len - 1] == '\n';

		if (len % 5 && !memchr(full.data + len - 3, '\n', 6))
			continue;
		world_empty(&world);
		crash_at(&world, &full, len, len % 4 ? 0 : len % 700);
		before = world_verify_ok(&world);
		if (len % 4)
			CHECK_INT("torn", before.torn_tail, !whole);
		/* the private key of the epoch in force is what matters; all are kept in this world
		 */
		world_open(&world);
		world_fill(&world, 1);
		world_close(&world);
		after = world_verify_ok(&world);
		assert_true(after.records >= before.records + 3);
		if (before.torn_tail)
			CHECK_INT("recovered", after.recovered, 1);
		recovered += after.recovered;
		CHECK_INT("covered", after.last_checkpoint, after.records - 1);
	}
	assert_true(recovered > 200);
	buf_fini(&full);
	free(path);
	world_fini(&world);
}

/* A crash while a new segment begins. */
static void
test_power_cut_new_segment(void **state)
{
	struct world world;
	struct buf full = BUF_INIT(0);
	struct ledger_report before;
	char *path;

	(void)state;
	make_ledger(&world);
	path = world_path(&world, "000003.jsonl");
	assert_int_equal(file_read(path, &full, NULL), RC_OK);
	full.len = (size_t)(strchr(full.data, '\n') - full.data) + 1;
	for (size_t len = 0; len < full.len; len += 11) {
		assert_int_equal(file_write(path, full.data, len, 0600, NULL), RC_OK);
		before = world_verify_ok(&world);
		CHECK_INT("torn", before.torn_tail, len != 0);
		world_open(&world);
		world_fill(&world, 1);
		world_close(&world);
		assert_true(world_verify_ok(&world).records >= before.records + 3);
		/* back to two segments: what this round wrote into the second is cut off again */
		world_empty(&world);
		world_fini(&world);
		make_ledger(&world);
		free(path);
		path = world_path(&world, "000003.jsonl");
		buf_clear(&full);
		assert_int_equal(file_read(path, &full, NULL), RC_OK);
		full.len = (size_t)(strchr(full.data, '\n') - full.data) + 1;
	}
	free(path);
	buf_fini(&full);
	world_fini(&world);
}

/* What no crash leaves behind is not mended but refused. */
static void
test_writer_refuses_tampered(void **state)
{
	static struct lines lines;
	struct world world;
	struct err err = ERR_INIT;

	(void)state;
	world_init(&world);
	world_open(&world);
	world_fill(&world, 4);
	world_close(&world);
	lines_read(&world, "000001.jsonl", &lines);
	for (size_t i = 0; i < lines.n; i++) {
		lines.v[i][60] ^= 1;
		lines_write(&world, "000001.jsonl", &lines, NOWHERE, NOWHERE, NULL, 0);
		lines.v[i][60] ^= 1;
		CHECK_INT("changed line", world_try_open(&world, &err), RC_PERM);
		CHECK_INT("changed line", err.code, ERR_LEDGER_BROKEN);
	}
	lines_write(&world, "000001.jsonl", &lines, NOWHERE, NOWHERE, NULL, 0);
	world_open(&world);
	world_close(&world);
	lines_free(&lines);
	world_fini(&world);
}

/* The end of a ledger put aside is kept as evidence, byte for byte. */
static void
test_torn_is_kept(void **state)
{
	struct world world;
	struct buf text = BUF_INIT(0);
	char **names = NULL;
	size_t n = 0, found = 0;
	FILE *f;
	char *path;

	(void)state;
	world_init(&world);
	world_open(&world);
	world_close(&world);
	path = world_path(&world, "000001.jsonl");
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("{\"v\":1,\"seq\":3,\"pr", f);
	fclose(f);
	free(path);
	world_open(&world);
	world_close(&world);
	assert_int_equal(file_list(world.dir, 10, &names, &n, NULL), RC_OK);
	for (size_t i = 0; i < n; i++)
		if (strncmp(names[i], "torn-000001-", 12) == 0) {
			path = world_path(&world, names[i]);
			assert_int_equal(file_read(path, &text, NULL), RC_OK);
			CHECK_STR("kept", text.data, "{\"v\":1,\"seq\":3,\"pr");
			free(path);
			found++;
		}
	CHECK_INT("one file", found, 1);
	file_list_free(&names, n);
	buf_fini(&text);
	CHECK_INT("bytes", world_verify_ok(&world).recovered_bytes, 18);
	world_fini(&world);
}

/* Folders that hold no ledger. */
static void
test_no_ledger(void **state)
{
	struct world world;
	struct ledger_report report;
	struct buf out = BUF_INIT(4096);
	const char *missing = "/nonexistent/anchors";

	(void)state;
	world_init(&world);
	report = world_verify(&world, NULL);
	assert_false(report.ok);
	assert_int_equal(ledger_anchor(world.dir, &out, NULL), RC_NONE);
	assert_int_equal(ledger_verify("/nonexistent", NULL, 0, &report, NULL), RC_TEMP);
	assert_int_equal(ledger_verify(world.dir, &missing, 1, &report, NULL), RC_TEMP);
	world_fini(&world);
}

struct listed {
	uint64_t v[16];
	size_t n;
};

static void
list_one(void *ctx, uint64_t intent)
{
	struct listed *listed = ctx;

	assert_true(listed->n < 16);
	listed->v[listed->n++] = intent;
}

/* Uses without an outcome are told by number, over segments and whatever the number of threads;
 * outcomes of nothing are counted. */
static void
test_unknown(void **state)
{
	struct world world;
	uint64_t lost[3], done;

	(void)state;
	world_init(&world);
	world.options.segment_size = 4000;
	world_open(&world);
	for (int i = 0; i < 3; i++) {
		world_fill(&world, 9);
		usleep(20000); /* the keeper makes a segment */
		assert_int_equal(world_append(&world, "bob@example.org", &lost[i], NULL), RC_OK);
		assert_int_equal(world_append(&world, "bob@example.org", &done, NULL), RC_OK);
		world_fill(&world, 9);
		usleep(20000);
		world_outcome(&world, done, false); /* in another segment, mostly */
	}
	world_outcome(&world, done, false);        /* twice */
	world_outcome(&world, lost[0] - 1, false); /* of what is no intent */
	world_close(&world);
	assert_true(world_verify_ok(&world).segments >= 3);
	clock_set(clock_now() + 5);
	for (unsigned threads = 1; threads <= 8; threads++) {
		struct listed listed = {.n = 0};
		struct ledger_verify_options options = {
			.dir = world.dir, .threads = threads, .unknown = list_one, .ctx = &listed};
		struct ledger_report report;

		assert_int_equal(ledger_verify_with(&options, &report, NULL), RC_OK);
		CHECK_STR("whole", report.problem, "");
		CHECK_INT("unknown", report.unknown_outcomes, 3);
		CHECK_INT("listed", listed.n, 3);
		for (int i = 0; i < 3; i++)
			CHECK_INT("number", listed.v[i], lost[i]);
		CHECK_INT("strays", report.strays, 2);
	}
	clock_set(-1);
	world_fini(&world);
}

/* What is copied into a ledger's folder may be anything. */
static void
test_strange_files(void **state)
{
	struct world world;
	struct ledger_report report;
	char *pipe, *big;

	(void)state;
	world_init(&world);
	world_open(&world);
	world_fill(&world, 2);
	world_close(&world);
	pipe = world_path(&world, "000002.jsonl");
	assert_int_equal(mkfifo(pipe, 0600), 0);
	world_verify_ok(&world); /* passed over, and nobody waits for it */
	assert_int_equal(unlink(pipe), 0);
	big = world_path(&world, "999999999.jsonl"); /* no list of so many */
	assert_int_equal(file_write(big, "x", 1, 0600, NULL), RC_OK);
	report = world_verify(&world, NULL);
	assert_non_null(strstr(report.problem, "is missing"));
	assert_int_equal(unlink(big), 0);
	world_verify_ok(&world);
	free(pipe);
	free(big);
	world_fini(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tamper_matrix),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_anchors),
		cmocka_unit_test(test_bad_anchors),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_new_segment),
		cmocka_unit_test(test_writer_refuses_tampered),
		cmocka_unit_test(test_torn_is_kept),
		cmocka_unit_test(test_no_ledger),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_strange_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
