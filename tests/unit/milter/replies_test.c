/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of messages that came encrypted. */
#include "milter/replies.h"

#include "base/clock.h"
#include "base/file.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#define ALICE "alice@ours.test"
#define BOB   "bob@ours.test"

static char dir[] = "/tmp/sealgate-replies-XXXXXX";

static struct replies *
make(const char *more)
{
	struct conf *conf;
	struct replies *replies;
	struct err err = ERR_INIT;
	char text[400];

	snprintf(text, sizeof(text),
		"organisation = { domains = \"ours.test\"; };\n"
		"services = ( { name = \"all\"; socket = \"unix:s\"; } );\n"
		"replies = { path = \"r.db\"; %s };\n",
		more);
	if (conf_parse(text, "test.conf", dir, &conf, &err) != RC_OK ||
		replies_new(conf, &replies, &err) != RC_OK)
		fail_msg("%s", err.detail);
	conf_unref(&conf);
	return replies;
}

static void
fields(struct hdrs *hdrs, const char *text)
{
	size_t used;

	assert_int_equal(hdrs_parse(text, strlen(text), hdrs, &used, NULL), RC_OK);
}

static enum rc
remember(struct replies *replies, const char *person, const char *id)
{
	struct hdrs hdrs;
	char text[400];
	enum rc rc;

	snprintf(text, sizeof(text), "Message-ID: %s\r\n\r\n", id);
	fields(&hdrs, text);
	rc = replies_remember(replies, person, &hdrs, NULL);
	hdrs_fini(&hdrs);
	return rc;
}

static enum rc
find(struct replies *replies, const char *person, const char *text)
{
	struct hdrs hdrs;
	enum rc rc;

	fields(&hdrs, text);
	rc = replies_find(replies, person, &hdrs, NULL);
	hdrs_fini(&hdrs);
	return rc;
}

static void
test_find(void **state)
{
	static const struct {
		const char *name, *person, *fields;
		enum rc want;
	} cases[] = {
		{"reply", ALICE, "In-Reply-To: <1@p>\r\n\r\n", RC_OK},
		{"other case of the person", "Alice@OURS.test", "In-Reply-To: <1@p>\r\n\r\n",
			RC_OK},
		{"thread", ALICE, "References: <0@p>\r\n\t<1@p>\r\n <2@p>\r\n\r\n", RC_OK},
		{"words around", ALICE, "In-Reply-To: Your mail of today <1@p> x\r\n\r\n", RC_OK},
		{"second field", ALICE, "References: <0@p>\r\nReferences: <1@p>\r\n\r\n", RC_OK},
		{"another's", BOB, "In-Reply-To: <1@p>\r\n\r\n", RC_NONE},
		{"another message", ALICE, "In-Reply-To: <11@p>\r\n\r\n", RC_NONE},
		{"other case of the id", ALICE, "In-Reply-To: <1@P>\r\n\r\n", RC_NONE},
		{"no brackets", ALICE, "In-Reply-To: 1@p\r\n\r\n", RC_NONE},
		{"open", ALICE, "In-Reply-To: <1@p\r\n\r\n", RC_NONE},
		{"none", ALICE, "Subject: <1@p>\r\n\r\n", RC_NONE},
		{"empty", ALICE, "In-Reply-To:\r\n\r\n", RC_NONE},
	};
	struct replies *replies = make(""), *again;

	(void)state;
	assert_int_equal(find(replies, ALICE, "In-Reply-To: <1@p>\r\n\r\n"), RC_NONE);
	assert_int_equal(remember(replies, ALICE, "<1@p>"), RC_OK);
	assert_int_equal(remember(replies, ALICE, "<1@p>"), RC_OK);
	assert_int_equal(remember(replies, ALICE, "none"), RC_OK);
	again = make(""); /* another process */
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_INT(cases[i].name, find(replies, cases[i].person, cases[i].fields),
			cases[i].want);
		CHECK_INT(cases[i].name, find(again, cases[i].person, cases[i].fields),
			cases[i].want);
	}
	replies_free(&again);
	replies_free(&replies);
}

/* Many ids: the last ones count. */
static void
test_many_ids(void **state)
{
	struct replies *replies = make("");
	struct buf text = BUF_INIT(0);

	(void)state;
	assert_int_equal(remember(replies, ALICE, "<1@p>"), RC_OK);
	buf_append_str(&text, "References:", NULL);
	for (int i = 0; i < 500; i++)
		buf_appendf(&text, NULL, "\r\n <x%d@p>", i);
	buf_append_str(&text, "\r\n <1@p>\r\n\r\n", NULL);
	assert_int_equal(find(replies, ALICE, buf_text(&text)), RC_OK);
	buf_fini(&text);
	replies_free(&replies);
}

static void
test_limits(void **state)
{
	struct replies *replies = make("max_age = \"1d\"; max_entries = 100;");
	char id[40];
	int found = 0;

	(void)state;
	clock_set(1000000);
	assert_int_equal(remember(replies, BOB, "<old@p>"), RC_OK);
	clock_set(1000000 + 86400);
	assert_int_equal(find(replies, BOB, "In-Reply-To: <old@p>\r\n\r\n"), RC_OK);
	clock_set(1000000 + 86401);
	assert_int_equal(find(replies, BOB, "In-Reply-To: <old@p>\r\n\r\n"), RC_NONE);
	for (int i = 0; i < 600; i++) {
		snprintf(id, sizeof(id), "<n%d@p>", i);
		clock_set(1100000 + i);
		assert_int_equal(remember(replies, BOB, id), RC_OK);
	}
	for (int i = 0; i < 600; i++) {
		snprintf(id, sizeof(id), "In-Reply-To: <n%d@p>\r\n\r\n", i);
		found += find(replies, BOB, id) == RC_OK;
	}
	if (found < 100 || found > 100 + 256)
		fail_msg("%d remembered", found);
	assert_int_equal(find(replies, BOB, "In-Reply-To: <n599@p>\r\n\r\n"), RC_OK);
	clock_set(-1);
	replies_free(&replies);
}

/* A file that is damaged or out of reach is trouble, never "no". */
static void
test_trouble(void **state)
{
	struct replies *replies;
	char path[100], other[100];

	(void)state;
	snprintf(path, sizeof(path), "%s/r.db", dir);
	snprintf(other, sizeof(other), "%s/away", dir);
	replies = make("");
	assert_int_equal(remember(replies, ALICE, "<2@p>"), RC_OK);
	replies_free(&replies);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(
		file_write(path, "this is no database, as anybody can see", 39, 0600, NULL), RC_OK);
	replies = make("");
	assert_int_equal(remember(replies, ALICE, "<3@p>"), RC_TEMP);
	assert_int_equal(find(replies, ALICE, "In-Reply-To: <2@p>\r\n\r\n"), RC_TEMP);
	/* no id to ask for: nothing to ask */
	assert_int_equal(find(replies, ALICE, "Subject: x\r\n\r\n"), RC_NONE);
	assert_int_equal(rename(other, path), 0); /* healed without a restart */
	assert_int_equal(find(replies, ALICE, "In-Reply-To: <2@p>\r\n\r\n"), RC_OK);
	replies_free(&replies);
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	static const char *const names[] = {"r.db", "r.db-wal", "r.db-shm", "away"};
	char path[100];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_find),
		cmocka_unit_test(test_many_ids), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_trouble)};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
