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

enum rc
store_put_grant(struct store *store, const struct store_grant *grant, struct err *err)
{
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, "grants",
		"INSERT OR REPLACE INTO grants(" GRANT_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		err);
	if (!rc) {
		row_put_text(&row, grant->id);
		row_put_text(&row, grant->owner);
		row_put_text(&row, grant->person);
		row_put_text(&row, grant->origin);
		row_put_int(&row, grant->since);
		row_put_int(&row, grant->until);
		row_put_int(&row, grant->created);
		row_put_int(&row, grant->keep);
		row_put_int(&row, grant->seq);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

static enum rc
read_grant(struct store *store, sqlite3_stmt *st, struct store_grant *out, struct err *err)
{
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
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, "SELECT " GRANT_COLUMNS " FROM grants WHERE id = ?", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
		rc = store_step(store, st, err);
		if (!rc)
			rc = read_grant(store, st, out, err);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_find_grant_until(struct store *store, const char *owner, const char *person, int64_t at,
	struct store_grant *out, int64_t *until, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	*until = INT64_MAX;
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT " GRANT_COLUMNS
		" FROM grants WHERE owner = ? AND person = ? ORDER BY since DESC",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, owner, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(st, 2, person, -1, SQLITE_TRANSIENT);
		while ((rc = store_step(store, st, err)) == RC_OK) {
			rc = read_grant(store, st, out, err);
			/* A file changed by hand may have an index that says something else
			 * than its rows. */
			if (!rc && (strcmp(out->owner, owner) != 0 ||
					   strcmp(out->person, person) != 0))
				rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table grants");
			if (rc || store_period_decides(out->since, out->until, at, until))
				break;
		}
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	pthread_mutex_unlock(&store->lock);
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
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_sum_change(store, "grants", id, NULL, err);
	if (!rc)
		rc = store_prepare(store, "DELETE FROM grants WHERE id = ?", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
		rc = store_run(store, st, err);
		if (!rc && sqlite3_changes(store->db) == 0)
			rc = RC_NONE;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* Steps through ST, which is bound; more than MAX rows are ERR_LIMIT. */
static enum rc
list(struct store *store, sqlite3_stmt *st, size_t max, store_each_grant *each, void *ctx,
	struct err *err)
{
	struct store_grant grant;
	size_t n = 0;
	enum rc rc;

	while ((rc = store_step(store, st, err)) == RC_OK) {
		if (n++ == max)
			rc = err_set(err, ERR_LIMIT, "more than %zu grants", max);
		if (rc || (rc = read_grant(store, st, &grant, err)) != RC_OK ||
			(rc = each(ctx, &grant, err)) != RC_OK)
			break;
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
store_list_grants(struct store *store, const char *owner, const char *person, int64_t at,
	store_each_grant *each, void *ctx, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	if (owner)
		rc = store_prepare(store,
			"SELECT " GRANT_COLUMNS
			" FROM grants WHERE owner = ?1 AND (?2 = 0 OR until = 0 OR until > ?2)"
			" ORDER BY since, id",
			&st, err);
	else
		rc = store_prepare(store,
			"SELECT " GRANT_COLUMNS
			" FROM grants WHERE person = ?1 AND (?2 = 0 OR until = 0 OR until > ?2)"
			" ORDER BY since, id",
			&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, owner ? owner : person, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(st, 2, at);
		rc = list(store, st, STORE_MAX_GRANTS, each, ctx, err);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_list_all_grants(struct store *store, const char *after, size_t max, store_each_grant *each,
	void *ctx, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT " GRANT_COLUMNS " FROM grants WHERE id > ? ORDER BY id LIMIT ?", &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, after, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(st, 2, (int64_t)max);
		rc = list(store, st, max, each, ctx, err);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}
