/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/stamp.h"

#include "base/file.h"
#include "message/classify.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400
#define NOW 1795000000

static char dir[] = "/tmp/sealgate-stamp.XXXXXX";

/* A file of keys made of the digits in FILLS, one key for each, and what they are loaded as. */
static enum rc
load(const char *fills, const char *extra, mode_t mode, struct stamp_keys **out, struct err *err)
{
	static const char text[] = "organisation = { domains = \"ours.test\"; };\n"
				   "stamp = { key_file = \"stamp.key\"; };\n";
	struct conf *conf = NULL;
	char path[100], keys[2000] = "";
	enum rc rc;

	for (const char *p = fills; *p; p++) {
		char line[66];

		memset(line, *p, 64);
		strcpy(line + 64, "\n");
		strcat(keys, line);
	}
	strcat(keys, extra);
	snprintf(path, sizeof(path), "%s/stamp.key", dir);
	assert_int_equal(file_write(path, keys, strlen(keys), mode, NULL), RC_OK);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(conf_parse(text, "test", dir, &conf, NULL), RC_OK);
	rc = stamp_keys_load(conf, out, err);
	conf_unref(&conf);
	unlink(path);
	return rc;
}

static struct stamp_keys *
keys_of(const char *fills)
{
	struct stamp_keys *keys = NULL;

	assert_int_equal(load(fills, "", 0400, &keys, NULL), RC_OK);
	return keys;
}

static struct msg *
message(const char *text)
{
	struct spool_conf conf = {.dir = dir, .memory = 1 << 20, .max = 1 << 24};
	struct msg *msg = NULL;
	size_t used;

	assert_int_equal(msg_new(&conf, &msg, NULL), RC_OK);
	hdrs_fini(&msg->hdrs);
	assert_int_equal(hdrs_parse(text, strlen(text), &msg->hdrs, &used, NULL), RC_OK);
	assert_int_equal(spool_append(msg->body, text + used, strlen(text + used), NULL), RC_OK);
	return msg;
}

#define LETTER                                                                       \
	"From: Alice <alice@ours.test>\r\nTo: carol\r\nSubject: a\r\n long  one\r\n" \
	"Date: Sat, 21 Nov 2026 22:14:03 +0000\r\nContent-Type: text/plain\r\n\r\nbody\r\n"

static const struct stamp alice = {.service = "submission",
	.identity = "alice; m=\n x@ours.test",
	.client = "2001:db8::1",
	.right = TRI_YES,
	.time = NOW};

/* LETTER's stamp put on top of AFTER, and what it is found to be. */
static enum stamp_state
carried(const struct stamp_keys *made, const struct stamp_keys *found, const char *letter,
	const char *after, int64_t later, struct stamp *out)
{
	struct msg *before = message(letter), *msg = message(after);
	struct buf value = BUF_INIT(0);
	enum stamp_state state;

	assert_int_equal(stamp_format(made, &alice, before, &value, NULL), RC_OK);
	assert_int_equal(hdrs_insert(&msg->hdrs, 0, STAMP_MARK, buf_text(&value), NULL), RC_OK);
	assert_int_equal(stamp_check(found, msg, NOW + later, 6 * DAY, out, &state, NULL), RC_OK);
	buf_fini(&value);
	msg_free(&before);
	msg_free(&msg);
	return state;
}

static void
test_carried(void **state)
{
	static const struct {
		const char *name, *after;
		int64_t later;
		enum stamp_state want;
	} cases[] = {
		{"as it was", LETTER, 0, STAMP_GOOD},
		{"five days in the queue", LETTER, 5 * DAY, STAMP_GOOD},
		{"a day too long", LETTER, 7 * DAY, STAMP_EXPIRED},
		{"clocks apart", LETTER, -200, STAMP_GOOD},
		{"from the future", LETTER, -400, STAMP_EXPIRED},
		{"trace, Message-ID and a completed To:",
			"Received: x\r\nDelivered-To: x\r\nMessage-ID: <1@x>\r\n"
			"From: Alice <alice@ours.test>\r\nTo: carol@ours.test\r\n"
			"Subject:   a\r\n\tlong one\r\n"
			"Date: Sat, 21 Nov 2026 22:14:03 +0000\r\n"
			"Content-Type: text/plain\r\n\r\nbody\r\n",
			0, STAMP_GOOD},
		{"another author",
			"From: Alice <bob@ours.test>\r\nTo: carol\r\nSubject: a long one\r\n"
			"Date: Sat, 21 Nov 2026 22:14:03 +0000\r\n"
			"Content-Type: text/plain\r\n\r\nbody\r\n",
			0, STAMP_UNFIT},
		{"a second author", "From: bob@ours.test\r\n" LETTER, 0, STAMP_UNFIT},
		{"a sender", "Sender: bob@ours.test\r\n" LETTER, 0, STAMP_UNFIT},
		{"a reply address", "Reply-To: bob@ours.test\r\n" LETTER, 0, STAMP_UNFIT},
		{"another subject",
			"From: Alice <alice@ours.test>\r\nTo: carol\r\nSubject: along one\r\n"
			"Date: Sat, 21 Nov 2026 22:14:03 +0000\r\n"
			"Content-Type: text/plain\r\n\r\nbody\r\n",
			0, STAMP_UNFIT},
		{"another date",
			"From: Alice <alice@ours.test>\r\nTo: carol\r\nSubject: a long one\r\n"
			"Date: Sat, 21 Nov 2026 22:14:04 +0000\r\n"
			"Content-Type: text/plain\r\n\r\nbody\r\n",
			0, STAMP_UNFIT},
		{"another type",
			"From: Alice <alice@ours.test>\r\nTo: carol\r\nSubject: a long one\r\n"
			"Date: Sat, 21 Nov 2026 22:14:03 +0000\r\n"
			"Content-Type: text/html\r\n\r\nbody\r\n",
			0, STAMP_UNFIT},
		{"an encoding", "Content-Transfer-Encoding: base64\r\n" LETTER, 0, STAMP_UNFIT},
		{"another body", LETTER "more\r\n", 0, STAMP_UNFIT},
	};
	struct stamp_keys *keys = keys_of("a");
	struct stamp out;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum stamp_state got =
			carried(keys, keys, LETTER, cases[i].after, cases[i].later, &out);

		CHECK_STR(cases[i].name, stamp_state_name(got), stamp_state_name(cases[i].want));
		CHECK_STR(cases[i].name, out.identity, got == STAMP_GOOD ? alice.identity : "");
	}
	assert_int_equal(carried(keys, keys, LETTER, LETTER, 0, &out), STAMP_GOOD);
	CHECK_STR("service", out.service, alice.service);
	CHECK_STR("client", out.client, alice.client);
	CHECK_STR("connector", out.connector, "");
	CHECK_INT("right", out.right, TRI_YES);
	CHECK_INT("time", out.time, NOW);
	stamp_keys_free(&keys);
}

static void
test_rotation(void **state)
{
	struct stamp_keys *old = keys_of("a"), *both = keys_of("ab"), *turned = keys_of("ba"),
			  *fresh = keys_of("b");
	struct stamp out;

	(void)state;
	CHECK_INT("old, new one known", carried(old, both, LETTER, LETTER, 0, &out), STAMP_GOOD);
	CHECK_INT("old, new one first", carried(old, turned, LETTER, LETTER, 0, &out), STAMP_GOOD);
	CHECK_INT("new", carried(turned, both, LETTER, LETTER, 0, &out), STAMP_GOOD);
	CHECK_INT("old one gone", carried(old, fresh, LETTER, LETTER, 0, &out), STAMP_UNKNOWN);
	stamp_keys_free(&old);
	stamp_keys_free(&both);
	stamp_keys_free(&turned);
	stamp_keys_free(&fresh);
}

/* Every byte of a good stamp, bent: never good. */
static void
test_bent(void **state)
{
	struct stamp_keys *keys = keys_of("a");
	struct msg *msg = message(LETTER);
	struct buf value = BUF_INIT(0);
	struct stamp out;

	(void)state;
	assert_int_equal(stamp_format(keys, &alice, msg, &value, NULL), RC_OK);
	for (size_t i = 0; i < value.len; i++) {
		enum stamp_state got;
		char was = value.data[i], name[40];

		if (was == ' ' || was == '\t' || was == '\n')
			continue; /* folding is nobody's business */
		value.data[i] = was == '1' ? '2' : '1';
		assert_int_equal(
			hdrs_insert(&msg->hdrs, 0, STAMP_MARK, buf_text(&value), NULL), RC_OK);
		assert_int_equal(stamp_check(keys, msg, NOW, 6 * DAY, &out, &got, NULL), RC_OK);
		snprintf(name, sizeof(name), "byte %zu", i);
		if (got != STAMP_FORGED && got != STAMP_UNKNOWN)
			fail_msg("%s: got %s", name, stamp_state_name(got));
		hdrs_remove(&msg->hdrs, 0);
		value.data[i] = was;
	}
	for (size_t len = 0; len < value.len; len++) {
		enum stamp_state got;
		char *part = exact(value.data, len + 1);

		part[len] = '\0';
		assert_int_equal(hdrs_insert(&msg->hdrs, 0, STAMP_MARK, part, NULL), RC_OK);
		assert_int_equal(stamp_check(keys, msg, NOW, 6 * DAY, &out, &got, NULL), RC_OK);
		CHECK_INT("cut", got, STAMP_FORGED);
		hdrs_remove(&msg->hdrs, 0);
		free(part);
	}
	buf_fini(&value);
	msg_free(&msg);
	stamp_keys_free(&keys);
}

/* Beside one of ours others count nothing; two of ours are one too many. */
static void
test_several(void **state)
{
	struct stamp_keys *keys = keys_of("a");
	struct msg *msg = message("X-Sealgate-Stamp: v=1; rubbish\r\n" LETTER);
	struct buf value = BUF_INIT(0);
	struct stamp out;
	enum stamp_state got;

	(void)state;
	assert_int_equal(stamp_check(keys, msg, NOW, 6 * DAY, &out, &got, NULL), RC_OK);
	CHECK_INT("rubbish", got, STAMP_FORGED);
	assert_int_equal(stamp_format(keys, &alice, msg, &value, NULL), RC_OK);
	assert_int_equal(hdrs_insert(&msg->hdrs, 3, STAMP_MARK, buf_text(&value), NULL), RC_OK);
	assert_int_equal(stamp_check(keys, msg, NOW, 6 * DAY, &out, &got, NULL), RC_OK);
	CHECK_INT("one of ours beside rubbish", got, STAMP_GOOD);
	assert_int_equal(hdrs_insert(&msg->hdrs, 0, STAMP_MARK, buf_text(&value), NULL), RC_OK);
	assert_int_equal(stamp_check(keys, msg, NOW, 6 * DAY, &out, &got, NULL), RC_OK);
	CHECK_INT("two of ours", got, STAMP_UNFIT);
	CHECK_STR("two of ours", out.identity, "");
	buf_fini(&value);
	msg_free(&msg);
	stamp_keys_free(&keys);
}

static bool
is_mark(const struct stamp_keys *keys, const char *value, int64_t now)
{
	struct hdrs hdrs;
	bool ours;

	hdrs_init(&hdrs);
	assert_int_equal(hdrs_insert(&hdrs, 0, OPENED_MARK, value, NULL), RC_OK);
	assert_int_equal(opened_check(keys, &hdrs.v[0], now, 10 * DAY, &ours, NULL), RC_OK);
	hdrs_fini(&hdrs);
	return ours;
}

static void
test_opened(void **state)
{
	struct stamp_keys *keys = keys_of("a"), *others = keys_of("b");
	struct buf value = BUF_INIT(0), plain = BUF_INIT(0), stamp = BUF_INIT(0);
	struct msg *msg = message(LETTER);

	(void)state;
	assert_int_equal(opened_format(keys, "ours.test", NOW, &value, NULL), RC_OK);
	CHECK_INT("ours", is_mark(keys, buf_text(&value), NOW), true);
	CHECK_INT("ours, nine days later", is_mark(keys, buf_text(&value), NOW + 9 * DAY), true);
	CHECK_INT("ours, too old", is_mark(keys, buf_text(&value), NOW + 11 * DAY), false);
	CHECK_INT("another key's", is_mark(others, buf_text(&value), NOW), false);
	assert_int_equal(opened_format(NULL, "ours.test", NOW, &plain, NULL), RC_OK);
	CHECK_STR("without a key", buf_text(&plain), " ours.test");
	CHECK_INT("without a key, and there is one", is_mark(keys, buf_text(&plain), NOW), false);
	CHECK_INT("without a key, and there is none", is_mark(NULL, buf_text(&plain), NOW), true);
	assert_int_equal(stamp_format(keys, &alice, msg, &stamp, NULL), RC_OK);
	CHECK_INT("a stamp is no mark", is_mark(keys, buf_text(&stamp), NOW), false);
	value.data[value.len - 1] = value.data[value.len - 1] == '0' ? '1' : '0';
	CHECK_INT("bent", is_mark(keys, buf_text(&value), NOW), false);
	buf_fini(&value);
	buf_fini(&plain);
	buf_fini(&stamp);
	msg_free(&msg);
	stamp_keys_free(&keys);
	stamp_keys_free(&others);
}

static void
test_keys(void **state)
{
	static const struct {
		const char *name, *fills, *extra;
		mode_t mode;
		enum rc want;
	} cases[] = {
		{"one", "a", "", 0400, RC_OK},
		{"readable by the group", "a", "", 0440, RC_OK},
		{"comments and blanks", "",
			" # x\n\n\t"
			"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA # y",
			0400, RC_OK},
		{"sixteen", "0123456789abcdef", "", 0400, RC_OK},
		{"seventeen", "0123456789abcdef0", "", 0400, RC_PERM},
		{"none", "", "# nothing\n", 0400, RC_PERM},
		{"readable by others", "a", "", 0444, RC_PERM},
		{"writable by the group", "a", "", 0660, RC_PERM},
		{"too short", "", "aabb\n", 0400, RC_PERM},
		{"no digit", "g", "", 0400, RC_PERM},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stamp_keys *keys = NULL;
		struct err err = ERR_INIT;

		CHECK_INT(cases[i].name,
			load(cases[i].fills, cases[i].extra, cases[i].mode, &keys, &err),
			cases[i].want);
		if (strstr(err.detail, "aabb") || strstr(err.detail, "aaaa"))
			fail_msg("%s: the key is in \"%s\"", cases[i].name, err.detail);
		stamp_keys_free(&keys);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_bent),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_opened),
		cmocka_unit_test(test_keys),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
