/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/b64.h"

#include "base/buf.h"
#include "tests/unit/unit.h"

/* The plainest encoder there is, to compare with. */
static size_t
reference(const unsigned char *in, size_t len, char *out)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t o = 0;

	for (size_t bit = 0; bit < len * 8; bit += 6) {
		unsigned v = 0;

		for (size_t b = bit; b < bit + 6; b++)
			v = v << 1 | (b < len * 8 ? in[b / 8] >> (7 - b % 8) & 1 : 0);
		out[o++] = chars[v];
	}
	while (o % 4)
		out[o++] = '=';
	return o;
}

/* Every length, blocks of the exact sizes. */
static void
test_buffers(void **state)
{
	(void)state;
	for (size_t len = 0; len < 400; len++) {
		size_t chars = (len + 2) / 3 * 4, got_len;
		unsigned char *in = exact("", 0), *back;
		char *want = malloc(chars + 1), *out = malloc(chars + 1);
		struct err err = ERR_INIT;

		in = realloc(in, len ? len : 1);
		assert_true(in && want && out);
		for (size_t i = 0; i < len; i++)
			in[i] = (unsigned char)(i * 151 + len * 7 + (i * i) / 3);
		CHECK_INT("reference", reference(in, len, want), chars);
		out = realloc(out, chars ? chars : 1);
		CHECK_INT("length", b64_encode(in, len, out), chars);
		assert_memory_equal(out, want, chars);
		back = malloc(chars ? chars / 4 * 3 : 1);
		CHECK_INT("decode", b64_decode(out, chars, back, &got_len, &err), RC_OK);
		CHECK_INT("decoded length", got_len, len);
		assert_memory_equal(back, in, len);
		for (size_t i = 0; i < chars; i++) { /* every place can be wrong */
			char old = out[i];

			out[i] = (char)(i % 3 == 0 ? '\n' : i % 3 == 1 ? 0x80 : '-');
			if (out[i] != old && b64_decode(out, chars, back, &got_len, &err) == RC_OK)
				fail_msg("length %zu: bad character at %zu accepted", len, i);
			out[i] = old;
		}
		free(in);
		free(want);
		free(out);
		free(back);
	}
}

/* All 256 bytes as a character. */
static void
test_alphabet(void **state)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[48], out[36];
	struct err err = ERR_INIT;
	size_t len;

	(void)state;
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 48; at++) {
			memset(text, 'A', sizeof(text));
			text[at] = (char)c;
			CHECK_INT("character", b64_decode(text, 48, out, &len, &err),
				c && strchr(chars, c)  ? RC_OK
				: at == 47 && c == '=' ? RC_OK
						       : RC_PERM);
		}
}

static void
test_strict(void **state)
{
	static const char *const bad[] = {"A", "AA", "AAA", "AA=A", "A===", "====", "AAA",
		"AB==", "AAB=", "AA==AAAA", "AA\n=", "AAAA\r\n", " AAAA", "AAAA=", "-_AA"};
	static const char *const good[] = {"", "AA==", "AAA=", "AAAA", "+/+/"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *text = exact(bad[i], strlen(bad[i])), out[16];
		struct err err = ERR_INIT;
		size_t len;

		CHECK_INT(bad[i], b64_decode(text, strlen(bad[i]), out, &len, &err), RC_PERM);
		CHECK_INT(bad[i], err.code, ERR_B64_SYNTAX);
		free(text);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		char out[16];
		struct err err = ERR_INIT;
		size_t len;

		CHECK_INT(good[i], b64_decode(good[i], strlen(good[i]), out, &len, &err), RC_OK);
	}
}

/* Feeds in pieces of STEP bytes, each a block of its own, and finishes. */
static enum rc
feed(const struct sink *sink, const char *data, size_t len, size_t step, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t at = 0; rc == RC_OK && at < len; at += step) {
		size_t n = len - at < step ? len - at : step;
		char *piece = exact(data + at, n);

		rc = sink_feed(sink, piece, n, err);
		free(piece);
	}
	return rc == RC_OK ? sink_finish(sink, err) : rc;
}

/* Decodes TEXT as a stream in pieces of STEP. */
static enum rc
decode(const char *text, size_t len, size_t step, struct buf *out, struct err *err)
{
	struct sink to = sink_to_buf(out), sink;
	struct b64_decoder *decoder;
	enum rc rc = b64_decoder_new(&to, &decoder, err);

	CHECK_INT("new", rc, RC_OK);
	sink = b64_decoder_sink(decoder);
	rc = feed(&sink, text, len, step, err);
	b64_decoder_free(&decoder);
	return rc;
}

/* Streams of many lengths and pieces: shape of the lines, size foretold, and back again. */
static void
test_streams(void **state)
{
	static const size_t lengths[] = {
		0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 1000, 65536, 65537, 200003};
	static const size_t steps[] = {1, 13, 57, 4096, 65536, 1 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		for (size_t s = i > 10 ? 2 : 0; s < sizeof(steps) / sizeof(*steps); s++) {
			struct buf text = BUF_INIT(0), back = BUF_INIT(0);
			struct sink to = sink_to_buf(&text), sink;
			size_t len = lengths[i];
			unsigned char *in = malloc(len + 1);
			struct b64_encoder *encoder;
			struct err err = ERR_INIT;

			assert_non_null(in);
			for (size_t k = 0; k < len; k++)
				in[k] = (unsigned char)(k * 31 + k / 256);
			CHECK_INT("new", b64_encoder_new(&to, &encoder, &err), RC_OK);
			sink = b64_encoder_sink(encoder);
			CHECK_INT("encode", feed(&sink, (char *)in, len, steps[s], &err), RC_OK);
			b64_encoder_free(&encoder);
			CHECK_INT("size", text.len, b64_encoded_size(len));
			for (size_t k = 0; k < text.len; k++)
				if ((k % 78 == 76 || k + 2 == text.len) != (text.data[k] == '\r') ||
					(k % 78 == 77 || k + 1 == text.len) !=
						(text.data[k] == '\n'))
					fail_msg("length %zu: line end misplaced at %zu", len, k);
			CHECK_INT("decode",
				decode(buf_text(&text), text.len, steps[s], &back, &err), RC_OK);
			CHECK_INT("length", back.len, len);
			if (len)
				assert_memory_equal(back.data, in, len);
			free(in);
			buf_fini(&text);
			buf_fini(&back);
		}
}

/* One character that does not belong there, at every place of a long line. */
static void
test_junk_anywhere(void **state)
{
	static const char junk[] = {'\n', '\r', '-', '\0', ' ', '\x80'};
	unsigned char in[150];
	char text[200], with[201];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 151 + i / 7);
	CHECK_INT("encode", b64_encode(in, sizeof(in), text), sizeof(text));
	for (size_t at = 0; at <= sizeof(text); at++)
		for (size_t k = 0; k < sizeof(junk); k++) {
			struct buf back = BUF_INIT(0);
			struct err err = ERR_INIT;

			memcpy(with, text, at);
			with[at] = junk[k];
			memcpy(with + at + 1, text + at, sizeof(text) - at);
			CHECK_INT("decode", decode(with, sizeof(with), 1000, &back, &err), RC_OK);
			CHECK_INT("length", back.len, sizeof(in));
			assert_memory_equal(back.data, in, sizeof(in));
			buf_fini(&back);
		}
}

/* What RFC 2045 section 6.8 says about other characters, and what is refused. */
static void
test_junk(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{"aGVsbG8=", "hello"},
		{"aGVsbG8", "hello"},
		{" a-G\tV\r\ns!b\x80G\xff"
		 "8 = ",
			"hello"},
		{"aGVsbG8=\r\n\r\n-- \r\n", "hello"},
		{"aGVsbG8==", "hello"},
		{"aGVsbA==", "hell"},
		{"aGVsbA=", "hell"},
		{"aGVs\r\nbA==\r\n", "hell"},
		{"aGVs=\r\n", "hel"},
		{"", ""},
		{"\r\n\r\n", ""},
		{"aGVsb", NULL},
		{"aGVsb=", NULL},
		{"aGVsbG8=aGVs", NULL},
		{"aGVsbG8=\r\nfooter", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t step = 1; step < 20; step += 3) {
			struct buf out = BUF_INIT(0);
			struct err err = ERR_INIT;
			enum rc rc = decode(cases[i].text, strlen(cases[i].text), step, &out, &err);

			CHECK_INT(cases[i].text, rc, cases[i].want ? RC_OK : RC_PERM);
			if (cases[i].want)
				CHECK_STR(cases[i].text, buf_text(&out), cases[i].want);
			else
				CHECK_INT(cases[i].text, err.code, ERR_B64_SYNTAX);
			buf_fini(&out);
		}
}

/* Lines of every length, and junk at every place of a long text, decode to the same. */
static void
test_line_lengths(void **state)
{
	static const char junk[] = {'\r', '\n', '-', '\0', (char)0x80, (char)0xff, ' '};
	char text[480], lines[2000], want[360];
	struct err err = ERR_INIT;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('A' + (i * 7) % 26);
	CHECK_INT("whole", b64_decode(text, sizeof(text), want, &len, &err), RC_OK);
	for (size_t width = 1; width < 200; width++) {
		struct buf out = BUF_INIT(0);
		size_t n = 0;

		for (size_t i = 0; i < sizeof(text); i++) {
			lines[n++] = text[i];
			if (i % width == width - 1) {
				lines[n++] = junk[width % sizeof(junk)];
				lines[n++] = '\n';
			}
		}
		CHECK_INT("lines", decode(lines, n, 1 + width * 3, &out, &err), RC_OK);
		CHECK_INT("length", out.len, sizeof(want));
		assert_memory_equal(out.data, want, sizeof(want));
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_alphabet),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_junk),
		cmocka_unit_test(test_junk_anywhere),
		cmocka_unit_test(test_line_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
