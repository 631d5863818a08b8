/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 5, on the way in: layers from the outside in.
 *
 * Only the root entity is looked at, and what stands alone inside a layer; never a part beside
 * others. A signature is checked and stays where it is, unless an envelope inside it is opened:
 * that could not be read otherwise.
 *
 * Who gets to see an opened message. Each recipient's own key has to give the same content key: a
 * forger can add a RecipientInfo that names somebody to another's ciphertext, but cannot make it
 * open to the content key that he does not know. When keys are missing or differ, everybody gets it
 * unopened.
 *
 * After a key matched, every failure is one outcome, "not opened": neither reply nor edits tell a
 * sender what came out.
 */
#include "milter/tx.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/cms_envelope.h"
#include "milter/authres.h"
#include "milter/check_signature.h"
#include "milter/edit_list.h"
#include "milter/entity_split.h"
#include "milter/learn.h"
#include "milter/marks.h"
#include "milter/replies.h"
#include "milter/stamp.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Recipients of one message for whom keys are used; past this it stays closed. */
#define OPEN_MAX_RECIPIENTS 50
#define MAX_LAYERS          16
#define RESULTS_MAX         16384 /* of a forged field, what stays at most: edits have a limit */

struct unwrap {
	struct transaction *tx;
	struct copy *copy;
	const struct verdicts *verdicts;
	unsigned transform;
	enum pipeline_mode mode;
	/* the entity in hand */
	const struct entity *root;
	struct spool *spool;
	struct buf whole; /* its CMS object, decoded, when it is small; else empty */
	/* storage behind it */
	struct inner opened;  /* what the last envelope contained */
	struct inner content; /* what the last opaque signature contained */
	bool is_opened, unauthenticated, no_key;
	size_t n_checked;
	bool signed_inside;   /* a good signature in what was opened */
	bool *entitled;       /* set: nothing is opened, only asked for each recipient */
	bool asked;           /* there was something to ask about */
	struct effort effort; /* of checking all its signatures */
	struct verdict checked[MAX_LAYERS]; /* last: each is initialised when it is used */
};

static struct unwrap *
unwrap_new(struct transaction *tx, struct copy *copy, const struct verdicts *verdicts,
	unsigned transform, enum pipeline_mode mode)
{
	struct unwrap *u = malloc(sizeof(*u));

	if (!u)
		return NULL;
	memset(u, 0, offsetof(struct unwrap, checked));
	u->tx = tx;
	u->copy = copy;
	u->verdicts = verdicts;
	u->transform = transform;
	u->mode = mode;
	u->root = tx->root;
	u->spool = tx->msg->body;
	return u;
}

/* The layer's detail: texts one after the other, up to NULL. */
__attribute__((sentinel)) static enum rc
add_layer(struct unwrap *u, const char *kind, struct err *err, ...)
{
	struct copy *copy = u->copy;
	struct layer *v = realloc(copy->layers, (copy->n_layers + 1) * sizeof(*v)), *layer;
	const char *text;
	size_t len = 0;
	va_list ap;

	if (!v)
		return err_set(err, ERR_MEMORY, "layers");
	copy->layers = v;
	layer = &v[copy->n_layers++];
	layer->kind = kind;
	layer->detail[0] = '\0';
	va_start(ap, err);
	while ((text = va_arg(ap, const char *))) {
		text_copy(layer->detail + len, sizeof(layer->detail) - len, text);
		len += strlen(layer->detail + len);
	}
	va_end(ap);
	return RC_OK;
}

/* Bytes of what is inside ENTITY, about. */
static uint64_t
content_size(const struct entity *entity)
{
	uint64_t size = entity->end - entity->body;

	return entity->cte == CTE_BASE64 ? size / 4 * 3 : size;
}

/* Looking inside must not disturb the check of the signature: what is no entity there is no entity,
 * and the signature may be good all the same. */
struct lenient {
	struct sink to;
	bool broken;
};

static enum rc
lenient_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	struct lenient *lenient = ctx;
	enum rc rc = lenient->broken ? RC_OK : sink_feed(&lenient->to, data, len, err);

	lenient->broken |= rc == RC_PERM;
	return rc == RC_PERM ? RC_OK : rc;
}

/* What is inside the signature becomes the entity in hand. */
static enum rc
enter_signed(struct unwrap *u, struct entity_split *split, bool *more, struct err *err)
{
	struct inner inner;
	enum rc rc;

	*more = true;
	if (entity_wrapping(u->root) == WRAP_MULTIPART_SIGNED) {
		*more = u->root->n == 2;
		if (*more)
			u->root = u->root->parts[0];
		return RC_OK;
	}
	rc = entity_split_take(split, &inner, err);
	if (rc == RC_PERM) { /* nothing to look into */
		*more = false;
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	inner_fini(&u->content);
	u->content = inner;
	u->root = u->content.root;
	u->spool = u->content.body;
	return RC_OK;
}

/* Only the outermost signature speaks for the author of the message in hand. */
static void
on_signature(void *ctx, const struct cms_signed *sd, const struct verdict *verdict)
{
	struct unwrap *u = ctx;

	if (u->n_checked == 0 && !u->entitled && (u->transform & PLAN_VERIFY))
		learn_look(u->tx, sd, verdict);
}

static enum rc
unwrap_signed(struct unwrap *u, bool *more, struct err *err)
{
	struct signature_check check = {.trust = sources_trust(u->tx->sources),
		.from = &u->tx->from,
		.from_fields = hdrs_count(&u->tx->msg->hdrs, "From"),
		.revocation = rule_revocation(u->verdicts),
		.effort = &u->effort,
		.at = -1,
		.seen = on_signature,
		.ctx = u};
	struct spool_conf conf = engine_spool_conf(u->tx->engine);
	struct verdict *verdict = &u->checked[u->n_checked];
	struct entity_split *split = NULL;
	struct lenient lenient = {.broken = false};
	struct sink sink = {.feed = lenient_feed, .ctx = &lenient};
	enum rc rc = entity_split_new(&conf, content_size(u->root), &split, err);

	if (rc != RC_OK)
		return rc;
	lenient.to = entity_split_sink(split);
	rc = check_signature(&check, u->root, u->spool, &sink, verdict, err);
	u->n_checked++; /* initialised in any case */
	if (rc == RC_OK)
		rc = add_layer(u, "signed", err, verdict_overall_name(verdict->overall),
			*verdict->reason ? ": " : "", verdict->reason, NULL);
	if (rc == RC_OK && u->is_opened && verdict->overall == VERDICT_PASS)
		u->signed_inside = true;
	if (rc == RC_OK && !lenient.broken)
		rc = enter_signed(u, split, more, err);
	entity_split_free(&split);
	return rc;
}

/* Which RecipientInfo is each recipient's? RC_NONE: at least one recipient has none. */
static enum rc
match_recipients(struct unwrap *u, const struct cms_enveloped *enveloped, size_t *indexes,
	const char **missing, struct err *err)
{
	for (size_t i = 0; i < u->copy->n; i++) {
		const struct rcpt *rcpt = &u->tx->rcpts[u->copy->rcpts[i]];
		enum rc rc = entitle_match(u->tx, rcpt, enveloped, &indexes[i], err);

		if (rc == RC_NONE)
			*missing = rcpt->addr;
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* Only asks, for each recipient. */
static enum rc
match_each(struct unwrap *u, const struct cms_enveloped *enveloped, struct err *err)
{
	enum rc rc = RC_OK;
	size_t index;

	for (size_t i = 0; (rc == RC_OK || rc == RC_NONE) && i < u->copy->n; i++) {
		rc = entitle_match(u->tx, &u->tx->rcpts[u->copy->rcpts[i]], enveloped, &index, err);
		u->entitled[i] = rc == RC_OK;
	}
	u->asked = rc == RC_OK || rc == RC_NONE;
	return u->asked ? RC_OK : rc;
}

static enum rc
decrypt(struct unwrap *u, const struct cms_enveloped *enveloped, struct secret *cek,
	struct inner *out, struct err *err)
{
	struct spool_conf conf = engine_spool_conf(u->tx->engine);
	struct entity_split *split = NULL;
	struct cms_decryptor *decryptor = NULL;
	struct sink sink, stage;
	enum rc rc = entity_split_new(&conf, content_size(u->root), &split, err);

	if (rc == RC_OK) {
		sink = entity_split_sink(split);
		rc = cms_decryptor_new(cek, &sink, &decryptor, err);
	}
	if (rc == RC_OK) {
		cms_decryptor_expect(decryptor, enveloped);
		stage = cms_decryptor_sink(decryptor);
		rc = u->whole.len ? sink_feed(&stage, u->whole.data, u->whole.len, err)
				  : entity_decode(u->root, u->spool, &stage, err);
		if (rc == RC_OK)
			rc = sink_finish(&stage, err);
	}
	if (rc == RC_OK)
		rc = entity_split_take(split, out, err);
	cms_decryptor_free(&decryptor);
	entity_split_free(&split);
	return rc;
}

/* The key was there: opens, or leaves it closed without a word about why. */
static enum rc
open_matched(struct unwrap *u, const struct cms_enveloped *enveloped, const size_t *indexes,
	bool *more, struct err *err)
{
	struct secret *cek = NULL;
	struct inner inner = {0};
	struct err why = ERR_INIT;
	enum rc rc = entitle_open(u->tx, u->copy, enveloped, indexes, &cek, &why);

	if (rc == RC_OK)
		rc = decrypt(u, enveloped, cek, &inner, &why);
	secret_free(&cek);
	if (rc == RC_PERM) { /* the log may know why, the sender may not */
		log_error(LOGL_WARN, u->tx->qid, "not-opened", &why, NULL);
		return add_layer(u, "enveloped", err, content_cipher_name(enveloped->cipher),
			", not opened", NULL);
	}
	if (rc != RC_OK) {
		if (err)
			*err = why;
		return rc;
	}
	inner_fini(&u->content);
	inner_fini(&u->opened);
	u->opened = inner;
	u->root = u->opened.root;
	u->spool = u->opened.body;
	u->is_opened = true;
	u->signed_inside = false;
	u->unauthenticated = !content_cipher_is_authenticated(enveloped->cipher);
	*more = true;
	return add_layer(
		u, "enveloped", err, content_cipher_name(enveloped->cipher), ", opened", NULL);
}

/* Before a key is used, so that it tells nothing about what comes out. */
static enum rc
remember(const struct unwrap *u, struct err *err)
{
	struct replies *replies = engine_replies(u->tx->engine);
	enum rc rc = RC_OK;

	for (size_t i = 0; replies && rc == RC_OK && i < u->copy->n; i++)
		rc = replies_remember(
			replies, u->tx->rcpts[u->copy->rcpts[i]].person, &u->tx->msg->hdrs, err);
	return rc;
}

static enum rc
try_open(struct unwrap *u, const struct cms_enveloped *enveloped, bool *more, struct err *err)
{
	const char *missing = NULL;
	size_t *indexes;
	enum rc rc;

	if (enveloped->cipher == CIPHER_NONE)
		return add_layer(u, "enveloped", err, "unsupported cipher, not opened", NULL);
	if (u->entitled)
		return match_each(u, enveloped, err);
	if (u->copy->n > OPEN_MAX_RECIPIENTS)
		return add_layer(u, "enveloped", err, "not opened: ", LOG_NUM(u->copy->n),
			" recipients", NULL);
	indexes = calloc(u->copy->n, sizeof(*indexes));
	if (!indexes)
		return err_set(err, ERR_MEMORY, "recipients");
	rc = match_recipients(u, enveloped, indexes, &missing, err);
	if (rc == RC_NONE) {
		u->no_key = true;
		rc = add_layer(u, "enveloped", err, content_cipher_name(enveloped->cipher),
			", no key here for ", missing, NULL);
	} else if (rc == RC_OK && u->mode == PIPELINE_EXPLAIN) {
		rc = add_layer(u, "enveloped", err, content_cipher_name(enveloped->cipher),
			", would be opened with the recipient's key", NULL);
	} else if (rc == RC_OK) {
		rc = remember(u, err);
		if (rc == RC_OK)
			rc = open_matched(u, enveloped, indexes, more, err);
	}
	free(indexes);
	return rc;
}

/* One layer; *more: there may be another inside. */
static enum rc
unwrap_layer(struct unwrap *u, bool *more, struct err *err)
{
	struct cms_enveloped *enveloped = NULL;
	enum cms_kind kind = CMS_SIGNED;
	struct err why = ERR_INIT;
	enum rc rc = RC_OK;

	*more = false;
	buf_clear(&u->whole);
	if (entity_wrapping(u->root) == WRAP_NONE)
		return RC_OK;
	if (entity_wrapping(u->root) == WRAP_PKCS7_MIME)
		rc = read_cms_header(u->root, u->spool, &kind, &enveloped, &u->whole, &why);
	if (rc == RC_PERM) { /* broken: it is delivered as it came */
		log_error(LOGL_INFO, u->tx->qid, "cms-malformed", &why, NULL);
		return RC_OK;
	}
	if (rc != RC_OK) {
		if (err)
			*err = why;
	} else if (kind == CMS_SIGNED) {
		rc = unwrap_signed(u, more, err);
	} else if (enveloped && (u->transform & PLAN_OPEN)) {
		rc = try_open(u, enveloped, more, err);
	} else if (enveloped) {
		rc = add_layer(u, "enveloped", err, "not opened: no rule says so", NULL);
	}
	cms_enveloped_free(&enveloped);
	return rc;
}

static enum rc
unwrap_layers(struct unwrap *u, struct err *err)
{
	unsigned max = engine_limits(u->tx->engine)->depth;
	bool more = true;
	enum rc rc = RC_OK;

	if (max > MAX_LAYERS)
		max = MAX_LAYERS;
	for (unsigned depth = 0; rc == RC_OK && more && depth < max; depth++)
		rc = unwrap_layer(u, &more, err);
	return rc;
}

/* Fields that came with the message and claim to be ours. */
static enum rc
remove_forged(struct unwrap *u, struct err *err)
{
	const struct hdrs *hdrs = &u->tx->msg->hdrs;
	const char *name = "Authentication-Results";
	struct buf rest = BUF_INIT(HDRS_MAX_BYTES);
	enum rc rc = RC_OK;

	for (size_t n = hdrs_count(hdrs, name); rc == RC_OK && n > 0; n--) {
		const struct hdr *hdr = hdrs_find(hdrs, name, n - 1);
		enum authres_kind kind;

		rc = authres_examine(hdr->value, hdr->value_len, engine_authserv_id(u->tx->engine),
			&kind, &rest, err);
		if (rest.len > RESULTS_MAX)
			kind = AUTHRES_DELETE;
		if (rc == RC_OK && kind == AUTHRES_DELETE)
			rc = edit_list_add(u->copy, EDIT_DELETE, name, n, NULL, err);
		else if (rc == RC_OK && kind == AUTHRES_CHANGE)
			rc = edit_list_add(u->copy, EDIT_CHANGE, name, n, buf_text(&rest), err);
	}
	buf_fini(&rest);
	/* What we said when we opened it is still so. */
	if (rc != RC_OK ||
		((u->tx->facts.classes & CLASS_OPENED) && engine_stamp_keys(u->tx->engine)))
		return rc;
	return edit_list_delete(u->copy, hdrs, NOTICE_MARK, err);
}

static enum rc
add_notices(struct unwrap *u, struct err *err)
{
	const struct verdicts *v = u->verdicts;
	char text[500];
	enum rc rc = RC_OK;

	if (u->no_key && v->on_no_key == TROUBLE_MARK)
		rc = edit_list_add(u->copy, EDIT_INSERT, NOTICE_MARK, 0,
			" encrypted, and the key is not here", err);
	if (rc == RC_OK && u->is_opened && u->unauthenticated && !u->signed_inside &&
		v->on_unauthenticated == TROUBLE_MARK)
		rc = edit_list_add(u->copy, EDIT_INSERT, NOTICE_MARK, 0,
			" was encrypted, but nothing proves that it is unchanged", err);
	for (size_t i = 0; rc == RC_OK && (u->transform & PLAN_VERIFY) && i < u->n_checked; i++) {
		if (u->checked[i].overall == VERDICT_PASS ||
			u->checked[i].overall == VERDICT_NONE ||
			v->on_bad_signature != TROUBLE_MARK)
			continue;
		snprintf(text, sizeof(text), " the signature does not count (%s)",
			verdict_overall_name(verdict_result(&u->checked[i])));
		rc = edit_list_add(u->copy, EDIT_INSERT, NOTICE_MARK, 0, text, err);
		break;
	}
	return rc;
}

static enum rc
add_results(struct unwrap *u, struct err *err)
{
	struct buf value = BUF_INIT(0);
	enum rc rc = RC_OK;

	if (!(u->transform & PLAN_VERIFY) || u->n_checked == 0)
		return RC_OK;
	rc = authres_format(engine_authserv_id(u->tx->engine), u->checked, u->n_checked,
		u->tx->from.n == 1 ? u->tx->from.v[0] : NULL, &value, err);
	if (rc == RC_OK)
		rc = edit_list_add(
			u->copy, EDIT_INSERT, "Authentication-Results", 0, buf_text(&value), err);
	buf_fini(&value);
	return rc;
}

/* The inner entity takes the place of the message's body and Content-* fields. */
static enum rc
publish_opened(struct unwrap *u, struct err *err)
{
	struct hdrs content;
	struct buf mark = BUF_INIT(0);
	enum rc rc = content_fields(&u->opened.hdrs, &content, err);

	if (rc == RC_OK)
		rc = edit_list_replace_content(u->copy, &u->tx->msg->hdrs, &content, err);
	hdrs_fini(&content);
	if (rc == RC_OK)
		rc = opened_format(engine_stamp_keys(u->tx->engine),
			engine_authserv_id(u->tx->engine), clock_now(), &mark, err);
	if (rc == RC_OK)
		rc = edit_list_add(u->copy, EDIT_INSERT, OPENED_MARK, 0, buf_text(&mark), err);
	buf_fini(&mark);
	if (rc != RC_OK)
		return rc;
	free(u->copy->new_ret);
	u->copy->new_ret = strdup("HDRS"); /* a bounce must not carry the plaintext out */
	if (!u->copy->new_ret)
		return err_set(err, ERR_MEMORY, "RET");
	u->copy->body = u->opened.body;
	u->opened.body = NULL; /* the result's now */
	u->copy->done |= PLAN_OPEN;
	return RC_OK;
}

static enum rc
publish(struct unwrap *u, struct err *err)
{
	enum rc rc = remove_forged(u, err);

	if (rc == RC_OK && u->is_opened)
		rc = publish_opened(u, err);
	if (rc == RC_OK)
		rc = add_notices(u, err);
	if (rc == RC_OK)
		rc = add_results(u, err);
	if (rc == RC_OK && u->n_checked > 0 && (u->transform & PLAN_VERIFY)) {
		u->copy->done |= PLAN_VERIFY;
		u->copy->verdict = malloc(sizeof(*u->copy->verdict));
		if (!u->copy->verdict)
			return err_set(err, ERR_MEMORY, "verdict");
		*u->copy->verdict = u->checked[0];
		verdict_init(&u->checked[0]); /* its signers are the result's now */
	}
	return rc;
}

enum rc
unwrap_nothing(struct transaction *tx, struct copy *copy, struct err *err)
{
	struct unwrap *u = unwrap_new(tx, copy, NULL, PLAN_LEAVE, PIPELINE_RUN);
	enum rc rc = u ? remove_forged(u, err) : err_set(err, ERR_MEMORY, "layers");

	free(u);
	return rc;
}

/* Frees what the layers left behind. */
static void
unwrap_fini(struct unwrap *u)
{
	for (size_t i = 0; i < u->n_checked; i++)
		verdict_fini(&u->checked[i]);
	inner_fini(&u->opened);
	inner_fini(&u->content);
	buf_fini(&u->whole);
}

enum rc
unwrap_inbound(struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err)
{
	struct unwrap *u = unwrap_new(tx, copy, copy->verdicts, copy->transform, mode);
	enum role role = engine_role(tx->engine);
	enum rc rc = RC_OK;

	if (!u)
		return err_set(err, ERR_MEMORY, "layers");
	if (role != ROLE_OPEN && role != ROLE_ALL)
		u->transform &= ~(unsigned)PLAN_OPEN;
	if (tx->root)
		rc = unwrap_layers(u, err);
	if (rc == RC_OK)
		rc = publish(u, err);
	if (rc == RC_OK)
		learn_conclude(tx, mode);
	unwrap_fini(u);
	free(u);
	return rc;
}

enum rc
unwrap_entitled(struct transaction *tx, const struct copy *copy, bool *entitled, bool *known,
	struct err *err)
{
	struct copy scratch = {.rcpts = copy->rcpts, .n = copy->n};
	struct unwrap *u = unwrap_new(tx, &scratch, copy->verdicts, PLAN_OPEN, PIPELINE_RUN);
	enum role role = engine_role(tx->engine);
	enum rc rc = RC_OK;

	*known = false;
	if (!u)
		return err_set(err, ERR_MEMORY, "layers");
	u->entitled = entitled;
	if (tx->root && (role == ROLE_OPEN || role == ROLE_ALL))
		rc = unwrap_layers(u, err);
	*known = rc == RC_OK && u->asked;
	unwrap_fini(u);
	free(scratch.layers);
	free(u);
	return rc;
}
