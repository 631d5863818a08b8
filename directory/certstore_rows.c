/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certstore_rows.c - rows of the local store: by address, by fingerprint, all of them
 */
#include "config.h"

#include "directory/certstore_private.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                \
	"SELECT c.der, f.addr, f.source, f.vouched, f.why,"                                    \
	" CASE WHEN f.pinned THEN 1 ELSE f.tier END AS rank, f.proven, f.pinned, 0 AS anchor," \
	" '' AS domains, f.word_at, f.first_seen, f.last_seen, f.signed_at, c.sha256, f.cert AS id"
#define FILED COLUMNS " FROM filed AS f JOIN certs AS c ON c.id = f.cert "
#define ANCHORS                                                                                \
	"SELECT c.der, '' AS addr, a.source, a.vouched, a.why, 3 AS rank, 1, 0, 1 AS anchor, " \
	"a.domains, a.word_at, a.first_seen, a.last_seen, 0, c.sha256, a.cert AS id"           \
	" FROM anchors AS a JOIN certs AS c ON c.id = a.cert "

static void
certrow_fini(struct certrow *row)
{
	cert_unref(&row->cert);
	free(row->addr);
	free(row->source);
	free(row->vouched);
	free(row->why);
	free(row->domains);
}

void
certrows_free(struct certrow **rows, size_t n)
{
	for (size_t i = 0; *rows && i < n; i++)
		certrow_fini(&(*rows)[i]);
	free(*rows);
	*rows = NULL;
}

/* A row whose certificate does not parse is damage, not "none". */
static enum rc
read_row(sqlite3_stmt *stmt, struct certrow *row, struct err *err)
{
	enum rc rc;

	memset(row, 0, sizeof(*row));
	rc = certstore_column_cert(stmt, 0, &row->cert, err);
	if (rc != RC_OK)
		return rc;
	row->tier = (enum tier)sqlite3_column_int(stmt, 5);
	row->proven = sqlite3_column_int(stmt, 6) != 0;
	row->pinned = sqlite3_column_int(stmt, 7) != 0;
	row->anchor = sqlite3_column_int(stmt, 8) != 0;
	row->word_at = sqlite3_column_int64(stmt, 10);
	row->first_seen = sqlite3_column_int64(stmt, 11);
	row->last_seen = sqlite3_column_int64(stmt, 12);
	row->signed_at = sqlite3_column_int64(stmt, 13);
	if ((rc = certstore_text(stmt, 1, &row->addr, err)) != RC_OK ||
		(rc = certstore_text(stmt, 2, &row->source, err)) != RC_OK ||
		(rc = certstore_text(stmt, 3, &row->vouched, err)) != RC_OK ||
		(rc = certstore_text(stmt, 4, &row->why, err)) != RC_OK ||
		(rc = certstore_text(stmt, 9, &row->domains, err)) != RC_OK)
		certrow_fini(row);
	return rc;
}

static enum rc
append_row(sqlite3_stmt *stmt, struct certrow **rows, size_t *n, size_t *room, struct err *err)
{
	enum rc rc;

	if (*n == CERTSTORE_MAX_ROWS)
		return err_set(err, ERR_STORE, "more than %d rows of the certificate store",
			CERTSTORE_MAX_ROWS);
	if (*n == *room) {
		size_t more = *room ? *room * 2 : 4;
		struct certrow *grown = realloc(*rows, more * sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_MEMORY, "certificate store");
		*rows = grown;
		*room = more;
	}
	if ((rc = read_row(stmt, &(*rows)[*n], err)) == RC_OK)
		++*n;
	return rc;
}

/* The rows that STMT, bound, gives; RC is what went before. Unlocks. */
static enum rc
take_rows(struct certstore *store, sqlite3_stmt *stmt, enum rc rc, struct certrow **rows, size_t *n,
	struct err *err)
{
	size_t room = 0;

	while (rc == RC_OK && (rc = certstore_step(store, stmt, err)) == RC_OK)
		rc = append_row(stmt, rows, n, &room, err);
	certstore_done(stmt);
	certstore_unlock(store);
	if (rc == RC_NONE && *n > 0)
		return RC_OK;
	certrows_free(rows, *n);
	*n = 0;
	return rc;
}

enum rc
certstore_find(struct certstore *store, const char *addr, struct certrow **rows, size_t *n,
	struct err *err)
{
	static const char sql[] = FILED "WHERE f.addr = ?1 ORDER BY rank, f.last_seen DESC, f.cert";
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	*rows = NULL;
	*n = 0;
	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "t", addr);
	return take_rows(store, stmt, rc, rows, n, err);
}

/* Those of SQL, which has no parameters. */
static enum rc
all_rows(
	struct certstore *store, const char *sql, struct certrow **rows, size_t *n, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	*rows = NULL;
	*n = 0;
	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	return take_rows(store, stmt, rc, rows, n, err);
}

enum rc
certstore_anchors(struct certstore *store, struct certrow **rows, size_t *n, struct err *err)
{
	static const char sql[] = ANCHORS "ORDER BY a.cert";

	return all_rows(store, sql, rows, n, err);
}

enum rc
certstore_pinned(struct certstore *store, struct certrow **rows, size_t *n, struct err *err)
{
	static const char sql[] = FILED "WHERE f.pinned ORDER BY f.addr, f.cert";

	return all_rows(store, sql, rows, n, err);
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at;

	c = c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c;
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

bool
certstore_prefix(
	const char *prefix, unsigned char low[SHA256_SIZE], unsigned char high[SHA256_SIZE])
{
	size_t len = strlen(prefix);

	if (len < 4 || len > 2 * SHA256_SIZE)
		return false;
	memset(low, 0, SHA256_SIZE);
	memset(high, 0xff, SHA256_SIZE);
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(prefix[i]), shift = i % 2 ? 0 : 4;

		if (digit < 0)
			return false;
		low[i / 2] |= (unsigned char)(digit << shift);
		high[i / 2] &= (unsigned char)(~(0xf << shift) | digit << shift);
	}
	return true;
}

enum rc
certstore_by_fingerprint(struct certstore *store, const char *sha256_prefix, struct certrow **rows,
	size_t *n, struct err *err)
{
	static const char sql[] =
		FILED "WHERE c.sha256 BETWEEN ?1 AND ?2 UNION ALL " ANCHORS
		      "WHERE c.sha256 BETWEEN ?1 AND ?2 ORDER BY c.sha256, anchor, rank, addr";
	unsigned char low[SHA256_SIZE], high[SHA256_SIZE];
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	*rows = NULL;
	*n = 0;
	if (!certstore_prefix(sha256_prefix, low, high))
		return err_set(err, ERR_USAGE, "a fingerprint is 4 to 64 hex digits");
	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "bb", low, sizeof(low), high, sizeof(high));
	return take_rows(store, stmt, rc, rows, n, err);
}

/* The next addresses after ADDR, in one read; *n 0 at the end. */
static enum rc
next_addrs(struct certstore *store, const char *addr, char *addrs[CERTSTORE_WALK], size_t *n,
	struct err *err)
{
	static const char sql[] = "SELECT DISTINCT addr FROM filed WHERE addr > ?1"
				  " ORDER BY addr LIMIT " CERTSTORE_WALK_TEXT;
	sqlite3_stmt *stmt = NULL;
	enum rc rc;

	certstore_lock(store);
	rc = certstore_stmt(store, sql, &stmt, err);
	if (rc == RC_OK)
		rc = certstore_bind(store, stmt, err, "t", addr);
	for (*n = 0; rc == RC_OK && *n < CERTSTORE_WALK;)
		if ((rc = certstore_step(store, stmt, err)) == RC_OK &&
			(rc = certstore_text(stmt, 0, &addrs[*n], err)) == RC_OK)
			++*n;
	certstore_done(stmt);
	certstore_unlock(store);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
each_of(struct certstore *store, const char *addr,
	enum rc (*each)(void *ctx, const struct certrow *row, struct err *err), void *ctx,
	struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_find(store, addr, &rows, &n, err);

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = each(ctx, &rows[i], err);
	certrows_free(&rows, n);
	return rc == RC_NONE ? RC_OK : rc; /* forgotten meanwhile */
}

enum rc
certstore_each(struct certstore *store,
	enum rc (*each)(void *ctx, const struct certrow *row, struct err *err), void *ctx,
	struct err *err)
{
	char *last = strdup(""), *addrs[CERTSTORE_WALK];
	size_t n = 1, i;
	enum rc rc = last ? RC_OK : err_set(err, ERR_MEMORY, "certificate store");

	while (rc == RC_OK && n > 0) {
		rc = next_addrs(store, last, addrs, &n, err);
		for (i = 0; rc == RC_OK && i < n; i++)
			rc = each_of(store, addrs[i], each, ctx, err);
		for (i = 0; i < n; i++) {
			free(last);
			last = addrs[i];
		}
	}
	free(last);
	return rc;
}
