/* SPDX-License-Identifier: BSD-2-Clause */
/* What of fetched.h is about revocation lists. */
#include "crypto/fetched.h"

#include "crypto/openssl_glue.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string.h>

#define LISTS_MAX 64 /* lists in one PEM file */
#define TRIES_MAX 16 /* keys of one name that are tried */

/* -1: none, or one that makes no sense. */
static int64_t
time_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : -1;
}

/* The lists of a file; NULL and why. At least one. */
static STACK_OF(X509_CRL) * read_lists(const void *data, size_t len, struct err *err)
{
	STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
	const unsigned char *p = data;
	X509_CRL *crl = lists ? d2i_X509_CRL(NULL, &p, (long)len) : NULL;
	BIO *bio = NULL;

	if (crl && p != (const unsigned char *)data + len) {
		X509_CRL_free(crl);
		crl = NULL;
	} else if (!crl) {
		bio = BIO_new_mem_buf(data, (int)len);
		crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
	}
	while (crl && sk_X509_CRL_num(lists) < LISTS_MAX && sk_X509_CRL_push(lists, crl) > 0)
		crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
	X509_CRL_free(crl); /* one too many */
	BIO_free(bio);
	ossl_clear();
	if (lists && sk_X509_CRL_num(lists) > 0)
		return lists;
	sk_X509_CRL_free(lists);
	err_set(err, ERR_FETCH_ANSWER, "it is no revocation list");
	return NULL;
}

/* crlNumber, or NULL; to be freed. */
static ASN1_INTEGER *
number_of(const X509_CRL *crl)
{
	return X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
}

/*
 * Is FRESH a successor of OLD, both of one issuer? The date decides, as it does for whoever uses
 * the lists, and the number only between two of one date: nobody has looked at the signature of
 * OLD, and a forged list with the largest of all numbers would stay for ever.
 */
static enum rc
check_order(const X509_CRL *fresh, const X509_CRL *old, struct err *err)
{
	ASN1_INTEGER *a = number_of(fresh), *b = number_of(old);
	enum rc rc = RC_OK;
	int64_t fresh_at = time_of(X509_CRL_get0_lastUpdate(fresh));
	int64_t old_at = time_of(X509_CRL_get0_lastUpdate(old));

	if (fresh_at < old_at)
		rc = err_set(err, ERR_FETCH_ANSWER, "the list is older than the one there");
	else if (fresh_at == old_at && a && b && ASN1_INTEGER_cmp(a, b) < 0)
		rc = err_set(
			err, ERR_FETCH_ANSWER, "the list has a smaller number than the one there");
	ASN1_INTEGER_free(a);
	ASN1_INTEGER_free(b);
	return rc;
}

/* The list of FILE that FRESH would replace: the one of its issuer. */
static const X509_CRL *
find_issuer(const STACK_OF(X509_CRL) * file, const X509_CRL *fresh)
{
	for (int i = 0; i < sk_X509_CRL_num(file); i++)
		if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(file, i)),
			    X509_CRL_get_issuer(fresh)) == 0)
			return sk_X509_CRL_value(file, i);
	return NULL;
}

/* Each list that is there and still good must be replaced by a later one. */
static enum rc
check_against(const STACK_OF(X509_CRL) * fresh, const STACK_OF(X509_CRL) * there, int64_t now,
	struct err *err)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < sk_X509_CRL_num(there); i++) {
		const X509_CRL *one = sk_X509_CRL_value(there, i), *next = find_issuer(fresh, one);
		int64_t ends = time_of(X509_CRL_get0_nextUpdate(one));

		if (next)
			rc = check_order(next, one, err);
		else if (ends < 0 || ends > now)
			rc = err_set(err, ERR_FETCH_ANSWER,
				"the list is of another issuer than the one there");
	}
	return rc;
}

/* Did one of the KNOWN certificates of its issuer's name sign this list? */
static enum fetched_proof
proof_of(X509_CRL *crl, const struct certset *known)
{
	enum fetched_proof proof = FETCHED_UNPROVEN;
	size_t tries = 0;

	for (size_t i = 0; known && i < known->n && tries < TRIES_MAX; i++) {
		X509 *by = cert_x509(known->v[i]);
		EVP_PKEY *key = X509_get0_pubkey(by); /* get0 */

		if (X509_NAME_cmp(X509_get_subject_name(by), X509_CRL_get_issuer(crl)) != 0)
			continue;
		tries++;
		proof = FETCHED_DOUBTFUL;
		if (key && X509_get_key_usage(by) & KU_CRL_SIGN && X509_CRL_verify(crl, key) == 1)
			return FETCHED_PROVEN;
		ossl_clear();
	}
	return proof;
}

/* Of all of a file: as good as the worst. */
static enum fetched_proof
proof_of_all(const STACK_OF(X509_CRL) * lists, const struct certset *known)
{
	enum fetched_proof all = lists ? FETCHED_PROVEN : FETCHED_UNPROVEN;

	for (int i = 0; i < sk_X509_CRL_num(lists) && all != FETCHED_DOUBTFUL; i++) {
		enum fetched_proof one = proof_of(sk_X509_CRL_value(lists, i), known);

		if (one != FETCHED_PROVEN)
			all = one;
	}
	return all;
}

/* The dates of all, and that none is of the future. */
static enum rc
read_dates(const STACK_OF(X509_CRL) * lists, int64_t now, struct fetched *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < sk_X509_CRL_num(lists); i++) {
		const X509_CRL *crl = sk_X509_CRL_value(lists, i);
		int64_t begins = time_of(X509_CRL_get0_lastUpdate(crl));
		int64_t ends = time_of(X509_CRL_get0_nextUpdate(crl));

		if (begins < 0 || begins > now + FETCHED_SKEW)
			rc = err_set(err, ERR_FETCH_ANSWER, "the list begins in the future");
		if (begins > out->begins)
			out->begins = begins;
		if (ends >= 0 && (out->ends < 0 || ends < out->ends))
			out->ends = ends;
	}
	return rc;
}

/*
 * Whoever sits on the way of plain http can send a list of the right name and any date. Nobody here
 * knows for certain whom to believe, for a CA may have keys that this machine has not seen yet; but
 * what a known key of that CA signed never goes for what none of them did, and goes at once for
 * what one did, whatever dates the other has.
 */
static enum rc
weigh(const STACK_OF(X509_CRL) * fresh, const struct fetched_there *there, struct fetched *out,
	struct err *err)
{
	STACK_OF(X509_CRL) *old =
		there->old_len ? read_lists(there->old, there->old_len, NULL) : NULL;
	enum fetched_proof had = proof_of_all(old, there->known);
	enum rc rc = RC_OK;

	out->proof = proof_of_all(fresh, there->known);
	out->beside = out->proof == FETCHED_DOUBTFUL && had == FETCHED_PROVEN;
	if (!out->beside && !(out->proof == FETCHED_PROVEN && had != FETCHED_PROVEN))
		rc = check_against(fresh, old, there->now, err);
	sk_X509_CRL_pop_free(old, X509_CRL_free);
	return rc;
}

enum rc
fetched_crl(const void *data, size_t len, const struct fetched_there *there, struct fetched *out,
	struct err *err)
{
	STACK_OF(X509_CRL) * lists;
	enum rc rc;

	*out = (struct fetched){.begins = -1, .ends = -1};
	if (len == 0 || len > INT32_MAX)
		return err_set(err, ERR_FETCH_ANSWER, "it is empty");
	lists = read_lists(data, len, err);
	if (!lists)
		return err ? err_rc(err->code) : RC_TEMP;
	rc = read_dates(lists, there->now, out, err);
	if (rc == RC_OK)
		rc = weigh(lists, there, out, err);
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	if (rc == RC_OK) {
		out->data = (struct buf)BUF_INIT(len + 1);
		rc = buf_append(&out->data, data, len, err);
	}
	if (rc == RC_OK && len == there->old_len && memcmp(data, there->old, len) == 0)
		rc = RC_NONE;
	return rc;
}

enum rc
fetched_crl_urls(const struct fetched *crl, struct cert_urls *out, struct err *err)
{
	return cert_urls_of_crl(crl->data.data, crl->data.len, out, err);
}
