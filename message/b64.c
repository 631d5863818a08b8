/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/b64.h"

#include "message/b64_avx2.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 57 /* make LINE_CHARS characters */
#define LINE_CHARS 76
#define LINES      (SINK_CHUNK / (LINE_CHARS + 2)) /* encoded at a time */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of each byte as a character, or -1. */
/* clang-format off */
#define VALUE(c) ((c) >= 'A' && (c) <= 'Z' ? (c) - 'A' \
	: (c) >= 'a' && (c) <= 'z'         ? (c) - 'a' + 26 \
	: (c) >= '0' && (c) <= '9'         ? (c) - '0' + 52 \
	: (c) == '+'                       ? 62 \
	: (c) == '/'                       ? 63 : -1)
#define VALUES_4(c)  VALUE(c), VALUE((c) + 1), VALUE((c) + 2), VALUE((c) + 3)
#define VALUES_16(c) VALUES_4(c), VALUES_4((c) + 4), VALUES_4((c) + 8), VALUES_4((c) + 12)
#define VALUES_64(c) VALUES_16(c), VALUES_16((c) + 16), VALUES_16((c) + 32), VALUES_16((c) + 48)
/* clang-format on */
static const int8_t values[256] = {VALUES_64(0), VALUES_64(64), VALUES_64(128), VALUES_64(192)};

/* Encodes what the machine's wide registers can take; returns the bytes used. */
static size_t
encode_wide(const unsigned char *in, size_t len, char *out)
{
#ifdef B64_HAVE_AVX2
	if (__builtin_cpu_supports("avx2"))
		return b64_avx2_encode(in, len, out);
#endif
	(void)in, (void)len, (void)out;
	return 0;
}

/* Decodes what the machine's wide registers can take; returns the characters used. */
static size_t
decode_wide(const unsigned char *in, size_t len, unsigned char *out)
{
#ifdef B64_HAVE_AVX2
	if (__builtin_cpu_supports("avx2"))
		return b64_avx2_decode(in, len, out);
#endif
	(void)in, (void)len, (void)out;
	return 0;
}

size_t
b64_encode(const void *data, size_t len, char *out)
{
	const unsigned char *in = data;
	size_t at = encode_wide(in, len, out);
	char *o = out + at / 3 * 4;

	for (; len - at >= 3; at += 3, o += 4) {
		uint32_t v = (uint32_t)in[at] << 16 | (uint32_t)in[at + 1] << 8 | in[at + 2];

		o[0] = alphabet[v >> 18];
		o[1] = alphabet[v >> 12 & 63];
		o[2] = alphabet[v >> 6 & 63];
		o[3] = alphabet[v & 63];
	}
	if (at < len) {
		uint32_t v =
			(uint32_t)in[at] << 16 | (len - at == 2 ? (uint32_t)in[at + 1] << 8 : 0);

		o[0] = alphabet[v >> 18];
		o[1] = alphabet[v >> 12 & 63];
		o[2] = '=';
		if (len - at == 2)
			o[2] = alphabet[v >> 6 & 63];
		o[3] = '=';
		o += 4;
	}
	return (size_t)(o - out);
}

/* Decodes groups of 4 up to the first that is not all alphabet; returns the characters used. */
static size_t
decode_groups(const unsigned char *in, size_t len, unsigned char *out)
{
	size_t at = decode_wide(in, len, out);

	out += at / 4 * 3;
	for (; len - at >= 4; at += 4, out += 3) {
		int32_t a = values[in[at]], b = values[in[at + 1]], c = values[in[at + 2]],
			d = values[in[at + 3]];
		uint32_t v;

		if ((a | b | c | d) < 0)
			break;
		v = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | (uint32_t)d;
		out[0] = (unsigned char)(v >> 16);
		out[1] = (unsigned char)(v >> 8);
		out[2] = (unsigned char)v;
	}
	return at;
}

enum rc
b64_decode(const char *text, size_t len, void *out, size_t *out_len, struct err *err)
{
	const unsigned char *in = (const unsigned char *)text;
	unsigned char *o = out;
	size_t used = decode_groups(in, len, o);
	int a, b, c;

	*out_len = used / 4 * 3;
	if (used == len)
		return RC_OK;
	in += used;
	o += *out_len;
	if (len - used != 4 || in[3] != '=')
		return err_set(err, ERR_B64_SYNTAX, "bad character or length");
	a = values[in[0]];
	b = values[in[1]];
	c = in[2] == '=' ? 0 : values[in[2]];
	/* Bits that the padding leaves over are zero: one value has one text. */
	if ((a | b | c) < 0 || (in[2] == '=' ? b & 15 : c & 3))
		return err_set(err, ERR_B64_SYNTAX, "bad padding");
	o[0] = (unsigned char)(a << 2 | b >> 4);
	*out_len += 1;
	if (in[2] != '=') {
		o[1] = (unsigned char)(b << 4 | c >> 2);
		*out_len += 1;
	}
	return RC_OK;
}

struct b64_encoder {
	struct sink to;
	unsigned char held[LINE_BYTES];       /* bytes of a line that is not full yet */
	size_t held_len;                      /* how many */
	char lines[LINES * (LINE_CHARS + 2)]; /* encoded */
};

enum rc
b64_encoder_new(const struct sink *to, struct b64_encoder **out, struct err *err)
{
	*out = malloc(sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "base64");
	(*out)->to = *to;
	(*out)->held_len = 0;
	return RC_OK;
}

void
b64_encoder_free(struct b64_encoder **encoder)
{
	free(*encoder);
	*encoder = NULL;
}

uint64_t
b64_encoded_size(uint64_t len)
{
	uint64_t chars = (len + 2) / 3 * 4;

	return chars + (chars + LINE_CHARS - 1) / LINE_CHARS * 2;
}

/* Encodes at most LINES lines; only the last of a message is shorter than LINE_BYTES. All is
 * encoded at once, so far to the right that no line, when it is moved to its place, meets one that
 * was not.
 */
static enum rc
put_lines(struct b64_encoder *encoder, const unsigned char *data, size_t len, struct err *err)
{
	char *flat = encoder->lines + (len + LINE_BYTES - 1) / LINE_BYTES * 2, *o = encoder->lines;
	size_t chars = b64_encode(data, len, flat);

	for (size_t at = 0; at < chars; at += LINE_CHARS) {
		size_t n = chars - at < LINE_CHARS ? chars - at : LINE_CHARS;

		memmove(o, flat + at, n);
		memcpy(o + n, "\r\n", 2);
		o += n + 2;
	}
	return sink_feed(&encoder->to, encoder->lines, (size_t)(o - encoder->lines), err);
}

/* Encodes whole lines and keeps the rest. */
static enum rc
feed_encoder(void *ctx, const void *data, size_t len, struct err *err)
{
	struct b64_encoder *encoder = ctx;
	const unsigned char *in = data;
	enum rc rc = RC_OK;

	if (encoder->held_len) {
		size_t n = LINE_BYTES - encoder->held_len;

		n = n < len ? n : len;
		memcpy(encoder->held + encoder->held_len, in, n);
		encoder->held_len += n;
		in += n;
		len -= n;
		if (encoder->held_len < LINE_BYTES)
			return RC_OK;
		rc = put_lines(encoder, encoder->held, LINE_BYTES, err);
	}
	while (rc == RC_OK && len >= LINE_BYTES) {
		size_t n = len / LINE_BYTES < LINES ? len / LINE_BYTES : LINES;

		rc = put_lines(encoder, in, n * LINE_BYTES, err);
		in += n * LINE_BYTES;
		len -= n * LINE_BYTES;
	}
	if (rc == RC_OK) {
		memcpy(encoder->held, in, len);
		encoder->held_len = len;
	}
	return rc;
}

/* Writes the last line. */
static enum rc
finish_encoder(void *ctx, struct err *err)
{
	struct b64_encoder *encoder = ctx;
	enum rc rc = RC_OK;

	if (encoder->held_len)
		rc = put_lines(encoder, encoder->held, encoder->held_len, err);
	encoder->held_len = 0;
	return rc == RC_OK ? sink_finish(&encoder->to, err) : rc;
}

struct sink
b64_encoder_sink(struct b64_encoder *encoder)
{
	return (struct sink){.feed = feed_encoder, .finish = finish_encoder, .ctx = encoder};
}

struct b64_decoder {
	struct sink to;
	uint32_t bits;  /* of a group that is not complete */
	unsigned count; /* its characters, 0 to 3 */
	bool ended;     /* padding was seen */
	unsigned char out[SINK_CHUNK / 4 * 3 + 3];
};

enum rc
b64_decoder_new(const struct sink *to, struct b64_decoder **out, struct err *err)
{
	*out = malloc(sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "base64");
	(*out)->to = *to;
	(*out)->bits = 0;
	(*out)->count = 0;
	(*out)->ended = false;
	return RC_OK;
}

void
b64_decoder_free(struct b64_decoder **decoder)
{
	free(*decoder);
	*decoder = NULL;
}

/* Ends the content: gives out the bytes of the last group, if it has enough characters. */
static enum rc
end_content(struct b64_decoder *decoder, unsigned char **out, struct err *err)
{
	decoder->ended = true;
	if (decoder->count == 1)
		return err_set(err, ERR_B64_SYNTAX, "one character left over");
	if (decoder->count >= 2)
		*(*out)++ = (unsigned char)(decoder->bits >> (decoder->count == 2 ? 4 : 10));
	if (decoder->count == 3)
		*(*out)++ = (unsigned char)(decoder->bits >> 2);
	decoder->count = 0;
	return RC_OK;
}

/* One character: of the alphabet, padding, or junk. */
static enum rc
take_character(struct b64_decoder *decoder, unsigned char c, unsigned char **out, struct err *err)
{
	int v = values[c];

	if (v < 0)
		return c == '=' && !decoder->ended ? end_content(decoder, out, err) : RC_OK;
	if (decoder->ended)
		return err_set(err, ERR_B64_SYNTAX, "data behind the padding");
	decoder->bits = decoder->bits << 6 | (uint32_t)v;
	if (++decoder->count == 4) {
		*(*out)++ = (unsigned char)(decoder->bits >> 16);
		*(*out)++ = (unsigned char)(decoder->bits >> 8);
		*(*out)++ = (unsigned char)decoder->bits;
		decoder->count = 0;
	}
	return RC_OK;
}

/* Whole groups at once where there are some; character by character around junk. */
static enum rc
feed_decoder(void *ctx, const void *data, size_t len, struct err *err)
{
	struct b64_decoder *decoder = ctx;
	const unsigned char *in = data, *end = in + len;
	unsigned char *out = decoder->out;
	enum rc rc = RC_OK;

	while (rc == RC_OK && in < end) {
		if (*in == '\r' || *in == '\n') { /* nearly all of the junk */
			in++;
			continue;
		}
		if (decoder->count == 0 && !decoder->ended && values[*in] >= 0) {
			size_t used = decode_groups(in, (size_t)(end - in), out);

			in += used;
			out += used / 4 * 3;
		}
		do {
			if (in < end)
				rc = take_character(decoder, *in++, &out, err);
		} while (rc == RC_OK && in < end && decoder->count);
	}
	if (rc == RC_OK && out > decoder->out)
		rc = sink_feed(&decoder->to, decoder->out, (size_t)(out - decoder->out), err);
	return rc;
}

/* Missing padding is forgiven: the length is known without it. */
static enum rc
finish_decoder(void *ctx, struct err *err)
{
	struct b64_decoder *decoder = ctx;
	unsigned char *out = decoder->out;
	enum rc rc = decoder->ended ? RC_OK : end_content(decoder, &out, err);

	if (rc == RC_OK && out > decoder->out)
		rc = sink_feed(&decoder->to, decoder->out, (size_t)(out - decoder->out), err);
	return rc == RC_OK ? sink_finish(&decoder->to, err) : rc;
}

struct sink
b64_decoder_sink(struct b64_decoder *decoder)
{
	return (struct sink){.feed = feed_decoder, .finish = finish_decoder, .ctx = decoder};
}
