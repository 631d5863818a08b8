/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_shown.c - what correspondents showed by their signatures: proof and capabilities
 */
#include "directory/certstore_harvest.h"

#include <string.h>

#include "base/clock.h"

/* Newer capabilities replace older ones; an older message changes nothing. */
static struct smimecaps
merge_caps(const struct harvest_shown *old, const struct harvest_offer *offer)
{
	return smimecaps_newer(old->caps, offer->caps);
}

enum rc
certstore_shown(struct certstore *store, const char *addr, int64_t cert, struct harvest_shown *out,
	struct err *err)
{
	static const char sql[] =
		"SELECT signed_at, caps, caps_at FROM shown WHERE addr = ?1 AND cert = ?2";
	sqlite3_stmt *stmt = NULL;
	char *caps = NULL;
	enum rc rc = certstore_stmt(store, sql, &stmt, err);

	memset(out, 0, sizeof(*out));
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "ti", addr, cert);
	if (rc == RC_OK)
		rc = certstore_step(store, stmt, err);
	if (rc == RC_OK)
		rc = certstore_text(stmt, 1, &caps, err);
	if (rc == RC_OK) {
		out->signed_at = sqlite3_column_int64(stmt, 0);
		out->caps = smimecaps_read(caps, sqlite3_column_int64(stmt, 2));
	}
	certstore_done(stmt);
	free(caps);
	return rc;
}

enum rc
harvest_shown(struct certstore *store, const char *addr, const struct cert *cert,
	struct harvest_shown *out, struct err *err)
{
	int64_t id;
	enum rc rc;

	memset(out, 0, sizeof(*out));
	certstore_lock(store);
	rc = certstore_cert_id(store, (struct cert *)(uintptr_t)cert, false, &id, err);
	if (rc == RC_OK)
		rc = certstore_shown(store, addr, id, out, err);
	certstore_unlock(store);
	return rc;
}

static enum rc
give_row(sqlite3_stmt *stmt,
	enum rc (*each)(
		void *ctx, const char *addr, const struct harvest_shown *shown, struct err *err),
	void *ctx, struct err *err)
{
	struct harvest_shown shown = {.signed_at = sqlite3_column_int64(stmt, 1)};
	char *addr = NULL, *caps = NULL;
	enum rc rc = certstore_text(stmt, 0, &addr, err);

	if (rc == RC_OK)
		rc = certstore_text(stmt, 2, &caps, err);
	if (rc == RC_OK) {
		shown.caps = smimecaps_read(caps, sqlite3_column_int64(stmt, 3));
		rc = each(ctx, addr, &shown, err);
	}
	free(addr);
	free(caps);
	return rc;
}

enum rc
harvest_shown_each(struct certstore *store, const struct cert *cert,
	enum rc (*each)(
		void *ctx, const char *addr, const struct harvest_shown *shown, struct err *err),
	void *ctx, struct err *err)
{
	static const char sql[] = "SELECT addr, signed_at, caps, caps_at FROM shown"
				  " WHERE cert = ?1 ORDER BY addr";
	sqlite3_stmt *stmt = NULL;
	int64_t id;
	enum rc rc;

	certstore_lock(store);
	rc = certstore_cert_id(store, (struct cert *)(uintptr_t)cert, false, &id, err);
	if (rc == RC_OK)
		rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "i", id);
	while (rc == RC_OK && (rc = certstore_step(store, stmt, err)) == RC_OK)
		rc = give_row(stmt, each, ctx, err);
	certstore_done(stmt);
	certstore_unlock(store);
	return rc == RC_NONE ? RC_OK : rc;
}

static void
add_to(struct candidate *c, const struct smimecaps *caps, bool proven)
{
	c->proven |= proven;
	c->caps = smimecaps_newer(c->caps, *caps);
}

/* The row in hand, for the candidates that it is about. */
static enum rc
annotate_row(sqlite3_stmt *stmt, int64_t limit, struct candidate *v, size_t n, struct err *err)
{
	const void *sha256 = sqlite3_column_blob(stmt, 0);
	int64_t signed_at = sqlite3_column_int64(stmt, 1);
	struct smimecaps caps;
	char *text = NULL;
	enum rc rc = certstore_text(stmt, 2, &text, err);

	if (rc != RC_OK)
		return rc;
	caps = smimecaps_read(text, sqlite3_column_int64(stmt, 3));
	free(text);
	if (!sha256 || sqlite3_column_bytes(stmt, 0) != SHA256_SIZE)
		return err_set(err, ERR_STORE, "a fingerprint in the store is damaged");
	for (size_t i = 0; i < n; i++)
		if (memcmp(cert_sha256(v[i].cert), sha256, SHA256_SIZE) == 0)
			add_to(&v[i], &caps, signed_at > 0 && signed_at >= limit);
	return RC_OK;
}

enum rc
harvest_annotate(struct certstore *store, const char *addr, int proof_months, struct candidate *v,
	size_t n, struct err *err)
{
	static const char sql[] = "SELECT sha256, signed_at, caps, caps_at FROM shown"
				  " JOIN certs ON certs.id = cert WHERE addr = ?1";
	int64_t limit = clock_now() - (int64_t)proof_months * 30 * 86400;
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "t", addr);
	while (rc == RC_OK && (rc = certstore_step(store, stmt, err)) == RC_OK)
		rc = annotate_row(stmt, limit, v, n, err);
	certstore_done(stmt);
	certstore_unlock(store);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Would writing it change anything worth a write? */
bool
certstore_shown_differs(const struct harvest_shown *old, const struct harvest_offer *offer)
{
	struct smimecaps caps = merge_caps(old, offer);

	return offer->signed_at >= old->signed_at + HARVEST_REFRESH ||
	       caps.known != old->caps.known || caps.set != old->caps.set;
}

enum rc
certstore_show(struct certstore *store, const struct harvest_offer *offer, int64_t cert,
	const struct harvest_shown *old, struct err *err)
{
	static const char sql[] =
		"INSERT INTO shown (addr, cert, signed_at, caps, caps_at)"
		" VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (addr, cert) DO UPDATE SET"
		" signed_at = max(signed_at, excluded.signed_at), caps = excluded.caps,"
		" caps_at = excluded.caps_at",
			  filed[] = "UPDATE filed SET signed_at = max(signed_at, ?3),"
				    " last_seen = max(last_seen, ?3) WHERE addr = ?1 AND cert = ?2";
	struct smimecaps caps = merge_caps(old, offer);
	struct buf text = BUF_INIT(0);
	enum rc rc = smimecaps_format(&caps, &text, err);

	if (rc == RC_OK)
		rc = certstore_exec(store, err, sql, "tiiti", offer->addr, cert, offer->signed_at,
			buf_text(&text), caps.since);
	if (rc == RC_OK)
		rc = certstore_exec(store, err, filed, "tii", offer->addr, cert, offer->signed_at);
	buf_fini(&text);
	return rc;
}
