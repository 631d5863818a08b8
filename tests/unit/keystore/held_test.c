/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decisions that are held back: what becomes of frames in every case, and with the real server that
 * each one comes into the ledger, whatever takes it there.
 */
#include "keystore/held.h"

#include "keystore/client.h"
#include "tests/unit/keystore/vault_world.h"

#include <glob.h>
#include <pthread.h>
#include <time.h>

#define PATIENCE_MS 20000

static void
frame_of(struct buf *frame, const char *text)
{
	buf_clear(frame);
	assert_int_equal(buf_append_str(frame, text, NULL), RC_OK);
}

static int sent;

static void
count_send(void *ctx)
{
	struct buf out = BUF_INIT(0);

	held_gone(ctx, held_take(ctx, &out));
	__atomic_add_fetch(&sent, (int)out.len, __ATOMIC_RELAXED);
	buf_fini(&out);
}

static void
never_send(void *ctx)
{
	(void)ctx;
}

static void
test_held(void **state)
{
	struct buf frame = BUF_INIT(0), out = BUF_INIT(0), large = BUF_INIT(0);
	struct held held;

	(void)state;
	held_init(&held);
	frame_of(&frame, "one");
	assert_false(held_add(&held, &frame)); /* not started */
	held_start(&held, never_send, NULL);
	assert_true(held_add(&held, &frame));
	frame_of(&frame, "two");
	assert_true(held_add(&held, &frame));
	CHECK_INT("all of them", held_take(&held, &out), 6);
	CHECK_STR("in order", buf_text(&out), "onetwo");
	CHECK_INT("nothing left", held_take(&held, &large), 0);
	/* What comes back stays, and nothing joins it. */
	assert_true(held_back(&held, &out, 3));
	assert_false(held_back(&held, &out, 3));
	assert_false(held_add(&held, &frame));
	buf_clear(&out);
	CHECK_INT("both", held_take(&held, &out), 6);
	assert_false(held_add(&held, &frame));
	held_gone(&held, 6);
	assert_true(held_add(&held, &frame));
	/* Full. */
	for (size_t i = 0; i < HELD_MAX; i++)
		assert_int_equal(buf_append_char(&large, 'x', NULL), RC_OK);
	assert_false(held_add(&held, &large));
	held_stop(&held);
	assert_false(held_add(&held, &frame));
	buf_clear(&out);
	CHECK_INT("left at the end", held_take(&held, &out), 3);
	held_fini(&held);
	buf_fini(&frame);
	buf_fini(&large);
	buf_fini(&out);
}

static void
pause_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* A frame goes by itself, also after the thread has gone to sleep. */
static void
test_by_itself(void **state)
{
	struct buf frame = BUF_INIT(0);
	struct held held;

	(void)state;
	held_init(&held);
	held_start(&held, count_send, &held);
	frame_of(&frame, "x");
	for (int i = 1; i <= 3; i++) {
		assert_true(held_add(&held, &frame));
		for (int ms = 0; __atomic_load_n(&sent, __ATOMIC_RELAXED) < i; ms += 5) {
			assert_true(ms < PATIENCE_MS);
			pause_ms(5);
		}
		pause_ms(i == 2 ? 12L * HELD_MS : 0);
	}
	held_fini(&held);
	buf_fini(&frame);
}

/* Decisions in the ledger whose claim has this queue id. */
static size_t
decisions(const struct world *w, const char *qid)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	char pattern[160], name[80];
	size_t n = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/ledger/*.jsonl", w->dir);
	snprintf(name, sizeof(name), "\"qid\":\"%s\"", qid);
	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		buf_clear(&text);
		MUST(file_read(found.gl_pathv[i], &text, &err));
		for (char *line = text.data; line && *line; line++) {
			char *end = strchr(line, '\n');

			if (!end)
				break;
			*end = '\0';
			n += strstr(line, "\"type\":\"decision\"") && strstr(line, name);
			line = end;
		}
	}
	globfree(&found);
	buf_fini(&text);
	return n;
}

static enum rc
record(struct vault_client *client, const char *qid, struct err *err)
{
	const struct vault_claim claim = {.qid = qid, .sender = "alice@example.org"};

	return vault_record(client, "sealed", &claim, "{\"signed\":true}", err);
}

static struct vault_client *
holder(const struct world *w)
{
	struct vault_client *client;
	struct err err = ERR_INIT;

	MUST(vault_client_new(w->conf, "all", &client, &err));
	vault_client_hold(client);
	return client;
}

/* With a request, with many of them, at the end. */
static void
test_ways(void **state)
{
	struct vault_client *client;
	struct err err = ERR_INIT;
	struct world w;
	bool mine;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	client = holder(&w);
	MUST(record(client, "first", &err));
	MUST(vault_ping(client, &err));
	for (int i = 0; i < 100; i++)
		MUST(record(client, "many", &err));
	for (int i = 0; i < 3; i++)
		CHECK_INT("holds", vault_holds(client, i ? "x@y.org" : "a@b.org", &mine, &err),
			RC_NONE);
	MUST(record(client, "flushed", &err));
	vault_client_flush(client);
	MUST(record(client, "at once", &err));
	MUST(vault_ping(client, &err));
	vault_client_free(&client);
	client = holder(&w);
	MUST(record(client, "last", &err));
	vault_client_free(&client);
	world_stop(&w);
	CHECK_INT("with a request", decisions(&w, "first"), 1);
	CHECK_INT("many", decisions(&w, "many"), 100);
	CHECK_INT("flushed", decisions(&w, "flushed"), 1);
	CHECK_INT("not held", decisions(&w, "at once"), 1);
	CHECK_INT("at the end", decisions(&w, "last"), 1);
	world_fini(&w);
}

/* The vault goes away with decisions on their way to it: no more are taken until they are through,
 * and none is lost. */
static void
test_vault_gone(void **state)
{
	struct vault_client *client;
	struct err err = ERR_INIT;
	struct world w;
	int taken = 0;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	client = holder(&w);
	MUST(vault_ping(client, &err));
	world_stop(&w);
	for (int ms = 0; record(client, "gone", &err) == RC_OK; ms += 10) {
		taken++;
		assert_true(ms < PATIENCE_MS);
		pause_ms(10);
	}
	CHECK_INT("code", err.code, ERR_VAULT_DOWN);
	REFUSED(record(client, "refused", &err), ERR_VAULT_DOWN);
	REFUSED(vault_ping(client, &err), ERR_VAULT_DOWN);
	REFUSED(record(client, "refused", &err), ERR_VAULT_DOWN);
	world_start(&w);
	MUST(record(client, "back", &err));
	vault_client_free(&client);
	world_stop(&w);
	assert_true(taken > 0);
	CHECK_INT("none lost", decisions(&w, "gone"), taken);
	CHECK_INT("back", decisions(&w, "back"), 1);
	CHECK_INT("what was refused is not there", decisions(&w, "refused"), 0);
	world_fini(&w);
}

static void *
talk_a_lot(void *ctx)
{
	struct err err = ERR_INIT;
	bool mine;

	for (int i = 0; i < 50; i++) {
		char addr[40];

		MUST(record(ctx, "crowd", &err));
		snprintf(addr, sizeof(addr), "a%d@b%lu.org", i, (unsigned long)pthread_self());
		CHECK_INT("holds", vault_holds(ctx, addr, &mine, &err), RC_NONE);
	}
	return NULL;
}

static void
test_crowd(void **state)
{
	struct vault_client *client;
	pthread_t threads[8];
	struct world w;

	(void)state;
	world_init(&w, NULL);
	world_start(&w);
	client = holder(&w);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk_a_lot, client), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	vault_client_free(&client);
	world_stop(&w);
	CHECK_INT("crowd", decisions(&w, "crowd"), 400);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_held),
		cmocka_unit_test(test_by_itself), cmocka_unit_test(test_ways),
		cmocka_unit_test(test_vault_gone), cmocka_unit_test(test_crowd)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
