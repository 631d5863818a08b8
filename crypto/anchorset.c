/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/anchorset.h"

#include "crypto/openssl_glue.h"
#include "crypto/trust_rules.h"
#include "message/addr.h"

#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

#define MAX_TRIES 32 /* signatures that are checked to find out who vouches for one */

static void
anchor_fini(struct anchor *anchor)
{
	size_t i;

	for (i = 0; i < anchor->n; i++)
		free(anchor->domains[i]);
	free(anchor->domains);
	if (anchor->rules)
		trust_rules_fini(anchor->rules);
	free(anchor->rules);
	cert_unref(&anchor->cert);
}

void
anchorset_fini(struct anchorset *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		anchor_fini(&set->v[i]);
	free(set->v);
	*set = (struct anchorset){0};
}

static enum rc
copy_domains(struct anchor *anchor, const char *const *domains, size_t n, struct err *err)
{
	size_t i;

	if (!n)
		return RC_OK;
	anchor->domains = calloc(n, sizeof(*anchor->domains));
	if (!anchor->domains)
		return err_set(err, ERR_MEMORY, "trust anchor");
	for (i = 0; i < n; i++) {
		anchor->domains[i] = strdup(domains[i]);
		if (!anchor->domains[i])
			return err_set(err, ERR_MEMORY, "trust anchor");
		anchor->n++;
	}
	return RC_OK;
}

static const X509_NAME *
subject_of(const struct anchor *anchor)
{
	return X509_get_subject_name(cert_x509(anchor->cert)); /* get0 */
}

size_t
anchorset_first(const struct anchorset *set, const X509_NAME *name)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (X509_NAME_cmp(subject_of(&set->v[mid]), name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

enum rc
anchorset_add(struct anchorset *set, struct cert *cert, const char *const *domains, size_t n,
	struct trust_rules **rules, struct err *err)
{
	struct anchor anchor = {.cert = cert_ref(cert)}, *grown;
	enum rc rc = copy_domains(&anchor, domains, n, err);
	size_t at;

	if (rc == RC_OK && set->n >= ANCHORSET_MAX)
		rc = err_set(err, ERR_LIMIT, "more than %d trust anchors", ANCHORSET_MAX);
	if (rc == RC_OK) {
		grown = realloc(set->v, (set->n + 1) * sizeof(*grown));
		if (grown)
			set->v = grown;
		else
			rc = err_set(err, ERR_MEMORY, "trust anchor");
	}
	if (rc != RC_OK) {
		anchor_fini(&anchor);
		return rc;
	}
	at = anchorset_first(set, subject_of(&anchor));
	memmove(&set->v[at + 1], &set->v[at], (set->n - at) * sizeof(*set->v));
	set->v[at] = anchor;
	set->v[at].rules = *rules;
	*rules = NULL; /* the set's now */
	set->n++;
	return RC_OK;
}

const struct anchor *
anchorset_named(const struct anchorset *set, size_t i, const X509_NAME *name)
{
	return i < set->n && X509_NAME_cmp(subject_of(&set->v[i]), name) == 0 ? &set->v[i] : NULL;
}

bool
anchor_speaks_for(const struct anchor *anchor, const char *addr)
{
	const char *domain = addr ? addr_domain(addr) : NULL;

	return !addr || !anchor->n ||
	       (domain && addr_domain_in(domain, (const char *const *)anchor->domains, anchor->n));
}

static const X509_NAME *
name_at(const struct issuerset *set, size_t i)
{
	return X509_get_subject_name(cert_x509(set->v[i])); /* get0 */
}

size_t
issuerset_first(const struct issuerset *set, const X509_NAME *name)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (X509_NAME_cmp(name_at(set, mid), name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
issuerset_named(const struct issuerset *set, size_t i, const X509_NAME *name)
{
	return i < set->n && X509_NAME_cmp(name_at(set, i), name) == 0;
}

static bool
is_signed_by(X509 *x509, X509 *issuer, size_t *tries)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer); /* get0 */
	bool is = (*tries)++ < MAX_TRIES && key && X509_check_issued(issuer, x509) == X509_V_OK &&
		  X509_verify(x509, key) == 1;

	ossl_clear();
	return is;
}

bool
issuerset_vouches(
	const struct issuerset *set, const struct anchorset *anchors, const struct cert *cert)
{
	X509 *x509 = cert_x509(cert);
	const X509_NAME *name = X509_get_issuer_name(x509); /* get0 */
	const struct anchor *anchor;
	size_t tries = 0, i;

	for (i = anchorset_first(anchors, name); (anchor = anchorset_named(anchors, i, name)); i++)
		if (is_signed_by(x509, cert_x509(anchor->cert), &tries))
			return true;
	for (i = issuerset_first(set, name); issuerset_named(set, i, name); i++)
		if (is_signed_by(x509, cert_x509(set->v[i]), &tries))
			return true;
	return false;
}

enum rc
issuerset_add(struct issuerset *set, struct cert *cert, struct err *err)
{
	const X509_NAME *name = X509_get_subject_name(cert_x509(cert)); /* get0 */
	size_t at = issuerset_first(set, name), i;
	struct cert **grown;

	for (i = at; issuerset_named(set, i, name); i++)
		if (memcmp(cert_sha256(set->v[i]), cert_sha256(cert), SHA256_SIZE) == 0)
			return RC_OK;
	if (set->n >= ISSUERSET_MAX)
		return err_set(err, ERR_LIMIT, "more than %d intermediates", ISSUERSET_MAX);
	if (set->n == set->cap) {
		grown = realloc(set->v, (set->cap ? 2 * set->cap : 16) * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_MEMORY, "intermediates");
		set->v = grown;
		set->cap = set->cap ? 2 * set->cap : 16;
	}
	memmove(&set->v[at + 1], &set->v[at], (set->n - at) * sizeof(*set->v));
	set->v[at] = cert_ref(cert);
	set->n++;
	return RC_OK;
}

void
issuerset_fini(struct issuerset *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		cert_unref(&set->v[i]);
	free(set->v);
	*set = (struct issuerset){0};
}
