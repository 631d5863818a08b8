/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/qp.h"

#include "base/buf.h"
#include "tests/unit/unit.h"

/* Feeds in pieces of STEP bytes, each a block of its own, and finishes. */
static void
feed(const struct sink *sink, const char *data, size_t len, size_t step)
{
	struct err err = ERR_INIT;

	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;
		char *piece = exact(data + at, n);

		CHECK_INT("feed", sink_feed(sink, piece, n, &err), RC_OK);
		free(piece);
	}
	CHECK_INT("finish", sink_finish(sink, &err), RC_OK);
}

static void
encode(const char *data, size_t len, size_t step, struct buf *out)
{
	struct sink to = sink_to_buf(out), sink;
	struct qp_encoder *encoder;
	struct err err = ERR_INIT;

	CHECK_INT("new", qp_encoder_new(&to, &encoder, &err), RC_OK);
	sink = qp_encoder_sink(encoder);
	feed(&sink, data, len, step);
	qp_encoder_free(&encoder);
}

static void
decode(const char *data, size_t len, size_t step, struct buf *out)
{
	struct sink to = sink_to_buf(out), sink;
	struct qp_decoder *decoder;
	struct err err = ERR_INIT;

	CHECK_INT("new", qp_decoder_new(&to, &decoder, &err), RC_OK);
	sink = qp_decoder_sink(decoder);
	feed(&sink, data, len, step);
	qp_decoder_free(&decoder);
}

#define TEN "0123456789"
#define L70 TEN TEN TEN TEN TEN TEN TEN

static void
test_encode(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"", ""},
		{"abc", "abc"},
		{"a=b\xe9", "a=3Db=E9"},
		{"a \r\nb\t\r\nc ", "a=20\r\nb=09\r\nc=20"},
		{"a b", "a b"},
		{"a\rb\nc\r", "a=0Db=0Ac=0D"},
		{"\r\n\r\n", "\r\n\r\n"},
		{"\r\r\n", "=0D\r\n"},
		{".\r\n..x\r\na.b", "=2E\r\n=2E.x\r\na.b"},
		{"From x\r\nFrom\r\nFromage\r\n From x", "=46rom x\r\nFrom\r\nFromage\r\n From x"},
		{"--b--\r\n-x\r\na--b", "=2D-b--\r\n-x\r\na--b"},
		{L70 "12345", L70 "12345"},
		{L70 "123456", L70 "12345=\r\n6"},
		{L70 "12345.", L70 "12345=\r\n=2E"},
		{L70 "12345From x", L70 "12345=\r\n=46rom x"},
		{L70 "1234\xe9", L70 "1234=\r\n=E9"},
		{L70 "12\xe9", L70 "12=E9"},
		{L70 "12345\r\nx", L70 "12345\r\nx"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t step = 1; step < 100; step += 7) {
			struct buf out = BUF_INIT(0);

			encode(cases[i].in, strlen(cases[i].in), step, &out);
			CHECK_STR(cases[i].in, buf_text(&out), cases[i].want);
			buf_fini(&out);
		}
}

static void
test_decode(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"", ""},
		{"a=3Db=e9", "a=b\xe9"},
		{"a=\r\nb", "ab"},
		{"a=\nb", "ab"},
		{"a= \t\r\nb", "ab"},
		{"a=", "a"},
		{"a=  ", "a"},
		{"a= b", "a= b"},
		{"a \t\r\nb", "a\r\nb"},
		{"a \nb", "a\nb"},
		{"a  ", "a"},
		{"a b", "a b"},
		{"a=G0=0G=", "a=G0=0G"},
		{"a==41", "a=A"},
		{"a=4=41", "a=4A"},
		{"a\rb\r", "a\rb\r"},
		{"a \rb", "a \rb"},
		{"a\r\r\n", "a\r\r\n"},
		{"=4\r\n", "=4\r\n"},
		{"=\rx", "=\rx"},
		{"=\r\r\n", "=\r\r\n"},
		{"\xe9=00", "\xe9"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t step = 1; step < 10; step++) {
			struct buf out = BUF_INIT(0);

			decode(cases[i].in, strlen(cases[i].in), step, &out);
			CHECK_STR(cases[i].in, buf_text(&out), cases[i].want);
			buf_fini(&out);
		}
}

/* Content of a few bytes in all orders, and runs longer than every buffer, come back. */
static void
test_round_trip(void **state)
{
	static const char bytes[] = "\r\n .=-F\xe9\tromx\0";
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		size_t len = i % 100 == 99 ? 150000 : i * 3, at = 0;
		char *in = malloc(len + 1);
		struct buf text = BUF_INIT(0), out = BUF_INIT(0);

		assert_non_null(in);
		for (size_t k = 0; k < len; k++) {
			random = random * 1664525 + 1013904223;
			in[k] = i % 100 == 99 ? " =x"[i / 100]
					      : bytes[(random >> 16) % sizeof(bytes)];
		}
		encode(in, len, 1 + i * 7, &text);
		for (size_t k = 0; k < text.len; k++) {
			bool end = text.data[k] == '\n';

			assert_true(text.data[k] > 0 && (!end || text.data[k - 1] == '\r'));
			at = end ? 0 : at + 1;
			assert_true(at <= 77 && (at < 77 || text.data[k] == '\r'));
		}
		decode(buf_text(&text), text.len, 1 + i * 5, &out);
		CHECK_INT("length", out.len, len);
		if (len)
			assert_memory_equal(out.data, in, len);
		buf_fini(&text);
		buf_fini(&out);
		free(in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
