/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/certstore_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SEEN_S \
	3600 /* a sighting so soon after the last one, which says nothing new, is not written */

enum rc
certstore_cert_id(
	struct certstore *store, struct cert *cert, bool create, int64_t *id, struct err *err)
{
	static const char find[] = "SELECT id FROM certs WHERE sha256 = ?1",
			  insert[] = "INSERT INTO certs (sha256, der) VALUES (?1, ?2)";
	sqlite3_stmt *stmt = NULL;
	size_t len = 0;
	const unsigned char *der = cert_der(cert, &len);
	enum rc rc = certstore_stmt(store, find, &stmt, err);

	*id = 0;
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "b", cert_sha256(cert), (size_t)SHA256_SIZE);
	if (rc == RC_OK && (rc = certstore_step(store, stmt, err)) == RC_OK)
		*id = sqlite3_column_int64(stmt, 0);
	certstore_done(stmt);
	if (rc != RC_NONE || !create)
		return rc;
	rc = certstore_exec(
		store, err, insert, "bb", cert_sha256(cert), (size_t)SHA256_SIZE, der, len);
	if (rc == RC_OK)
		*id = sqlite3_last_insert_rowid(store->db);
	return rc;
}

enum rc
certstore_column_cert(sqlite3_stmt *stmt, int i, struct cert **out, struct err *err)
{
	const void *der = sqlite3_column_blob(stmt, i);

	if (cert_parse(der, (size_t)sqlite3_column_bytes(stmt, i), out, err) != RC_OK)
		return err_set(err, ERR_STORE, "a certificate in the store is damaged");
	return RC_OK;
}

/* Is ROW's word said already, or by somebody whose word counts more? */
static bool
is_said(const struct certrow *old, const struct certrow *row)
{
	if (row->tier > old->tier)
		return true;
	return row->tier == old->tier && strcmp(old->source, row->source ? row->source : "") == 0 &&
	       strcmp(old->vouched, row->vouched ? row->vouched : "") == 0 &&
	       strcmp(old->why, row->why ? row->why : "") == 0 &&
	       strcmp(old->domains, row->domains ? row->domains : "") == 0;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Text column I of the statement, borrowed from it. */
static char *
column(sqlite3_stmt *stmt, int i)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return (char *)(text ? text : ""); /* only read */
}

/* The statement stays open: OLD's strings are its. */
static enum rc
read_filed(struct certstore *store, const struct certrow *row, int64_t id, sqlite3_stmt **stmt,
	struct certrow *old, struct err *err)
{
	static const char filed[] =
		"SELECT source, vouched, why, '', word_at, first_seen, last_seen, signed_at, tier,"
		" proven, pinned FROM filed WHERE cert = ?1 AND addr = ?2",
			  anchors[] = "SELECT source, vouched, why, domains, word_at, first_seen,"
				      " last_seen, 0, ?2, 1, 0 FROM anchors WHERE cert = ?1";
	enum rc rc = certstore_stmt(store, row->anchor ? anchors : filed, stmt, err);

	if (rc == RC_OK && row->anchor)
		rc = certstore_bind(store, *stmt, err, "ii", id, (int64_t)row->tier);
	else if (rc == RC_OK)
		rc = certstore_bind(store, *stmt, err, "it", id, row->addr);
	if (rc == RC_OK)
		rc = certstore_step(store, *stmt, err);
	if (rc == RC_OK)
		*old = (struct certrow){.source = column(*stmt, 0),
			.vouched = column(*stmt, 1),
			.why = column(*stmt, 2),
			.domains = column(*stmt, 3),
			.word_at = sqlite3_column_int64(*stmt, 4),
			.first_seen = sqlite3_column_int64(*stmt, 5),
			.last_seen = sqlite3_column_int64(*stmt, 6),
			.signed_at = sqlite3_column_int64(*stmt, 7),
			.tier = (enum tier)sqlite3_column_int(*stmt, 8),
			.proven = sqlite3_column_int(*stmt, 9) != 0,
			.pinned = sqlite3_column_int(*stmt, 10) != 0};
	return rc;
}

/* Writes ROW as it is. */
static enum rc
put_row(struct certstore *store, const struct certrow *row, int64_t id, struct err *err)
{
	static const char filed[] =
		"INSERT OR REPLACE INTO filed (cert, source, vouched, why, word_at, first_seen,"
		" last_seen, signed_at, tier, proven, pinned, addr)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
			  anchors[] = "INSERT OR REPLACE INTO anchors (cert, source, vouched, why,"
				      " word_at, first_seen, last_seen, domains)"
				      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

	if (row->anchor)
		return certstore_exec(store, err, anchors, "itttiiit", id, row->source,
			row->vouched, row->why, row->word_at, row->first_seen, row->last_seen,
			row->domains);
	return certstore_exec(store, err, filed, "itttiiiiiiit", id, row->source, row->vouched,
		row->why, row->word_at, row->first_seen, row->last_seen, row->signed_at,
		(int64_t)row->tier, (int64_t)row->proven, (int64_t)row->pinned, row->addr);
}

/* ROW put together with what was there; WRITE, TOUCH: is there anything new, and does it matter to
 * a look-up? */
static void
merge(const struct certrow *old, struct certrow *row, bool *write, bool *touch)
{
	bool said = is_said(old, row);

	*touch = !said || (row->proven && !old->proven) || (row->pinned && !old->pinned) ||
		 (row->signed_at && !old->signed_at);
	*write = *touch || row->first_seen < old->first_seen ||
		 row->last_seen >= old->last_seen + SEEN_S || row->signed_at > old->signed_at;
	if (said) {
		row->source = old->source;
		row->vouched = old->vouched;
		row->why = old->why;
		row->domains = old->domains;
		row->word_at = old->word_at;
		row->tier = old->tier;
	}
	row->proven |= old->proven;
	row->pinned |= old->pinned;
	row->first_seen = row->first_seen < old->first_seen ? row->first_seen : old->first_seen;
	row->last_seen = later(row->last_seen, old->last_seen);
	row->signed_at = later(row->signed_at, old->signed_at);
}

static enum rc
put(struct certstore *store, struct certrow *row, int64_t id, enum certadded *added,
	struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	struct certrow old;
	bool write = true, touch = true;
	enum rc rc = read_filed(store, row, id, &stmt, &old, err);

	*added = CERTADDED_NEW;
	if (rc == RC_OK) {
		merge(&old, row, &write, &touch);
		*added = touch ? CERTADDED_CHANGED : CERTADDED_KNOWN;
		if (row->source != old.source) /* another word now */
			rc = certstore_remember(store,
				&(struct certstore_event){row->addr, id, CERTEVENT_ADDED,
					old.word_at, old.source, old.vouched, old.why},
				err);
	}
	if ((rc == RC_OK || rc == RC_NONE) && write)
		rc = put_row(store, row, id, err);
	certstore_done(stmt);
	if (touch)
		certstore_touch(store);
	return rc == RC_NONE ? RC_OK : rc;
}

const char *
certstore_word(const char *text, char out[CERTSTORE_MAX_WORD + 1])
{
	size_t n = 0;

	for (; text && *text && n < CERTSTORE_MAX_WORD; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];
		bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F */

		out[n++] = c < ' ' || c == 0x7f || c1 ? '?' : *text;
		text += c1;
	}
	if (text && *text) /* no half of a character */
		while (n > 0 && ((unsigned char)out[n - 1] & 0x80))
			if (((unsigned char)out[--n] & 0xc0) == 0xc0)
				break;
	out[n] = '\0';
	return out;
}

enum rc
certstore_put(
	struct certstore *store, const struct certrow *row, enum certadded *added, struct err *err)
{
	struct certrow mine = *row;
	int64_t now = clock_now(), id = 0;
	char why[CERTSTORE_MAX_WORD + 1], vouched[CERTSTORE_MAX_WORD + 1];
	enum rc rc;

	if (!row->cert || row->tier < TIER_PINNED || row->tier == TIER_DOMAIN_FIRST ||
		row->tier > TIER_HARVESTED)
		return err_set(err, ERR_USAGE, "a row needs a certificate and a tier");
	if (row->anchor)
		mine.addr = (char *)""; /* only read */
	else if (!row->addr || !*row->addr)
		return err_set(err, ERR_USAGE, "a row needs an address");
	mine.why = (char *)certstore_word(row->why, why); /* only read */
	mine.vouched = (char *)certstore_word(row->vouched, vouched);
	mine.pinned = row->pinned && !row->anchor;
	mine.word_at = now;
	mine.first_seen = row->first_seen ? row->first_seen : now;
	mine.last_seen = row->last_seen ? row->last_seen : now;
	if ((rc = certstore_begin(store, err)) != RC_OK)
		return rc;
	rc = certstore_cert_id(store, mine.cert, true, &id, err);
	if (rc == RC_OK)
		rc = put(store, &mine, id, added, err);
	return certstore_end(store, rc, err);
}

enum rc
certstore_add(struct certstore *store, const struct certrow *row, struct err *err)
{
	enum certadded added;

	return certstore_put(store, row, &added, err);
}

enum rc
certstore_batch(struct certstore *store, struct err *err)
{
	return certstore_begin(store, err);
}

enum rc
certstore_batch_end(struct certstore *store, enum rc rc, struct err *err)
{
	return certstore_end(store, rc, err);
}
