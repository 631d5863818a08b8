/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ber_fuzz.c - the splitter: the same outcome however the bytes are cut
 */
#include "tests/fuzz/fuzz.h"

#include "base/sink.h"
#include "crypto/ber.h"
#include "crypto/der.h"

#include <stdlib.h>
#include <string.h>

struct told {
	enum cms_kind kind;
	bool has_content;
	unsigned headers, trailers;
	struct buf content;
};

static enum rc
on_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct told *t = ctx;

	(void)err;
	FUZZ_CHECK(t->headers == 0);
	t->headers++;
	t->kind = kind;
	t->has_content = has_content;
	return RC_OK;
}

static enum rc
on_content(void *ctx, const void *data, size_t len, struct err *err)
{
	struct told *t = ctx;

	FUZZ_CHECK(t->headers == 1 && t->trailers == 0 && t->has_content);
	return buf_append(&t->content, data, len, err);
}

static enum rc
on_trailer(void *ctx, struct err *err)
{
	struct told *t = ctx;

	(void)err;
	FUZZ_CHECK(t->headers == 1 && t->trailers == 0);
	t->trailers++;
	return RC_OK;
}

static enum rc
run(const uint8_t *data, size_t size, size_t step, struct told *t, struct buf *skeleton)
{
	struct ber_handler handler = {
		.header = on_header, .content = on_content, .trailer = on_trailer, .ctx = t};
	struct ber_splitter *s = NULL;
	struct sink sink;
	enum rc rc;

	FUZZ_CHECK(ber_splitter_new(&handler, &s, NULL) == RC_OK);
	sink = ber_splitter_sink(s);
	rc = RC_OK;
	for (size_t at = 0; at < size && rc == RC_OK; at += step)
		rc = sink.feed(sink.ctx, data + at, size - at < step ? size - at : step, NULL);
	if (rc == RC_OK)
		rc = sink.finish(sink.ctx, NULL);
	if (rc == RC_OK)
		FUZZ_CHECK(ber_skeleton(s, skeleton, NULL) == RC_OK);
	ber_splitter_free(&s);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told a = {0}, b = {0};
	struct buf x = BUF_INIT(0), y = BUF_INIT(0), once = BUF_INIT(0), twice = BUF_INIT(0);
	enum rc first = run(data, size, SINK_CHUNK, &a, &x);

	FUZZ_CHECK(run(data, size, 1 + size % 7, &b, &y) == first);
	if (first == RC_OK) {
		FUZZ_CHECK(a.kind == b.kind && a.trailers == 1);
		FUZZ_CHECK(a.content.len == b.content.len && x.len == y.len);
		FUZZ_CHECK(!x.len || memcmp(x.data, y.data, x.len) == 0);
		FUZZ_CHECK(!a.content.len ||
			   memcmp(a.content.data, b.content.data, a.content.len) == 0);
	}
	/* What was made definite stays as it is. */
	if (der_from_ber(data, size, &once, NULL) == RC_OK) {
		FUZZ_CHECK(der_from_ber(once.data, once.len, &twice, NULL) == RC_OK);
		FUZZ_CHECK(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	}
	buf_fini(&a.content);
	buf_fini(&b.content);
	buf_fini(&x);
	buf_fini(&y);
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
