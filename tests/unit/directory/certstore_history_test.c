/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/certstore_private.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/directory/people.h"

struct world {
	struct people people;
	char dir[64], path[128];
	struct certstore *store;
	struct buf told; /* what a walk or a history gave, a word each */
	struct cert *cert;
};

#define CAROL "carol@example.org"

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = ERR_INIT;

	clock_set(TEST_NOW);
	people_init(&w->people);
	buf_init(&w->told, 0);
	strcpy(w->dir, "/tmp/certhist_test.XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/certs.db", w->dir);
	assert_int_equal(certstore_open(w->path, true, &w->store, &err), RC_OK);
	w->cert = people_cert(&w->people, CAROL, 100, CERT_ENCRYPT);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	cert_unref(&w->cert);
	certstore_close(&w->store);
	unlink(w->path);
	rmdir(w->dir);
	buf_fini(&w->told);
	people_fini(&w->people);
	free(w);
	return 0;
}

static enum certadded
put(struct world *w, const char *addr, enum tier tier, const char *source, const char *why)
{
	struct err err = ERR_INIT;
	enum certadded added = CERTADDED_NEW;
	struct certrow row = {.cert = w->cert,
		.addr = (char *)(uintptr_t)addr,
		.source = (char *)(uintptr_t)source,
		.vouched = (char *)(uintptr_t) "root",
		.why = (char *)(uintptr_t)why,
		.tier = tier};

	if (certstore_put(w->store, &row, &added, &err) != RC_OK)
		fail_msg("%s: %s", addr, err.detail);
	return added;
}

/* "added:admin:why " … */
static enum rc
tell(void *ctx, const struct certhistory *event, struct err *err)
{
	static const char *const names[] = {"", "added", "pinned", "unpinned", "forgotten", "used"};
	struct world *w = ctx;

	return buf_appendf(&w->told, err, "%s:%s:%s:%lld ", names[event->what], event->source,
		event->why, (long long)(event->at - TEST_NOW));
}

static const char *
history(struct world *w, const char *addr, const char *fingerprint)
{
	struct err err = ERR_INIT;

	buf_clear(&w->told);
	if (certstore_history(w->store, addr, fingerprint, tell, w, &err) == RC_TEMP)
		fail_msg("history: %s", err.detail);
	return buf_text(&w->told);
}

/* Everything that is done to a certificate stays in the history of its address, in order. */
static void
test_history(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certword word = {.who = "root", .why = "by\033[31m phone\xc2\x9b"};
	const char *fpr = cert_fingerprint(w->cert);

	CHECK_STR("nothing", history(w, CAROL, NULL), "");
	CHECK_INT("new", put(w, CAROL, TIER_HARVESTED, "harvest", "m1"), CERTADDED_NEW);
	clock_set(TEST_NOW + 10);
	CHECK_INT("seen again", put(w, CAROL, TIER_HARVESTED, "harvest", "m1"), CERTADDED_KNOWN);
	CHECK_INT("a better word", put(w, CAROL, TIER_DIRECTORY, "admin", "a"), CERTADDED_CHANGED);
	CHECK_INT("a worse one", put(w, CAROL, TIER_HARVESTED, "harvest", "m2"), CERTADDED_KNOWN);
	clock_set(TEST_NOW + 20);
	CHECK_INT("pin", certstore_pin(w->store, fpr, NULL, true, &word, &err), RC_OK);
	CHECK_INT("pin again", certstore_pin(w->store, fpr, NULL, true, &word, &err), RC_OK);
	clock_set(TEST_NOW + 30);
	CHECK_INT("not there", certstore_forget(w->store, fpr, "dave@x.org", NULL, &err), RC_NONE);
	CHECK_INT("forget", certstore_forget(w->store, fpr, CAROL, NULL, &err), RC_OK);
	CHECK_STR("all of it", history(w, "CAROL@Example.org", NULL),
		"added:harvest:m1:0 added:admin:a:10 pinned::by?[31m phone?:20 forgotten:::30 ");
	CHECK_STR("by fingerprint", history(w, NULL, fpr), buf_text(&w->told));
	CHECK_STR("another's", history(w, "dave@example.org", NULL), "");
	CHECK_INT("erase", certstore_erase(w->store, fpr, &err), RC_OK);
	CHECK_STR("nothing is left", history(w, NULL, NULL), "");
	CHECK_INT("erase again", certstore_erase(w->store, fpr, &err), RC_NONE);
}

/* An address cannot fill the store with events. */
static void
test_bounded(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	size_t n = 0;

	put(w, CAROL, TIER_DIRECTORY, "admin", "");
	put(w, "dave@example.org", TIER_DIRECTORY, "admin", "");
	for (int i = 0; i < 2 * CERTSTORE_MAX_EVENTS; i++) {
		clock_set(TEST_NOW + i);
		assert_int_equal(certstore_pin(w->store, cert_fingerprint(w->cert), CAROL,
					 i % 2 == 0, NULL, &err),
			RC_OK);
	}
	for (const char *c = history(w, CAROL, NULL); *c; c++)
		n += *c == ' ';
	CHECK_INT("events, and the word that holds", n, CERTSTORE_MAX_EVENTS + 1);
	CHECK_STR("another's is whole", history(w, "dave@example.org", NULL), "added:admin::0 ");
}

/* A word is cut between characters. */
static void
test_long_word(void **state)
{
	struct world *w = *state;
	struct certrow *rows;
	struct err err = ERR_INIT;
	char why[3 * CERTSTORE_MAX_WORD];
	size_t n;

	why[0] = 'x'; /* then characters of two bytes, so that the limit falls into one */
	for (size_t i = 1; i + 2 < sizeof(why); i += 2)
		memcpy(why + i, "\xc3\xa9", 3);
	put(w, CAROL, TIER_DIRECTORY, "admin", why);
	assert_int_equal(certstore_find(w->store, CAROL, &rows, &n, &err), RC_OK);
	CHECK_INT("cut", strlen(rows[0].why), CERTSTORE_MAX_WORD - 1);
	certrows_free(&rows, n);
}

/* Uses are written once a day for each certificate and address, without moving the generation. */
static void
test_used(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	int64_t before = 0, after = 0;

	assert_int_equal(certstore_generation(w->store, &before, &err), RC_OK);
	for (int day = 0; day < 3; day++)
		for (int i = 0; i < 5; i++) {
			clock_set(TEST_NOW + day * DAY + i);
			certstore_used(w->store, CAROL, w->cert, "ldap:univ");
		}
	CHECK_STR("not yet", history(w, CAROL, NULL), "");
	CHECK_INT("written", certstore_used_flush(w->store, &err), RC_OK);
	CHECK_STR("used", history(w, CAROL, NULL), "used:ldap:univ::0 ");
	assert_int_equal(certstore_generation(w->store, &after, &err), RC_OK);
	CHECK_INT("caches keep", after, before);
	certstore_used(w->store, "dave@example.org", w->cert, "store");
	certstore_close(&w->store);
	assert_int_equal(certstore_open(w->path, false, &w->store, &err), RC_OK);
	CHECK_STR(
		"written at the end", history(w, "dave@example.org", NULL), "used:store::172804 ");
	CHECK_STR("of both", history(w, NULL, cert_fingerprint(w->cert)),
		"used:ldap:univ::0 used:store::172804 ");
}

/* All of a batch or nothing. */
static void
test_batch(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct certrow *rows;
	size_t n;

	assert_int_equal(certstore_batch(w->store, &err), RC_OK);
	put(w, CAROL, TIER_DIRECTORY, "admin", "");
	CHECK_INT("taken back", certstore_batch_end(w->store, RC_PERM, &err), RC_PERM);
	CHECK_INT("not there", certstore_find(w->store, CAROL, &rows, &n, &err), RC_NONE);
	assert_int_equal(certstore_batch(w->store, &err), RC_OK);
	put(w, CAROL, TIER_DIRECTORY, "admin", "");
	put(w, "dave@example.org", TIER_DIRECTORY, "admin", "");
	CHECK_INT("kept", certstore_batch_end(w->store, RC_OK, &err), RC_OK);
	CHECK_INT("there", certstore_find(w->store, CAROL, &rows, &n, &err), RC_OK);
	certrows_free(&rows, n);
	/* A part that failed takes the rest with it. */
	assert_int_equal(certstore_begin(w->store, &err), RC_OK);
	put(w, "erin@example.org", TIER_DIRECTORY, "admin", "");
	assert_int_equal(certstore_begin(w->store, &err), RC_OK);
	CHECK_INT("inner", certstore_end(w->store, RC_TEMP, &err), RC_TEMP);
	CHECK_INT("outer", certstore_end(w->store, RC_OK, &err), RC_TEMP);
	CHECK_INT("gone", certstore_find(w->store, "erin@example.org", &rows, &n, &err), RC_NONE);
}

struct walk {
	struct world *w;
	char last[64];
	size_t n, stop;
};

static enum rc
walk(void *ctx, const struct certrow *row, struct err *err)
{
	struct walk *walk = ctx;

	if (strcmp(walk->last, row->addr) >= 0)
		fail_msg("%s after %s", row->addr, walk->last);
	snprintf(walk->last, sizeof(walk->last), "%s", row->addr);
	if (++walk->n == walk->stop)
		return err_set(err, ERR_LIMIT, "enough");
	if (walk->n == 300) /* the store may be changed meanwhile */
		put(walk->w, "zoe@example.org", TIER_DIRECTORY, "admin", "");
	return RC_OK;
}

static void
test_each(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct walk all = {.w = w}, some = {.w = w, .stop = 7};
	char addr[40];

	CHECK_INT("empty", certstore_each(w->store, walk, &all, &err), RC_OK);
	CHECK_INT("empty", all.n, 0);
	assert_int_equal(certstore_batch(w->store, &err), RC_OK);
	for (int i = 0; i < 1000; i++) {
		snprintf(addr, sizeof(addr), "p%04d@example.org", i);
		put(w, addr, TIER_DIRECTORY, "admin", "");
	}
	assert_int_equal(certstore_batch_end(w->store, RC_OK, &err), RC_OK);
	CHECK_INT("all", certstore_each(w->store, walk, &all, &err), RC_OK);
	CHECK_INT("all, and one that came meanwhile", all.n, 1001);
	CHECK_INT("stopped", certstore_each(w->store, walk, &some, &err), RC_PERM);
	CHECK_INT("stopped", some.n, 7);
}

/* The beginning of a fingerprint as a range of all that begin so. */
static void
test_prefix(void **state)
{
	static const struct {
		const char *prefix;
		bool ok;
		unsigned char low[3], high[3];
	} cases[] = {{"0123", true, {0x01, 0x23, 0x00}, {0x01, 0x23, 0xff}},
		{"ABCDE", true, {0xab, 0xcd, 0xe0}, {0xab, 0xcd, 0xef}},
		{"ffffff", true, {0xff, 0xff, 0xff}, {0xff, 0xff, 0xff}}, {"abc", false, {0}, {0}},
		{"abcg", false, {0}, {0}}, {"", false, {0}, {0}}};
	unsigned char low[SHA256_SIZE], high[SHA256_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_INT(
			cases[i].prefix, certstore_prefix(cases[i].prefix, low, high), cases[i].ok);
		if (cases[i].ok &&
			(memcmp(low, cases[i].low, 3) || memcmp(high, cases[i].high, 3) ||
				low[31] != 0 || high[31] != 0xff))
			fail_msg("%s: another range", cases[i].prefix);
	}
}

/* A store of a later program is refused in words, not taken for an empty one. */
static void
test_version(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	assert_int_equal(
		sqlite3_exec(w->store->db, "PRAGMA user_version = 7", NULL, NULL, NULL), SQLITE_OK);
	certstore_close(&w->store);
	CHECK_INT("refused", certstore_open(w->path, true, &w->store, &err), RC_TEMP);
	assert_non_null(strstr(err.detail, "version 7; this program knows version "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_history, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_word, setup, teardown),
		cmocka_unit_test_setup_teardown(test_used, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test_setup_teardown(test_version, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
