/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 1: what the message is, who wrote it, and whether they may be signed for.
 */
#include "milter/tx.h"

#include "base/log.h"
#include "base/text.h"
#include "directory/logins.h"
#include "milter/check_signature.h"
#include "milter/marks.h"
#include "milter/replies.h"
#include "milter/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DKIM_MAX 100 /* signatures that are looked at */

/* A copy of ours that comes back is a loop. */
static enum rc
check_loop(const struct transaction *tx, struct err *err)
{
	struct trace trace = {.authserv_id = engine_authserv_id(tx->engine),
		.service = engine_service(tx->engine),
		.sender = tx->sender};
	bool loop;
	enum rc rc = trace_is_loop(&trace, &tx->msg->hdrs, &loop, err);

	return rc == RC_OK && loop ? err_set(err, ERR_LOOP, "%s: %s", LOOP_MARK, trace.authserv_id)
				   : rc;
}

/*
 * A structure past the limits is not understood: such a message is neither signed nor opened, but
 * it may pass when no rule wants anything of it.
 */
static enum rc
parse_structure(struct transaction *tx, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc = mime_parse(&tx->msg->hdrs, tx->msg->body, &tx->root, &why);

	tx->facts.classes = CLASS_PLAIN;
	if (rc == RC_OK)
		rc = classify(&tx->msg->hdrs, tx->root, tx->msg->body, tx->sender,
			&tx->facts.classes, &why);
	if (rc == RC_PERM) {
		log_error(LOGL_WARN, tx->qid, "not-understood", &why, NULL);
		entity_free(&tx->root);
		return RC_OK;
	}
	if (rc != RC_OK && err)
		*err = why;
	return rc;
}

__attribute__((format(printf, 3, 4))) static void
authorise(struct transaction *tx, enum tri answer, const char *fmt, ...)
{
	va_list ap;

	tx->facts.authorised = answer;
	va_start(ap, fmt);
	vsnprintf(tx->why_authorised, sizeof(tx->why_authorised), fmt, ap);
	va_end(ap);
}

/* The login's addresses, asked for when a right depends on them, once for a message. */
static void
ask_addresses(struct transaction *tx)
{
	struct logins *logins = engine_logins(tx->engine);
	struct err why = ERR_INIT;

	if (tx->addresses_known != TRI_NO || !logins || !tx->identity)
		return;
	/* A gate leaves that to the service behind the queue, unless it has to know now. */
	if (engine_role(tx->engine) == ROLE_GATE && !engine_refuses(tx->engine))
		return;
	if (logins_find(logins, tx->identity, &tx->addresses, &why) == RC_OK) {
		tx->addresses_known = TRI_YES;
		return;
	}
	tx->addresses_known = TRI_UNKNOWN;
	log_error(LOGL_WARN, tx->qid, "login-unknown", &why, "login", tx->identity, NULL);
}

static enum tri
ask_right(struct transaction *tx, const char *service, const char *addr)
{
	const struct rights *rights = engine_rights(tx->engine);
	struct right_ask ask = {.service = service,
		.identity = tx->identity,
		.client = tx->client,
		.connector = tx->connector,
		.addresses = tx->addresses_known == TRI_YES ? &tx->addresses : NULL};
	enum tri answer = rights_may_sign(rights, &ask, addr, &tx->right);

	if (answer != TRI_UNKNOWN || ask.addresses)
		return answer;
	ask_addresses(tx);
	if (tx->addresses_known != TRI_YES)
		return TRI_UNKNOWN;
	ask.addresses = &tx->addresses;
	return rights_may_sign(rights, &ask, addr, &tx->right);
}

/* A right holds for the service where the sender logged in, or for the one that signs. */
static enum tri
may_sign(struct transaction *tx, const char *addr)
{
	enum tri answer = TRI_NO;

	if (tx->gate)
		answer = ask_right(tx, tx->gate, addr);
	if (answer == TRI_NO)
		answer = ask_right(tx, engine_service(tx->engine), addr);
	return answer;
}

/* The hosted mail service that the message came from, unless a gate has said it already. */
static enum rc
find_connector(struct transaction *tx, struct err *err)
{
	const struct client_cert cert = {
		.subject = tx->cert.subject, .issuer = tx->cert.issuer, .verify = tx->cert.verify};
	const char *name;
	enum rc rc;

	if (tx->connector || tx->gate)
		return RC_OK;
	rc = rights_connector(engine_rights(tx->engine), &cert, &tx->msg->hdrs, &name, err);
	if (rc == RC_OK && name && !(tx->connector = strdup(name)))
		rc = err_set(err, ERR_MEMORY, "connector");
	return rc;
}

/* Exactly one author, in one field: with several, or none, nobody can say for whom to sign. */
static void
check_author(struct transaction *tx)
{
	size_t fields = hdrs_count(&tx->msg->hdrs, "From");
	char person[ADDR_MAX + 1];
	enum role role = engine_role(tx->engine);

	if (fields != 1) {
		authorise(tx, TRI_NO, "%zu From: fields", fields);
		return;
	}
	if (tx->from.n != 1) {
		authorise(tx, TRI_NO, "From: names %zu addresses", tx->from.n);
		return;
	}
	if (role == ROLE_OPEN) {
		authorise(tx, TRI_NO, "service %s does not sign", engine_service(tx->engine));
		return;
	}
	if (tx->stamp_err.code != ERR_NONE) {
		authorise(tx, TRI_UNKNOWN, "%s", tx->stamp_err.detail);
		return;
	}
	if (tx->gate && tx->gate_right == TRI_NO) {
		authorise(tx, TRI_NO, "service %s saw no right to sign as %s", tx->gate,
			tx->from.v[0]);
		return;
	}
	tx->facts.authorised = may_sign(tx, tx->from.v[0]);
	if (tx->facts.authorised == TRI_NO) { /* an alias or extension of one's own address */
		engine_person(tx->engine, tx->from.v[0], person);
		tx->facts.authorised = may_sign(tx, person);
	}
	if (tx->facts.authorised == TRI_YES)
		return; /* for whoever asks why: facts_why_authorised */
	if (tx->facts.authorised == TRI_UNKNOWN)
		authorise(tx, TRI_UNKNOWN, "the addresses of login %s could not be asked for",
			tx->identity);
	else if (tx->identity)
		authorise(tx, tx->facts.authorised, "login %s has no right to sign as %s",
			tx->identity, tx->from.v[0]);
	else
		text_copy(tx->why_authorised, sizeof(tx->why_authorised),
			"no login, and no right for the client");
}

const char *
facts_why_authorised(const struct transaction *tx, char out[FACTS_WHY_SIZE])
{
	if (tx->facts.authorised != TRI_YES)
		return tx->why_authorised;
	snprintf(out, FACTS_WHY_SIZE, "%s%s has the right to sign as %s",
		tx->identity    ? "login "
		: tx->connector ? "connector "
				: "client ",
		tx->identity    ? tx->identity
		: tx->connector ? tx->connector
				: tx->client,
		tx->from.v[0]);
	return out;
}

static bool
is_inside(const struct transaction *tx)
{
	if (tx->facts.authorised == TRI_YES)
		return true;
	return tx->identity && policy_is_ours(engine_policy(tx->engine), tx->sender);
}

/* Does the field's d= name a domain of ours? */
static enum rc
is_dkim_own(const struct policy *policy, const struct hdr *hdr, bool *own, struct err *err)
{
	struct buf text = BUF_INIT(HDRS_MAX_BYTES);
	char addr[ADDR_MAX + 1];
	enum rc rc = hdr_unfold(hdr, &text, err);
	char *next = text.data, *tag;

	while (rc == RC_OK && (tag = strsep(&next, ";"))) {
		size_t len;

		tag += strspn(tag, " \t");
		if (*tag != 'd' || tag[1 + strspn(tag + 1, " \t")] != '=')
			continue;
		tag += 2 + strspn(tag + 1, " \t");
		tag += strspn(tag, " \t");
		len = strcspn(tag, " \t");
		if (len == 0 || len > 255)
			continue;
		snprintf(addr, sizeof(addr), "x@%.*s", (int)len, tag);
		*own |= policy_is_ours(policy, addr);
	}
	buf_fini(&text);
	return rc;
}

/* Mail from a list that the map knows, and what a change would break: a signature by DKIM of a
 * domain of ours (RFC 6376 section 3.5). */
static enum rc
add_classes(struct transaction *tx, struct err *err)
{
	const struct policy *policy = engine_policy(tx->engine);
	const struct hdr *hdr;
	bool list = policy_is_list(policy, tx->sender), own = false;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < tx->from.n; i++)
		list |= policy_is_list(policy, tx->from.v[i]);
	for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(&tx->msg->hdrs, "DKIM-Signature", i)) &&
			   i < DKIM_MAX;
		i++)
		rc = is_dkim_own(policy, hdr, &own, err);
	tx->facts.classes |= (list ? CLASS_LIST : 0u) | (own ? CLASS_DKIM_OWN : 0u);
	return rc;
}

/* Is it the author's answer to what came to them encrypted? */
static void
add_reply(struct transaction *tx)
{
	struct replies *replies = engine_replies(tx->engine);
	char person[ADDR_MAX + 1];
	struct err why = ERR_INIT;
	enum rc rc;

	if (!replies)
		return;
	if (tx->facts.from_unread || tx->from.n != 1) {
		tx->facts.classes_unknown |= tx->facts.from_unread ? CLASS_REPLY : 0u;
		return;
	}
	engine_person(tx->engine, tx->from.v[0], person);
	rc = replies_find(replies, person, &tx->msg->hdrs, &why);
	if (rc == RC_OK)
		tx->facts.classes |= CLASS_REPLY;
	if (rc == RC_OK || rc == RC_NONE)
		return;
	tx->facts.classes_unknown |= CLASS_REPLY;
	log_error(LOGL_ERROR, tx->qid, "reply-unknown", &why, NULL);
}

/* What says that it is S/MIME must be that, or it is like any other. */
static enum rc
check_sealed(struct transaction *tx, struct err *err)
{
	const struct policy *policy = engine_policy(tx->engine);
	bool ask = false;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < tx->n; i++)
		ask |= policy_needs_sealed(policy, tx->rcpts[i].facts.direction);
	if (ask && tx->root && tx->facts.classes & (CLASS_SIGNED | CLASS_ENVELOPED))
		rc = intact_check(tx->root, tx->msg->body, &tx->whole, &tx->enveloped, err);
	for (size_t i = 0; i < tx->n; i++)
		tx->rcpts[i].facts.sealed = !tx->whole      ? TRI_NO
					    : tx->enveloped ? TRI_UNKNOWN
							    : TRI_YES;
	return rc;
}

/* What is known already, for the policy. */
static void
copy_facts(struct transaction *tx, bool from_unread)
{
	tx->facts.service = engine_service(tx->engine);
	tx->facts.sender = tx->sender;
	tx->facts.groups = tx->groups;
	tx->facts.from = &tx->from;
	tx->facts.from_unread = from_unread;
	tx->facts.hdrs = &tx->msg->hdrs;
	tx->facts.identity = tx->identity;
	tx->facts.identity_unknown = tx->stamp_err.code != ERR_NONE;
	tx->facts.size = msg_size(tx->msg);
}

static void
begin_rcpt(const struct transaction *tx, struct rcpt *rcpt)
{
	rcpt->facts.addr = rcpt->addr;
	rcpt->facts.direction = policy_direction(engine_policy(tx->engine), tx->inside, rcpt->addr);
	rcpt->facts.leaves = rcpt->facts.direction == DIR_OUTBOUND ? TRI_YES : TRI_UNKNOWN;
	rcpt->facts.groups = rcpt->groups; /* what was asked when they were named */
	rcpt->facts.cert_known = rcpt->facts.cert_proven = TRI_UNKNOWN;
}

enum rc
facts_gather(struct transaction *tx, struct err *err)
{
	struct err why = ERR_INIT;
	bool gate = engine_role(tx->engine) == ROLE_GATE;
	enum rc rc = gate_take_stamp(tx, err);

	if (rc == RC_OK && !gate) /* a gate wants to know who, not what */
		rc = check_loop(tx, err);
	if (rc == RC_OK && !gate)
		rc = parse_structure(tx, err);
	if (rc == RC_OK)
		rc = opened_judge(tx, err);
	if (rc != RC_OK)
		return rc;
	rc = hdrs_from(&tx->msg->hdrs, &tx->from, &why);
	if (rc == RC_TEMP) {
		if (err)
			*err = why;
		return rc;
	}
	copy_facts(tx, rc == RC_PERM);
	if (rc == RC_OK)
		rc = find_connector(tx, err);
	if (rc == RC_TEMP)
		return rc;
	check_author(tx);
	if (rc == RC_PERM)
		authorise(tx, TRI_NO, "From: can't be read");
	tx->inside = is_inside(tx);
	for (size_t i = 0; i < tx->n; i++)
		begin_rcpt(tx, &tx->rcpts[i]);
	rc = add_classes(tx, err);
	add_reply(tx);
	return rc == RC_OK ? check_sealed(tx, err) : rc;
}
