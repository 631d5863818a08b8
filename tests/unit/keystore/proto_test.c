/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/proto.h"

#include "tests/unit/unit.h"

#include <stdio.h>

static struct buf frame = BUF_INIT(PROTO_MAX_ADMIN + 1);

/* A SIGN request with everything in it. */
static void
make_sign(void)
{
	struct proto_writer w;
	struct err err = ERR_INIT;

	buf_clear(&frame);
	proto_begin(&w, &frame, PROTO_SIGN, 7);
	proto_put_text(&w, TAG_KEY, "k0123456789abcdef");
	proto_put_text(&w, TAG_DIGEST, "sha256");
	proto_put(&w, TAG_VALUE, "0123456789abcdef0123456789abcdef", 32);
	proto_put_number(&w, TAG_TIME, 1700000000);
	proto_put_number(&w, TAG_FLAG, 1);
	proto_put_text(&w, TAG_CLAIM_QID, "4AbC");
	proto_put_text(&w, TAG_CLAIM_SENDER, "");
	proto_put_text(&w, TAG_CLAIM_RULE, NULL);
	proto_put_text(&w, TAG_CLAIM_RCPT, "a@example.net");
	proto_put_text(&w, TAG_CLAIM_RCPT, "b@example.net");
	assert_int_equal(proto_end(&w, &err), RC_OK);
}

/* Parses a copy of exact size. */
static enum rc
parse(const void *data, size_t len, struct err *err)
{
	void *copy = exact(data, len);
	struct proto_msg msg;
	enum rc rc = proto_parse(copy, len, &msg, err);

	if (!rc)
		for (size_t i = 0; i < msg.n; i++)
			assert_true(msg.fields[i].data >= (unsigned char *)copy &&
				    msg.fields[i].data + msg.fields[i].len <=
					    (unsigned char *)copy + len);
	proto_msg_fini(&msg);
	free(copy);
	return rc;
}

static void
test_round(void **state)
{
	struct proto_msg msg;
	struct err err = ERR_INIT;

	(void)state;
	make_sign();
	assert_int_equal(proto_parse(frame.data, frame.len, &msg, &err), RC_OK);
	CHECK_INT("type", msg.type, PROTO_SIGN);
	CHECK_INT("id", msg.id, 7);
	CHECK_STR("key", proto_text(&msg, TAG_KEY), "k0123456789abcdef");
	CHECK_INT("time", proto_number(&msg, TAG_TIME, -1), 1700000000);
	CHECK_INT("value", proto_find(&msg, TAG_VALUE)->len, 32);
	CHECK_STR("sender", proto_text(&msg, TAG_CLAIM_SENDER), "");
	CHECK_STR("rule", proto_text(&msg, TAG_CLAIM_RULE), NULL);
	CHECK_INT("recipients", proto_count(&msg, TAG_CLAIM_RCPT), 2);
	CHECK_STR("second", (const char *)proto_at(&msg, TAG_CLAIM_RCPT, 1)->data, "b@example.net");
	assert_null(proto_at(&msg, TAG_CLAIM_RCPT, 2));
	proto_msg_fini(&msg);
}

static void
test_numbers(void **state)
{
	static const int64_t v[] = {0, 1, -1, INT64_MAX, INT64_MIN, 0x0102030405060708};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		struct proto_writer w;
		struct proto_msg msg;

		buf_clear(&frame);
		proto_begin(&w, &frame, PROTO_MATCHED, 1);
		proto_put_number(&w, TAG_INDEX, v[i]);
		assert_int_equal(proto_end(&w, &err), RC_OK);
		assert_int_equal(proto_parse(frame.data, frame.len, &msg, &err), RC_OK);
		CHECK_INT("number", proto_number(&msg, TAG_INDEX, 5), v[i]);
		proto_msg_fini(&msg);
	}
}

/* Frames by hand: what each of them is refused for. */
static void
test_refused(void **state)
{
#define PING_HEAD "\0\0\0\10\0\4\0\0\0\0\0\1"
	static const struct {
		const char *name;
		const char *bytes;
		size_t len;
		bool ok;
	} cases[] = {
		{"ping", PING_HEAD, 12, true},
		{"ping, a byte more", PING_HEAD "x", 13, false},
		{"ping, cut off", PING_HEAD, 11, false},
		{"no bytes", "", 0, false},
		{"length too small", "\0\0\0\7\0\4\0\0\0\0\0\1", 12, false},
		{"length too big", "\xff\xff\xff\xff\0\4\0\0\0\0\0\1", 12, false},
		{"type 0", "\0\0\0\10\0\0\0\0\0\0\0\1", 12, false},
		{"type unknown", "\0\0\0\10\0\77\0\0\0\0\0\1", 12, false},
		{"zero is not", "\0\0\0\10\0\4\0\1\0\0\0\1", 12, false},
		{"ping with a field", "\0\0\0\20\0\4\0\0\0\0\0\1\0\6\0\0\0\2a\0", 20, false},
		{"address", "\0\0\0\20\0\6\0\0\0\0\0\1\0\6\0\0\0\2a\0", 20, true},
		{"address missing", "\0\0\0\10\0\6\0\0\0\0\0\1", 12, false},
		{"address twice", "\0\0\0\30\0\6\0\0\0\0\0\1\0\6\0\0\0\2a\0\0\6\0\0\0\2b\0", 28,
			false},
		{"address without NUL", "\0\0\0\20\0\6\0\0\0\0\0\1\0\6\0\0\0\2ab", 20, false},
		{"NUL inside", "\0\0\0\21\0\6\0\0\0\0\0\1\0\6\0\0\0\3a\0\0", 21, false},
		{"empty address", "\0\0\0\17\0\6\0\0\0\0\0\1\0\6\0\0\0\1\0", 19, false},
		{"no bytes of text", "\0\0\0\16\0\6\0\0\0\0\0\1\0\6\0\0\0\0", 18, false},
		{"field longer than frame", "\0\0\0\20\0\6\0\0\0\0\0\1\0\6\0\0\0\3a\0", 20, false},
		{"field of 4 GB",
			"\0\0\0\20\0\6\0\0\0\0\0\1\0\6\xff\xff\xff\xff"
			"a\0",
			20, false},
		{"field head cut off", "\0\0\0\14\0\6\0\0\0\0\0\1\0\6\0\0", 16, false},
		{"tag 0", "\0\0\0\20\0\6\0\0\0\0\0\1\0\0\0\0\0\2a\0", 20, false},
		{"tag unknown", "\0\0\0\20\0\6\0\0\0\0\0\1\1\6\0\0\0\2a\0", 20, false},
		{"another type's field", "\0\0\0\20\0\6\0\0\0\0\0\1\0\7\0\0\0\2a\0", 20, false},
		{"number of seven bytes", "\0\0\0\25\0\16\0\0\0\0\0\1\0\17\0\0\0\7\0\0\0\0\0\0\1",
			25, false},
		{"number of eight bytes",
			"\0\0\0\26\0\16\0\0\0\0\0\1\0\17\0\0\0\10\0\0\0\0\0\0\0\1", 26, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = ERR_INIT;
		enum rc rc = parse(cases[i].bytes, cases[i].len, &err);

		CHECK_INT(cases[i].name, rc == RC_OK, cases[i].ok);
		CHECK_INT(cases[i].name, err.code, cases[i].ok ? ERR_NONE : ERR_VAULT_PROTOCOL);
	}
}

static void
test_limits(void **state)
{
	struct proto_writer w;
	struct err err = ERR_INIT;
	size_t len;

	(void)state;
	/* One recipient too many. */
	for (int n = PROTO_MAX_CLAIMED; n <= (int)PROTO_MAX_CLAIMED + 1; n++) {
		buf_clear(&frame);
		proto_begin(&w, &frame, PROTO_RECORD, 1);
		proto_put_text(&w, TAG_EVENT, "sealed");
		proto_put_text(&w, TAG_JSON, "{}");
		for (int i = 0; i < n; i++)
			proto_put_text(&w, TAG_CLAIM_RCPT, "a@example.net");
		assert_int_equal(proto_end(&w, &err), RC_OK);
		CHECK_INT("recipients", parse(frame.data, frame.len, &err) == RC_OK,
			n == (int)PROTO_MAX_CLAIMED);
	}
	/* So many small fields that only their number can be wrong. */
	buf_clear(&frame);
	proto_begin(&w, &frame, PROTO_RECORD, 1);
	for (int i = 0; i < 100000; i++)
		proto_put_text(&w, TAG_CLAIM_RCPT, "a");
	assert_int_equal(proto_end(&w, &err), RC_OK);
	assert_int_equal(parse(frame.data, frame.len, &err), RC_TEMP);
	/* A field over its tag's limit is not even written. */
	buf_clear(&frame);
	proto_begin(&w, &frame, PROTO_OPEN, 1);
	proto_put(&w, TAG_RINFO, frame.data, 20000);
	assert_int_equal(proto_end(&w, &err), RC_PERM);
	CHECK_INT("nothing written", frame.len, 0);
	/* Before HELLO a frame is short. */
	assert_int_equal(
		proto_frame_len("\0\0\1\374\0\1\0\0\0\0\0\1", 12, PROTO_MAX_HELLO, &len, &err),
		RC_OK);
	CHECK_INT("length", len, 512);
	assert_int_equal(
		proto_frame_len("\0\0\1\375\0\1\0\0\0\0\0\1", 12, PROTO_MAX_HELLO, &len, &err),
		RC_TEMP);
	assert_int_equal(proto_frame_len("\0\0\1", 3, PROTO_MAX_HELLO, &len, &err), RC_OK);
	CHECK_INT("not yet", len, 0);
}

/* Every byte changed in several ways, and every truncation: an answer, never an over-read. */
static void
test_mutations(void **state)
{
	static const unsigned char flips[] = {0x01, 0x80, 0xff, 0x10};
	struct err err = ERR_INIT;
	size_t refused = 0, tried = 0;

	(void)state;
	make_sign();
	for (size_t i = 0; i < frame.len; i++) {
		for (size_t f = 0; f < sizeof(flips); f++, tried++) {
			frame.data[i] = (char)((unsigned char)frame.data[i] ^ flips[f]);
			refused += parse(frame.data, frame.len, &err) != RC_OK;
			frame.data[i] = (char)((unsigned char)frame.data[i] ^ flips[f]);
		}
		if (parse(frame.data, i, &err) == RC_OK)
			fail_msg("cut to %zu bytes: accepted", i);
	}
	/* Changes within texts, values and the id are no syntax errors; those of lengths and tags
	 * are. */
	assert_true(refused > tried / 4 && refused < tried);
}

static void
test_errors(void **state)
{
	struct err out = ERR_INIT, in = ERR_INIT, err = ERR_INIT;
	struct proto_writer w;
	struct proto_msg msg;

	(void)state;
	for (int c = 1; c < ERR_COUNT; c++) {
		buf_clear(&frame);
		err_set(&out, c, "what %d", c);
		assert_int_equal(proto_put_error(&frame, 9, &out, &err), RC_OK);
		assert_int_equal(proto_parse(frame.data, frame.len, &msg, &err), RC_OK);
		CHECK_INT(err_name(c), proto_error(&msg, &in), err_rc(c));
		CHECK_INT(err_name(c), in.code, c);
		CHECK_STR(err_name(c), in.detail, out.detail);
		proto_msg_fini(&msg);
	}
	buf_clear(&frame);
	proto_begin(&w, &frame, PROTO_ERROR, 1);
	proto_put_text(&w, TAG_CODE, "from-the-future");
	assert_int_equal(proto_end(&w, &err), RC_OK);
	assert_int_equal(proto_parse(frame.data, frame.len, &msg, &err), RC_OK);
	CHECK_INT("unknown code", proto_error(&msg, &in), RC_TEMP);
	CHECK_INT("unknown code", in.code, ERR_VAULT_PROTOCOL);
	proto_msg_fini(&msg);
}

static int
end(void **state)
{
	(void)state;
	buf_fini(&frame);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
