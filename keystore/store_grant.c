/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store.h"

#include <string.h>

#include "keystore/store_row.h"

#define GRANT_COLUMNS "id, owner, person, origin, since, until, created, keep, seq, mac"

bool
store_grant_is_live(const struct store_grant *grant, int64_t at)
{
	return grant->since <= at && (grant->until == 0 || at < grant->until);
}

bool
store_period_decides(int64_t since, int64_t until, int64_t at, int64_t *changes)
{
	if (since > at) {
		*changes = since < *changes ? since : *changes;
		return false;
	}
	if (until != 0 && at >= until)
		return false;
	*changes = until && until < *changes ? until : *changes;
	return true;
}

static void
put_grant(struct row *row, const void *what)
{
	const struct store_grant *grant = what;

	row_put_text(row, grant->id);
	row_put_text(row, grant->owner);
	row_put_text(row, grant->person);
	row_put_text(row, grant->origin);
	row_put_int(row, grant->since);
	row_put_int(row, grant->until);
	row_put_int(row, grant->created);
	row_put_int(row, grant->keep);
	row_put_int(row, grant->seq);
}

enum rc
store_put_grant(struct store *store, const struct store_grant *grant, struct err *err)
{
	return row_store(store, "grants",
		"INSERT OR REPLACE INTO grants(" GRANT_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		put_grant, grant, err);
}

static enum rc
read_grant(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_grant *out = what;
	struct row row;

	row_read(&row, store, "grants", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->owner, sizeof(out->owner));
	row_get_text(&row, out->person, sizeof(out->person));
	row_get_text(&row, out->origin, sizeof(out->origin));
	out->since = row_get_int(&row, 0, INT64_MAX);
	out->until = row_get_int(&row, 0, INT64_MAX);
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->keep = row_get_int(&row, 0, 1) != 0;
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

enum rc
store_get_grant(struct store *store, const char *id, struct store_grant *out, struct err *err)
{
	return row_find(store, "SELECT " GRANT_COLUMNS " FROM grants WHERE id = ?", id, read_grant,
		out, err);
}

enum rc
store_find_grant_until(struct store *store, const char *owner, const char *person, int64_t at,
	struct store_grant *out, int64_t *until, struct err *err)
{
	struct rows rows;
	enum rc rc;

	*until = INT64_MAX;
	rows_begin(&rows, store,
		"SELECT " GRANT_COLUMNS
		" FROM grants WHERE owner = ? AND person = ? ORDER BY since DESC",
		err);
	rows_text(&rows, 1, owner);
	rows_text(&rows, 2, person);
	while ((rc = rows_next(&rows, read_grant, out, err)) == RC_OK) {
		/* A file changed by hand may have an index that says something else than its rows.
		 */
		if (strcmp(out->owner, owner) != 0 || strcmp(out->person, person) != 0)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table grants");
		if (rc || store_period_decides(out->since, out->until, at, until))
			break;
	}
	(void)rows_end(&rows, rc);
	return rc;
}

enum rc
store_find_grant(struct store *store, const char *owner, const char *person, int64_t at,
	struct store_grant *out, struct err *err)
{
	int64_t until;

	return store_find_grant_until(store, owner, person, at, out, &until, err);
}

enum rc
store_del_grant(struct store *store, const char *id, struct err *err)
{
	return row_delete(store, "grants", "DELETE FROM grants WHERE id = ?", id, err);
}

/* To the end of ROWS, which are bound; more than MAX rows are ERR_LIMIT. */
static enum rc
list(struct rows *rows, size_t max, store_each_grant *each, void *ctx, struct err *err)
{
	struct store_grant grant;
	size_t n = 0;
	enum rc rc;

	while ((rc = rows_next(rows, read_grant, &grant, err)) == RC_OK) {
		rc = n++ == max ? err_set(err, ERR_LIMIT, "more than %zu grants", max)
				: each(ctx, &grant, err);
		if (rc != RC_OK)
			break;
	}
	return rows_end(rows, rc);
}

enum rc
store_list_grants(struct store *store, const char *owner, const char *person, int64_t at,
	store_each_grant *each, void *ctx, struct err *err)
{
	struct rows rows;

	if (owner)
		rows_begin(&rows, store,
			"SELECT " GRANT_COLUMNS
			" FROM grants WHERE owner = ?1 AND (?2 = 0 OR until = 0 OR until > ?2)"
			" ORDER BY since, id",
			err);
	else
		rows_begin(&rows, store,
			"SELECT " GRANT_COLUMNS
			" FROM grants WHERE person = ?1 AND (?2 = 0 OR until = 0 OR until > ?2)"
			" ORDER BY since, id",
			err);
	rows_text(&rows, 1, owner ? owner : person);
	rows_int(&rows, 2, at);
	return list(&rows, STORE_MAX_GRANTS, each, ctx, err);
}

enum rc
store_list_all_grants(struct store *store, const char *after, size_t max, store_each_grant *each,
	void *ctx, struct err *err)
{
	struct rows rows;

	rows_begin(&rows, store,
		"SELECT " GRANT_COLUMNS " FROM grants WHERE id > ? ORDER BY id LIMIT ?", err);
	rows_text(&rows, 1, after);
	rows_int(&rows, 2, (int64_t)max);
	return list(&rows, max, each, ctx, err);
}
