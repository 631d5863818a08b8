/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store.h"

#include <ctype.h>
#include <string.h>

#include "keystore/store_row.h"

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
		"INSERT OR REPLACE INTO persons(id, name, kind, client_key, created, seq, mac)"
		" VALUES(?, ?, ?, ?, ?, ?, ?)",
		err);
	if (!rc) {
		row_put_text(&row, person->id);
		row_put_text(&row, person->name);
		row_put_int(&row, person->kind);
		row_put_int(&row, person->client_key);
		row_put_int(&row, person->created);
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
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

enum rc
store_get_person(struct store *store, const char *id, struct store_person *out, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT id, name, kind, client_key, created, seq, mac FROM persons WHERE id = ?",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
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
store_list_persons(struct store *store, const char *after, size_t max, store_each_person *each,
	void *ctx, struct err *err)
{
	struct store_person person;
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT id, name, kind, client_key, created, seq, mac FROM persons WHERE id > ?"
		" ORDER BY id LIMIT ?",
		&st, err);
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

/* Addresses and grants have the same columns: whose, for which address, from when to when. */
struct period {
	const char *table, *id, *whose, *addr;
	int64_t since, until, seq;
};

static enum rc
put_period(struct store *store, const char *sql, const struct period *p, struct err *err)
{
	char lookup[ADDR_MAX + 1];
	struct row row;
	enum rc rc;

	lookup_form(p->addr, lookup);
	pthread_mutex_lock(&store->lock);
	rc = row_begin(&row, store, p->table, sql, err);
	if (!rc) {
		row_put_text(&row, p->id);
		row_put_text(&row, p->whose);
		row_put_text(&row, p->addr);
		row_put_text(&row, lookup);
		row_put_int(&row, p->since);
		row_put_int(&row, p->until);
		row_put_int(&row, p->seq);
		rc = row_seal(&row, err);
	}
	if (!rc)
		rc = store_run(store, row.st, err);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* The same struct serves for both: OWNER is PERSON. */
static enum rc
read_period(struct store *store, const char *table, sqlite3_stmt *st, struct store_addr *out,
	struct err *err)
{
	char lookup[ADDR_MAX + 1];
	struct row row;

	row_read(&row, store, table, st);
	row_get_text(&row, out->id, sizeof(out->id));
	row_get_text(&row, out->person, sizeof(out->person));
	row_get_text(&row, out->addr, sizeof(out->addr));
	row_get_text(&row, lookup, sizeof(lookup));
	out->since = row_get_int(&row, 0, INT64_MAX);
	out->until = row_get_int(&row, 0, INT64_MAX);
	out->seq = row_get_int(&row, 0, INT64_MAX);
	return row_check(&row, err);
}

enum rc
store_put_addr(struct store *store, const struct store_addr *addr, struct err *err)
{
	struct period p = {"addresses", addr->id, addr->person, addr->addr, addr->since,
		addr->until, addr->seq};

	return put_period(store,
		"INSERT OR REPLACE INTO addresses(id, person, addr, lookup, since, until, seq, mac)"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		&p, err);
}

enum rc
store_put_grant(struct store *store, const struct store_grant *grant, struct err *err)
{
	struct period p = {"grants", grant->id, grant->owner, grant->addr, grant->since,
		grant->until, grant->seq};

	return put_period(store,
		"INSERT OR REPLACE INTO grants(id, owner, addr, lookup, since, until, seq, mac)"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		&p, err);
}

/* The first row of ST that is in force at AT, which come by SINCE, latest first; *until: when this
 * may be another one. That it is about LOOKUP is not taken from the index alone: a file changed by
 * hand may have an index that says something else than its rows. */
static enum rc
find_period(struct store *store, const char *table, sqlite3_stmt *st, const char *lookup,
	int64_t at, struct store_addr *out, int64_t *until, struct err *err)
{
	char form[ADDR_MAX + 1];
	enum rc rc;

	*until = INT64_MAX;
	while ((rc = store_step(store, st, err)) == RC_OK) {
		rc = read_period(store, table, st, out, err);
		if (!rc) {
			lookup_form(out->addr, form);
			if (strcmp(form, lookup) != 0)
				rc = err_set(
					err, ERR_KEYSTORE_TAMPERED, "index of table %s", table);
		}
		if (rc)
			break;
		if (out->since > at) {
			*until = out->since < *until ? out->since : *until;
		} else if (out->until == 0 || at < out->until) {
			*until = out->until && out->until < *until ? out->until : *until;
			break;
		}
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

enum rc
store_find_addr_until(struct store *store, const char *addr, int64_t at, struct store_addr *out,
	int64_t *until, struct err *err)
{
	char lookup[ADDR_MAX + 1];
	sqlite3_stmt *st;
	enum rc rc;

	lookup_form(addr, lookup);
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT id, person, addr, lookup, since, until, seq, mac FROM addresses WHERE lookup = ?"
		" ORDER BY since DESC",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, lookup, -1, SQLITE_TRANSIENT);
		rc = find_period(store, "addresses", st, lookup, at, out, until, err);
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

static void
grant_of(const struct store_addr *row, struct store_grant *out)
{
	memcpy(out->id, row->id, sizeof(out->id));
	memcpy(out->owner, row->person, sizeof(out->owner));
	memcpy(out->addr, row->addr, sizeof(out->addr));
	out->since = row->since;
	out->until = row->until;
	out->seq = row->seq;
}

enum rc
store_find_grant_until(struct store *store, const char *owner, const char *addr, int64_t at,
	struct store_grant *out, int64_t *until, struct err *err)
{
	char lookup[ADDR_MAX + 1];
	struct store_addr row;
	sqlite3_stmt *st;
	enum rc rc;

	lookup_form(addr, lookup);
	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT id, owner, addr, lookup, since, until, seq, mac FROM grants"
		" WHERE owner = ? AND lookup = ? ORDER BY since DESC",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, owner, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(st, 2, lookup, -1, SQLITE_TRANSIENT);
		rc = find_period(store, "grants", st, lookup, at, &row, until, err);
		if (!rc && strcmp(row.person, owner) != 0)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table grants");
		if (!rc)
			grant_of(&row, out);
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_find_grant(struct store *store, const char *owner, const char *addr, int64_t at,
	struct store_grant *out, struct err *err)
{
	int64_t until;

	return store_find_grant_until(store, owner, addr, at, out, &until, err);
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

enum rc
store_list_addrs(
	struct store *store, const char *person, store_each_addr *each, void *ctx, struct err *err)
{
	struct store_addr addr;
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT id, person, addr, lookup, since, until, seq, mac FROM addresses WHERE person = ?"
		" ORDER BY since LIMIT 1000",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, person, -1, SQLITE_TRANSIENT);
		while ((rc = store_step(store, st, err)) == RC_OK)
			if ((rc = read_period(store, "addresses", st, &addr, err)) != RC_OK ||
				(rc = each(ctx, &addr, err)) != RC_OK)
				break;
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc
store_list_grants(
	struct store *store, const char *owner, store_each_grant *each, void *ctx, struct err *err)
{
	struct store_grant grant;
	struct store_addr row;
	sqlite3_stmt *st;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	rc = store_prepare(store,
		"SELECT id, owner, addr, lookup, since, until, seq, mac FROM grants WHERE owner = ?"
		" ORDER BY since LIMIT 1000",
		&st, err);
	if (!rc) {
		sqlite3_bind_text(st, 1, owner, -1, SQLITE_TRANSIENT);
		while ((rc = store_step(store, st, err)) == RC_OK) {
			rc = read_period(store, "grants", st, &row, err);
			if (!rc) {
				grant_of(&row, &grant);
				rc = each(ctx, &grant, err);
			}
			if (rc)
				break;
		}
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}
