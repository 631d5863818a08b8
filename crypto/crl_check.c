/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crl_check.c - is a certificate revoked, by the lists at hand? (RFC 5280 section 6.3.3)
 *
 * The lists that speak about the certificate are asked, the newest first, until together they speak
 * for every reason. Each is believed only with a signature of somebody who may give it. A delta
 * that continues a complete list makes it as new as itself. Whatever is authentic and says
 * "revoked" is believed, out of date or not; "good" takes a list that is in date.
 */
#include "base/clock.h"
#include "crypto/openssl_glue.h"
#include "crypto/revocation_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct match {
	const struct held_crl *held;
	unsigned reasons;
};

/* What is known so far. */
struct tally {
	const struct revocation_question *q;
	struct match *v; /* owned; complete lists and deltas, the newest first */
	size_t n;
	unsigned covered, stale_covered, seen; /* reasons: in date, out of date, either */
	int64_t stale;
	unsigned tries;
	bool near; /* there was a list of that issuer, but not for this certificate */
	struct revocation_status *status;
};

/* --- which lists --- */

static int
newest_first(const void *a, const void *b)
{
	const struct match *x = a, *y = b;
	int64_t p = x->held->crl->this_update, q = y->held->crl->this_update;

	if (p != q)
		return p > q ? -1 : 1;
	return -crl_number_cmp(&x->held->crl->number, &y->held->crl->number);
}

/* The lists under NAME that speak about the certificate. */
static enum rc
gather(struct tally *t, const X509_NAME *name, const CRL_DIST_POINTS *points, struct err *err)
{
	const struct held_crl *held = revocation_lists(t->q->request->revocation, name);

	for (; held; held = held->next) {
		struct match *grown;
		unsigned reasons;

		if (X509_NAME_cmp(held->crl->issuer, name) != 0)
			continue;
		t->near = true;
		reasons = crl_scope(held->crl, t->q->subject, points);
		if (!reasons)
			continue;
		if ((t->n & (t->n - 1)) == 0) { /* 0 and the powers of two */
			grown = realloc(t->v, (t->n ? 2 * t->n : 1) * sizeof(*grown));
			if (!grown)
				return err_set(err, ERR_MEMORY, "revocation");
			t->v = grown;
		}
		t->v[t->n++] = (struct match){held, reasons};
	}
	return RC_OK;
}

struct issuers { /* whose lists were gathered; borrowed */
	const X509_NAME *v[CRL_MAX_POINTS];
	size_t n;
};

/* Those of ISSUER, once, and of so many issuers at most. */
static enum rc
gather_once(struct tally *t, struct issuers *done, const X509_NAME *issuer,
	const CRL_DIST_POINTS *points, struct err *err)
{
	size_t i;

	for (i = 0; i < done->n; i++)
		if (X509_NAME_cmp(done->v[i], issuer) == 0)
			return RC_OK;
	if (done->n == CRL_MAX_POINTS)
		return RC_OK;
	done->v[done->n++] = issuer;
	return gather(t, issuer, points, err);
}

/* Those of the issuers that a distribution point names. */
static enum rc
gather_named(struct tally *t, struct issuers *done, const GENERAL_NAMES *names,
	const CRL_DIST_POINTS *points, struct err *err)
{
	enum rc rc = RC_OK;
	int i;

	for (i = 0; rc == RC_OK && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);

		if (one->type == GEN_DIRNAME)
			rc = gather_once(t, done, one->d.directoryName, points, err);
	}
	return rc;
}

/* The lists of the certificate's issuer, and of the issuers of lists that it names. */
static enum rc
gather_all(struct tally *t, struct err *err)
{
	CRL_DIST_POINTS *points =
		X509_get_ext_d2i(t->q->subject, NID_crl_distribution_points, NULL, NULL);
	struct issuers done = {.n = 0};
	enum rc rc = RC_OK;
	int i;

	ossl_clear();
	if (points && !crl_scope_prepare(points, t->q->subject))
		rc = ossl_err(err, ERR_MEMORY, "revocation");
	if (rc == RC_OK)
		rc = gather_once(t, &done, X509_get_issuer_name(t->q->subject), points, err);
	for (i = 0; rc == RC_OK && i < sk_DIST_POINT_num(points) && i < CRL_MAX_POINTS; i++)
		rc = gather_named(t, &done, sk_DIST_POINT_value(points, i)->CRLissuer, points, err);
	CRL_DIST_POINTS_free(points);
	if (t->n > 1)
		qsort(t->v, t->n, sizeof(*t->v), newest_first);
	return rc;
}

/* --- what they say --- */

/* "the list of CN=CA of 2026-11-22 (ca.crl)" */
static const char *
describe(const struct held_crl *held, char out[REVOCATION_TEXT_SIZE])
{
	char name[NAME_TEXT_SIZE], day[CLOCK_TEXT_SIZE];

	(void)snprintf(out, REVOCATION_TEXT_SIZE, "the %s of %s of %.10s%s%.80s%s",
		held->crl->delta ? "delta list" : "list", name_text(held->crl->issuer, name),
		clock_format(held->crl->this_update, day), held->file ? " (" : "",
		held->file ? held->file : "", held->file ? ")" : "");
	return out;
}

/* Why a list does not help; the first one stays: it is the newest. */
static void
note(struct tally *t, const struct held_crl *held, const char *why)
{
	char text[REVOCATION_TEXT_SIZE];

	if (!t->status->text[0])
		(void)snprintf(t->status->text, sizeof(t->status->text), "%.200s: %.110s",
			describe(held, text), why);
}

static void
set_revoked(struct tally *t, const struct held_crl *held, const struct serialset_entry *entry)
{
	char text[REVOCATION_TEXT_SIZE];

	t->status->state = REVOCATION_REVOKED;
	t->status->reason = entry->reason;
	t->status->when = entry->revoked;
	t->status->invalid = entry->invalid;
	t->status->as_of = held->crl->this_update;
	(void)snprintf(t->status->text, sizeof(t->status->text), "by %.300s", describe(held, text));
}

static bool
same_key(const struct crl *a, const struct crl *b)
{
	const ASN1_OCTET_STRING *x = a->aki ? a->aki->keyid : NULL;
	const ASN1_OCTET_STRING *y = b->aki ? b->aki->keyid : NULL;

	return !x || !y ? !x && !y : ASN1_OCTET_STRING_cmp(x, y) == 0;
}

/* The newest delta by SIGNER that continues BASE; section 6.3.3 (c). */
static const struct held_crl *
find_delta(const struct tally *t, const struct crl *base, X509 *signer)
{
	size_t i;

	for (i = 0; base->number.len && i < t->n; i++) {
		const struct held_crl *held = t->v[i].held;
		struct crl *delta = held->crl;

		if (delta->delta && X509_NAME_cmp(delta->issuer, base->issuer) == 0 &&
			delta->idp_len == base->idp_len &&
			(!base->idp_len ||
				memcmp(delta->idp_der, base->idp_der, base->idp_len) == 0) &&
			same_key(delta, base) && delta->number.len &&
			crl_number_cmp(&delta->base, &base->number) <= 0 &&
			crl_number_cmp(&delta->number, &base->number) > 0 &&
			delta->this_update <= t->q->known_at + REVOCATION_SKEW &&
			crl_is_signed_by(delta, signer))
			return held;
	}
	return NULL;
}

static bool
find_in(const struct tally *t, const struct crl *crl, struct serialset_entry *entry)
{
	return crl_find(
		crl, X509_get_issuer_name(t->q->subject), t->q->serial, t->q->serial_len, entry);
}

/* May LIST leave the certificate out for having expired, whether it was revoked or not? */
static bool
may_have_dropped(const struct tally *t, const struct crl *list)
{
	return t->q->expired < list->this_update && t->q->expired < list->expired_since;
}

/* Asks a complete list and its delta. *UNTIL: how long what they say holds. */
static bool
is_listed(
	struct tally *t, const struct held_crl *base, const struct held_crl *delta, int64_t *until)
{
	struct serialset_entry entry;

	*until = crl_until(base->crl);
	if (delta) {
		bool listed = find_in(t, delta->crl, &entry);
		bool current = crl_until(delta->crl) >= t->q->at && !delta->crl->unknown;

		if (current && crl_until(delta->crl) > *until)
			*until = crl_until(delta->crl);
		if (listed && entry.reason != REASON_REMOVED) {
			set_revoked(t, delta, &entry);
			return true;
		}
		if (listed && current && !may_have_dropped(t, delta->crl))
			return false; /* it was on hold and is not any more */
	}
	/* removeFromCRL has no meaning in a complete list: there it is listed. */
	if (!find_in(t, base->crl, &entry))
		return false;
	set_revoked(t, base, &entry);
	return true;
}

/* What a list that has expired says, in case that there is a grace. */
static void
add_stale(struct tally *t, const struct match *match, int64_t since)
{
	if (match->reasons & ~t->stale_covered && since > t->stale)
		t->stale = since;
	t->stale_covered |= match->reasons;
}

/* The first list that clears the certificate, the newest, is the one that is named. */
static void
set_good(struct tally *t, const struct held_crl *held)
{
	char text[REVOCATION_TEXT_SIZE];

	t->status->as_of = held->crl->this_update;
	(void)snprintf(t->status->text, sizeof(t->status->text), "by %.300s", describe(held, text));
}

/* A complete list. True: the question is answered. */
static bool
ask(struct tally *t, const struct match *match)
{
	const struct held_crl *held = match->held, *delta;
	struct crl *crl = held->crl;
	struct revocation_status before = *t->status;
	const char *why;
	int64_t until;
	X509 *signer;

	if (crl->this_update > t->q->known_at + REVOCATION_SKEW) {
		note(t, held, "it is of the future");
		return false;
	}
	signer = crl_signer(t->q, crl, &t->tries, &t->status->weak, &why);
	if (!signer) {
		note(t, held, why);
		return false;
	}
	delta = find_delta(t, crl, signer);
	if (is_listed(t, held, delta, &until)) {
		if (match->reasons & ~t->seen)
			return true;
		*t->status = before; /* a newer list says that it is revoked no longer */
		return false;
	}
	if (crl->unknown) {
		note(t, held, "it has a critical extension that is not known here");
		return false;
	}
	if (may_have_dropped(t, crl) || (delta && may_have_dropped(t, delta->crl))) {
		note(t, held, "the certificate expired before, and need not be listed any more");
		return false;
	}
	t->seen |= match->reasons;
	if (until < t->q->at) {
		note(t, held,
			crl->next_update == INT64_MAX ? "it is too old, and names no next one"
						      : "it has expired");
		add_stale(t, match, t->q->at - until);
		return false;
	}
	t->covered |= match->reasons;
	if (!t->status->as_of)
		set_good(t, delta ? delta : held);
	return t->covered == CRL_ALL_REASONS;
}

enum rc
crl_check(const struct revocation_question *q, struct revocation_status *status, struct err *err)
{
	struct tally t = {.q = q, .status = status};
	enum rc rc;
	size_t i;

	*status = (struct revocation_status){.state = REVOCATION_UNKNOWN, .reason = REASON_NONE};
	rc = gather_all(&t, err);
	for (i = 0; rc == RC_OK && i < t.n; i++)
		if (!t.v[i].held->crl->delta && t.v[i].reasons & ~t.covered && ask(&t, &t.v[i]))
			break;
	free(t.v);
	if (rc != RC_OK || status->state == REVOCATION_REVOKED)
		return rc;
	if (t.covered == CRL_ALL_REASONS) {
		status->state = REVOCATION_GOOD;
		return RC_OK;
	}
	if ((t.covered | t.stale_covered) == CRL_ALL_REASONS)
		status->stale = t.stale;
	status->none = t.n == 0;
	if (t.n == 0)
		(void)snprintf(status->text, sizeof(status->text), "%s",
			t.near ? "no CRL of its issuer at hand is for it"
			       : "there is no CRL of its issuer");
	else if (t.covered)
		(void)snprintf(status->text, sizeof(status->text),
			"the lists at hand speak only for some reasons of revocation");
	else if (!status->text[0])
		(void)snprintf(status->text, sizeof(status->text),
			"there is a delta list, but not the list that it continues");
	return RC_OK;
}
