/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "crypto/ber.h"
#include "crypto/der.h"

#define SIGNED_OID    "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define ENVELOPED_OID "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
#define DATA_OID      "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OTHER_OID     "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05"

/* What the splitter told. */
struct told {
	struct ber_splitter *splitter;
	enum cms_kind kind;
	int headers, trailers;
	bool has_content;
	struct buf content, early; /* early: the skeleton at the time of the header */
};

static enum rc
on_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct told *t = ctx;

	t->headers++;
	t->kind = kind;
	t->has_content = has_content;
	assert_int_equal(t->trailers, 0);
	return ber_skeleton(t->splitter, &t->early, err);
}

static enum rc
on_content(void *ctx, const void *data, size_t len, struct err *err)
{
	struct told *t = ctx;

	assert_int_equal(t->headers, 1);
	return buf_append(&t->content, data, len, err);
}

static enum rc
on_trailer(void *ctx, struct err *err)
{
	(void)err;
	((struct told *)ctx)->trailers++;
	return RC_OK;
}

/* Feeds in steps; the skeleton at the end goes to LATE. */
static enum rc
run(const char *data, size_t len, size_t step, struct told *t, struct buf *late, struct err *err)
{
	struct ber_handler handler = {
		.header = on_header, .content = on_content, .trailer = on_trailer, .ctx = t};
	struct sink sink;
	enum rc rc = RC_OK;

	memset(t, 0, sizeof *t);
	assert_int_equal(ber_splitter_new(&handler, &t->splitter, NULL), RC_OK);
	sink = ber_splitter_sink(t->splitter);
	for (size_t at = 0; at < len && rc == RC_OK; at += step) {
		size_t n = len - at < step ? len - at : step;
		void *block = exact(data + at, n);

		rc = sink.feed(sink.ctx, block, n, err);
		free(block);
	}
	if (rc == RC_OK)
		rc = sink.finish(sink.ctx, err);
	if (rc == RC_OK)
		assert_int_equal(ber_skeleton(t->splitter, late, NULL), RC_OK);
	return rc;
}

static void
told_fini(struct told *t)
{
	ber_splitter_free(&t->splitter);
	buf_fini(&t->content);
	buf_fini(&t->early);
}

#define TEXT(s) s, sizeof(s) - 1

/* The same SignedData written in many ways. */
static void
test_forms(void **state)
{
	static const char signed_skeleton[] =
		"\x30\x23" SIGNED_OID "\xa0\x16\x30\x14\x02\x01\x01\x31\x00"
		"\x30\x0b" DATA_OID "\x31\x00";
	static const char enveloped_skeleton[] =
		"\x30\x27" ENVELOPED_OID "\xa0\x1a\x30\x18\x02\x01\x00\x31\x02\x30\x00"
		"\x30\x0f" DATA_OID "\x30\x02\x05\x00";
	static const struct {
		const char *name, *ber;
		size_t len;
		const char *content, *skeleton;
		size_t skeleton_len;
	} cases[] = {
		{"definite",
			TEXT("\x30\x2a" SIGNED_OID "\xa0\x1d\x30\x1b\x02\x01\x01\x31\x00"
			     "\x30\x12" DATA_OID "\xa0\x05\x04\x03"
			     "abc\x31\x00"),
			"abc", TEXT(signed_skeleton)},
		{"empty content",
			TEXT("\x30\x27" SIGNED_OID "\xa0\x1a\x30\x18\x02\x01\x01\x31\x00"
			     "\x30\x0f" DATA_OID "\xa0\x02\x04\x00\x31\x00"),
			"", TEXT(signed_skeleton)},
		{"long forms of lengths",
			TEXT("\x30\x84\x00\x00\x00\x34" SIGNED_OID
			     "\xa0\x83\x00\x00\x24\x30\x81\x21\x02\x01\x01"
			     "\x31\x82\x00\x00"
			     "\x30\x16" DATA_OID "\xa0\x09\x04\x84\x00\x00\x00\x03"
			     "abc\x31\x00"),
			"abc", NULL, 0},
		{"indefinite throughout",
			TEXT("\x30\x80" SIGNED_OID "\xa0\x80\x30\x80\x02\x01\x01\x31\x80\x00\x00"
			     "\x30\x80" DATA_OID "\xa0\x80\x24\x80\x04\x01"
			     "a\x04\x00\x04\x02"
			     "bc\x00\x00\x00\x00\x00\x00\x31\x80\x00\x00\x00\x00\x00\x00\x00\x00"),
			"abc", TEXT(signed_skeleton)},
		{"constructed in definite, nested, indefinite in definite",
			TEXT("\x30\x36" SIGNED_OID "\xa0\x29\x30\x27\x02\x01\x01\x31\x00"
			     "\x30\x1e" DATA_OID "\xa0\x11\x24\x0f\x24\x80\x04\x01"
			     "a\x24\x03\x04\x01"
			     "b\x00\x00\x04\x01"
			     "c\x31\x00"),
			"abc", TEXT(signed_skeleton)},
		{"enveloped",
			TEXT("\x30\x2c" ENVELOPED_OID "\xa0\x1f\x30\x1d\x02\x01\x00\x31\x02\x30\x00"
			     "\x30\x14" DATA_OID "\x30\x02\x05\x00\x80\x03"
			     "abc"),
			"abc", TEXT(enveloped_skeleton)},
		{"enveloped, indefinite",
			TEXT("\x30\x80" ENVELOPED_OID
			     "\xa0\x80\x30\x80\x02\x01\x00\x31\x80\x30\x80\x00\x00\x00\x00"
			     "\x30\x80" DATA_OID "\x30\x80\x05\x00\x00\x00\xa0\x80\x04\x03"
			     "abc\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
			"abc", TEXT(enveloped_skeleton)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (size_t step = 1; step < 100; step = step * 2 + 1) {
			struct told t;
			struct buf late = BUF_INIT(0);
			struct err err = ERR_INIT;
			enum rc rc = run(cases[i].ber, cases[i].len, step, &t, &late, &err);

			if (rc != RC_OK)
				fail_msg("%s: %s", cases[i].name, err.detail);
			CHECK_INT(cases[i].name, t.headers, 1);
			CHECK_INT(cases[i].name, t.trailers, 1);
			CHECK_INT(cases[i].name, t.has_content, 1);
			CHECK_STR(cases[i].name, buf_text(&t.content), cases[i].content);
			if (cases[i].skeleton) {
				CHECK_INT(cases[i].name, late.len, cases[i].skeleton_len);
				assert_memory_equal(late.data, cases[i].skeleton, late.len);
				assert_memory_equal(t.early.data, late.data, late.len);
			}
			buf_fini(&late);
			told_fini(&t);
		}
	}
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *name, *ber;
		size_t len;
		const char *code;
	} cases[] = {
		{"nothing", TEXT(""), "cms-malformed"},
		{"no sequence", TEXT("\x04\x01x"), "cms-malformed"},
		{"empty", TEXT("\x30\x00"), "cms-malformed"},
		{"tag above 30", TEXT("\x3f\x21\x00"), "cms-malformed"},
		{"length of 9 bytes", TEXT("\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01"),
			"cms-malformed"},
		{"2^48 bytes and one more", TEXT("\x30\x88\x00\x01\x00\x00\x00\x00\x00\x01"),
			"cms-limit"},
		{"2^64 - 1 bytes", TEXT("\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff"), "cms-limit"},
		{"indefinite primitive", TEXT("\x30\x80\x06\x80"), "cms-malformed"},
		{"end-of-contents in definite", TEXT("\x30\x04\x00\x00\x00\x00"), "cms-malformed"},
		{"end-of-contents with a length", TEXT("\x30\x80\x00\x01\x00"), "cms-malformed"},
		{"child leaves parent",
			TEXT("\x30\x0b\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\x01"),
			"cms-malformed"},
		{"indefinite child leaves parent",
			TEXT("\x30\x0e" SIGNED_OID "\xa0\x80\x30\x80\x00\x00\x00\x00"),
			"cms-malformed"},
		{"header across the parent's end", TEXT("\x30\x0c" SIGNED_OID "\xa0\x00"),
			"cms-malformed"},
		{"cut off", TEXT("\x30\x2a" SIGNED_OID "\xa0\x1d\x30\x1b\x02\x01"),
			"cms-malformed"},
		{"two contents",
			TEXT("\x30\x80" SIGNED_OID
			     "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80" DATA_OID
			     "\xa0\x80\x04\x01x\x04\x01y"),
			"cms-malformed"},
		{"content that is no octet string",
			TEXT("\x30\x80" SIGNED_OID
			     "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80" DATA_OID
			     "\xa0\x80\x0c\x01x"),
			"cms-malformed"},
		{"element behind the content",
			TEXT("\x30\x80" SIGNED_OID
			     "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80" DATA_OID
			     "\xa0\x80\x04\x01x\x00\x00\x05\x00"),
			"cms-malformed"},
		{"two bodies",
			TEXT("\x30\x80" SIGNED_OID "\xa0\x80\x30\x04\x30\x02\x05\x00\x30\x00"),
			"cms-malformed"},
		{"two wraps",
			TEXT("\x30\x80" SIGNED_OID "\xa0\x06\x30\x04\x30\x02\x05\x00\xa0\x00"),
			"cms-malformed"},
		{"body without content info",
			TEXT("\x30\x80" SIGNED_OID "\xa0\x05\x30\x03\x02\x01\x01"),
			"cms-malformed"},
		{"another content type", TEXT("\x30\x0d" OTHER_OID "\xa0\x00"), "cms-unsupported"},
		{"large element",
			TEXT("\x30\x80" SIGNED_OID "\xa0\x80\x30\x80\x31\x83\x10\x00\x01"),
			"cms-limit"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (size_t step = 1; step < 100; step += 98) {
			struct told t;
			struct buf late = BUF_INIT(0);
			struct err err = ERR_INIT;

			CHECK_INT(cases[i].name,
				run(cases[i].ber, cases[i].len, step, &t, &late, &err), RC_PERM);
			CHECK_STR(cases[i].name, err_name(err.code), cases[i].code);
			CHECK_INT(cases[i].name, t.trailers, 0);
			buf_fini(&late);
			told_fini(&t);
		}
	}
}

/* Depth, and bytes around the content, in a thousand small pieces. */
static void
test_limits(void **state)
{
	static const char head[] =
		"\x30\x80" SIGNED_OID "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80" DATA_OID
		"\xa0\x80";
	static char big[BER_MAX_CAPTURE + 4096];
	struct told t;
	struct buf late = BUF_INIT(0);
	struct err err = ERR_INIT;
	size_t n = sizeof head - 1;

	(void)state;
	memcpy(big, head, n);
	for (int i = 0; i < BER_MAX_DEPTH; i++, n += 2)
		memcpy(big + n, "\x24\x80", 2);
	assert_int_equal(run(big, n, 7, &t, &late, &err), RC_PERM);
	CHECK_STR("depth", err_name(err.code), "cms-limit");
	told_fini(&t);
	memcpy(big, "\x30\x80" SIGNED_OID "\xa0\x80\x30\x80\x31\x80", 19);
	for (n = 19; n + 1002 < sizeof big; n += 1002) {
		memcpy(big + n, "\x04\x82\x03\xe6", 4);
		memset(big + n + 4, 'x', 998);
	}
	assert_int_equal(run(big, n, 4096, &t, &late, &err), RC_PERM);
	CHECK_STR("bytes", err_name(err.code), "cms-limit");
	told_fini(&t);
	buf_fini(&late);
}

static void
test_trailing(void **state)
{
	static const char ber[] = "\x30\x2a" SIGNED_OID "\xa0\x1d\x30\x1b\x02\x01\x01\x31\x00"
				  "\x30\x12" DATA_OID "\xa0\x05\x04\x03"
				  "abc\x31\x00"
				  "\x00\x00junk";
	struct told t;
	struct buf late = BUF_INIT(0);

	(void)state;
	assert_int_equal(run(ber, sizeof ber - 1, 5, &t, &late, NULL), RC_OK);
	assert_int_equal(ber_trailing(t.splitter), 6);
	assert_string_equal(buf_text(&t.content), "abc");
	told_fini(&t);
	buf_fini(&late);
}

/* der.h: what the reader refuses, what the writer writes. */
static void
test_der(void **state)
{
	static const struct {
		const char *name, *der;
		size_t len;
		bool good;
	} cases[] = {
		{"short", TEXT("\x04\x01x"), true},
		{"long form of a short length", TEXT("\x04\x82\x00\x01x"), true},
		{"cut header", TEXT("\x04"), false},
		{"cut length", TEXT("\x04\x82\x00"), false},
		{"cut body", TEXT("\x04\x02x"), false},
		{"indefinite", TEXT("\x24\x80\x00\x00"), false},
		{"huge", TEXT("\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff"), false},
		{"high tag", TEXT("\x1f\x20\x00"), false},
	};
	static const struct {
		unsigned value;
		const char *der;
		size_t len;
	} ints[] = {
		{0, TEXT("\x02\x01\x00")},
		{127, TEXT("\x02\x01\x7f")},
		{128, TEXT("\x02\x02\x00\x80")},
		{65536, TEXT("\x02\x03\x01\x00\x00")},
		{0x80000000, TEXT("\x02\x05\x00\x80\x00\x00\x00")},
	};
	struct der_out w;
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned char *p = exact(cases[i].der, cases[i].len);
		struct der in = {p, cases[i].len};
		struct der_item item;

		CHECK_INT(cases[i].name, der_next(&in, &item) && der_done(&in), cases[i].good);
		free(p);
	}
	for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
		der_out_init(&w, 0, NULL);
		der_put_int(&w, ints[i].value);
		CHECK_INT("integer", w.buf.len, ints[i].len);
		assert_memory_equal(w.buf.data, ints[i].der, w.buf.len);
		der_out_fini(&w);
	}
	der_out_init(&w, 0, NULL);
	at = der_begin(&w);
	der_put(&w, DER_OCTETS, "bb", 2);
	der_put(&w, DER_OCTETS, "b", 1);
	der_put_int(&w, 5);
	der_end_set_of(&w, at, DER_SET);
	assert_memory_equal(w.buf.data,
		"\x31\x0a\x02\x01\x05\x04\x01"
		"b\x04\x02"
		"bb",
		12);
	der_out_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_der),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
