/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_harvest.c - filed, proven, waiting or refused: one transaction for each message
 */
#include "directory/certstore_harvest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/signed_by.h"

#define DAY           86400
#define PENDING_EVERY 3600 /* seconds in which one that waits is not counted again */

const char *
harvest_outcome_name(enum harvest_outcome outcome)
{
	static const char *const names[] = {
		"learned", "proven", "unchanged", "noted", "pending", "refused"};

	return names[outcome];
}

const char *
harvest_outcome_words(enum harvest_outcome outcome)
{
	static const char *const words[] = {"would be learned",
		"is known, and would be proven anew", "is known, nothing would change",
		"would not be learned, its proof would be noted", "would wait for approval",
		"would not be learned"};

	return words[outcome];
}

/* One message on its way through. */
struct harvest {
	struct certstore *store;
	const struct harvest_conf *conf;
	const struct harvest_offer *offer;
	const char *qid;
	int64_t now;
	struct harvest_result *result;
	/* what the store has */
	bool filed, pinned_other, other_key;
	int64_t id; /* of the certificate; 0: not there */
	struct harvest_shown shown;
	struct pending pending;
};

__attribute__((format(printf, 3, 4))) static void
conclude(struct harvest *h, enum harvest_outcome outcome, const char *fmt, ...)
{
	va_list ap;

	h->result->outcome = outcome;
	va_start(ap, fmt);
	vsnprintf(h->result->why, sizeof(h->result->why), fmt, ap);
	va_end(ap);
}

static bool
is_same_key(const struct cert *a, const struct cert *b)
{
	unsigned char p[SHA256_SIZE], q[SHA256_SIZE];

	return cert_key_id(a, p, NULL) == RC_OK && cert_key_id(b, q, NULL) == RC_OK &&
	       memcmp(p, q, sizeof(p)) == 0;
}

/* An expired one is no reason to ask anybody: whoever has a new certificate is expected to. */
static void
look_at_row(struct harvest *h, const struct certrow *row)
{
	const struct cert *mine = h->offer->cert;

	if (memcmp(cert_sha256(row->cert), cert_sha256(mine), SHA256_SIZE) == 0) {
		h->filed = true;
		return;
	}
	if (row->pinned)
		h->pinned_other = true;
	if (cert_not_after(row->cert) >= h->now && cert_allows(row->cert, CERT_ENCRYPT) &&
		!is_same_key(row->cert, mine))
		h->other_key = true;
}

static enum rc
look(struct harvest *h, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_find(h->store, h->offer->addr, &rows, &n, err);

	if (rc == RC_NONE)
		rc = RC_OK;
	for (size_t i = 0; i < n; i++)
		look_at_row(h, &rows[i]);
	certrows_free(&rows, n);
	if (rc == RC_OK)
		rc = certstore_cert_id(h->store, h->offer->cert, false, &h->id, err);
	if (rc == RC_NONE) {
		h->id = 0;
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = certstore_shown(h->store, h->offer->addr, h->id, &h->shown, err);
	if (rc == RC_OK || rc == RC_NONE)
		rc = certstore_pending(h->store, h->offer->addr, h->id, &h->pending, err);
	return rc;
}

/* --- limits --- */

static enum rc
count_of(struct harvest *h, const char *domain, int64_t *n, struct err *err)
{
	static const char sql[] = "SELECT n FROM harvested WHERE day = ?1 AND domain = ?2";
	sqlite3_stmt *stmt = NULL;
	enum rc rc = certstore_stmt(h->store, sql, &stmt, err);

	*n = 0;
	if (rc == RC_OK)
		rc = certstore_bind(h->store, stmt, err, "it", h->now / DAY, domain);
	if (rc == RC_OK && (rc = certstore_step(h->store, stmt, err)) == RC_OK)
		*n = sqlite3_column_int64(stmt, 0);
	certstore_done(stmt);
	return rc == RC_NONE ? RC_OK : rc;
}

/* *full: nothing new is taken any more today; said why. */
static enum rc
check_limits(struct harvest *h, bool *full, struct err *err)
{
	const char *domain = addr_domain(h->offer->addr);
	int64_t of_domain = 0, of_day = 0;
	enum rc rc = count_of(h, domain, &of_domain, err);

	if (rc == RC_OK)
		rc = count_of(h, "", &of_day, err);
	*full = true;
	if (rc == RC_OK && of_domain >= h->conf->per_domain)
		conclude(h, HARVEST_REFUSED, "harvest.per_domain is reached for %.200s", domain);
	else if (rc == RC_OK && of_day >= h->conf->per_day)
		conclude(h, HARVEST_REFUSED, "harvest.per_day is reached");
	else
		*full = false;
	return rc;
}

static enum rc
check_pending_limits(struct harvest *h, bool *full, struct err *err)
{
	int64_t of_addr = 0, all = 0;
	enum rc rc = certstore_pending_count(h->store, h->offer->addr, &of_addr, err);

	if (rc == RC_OK)
		rc = certstore_pending_count(h->store, NULL, &all, err);
	*full = true;
	if (rc == RC_OK && of_addr >= h->conf->pending_per_addr)
		conclude(h, HARVEST_REFUSED,
			"another key is known, and harvest.pending_per_address wait already");
	else if (rc == RC_OK && all >= h->conf->pending_max)
		conclude(h, HARVEST_REFUSED,
			"another key is known, and harvest.pending_max wait already");
	else
		*full = false;
	return rc;
}

/* --- what it comes to --- */

static enum rc
decide_new(struct harvest *h, struct err *err)
{
	bool full = false;
	enum rc rc = check_limits(h, &full, err);

	if (rc != RC_OK || full)
		return rc;
	if (!h->offer->learn) {
		conclude(h, HARVEST_NOTED, "%s", h->offer->why);
		return RC_OK;
	}
	if (h->other_key) {
		rc = check_pending_limits(h, &full, err);
		if (rc == RC_OK && !full)
			conclude(h, HARVEST_PENDING, "another key is known for the address");
		return rc;
	}
	conclude(h, HARVEST_LEARNED, "%s", "");
	return RC_OK;
}

static enum rc
decide(struct harvest *h, struct err *err)
{
	char day[CLOCK_TEXT_SIZE];

	if (h->filed) {
		conclude(h,
			certstore_shown_differs(&h->shown, h->offer) ? HARVEST_PROVEN
								     : HARVEST_SAME,
			"%s", "");
		return RC_OK;
	}
	if (h->pinned_other)
		conclude(h, HARVEST_REFUSED, "another certificate is pinned for the address");
	else if (h->pending.state == PENDING_REJECTED)
		conclude(h, HARVEST_REFUSED, "it was rejected on %.10s",
			clock_format(h->pending.last_seen, day));
	else if (h->pending.state == PENDING_WAITS && h->offer->learn && h->other_key)
		conclude(h,
			h->now >= h->pending.last_seen + PENDING_EVERY ? HARVEST_PENDING
								       : HARVEST_SAME,
			"waits for approval: another key is known for the address");
	else if (!h->offer->learn && h->shown.signed_at > 0)
		conclude(h,
			certstore_shown_differs(&h->shown, h->offer) ? HARVEST_NOTED : HARVEST_SAME,
			"%s", h->offer->why);
	else
		return decide_new(h, err);
	return RC_OK;
}

/* --- writing --- */

static enum rc
count_one(struct harvest *h, const char *domain, struct err *err)
{
	static const char sql[] = "INSERT INTO harvested (day, domain, n) VALUES (?1, ?2, 1)"
				  " ON CONFLICT (day, domain) DO UPDATE SET n = n + 1";

	return certstore_exec(h->store, err, sql, "it", h->now / DAY, domain);
}

/* With the first of a day, what is too old goes: counts, what waited, proof that is none any more.
 */
static enum rc
sweep(struct harvest *h, struct err *err)
{
	static const char days[] = "DELETE FROM harvested WHERE day < ?1",
			  find[] =
				  "SELECT addr, cert FROM shown WHERE signed_at < ?1 AND NOT EXISTS"
				  " (SELECT 1 FROM filed WHERE filed.addr = shown.addr"
				  " AND filed.cert = shown.cert) LIMIT 1",
			  gone[] = "DELETE FROM shown WHERE addr = ?1 AND cert = ?2";
	int64_t before = h->now - (int64_t)h->conf->proof_months * 30 * DAY;
	enum rc rc = certstore_exec(h->store, err, days, "i", h->now / DAY);

	if (rc == RC_OK)
		rc = certstore_pending_sweep(h->store, h->now - h->conf->pending_age, err);
	for (int i = 0; rc == RC_OK && i < 1000; i++) {
		sqlite3_stmt *stmt = NULL;
		char *addr = NULL;
		int64_t cert = 0;

		rc = certstore_stmt(h->store, find, &stmt, err);
		if (rc == RC_OK)
			rc = certstore_bind(h->store, stmt, err, "i", before);
		if (rc == RC_OK)
			rc = certstore_step(h->store, stmt, err);
		if (rc == RC_OK)
			rc = certstore_text(stmt, 0, &addr, err);
		if (rc == RC_OK)
			cert = sqlite3_column_int64(stmt, 1);
		certstore_done(stmt);
		if (rc == RC_OK)
			rc = certstore_exec(h->store, err, gone, "ti", addr, cert);
		if (rc == RC_OK)
			rc = certstore_drop_cert(h->store, cert, err);
		free(addr);
	}
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
count(struct harvest *h, struct err *err)
{
	int64_t n = 0;
	enum rc rc = count_of(h, "", &n, err);

	if (rc == RC_OK && n == 0)
		rc = sweep(h, err);
	if (rc == RC_OK)
		rc = count_one(h, addr_domain(h->offer->addr), err);
	return rc == RC_OK ? count_one(h, "", err) : rc;
}

static enum rc
file_it(struct harvest *h, struct err *err)
{
	struct certrow row = {.cert = h->offer->cert,
		.addr = (char *)(uintptr_t)h->offer->addr,
		.source = (char *)(uintptr_t) "harvest",
		.why = (char *)(uintptr_t)h->qid,
		.tier = TIER_HARVESTED,
		.signed_at = h->offer->signed_at};

	return certstore_add(h->store, &row, err);
}

/* Was there no valid proof so far? */
static bool
is_first_proof(const struct harvest *h)
{
	return h->shown.signed_at < h->now - (int64_t)h->conf->proof_months * 30 * DAY;
}

static enum rc
write_it(struct harvest *h, struct err *err)
{
	enum harvest_outcome outcome = h->result->outcome;
	bool first = h->id == 0 || (h->shown.signed_at == 0 && h->pending.state == PENDING_NONE);
	struct smimecaps caps = smimecaps_newer(h->shown.caps, h->offer->caps);
	enum rc rc = RC_OK;

	if (outcome != HARVEST_PROVEN && first)
		rc = count(h, err);
	if (rc == RC_OK)
		rc = certstore_cert_id(h->store, h->offer->cert, true, &h->id, err);
	if (rc == RC_OK && outcome == HARVEST_PENDING)
		return certstore_pend(h->store, h->offer, h->id, h->qid, h->now, err);
	if (rc == RC_OK && outcome == HARVEST_LEARNED)
		rc = file_it(h, err);
	if (rc == RC_OK)
		rc = certstore_show(h->store, h->offer, h->id, &h->shown, err);
	h->result->news = outcome == HARVEST_LEARNED || is_first_proof(h);
	if (rc == RC_OK && (h->result->news || caps.set != h->shown.caps.set ||
				   caps.known != h->shown.caps.known))
		certstore_touch(h->store);
	return rc;
}

static bool
is_to_be_written(enum harvest_outcome outcome)
{
	return outcome != HARVEST_SAME && outcome != HARVEST_REFUSED;
}

enum rc
harvest_store(struct certstore *store, const struct harvest_offer *offer,
	const struct harvest_run *run, struct harvest_result *out, struct err *err)
{
	struct harvest h = {.store = store,
		.conf = run->conf,
		.offer = offer,
		.qid = run->qid,
		.now = run->now,
		.result = out};
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if (!offer->prove || !offer->cert) {
		conclude(&h, HARVEST_REFUSED, "%s", offer->why);
		return RC_OK;
	}
	/* Most messages bring nothing new: that is found out without a lock that keeps others out.
	 */
	certstore_lock(store);
	rc = look(&h, err);
	if (rc == RC_OK)
		rc = decide(&h, err);
	certstore_unlock(store);
	if (rc != RC_OK || run->dry || !is_to_be_written(out->outcome))
		return rc;
	h.filed = h.pinned_other = h.other_key = false;
	rc = certstore_begin(store, err);
	if (rc != RC_OK)
		return rc;
	rc = look(&h, err);
	if (rc == RC_OK)
		rc = decide(&h, err);
	if (rc == RC_OK && is_to_be_written(out->outcome))
		rc = write_it(&h, err);
	return certstore_end(store, rc, err);
}
