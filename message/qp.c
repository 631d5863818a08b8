/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/qp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_CHARS 76
#define LOOK_AHEAD     5 /* "From " */

struct qp_encoder {
	struct sink to;
	size_t column;                    /* characters in the line that is being written */
	char in[LOOK_AHEAD + SINK_CHUNK]; /* what was held back, and what came */
	size_t in_len;                    /* how much of it was held back */
	char out[SINK_CHUNK];
	size_t out_len; /* bytes ready to go */
};

enum rc
qp_encoder_new(const struct sink *to, struct qp_encoder **out, struct err *err)
{
	*out = malloc(sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "quoted-printable");
	(*out)->to = *to;
	(*out)->column = (*out)->in_len = (*out)->out_len = 0;
	return RC_OK;
}

void
qp_encoder_free(struct qp_encoder **encoder)
{
	free(*encoder);
	*encoder = NULL;
}

/* Sends what is ready. */
static enum rc
flush(struct qp_encoder *encoder, struct err *err)
{
	size_t len = encoder->out_len;

	encoder->out_len = 0;
	return len ? sink_feed(&encoder->to, encoder->out, len, err) : RC_OK;
}

/* Is this line end, seen from P with LEN bytes that are all there is or LOOK_AHEAD of them? */
static bool
at_crlf(const char *p, size_t len)
{
	return len >= 2 && p[0] == '\r' && p[1] == '\n';
}

/* Must the byte at P be encoded where it stands? */
static bool
needs_encoding(const char *p, size_t len, size_t column)
{
	char c = *p;

	if (c == ' ' || c == '\t')
		return len == 1 || at_crlf(p + 1, len - 1);
	if (c < '!' || c > '~' || c == '=')
		return true;
	if (column > 0)
		return false;
	return c == '.' || (c == '-' && len > 1 && p[1] == '-') ||
	       (c == 'F' && len >= 5 && memcmp(p, "From ", 5) == 0);
}

/* Writes the byte at P, with a soft line break before it where the line is full. */
static void
put_byte(struct qp_encoder *encoder, const char *p, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t width = needs_encoding(p, len, encoder->column) ? 3 : 1;
	char *o;

	if (encoder->column + width > LINE_MAX_CHARS - 1) {
		memcpy(encoder->out + encoder->out_len, "=\r\n", 3);
		encoder->out_len += 3;
		encoder->column = 0;
		width = needs_encoding(p, len, 0) ? 3 : 1;
	}
	o = encoder->out + encoder->out_len;
	if (width == 3) {
		o[0] = '=';
		o[1] = hex[(unsigned char)*p >> 4];
		o[2] = hex[*p & 15];
	} else {
		o[0] = *p;
	}
	encoder->out_len += width;
	encoder->column += width;
}

/* Copies what stands for itself wherever it is, but for the beginning and the end of a line. */
static const char *
copy_run(struct qp_encoder *encoder, const char *p, const char *end)
{
	char *o = encoder->out + encoder->out_len;
	const char *from = p;
	size_t room = encoder->column ? LINE_MAX_CHARS - 1 - encoder->column : 0;

	if ((size_t)(end - p) > room)
		end = p + room;
	while (p<end && * p> ' ' && *p < 127 && *p != '=')
		*o++ = *p++;
	encoder->out_len += (size_t)(p - from);
	encoder->column += (size_t)(p - from);
	return p;
}

/* Encodes what has enough bytes behind it, or everything at the end. */
static enum rc
encode(struct qp_encoder *encoder, size_t len, bool final, struct err *err)
{
	const char *p = encoder->in, *end = p + len;
	enum rc rc = RC_OK;

	while (rc == RC_OK && p < end && (final || end - p >= LOOK_AHEAD)) {
		if (encoder->out_len > sizeof(encoder->out) - LINE_MAX_CHARS - 8)
			rc = flush(encoder, err);
		if (at_crlf(p, (size_t)(end - p))) {
			memcpy(encoder->out + encoder->out_len, "\r\n", 2);
			encoder->out_len += 2;
			encoder->column = 0;
			p += 2;
		} else {
			put_byte(encoder, p, (size_t)(end - p));
			p = copy_run(encoder, p + 1, end);
		}
	}
	encoder->in_len = (size_t)(end - p);
	memmove(encoder->in, p, encoder->in_len);
	return rc == RC_OK ? flush(encoder, err) : rc;
}

/* A sink's feed. */
static enum rc
feed_encoder(void *ctx, const void *data, size_t len, struct err *err)
{
	struct qp_encoder *encoder = ctx;

	memcpy(encoder->in + encoder->in_len, data, len);
	return encode(encoder, encoder->in_len + len, false, err);
}

/* A sink's finish. */
static enum rc
finish_encoder(void *ctx, struct err *err)
{
	struct qp_encoder *encoder = ctx;
	enum rc rc = encode(encoder, encoder->in_len, true, err);

	return rc == RC_OK ? sink_finish(&encoder->to, err) : rc;
}

struct sink
qp_encoder_sink(struct qp_encoder *encoder)
{
	return (struct sink){.feed = feed_encoder, .finish = finish_encoder, .ctx = encoder};
}

/*
 * The decoder holds back what may turn out to mean nothing: a run of blanks (dropped before a line
 * end), with an equals sign before it (a soft line break), or the beginning of "=XX".
 */
#define HELD_MAX 1000

struct qp_decoder {
	struct sink to;
	char held[HELD_MAX]; /* an equals sign or blanks, and what follows */
	size_t held_len;     /* bytes in use */
	char out[SINK_CHUNK];
	size_t out_len; /* bytes ready to go */
};

enum rc
qp_decoder_new(const struct sink *to, struct qp_decoder **out, struct err *err)
{
	*out = malloc(sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "quoted-printable");
	(*out)->to = *to;
	(*out)->held_len = (*out)->out_len = 0;
	return RC_OK;
}

void
qp_decoder_free(struct qp_decoder **decoder)
{
	free(*decoder);
	*decoder = NULL;
}

/* Gives out bytes. */
static enum rc
put(struct qp_decoder *decoder, const char *data, size_t len, struct err *err)
{
	enum rc rc = RC_OK;

	if (decoder->out_len + len > sizeof(decoder->out)) {
		rc = sink_feed(&decoder->to, decoder->out, decoder->out_len, err);
		decoder->out_len = 0;
	}
	memcpy(decoder->out + decoder->out_len, data, len);
	decoder->out_len += len;
	return rc;
}

/* What was held back is content after all. */
static enum rc
release(struct qp_decoder *decoder, struct err *err)
{
	size_t len = decoder->held_len;

	decoder->held_len = 0;
	return put(decoder, decoder->held, len, err);
}

/* 0 to 15, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A blank. */
static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A byte when nothing is held back. */
static enum rc
take_plain(struct qp_decoder *decoder, char c, struct err *err)
{
	if (c != '=' && c != '\r' && !is_blank(c))
		return put(decoder, &c, 1, err);
	decoder->held[decoder->held_len++] = c;
	return RC_OK;
}

/* A byte behind an equals sign. */
static enum rc
take_escape(struct qp_decoder *decoder, char c, struct err *err)
{
	char *held = decoder->held, byte;
	size_t len = decoder->held_len;
	enum rc rc;

	if (c == '\n') { /* soft line break, with blanks and CR before it */
		decoder->held_len = 0;
		return RC_OK;
	}
	if (len == 2 && hex_value(held[1]) >= 0 && hex_value(c) >= 0) {
		byte = (char)(hex_value(held[1]) << 4 | hex_value(c));
		decoder->held_len = 0;
		return put(decoder, &byte, 1, err);
	}
	if (len < HELD_MAX && held[len - 1] != '\r' &&
		((len == 1 && hex_value(c) >= 0) ||
			((len == 1 || is_blank(held[len - 1])) && (is_blank(c) || c == '\r')))) {
		held[decoder->held_len++] = c;
		return RC_OK;
	}
	rc = release(decoder, err);
	return rc == RC_OK ? take_plain(decoder, c, err) : rc;
}

/* A byte behind blanks, with or without a CR. */
static enum rc
take_blank(struct qp_decoder *decoder, char c, struct err *err)
{
	bool cr = decoder->held[decoder->held_len - 1] == '\r';
	enum rc rc;

	if (c == '\n') {
		decoder->held_len = 0;
		return cr ? put(decoder, "\r\n", 2, err) : put(decoder, "\n", 1, err);
	}
	if (!cr && decoder->held_len < HELD_MAX && (is_blank(c) || c == '\r')) {
		decoder->held[decoder->held_len++] = c;
		return RC_OK;
	}
	rc = release(decoder, err);
	return rc == RC_OK ? take_plain(decoder, c, err) : rc;
}

/* A sink's feed: runs that stand for themselves at once, the rest byte by byte. */
static enum rc
feed_decoder(void *ctx, const void *data, size_t len, struct err *err)
{
	struct qp_decoder *decoder = ctx;
	const char *p = data, *end = p + len;
	enum rc rc = RC_OK;

	while (rc == RC_OK && p < end) {
		const char *run = p;

		if (decoder->held_len == 0)
			while (p < end && *p != '=' && *p != '\r' && !is_blank(*p))
				p++;
		if (p > run)
			rc = put(decoder, run, (size_t)(p - run), err);
		else if (decoder->held_len == 0)
			rc = take_plain(decoder, *p++, err);
		else if (decoder->held[0] == '=')
			rc = take_escape(decoder, *p++, err);
		else
			rc = take_blank(decoder, *p++, err);
	}
	if (rc == RC_OK && decoder->out_len)
		rc = sink_feed(&decoder->to, decoder->out, decoder->out_len, err);
	decoder->out_len = 0;
	return rc;
}

/* At the end: an equals sign alone is a soft break, blanks are dropped, the rest is content. */
static enum rc
finish_decoder(void *ctx, struct err *err)
{
	struct qp_decoder *decoder = ctx;
	size_t len = decoder->held_len, blank = decoder->held_len > 0 && decoder->held[0] == '=';
	enum rc rc = RC_OK;

	while (blank < len && is_blank(decoder->held[blank]))
		blank++;
	if (blank < len)
		rc = release(decoder, err);
	if (rc == RC_OK && decoder->out_len)
		rc = sink_feed(&decoder->to, decoder->out, decoder->out_len, err);
	decoder->held_len = decoder->out_len = 0;
	return rc == RC_OK ? sink_finish(&decoder->to, err) : rc;
}

struct sink
qp_decoder_sink(struct qp_decoder *decoder)
{
	return (struct sink){.feed = feed_decoder, .finish = finish_decoder, .ctx = decoder};
}
