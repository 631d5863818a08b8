/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "tests/unit/unit.h"

#include "milter/journal.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW 1000000

static char dir[64], path[96];

static struct journal *
open_journal(int64_t max_age, int64_t max_entries)
{
	struct journal_conf conf = {
		.path = path, .max_age = max_age, .max_entries = max_entries, .unsynced = true};
	struct journal *journal = NULL;

	assert_int_equal(journal_new(&conf, &journal, NULL), RC_OK);
	return journal;
}

static int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/journal-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal.db", dir);
	*state = open_journal(86400, 1000);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const endings[] = {
		"", "-wal", "-shm", ".lock", ".damaged", ".damaged-wal", ".damaged-shm"};
	char name[160];

	journal_free((struct journal **)state);
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
	assert_int_equal(rmdir(dir), 0); /* nothing else was left behind */
	return 0;
}

static bool
exists(const char *ending)
{
	char name[160];

	snprintf(name, sizeof(name), "%s%s", path, ending);
	return access(name, F_OK) == 0;
}

/* Holds ADDR of transaction NAME; -1 flags when that failed. */
static struct journal_hold *
hold(struct journal *journal, const char *name, const char *addr, struct journal_row *row,
	struct err *err)
{
	struct journal_hold *out = NULL;

	err_clear(err);
	row->flags = 99;
	(void)journal_hold(
		journal, &(struct journal_mail){name, strlen(name), &addr, 1}, row, &out, err);
	return out;
}

/* Writes FLAGS for ADDR of transaction NAME at time NOW. */
static enum rc
set(struct journal *journal, const char *name, const char *addr, unsigned flags, int64_t now,
	struct err *err)
{
	struct journal_row row;
	struct journal_hold *h = hold(journal, name, addr, &row, err);
	enum rc rc;

	if (!h)
		return RC_TEMP;
	row.flags = flags;
	rc = journal_put(h, &row, 1, now, err);
	journal_release(&h);
	return rc;
}

static int
get(struct journal *journal, const char *name, const char *addr)
{
	struct err err = ERR_INIT;
	struct journal_row row;
	struct journal_hold *h = hold(journal, name, addr, &row, &err);

	if (!h)
		return -1;
	journal_release(&h);
	return (int)row.flags;
}

static void
rows_are_kept(void **state)
{
	struct err err = ERR_INIT;
	struct journal_stats stats;

	assert_int_equal(journal_stats(path, &stats, &err), RC_NONE);
	CHECK_INT("fresh", get(*state, "t1", "a@x"), 0);
	assert_int_equal(set(*state, "t1", "a@x", JOURNAL_BEGUN, NOW, &err), RC_OK);
	assert_int_equal(set(*state, "t1", "b@x", JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	CHECK_INT("begun", get(*state, "t1", "a@x"), JOURNAL_BEGUN);
	CHECK_INT("accepted", get(*state, "t1", "b@x"), JOURNAL_ACCEPTED);
	CHECK_INT("another transaction", get(*state, "t2", "a@x"), 0);
	assert_int_equal(journal_stats(path, &stats, &err), RC_OK);
	CHECK_INT("entries", stats.entries, 2);
	CHECK_INT("doubtful", stats.doubtful, 1);
	CHECK_INT("oldest", stats.oldest, NOW);
	journal_free((struct journal **)state);
	*state = open_journal(86400, 1000);
	CHECK_INT("after a restart", get(*state, "t1", "b@x"), JOURNAL_ACCEPTED);
	assert_int_equal(set(*state, "t1", "b@x", 0, NOW, &err), RC_OK);
	CHECK_INT("removed", get(*state, "t1", "b@x"), 0);
}

/* No address and no name of a transaction may be read in the file. */
static void
no_addresses(void **state)
{
	struct err err = ERR_INIT;
	char name[160], data[65536];

	assert_int_equal(
		set(*state, "transaction-name", "somebody@example.org", 1, NOW, &err), RC_OK);
	for (int i = 0; i < 2; i++) {
		ssize_t n;
		int fd;

		snprintf(name, sizeof(name), "%s%s", path, i ? "-wal" : "");
		fd = open(name, O_RDONLY);
		assert_true(fd >= 0);
		while ((n = read(fd, data, sizeof(data))) > 0) {
			assert_null(memmem(data, (size_t)n, "somebody", 8));
			assert_null(memmem(data, (size_t)n, "transaction-name", 16));
		}
		close(fd);
	}
}

static void
one_at_a_time(void **state)
{
	struct journal *other = open_journal(86400, 1000); /* as another process has it */
	struct err err = ERR_INIT;
	struct journal_row row, row2;
	struct journal_hold *h = hold(*state, "t1", "a@x", &row, &err);
	struct journal_hold *h2;

	assert_non_null(h);
	assert_null(hold(*state, "t1", "a@x", &row2, &err));
	CHECK_INT("same process", err.code, ERR_JOURNAL_BUSY);
	assert_null(hold(other, "t1", "a@x", &row2, &err));
	CHECK_INT("other process", err.code, ERR_JOURNAL_BUSY);
	h2 = hold(other, "t1", "b@x", &row2, &err);
	assert_non_null(h2); /* another recipient of the same transaction is free */
	journal_release(&h);
	assert_int_equal(get(other, "t1", "a@x"), 0);
	journal_release(&h2);
	journal_free(&other);
}

/* Many recipients are held as one. */
static void
many_at_a_time(void **state)
{
	enum { N = 3000 };
	static struct journal_row rows[N], row;
	static char names[N][16];
	static const char *addrs[N];
	const struct journal_mail mail = {"t", 1, addrs, N};
	struct journal_hold *h = NULL;
	struct err err = ERR_INIT;

	for (int i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "u%d@x", i);
		addrs[i] = names[i];
	}
	assert_int_equal(journal_hold(*state, &mail, rows, &h, &err), RC_OK);
	assert_null(hold(*state, "t", "u2999@x", &row, &err));
	CHECK_INT("one of many", err.code, ERR_JOURNAL_BUSY);
	for (int i = 0; i < N; i++)
		rows[i].flags = JOURNAL_ACCEPTED;
	assert_int_equal(journal_put(h, rows, N, NOW, &err), RC_OK);
	journal_release(&h);
	CHECK_INT("kept", get(*state, "t", "u1500@x"), JOURNAL_ACCEPTED);
	h = hold(*state, "t", "u7@x", &row, &err);
	assert_non_null(h);
	assert_int_not_equal(
		journal_hold(*state, &mail, rows, &(struct journal_hold *){0}, &err), RC_OK);
	CHECK_INT("many with one held", err.code, ERR_JOURNAL_BUSY);
	journal_release(&h);
}

/* A process that dies holds nothing any more, and what it made durable stays. */
static void
owner_dies(void **state)
{
	struct err err = ERR_INIT;
	struct journal_row row;
	int ready[2], status;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct journal *mine = open_journal(86400, 1000);
		struct journal_hold *h = hold(mine, "t1", "a@x", &row, &err);

		row.flags = JOURNAL_BEGUN;
		if (h && journal_put(h, &row, 1, NOW, &err) == RC_OK &&
			write(ready[1], "r", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_null(hold(*state, "t1", "a@x", &row, &err));
	CHECK_INT("while it lives", err.code, ERR_JOURNAL_BUSY);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	CHECK_INT("after its death", get(*state, "t1", "a@x"), JOURNAL_BEGUN);
	close(ready[0]);
	close(ready[1]);
}

static void
deleted_under_us(void **state)
{
	struct err err = ERR_INIT;
	struct journal_row row;
	struct journal_hold *h;
	char lock[160];

	assert_int_equal(set(*state, "t1", "a@x", JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	h = hold(*state, "t2", "a@x", &row, &err);
	assert_non_null(h);
	unlink(path);
	row.flags = JOURNAL_BEGUN;
	assert_int_equal(journal_put(h, &row, 1, NOW, &err), RC_TEMP);
	CHECK_INT("put after the loss", err.code, ERR_JOURNAL);
	journal_release(&h);
	CHECK_INT("healed", get(*state, "t1", "a@x"), 0);
	assert_int_equal(set(*state, "t1", "a@x", JOURNAL_BEGUN, NOW, &err), RC_OK);
	CHECK_INT("writes again", get(*state, "t1", "a@x"), JOURNAL_BEGUN);
	unlink(path); /* with the log of the old file left behind */
	journal_free((struct journal **)state);
	*state = open_journal(86400, 1000);
	CHECK_INT("fresh", get(*state, "t1", "a@x"), 0);
	/* The lock file too */
	h = hold(*state, "t2", "a@x", &row, &err);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
	CHECK_INT("new lock file", get(*state, "t3", "a@x"), 0);
	journal_release(&h);
}

static void
scribble(off_t offset, size_t len)
{
	char junk[512];
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	memset(junk, 0x5a, sizeof(junk));
	for (size_t i = 0; i < len; i += sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), offset + (off_t)i), sizeof(junk));
	close(fd);
}

/* Fills the file itself, not only its log. */
static void
fill(struct journal *journal)
{
	struct err err = ERR_INIT;
	sqlite3 *db = NULL;
	char addr[32];

	for (int i = 0; i < 400; i++) {
		snprintf(addr, sizeof(addr), "u%d@x", i);
		assert_int_equal(set(journal, "t", addr, JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	}
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The message that meets the damage is deferred, the next one goes on. */
static void
damaged(void **state)
{
	static const struct {
		const char *name;
		off_t offset;
		size_t len;
	} cases[] = {{"header", 0, 512}, {"all", 0, 40960}, {"pages", 4096, 36864}};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int deferred = 0;

		fill(*state);
		journal_free((struct journal **)state);
		*state = open_journal(86400, 1000);
		scribble(cases[i].offset, cases[i].len);
		while (deferred < 3 &&
			set(*state, "t", "u17@x", JOURNAL_BEGUN, NOW, &err) != RC_OK) {
			CHECK_INT(cases[i].name, err.code, ERR_JOURNAL);
			deferred++;
		}
		CHECK_INT(cases[i].name, deferred, 1);
		assert_true(exists(".damaged"));
		CHECK_INT(cases[i].name, get(*state, "t", "u17@x"), JOURNAL_BEGUN);
		CHECK_INT(cases[i].name, get(*state, "t", "u18@x"), 0);
	}
}

/* Damage that SQLite can't see: nobody becomes known by it. */
static void
turned_bit(void **state)
{
	struct err err = ERR_INIT;
	sqlite3 *db = NULL;

	assert_int_equal(set(*state, "t", "a@x", JOURNAL_BEGUN, NOW, &err), RC_OK);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "UPDATE rows SET flags = flags + 1", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	CHECK_INT("deferred", get(*state, "t", "a@x"), -1);
	assert_true(exists(".damaged"));
	CHECK_INT("healed", get(*state, "t", "a@x"), 0);
}

/* A path in the configuration that leads to something else. */
static void
somebody_elses(void **state)
{
	struct err err = ERR_INIT;
	char back[16] = "";
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	assert_int_equal(write(fd, "precious", 8), 8);
	for (int i = 0; i < 3; i++) {
		assert_int_not_equal(set(*state, "t", "a@x", 1, NOW, &err), RC_OK);
		CHECK_INT("not ours", err.code, ERR_JOURNAL);
	}
	assert_int_equal(pread(fd, back, sizeof(back), 0), 8);
	CHECK_STR("untouched", back, "precious");
	assert_false(exists(".damaged"));
	assert_int_equal(ftruncate(fd, 0), 0); /* an empty file is as good as none */
	CHECK_INT("empty", get(*state, "t", "a@x"), 0);
	close(fd);
}

static void
disk_full(void **state)
{
	struct rlimit old, little;
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;
	char addr[32];
	int i;

	assert_int_equal(set(*state, "t", "a@x", JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	little = old;
	little.rlim_cur = 65536;
	setrlimit(RLIMIT_FSIZE, &little);
	for (i = 0; i < 2000 && rc == RC_OK; i++) {
		snprintf(addr, sizeof(addr), "u%d@x", i);
		rc = set(*state, "t", addr, JOURNAL_ACCEPTED, NOW, &err);
	}
	CHECK_INT("full", rc, RC_TEMP);
	CHECK_INT("full", err.code, ERR_JOURNAL);
	assert_int_not_equal(set(*state, "t", addr, JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(set(*state, "t", addr, JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	CHECK_INT("healed", get(*state, "t", addr), JOURNAL_ACCEPTED);
	CHECK_INT("what was there", get(*state, "t", "a@x"), JOURNAL_ACCEPTED);
	CHECK_INT("what was there", get(*state, "t", "u0@x"), JOURNAL_ACCEPTED);
	assert_false(exists(".damaged"));
}

static void
expiry(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(set(*state, "t", "old@x", 1, NOW, &err), RC_OK);
	assert_int_equal(set(*state, "t", "kept@x", 1, NOW, &err), RC_OK);
	assert_int_equal(set(*state, "t", "kept@x", 1, NOW + 50000, &err), RC_OK);
	assert_int_equal(set(*state, "t", "new@x", 1, NOW + 86401, &err), RC_OK);
	CHECK_INT("old", get(*state, "t", "old@x"), 0);
	CHECK_INT("touched since", get(*state, "t", "kept@x"), 1);
	CHECK_INT("new", get(*state, "t", "new@x"), 1);
}

static void
oldest_first(void **state)
{
	struct err err = ERR_INIT;
	struct journal_stats stats;
	char addr[32];

	for (int i = 0; i < 2500; i++) {
		snprintf(addr, sizeof(addr), "u%d@x", i);
		assert_int_equal(set(*state, "t", addr, 1, NOW + i, &err), RC_OK);
	}
	assert_int_equal(journal_stats(path, &stats, &err), RC_OK);
	assert_true(stats.entries <= 1000 && stats.entries > 700);
	CHECK_INT("the newest", get(*state, "t", "u2499@x"), 1);
	CHECK_INT("one that went", get(*state, "t", "u1400@x"), 0);
	CHECK_INT("still there", get(*state, "t", "u1900@x"), 1);
}

/* Whoever only looks does not wait for whoever writes. */
static void
looking(void **state)
{
	struct err err = ERR_INIT;
	struct journal_row row;
	const char *addr = "a@x";
	sqlite3 *db = NULL;

	assert_true(journal_is_empty(*state));
	assert_int_equal(set(*state, "t", "a@x", JOURNAL_ACCEPTED, NOW, &err), RC_OK);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_false(journal_is_empty(*state));
	assert_int_equal(
		journal_look(*state, &(struct journal_mail){"t", 1, &addr, 1}, &row, &err), RC_OK);
	CHECK_INT("seen", row.flags, JOURNAL_ACCEPTED);
	assert_int_equal(
		journal_look(*state, &(struct journal_mail){"u", 1, &addr, 1}, &row, &err), RC_OK);
	CHECK_INT("another transaction", row.flags, 0);
	sqlite3_close(db);
	assert_int_equal(set(*state, "t", "a@x", 0, NOW, &err), RC_OK);
	assert_true(journal_is_empty(*state));
}

static enum journal_fault
crash_now(void *ctx, bool done)
{
	return done == *(bool *)ctx ? JOURNAL_CRASH : JOURNAL_NO_FAULT;
}

static void
crash(void **state)
{
	struct err err = ERR_INIT;
	bool done = false;

	for (int i = 0; i < 2; i++) {
		done = i == 1;
		journal_set_fault(*state, crash_now, &done);
		assert_int_equal(set(*state, "t", "a@x", 1, NOW, &err), RC_TEMP);
		assert_int_equal(get(*state, "t", "a@x"), -1);
		journal_free((struct journal **)state);
		*state = open_journal(86400, 1000);
		CHECK_INT(done ? "after" : "before", get(*state, "t", "a@x"), done ? 1 : 0);
	}
}

struct racer {
	pthread_t thread;
	struct journal *journal;
	int got, busy, bad;
};

static void *
race(void *arg)
{
	struct racer *racer = arg;
	struct err err = ERR_INIT;

	for (int i = 0; i < 200; i++) {
		struct journal_row row;
		char name[16];
		struct journal_hold *h;

		snprintf(name, sizeof(name), "t%d", i % 5);
		h = hold(racer->journal, name, "a@x", &row, &err);
		if (!h) {
			racer->busy += err.code == ERR_JOURNAL_BUSY;
			racer->bad += err.code != ERR_JOURNAL_BUSY;
			continue;
		}
		/* Alone with the row: what was read is what is there. */
		row.flags = row.flags == 1 ? 2 : 1;
		racer->bad += journal_put(h, &row, 1, NOW, &err) != RC_OK;
		racer->got++;
		journal_release(&h);
	}
	return NULL;
}

static void
threads(void **state)
{
	struct racer racers[6] = {0};
	int got = 0, bad = 0, busy = 0;

	for (int i = 0; i < 6; i++) {
		racers[i].journal = i % 2 ? open_journal(86400, 1000) : *state;
		pthread_create(&racers[i].thread, NULL, race, &racers[i]);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(racers[i].thread, NULL);
		got += racers[i].got;
		busy += racers[i].busy;
		bad += racers[i].bad;
		if (i % 2)
			journal_free(&racers[i].journal);
	}
	CHECK_INT("trouble", bad, 0);
	CHECK_INT("each had it or was told", got + busy, 1200);
	assert_true(got > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(rows_are_kept), TEST(no_addresses), TEST(one_at_a_time), TEST(many_at_a_time),
		TEST(owner_dies), TEST(deleted_under_us), TEST(damaged), TEST(turned_bit),
		TEST(somebody_elses), TEST(disk_full), TEST(expiry), TEST(oldest_first),
		TEST(looking), TEST(crash), TEST(threads)};

	log_open("journal_test", true);
	log_set_level(LOGL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
