/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/path_build.h"

#include "crypto/openssl_glue.h"

#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

/* Who may have issued the certificate at hand. */
struct candidate {
	X509 *x509;
	const struct anchor *anchor; /* NULL: an intermediate */
	unsigned rank;               /* the higher the better */
	time_t from;                 /* of two of a rank the newer one comes first */
};

struct candidates {
	struct candidate *v; /* owned */
	size_t n, cap;
	size_t named; /* of the issuer's name, fitting or not */
};

/* What is known of "did ISSUER's key sign CERT". */
struct memo {
	const X509 *cert, *issuer;
	bool is;
};

struct build {
	const struct path_request *request;
	struct path_search *search;
	struct path_chain chain;
	struct memo memo[PATH_MAX_SIGNATURES];
	size_t n_memo;
	bool done;
};

static time_t
time_of(const ASN1_TIME *from)
{
	struct tm tm;

	return from && ASN1_TIME_to_tm(from, &tm) ? timegm(&tm) : 0;
}

static bool
is_valid_at(X509 *x509, int64_t at)
{
	time_t when = (time_t)at;

	return X509_cmp_time(X509_get0_notBefore(x509), &when) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(x509), &when) > 0;
}

static unsigned
rank_of(const struct build *b, X509 *x509, const struct anchor *anchor)
{
	bool ca = X509_get_extension_flags(x509) & EXFLAG_CA;
	bool signs = X509_get_key_usage(x509) & KU_KEY_CERT_SIGN; /* all bits without one */
	/* Of an anchor that is there twice, the one without a limit, when nobody is meant. */
	bool speaks = anchor && (b->request->addr ? anchor_speaks_for(anchor, b->request->addr)
						  : anchor->n == 0);

	return is_valid_at(x509, b->request->path_at) * 16u + speaks * 8u + (anchor != NULL) * 4u +
	       (ca && signs) * 2u + (X509_get0_subject_key_id(x509) != NULL);
}

static bool
may_end_at(const struct path_request *request, const struct anchor *anchor)
{
	return !request->only || X509_cmp(cert_x509(anchor->cert), request->only) == 0;
}

static enum rc
add(struct build *b, struct candidates *set, X509 *x509, const struct anchor *anchor,
	struct err *err)
{
	X509 *top = b->chain.v[b->chain.n - 1];
	struct candidate *grown;
	size_t i;
	int fit;

	set->named++;
	fit = X509_check_issued(x509, top);
	/* One that may not sign is followed as well: that is the reason then. */
	if (fit != X509_V_OK && fit != X509_V_ERR_KEYUSAGE_NO_CERTSIGN)
		return RC_OK;
	for (i = 0; !anchor && i < set->n; i++) /* it lies at several places */
		if (!set->v[i].anchor && X509_cmp(set->v[i].x509, x509) == 0)
			return RC_OK;
	if (set->n == set->cap) {
		set->cap = set->cap ? 2 * set->cap : 4;
		grown = realloc(set->v, set->cap * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_MEMORY, "building a path");
		set->v = grown;
	}
	set->v[set->n++] = (struct candidate){.x509 = x509,
		.anchor = anchor,
		.rank = rank_of(b, x509, anchor),
		.from = time_of(X509_get0_notBefore(x509))};
	return RC_OK;
}

static int
compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return (x->from < y->from) - (x->from > y->from);
}

/* All that may have issued the last one of the path, best first. */
static enum rc
gather(struct build *b, struct candidates *set, struct err *err)
{
	const X509_NAME *name = X509_get_issuer_name(b->chain.v[b->chain.n - 1]); /* get0 */
	const struct path_request *r = b->request;
	const struct anchor *anchor;
	enum rc rc = RC_OK;
	size_t i;

	for (i = anchorset_first(r->anchors, name);
		rc == RC_OK && (anchor = anchorset_named(r->anchors, i, name)); i++)
		if (may_end_at(r, anchor))
			rc = add(b, set, cert_x509(anchor->cert), anchor, err);
	for (i = issuerset_first(r->intermediates, name);
		rc == RC_OK && issuerset_named(r->intermediates, i, name); i++)
		rc = add(b, set, cert_x509(r->intermediates->v[i]), NULL, err);
	for (i = 0; rc == RC_OK && r->extra && i < r->extra->n; i++) {
		X509 *x509 = cert_x509(r->extra->v[i]);

		if (X509_NAME_cmp(X509_get_subject_name(x509), name) == 0)
			rc = add(b, set, x509, NULL, err);
	}
	if (set->n > 1)
		qsort(set->v, set->n, sizeof(*set->v), compare);
	return rc;
}

/* Only one certificate, be it as an anchor and as an intermediate. */
static bool
is_one(const struct candidates *set)
{
	size_t i;

	for (i = 1; i < set->n; i++)
		if (X509_cmp(set->v[i].x509, set->v[0].x509) != 0)
			return false;
	return true;
}

static bool
is_exhausted(struct build *b, bool limit)
{
	if (limit && !b->search->exhausted) {
		b->search->exhausted = true;
		b->search->crowded = b->chain.v[b->chain.n - 1];
	}
	b->done = b->done || limit;
	return limit;
}

static bool
is_signed_by(struct build *b, X509 *cert, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer); /* get0 */
	size_t i;

	for (i = 0; i < b->n_memo; i++)
		if (b->memo[i].cert == cert && b->memo[i].issuer == issuer)
			return b->memo[i].is;
	if (is_exhausted(b, b->search->signatures >= PATH_MAX_SIGNATURES ||
				    !effort_signature(b->request->effort, key)))
		return false;
	b->search->signatures++;
	b->memo[b->n_memo] = (struct memo){cert, issuer, key && X509_verify(cert, key) == 1};
	ossl_clear();
	return b->memo[b->n_memo++].is;
}

/* The same name with the same key, further down? */
static bool
is_on_path(const struct build *b, X509 *x509)
{
	EVP_PKEY *key = X509_get0_pubkey(x509); /* get0 */
	int i;

	for (i = 0; i < b->chain.n; i++) {
		EVP_PKEY *other = X509_get0_pubkey(b->chain.v[i]); /* get0 */

		if (b->chain.v[i] == x509)
			return true;
		if (X509_NAME_cmp(X509_get_subject_name(b->chain.v[i]),
			    X509_get_subject_name(x509)) == 0 &&
			key && other && EVP_PKEY_eq(key, other) == 1)
			return true;
	}
	return false;
}

static void
note_end(struct build *b, enum path_end_kind kind)
{
	if (b->search->n_ends < PATH_MAX_ENDS)
		b->search->ends[b->search->n_ends++] =
			(struct path_end){kind, b->chain.v[b->chain.n - 1], b->chain.n};
}

/* Has the message work left for this path, and the signatures on it? */
static bool
is_affordable(const struct build *b)
{
	struct effort *effort = b->request->effort;
	bool is = effort_path(effort);
	int i;

	for (i = 1; is && i < b->chain.n; i++)
		is = effort_signature(effort, X509_get0_pubkey(b->chain.v[i])); /* get0 */
	return is;
}

static enum rc
complete(struct build *b, const struct anchor *anchor, struct err *err)
{
	unsigned cost = (unsigned)b->chain.n - 1; /* signatures that will be checked */
	bool enough = false;
	enum rc rc;

	if (is_exhausted(b, b->search->tries == PATH_MAX_TRIES ||
				    b->search->signatures + cost > PATH_MAX_SIGNATURES ||
				    !is_affordable(b)))
		return RC_OK;
	b->search->tries++;
	b->search->signatures += cost;
	b->chain.anchor = anchor;
	rc = b->search->try(b->search->ctx, &b->chain, &enough, err);
	b->done = b->done || enough;
	return rc;
}

static enum rc climb(struct build *b, struct err *err);

/* Goes on with one candidate. *FOLLOWED: it was one. */
static enum rc
follow(struct build *b, const struct candidate *c, bool alone, bool *followed, bool *circle,
	struct err *err)
{
	X509 *top = b->chain.v[b->chain.n - 1];
	enum rc rc;

	if (is_exhausted(b, b->search->steps == PATH_MAX_STEPS || !effort_step(b->request->effort)))
		return RC_OK;
	b->search->steps++;
	if (is_on_path(b, c->x509)) {
		*circle = true;
		return RC_OK;
	}
	if (!alone && !is_signed_by(b, top, c->x509))
		return RC_OK;
	*followed = true;
	if (b->chain.n == PATH_MAX_CERTS) {
		note_end(b, PATH_END_LONG);
		return RC_OK;
	}
	b->chain.v[b->chain.n++] = c->x509;
	rc = c->anchor ? complete(b, c->anchor, err) : climb(b, err);
	b->chain.n--;
	return rc;
}

/* From the last one of the path upwards. */
static enum rc
climb(struct build *b, struct err *err)
{
	X509 *top = b->chain.v[b->chain.n - 1];
	struct candidates set = {NULL, 0, 0, 0};
	bool followed = false, circle = false, alone;
	enum rc rc;
	size_t i;

	if (X509_get_extension_flags(top) & EXFLAG_SS) {
		note_end(b, PATH_END_UNTRUSTED);
		return RC_OK;
	}
	rc = gather(b, &set, err);
	alone = is_one(&set);
	for (i = 0; rc == RC_OK && !b->done && i < set.n; i++)
		rc = follow(b, &set.v[i], alone, &followed, &circle, err);
	if (rc == RC_OK && !followed && !b->search->exhausted)
		note_end(b, circle      ? PATH_END_CIRCLE
			    : set.named ? PATH_END_FORGED
					: PATH_END_UNKNOWN);
	free(set.v);
	return rc;
}

enum rc
path_build(const struct path_request *request, struct path_search *search, struct err *err)
{
	struct build *b = calloc(1, sizeof(*b));
	const X509_NAME *name = X509_get_subject_name(request->leaf); /* get0 */
	const struct anchor *anchor;
	enum rc rc = RC_OK;
	size_t i;

	if (!b)
		return err_set(err, ERR_MEMORY, "building a path");
	b->request = request;
	b->search = search;
	b->chain.v[b->chain.n++] = request->leaf;
	/* A leaf that is an anchor itself. */
	for (i = anchorset_first(request->anchors, name);
		rc == RC_OK && !b->done && (anchor = anchorset_named(request->anchors, i, name));
		i++)
		if (may_end_at(request, anchor) &&
			X509_cmp(cert_x509(anchor->cert), request->leaf) == 0)
			rc = complete(b, anchor, err);
	if (rc == RC_OK && !b->done)
		rc = climb(b, err);
	free(b);
	return rc;
}
