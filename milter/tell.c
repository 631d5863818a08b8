/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/tell.h"

#include "base/clock.h"
#include "milter/tx.h"

#include <stdlib.h>
#include <string.h>

bool
tell_is_own_sender(const struct transaction *tx)
{
	const struct right_ask ask = {.service = engine_service(tx->engine),
		.identity = tx->identity,
		.client = tx->client,
		.connector = tx->connector,
		.addresses = tx->addresses_known == TRI_YES ? &tx->addresses : NULL};
	struct right_found found;

	return tx->identity && *tx->sender &&
	       policy_is_ours(engine_policy(tx->engine), tx->sender) &&
	       rights_may_sign(engine_rights(tx->engine), &ask, tx->sender, &found) == TRI_YES;
}

static bool
is_blamed(const struct transaction *tx, size_t i)
{
	return tx->plan_rcpts && tx->plan_rcpts[i].outcome == PLAN_REFUSE;
}

/* Those who are the reason: refused each by themselves, or else everybody. Nobody when it was not
 * we who refused. */
static size_t
list_refused(const struct transaction *tx, const struct result *result,
	const struct envelope *envelope, struct notice_rcpt *list)
{
	size_t n = 0;
	bool any = false;

	for (size_t i = 0; i < tx->n; i++)
		any |= is_blamed(tx, i);
	for (size_t i = 0; i < result->n_rcpts && i < envelope->n; i++) {
		const struct rcpt_result *rcpt = &result->rcpts[i];
		enum errcode own = any ? tx->plan_rcpts[i].err.code : ERR_NONE;

		if ((any && !is_blamed(tx, i)) || tx->stopped_by == ERR_NONE)
			continue;
		list[n++] = (struct notice_rcpt){.addr = rcpt->addr,
			.orcpt = envelope->rcpts[i].orcpt,
			.notify = envelope->rcpts[i].notify,
			.cause = own != ERR_NONE ? own : tx->stopped_by,
			.code = result->smtp,
			.enhanced = result->enhanced,
			.text = result->text,
			.rule = rcpt->rule,
			.message = tx->rcpts[i].decision.verdicts.message};
	}
	return n;
}

static void
tell_sender(struct notices *notices, struct transaction *tx, const struct result *result,
	const struct envelope *envelope)
{
	struct notice_rcpt *list = calloc(tx->n ? tx->n : 1, sizeof(*list));
	struct err err = ERR_INIT;
	struct notice_message msg = {.qid = tx->qid,
		.sender = tx->sender,
		.identity = tx->identity,
		.ours = tell_is_own_sender(tx),
		.envid = envelope->envid,
		.ret = envelope->ret,
		.smtputf8 = envelope->smtputf8,
		.secret = true,
		.arrival = clock_now(),
		.classes = tx->facts.classes,
		.hdrs = &tx->msg->hdrs,
		.rcpts = list};

	if (list)
		msg.n = list_refused(tx, result, envelope, list);
	if (msg.n > 0)
		(void)notice_refused(notices, &msg, &err);
	free(list);
}

/* Whoever a rule would have encrypted for, and who has no certificate. */
static void
invite(struct notices *notices, const struct transaction *tx, const char *addr,
	const struct decision *decision)
{
	const struct notice_invitation invitation = {.rcpt = addr,
		.sender = tx->sender,
		.qid = tx->qid,
		.rule = rule_name(decision->rule),
		.language = decision->verdicts.invite_language,
		.classes = tx->facts.classes};
	struct err err = ERR_INIT;

	(void)notice_invite(notices, &invitation, &err);
}

void
tell_named(struct notices *notices, struct transaction *tx, const struct rcpt_result *reply)
{
	const struct tx_refused *refused = tx->last_refused;
	struct notice_rcpt rcpt = {
		.cause = ERR_POLICY_NO_CERT, .code = reply->smtp, .text = reply->text};
	struct notice_message msg = {.qid = tx->qid,
		.sender = tx->sender,
		.identity = tx->identity,
		.secret = true,
		.arrival = clock_now(),
		.rcpts = &rcpt,
		.n = 1};
	struct err err = ERR_INIT;

	if (!refused)
		return;
	rcpt.addr = refused->addr;
	rcpt.enhanced = reply->enhanced;
	rcpt.rule = rule_name(refused->decision.rule);
	rcpt.message = refused->decision.verdicts.message;
	msg.ours = tell_is_own_sender(tx);
	(void)notice_refused(notices, &msg, &err);
	if (msg.ours && refused->decision.verdicts.invite)
		invite(notices, tx, refused->addr, &refused->decision);
}

/* Encryption was looked for, and everybody who was asked said that there is no certificate. */
static bool
is_to_be_invited(const struct transaction *tx, size_t i)
{
	const struct rcpt *rcpt = &tx->rcpts[i];

	return rcpt->decision.known == TRI_YES && rcpt->decision.verdicts.invite &&
	       !rule_is_observed(rcpt->decision.rule) && rcpt->facts.direction == DIR_OUTBOUND &&
	       rcpt->found && rcpt->found->rc == RC_NONE;
}

void
tell_people(struct notices *notices, struct transaction *tx, const struct result *result,
	const struct envelope *envelope)
{
	bool ours = false, known = false;

	if (result->outcome == PLAN_REFUSE)
		tell_sender(notices, tx, result, envelope);
	if (result->outcome == PLAN_DEFER)
		return;
	for (size_t i = 0; i < tx->n; i++) {
		if (!is_to_be_invited(tx, i)) /* there may be no decision at all */
			continue;
		ours = known ? ours : tell_is_own_sender(tx);
		known = true;
		if (ours)
			invite(notices, tx, tx->rcpts[i].addr, &tx->rcpts[i].decision);
	}
}
