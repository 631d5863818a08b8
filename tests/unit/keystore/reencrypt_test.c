/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new store key, for every table and every column that the schema has: what depends on the store
 * key is another value afterwards and can be used, what does not is the same. Which columns those
 * are is not written down here: they differ between two stores that were filled alike.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto/issue.h"
#include "keystore/store_ca.h"
#include "keystore/store_held.h"
#include "keystore/store_officer.h"
#include "keystore/store_request.h"
#include "keystore/store_root.h"
#include "keystore/store_row.h"
#include "tests/unit/unit.h"

#define TABLES_MAX  64
#define COLUMNS_MAX 32
#define VALUE_MAX   4096

static char dir[] = "/tmp/sg-reencrypt-XXXXXX";
static char paths[2][64];
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

/* --- a row of everything --- */

static void
put_keys(struct store *store)
{
	struct store_key key = {.id = "k1",
		.person = "p1",
		.purpose = PURPOSE_BOTH,
		.type = KEY_EC_P256,
		.fingerprint = "f1",
		.created = 100,
		.changed = 100,
		.use_from = 90,
		.seq = 1};
	struct certset chain = {0};

	MUST(store_add_key(store, &key, pkey, &err));
	strcpy(key.id, "k2");
	strcpy(key.fingerprint, "f2");
	strcpy(key.replaces, "k1");
	key.purpose = PURPOSE_CA;
	MUST(store_add_key(store, &key, pkey2, &err));
	MUST(certset_add(&chain, ca, &err));
	MUST(store_add_cert(store, "k1", leaf, &chain, 100, 1, &err));
	certset_fini(&chain);
}

static void
put_persons(struct store *store)
{
	struct store_person person = {.id = "p1",
		.name = "Alice",
		.kind = PERSON_HUMAN,
		.uid = "u1",
		.created = 100,
		.seq = 1};
	struct store_addr addr = {
		.id = "a1", .person = "p1", .addr = "Alice@example.org", .since = 100, .seq = 1};
	struct store_grant grant = {
		.id = "g1", .owner = "p1", .person = "p2", .since = 100, .until = 900};

	MUST(store_put_person(store, &person, &err));
	MUST(store_put_addr(store, &addr, &err));
	MUST(store_put_grant(store, &grant, &err));
}

static void
put_papers(struct store *store)
{
	struct store_request request = {
		.key = "k1", .addr = "alice@example.org", .subject = "CN=x"};
	struct store_held held = {.id = "h1", .sha256 = "s1", .label = "a.p12", .created = 100};
	struct store_ca row = {.key = "k2", .role = CA_ROOT, .created = 100, .seq = 1};
	struct store_revocation revocation = {
		.sha256 = "c1", .ca = "k2", .serial = "123", .serial_len = 3, .at = 100, .seq = 1};
	struct secret *file;
	struct buf der = BUF_INIT(64);

	MUST(buf_append_str(&der, "the request", &err));
	MUST(store_put_request(store, &request, &der, &err));
	buf_fini(&der);
	MUST(secret_copy("the file", 8, &file, &err));
	MUST(store_put_held(store, &held, file, &err));
	/* One that has got its PIN: its bytes are gone. */
	strcpy(held.id, "h2");
	strcpy(held.sha256, "s2");
	MUST(store_put_held(store, &held, file, &err));
	strcpy(held.key, "k1");
	MUST(store_set_held(store, &held, &err));
	secret_free(&file);
	MUST(store_put_ca(store, &row, &err));
	MUST(store_put_revocation(store, &revocation, &err));
}

static void
put_officers(struct store *store)
{
	char command[] = "{\"cmd\":\"key.export\"}", text[] = "the text";
	struct store_officer officer = {
		.id = "o1", .name = "Anna", .keyid = "i1", .since = 100, .seq = 1, .cert = ca};
	struct store_act act = {.id = "q1",
		.act = "key.export",
		.max_uses = 1,
		.made = 100,
		.expires = 900,
		.changed = 100,
		.hash = "hash",
		.command = command,
		.text = text,
		.len = 8};
	struct store_approval approval = {.id = "x1",
		.request = "q1",
		.officer = "o1",
		.at = 100,
		.sha256 = "s",
		.cms = "the signature",
		.len = 13};

	MUST(store_put_officer(store, &officer, &err));
	strcpy(officer.id, "o2");
	strcpy(officer.keyid, "i2");
	MUST(store_put_officer(store, &officer, &err));
	MUST(store_put_quorum(store, 2, 100, 1, &err));
	MUST(store_put_act(store, &act, &err));
	MUST(store_add_approval(store, &approval, &err));
}

static struct store *
fill(const char *path)
{
	static const char *const names[] = {"epoch-1", "period-2026-11", "budgets"};
	struct store_key gone = {.id = "k3",
		.person = "p1",
		.purpose = PURPOSE_OPEN,
		.type = KEY_EC_P256,
		.fingerprint = "f3",
		.created = 100,
		.changed = 100,
		.seq = 1};
	struct secret *secret;
	struct store *store;

	clock_set(1790000000);
	MUST(store_create(path, "file:m", "", master, &store, &err));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		MUST(secret_copy(names[i], strlen(names[i]), &secret, &err));
		MUST(store_put_secret(store, names[i], secret, &err));
		secret_free(&secret);
	}
	MUST(store_begin(store, &err));
	put_persons(store);
	put_keys(store);
	put_papers(store);
	put_officers(store);
	MUST(store_add_key(store, &gone, pkey2, &err));
	MUST(store_destroy_key(store, "k3", 200, 2, &err));
	MUST(store_commit(store, &err));
	clock_set(-1);
	return store;
}

/* --- tables as they are in the file --- */

struct value {
	int type;
	size_t len;
	unsigned char bytes[VALUE_MAX];
};

struct table {
	char name[64];
	char columns[COLUMNS_MAX][64];
	int n;
	int rows;
	struct value *values; /* rows by the first column, N each */
};

static sqlite3 *
open_file(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	return db;
}

static void
read_table(sqlite3 *db, struct table *t)
{
	sqlite3_stmt *st;
	char sql[160];

	snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY 1", t->name);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	t->n = sqlite3_column_count(st);
	assert_true(t->n <= COLUMNS_MAX);
	for (int i = 0; i < t->n; i++)
		snprintf(t->columns[i], 64, "%s", sqlite3_column_name(st, i));
	for (t->rows = 0; sqlite3_step(st) == SQLITE_ROW; t->rows++) {
		t->values = realloc(t->values, (size_t)((t->rows + 1) * t->n) * sizeof(*t->values));
		assert_non_null(t->values);
		for (int i = 0; i < t->n; i++) {
			struct value *v = &t->values[t->rows * t->n + i];

			v->type = sqlite3_column_type(st, i);
			v->len = (size_t)sqlite3_column_bytes(st, i);
			assert_true(v->len <= VALUE_MAX);
			if (v->len)
				memcpy(v->bytes, sqlite3_column_text(st, i), v->len);
		}
	}
	sqlite3_finalize(st);
}

static size_t
read_tables(const char *path, struct table tables[TABLES_MAX])
{
	sqlite3 *db = open_file(path);
	sqlite3_stmt *st;
	size_t n = 0;

	assert_int_equal(sqlite3_prepare_v2(db,
				 "SELECT name FROM sqlite_master WHERE type = 'table'"
				 " AND name NOT LIKE 'sqlite_%' ORDER BY name",
				 -1, &st, NULL),
		SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		assert_true(n < TABLES_MAX);
		tables[n] = (struct table){.rows = 0};
		snprintf(tables[n].name, 64, "%s", (const char *)sqlite3_column_text(st, 0));
		read_table(db, &tables[n++]);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void
free_tables(struct table *tables, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(tables[i].values);
}

static bool
same(const struct value *a, const struct value *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* How many columns depend on the key. */
static int
compare(const struct table *before, const struct table *other, const struct table *after)
{
	int keyed = 0;

	CHECK_STR("table", other->name, before->name);
	CHECK_STR("table", after->name, before->name);
	if (before->rows == 0)
		fail_msg(
			"table %s: nothing is tried with it: fill() gives it no row", before->name);
	CHECK_INT(before->name, other->rows, before->rows);
	CHECK_INT(before->name, after->rows, before->rows);
	for (int i = 0; i < before->rows * before->n; i++) {
		const char *column = before->columns[i % before->n];
		bool depends = !same(&before->values[i], &other->values[i]),
		     changed = !same(&before->values[i], &after->values[i]);

		if (depends && !changed)
			fail_msg("table %s, column %s: under the old key still", before->name,
				column);
		if (!depends && changed)
			fail_msg("table %s, column %s: changed", before->name, column);
		keyed += depends;
	}
	return keyed;
}

/* Every row counts in what the store is checked by when it is opened. */
static void
check_sums(const char *path, const struct table *tables, size_t n)
{
	struct store *store;
	char sql[200];

	for (size_t i = 0; i < n; i++) {
		bool mac = false;
		sqlite3 *db;

		for (int c = 0; c < tables[i].n; c++)
			mac |= strcmp(tables[i].columns[c], "mac") == 0;
		/* Certificates are what their names say; each secret has its user. */
		if (!mac && strcmp(tables[i].name, "chain") && strcmp(tables[i].name, "secrets"))
			fail_msg("table %s has no column mac", tables[i].name);
		/* The sum itself is in meta. */
		if (!mac || strcmp(tables[i].name, "meta") == 0)
			continue;
		db = open_file(path);
		snprintf(sql, sizeof(sql),
			"CREATE TABLE was AS SELECT * FROM %s; DELETE FROM %s WHERE %s ="
			" (SELECT min(%s) FROM %s)",
			tables[i].name, tables[i].name, tables[i].columns[0], tables[i].columns[0],
			tables[i].name);
		assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
		MUST(store_open(path, &store, &err));
		if (store_unlock(store, master, &err) == RC_OK)
			fail_msg("table %s: a row that is gone is not missed", tables[i].name);
		store_close(&store);
		snprintf(sql, sizeof(sql),
			"INSERT OR REPLACE INTO %s SELECT * FROM was; DROP TABLE was",
			tables[i].name);
		assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		MUST(store_open(path, &store, &err));
		MUST(store_unlock(store, master, &err));
		store_close(&store);
	}
}

static enum rc
see_approval(void *ctx, const struct store_approval *approval, struct err *e)
{
	(void)e;
	*(int *)ctx += approval->len == 13 && memcmp(approval->cms, "the signature", 13) == 0;
	return RC_OK;
}

/* What is wrapped, unwrapped; what is not, read with its HMAC. */
static void
use_papers(struct store *store)
{
	struct store_request request;
	struct store_held held;
	struct store_ca row;
	struct store_revocation revocation;
	struct secret *file;
	struct buf der = BUF_INIT(64);

	MUST(store_get_request(store, "k1", &request, &der, &err));
	CHECK_STR("request", buf_text(&der), "the request");
	buf_fini(&der);
	MUST(store_get_held(store, "h1", &held, &err));
	MUST(store_unwrap_held(store, &held, &file, &err));
	assert_memory_equal(secret_data(file), "the file", 8);
	secret_free(&file);
	MUST(store_get_held(store, "h2", &held, &err));
	CHECK_STR("done", held.key, "k1");
	MUST(store_get_ca(store, "k2", &row, &err));
	MUST(store_get_revocation(store, "c1", &revocation, &err));
	CHECK_INT("serial", revocation.serial_len, 3);
}

static void
use_officers(struct store *store)
{
	struct officers officers;
	struct store_act act;
	int n = 0;

	MUST(store_get_officers(store, &officers, &err));
	CHECK_INT("officers", officers.n, 2);
	CHECK_INT("threshold", officers.threshold, 2);
	CHECK_STR("officer", cert_fingerprint(officers.v[0].cert), cert_fingerprint(ca));
	officers_fini(&officers);
	MUST(store_get_act(store, "q1", &act, &err));
	CHECK_STR("command", act.command, "{\"cmd\":\"key.export\"}");
	store_act_fini(&act);
	MUST(store_list_approvals(store, "q1", see_approval, &n, &err));
	CHECK_INT("approvals", n, 1);
}

static void
use_all(struct store *store)
{
	struct store_person person;
	struct store_grant grant;
	struct store_addr addr;
	struct store_cert cert;
	struct store_key key;
	struct buf spki = BUF_INIT(4096), want = BUF_INIT(4096);
	struct secret *secret, *fallback;
	struct pkey *got;

	MUST(store_get_person(store, "p1", &person, &err));
	MUST(store_find_uid(store, "u1", &person, &err));
	MUST(store_find_addr(store, "alice@example.org", 200, &addr, &err));
	MUST(store_find_grant(store, "p1", "p2", 200, &grant, &err));
	MUST(store_unwrap_key(store, "k1", &got, &fallback, &err));
	MUST(pkey_public(got, &spki, &err));
	MUST(pkey_public(pkey, &want, &err));
	CHECK_INT("the same key", spki.len, want.len);
	assert_memory_equal(spki.data, want.data, want.len);
	buf_fini(&spki);
	buf_fini(&want);
	pkey_unref(&got);
	secret_free(&fallback);
	MUST(store_get_key(store, "k2", &key, &err));
	CHECK_STR("replaces", key.replaces, "k1");
	CHECK_INT("destroyed", store_unwrap_key(store, "k3", &got, NULL, &err), RC_PERM);
	CHECK_INT("destroyed", err.code, ERR_VAULT_NO_KEY);
	MUST(store_get_cert(store, cert_fingerprint(leaf), &cert, &err));
	CHECK_INT("chain", cert.chain.n, 1);
	store_cert_fini(&cert);
	MUST(store_get_secret(store, "period-2026-11", &secret, &err));
	CHECK_INT("secret", secret_len(secret), 14);
	secret_free(&secret);
	use_papers(store);
	use_officers(store);
	/* And goes on. */
	MUST(store_begin(store, &err));
	MUST(store_set_status(store, "k1", KEY_RETIRED, 300, 3, &err));
	MUST(store_set_status(store, "k1", KEY_ACTIVE, 300, 3, &err));
	MUST(store_commit(store, &err));
	MUST(store_check(store, &err));
}

static void
test_every_column(void **state)
{
	static struct table before[TABLES_MAX], other[TABLES_MAX], after[TABLES_MAX];
	struct store *store = fill(paths[0]), *second = fill(paths[1]);
	size_t n;
	int keyed = 0;

	(void)state;
	use_all(store);
	use_all(second);
	store_close(&second);
	n = read_tables(paths[0], before);
	CHECK_INT("tables", read_tables(paths[1], other), n);
	MUST(store_reencrypt(store, master, &err));
	use_all(store);
	store_close(&store);
	MUST(store_open(paths[0], &store, &err));
	MUST(store_unlock(store, master, &err));
	use_all(store);
	store_close(&store);
	CHECK_INT("tables", read_tables(paths[0], after), n);
	for (size_t i = 0; i < n; i++)
		keyed += compare(&before[i], &other[i], &after[i]);
	/* An HMAC for each table but two, keys and fallbacks, secrets, held files. */
	assert_true(keyed > (int)n + 5);
	check_sums(paths[0], after, n);
	free_tables(before, n);
	free_tables(other, n);
	free_tables(after, n);
}

/* A full disk anywhere in between: temporary, nothing is left, the store goes on as it was. */
static void
test_full_disk(void **state)
{
	struct rlimit whole, small;
	struct store *store;
	char copy[80];
	int failures = 0;

	(void)state;
	unlink(paths[0]);
	store = fill(paths[0]);
	MUST(store_checkpoint(store, &err));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
	snprintf(copy, sizeof(copy), "%s.rekey", paths[0]);
	for (rlim_t limit = 0; limit < 1u << 20; limit += 12288) {
		struct err why = ERR_INIT;
		enum rc rc;

		small = whole;
		small.rlim_cur = limit;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		rc = store_reencrypt(store, master, &why);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
		CHECK_INT("nothing is left", access(copy, F_OK), -1);
		use_all(store);
		if (rc == RC_OK)
			break;
		CHECK_INT("a full disk", rc, RC_TEMP);
		CHECK_INT("a full disk", why.code, ERR_KEYSTORE);
		failures++;
	}
	assert_true(failures > 3);
	MUST(store_reencrypt(store, master, &err));
	use_all(store);
	store_close(&store);
}

/* A table that nobody thought of is refused before anything is changed. */
static void
test_unknown(void **state)
{
	static const char *const news[] = {
		"CREATE TABLE fresh(id TEXT PRIMARY KEY, wrapped BLOB NOT NULL)",
		"ALTER TABLE keys ADD COLUMN hint BLOB"};

	(void)state;
	for (size_t i = 0; i < sizeof(news) / sizeof(*news); i++) {
		struct store *store;
		sqlite3 *db;

		unlink(paths[0]);
		store = fill(paths[0]);
		db = open_file(paths[0]);
		assert_int_equal(sqlite3_exec(db, news[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		CHECK_INT(news[i], store_reencrypt(store, master, &err), RC_TEMP);
		CHECK_INT(news[i], err.code, ERR_INTERNAL);
		use_all(store);
		store_close(&store);
	}
}

static int
begin(void **state)
{
	struct issue_request request = {.common_name = "CA",
		.not_before = clock_now() - 100,
		.not_after = clock_now() + 90 * 86400};
	struct buf spki = BUF_INIT(4096);

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 2; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%d.db", dir, i);
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
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char name[80];

	(void)state;
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "%s%s", paths[i], suffixes[k]);
			unlink(name);
		}
	rmdir(dir);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_column),
		cmocka_unit_test(test_full_disk), cmocka_unit_test(test_unknown)};

	return cmocka_run_group_tests(tests, begin, end);
}
