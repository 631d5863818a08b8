/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seven.h - is what entity_write_7bit made 7-bit, and does it say the same?
 */
#ifndef TESTS_UNIT_MESSAGE_SEVEN_H
#define TESTS_UNIT_MESSAGE_SEVEN_H

#include "message/mime.h"
#include "tests/unit/unit.h"

/* A spool with LEN bytes of TEXT. */
static inline struct spool *
spool_of(const char *text, size_t len)
{
	static const struct spool_conf conf = {.memory = 1 << 20};
	struct err err = ERR_INIT;
	struct spool *spool;

	CHECK_INT("spool", spool_new(&conf, &spool, &err), RC_OK);
	CHECK_INT("append", spool_append(spool, text, len, &err), RC_OK);
	return spool;
}

/* Byte by byte, not by the scanner's flags: nothing above 127, no NUL, CR and LF in pairs, short
 * lines. */
static inline void
check_pure(const char *name, const char *data, size_t len)
{
	size_t line = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] <= 0)
			fail_msg("%s: byte %02x at %zu", name, (unsigned char)data[i], i);
		if ((data[i] == '\r') != (i + 1 < len && data[i + 1] == '\n'))
			fail_msg("%s: line end at %zu", name, i);
		line = data[i] == '\n' ? 0 : line + 1;
		if (line > 999) /* the CR counts here */
			fail_msg("%s: long line at %zu", name, i);
	}
}

/* Same shape, same types, and each leaf decodes to the same bytes. */
static inline void
check_same(const char *name, const struct entity *a, struct spool *in_a, const struct entity *b,
	struct spool *in_b)
{
	CHECK_STR(name, b->ctype.type, a->ctype.type);
	CHECK_INT(name, b->n, a->n);
	for (size_t i = 0; i < a->n; i++)
		check_same(name, a->parts[i], in_a, b->parts[i], in_b);
	if (a->n == 0) {
		struct buf was = BUF_INIT(64u << 20), is = BUF_INIT(64u << 20);
		struct sink sink = sink_to_buf(&was);
		struct err err = ERR_INIT;
		enum rc rc = entity_decode(a, in_a, &sink, &err);

		sink = sink_to_buf(&is);
		CHECK_INT(name, entity_decode(b, in_b, &sink, &err), rc);
		CHECK_INT(name, is.len, was.len);
		if (was.len && rc == RC_OK)
			assert_memory_equal(is.data, was.data, was.len);
		buf_fini(&was);
		buf_fini(&is);
	}
}

/* Writes ENTITY; what comes out is looked at as said above. Returns what entity_write_7bit did. */
static inline enum rc
check_7bit(const char *name, const struct entity *entity, const struct hdrs *hdrs,
	struct spool *spool, enum mime_style style, struct buf *out, struct err *err)
{
	struct sink sink = sink_to_buf(out);
	enum rc rc = entity_write_7bit(entity, hdrs, spool, style, &sink, err);
	struct entity *again;
	struct spool *made;
	struct err own = ERR_INIT;

	if (rc != RC_OK)
		return rc;
	check_pure(name, buf_text(out), out->len);
	made = spool_of(buf_text(out), out->len);
	CHECK_INT(name, mime_parse_entity(made, 0, out->len, NULL, &again, &own), RC_OK);
	check_same(name, entity, spool, again, made);
	entity_free(&again);
	spool_free(&made);
	return RC_OK;
}

#endif
