/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/keystore/ledger_world.h"

#include "keystore/ledger_search.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static uint64_t state = 4711; /* of the dice */

static unsigned
dice(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static const char *const keys[] = {"k-1", "k-2", "k-3", "k-4"};
static const char *const addrs[] = {"a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"};
static const char *const rules[] = {"staff", "with \"marks\"", "tab\there", "d\xc3\xbcsseldorf"};
static const char *const services[] = {"all", "open", "seal"};

/* One record, whatever the dice say. */
static void
append_any(struct world *world)
{
	static const char *const details[] = {NULL, "{\"reopen\":true,\"opened\":2}",
		"{\"reopen\":false}", "{\"person\":\"p-1\",\"request\":\"r-9\"}",
		"{\"grant\":\"g-1\",\"owner\":\"p-2\"}"};
	static const char *const events[] = {"sign", "open", "export"};
	const char *rcpts[3] = {addrs[dice(5)], addrs[dice(5)], addrs[dice(5)]};
	char qid[16];
	struct vault_claim claim = {.qid = qid,
		.sender = addrs[dice(5)],
		.rule = rules[dice(4)],
		.recipients = rcpts,
		.n_recipients = dice(4)};
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);
	struct err err = ERR_INIT;
	uint64_t seq;

	snprintf(qid, sizeof(qid), "Q%u", dice(40));
	record.event = events[dice(3)];
	record.observed.key = keys[dice(4)];
	record.observed.service = services[dice(3)];
	record.detail = details[dice(5)];
	record.claim = &claim;
	if (dice(4) == 0) {
		record.type = LEDGER_ADMIN;
		record.event = "key.new";
		record.subject = addrs[dice(5)];
		record.claim = NULL;
	} else if (dice(6) == 0) {
		record.type = LEDGER_DENIED;
		record.reason = "VAULT_NOT_ENTITLED";
	}
	if (ledger_append(world->ledger, &record, &seq, &err))
		fail_msg("append: %s", err.detail);
	if (record.type == LEDGER_INTENT && dice(2))
		world_outcome(world, seq, false);
}

/* The lines that were found, one after the other. */
static enum rc
collect(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	(void)prefix;
	(void)record;
	return buf_append(ctx, line, len, err);
}

static enum rc
search_in(struct world *world, const char *folder, const struct ledger_query *query,
	enum ledger_index_use use, struct buf *out, struct ledger_search *search, struct err *err)
{
	*search = (struct ledger_search){
		.dir = world->dir, .folder = folder, .use = use, .query = query};
	buf_clear(out);
	return ledger_search(search, collect, out, err);
}

/* With and without an index the same; the number of hits. */
static size_t
compare(struct world *world, const struct ledger_query *query, const char *what)
{
	struct buf with = BUF_INIT(64u << 20), without = BUF_INIT(64u << 20);
	struct ledger_search search;
	struct err err = ERR_INIT;
	size_t n = 0;

	if (search_in(world, NULL, query, LEDGER_INDEX_NONE, &without, &search, &err) ||
		search_in(world, NULL, query, LEDGER_INDEX_AUTO, &with, &search, &err))
		fail_msg("%s: %s", what, err.detail);
	if (search.indexed == 0)
		fail_msg("%s: no index was used", what);
	if (with.len != without.len || (with.len && memcmp(with.data, without.data, with.len)))
		fail_msg("%s: %zu bytes with an index, %zu without", what, with.len, without.len);
	for (size_t i = 0; i < with.len; i++)
		n += with.data[i] == '\n';
	buf_fini(&with);
	buf_fini(&without);
	return n;
}

static void
pseudonym_of(const char *addr, char out[LEDGER_PSEUDONYM_SIZE])
{
	struct secret *key = NULL;
	char period[LEDGER_PERIOD_SIZE];

	ledger_period(clock_now(), period);
	assert_int_equal(world_period_key(NULL, period, true, &key, NULL), RC_OK);
	assert_int_equal(ledger_pseudonym(key, addr, out, NULL), RC_OK);
	secret_free(&key);
}

/* A random query; the texts live in NAMES. */
static void
any_query(struct ledger_query *query, char names[8][LEDGER_PSEUDONYM_SIZE], char *what, size_t size)
{
	size_t used = 0;

	*what = '\0';
	for (unsigned g = 1 + dice(3); g; g--) {
		ledger_query_group(query);
		for (unsigned i = 1 + dice(2); i; i--) {
			static const char kinds[] = "tesskqraacpoi";
			char kind = kinds[dice(sizeof(kinds) - 1)];
			const char *text = "yes";

			switch (kind) {
			case 't':
				text = dice(2) ? "intent" : "admin";
				break;
			case 'e':
				text = dice(2) ? "open" : "key.new";
				break;
			case 's':
				text = services[dice(3)];
				break;
			case 'k':
				text = keys[dice(4)];
				break;
			case 'q':
				snprintf(names[used], LEDGER_PSEUDONYM_SIZE, "Q%u", dice(40));
				text = names[used++];
				break;
			case 'r':
				text = rules[dice(4)];
				break;
			case 'a':
			case 'c':
				pseudonym_of(addrs[dice(5)], names[used]);
				text = names[used++];
				break;
			case 'p':
				text = dice(2) ? "p-1" : "g-1";
				break;
			case 'o':
				text = "r-9";
				break;
			default:
				break;
			}
			assert_int_equal(ledger_query_add(query, kind, text, NULL), RC_OK);
			snprintf(what + strlen(what), size - strlen(what), " %u%c:%s",
				query->groups, kind, text);
		}
	}
}

static void
drop_index(struct world *world)
{
	char *path = world_path(world, "index");
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (dir) {
		while ((entry = readdir(dir)))
			unlinkat(dirfd(dir), entry->d_name, 0);
		closedir(dir);
		assert_int_equal(rmdir(path), 0);
	}
	free(path);
}

static void
random_ledgers(void **unused)
{
	size_t hits = 0, queries = 0;

	(void)unused;
	for (int round = 0; round < 4; round++) {
		struct world world;

		world_init(&world);
		world.options.segment_size = 20000 + dice(40000);
		world.options.checkpoint_records = 50;
		world_open(&world);
		for (int part = 0; part < 3; part++) {
			for (int i = 0; i < 150; i++)
				append_any(&world);
			for (int i = 0; i < 60; i++) {
				struct ledger_query query = {.v = NULL};
				char names[8][LEDGER_PSEUDONYM_SIZE], what[512];

				any_query(&query, names, what, sizeof(what));
				if (dice(4) == 0)
					query.first = 1 + dice(400);
				if (dice(4) == 0)
					query.last = query.first + dice(400);
				hits += compare(&world, &query, what);
				queries++;
				ledger_query_fini(&query);
			}
		}
		world_close(&world);
		drop_index(&world);
		world_fini(&world);
	}
	assert_true(hits > queries); /* it is not nothing that is the same */
}

/* A world with some segments, closed. */
static void
fill(struct world *world, const char *node)
{
	world_init(world);
	world->options.segment_size = 20000;
	world->options.node = node;
	world_open(world);
	for (int i = 0; i < 200; i++)
		append_any(world);
	world_close(world);
}

static void
query_key(struct ledger_query *query, const char *key)
{
	*query = (struct ledger_query){.v = NULL};
	ledger_query_group(query);
	assert_int_equal(ledger_query_add(query, LEDGER_TERM_KEY, key, NULL), RC_OK);
}

/* Any damage to an index costs time, never an answer. */
static void
damaged_index(void **unused)
{
	struct buf want = BUF_INIT(0), got = BUF_INIT(0), file = BUF_INIT(0);
	struct ledger_search search;
	struct ledger_query query;
	struct err err = ERR_INIT;
	struct world world;
	char *path;

	(void)unused;
	fill(&world, "test-1");
	query_key(&query, "k-2");
	assert_int_equal(
		search_in(&world, NULL, &query, LEDGER_INDEX_AUTO, &want, &search, &err), RC_OK);
	assert_true(search.built >= 1 && search.built == search.indexed);
	assert_int_equal(
		search_in(&world, NULL, &query, LEDGER_INDEX_AUTO, &got, &search, &err), RC_OK);
	assert_int_equal(search.built, 0);
	path = world_path(&world, "index/000001.index");
	assert_int_equal(file_read(path, &file, NULL), RC_OK);
	for (size_t i = 0; i < 120; i++) {
		size_t at = i < 60 ? i * 4 : dice((unsigned)file.len), len = file.len;

		if (i % 3 == 2)
			len = at;
		file.data[at] ^= 1 << dice(8);
		assert_int_equal(file_write(path, file.data, len, 0600, NULL), RC_OK);
		buf_clear(&file);
		if (search_in(&world, NULL, &query, LEDGER_INDEX_AUTO, &got, &search, &err))
			fail_msg("damage at %zu: %s", at, err.detail);
		assert_int_equal(search.built, 1);
		if (got.len != want.len || memcmp(got.data, want.data, got.len))
			fail_msg("damage at %zu: another answer", at);
		assert_int_equal(file_read(path, &file, NULL), RC_OK);
	}
	assert_int_equal(
		search_in(&world, NULL, &query, LEDGER_INDEX_REBUILD, &got, &search, &err), RC_OK);
	assert_true(search.built >= 1 && search.built == search.indexed);
	free(path);
	drop_index(&world);
	buf_fini(&want);
	buf_fini(&got);
	buf_fini(&file);
	ledger_query_fini(&query);
	world_fini(&world);
}

/* An index of another ledger says nothing about this one. */
static void
foreign_index(void **unused)
{
	struct buf want = BUF_INIT(0), got = BUF_INIT(0);
	struct ledger_search search;
	struct ledger_query query;
	struct err err = ERR_INIT;
	struct world one, two;
	char *folder;

	(void)unused;
	fill(&one, "test-1");
	fill(&two, "test-2");
	folder = world_path(&one, "index");
	query_key(&query, "k-3");
	assert_int_equal(
		search_in(&one, folder, &query, LEDGER_INDEX_AUTO, &want, &search, &err), RC_OK);
	assert_int_equal(
		search_in(&two, NULL, &query, LEDGER_INDEX_NONE, &want, &search, &err), RC_OK);
	assert_int_equal(
		search_in(&two, folder, &query, LEDGER_INDEX_AUTO, &got, &search, &err), RC_OK);
	assert_true(search.built >= 1 && search.built == search.indexed);
	assert_int_equal(want.len, got.len);
	assert_memory_equal(want.data, got.data, want.len);
	free(folder);
	drop_index(&one);
	ledger_query_fini(&query);
	buf_fini(&want);
	buf_fini(&got);
	world_fini(&one);
	world_fini(&two);
}

/* A record that is found must be the one that the chain has: with an index and without. */
static void
changed_record(void **unused)
{
	static const enum ledger_index_use uses[] = {LEDGER_INDEX_AUTO, LEDGER_INDEX_NONE};
	struct buf text = BUF_INIT(0), got = BUF_INIT(0);
	struct ledger_search search;
	struct ledger_query query;
	struct world world;
	char *path, *at;

	(void)unused;
	fill(&world, "test-1");
	query_key(&query, "k-1");
	path = world_path(&world, "000001.jsonl");
	assert_int_equal(
		search_in(&world, NULL, &query, LEDGER_INDEX_AUTO, &got, &search, NULL), RC_OK);
	assert_int_equal(file_read(path, &text, NULL), RC_OK);
	at = memmem(text.data, text.len, "\"key\":\"k-1\"", 11);
	assert_non_null(at);
	/* its time: the term stays, the line is another */
	while (memcmp(at, "\"time\":\"2", 9) != 0)
		at--;
	at[30] = at[30] == '1' ? '2' : '1';
	assert_int_equal(file_write(path, text.data, text.len, 0600, NULL), RC_OK);
	for (size_t i = 0; i < 2; i++) {
		struct err err = ERR_INIT;

		assert_int_equal(
			search_in(&world, NULL, &query, uses[i], &got, &search, &err), RC_PERM);
		assert_int_equal(err.code, ERR_LEDGER_BROKEN);
	}
	free(path);
	drop_index(&world);
	ledger_query_fini(&query);
	buf_fini(&text);
	buf_fini(&got);
	world_fini(&world);
}

/* Where no index can be written, the answer is the same; and a link leads nowhere. */
static void
no_folder(void **unused)
{
	struct buf want = BUF_INIT(0), got = BUF_INIT(0);
	struct ledger_search search;
	struct ledger_query query;
	struct err err = ERR_INIT;
	struct world world;
	char *path;

	(void)unused;
	fill(&world, "test-1");
	query_key(&query, "k-1");
	path = world_path(&world, "index");
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(
		search_in(&world, NULL, &query, LEDGER_INDEX_NONE, &want, &search, &err), RC_OK);
	assert_false(search.no_folder);
	assert_int_equal(
		search_in(&world, NULL, &query, LEDGER_INDEX_AUTO, &got, &search, &err), RC_OK);
	assert_true(search.no_folder);
	assert_int_equal(search.indexed, 0);
	assert_int_equal(want.len, got.len);
	assert_memory_equal(want.data, got.data, want.len);
	unlink(path);
	free(path);
	ledger_query_fini(&query);
	buf_fini(&want);
	buf_fini(&got);
	world_fini(&world);
}

static void
too_much(void **unused)
{
	struct ledger_query query = {.v = NULL};
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;
	size_t n = 0;

	(void)unused;
	ledger_query_group(&query);
	while (rc == RC_OK && n++ <= LEDGER_QUERY_MAX)
		rc = ledger_query_add(&query, 'k', "k", &err);
	assert_int_equal(n, LEDGER_QUERY_MAX + 1);
	assert_int_equal(err.code, ERR_LIMIT);
	ledger_query_fini(&query);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ledgers),
		cmocka_unit_test(damaged_index),
		cmocka_unit_test(foreign_index),
		cmocka_unit_test(changed_record),
		cmocka_unit_test(no_folder),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
