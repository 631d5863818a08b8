/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_history.c - what happened to the certificates of a person, in the order of time
 *
 * The word that holds now stands in the filing itself and is added to what the table remembers.
 */
#include "config.h"

#include "directory/certstore_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ?1 the address, ?2 the certificate's id or 0 for all */
static const char events[] =
	"SELECT h.what, h.addr, c.der, h.source, h.who, h.why, h.at, 0 AS until, h.id AS nth,"
	" h.what <> 1"
	" FROM history AS h JOIN certs AS c ON c.id = h.cert"
	" WHERE h.addr = ?1 AND (?2 = 0 OR h.cert = ?2)"
	" UNION ALL SELECT 1, f.addr, c.der, f.source, f.vouched, f.why, f.word_at, 0, 0, 0"
	" FROM filed AS f JOIN certs AS c ON c.id = f.cert"
	" WHERE f.addr = ?1 AND (?2 = 0 OR f.cert = ?2)"
	" UNION ALL SELECT 1, '', c.der, a.source, a.vouched, a.why, a.word_at, 0, 0, 0"
	" FROM anchors AS a JOIN certs AS c ON c.id = a.cert"
	" WHERE ?1 = '' AND (?2 = 0 OR a.cert = ?2)"
	" UNION ALL SELECT 5, u.addr, c.der, u.source, '', '', u.first, u.last, 0, 1"
	" FROM used AS u JOIN certs AS c ON c.id = u.cert"
	" WHERE u.addr = ?1 AND (?2 = 0 OR u.cert = ?2)"
	" ORDER BY 7, 10, nth";

/* The next address after ?1 with anything to tell, of all … */
static const char next_of_all[] =
	"SELECT min(addr) FROM (SELECT min(addr) AS addr FROM filed WHERE addr > ?1"
	" UNION ALL SELECT min(addr) FROM history WHERE addr > ?1"
	" UNION ALL SELECT min(addr) FROM used WHERE addr > ?1)";
/* … and of those that the certificate ?2 was filed under. */
static const char next_of_cert[] =
	"SELECT min(addr) FROM (SELECT min(addr) AS addr FROM filed WHERE cert = ?2 AND addr > ?1"
	" UNION ALL SELECT min(addr) FROM history WHERE cert = ?2 AND addr > ?1"
	" UNION ALL SELECT min(addr) FROM used WHERE cert = ?2 AND addr > ?1)";

/* Who is told what. */
struct telling {
	struct certstore *store;
	int64_t id; /* of the certificate; 0: all */
	enum rc (*each)(void *ctx, const struct certhistory *event, struct err *err);
	void *ctx;
	bool any;
};

static enum rc
tell(struct telling *t, sqlite3_stmt *stmt, struct err *err)
{
	struct certhistory event = {.what = (enum certevent)sqlite3_column_int(stmt, 0),
		.addr = (const char *)sqlite3_column_text(stmt, 1),
		.source = (const char *)sqlite3_column_text(stmt, 3),
		.who = (const char *)sqlite3_column_text(stmt, 4),
		.why = (const char *)sqlite3_column_text(stmt, 5),
		.at = sqlite3_column_int64(stmt, 6),
		.until = sqlite3_column_int64(stmt, 7)};
	enum rc rc = certstore_column_cert(stmt, 2, &event.cert, err);

	if (rc == RC_OK) {
		event.fingerprint = cert_fingerprint(event.cert);
		rc = t->each(t->ctx, &event, err);
		t->any = true;
	}
	cert_unref(&event.cert);
	return rc;
}

static enum rc
tell_address(struct telling *t, const char *addr, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	certstore_lock(t->store);
	rc = certstore_stmt(t->store, events, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(t->store, stmt, err, "ti", addr, t->id);
	while (rc == RC_OK && (rc = certstore_step(t->store, stmt, err)) == RC_OK)
		rc = tell(t, stmt, err);
	certstore_done(stmt);
	certstore_unlock(t->store);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
next_address(struct telling *t, const char *last, char **addr, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	*addr = NULL;
	certstore_lock(t->store);
	rc = certstore_stmt(t->store, t->id ? next_of_cert : next_of_all, &stmt, err);
	if (rc == RC_OK && t->id)
		rc = certstore_bind(t->store, stmt, err, "ti", last, t->id);
	else if (rc == RC_OK)
		rc = certstore_bind(t->store, stmt, err, "t", last);
	if (rc == RC_OK)
		rc = certstore_step(t->store, stmt, err);
	if (rc == RC_OK)
		rc = sqlite3_column_type(stmt, 0) == SQLITE_NULL
			     ? RC_NONE
			     : certstore_text(stmt, 0, addr, err);
	certstore_done(stmt);
	certstore_unlock(t->store);
	return rc;
}

/* Everybody, by addresses, beginning with "", the anchors. */
static enum rc
tell_all(struct telling *t, struct err *err)
{
	char *addr = strdup(""), *next = NULL;
	enum rc rc = addr ? RC_OK : err_set(err, ERR_MEMORY, "history");

	while (rc == RC_OK) {
		rc = tell_address(t, addr, err);
		if (rc == RC_OK)
			rc = next_address(t, addr, &next, err);
		free(addr);
		addr = next;
		next = NULL;
	}
	free(addr);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
certstore_history(struct certstore *store, const char *addr, const char *fingerprint,
	enum rc (*each)(void *ctx, const struct certhistory *event, struct err *err), void *ctx,
	struct err *err)
{
	struct telling t = {.store = store, .each = each, .ctx = ctx};
	enum rc rc = RC_OK;

	if (fingerprint)
		rc = certstore_fingerprint_id(store, fingerprint, &t.id, err);
	if (rc == RC_OK)
		rc = addr ? tell_address(&t, addr, err) : tell_all(&t, err);
	return rc == RC_OK && !t.any ? RC_NONE : rc;
}
