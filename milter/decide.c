/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stages 2 to 4: what the rules say, what the directory and the vault have, and the plan.
 *
 * Nothing is asked that no verdict needs: mail that no rule touches waits for nobody.
 */
#include "milter/tx.h"

#include "base/clock.h"
#include "base/log.h"
#include "milter/check_signature.h"
#include "milter/forwarding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beside the session's own wait for what was begun at RCPT. */
#define LOOKUPS_MAX_MS 120000

/*
 * However many recipients there are, the message waits for the directory once: an SMTP client that
 * has waited ten minutes sends it again.
 */
int
tx_time_left(struct transaction *tx)
{
	int64_t now = clock_monotonic_ms();

	if (tx->lookups_until_ms == 0)
		tx->lookups_until_ms = now + LOOKUPS_MAX_MS;
	if (now >= tx->lookups_until_ms)
		return 0; /* what is there already is taken */
	return now + engine_lookup_timeout(tx->engine) < tx->lookups_until_ms
		       ? engine_lookup_timeout(tx->engine)
		       : (int)(tx->lookups_until_ms - now);
}

/* A certificate that an administrator named cannot be used, and somebody has to act. */
static void
log_named(const struct transaction *tx, const struct rcpt *rcpt)
{
	if (rcpt->found && rcpt->found->named.code != ERR_NONE)
		log_error(LOGL_ERROR, tx->qid, "named-certificate", &rcpt->found->named, "rcpt",
			rcpt->addr, NULL);
}

/* Waits for the directory's answer about one recipient. */
enum rc
tx_wait_certs(struct transaction *tx, struct rcpt *rcpt, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc = RC_OK;

	if (rcpt->found || rcpt->lookup_err.code != ERR_NONE)
		return RC_OK;
	if (!rcpt->lookup)
		rc = lookup_begin(sources_lookups(tx->sources), rcpt->person, &rcpt->lookup, &why);
	if (rc == RC_OK)
		rc = lookup_wait(rcpt->lookup, tx_time_left(tx), &rcpt->found, &why);
	log_named(tx, rcpt);
	if (rc == RC_OK && rcpt->found->rc != RC_OK && rcpt->found->rc != RC_NONE) {
		why = rcpt->found->err;
		rc = RC_TEMP;
	}
	if (rc != RC_OK) { /* not known: whether that matters is the plan's to say */
		rcpt->lookup_err = why;
		if (rcpt->lookup_err.code == ERR_NONE)
			err_set(&rcpt->lookup_err, ERR_DIR_UNAVAILABLE, "no answer");
		if (rcpt->lookup_err.code != ERR_CERT_NAMED)
			log_error(LOGL_WARN, tx->qid, "lookup-failed", &rcpt->lookup_err, "rcpt",
				rcpt->addr, NULL);
		return RC_OK;
	}
	(void)err;
	rcpt->facts.cert_known = rcpt->found->rc == RC_OK ? TRI_YES : TRI_NO;
	rcpt->facts.cert_proven =
		rcpt->found->rc == RC_OK && rcpt->found->proven ? TRI_YES : TRI_NO;
	return RC_OK;
}

/* Where does the recipient's mail end? Not known: whether that matters is the plan's to say. */
static void
ask_leaves(struct transaction *tx, struct rcpt *rcpt)
{
	struct forwarding *forwarding = engine_forwarding(tx->engine);
	struct err why = ERR_INIT;
	bool leaves = true;

	if (!forwarding || rcpt->facts.leaves != TRI_UNKNOWN)
		return;
	if (forwarding_leaves(forwarding, rcpt->addr, &leaves, &why) == RC_OK) {
		rcpt->facts.leaves = leaves ? TRI_YES : TRI_NO;
		return;
	}
	log_error(LOGL_WARN, tx->qid, "forwarding-unknown", &why, "rcpt", rcpt->addr, NULL);
	if (rcpt->lookup_err.code == ERR_NONE)
		rcpt->leaves_err = why;
}

/* What a rule on the way asks for is asked once, and then the rules are tried again. */
static enum rc
decide_one(struct transaction *tx, struct rcpt *rcpt, struct err *err)
{
	bool asked_certs = false, asked_leaves = false, again = true;
	enum rc rc = RC_OK;

	while (rc == RC_OK && again) {
		rc = policy_decide(tx->view, &rcpt->facts, &rcpt->decision, err);
		again = rc == RC_OK && tx_ask_groups(tx, rcpt, &rcpt->decision);
		if (rc == RC_OK && rcpt->decision.wants_leaves && !asked_leaves) {
			ask_leaves(tx, rcpt);
			asked_leaves = again = true;
		}
		if (rc == RC_OK && rcpt->decision.wants_certs && !asked_certs) {
			rc = tx_wait_certs(tx, rcpt, err);
			if (rcpt->facts.sealed == TRI_UNKNOWN)
				rcpt->facts.sealed = intact_for(tx, rcpt);
			asked_certs = again = true;
		}
	}
	if (rc == RC_OK && rcpt->decision.known == TRI_YES &&
		rcpt->decision.verdicts.encrypt != ENCRYPT_NEVER)
		rc = tx_wait_certs(tx, rcpt, err);
	return rc;
}

/* The address of the verdicts' Kth key, or NULL. OUT: storage. */
static const char *
signer_address(const struct transaction *tx, const struct verdicts *verdicts, size_t k, char *out)
{
	const char *key = verdicts->sign_keys.n ? verdicts->sign_keys.v[k] : "own";

	if (tx->from.n != 1)
		return NULL;
	if (strcmp(key, "own") != 0)
		return sign_key_expand(key, addr_domain(tx->from.v[0]), out) ? out : NULL;
	if (tx->right.key && strcmp(tx->right.key, "own") != 0)
		return tx->right.key;
	return tx->from.v[0];
}

static struct tx_signer *
find_signer(const struct transaction *tx, const char *addr)
{
	struct tx_signer *s = tx->signers;

	while (s && strcmp(s->addr, addr) != 0)
		s = s->next;
	return s;
}

const struct tx_signer *
tx_signer_for(const struct transaction *tx, const struct verdicts *verdicts)
{
	size_t n = verdicts->sign_keys.n ? verdicts->sign_keys.n : 1;
	const struct tx_signer *found = NULL;
	char addr[ADDR_MAX + 1];

	for (size_t k = 0; k < n && (!found || found->there == TRI_NO); k++) {
		const char *key = signer_address(tx, verdicts, k, addr);

		found = key ? find_signer(tx, key) : found;
	}
	return found;
}

/* Asks the vault for the key behind ADDR: the address itself, then the person it belongs to. */
static void
ask_signer(struct transaction *tx, struct tx_signer *signer)
{
	struct vault_client *vault = engine_vault(tx->engine);
	char person[ADDR_MAX + 1], canonical[ADDR_MAX + 1];
	enum rc rc;

	if (tx->vault_err.code != ERR_NONE) {
		signer->there = TRI_UNKNOWN;
		signer->err = tx->vault_err;
		return;
	}
	if (addr_canonical(signer->addr, strlen(signer->addr), canonical, NULL) != RC_OK)
		snprintf(canonical, sizeof(canonical), "%s", signer->addr);
	rc = vault_find_signer(vault, canonical, &signer->signer, &signer->err);
	if (rc == RC_NONE) {
		engine_person(tx->engine, canonical, person);
		if (!addr_equal(person, canonical))
			rc = vault_find_signer(vault, person, &signer->signer, &signer->err);
	}
	/* A vault that refuses to say is trouble like one that is gone: nothing goes unsigned for
	 * it. */
	signer->there = rc == RC_OK ? TRI_YES : rc == RC_NONE ? TRI_NO : TRI_UNKNOWN;
	if (rc == RC_TEMP)
		tx->vault_err = signer->err;
	if (rc == RC_TEMP || rc == RC_PERM)
		log_error(LOGL_WARN, tx->qid, "signer-unknown", &signer->err, "address",
			signer->addr, NULL);
}

enum rc
tx_need_signer(
	struct transaction *tx, const char *addr, const struct tx_signer **out, struct err *err)
{
	struct tx_signer *signer;

	*out = find_signer(tx, addr);
	if (*out)
		return RC_OK;
	signer = calloc(1, sizeof(*signer));
	if (!signer || !(signer->addr = strdup(addr))) {
		free(signer);
		return err_set(err, ERR_MEMORY, "signer");
	}
	signer->next = tx->signers;
	tx->signers = signer;
	ask_signer(tx, signer);
	*out = signer;
	return RC_OK;
}

/* The first of the rule's keys that is there, or that can't be told. */
static enum rc
need_signer(struct transaction *tx, const struct verdicts *verdicts, const struct tx_signer **out,
	struct err *err)
{
	size_t n = verdicts->sign_keys.n ? verdicts->sign_keys.n : 1;
	char addr[ADDR_MAX + 1];
	enum rc rc = RC_OK;

	*out = NULL;
	for (size_t k = 0; rc == RC_OK && k < n && (!*out || (*out)->there == TRI_NO); k++) {
		const char *key = signer_address(tx, verdicts, k, addr);

		if (key)
			rc = tx_need_signer(tx, key, out, err);
	}
	return rc;
}

static enum rc
plan_signer(struct transaction *tx, struct plan_rcpt *plan, struct err *err)
{
	const struct decision *decision = plan->decision;
	const struct tx_signer *signer = NULL;
	enum rc rc;

	plan->signer = tx->facts.authorised;
	if (decision->known != TRI_YES || decision->verdicts.sign == SIGN_NEVER ||
		tx->facts.authorised != TRI_YES)
		return RC_OK;
	rc = need_signer(tx, &decision->verdicts, &signer, err);
	plan->signer = rc == RC_OK && signer ? signer->there : TRI_NO;
	if (plan->signer == TRI_YES && signer->signer.personal && tx->right.is_network)
		plan->signer = TRI_NO; /* a machine: its network has no right to a person's key */
	if (signer && signer->there == TRI_UNKNOWN && plan->lookup_err.code == ERR_NONE)
		plan->lookup_err = signer->err;
	return rc;
}

/* Asked only where an answer could change something: the vault is left alone otherwise. */
static void
plan_held(struct transaction *tx, struct rcpt *rcpt, struct plan_rcpt *plan)
{
	struct err why = ERR_INIT;
	bool client_key = false;
	enum rc rc;

	plan->held = TRI_UNKNOWN;
	if (tx->vault_err.code != ERR_NONE) {
		why = tx->vault_err;
		rc = RC_TEMP;
	} else {
		rc = vault_holds(engine_vault(tx->engine), rcpt->person, &client_key, &why);
		if (rc == RC_TEMP)
			tx->vault_err = why;
	}
	if (rc == RC_OK)
		plan->held = client_key ? TRI_NO : TRI_YES;
	else if (rc == RC_NONE)
		plan->held = TRI_NO;
	else if (plan->lookup_err.code == ERR_NONE)
		plan->lookup_err = why;
}

/* Is the recipient named neither in To: nor in Cc:? */
static enum rc
plan_hidden(struct transaction *tx, struct rcpt *rcpt, struct plan_rcpt *plan, struct err *err)
{
	bool named;
	enum rc rc = named_has(tx, rcpt, plan->inside, &named, err);

	plan->hidden = !named;
	return rc;
}

/*
 * The rule may want to know more of the revocation of the certificates than the directory did. What
 * it can't know yet is not "none": it is tried later.
 */
static void
plan_revocation(const struct rcpt *rcpt, struct plan_rcpt *plan)
{
	const enum revocation_mode *mode = rule_revocation(&plan->decision->verdicts);

	if (!mode || !rcpt->found || plan->cert_known != TRI_YES)
		return;
	for (size_t i = 0; i < rcpt->found->n; i++) {
		const struct candidate *c = &rcpt->found->v[i];

		if (!c->used || !(c->short_of & 1u << *mode))
			continue;
		plan->cert_known = plan->cert_proven = TRI_UNKNOWN;
		err_set(&plan->lookup_err, ERR_CERT_UNDECIDED,
			"%.16s is not known not to be revoked, and the rule wants it to be",
			cert_fingerprint(c->cert));
		return;
	}
}

enum rc
tx_plan_input(struct transaction *tx, struct rcpt *rcpt, const struct decision *decision,
	struct plan_rcpt *plan, struct err *err)
{
	const struct verdicts *v = &decision->verdicts;
	enum rc rc;

	*plan = (struct plan_rcpt){.addr = rcpt->addr,
		.decision = decision,
		.inside = rcpt->facts.direction != DIR_OUTBOUND,
		.cert_known = rcpt->facts.cert_known,
		.cert_proven = rcpt->facts.cert_proven,
		.stale = rcpt->found && rcpt->found->stale,
		.held = TRI_UNKNOWN,
		.lookup_err =
			rcpt->lookup_err.code != ERR_NONE ? rcpt->lookup_err : rcpt->leaves_err,
		.sender_err = tx->stamp_err};
	rc = plan_signer(tx, plan, err);
	if (rc != RC_OK || decision->known != TRI_YES || v->encrypt == ENCRYPT_NEVER)
		return rc;
	plan_revocation(rcpt, plan);
	if (v->encrypt == ENCRYPT_REQUIRED ||
		(v->encrypt == ENCRYPT_IF_PROVEN && plan->cert_proven != TRI_NO) ||
		(v->encrypt == ENCRYPT_IF_KNOWN && plan->cert_known != TRI_NO)) {
		plan_held(tx, rcpt, plan);
		rc = extra_ask(tx, v, &plan->extra, &plan->extra_err, err);
		if (rc != RC_OK)
			return rc;
	}
	return tx->n > 1 ? plan_hidden(tx, rcpt, plan, err) : RC_OK;
}

enum rc
decide_all(struct transaction *tx, struct err *err)
{
	enum rc rc = policy_view_new(engine_policy(tx->engine), &tx->facts, &tx->view, err);

	for (size_t i = 0; rc == RC_OK && i < tx->n; i++)
		rc = decide_one(tx, &tx->rcpts[i], err);
	if (rc != RC_OK)
		return rc;
	tx->plan_rcpts = calloc(tx->n ? tx->n : 1, sizeof(*tx->plan_rcpts));
	if (!tx->plan_rcpts)
		return err_set(err, ERR_MEMORY, "plan");
	for (size_t i = 0; rc == RC_OK && i < tx->n; i++)
		rc = tx_plan_input(
			tx, &tx->rcpts[i], &tx->rcpts[i].decision, &tx->plan_rcpts[i], err);
	if (rc == RC_OK)
		rc = plan_build(
			tx->plan_rcpts, tx->n, tx->may_split && *tx->sender, &tx->plan, err);
	if (rc == RC_OK)
		observe_all(tx);
	return rc;
}
