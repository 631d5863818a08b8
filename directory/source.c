/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/source.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "message/addr.h"

/* The same certificate once more: what speaks for it stays. */
static void
merge(struct candidate *had, const struct candidate *more)
{
	had->proven |= more->proven;
	if (had->why[0] && !more->why[0]) { /* not in the entry that was wrong alone */
		had->why[0] = '\0';
		had->tier = more->tier;
		had->entry = more->entry;
		had->rank = more->rank;
	} else if (!more->why[0]) {
		had->tier = more->tier < had->tier ? more->tier : had->tier;
		if (more->rank < had->rank) {
			had->entry = more->entry;
			had->rank = more->rank;
		}
	}
	had->caps = smimecaps_newer(had->caps, more->caps);
}

enum rc
answer_take(struct answer *answer, const struct candidate *c, struct err *err)
{
	struct candidate *grown;
	char *name;

	for (size_t i = 0; i < answer->n; i++)
		if (memcmp(cert_sha256(answer->v[i].cert), cert_sha256(c->cert), SHA256_SIZE) ==
			0) {
			merge(&answer->v[i], c);
			return RC_OK;
		}
	if (answer->n == LOOKUP_MAX_CERTS)
		return err_set(err, ERR_DIR_ANSWER, "%s: more than %d certificates", c->source,
			LOOKUP_MAX_CERTS);
	grown = realloc(answer->v, (answer->n + 1) * sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_MEMORY, "candidates");
	answer->v = grown;
	if (!(name = strdup(c->source)))
		return err_set(err, ERR_MEMORY, "candidates");
	answer->v[answer->n] = *c;
	answer->v[answer->n].source = name;
	answer->v[answer->n++].cert = cert_ref(c->cert);
	return RC_OK;
}

enum rc
answer_add(struct answer *answer, struct cert *cert, const char *source, enum tier tier,
	bool proven, struct err *err)
{
	const struct candidate c = {
		.cert = cert, .source = (char *)(uintptr_t)source, .tier = tier, .proven = proven};

	return answer_take(answer, &c, err);
}

void
answer_prefer(struct answer *answer)
{
	for (size_t i = 0; answer->prefer && i < answer->n; i++)
		for (size_t k = 0; k < answer->n && !answer->v[i].why[0]; k++)
			if (answer->v[k].entry == answer->v[i].entry && !answer->v[k].why[0] &&
				answer->v[k].rank < answer->v[i].rank)
				snprintf(answer->v[i].why, sizeof(answer->v[i].why),
					"the entry has one in a preferred attribute");
}

void
candidates_free(struct candidate **v, size_t n)
{
	for (size_t i = 0; *v && i < n; i++) {
		cert_unref(&(*v)[i].cert);
		free((*v)[i].source);
	}
	free(*v);
	*v = NULL;
}

void
answer_fini(struct answer *answer)
{
	candidates_free(&answer->v, answer->n);
	answer->n = 0;
	certset_fini(&answer->extra);
}

bool
source_covers(const struct source *source, const char *addr)
{
	const char *domain = addr_domain(addr);

	if (source->n_domains == 0)
		return true;
	return domain &&
	       addr_domain_in(domain, (const char *const *)source->domains, source->n_domains);
}

void
source_free(struct source **source)
{
	if (!*source)
		return;
	if ((*source)->free)
		(*source)->free((*source)->ctx);
	for (size_t i = 0; i < (*source)->n_domains; i++)
		free((*source)->domains[i]);
	free((*source)->domains);
	free((*source)->name);
	free(*source);
	*source = NULL;
}

enum rc
source_share(const struct source *source, struct source **out, struct err *err)
{
	struct source *s = calloc(1, sizeof(*s));
	bool full = s && (s->name = strdup(source->name)) &&
		    (s->domains = calloc(source->n_domains + 1, sizeof(*s->domains)));

	for (size_t i = 0; full && i < source->n_domains; i++)
		if ((full = (s->domains[i] = strdup(source->domains[i])) != NULL))
			s->n_domains++;
	*out = NULL;
	if (!full) {
		source_free(&s);
		return err_set(err, ERR_MEMORY, "look-ups");
	}
	s->tier = source->tier;
	s->find = source->find;
	s->free = source->free;
	s->ref = source->ref;
	s->ctx = source->ref(source->ctx);
	*out = s;
	return RC_OK;
}

struct store_source {
	struct certstore *store; /* borrowed */
	int proof_months;
};

/*
 * An administrator's word is proof for good. What was learnt from a signature is proof for
 * some months after the last one.
 */
static bool
row_is_proven(const struct certrow *row, int proof_months)
{
	int64_t limit = clock_now() - (int64_t)proof_months * 30 * 86400;

	if (row->signed_at > 0 && row->signed_at >= limit)
		return true;
	return row->proven && strcmp(row->source, "harvest") != 0;
}

static enum rc
store_find(void *ctx, const char *addr, struct answer *answer, struct err *err)
{
	const struct store_source *source = ctx;
	struct certrow *rows;
	size_t n;
	enum rc rc = certstore_find(source->store, addr, &rows, &n, err);

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = answer_add(answer, rows[i].cert, "store", rows[i].tier,
			row_is_proven(&rows[i], source->proof_months), err);
	certrows_free(&rows, n);
	return rc;
}

enum rc
source_store_new(struct certstore *store, int proof_months, struct source **out, struct err *err)
{
	struct source *source = calloc(1, sizeof(*source));
	struct store_source *ctx = calloc(1, sizeof(*ctx));
	char *name = strdup("store");

	*out = NULL;
	if (!source || !ctx || !name) {
		free(source);
		free(ctx);
		free(name);
		return err_set(err, ERR_MEMORY, "certificate store");
	}
	*ctx = (struct store_source){.store = store, .proof_months = proof_months};
	*source = (struct source){
		.name = name,
		.tier = TIER_PINNED,
		.find = store_find,
		.free = free,
		.ctx = ctx,
	};
	*out = source;
	return RC_OK;
}
