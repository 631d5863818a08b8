/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The organisation's CA over time: who signs when, what is on which list, what is due; and rows
 * about it that were changed by hand.
 */
#include "keystore/admin.h"

#include <sqlite3.h>

#include "keystore/client.h"
#include "keystore/store_ca.h"
#include "keystore/use.h"
#include "tests/unit/keystore/vault_world.h"

#define NOW (int64_t)1790000000
#define DAY (int64_t)86400

static struct err err = ERR_INIT;

static void
refused(struct world *w, const char *request, enum errcode wanted, const char *why)
{
	struct json_value *answer;

	err_clear(&err);
	if (admin_call(w->conf, request, NULL, &answer, &err) == RC_OK || err.code != wanted ||
		!strstr(err.detail, why))
		fail_msg("%s: %s (%s), want %s (%s)", request, err_name(err.code), err.detail,
			err_name(wanted), why);
	err_clear(&err);
}

static const struct json_value *
first(const struct json_value *answer, const char *list)
{
	return json_at(json_find(answer, list), 0);
}

/* The key that signs for ADDR now. */
static void
signer_of(struct world *w, const char *addr, char key[STORE_ID_SIZE])
{
	struct settings *settings = vault_settings(w->vault);
	struct keyent *ent;

	MUST(use_find_signer(w->vault, settings, addr, &ent, &err));
	strcpy(key, ent->key.id);
	keyent_unref(&ent);
	settings_unref(&settings);
}

static void
status_of(struct world *w, const char *key, const char *wanted)
{
	char request[128];
	struct json_value *a;

	snprintf(request, sizeof(request), "{\"cmd\":\"key.show\",\"key\":\"%s\"}", key);
	a = world_admin(w, request);
	CHECK_STR(key, json_get_text(first(a, "keys"), "status"), wanted);
	json_free(&a);
}

/* Published first, used later: the old key signs until then, and never is there nobody. */
static void
successors(void **state)
{
	char old[64], new[64], key[STORE_ID_SIZE], request[160];
	struct json_value *a;
	struct world w;

	(void)state;
	clock_set(NOW);
	world_init(&w, NULL);
	world_start(&w);
	world_do(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"a@example.org\",\"type\":\"p256\",\"days\":30}",
		old);
	clock_set(NOW + 10 * DAY);
	world_do(&w, "{\"cmd\":\"key.renew\",\"key\":\"a@example.org\",\"lead_days\":7}", new);
	signer_of(&w, "a@example.org", key);
	CHECK_STR("before its time", key, old);
	refused(&w, "{\"cmd\":\"key.renew\",\"key\":\"a@example.org\"}", ERR_KEY_EXISTS,
		"replaces it already");
	a = world_admin(&w, "{\"cmd\":\"key.settle\"}");
	CHECK_INT("nothing to settle", json_get_int(a, "retired", -1), 0);
	json_free(&a);
	clock_set(NOW + 17 * DAY + 1);
	signer_of(&w, "a@example.org", key);
	CHECK_STR("its time", key, new);
	status_of(&w, old, "active");
	a = world_admin(&w, "{\"cmd\":\"key.settle\"}");
	CHECK_INT("settled", json_get_int(a, "retired", -1), 1);
	json_free(&a);
	status_of(&w, old, "retired");
	a = world_admin(&w, "{\"cmd\":\"key.settle\"}");
	CHECK_INT("once", json_get_int(a, "retired", -1), 0);
	json_free(&a);

	/* The old certificate ends before the lead: the successor comes an hour before that. */
	world_do(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"b@example.org\",\"type\":\"p256\",\"days\":3}",
		old);
	a = world_admin(&w, "{\"cmd\":\"key.renew\",\"key\":\"b@example.org\",\"lead_days\":7}");
	strcpy(new, json_get_text(first(a, "keys"), "key"));
	json_free(&a);
	clock_set(NOW + 20 * DAY - 1800);
	signer_of(&w, "b@example.org", key);
	CHECK_STR("no gap", key, new);

	/* A key that is revoked has no time to wait for. */
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"c@example.org\",\"type\":\"p256\"}", old);
	world_do(&w, "{\"cmd\":\"key.renew\",\"key\":\"c@example.org\",\"lead_days\":7}", new);
	snprintf(request, sizeof(request), "{\"cmd\":\"key.revoke\",\"key\":\"%s\"}", old);
	world_do(&w, request, NULL);
	signer_of(&w, "c@example.org", key);
	CHECK_STR("at once", key, new);
	refused(&w, "{\"cmd\":\"key.renew\",\"key\":\"c@example.org\",\"use_from\":\"soon\"}",
		ERR_USAGE, "no time");
	refused(&w, "{\"cmd\":\"key.renew\",\"key\":\"c@example.org\",\"lead_days\":4000}",
		ERR_USAGE, "ten years");
	world_fini(&w);
}

/* The ids in the answer, page after page, and whose CA it was. */
static size_t
due(struct world *w, const char *until, const char *wanted)
{
	char request[200], after[STORE_ID_SIZE] = "";
	size_t n = 0;

	for (;;) {
		struct json_value *a;
		const char *next;

		snprintf(request, sizeof(request),
			"{\"cmd\":\"key.due\",\"until\":\"%s\",\"after\":\"%s\"}", until, after);
		a = world_admin(w, request);
		for (size_t i = 0; i < json_count(json_find(a, "keys")); i++, n++)
			if (wanted && !json_get_text(json_at(json_find(a, "keys"), i), "ca"))
				fail_msg("not the CA's");
		next = json_get_text(a, "next");
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_free(&a);
		if (!*after)
			return n;
	}
}

static void
what_is_due(void **state)
{
	struct world w;
	char request[200];

	(void)state;
	clock_set(NOW);
	world_init(&w, NULL);
	for (int i = 0; i < 105; i++) { /* more than a page */
		snprintf(request, sizeof(request),
			"{\"cmd\":\"key.new\",\"addr\":\"u%d@example.org\",\"type\":\"p256\",\"days\":%d}",
			i, 10 + i % 3 * 20);
		world_do(&w, request, NULL);
	}
	CHECK_INT("none yet", due(&w, "2026-09-30", "own"), 0);
	CHECK_INT("a third", due(&w, "2026-10-02", "own"), 35);
	CHECK_INT("two thirds", due(&w, "2026-10-23", "own"), 70);
	CHECK_INT("all, over a page", due(&w, "2027-01-01", "own"), 105);
	world_do(&w, "{\"cmd\":\"key.renew\",\"key\":\"u0@example.org\",\"lead_days\":5}", NULL);
	world_do(&w, "{\"cmd\":\"key.renew\",\"key\":\"u3@example.org\"}", NULL);
	world_do(&w, "{\"cmd\":\"key.renew\",\"key\":\"u6@example.org\",\"same_key\":true}", NULL);
	world_do(&w, "{\"cmd\":\"key.revoke\",\"key\":\"u9@example.org\"}", NULL);
	world_do(&w, "{\"cmd\":\"person.leave\",\"addr\":\"u12@example.org\"}", NULL);
	CHECK_INT("without what has a successor, is revoked, has left",
		due(&w, "2026-10-02", "own"), 30);
	refused(&w, "{\"cmd\":\"key.due\"}", ERR_USAGE, "until");
	refused(&w, "{\"cmd\":\"key.due\",\"until\":\"x\"}", ERR_USAGE, "no time");
	world_fini(&w);
}

/* entries of the list of the N-th CA, asked for now; -1: it has none */
static int64_t
entries_of(struct world *w, const char *ca)
{
	char request[128];
	struct json_value *a;
	int64_t n;

	snprintf(request, sizeof(request), "{\"cmd\":\"ca.crl\",\"key\":\"%s\"}", ca);
	a = world_admin(w, request);
	n = json_count(json_find(a, "crls")) ? json_get_int(first(a, "crls"), "entries", -2) : -1;
	json_free(&a);
	return n;
}

static void
issuing_of(struct world *w, char key[STORE_ID_SIZE])
{
	struct json_value *a = world_admin(w, "{\"cmd\":\"ca.show\"}");

	strcpy(key, json_get_text(first(a, "cas"), "key"));
	json_free(&a);
}

/* Each CA lists its own, as long as one of its certificates may be valid, and no longer. */
static void
lists(void **state)
{
	char one[STORE_ID_SIZE], two[STORE_ID_SIZE];
	struct json_value *a;
	struct world w;

	(void)state;
	clock_set(NOW);
	world_init(&w, "ca = { days = 365; type = \"p256\"; crl_validity = \"7d\"; };\n");
	issuing_of(&w, one);
	world_do(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"a@example.org\",\"type\":\"p256\",\"days\":30}",
		NULL);
	world_do(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"b@example.org\",\"type\":\"p256\",\"days\":90}",
		NULL);
	CHECK_INT("empty", entries_of(&w, one), 0);
	world_do(&w, "{\"cmd\":\"key.renew\",\"key\":\"a@example.org\",\"same_key\":true}", NULL);
	world_do(&w,
		"{\"cmd\":\"key.revoke\",\"key\":\"a@example.org\",\"reason\":\"keyCompromise\"}",
		NULL);
	CHECK_INT("every certificate of the key", entries_of(&w, one), 2);
	a = world_admin(&w, "{\"cmd\":\"ca.new\",\"type\":\"p256\"}");
	strcpy(two, json_get_text(first(a, "cas"), "key"));
	json_free(&a);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"c@example.org\",\"type\":\"p256\"}", NULL);
	world_do(&w, "{\"cmd\":\"person.leave\",\"addr\":\"c@example.org\",\"revoke\":true}", NULL);
	CHECK_INT("who left under the new CA", entries_of(&w, two), 1);
	CHECK_INT("and not under the old one", entries_of(&w, one), 2);

	/* The one that ended a day ago stays for a list more; after two it goes. */
	clock_set(NOW + 31 * DAY);
	CHECK_INT("just ended", entries_of(&w, one), 2);
	clock_set(NOW + 50 * DAY);
	CHECK_INT("long ended", entries_of(&w, one), 1);
	a = world_admin(&w, "{\"cmd\":\"ca.crl\",\"due\":true}");
	CHECK_INT("due", json_count(json_find(a, "crls")),
		2); /* root and new; old one was just made */
	json_free(&a);
	a = world_admin(&w, "{\"cmd\":\"ca.crl\",\"due\":true}");
	CHECK_INT("not due any more", json_count(json_find(a, "crls")), 0);
	json_free(&a);

	/* When all of its certificates have ended, the old CA signs nothing more. The renewed one
	 * of a@ was the last: it ended with the CA, after a year. */
	clock_set(NOW + 364 * DAY);
	CHECK_INT("still", entries_of(&w, one), 1);
	clock_set(NOW + 366 * DAY);
	CHECK_INT("over", entries_of(&w, one), -1);
	refused(&w, "{\"cmd\":\"key.new\",\"addr\":\"d@example.org\",\"type\":\"p256\"}",
		ERR_VAULT_NO_KEY, "the organisation's CA has expired");
	world_do(&w, "{\"cmd\":\"ca.new\",\"type\":\"p256\"}", NULL);
	world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"d@example.org\",\"type\":\"p256\"}", NULL);
	refused(&w, "{\"cmd\":\"ca.crl\",\"key\":\"k0\"}", ERR_VAULT_NO_KEY, "is no CA");
	refused(&w, "{\"cmd\":\"key.revoke\",\"key\":\"d@example.org\",\"reason\":\"x\"}",
		ERR_USAGE, "keyCompromise");
	world_fini(&w);
}

/* A certificate never ends after its CA's, and that is said. */
static void
not_longer_than_the_ca(void **state)
{
	struct json_value *a;
	struct world w;

	(void)state;
	clock_set(NOW);
	world_init(&w, "ca = { days = 100; type = \"p256\"; };\n");
	a = world_admin(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"a@example.org\",\"type\":\"p256\",\"days\":90}");
	assert_null(json_find(a, "limited"));
	json_free(&a);
	a = world_admin(&w,
		"{\"cmd\":\"key.new\",\"addr\":\"b@example.org\",\"type\":\"p256\",\"days\":200}");
	CHECK_STR("limited", json_get_text(a, "limited"),
		json_get_text(first(a, "keys"), "not_after"));
	json_free(&a);
	world_fini(&w);
}

static void
change_store(const struct world *w, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(
		sqlite3_open(conf_str(conf_section(w->conf, "vault"), "store"), &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void
tampered(void **state)
{
	static const struct {
		const char *sql, *command;
	} changes[] = {
		{"UPDATE cas SET role = 1", "ca.crl"},
		{"UPDATE cas SET last = 0", "ca.crl"},
		{"DELETE FROM cas WHERE role = 0", "ca.crl"},
		{"UPDATE revocations SET reason = 4", "ca.crl"},
		{"UPDATE revocations SET serial = x'01'", "ca.crl"},
		{"DELETE FROM revocations", "ca.crl"},
		{"UPDATE keys SET use_from = 0 WHERE use_from > 0", "key.list"},
		{"UPDATE keys SET replaces = ''", "key.list"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		char request[64];
		struct world w;

		clock_set(NOW);
		world_init(&w, NULL);
		world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"a@example.org\",\"type\":\"p256\"}",
			NULL);
		world_do(&w, "{\"cmd\":\"key.new\",\"addr\":\"b@example.org\",\"type\":\"p256\"}",
			NULL);
		world_do(&w,
			"{\"cmd\":\"key.renew\",\"key\":\"b@example.org\",\"type\":\"p256\","
			"\"lead_days\":7}",
			NULL);
		world_do(&w, "{\"cmd\":\"key.revoke\",\"key\":\"a@example.org\"}", NULL);
		change_store(&w, changes[i].sql);
		snprintf(request, sizeof(request), "{\"cmd\":\"%s\"}", changes[i].command);
		refused(&w, request, ERR_KEYSTORE_TAMPERED, "");
		world_fini(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(successors),
		cmocka_unit_test(what_is_due),
		cmocka_unit_test(lists),
		cmocka_unit_test(not_longer_than_the_ca),
		cmocka_unit_test(tampered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
