/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/check_signature.h"

#include <stdlib.h>
#include <string.h>

/* A detached signature with its certificates; real ones have 2 to 20 KB. */
#define SIGNATURE_MAX (4u << 20)
#define WHOLE_MAX     (64u << 10) /* an encoded object that is worth keeping decoded */

/* A message that can't be judged for what it is made of: the verdict says so, nothing failed. */
static enum rc
permerror(struct verdict *verdict, const char *reason)
{
	verdict_reason(verdict, "%s", reason);
	verdict->overall = VERDICT_PERMERROR;
	return RC_OK;
}

/* Trouble with the message becomes a verdict; our own stays trouble. */
static enum rc
trouble(enum rc rc, struct verdict *verdict, const struct err *err)
{
	if (rc != RC_PERM)
		return rc;
	if (err->code == ERR_CMS_UNSUPPORTED) {
		verdict->signature = SIGNATURE_UNSUPPORTED;
		verdict_note(verdict, VERDICT_SIGNATURE, NULL, "%s", err->detail);
		verdict_conclude(verdict, false);
		return RC_OK;
	}
	verdict->malformed = true;
	return permerror(verdict, err->detail);
}

/* With several authors, or none, nobody can be meant by a signer's address. */
static enum rc
judge_signers(const struct signature_check *check, struct cms_signed *sd,
	const struct hasher *hasher, struct verdict *verdict, struct err *err)
{
	bool one = check->from && check->from->n == 1 && check->from_fields <= 1;
	const struct cms_asked asked = {.addr = one ? check->from->v[0] : NULL,
		.at = check->at,
		.received = check->received ? check->received : -1,
		.revocation = check->revocation,
		.effort = check->effort};
	enum rc rc = cms_signed_verify_asked(
		sd, hasher, check->trust, check->extra, &asked, verdict, err);

	if (rc != RC_OK || verdict->signature == SIGNATURE_NONE)
		return rc;
	if (one || !check->from) {
		if (check->revocation)
			verdict_conclude(
				verdict, !verdict_revocation_suffices(verdict, check->revocation));
		return RC_OK;
	}
	verdict->sender = SENDER_MISMATCH;
	verdict_forget(verdict, VERDICT_SENDER);
	if (check->from_fields > 1)
		verdict_note(verdict, VERDICT_SENDER, NULL, "there are %zu From: fields",
			check->from_fields);
	else
		verdict_note(
			verdict, VERDICT_SENDER, NULL, "From: names %zu addresses", check->from->n);
	verdict_conclude(verdict, !verdict_revocation_suffices(verdict, check->revocation));
	return RC_OK;
}

static enum rc
verify_signers(const struct signature_check *check, struct cms_signed *sd,
	const struct hasher *hasher, struct verdict *verdict, struct err *err)
{
	enum rc rc = judge_signers(check, sd, hasher, verdict, err);

	if (rc == RC_OK && check->seen)
		check->seen(check->ctx, sd, verdict);
	return rc;
}

static enum rc
hash_part(const struct entity *part, struct spool *spool, unsigned digests, struct hasher **out,
	struct err *err)
{
	struct sink sink;
	enum rc rc = hasher_new(digests, out, err);

	if (rc != RC_OK)
		return rc;
	sink = hasher_sink(*out);
	rc = spool_send(spool, part->start, part->end - part->start, &sink, err);
	return rc == RC_OK ? sink_finish(&sink, err) : rc;
}

static enum rc
check_detached(const struct signature_check *check, const struct entity *root, struct spool *spool,
	struct verdict *verdict, struct err *err)
{
	struct buf der = BUF_INIT(SIGNATURE_MAX);
	struct sink sink = sink_to_buf(&der);
	struct cms_signed *sd = NULL;
	struct hasher *hasher = NULL;
	enum rc rc;

	if (root->n != 2)
		return permerror(verdict, "multipart/signed has not two parts");
	rc = entity_decode(root->parts[1], spool, &sink, err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	if (rc == RC_OK)
		rc = cms_signed_parse(buf_text(&der), der.len, &sd, err);
	if (rc == RC_OK)
		rc = hash_part(root->parts[0], spool, cms_signed_digests(sd), &hasher, err);
	if (rc == RC_OK)
		rc = verify_signers(check, sd, hasher, verdict, err);
	hasher_free(&hasher);
	cms_signed_free(&sd);
	buf_fini(&der);
	return trouble(rc, verdict, err);
}

static enum rc
check_opaque(const struct signature_check *check, const struct entity *root, struct spool *spool,
	const struct sink *content, struct verdict *verdict, struct err *err)
{
	struct sink nowhere = sink_null(), sink;
	struct cms_signed_reader *reader = NULL;
	struct cms_signed *sd = NULL;
	const struct hasher *hasher;
	enum rc rc = cms_signed_reader_new(content ? content : &nowhere, &reader, err);

	if (rc == RC_OK) {
		sink = cms_signed_reader_sink(reader);
		rc = entity_decode(root, spool, &sink, err);
	}
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	if (rc == RC_OK)
		rc = cms_signed_reader_take(reader, &sd, &hasher, err);
	if (rc == RC_OK)
		rc = verify_signers(check, sd, hasher, verdict, err);
	cms_signed_free(&sd);
	cms_signed_reader_free(&reader);
	return trouble(rc, verdict, err);
}

/* Feeds a header reader until it has seen enough, then asks for no more. */
struct stopper {
	struct cms_header_reader *reader;
	struct sink sink;
	bool done;
};

static enum rc
stopper_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct stopper *stopper = ctx;
	enum rc rc = sink_feed(&stopper->sink, data, len, err);

	if (rc != RC_OK || !cms_header_done(stopper->reader))
		return rc;
	stopper->done = true;
	return err_set(NULL, ERR_INTERNAL, "enough was read"); /* for nobody to see */
}

/* All of a small one. What is damaged behind the header is not for the header's reader to say. */
static void
decode_whole(const struct entity *entity, struct spool *spool, struct buf *whole)
{
	struct err ignored = ERR_INIT;
	struct sink sink = sink_to_buf(whole);

	if (!whole || entity->end - entity->body > WHOLE_MAX)
		return;
	if (entity_decode(entity, spool, &sink, &ignored) != RC_OK)
		buf_clear(whole);
}

enum rc
read_cms_header(const struct entity *entity, struct spool *spool, enum cms_kind *kind,
	struct cms_enveloped **enveloped, struct buf *whole, struct err *err)
{
	struct stopper stopper = {0};
	struct sink sink = {.feed = stopper_feed, .ctx = &stopper};
	enum rc rc = cms_header_reader_new(&stopper.reader, err);

	*enveloped = NULL;
	*kind = CMS_OTHER;
	if (rc != RC_OK)
		return rc;
	stopper.sink = cms_header_reader_sink(stopper.reader);
	decode_whole(entity, spool, whole);
	rc = whole && whole->len ? sink_feed(&sink, whole->data, whole->len, err)
				 : entity_decode(entity, spool, &sink, err);
	if (stopper.done)
		rc = RC_OK;
	else if (rc == RC_OK)
		rc = sink_finish(&stopper.sink, err);
	if (rc == RC_OK) {
		*kind = cms_header_kind(stopper.reader);
		if (*kind == CMS_ENVELOPED || *kind == CMS_AUTH_ENVELOPED)
			rc = cms_header_take(stopper.reader, enveloped, err);
	}
	cms_header_reader_free(&stopper.reader);
	return rc;
}

/*
 * Does every reader's program show the part that was signed, and nothing else? What stands around
 * the two parts is nobody's: another boundary that some find, a line that some take for a
 * delimiter, a bare CR that ends a line for some, an encoding that a multipart can't have.
 */
static bool
is_read_alike(const struct entity *root)
{
	const unsigned any = MIME_HDR_CR | MIME_BARE_CR | MIME_HAS_NUL | MIME_NEAR_DELIMITER;

	return !(root->flags & (any | MIME_VAGUE_TYPE)) && root->cte != CTE_BASE64 &&
	       root->cte != CTE_QP && (root->n < 2 || !(root->parts[1]->flags & any));
}

enum rc
check_signature(const struct signature_check *check, const struct entity *root, struct spool *spool,
	const struct sink *content, struct verdict *verdict, struct err *err)
{
	struct cms_enveloped *enveloped;
	struct err local = ERR_INIT;
	enum cms_kind kind;
	enum rc rc;

	if (!err)
		err = &local;
	verdict_init(verdict);
	/* Which of two types a reader's program goes by is not known, so neither is what it shows.
	 */
	if (entity_wrapping(root) != WRAP_NONE && root->flags & MIME_BAD_TYPE)
		return permerror(verdict, "the Content-Type is not clear");
	if (entity_wrapping(root) != WRAP_NONE && root->flags & MIME_HDR_CR)
		return permerror(verdict, "a header field has a bare CR");
	switch (entity_wrapping(root)) {
	case WRAP_MULTIPART_SIGNED:
		if (!is_read_alike(root))
			return permerror(verdict, "what was signed is not clear to every reader");
		return check_detached(check, root, spool, verdict, err);
	case WRAP_PKCS7_MIME:
		rc = read_cms_header(root, spool, &kind, &enveloped, NULL, err);
		cms_enveloped_free(&enveloped);
		if (rc != RC_OK)
			return trouble(rc, verdict, err);
		return kind == CMS_SIGNED ? check_opaque(check, root, spool, content, verdict, err)
					  : RC_OK;
	case WRAP_NONE:
	default:
		return RC_OK;
	}
}

const enum revocation_mode *
rule_revocation(const struct verdicts *rule)
{
	static const enum revocation_mode modes[] = {[UNKNOWN_IF_KNOWN] = REVOKE_IF_KNOWN,
		[UNKNOWN_REQUIRED] = REVOKE_REQUIRED,
		[UNKNOWN_GRACE] = REVOKE_GRACE};

	return rule->revocation == UNKNOWN_DEFAULT ? NULL : &modes[rule->revocation];
}

enum rc
hdrs_from(const struct hdrs *hdrs, struct addrlist *out, struct err *err)
{
	const struct hdr *hdr;
	struct addrlist one;
	enum rc rc = RC_OK;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(hdrs, "From", i)); i++) {
		char **v;

		rc = addrlist_parse(hdr->value, hdr->value_len, &one, err);
		if (rc == RC_OK && one.doubtful) {
			addrlist_fini(&one);
			rc = err_set(err, ERR_ADDR_SYNTAX, "From: has an address as a name");
		}
		if (rc != RC_OK)
			break;
		v = one.n ? realloc(out->v, (out->n + one.n) * sizeof(*v)) : out->v;
		if (one.n && !v) {
			addrlist_fini(&one);
			rc = err_set(err, ERR_MEMORY, "From:");
			break;
		}
		out->v = v;
		for (size_t k = 0; k < one.n; k++)
			out->v[out->n++] = one.v[k]; /* the list owns them now */
		free(one.v);
	}
	if (rc != RC_OK)
		addrlist_fini(out);
	return rc;
}
