/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 5, on the way out: what the plan's one group gets.
 */
#include "milter/tx.h"

#include "base/clock.h"
#include "base/counter.h"
#include "milter/edit_list.h"
#include "milter/reply.h"
#include "milter/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Thunderbird calls a signature invalid whose time and Date: are further apart, or that has no
 * Date:. */
#define DATE_TOLERANCE 3600

struct work {
	struct transaction *tx;
	struct result *result;
	unsigned transform;
	const struct verdicts *verdicts;
	const struct tx_signer *signer;
	struct certset recipients;
	struct hdrs content;
	struct spool_conf spool;
	const char **claimed;
	bool opaque;
};

/* Certificates of every recipient, those that the look-up chose. */
static enum rc
collect_recipients(struct work *w, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < w->tx->n; i++) {
		const struct lookup_result *found = w->tx->rcpts[i].found;
		bool any = false;

		for (size_t k = 0; found && rc == RC_OK && k < found->n; k++)
			if (found->v[k].used) {
				rc = certset_add(&w->recipients, found->v[k].cert, err);
				any = true;
			}
		if (rc == RC_OK && !any)
			rc = err_set(err, ERR_INTERNAL, "planned to encrypt without a certificate");
	}
	return rc == RC_OK ? extra_add(w->tx, w->verdicts, &w->recipients, err) : rc;
}

/* When the message says it was written, or -1. */
static int64_t
date_of(const struct hdrs *hdrs)
{
	const struct hdr *hdr = hdrs_find(hdrs, "Date", 0);
	struct buf text = BUF_INIT(HDRS_MAX_BYTES);
	int64_t seconds = -1;

	if (!hdr || hdr_unfold(hdr, &text, NULL) != RC_OK ||
		clock_parse_mail(buf_text(&text), text.len, &seconds, NULL) != RC_OK)
		seconds = -1;
	buf_fini(&text);
	return seconds;
}

/* Now, unless the mail waited somewhere: a time too far from Date: makes readers doubt the
 * signature. A mail without Date: gets one from us. */
static int64_t
signing_time(const struct hdrs *hdrs)
{
	int64_t now = clock_now(), date;

	if (!hdrs_find(hdrs, "Date", 0))
		return now;
	date = date_of(hdrs);
	return date >= now - DATE_TOLERANCE && date <= now + DATE_TOLERANCE ? now : -1;
}

static enum rc
compare_size(const struct work *w, uint64_t body, struct err *err)
{
	uint64_t limit = engine_next_size_limit(w->tx->engine);
	uint64_t size = w->tx->msg->hdrs.bytes + 1024 + body;

	if (limit == 0 || size <= limit)
		return RC_OK;
	return err_set(err, ERR_MSG_TOO_BIG, "%llu bytes when sealed, the next hop takes %llu",
		(unsigned long long)size, (unsigned long long)limit);
}

/* Before a key is used. An estimate: what it takes too low is caught when the result is there. */
static enum rc
check_size(struct work *w, struct err *err)
{
	uint64_t body = spool_size(w->tx->msg->body);

	if (entity_flags(w->tx->root) & (MIME_HAS_8BIT | MIME_HAS_NUL | MIME_LONG_LINE))
		body += body / 2;
	body = seal_estimate(body, w->signer ? &w->signer->signer : NULL, w->opaque,
		w->transform & PLAN_ENCRYPT ? &w->recipients : NULL);
	return compare_size(w, body, err);
}

static enum rc
sign_opaque(struct work *w, const struct seal_source *source, const struct seal_signing *signing,
	bool raw, struct sealed *out, struct err *err)
{
	struct sealed plain = {0};
	enum rc rc = seal_plain(source, w->verdicts->preset, raw, &plain, err);

	if (rc == RC_OK)
		rc = seal_sign_opaque(&plain, signing, w->verdicts->preset, out, err);
	sealed_fini(&plain);
	return rc;
}

/* What can't be made 7-bit: the rule says what becomes of it. */
static enum rc
sign_unsafe(struct work *w, const struct seal_source *source, const struct seal_signing *signing,
	struct sealed *out, struct err *err)
{
	const struct verdicts *v = w->verdicts;

	if (v->unsafe == UNSAFE_OPAQUE) {
		w->opaque = true;
		return sign_opaque(w, source, signing, true, out, err);
	}
	if (v->unsafe == UNSAFE_REFUSE || v->sign == SIGN_REQUIRED)
		return err_set(err, ERR_POLICY_UNSAFE, "cannot be made 7-bit");
	w->transform &= ~(unsigned)PLAN_SIGN;
	snprintf(w->tx->detail, sizeof(w->tx->detail), "not signed: cannot be made 7-bit");
	return w->transform & PLAN_ENCRYPT ? seal_plain(source, v->preset, true, out, err) : RC_OK;
}

static enum rc
sign(struct work *w, const struct seal_source *source, struct sealed *out, struct err *err)
{
	struct transaction *tx = w->tx;
	struct seal_signing signing = {.vault = engine_vault(tx->engine),
		.signer = &w->signer->signer,
		.signing_time = signing_time(&tx->msg->hdrs),
		.claim = tx_claim(tx, rule_name(tx->rcpts[0].decision.rule), w->claimed)};
	struct err why = ERR_INIT;
	enum rc rc;

	if (w->verdicts->form == FORM_OPAQUE)
		rc = sign_opaque(w, source, &signing, false, out, &why);
	else
		rc = seal_sign_clear(source, &signing, w->verdicts->preset, out, &why);
	if (rc == RC_PERM && why.code == ERR_POLICY_UNSAFE)
		rc = sign_unsafe(w, source, &signing, out, &why);
	if (rc != RC_OK && err)
		*err = why;
	if (rc == RC_OK && (w->transform & PLAN_SIGN))
		tx->key_used = true;
	return rc;
}

static enum rc
plain_or_raw(struct work *w, const struct seal_source *source, struct sealed *out, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc = seal_plain(source, w->verdicts->preset, false, out, &why);

	/* Inside an envelope nothing rewrites what is not 7-bit. */
	if (rc == RC_PERM && why.code == ERR_POLICY_UNSAFE)
		return seal_plain(source, w->verdicts->preset, true, out, err);
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

/* sign → envelope; SEALED stays empty when nothing was to be done after all. */
static enum rc
seal(struct work *w, struct sealed *sealed, struct err *err)
{
	struct seal_source source = {.root = w->tx->root,
		.content = &w->content,
		.base64 = w->verdicts->encoding == ENCODING_BASE64,
		.body = w->tx->msg->body,
		.spool = &w->spool};
	struct sealed inner = {0};
	enum rc rc;

	rc = w->transform & PLAN_SIGN ? sign(w, &source, &inner, err)
				      : plain_or_raw(w, &source, &inner, err);
	if (rc == RC_OK && (w->transform & PLAN_ENCRYPT)) {
		rc = seal_encrypt(&inner, &w->recipients, w->verdicts->preset, sealed, err);
		sealed_fini(&inner);
	} else if (rc == RC_OK) {
		*sealed = inner;
	}
	return rc;
}

static enum rc
make_edits(struct work *w, struct sealed *sealed, struct err *err)
{
	const struct hdrs *hdrs = &w->tx->msg->hdrs;
	char date[42] = " ";
	enum rc rc = edit_list_replace_content(w->result, hdrs, &sealed->hdrs, err);

	if (rc == RC_OK && !hdrs_find(hdrs, "Date", 0)) {
		clock_format_mail(clock_now(), date + 1);
		rc = edit_list_add(w->result, EDIT_ADD, "Date", 0, date, err);
	}
	if (rc == RC_OK) {
		w->result->body = sealed->body;
		sealed->body = NULL; /* the result's now */
	}
	return rc;
}

static enum rc
run(struct work *w, enum pipeline_mode mode, struct err *err)
{
	struct sealed sealed = {0};
	enum rc rc = content_fields(&w->tx->msg->hdrs, &w->content, err);

	if (rc == RC_OK && (w->transform & PLAN_ENCRYPT))
		rc = collect_recipients(w, err);
	if (rc == RC_OK)
		rc = check_size(w, err);
	if (rc == RC_OK && mode == PIPELINE_RUN) {
		rc = seal(w, &sealed, err);
		if (rc == RC_OK && sealed.body)
			rc = compare_size(w, spool_size(sealed.body), err);
		if (rc == RC_OK && sealed.body)
			rc = make_edits(w, &sealed, err);
	}
	sealed_fini(&sealed);
	if (rc == RC_OK)
		w->tx->transform = w->transform;
	return rc;
}

enum rc
transform_outbound(
	struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	const struct plan_group *group = &tx->plan->groups[0];
	struct work w = {.tx = tx,
		.result = result,
		.transform = group->transform & (PLAN_SIGN | PLAN_ENCRYPT),
		.verdicts = group->verdicts,
		.opaque = group->verdicts->form == FORM_OPAQUE,
		.spool = engine_spool_conf(tx->engine)};
	enum rc rc = RC_OK;

	if (!tx->root)
		return err_set(err, ERR_POLICY_UNSAFE, "its structure is past the limits");
	w.claimed = calloc(tx->n, sizeof(*w.claimed));
	if (!w.claimed)
		return err_set(err, ERR_MEMORY, "claims");
	/* What sealing adds must not run into the limit for what comes in. */
	w.spool.max += w.spool.max + (1u << 20);
	if (w.transform & PLAN_SIGN) {
		w.signer = tx_signer_for(tx, w.verdicts);
		if (!w.signer || w.signer->there != TRI_YES)
			rc = err_set(err, ERR_INTERNAL, "planned to sign without a key");
	}
	if (rc == RC_OK)
		rc = run(&w, mode, err);
	certset_fini(&w.recipients);
	hdrs_fini(&w.content);
	free(w.claimed);
	return rc;
}
