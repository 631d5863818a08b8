/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/b64_bench.h"

#include "base/buf.h"
#include "message/b64.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>

#define BYTES  (8u << 20)
#define ROUNDS 8

/* CPU time of this process in nanoseconds. */
static double
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Encodes with the stream encoder. */
static enum rc
encode(const struct buf *in, struct buf *out, struct err *err)
{
	struct sink to = sink_to_buf(out), sink;
	struct b64_encoder *encoder;
	enum rc rc = b64_encoder_new(&to, &encoder, err);

	if (rc != RC_OK)
		return rc;
	sink = b64_encoder_sink(encoder);
	rc = sink_feed(&sink, in->data, in->len, err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	b64_encoder_free(&encoder);
	return rc;
}

/* Decodes with the stream decoder. */
static enum rc
decode(const struct buf *in, struct buf *out, struct err *err)
{
	struct sink to = sink_to_buf(out), sink;
	struct b64_decoder *decoder;
	enum rc rc = b64_decoder_new(&to, &decoder, err);

	if (rc != RC_OK)
		return rc;
	sink = b64_decoder_sink(decoder);
	rc = sink_feed(&sink, in->data, in->len, err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	b64_decoder_free(&decoder);
	return rc;
}

/* The same by EVP; OUT has room already. */
static enum rc
evp_encode(const struct buf *in, struct buf *out, struct err *err)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	int n = 0, last = 0;

	if (!ctx)
		return err_set(err, ERR_MEMORY, "EVP_ENCODE_CTX_new");
	EVP_EncodeInit(ctx);
	EVP_EncodeUpdate(
		ctx, (unsigned char *)out->data, &n, (unsigned char *)in->data, (int)in->len);
	EVP_EncodeFinal(ctx, (unsigned char *)out->data + n, &last);
	EVP_ENCODE_CTX_free(ctx);
	return n > 0 ? RC_OK : err_set(err, ERR_INTERNAL, "EVP_EncodeUpdate");
}

/* Decoding by EVP; OUT has room already. */
static enum rc
evp_decode(const struct buf *in, struct buf *out, struct err *err)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	int n = 0, rc;

	if (!ctx)
		return err_set(err, ERR_MEMORY, "EVP_ENCODE_CTX_new");
	EVP_DecodeInit(ctx);
	rc = EVP_DecodeUpdate(
		ctx, (unsigned char *)out->data, &n, (unsigned char *)in->data, (int)in->len);
	EVP_ENCODE_CTX_free(ctx);
	return rc >= 0 && n > 0 ? RC_OK : err_set(err, ERR_INTERNAL, "EVP_DecodeUpdate");
}

/* Runs WAY a few times; the fastest counts. */
static int
measure(const char *name, enum rc (*way)(const struct buf *, struct buf *, struct err *),
	const struct buf *in, struct buf *out)
{
	struct err err = ERR_INIT;
	double best = 1e18;

	for (int i = 0; i < ROUNDS; i++) {
		double start = cpu_ns(), ns;

		buf_clear(out);
		if (way(in, out, &err) != RC_OK) {
			printf("%s: %s\n", name, err.detail);
			return 0;
		}
		ns = (cpu_ns() - start) / BYTES;
		best = ns < best ? ns : best;
	}
	printf("  %-24s %5.2f ns/byte\n", name, best);
	return 1;
}

int
bench_b64(void)
{
	struct buf plain = BUF_INIT(2 * BYTES), text = BUF_INIT(2 * BYTES),
		   out = BUF_INIT(2 * BYTES);
	struct err err = ERR_INIT;
	int ok = buf_reserve(&plain, BYTES, &err) == RC_OK &&
		 buf_reserve(&text, BYTES + BYTES / 2, &err) == RC_OK &&
		 buf_reserve(&out, BYTES + BYTES / 2, &err) == RC_OK;

	for (size_t i = 0; ok && i < BYTES; i++)
		ok = buf_append_char(&plain, (char)(i * 2654435761u >> 13), &err) == RC_OK;
	if (!ok)
		printf("base64: %s\n", err.detail);
	else
		printf("base64, for each byte of content, lines of 76 characters\n");
	ok = ok && measure("encode, ours", encode, &plain, &text) &&
	     measure("encode, EVP", evp_encode, &plain, &out) &&
	     measure("decode, ours", decode, &text, &out) &&
	     measure("decode, EVP", evp_decode, &text, &out);
	buf_fini(&plain);
	buf_fini(&text);
	buf_fini(&out);
	return ok;
}
