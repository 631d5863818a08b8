/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/pipeline.h"

#include "base/log.h"
#include "milter/edit_list.h"
#include "milter/reply.h"
#include "milter/tx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A refusal or deferral takes back whatever was prepared. */
static void
take_back(struct transaction *tx, struct result *result)
{
	for (size_t i = 0; i < result->n_edits; i++) {
		free(result->edits[i].name);
		free(result->edits[i].value);
	}
	free(result->edits);
	result->edits = NULL;
	result->n_edits = 0;
	spool_free(&result->body);
	free(result->new_ret);
	result->new_ret = NULL;
	result->n_layers = 0; /* nothing was opened after all */
	tx->transform = PLAN_LEAVE;
}

/* The reply for trouble with the message as a whole; the rule is named when it was one group's. */
static void
stop(struct transaction *tx, struct result *result, const struct err *why)
{
	bool ruled = tx->plan && tx->plan->n_groups == 1;
	const struct decision *decision = ruled ? &tx->rcpts[0].decision : NULL;

	take_back(tx, result);
	reply_set(result, why, NULL, ruled ? decision->rule : NULL,
		ruled ? &decision->verdicts : NULL);
	log_error(result->outcome == PLAN_REFUSE ? LOGL_INFO : LOGL_ERROR, tx->qid,
		result->outcome == PLAN_REFUSE ? "message-refused" : "message-deferred", why, NULL);
}

/* The reply that the plan came to. */
static void
stop_planned(struct transaction *tx, struct result *result)
{
	const struct rcpt *rcpt = &tx->rcpts[tx->plan->blamed];

	take_back(tx, result);
	reply_set(
		result, &tx->plan->err, rcpt->addr, rcpt->decision.rule, &rcpt->decision.verdicts);
	log_error(LOGL_INFO, tx->qid,
		result->outcome == PLAN_REFUSE ? "message-refused" : "message-deferred",
		&tx->plan->err, "rcpt", rcpt->addr, "rule", rule_name(rcpt->decision.rule), NULL);
}

/* A first recipient that is not treated as recipient 0 is. */
static size_t
first_other(const struct transaction *tx)
{
	size_t i = 0;

	while (i + 1 < tx->n && tx->plan_rcpts[i].group == tx->plan_rcpts[0].group)
		i++;
	return i;
}

/*
 * Mail on its way in is never refused for what is in it: what a key gave must not show in the
 * reply, and a message that is broken in a way nobody thought of is the reader's to judge. It goes
 * on as it came.
 */
static enum rc
open_or_leave(struct transaction *tx, unsigned wanted, const struct verdicts *verdicts,
	enum pipeline_mode mode, struct result *result, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc = unwrap_inbound(tx, wanted, verdicts, mode, result, &why);

	if (rc == RC_PERM) {
		log_error(LOGL_WARN, tx->qid, "left-as-it-came", &why, NULL);
		take_back(tx, result);
		/* Nobody may make us stumble so that forged results of ours stay. */
		err_clear(&why);
		rc = unwrap_nothing(tx, result, &why);
		if (rc == RC_PERM)
			rc = err_set(&why, ERR_INTERNAL, "forged fields stay");
	}
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

/*
 * Recipients that need different treatment. On the way out the sender is told to send separately;
 * on the way in, where there is nobody to tell, everybody gets the message unopened, verified where
 * every rule says so.
 */
static enum rc
transform_split(
	struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	unsigned any = 0, all = ~0u;
	size_t other;

	for (size_t i = 0; i < tx->plan->n_groups; i++) {
		any |= tx->plan->groups[i].transform;
		all &= tx->plan->groups[i].transform;
	}
	if (any & (PLAN_SIGN | PLAN_ENCRYPT)) {
		other = first_other(tx);
		tx->plan->blamed = other;
		err_set(&tx->plan->err, ERR_POLICY_SPLIT, "%zu groups of recipients",
			tx->plan->n_groups);
		for (size_t i = 0; i < tx->n; i++)
			tx->plan_rcpts[i].outcome = PLAN_REFUSE;
		stop_planned(tx, result);
		return RC_OK;
	}
	snprintf(tx->detail, sizeof(tx->detail), "recipients need different treatment: unopened");
	if (all & PLAN_VERIFY)
		return open_or_leave(
			tx, PLAN_VERIFY, tx->plan->groups[0].verdicts, mode, result, err);
	return any & (PLAN_OPEN | PLAN_VERIFY) ? unwrap_nothing(tx, result, err) : RC_OK;
}

static enum rc
transform(struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	const struct plan_group *group = tx->plan->groups;

	reply_accept(result, "Accepted");
	if (tx->plan->n_groups > 1)
		return transform_split(tx, mode, result, err);
	if (tx->plan->n_groups == 0 || engine_role(tx->engine) == ROLE_GATE)
		return RC_OK;
	if (group->transform & (PLAN_SIGN | PLAN_ENCRYPT))
		return transform_outbound(tx, mode, result, err);
	if (group->transform & (PLAN_OPEN | PLAN_VERIFY))
		return open_or_leave(tx, group->transform, group->verdicts, mode, result, err);
	return RC_OK;
}

static enum rc
run_stages(struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	enum rc rc = facts_gather(tx, err);

	if (rc == RC_OK)
		rc = decide_all(tx, err);
	if (rc != RC_OK)
		return rc;
	if (tx->plan->outcome != PLAN_DELIVER) {
		stop_planned(tx, result);
		return RC_OK;
	}
	rc = transform(tx, mode, result, err);
	return rc == RC_OK && mode == PIPELINE_RUN ? record_decision(tx, result, err) : rc;
}

/* In explain mode nothing was done; what would be is in the plan. */
static unsigned
done_for(const struct transaction *tx, size_t i, enum pipeline_mode mode)
{
	if (mode == PIPELINE_EXPLAIN && tx->plan_rcpts)
		return (tx->plan_rcpts[i].transform & (PLAN_SIGN | PLAN_ENCRYPT)) | tx->transform;
	return tx->transform;
}

static enum rc
fill_recipients(
	struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	result->rcpts = calloc(tx->n ? tx->n : 1, sizeof(*result->rcpts));
	if (!result->rcpts)
		return err_set(err, ERR_MEMORY, "result");
	result->n_rcpts = tx->n;
	for (size_t i = 0; i < tx->n; i++) {
		const struct plan_rcpt *plan = tx->plan ? &tx->plan_rcpts[i] : NULL;
		struct rcpt_result *out = &result->rcpts[i];
		unsigned done = done_for(tx, i, mode);

		out->addr = tx->rcpts[i].addr;
		out->rule = tx->rcpts[i].decision.rule ? rule_name(tx->rcpts[i].decision.rule) : "";
		out->outcome = result->outcome; /* all or none, until copies are made */
		out->smtp = result->smtp;
		if (plan)
			snprintf(out->why, sizeof(out->why), "%s", plan->why);
		if (result->outcome != PLAN_DELIVER)
			continue;
		out->is_signed = done & PLAN_SIGN;
		out->encrypted = done & PLAN_ENCRYPT;
		out->opened = done & PLAN_OPEN;
	}
	return RC_OK;
}

enum rc
pipeline_run(struct transaction *tx, enum pipeline_mode mode, struct result **out, struct err *err)
{
	struct result *result = calloc(1, sizeof(*result));
	struct err why = ERR_INIT;
	enum rc rc;

	*out = NULL;
	if (!result)
		return err_set(err, ERR_MEMORY, "result");
	if (!tx->sender || tx->n == 0) {
		result_free(&result);
		return err_set(err, ERR_INTERNAL, "no envelope");
	}
	rc = run_stages(tx, mode, result, &why);
	if (rc != RC_OK) {
		if (why.code == ERR_NONE)
			err_set(&why, ERR_INTERNAL, "failed without a reason");
		stop(tx, result, &why);
	}
	rc = fill_recipients(tx, mode, result, err);
	if (rc != RC_OK) {
		result_free(&result);
		return rc;
	}
	if (mode == PIPELINE_RUN)
		record_log(tx, result);
	*out = result;
	return RC_OK;
}

void
result_free(struct result **result)
{
	struct result *r = *result;

	*result = NULL;
	if (!r)
		return;
	for (size_t i = 0; i < r->n_edits; i++) {
		free(r->edits[i].name);
		free(r->edits[i].value);
	}
	free(r->edits);
	spool_free(&r->body);
	free(r->new_ret);
	free(r->rcpts);
	free(r->layers);
	if (r->verdict)
		verdict_fini(r->verdict);
	free(r->verdict);
	free(r);
}

enum rc
result_write(const struct transaction *tx, const struct result *result, const struct sink *sink,
	struct err *err)
{
	struct spool *body = result->body ? result->body : tx->msg->body;
	struct hdrs hdrs;
	enum rc rc = edit_list_apply(result, &tx->msg->hdrs, &hdrs, err);

	if (rc == RC_OK)
		rc = hdrs_write(&hdrs, sink, err);
	if (rc == RC_OK)
		rc = sink_feed_str(sink, "\r\n", err);
	if (rc == RC_OK)
		rc = spool_send(body, 0, spool_size(body), sink, err);
	hdrs_fini(&hdrs);
	return rc == RC_OK ? sink_finish(sink, err) : rc;
}
