/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tx.h - what the stages of the pipeline share; inside the pipeline library only
 */
#ifndef MILTER_TX_H
#define MILTER_TX_H

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
/* Moves with every change of the local store; -1: can't be told now. */
int64_t engine_store_generation(const struct engine *engine);
enum role engine_role(const struct engine *engine);
const struct policy *engine_policy(const struct engine *engine);
const struct rights *engine_rights(const struct engine *engine);
/* NULL: stamp.key_file is not configured */
const struct stamp_keys *engine_stamp_keys(const struct engine *engine);
struct forwarding *engine_forwarding(const struct engine *engine); /* NULL: not configured */
bool engine_refuses(const struct engine *engine);          /* who has no right to a From: of ours */
bool engine_checks_stamps(const struct engine *engine);    /* it stands behind a gate's queue */
struct groups *engine_groups(const struct engine *engine); /* NULL: not configured */
struct replies;
struct replies *engine_replies(const struct engine *engine); /* NULL: no rule asks */
struct logins;
struct logins *engine_logins(const struct engine *engine); /* NULL: no directory of logins */
struct certstore *engine_store(const struct engine *engine);
struct learning;
struct learning *engine_learning(const struct engine *engine);
struct vault_client *engine_vault(const struct engine *engine);
const char *engine_help_url(const struct engine *engine); /* or NULL */
const char *engine_authserv_id(const struct engine *engine);
/* Mail for ADDR was encrypted to the certificates that FOUND says are used: for the store's
 * history. Never waits for long. */
void
engine_note_used(const struct engine *engine, const char *addr, const struct lookup_result *found);
int engine_lookup_timeout(const struct engine *engine); /* ms */
/* The one address of whoever ADDR (canonical) belongs to: aliases resolved, extensions of our own
 * domains removed. OUT has ADDR_MAX + 1 bytes. */
void engine_person(const struct engine *engine, const char *addr, char *out);

/* What an observe rule would have done for one recipient. */
struct observed {
	const struct rule *rule;
	const char *would;  /* "sign+encrypt", "leave", "refuse", "defer" …; static */
	enum errcode cause; /* of a refusal or deferral */
	char why[200];
};

struct rcpt {
	char *addr;                        /* canonical */
	char *person;                      /* as engine_person gives it */
	struct lookup *lookup;             /* begun, or NULL */
	const struct lookup_result *found; /* when it was waited for; borrowed from lookup */
	struct err lookup_err;             /* when it could not be asked */
	struct err
		leaves_err; /* when nobody knows where their mail ends, or who is in which group */
	enum tri *groups;   /* as policy_groups counts them; NULL: not asked for */
	struct rcpt_facts facts;
	struct decision decision;
	struct observed *observed; /* for each of the decision's; NULL: none */
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
	unsigned short_of;    /* as in struct candidate, of any of them */
	bool stale;           /* one rests on a directory that can't be asked now */
	struct tx_extra *next;
};

#define FACTS_WHY_SIZE 160

struct transaction {
	struct engine *engine;
	struct sources *sources;
	char *sender, *identity, *client, *qid;
	struct {
		char *subject, *issuer, *verify; /* of the client's certificate, or NULL */
	} cert;
	struct addrlist addresses; /* of the login, from the directory … */
	enum tri addresses_known;  /* … TRI_NO: not asked for yet */
	enum tri *groups; /* the envelope sender's, as policy_groups counts them; NULL: not asked
			     for */
	struct err groups_err; /* why that is not known */
	char *connector;       /* the right that let a hosted mail service in, or NULL */
	struct rcpt *rcpts;
	size_t n, cap;
	struct msg *msg;
	struct tx_waiter *waiter;

	/* when recipients are named */
	struct msg_facts early_facts;
	struct policy_view *early;
	size_t n_may_encrypt, n_counted;   /* of the recipients that were counted */
	enum errcode stopped_by;           /* why the message as a whole is refused or deferred */
	struct tx_refused *last_refused;   /* who was refused when named, last */
	struct rcpt_result *refused_early; /* one whose rule refuses all; addr is not set */

	/* the gate's stamp */
	bool *marks;     /* for each mark of opened mail, whether it is ours */
	size_t n_stamps; /* taken out of the message */
	char *gate;      /* service that wrote a good one, or NULL */
	enum tri gate_right;
	bool stamped;         /* we are the gate, and it got one */
	struct err stamp_err; /* one of ours that does not fit: who the sender is nobody knows */

	/* stage 1 */
	bool whole;                      /* it is one CMS object, or signed by one, that parses */
	struct cms_enveloped *enveloped; /* and its header, when it is encrypted */
	struct entity *root;             /* NULL: too deep or too many parts to be understood */
	struct addrlist from;
	struct addrlist named, named_persons; /* in To: and Cc:, sorted */
	bool named_known;
	struct right_found right;            /* what rights_may_sign gave */
	char why_authorised[FACTS_WHY_SIZE]; /* or rather why not */
	struct msg_facts facts;
	bool inside; /* the sender is */

	struct learned *learned; /* what its outermost signature teaches, or NULL: learn.h */

	/* stages 2 to 4 */
	struct policy_view *view;
	struct tx_signer *signers;
	struct tx_extra *extras;
	struct err vault_err; /* the vault did not answer: it is not asked again for this message */
	int64_t lookups_until_ms; /* clock_monotonic_ms: no longer is waited for the directory; 0:
				     not waited yet */
	struct plan_rcpt *plan_rcpts;
	struct plan *plan;

	/* stage 5 */
	bool begun;     /* an earlier try handed copies on */
	bool may_split; /* recipients may get copies of their own */
	bool by_port;   /* the copies go there, not on with the message in hand */
	uint64_t port_size_limit;
	size_t n_copies; /* that will be made */
	struct tx_inner *inners;
};

/* A recipient who was refused when named. */
struct tx_refused {
	char addr[ADDR_MAX + 1];
	struct decision decision;
};

/* An entity, signed or not, that envelopes and copies are made of; made once for all copies that
 * need the same. */
struct tx_inner;
void tx_inners_free(struct transaction *tx);

/* The stages; one file each. */
enum rc facts_gather(struct transaction *tx, struct err *err);
/* After that: why the author may be signed for, or why not. OUT: storage, if need be. */
const char *facts_why_authorised(const struct transaction *tx, char out[FACTS_WHY_SIZE]);
/* Is the message S/MIME from its first byte to its last? *enveloped when it is encrypted. */
enum rc intact_check(const struct entity *root, struct spool *body, bool *whole,
	struct cms_enveloped **enveloped, struct err *err);
/* Is it so for this recipient, whose certificates have been asked for? */
enum tri intact_for(struct transaction *tx, const struct rcpt *rcpt);
/* Which marks of opened mail are ours? Without one it is not opened mail. */
enum rc opened_judge(struct transaction *tx, struct err *err);
/* Takes away those that are not, and all where the copy leaves the house. Before other edits. */
enum rc opened_strip(const struct transaction *tx, struct copy *copy, struct err *err);
/* Takes every stamp out of the message; a good one, where the service checks them, is as if the
 * sender had logged in here. */
enum rc gate_take_stamp(struct transaction *tx, struct err *err);
/* The edits for that. */
enum rc gate_strip_stamps(struct transaction *tx, struct copy *copy, struct err *err);
/* Where the service wants it: nobody uses a From: of ours without a right to it. */
enum rc gate_enforce(const struct transaction *tx, struct err *err);
/* All that a service of role gate does. */
enum rc gate_run(struct transaction *tx, struct result *result, struct err *err);
/* Stands RCPT in To: or Cc:? INSIDE: also under another address of the same person. */
enum rc named_has(
	struct transaction *tx, const struct rcpt *rcpt, bool inside, bool *named, struct err *err);
enum rc decide_all(struct transaction *tx, struct err *err);
/* Waits for the directory's answer about RCPT; not to get one is noted there. */
enum rc tx_wait_certs(struct transaction *tx, struct rcpt *rcpt, struct err *err);
/* The groups that DECISION's rules want to know of, each asked for once. True: something is known
 * that was not. That it can't be known is noted. */
bool tx_ask_groups(struct transaction *tx, struct rcpt *rcpt, const struct decision *decision);
/* What DECISION's plan for RCPT is made from. */
enum rc tx_plan_input(struct transaction *tx, struct rcpt *rcpt, const struct decision *decision,
	struct plan_rcpt *plan, struct err *err);
/* What observe rules would have done, after the plan. */
void observe_all(struct transaction *tx);
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
/* The plan's groups as copies; inbound, those who may have it opened get one of their own. */
enum rc copies_build(struct transaction *tx, struct result *result, struct err *err);
/* Everybody in one copy, with TRANSFORM. */
enum rc
copies_join(struct transaction *tx, struct result *result, unsigned transform, struct err *err);
void copies_free(struct result *result);
enum rc transform_outbound(
	struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err);
enum rc
unwrap_inbound(struct transaction *tx, struct copy *copy, enum pipeline_mode mode, struct err *err);
/* Only takes away what claims to be ours. */
enum rc unwrap_nothing(struct transaction *tx, struct copy *copy, struct err *err);
/* For whom of COPY's recipients, in its order, would a key be there that opens the outermost
 * envelope? *known false: there is none, or it can't be told. Uses no key. */
enum rc unwrap_entitled(struct transaction *tx, const struct copy *copy, bool *entitled,
	bool *known, struct err *err);
/* Which RecipientInfo is RCPT's? RC_NONE: none, or not for this recipient. */
enum rc entitle_match(struct transaction *tx, const struct rcpt *rcpt,
	const struct cms_enveloped *enveloped, size_t *index, struct err *err);
/* The one content key that every recipient's key gives; RC_PERM when they differ or one may not.
 * INDEXES: what entitle_match said, in the order of COPY's recipients. */
enum rc
entitle_open(struct transaction *tx, struct copy *copy, const struct cms_enveloped *enveloped,
	const size_t *indexes, struct secret **out, struct err *err);
/* Takes away the marks that led to the copy's rule, when it says so. */
enum rc unmark(const struct transaction *tx, struct copy *copy, struct err *err);
enum rc record_decision(struct transaction *tx, const struct copy *copy, struct err *err);
void record_log(const struct transaction *tx, const struct result *result);

/* Claims for the vault: who this is for. RECIPIENTS has room for N. */
struct vault_claim tx_claim(const struct transaction *tx, const char *rule, const size_t *rcpts,
	size_t n, const char **recipients);

#endif
