/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void
selection_init(struct selection *selection, struct trust *trust, const char *addr)
{
	*selection = (struct selection){
		.trust = trust, .addr = addr, .failed = TIER_LAST, .undecided = TIER_LAST};
}

void
selection_fini(struct selection *selection)
{
	candidates_free(&selection->v, selection->n);
	selection->n = 0;
}

void
selection_fail(struct selection *selection, enum tier tier, const struct err *err)
{
	if ((int)tier >= selection->failed)
		return;
	selection->failed = (int)tier;
	selection->err = *err;
	if (err_rc(err->code) != RC_TEMP)
		selection->err.code = ERR_DIR_ANSWER;
}

void
selection_lack(struct selection *selection, enum tier tier, const struct err *err)
{
	if ((int)tier >= selection->undecided)
		return;
	selection->undecided = (int)tier;
	selection->undecided_err = *err;
}

/* "expired 2025-01-01": the day is what a person needs. */
static void
why_date(struct candidate *c, const char *what, int64_t at)
{
	char text[CLOCK_TEXT_SIZE];

	snprintf(c->why, sizeof(c->why), "%s %.10s", what, clock_format(at, text));
}

/* Does it carry the name that it is selected by? */
static bool
is_named(const struct selection *selection, const struct cert *cert)
{
	return selection->dns ? cert_has_dns(cert, selection->dns)
			      : cert_has_addr(cert, selection->addr, true);
}

/* What the certificate says of itself, without a path; false with why. */
static bool
is_fit(const struct selection *selection, struct candidate *c, int64_t now)
{
	struct err err = ERR_INIT;

	if (now > cert_not_after(c->cert))
		why_date(c, "expired", cert_not_after(c->cert));
	else if (now < cert_not_before(c->cert))
		why_date(c, "not valid before", cert_not_before(c->cert));
	else if (!is_named(selection, c->cert))
		snprintf(c->why, sizeof(c->why),
			selection->dns ? "no dNSName %.150s" : "another address", selection->dns);
	else if (cert_check_use(c->cert, CERT_ENCRYPT, &err) != RC_OK)
		snprintf(c->why, sizeof(c->why), "%.199s", err.detail);
	return c->why[0] == '\0';
}

/* A certificate of TIER would be used if more of it were known: why not, and MORE. */
static void
leave_undecided(struct selection *selection, const struct candidate *c, const char *more)
{
	if ((int)c->tier >= selection->undecided || c->beside)
		return;
	selection->undecided = (int)c->tier;
	err_set(&selection->undecided_err, ERR_CERT_UNDECIDED, "%.16s: %s%s",
		cert_fingerprint(c->cert), c->why, more);
}

/*
 * Judges one candidate. When only its revocation is unknown and has to be known, or an issuer
 * that is missing is being fetched, or the search for a path was given up, nobody can tell yet.
 * That is not the same as "none", which might let a message go in the clear because a CRL was not
 * fetched.
 */
static enum rc
judge(struct selection *selection, struct candidate *c, const struct certset *extra,
	struct err *err)
{
	bool good;
	struct verdict verdict;
	enum rc rc;

	if (c->judged || c->why[0] != '\0' || !is_fit(selection, c, clock_now()))
		return RC_OK; /* or the source knew already */
	verdict_init(&verdict);
	rc = trust_check(
		selection->trust, c->cert, extra, CERT_ENCRYPT, selection->addr, -1, &verdict, err);
	good = verdict.path == PATH_VALID && (verdict.sender == SENDER_MATCH || selection->dns) &&
	       verdict.strength == STRENGTH_OK && verdict.revocation != REVOCATION_REVOKED;
	if (rc == RC_OK && (!good || !verdict_revocation_suffices(&verdict, NULL)))
		snprintf(c->why, sizeof(c->why), "%.199s",
			verdict.reason[0] ? verdict.reason : "not valid");
	if (rc == RC_OK && good && c->why[0])
		leave_undecided(selection, c, "");
	else if (rc == RC_OK && verdict.path == PATH_INVALID && verdict.awaits)
		leave_undecided(selection, c, " (it is being fetched)");
	else if (rc == RC_OK && verdict.path == PATH_UNKNOWN)
		leave_undecided(selection, c, " (among too many issuers)");
	for (unsigned mode = REVOKE_OFF; mode <= REVOKE_GRACE; mode++)
		if (!verdict_revocation_suffices(&verdict, &(enum revocation_mode){mode}))
			c->short_of |= 1u << mode;
	verdict_fini(&verdict);
	return rc;
}

enum rc
selection_add(struct selection *selection, struct answer *answer, struct err *err)
{
	struct candidate *grown;

	if (answer->n == 0)
		return RC_OK;
	for (size_t i = 0; i < answer->n; i++) {
		enum rc rc = judge(selection, &answer->v[i], &answer->extra, err);

		if (rc != RC_OK)
			return rc;
	}
	answer_prefer(answer);
	grown = realloc(selection->v, (selection->n + answer->n) * sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_MEMORY, "candidates");
	selection->v = grown;
	memcpy(grown + selection->n, answer->v, answer->n * sizeof(*grown));
	selection->n += answer->n;
	answer->n = 0; /* the selection's now */
	return RC_OK;
}

/* The tier that decides among what is there; TIER_LAST when none does. */
static int
deciding_tier(const struct selection *selection)
{
	int best = TIER_LAST;

	for (size_t i = 0; i < selection->n; i++) {
		const struct candidate *c = &selection->v[i];

		if ((c->why[0] == '\0' || c->tier == TIER_PINNED) && (int)c->tier < best)
			best = (int)c->tier;
	}
	return best;
}

/* Has a tier better than TIER decided already, so that sources from TIER on need not be asked? */
static bool
selection_is_decided(const struct selection *selection, enum tier tier)
{
	return deciding_tier(selection) < (int)tier;
}

/* The same certificate before I in the list, or NULL. */
static struct candidate *
find_earlier(const struct selection *selection, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (memcmp(cert_sha256(selection->v[k].cert), cert_sha256(selection->v[i].cert),
			    SHA256_SIZE) == 0)
			return &selection->v[k];
	return NULL;
}

/*
 * Proof is a matter of the certificate, whoever brought it: a signature seen with a certificate
 * that an LDAP server names too proves that one.
 */
static void
share_proof(struct selection *selection)
{
	for (size_t i = 1; i < selection->n; i++) {
		struct candidate *first = find_earlier(selection, i);

		if (first && !selection->v[i].beside)
			first->proven |= selection->v[i].proven;
	}
	for (size_t i = 1; i < selection->n; i++) {
		struct candidate *first = find_earlier(selection, i);

		if (first && !selection->v[i].beside)
			selection->v[i].proven = first->proven;
	}
}

/* Goes A before B where only one may be used? */
static bool
is_preferred(enum several several, const struct cert *a, const struct cert *b)
{
	int64_t newer = cert_not_before(a) - cert_not_before(b),
		longer = cert_not_after(a) - cert_not_after(b);
	int64_t first = several == SEVERAL_NEWEST ? newer : longer,
		second = several == SEVERAL_NEWEST ? longer : newer;

	if (first != 0 || second != 0)
		return first != 0 ? first > 0 : second > 0;
	return strcmp(cert_fingerprint(a), cert_fingerprint(b)) < 0;
}

/* The one of TIER that is used where only one is; NULL: all are. */
static const struct cert *
only_one(const struct selection *selection, int tier)
{
	const struct cert *best = NULL;

	for (size_t i = 0; selection->several != SEVERAL_ALL && i < selection->n; i++) {
		const struct candidate *c = &selection->v[i];

		if (c->why[0] == '\0' && (int)c->tier == tier &&
			(!best || is_preferred(selection->several, c->cert, best)))
			best = c->cert;
	}
	return best;
}

/* Of the same certificate twice the first is used; it is no longer only what somebody said before
 * when the second was said now. */
static void
lose_to_same(struct candidate *c, struct candidate *first)
{
	snprintf(c->why, sizeof(c->why), "the same as from %s", first->source);
	if (!c->stale)
		first->stale = 0;
}

static const char *const deciding[] = {
	[TIER_PINNED] = "a pinned one",
	[TIER_DOMAIN_FIRST] = "a domain certificate that goes first",
	[TIER_DIRECTORY] = "one of an administrator or a directory",
	[TIER_SMIMEA] = "one by SMIMEA",
	[TIER_HARVESTED] = "a harvested one",
	[TIER_DOMAIN] = "a domain certificate",
};

/* Marks those that are used; says why the others are not. */
static size_t
mark_used(struct selection *selection, int tier)
{
	const struct cert *one = only_one(selection, tier);
	size_t used = 0;

	for (size_t i = 0; i < selection->n; i++) {
		struct candidate *c = &selection->v[i];
		struct candidate *first = find_earlier(selection, i);

		if (c->why[0] != '\0')
			continue;
		if ((int)c->tier != tier)
			snprintf(c->why, sizeof(c->why), "worse tier: %s decides", deciding[tier]);
		else if (one && memcmp(cert_sha256(one), cert_sha256(c->cert), SHA256_SIZE) != 0)
			snprintf(c->why, sizeof(c->why), "one that %s is used (lookup.several)",
				selection->several == SEVERAL_NEWEST ? "is newer"
								     : "is valid for longer");
		else if (first && first->used)
			lose_to_same(c, first);
		else
			c->used = true;
		used += c->used;
	}
	return used;
}

/* A pin that nothing comes of: which certificate, why not, and what to do. */
static void
blame_pin(struct selection *selection)
{
	size_t i = 0;

	while (i < selection->n && selection->v[i].tier != TIER_PINNED)
		i++;
	if (i < selection->n)
		err_set(&selection->named, ERR_CERT_NAMED,
			"%.16s, pinned for %s, cannot be used: %s; pin another one, or take the pin "
			"back (sealgate cert unpin)",
			cert_fingerprint(selection->v[i].cert), selection->addr,
			selection->v[i].why);
}

/* Why nothing can be said; NULL when it can. */
static const struct err *
deferral(const struct selection *selection, int tier, size_t used)
{
	if (selection->failed != TIER_LAST && selection->failed <= tier)
		return &selection->err;
	if (selection->undecided < tier || (used == 0 && selection->undecided != TIER_LAST))
		return &selection->undecided_err;
	if (used == 0 && selection->named.code != ERR_NONE)
		return &selection->named;
	return NULL;
}

void
selection_finish(struct selection *selection, struct lookup_result *result)
{
	int tier = deciding_tier(selection);
	const struct err *defer;
	size_t used;

	memset(result, 0, sizeof(*result));
	share_proof(selection);
	used = mark_used(selection, tier);
	if (used == 0 && tier == TIER_PINNED && selection->undecided > TIER_PINNED)
		blame_pin(selection);
	result->rc = used > 0 ? RC_OK : RC_NONE;
	if ((defer = deferral(selection, tier, used))) {
		result->rc = RC_TEMP;
		result->err = *defer;
	}
	for (size_t i = 0; i < selection->n; i++) {
		struct candidate *c = &selection->v[i];

		if (defer && c->used) {
			c->used = false;
			snprintf(c->why, sizeof(c->why), "a source could not be asked");
		}
		result->proven |= c->used && c->proven;
		result->stale |= c->used && c->stale > 0;
	}
	result->beside = selection->beside;
	result->named = selection->named;
	result->v = selection->v; /* the result's now */
	result->n = selection->n;
	selection->v = NULL;
	selection->n = 0;
}

/* Takes what SOURCE says; BESIDE: it can't matter any more. */
static void
ask(struct selection *selection, struct source *source, bool beside)
{
	struct answer answer = {0};
	struct err err = ERR_INIT;
	enum rc rc = source->find(source->ctx, selection->addr, &answer, &err);

	for (size_t i = 0; beside && i < answer.n; i++)
		answer.v[i].beside = true;
	if (answer.named.code != ERR_NONE && !beside && selection->named.code == ERR_NONE)
		selection->named = answer.named;
	if (rc == RC_OK && answer.partial && !beside)
		selection_lack(selection, source->tier, &answer.partial_err);
	if (rc == RC_OK)
		rc = selection_add(selection, &answer, &err);
	if (rc != RC_OK && rc != RC_NONE && beside)
		selection->beside = err;
	else if (rc != RC_OK && rc != RC_NONE)
		selection_fail(selection, source->tier, &err);
	answer_fini(&answer);
}

void
selection_ask(struct selection *selection, struct source **sources, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool beside = selection_is_decided(selection, sources[i]->tier);

		if (source_covers(sources[i], selection->addr) && (!beside || selection->all))
			ask(selection, sources[i], beside);
	}
}
