/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 5, on the way out: what the recipients of one copy get.
 *
 * What goes into the envelope is made once for every copy that needs the same: a key is used once
 * for a message, however many envelopes there are.
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
	struct copy *copy;
	unsigned transform;
	const struct verdicts *verdicts;
	const struct tx_signer *signer;
	struct certset recipients;
	struct reader *readers; /* as many as the certificates that were found */
	size_t n_readers;
	struct algorithms algorithms;
	struct hdrs content;
	struct spool_conf spool;
	bool opaque;
};

struct tx_inner {
	const struct verdicts *verdicts;
	bool is_signed;
	struct sealed sealed;
	struct tx_inner *next;
};

void
tx_inners_free(struct transaction *tx)
{
	while (tx->inners) {
		struct tx_inner *inner = tx->inners;

		tx->inners = inner->next;
		sealed_fini(&inner->sealed);
		free(inner);
	}
}

static bool
is_same_inner(const struct tx_inner *inner, const struct verdicts *verdicts, bool is_signed)
{
	if (inner->is_signed != is_signed)
		return false;
	return is_signed ? plan_same_signature(inner->verdicts, verdicts)
			 : inner->verdicts->encoding == verdicts->encoding &&
				   inner->verdicts->preset == verdicts->preset;
}

static struct tx_inner *
find_inner(const struct work *w)
{
	bool is_signed = w->transform & PLAN_SIGN;
	struct tx_inner *inner = w->tx->inners;

	while (inner && !is_same_inner(inner, w->verdicts, is_signed))
		inner = inner->next;
	return inner;
}

/* Keeps SEALED for the copies to come; taken. */
static enum rc
keep_inner(struct work *w, struct sealed *sealed, struct tx_inner **out, struct err *err)
{
	struct tx_inner *inner = calloc(1, sizeof(*inner));

	*out = inner;
	if (!inner)
		return err_set(err, ERR_MEMORY, "copies");
	*inner = (struct tx_inner){.verdicts = w->verdicts,
		.is_signed = w->transform & PLAN_SIGN,
		.sealed = *sealed,
		.next = w->tx->inners};
	memset(sealed, 0, sizeof(*sealed)); /* the transaction's now */
	w->tx->inners = inner;
	return RC_OK;
}

static enum rc
add_reader(struct work *w, struct cert *cert, const struct smimecaps *caps, struct err *err)
{
	struct reader *v = realloc(w->readers, (w->n_readers + 1) * sizeof(*v));

	if (!v)
		return err_set(err, ERR_MEMORY, "recipients");
	w->readers = v;
	v[w->n_readers++] = (struct reader){.cert = cert, .caps = *caps};
	return certset_add(&w->recipients, cert, err);
}

/* Certificates of every recipient, those that the look-up chose. */
static enum rc
collect_recipients(struct work *w, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < w->copy->n; i++) {
		const struct lookup_result *found = w->tx->rcpts[w->copy->rcpts[i]].found;
		bool any = false;

		for (size_t k = 0; found && rc == RC_OK && k < found->n; k++)
			if (found->v[k].used) {
				rc = add_reader(w, found->v[k].cert, &found->v[k].caps, err);
				any = true;
			}
		if (rc == RC_OK && !any)
			rc = err_set(err, ERR_INTERNAL, "planned to encrypt without a certificate");
	}
	return rc == RC_OK ? extra_add(w->tx, w->verdicts, &w->recipients, err) : rc;
}

/* What the rule adds (archive, author) is ours and opens what we make. */
static enum rc
choose_algorithms(struct work *w, struct err *err)
{
	enum rc rc;

	algorithms_init(&w->algorithms, w->verdicts->preset);
	rc = algorithms_choose(&w->algorithms, w->verdicts->preset, w->readers, w->n_readers, err);
	w->copy->cipher = w->algorithms.cipher;
	w->copy->narrowed = w->algorithms.narrowed;
	return rc;
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
	uint64_t limit = engine_limits(w->tx->engine)->next_size, port = w->tx->port_size_limit;
	uint64_t size = w->tx->msg->hdrs.bytes + 1024 + body;

	if (w->tx->by_port && port && (limit == 0 || port < limit))
		limit = port;
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
	snprintf(w->copy->detail, sizeof(w->copy->detail), "not signed: cannot be made 7-bit");
	return w->transform & PLAN_ENCRYPT ? seal_plain(source, v->preset, true, out, err) : RC_OK;
}

/* Everybody who gets this signature, in whichever copy. */
static size_t
signed_for(const struct work *w, const char **claimed)
{
	const struct transaction *tx = w->tx;
	size_t n = 0;

	for (size_t i = 0; i < tx->n; i++)
		if (tx->plan_rcpts[i].outcome == PLAN_DELIVER &&
			(tx->plan_rcpts[i].transform & PLAN_SIGN) &&
			plan_same_signature(&tx->rcpts[i].decision.verdicts, w->verdicts))
			claimed[n++] = tx->rcpts[i].addr;
	return n;
}

static enum rc
sign_as(struct work *w, const struct seal_source *source, const struct seal_signing *signing,
	struct sealed *out, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc;

	if (w->verdicts->form == FORM_OPAQUE)
		rc = sign_opaque(w, source, signing, false, out, &why);
	else
		rc = seal_sign_clear(source, signing, w->verdicts->preset, out, &why);
	if (rc == RC_PERM && why.code == ERR_POLICY_UNSAFE)
		rc = sign_unsafe(w, source, signing, out, &why);
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

static enum rc
sign(struct work *w, const struct seal_source *source, struct sealed *out, struct err *err)
{
	struct transaction *tx = w->tx;
	struct seal_signing signing = {.vault = engine_vault(tx->engine),
		.signer = &w->signer->signer,
		.signing_time = signing_time(&tx->msg->hdrs)};
	const char **claimed = calloc(tx->n, sizeof(*claimed));
	enum rc rc;

	if (!claimed)
		return err_set(err, ERR_MEMORY, "claims");
	signing.claim = tx_claim(tx, w->copy->rule, NULL, 0, claimed);
	signing.claim.n_recipients = signed_for(w, claimed);
	rc = sign_as(w, source, &signing, out, err);
	free(claimed);
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

/* What the envelope, or the copy itself, is made of; *inner stays NULL when nothing was to be done
 * after all. */
static enum rc
get_inner(struct work *w, struct tx_inner **inner, struct err *err)
{
	struct seal_source source = {.root = w->tx->root,
		.content = &w->content,
		.base64 = w->verdicts->encoding == ENCODING_BASE64,
		.body = w->tx->msg->body,
		.spool = &w->spool};
	struct sealed made = {0};
	enum rc rc = RC_OK;

	*inner = find_inner(w);
	if (!*inner) {
		rc = w->transform & PLAN_SIGN ? sign(w, &source, &made, err)
					      : plain_or_raw(w, &source, &made, err);
		if (rc == RC_OK && made.body)
			rc = keep_inner(w, &made, inner, err);
	}
	if (rc == RC_OK && (w->transform & PLAN_SIGN))
		w->copy->key_used = true;
	sealed_fini(&made);
	return rc;
}

static enum rc
make_edits(struct work *w, const struct sealed *sealed, struct err *err)
{
	const struct hdrs *hdrs = &w->tx->msg->hdrs;
	char date[42] = " ";
	enum rc rc = edit_list_replace_content(w->copy, hdrs, &sealed->hdrs, err);

	if (rc == RC_OK && !hdrs_find(hdrs, "Date", 0)) {
		clock_format_mail(clock_now(), date + 1);
		rc = edit_list_add(w->copy, EDIT_ADD, "Date", 0, date, err);
	}
	return rc;
}

/* sign → envelope → edits */
static enum rc
seal(struct work *w, struct err *err)
{
	struct tx_inner *inner;
	struct sealed envelope = {0};
	const struct sealed *out;
	enum rc rc = get_inner(w, &inner, err);

	if (rc != RC_OK || !inner)
		return rc;
	out = &inner->sealed;
	if (w->transform & PLAN_ENCRYPT) {
		rc = seal_encrypt(out, &w->recipients, &w->algorithms, &envelope, err);
		out = &envelope;
	}
	if (rc == RC_OK)
		rc = compare_size(w, spool_size(out->body), err);
	if (rc == RC_OK)
		rc = make_edits(w, out, err);
	if (rc == RC_OK) {
		w->copy->body = out->body;
		w->copy->body_shared = out != &envelope;
		envelope.body = NULL; /* the copy's now */
	}
	sealed_fini(&envelope);
	/* With one copy nobody else needs what went into the envelope. */
	if (w->tx->n_copies == 1 && (w->transform & PLAN_ENCRYPT))
		tx_inners_free(w->tx);
	return rc;
}

static enum rc
run(struct work *w, enum pipeline_mode mode, struct err *err)
{
	enum rc rc = content_fields(&w->tx->msg->hdrs, &w->content, err);

	if (rc == RC_OK && (w->transform & PLAN_ENCRYPT))
		rc = collect_recipients(w, err);
	if (rc == RC_OK && (w->transform & PLAN_ENCRYPT))
		rc = choose_algorithms(w, err);
	if (rc == RC_OK)
		rc = check_size(w, err);
	if (rc == RC_OK && mode == PIPELINE_RUN)
		rc = seal(w, err);
	if (rc == RC_OK)
		w->copy->done |= w->transform;
	return rc;
}

enum rc
transform_outbound(
	struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err)
{
	struct work w = {.tx = tx,
		.copy = copy,
		.transform = copy->transform & (PLAN_SIGN | PLAN_ENCRYPT),
		.verdicts = copy->verdicts,
		.opaque = copy->verdicts->form == FORM_OPAQUE,
		.spool = engine_spool_conf(tx->engine)};
	enum rc rc = RC_OK;

	if (!tx->root)
		return err_set(err, ERR_POLICY_UNSAFE, "its structure is past the limits");
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
	algorithms_fini(&w.algorithms);
	free(w.readers);
	hdrs_fini(&w.content);
	return rc;
}
