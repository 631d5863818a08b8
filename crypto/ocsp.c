/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ocsp.h"

#include "crypto/ocsp_response.h"
#include "crypto/ocsp_signer.h"
#include "crypto/openssl_glue.h"
#include "crypto/revocation_private.h"

#include <stdio.h>
#include <string.h>

#define MAX_AGE (7 * 86400) /* of an answer that names no next one */

bool
ocsp_hash_issuer(enum digest digest, X509 *subject, X509 *issuer,
	unsigned char name[DIGEST_MAX_SIZE], unsigned char key[DIGEST_MAX_SIZE])
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(issuer); /* get0 */
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(X509_get_issuer_name(subject), &der);
	bool done = len > 0 && bits &&
		    digest_bytes(digest, der, (size_t)len, name, NULL) == RC_OK &&
		    digest_bytes(digest, ASN1_STRING_get0_data(bits),
			    (size_t)ASN1_STRING_length(bits), key, NULL) == RC_OK;

	OPENSSL_free(der);
	return done;
}

/* CertID of the certificate with SERIAL (content of the INTEGER). */
static enum rc
put_id(struct der_out *out, enum digest digest, X509 *subject, X509 *issuer,
	const unsigned char *serial, size_t len, struct err *err)
{
	unsigned char name[DIGEST_MAX_SIZE], key[DIGEST_MAX_SIZE];
	size_t id = der_begin(out), algorithm;

	if (!ocsp_hash_issuer(digest, subject, issuer, name, key))
		return ossl_err(err, ERR_CRYPTO, "OCSP request");
	algorithm = der_begin(out);
	der_put_oid(out, digest_oid(digest));
	der_put(out, DER_NULL, "", 0);
	der_end(out, algorithm, DER_SEQUENCE);
	der_put(out, DER_OCTETS, name, digest_size(digest));
	der_put(out, DER_OCTETS, key, digest_size(digest));
	der_put(out, DER_INTEGER, serial, len);
	der_end(out, id, DER_SEQUENCE);
	return out->rc;
}

enum rc
ocsp_name_for(X509 *subject, X509 *issuer, const unsigned char *serial, size_t serial_len,
	char out[OCSP_FILE_NAME_SIZE], struct err *err)
{
	unsigned char sha256[DIGEST_MAX_SIZE];
	struct der_out id;
	enum rc rc;
	size_t i;

	serial_trim(&serial, &serial_len);
	der_out_init(&id, 0, err);
	rc = put_id(&id, DIGEST_SHA256, subject, issuer, serial, serial_len, err);
	if (rc == RC_OK)
		rc = digest_bytes(DIGEST_SHA256, id.buf.data, id.buf.len, sha256, err);
	der_out_fini(&id);
	for (i = 0; rc == RC_OK && i < SHA256_SIZE; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", sha256[i]);
	if (rc == RC_OK)
		memcpy(out + 2 * i, ".ocsp", 6);
	return rc;
}

enum rc
ocsp_file_name(const struct cert *cert, const struct cert *issuer, char out[OCSP_FILE_NAME_SIZE],
	struct err *err)
{
	size_t len;
	const unsigned char *serial = cert_serial_bytes(cert, &len);

	return ocsp_name_for(cert_x509(cert), cert_x509(issuer), serial, len, out, err);
}

/* OCSPRequest with one Request (its whole element), and a nonce or none. */
static enum rc
put_request(struct der_out *out, const struct der *request, const unsigned char *nonce)
{
	size_t all = der_begin(out), tbs = der_begin(out), list = der_begin(out), tag, seq, ext,
	       value;

	der_put_raw(out, request->p, request->len);
	der_end(out, list, DER_SEQUENCE);
	if (nonce) {
		tag = der_begin(out);
		seq = der_begin(out);
		ext = der_begin(out);
		der_put_oid(out, OID_OCSP_NONCE);
		value = der_begin(out);
		der_put(out, DER_OCTETS, nonce, OCSP_NONCE_SIZE);
		der_end(out, value, DER_OCTETS);
		der_end(out, ext, DER_SEQUENCE);
		der_end(out, seq, DER_SEQUENCE);
		der_end(out, tag, DER_CONTEXT_CONSTRUCTED | 2);
	}
	der_end(out, tbs, DER_SEQUENCE);
	der_end(out, all, DER_SEQUENCE);
	return out->rc;
}

enum rc
ocsp_request(const struct cert *cert, const struct cert *issuer, struct buf *out, struct err *err)
{
	size_t len, seq;
	const unsigned char *serial = cert_serial_bytes(cert, &len);
	struct der_out one, all;
	enum rc rc;

	der_out_init(&one, 0, err);
	der_out_init(&all, 0, err);
	seq = der_begin(&one);
	rc = put_id(&one, DIGEST_SHA1, cert_x509(cert), cert_x509(issuer), serial, len, err);
	der_end(&one, seq, DER_SEQUENCE);
	if (rc == RC_OK && (rc = one.rc) == RC_OK)
		rc = put_request(
			&all, &(struct der){(unsigned char *)one.buf.data, one.buf.len}, NULL);
	if (rc == RC_OK && all.buf.len > OCSP_REQUEST_MAX)
		rc = err_set(err, ERR_LIMIT, "an OCSP request of %zu bytes", all.buf.len);
	if (rc == RC_OK)
		rc = buf_append(out, all.buf.data, all.buf.len, err);
	der_out_fini(&one);
	der_out_fini(&all);
	return rc;
}

/* The only Request in an OCSPRequest, its CertID, and the nonce if there is one. */
static bool
parse_request(const void *data, size_t len, struct der *request, struct ocsp_id *id,
	struct der *nonce, bool *has_nonce)
{
	struct der in = {data, len}, inner;
	struct der_item all, tbs, list, one, part;
	bool unknown = false;

	*has_nonce = false;
	if (len > OCSP_REQUEST_MAX || !der_take(&in, DER_SEQUENCE, &all) || !der_done(&in) ||
		!der_take(&all.body, DER_SEQUENCE, &tbs) || !der_done(&all.body) ||
		!der_take(&tbs.body, DER_SEQUENCE, &list) ||
		!der_take(&list.body, DER_SEQUENCE, &one) || !der_done(&list.body))
		return false;
	inner = one.body;
	if (!ocsp_id_take(&inner, id) || !der_done(&inner) || id->digest == DIGEST_NONE)
		return false;
	*request = one.whole;
	if (der_take(&tbs.body, DER_CONTEXT_CONSTRUCTED | 2, &part) &&
		!ocsp_extensions_take(part.body, nonce, has_nonce, &unknown))
		return false;
	return der_done(&tbs.body) && !unknown;
}

enum rc
ocsp_request_add_nonce(const void *request, size_t len, const unsigned char nonce[OCSP_NONCE_SIZE],
	struct buf *out, struct err *err)
{
	struct der one, old;
	struct ocsp_id id;
	struct der_out all;
	bool has_nonce;
	enum rc rc;

	if (!parse_request(request, len, &one, &id, &old, &has_nonce))
		return err_set(err, ERR_CERT_MALFORMED, "no OCSP request for one certificate");
	der_out_init(&all, 0, err);
	rc = put_request(&all, &one, nonce);
	if (rc == RC_OK)
		rc = buf_append(out, all.buf.data, all.buf.len, err);
	der_out_fini(&all);
	return rc;
}

/* --- what a fetcher can see without knowing whom to believe --- */

static void
refuse(struct ocsp_facts *facts, enum ocsp_fit fit, const char *why)
{
	facts->fit = fit;
	(void)snprintf(facts->reason, sizeof(facts->reason), "%s", why);
}

int64_t
ocsp_until(const struct ocsp_single *single)
{
	return single->next_update >= 0 ? single->next_update : single->this_update + MAX_AGE;
}

static void
check_dates(
	const struct ocsp_single *single, int64_t produced, int64_t now, struct ocsp_facts *facts)
{
	facts->fit = OCSP_FITS;
	facts->this_update = single->this_update;
	facts->next_update = single->next_update;
	if (single->this_update > now + REVOCATION_SKEW || produced > now + REVOCATION_SKEW)
		refuse(facts, OCSP_STALE, "it is of the future");
	else if (ocsp_until(single) + REVOCATION_SKEW < now)
		refuse(facts, OCSP_STALE, "it is out of date");
	else
		facts->reason[0] = '\0';
}

/* The answer for ID with the latest date. */
static void
find_answer(const struct ocsp_response *response, const struct ocsp_id *id, int64_t now,
	struct ocsp_facts *facts)
{
	struct der singles = response->singles;
	struct ocsp_single single;
	int64_t best = INT64_MIN;

	refuse(facts, OCSP_OTHER, "it is about another certificate");
	while (ocsp_single_take(&singles, &single))
		if (ocsp_id_equal(&single.id, id) && single.this_update > best) {
			best = single.this_update;
			check_dates(&single, response->produced, now, facts);
		}
}

void
ocsp_response_fits(const void *data, size_t len, const void *request, size_t request_len,
	int64_t now, struct ocsp_facts *facts)
{
	struct ocsp_response response;
	struct der one, nonce = {NULL, 0};
	struct ocsp_id id;
	bool has_nonce;
	const char *why;

	*facts = (struct ocsp_facts){.this_update = -1, .next_update = -1};
	if (!parse_request(request, request_len, &one, &id, &nonce, &has_nonce)) {
		refuse(facts, OCSP_OTHER, "the request is malformed");
		return;
	}
	if (len > OCSP_RESPONSE_MAX || !ocsp_response_parse(data, len, &response, &why)) {
		refuse(facts, OCSP_MALFORMED, len > OCSP_RESPONSE_MAX ? "it is too large" : why);
		return;
	}
	if (response.status != OCSP_SUCCESSFUL) {
		refuse(facts,
			response.status == OCSP_INTERNAL_ERROR || response.status == OCSP_TRY_LATER
				? OCSP_LATER
				: OCSP_REFUSED,
			ocsp_status_name(response.status));
		return;
	}
	if (has_nonce && response.has_nonce && !der_equal(&nonce, &response.nonce)) {
		refuse(facts, OCSP_REPLAYED, "its nonce is another one than was sent");
		return;
	}
	find_answer(&response, &id, now, facts);
	facts->nonce_echoed = has_nonce && response.has_nonce;
}

/* Is CERT's key the one that ID names? */
static bool
has_key(const struct ocsp_id *id, const struct cert *cert)
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(cert_x509(cert)); /* get0 */
	unsigned char key[DIGEST_MAX_SIZE];

	return bits && id->digest > DIGEST_MD5 && id->key_hash.len == digest_size(id->digest) &&
	       digest_bytes(id->digest, ASN1_STRING_get0_data(bits),
		       (size_t)ASN1_STRING_length(bits), key, NULL) == RC_OK &&
	       memcmp(key, id->key_hash.p, id->key_hash.len) == 0;
}

enum ocsp_proof
ocsp_response_proof(const void *data, size_t len, const void *request, size_t request_len,
	const struct certset *known)
{
	struct ocsp_response response;
	struct der one, nonce;
	struct ocsp_id id;
	const char *why;
	bool has_nonce;

	if (!known || !parse_request(request, request_len, &one, &id, &nonce, &has_nonce) ||
		!ocsp_response_parse(data, len, &response, &why) ||
		response.status != OCSP_SUCCESSFUL)
		return OCSP_UNPROVEN;
	for (size_t i = 0; i < known->n; i++)
		if (has_key(&id, known->v[i]))
			return ocsp_is_by(&response, cert_x509(known->v[i])) ? OCSP_PROVEN
									     : OCSP_FALSE;
	return OCSP_UNPROVEN;
}

const char *
ocsp_fit_name(enum ocsp_fit fit)
{
	static const char *const names[] = {
		[OCSP_FITS] = "fits",
		[OCSP_REPLAYED] = "replayed",
		[OCSP_OTHER] = "other",
		[OCSP_STALE] = "stale",
		[OCSP_LATER] = "later",
		[OCSP_REFUSED] = "refused",
		[OCSP_MALFORMED] = "malformed",
	};

	return names[fit];
}
