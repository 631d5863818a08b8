/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be said when a recipient is named, before there is a message.
 *
 * A refusal, when every rule up to the one that decides looks at the envelope only and nothing is
 * unknown: in doubt the recipient is taken, and the end of the message decides. And that there are
 * too many who may need a copy of their own: who is hidden is not known yet, so everybody counts
 * to whom a rule might make us encrypt.
 */
#include "milter/tx.h"

#include "base/log.h"
#include "milter/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For the directory; a client that waits longer at RCPT gives up. */
#define EARLY_WAIT_MS 5000

static enum rc
view_envelope(struct transaction *tx, struct err *err)
{
	if (tx->early)
		return RC_OK;
	tx->early_facts = (struct msg_facts){.envelope_only = true,
		.service = engine_service(tx->engine),
		.sender = tx->sender,
		.identity = tx->identity,
		.identity_unknown = engine_checks_stamps(tx->engine),
		.authorised = TRI_UNKNOWN};
	return policy_view_new(engine_policy(tx->engine), &tx->early_facts, &tx->early, err);
}

static struct rcpt_facts
facts_of(const struct transaction *tx, const struct rcpt *rcpt)
{
	const struct policy *policy = engine_policy(tx->engine);
	bool ours = policy_direction(policy, true, rcpt->addr) != DIR_OUTBOUND;

	return (struct rcpt_facts){.addr = rcpt->addr,
		.direction = ours ? DIR_INBOUND | DIR_INTERNAL : DIR_OUTBOUND,
		.sealed = TRI_UNKNOWN,
		.leaves = ours ? TRI_UNKNOWN : TRI_YES,
		.groups = rcpt->groups,
		.cert_known = TRI_UNKNOWN,
		.cert_proven = TRI_UNKNOWN};
}

/* Only what is known for sure changes anything. True: it is sure that no certificate can be used,
 * but somebody named one, which a rule that looks for one has to be told of at the end. */
static bool
look_up(struct transaction *tx, struct rcpt *rcpt, struct rcpt_facts *facts)
{
	const struct lookup_result *found = NULL;
	enum rc rc = RC_OK;

	if (!rcpt->lookup)
		rc = lookup_begin(sources_lookups(tx->sources), rcpt->person, &rcpt->lookup, NULL);
	if (rc == RC_OK)
		rc = lookup_wait(rcpt->lookup, EARLY_WAIT_MS, &found, NULL);
	if (rc != RC_OK || (found->rc != RC_OK && found->rc != RC_NONE))
		return rc == RC_OK && found->err.code == ERR_CERT_NAMED;
	facts->cert_known = found->rc == RC_OK ? TRI_YES : TRI_NO;
	facts->cert_proven = found->rc == RC_OK && found->proven ? TRI_YES : TRI_NO;
	return false;
}

/* Is it sure that DECISION refuses RCPT? */
static bool
is_refused(struct transaction *tx, struct rcpt *rcpt, struct rcpt_facts *facts,
	const struct decision *decision)
{
	bool client_key, named = false;

	if (decision->known != TRI_YES || facts->direction != DIR_OUTBOUND ||
		decision->verdicts.encrypt != ENCRYPT_REQUIRED ||
		decision->verdicts.if_missing == MISSING_CLEAR)
		return false;
	if (facts->cert_known == TRI_UNKNOWN)
		named = look_up(tx, rcpt, facts);
	return (named || facts->cert_known == TRI_NO) &&
	       vault_holds(engine_vault(tx->engine), rcpt->person, &client_key, NULL) == RC_NONE;
}

static enum rc
decide(struct transaction *tx, struct rcpt *rcpt, struct decision *out, bool *refused,
	struct err *err)
{
	struct rcpt_facts facts = facts_of(tx, rcpt);
	enum rc rc = policy_decide(tx->early, &facts, out, err);

	if (rc == RC_OK && tx_ask_groups(tx, rcpt, out)) {
		facts.groups = rcpt->groups;
		rc = policy_decide(tx->early, &facts, out, err);
	}
	if (rc == RC_OK && out->wants_certs && facts.direction == DIR_OUTBOUND) {
		(void)look_up(tx, rcpt, &facts);
		rc = policy_decide(tx->early, &facts, out, err);
	}
	*refused = rc == RC_OK && is_refused(tx, rcpt, &facts, out);
	return rc;
}

/* The last recipient was never named. */
static void
take_back(struct transaction *tx)
{
	struct rcpt *rcpt = &tx->rcpts[--tx->n];

	lookup_free(&rcpt->lookup);
	free(rcpt->addr);
	free(rcpt->person);
	free(rcpt->groups);
	memset(rcpt, 0, sizeof(*rcpt));
}

/* For whoever tells the sender about it, and the recipient; without memory nobody does. */
static void
remember(struct transaction *tx, const struct rcpt *rcpt, const struct decision *decision)
{
	if (!tx->last_refused)
		tx->last_refused = malloc(sizeof(*tx->last_refused));
	if (!tx->last_refused)
		return;
	tx->last_refused->decision = *decision;
	snprintf(tx->last_refused->addr, sizeof(tx->last_refused->addr), "%s", rcpt->addr);
}

/* With a rule that refuses all, the whole message is refused if the client goes on. False: that
 * can't be kept in mind. */
static bool
refuse_all_later(
	struct transaction *tx, const struct decision *decision, const struct rcpt_result *reply)
{
	if (decision->verdicts.if_missing != MISSING_REFUSE_ALL || tx->refused_early)
		return true;
	tx->refused_early = malloc(sizeof(*tx->refused_early));
	if (tx->refused_early)
		*tx->refused_early = *reply;
	return tx->refused_early;
}

static bool
refuse(struct transaction *tx, const struct decision *decision, struct rcpt_result *out,
	struct err *err)
{
	const struct rcpt *rcpt = &tx->rcpts[tx->n - 1];
	struct reply_about about = {.addr = rcpt->addr,
		.rule = decision->rule,
		.message = decision->verdicts.message,
		.help_url = engine_help_url(tx->engine)};

	err_set(err, ERR_POLICY_NO_CERT, "rule %s: there is no usable certificate",
		rule_name(decision->rule));
	reply_set_rcpt(out, err, &about);
	if (!refuse_all_later(tx, decision, out))
		return false;
	remember(tx, rcpt, decision);
	log_error(LOGL_INFO, tx->qid, "rcpt-refused", err, "rcpt", rcpt->addr, "rule",
		rule_name(decision->rule), NULL);
	take_back(tx);
	return true;
}

/* Too many that may need a copy each? Nothing is counted before there could be. */
static enum rc
count_copies(struct transaction *tx, struct err *err)
{
	size_t max = engine_limits(tx->engine)->copies;
	enum rc rc = tx->n > max ? view_envelope(tx, err) : RC_OK;

	for (; rc == RC_OK && tx->n > max && tx->n_counted < tx->n; tx->n_counted++) {
		struct rcpt_facts facts = facts_of(tx, &tx->rcpts[tx->n_counted]);
		bool may = false;

		rc = policy_may_encrypt(tx->early, &facts, &may, err);
		if (rc != RC_OK || !may)
			continue;
		if (tx->n_may_encrypt == max)
			return err_set(
				err, ERR_RCPT_LIMIT, "more than %zu that may need copies", max);
		tx->n_may_encrypt++;
	}
	return rc;
}

enum rc
transaction_rcpt_early(struct transaction *tx, struct rcpt_result *reply, struct err *err)
{
	enum role role = engine_role(tx->engine);
	struct decision decision;
	bool refuses = engine_limits(tx->engine)->refuse_at_rcpt, refused = false;
	enum rc rc;

	memset(reply, 0, sizeof(*reply));
	if (role == ROLE_GATE || role == ROLE_OPEN || (!tx->may_split && !refuses))
		return RC_OK;
	rc = refuses ? view_envelope(tx, err) : RC_OK;
	if (rc == RC_OK && refuses)
		rc = decide(tx, &tx->rcpts[tx->n - 1], &decision, &refused, err);
	if (rc == RC_OK && refused && refuse(tx, &decision, reply, err))
		return RC_PERM;
	if (rc == RC_OK && tx->may_split)
		rc = count_copies(tx, err);
	if (rc == RC_OK || err->code != ERR_RCPT_LIMIT)
		return RC_OK; /* the end of the message decides */
	reply_set_rcpt(reply, err, &(struct reply_about){0});
	take_back(tx);
	return RC_TEMP;
}
