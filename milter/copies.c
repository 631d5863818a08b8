/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 4, second half: the plan's groups become copies, and what a copy holds.
 */
#include "milter/tx.h"

#include "milter/edit_list.h"

#include <stdlib.h>
#include <string.h>

void
copy_drop(struct copy *copy)
{
	for (size_t i = 0; i < copy->n_edits; i++)
		free(copy->edits[i].name);
	free(copy->edits);
	copy->edits = NULL;
	copy->n_edits = 0;
	if (copy->body_shared)
		copy->body = NULL; /* the transaction's */
	spool_free(&copy->body);
	copy->body_shared = false;
	free(copy->new_ret);
	copy->new_ret = NULL;
	copy->made = false;
}

static void
copy_fini(struct copy *copy)
{
	copy_drop(copy);
	free(copy->rcpts);
	free(copy->layers);
	if (copy->verdict)
		verdict_fini(copy->verdict);
	free(copy->verdict);
	memset(copy, 0, sizeof(*copy));
}

void
copies_free(struct result *result)
{
	for (size_t i = 0; i < result->n_copies; i++)
		copy_fini(&result->copies[i]);
	free(result->copies);
	result->copies = NULL;
	result->n_copies = 0;
}

/* One more copy, with room for N recipients. */
static enum rc
add_copy(struct result *result, size_t n, const struct plan_group *group, struct copy **out,
	struct err *err)
{
	struct copy *copy = &result->copies[result->n_copies];

	*out = copy;
	*copy = (struct copy){.transform = group->transform,
		.verdicts = group->verdicts,
		.rcpts = calloc(n ? n : 1, sizeof(*copy->rcpts))};
	if (!copy->rcpts)
		return err_set(err, ERR_MEMORY, "copies");
	result->n_copies++;
	return RC_OK;
}

static void
take_rcpt(const struct transaction *tx, struct copy *copy, size_t i)
{
	if (copy->n == 0)
		copy->rule =
			tx->rcpts[i].decision.rule ? rule_name(tx->rcpts[i].decision.rule) : "";
	copy->rcpts[copy->n++] = i;
}

/* Those of COPY who may not have the message opened get a copy of their own. */
static enum rc
part(struct transaction *tx, struct result *result, size_t k, const bool *entitled, struct err *err)
{
	struct copy *copy = &result->copies[k], *others;
	struct plan_group same = {.transform = copy->transform, .verdicts = copy->verdicts};
	size_t n = copy->n, kept = 0;
	enum rc rc;

	for (size_t i = 0; i < n; i++)
		kept += entitled[i];
	if (kept == 0 || kept == n)
		return RC_OK;
	rc = add_copy(result, n - kept, &same, &others, err);
	if (rc != RC_OK)
		return rc;
	copy->n = 0;
	for (size_t i = 0; i < n; i++)
		take_rcpt(tx, entitled[i] ? copy : others, copy->rcpts[i]);
	return RC_OK;
}

/* What is opened for one recipient must not reach another who has no right to it. */
static enum rc
part_by_right(struct transaction *tx, struct result *result, size_t k, struct err *err)
{
	const struct copy *copy = &result->copies[k];
	bool *entitled, known;
	enum rc rc;

	if (!(copy->transform & PLAN_OPEN) || copy->n < 2)
		return RC_OK;
	entitled = calloc(copy->n, sizeof(*entitled));
	if (!entitled)
		return err_set(err, ERR_MEMORY, "copies");
	rc = unwrap_entitled(tx, copy, entitled, &known, err);
	if (rc == RC_OK && known)
		rc = part(tx, result, k, entitled, err);
	free(entitled);
	return rc;
}

enum rc
copies_build(struct transaction *tx, struct result *result, struct err *err)
{
	size_t n_groups = tx->plan->n_groups;
	struct copy *copy;
	enum rc rc = RC_OK;

	/* each group may come apart into two */
	result->copies = calloc(2 * n_groups + 1, sizeof(*result->copies));
	if (!result->copies)
		return err_set(err, ERR_MEMORY, "copies");
	for (size_t g = 0; rc == RC_OK && g < n_groups; g++)
		rc = add_copy(result, tx->plan->groups[g].n, &tx->plan->groups[g], &copy, err);
	for (size_t i = 0; rc == RC_OK && i < tx->n; i++)
		if (tx->plan_rcpts[i].outcome == PLAN_DELIVER)
			take_rcpt(tx, &result->copies[tx->plan_rcpts[i].group], i);
	for (size_t g = 0; rc == RC_OK && tx->may_split && g < n_groups; g++)
		rc = part_by_right(tx, result, g, err);
	tx->n_copies = result->n_copies;
	return rc;
}

enum rc
copies_join(struct transaction *tx, struct result *result, unsigned transform, struct err *err)
{
	struct plan_group all = {
		.transform = transform, .verdicts = &tx->rcpts[0].decision.verdicts};
	struct copy *copy;
	enum rc rc;

	copies_free(result);
	result->copies = calloc(1, sizeof(*result->copies));
	if (!result->copies)
		return err_set(err, ERR_MEMORY, "copies");
	rc = add_copy(result, tx->n, &all, &copy, err);
	for (size_t i = 0; rc == RC_OK && i < tx->n; i++)
		take_rcpt(tx, copy, i);
	tx->n_copies = result->n_copies;
	return rc;
}

enum rc
copy_write(const struct transaction *tx, const struct copy *copy, const struct sink *sink,
	struct err *err)
{
	static const struct copy untouched;
	const struct copy *what = copy ? copy : &untouched;
	struct spool *body = what->body ? what->body : tx->msg->body;
	struct hdrs hdrs;
	enum rc rc = edit_list_apply(what, &tx->msg->hdrs, &hdrs, err);

	if (rc == RC_OK)
		rc = hdrs_write(&hdrs, sink, err);
	if (rc == RC_OK)
		rc = sink_feed_str(sink, "\r\n", err);
	if (rc == RC_OK)
		rc = spool_send(body, 0, spool_size(body), sink, err);
	hdrs_fini(&hdrs);
	return rc == RC_OK ? sink_finish(sink, err) : rc;
}
