/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What observe rules would have done. Each is taken by itself, as if it alone were enforced: it
 * gets the look-ups that it would have had, and a plan for the one recipient. Nothing of that can
 * change what is done with the message, not even the trouble that it meets.
 */
#include "milter/tx.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of enum transform's bits. */
static const char *
transform_name(unsigned transform)
{
	static const char *const names[] = {"leave", "sign", "encrypt", "sign+encrypt"};

	if (transform & PLAN_OPEN)
		return transform & PLAN_VERIFY ? "open+verify" : "open";
	if (transform & PLAN_VERIFY)
		return "verify";
	return names[transform & (PLAN_SIGN | PLAN_ENCRYPT)];
}

/* The plan that RULE's verdicts alone make for RCPT. */
static enum rc
plan_alone(struct transaction *tx, struct rcpt *rcpt, const struct decision *decision,
	struct plan_rcpt *one, struct err *err)
{
	struct plan *plan = NULL;
	enum rc rc = RC_OK;

	if (decision->verdicts.encrypt != ENCRYPT_NEVER)
		rc = tx_wait_certs(tx, rcpt, err);
	if (rc == RC_OK)
		rc = tx_plan_input(tx, rcpt, decision, one, err);
	if (rc == RC_OK)
		rc = plan_build(one, 1, tx->may_split && *tx->sender, &plan, err);
	plan_free(&plan);
	return rc;
}

static enum rc
observe_rule(struct transaction *tx, struct rcpt *rcpt, size_t which, struct observed *out,
	struct err *err)
{
	const struct rule *rule = rcpt->decision.observed[which];
	struct decision decision = {
		.known = TRI_YES, .rule = rule, .verdicts = *rule_verdicts(rule)};
	struct plan_rcpt one = {0};
	enum rc rc;

	out->rule = rule;
	if (rcpt->decision.undecided[which]) {
		out->would = "defer";
		out->cause = ERR_POLICY_UNKNOWN;
		return RC_OK;
	}
	rc = plan_alone(tx, rcpt, &decision, &one, err);
	if (rc != RC_OK)
		return rc;
	snprintf(out->why, sizeof(out->why), "%s", one.why);
	out->would = one.outcome == PLAN_REFUSE  ? "refuse"
		     : one.outcome == PLAN_DEFER ? "defer"
						 : transform_name(one.transform);
	if (one.outcome != PLAN_DELIVER)
		out->cause = one.err.code;
	return RC_OK;
}

static void
observe_rcpt(struct transaction *tx, struct rcpt *rcpt)
{
	struct err vault_err = tx->vault_err, lookup_err = rcpt->lookup_err, err = ERR_INIT;
	struct rcpt_facts facts = rcpt->facts;
	size_t n = rcpt->decision.n_observed;
	enum rc rc = RC_OK;

	rcpt->observed = calloc(n, sizeof(*rcpt->observed));
	if (!rcpt->observed)
		rc = err_set(&err, ERR_MEMORY, "observed rules");
	for (size_t k = 0; rc == RC_OK && k < n; k++)
		rc = observe_rule(tx, rcpt, k, &rcpt->observed[k], &err);
	if (rc != RC_OK) {
		log_error(LOGL_WARN, tx->qid, "not-observed", &err, "rcpt", rcpt->addr, NULL);
		free(rcpt->observed);
		rcpt->observed = NULL;
	}
	tx->vault_err = vault_err;
	rcpt->lookup_err = lookup_err;
	rcpt->facts = facts;
}

void
observe_all(struct transaction *tx)
{
	for (size_t i = 0; i < tx->n; i++)
		if (tx->rcpts[i].decision.n_observed && !tx->rcpts[i].observed)
			observe_rcpt(tx, &tx->rcpts[i]);
}
