/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/keystore/ledger_world.h"

#include "base/clock.h"
#include "base/log.h"
#include "keystore/ledger_format.h"
#include "keystore/ledger_private.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* What is appended verifies, is numbered, and tells how many outcomes are unknown. */
static void
test_append(void **state)
{
	struct world world;
	struct ledger_report report;
	struct ledger_head head;
	struct err err = ERR_INIT;
	uint64_t seq;

	(void)state;
	world_init(&world);
	world_open(&world);
	world_fill(&world, 5);
	assert_int_equal(world_append(&world, "bob@example.org", &seq, &err), RC_OK);
	CHECK_INT("seq behind open, checkpoint and ten", seq, 13);
	ledger_head(world.ledger, &head);
	CHECK_INT("head", head.seq, 13);
	CHECK_INT("covered by the first checkpoint only", head.last_checkpoint, 1);
	report = world_verify_ok(&world);
	CHECK_STR("head hash", head.hash, report.head);
	world_close(&world);
	report = world_verify_ok(&world);
	CHECK_INT("records", report.records, 14);
	CHECK_INT("last checkpoint", report.last_checkpoint, 13);
	CHECK_INT("intents", report.intents, 6);
	CHECK_INT("unknown so soon", report.unknown_outcomes, 0);
	CHECK_INT("under way", report.under_way, 1);
	clock_set(clock_now() + 5);
	report = world_verify_ok(&world);
	clock_set(-1);
	CHECK_INT("unknown", report.unknown_outcomes, 1);
	CHECK_INT("under way for ever", report.under_way, 0);
	CHECK_INT("segments", report.segments, 1);
	CHECK_INT("torn", report.torn_tail, false);
	CHECK_STR("node", report.node, "test-1");
	CHECK_STR("root", report.root, head.keyid);
	world_open(&world);
	world_fill(&world, 1);
	world_close(&world);
	CHECK_INT("goes on", world_verify_ok(&world).records, 17);
	world_fini(&world);
}

/* Segments and epochs follow each other; old private keys go. */
static void
test_rotation(void **state)
{
	struct world world;
	struct ledger_report report;

	(void)state;
	world_init(&world);
	world.options.segment_size = 4096;
	world.options.checkpoint_records = 7;
	world_open(&world);
	for (int i = 0; i < 400; i++) {
		world_fill(&world, 1);
		if (i % 20 == 0)
			usleep(5000); /* the keeper makes the next key */
	}
	world_close(&world);
	report = world_verify_ok(&world);
	if (report.segments < 4)
		fail_msg("only %d segments", (int)report.segments);
	CHECK_INT("epochs go with segments", report.epochs, report.segments);
	CHECK_INT("all outcomes known", report.unknown_outcomes, 0);
	world_open(&world);
	for (int i = 0; i < 200 && world_destroyed(&world) < report.epochs - 1; i++)
		usleep(5000);
	/* Opening may have begun one more epoch, so there may be one more. */
	if (world_destroyed(&world) < report.epochs - 1)
		fail_msg("older keys destroyed: only %d", (int)world.destroyed);
	assert_false(world_has_epoch(&world, 1));
	world_fill(&world, 1);
	world_close(&world);
	report = world_verify_ok(&world);
	assert_true(world_has_epoch(&world, report.epochs));
	CHECK_INT("everything covered", report.last_checkpoint, report.records - 1);
	world_fini(&world);
}

/* An epoch ends by age too, inside a segment. */
static void
test_epoch_age(void **state)
{
	struct world world;
	struct ledger_head head = {.epoch = 0};

	(void)state;
	world_init(&world);
	clock_set(1795300000);
	world_open(&world);
	world_fill(&world, 3);
	world_close(&world);
	clock_set(1795300000 + 86400);
	world_open(&world);
	for (int i = 0; i < 400 && head.epoch != 2; i++) {
		usleep(5000);
		ledger_head(world.ledger, &head);
	}
	CHECK_INT("epoch", head.epoch, 2);
	world_fill(&world, 3);
	world_close(&world);
	clock_set(-1);
	CHECK_INT("epochs", world_verify_ok(&world).epochs, 2);
	CHECK_INT("segments", world_verify_ok(&world).segments, 1);
	world_fini(&world);
}

/* Checkpoints come by number and by time; lazy records are written without being waited for. */
static void
test_checkpoints(void **state)
{
	struct world world;
	struct ledger_head head;

	(void)state;
	world_init(&world);
	world.options.checkpoint_records = 10;
	world.options.checkpoint_interval = 1;
	world_open(&world);
	world_fill(&world, 10);
	ledger_head(world.ledger, &head);
	CHECK_INT("by number", head.last_checkpoint, 23);
	world_outcome(&world, 3, true);
	for (int i = 0; i < 600 && head.last_checkpoint < 25; i++) {
		usleep(5000);
		ledger_head(world.ledger, &head);
	}
	CHECK_INT("lazy and by time", head.last_checkpoint, 25);
	world_outcome(&world, 3, true);
	world_close(&world);
	CHECK_INT("a lazy one is written at the end", world_verify_ok(&world).records, 28);
	world_fini(&world);
}

struct worker {
	struct world *world;
	pthread_t thread;
	uint64_t seqs[200];
};

static void *
worker_main(void *arg)
{
	struct worker *worker = arg;

	for (size_t i = 0; i < 200; i++) {
		struct ledger_record outcome = LEDGER_RECORD_INIT(LEDGER_OUTCOME);
		struct err err = ERR_INIT;

		if (world_append(worker->world, "bob@example.org", &worker->seqs[i], &err))
			worker->seqs[i] = 0;
		outcome.event = "done";
		outcome.intent = worker->seqs[i];
		outcome.lazy = true;
		if (worker->seqs[i] && ledger_append(worker->world->ledger, &outcome, NULL, &err))
			worker->seqs[i] = 0;
	}
	return NULL;
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Many threads: every record has a number of its own and is there; syncs are shared. */
static void
test_threads(void **state)
{
	enum { N = 16 };
	static struct worker workers[N];
	static uint64_t all[N * 200];
	struct world world;
	struct ledger_report report;

	(void)state;
	world_init(&world);
	world.options.segment_size = 100000;
	world_open(&world);
	for (int i = 0; i < N; i++) {
		workers[i].world = &world;
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
	}
	for (int i = 0; i < N; i++) {
		pthread_join(workers[i].thread, NULL);
		memcpy(all + i * 200, workers[i].seqs, sizeof workers[i].seqs);
	}
	world_close(&world);
	qsort(all, N * 200, sizeof *all, by_number);
	assert_true(all[0] > 0);
	for (int i = 1; i < N * 200; i++)
		assert_true(all[i] > all[i - 1]);
	report = world_verify_ok(&world);
	CHECK_INT("intents", report.intents, N * 200);
	CHECK_INT("outcomes", report.unknown_outcomes, 0);
	world_fini(&world);
}

/* A disk that fails: nothing is reported as written; when it is back, the ledger goes on. */
static void
test_disk_fails(void **state)
{
	static const struct {
		const char *name;
		bool sync;
		long part;
	} cases[] = {{"write", false, 0}, {"part of a write", false, 37}, {"sync", true, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world world;
		struct ledger_report report;
		struct err err = ERR_INIT;
		uint64_t seq = 99;

		world_init(&world);
		world_open(&world);
		world_fill(&world, 2);
		world.short_write = cases[i].part;
		if (cases[i].sync)
			world.fail_sync = world.syncs;
		else
			world.fail_write = world.writes;
		CHECK_INT(cases[i].name, world_append(&world, "bob@example.org", &seq, &err),
			RC_TEMP);
		CHECK_INT(cases[i].name, err.code, ERR_LEDGER);
		CHECK_INT(cases[i].name, seq, 0);
		world_outcome(&world, 3, true); /* queued: said to be so, and must not get lost */
		world.short_write = cases[i].part;
		CHECK_INT(cases[i].name, world_append(&world, "bob@example.org", &seq, &err),
			RC_TEMP);
		world.fail_sync = world.fail_write = -1;
		CHECK_INT(
			cases[i].name, world_append(&world, "bob@example.org", &seq, &err), RC_OK);
		world_outcome(&world, seq, false);
		world_close(&world);
		report = world_verify_ok(&world);
		CHECK_INT(cases[i].name, report.intents, 3);
		CHECK_INT(cases[i].name, report.records, 2 + 4 + 1 + 2 + 1);
		CHECK_INT(cases[i].name, report.recovered, 0);
		world_fini(&world);
	}
}

/* The same with the system's own calls and a limit on file sizes. */
static void
test_file_limit(void **state)
{
	struct world world;
	struct rlimit old, limit;
	struct err err = ERR_INIT;
	uint64_t seq;
	int n;

	(void)state;
	world_init(&world);
	world.options.disk = (struct ledger_disk){.ctx = NULL};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	world_open(&world);
	limit = old;
	limit.rlim_cur = 6000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (n = 0; n < 100; n++)
		if (world_append(&world, "bob@example.org", &seq, &err))
			break;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(n > 3 && n < 100);
	CHECK_INT("full", err.code, ERR_LEDGER);
	world_fill(&world, 2);
	world_close(&world);
	CHECK_INT("intents", world_verify_ok(&world).intents, n + 2);
	world_fini(&world);
}

/* A segment that cannot be made does not stop the ledger. */
static void
test_segment_fails(void **state)
{
	struct world world;
	char *path;

	(void)state;
	world_init(&world);
	world.options.segment_size = 3000;
	world_open(&world);
	path = world_path(&world, "000002.jsonl");
	assert_int_equal(symlink("/nonexistent/file", path), 0); /* cannot be opened: O_NOFOLLOW */
	world_fill(&world, 20);
	usleep(50000);
	world_fill(&world, 20);
	assert_int_equal(unlink(path), 0);
	usleep(1200000); /* longer than the keeper waits between attempts */
	world_fill(&world, 1);
	world_close(&world);
	assert_true(world_verify_ok(&world).segments >= 2);
	assert_int_equal(access(path, F_OK), 0);
	free(path);
	world_fini(&world);
}

/* What must not be opened for writing. */
static void
test_open_refuses(void **state)
{
	struct world world;
	struct ledger *second = NULL;
	struct err err = ERR_INIT;

	(void)state;
	world_init(&world);
	CHECK_INT("an empty folder", world_try_open(&world, &err), RC_PERM);
	CHECK_INT("an empty folder", err.code, ERR_LEDGER_BROKEN);
	world_open(&world);
	CHECK_INT("held by another", ledger_open(&world.options, &second, &err), RC_TEMP);
	CHECK_INT("held by another", err.code, ERR_LEDGER);
	assert_null(second);
	world_fill(&world, 1);
	world_close(&world);
	world.options.create = true;
	CHECK_INT("create twice", world_try_open(&world, &err), RC_PERM);
	world.options.create = false;
	world.options.node = "test-2";
	CHECK_INT("another node", world_try_open(&world, &err), RC_PERM);
	world.options.node = "no blanks";
	CHECK_INT("bad node", world_try_open(&world, &err), RC_PERM);
	world.options.node = "test-1";
	secret_free(&world.epochs[1]);
	CHECK_INT("no epoch key", world_try_open(&world, &err), RC_PERM);
	CHECK_INT("no epoch key", err.code, ERR_LEDGER_BROKEN);
	world_fini(&world);
}

/* Records that cannot be written are refused and leave nothing behind. */
static void
test_bad_records(void **state)
{
	static char big[LEDGER_MAX_DETAIL + 16], long_qid[LEDGER_MAX_LINE];
	struct world world;
	static const struct {
		const char *name, *event, *detail;
		uint64_t intent;
		int type;
	} cases[] = {
		{"no event", NULL, NULL, 0, LEDGER_INTENT},
		{"outcome without intent", "done", NULL, 0, LEDGER_OUTCOME},
		{"intent of an intent", "open", NULL, 3, LEDGER_INTENT},
		{"checkpoint by hand", "x", NULL, 0, LEDGER_CHECKPOINT},
		{"detail: no JSON", "sealed", "{\"a\":", 0, LEDGER_DECISION},
		{"detail: no object", "sealed", "[1]", 0, LEDGER_DECISION},
		{"detail: nested", "sealed", "{\"a\":{\"b\":1}}", 0, LEDGER_DECISION},
		{"detail: twice", "sealed", "{\"a\":1,\"a\":2}", 0, LEDGER_DECISION},
		{"detail: too big", "sealed", big, 0, LEDGER_DECISION},
	};

	(void)state;
	memset(big, ' ', sizeof big - 1);
	memcpy(big, "{}", 2);
	memset(long_qid, 'q', sizeof long_qid - 1);
	world_init(&world);
	world_open(&world);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ledger_record record = LEDGER_RECORD_INIT((enum ledger_type)cases[i].type);
		uint64_t seq;

		record.event = cases[i].event;
		record.detail = cases[i].detail;
		record.intent = cases[i].intent;
		CHECK_INT(cases[i].name, ledger_append(world.ledger, &record, &seq, NULL), RC_PERM);
	}
	{
		struct vault_claim claim = {.qid = long_qid};
		struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);

		record.event = "sign";
		record.claim = &claim;
		CHECK_INT("a line too long", ledger_append(world.ledger, &record, NULL, NULL),
			RC_PERM);
	}
	world_close(&world);
	CHECK_INT("records", world_verify_ok(&world).records, 2);
	world_fini(&world);
}

/* More recipients than are listed are counted. */
static void
test_many_recipients(void **state)
{
	static const char *rcpts[LEDGER_MAX_RCPTS + 234];
	struct world world;
	struct vault_claim claim = {.recipients = rcpts, .n_recipients = LEDGER_MAX_RCPTS + 234};
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);
	struct ledger_reader *reader;
	const char *line;
	size_t len;
	char *copy;

	(void)state;
	for (size_t i = 0; i < claim.n_recipients; i++)
		rcpts[i] = "bob@example.org";
	world_init(&world);
	world_open(&world);
	record.event = "sign";
	record.claim = &claim;
	assert_int_equal(ledger_append(world.ledger, &record, NULL, NULL), RC_OK);
	assert_int_equal(ledger_reader_open(world.dir, 0, &reader, NULL), RC_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ledger_reader_next(reader, &line, &len, NULL), RC_OK);
	copy = strndup(line, len);
	assert_non_null(strstr(copy, ",\"unlisted\":234}"));
	assert_null(strstr(copy, "bob"));
	free(copy);
	ledger_reader_close(&reader);
	world_close(&world);
	world_verify_ok(&world);
	world_fini(&world);
}

/* Adds an intent to GROUP; gives its index. */
static size_t
add_intent(struct ledger_group *group)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);
	struct err err = ERR_INIT;
	size_t index;

	record.event = "sign";
	if (ledger_group_add(group, &record, &index, &err))
		fail_msg("%s", err.detail);
	return index;
}

/* Records of a group stand one behind the other, with one sync, and fail together. */
static void
test_group(void **state)
{
	struct world world;
	struct ledger_report report;
	struct ledger_group *group;
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_INTENT);
	struct err err = ERR_INIT;
	uint64_t seq;
	size_t index;
	long syncs;

	(void)state;
	world_init(&world);
	world_open(&world);
	assert_int_equal(ledger_group_new(world.ledger, &group, &err), RC_OK);
	syncs = world.syncs;
	assert_int_equal(ledger_group_write(group, &err), RC_OK);
	CHECK_INT("an empty group syncs nothing", world.syncs, syncs);
	for (size_t i = 0; i < LEDGER_GROUP_MAX; i++) {
		assert_false(ledger_group_is_full(group));
		CHECK_INT("index", add_intent(group), i);
	}
	assert_true(ledger_group_is_full(group));
	record.event = "sign";
	assert_int_equal(ledger_group_add(group, &record, &index, &err), RC_PERM);
	CHECK_INT("one too many", err.code, ERR_LIMIT);
	assert_int_equal(ledger_group_write(group, &err), RC_OK);
	CHECK_INT("one sync", world.syncs, syncs + 1);
	CHECK_INT("first", ledger_group_seq(group, 0), 3);
	CHECK_INT("last", ledger_group_seq(group, LEDGER_GROUP_MAX - 1), 2 + LEDGER_GROUP_MAX);
	assert_int_equal(world_append(&world, "bob@example.org", &seq, &err), RC_OK);
	CHECK_INT("next", seq, 3 + LEDGER_GROUP_MAX);

	ledger_group_clear(group);
	add_intent(group);
	record.type = LEDGER_OUTCOME; /* of nothing: refused, the group stays as it is */
	assert_int_equal(ledger_group_add(group, &record, &index, &err), RC_PERM);
	add_intent(group);
	world.fail_write = world.writes;
	assert_int_equal(ledger_group_write(group, &err), RC_TEMP);
	CHECK_INT("failed", err.code, ERR_LEDGER);
	world.fail_write = -1;
	ledger_group_clear(group);
	add_intent(group);
	assert_int_equal(ledger_group_write(group, &err), RC_OK);
	CHECK_INT("goes on", ledger_group_seq(group, 0), 4 + LEDGER_GROUP_MAX);
	ledger_group_free(&group);
	world_close(&world);
	report = world_verify_ok(&world);
	CHECK_INT("intents", report.intents, 2 + LEDGER_GROUP_MAX);
	world_fini(&world);
}

/* Room that is reserved ahead is no part of a segment, and is given back. */
static void
test_reserved(void **state)
{
	char path[128];
	struct world world;
	struct stat st;
	struct err err = ERR_INIT;
	uint64_t seq;

	(void)state;
	world_init(&world);
	world_open(&world);
	snprintf(path, sizeof path, "%s/000001.jsonl", world.dir);
	assert_int_equal(world_append(&world, "bob@example.org", &seq, &err), RC_OK);
	assert_int_equal(stat(path, &st), 0);
	CHECK_INT("size", st.st_size, world.ledger->file.size);
	world_close(&world);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 0 && st.st_size < 65536);
	assert_true(st.st_blocks * 512 < 512 << 10);
	world_fini(&world);
}

/* Waits until the file NAME is there, or gone. */
static void
wait_for_file(struct world *world, const char *name, bool there)
{
	char *path = world_path(world, name);

	for (int i = 0; i < 1000 && (access(path, F_OK) == 0) != there; i++)
		usleep(5000);
	if ((access(path, F_OK) == 0) != there)
		fail_msg("%s: still %s", name, there ? "missing" : "there");
	free(path);
}

/* Segments end by age, and go when all their records are older than what is kept: one at a time. */
static void
test_keep(void **state)
{
	enum { DAY = 86400 };
	struct world world;
	struct ledger_report report;
	char *third;

	(void)state;
	world_init(&world);
	world.options.segment_age = 30 * DAY;
	clock_set(1795300000);
	world_open(&world);
	world_fill(&world, 3);
	world_close(&world);
	for (int i = 1; i <= 2; i++) { /* two more months */
		clock_set(1795300000 + i * 40 * DAY);
		world_open(&world);
		wait_for_file(&world, i == 1 ? "000002.jsonl" : "000003.jsonl", true);
		world_fill(&world, 3);
		world_close(&world);
	}
	world.options.keep = 100 * DAY;
	world_open(&world);
	world_fill(&world, 1);
	world_close(&world);
	CHECK_INT("nothing is so old", world_verify_ok(&world).dropped, 0);
	world.options.keep = 20 * DAY; /* two are older, and one goes in an hour */
	world_open(&world);
	wait_for_file(&world, "000001.jsonl", false);
	world_fill(&world, 1);
	world_close(&world);
	report = world_verify_ok(&world);
	clock_set(-1);
	CHECK_INT("dropped", report.dropped, 1);
	CHECK_INT("segments", report.segments, 3);
	third = world_path(&world, "000002.jsonl");
	assert_int_equal(access(third, F_OK), 0);
	free(third);
	world_fini(&world);
}

/* With little room on the disk no key is used, and an administrator can still act. */
static void
test_room(void **state)
{
	static const struct {
		enum ledger_type type;
		const char *event;
		enum rc want;
	} cases[] = {
		{LEDGER_INTENT, "sign", RC_TEMP},
		{LEDGER_DENIED, "open", RC_TEMP},
		{LEDGER_DECISION, "sealed", RC_TEMP},
		{LEDGER_OUTCOME, "done", RC_OK},
		{LEDGER_ADMIN, "key.revoke", RC_OK},
	};
	struct world world;
	struct err err = ERR_INIT;
	uint64_t seq;

	(void)state;
	world_init(&world);
	world.options.warn_free = 2000;
	world.options.reserve = 1000;
	world.room = 1500;
	world_open(&world);
	assert_int_equal(world_append(&world, "bob@example.org", &seq, &err), RC_OK);
	world_close(&world);
	world.room = 999;
	world_open(&world);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ledger_record record = LEDGER_RECORD_INIT(cases[i].type);

		record.event = cases[i].event;
		record.intent = cases[i].type == LEDGER_OUTCOME ? seq : 0;
		CHECK_INT(cases[i].event, ledger_append(world.ledger, &record, NULL, &err),
			cases[i].want);
		if (cases[i].want)
			CHECK_INT(cases[i].event, err.code, ERR_LEDGER);
	}
	world.room = 5000;
	pthread_mutex_lock(&world.ledger->lock);
	ledger_look_at_room(world.ledger); /* as the keeper does every few seconds */
	pthread_mutex_unlock(&world.ledger->lock);
	assert_int_equal(world_append(&world, "bob@example.org", &seq, &err), RC_OK);
	world_close(&world);
	world_verify_ok(&world);
	world_fini(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_epoch_age),
		cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_disk_fails),
		cmocka_unit_test(test_file_limit),
		cmocka_unit_test(test_segment_fails),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_room),
	};

	log_open("ledger_test", true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
