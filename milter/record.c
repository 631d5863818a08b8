/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 6: the decision goes into the ledger when a key was used; and one line for each recipient
 * into the log.
 */
#include "milter/tx.h"

#include "base/counter.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* What became of one recipient's mail. COPY: theirs, or NULL. */
static const char *
event_of(const struct transaction *tx, const struct rcpt_result *rcpt, const struct copy *copy)
{
	if (rcpt->outcome == PLAN_REFUSE)
		return "refused";
	if (rcpt->outcome == PLAN_DEFER || !copy)
		return "deferred";
	if (rcpt->known)
		return "delivered-before";
	if (copy->done & (PLAN_SIGN | PLAN_ENCRYPT))
		return "sealed";
	if (copy->done & PLAN_OPEN)
		return "opened";
	if (tx->stamped)
		return "stamped";
	return copy->done & PLAN_VERIFY ? "verified" : "untouched";
}

/* No personal text: the claim beside it is made pseudonymous by the vault. */
static void
describe(const struct transaction *tx, const struct copy *copy, struct json *json)
{
	json_object(json, NULL);
	json_bool(json, "signed", copy->done & PLAN_SIGN);
	json_bool(json, "encrypted", copy->done & PLAN_ENCRYPT);
	json_bool(json, "opened", copy->done & PLAN_OPEN);
	json_int(json, "recipients", (int64_t)copy->n);
	json_int(json, "copies", (int64_t)tx->n_copies);
	json_int(json, "size", (int64_t)tx->facts.size);
	if (copy->verdict)
		json_str(json, "verdict", verdict_overall_name(copy->verdict->overall));
	json_object_end(json);
}

enum rc
record_decision(struct transaction *tx, const struct copy *copy, struct err *err)
{
	struct buf text = BUF_INIT(65536);
	struct json json;
	const char **claimed;
	struct vault_claim claim;
	enum rc rc;

	if (!copy->key_used)
		return RC_OK;
	claimed = calloc(copy->n ? copy->n : 1, sizeof(*claimed));
	if (!claimed)
		return err_set(err, ERR_MEMORY, "record");
	claim = tx_claim(tx, copy->rule, copy->rcpts, copy->n, claimed);
	json_init(&json, &text);
	describe(tx, copy, &json);
	rc = json_end(&json, err);
	if (rc == RC_OK) /* a key that was used for a message that stays closed was still used to
			    open */
		rc = vault_record(engine_vault(tx->engine),
			copy->done & (PLAN_SIGN | PLAN_ENCRYPT) ? "sealed" : "opened", &claim,
			buf_text(&text), err);
	buf_fini(&text);
	free(claimed);
	return rc;
}

static void
count(const struct result *result)
{
	unsigned done = PLAN_LEAVE;

	for (size_t k = 0; k < result->n_copies; k++)
		done |= result->copies[k].done;
	counter_add(COUNTER_MESSAGES, 1);
	if (result->outcome == PLAN_REFUSE)
		counter_add(COUNTER_REFUSED, 1);
	else if (result->outcome == PLAN_DEFER)
		counter_add(COUNTER_DEFERRED, 1);
	else if (result->in_place && result->copies->n_edits == 0 && !result->copies->body)
		counter_add(COUNTER_UNTOUCHED, 1);
	if (result->outcome != PLAN_DELIVER)
		return;
	if (done & PLAN_SIGN)
		counter_add(COUNTER_SIGNED, 1);
	if (done & PLAN_ENCRYPT)
		counter_add(COUNTER_ENCRYPTED, 1);
	if (done & PLAN_OPEN)
		counter_add(COUNTER_OPENED, 1);
	if (done & PLAN_VERIFY)
		counter_add(COUNTER_VERIFIED, 1);
}

static void
log_observed(const struct transaction *tx, const struct rcpt *rcpt)
{
	for (size_t i = 0; rcpt->observed && i < rcpt->decision.n_observed; i++) {
		const struct observed *seen = &rcpt->observed[i];

		log_event(LOGL_INFO, tx->qid, "observed", "rcpt", rcpt->addr, "rule",
			rule_name(seen->rule), "would", seen->would, "why",
			*seen->why ? seen->why : NULL, "error",
			seen->cause == ERR_NONE ? NULL : err_name(seen->cause), NULL);
	}
}

static const char *
how_of(unsigned done)
{
	if (done & PLAN_SIGN)
		return done & PLAN_ENCRYPT ? "sign+encrypt" : "sign";
	return done & PLAN_ENCRYPT ? "encrypt" : NULL;
}

static void
log_recipient(const struct transaction *tx, const struct result *result, size_t i)
{
	const struct rcpt *rcpt = &tx->rcpts[i];
	const struct rcpt_result *what = &result->rcpts[i];
	const struct copy *copy =
		what->copy < result->n_copies ? &result->copies[what->copy] : NULL;
	unsigned done = copy ? copy->done : PLAN_LEAVE;

	log_observed(tx, rcpt);
	if ((done & PLAN_ENCRYPT) && result->outcome == PLAN_DELIVER &&
		what->outcome == PLAN_DELIVER)
		engine_note_used(tx->engine, rcpt->addr, rcpt->found);
	log_event(LOGL_INFO, tx->qid, event_of(tx, what, copy), "rcpt", rcpt->addr, "rule",
		rcpt->decision.rule ? rule_name(rcpt->decision.rule) : NULL, "how", how_of(done),
		"verdict",
		copy && copy->verdict ? verdict_overall_name(copy->verdict->overall) : NULL, "why",
		what->why && *what->why ? what->why : NULL, "detail",
		copy && *copy->detail ? copy->detail : NULL, "copy",
		copy && !result->in_place ? LOG_NUM(what->copy + 1) : NULL, "reply",
		what->outcome == PLAN_DELIVER ? NULL : LOG_NUM(what->smtp), NULL);
}

void
record_log(const struct transaction *tx, const struct result *result)
{
	count(result);
	for (size_t i = 0; i < tx->n; i++)
		log_recipient(tx, result, i);
	if (result->outcome == PLAN_DELIVER)
		return;
	log_event(result->outcome == PLAN_REFUSE ? LOGL_INFO : LOGL_WARN, tx->qid, "reply", "code",
		LOG_NUM(result->smtp), "enhanced", result->enhanced, "text", result->text, NULL);
}
