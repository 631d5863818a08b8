/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/pipeline.h"

#include "base/log.h"
#include "milter/edit_list.h"
#include "milter/reply.h"
#include "milter/tx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a reply about recipient I says besides the error; I past the end: about nobody. */
static struct reply_about
about(const struct transaction *tx, size_t i, bool named)
{
	const struct rcpt *rcpt = i < tx->n ? &tx->rcpts[i] : NULL;

	return (struct reply_about){.addr = rcpt && named ? rcpt->addr : NULL,
		.rule = rcpt ? rcpt->decision.rule : NULL,
		.message = rcpt ? rcpt->decision.verdicts.message : NULL,
		.help_url = engine_help_url(tx->engine)};
}

/* The reply for trouble with the message as a whole; the rule is named when it was one group's. */
static void
stop(struct transaction *tx, struct result *result, const struct err *why)
{
	struct reply_about what = about(tx, tx->plan && tx->plan->n_groups == 1 ? 0 : tx->n, false);

	copies_free(result);
	tx->stopped_by = why->code;
	reply_set(result, why, &what);
	log_error(result->outcome == PLAN_REFUSE ? LOGL_INFO : LOGL_ERROR, tx->qid,
		result->outcome == PLAN_REFUSE ? "message-refused" : "message-deferred", why, NULL);
}

/* The reply that the plan came to. */
static void
stop_planned(struct transaction *tx, struct result *result)
{
	const struct rcpt *rcpt = &tx->rcpts[tx->plan->blamed];
	struct reply_about what = about(tx, tx->plan->blamed, true);

	copies_free(result);
	tx->stopped_by = tx->plan->err.code;
	reply_set(result, &tx->plan->err, &what);
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

/* What claims to be ours and is not, or must not go where this copy goes, is taken away first. */
static enum rc
strip(struct transaction *tx, struct copy *copy, struct err *err)
{
	enum rc rc = gate_strip_stamps(tx, copy, err);

	return rc == RC_OK ? opened_strip(tx, copy, err) : rc;
}

/*
 * Mail on its way in is never refused for what is in it: what a key gave must not show in the
 * reply, and a message that is broken in a way nobody thought of is the reader's to judge. It goes
 * on as it came.
 */
static enum rc
open_or_leave(struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc = unwrap_inbound(tx, copy, mode, &why);

	if (rc == RC_PERM) {
		log_error(LOGL_WARN, tx->qid, "left-as-it-came", &why, NULL);
		copy_drop(copy);
		copy->done = PLAN_LEAVE;
		copy->n_layers = 0; /* nothing was opened after all */
		/* Nobody may make us stumble so that forged results of ours stay. */
		err_clear(&why);
		rc = strip(tx, copy, &why);
		if (rc == RC_OK)
			rc = unwrap_nothing(tx, copy, &why);
		if (rc == RC_PERM)
			rc = err_set(&why, ERR_INTERNAL, "forged fields stay");
	}
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

static enum rc
transform(struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err)
{
	if (copy->transform & (PLAN_SIGN | PLAN_ENCRYPT))
		return transform_outbound(tx, copy, mode, err);
	if (copy->transform & (PLAN_OPEN | PLAN_VERIFY))
		return open_or_leave(tx, copy, mode, err);
	return RC_OK;
}

static enum rc
make(struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err)
{
	enum rc rc = strip(tx, copy, err);

	if (rc == RC_OK)
		rc = transform(tx, copy, mode, err);
	if (rc == RC_OK && mode == PIPELINE_RUN)
		rc = unmark(tx, copy, err);
	if (rc == RC_OK && mode == PIPELINE_RUN)
		rc = record_decision(tx, copy, err);
	copy->made = rc == RC_OK;
	if (rc != RC_OK)
		copy_drop(copy);
	return rc;
}

enum rc
pipeline_make_copy(struct transaction *tx, struct result *result, size_t k, struct err *err)
{
	struct copy *copy = &result->copies[k];

	copy->n_layers = 0;
	copy->done = PLAN_LEAVE;
	if (copy->verdict)
		verdict_fini(copy->verdict);
	free(copy->verdict);
	copy->verdict = NULL;
	return make(tx, copy, PIPELINE_RUN, err);
}

/*
 * Recipients that need different treatment, and no copies. On the way out the sender is told to
 * send separately; on the way in, where there is nobody to tell, everybody gets the message
 * unopened, verified where every rule says so.
 */
static enum rc
cannot_split(
	struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	unsigned any = 0, all = ~0u;
	enum rc rc;

	for (size_t i = 0; i < tx->plan->n_groups; i++) {
		any |= tx->plan->groups[i].transform;
		all &= tx->plan->groups[i].transform;
	}
	log_event(LOGL_INFO, tx->qid, "not-split", "groups", LOG_NUM(tx->plan->n_groups), "why",
		"a port for copies would help: see section port in sealgate.conf(5)", NULL);
	if (any & (PLAN_SIGN | PLAN_ENCRYPT)) {
		tx->plan->blamed = first_other(tx);
		err_set(&tx->plan->err, ERR_POLICY_SPLIT, "%zu groups of recipients",
			tx->plan->n_groups);
		for (size_t i = 0; i < tx->n; i++)
			tx->plan_rcpts[i].outcome = PLAN_REFUSE;
		stop_planned(tx, result);
		return RC_OK;
	}
	result->in_place = true;
	rc = copies_join(tx, result, all & PLAN_VERIFY, err);
	if (rc != RC_OK)
		return rc;
	snprintf(result->copies[0].detail, sizeof(result->copies[0].detail),
		"recipients need different treatment: unopened");
	if (!(all & PLAN_VERIFY) && (any & (PLAN_OPEN | PLAN_VERIFY))) {
		rc = strip(tx, result->copies, err);
		return rc == RC_OK ? unwrap_nothing(tx, result->copies, err) : rc;
	}
	return make(tx, result->copies, mode, err);
}

/* One copy for all is made now; several are made when they are sent, or only looked at. */
static enum rc
carry_out(struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	enum rc rc;

	reply_accept(result, "Accepted");
	rc = copies_build(tx, result, err);
	if (rc != RC_OK)
		return rc;
	if (result->n_copies > 1 && !tx->may_split)
		return cannot_split(tx, mode, result, err);
	result->in_place = !tx->begun && result->n_copies == 1 && result->copies[0].n == tx->n;
	tx->by_port = !result->in_place;
	if (result->in_place)
		return make(tx, result->copies, mode, err);
	for (size_t k = 0; rc == RC_OK && mode == PIPELINE_EXPLAIN && k < result->n_copies; k++)
		rc = make(tx, &result->copies[k], mode, err);
	return rc;
}

/* The message as a whole is refused with what was said about one recipient. */
static void
refuse_as(struct result *result, const struct rcpt_result *rcpt)
{
	result->outcome = rcpt->outcome;
	result->smtp = rcpt->smtp;
	memcpy(result->enhanced, rcpt->enhanced, sizeof(result->enhanced));
	memcpy(result->text, rcpt->text, sizeof(result->text));
}

static enum rc
run_stages(struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err)
{
	enum rc rc = facts_gather(tx, err);

	if (rc == RC_OK)
		rc = gate_enforce(tx, err);
	if (rc == RC_OK && engine_role(tx->engine) == ROLE_GATE)
		return gate_run(tx, result, err);
	if (rc == RC_OK && tx->refused_early) {
		refuse_as(result, tx->refused_early);
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = decide_all(tx, err);
	if (rc != RC_OK)
		return rc;
	if (tx->plan->outcome != PLAN_DELIVER) {
		stop_planned(tx, result);
		return RC_OK;
	}
	return carry_out(tx, mode, result, err);
}

/* One recipient's part in the result. */
static void
fill_recipient(struct transaction *tx, const struct result *result, size_t i)
{
	const struct plan_rcpt *plan = tx->plan ? &tx->plan_rcpts[i] : NULL;
	struct rcpt_result *out = &result->rcpts[i];
	struct reply_about what = about(tx, i, true);

	out->addr = tx->rcpts[i].addr;
	out->rule = tx->rcpts[i].decision.rule ? rule_name(tx->rcpts[i].decision.rule) : "";
	out->why = plan ? plan->why : NULL;
	out->outcome = result->outcome;
	out->smtp = 0;
	out->copy = RESULT_NO_COPY;
	if (result->outcome != PLAN_DELIVER) {
		out->smtp = result->smtp;
		memcpy(out->enhanced, result->enhanced, sizeof(out->enhanced));
		memcpy(out->text, result->text, sizeof(out->text));
	} else if (plan && plan->outcome != PLAN_DELIVER) {
		reply_set_rcpt(out, &plan->err, &what);
	}
}

static enum rc
fill_recipients(struct transaction *tx, struct result *result, struct err *err)
{
	result->rcpts = calloc(tx->n ? tx->n : 1, sizeof(*result->rcpts));
	if (!result->rcpts)
		return err_set(err, ERR_MEMORY, "result");
	result->n_rcpts = tx->n;
	for (size_t i = 0; i < tx->n; i++)
		fill_recipient(tx, result, i);
	for (size_t k = 0; k < result->n_copies; k++)
		for (size_t i = 0; i < result->copies[k].n; i++)
			result->rcpts[result->copies[k].rcpts[i]].copy = k;
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
	rc = fill_recipients(tx, result, err);
	if (rc != RC_OK) {
		result_free(&result);
		return rc;
	}
	if (mode == PIPELINE_RUN && !tx->begun &&
		(result->in_place || result->outcome != PLAN_DELIVER))
		record_log(tx, result);
	*out = result;
	return RC_OK;
}

void
pipeline_stop(struct transaction *tx, struct result *result, const struct err *why)
{
	stop(tx, result, why);
	for (size_t i = 0; i < tx->n; i++)
		fill_recipient(tx, result, i);
}

void
pipeline_refuse_copy(struct transaction *tx, struct result *result, size_t k, const struct err *why)
{
	struct copy *copy = &result->copies[k];
	bool left = false;

	log_error(LOGL_INFO, tx->qid, "copy-refused", why, "rule", copy->rule, NULL);
	for (size_t i = 0; i < copy->n; i++) {
		struct rcpt_result *rcpt = &result->rcpts[copy->rcpts[i]];
		struct reply_about what = about(tx, copy->rcpts[i], true);

		reply_set_rcpt(rcpt, why, &what);
		rcpt->copy = RESULT_NO_COPY;
	}
	copy_drop(copy);
	copy->n = 0;
	for (size_t i = 0; i < result->n_rcpts; i++)
		left |= result->rcpts[i].outcome == PLAN_DELIVER;
	if (!left)
		refuse_as(result, &result->rcpts[0]);
}

void
pipeline_conclude(const struct transaction *tx, const struct result *result)
{
	record_log(tx, result);
}

void
result_free(struct result **result)
{
	struct result *r = *result;

	*result = NULL;
	if (!r)
		return;
	copies_free(r);
	free(r->rcpts);
	free(r);
}
