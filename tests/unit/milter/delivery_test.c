/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ends that a try can come to, one case each; what chance finds is delivery_prop's.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include "milter/delivery.h"

#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

#define MAX 6

static char dir[64], path[96];
static struct journal *journal;

/* What the port and the copies do in one try: for each recipient a code; 0 is no reply to the end
 * of data, -1 the port is down. */
struct peer {
	int codes[MAX];
	int makes[MAX]; /* for each copy: 0 fine, 4 later, 5 never */
	int stop_after; /* copies; -1: never */
	int limit;      /* recipients taken at a time; 0: all */
	char sent[200]; /* "0:a 1:bc" */
	int copies;
	int alive;
};

static enum rc
op_make(void *ctx, size_t copy, struct err *err)
{
	struct peer *peer = ctx;

	assert_int_equal(peer->alive, 0);
	if (peer->makes[copy] == 4)
		return err_set(err, ERR_VAULT_DOWN, "made to fail");
	if (peer->makes[copy] == 5)
		return err_set(err, ERR_POLICY_NO_SIGNER, "made to fail");
	peer->alive++;
	peer->copies++;
	return RC_OK;
}

static enum rc
op_send(void *ctx, size_t copy, struct delivery_rcpt *rcpts, const size_t *who, size_t n,
	bool *in_doubt, struct err *err)
{
	struct peer *peer = ctx;
	int taken = 0;

	snprintf(peer->sent + strlen(peer->sent), sizeof(peer->sent) - strlen(peer->sent),
		"%s%zu:", *peer->sent ? " " : "", copy);
	for (size_t i = 0; i < n; i++) {
		struct delivery_rcpt *rcpt = &rcpts[who[i]];
		int code = peer->codes[who[i]];

		snprintf(peer->sent + strlen(peer->sent), sizeof(peer->sent) - strlen(peer->sent),
			"%c", rcpt->addr[0]);
		if (code <= 0) {
			*in_doubt = code == 0;
			return err_set(err, ERR_TIMEOUT, "made to fail");
		}
		if (peer->limit && taken == peer->limit)
			code = 452;
		taken += code == 250;
		rcpt->code = code;
		snprintf(rcpt->enhanced, sizeof(rcpt->enhanced), "%d.0.0", code / 100);
		snprintf(rcpt->text, sizeof(rcpt->text), "said so");
	}
	return RC_OK;
}

static void
op_drop(void *ctx, size_t copy)
{
	(void)copy;
	((struct peer *)ctx)->alive--;
}

static bool
op_stop(void *ctx)
{
	struct peer *peer = ctx;

	return peer->stop_after >= 0 && peer->copies >= peer->stop_after;
}

static int64_t
op_now(void *ctx)
{
	(void)ctx;
	return 1800000000;
}

static const struct delivery_ops ops = {
	.make = op_make, .send = op_send, .drop = op_drop, .stop = op_stop, .now = op_now};

static const char *const ends[] = {"done", "report", "refuse", "defer"};

/*
 * One try to the recipients in WHO: a letter with the number of its copy each, x for refused by
 * the rules: "a0 b0 c1 dx". Gives how it ends and whom it blames: "defer c". With KEEP the entry
 * stays open however it ends.
 */
static const char *
try(const char *who, struct peer *peer, bool keep)
{
	static char out[40];
	struct delivery_rcpt rcpts[MAX] = {0};
	struct delivery_key key = {.service = "all", .sender = "s@x", .message_id = "<1@x>"};
	struct delivery *delivery = NULL;
	struct err err = ERR_INIT;
	char addrs[MAX][8];
	enum delivery_end end;
	size_t n = 0, blamed = 0;

	for (const char *p = who; *p; p += p[2] ? 3 : 2, n++) {
		snprintf(addrs[n], sizeof(addrs[n]), "%c@x", p[0]);
		rcpts[n].addr = addrs[n];
		rcpts[n].copy = p[1] == 'x' ? DELIVERY_NO_COPY : (size_t)(p[1] - '0');
		rcpts[n].code = p[1] == 'x' ? 550 : 0;
	}
	*peer->sent = '\0';
	peer->copies = 0;
	if (delivery_open(journal, &key, rcpts, n, "Q", &delivery, &err) != RC_OK)
		return err_name(err.code);
	assert_int_equal(delivery_run(delivery, &ops, peer, &err), RC_OK);
	assert_int_equal(peer->alive, 0);
	end = delivery_end(delivery, &blamed);
	snprintf(out, sizeof(out), "%s%s%c", ends[end], end == DELIVERY_DONE ? "" : " ",
		end == DELIVERY_DONE ? '\0' : rcpts[blamed].addr[0]);
	for (size_t i = 0; i < n; i++)
		assert_true(rcpts[i].code >= 200 && rcpts[i].code < 600);
	if (end == DELIVERY_REPORT)
		for (size_t i = 0; i < n; i++)
			if (rcpts[i].code / 100 == 5 && !(rcpts[i].told & JOURNAL_REPORTED))
				assert_int_equal(delivery_told(delivery, &i, 1, JOURNAL_REPORTED,
							 1800000000, NULL),
					RC_OK);
	if (end != DELIVERY_DEFER && !keep)
		assert_int_equal(delivery_close(delivery, NULL), RC_OK);
	delivery_free(&delivery);
	return out;
}

#define FINE(...) \
	(&(struct peer){.codes = {250, 250, 250, 250, 250, 250}, .stop_after = -1, __VA_ARGS__})
#define CODES(...) (&(struct peer){.codes = {__VA_ARGS__}, .stop_after = -1})

/* One try after the other against the same journal. */
struct step {
	const char *who;
	struct peer peer;
	bool keep;
	const char *end, *sent;
};
struct story {
	const char *name;
	struct step steps[4];
};

#define P(...)                                             \
	{                                                  \
		.stop_after = -1, .codes = { __VA_ARGS__ } \
	}
#define OK6 250, 250, 250, 250, 250, 250
#pragma GCC diagnostic ignored "-Woverride-init"

static const struct story stories[] = {
	{"all accepted", {{"a0 b0 c1", P(OK6), false, "done", "0:ab 1:c"},
				 {"a0 b0 c1", P(OK6), false, "done", "0:ab 1:c"}}},
	{"one later", {{"a0 b1 c1", P(250, 450, 250), false, "defer b", "0:a 1:bc"},
			      {"a0 b1 c1", P(OK6), false, "done", "1:b"},
			      {"a0 b1 c1", P(OK6), false, "done", "0:a 1:bc"}}},
	{"one never", {{"a0 b0 c1", P(250, 550, 250), false, "report b", "0:ab 1:c"}}},
	{"one never, one later",
		{{"a0 b0 c1", P(250, 550, 450), false, "defer c", "0:ab 1:c"},
			{"a0 b0 c1", P(250, 550, 250), false, "report b", "0:b 1:c"}}},
	{"none ever", {{"a0 b1", P(550, 551), false, "refuse a", "0:a 1:b"}}},
	{"refused by the rules", {{"a0 bx", P(250), false, "report b", "0:a"},
					 {"ax bx", P(0), false, "refuse a", ""}}},
	{"reported already", {{"a0 b0", P(250, 550), true, "report b", "0:ab"},
				     {"a0 b0", P(OK6), false, "done", ""}}},
	{"reported, alone now", {{"a0 b0", P(250, 550), true, "report b", "0:ab"},
					{"b0", P(OK6), false, "done", ""}}},
	{"in doubt", {{"a0 b1", P(0, 250), false, "defer a", "0:a"},
			     {"a0 b1", P(OK6), false, "done", "1:b 0:a"}}},
	{"in doubt, then not now",
		{{"a0", P(0), false, "defer a", "0:a"}, {"a0", P(450), false, "defer a", "0:a"},
			{"a0 b1", P(OK6), false, "done", "1:b 0:a"}}},
	{"port down", {{"a0 b1", P(-1, 250), false, "defer a", "0:a"},
			      {"a0 b1", P(OK6), false, "done", "0:a 1:b"}}},
	{"not to be made now", {{"a0 b1", {.stop_after = -1, .codes = {OK6}, .makes = {4}}, false,
					"defer a", "1:b"},
				       {"a0 b1", P(OK6), false, "done", "0:a"}}},
	{"never to be made", {{"a0 b1", {.stop_after = -1, .codes = {OK6}, .makes = {5}}, false,
				     "report a", "1:b"}}},
	{"out of time",
		{{"a0 b1 c2", {.stop_after = 1, .codes = {OK6}}, false, "defer b", "0:a"},
			{"a0 b1 c2", {.stop_after = 1, .codes = {OK6}}, false, "defer c", "1:b"},
			{"a0 b1 c2", P(OK6), false, "done", "2:c"}}},
	{"so many at a time", {{"a0 b0 c0 d0 e0", {.stop_after = -1, .limit = 2, .codes = {OK6}},
				      false, "done", "0:abcde 0:cde 0:e"}}},
	{"no room", {{"a0 b0", P(452, 452), false, "defer a", "0:ab"}}},
	{"named twice", {{"a0 b0 a0 a1", P(OK6), false, "done", "0:ab"},
				{"a0 b0 a0", P(450, 250), false, "defer a", "0:ab"},
				{"a1 a1", P(OK6), false, "done", "1:a"}}},
	{"others", {{"a0 b0", P(250, 450), false, "defer b", "0:ab"},
			   {"c0 a1", P(OK6), false, "done", "0:c"},
			   {"b0", P(OK6), false, "done", "0:b"}}},
	{"other groups", {{"a0 b0 c0", P(250, 450, 450), false, "defer b", "0:abc"},
				 {"a2 b1 c0", P(OK6), false, "done", "0:c 1:b"}}},
	{"refused by now", {{"a0 b0", P(250, 450), false, "defer b", "0:ab"},
				   {"ax bx", P(0), false, "report b", ""}}},
	{"a bad answer",
		{{"a0", P(354), false, "defer a", "0:a"}, {"a0", P(99), false, "defer a", "0:a"},
			{"a0", P(OK6), false, "done", "0:a"}}},
};

static void
test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(*stories); i++) {
		for (size_t k = 0; k < 4 && stories[i].steps[k].who; k++) {
			const struct step *step = &stories[i].steps[k];
			struct peer peer = step->peer;
			char name[80];

			snprintf(name, sizeof(name), "%s, try %zu", stories[i].name, k + 1);
			CHECK_STR(name, try(step->who, &peer, step->keep), step->end);
			CHECK_STR(name, peer.sent, step->sent);
		}
		/* Whatever a story leaves open is another's matter. */
		assert_string_equal(try("a0 b0 c0 d0 e0 f0", FINE(.limit = 0), false), "done");
	}
}

/* While a try is under way, another is put off, and one for others is not. */
static void
test_busy(void **state)
{
	struct delivery_key key = {.service = "all", .sender = "s@x", .message_id = "<1@x>"};
	struct delivery_rcpt rcpt = {.addr = "a@x"};
	struct delivery *delivery;

	(void)state;
	assert_int_equal(delivery_open(journal, &key, &rcpt, 1, NULL, &delivery, NULL), RC_OK);
	CHECK_STR("the same", try("b0 a0", CODES(OK6), false), "journal-busy");
	CHECK_STR("others", try("b0 c0", CODES(OK6), false), "done");
	delivery_free(&delivery);
	CHECK_STR("afterwards", try("b0 a0", CODES(OK6), false), "done");
}

/* Everything in the key counts. */
static void
test_key(void **state)
{
	static const struct delivery_key keys[] = {
		{"all", "s@x", NULL, "<1@x>", NULL, {0}},
		{"mx", "s@x", NULL, "<1@x>", NULL, {0}},
		{"all", "t@x", NULL, "<1@x>", NULL, {0}},
		{"all", "s@x", "login", "<1@x>", NULL, {0}},
		{"all", "s@x", "", "<1@x>", NULL, {0}},
		{"all", "s@x", NULL, "<2@x>", NULL, {0}},
		{"all", "s@x", NULL, NULL, "<1@x>", {0}},
		{"all", "s@x", NULL, "<1@x>", "e", {0}},
		{"all", "s@x", NULL, "<1@x>", NULL, {1}},
		{"all", "s@x<1@x>", NULL, "", NULL, {0}},
	};
	const char *addr = "a@x";
	size_t n = sizeof(keys) / sizeof(*keys);

	(void)state;
	assert_string_equal(try("a0 b1", CODES(250, 450), false), "defer b"); /* of keys[0] */
	for (size_t i = 0; i < n; i++)
		CHECK_INT("known", delivery_was_begun(journal, &keys[i], &addr, 1), i == 0);
	assert_string_equal(try("a0 b1", CODES(OK6), false), "done");
	CHECK_INT("closed", delivery_was_begun(journal, &keys[0], &addr, 1), false);
	CHECK_INT("empty", journal_is_empty(journal), true);
}

static int
setup(void **state)
{
	struct journal_conf conf = {
		.path = path, .max_age = 86400, .max_entries = 1000, .unsynced = true};

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/delivery-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal.db", dir);
	return journal_new(&conf, &journal, NULL);
}

static int
teardown(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm", ".lock"};
	char name[160];

	(void)state;
	journal_free(&journal);
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stories, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key, setup, teardown)};

	log_open("delivery_test", true);
	log_set_level(LOGL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
