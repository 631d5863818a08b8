/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tx.h - what the stages of the pipeline share; inside the pipeline library only
 */
#ifndef MILTER_TX_H
#define MILTER_TX_H

#include "milter/notice.h"
#include "milter/pipeline.h"
#include "policy/policy.h"

#include "message/addr.h"

/* A service's role; what the vault allows it is the vault's to say, this only saves the question.
 */
enum role { ROLE_OPEN, ROLE_SEAL, ROLE_GATE, ROLE_ALL };

struct sources; /* anchors, CRLs and certificates as they were at one moment; reference-counted */
struct sources *engine_sources(struct engine *engine); /* a new reference to the present ones */
void sources_unref(struct sources **sources);
struct lookups *sources_lookups(const struct sources *sources);
struct trust *sources_trust(const struct sources *sources);

const char *engine_service(const struct engine *engine);
enum role engine_role(const struct engine *engine);
const struct policy *engine_policy(const struct engine *engine);
const struct rights *engine_rights(const struct engine *engine);
struct vault_client *engine_vault(const struct engine *engine);
const char *engine_authserv_id(const struct engine *engine);
struct notices *engine_notices(const struct engine *engine);
int engine_lookup_timeout(const struct engine *engine); /* ms */
uint64_t engine_next_size_limit(const struct engine *engine);
unsigned engine_max_depth(const struct engine *engine);
/* The one address of whoever ADDR (canonical) belongs to: aliases resolved, extensions of our own
 * domains removed. OUT has ADDR_MAX + 1 bytes. */
void engine_person(const struct engine *engine, const char *addr, char *out);

struct rcpt {
	char *addr;                        /* canonical */
	char *person;                      /* as engine_person gives it */
	struct lookup *lookup;             /* begun, or NULL */
	const struct lookup_result *found; /* when it was waited for; borrowed from lookup */
	struct err lookup_err;             /* when it could not be asked */
	struct rcpt_facts facts;
	struct decision decision;
};

/* A key that a rule signs with. */
struct tx_signer {
	char *addr;
	enum tri there;
	struct vault_signer signer; /* when THERE is TRI_YES */
	struct err err;
	struct tx_signer *next;
};

/* An address whose certificates a rule adds to its envelopes. */
struct tx_extra {
	char *addr;
	bool escrow; /* else the author's */
	enum tri there;
	struct certset certs; /* when THERE is TRI_YES */
	struct err err;       /* when it is not */
	struct tx_extra *next;
};

struct transaction {
	struct engine *engine;
	struct sources *sources;
	char *sender, *identity, *client, *qid;
	struct rcpt *rcpts;
	size_t n, cap;
	struct msg *msg;
	struct tx_waiter *waiter;

	/* stage 1 */
	struct entity *root;         /* NULL: too deep or too many parts to be understood */
	struct addrlist from, named; /* named: in To: and Cc: */
	bool named_known;
	const char *right_key; /* what rights_may_sign gave */
	char why_authorised[160];
	struct msg_facts facts;
	bool inside; /* the sender is */

	/* stages 2 to 4 */
	struct policy_view *view;
	struct tx_signer *signers;
	struct tx_extra *extras;
	struct err vault_err; /* the vault did not answer: it is not asked again for this message */
	int64_t lookups_until_ms; /* clock_monotonic_ms: no longer is waited for the directory; 0:
				     not waited yet */
	struct plan_rcpt *plan_rcpts;
	struct plan *plan;

	/* what happened, for the record and the log */
	bool key_used;
	unsigned transform; /* what was done */
	char detail[160];
};

/* The stages; one file each. */
enum rc facts_gather(struct transaction *tx, struct err *err);
enum rc decide_all(struct transaction *tx, struct err *err);
/* The key that ADDR's verdicts sign with, after decide_all; NULL when there is none. */
const struct tx_signer *
tx_signer_for(const struct transaction *tx, const struct verdicts *verdicts);
/* The key of ADDR, asked for once. */
enum rc tx_need_signer(
	struct transaction *tx, const char *addr, const struct tx_signer **out, struct err *err);
/* Milliseconds that the message may still wait for the directory. */
int tx_time_left(struct transaction *tx);
/* Asks for what the verdicts add to an envelope. *there: TRI_YES all of it, else WHY. */
enum rc extra_ask(struct transaction *tx, const struct verdicts *verdicts, enum tri *there,
	struct err *why, struct err *err);
/* Adds it, after extra_ask said TRI_YES. */
enum rc extra_add(const struct transaction *tx, const struct verdicts *verdicts,
	struct certset *recipients, struct err *err);
void extra_free(struct tx_extra *extra);
enum rc transform_outbound(
	struct transaction *tx, enum pipeline_mode mode, struct result *result, struct err *err);
enum rc unwrap_inbound(struct transaction *tx, unsigned transform, const struct verdicts *verdicts,
	enum pipeline_mode mode, struct result *result, struct err *err);
/* Only takes away what claims to be ours. */
enum rc unwrap_nothing(struct transaction *tx, struct result *result, struct err *err);
enum rc record_decision(struct transaction *tx, const struct result *result, struct err *err);
void record_log(const struct transaction *tx, const struct result *result);

/* Claims for the vault: who this is for. */
struct vault_claim
tx_claim(const struct transaction *tx, const char *rule, const char **recipients);

#endif
