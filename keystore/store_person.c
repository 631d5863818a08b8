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

static void
put_person(struct row *row, const void *what)
{
	const struct store_person *person = what;

	row_put_text(row, person->id);
	row_put_text(row, person->name);
	row_put_int(row, person->kind);
	row_put_int(row, person->client_key);
	row_put_int(row, person->created);
	row_put_int(row, person->left);
	row_put_int(row, person->left_by_sync);
	row_put_text(row, person->uid);
	row_put_int(row, person->missing);
	row_put_int(row, person->seq);
}

enum rc
store_put_person(struct store *store, const struct store_person *person, struct err *err)
{
	return row_store(store, "persons",
		"INSERT OR REPLACE INTO persons(" PERSON_COLUMNS ")"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		put_person, person, err);
}

static enum rc
read_person(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	struct store_person *out = what;
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

enum rc
store_get_person(struct store *store, const char *id, struct store_person *out, struct err *err)
{
	return row_find(store, "SELECT " PERSON_COLUMNS " FROM persons WHERE id = ?", id,
		read_person, out, err);
}

enum rc
store_find_uid(struct store *store, const char *uid, struct store_person *out, struct err *err)
{
	enum rc rc;

	if (!*uid)
		return RC_NONE;
	rc = row_find(store, "SELECT " PERSON_COLUMNS " FROM persons WHERE uid = ? AND uid <> ''",
		uid, read_person, out, err);
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
	struct rows rows;
	enum rc rc;

	rows_begin(&rows, store,
		"SELECT " PERSON_COLUMNS " FROM persons WHERE id > ? ORDER BY id LIMIT ?", err);
	rows_text(&rows, 1, after);
	rows_int(&rows, 2, (int64_t)max);
	while ((rc = rows_next(&rows, read_person, &person, err)) == RC_OK)
		if ((rc = each(ctx, &person, err)) != RC_OK)
			break;
	return rows_end(&rows, rc);
}

static void
put_addr(struct row *row, const void *what)
{
	const struct store_addr *addr = what;
	char lookup[ADDR_MAX + 1];

	lookup_form(addr->addr, lookup);
	row_put_text(row, addr->id);
	row_put_text(row, addr->person);
	row_put_text(row, addr->addr);
	row_put_text(row, lookup);
	row_put_int(row, addr->since);
	row_put_int(row, addr->until);
	row_put_int(row, addr->synced);
	row_put_int(row, addr->seq);
}

enum rc
store_put_addr(struct store *store, const struct store_addr *addr, struct err *err)
{
	return row_store(store, "addresses",
		"INSERT OR REPLACE INTO addresses(" ADDR_COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		put_addr, addr, err);
}

/* What is read, and what the index was asked for (NULL: something else). That the row is about it
 * is not taken from the index alone: a file changed by hand may have an index that says something
 * else than its rows. */
struct wanted_addr {
	struct store_addr *out;
	const char *lookup;
};

static enum rc
read_addr(struct store *store, sqlite3_stmt *st, void *what, struct err *err)
{
	const struct wanted_addr *wanted = what;
	struct store_addr *out = wanted->out;
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
	if (!rc && wanted->lookup) {
		lookup_form(out->addr, form);
		if (strcmp(form, wanted->lookup) != 0)
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "index of table addresses");
	}
	return rc;
}

enum rc
store_find_addr_until(struct store *store, const char *addr, int64_t at, struct store_addr *out,
	int64_t *until, struct err *err)
{
	char lookup[ADDR_MAX + 1];
	struct wanted_addr wanted = {out, lookup};
	struct rows rows;
	enum rc rc;

	*until = INT64_MAX;
	lookup_form(addr, lookup);
	rows_begin(&rows, store,
		"SELECT " ADDR_COLUMNS " FROM addresses WHERE lookup = ? ORDER BY since DESC", err);
	rows_text(&rows, 1, lookup);
	while ((rc = rows_next(&rows, read_addr, &wanted, err)) == RC_OK)
		if (store_period_decides(out->since, out->until, at, until))
			break;
	(void)rows_end(&rows, rc);
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
	struct wanted_addr wanted = {&addr, lookup};
	struct rows rows;
	size_t n = 0;
	enum rc rc;

	rows_begin(&rows, store, sql, err);
	rows_text(&rows, 1, text);
	while ((rc = rows_next(&rows, read_addr, &wanted, err)) == RC_OK) {
		rc = n++ == STORE_MAX_ROWS
			     ? err_set(err, ERR_LIMIT, "more than %d addresses", STORE_MAX_ROWS)
			     : each(ctx, &addr, err);
		if (rc != RC_OK)
			break;
	}
	return rows_end(&rows, rc);
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
