/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/learn.h"
#include "milter/tx.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts the look-ups that are under way for transaction_when_ready. */
struct tx_waiter {
	atomic_size_t left;
	void (*done)(void *ctx);
	void *ctx;
};

enum rc
transaction_new(struct engine *engine, struct transaction **out, struct err *err)
{
	struct transaction *tx = calloc(1, sizeof(*tx));
	struct spool_conf spool = engine_spool_conf(engine);
	enum rc rc;

	*out = NULL;
	if (!tx)
		return err_set(err, ERR_MEMORY, "transaction");
	tx->engine = engine_ref(engine);
	tx->sources = engine_sources(engine);
	rc = msg_new(&spool, &tx->msg, err);
	if (rc == RC_OK)
		*out = tx;
	else
		transaction_free(&tx);
	return rc;
}

static void
free_signers(struct tx_signer *signer)
{
	while (signer) {
		struct tx_signer *next = signer->next;

		if (signer->there == TRI_YES)
			vault_signer_fini(&signer->signer);
		free(signer->addr);
		free(signer);
		signer = next;
	}
}

static void
free_rcpts(struct transaction *t)
{
	for (size_t i = 0; i < t->n; i++) {
		lookup_free(&t->rcpts[i].lookup);
		free(t->rcpts[i].addr);
		free(t->rcpts[i].person);
		free(t->rcpts[i].observed);
		free(t->rcpts[i].groups);
	}
	free(t->rcpts);
}

/* What the MTA said about who is there. */
static void
free_client(struct transaction *t)
{
	free(t->sender);
	free(t->identity);
	free(t->connector);
	free(t->cert.subject);
	free(t->cert.issuer);
	free(t->cert.verify);
	free(t->client);
	free(t->qid);
}

void
transaction_free(struct transaction **tx)
{
	struct transaction *t = *tx;

	*tx = NULL;
	if (!t)
		return;
	plan_free(&t->plan);
	free(t->plan_rcpts);
	policy_view_free(&t->view);
	policy_view_free(&t->early);
	free(t->refused_early);
	free(t->last_refused);
	free_signers(t->signers);
	extra_free(t->extras);
	tx_inners_free(t);
	/* No look-up calls back after it was freed, so the waiter may go after them. */
	free_rcpts(t);
	free(t->groups);
	if (t->waiter && atomic_load(&t->waiter->left) > 0)
		t->waiter->done(t->waiter->ctx); /* nobody else will */
	free(t->waiter);
	learned_free(&t->learned);
	entity_free(&t->root);
	cms_enveloped_free(&t->enveloped);
	addrlist_fini(&t->from);
	addrlist_fini(&t->named);
	addrlist_fini(&t->named_persons);
	msg_free(&t->msg);
	free_client(t);
	addrlist_fini(&t->addresses);
	free(t->gate);
	free(t->marks);
	sources_unref(&t->sources);
	engine_unref(&t->engine);
	free(t);
}

static enum rc
replace(char **field, const char *value, struct err *err)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return err_set(err, ERR_MEMORY, "transaction");
	free(*field);
	*field = copy;
	return RC_OK;
}

enum rc
transaction_sender(struct transaction *tx, const char *sender, const char *identity,
	const char *client, struct err *err)
{
	char addr[ADDR_MAX + 1];
	enum rc rc = addr_canonical(sender, strlen(sender), addr, err);

	if (rc == RC_OK)
		rc = replace(&tx->sender, addr, err);
	if (rc == RC_OK)
		rc = replace(&tx->identity, identity && *identity ? identity : NULL, err);
	if (rc == RC_OK)
		rc = replace(&tx->client, client, err);
	return rc;
}

enum rc
transaction_client_cert(struct transaction *tx, const struct client_cert *cert, struct err *err)
{
	enum rc rc = replace(&tx->cert.subject, cert->subject, err);

	if (rc == RC_OK)
		rc = replace(&tx->cert.issuer, cert->issuer, err);
	return rc == RC_OK ? replace(&tx->cert.verify, cert->verify, err) : rc;
}

static enum rc
grow(struct transaction *tx, struct err *err)
{
	size_t max = engine_limits(tx->engine)->recipients;
	size_t cap = tx->cap ? tx->cap * 2 : 8;
	struct rcpt *v;

	if (tx->n >= max)
		return err_set(err, ERR_RCPT_LIMIT, "more than %zu recipients", max);
	if (tx->n < tx->cap)
		return RC_OK;
	v = realloc(tx->rcpts, cap * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "recipients");
	tx->rcpts = v;
	tx->cap = cap;
	return RC_OK;
}

enum rc
transaction_rcpt(struct transaction *tx, const char *text, struct err *err)
{
	const struct policy *policy = engine_policy(tx->engine);
	char addr[ADDR_MAX + 1], person[ADDR_MAX + 1];
	struct rcpt *rcpt;
	enum rc rc = addr_canonical(text, strlen(text), addr, err);

	if (rc == RC_OK && !*addr)
		rc = err_set(err, ERR_ADDR_SYNTAX, "a recipient without an address");
	if (rc == RC_OK)
		rc = grow(tx, err);
	if (rc != RC_OK)
		return rc;
	engine_person(tx->engine, addr, person);
	rcpt = &tx->rcpts[tx->n];
	*rcpt = (struct rcpt){.addr = strdup(addr), .person = strdup(person)};
	if (!rcpt->addr || !rcpt->person) {
		free(rcpt->addr);
		free(rcpt->person);
		return err_set(err, ERR_MEMORY, "recipients");
	}
	tx->n++;
	/* The author is not known yet; a login is the best guess at being inside. A look-up that
	 * can't be begun now is begun when its answer is due. */
	if (engine_role(tx->engine) != ROLE_GATE &&
		policy_needs_certs(policy, policy_direction(policy, tx->identity != NULL, addr)))
		(void)lookup_begin(sources_lookups(tx->sources), rcpt->person, &rcpt->lookup, NULL);
	return RC_OK;
}

void
transaction_set_qid(struct transaction *tx, const char *qid)
{
	(void)replace(&tx->qid, qid, NULL);
}

struct msg *
transaction_msg(struct transaction *tx)
{
	return tx->msg;
}

void
transaction_set_msg(struct transaction *tx, struct msg **msg)
{
	msg_free(&tx->msg);
	tx->msg = *msg;
	*msg = NULL;
}

/* Whoever is not the last must not look at the waiter again: the last may free it. */
static void
one_ready(void *ctx)
{
	struct tx_waiter *waiter = ctx;
	void (*done)(void *ctx) = waiter->done;
	void *done_ctx = waiter->ctx;

	if (atomic_fetch_sub(&waiter->left, 1) == 1)
		done(done_ctx);
}

bool
transaction_is_ready(const struct transaction *tx)
{
	for (size_t i = 0; i < tx->n; i++)
		if (tx->rcpts[i].lookup)
			return false;
	return true;
}

void
transaction_when_ready(struct transaction *tx, void (*done)(void *ctx), void *ctx)
{
	struct tx_waiter *waiter = tx->waiter ? NULL : calloc(1, sizeof(*waiter));

	if (!waiter) { /* no memory: whoever is woken at once waits in pipeline_run */
		done(ctx);
		return;
	}
	waiter->done = done;
	waiter->ctx = ctx;
	atomic_init(&waiter->left, 1); /* ours, so that none is the last before all were asked */
	tx->waiter = waiter;
	for (size_t i = 0; i < tx->n; i++) {
		if (!tx->rcpts[i].lookup)
			continue;
		atomic_fetch_add(&waiter->left, 1);
		lookup_notify(tx->rcpts[i].lookup, one_ready, waiter);
	}
	one_ready(waiter);
}

void
transaction_allow_copies(struct transaction *tx, uint64_t size_limit)
{
	tx->may_split = true;
	tx->port_size_limit = size_limit;
}

void
transaction_was_begun(struct transaction *tx)
{
	tx->begun = true;
}

struct vault_claim
tx_claim(const struct transaction *tx, const char *rule, const size_t *rcpts, size_t n,
	const char **recipients)
{
	for (size_t i = 0; i < n; i++)
		recipients[i] = tx->rcpts[rcpts[i]].addr;
	return (struct vault_claim){.qid = tx->qid,
		.sender = tx->sender,
		.identity = tx->identity,
		.rule = rule,
		.recipients = recipients,
		.n_recipients = n};
}
