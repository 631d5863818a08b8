/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is what calls itself S/MIME really that? A rule that leaves sealed mail alone must not be led by
 * a Content-Type that anybody can write: the CMS object has to parse from its first byte to its
 * last with nothing around it, and an envelope has to be for the recipient in question.
 */
#include "milter/tx.h"

#include "base/log.h"
#include "crypto/cms_envelope.h"
#include "crypto/cms_verify.h"
#include "milter/check_signature.h"

#include <string.h>

/* One pass over the object. */
struct look {
	struct ber_splitter *splitter;
	enum cms_kind kind;
	bool has_content;
	uint64_t content; /* bytes of it */
	bool ended;
};

static enum rc
look_header(void *ctx, enum cms_kind kind, bool has_content, struct err *err)
{
	struct look *look = ctx;

	(void)err;
	look->kind = kind;
	look->has_content = has_content;
	return RC_OK;
}

static enum rc
look_content(void *ctx, const void *data, size_t len, struct err *err)
{
	struct look *look = ctx;

	(void)data;
	(void)err;
	look->content += len;
	return RC_OK;
}

static enum rc
look_trailer(void *ctx, struct err *err)
{
	struct look *look = ctx;

	(void)err;
	look->ended = true;
	return RC_OK;
}

/* Decoders pass over what is not in their alphabet: there a text could hide. */
static enum rc
feed_strict(void *ctx, const void *data, size_t len, struct err *err)
{
	const char *p = data;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		if (!((p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= 'a' && p[i] <= 'z') ||
			    (p[i] >= '0' && p[i] <= '9') || (p[i] && strchr("+/=\r\n\t ", p[i]))))
			return err_set(err, ERR_B64_SYNTAX, "bytes that are not base64");
	return RC_OK;
}

static enum rc
check_alphabet(const struct entity *leaf, struct spool *body, struct err *err)
{
	const struct sink sink = {.feed = feed_strict};

	return leaf->cte == CTE_BASE64
		       ? spool_send(body, leaf->body, leaf->end - leaf->body, &sink, err)
		       : RC_OK;
}

/* Has the envelope's content a length that its cipher gives? */
static bool
is_plausible(const struct cms_enveloped *enveloped, uint64_t content)
{
	if (enveloped->cipher == CIPHER_NONE)
		return content > 0;
	if (content_cipher_is_authenticated(enveloped->cipher))
		return true;
	return content > 0 && content % (enveloped->cipher == CIPHER_3DES_CBC ? 8 : 16) == 0;
}

/* What the whole object turned out to be. DETACHED: it signs another part. */
static enum rc
judge(const struct look *look, bool detached, bool *whole, struct cms_enveloped **enveloped,
	struct err *err)
{
	struct cms_signed *sd = NULL;
	struct buf skeleton = BUF_INIT(0);
	enum rc rc;

	if (!look->ended || ber_trailing(look->splitter) > 0 || look->has_content == detached)
		return RC_OK;
	rc = ber_skeleton(look->splitter, &skeleton, err);
	if (rc == RC_OK && look->kind == CMS_SIGNED) {
		rc = cms_signed_parse(buf_text(&skeleton), skeleton.len, &sd, err);
		*whole = rc == RC_OK && cms_signed_signers(sd) > 0;
	} else if (rc == RC_OK && !detached &&
		   (look->kind == CMS_ENVELOPED || look->kind == CMS_AUTH_ENVELOPED)) {
		rc = cms_enveloped_parse(buf_text(&skeleton), skeleton.len, enveloped, err);
		*whole = rc == RC_OK && (*enveloped)->n > 0 &&
			 is_plausible(*enveloped, look->content);
		if (!*whole)
			cms_enveloped_free(enveloped);
	}
	cms_signed_free(&sd);
	buf_fini(&skeleton);
	return rc;
}

static enum rc
check_leaf(const struct entity *leaf, struct spool *body, bool detached, bool *whole,
	struct cms_enveloped **enveloped, struct err *err)
{
	struct look look = {.kind = CMS_OTHER};
	const struct ber_handler handler = {.header = look_header,
		.content = look_content,
		.trailer = look_trailer,
		.ctx = &look};
	struct sink sink;
	enum rc rc = ber_splitter_new(&handler, &look.splitter, err);

	if (rc == RC_OK)
		rc = check_alphabet(leaf, body, err);
	if (rc == RC_OK) {
		sink = ber_splitter_sink(look.splitter);
		rc = entity_decode(leaf, body, &sink, err);
	}
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	if (rc == RC_OK)
		rc = judge(&look, detached, whole, enveloped, err);
	ber_splitter_free(&look.splitter);
	return rc;
}

enum rc
intact_check(const struct entity *root, struct spool *body, bool *whole,
	struct cms_enveloped **enveloped, struct err *err)
{
	enum wrapping wrapping = entity_wrapping(root);
	struct err why = ERR_INIT;
	enum rc rc = RC_OK;

	*whole = false;
	*enveloped = NULL;
	if (root->flags & MIME_BAD_TYPE || wrapping == WRAP_NONE)
		return RC_OK;
	if (wrapping == WRAP_PKCS7_MIME)
		rc = check_leaf(root, body, false, whole, enveloped, &why);
	else if (root->n == 2)
		rc = check_leaf(root->parts[1], body, true, whole, enveloped, &why);
	if (rc == RC_PERM) { /* not what it says */
		*whole = false;
		return RC_OK;
	}
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

enum tri
intact_for(struct transaction *tx, const struct rcpt *rcpt)
{
	struct err why = ERR_INIT;
	size_t index;
	enum rc rc;

	if (!rcpt->found)
		return TRI_UNKNOWN;
	for (size_t i = 0; i < rcpt->found->n; i++)
		if (rcpt->found->v[i].used &&
			cms_enveloped_names(tx->enveloped, rcpt->found->v[i].cert))
			return TRI_YES;
	if (rcpt->facts.direction == DIR_OUTBOUND)
		return TRI_NO;
	/* One of ours, whose keys the vault knows, retired ones too. */
	rc = tx->vault_err.code ? RC_TEMP
				: vault_match(engine_vault(tx->engine), rcpt->person,
					  tx->enveloped->rinfos, tx->enveloped->n, &index, &why);
	if (rc == RC_TEMP) {
		if (tx->vault_err.code == ERR_NONE) {
			tx->vault_err = why;
			log_error(LOGL_WARN, tx->qid, "recipient-unknown", &why, "rcpt", rcpt->addr,
				NULL);
		}
		return TRI_UNKNOWN;
	}
	return rc == RC_OK ? TRI_YES : TRI_NO;
}
