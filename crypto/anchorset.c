/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/anchorset.h"

#include "crypto/openssl_glue.h"
#include "message/addr.h"

#include <stdlib.h>
#include <string.h>

static void
anchor_fini(struct anchor *anchor)
{
	size_t i;

	for (i = 0; i < anchor->n; i++)
		free(anchor->domains[i]);
	free(anchor->domains);
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

/* Index of the first anchor whose subject is not before NAME. */
static size_t
first_of(const struct anchorset *set, const X509_NAME *name)
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
	struct err *err)
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
	at = first_of(set, subject_of(&anchor));
	memmove(&set->v[at + 1], &set->v[at], (set->n - at) * sizeof(*set->v));
	set->v[at] = anchor;
	set->n++;
	set->scoped = set->scoped || n;
	return RC_OK;
}

/* One question under way. */
struct picking {
	const struct anchorset *set;
	const char *domain; /* NULL: of no address */
	bool any;           /* scope does not matter */
	STACK_OF(X509) * picked;
	bool passed_over;
};

static bool
may_speak(const struct picking *p, const struct anchor *anchor)
{
	return p->any || !anchor->n ||
	       (p->domain &&
		       addr_domain_in(p->domain, (const char *const *)anchor->domains, anchor->n));
}

/* Picks the anchors called NAME; false: no memory. */
static bool
pick(struct picking *p, const X509_NAME *name)
{
	size_t i;

	for (i = first_of(p->set, name);
		i < p->set->n && X509_NAME_cmp(subject_of(&p->set->v[i]), name) == 0; i++) {
		X509 *x509 = cert_x509(p->set->v[i].cert); /* get0 */

		if (!may_speak(p, &p->set->v[i]))
			p->passed_over = true;
		else if (sk_X509_find(p->picked, x509) < 0 && !sk_X509_push(p->picked, x509))
			return false;
	}
	return true;
}

STACK_OF(X509) * anchorset_for(const struct anchorset *set, X509 *leaf,
			 const STACK_OF(X509) * untrusted, const char *addr, bool *passed_over)
{
	struct picking p = {
		.set = set,
		.domain = addr ? addr_domain(addr) : NULL,
		.any = !addr || !set->scoped,
		.picked = sk_X509_new_null(),
	};
	bool ok = p.picked && pick(&p, X509_get_issuer_name(leaf)) &&
		  pick(&p, X509_get_subject_name(leaf)); /* a leaf that is an anchor itself */
	int i;

	for (i = 0; ok && i < sk_X509_num(untrusted); i++)
		ok = pick(&p, X509_get_issuer_name(sk_X509_value(untrusted, i)));
	*passed_over = p.passed_over;
	if (ok)
		return p.picked;
	sk_X509_free(p.picked);
	return NULL;
}
