/* SPDX-License-Identifier: BSD-2-Clause */
/* What of fetched.h is about OCSP. */
#include "crypto/fetched.h"

#include "crypto/ocsp.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

bool
fetched_is_request(const void *data, size_t len)
{
	static const unsigned char nonce[OCSP_NONCE_SIZE];
	struct buf ignored = BUF_INIT(OCSP_REQUEST_MAX + 256);
	bool is = ocsp_request_add_nonce(data, len, nonce, &ignored, NULL) == RC_OK;

	buf_fini(&ignored);
	return is;
}

enum rc
fetched_ask(
	const void *request, size_t len, enum fetched_nonce nonce, struct buf *out, struct err *err)
{
	unsigned char bytes[OCSP_NONCE_SIZE];

	if (!fetched_is_request(request, len))
		return err_set(err, ERR_FETCH_URL, "it is no OCSP request about one certificate");
	if (nonce == NONCE_OFF)
		return buf_append(out, request, len, err);
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_set(err, ERR_SYSTEM, "getrandom: %s", strerror(errno));
	return ocsp_request_add_nonce(request, len, bytes, out, err);
}

/* Is the answer OLDER than the one there, which may stay then? One that is signed goes in the place
 * of one that is not, whatever the date of that is. */
static bool
is_older(const struct fetched_answer *answer, enum ocsp_proof proof, int64_t begins)
{
	if (answer->old_len == 0 || begins >= answer->old_begins)
		return false;
	return proof != OCSP_PROVEN ||
	       ocsp_response_proof(answer->old, answer->old_len, answer->request,
		       answer->request_len, answer->known) == OCSP_PROVEN;
}

enum rc
fetched_ocsp(const struct fetched_answer *answer, const void *data, size_t len, int64_t now,
	struct fetched *out, struct err *err)
{
	struct ocsp_facts facts;
	enum ocsp_proof proof;
	enum rc rc;

	ocsp_response_fits(data, len, answer->request, answer->request_len, now, &facts);
	*out = (struct fetched){.begins = facts.this_update, .ends = facts.next_update};
	if (facts.fit != OCSP_FITS)
		return err_set(
			err, ERR_FETCH_ANSWER, "the OCSP answer does not fit: %s", facts.reason);
	if (answer->nonce == NONCE_REQUIRE && !facts.nonce_echoed)
		return err_set(err, ERR_FETCH_ANSWER, "the OCSP answer has no nonce");
	proof = ocsp_response_proof(data, len, answer->request, answer->request_len, answer->known);
	if (proof == OCSP_FALSE)
		return err_set(err, ERR_FETCH_ANSWER,
			"the OCSP answer is signed neither by the CA nor by a responder of it");
	if (is_older(answer, proof, facts.this_update))
		return err_set(
			err, ERR_FETCH_ANSWER, "the OCSP answer is older than the one there");
	out->data = (struct buf)BUF_INIT(len + 1);
	rc = buf_append(&out->data, data, len, err);
	return rc == RC_OK && len == answer->old_len && memcmp(data, answer->old, len) == 0
		       ? RC_NONE
		       : rc;
}
