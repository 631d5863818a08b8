/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/crl.h"

#include "crypto/openssl_glue.h"

#include <stdlib.h>
#include <string.h>

/* All lists that somebody holds. */
#define BUCKETS 1024

static struct {
	pthread_mutex_t lock;
	struct crl *bucket[BUCKETS];
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct crl **
bucket_of(const unsigned char *sha256)
{
	return &known.bucket[(sha256[0] | sha256[1] << 8) % BUCKETS];
}

static void
crl_free(struct crl *crl)
{
	size_t i;

	for (i = 0; i < CRL_MEMOS; i++)
		X509_free(crl->memo[i].issuer);
	for (i = 0; i < crl->n_names; i++)
		X509_NAME_free(crl->names[i]);
	free(crl->names);
	free(crl->sorted);
	X509_NAME_free(crl->issuer);
	AUTHORITY_KEYID_free(crl->aki);
	ISSUING_DIST_POINT_free(crl->idp);
	free(crl->idp_der);
	free(crl->signature);
	free(crl->signed_bytes);
	serialset_free(&crl->entries);
	pthread_mutex_destroy(&crl->lock);
	free(crl);
}

/* One more holder. The table's lock is held. */
static void
take(struct crl *crl)
{
	atomic_fetch_add_explicit(&crl->refs, 1, memory_order_relaxed);
}

/* A new reference to the list with these bytes, or NULL. */
static struct crl *
find_known(const unsigned char *sha256)
{
	struct crl *crl;

	pthread_mutex_lock(&known.lock);
	for (crl = *bucket_of(sha256); crl; crl = crl->next)
		if (memcmp(crl->sha256, sha256, SHA256_SIZE) == 0)
			break;
	/* Still under the lock: a moment later it may be gone. */
	if (crl)
		take(crl);
	pthread_mutex_unlock(&known.lock);
	return crl;
}

/* Puts *CRL among the known ones; when another thread was faster, *CRL becomes that one. */
static void
make_known(struct crl **crl)
{
	struct crl *other = NULL, **bucket = bucket_of((*crl)->sha256);

	pthread_mutex_lock(&known.lock);
	for (other = *bucket; other; other = other->next)
		if (memcmp(other->sha256, (*crl)->sha256, SHA256_SIZE) == 0)
			break;
	if (other) {
		take(other);
	} else {
		(*crl)->next = *bucket;
		*bucket = *crl;
	}
	pthread_mutex_unlock(&known.lock);
	if (other) {
		crl_free(*crl);
		*crl = other;
	}
}

enum rc
crl_parse(const void *der, size_t len, struct crl **out, struct err *err)
{
	unsigned char sha256[DIGEST_MAX_SIZE];
	struct crl *crl;
	enum rc rc = digest_bytes(DIGEST_SHA256, der, len, sha256, err);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	*out = find_known(sha256);
	if (*out)
		return RC_OK;
	crl = calloc(1, sizeof(*crl));
	if (!crl)
		return err_set(err, ERR_MEMORY, "revocation list");
	atomic_init(&crl->refs, 1);
	pthread_mutex_init(&crl->lock, NULL);
	memcpy(crl->sha256, sha256, SHA256_SIZE);
	rc = crl_decode(der, len, crl, err);
	if (rc != RC_OK) {
		crl_free(crl);
		return rc;
	}
	make_known(&crl);
	*out = crl;
	return RC_OK;
}

void
crl_unref(struct crl **crl)
{
	struct crl *gone = *crl, **at;

	*crl = NULL;
	if (!gone)
		return;
	/* Under the table's lock, so that nobody finds a list that is on its way out. */
	pthread_mutex_lock(&known.lock);
	if (atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1) {
		pthread_mutex_unlock(&known.lock);
		return;
	}
	for (at = bucket_of(gone->sha256); *at; at = &(*at)->next)
		if (*at == gone) {
			*at = gone->next;
			break;
		}
	pthread_mutex_unlock(&known.lock);
	crl_free(gone);
}

/* -1: not asked before. The lock is held. */
static int
memo_find(const struct crl *crl, const X509 *issuer)
{
	size_t i;

	for (i = 0; i < CRL_MEMOS; i++)
		if (crl->memo[i].issuer && (crl->memo[i].issuer == issuer ||
						   X509_cmp(crl->memo[i].issuer, issuer) == 0))
			return crl->memo[i].good;
	return -1;
}

static bool
verify(const struct crl *crl, EVP_PKEY *key)
{
	const struct der signature = {crl->signature, crl->signature_len};
	const struct der bytes = {crl->signed_bytes, crl->signed_len};
	bool good;

	if (!key || !crl->supported || !signature_fits(&crl->scheme, key))
		return false;
	good = crl->scheme.family == FAMILY_ED25519
		       ? signature_verify_bytes(signature, bytes, key)
		       : signature_verify_digest(&crl->scheme, signature, crl->digest, key);
	ossl_clear();
	return good;
}

bool
crl_is_signed_by(struct crl *crl, X509 *issuer)
{
	unsigned refusals = ossl_refusals();
	int good;

	if (!(X509_get_key_usage(issuer) & KU_CRL_SIGN))
		return false;
	pthread_mutex_lock(&crl->lock);
	good = memo_find(crl, issuer);
	pthread_mutex_unlock(&crl->lock);
	if (good >= 0)
		return good;
	good = verify(crl, X509_get0_pubkey(issuer)); /* get0 */
	if (ossl_refusals() != refusals)
		return false; /* nobody knows: the caller looks at the refusals too */
	pthread_mutex_lock(&crl->lock);
	if (memo_find(crl, issuer) < 0 && X509_up_ref(issuer)) {
		unsigned i = crl->memos++ % CRL_MEMOS;

		X509_free(crl->memo[i].issuer);
		crl->memo[i].issuer = issuer;
		crl->memo[i].good = good;
	}
	pthread_mutex_unlock(&crl->lock);
	return good;
}

/* The first of the sorted names that is not before ISSUER. */
static size_t
first_name(const struct crl *crl, const X509_NAME *issuer)
{
	size_t low = 0, high = crl->n_names;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (X509_NAME_cmp(crl->names[crl->sorted[middle] - 1], issuer) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
crl_find(const struct crl *crl, const X509_NAME *issuer, const unsigned char *serial, size_t len,
	struct serialset_entry *entry)
{
	size_t i;

	if (X509_NAME_cmp(crl->issuer, issuer) == 0 &&
		serialset_find(crl->entries, serial, len, 0, entry))
		return true;
	/* Names that are equal may be written in several ways in one list. */
	for (i = first_name(crl, issuer); i < crl->n_names; i++) {
		if (X509_NAME_cmp(crl->names[crl->sorted[i] - 1], issuer) != 0)
			break;
		if (serialset_find(crl->entries, serial, len, crl->sorted[i], entry))
			return true;
	}
	return false;
}

int64_t
crl_until(const struct crl *crl)
{
	return crl->next_update == INT64_MAX ? crl->this_update + CRL_MAX_AGE : crl->next_update;
}

int
crl_number_cmp(const struct crl_number *a, const struct crl_number *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len ? memcmp(a->bytes, b->bytes, a->len) : 0;
}

size_t
crl_bytes(const struct crl *crl)
{
	return sizeof(*crl) + serialset_bytes(crl->entries) + crl->signed_len + crl->signature_len +
	       crl->idp_len + crl->n_names * (sizeof(*crl->names) + sizeof(*crl->sorted) + 512);
}
