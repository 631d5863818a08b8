/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/fetched.h"

#include "crypto/openssl_glue.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string.h>

#define LISTS_MAX 64 /* lists in one PEM file */

void
fetched_fini(struct fetched *fetched)
{
	buf_fini(&fetched->data);
}

static enum rc
set_data(struct fetched *out, const void *data, size_t len, struct err *err)
{
	out->data = (struct buf)BUF_INIT(len + 1);
	return buf_append(&out->data, data, len, err);
}

/* -1: none, or one that makes no sense. */
static int64_t
time_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : -1;
}

/* --- lists --- */

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
check_against(const STACK_OF(X509_CRL) * fresh, const void *old, size_t old_len, int64_t now,
	struct err *err)
{
	STACK_OF(X509_CRL) *there = old_len ? read_lists(old, old_len, NULL) : NULL;
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
	sk_X509_CRL_pop_free(there, X509_CRL_free);
	return rc;
}

enum rc
fetched_crl(const void *data, size_t len, const void *old, size_t old_len, int64_t now,
	struct fetched *out, struct err *err)
{
	STACK_OF(X509_CRL) * lists;
	enum rc rc = RC_OK;

	*out = (struct fetched){.begins = -1, .ends = -1};
	if (len == 0 || len > INT32_MAX)
		return err_set(err, ERR_FETCH_ANSWER, "it is empty");
	lists = read_lists(data, len, err);
	if (!lists)
		return err ? err_rc(err->code) : RC_TEMP;
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
	if (rc == RC_OK)
		rc = check_against(lists, old, old_len, now, err);
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	if (rc == RC_OK)
		rc = set_data(out, data, len, err);
	if (rc == RC_OK && len == old_len && memcmp(data, old, len) == 0)
		rc = RC_NONE;
	return rc;
}

enum rc
fetched_crl_urls(const struct fetched *crl, struct cert_urls *out, struct err *err)
{
	return cert_urls_of_crl(crl->data.data, crl->data.len, out, err);
}

/* --- certificates --- */

enum rc
fetched_certs(const void *data, size_t len, const void *old, size_t old_len, int64_t now,
	struct fetched *out, struct err *err)
{
	struct certset all = {0};
	struct err why = ERR_INIT;
	size_t kept = 0;
	enum rc rc;

	*out = (struct fetched){.begins = now, .ends = -1, .data = BUF_INIT(4 * len + 4096)};
	rc = certset_parse(data, len, &all, &why);
	if (rc == RC_PERM || (rc == RC_OK && all.n == 0))
		rc = err_set(err, ERR_FETCH_ANSWER, "it is no certificate");
	else if (rc != RC_OK)
		rc = err_set(err, why.code, "%s", why.detail);
	for (size_t i = 0; rc == RC_OK && i < all.n; i++) {
		const unsigned char *der;
		size_t der_len;

		if (!cert_may_issue(all.v[i]) || cert_not_after(all.v[i]) <= now)
			continue;
		der = cert_der(all.v[i], &der_len);
		if (out->ends < 0 || cert_not_after(all.v[i]) < out->ends)
			out->ends = cert_not_after(all.v[i]);
		rc = all.n == 1 ? buf_append(&out->data, der, der_len, err)
				: cert_format_pem(all.v[i], &out->data, err);
		kept++;
	}
	if (rc == RC_OK && kept == 0)
		rc = err_set(err, ERR_FETCH_ANSWER, "it is no certificate of a CA that is valid");
	certset_fini(&all);
	if (rc == RC_OK && out->data.len == old_len && memcmp(out->data.data, old, old_len) == 0)
		rc = RC_NONE;
	return rc;
}

enum rc
fetched_issuer_urls(const struct fetched *certs, struct cert_urls *out, struct err *err)
{
	struct certset all = {0};
	enum rc rc = certset_parse(certs->data.data, certs->data.len, &all, err);

	*out = (struct cert_urls){0};
	for (size_t i = 0; rc == RC_OK && i < all.n && out->n < CERT_URLS_MAX; i++) {
		struct cert_urls urls = {0};

		rc = cert_urls_get(all.v[i], CERT_URL_ISSUER, &urls, err);
		for (size_t k = 0; k < urls.n && out->n < CERT_URLS_MAX; k++) {
			out->v[out->n++] = urls.v[k];
			urls.v[k] = NULL;
		}
		cert_urls_fini(&urls);
	}
	certset_fini(&all);
	return rc;
}

enum rc
fetched_append_pem(const char *label, const void *der, size_t len, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;
	enum rc rc;

	if (bio && PEM_write_bio(bio, label, "", der, (long)len) > 0)
		n = BIO_get_mem_data(bio, &text);
	rc = n > 0 ? buf_append(out, text, (size_t)n, err) : ossl_err(err, ERR_MEMORY, "PEM");
	BIO_free(bio);
	return rc;
}
