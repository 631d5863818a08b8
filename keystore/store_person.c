/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store.h"

#include <ctype.h>
#include <string.h>

#include "keystore/store_row.h"

#define PERSON_COLUMNS \
	"id, name, kind, client_key, created, left_at, left_by_sync, uid, missing, seq, mac"
#define ADDR_COLUMNS "id, person, addr, lookup, since, until, synced, seq, mac"

static const char *const kinds[PERSON_KINDS] = {"person", "role", "organisation"};

const char *
person_kind_name(enum person_kind kind)
{
	return kind < PERSON_KINDS ? kinds[kind] : "?";
}

bool
person_kind_find(const char *text, enum person_kind *kind)
{
	for (int i = 0; i < PERSON_KINDS; i++)
		if (strcmp(text, kinds[i]) == 0) {
			*kind = i;
			return true;
		}
	return false;
}

bool
store_person_is_present(const struct store_person *person, int64_t at)
{
	return person->left == 0 || at < person->left;
}

bool
store_addr_is_live(const struct store_addr *addr, int64_t at)
{
	return addr->since <= at && (addr->until == 0 || at < addr->until);
}

/* How addresses are compared: without the case of ASCII letters. */
static void
lookup_form(const char *addr, char out[ADDR_MAX + 1])
{
	size_t i;

	for (i = 0; addr[i] && i < ADDR_MAX; i++)
		out[i] = (char)tolower((unsigned char)addr[i]);
	out[i] = 0;
}

enum rc
store_put_person(struct store *store, const struct store_person *person, struct err *err)
{
	struct row row;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, "persons",
		"INSERT OR REPLACE INTO persons(" PERSON_COLUMNS ")"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		err);
	if (!rc) {
		row_put_text(&row, person->id);
		row_put_text(&row, person->name);
		row_put_int(&row, person->kind);
		row_put_int(&row, person->client_key);
		row_put_int(&row, person->created);
		row_put_int(&row, person->left);
		row_put_int(&row, person->left_by_sync);
		row_put_text(&row, person->uid);
		row_put_int(&row, person->missing);
		row_put_int(&row, person->seq);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

static enum rc
read_person(struct store *store, sqlite3_stmt *st, struct store_person *out, struct err *err)
{
	struct row row;

	row_read(&row, store, "persons", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->name, sizeof(out->name));
	out->kind = (enum person_kind)row_get_int(&row, 0, PERSON_KINDS - 1);
	out->client_key = row_get_int(&row, 0, 1) != 0;
	out->created = row_get_int(&row, 0, INT64_MAX);
	out->left = row_get_int(&row, 0, INT64_MAX);
	out->left_by_sync = row_get_int(&row, 0, 1) != 0;
	row_get_text(&row, out->uid, sizeof(out->uid));
	out->missing = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

/* The person that SQL finds by TEXT. */
static enum rc
find_person(struct store *store, const char *sql, const char *text, struct store_person *out,
	struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, sql, &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
		rc = store_step(store, st, err);
		if (!rc)
			rc = read_person(store, st, out, err);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_get_person(struct store *store, const char *id, struct store_person *out, struct err *err)
{
	return find_person(
		store, "SELECT " PERSON_COLUMNS " FROM persons WHERE id = ?", id, out, err);
}

enum rc
store_find_uid(struct store *store, const char *uid, struct store_person *out, struct err *err)
{
	enum rc rc;

	if (!*uid)
		return RC_NONE;
	rc = find_person(store,
		"SELECT " PERSON_COLUMNS " FROM persons WHERE uid = ? AND uid <> ''", uid, out,
		err);
	/* An index changed by hand may say something else than its rows. */
	if (!rc && strcmp(out->uid, uid) != 0)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table persons");
	return rc;
}

enum rc
store_list_persons(struct store *store, const char *after, size_t max, store_each_person *each,
	void *ctx, struct err *err)
{
	struct store_person person;
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT " PERSON_COLUMNS " FROM persons WHERE id > ? ORDER BY id LIMIT ?", &st,
		err);
	if (!rc) {
		sqlite3_bind_text(st, 1, after, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, (int64_t)max);
		while ((rc = store_step(store, st, err)) == RC_OK)
			if ((rc = read_person(store, st, &person, err)) != RC_OK ||
				(rc = each(ctx, &person, err)) != RC_OK)
				break;
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_put_addr(struct store *store, const struct store_addr *addr, struct err *err)
{
	char lookup[ADDR_MAX + 1];
	struct row row;
	enum rc rc;

	lookup_form(addr->addr, lookup);
	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, "addresses",
		"INSERT OR REPLACE INTO addresses(" ADDR_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		err);
	if (!rc) {
		row_put_text(&row, addr->id);
		row_put_text(&row, addr->person);
		row_put_text(&row, addr->addr);
		row_put_text(&row, lookup);
		row_put_int(&row, addr->since);
		row_put_int(&row, addr->until);
		row_put_int(&row, addr->synced);
		row_put_int(&row, addr->seq);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* LOOKUP: what the index was asked for, NULL: something else. That the row is about it is not taken
 * from the index alone: a file changed by hand may have an index that says something else than its
 * rows. */
static enum rc
read_addr(struct store *store, sqlite3_stmt *st, const char *lookup, struct store_addr *out,
	struct err *err)
{
	char stored[ADDR_MAX + 1], form[ADDR_MAX + 1];
	struct row row;
	enum rc rc;

	row_read(&row, store, "addresses", st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->person, sizeof(out->person));
	row_get_text(&row, out->addr, sizeof(out->addr));
	row_get_text(&row, stored, sizeof(stored));
	out->since = row_get_int(&row, 0, INT64_MAX);
	out->until = row_get_int(&row, 0, INT64_MAX);
	out->synced = row_get_int(&row, 0, 1) != 0;
	out->seq = row_get_int(&row, 0, INT64_MAX);
	rc = row_check(&row, err);
	if (!rc && lookup) {
		lookup_form(out->addr, form);
		if (strcmp(form, lookup) != 0)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table addresses");
	}
	return rc;
}

enum rc
store_find_addr_until(struct store *store, const char *addr, int64_t at, struct store_addr *out,
	int64_t *until, struct err *err)
{
	char lookup[ADDR_MAX + 1];
	sqlite3_stmt *st;
	enum rc rc;

	*until = INT64_MAX;
	lookup_form(addr, lookup);
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT " ADDR_COLUMNS " FROM addresses WHERE lookup = ? ORDER BY since DESC", &st,
		err);
	if (!rc) {
		sqlite3_bind_text(st, 1, lookup, -1, SQLITE_TRANSIENT);
		while ((rc = store_step(store, st, err)) == RC_OK) {
			rc = read_addr(store, st, lookup, out, err);
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
store_find_addr(
	struct store *store, const char *addr, int64_t at, struct store_addr *out, struct err *err)
{
	int64_t until;

	return store_find_addr_until(store, addr, at, out, &until, err);
}

/* The rows that SQL finds by TEXT; LOOKUP as for read_addr. */
static enum rc
list_addrs(struct store *store, const char *sql, const char *text, const char *lookup,
	store_each_addr *each, void *ctx, struct err *err)
{
	struct store_addr addr;
	sqlite3_stmt *st;
	size_t n = 0;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store, sql, &st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, text, -1, SQLITE_TRANSIENT);
		while ((rc = store_step(store, st, err)) == RC_OK) {
			if (n++ == STORE_MAX_ROWS)
				rc = err_set(
					err, ERR_LIMIT, "more than %d addresses", STORE_MAX_ROWS);
			if (rc || (rc = read_addr(store, st, lookup, &addr, err)) != RC_OK ||
				(rc = each(ctx, &addr, err)) != RC_OK)
				break;
		}
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_list_addrs(
	struct store *store, const char *person, store_each_addr *each, void *ctx, struct err *err)
{
	return list_addrs(store,
		"SELECT " ADDR_COLUMNS " FROM addresses WHERE person = ? ORDER BY since, seq, id",
		person, NULL, each, ctx, err);
}

enum rc
store_list_holders(
	struct store *store, const char *addr, store_each_addr *each, void *ctx, struct err *err)
{
	char lookup[ADDR_MAX + 1];

	lookup_form(addr, lookup);
	return list_addrs(store,
		"SELECT " ADDR_COLUMNS " FROM addresses WHERE lookup = ? ORDER BY since, seq, id",
		lookup, lookup, each, ctx, err);
}
