/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/notice_work.h"

#include "base/counter.h"
#include "base/log.h"
#include "milter/notice_private.h"

#include <stdio.h>
#include <string.h>

#define LEASE          900  /* seconds for one item, before somebody else takes it */
#define ASK_TRIES      2    /* tries that wait for a directory that can't be asked */
#define FIRST_WAIT     60   /* seconds until the second try; doubled each time … */
#define LONGEST_WAIT   3600 /* … up to this */
#define IDLE           20   /* until the outbox is looked at again */
#define SWEEP_INTERVAL 3600
#define MAX_FAILURES   3   /* one after the other: the rest has to wait, too */
#define MAX_AWAITED    200 /* correspondents looked for in one go */

/* The language for whoever reads it. RC_TEMP: their own can't be asked for now. */
static enum rc
find_language(const struct notices *notices, const struct json_value *facts, enum notice_kind kind,
	int tries, char out[128], struct err *err)
{
	struct buf preferred = BUF_INIT(4096);
	const char *given = json_get_text(facts, "language"), *to = json_get_text(facts, "to");
	bool ours = kind == NOTICE_LEARNED || json_is_true(json_find(facts, "ours"));
	enum rc rc = RC_NONE;

	snprintf(out, 128, "%s", conf_str(notices->group, "language"));
	if (given && texts_has(notices->texts, given))
		snprintf(out, 128, "%.100s", given);
	else if (ours && to)
		rc = notices->ops.language(notices->ctx, to, &preferred, err);
	if (rc == RC_TEMP && tries > ASK_TRIES) {
		log_error(LOGL_WARN, json_get_text(facts, "qid"), "notice-language-unknown", err,
			NULL);
		rc = RC_NONE;
	}
	if (rc == RC_OK)
		(void)texts_choose(notices->texts, buf_text(&preferred), out);
	buf_fini(&preferred);
	return rc == RC_TEMP ? RC_TEMP : RC_OK;
}

/* Signed when it is to be; a notice that can't be signed for good goes out unsigned. */
static enum rc
sign(const struct notices *notices, struct notice_made *made, const struct json_value *facts,
	struct err *err)
{
	const char *qid = json_get_text(facts, "qid"), *rule = json_get_text(facts, "rule");
	enum rc rc;

	if (!made->sign)
		return made->must ? err_set(err, ERR_POLICY_NO_SIGNER, "nothing to sign with")
				  : RC_OK;
	rc = notices->ops.sign(notices->ctx, made->msg, notices->from, made->to, rule, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_POLICY_NO_SIGNER, "no key for %s", notices->from);
	if (rc != RC_PERM || made->must)
		return rc;
	log_error(LOGL_ERROR, qid, "notice-unsigned", err, "from", notices->from, NULL);
	err_clear(err);
	return RC_OK;
}

/* RC_OK: submitted; RC_TEMP: later; RC_PERM: never. */
static enum rc
send_item(const struct notices *notices, const struct notice_item *item, struct spool *body,
	const struct json_value *facts, struct err *err)
{
	enum notice_kind kind = notice_kind_of(facts);
	struct notice_made made = {0};
	char language[128];
	enum rc rc = find_language(notices, facts, kind, item->tries, language, err);

	if (rc == RC_OK)
		rc = notice_make(notices, item, facts, language, body, &made, err);
	if (rc == RC_OK)
		rc = sign(notices, &made, facts, err);
	if (rc == RC_OK)
		rc = notices->ops.send(notices->ctx, made.msg, made.to, made.smtputf8, err);
	if (rc == RC_OK)
		counter_add(COUNTER_NOTICES, 1);
	if (rc == RC_OK)
		log_event(LOGL_INFO, json_get_text(facts, "qid"), "notice", "what", "sent", "kind",
			notice_kind_name(kind), "to", made.to, "language", language, "returned",
			kind != NOTICE_FAILED ? NULL
			: body                ? "full"
					      : "headers",
			NULL);
	notice_made_fini(&made);
	return rc;
}

enum rc
notice_send_now(struct notices *notices, const struct notice_item *item, struct spool *body)
{
	struct json_value *facts = NULL;
	struct err err = ERR_INIT;
	enum rc rc = json_parse(buf_text(&item->data), item->data.len, &facts, &err);
	struct notice_item now = *item;

	now.tries = ASK_TRIES + 1;
	if (rc == RC_OK)
		rc = send_item(notices, &now, body, facts, &err);
	if (rc != RC_OK)
		log_error(
			LOGL_WARN, json_get_text(facts, "qid"), "notice-without-body", &err, NULL);
	json_free(&facts);
	return rc;
}

static int64_t
wait_after(int tries)
{
	int64_t wait = FIRST_WAIT;

	for (; tries > 1 && wait < LONGEST_WAIT; tries--)
		wait *= 2;
	return wait < LONGEST_WAIT ? wait : LONGEST_WAIT;
}

/* What became of ITEM goes into the store and the log. */
static enum rc
settle(struct notices *notices, const struct notice_item *item, const struct json_value *facts,
	enum rc rc, const struct err *why, struct err *err)
{
	int64_t now = notices_now(notices);
	bool old = now - item->created > conf_int(notices->group, "outbox_age");
	const char *qid = json_get_text(facts, "qid");
	enum notice_kind kind = facts ? notice_kind_of(facts) : NOTICE_KINDS;
	const char *name = kind < NOTICE_KINDS ? notice_kind_name(kind) : "unknown";

	if (rc == RC_OK)
		return notice_store_done(notices->store, item->id, err);
	if (rc == RC_PERM || old) {
		log_error(LOGL_ERROR, qid, "notice", why, "what", "failed", "kind", name, "to",
			json_get_text(facts, "to"), "tries", LOG_NUM(item->tries), NULL);
		return notice_store_done(notices->store, item->id, err);
	}
	log_error(LOGL_WARN, qid, "notice", why, "what", "later", "kind", name, "to",
		json_get_text(facts, "to"), "tries", LOG_NUM(item->tries), NULL);
	return notice_store_later(notices->store, item->id, now + wait_after(item->tries), err);
}

/* RC_NONE: nothing is due. *FAILED is told when it has to be tried again. */
static enum rc
work_one(struct notices *notices, bool *failed, struct err *err)
{
	struct json_value *facts = NULL;
	struct err why = ERR_INIT;
	struct notice_item item;
	enum rc rc, sent;

	notice_item_init(&item);
	rc = notice_store_take(notices->store, notices_now(notices), LEASE, &item, err);
	if (rc == RC_OK) {
		sent = json_parse(buf_text(&item.data), item.data.len, &facts, &why);
		if (sent == RC_OK)
			sent = send_item(notices, &item, NULL, facts, &why);
		*failed = sent == RC_TEMP || sent == RC_NONE;
		rc = settle(notices, &item, facts, sent, &why, err);
	}
	json_free(&facts);
	notice_item_fini(&item);
	return rc;
}

static enum rc
tell(struct notices *notices, const char *rcpt, const char *sender, struct err *err)
{
	struct notice_item item;
	struct json json;
	enum rc rc;

	notice_item_init(&item);
	json_init(&json, &item.data);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_str(&json, "kind", notice_kind_name(NOTICE_LEARNED));
	json_str(&json, "to", sender);
	json_str(&json, "rcpt", rcpt);
	json_object_end(&json);
	rc = json_end(&json, err);
	if (rc == RC_OK)
		rc = notice_store_tell(
			notices->store, rcpt, sender, &item, notices_now(notices), err);
	if (rc == RC_OK)
		notice_log(NULL, "kept", "learned", sender, NULL);
	notice_item_fini(&item);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Everybody who waits for RCPT. */
static enum rc
tell_all(struct notices *notices, const char *rcpt, struct err *err)
{
	struct buf sender = BUF_INIT(4096);
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i <= STORE_MAX_PAIRS; i++) {
		buf_clear(&sender);
		rc = notice_store_waiter(notices->store, rcpt, &sender, err);
		if (rc == RC_OK)
			rc = tell(notices, rcpt, buf_text(&sender), err);
	}
	buf_fini(&sender);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Goes on where the last round ended, so that a long list is gone through in several. */
static enum rc
look_for_awaited(struct notices *notices, bool (*stop)(void *ctx), void *ctx, struct err *err)
{
	struct buf rcpt = BUF_INIT(4096);
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < MAX_AWAITED && !stop(ctx); i++) {
		buf_clear(&rcpt);
		rc = notice_store_awaited(notices->store, notices->looked_at, &rcpt, err);
		if (rc == RC_NONE)
			notices->looked_at[0] = '\0';
		if (rc != RC_OK)
			break;
		snprintf(notices->looked_at, sizeof(notices->looked_at), "%s", buf_text(&rcpt));
		if (notices->ops.known(notices->ctx, buf_text(&rcpt), NULL) == RC_OK)
			rc = tell_all(notices, buf_text(&rcpt), err);
	}
	buf_fini(&rcpt);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Times set back count as passed. */
static bool
is_time(int64_t *last, int64_t interval, int64_t now)
{
	if (*last && now >= *last && now - *last < interval)
		return false;
	*last = now;
	return true;
}

/* Every check_interval, and soon after certificates have come into the local store. */
static bool
is_time_to_look(struct notices *notices, int64_t now)
{
	bool due = is_time(&notices->checked_at, conf_int(notices->group, "check_interval"), now);
	bool changed = notices->ops.changed && notices->ops.changed(notices->ctx);

	return due || changed;
}

static enum rc
housekeep(struct notices *notices, bool (*stop)(void *ctx), void *ctx, struct err *err)
{
	int64_t now = notices_now(notices), day = 86400;
	int64_t said = conf_int(notices->group, "invite_interval");
	enum rc rc = RC_OK;

	if (is_time(&notices->swept_at, SWEEP_INTERVAL, now))
		rc = notice_store_sweep(notices->store, now - (said > day ? said : day),
			now - conf_int(notices->group, "wait_age"), err);
	if (rc == RC_OK && is_time_to_look(notices, now))
		rc = look_for_awaited(notices, stop, ctx, err);
	return rc;
}

int64_t
notices_interval(const struct notices *notices)
{
	int64_t check = conf_int(notices->group, "check_interval");

	return check < IDLE ? check : IDLE;
}

enum rc
notices_work(struct notices *notices, bool (*stop)(void *ctx), void *ctx, struct err *err)
{
	enum rc rc = housekeep(notices, stop, ctx, err);
	int failures = 0;

	while (rc == RC_OK && failures < MAX_FAILURES && !stop(ctx)) {
		bool failed = false;

		rc = work_one(notices, &failed, err);
		failures = failed ? failures + 1 : 0;
	}
	return rc == RC_NONE ? RC_OK : rc;
}
