/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "message/b64.h"

#include <stdlib.h>
#include <string.h>

/* Runs the stream decoder over DATA in pieces of STEP bytes. */
static enum rc
decode(const uint8_t *data, size_t len, size_t step, struct buf *out)
{
	struct sink to = sink_to_buf(out), sink;
	struct b64_decoder *decoder;
	struct err err = ERR_INIT;
	enum rc rc = b64_decoder_new(&to, &decoder, &err);

	FUZZ_CHECK(rc == RC_OK);
	sink = b64_decoder_sink(decoder);
	for (size_t at = 0; rc == RC_OK && at < len; at += step)
		rc = sink_feed(&sink, data + at, len - at < step ? len - at : step, &err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, &err);
	b64_decoder_free(&decoder);
	return rc;
}

/* Encodes, and decodes again. */
static void
round_trip(const uint8_t *data, size_t len)
{
	struct buf text = BUF_INIT(0), back = BUF_INIT(0);
	struct sink to = sink_to_buf(&text), sink;
	struct b64_encoder *encoder;
	struct err err = ERR_INIT;

	FUZZ_CHECK(b64_encoder_new(&to, &encoder, &err) == RC_OK);
	sink = b64_encoder_sink(encoder);
	FUZZ_CHECK(sink_feed(&sink, data, len, &err) == RC_OK);
	FUZZ_CHECK(sink_finish(&sink, &err) == RC_OK);
	b64_encoder_free(&encoder);
	FUZZ_CHECK(text.len == b64_encoded_size(len));
	FUZZ_CHECK(decode((const uint8_t *)buf_text(&text), text.len, 1000, &back) == RC_OK);
	FUZZ_CHECK(back.len == len && memcmp(buf_text(&back), data, len) == 0);
	buf_fini(&text);
	buf_fini(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf whole = BUF_INIT(0), pieces = BUF_INIT(0);
	struct err err = ERR_INIT;
	size_t strict_len;
	uint8_t *strict;
	enum rc rc;

	if (len > 1 << 20)
		return 0;
	rc = decode(data, len, len ? len : 1, &whole);
	FUZZ_CHECK(decode(data, len, 1 + (len ? data[0] : 0), &pieces) == rc);
	if (rc == RC_OK)
		FUZZ_CHECK(whole.len == pieces.len &&
			   memcmp(buf_text(&whole), buf_text(&pieces), whole.len) == 0);
	strict = malloc(len / 4 * 3 + 1);
	FUZZ_CHECK(strict != NULL);
	if (b64_decode((const char *)data, len, strict, &strict_len, &err) == RC_OK)
		FUZZ_CHECK(rc == RC_OK && strict_len == whole.len &&
			   memcmp(strict, buf_text(&whole), strict_len) == 0);
	round_trip(data, len);
	free(strict);
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
