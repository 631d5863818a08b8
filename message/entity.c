/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime.h"

#include "message/b64.h"
#include "message/qp.h"

#include <stdlib.h>

void
entity_free(struct entity **root)
{
	struct entity *entity = *root;

	if (!entity)
		return;
	for (size_t i = 0; i < entity->n; i++)
		entity_free(&entity->parts[i]); /* not deeper than MIME_MAX_DEPTH */
	free(entity->parts);
	ctype_fini(&entity->ctype);
	free(entity->filename);
	free(entity);
	*root = NULL;
}

unsigned
entity_flags(const struct entity *entity)
{
	unsigned flags = entity->flags;

	for (size_t i = 0; i < entity->n; i++)
		flags |= entity_flags(entity->parts[i]);
	return flags;
}

enum rc
entity_hdrs(const struct entity *entity, struct spool *spool, struct hdrs *out, struct err *err)
{
	size_t len = (size_t)(entity->body - entity->start), used;
	char *block;
	enum rc rc;

	hdrs_init(out);
	if (entity->body - entity->start > HDRS_MAX_BYTES + 2)
		return err_set(err, ERR_LIMIT, "header above %u bytes", HDRS_MAX_BYTES);
	block = malloc(len ? len : 1);
	if (!block)
		return err_set(err, ERR_MEMORY, "header");
	rc = spool_read(spool, entity->start, block, len, err);
	if (rc == RC_OK)
		rc = hdrs_parse(block, len, out, &used, err);
	free(block);
	return rc;
}

/* Decodes base64 to SINK. */
static enum rc
decode_base64(
	const struct entity *entity, struct spool *spool, const struct sink *sink, struct err *err)
{
	struct b64_decoder *decoder;
	struct sink stage;
	enum rc rc = b64_decoder_new(sink, &decoder, err);

	if (rc != RC_OK)
		return rc;
	stage = b64_decoder_sink(decoder);
	rc = spool_send(spool, entity->body, entity->end - entity->body, &stage, err);
	if (rc == RC_OK)
		rc = sink_finish(&stage, err);
	b64_decoder_free(&decoder);
	return rc;
}

/* Decodes quoted-printable to SINK. */
static enum rc
decode_qp(
	const struct entity *entity, struct spool *spool, const struct sink *sink, struct err *err)
{
	struct qp_decoder *decoder;
	struct sink stage;
	enum rc rc = qp_decoder_new(sink, &decoder, err);

	if (rc != RC_OK)
		return rc;
	stage = qp_decoder_sink(decoder);
	rc = spool_send(spool, entity->body, entity->end - entity->body, &stage, err);
	if (rc == RC_OK)
		rc = sink_finish(&stage, err);
	qp_decoder_free(&decoder);
	return rc;
}

enum rc
entity_decode(
	const struct entity *entity, struct spool *spool, const struct sink *sink, struct err *err)
{
	/* The stages finish what they feed; the caller's sink is not ours to finish. */
	const struct sink open = {.feed = sink->feed, .ctx = sink->ctx};

	if (entity->cte == CTE_BASE64)
		return decode_base64(entity, spool, &open, err);
	if (entity->cte == CTE_QP)
		return decode_qp(entity, spool, &open, err);
	return spool_send(spool, entity->body, entity->end - entity->body, &open, err);
}
