/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/path_revocation.h"

#include "base/clock.h"
#include "crypto/openssl_glue.h"
#include "crypto/revocation_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SENTENCE_SIZE 640

enum { REASON_KEY = 1, REASON_CA = 2, REASON_HOLD = 6, REASON_AA = 10 };

/* RFC 5280 section 5.3.1. */
static const char *const reason_names[REASON_NONE + 1] = {
	[0] = "unspecified",
	[1] = "keyCompromise",
	[2] = "cACompromise",
	[3] = "affiliationChanged",
	[4] = "superseded",
	[5] = "cessationOfOperation",
	[6] = "certificateHold",
	[8] = "removeFromCRL",
	[9] = "privilegeWithdrawn",
	[10] = "aACompromise",
};

/* Writes down what was found about one certificate of the path. */
static void
note_status(const struct revocation_status *status, const X509 *cert, struct verdict *verdict)
{
	char name[NAME_TEXT_SIZE], day[CLOCK_TEXT_SIZE], text[SENTENCE_SIZE];
	const char *reason = reason_names[status->reason];

	name_text_of(cert, name);
	if (status->state == REVOCATION_REVOKED) {
		verdict_forget(verdict, VERDICT_REVOCATION); /* "unknown" is less grave */
		verdict->revocation = REVOCATION_REVOKED;
		(void)snprintf(text, sizeof(text),
			"the certificate of %s was revoked%s%.10s%s%s%s, %s", name,
			status->when ? " on " : "",
			status->when ? clock_format(status->when, day) : "", reason ? " (" : "",
			reason ? reason : "", reason ? ")" : "", status->text);
	} else {
		if (verdict->revocation == REVOCATION_GOOD)
			verdict_forget(verdict, VERDICT_REVOCATION);
		verdict->revocation = REVOCATION_UNKNOWN;
		(void)snprintf(text, sizeof(text),
			"whether the certificate of %s is revoked is unknown: %s", name,
			status->text);
	}
	path_note(verdict, VERDICT_REVOCATION, cert, text);
}

/*
 * Lists and answers together: revoked by either is revoked, good by either is good. Only where one
 * says "on hold" and the other, newer one says "good" the newer counts.
 */
static void
combine(struct revocation_status *lists, const struct revocation_status *answer)
{
	const struct revocation_status *revoked =
		lists->state == REVOCATION_REVOKED ? lists : answer;
	const struct revocation_status *other = revoked == lists ? answer : lists;
	char text[REVOCATION_TEXT_SIZE];

	if (revoked->state == REVOCATION_REVOKED) {
		bool lifted = revoked->reason == REASON_HOLD && other->state == REVOCATION_GOOD &&
			      other->as_of > revoked->as_of;

		if ((lifted ? other : revoked) == answer)
			*lists = *answer;
		return;
	}
	if (lists->state == REVOCATION_GOOD)
		return;
	if (answer->state == REVOCATION_GOOD || lists->none) {
		if (!answer->none)
			*lists = *answer;
		return;
	}
	if (answer->none)
		return;
	/* Nobody knows: both say why, and what is less out of date counts where that is allowed. */
	(void)snprintf(text, sizeof(text), "%.155s; %.155s", lists->text, answer->text);
	memcpy(lists->text, text, sizeof(text));
	if (answer->stale && (!lists->stale || answer->stale < lists->stale))
		lists->stale = answer->stale;
}

static void
note_weak(const X509 *cert, struct verdict *verdict)
{
	char name[NAME_TEXT_SIZE], text[SENTENCE_SIZE];

	verdict->strength = STRENGTH_WEAK;
	(void)snprintf(text, sizeof(text),
		"a key that had to be believed about the revocation of %s is too weak",
		name_text_of(cert, name));
	path_note(verdict, VERDICT_STRENGTH, cert, text);
}

/*
 * Was it revoked only after what is judged, for a reason that leaves older signatures alone? That
 * counts where the anchor's rule says so. Compromise reaches back: nobody knows since when.
 */
static bool
is_later(const struct path_request *request, const struct revocation_status *status,
	const X509 *cert, struct verdict *verdict)
{
	int64_t since =
		status->invalid && status->invalid < status->when ? status->invalid : status->when;
	char name[NAME_TEXT_SIZE], day[CLOCK_TEXT_SIZE], text[SENTENCE_SIZE];

	if (!verdict->revocation_rule.dated || status->state != REVOCATION_REVOKED ||
		status->reason == REASON_KEY || status->reason == REASON_CA ||
		status->reason == REASON_AA || !since || request->path_at >= since)
		return false;
	(void)snprintf(text, sizeof(text),
		"the certificate of %s was revoked on %.10s, after the time that it is judged for, %s",
		name_text_of(cert, name), clock_format(since, day), status->text);
	path_note(verdict, VERDICT_REVOCATION, cert, text);
	return true;
}

int64_t
revocation_expiry(const X509 *subject)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(subject), &tm) ? (int64_t)timegm(&tm) : 0;
}

/* One certificate, by lists and answers together. */
static enum rc
ask(struct revocation_question *q, struct revocation_status *status, struct err *err)
{
	unsigned char *der = NULL;
	int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(q->subject), &der);
	struct der in = {der, len > 0 ? (size_t)len : 0};
	struct revocation_status answer;
	struct der_item serial;
	enum rc rc;

	if (!der_take(&in, DER_INTEGER, &serial)) {
		OPENSSL_free(der);
		return ossl_err(err, ERR_MEMORY, "revocation");
	}
	q->serial = serial.body.p;
	q->serial_len = serial.body.len;
	rc = crl_check(q, status, err);
	if (rc == RC_OK)
		rc = ocsp_check(q, &answer, err);
	if (rc == RC_OK)
		combine(status, &answer);
	OPENSSL_free(der);
	return rc;
}

/* Tells the watcher where more about SUBJECT is to be had. */
static void
tell(const struct watcher *watcher, X509 *subject, X509 *issuer, bool missing)
{
	struct cert *cert = NULL, *by = NULL;
	unsigned char *der = NULL;
	int len;

	if (!watcher)
		return;
	len = i2d_X509(subject, &der);
	if (len > 0)
		(void)cert_parse(der, (size_t)len, &cert, NULL);
	OPENSSL_free(der);
	der = NULL;
	len = i2d_X509(issuer, &der);
	if (len > 0)
		(void)cert_parse(der, (size_t)len, &by, NULL);
	OPENSSL_free(der);
	if (cert && by)
		watch_revocation(watcher, cert, by, missing);
	cert_unref(&cert);
	cert_unref(&by);
}

enum rc
path_check_revocation(const struct path_request *request, STACK_OF(X509) * chain,
	struct verdict *verdict, struct err *err)
{
	int last = sk_X509_num(chain) - 1, i;
	int64_t now = clock_now(), stale = 0;
	bool otherwise = false; /* unknown, and not for being out of date */
	enum rc rc = RC_OK;

	if (last < 1)
		return RC_OK; /* the leaf is an anchor itself: nobody speaks for it */
	verdict->revocation = REVOCATION_GOOD;
	for (i = 0; rc == RC_OK && i < last && verdict->revocation != REVOCATION_REVOKED; i++) {
		struct revocation_question question = {
			.request = request,
			.chain = chain,
			.place = i,
			.subject = sk_X509_value(chain, i),
			.issuer = sk_X509_value(chain, i + 1),
			.anchor = sk_X509_value(chain, last),
			.at = request->at,
			.expired = revocation_expiry(sk_X509_value(chain, i)),
			.known_at = request->at > now ? request->at : now,
		};
		struct revocation_status status;

		rc = ask(&question, &status, err);
		if (rc == RC_OK && status.weak)
			note_weak(question.subject, verdict);
		if (rc == RC_OK)
			tell(request->watcher, question.subject, question.issuer,
				status.state == REVOCATION_UNKNOWN);
		if (rc != RC_OK || status.state == REVOCATION_GOOD ||
			is_later(request, &status, question.subject, verdict))
			continue;
		otherwise |= !status.stale;
		stale = status.stale > stale ? status.stale : stale;
		note_status(&status, question.subject, verdict);
	}
	verdict->stale = verdict->revocation == REVOCATION_UNKNOWN && !otherwise ? stale : 0;
	return rc;
}
