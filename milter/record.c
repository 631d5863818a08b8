/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 6: the decision goes into the ledger when a key was used; and one line for each recipient
 * into the log.
 */
#include "milter/tx.h"

#include "base/counter.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
event_of(const struct transaction *tx, const struct result *result)
{
	if (result->outcome == PLAN_REFUSE)
		return "refused";
	if (result->outcome == PLAN_DEFER)
		return "deferred";
	if (tx->transform & (PLAN_SIGN | PLAN_ENCRYPT))
		return "sealed";
	if (tx->transform & PLAN_OPEN)
		return "opened";
	return tx->transform & PLAN_VERIFY ? "verified" : "untouched";
}

/* No personal text: the claim beside it is made pseudonymous by the vault. */
static void
describe(const struct transaction *tx, const struct result *result, struct json *json)
{
	json_object(json, NULL);
	json_bool(json, "signed", tx->transform & PLAN_SIGN);
	json_bool(json, "encrypted", tx->transform & PLAN_ENCRYPT);
	json_bool(json, "opened", tx->transform & PLAN_OPEN);
	json_int(json, "recipients", (int64_t)tx->n);
	json_int(json, "size", (int64_t)tx->facts.size);
	if (result->verdict)
		json_str(json, "verdict", verdict_overall_name(result->verdict->overall));
	json_object_end(json);
}

enum rc
record_decision(struct transaction *tx, const struct result *result, struct err *err)
{
	struct buf text = BUF_INIT(65536);
	struct json json;
	const char **claimed;
	struct vault_claim claim;
	enum rc rc;

	if (!tx->key_used)
		return RC_OK;
	claimed = calloc(tx->n ? tx->n : 1, sizeof(*claimed));
	if (!claimed)
		return err_set(err, ERR_MEMORY, "record");
	claim = tx_claim(tx, tx->n ? rule_name(tx->rcpts[0].decision.rule) : NULL, claimed);
	json_init(&json, &text);
	describe(tx, result, &json);
	rc = json_end(&json, err);
	if (rc == RC_OK) /* a key that was used for a message that stays closed was still used to
			    open */
		rc = vault_record(engine_vault(tx->engine),
			tx->transform & (PLAN_SIGN | PLAN_ENCRYPT) ? "sealed" : "opened", &claim,
			buf_text(&text), err);
	buf_fini(&text);
	free(claimed);
	return rc;
}

static void
count(const struct transaction *tx, const struct result *result)
{
	counter_add(COUNTER_MESSAGES, 1);
	if (result->outcome == PLAN_REFUSE)
		counter_add(COUNTER_REFUSED, 1);
	else if (result->outcome == PLAN_DEFER)
		counter_add(COUNTER_DEFERRED, 1);
	else if (result->n_edits == 0 && !result->body)
		counter_add(COUNTER_UNTOUCHED, 1);
	if (result->outcome != PLAN_DELIVER)
		return;
	if (tx->transform & PLAN_SIGN)
		counter_add(COUNTER_SIGNED, 1);
	if (tx->transform & PLAN_ENCRYPT)
		counter_add(COUNTER_ENCRYPTED, 1);
	if (tx->transform & PLAN_OPEN)
		counter_add(COUNTER_OPENED, 1);
	if (tx->transform & PLAN_VERIFY)
		counter_add(COUNTER_VERIFIED, 1);
}

static void
log_observed(const struct transaction *tx, const struct rcpt *rcpt)
{
	for (size_t i = 0; i < rcpt->decision.n_observed; i++)
		log_event(LOGL_INFO, tx->qid, "observed", "rcpt", rcpt->addr, "rule",
			rule_name(rcpt->decision.observed[i]), NULL);
}

void
record_log(const struct transaction *tx, const struct result *result)
{
	const char *event = event_of(tx, result);
	char how[40];

	count(tx, result);
	snprintf(how, sizeof(how), "%s%s%s", tx->transform & PLAN_SIGN ? "sign" : "",
		(tx->transform & PLAN_SIGN) && (tx->transform & PLAN_ENCRYPT) ? "+" : "",
		tx->transform & PLAN_ENCRYPT ? "encrypt" : "");
	for (size_t i = 0; i < tx->n; i++) {
		const struct rcpt *rcpt = &tx->rcpts[i];

		log_observed(tx, rcpt);
		log_event(LOGL_INFO, tx->qid, event, "rcpt", rcpt->addr, "rule",
			rcpt->decision.rule ? rule_name(rcpt->decision.rule) : NULL, "how",
			*how ? how : NULL, "verdict",
			result->verdict ? verdict_overall_name(result->verdict->overall) : NULL,
			"why",
			tx->plan_rcpts && *tx->plan_rcpts[i].why ? tx->plan_rcpts[i].why : NULL,
			"detail", *tx->detail ? tx->detail : NULL, "reply",
			result->outcome == PLAN_DELIVER ? NULL : LOG_NUM(result->smtp), NULL);
	}
	if (result->outcome == PLAN_DELIVER)
		return;
	log_event(result->outcome == PLAN_REFUSE ? LOGL_INFO : LOGL_WARN, tx->qid, "reply", "code",
		LOG_NUM(result->smtp), "enhanced", result->enhanced, "text", result->text, NULL);
}
