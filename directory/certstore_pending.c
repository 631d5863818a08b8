/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_pending.c - certificates that wait for somebody's approval, and those that were
 * rejected
 */
#include "directory/certstore_harvest.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum rc
certstore_pending(struct certstore *store, const char *addr, int64_t cert, struct pending *out,
	struct err *err)
{
	static const char sql[] =
		"SELECT rejected, last_seen FROM pending WHERE addr = ?1 AND cert = ?2";
	sqlite3_stmt *stmt = NULL;
	enum rc rc = certstore_stmt(store, sql, &stmt, err);

	*out = (struct pending){PENDING_NONE, 0};
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "ti", addr, cert);
	if (rc == RC_OK)
		rc = certstore_step(store, stmt, err);
	if (rc == RC_OK) {
		out->state = sqlite3_column_int(stmt, 0) ? PENDING_REJECTED : PENDING_WAITS;
		out->last_seen = sqlite3_column_int64(stmt, 1);
	}
	certstore_done(stmt);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
certstore_pending_count(struct certstore *store, const char *addr, int64_t *n, struct err *err)
{
	static const char one[] = "SELECT count(*) FROM pending WHERE addr = ?1",
			  all[] = "SELECT count(*) FROM pending WHERE ?1 = ''";
	sqlite3_stmt *stmt = NULL;
	enum rc rc = certstore_stmt(store, addr ? one : all, &stmt, err);

	*n = 0;
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "t", addr);
	if (rc == RC_OK)
		rc = certstore_step(store, stmt, err);
	if (rc == RC_OK)
		*n = sqlite3_column_int64(stmt, 0);
	certstore_done(stmt);
	return rc;
}

enum rc
certstore_pend(struct certstore *store, const struct harvest_offer *offer, int64_t cert,
	const char *qid, int64_t now, struct err *err)
{
	static const char sql[] =
		"INSERT INTO pending (addr, cert, rejected, first_seen, last_seen, signed_at, seen,"
		" caps, caps_at, qid, who, why)"
		" VALUES (?1, ?2, 0, ?3, ?3, ?4, 1, ?5, ?6, ?7, '', '')"
		" ON CONFLICT (addr, cert) DO UPDATE SET last_seen = excluded.last_seen,"
		" signed_at = max(signed_at, excluded.signed_at), seen = seen + 1,"
		" caps = CASE WHEN excluded.caps_at >= caps_at THEN excluded.caps ELSE caps END,"
		" caps_at = max(caps_at, excluded.caps_at), qid = excluded.qid";
	struct buf text = BUF_INIT(0);
	enum rc rc = smimecaps_format(&offer->caps, &text, err);

	if (rc == RC_OK)
		rc = certstore_exec(store, err, sql, "tiiitit", offer->addr, cert, now,
			offer->signed_at, buf_text(&text), offer->caps.since, qid);
	buf_fini(&text);
	return rc;
}

enum rc
certstore_pending_sweep(struct certstore *store, int64_t before, struct err *err)
{
	static const char find[] = "SELECT cert FROM pending WHERE last_seen < ?1 LIMIT 1",
			  gone[] = "DELETE FROM pending WHERE cert = ?1 AND last_seen < ?2";
	enum rc rc;

	do {
		sqlite3_stmt *stmt = NULL;
		int64_t cert = 0;

		rc = certstore_stmt(store, find, &stmt, err);
		if (rc == RC_OK)
			rc = certstore_bind(store, stmt, err, "i", before);
		if (rc == RC_OK)
			rc = certstore_step(store, stmt, err);
		if (rc == RC_OK)
			cert = sqlite3_column_int64(stmt, 0);
		certstore_done(stmt);
		if (rc == RC_OK)
			rc = certstore_exec(store, err, gone, "ii", cert, before);
		if (rc == RC_OK)
			rc = certstore_drop_cert(store, cert, err);
	} while (rc == RC_OK);
	return rc == RC_NONE ? RC_OK : rc;
}

/* --- for the tool --- */

static enum rc
give_row(sqlite3_stmt *stmt,
	enum rc (*each)(void *ctx, const struct harvest_pending *pending, struct err *err),
	void *ctx, struct err *err)
{
	struct harvest_pending one = {.rejected = sqlite3_column_int(stmt, 2),
		.first_seen = sqlite3_column_int64(stmt, 3),
		.last_seen = sqlite3_column_int64(stmt, 4),
		.signed_at = sqlite3_column_int64(stmt, 5),
		.seen = sqlite3_column_int64(stmt, 6)};
	char *addr = NULL, *qid = NULL, *who = NULL, *why = NULL;
	enum rc rc = certstore_column_cert(stmt, 0, &one.cert, err);

	if (rc == RC_OK)
		rc = certstore_text(stmt, 1, &addr, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 7, &qid, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 8, &who, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 9, &why, err);
	one.addr = addr;
	one.qid = qid;
	one.who = who;
	one.why = why;
	if (rc == RC_OK)
		rc = each(ctx, &one, err);
	cert_unref(&one.cert);
	free(addr);
	free(qid);
	free(who);
	free(why);
	return rc;
}

enum rc
harvest_pending_each(struct certstore *store, bool rejected,
	enum rc (*each)(void *ctx, const struct harvest_pending *pending, struct err *err),
	void *ctx, struct err *err)
{
	static const char sql[] =
		"SELECT der, addr, rejected, first_seen, last_seen, signed_at, seen, qid, who, why"
		" FROM pending JOIN certs ON certs.id = cert WHERE rejected = ?1"
		" ORDER BY first_seen, addr";
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "i", (int64_t)rejected);
	while (rc == RC_OK && (rc = certstore_step(store, stmt, err)) == RC_OK)
		rc = give_row(stmt, each, ctx, err);
	certstore_done(stmt);
	certstore_unlock(store);
	return rc == RC_NONE ? RC_OK : rc;
}

/* One that waits, for approval or rejection. */
struct waiting {
	char *addr, *caps, *qid;
	struct cert *cert;
	int64_t first_seen, signed_at, caps_at;
};

static void
waiting_fini(struct waiting *w)
{
	free(w->addr);
	free(w->caps);
	free(w->qid);
	cert_unref(&w->cert);
	memset(w, 0, sizeof(*w));
}

/* The next address behind AFTER that certificate ID waits for; ADDR: only that one. */
static enum rc
next_waiting(struct certstore *store, int64_t id, const char *addr, const char *after,
	struct waiting *out, struct err *err)
{
	static const char sql[] =
		"SELECT der, addr, first_seen, signed_at, caps, caps_at, qid FROM pending"
		" JOIN certs ON certs.id = cert WHERE cert = ?1 AND addr > ?2"
		" AND (?3 = '' OR addr = ?3) ORDER BY addr LIMIT 1";
	sqlite3_stmt *stmt = NULL;
	enum rc rc = certstore_stmt(store, sql, &stmt, err);

	memset(out, 0, sizeof(*out));
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "itt", id, after, addr);
	if (rc == RC_OK)
		rc = certstore_step(store, stmt, err);
	if (rc == RC_OK)
		rc = certstore_column_cert(stmt, 0, &out->cert, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 1, &out->addr, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 4, &out->caps, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 6, &out->qid, err);
	if (rc == RC_OK) {
		out->first_seen = sqlite3_column_int64(stmt, 2);
		out->signed_at = sqlite3_column_int64(stmt, 3);
		out->caps_at = sqlite3_column_int64(stmt, 5);
	}
	certstore_done(stmt);
	if (rc != RC_OK)
		waiting_fini(out);
	return rc;
}

/* Other harvested certificates of the address are forgotten. */
static enum rc
forget_others(struct certstore *store, const struct waiting *w, const struct certword *word,
	struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_find(store, w->addr, &rows, &n, err);

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (rows[i].tier == TIER_HARVESTED &&
			memcmp(cert_sha256(rows[i].cert), cert_sha256(w->cert), SHA256_SIZE) != 0)
			rc = certstore_forget(
				store, cert_fingerprint(rows[i].cert), w->addr, word, err);
	certrows_free(&rows, n);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
approve_one(struct certstore *store, const struct waiting *w, int64_t id, bool replace,
	const struct certword *word, struct err *err)
{
	static const char gone[] = "DELETE FROM pending WHERE addr = ?1 AND cert = ?2";
	struct certrow row = {.cert = w->cert,
		.addr = w->addr,
		.source = (char *)(uintptr_t) "harvest",
		.vouched = (char *)(uintptr_t)word->who,
		.why = (char *)(uintptr_t)(word->why ? word->why : w->qid),
		.tier = TIER_HARVESTED,
		.first_seen = w->first_seen,
		.signed_at = w->signed_at};
	struct harvest_offer offer = {
		.signed_at = w->signed_at, .caps = smimecaps_read(w->caps, w->caps_at)};
	struct harvest_shown old;
	enum rc rc = replace ? forget_others(store, w, word, err) : RC_OK;

	snprintf(offer.addr, sizeof(offer.addr), "%s", w->addr);
	if (rc == RC_OK)
		rc = certstore_add(store, &row, err);
	if (rc == RC_OK)
		rc = certstore_shown(store, w->addr, id, &old, err);
	if (rc == RC_OK || rc == RC_NONE)
		rc = certstore_show(store, &offer, id, &old, err);
	if (rc == RC_OK)
		rc = certstore_exec(store, err, gone, "ti", w->addr, id);
	if (rc == RC_OK)
		certstore_touch(store);
	return rc;
}

static enum rc
reject_one(struct certstore *store, const struct waiting *w, int64_t id,
	const struct certword *word, struct err *err)
{
	static const char sql[] =
		"UPDATE pending SET rejected = 1, last_seen = ?3, who = ?4, why = substr(?5, 1, 500)"
		" WHERE addr = ?1 AND cert = ?2";

	return certstore_exec(
		store, err, sql, "tiitt", w->addr, id, clock_now(), word->who, word->why);
}

struct settlement {
	const char *addr; /* NULL: all */
	bool approve, replace;
	const struct certword *word;
};

static enum rc
settle(struct certstore *store, const char *fingerprint, const struct settlement *s,
	struct err *err)
{
	char *after = NULL;
	bool any = false;
	struct waiting w;
	int64_t id;
	enum rc rc = certstore_begin(store, err);

	if (rc != RC_OK)
		return rc;
	rc = certstore_fingerprint_id(store, fingerprint, &id, err);
	while (rc == RC_OK && (rc = next_waiting(store, id, s->addr, after, &w, err)) == RC_OK) {
		any = true;
		rc = s->approve ? approve_one(store, &w, id, s->replace, s->word, err)
				: reject_one(store, &w, id, s->word, err);
		free(after);
		after = w.addr;
		w.addr = NULL;
		waiting_fini(&w);
	}
	free(after);
	return certstore_end(store, rc == RC_NONE && any ? RC_OK : rc, err);
}

enum rc
harvest_approve(struct certstore *store, const char *fingerprint, const char *addr, bool replace,
	const struct certword *word, struct err *err)
{
	const struct settlement s = {addr, true, replace, word};

	return settle(store, fingerprint, &s, err);
}

enum rc
harvest_reject(struct certstore *store, const char *fingerprint, const char *addr,
	const struct certword *word, struct err *err)
{
	const struct settlement s = {addr, false, false, word};

	return settle(store, fingerprint, &s, err);
}
