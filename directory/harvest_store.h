/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest_store.h - what the local store makes of a signed message
 *
 * A certificate that is filed under the author's address already is proven anew and keeps what its
 * owner says to be able to open. One that is not is filed with the worst tier, unless another is
 * pinned (then it is refused) or another key is known for the address (then it waits until somebody
 * approves or rejects it). What only a signature speaks for is noted and not filed: it is proof
 * when a directory names that certificate.
 *
 * Limits: those of the section "harvest", counted over all processes; what is remembered ages.
 */
#ifndef DIRECTORY_HARVEST_STORE_H
#define DIRECTORY_HARVEST_STORE_H

#include "directory/certstore.h"
#include "directory/harvest.h"
#include "directory/lookup.h"

#define HARVEST_REFRESH 86400 /* seconds in which the same news are not written again */

enum harvest_outcome {
	HARVEST_LEARNED, /* filed */
	HARVEST_PROVEN,  /* it is filed already: proof and capabilities are of today */
	HARVEST_SAME,    /* nothing that is not there already */
	HARVEST_NOTED,   /* not filed: WHY; proof when a directory names it */
	HARVEST_PENDING, /* another key is known: waits for approval */
	HARVEST_REFUSED
};
const char *harvest_outcome_name(enum harvest_outcome outcome); /* "learned" */
/* For people, before it has happened: "would be learned". */
const char *harvest_outcome_words(enum harvest_outcome outcome);

struct harvest_result {
	enum harvest_outcome outcome;
	bool news; /* a look-up may answer something else now */
	char why[HARVEST_WHY];
};

struct harvest_run { /* all borrowed */
	const struct harvest_conf *conf;
	const char *qid; /* of the message, or NULL */
	int64_t now;
	bool dry; /* only says what it would come to */
};
/* Takes what OFFER allows. */
enum rc harvest_store(struct certstore *store, const struct harvest_offer *offer,
	const struct harvest_run *run, struct harvest_result *out, struct err *err);

struct harvest_shown {     /* what the owner of ADDR showed by signatures that mean a certificate */
	int64_t signed_at; /* 0: none */
	struct smimecaps caps;
};
/* RC_NONE: nothing. */
enum rc harvest_shown(struct certstore *store, const char *addr, const struct cert *cert,
	struct harvest_shown *out, struct err *err);

/* Calls EACH for every address whose owner showed something that means CERT; the store must not be
 * used meanwhile. */
enum rc harvest_shown_each(struct certstore *store, const struct cert *cert,
	enum rc (*each)(
		void *ctx, const char *addr, const struct harvest_shown *shown, struct err *err),
	void *ctx, struct err *err);
/* Adds to candidates for ADDR what their owner showed: proof of the last PROOF_MONTHS, and
 * capabilities where they are newer than those that the candidate came with. */
enum rc harvest_annotate(struct certstore *store, const char *addr, int proof_months,
	struct candidate *v, size_t n, struct err *err);

struct harvest_pending { /* borrowed */
	const char *addr;
	struct cert *cert;
	bool rejected;
	int64_t first_seen, last_seen, signed_at;
	int64_t seen;          /* messages */
	const char *qid;       /* of the last one */
	const char *who, *why; /* when it was rejected */
};
/* Calls EACH for what waits for approval (REJECTED: for what was rejected), oldest first; at most
 * those that harvest.pending_max allows. The store must not be used meanwhile. */
enum rc harvest_pending_each(struct certstore *store, bool rejected,
	enum rc (*each)(void *ctx, const struct harvest_pending *pending, struct err *err),
	void *ctx, struct err *err);
/* Files what waits with this fingerprint (full or cut), also when it was rejected before. ADDR
 * NULL: for every address that it waits for. REPLACE: other harvested certificates of the address
 * are forgotten. RC_NONE: nothing waits. */
enum rc harvest_approve(struct certstore *store, const char *fingerprint, const char *addr,
	bool replace, const struct certword *word, struct err *err);
/* It is not asked about again for harvest.pending_age. */
enum rc harvest_reject(struct certstore *store, const char *fingerprint, const char *addr,
	const struct certword *word, struct err *err);

#endif
