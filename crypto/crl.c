/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/crl.h"

#include "crypto/openssl_glue.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUCKETS  1024
#define MAX_CRLS 100000
#define MEMOS    4

struct crl {
	X509_CRL *crl;       /* owned */
	int64_t from, until; /* thisUpdate, nextUpdate (INT64_MAX: none) */
	bool plain;          /* complete, of one issuer, nothing critical that we don't know */
	struct crl *next;    /* in its bucket */
	struct crl *next_indirect;
	struct {
		X509 *issuer; /* owned reference, so that the pointer stands for it */
		bool good;    /* the issuer's key verifies the list */
	} memo[MEMOS];
	unsigned memos; /* ever written */
};

struct crl_index {
	struct crl *bucket[BUCKETS];
	struct crl *indirect; /* lists that may speak for other issuers */
	size_t n;
	pthread_mutex_t lock; /* of the memos */
};

enum rc
crl_index_new(struct crl_index **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "revocation lists");
	pthread_mutex_init(&(*out)->lock, NULL);
	return RC_OK;
}

static void
crl_free(struct crl *crl)
{
	size_t i;

	for (i = 0; i < MEMOS; i++)
		X509_free(crl->memo[i].issuer);
	X509_CRL_free(crl->crl);
	free(crl);
}

void
crl_index_free(struct crl_index **index)
{
	struct crl_index *gone = *index;
	struct crl *crl;
	size_t i;

	*index = NULL;
	if (!gone)
		return;
	for (i = 0; i < BUCKETS; i++)
		while ((crl = gone->bucket[i])) {
			gone->bucket[i] = crl->next;
			crl_free(crl);
		}
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

/* Names that OpenSSL compares as equal have equal hashes. */
static size_t
bucket_of(const X509_NAME *name)
{
	int ok = 0;
	unsigned long hash = X509_NAME_hash_ex(name, NULL, NULL, &ok);

	return ok ? hash % BUCKETS : 0;
}

static int64_t
seconds(const ASN1_TIME *at, int64_t otherwise)
{
	struct tm tm;

	return at && ASN1_TIME_to_tm(at, &tm) ? (int64_t)timegm(&tm) : otherwise;
}

/* An extension of an entry that changes what the entry means. */
static bool
entry_is_special(const X509_REVOKED *entry)
{
	int i;

	for (i = 0; i < X509_REVOKED_get_ext_count(entry); i++) {
		X509_EXTENSION *ext = X509_REVOKED_get_ext(entry, i); /* get0 */

		if (X509_EXTENSION_get_critical(ext) ||
			OBJ_obj2nid(X509_EXTENSION_get_object(ext)) == NID_certificate_issuer)
			return true;
	}
	return false;
}

static bool
list_is_plain(X509_CRL *list)
{
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list); /* get0 */
	int i;

	for (i = 0; i < X509_CRL_get_ext_count(list); i++) {
		X509_EXTENSION *ext = X509_CRL_get_ext(list, i); /* get0 */
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(ext));

		if (nid == NID_issuing_distribution_point || nid == NID_delta_crl ||
			(X509_EXTENSION_get_critical(ext) && nid != NID_authority_key_identifier))
			return false;
	}
	for (i = 0; i < sk_X509_REVOKED_num(entries); i++)
		if (entry_is_special(sk_X509_REVOKED_value(entries, i)))
			return false;
	return true;
}

static bool
list_is_indirect(X509_CRL *list)
{
	ISSUING_DIST_POINT *idp =
		X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, NULL, NULL);
	bool indirect = idp && idp->indirectCRL > 0;

	ISSUING_DIST_POINT_free(idp);
	ossl_clear();
	return indirect;
}

/* Sorts the entries now: OpenSSL does it at the first look-up, 80 ms for 200,000 of them. */
static void
sort_entries(X509_CRL *list)
{
	ASN1_INTEGER *none = ASN1_INTEGER_new();
	X509_REVOKED *entry;

	if (none)
		(void)X509_CRL_get0_by_serial(list, &entry, none);
	ASN1_INTEGER_free(none);
}

/* Takes *LIST over in any case. */
static enum rc
add_list(struct crl_index *index, X509_CRL *list, struct err *err)
{
	struct crl *crl = NULL;
	size_t b;

	if (index->n >= MAX_CRLS) {
		X509_CRL_free(list);
		return err_set(err, ERR_LIMIT, "more than %d revocation lists", MAX_CRLS);
	}
	crl = calloc(1, sizeof(*crl));
	if (!crl) {
		X509_CRL_free(list);
		return err_set(err, ERR_MEMORY, "revocation list");
	}
	crl->crl = list;
	crl->from = seconds(X509_CRL_get0_lastUpdate(list), INT64_MAX);
	crl->until = seconds(X509_CRL_get0_nextUpdate(list), INT64_MAX);
	crl->plain = list_is_plain(list);
	sort_entries(list);
	b = bucket_of(X509_CRL_get_issuer(list));
	crl->next = index->bucket[b];
	index->bucket[b] = crl;
	if (!crl->plain && list_is_indirect(list)) {
		crl->next_indirect = index->indirect;
		index->indirect = crl;
	}
	index->n++;
	return RC_OK;
}

static enum rc
add_der(struct crl_index *index, const void *der, size_t len, struct err *err)
{
	const unsigned char *p = der;
	X509_CRL *list = d2i_X509_CRL(NULL, &p, (long)len);

	if (!list)
		return ossl_err(err, ERR_CRL_MALFORMED, "it is no revocation list");
	if (p != (const unsigned char *)der + len) {
		X509_CRL_free(list);
		return err_set(err, ERR_CRL_MALFORMED,
			"there are bytes after the end of a revocation list");
	}
	return add_list(index, list, err);
}

static enum rc
add_pem(struct crl_index *index, const void *data, size_t len, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	enum rc rc = RC_OK;
	size_t found = 0;

	if (!bio)
		return ossl_err(err, ERR_MEMORY, "revocation list");
	while (rc == RC_OK) {
		char *name = NULL, *header = NULL;
		unsigned char *der = NULL;
		long n = 0;

		if (!PEM_read_bio(bio, &name, &header, &der, &n)) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
				rc = ossl_err(err, ERR_CRL_MALFORMED, "damaged PEM");
			break;
		}
		if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
			rc = add_der(index, der, (size_t)n, err);
			found++;
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n); /* it may have been a key */
	}
	BIO_free(bio);
	ossl_clear();
	if (rc == RC_OK && !found)
		rc = err_set(err, ERR_CRL_MALFORMED, "a PEM file without a revocation list");
	return rc;
}

enum rc
crl_index_add(struct crl_index *index, const void *data, size_t len, struct err *err)
{
	static const char begin[] = "-----BEGIN ";

	if (len > INT32_MAX)
		return err_set(err, ERR_LIMIT, "a revocation list of %zu bytes", len);
	if (memmem(data, len < 65536 ? len : 65536, begin, sizeof(begin) - 1))
		return add_pem(index, data, len, err);
	return add_der(index, data, len, err);
}

/* -1: not asked before. The lock is held. */
static int
memo_find(const struct crl *crl, const X509 *issuer)
{
	size_t i;

	for (i = 0; i < MEMOS; i++)
		if (crl->memo[i].issuer && (crl->memo[i].issuer == issuer ||
						   X509_cmp(crl->memo[i].issuer, issuer) == 0))
			return crl->memo[i].good;
	return -1;
}

/* Did ISSUER sign this list, and may it? The signature, over megabytes perhaps, is checked once. */
static bool
is_signed_by(struct crl_index *index, struct crl *crl, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer); /* get0 */
	int good;

	if (!(X509_get_key_usage(issuer) & KU_CRL_SIGN))
		return false;
	pthread_mutex_lock(&index->lock);
	good = memo_find(crl, issuer);
	pthread_mutex_unlock(&index->lock);
	if (good >= 0)
		return good;
	good = key && X509_CRL_verify(crl->crl, key) == 1;
	ossl_clear();
	pthread_mutex_lock(&index->lock);
	if (memo_find(crl, issuer) < 0 && X509_up_ref(issuer)) {
		unsigned i = crl->memos++ % MEMOS;

		X509_free(crl->memo[i].issuer);
		crl->memo[i].issuer = issuer;
		crl->memo[i].good = good;
	}
	pthread_mutex_unlock(&index->lock);
	return good;
}

enum crl_state
crl_index_check(struct crl_index *index, X509 *subject, X509 *issuer, int64_t at, int64_t *when)
{
	X509_NAME *name = X509_get_issuer_name(subject); /* get0 */
	struct crl *crl, *best = NULL;
	X509_REVOKED *entry;
	bool any = false;

	for (crl = index->bucket[bucket_of(name)]; crl; crl = crl->next) {
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl->crl), name) != 0)
			continue;
		any = true;
		if (!crl->plain)
			return CRL_COMPLEX;
		if (crl->from <= at && (!best || crl->from > best->from) &&
			is_signed_by(index, crl, issuer))
			best = crl;
	}
	if (!best)
		return any || index->indirect ? CRL_COMPLEX : CRL_NONE;
	/* 2 is removeFromCRL, which has no meaning in a complete list. An expired list still says
	 * who was revoked. */
	if (X509_CRL_get0_by_serial(best->crl, &entry, X509_get0_serialNumber(subject)) == 1) {
		*when = seconds(X509_REVOKED_get0_revocationDate(entry), 0);
		return CRL_REVOKED;
	}
	return best->until >= at ? CRL_GOOD : CRL_COMPLEX;
}

/* Pushes a new reference. */
static bool
push(STACK_OF(X509_CRL) * stack, X509_CRL *list)
{
	if (!X509_CRL_up_ref(list))
		return false;
	if (sk_X509_CRL_push(stack, list))
		return true;
	X509_CRL_free(list);
	return false;
}

STACK_OF(X509_CRL) * crl_index_lookup(const struct crl_index *index, const X509_NAME *issuer)
{
	STACK_OF(X509_CRL) *found = sk_X509_CRL_new_null();
	const struct crl *crl;
	bool ok = found != NULL;

	for (crl = index->bucket[bucket_of(issuer)]; ok && crl; crl = crl->next)
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl->crl), issuer) == 0)
			ok = push(found, crl->crl);
	for (crl = index->indirect; ok && crl; crl = crl->next_indirect)
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl->crl), issuer) != 0)
			ok = push(found, crl->crl);
	if (ok)
		return found;
	sk_X509_CRL_pop_free(found, X509_CRL_free);
	return NULL;
}
