/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fuzz.h"

#include "message/classify.h"

/* Ranges lie in each other and in order. */
static void
check_tree(const struct entity *entity)
{
	uint64_t at = entity->body;

	FUZZ_CHECK(entity->start <= entity->body && entity->body <= entity->end);
	for (size_t i = 0; i < entity->n; i++) {
		FUZZ_CHECK(entity->parts[i]->start >= at);
		check_tree(entity->parts[i]);
		at = entity->parts[i]->end;
	}
	FUZZ_CHECK(at <= entity->end);
}

static size_t
count(const struct entity *entity)
{
	size_t n = 1;

	for (size_t i = 0; i < entity->n; i++)
		n += count(entity->parts[i]);
	return n;
}

/* What was written is 7-bit, and has as many parts. */
static void
check_written(const struct buf *out, const struct entity *was)
{
	static const struct spool_conf conf = {.memory = 1 << 20};
	struct err err = ERR_INIT;
	struct entity *root = NULL;
	struct spool *spool;
	size_t line = 0;

	for (size_t i = 0; i < out->len; i++) {
		char c = out->data[i];

		FUZZ_CHECK(c > 0);
		FUZZ_CHECK((c == '\r') == (i + 1 < out->len && out->data[i + 1] == '\n'));
		line = c == '\n' ? 0 : line + 1;
		FUZZ_CHECK(line <= 999);
	}
	FUZZ_CHECK(spool_new(&conf, &spool, &err) == RC_OK);
	FUZZ_CHECK(spool_append(spool, buf_text(out), out->len, &err) == RC_OK);
	FUZZ_CHECK(mime_parse_entity(spool, 0, out->len, NULL, &root, &err) == RC_OK);
	FUZZ_CHECK(count(root) == count(was));
	entity_free(&root);
	spool_free(&spool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct spool_conf conf = {.memory = 1 << 20};
	struct err err = ERR_INIT;
	struct entity *root;
	struct spool *spool;
	struct hdrs hdrs;
	unsigned classes;

	FUZZ_CHECK(spool_new(&conf, &spool, &err) == RC_OK);
	FUZZ_CHECK(spool_append(spool, data, len, &err) == RC_OK);
	if (mime_parse_entity(spool, 0, len, &hdrs, &root, &err) == RC_OK) {
		check_tree(root);
		FUZZ_CHECK(classify(&hdrs, root, spool, "", &classes, &err) == RC_OK);
		for (int style = MIME_STYLE_NORMAL; style <= MIME_STYLE_BASE64; style++) {
			struct buf out = BUF_INIT(64u << 20);
			struct sink sink = sink_to_buf(&out);

			err_clear(&err);
			if (entity_write_7bit(root, &hdrs, spool, style, &sink, &err) == RC_OK)
				check_written(&out, root);
			else
				FUZZ_CHECK(err.code == ERR_POLICY_UNSAFE);
			buf_fini(&out);
		}
		entity_free(&root);
		hdrs_fini(&hdrs);
	} else {
		FUZZ_CHECK(err.code == ERR_LIMIT && !root);
	}
	spool_free(&spool);
	return 0;
}
