/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store, and what becomes of rows that somebody changed by hand: each column of each table that
 * matters.
 */
#include "keystore/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypto/issue.h"
#include "keystore/rowcache.h"
#include "keystore/store_held.h"
#include "keystore/store_root.h"
#include "keystore/store_row.h"
#include "tests/unit/unit.h"

static char path[] = "/tmp/sg-store-XXXXXX";
static struct secret *master;
static struct pkey *pkey, *pkey2;
static struct cert *ca, *leaf;
static struct err err = ERR_INIT;

#define MUST(call)                                                                              \
	do {                                                                                    \
		enum rc rc_ = (call);                                                           \
		if (rc_ != RC_OK)                                                               \
			fail_msg("%s: %d, %s: %s", #call, rc_, err_name(err.code), err.detail); \
	} while (0)

/* A store with one of everything; ids are fixed. */
static struct store *
fill(void)
{
	struct store_person person = {
		.id = "p1", .name = "Alice", .kind = PERSON_HUMAN, .created = 100, .seq = 1};
	struct store_addr addr = {
		.id = "a1", .person = "p1", .addr = "Alice@example.org", .since = 100, .seq = 1};
	struct store_key key = {.id = "k1",
		.person = "p1",
		.purpose = PURPOSE_BOTH,
		.type = KEY_EC_P256,
		.fingerprint = "f1",
		.created = 100,
		.changed = 100,
		.seq = 1};
	struct store_grant grant = {
		.id = "g1", .owner = "p1", .person = "p2", .since = 100, .until = 900};
	struct certset chain = {0};
	struct store *store;

	unlink(path);
	MUST(store_create(path, "file:m", "", master, &store, &err));
	MUST(store_begin(store, &err));
	MUST(store_put_person(store, &person, &err));
	MUST(store_put_addr(store, &addr, &err));
	MUST(store_put_grant(store, &grant, &err));
	MUST(store_add_key(store, &key, pkey, &err));
	strcpy(key.id, "k2");
	strcpy(key.fingerprint, "f2");
	key.purpose = PURPOSE_OPEN;
	MUST(store_add_key(store, &key, pkey2, &err));
	MUST(certset_add(&chain, ca, &err));
	MUST(store_add_cert(store, "k1", leaf, &chain, 100, 1, &err));
	MUST(store_commit(store, &err));
	certset_fini(&chain);
	return store;
}

static struct store *
reopen(void)
{
	struct store *store;

	MUST(store_open(path, &store, &err));
	MUST(store_unlock(store, master, &err));
	return store;
}

static void
test_rows(void **state)
{
	struct store *store = fill();
	struct store_person person;
	struct store_addr addr;
	struct store_key key;
	struct store_cert cert;
	struct store_grant grant;
	struct pkey *got;
	struct secret *fallback;
	unsigned char ident[SHA256_SIZE];
	const unsigned char *issuer, *serial, *ski;
	size_t issuer_len, serial_len, ski_len, n;
	char ids[4][STORE_ID_SIZE];

	(void)state;
	store_close(&store);
	store = reopen();
	MUST(store_get_person(store, "p1", &person, &err));
	CHECK_STR("name", person.name, "Alice");
	CHECK_INT("nobody", store_get_person(store, "p2", &person, &err), RC_NONE);
	MUST(store_find_addr(store, "aLICE@EXAMPLE.ORG", 100, &addr, &err));
	CHECK_STR("address", addr.addr, "Alice@example.org");
	CHECK_INT("before", store_find_addr(store, "alice@example.org", 99, &addr, &err), RC_NONE);
	MUST(store_find_grant(store, "p1", "p2", 899, &grant, &err));
	CHECK_INT("over", store_find_grant(store, "p1", "p2", 900, &grant, &err), RC_NONE);
	CHECK_INT("another's", store_find_grant(store, "p2", "p1", 500, &grant, &err), RC_NONE);
	MUST(store_get_key(store, "k1", &key, &err));
	CHECK_INT("status", key.status, KEY_ACTIVE);
	MUST(store_unwrap_key(store, "k1", &got, &fallback, &err));
	CHECK_INT("type", pkey_type(got), KEY_EC_P256);
	CHECK_INT("fallback", secret_len(fallback), 32);
	pkey_unref(&got);
	secret_free(&fallback);
	CHECK_INT("same key again", store_add_key(store, &key, pkey, &err), RC_PERM);
	CHECK_INT("same key again", err.code, ERR_KEY_EXISTS);

	MUST(store_current_cert(store, "k1", clock_now(), &cert, &err));
	assert_string_equal(cert.sha256, cert_fingerprint(leaf));
	CHECK_INT("chain", cert.chain.n, 1);
	store_cert_fini(&cert);
	CHECK_INT("expired", store_current_cert(store, "k1", clock_now() + 99 * 86400, &cert, &err),
		RC_NONE);
	issuer = cert_issuer_der(leaf, &issuer_len);
	serial = cert_serial_bytes(leaf, &serial_len);
	ski = cert_ski(leaf, &ski_len);
	MUST(store_ident(issuer, issuer_len, serial, serial_len, ident, &err));
	MUST(store_match(store, false, ident, sizeof(ident), ids, 4, &n, &err));
	CHECK_INT("by issuer and serial", n, 1);
	CHECK_STR("by issuer and serial", ids[0], "k1");
	MUST(store_match(store, true, ski, ski_len, ids, 4, &n, &err));
	CHECK_INT("by SKI", n, 1);
	MUST(store_match(store, true, ident, sizeof(ident), ids, 4, &n, &err));
	CHECK_INT("no such SKI", n, 0);
	MUST(store_match(store, true, "", 0, ids, 4, &n, &err));
	CHECK_INT("empty SKI", n, 0);

	MUST(store_begin(store, &err));
	MUST(store_set_status(store, "k1", KEY_REVOKED, 200, 9, &err));
	MUST(store_commit(store, &err));
	MUST(store_get_key(store, "k1", &key, &err));
	CHECK_INT("revoked", key.status, KEY_REVOKED);
	CHECK_INT("seq", key.seq, 9);
	store_close(&store);
}

/* A question whose parameter found no memory is not one about nobody. */
static void
test_questions_without_memory(void **state)
{
	struct store *store = fill();
	struct store_person person;
	char id[8001];

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = 0;
	CHECK_INT("nobody", store_get_person(store, id, &person, &err), RC_NONE);
	/* Enough for all but the parameter's copy. */
	assert_true(sqlite3_hard_heap_limit64(sqlite3_memory_used() + 4000) >= 0);
	CHECK_INT("no memory", store_get_person(store, id, &person, &err), RC_TEMP);
	assert_true(sqlite3_hard_heap_limit64(0) >= 0);
	CHECK_STR("no memory", err_name(err.code), "memory");
	CHECK_INT("nobody again", store_get_person(store, id, &person, &err), RC_NONE);
	MUST(store_get_person(store, "p1", &person, &err));
	store_close(&store);
}

static void
test_secrets(void **state)
{
	struct store *store = fill();
	struct secret *secret = NULL;

	(void)state;
	MUST(secret_copy("12345", 5, &secret, &err));
	MUST(store_put_secret(store, "e-1", secret, &err));
	MUST(store_put_secret(store, "e-2", secret, &err));
	MUST(store_put_secret(store, "e-3", secret, &err));
	secret_free(&secret);
	MUST(store_del_secrets(store, "e-0", "e-2", &err));
	CHECK_INT("destroyed", store_get_secret(store, "e-1", &secret, &err), RC_NONE);
	CHECK_INT("destroyed", store_get_secret(store, "e-2", &secret, &err), RC_NONE);
	MUST(store_get_secret(store, "e-3", &secret, &err));
	assert_memory_equal(secret_data(secret), "12345", 5);
	secret_free(&secret);
	store_close(&store);
}

static void
test_transaction(void **state)
{
	struct store *store = fill();
	struct store_person person = {.id = "p9", .name = "Nine", .created = 1};

	(void)state;
	MUST(store_begin(store, &err));
	MUST(store_put_person(store, &person, &err));
	store_rollback(store);
	CHECK_INT("rolled back", store_get_person(store, "p9", &person, &err), RC_NONE);
	store_rollback(store);
	MUST(store_begin(store, &err));
	MUST(store_commit(store, &err));
	store_close(&store);
}

static void
test_master(void **state)
{
	struct store *store = fill();
	struct secret *other;

	(void)state;
	store_close(&store);
	MUST(secret_random(MASTER_SIZE, &other, &err));
	MUST(store_open(path, &store, &err));
	CHECK_INT("another master key", store_unlock(store, other, &err), RC_TEMP);
	CHECK_INT("another master key", err.code, ERR_MASTER_KEY);
	store_close(&store);
	secret_free(&other);
	assert_int_equal(chmod(path, 0640), 0);
	CHECK_INT("mode", store_open(path, &store, &err), RC_TEMP);
	assert_int_equal(chmod(path, 0600), 0);
	CHECK_INT("exists", store_create(path, "file:m", "", master, &store, &err), RC_TEMP);
}

/* Somebody with another program. */
static void
by_hand(const char *sql)
{
	char *message = NULL;
	sqlite3 *db;
	int before;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	before = sqlite3_total_changes(db);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK ||
		(sqlite3_total_changes(db) == before && strncmp(sql, "CREATE", 6) != 0))
		fail_msg("%s: %s", sql, message ? message : "changed nothing");
	sqlite3_close(db);
}

/* The master key is replaced: at each step it is certain which keys open the store. */
static void
test_masters(void **state)
{
	struct store *store = fill(), *again;
	struct store_master masters[2];
	struct secret *second, *third;
	char kdf[STORE_KDF_SIZE];
	size_t n;

	(void)state;
	MUST(secret_random(MASTER_SIZE, &second, &err));
	MUST(secret_random(MASTER_SIZE, &third, &err));
	MUST(store_check_master(store, master, false, &err));
	CHECK_INT("not pending", store_check_master(store, master, true, &err), RC_TEMP);
	CHECK_INT("nothing to settle", store_settle_master(store, NULL, &err), RC_TEMP);
	MUST(store_add_master(store, "ask", "scrypt 1 2 3", second, &err));
	CHECK_INT("one at a time", store_add_master(store, "file:x", "", third, &err), RC_TEMP);
	MUST(store_list_masters(store, masters, &n, &err));
	CHECK_INT("two", n, 2);
	assert_true(masters[0].opened && !masters[0].pending && masters[1].pending);
	CHECK_STR("spec", masters[1].spec, "ask");
	/* Either opens it now. */
	MUST(store_open(path, &again, &err));
	MUST(store_find_kdf(again, "ask", kdf, &err));
	CHECK_STR("parameters", kdf, "scrypt 1 2 3");
	CHECK_INT("no such parameters", store_find_kdf(again, "pkcs11:x", kdf, &err), RC_NONE);
	MUST(store_unlock(again, second, &err));
	CHECK_INT("ours", store_drop_master(again, &err), RC_TEMP);
	store_close(&again);
	/* The pending one is taken back. */
	MUST(store_drop_master(store, &err));
	MUST(store_open(path, &again, &err));
	CHECK_INT("dropped", store_unlock(again, second, &err), RC_TEMP);
	store_close(&again);
	/* Another one takes over. */
	MUST(store_add_master(store, "file:x", "", third, &err));
	CHECK_INT("not shown", store_settle_master(store, NULL, &err), RC_TEMP);
	CHECK_INT("another", store_settle_master(store, second, &err), RC_TEMP);
	MUST(store_settle_master(store, third, &err));
	MUST(store_check_master(store, third, false, &err));
	CHECK_INT("the old one", store_check_master(store, master, false, &err), RC_TEMP);
	store_close(&store);
	MUST(store_open(path, &store, &err));
	CHECK_INT("the old one", store_unlock(store, master, &err), RC_TEMP);
	CHECK_INT("the old one", err.code, ERR_MASTER_KEY);
	MUST(store_unlock(store, third, &err));
	store_close(&store);
	secret_free(&second);
	secret_free(&third);
}

/* How often the bytes of a file have the LEN bytes at WHAT in them. */
static size_t
occurs(const char *file, const void *what, size_t len)
{
	struct buf data = BUF_INIT(64u << 20);
	const char *p;
	size_t n = 0;

	if (file_read(file, &data, &err) != RC_OK)
		return 0;
	p = data.data;
	while ((p = memmem(p, data.len - (size_t)(p - data.data), what, len)) != NULL) {
		n++;
		p++;
	}
	buf_fini(&data);
	return n;
}

/* A column of the row ID by hand. */
static size_t
column_by_hand(const char *sql, unsigned char *out, size_t size)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	size_t n;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (size_t)sqlite3_column_bytes(st, 0);
	assert_true(n > 0 && n <= size);
	memcpy(out, sqlite3_column_blob(st, 0), n);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static enum rc read_all(struct store *store);

/* Everything under a new store key, in use all the time. */
static void
test_reencrypt(void **state)
{
	struct store *store = fill();
	struct secret *other, *secret = NULL;
	unsigned char wrapped[4096], mac[64];
	size_t wrapped_len, mac_len;
	uint64_t generation;

	(void)state;
	MUST(secret_random(MASTER_SIZE, &other, &err));
	MUST(secret_copy("12345", 5, &secret, &err));
	MUST(store_put_secret(store, "e-1", secret, &err));
	secret_free(&secret);
	wrapped_len = column_by_hand("SELECT wrapped FROM keys WHERE id = 'k1'", wrapped, 4096);
	mac_len = column_by_hand("SELECT mac FROM persons WHERE id = 'p1'", mac, 64);
	MUST(store_checkpoint(store, &err));
	assert_true(occurs(path, wrapped, wrapped_len) == 1 && occurs(path, mac, mac_len) == 1);
	CHECK_INT("another master key", store_reencrypt(store, other, &err), RC_TEMP);
	generation = store_generation(store);
	MUST(store_reencrypt(store, master, &err));
	assert_true(store_generation(store) != generation);
	CHECK_INT("old bytes", occurs(path, wrapped, wrapped_len) + occurs(path, mac, mac_len), 0);
	/* The same store goes on, and another one opens. */
	for (int i = 0; i < 2; i++) {
		assert_true(read_all(store) >= 0);
		MUST(store_get_secret(store, "e-1", &secret, &err));
		assert_memory_equal(secret_data(secret), "12345", 5);
		secret_free(&secret);
		MUST(store_begin(store, &err));
		MUST(store_set_status(store, "k1", KEY_RETIRED, 200 + i, 9, &err));
		MUST(store_commit(store, &err));
		MUST(store_check(store, &err));
		store_close(&store);
		store = reopen();
	}
	MUST(store_add_master(store, "ask", "scrypt", other, &err));
	CHECK_INT("while one is pending", store_reencrypt(store, master, &err), RC_TEMP);
	MUST(store_drop_master(store, &err));
	/* A row that somebody changed stays what it is. */
	by_hand("UPDATE persons SET name = 'Mallory'");
	CHECK_INT("tampered", store_reencrypt(store, master, &err), RC_TEMP);
	CHECK_INT("tampered", err.code, ERR_KEYSTORE_TAMPERED);
	store_close(&store);
	secret_free(&other);
}

static enum rc
each_person(void *ctx, const struct store_person *person, struct err *e)
{
	(void)ctx;
	(void)person;
	(void)e;
	return RC_OK;
}

static enum rc
each_cert(void *ctx, const struct store_cert *cert, struct err *e)
{
	(void)ctx;
	(void)cert;
	(void)e;
	return RC_OK;
}

/* Looks at everything that the rows say; the first error. */
static enum rc
read_all(struct store *store)
{
	struct store_person person;
	struct store_addr addr;
	struct store_key key;
	struct store_cert cert;
	struct store_grant grant;
	struct pkey *got = NULL;
	struct secret *fallback = NULL;
	enum rc rc;

	if ((rc = store_get_person(store, "p1", &person, &err)) < 0 ||
		(rc = store_list_persons(store, "", 100, each_person, NULL, &err)) < 0 ||
		(rc = store_find_addr(store, "alice@example.org", 100, &addr, &err)) < 0 ||
		(rc = store_find_addr(store, "mallory@example.org", 100, &addr, &err)) < 0 ||
		(rc = store_find_grant(store, "p1", "p2", 100, &grant, &err)) < 0 ||
		(rc = store_find_grant(store, "p1", "p3", 100, &grant, &err)) < 0 ||
		(rc = store_find_grant(store, "p3", "p2", 100, &grant, &err)) < 0 ||
		(rc = store_find_uid(store, "u", &person, &err)) < 0 ||
		(rc = store_get_key(store, "k1", &key, &err)) < 0 ||
		(rc = store_list_certs(store, "k1", each_cert, NULL, &err)) < 0 ||
		(rc = store_list_certs(store, "k2", each_cert, NULL, &err)) < 0)
		return rc;
	rc = store_current_cert(store, "k1", clock_now(), &cert, &err);
	if (rc == RC_OK)
		store_cert_fini(&cert);
	if (rc < 0)
		return rc;
	rc = store_unwrap_key(store, "k1", &got, &fallback, &err);
	pkey_unref(&got);
	secret_free(&fallback);
	if (rc >= 0)
		rc = store_unwrap_key(store, "k2", &got, &fallback, &err);
	pkey_unref(&got);
	secret_free(&fallback);
	return rc;
}

/* Opens the store and reads everything in it. */
static enum rc
look_again(void)
{
	struct store *store;
	enum rc rc;

	err_clear(&err);
	MUST(store_open(path, &store, &err));
	rc = store_unlock(store, master, &err);
	if (!rc)
		rc = read_all(store);
	store_close(&store);
	return rc;
}

/* Rows that the vault itself wrote, put back after it had written others. */
static void
test_replay(void **state)
{
	struct store *store = fill();

	(void)state;
	store_close(&store);
	by_hand("CREATE TABLE was_keys AS SELECT * FROM keys WHERE id = 'k1'");
	by_hand("CREATE TABLE was_grants AS SELECT * FROM grants");
	store = reopen();
	MUST(store_begin(store, &err));
	MUST(store_set_status(store, "k1", KEY_REVOKED, 200, 9, &err));
	MUST(store_commit(store, &err));
	/* What was rolled back is not in the sum. */
	MUST(store_begin(store, &err));
	MUST(store_del_grant(store, "g1", &err));
	store_rollback(store);
	MUST(store_begin(store, &err));
	MUST(store_del_grant(store, "g1", &err));
	MUST(store_commit(store, &err));
	store_close(&store);
	assert_true(look_again() >= 0);

	by_hand("INSERT INTO grants SELECT * FROM was_grants");
	CHECK_INT("grant", look_again(), RC_TEMP);
	CHECK_INT("grant", err.code, ERR_KEYSTORE_TAMPERED);
	by_hand("DELETE FROM grants");
	assert_true(look_again() >= 0);
	by_hand("REPLACE INTO keys SELECT * FROM was_keys");
	CHECK_INT("key", look_again(), RC_TEMP);
	CHECK_INT("key", err.code, ERR_KEYSTORE_TAMPERED);
}

/* Rows as they were before somebody left, a grant ended, or an address became another's. */
static void
test_lifecycle_put_back(void **state)
{
	static const char *const tables[] = {"persons", "addresses", "grants"};
	struct store *store = fill();
	struct store_person person;
	struct store_addr addr;
	struct store_grant grant;
	char sql[128];

	(void)state;
	MUST(store_get_person(store, "p1", &person, &err));
	MUST(store_find_addr(store, "alice@example.org", 100, &addr, &err));
	MUST(store_get_grant(store, "g1", &grant, &err));
	store_close(&store);
	for (size_t i = 0; i < 3; i++) {
		snprintf(sql, sizeof(sql), "CREATE TABLE was_%s AS SELECT * FROM %s", tables[i],
			tables[i]);
		by_hand(sql);
	}
	store = reopen();
	person.left = 150;
	addr.until = grant.until = 150;
	MUST(store_begin(store, &err));
	MUST(store_put_person(store, &person, &err));
	MUST(store_put_addr(store, &addr, &err));
	MUST(store_put_grant(store, &grant, &err));
	MUST(store_commit(store, &err));
	MUST(store_get_person(store, "p1", &person, &err));
	CHECK_INT("left", store_person_is_present(&person, 149), true);
	CHECK_INT("left", store_person_is_present(&person, 150), false);
	CHECK_INT(
		"address", store_find_addr(store, "alice@example.org", 150, &addr, &err), RC_NONE);
	CHECK_INT("grant", store_find_grant(store, "p1", "p2", 150, &grant, &err), RC_NONE);
	store_close(&store);
	assert_true(look_again() >= 0);
	for (size_t i = 0; i < 3; i++) {
		snprintf(sql, sizeof(sql), "CREATE TABLE is_%s AS SELECT * FROM %s", tables[i],
			tables[i]);
		by_hand(sql);
		snprintf(sql, sizeof(sql), "REPLACE INTO %s SELECT * FROM was_%s", tables[i],
			tables[i]);
		by_hand(sql);
		CHECK_INT(tables[i], look_again(), RC_TEMP);
		CHECK_INT(tables[i], err.code, ERR_KEYSTORE_TAMPERED);
		snprintf(sql, sizeof(sql), "REPLACE INTO %s SELECT * FROM is_%s", tables[i],
			tables[i]);
		by_hand(sql);
		assert_true(look_again() >= 0);
	}
}

/* While the store is open: seen by its version, and nothing is added any more. */
static void
test_live(void **state)
{
	struct store *store = fill();
	int64_t before, after;

	(void)state;
	MUST(store_version(store, &before, &err));
	by_hand("DELETE FROM grants");
	MUST(store_version(store, &after, &err));
	assert_true(before != after);
	assert_false(store_is_broken(store));
	CHECK_INT("check", store_check(store, &err), RC_TEMP);
	CHECK_INT("check", err.code, ERR_KEYSTORE_TAMPERED);
	assert_true(store_is_broken(store));
	CHECK_INT("begin", store_begin(store, &err), RC_TEMP);
	store_close(&store);
}

/* A column by which a row is looked for hides the row when it is changed, and not after it is put
 * back: nothing may be done in between. */
static void
test_hidden(void **state)
{
	static const char *const changes[][2] = {
		{"UPDATE grants SET person = 'px'", "UPDATE grants SET person = 'p2'"},
		{"UPDATE addresses SET lookup = 'x@example.org'",
			"UPDATE addresses SET lookup = 'alice@example.org'"},
		{"UPDATE keys SET person = 'px' WHERE id = 'k1'",
			"UPDATE keys SET person = 'p1' WHERE id = 'k1'"},
		{"UPDATE certs SET key = 'kx' || key", "UPDATE certs SET key = substr(key, 3)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct store *store = fill();
		struct err why = ERR_INIT;

		MUST(store_look_now(store, &err));
		by_hand(changes[i][0]);
		CHECK_INT(changes[i][0], store_begin(store, &why), RC_TEMP);
		CHECK_INT(changes[i][0], why.code, ERR_KEYSTORE_TAMPERED);
		CHECK_INT(changes[i][0], store_look_now(store, &why), RC_TEMP);
		CHECK_INT(changes[i][0], why.code, ERR_KEYSTORE_TAMPERED);
		by_hand(changes[i][1]);
		MUST(store_look_now(store, &err));
		MUST(store_begin(store, &err));
		store_rollback(store);
		/* Nobody has to read the row. */
		by_hand(changes[i][0]);
		store_close(&store);
		MUST(store_open(path, &store, &err));
		CHECK_INT(changes[i][0], store_unlock(store, master, &why), RC_TEMP);
		CHECK_INT(changes[i][0], why.code, ERR_KEYSTORE_TAMPERED);
		store_close(&store);
	}
}

/* How often rows were asked for. */
static int
count_queries(struct store *store)
{
	int n = 0;

	for (size_t i = 0; i < store->n_cache; i++)
		if (strstr(store->cache[i].sql, "SELECT"))
			n += sqlite3_stmt_status(store->cache[i].st, SQLITE_STMTSTATUS_RUN, 0);
	return n;
}

/* Kept answers are those that the store would give: at their time, after our changes, and after
 * somebody else's. */
static void
test_rowcache(void **state)
{
	struct store *store = fill();
	struct store_addr later = {
		.id = "a2", .person = "p2", .addr = "alice@example.org", .since = 500};
	const unsigned char *issuer, *serial;
	unsigned char ident[SHA256_SIZE];
	size_t issuer_len, serial_len, n;
	char person[STORE_ID_SIZE], ids[ROWCACHE_KEYS][STORE_ID_SIZE], longer[600];
	struct rowcache *cache;
	char grant[STORE_ID_SIZE];
	int before;

	(void)state;
	MUST(rowcache_new(store, &cache, &err));
	issuer = cert_issuer_der(leaf, &issuer_len);
	serial = cert_serial_bytes(leaf, &serial_len);
	MUST(store_ident(issuer, issuer_len, serial, serial_len, ident, &err));
	for (int round = 0; round < 3; round++) {
		before = count_queries(store);
		MUST(rowcache_find_owner(cache, "alice@example.org", 100, person, &err));
		CHECK_STR("owner", person, "p1");
		CHECK_INT("nobody",
			rowcache_find_owner(cache, "eve@example.org", 100, person, &err), RC_NONE);
		MUST(rowcache_find_grant(cache, "p1", "p2", 100, grant, &err));
		CHECK_STR("grant", grant, "g1");
		MUST(rowcache_find_present(cache, "p1", 100, &err));
		MUST(rowcache_match(cache, false, ident, sizeof(ident), ids, &n, &err));
		CHECK_INT("keys", n, 1);
		CHECK_STR("key", ids[0], "k1");
		/* The first look finds that the store is there. */
		CHECK_INT("queries", count_queries(store) - before > 0, round == 0);
	}
	CHECK_INT("too early", rowcache_find_owner(cache, "alice@example.org", 99, person, &err),
		RC_NONE);
	CHECK_INT("over", rowcache_find_grant(cache, "p1", "p2", 900, grant, &err), RC_NONE);
	MUST(rowcache_find_grant(cache, "p1", "p2", 899, grant, &err));

	MUST(store_begin(store, &err));
	MUST(store_put_addr(store, &later, &err));
	MUST(store_del_grant(store, "g1", &err));
	MUST(store_commit(store, &err));
	CHECK_INT("taken back", rowcache_find_grant(cache, "p1", "p2", 899, grant, &err), RC_NONE);
	for (int round = 0; round < 2; round++) {
		MUST(rowcache_find_owner(cache, "alice@example.org", 499, person, &err));
		CHECK_STR("until then", person, "p1");
		MUST(rowcache_find_owner(cache, "alice@example.org", 500, person, &err));
		CHECK_STR("from then on", person, "p2");
	}

	/* What is longer than any row's is asked each time, whatever it begins with. */
	memset(longer, 'x', sizeof(longer));
	MUST(rowcache_match(cache, true, longer, sizeof(longer), ids, &n, &err));
	CHECK_INT("none", n, 0);
	before = count_queries(store);
	MUST(rowcache_match(cache, true, longer, sizeof(longer) - 1, ids, &n, &err));
	CHECK_INT("asked", count_queries(store), before + 1);

	by_hand("DELETE FROM addresses");
	usleep(150000); /* it looks ten times a second */
	CHECK_INT("tampered", rowcache_find_owner(cache, "alice@example.org", 100, person, &err),
		RC_TEMP);
	CHECK_INT("tampered", err.code, ERR_KEYSTORE_TAMPERED);
	rowcache_free(&cache);
	store_close(&store);
}

static void
test_tampering(void **state)
{
	static const char *const changes[] = {
		"UPDATE persons SET name = 'Mallory'",
		"UPDATE persons SET client_key = 1",
		"UPDATE persons SET kind = 1",
		"UPDATE persons SET created = 0",
		"UPDATE persons SET seq = 99",
		"UPDATE persons SET name = x'41'",
		"UPDATE addresses SET person = 'p2'",
		"UPDATE addresses SET addr = 'mallory@example.org'",
		"UPDATE addresses SET lookup = 'mallory@example.org'",
		"UPDATE addresses SET addr = 'mallory@example.org', lookup = 'mallory@example.org'",
		"UPDATE addresses SET since = 1",
		"UPDATE addresses SET until = 5000",
		"INSERT INTO addresses SELECT 'a2', person, 'mallory@example.org', 'mallory@example.org', since, until, synced, seq, mac FROM addresses",
		"UPDATE grants SET person = 'p3'",
		"UPDATE grants SET owner = 'p3'",
		"UPDATE grants SET keep = 1",
		"UPDATE grants SET created = 901",
		"UPDATE grants SET origin = 'group:x'",
		"UPDATE grants SET until = 0",
		"UPDATE grants SET since = 1",
		"INSERT INTO grants SELECT 'g2', owner, 'p3', origin, since, until, created, keep, seq, mac FROM grants",
		"INSERT INTO grants SELECT 'g2', 'p1', 'p3', '', since, until, 0, 0, seq, mac FROM addresses",
		"UPDATE persons SET left_at = 5",
		"UPDATE persons SET uid = 'u'",
		"UPDATE persons SET missing = 5",
		"UPDATE addresses SET synced = 1",
		"UPDATE keys SET person = 'p2' WHERE id = 'k1'",
		"UPDATE keys SET purpose = 1 WHERE id = 'k1'",
		"UPDATE keys SET status = 1 WHERE id = 'k1'",
		"UPDATE keys SET type = 1 WHERE id = 'k1'",
		"UPDATE keys SET fingerprint = 'f9' WHERE id = 'k1'",
		"UPDATE keys SET created = 1 WHERE id = 'k1'",
		"UPDATE keys SET changed = 1 WHERE id = 'k1'",
		"UPDATE keys SET seq = 7 WHERE id = 'k1'",
		"UPDATE keys SET mac = zeroblob(32) WHERE id = 'k1'",
		"UPDATE keys SET mac = x'' WHERE id = 'k1'",
		"UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE id = 'k2') WHERE id = 'k1'",
		"UPDATE keys SET wrapped = fallback WHERE id = 'k1'",
		"UPDATE keys SET wrapped = x'' WHERE id = 'k1'",
		"UPDATE keys SET wrapped = zeroblob(2000000) WHERE id = 'k1'",
		"UPDATE keys SET fallback = zeroblob(2000) WHERE id = 'k1'",
		"UPDATE keys SET fallback = (SELECT fallback FROM keys WHERE id = 'k2') WHERE id = 'k1'",
		"UPDATE keys SET fallback = x'01' WHERE id = 'k1'",
		"UPDATE certs SET key = 'k2'",
		"UPDATE certs SET ident = zeroblob(32)",
		"UPDATE certs SET ski = zeroblob(20)",
		"UPDATE certs SET not_before = 1",
		"UPDATE certs SET not_after = not_after + 1",
		"UPDATE certs SET chain = x''",
		"UPDATE certs SET der = (SELECT der FROM chain)",
		"UPDATE certs SET der = x'3000'",
		"UPDATE chain SET der = (SELECT der FROM certs)",
		"DELETE FROM chain",
		"DELETE FROM grants",
		"DELETE FROM addresses",
		"DELETE FROM persons",
		"DELETE FROM certs",
		"DELETE FROM keys WHERE id = 'k2'",
		"DELETE FROM meta WHERE name = 'sum'",
		"UPDATE meta SET value = '0000000000000000000000000000000000000000000000000000000000000000' WHERE name = 'sum'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct store *store = fill();
		enum rc rc;

		assert_true(read_all(store) >= 0);
		store_close(&store);
		by_hand(changes[i]);
		rc = look_again();
		CHECK_INT(changes[i], rc, RC_TEMP);
		CHECK_STR(changes[i], err_name(err.code), err_name(ERR_KEYSTORE_TAMPERED));
	}
}

/* A store with two key files that wait. */
static struct store *
fill_held(void)
{
	struct store_held held = {.id = "h1",
		.addr = "alice@example.org",
		.label = "a.p12",
		.sha256 = "s1",
		.created = 100,
		.seq = 1};
	struct store *store = fill();
	struct secret *file;

	MUST(secret_copy("first", 5, &file, &err));
	MUST(store_begin(store, &err));
	MUST(store_put_held(store, &held, file, &err));
	secret_free(&file);
	strcpy(held.id, "h2");
	strcpy(held.sha256, "s2");
	MUST(secret_copy("second", 6, &file, &err));
	MUST(store_put_held(store, &held, file, &err));
	MUST(store_commit(store, &err));
	secret_free(&file);
	return store;
}

/* Opens the store, and what is held in it. */
static enum rc
look_at_held(void)
{
	struct secret *file = NULL;
	struct store_held held;
	struct store *store;
	enum rc rc;

	err_clear(&err);
	MUST(store_open(path, &store, &err));
	rc = store_unlock(store, master, &err);
	if (!rc)
		rc = store_get_held(store, "h1", &held, &err);
	if (!rc)
		rc = store_unwrap_held(store, &held, &file, &err);
	secret_free(&file);
	store_close(&store);
	return rc;
}

static enum rc
count_held(void *ctx, const struct store_held *held, struct err *e)
{
	(void)held;
	(void)e;
	++*(size_t *)ctx;
	return RC_OK;
}

static void
test_held(void **state)
{
	static const char *const changes[] = {
		"UPDATE held SET addr = 'mallory@example.org' WHERE id = 'h1'",
		"UPDATE held SET label = 'b.p12' WHERE id = 'h1'",
		"UPDATE held SET sha256 = 's3' WHERE id = 'h1'",
		"UPDATE held SET is_foreign = 1 WHERE id = 'h1'",
		"UPDATE held SET created = 1 WHERE id = 'h1'",
		"UPDATE held SET tries = 5 WHERE id = 'h1'",
		"UPDATE held SET key = 'k1' WHERE id = 'h1'",
		"UPDATE held SET seq = 5 WHERE id = 'h1'",
		"UPDATE held SET mac = zeroblob(32) WHERE id = 'h1'",
		"UPDATE held SET wrapped = (SELECT wrapped FROM held WHERE id = 'h2') WHERE id = 'h1'",
		"UPDATE held SET wrapped = x'' WHERE id = 'h1'",
		"DELETE FROM held WHERE id = 'h2'",
	};
	struct store *store = fill_held();
	struct store_held held;
	struct secret *file;
	size_t n = 0;

	(void)state;
	MUST(store_find_held(store, "s1", &held, &err));
	MUST(store_unwrap_held(store, &held, &file, &err));
	assert_memory_equal(secret_data(file), "first", 5);
	secret_free(&file);
	MUST(store_list_held(store, "ALICE@example.org", "", 10, count_held, &n, &err));
	CHECK_INT("of one address", n, 2);
	/* The key came: the bytes are gone, the row stays. */
	strcpy(held.key, "k1");
	MUST(store_begin(store, &err));
	MUST(store_set_held(store, &held, &err));
	MUST(store_del_held(store, "h2", &err));
	MUST(store_commit(store, &err));
	assert_true(store_unwrap_held(store, &held, &file, &err) != RC_OK);
	n = 0;
	MUST(store_list_held(store, NULL, "", 10, count_held, &n, &err));
	CHECK_INT("waiting", n, 0);
	MUST(store_get_held(store, "h1", &held, &err));
	CHECK_STR("known", held.key, "k1");
	CHECK_INT("dropped", store_get_held(store, "h2", &held, &err), RC_NONE);
	store_close(&store);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		store = fill_held();
		store_close(&store);
		MUST(look_at_held());
		by_hand(changes[i]);
		CHECK_INT(changes[i], look_at_held(), RC_TEMP);
		CHECK_INT(changes[i], err.code, ERR_KEYSTORE_TAMPERED);
	}
}

static int
begin(void **state)
{
	struct issue_request request = {.common_name = "CA",
		.not_before = clock_now() - 100,
		.not_after = clock_now() + 90 * 86400};
	struct buf spki = BUF_INIT(4096);
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	MUST(secret_random(MASTER_SIZE, &master, &err));
	MUST(pkey_generate("p256", &pkey, &err));
	MUST(pkey_generate("p256", &pkey2, &err));
	MUST(issue_root(pkey2, &request, &ca, &err));
	MUST(pkey_public(pkey, &spki, &err));
	request.addr = "alice@example.org";
	request.use = CERT_SIGN | CERT_ENCRYPT;
	MUST(issue_leaf(pkey2, ca, spki.data, spki.len, &request, &leaf, &err));
	buf_fini(&spki);
	return 0;
}

static int
end(void **state)
{
	char name[64];

	(void)state;
	unlink(path);
	snprintf(name, sizeof(name), "%s-wal", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
	secret_free(&master);
	pkey_unref(&pkey);
	pkey_unref(&pkey2);
	cert_unref(&ca);
	cert_unref(&leaf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_questions_without_memory),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_master),
		cmocka_unit_test(test_masters),
		cmocka_unit_test(test_reencrypt),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_lifecycle_put_back),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_rowcache),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
