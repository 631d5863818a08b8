/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tamper matrix: each kind of change at each place of a real ledger, and what audit verify
 * says.
 *
 * The ledger has five segments, two of which are dropped, anchors in the third and in the last one,
 * signed records behind the last anchor, and records that no checkpoint covers. Verdicts:
 *   F  found, by the files alone
 *   A  found with the anchors only
 *   t  not found, but said to be a torn end
 *   N  not found, as the manual says
 *   .  there is no such cell
 * The table is printed with what came out.
 */
#include "tests/unit/keystore/ledger_world.h"

#include "base/log.h"
#include "keystore/ledger_private.h"
#include "keystore/ledger_retire.h"

#define MAX_FILES 16
#define MAX_LINES 400

struct copy {
	char names[MAX_FILES][40];
	struct buf bytes[MAX_FILES];
	size_t n;
};

/* A line by its place in a copy. */
struct at {
	size_t file, begin, len;
	struct ledger_line line;
};

static struct copy base;  /* the ledger */
static struct copy early; /* the same before the last anchor, in the last epoch */
static struct copy later; /* … and behind it */
static struct secret *early_keys[WORLD_EPOCHS], *later_keys[WORLD_EPOCHS];
static struct buf anchors = BUF_INIT(1 << 20);
static uint64_t places[8]; /* numbers of records */

enum { STUB_1, STUB_2, FIRST, MIDDLE, ANCHORED, SIGNED, TAIL, END, PLACES };
static const char *const place_names[] = {
	"stub 1", "stub 2", "first", "middle", "anchored", "signed", "tail", "end"};

/* --- copies --- */

static void
copy_clear(struct copy *c)
{
	for (size_t i = 0; i < c->n; i++)
		buf_fini(&c->bytes[i]);
	c->n = 0;
}

static void
copy_add(struct copy *c, const char *name, const void *data, size_t len)
{
	assert_true(c->n < MAX_FILES);
	snprintf(c->names[c->n], sizeof c->names[0], "%s", name);
	buf_init(&c->bytes[c->n], 1 << 20);
	assert_int_equal(buf_append(&c->bytes[c->n], data, len, NULL), RC_OK);
	c->n++;
}

static void
copy_dir(struct copy *c, const char *dir)
{
	char **names = NULL;
	size_t n = 0;

	copy_clear(c);
	assert_int_equal(file_list(dir, 100, &names, &n, NULL), RC_OK);
	for (size_t i = 0; i < n; i++) {
		struct buf text = BUF_INIT(1 << 20);
		char *path = file_join(dir, names[i]);

		if (strstr(names[i], ".jsonl") || strstr(names[i], ".stub")) {
			assert_int_equal(file_read(path, &text, NULL), RC_OK);
			copy_add(c, names[i], buf_text(&text), text.len);
		}
		buf_fini(&text);
		free(path);
	}
	file_list_free(&names, n);
}

static void
copy_copy(struct copy *to, const struct copy *from)
{
	copy_clear(to);
	for (size_t i = 0; i < from->n; i++)
		copy_add(to, from->names[i], buf_text(&from->bytes[i]), from->bytes[i].len);
}

static void
copy_write(const struct copy *c, const char *dir)
{
	for (size_t i = 0; i < c->n; i++) {
		char *path = file_join(dir, c->names[i]);

		assert_int_equal(
			file_write(path, buf_text(&c->bytes[i]), c->bytes[i].len, 0600, NULL),
			RC_OK);
		free(path);
	}
}

static size_t
file_of(const struct copy *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->names[i], name) == 0)
			return i;
	fail_msg("no %s", name);
	return 0;
}

static void
remove_file(struct copy *c, size_t i)
{
	buf_fini(&c->bytes[i]);
	for (; i + 1 < c->n; i++) {
		memcpy(c->names[i], c->names[i + 1], sizeof c->names[0]);
		c->bytes[i] = c->bytes[i + 1];
	}
	c->n--;
}

/* Puts LEN bytes of DATA in place of CUT bytes. */
static void
splice(struct buf *b, size_t at, size_t cut, const void *data, size_t len)
{
	struct buf fresh = BUF_INIT(1 << 20);

	assert_int_equal(buf_append(&fresh, b->data, at, NULL), RC_OK);
	assert_int_equal(buf_append(&fresh, len ? data : "", len, NULL), RC_OK);
	assert_int_equal(buf_append(&fresh, b->data + at + cut, b->len - at - cut, NULL), RC_OK);
	buf_fini(b);
	*b = fresh;
}

/* All lines of the segments (not the stubs'), in order. */
static size_t
lines_of(const struct copy *c, struct at *v)
{
	size_t n = 0;

	for (size_t f = 0; f < c->n; f++) {
		const char *start = buf_text(&c->bytes[f]), *end = start + c->bytes[f].len, *lf;

		if (!strstr(c->names[f], ".jsonl"))
			continue;
		for (const char *p = start; p < end && (lf = memchr(p, '\n', (size_t)(end - p)));
			p = lf + 1) {
			assert_true(n < MAX_LINES);
			v[n] = (struct at){.file = f,
				.begin = (size_t)(p - start),
				.len = (size_t)(lf - p) + 1};
			if (ledger_line_parse(p, v[n].len, &v[n].line))
				n++;
		}
	}
	return n;
}

static struct at
line_at(const struct copy *c, uint64_t seq)
{
	static struct at v[MAX_LINES];
	size_t n = lines_of(c, v);

	for (size_t i = 0; i < n; i++)
		if (v[i].line.seq == seq)
			return v[i];
	fail_msg("no record %d", (int)seq);
	return v[0];
}

/* Makes the chain fit again behind record SEQ: all that can be done without a key. */
static void
rechain(struct copy *c, uint64_t seq)
{
	static struct at v[MAX_LINES];
	size_t n = lines_of(c, v);
	char hash[LEDGER_HASH_SIZE] = "";

	for (size_t i = 0; i < n; i++) {
		char *line = c->bytes[v[i].file].data + v[i].begin;

		if (v[i].line.seq > seq && *hash)
			memcpy(line + (v[i].line.prev - line), hash, 64);
		if (v[i].line.seq >= seq)
			assert_int_equal(ledger_hash(line, v[i].len, hash, NULL), RC_OK);
	}
}

/* --- kinds of changes. False: there is no such cell. --- */

typedef bool tamper(struct copy *c, int place);

/* The bytes that a place is about: its line, or its stub's first line. */
static struct buf *
bytes_at(struct copy *c, int place, size_t *begin, size_t *len)
{
	struct at at;

	if (place == STUB_1 || place == STUB_2) {
		size_t f = file_of(c, place == STUB_1 ? "000001.stub" : "000002.stub");

		*begin = 0;
		*len = (size_t)(strchr(c->bytes[f].data, '\n') - c->bytes[f].data) + 1;
		return &c->bytes[f];
	}
	at = line_at(c, places[place]);
	*begin = at.begin;
	*len = at.len;
	return &c->bytes[at.file];
}

/* Changes the byte that stands BEHIND the text NAME. */
static bool
flip_behind(struct copy *c, int place, const char *name, size_t behind)
{
	size_t begin, len;
	struct buf *b = bytes_at(c, place, &begin, &len);
	char *at = memmem(b->data + begin, len, name, strlen(name));

	if (!at)
		return false;
	at[strlen(name) + behind] = at[strlen(name) + behind] == '7' ? '8' : '7';
	return true;
}

#define FLIP(what, name, behind)                            \
	static bool flip_##what(struct copy *c, int place)  \
	{                                                   \
		return flip_behind(c, place, name, behind); \
	}
FLIP(v, "{\"v\":", 0)
FLIP(seq, "\"seq\":", 0)
FLIP(prev, "\"prev\":\"", 5)
FLIP(time, "\"time\":\"", 20)
FLIP(node, "\"node\":\"", 1)
FLIP(type, "\"type\":\"", 1)
FLIP(event, "\"event\":\"", 0)
FLIP(observed, "\"observed\":{\"key\":\"", 2)
FLIP(claimed, "\"claimed\":{\"qid\":\"", 2)
FLIP(rcpt, "\"recipients\":[\"", 9)
FLIP(first, "\"first\":", 0)
FLIP(hash, "\"hash\":\"", 9)
FLIP(sha256, "\"sha256\":\"", 9)
FLIP(bytes, "\"bytes\":", 0)
FLIP(before, "\"before\":\"", 9)
FLIP(to, "\"to\":\"", 3)

static bool
zero_byte(struct copy *c, int place)
{
	size_t begin, len;
	struct buf *b = bytes_at(c, place, &begin, &len);

	b->data[begin + len / 2] = '\0';
	return true;
}

static bool
change_rechained(struct copy *c, int place)
{
	if (place <= STUB_2 || !flip_behind(c, place, "\"recipients\":[\"", 9))
		return false;
	rechain(c, places[place]);
	return true;
}

static bool
remove_line(struct copy *c, int place)
{
	size_t begin, len;
	struct buf *b;

	if (place == END) /* that is a cut */
		return false;
	b = bytes_at(c, place, &begin, &len);
	splice(b, begin, len, "", 0);
	return true;
}

static bool
double_line(struct copy *c, int place)
{
	size_t begin, len;
	struct buf *b = bytes_at(c, place, &begin, &len);
	char *line = exact(b->data + begin, len);

	splice(b, begin, 0, line, len);
	free(line);
	return true;
}

static bool
insert_line(struct copy *c, int place)
{
	struct at other;
	struct buf *b;
	size_t begin, len;
	char *line;

	if (place <= STUB_2)
		return false;
	other = line_at(c, places[place == MIDDLE ? FIRST : MIDDLE]);
	line = exact(c->bytes[other.file].data + other.begin, other.len);
	b = bytes_at(c, place, &begin, &len);
	splice(b, begin, 0, line, other.len);
	free(line);
	return true;
}

static bool
swap_lines(struct copy *c, int place)
{
	size_t begin, len;
	struct at next;
	struct buf *b;
	char *line;

	if (place <= STUB_2 || place == END)
		return false;
	b = bytes_at(c, place, &begin, &len);
	next = line_at(c, places[place] + 1);
	line = exact(b->data + begin, len);
	splice(b, next.begin + next.len, 0, line, len);
	splice(b, begin, len, "", 0);
	free(line);
	return true;
}

/* Cuts at AT of file F, and removes what stands behind that file. */
static void
cut_at(struct copy *c, struct buf *b, size_t at)
{
	size_t f = (size_t)(b - c->bytes);

	b->len = at;
	b->data[at] = '\0';
	while (c->n > f + 1)
		remove_file(c, c->n - 1);
}

static bool
cut_behind(struct copy *c, int place)
{
	size_t begin, len;
	struct buf *b;

	if (place <= STUB_2 || place == END)
		return false;
	b = bytes_at(c, place, &begin, &len);
	cut_at(c, b, begin + len);
	return true;
}

static bool
cut_inside(struct copy *c, int place)
{
	size_t begin, len;
	struct buf *b;

	if (place <= STUB_2)
		return false;
	b = bytes_at(c, place, &begin, &len);
	cut_at(c, b, begin + len / 2);
	return true;
}

/* The file that holds a place, for places that stand for files. */
static bool
file_at(struct copy *c, int place, size_t *f)
{
	static const char *const names[PLACES] = {[STUB_1] = "000001.stub",
		[STUB_2] = "000002.stub",
		[FIRST] = "000003.jsonl",
		[MIDDLE] = "000004.jsonl",
		[ANCHORED] = "000005.jsonl"};

	if (place > ANCHORED)
		return false;
	*f = file_of(c, names[place]);
	return true;
}

static bool
remove_segment(struct copy *c, int place)
{
	size_t f;

	if (!file_at(c, place, &f))
		return false;
	remove_file(c, f);
	return true;
}

static bool
empty_segment(struct copy *c, int place)
{
	size_t f;

	if (!file_at(c, place, &f))
		return false;
	c->bytes[f].len = 0;
	return true;
}

static bool
rename_segment(struct copy *c, int place)
{
	size_t f;

	if (!file_at(c, place, &f))
		return false;
	c->names[f][4] = '1'; /* 000013 */
	return true;
}

static bool
swap_segments(struct copy *c, int place)
{
	struct buf keep;
	size_t f;

	if (!file_at(c, place, &f) || place == STUB_2 || place == ANCHORED)
		return false;
	keep = c->bytes[f];
	c->bytes[f] = c->bytes[f + 1];
	c->bytes[f + 1] = keep;
	return true;
}

static bool
join_segments(struct copy *c, int place)
{
	size_t f;

	if (!file_at(c, place, &f) || place == STUB_2 || place == ANCHORED)
		return false;
	assert_int_equal(
		buf_append(&c->bytes[f], c->bytes[f + 1].data, c->bytes[f + 1].len, NULL), RC_OK);
	remove_file(c, f + 1);
	return true;
}

/* The last member NAME of the file that holds a place gets another byte. */
static bool
flip_last(struct copy *c, int place, const char *name, bool chain)
{
	char *at = NULL, *p;
	size_t f;

	if (!file_at(c, place, &f))
		return false;
	for (p = c->bytes[f].data; (p = strstr(p, name)); p++)
		at = p;
	if (!at)
		return false;
	at += strlen(name);
	at += strlen(name) > 6 ? 20 : 30;
	*at = *at == '7' ? '8' : '7';
	if (chain && place > STUB_2) {
		static struct at v[MAX_LINES];
		size_t n = lines_of(c, v);

		for (size_t i = 0; i < n; i++)
			if (v[i].file == f &&
				v[i].begin + v[i].len > (size_t)(at - c->bytes[f].data)) {
				rechain(c, v[i].line.seq);
				break;
			}
	}
	return true;
}

static bool
flip_signature(struct copy *c, int place)
{
	return flip_last(c, place, "\"sig\":\"", true);
}

static bool
flip_public_key(struct copy *c, int place)
{
	return flip_last(c, place, "\"key\":\"30", true);
}

static bool
flip_keyid(struct copy *c, int place)
{
	return flip_last(c, place, "\"keyid\":\"", true);
}

/* A checkpoint is taken out, and the chain made to fit. */
static bool
remove_checkpoint(struct copy *c, int place)
{
	static struct at v[MAX_LINES];
	size_t n, f, found = MAX_LINES;
	uint64_t seq;

	if (place <= STUB_2 || !file_at(c, place, &f))
		return false;
	n = lines_of(c, v);
	for (size_t i = 0; i < n && found == MAX_LINES; i++)
		if (v[i].file == f && v[i].line.type == LEDGER_CHECKPOINT)
			found = i;
	if (found == MAX_LINES)
		return false;
	seq = v[found].line.seq;
	splice(&c->bytes[f], v[found].begin, v[found].len, "", 0);
	rechain(c, seq - 1);
	return true;
}

/* --- changes of the whole, one place each --- */

/* A writer that goes on from C with KEYS for N records; the result is in C. */
static void
write_on(struct copy *c, struct secret **keys, int n, bool create)
{
	struct world world;

	world_init(&world);
	world.options.segment_size = 1 << 20;
	copy_write(c, world.dir);
	for (int i = 0; keys && i < WORLD_EPOCHS; i++)
		if (keys[i])
			assert_int_equal(secret_copy(secret_data(keys[i]), secret_len(keys[i]),
						 &world.epochs[i], NULL),
				RC_OK);
	world.options.create = create;
	world_open(&world);
	world_fill(&world, n);
	world_close(&world);
	copy_dir(c, world.dir);
	world_fini(&world);
}

static bool
new_history(struct copy *c, int place)
{
	if (place != FIRST)
		return false;
	copy_clear(c);
	write_on(c, NULL, 200, true);
	return true;
}

/* By somebody who holds the key of the present epoch. */
static bool
rewrite_with_key(struct copy *c, int place)
{
	if (place != ANCHORED && place != SIGNED)
		return false;
	copy_copy(c, place == ANCHORED ? &early : &later);
	write_on(c, place == ANCHORED ? early_keys : later_keys, 30, false);
	return true;
}

static bool
old_copy(struct copy *c, int place)
{
	if (place != ANCHORED && place != SIGNED)
		return false;
	copy_copy(c, place == ANCHORED ? &early : &later);
	return true;
}

/* The first lines are taken away and a stub is put there that nobody recorded. */
static bool
drop_unrecorded(struct copy *c, int place)
{
	struct ledger_retire_order order = {.up_to = 3, .service = "test", .uid = -1, .pid = -1};
	struct ledger_dropped dropped;
	struct world world;
	struct copy other = {.n = 0};
	size_t f;

	if (place != FIRST)
		return false;
	world_init(&world);
	copy_write(c, world.dir);
	for (int i = 0; i < WORLD_EPOCHS; i++)
		if (later_keys[i])
			assert_int_equal(secret_copy(secret_data(later_keys[i]),
						 secret_len(later_keys[i]), &world.epochs[i], NULL),
				RC_OK);
	world_open(&world);
	assert_int_equal(ledger_retire(world.ledger, &order, &dropped, NULL), RC_OK);
	copy_dir(&other, world.dir);
	world_close(&world);
	world_fini(&world);
	f = file_of(&other, "000003.stub");
	remove_file(c, file_of(c, "000003.jsonl"));
	/* in order of names */
	copy_add(c, "000003.stub", other.bytes[f].data, other.bytes[f].len);
	copy_clear(&other);
	return true;
}

/* The same, with a record at the end that no checkpoint covers: anybody can write that. */
static bool
drop_forged(struct copy *c, int place)
{
	struct buf line = BUF_INIT(LEDGER_MAX_LINE);
	struct at last;
	char hash[LEDGER_HASH_SIZE], self[LEDGER_HASH_SIZE], prev[LEDGER_HASH_SIZE];
	size_t f, stub;

	if (!drop_unrecorded(c, place))
		return false;
	last = line_at(c, places[END]);
	f = last.file;
	stub = file_of(c, "000003.stub");
	assert_int_equal(ledger_hash(c->bytes[f].data + last.begin, last.len, prev, NULL), RC_OK);
	assert_int_equal(ledger_hash(c->bytes[stub].data, c->bytes[stub].len, self, NULL), RC_OK);
	memset(hash, 'a', 64);
	hash[64] = '\0';
	assert_int_equal(
		buf_appendf(&line, NULL,
			"{\"v\":1,\"seq\":%d,\"prev\":\"%s\",\"time\":\"%.27s\",\"node\":\"test-1\","
			"\"type\":\"admin\",\"event\":\"audit.retire\",\"observed\":{\"service\":\"admin\"},"
			"\"detail\":{\"segment\":3,\"first\":1,\"last\":2,\"hash\":\"%s\",\"bytes\":1,"
			"\"sha256\":\"%s\",\"stub\":\"%s\"}}\n",
			(int)places[END] + 1, prev, last.line.time, hash, hash, self),
		RC_OK);
	splice(&c->bytes[f], c->bytes[f].len, 0, line.data, line.len);
	buf_fini(&line);
	return true;
}

static const struct {
	const char *name;
	tamper *run;
	const char *want; /* a verdict for each place */
} kinds[] = {
	/*                                         stub1/2 first middle anchored signed tail end */
	{"a byte of v", flip_v, "FFFFFFFF"},
	{"a byte of seq", flip_seq, "..FFFFFF"},
	{"a byte of prev", flip_prev, "..FFFFFF"},
	{"a byte of time", flip_time, "..FFFFFN"},
	{"a byte of node", flip_node, "FFFFFFFF"},
	{"a byte of type", flip_type, "..FFFFFF"},
	{"a byte of event", flip_event, "..FFFFFN"},
	{"a byte of observed", flip_observed, "..FFFFFN"},
	{"a byte of claimed", flip_claimed, "..FFFFFN"},
	{"a byte of a recipient", flip_rcpt, "..FFFFFN"},
	{"a byte of first", flip_first, "FF......"},
	{"a byte of hash", flip_hash, "FF......"},
	{"a byte of sha256", flip_sha256, "FF......"},
	{"a byte of bytes", flip_bytes, "FF......"},
	{"a byte of before", flip_before, "FF......"},
	{"a byte of to", flip_to, "FF......"},
	{"a byte becomes zero", zero_byte, "FFFFFFFF"},
	{"changed, hashes made anew", change_rechained, "..FFFFNN"},
	{"line removed", remove_line, "FFFFFFF."},
	{"line doubled", double_line, "FFFFFFFF"},
	{"line of elsewhere inserted", insert_line, "..FFFFFF"},
	{"line swapped with the next", swap_lines, "..FFFFF."},
	/* The records that segments were dropped are in the fifth: without it the stubs are
	   suspect. */
	{"cut behind a line", cut_behind, "..FFANN."},
	{"cut inside a line", cut_inside, "..FFAttt"},
	{"file removed", remove_segment, "FFFFF..."},
	{"file emptied", empty_segment, "FFFFF..."},
	{"file renamed", rename_segment, "FFFFF..."},
	{"files swapped", swap_segments, "F.FF...."},
	{"files joined", join_segments, "F.FF...."},
	{"signature of a checkpoint", flip_signature, "FFFFF..."},
	{"public key of an epoch", flip_public_key, "FFFFF..."},
	{"key id of an epoch", flip_keyid, "FFFFF..."},
	{"checkpoint removed, hashes anew", remove_checkpoint, "..FFF..."},
	{"whole history with new keys", new_history, "..A....."},
	{"rewritten with the epoch key", rewrite_with_key, "....AN.."},
	{"old copy in its place", old_copy, "....AN.."},
	{"dropped without a record", drop_unrecorded, "..F....."},
	{"dropped, record without key", drop_forged, "..F....."},
};

static char
judge(const struct copy *c, char *why, size_t size)
{
	struct world world;
	struct ledger_report alone, anchored;
	char *file;

	world_init(&world);
	copy_write(c, world.dir);
	alone = world_verify(&world, NULL);
	file = world_path(&world, "anchors");
	assert_int_equal(file_write(file, anchors.data, anchors.len, 0600, NULL), RC_OK);
	anchored = world_verify(&world, file);
	free(file);
	world_fini(&world);
	snprintf(why, size, "%s", *alone.problem ? alone.problem : anchored.problem);
	if (!alone.ok && anchored.ok)
		return '!'; /* that cannot be */
	return !alone.ok ? 'F' : !anchored.ok ? 'A' : alone.torn_tail ? 't' : 'N';
}

static void
test_matrix(void **state)
{
	struct copy c = {.n = 0};
	size_t cells = 0, wrong = 0;
	char why[400];

	(void)state;
	assert_int_equal(judge(&base, why, sizeof why), 'N');
	printf("%-34s", "");
	for (int p = 0; p < PLACES; p++)
		printf(" %-8s", place_names[p]);
	printf("\n");
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		printf("%-34s", kinds[k].name);
		assert_int_equal(strlen(kinds[k].want), PLACES);
		for (int p = 0; p < PLACES; p++) {
			char got = '.';

			copy_copy(&c, &base);
			if (kinds[k].run(&c, p))
				got = judge(&c, why, sizeof why);
			printf(" %-8c", got);
			cells += got != '.';
			if (got != kinds[k].want[p]) {
				wrong++;
				printf("(%c: %s)", kinds[k].want[p], got == '.' ? "" : why);
			}
		}
		printf("\n");
	}
	printf("%zu cells; F found, A found with the anchors only, t said to be torn, N not found\n",
		cells);
	fflush(stdout);
	copy_clear(&c);
	CHECK_INT("cells with another verdict than expected", wrong, 0);
	assert_true(cells > 150);
}

/* Verifies the ledger with the anchors in TEXT. */
static struct ledger_report
with_anchors(const struct copy *c, const char *text, size_t len, const char *node)
{
	struct world world;
	struct ledger_report report;
	char *file;
	struct err err = ERR_INIT;

	world_init(&world);
	copy_write(c, world.dir);
	file = world_path(&world, "anchors");
	assert_int_equal(file_write(file, text, len, 0600, NULL), RC_OK);
	{
		const char *files[] = {file};
		struct ledger_verify_options options = {
			.dir = world.dir, .anchors = files, .n_anchors = 1, .node = node};

		if (ledger_verify_with(&options, &report, &err))
			fail_msg("%s", err.detail);
	}
	free(file);
	world_fini(&world);
	return report;
}

/* Anchors of other ledgers, of other nodes, of a second history. */
static void
test_anchors(void **state)
{
	struct copy other = {.n = 0}, fork = {.n = 0};
	struct buf text = BUF_INIT(1 << 20);
	struct ledger_report report;
	struct world world;
	char *at;

	(void)state;
	report = with_anchors(&base, anchors.data, anchors.len, "test-1");
	CHECK_STR("its own", report.problem, "");
	assert_true(report.anchors >= 2 && report.anchors_dropped >= 1);
	report = with_anchors(&base, anchors.data, anchors.len, "test-2");
	assert_non_null(strstr(report.problem, "of node test-1, not of test-2"));

	/* of a ledger of the same name */
	write_on(&other, NULL, 60, true);
	world_init(&world);
	copy_write(&other, world.dir);
	assert_int_equal(ledger_all_anchors(world.dir, &text, NULL), RC_OK);
	world_fini(&world);
	report = with_anchors(&base, text.data, text.len, NULL);
	assert_non_null(strstr(report.problem, "(dropped) was anchored with another key"));
	report = with_anchors(&other, anchors.data, anchors.len, NULL);
	assert_non_null(strstr(report.problem, "another history"));

	/* of another node: alone they prove nothing, beside our own they are passed over */
	while ((at = strstr(text.data, " test-1 ")))
		memcpy(at, " test-9 ", 8);
	report = with_anchors(&base, text.data, text.len, NULL);
	assert_non_null(strstr(report.problem, "all anchors are for other nodes"));
	assert_int_equal(buf_append(&text, anchors.data, anchors.len, NULL), RC_OK);
	report = with_anchors(&base, text.data, text.len, NULL);
	CHECK_STR("beside our own", report.problem, "");
	assert_true(report.anchors_other > 0);

	/* of a second history with the same key */
	copy_copy(&fork, &early);
	write_on(&fork, early_keys, 30, false);
	world_init(&world);
	copy_write(&fork, world.dir);
	buf_clear(&text);
	assert_int_equal(ledger_anchor(world.dir, &text, NULL), RC_OK);
	world_fini(&world);
	report = with_anchors(&fork, anchors.data, anchors.len, NULL);
	assert_non_null(strstr(report.problem, "signed with this ledger's own key: there are two"));
	copy_clear(&fork);
	copy_clear(&other);
	buf_fini(&text);
}

/* Hands over to NEXT, as the keeper does. */
static void
hand_over(struct ledger *ledger, const struct ledger_signer *next)
{
	struct err err = ERR_INIT;

	pthread_mutex_lock(&ledger->lock);
	ledger_wait_idle(ledger);
	ledger->next = *next;
	if (ledger_commit(ledger, LEDGER_WANT_EPOCH, &err))
		fail_msg("%s", err.detail);
	pthread_mutex_unlock(&ledger->lock);
}

/* An epoch key that comes again was not destroyed. */
static void
test_epoch_key_again(void **state)
{
	struct ledger_epoch first = {.number = 1};
	struct ledger_signer next;
	struct ledger_report report;
	struct ledger_head head;
	struct world world;
	struct err err = ERR_INIT;

	(void)state;
	world_init(&world);
	world.keep_keys = true;
	world_open(&world);
	ledger_head(world.ledger, &head);
	memcpy(first.keyid, head.keyid, sizeof first.keyid);
	assert_int_equal(ledger_signer_make(&next, &world.options.keys, 2, &err), RC_OK);
	hand_over(world.ledger, &next);
	world_fill(&world, 1);
	CHECK_INT("epochs", world_verify_ok(&world).epochs, 2);
	assert_int_equal(ledger_signer_load(&next, &world.options.keys, &first, &err), RC_OK);
	next.number = 3;
	hand_over(world.ledger, &next);
	world_close(&world);
	report = world_verify(&world, NULL);
	assert_false(report.ok);
	assert_non_null(strstr(report.problem, "was used for two epochs"));
	world_fini(&world);
}

/* --- the ledger --- */

static void
save_keys(struct world *world, struct secret **keys)
{
	pthread_mutex_lock(&world->lock);
	for (int i = 0; i < WORLD_EPOCHS; i++)
		if (world->epochs[i])
			assert_int_equal(secret_copy(secret_data(world->epochs[i]),
						 secret_len(world->epochs[i]), &keys[i], NULL),
				RC_OK);
	pthread_mutex_unlock(&world->lock);
}

static void
save_anchor(struct world *world)
{
	assert_int_equal(ledger_checkpoint(world->ledger, NULL), RC_OK);
	assert_int_equal(ledger_last_anchor(world->ledger, &anchors, NULL), RC_OK);
	assert_int_equal(buf_append_char(&anchors, '\n', NULL), RC_OK);
}

static bool
has_segment(struct world *world, int n)
{
	char name[32], *path;
	bool there;

	snprintf(name, sizeof name, "%06d.jsonl", n);
	path = world_path(world, name);
	there = access(path, F_OK) == 0;
	free(path);
	return there;
}

static uint64_t
intent(struct world *world)
{
	struct err err = ERR_INIT;
	uint64_t seq;

	if (world_append(world, "bob@example.org", &seq, &err))
		fail_msg("%s", err.detail);
	return seq;
}

/* Waits for a new segment, since the keeper makes it. */
static void
fill_segment(struct world *world, int n)
{
	for (int i = 0; i < 12; i++) {
		uint64_t seq = intent(world);

		if (n == 3 && i == 4)
			places[FIRST] = seq;
		if (n == 4 && i == 4)
			places[MIDDLE] = seq;
		if (i == 6)
			save_anchor(world);
	}
	for (int i = 0; i < 800 && !has_segment(world, n + 1); i++) {
		if (i % 50 == 49)
			(void)intent(world);
		usleep(2000);
	}
	assert_true(has_segment(world, n + 1));
}

static int
make_ledger(void **state)
{
	struct ledger_retire_order order = {.up_to = 2, .service = "test", .uid = -1, .pid = -1};
	struct ledger_dropped dropped;
	struct world world;

	(void)state;
	world_init(&world);
	world.keep_keys = false;
	world.options.segment_size = 6000;
	world_open(&world);
	for (int n = 1; n <= 4; n++)
		fill_segment(&world, n);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ledger_retire(world.ledger, &order, &dropped, NULL), RC_OK);
	(void)intent(&world);
	copy_dir(&early, world.dir);
	save_keys(&world, early_keys);
	places[ANCHORED] = intent(&world);
	(void)intent(&world);
	save_anchor(&world);
	copy_dir(&later, world.dir);
	save_keys(&world, later_keys);
	places[SIGNED] = intent(&world);
	(void)intent(&world);
	assert_int_equal(ledger_checkpoint(world.ledger, NULL), RC_OK);
	places[TAIL] = intent(&world);
	places[END] = intent(&world);
	copy_dir(&base, world.dir);
	world_close(&world);
	world_fini(&world);
	return 0;
}

static int
forget_ledger(void **state)
{
	(void)state;
	copy_clear(&base);
	copy_clear(&early);
	copy_clear(&later);
	for (int i = 0; i < WORLD_EPOCHS; i++) {
		secret_free(&early_keys[i]);
		secret_free(&later_keys[i]);
	}
	buf_fini(&anchors);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_anchors),
		cmocka_unit_test(test_epoch_key_again),
	};

	log_open("ledger_tamper_test", true);
	log_set_level(LOGL_ERROR);
	return cmocka_run_group_tests(tests, make_ledger, forget_ledger);
}
