/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ocsp_check.c - is a certificate revoked, by the answers of responders at hand? (RFC 6960)
 *
 * An answer is believed when the CA that issued the certificate signed it, or somebody whom that CA
 * itself, with the same key, certified for this (id-kp-OCSPSigning), whose certificate is in date
 * and not revoked by the CA's lists. The answers are looked for among those that were added, and
 * in the folder under the certificate's name.
 */
#include "base/clock.h"
#include "base/file.h"
#include "crypto/ocsp.h"
#include "crypto/ocsp_response.h"
#include "crypto/ocsp_signer.h"
#include "crypto/openssl_glue.h"
#include "crypto/path_rules.h"
#include "crypto/revocation_private.h"
#include "crypto/trust_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source { /* one response */
	const unsigned char *der;
	size_t len;
	const char *file; /* NULL: unknown */
};

/* --- who signed it --- */

/* Is the responder's own certificate revoked? Its issuer may say that nobody needs to ask. */
static bool
responder_is_revoked(const struct revocation_question *q, X509 *cert)
{
	struct revocation_question own = *q;
	struct revocation_status status;
	unsigned char *der = NULL;
	struct der_item serial;
	bool revoked = true;
	struct der in;
	int len;

	if (X509_get_ext_by_NID(cert, NID_id_pkix_OCSP_noCheck, -1) >= 0)
		return false;
	len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der);
	in = (struct der){der, len > 0 ? (size_t)len : 0};
	if (der_take(&in, DER_INTEGER, &serial)) {
		own.subject = cert;
		own.expired = revocation_expiry(cert);
		own.serial = serial.body.p;
		own.serial_len = serial.body.len;
		revoked = crl_check(&own, &status, NULL) != RC_OK ||
			  status.state == REVOCATION_REVOKED;
	}
	OPENSSL_free(der);
	return revoked;
}

/* NULL: CERT may answer for the issuer; else why not. */
static const char *
delegation_fault(const struct revocation_question *q, X509 *cert)
{
	const char *fault = ocsp_delegate_fault(q->issuer, cert);
	time_t at = (time_t)q->at;

	if (fault)
		return fault;
	if (X509_cmp_time(X509_get0_notBefore(cert), &at) > 0 ||
		X509_cmp_time(X509_get0_notAfter(cert), &at) < 0)
		return "its responder's certificate is out of date";
	if (path_rules_denied(q->request, cert))
		return "its responder's certificate is denied";
	if (responder_is_revoked(q, cert))
		return "its responder's certificate is revoked";
	return NULL;
}

/* Is the responder's key below the floor of the path's anchor, or what its CA signed it with? */
static bool
is_weak(const struct revocation_question *q, X509 *cert)
{
	X509 *const pair[] = {cert, q->issuer};
	struct verdict found;
	bool weak;

	verdict_init(&found);
	trust_rules_strength(q->request->rules, pair, 2, &found);
	weak = found.strength != STRENGTH_OK;
	verdict_fini(&found);
	return weak;
}

/* NULL: the response is authentic, by a *WEAK responder or not; else why not. */
static const char *
signer_fault(const struct revocation_question *q, const struct ocsp_response *response, bool *weak)
{
	const char *fault = "nobody is known who signed it";
	struct der certs = response->certs;
	size_t n = 0;
	X509 *cert;

	if (ocsp_is_responder(response, q->issuer)) {
		if (ocsp_is_signed_by(response, q->issuer))
			return NULL;
		fault = "its signature does not fit the CA's key";
	}
	while (ocsp_next_cert(&certs, &n, &cert)) {
		if (cert && ocsp_is_responder(response, cert)) {
			fault = ocsp_is_signed_by(response, cert)
					? delegation_fault(q, cert)
					: "its signature does not fit its responder's key";
			if (!fault) {
				*weak = is_weak(q, cert);
				X509_free(cert);
				return NULL;
			}
		}
		X509_free(cert);
	}
	return fault;
}

/* --- what it says --- */

/* Is the answer about this certificate? */
static bool
is_about(const struct revocation_question *q, const struct ocsp_id *id)
{
	unsigned char name[DIGEST_MAX_SIZE], key[DIGEST_MAX_SIZE];
	struct der serial = {q->serial, q->serial_len};
	size_t size = digest_size(id->digest);

	serial_trim(&serial.p, &serial.len);
	return der_equal(&serial, &id->serial) && id->digest > DIGEST_MD5 &&
	       id->name_hash.len == size && id->key_hash.len == size &&
	       ocsp_hash_issuer(id->digest, q->subject, q->issuer, name, key) &&
	       memcmp(name, id->name_hash.p, size) == 0 && memcmp(key, id->key_hash.p, size) == 0;
}

/* The answer with the latest date; of several, one that revokes. */
static bool
find_answer(const struct revocation_question *q, const struct ocsp_response *response,
	struct ocsp_single *best)
{
	struct der singles = response->singles;
	struct ocsp_single single;
	bool found = false;

	while (ocsp_single_take(&singles, &single)) {
		if (!is_about(q, &single.id))
			continue;
		if (!found || (best->answer != OCSP_REVOKED &&
				      (single.answer == OCSP_REVOKED ||
					      single.this_update > best->this_update)))
			*best = single;
		found = true;
	}
	return found;
}

/* "the OCSP answer of 2026-11-22T10:00:00Z (x.ocsp)" */
static void
describe(const struct source *source, int64_t at, char out[REVOCATION_TEXT_SIZE])
{
	char when[CLOCK_TEXT_SIZE];

	(void)snprintf(out, REVOCATION_TEXT_SIZE, "the OCSP answer%s%s%s%.80s%s", at ? " of " : "",
		at ? clock_format(at, when) : "", source->file ? " (" : "",
		source->file ? source->file : "", source->file ? ")" : "");
}

static void
fault(struct revocation_status *status, const struct source *source, int64_t at, const char *why)
{
	char text[REVOCATION_TEXT_SIZE];

	describe(source, at, text);
	status->none = false;
	(void)snprintf(status->text, sizeof(status->text), "%.180s: %.130s", text, why);
}

/* May the responder have forgotten the certificate for having expired? Not where it says that it
 * keeps those that did since (RFC 6960 section 4.4.4). */
static bool
may_have_dropped(const struct revocation_question *q, const struct ocsp_single *single)
{
	return single->this_update > q->expired &&
	       (single->cutoff < 0 || single->cutoff > q->expired);
}

static void
conclude(const struct revocation_question *q, const struct source *source,
	const struct ocsp_single *single, struct revocation_status *status)
{
	char text[REVOCATION_TEXT_SIZE];

	status->as_of = single->this_update;
	status->none = false;
	describe(source, single->this_update, text);
	(void)snprintf(status->text, sizeof(status->text), "by %.300s", text);
	if (single->answer == OCSP_REVOKED) {
		status->state = REVOCATION_REVOKED;
		status->reason = single->reason;
		status->when = single->revoked;
	} else if (single->answer == OCSP_UNKNOWN) {
		fault(status, source, single->this_update,
			"the responder does not know the certificate");
	} else if (single->unknown) {
		fault(status, source, single->this_update,
			"it has a critical extension that is not known here");
	} else if (ocsp_until(single) + REVOCATION_SKEW < q->at) {
		fault(status, source, single->this_update, "it is out of date");
		status->stale = q->at - ocsp_until(single);
	} else if (may_have_dropped(q, single)) {
		fault(status, source, single->this_update,
			"the certificate expired before, and need not be known any more");
	} else {
		status->state = REVOCATION_GOOD;
	}
}

/* One response. What it says is in STATUS. */
static void
judge(const struct revocation_question *q, const struct source *source,
	struct revocation_status *status)
{
	struct ocsp_response response;
	struct ocsp_single single;
	const char *why;

	*status = (struct revocation_status){
		.state = REVOCATION_UNKNOWN, .none = true, .reason = REASON_NONE};
	if (!ocsp_response_parse(source->der, source->len, &response, &why)) {
		fault(status, source, 0, why);
		return;
	}
	if (response.status != OCSP_SUCCESSFUL) {
		fault(status, source, 0, ocsp_status_name(response.status));
		return;
	}
	if (!find_answer(q, &response, &single))
		return; /* about other certificates: as good as not there */
	why = signer_fault(q, &response, &status->weak);
	if (!why && response.unknown)
		why = "it has a critical extension that is not known here";
	if (!why && (single.this_update > q->known_at + REVOCATION_SKEW ||
			    response.produced > q->known_at + REVOCATION_SKEW))
		why = "it is of the future";
	if (why)
		fault(status, source, single.this_update, why);
	else
		conclude(q, source, &single, status);
}

/* Keeps the better of two answers: whoever revokes; good before unknown; something before
 * nothing; the newer of two alike. */
static void
keep_better(struct revocation_status *best, const struct revocation_status *other)
{
	static const int rank[] = {[REVOCATION_UNCHECKED] = 0,
		[REVOCATION_UNKNOWN] = 1,
		[REVOCATION_GOOD] = 2,
		[REVOCATION_REVOKED] = 3};

	if (rank[other->state] > rank[best->state] ||
		(other->state == best->state &&
			(best->none || (!other->none && other->as_of > best->as_of))))
		*best = *other;
}

/* The file of the certificate in the folder; RC_OK also when there is none. */
static enum rc
ask_folder(const struct revocation_question *q, struct revocation_status *best, struct err *err)
{
	struct buf file = BUF_INIT(OCSP_RESPONSE_MAX);
	char name[OCSP_FILE_NAME_SIZE];
	struct revocation_status status;
	struct err why = ERR_INIT;
	char *path;
	enum rc rc = ocsp_name_for(q->subject, q->issuer, q->serial, q->serial_len, name, err);

	if (rc != RC_OK)
		return rc;
	path = file_join(q->request->revocation->ocsp_dir, name);
	rc = path ? file_read(path, &file, &why) : err_set(&why, ERR_MEMORY, "OCSP response");
	if (rc == RC_OK) {
		struct source source = {(unsigned char *)file.data, file.len, name};

		judge(q, &source, &status);
		keep_better(best, &status);
	} else if (why.code == ERR_MEMORY) {
		*err = why;
	} else if (rc != RC_NONE && best->none) {
		best->none = false;
		(void)snprintf(best->text, sizeof(best->text), "%.300s", why.detail);
	}
	rc = why.code == ERR_MEMORY ? rc : RC_OK;
	buf_fini(&file);
	free(path);
	return rc;
}

enum rc
ocsp_check(const struct revocation_question *q, struct revocation_status *best, struct err *err)
{
	const struct revocation *revocation = q->request->revocation;
	const struct held_ocsp *held;

	*best = (struct revocation_status){
		.state = REVOCATION_UNKNOWN, .none = true, .reason = REASON_NONE};
	for (held = revocation->ocsp; held; held = held->next) {
		struct source source = {held->der, held->len, held->file};
		struct revocation_status status;

		judge(q, &source, &status);
		keep_better(best, &status);
	}
	return revocation->ocsp_dir ? ask_folder(q, best, err) : RC_OK;
}
