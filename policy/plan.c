/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plan. For each recipient the verdicts of its rule meet what is available; the answer is a
 * transformation, a refusal or a deferral. What is unknown defers only when it matters: an
 * "if-proven" verdict with no proven certificate needs no answer about anything else.
 */
#include "policy/plan.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
say(struct plan_rcpt *rcpt, const char *text)
{
	size_t len = strlen(rcpt->why);

	if (len && len + 2 < sizeof(rcpt->why)) {
		memcpy(rcpt->why + len, "; ", 3);
		len += 2;
	}
	text_copy(rcpt->why + len, sizeof(rcpt->why) - len, text);
}

__attribute__((format(printf, 2, 3))) static void
sayf(struct plan_rcpt *rcpt, const char *fmt, ...)
{
	char text[sizeof(rcpt->why)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(rcpt, text);
}

static void
defer(struct plan_rcpt *rcpt, const char *what)
{
	if (err_rc(rcpt->sender_err.code) == RC_PERM) { /* waiting does not help */
		rcpt->outcome = PLAN_REFUSE;
		rcpt->err = rcpt->sender_err;
		say(rcpt, rcpt->sender_err.detail);
		return;
	}
	if (rcpt->lookup_err.code == ERR_NONE)
		rcpt->lookup_err = rcpt->sender_err;
	rcpt->outcome = PLAN_DEFER;
	if (rcpt->lookup_err.code != ERR_NONE && err_rc(rcpt->lookup_err.code) == RC_TEMP)
		rcpt->err = rcpt->lookup_err;
	else
		err_set(&rcpt->err, ERR_POLICY_UNKNOWN, "%s", what);
	sayf(rcpt, "%s: try again later", what);
}

static void
refuse(struct plan_rcpt *rcpt, enum errcode code, const char *what)
{
	rcpt->outcome = PLAN_REFUSE;
	err_set(&rcpt->err, code, "rule %s: %s", rule_name(rcpt->decision->rule), what);
	say(rcpt, what);
}

static void
plan_sign(struct plan_rcpt *rcpt)
{
	const struct verdicts *v = &rcpt->decision->verdicts;

	if (v->sign == SIGN_NEVER)
		return;
	if (rcpt->signer == TRI_UNKNOWN) {
		defer(rcpt, "whether there is a key to sign with could not be asked");
	} else if (rcpt->signer == TRI_YES) {
		rcpt->transform |= PLAN_SIGN;
		say(rcpt, "signed");
	} else if (v->sign == SIGN_REQUIRED) {
		refuse(rcpt, ERR_POLICY_NO_SIGNER,
			"must be signed, but the sender has no key or no right to it");
	} else {
		say(rcpt, "not signed: the sender has no key or no right to it");
	}
}

/* No certificate that may be used: for this recipient alone, if the rule says so. */
static void
refuse_missing(struct plan_rcpt *rcpt, const char *what)
{
	refuse(rcpt, ERR_POLICY_NO_CERT, what);
	rcpt->alone = rcpt->decision->verdicts.if_missing == MISSING_REFUSE_RECIPIENT;
}

/* Why nobody knows whether there is a certificate. */
static const char *
no_answer(const struct plan_rcpt *rcpt)
{
	return rcpt->lookup_err.code == ERR_CERT_NAMED
		       ? "the certificate that was set for the recipient cannot be used"
		       : "whether there is a certificate could not be asked";
}

/* if-proven and if-known: encrypt when there is such a certificate and nobody but the recipient
 * could read it. Either "no" settles it, whatever the other is. */
static void
plan_opportunistic(struct plan_rcpt *rcpt, enum tri certificate, const char *kind)
{
	if (certificate == TRI_NO) {
		sayf(rcpt, "not encrypted: no %s certificate", kind);
	} else if (rcpt->held == TRI_YES) {
		say(rcpt, "not encrypted: the gateway holds the recipient's key");
	} else if (certificate == TRI_UNKNOWN) {
		defer(rcpt, no_answer(rcpt));
	} else if (rcpt->held == TRI_UNKNOWN) {
		defer(rcpt, "whether the gateway holds the recipient's key could not be asked");
	} else {
		rcpt->transform |= PLAN_ENCRYPT;
		say(rcpt, "encrypted");
	}
}

static void
plan_required(struct plan_rcpt *rcpt)
{
	const struct verdicts *v = &rcpt->decision->verdicts;

	/* Nobody behind the gateway could read it, and it does not leave the house. */
	if (rcpt->held == TRI_YES && rcpt->inside) {
		say(rcpt, "not encrypted: stays inside, and the gateway holds the recipient's key");
	} else if (rcpt->held == TRI_YES) {
		refuse_missing(rcpt, "must be encrypted, but the recipient's key is the gateway's");
	} else if (rcpt->held == TRI_UNKNOWN) {
		defer(rcpt, "whether the gateway holds the recipient's key could not be asked");
	} else if (rcpt->lookup_err.code == ERR_CERT_NAMED && v->if_missing != MISSING_CLEAR) {
		refuse_missing(rcpt, "must be encrypted, but the certificate that was set for the "
				     "recipient cannot be used");
	} else if (rcpt->cert_known == TRI_UNKNOWN) {
		defer(rcpt, no_answer(rcpt));
	} else if (rcpt->cert_known == TRI_YES) {
		rcpt->transform |= PLAN_ENCRYPT;
		say(rcpt, "encrypted");
	} else if (v->if_missing == MISSING_CLEAR) {
		say(rcpt, "not encrypted: no certificate, and the rule says clear then");
	} else {
		refuse_missing(rcpt, "must be encrypted, but there is no usable certificate");
	}
}

/* What the rule adds to every envelope is there, or the message waits: an archive with holes in it
 * would not be noticed before it is needed. */
static void
plan_extra(struct plan_rcpt *rcpt)
{
	const struct verdicts *v = &rcpt->decision->verdicts;

	if ((v->escrow.n == 0 && !v->copy_sender) || rcpt->extra == TRI_YES)
		return;
	defer(rcpt, "a certificate that the rule adds could not be had");
	if (rcpt->extra_err.code != ERR_NONE)
		rcpt->err = rcpt->extra_err;
}

/* Mail that was opened here, on its way out again. */
static void
plan_opened(struct plan_rcpt *rcpt)
{
	const struct verdicts *v = &rcpt->decision->verdicts;

	rcpt->transform |= PLAN_UNMARK;
	if (v->opened == OPENED_REFUSE || v->opened == OPENED_ORIGINAL) {
		refuse(rcpt, ERR_POLICY_OPENED, "was opened here and does not leave the house");
		rcpt->alone = true;
	} else {
		say(rcpt, "was opened here");
	}
}

/* What a directory said before it went down is no answer for a rule that wants it asked. Nor is
 * that there was no proof: what is there now may have some. */
static void
mind_stale(struct plan_rcpt *rcpt)
{
	if (!rcpt->stale || rcpt->decision->verdicts.stale != STALE_DEFER)
		return;
	rcpt->cert_known = rcpt->cert_proven = TRI_UNKNOWN;
	err_set(&rcpt->lookup_err, ERR_DIR_UNAVAILABLE,
		"a directory that named the certificate can't be asked now, and the rule wants it to be");
}

static void
plan_one(struct plan_rcpt *rcpt)
{
	const struct verdicts *v = &rcpt->decision->verdicts;

	rcpt->outcome = PLAN_DELIVER;
	rcpt->transform = PLAN_LEAVE;
	rcpt->group = 0;
	rcpt->why[0] = '\0';
	rcpt->alone = false;
	err_clear(&rcpt->err);
	if (rcpt->decision->known != TRI_YES) {
		defer(rcpt, "a criterion of the rule could not be told");
		return;
	}
	if (v->open) {
		rcpt->transform |= PLAN_OPEN;
		say(rcpt, "opened if the recipient's key is here");
	}
	if (v->verify) {
		rcpt->transform |= PLAN_VERIFY;
		say(rcpt, "verified if signed");
	}
	if (rcpt->decision->opened_out) {
		plan_opened(rcpt);
		if (rcpt->outcome != PLAN_DELIVER)
			return;
	}
	plan_sign(rcpt);
	if (rcpt->outcome != PLAN_DELIVER)
		return;
	mind_stale(rcpt);
	if (v->encrypt == ENCRYPT_IF_PROVEN)
		plan_opportunistic(rcpt, rcpt->cert_proven, "proven");
	else if (v->encrypt == ENCRYPT_IF_KNOWN)
		plan_opportunistic(rcpt, rcpt->cert_known, "usable");
	else if (v->encrypt == ENCRYPT_REQUIRED)
		plan_required(rcpt);
	if (rcpt->outcome == PLAN_DELIVER && rcpt->transform & PLAN_ENCRYPT)
		plan_extra(rcpt);
	if (rcpt->outcome == PLAN_DELIVER && rcpt->transform == PLAN_LEAVE && !*rcpt->why)
		say(rcpt, "left alone");
}

static bool
same_words(const struct words *a, const struct words *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && strcmp(a->v[i], b->v[i]) == 0)
		i++;
	return i == a->n && i == b->n;
}

bool
plan_same_signature(const struct verdicts *a, const struct verdicts *b)
{
	return same_words(&a->sign_keys, &b->sign_keys) && a->form == b->form &&
	       a->unsafe == b->unsafe && a->preset == b->preset && a->encoding == b->encoding;
}

/* Do two recipients get the same bytes? Only what their transformation looks at counts. */
static bool
same_treatment(const struct plan_rcpt *a, const struct plan_rcpt *b)
{
	const struct verdicts *x = &a->decision->verdicts, *y = &b->decision->verdicts;

	if (a->transform != b->transform)
		return false;
	if (x->unmark != y->unmark)
		return false;
	if ((a->transform & PLAN_ENCRYPT) && (a->hidden || b->hidden))
		return false; /* RecipientInfos would name a blind copy's recipient */
	if ((a->transform & PLAN_SIGN) && !plan_same_signature(x, y))
		return false;
	if ((a->transform & PLAN_ENCRYPT) &&
		(x->preset != y->preset || x->encoding != y->encoding ||
			!same_words(&x->escrow, &y->escrow) || x->copy_sender != y->copy_sender))
		return false;
	if ((a->transform & PLAN_OPEN) &&
		(x->on_no_key != y->on_no_key || x->on_unauthenticated != y->on_unauthenticated))
		return false;
	if ((a->transform & PLAN_VERIFY) && x->revocation != y->revocation)
		return false;
	if ((a->transform & PLAN_VERIFY) && x->on_bad_signature != y->on_bad_signature)
		return false;
	return true;
}

/* Whoever must not be seen by the others has a group alone. */
static bool
is_lonely(const struct plan_rcpt *rcpt)
{
	return rcpt->hidden && (rcpt->transform & PLAN_ENCRYPT);
}

/* RCPTS[i] joins the first of N open groups whose first member, RCPTS[first[g]], is treated as it
 * is; open[] has their numbers. */
static size_t
find_group(
	const struct plan_rcpt *rcpts, const size_t *first, const size_t *open, size_t n, size_t i)
{
	size_t k = 0;

	while (k < n && !same_treatment(&rcpts[first[open[k]]], &rcpts[i]))
		k++;
	return k;
}

static void
fill_groups(struct plan *plan, struct plan_rcpt *rcpts, size_t n, size_t *first, size_t *open)
{
	size_t n_open = 0;

	for (size_t i = 0; i < n; i++) {
		size_t g = plan->n_groups, k = n_open;

		if (rcpts[i].outcome != PLAN_DELIVER)
			continue;
		if (!is_lonely(&rcpts[i]))
			k = find_group(rcpts, first, open, n_open, i);
		if (k < n_open) {
			g = open[k];
		} else {
			first[plan->n_groups++] = i;
			plan->groups[g] = (struct plan_group){.transform = rcpts[i].transform,
				.verdicts = &rcpts[i].decision->verdicts};
			if (!is_lonely(&rcpts[i]))
				open[n_open++] = g;
		}
		rcpts[i].group = g;
		plan->groups[g].n++;
	}
}

static enum rc
build_groups(struct plan *plan, struct plan_rcpt *rcpts, size_t n, struct err *err)
{
	size_t *first = calloc(n + 1, 2 * sizeof(*first));

	plan->groups = calloc(n + 1, sizeof(*plan->groups));
	if (first && plan->groups)
		fill_groups(plan, rcpts, n, first, first + n);
	free(first);
	return first && plan->groups ? RC_OK
				     : err_set(err, ERR_MEMORY, "plan for %zu recipients", n);
}

/* One recipient's outcome in the plan's. A refusal stands whatever the unknown turns out to be. */
static void
count_in(struct plan *plan, const struct plan_rcpt *rcpts, size_t i, bool alone)
{
	enum outcome outcome = rcpts[i].outcome;

	if (outcome == PLAN_REFUSE && alone && rcpts[i].alone) {
		plan->n_refused++;
		if (plan->outcome != PLAN_DELIVER || plan->n_refused > 1)
			return;
	} else if (outcome != PLAN_DELIVER && plan->outcome != PLAN_REFUSE &&
		   plan->outcome != outcome) {
		plan->outcome = outcome;
	} else {
		return;
	}
	plan->err = rcpts[i].err;
	plan->blamed = i;
}

enum rc
plan_build(struct plan_rcpt *rcpts, size_t n, bool alone, struct plan **out, struct err *err)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	enum rc rc = RC_OK;

	*out = NULL;
	if (!plan)
		return err_set(err, ERR_MEMORY, "plan");
	plan->outcome = PLAN_DELIVER;
	for (size_t i = 0; i < n; i++) {
		plan_one(&rcpts[i]);
		count_in(plan, rcpts, i, alone);
	}
	if (n && plan->n_refused == n)
		plan->outcome = PLAN_REFUSE;
	if (plan->outcome == PLAN_DELIVER)
		rc = build_groups(plan, rcpts, n, err);
	if (rc == RC_OK)
		*out = plan;
	else
		plan_free(&plan);
	return rc;
}

void
plan_free(struct plan **plan)
{
	if (!*plan)
		return;
	free((*plan)->groups);
	free(*plan);
	*plan = NULL;
}
