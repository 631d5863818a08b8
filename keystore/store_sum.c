/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/store_row.h"

#include <stdio.h>
#include <string.h>

/*
 * The HMAC of a row says that the vault once wrote it, not that it is in force: a grant that was
 * taken back could be put in again, a revoked key made active by its old row. So the HMACs of all
 * rows that count are added up, as numbers of 256 bits, and the sum stands in the table meta with
 * an HMAC of its own. Each write within a transaction changes the sum by what it takes out and puts
 * in; when the store is opened, and whenever another program changed the file, the sum is made anew
 * and compared. Each row is then held against its HMAC too: a row whose columns were changed would
 * be found when it is read, but a column that it is looked for by can hide it, for as long as
 * somebody leaves, or from the next list of revoked certificates. What is left is putting back an
 * old copy of the whole file; the ledger tells of what that copy does not know.
 */

static const struct {
	const char *name;
	const char *one; /* the HMAC of one row */
	const char *all;
	const char *rows; /* with every column */
} tables[] = {
	{"persons", "SELECT mac FROM persons WHERE id = ?", "SELECT mac FROM persons",
		"SELECT * FROM persons"},
	{"addresses", "SELECT mac FROM addresses WHERE id = ?", "SELECT mac FROM addresses",
		"SELECT * FROM addresses"},
	{"grants", "SELECT mac FROM grants WHERE id = ?", "SELECT mac FROM grants",
		"SELECT * FROM grants"},
	{"keys", "SELECT mac FROM keys WHERE id = ?", "SELECT mac FROM keys", "SELECT * FROM keys"},
	{"certs", "SELECT mac FROM certs WHERE sha256 = ?", "SELECT mac FROM certs",
		"SELECT * FROM certs"},
	{"held", "SELECT mac FROM held WHERE id = ?", "SELECT mac FROM held", "SELECT * FROM held"},
	{"requests", "SELECT mac FROM requests WHERE key = ?", "SELECT mac FROM requests",
		"SELECT * FROM requests"},
	{"masters", "SELECT mac FROM masters WHERE state = ?", "SELECT mac FROM masters",
		"SELECT * FROM masters"},
	{"officers", "SELECT mac FROM officers WHERE id = ?", "SELECT mac FROM officers",
		"SELECT * FROM officers"},
	{"quorum", "SELECT mac FROM quorum WHERE id = ?", "SELECT mac FROM quorum",
		"SELECT * FROM quorum"},
	{"acts", "SELECT mac FROM acts WHERE id = ?", "SELECT mac FROM acts", "SELECT * FROM acts"},
	{"approvals", "SELECT mac FROM approvals WHERE id = ?", "SELECT mac FROM approvals",
		"SELECT * FROM approvals"},
	{"cas", "SELECT mac FROM cas WHERE key = ?", "SELECT mac FROM cas", "SELECT * FROM cas"},
	{"revocations", "SELECT mac FROM revocations WHERE sha256 = ?",
		"SELECT mac FROM revocations", "SELECT * FROM revocations"},
};

#define TABLES (sizeof(tables) / sizeof(*tables))

/* SUM + MAC, or SUM - MAC, modulo 2^256. */
static void
add(unsigned char *sum, const unsigned char *mac, bool minus)
{
	int carry = 0;

	for (int i = WRAP_MAC_SIZE - 1; i >= 0; i--) {
		int n = minus ? sum[i] - mac[i] - carry : sum[i] + mac[i] + carry;

		carry = minus ? n < 0 : n > 255;
		sum[i] = (unsigned char)(n & 255);
	}
}

enum rc
store_sum_change(struct store *store, const char *table, const char *pk, const unsigned char *mac,
	struct err *err)
{
	sqlite3_stmt *st;
	size_t t;
	enum rc rc;

	for (t = 0; t < TABLES && strcmp(tables[t].name, table) != 0; t++)
		;
	if (t == TABLES)
		return RC_OK; /* meta */
	if (!store->in_tx)
		return err_set(err, ERR_INTERNAL, "a row of %s outside a transaction", table);
	rc = store_prepare(store, tables[t].one, &st, err);
	if (rc)
		return rc;
	sqlite3_bind_text(st, 1, pk, -1, SQLITE_STATIC);
	rc = store_step(store, st, err);
	if (!rc && sqlite3_column_bytes(st, 0) == WRAP_MAC_SIZE)
		add(store->sum, sqlite3_column_blob(st, 0), true);
	else if (!rc)
		rc = err_set(err, ERR_KEYSTORE_TAMPERED, "table %s: no HMAC", table);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc < 0)
		return rc;
	if (mac)
		add(store->sum, mac, false);
	return RC_OK;
}

static enum rc
sum_table(struct store *store, const char *sql, unsigned char *sum, struct err *err)
{
	sqlite3_stmt *st;
	enum rc rc = store_prepare(store, sql, &st, err);

	if (rc)
		return rc;
	while ((rc = store_step(store, st, err)) == RC_OK) {
		if (sqlite3_column_bytes(st, 0) != WRAP_MAC_SIZE) {
			rc = err_set(err, ERR_KEYSTORE_TAMPERED, "a row without HMAC");
			break;
		}
		add(sum, sqlite3_column_blob(st, 0), false);
	}
	sqlite3_reset(st);
	return rc == RC_NONE ? RC_OK : rc;
}

/* The row that ST stands on: are all columns before the HMAC as the vault wrote them? */
static enum rc
check_row(struct store *store, const char *table, sqlite3_stmt *st, int mac, struct err *err)
{
	struct row row;
	enum rc rc;

	row_read(&row, store, table, st);
	for (int i = 0; i < mac; i++)
		row_get_any(&row);
	rc = row_check(&row, err);
	if (rc && err->code == ERR_KEYSTORE_TAMPERED)
		err_set(err, ERR_KEYSTORE_TAMPERED,
			"row %.80s of table %s is not as the vault wrote it",
			(const char *)sqlite3_column_text(st, 0), table);
	return rc;
}

/* As sum_table, with a look at each row. */
static enum rc
check_table(struct store *store, size_t t, unsigned char *sum, struct err *err)
{
	sqlite3_stmt *st;
	int mac = 0, n;
	enum rc rc = store_prepare(store, tables[t].rows, &st, err);

	if (rc)
		return rc;
	n = sqlite3_column_count(st);
	while (mac < n && strcmp(sqlite3_column_name(st, mac), "mac") != 0)
		mac++;
	while ((rc = store_step(store, st, err)) == RC_OK) {
		rc = check_row(store, tables[t].name, st, mac, err);
		if (rc)
			break;
		add(sum, sqlite3_column_blob(st, mac), false);
	}
	sqlite3_reset(st);
	return rc == RC_NONE ? RC_OK : rc;
}

static void
format(const unsigned char *sum, char out[2 * WRAP_MAC_SIZE + 1])
{
	for (size_t i = 0; i < WRAP_MAC_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

enum rc
store_sum_put(struct store *store, struct err *err)
{
	char text[2 * WRAP_MAC_SIZE + 1];

	if (memcmp(store->sum, store->saved, sizeof(store->sum)) == 0)
		return RC_OK;
	format(store->sum, text);
	return store_put_meta(store, "sum", text, err);
}

enum rc
store_sum_make(struct store *store, struct err *err)
{
	enum rc rc = RC_OK;

	memset(store->sum, 0, sizeof(store->sum));
	for (size_t t = 0; !rc && t < TABLES; t++)
		rc = sum_table(store, tables[t].all, store->sum, err);
	return rc;
}

/* Call with the lock held. */
static enum rc
check(struct store *store, struct err *err)
{
	char text[2 * WRAP_MAC_SIZE + 1], stored[2 * WRAP_MAC_SIZE + 1];
	unsigned char sum[WRAP_MAC_SIZE] = {0};
	enum rc rc = RC_OK;

	for (size_t t = 0; !rc && t < TABLES; t++)
		rc = check_table(store, t, sum, err);
	if (!rc)
		rc = store_get_meta(store, "sum", stored, sizeof(stored), err);
	format(sum, text);
	if (rc == RC_NONE || (!rc && strcmp(text, stored) != 0))
		rc = err_set(err, ERR_KEYSTORE_TAMPERED,
			"rows were removed, or put back as they once were");
	if (!rc)
		memcpy(store->sum, sum, sizeof(sum));
	__atomic_store_n(&store->broken, rc == RC_TEMP && err->code == ERR_KEYSTORE_TAMPERED,
		__ATOMIC_RELEASE);
	return rc;
}

enum rc
store_check(struct store *store, struct err *err)
{
	struct err why = ERR_INIT;
	enum rc rc;

	pthread_mutex_lock(&store->lock);
	/* Within a transaction (our own, for the lock is held) the stored sum is the one of before.
	 */
	rc = store->in_tx ? RC_OK : check(store, &why);
	pthread_mutex_unlock(&store->lock);
	if (rc && err)
		*err = why;
	return rc;
}

bool
store_is_broken(struct store *store)
{
	return __atomic_load_n(&store->broken, __ATOMIC_ACQUIRE);
}
