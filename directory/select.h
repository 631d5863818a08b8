/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * select.h - which of the candidates for an address are used, and why the others lose
 *
 * Pure but for trust_check. The best tier with a usable certificate decides. A pinned certificate
 * decides even when it cannot be used: the pin says "this one and no other". Where nothing can be
 * used and an administrator had named something, that is trouble, not "none". A tier that could not
 * be asked in full defers, unless a better one decided. So does a certificate whose revocation has
 * to be known and is not, unless one of its tier is good.
 */
#ifndef DIRECTORY_SELECT_H
#define DIRECTORY_SELECT_H

#include "directory/source.h"

#define TIER_LAST (TIER_DOMAIN + 1) /* worse than any */

struct selection {
	struct trust *trust; /* borrowed */
	const char *addr;    /* borrowed */
	/* Borrowed, or NULL: the certificate has to carry this dNSName, not ADDR. */
	const char *dns;
	enum several several;
	bool all;            /* ask also whom it does not need, to show what they say */
	struct err beside;   /* one of those could not be asked */
	struct candidate *v; /* owned */
	size_t n;
	int failed;     /* the best tier that could not be asked; TIER_LAST: none */
	struct err err; /* why it could not */
	/* The best tier with a certificate of unknown revocation, or with more than it told;
	 * TIER_LAST: none. */
	int undecided;
	struct err undecided_err;
	struct err named; /* what an administrator named cannot be used; the best tier's */
};

void selection_init(struct selection *selection, struct trust *trust, const char *addr);
/* Judges what a source answered and takes the candidates out of ANSWER. */
enum rc selection_add(struct selection *selection, struct answer *answer, struct err *err);
/* A source whose best tier is TIER could not be asked. */
void selection_fail(struct selection *selection, enum tier tier, const struct err *err);
/* A source whose best tier is TIER gave a part of what it has: without a usable certificate of that
 * tier nobody can tell. */
void selection_lack(struct selection *selection, enum tier tier, const struct err *err);
/* Fills RESULT, which takes the candidates. */
void selection_finish(struct selection *selection, struct lookup_result *result);
/* Asks SOURCES, the best tier first, until what is left cannot matter any more. */
void selection_ask(struct selection *selection, struct source **sources, size_t n);
void selection_fini(struct selection *selection);

#endif
