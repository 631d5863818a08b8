/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime.h"

#include "message/b64.h"
#include "message/qp.h"

#include <string.h>
#include <strings.h>

/*
 * Making an entity 7-bit has two steps. The first only looks, at the flags that the scanner left:
 * is there anything that can't be made 7-bit? So nothing was written when the answer is
 * ERR_POLICY_UNSAFE (but for a damaged base64 leaf, which shows while it is decoded). The second
 * writes: what lies between the parts and every leaf that is clean goes out as it is.
 */
#define UNCLEAN        (MIME_HAS_8BIT | MIME_HAS_NUL | MIME_BARE_CR | MIME_BARE_LF | MIME_LONG_LINE)
#define LINE_MAX_BYTES 998

struct writer {
	struct spool *spool;
	enum mime_style style;
	const struct sink *sink;
};

/* Of the type, "text/" for example. */
static bool
has_prefix(const struct entity *entity, const char *prefix)
{
	return strncmp(entity->ctype.type, prefix, strlen(prefix)) == 0;
}

/* Is nothing inside of this entity to be changed: it is a message, or under a signature or
 * encrypted? */
static bool
is_frozen(const struct entity *entity)
{
	return has_prefix(entity, "message/") ||
	       strcmp(entity->ctype.type, "multipart/signed") == 0 ||
	       strcmp(entity->ctype.type, "multipart/encrypted") == 0;
}

/* Is this a leaf whose content is to be encoded anew? An empty one never: it may not even have a
 * header to put the encoding in, when the message was cut behind a delimiter. */
static bool
is_recoded(const struct entity *entity, enum mime_style style)
{
	if (entity->n > 0 || entity->body == entity->end || is_frozen(entity) ||
		has_prefix(entity, "multipart/"))
		return false;
	if (style == MIME_STYLE_BASE64 && has_prefix(entity, "text/") &&
		entity->cte != CTE_BASE64 && entity->cte != CTE_OTHER)
		return true;
	return entity->flags & UNCLEAN;
}

/* The encoding that a leaf gets. */
static enum cte
new_cte(const struct entity *entity, enum mime_style style)
{
	bool text = has_prefix(entity, "text/");

	if (entity->cte == CTE_BASE64 || (text && style != MIME_STYLE_NORMAL))
		return CTE_BASE64;
	return text || entity->cte == CTE_QP ? CTE_QP : CTE_BASE64;
}

/* Can the tree be made 7-bit? FROZEN: it may not be touched. The root's header is looked at
 * elsewhere. */
static enum rc
check(const struct entity *entity, bool frozen, bool root, struct err *err)
{
	unsigned bad = entity->flags & UNCLEAN;
	enum rc rc = RC_OK;

	if (!root && entity->flags & (MIME_HDR_8BIT | MIME_HDR_BAD))
		return err_set(err, ERR_POLICY_UNSAFE, "the header of a body part is not clean");
	frozen = frozen || is_frozen(entity);
	if (frozen && bad)
		return err_set(
			err, ERR_POLICY_UNSAFE, "a message or a signed part inside is not clean");
	if (has_prefix(entity, "multipart/")) {
		if (entity->n ? bad & ~MIME_BARE_LF : bad)
			return err_set(
				err, ERR_POLICY_UNSAFE, "bytes around body parts are not clean");
	} else if (bad && entity->cte == CTE_OTHER) {
		return err_set(
			err, ERR_POLICY_UNSAFE, "a part of unknown transfer encoding is not clean");
	}
	for (size_t i = 0; rc == RC_OK && i < entity->n; i++)
		rc = check(entity->parts[i], frozen, false, err);
	return rc;
}

/* Is every line of the root's header 7-bit and short enough? */
static enum rc
check_hdrs(const struct hdrs *hdrs, struct err *err)
{
	for (size_t i = 0; i < hdrs->n; i++) {
		const struct hdr *hdr = &hdrs->v[i];
		size_t line = hdr->name_len + hdr->gap_len + 1;

		for (size_t k = 0; k < hdr->value_len; k++) {
			unsigned char c = (unsigned char)hdr->value[k];

			line = c == '\n' ? 0 : line + 1;
			if (c == 0 || c == '\r' || c > 127 || line > LINE_MAX_BYTES)
				return err_set(err, ERR_POLICY_UNSAFE, "field %.60s is not clean",
					hdr->name);
		}
	}
	return RC_OK;
}

/* Writes a header block whose Content-Transfer-Encoding becomes CTE (NULL: stays), and its empty
 * line. */
static enum rc
write_hdrs(const struct hdrs *hdrs, const char *cte, const struct sink *sink, struct err *err)
{
	static const char name[] = "Content-Transfer-Encoding";
	bool done = cte == NULL;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < hdrs->n; i++) {
		const struct hdr *hdr = &hdrs->v[i];

		if (!cte || hdr->name_len != sizeof(name) - 1 || strcasecmp(hdr->name, name) != 0) {
			rc = hdr_write(hdr, sink, err);
		} else if (!done) {
			done = true;
			rc = sink_feed_str(sink, "Content-Transfer-Encoding: ", err);
			if (rc == RC_OK)
				rc = sink_feed_str(sink, cte, err);
			if (rc == RC_OK)
				rc = sink_feed_str(sink, "\r\n", err);
		}
	}
	if (rc == RC_OK && !done) {
		rc = sink_feed_str(sink, "Content-Transfer-Encoding: ", err);
		if (rc == RC_OK)
			rc = sink_feed_str(sink, cte, err);
		if (rc == RC_OK)
			rc = sink_feed_str(sink, "\r\n", err);
	}
	return rc == RC_OK ? sink_feed_str(sink, "\r\n", err) : rc;
}

/* The transfer encoding that the header must name from now on, or NULL when it may stay. */
static const char *
cte_text(const struct entity *entity, enum mime_style style)
{
	if (is_recoded(entity, style))
		return new_cte(entity, style) == CTE_BASE64 ? "base64" : "quoted-printable";
	/* Relays convert by the label, so a label that promises more than there is goes too. */
	if (entity->body < entity->end && (entity->cte == CTE_8BIT || entity->cte == CTE_BINARY))
		return "7bit";
	return NULL;
}

/* Sends [FROM, TO) as it is. */
static enum rc
send_range(const struct writer *writer, uint64_t from, uint64_t to, struct err *err)
{
	return spool_send(writer->spool, from, to - from, writer->sink, err);
}

/* A sink's feed that gives each LF a CR; for what stands between body parts. */
struct crlf_stage {
	const struct sink *to;
	char last;
};

/* The feed of such a stage. */
static enum rc
feed_crlf(void *ctx, const void *data, size_t len, struct err *err)
{
	struct crlf_stage *stage = ctx;
	const char *p = data;
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		const char *lf = memchr(p, '\n', len);
		size_t n = lf ? (size_t)(lf - p) : len;

		if (n) {
			rc = sink_feed(stage->to, p, n, err);
			stage->last = p[n - 1];
		}
		if (rc == RC_OK && lf) {
			rc = sink_feed_str(stage->to, stage->last == '\r' ? "\n" : "\r\n", err);
			stage->last = '\n';
			n++;
		}
		p += n;
		len -= n;
	}
	return rc;
}

/* Sends what stands between the parts of ENTITY. */
static enum rc
send_between(const struct writer *writer, const struct entity *entity, uint64_t from, uint64_t to,
	struct err *err)
{
	struct crlf_stage stage = {.to = writer->sink};
	const struct sink crlf = {.feed = feed_crlf, .ctx = &stage};

	if (!(entity->flags & MIME_BARE_LF))
		return send_range(writer, from, to, err);
	return spool_send(writer->spool, from, to - from, &crlf, err);
}

/* Damaged base64 can't be encoded anew. */
static enum rc
decode(const struct writer *writer, const struct entity *entity, const struct sink *stage,
	struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc = entity_decode(entity, writer->spool, stage, &why);

	if (rc == RC_OK)
		return sink_finish(stage, err);
	return err_set(
		err, why.code == ERR_B64_SYNTAX ? ERR_POLICY_UNSAFE : why.code, "%s", why.detail);
}

/* Writes the content of a leaf in its new encoding. */
static enum rc
recode(const struct writer *writer, const struct entity *entity, struct err *err)
{
	const struct sink to = {
		.feed = writer->sink->feed, .ctx = writer->sink->ctx}; /* not finished here */
	struct b64_encoder *b64 = NULL;
	struct qp_encoder *qp = NULL;
	bool base64 = new_cte(entity, writer->style) == CTE_BASE64;
	struct sink stage;
	enum rc rc = base64 ? b64_encoder_new(&to, &b64, err) : qp_encoder_new(&to, &qp, err);

	if (rc == RC_OK) {
		stage = base64 ? b64_encoder_sink(b64) : qp_encoder_sink(qp);
		rc = decode(writer, entity, &stage, err);
	}
	b64_encoder_free(&b64);
	qp_encoder_free(&qp);
	return rc;
}

static enum rc
write_body(const struct writer *writer, const struct entity *entity, struct err *err);

/* A body part with its header; a clean header goes out byte for byte. */
static enum rc
write_part(const struct writer *writer, const struct entity *entity, struct err *err)
{
	const char *cte = cte_text(entity, writer->style);
	struct hdrs hdrs;
	enum rc rc;

	if (!cte) {
		rc = send_range(writer, entity->start, entity->body, err);
	} else {
		rc = entity_hdrs(entity, writer->spool, &hdrs, err);
		if (rc == RC_OK)
			rc = write_hdrs(&hdrs, cte, writer->sink, err);
		hdrs_fini(&hdrs);
	}
	return rc == RC_OK ? write_body(writer, entity, err) : rc;
}

/* The body of a leaf, or the parts with what stands between them. */
static enum rc
write_body(const struct writer *writer, const struct entity *entity, struct err *err)
{
	uint64_t at = entity->body;
	enum rc rc = RC_OK;

	if (is_recoded(entity, writer->style))
		return recode(writer, entity, err);
	if (is_frozen(entity) || entity->n == 0)
		return send_range(writer, entity->body, entity->end, err);
	for (size_t i = 0; rc == RC_OK && i < entity->n; i++) {
		rc = send_between(writer, entity, at, entity->parts[i]->start, err);
		if (rc == RC_OK)
			rc = write_part(writer, entity->parts[i], err);
		at = entity->parts[i]->end;
	}
	return rc == RC_OK ? send_between(writer, entity, at, entity->end, err) : rc;
}

enum rc
entity_write_7bit(const struct entity *entity, const struct hdrs *hdrs, struct spool *spool,
	enum mime_style style, const struct sink *sink, struct err *err)
{
	const struct writer writer = {.spool = spool, .style = style, .sink = sink};
	enum rc rc = check(entity, false, true, err);

	if (rc == RC_OK)
		rc = check_hdrs(hdrs, err);
	if (rc == RC_OK)
		rc = write_hdrs(hdrs, cte_text(entity, style), sink, err);
	return rc == RC_OK ? write_body(&writer, entity, err) : rc;
}
