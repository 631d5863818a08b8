/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/source.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/directory/people.h"

/* A source that answers what the test says, slowly where told, and counts how often it was asked.
 */
struct fake {
	pthread_mutex_t lock;
	enum rc rc;
	struct cert *certs[4];
	enum tier tier;
	bool proven;
	int delay_ms;
	int asked, now, most; /* questions in all, at the moment, at most at the same time */
};

static enum rc
fake_find(void *ctx, const char *addr, struct answer *answer, struct err *err)
{
	struct fake *fake = ctx;
	enum rc rc;

	(void)addr;
	pthread_mutex_lock(&fake->lock);
	fake->asked++;
	if (++fake->now > fake->most)
		fake->most = fake->now;
	rc = fake->rc;
	pthread_mutex_unlock(&fake->lock);
	if (fake->delay_ms)
		usleep((useconds_t)fake->delay_ms * 1000);
	for (size_t i = 0; rc == RC_OK && i < 4 && fake->certs[i]; i++)
		rc = answer_add(answer, fake->certs[i], "fake", fake->tier, fake->proven, err);
	if (rc == RC_TEMP)
		err_set(err, ERR_DIR_UNAVAILABLE, "the fake is down");
	pthread_mutex_lock(&fake->lock);
	fake->now--;
	pthread_mutex_unlock(&fake->lock);
	return rc;
}

struct world {
	struct people people;
	struct trust *trust;
	struct fake fakes[3];
	struct lookups *lookups;
	struct lookup_settings settings;
	enum revocation_mode revocation;
};

static const struct fake fake_init = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .rc = RC_NONE, .tier = TIER_DIRECTORY};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	clock_set(TEST_NOW);
	people_init(&w->people);
	for (size_t i = 0; i < 3; i++)
		w->fakes[i] = fake_init;
	w->settings = (struct lookup_settings){
		.cache_size = 1 << 20, .positive_ttl = 600, .negative_ttl = 60, .threads = 32};
	w->revocation = REVOKE_IF_KNOWN;
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	lookups_free(&w->lookups);
	trust_unref(&w->trust);
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 4; k++)
			cert_unref(&w->fakes[i].certs[k]);
	people_fini(&w->people);
	free(w);
	return 0;
}

/* Makes the look-ups over the first N fakes; the fakes' tiers are the sources' tiers. */
static void
begin(struct world *w, size_t n)
{
	struct err err = ERR_INIT;
	struct source **sources = calloc(n, sizeof(struct source *));
	struct trust_options options = {.revocation = w->revocation, .min_rsa = 2048};

	assert_int_equal(trust_new(&options, &w->trust, &err), RC_OK);
	assert_int_equal(trust_add_anchor(w->trust, w->people.ca, NULL, 0, &err), RC_OK);
	for (size_t i = 0; i < n; i++) {
		sources[i] = calloc(1, sizeof(struct source));
		sources[i]->name = strdup("fake");
		sources[i]->tier = w->fakes[i].tier;
		sources[i]->find = fake_find;
		sources[i]->ctx = &w->fakes[i];
	}
	assert_int_equal(
		lookups_new_sources(&w->settings, sources, n, NULL, w->trust, &w->lookups, &err),
		RC_OK);
}

static struct lookup *
ask(struct world *w, const char *addr)
{
	struct err err = ERR_INIT;
	struct lookup *lookup;

	if (lookup_begin(w->lookups, addr, &lookup, &err) != RC_OK)
		fail_msg("%s: %s", addr, err.detail);
	return lookup;
}

static const struct lookup_result *
await(struct lookup *lookup)
{
	struct err err = ERR_INIT;
	const struct lookup_result *result;

	if (lookup_wait(lookup, 5000, &result, &err) != RC_OK)
		fail_msg("lookup_wait: %s", err.detail);
	return result;
}

/* Asks and gives only the outcome. */
static enum rc
outcome(struct world *w, const char *addr)
{
	struct lookup *lookup = ask(w, addr);
	const struct lookup_result *result = await(lookup);
	enum rc rc = result->rc;

	for (size_t i = 0; i < result->n; i++)
		print_message("%s: %s\n", addr, result->v[i].used ? "used" : result->v[i].why);
	lookup_free(&lookup);
	return rc;
}

#define CAROL "carol@example.org"

/* What each combination of two sources comes to. The worst mistake is a RC_NONE for a source that
 * is down. */
static void
test_tiers(void **state)
{
	static const struct {
		const char *name;
		enum rc first;  /* tier DIRECTORY */
		int first_days; /* when its certificate expires; 0: it has none */
		enum rc second; /* tier HARVESTED */
		int second_days;
		enum rc want;
		int asked_second;
	} cases[] = {
		{"both know", RC_OK, 10, RC_OK, 10, RC_OK, 0},
		{"none", RC_NONE, 0, RC_NONE, 0, RC_NONE, 1},
		{"the worse one knows", RC_NONE, 0, RC_OK, 10, RC_OK, 1},
		{"the better one is down, the worse knows", RC_TEMP, 0, RC_OK, 10, RC_TEMP, 1},
		{"the better one is down, the worse has none", RC_TEMP, 0, RC_NONE, 0, RC_TEMP, 1},
		{"the worse one is down, the better knows", RC_OK, 10, RC_TEMP, 0, RC_OK, 0},
		{"the worse one is down, the better has none", RC_NONE, 0, RC_TEMP, 0, RC_TEMP, 1},
		{"both are down", RC_TEMP, 0, RC_TEMP, 0, RC_TEMP, 1},
		{"the better one's is expired", RC_OK, -1, RC_OK, 10, RC_OK, 1},
		{"the better one's is expired, the worse is down", RC_OK, -1, RC_TEMP, 0, RC_TEMP,
			1},
		{"both are expired", RC_OK, -1, RC_OK, -1, RC_NONE, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w;

		(void)state;
		setup((void **)&w);
		w->fakes[0].rc = cases[i].first;
		w->fakes[1].rc = cases[i].second;
		w->fakes[1].tier = TIER_HARVESTED;
		if (cases[i].first_days)
			w->fakes[0].certs[0] =
				people_cert(&w->people, CAROL, cases[i].first_days, CERT_ENCRYPT);
		if (cases[i].second_days)
			w->fakes[1].certs[0] =
				people_cert(&w->people, CAROL, cases[i].second_days, CERT_ENCRYPT);
		begin(w, 2);
		CHECK_INT(cases[i].name, outcome(w, CAROL), cases[i].want);
		CHECK_INT(cases[i].name, w->fakes[1].asked, cases[i].asked_second);
		teardown((void **)&w);
	}
}

/* Every candidate is listed, and those that lose say why. */
static void
test_why(void **state)
{
	struct world *w = *state;
	struct people others;
	struct lookup *lookup;
	const struct lookup_result *result;
	static const struct {
		const char *name;
		bool used;
		const char *why;
	} want[] = {
		{"good", true, ""},
		{"expired", false, "expired 2027-01-14"},
		{"for signing only", false, "Usage"},
		{"of a stranger's CA", false, ""},
	};

	people_init(&others);
	w->fakes[0].rc = RC_OK;
	w->fakes[0].certs[0] = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);
	w->fakes[0].certs[1] = people_cert(&w->people, CAROL, -1, CERT_ENCRYPT);
	w->fakes[0].certs[2] = people_cert(&w->people, CAROL, 10, CERT_SIGN);
	w->fakes[0].certs[3] = people_cert(&others, CAROL, 10, CERT_ENCRYPT);
	begin(w, 1);
	lookup = ask(w, CAROL);
	result = await(lookup);
	assert_int_equal(result->rc, RC_OK);
	assert_int_equal(result->n, 4);
	for (size_t i = 0; i < 4; i++) {
		CHECK_INT(want[i].name, result->v[i].used, want[i].used);
		CHECK_INT(want[i].name, result->v[i].why[0] != '\0', !want[i].used);
		if (!strstr(result->v[i].why, want[i].why))
			fail_msg("%s: got \"%s\", want \"%s\" in it", want[i].name,
				result->v[i].why, want[i].why);
	}
	lookup_free(&lookup);
	people_fini(&others);
}

/* A certificate of another address is no certificate for this one. */
static void
test_other_address(void **state)
{
	struct world *w = *state;

	w->fakes[0].rc = RC_OK;
	w->fakes[0].certs[0] = people_cert(&w->people, "mallory@example.org", 10, CERT_ENCRYPT);
	begin(w, 1);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
}

/* A pinned certificate decides even when it cannot be used. */
static void
test_pin(void **state)
{
	struct world *w = *state;

	w->fakes[0].rc = RC_OK;
	w->fakes[0].tier = TIER_PINNED;
	w->fakes[0].certs[0] = people_cert(&w->people, CAROL, -1, CERT_ENCRYPT);
	w->fakes[1].rc = RC_OK;
	w->fakes[1].certs[0] = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);
	begin(w, 2);
	assert_int_equal(outcome(w, CAROL), RC_TEMP);
	assert_int_equal(w->fakes[1].asked, 0);
	/* Everybody was asked, so this is an answer, and kept like one. */
	assert_int_equal(outcome(w, CAROL), RC_TEMP);
	assert_int_equal(w->fakes[0].asked, 1);
}

/* When revocation has to be known and is not, that is no "none". */
static void
test_revocation_required(void **state)
{
	struct world *w = *state;

	w->revocation = REVOKE_REQUIRED;
	w->fakes[0].rc = RC_OK;
	w->fakes[0].certs[0] = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);
	begin(w, 1);
	assert_int_equal(outcome(w, CAROL), RC_TEMP);
}

/* The same certificate from two sources is used once, and what proves one proves the other. */
static void
test_proof(void **state)
{
	struct world *w = *state;
	struct lookup *lookup;
	const struct lookup_result *result;

	for (size_t i = 0; i < 2; i++)
		w->fakes[i].rc = RC_OK;
	w->fakes[0].certs[0] = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);
	w->fakes[1].certs[0] = cert_ref(w->fakes[0].certs[0]);
	w->fakes[1].proven = true;
	begin(w, 2);
	lookup = ask(w, CAROL);
	result = await(lookup);
	CHECK_INT("rc", result->rc, RC_OK);
	CHECK_INT("candidates", result->n, 2);
	CHECK_INT("used", result->v[0].used + result->v[1].used, 1);
	CHECK_INT("proven", result->proven, true);
	lookup_free(&lookup);
}

static void
test_cache(void **state)
{
	struct world *w = *state;

	w->fakes[0].rc = RC_OK;
	w->fakes[0].certs[0] = people_cert(&w->people, CAROL, 1, CERT_ENCRYPT);
	begin(w, 1);
	assert_int_equal(outcome(w, CAROL), RC_OK);
	assert_int_equal(outcome(w, "CAROL@Example.ORG"), RC_OK);
	CHECK_INT("asked once for one mailbox", w->fakes[0].asked, 1);
	/* No cache keeps a certificate alive that has expired since. */
	clock_set(TEST_NOW + 2 * DAY);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
	CHECK_INT("asked again", w->fakes[0].asked, 2);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
	CHECK_INT("none is kept too", w->fakes[0].asked, 2);
	/* Trouble is not kept. */
	w->fakes[0].rc = RC_TEMP;
	assert_int_equal(outcome(w, "dave@example.org"), RC_TEMP);
	w->fakes[0].rc = RC_NONE;
	assert_int_equal(outcome(w, "dave@example.org"), RC_NONE);
}

/* The cache's limit holds: with room for about three answers the first of ten is asked for again.
 */
static void
test_cache_limit(void **state)
{
	struct world *w = *state;
	char addr[64];

	w->settings.cache_size = 3000;
	begin(w, 1);
	for (int i = 0; i < 10; i++) {
		snprintf(addr, sizeof(addr), "user%d@example.org", i);
		assert_int_equal(outcome(w, addr), RC_NONE);
	}
	CHECK_INT("ten", w->fakes[0].asked, 10);
	assert_int_equal(outcome(w, "user9@example.org"), RC_NONE);
	CHECK_INT("the last is there", w->fakes[0].asked, 10);
	assert_int_equal(outcome(w, "user0@example.org"), RC_NONE);
	CHECK_INT("the first is not", w->fakes[0].asked, 11);
}

static void
test_ttl_zero(void **state)
{
	struct world *w = *state;

	w->settings.negative_ttl = 0;
	begin(w, 1);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
	CHECK_INT("asked", w->fakes[0].asked, 2);
}

/* Ten at the same time are one question; twenty for different addresses run side by side. */
static void
test_side_by_side(void **state)
{
	struct world *w = *state;
	struct lookup *v[20];
	char addr[64];

	w->fakes[0].delay_ms = 300;
	begin(w, 1);
	for (int i = 0; i < 10; i++)
		v[i] = ask(w, CAROL);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(await(v[i])->rc, RC_NONE);
		lookup_free(&v[i]);
	}
	CHECK_INT("one question", w->fakes[0].asked, 1);
	for (int i = 0; i < 20; i++) {
		snprintf(addr, sizeof(addr), "user%d@example.org", i);
		v[i] = ask(w, addr);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(await(v[i])->rc, RC_NONE);
		lookup_free(&v[i]);
	}
	CHECK_INT("at the same time", w->fakes[0].most, 20);
}

/* No more threads than the setting, and all get served. */
static void
test_thread_limit(void **state)
{
	struct world *w = *state;
	struct lookup *v[12];
	char addr[64];

	w->settings.threads = 3;
	w->fakes[0].delay_ms = 20;
	begin(w, 1);
	for (int i = 0; i < 12; i++) {
		snprintf(addr, sizeof(addr), "user%d@example.org", i);
		v[i] = ask(w, addr);
	}
	for (int i = 0; i < 12; i++) {
		assert_int_equal(await(v[i])->rc, RC_NONE);
		lookup_free(&v[i]);
	}
	CHECK_INT("asked", w->fakes[0].asked, 12);
	if (w->fakes[0].most > 3)
		fail_msg("%d at the same time, want at most 3", w->fakes[0].most);
}

static void
count_down(void *ctx)
{
	__atomic_sub_fetch((int *)ctx, 1, __ATOMIC_SEQ_CST);
}

struct freeing {
	struct lookup *lookup;
	int done;
};

/* The callback frees its own handle. */
static void
free_from_within(void *ctx)
{
	struct freeing *f = ctx;

	lookup_free(&f->lookup);
	__atomic_store_n(&f->done, 1, __ATOMIC_SEQ_CST);
}

static void
test_notify(void **state)
{
	struct world *w = *state;
	struct lookup *a, *b, *c, *d;
	struct freeing freeing = {0};
	int left = 3, never = 1;

	w->fakes[0].delay_ms = 200;
	begin(w, 1);
	a = ask(w, CAROL);
	b = ask(w, CAROL);
	c = ask(w, CAROL);
	freeing.lookup = ask(w, CAROL);
	lookup_notify(a, count_down, &left);
	lookup_notify(b, count_down, &left);
	lookup_notify(c, count_down, &never);
	lookup_notify(freeing.lookup, free_from_within, &freeing);
	lookup_free(&c); /* nobody is called any more */
	CHECK_INT("not yet", __atomic_load_n(&left, __ATOMIC_SEQ_CST), 3);
	assert_int_equal(await(a)->rc, RC_NONE);
	for (int i = 0; i < 200 && __atomic_load_n(&left, __ATOMIC_SEQ_CST) > 1; i++)
		usleep(10000);
	for (int i = 0; i < 200 && !__atomic_load_n(&freeing.done, __ATOMIC_SEQ_CST); i++)
		usleep(10000);
	CHECK_INT("freed from within", freeing.done, 1);
	lookup_free(&a);
	lookup_free(&b);
	d = ask(w, CAROL);
	lookup_notify(d, count_down, &left); /* answered already: at once */
	CHECK_INT("all", __atomic_load_n(&left, __ATOMIC_SEQ_CST), 0);
	CHECK_INT("freed before", never, 1);
	lookup_free(&d);
}

static void
test_wait_limit(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	const struct lookup_result *result;
	struct lookup *lookup;

	w->fakes[0].delay_ms = 500;
	begin(w, 1);
	lookup = ask(w, CAROL);
	assert_int_equal(lookup_wait(lookup, 20, &result, &err), RC_TEMP);
	assert_int_equal(err.code, ERR_DIR_TIMEOUT);
	assert_null(result);
	lookup_free(&lookup); /* while it is under way */
}

/* What is no address is refused before anybody is asked. */
static void
test_bad_addresses(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct lookup *lookup;
	char *huge = calloc(1, 3000);

	begin(w, 1);
	memset(huge, 'a', 2999);
	assert_int_equal(lookup_begin(w->lookups, "", &lookup, &err), RC_PERM);
	assert_null(lookup);
	assert_int_equal(lookup_begin(w->lookups, huge, &lookup, &err), RC_PERM);
	assert_int_equal(err.code, ERR_ADDR_SYNTAX);
	assert_int_equal(w->fakes[0].asked, 0);
	free(huge);
}

/* A source with domains is asked for those only. */
static void
test_domains(void **state)
{
	static char *domains[] = {(char *)"example.org", (char *)".example.net"};
	static const struct {
		const char *addr;
		bool want;
	} cases[] = {
		{"a@example.org", true},
		{"a@sub.example.org", false},
		{"a@sub.example.net", true},
		{"a@example.net", false},
		{"a@example.com", false},
		{"a@xexample.org", false},
		{"no-domain", false},
	};
	struct source source = {.domains = domains, .n_domains = 2};
	struct source all = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_INT(cases[i].addr, source_covers(&source, cases[i].addr), cases[i].want);
		CHECK_INT(cases[i].addr, source_covers(&all, cases[i].addr), true);
	}
}

/* More candidates than the limit are an answer that cannot be believed. */
static void
test_too_many(void **state)
{
	struct world *w = *state;
	struct answer answer = {0};
	struct err err = ERR_INIT;

	for (int i = 0; i < LOOKUP_MAX_CERTS; i++) {
		struct cert *cert = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);

		assert_int_equal(
			answer_add(&answer, cert, "fake", TIER_DIRECTORY, false, &err), RC_OK);
		assert_int_equal(
			answer_add(&answer, cert, "fake", TIER_DIRECTORY, false, &err), RC_OK);
		cert_unref(&cert);
	}
	CHECK_INT("doubles are one", answer.n, LOOKUP_MAX_CERTS);
	w->fakes[0].certs[0] = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);
	assert_int_equal(
		answer_add(&answer, w->fakes[0].certs[0], "fake", TIER_DIRECTORY, false, &err),
		RC_TEMP);
	assert_int_equal(err.code, ERR_DIR_ANSWER);
	answer_fini(&answer);
}

/* The local store as a source: a write is seen at once, whatever was kept. */
static void
test_store(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	char path[] = "/tmp/lookup_test.XXXXXX";
	struct certstore *store;
	struct source **sources = calloc(1, sizeof(struct source *));
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct cert *cert = people_cert(&w->people, CAROL, 10, CERT_ENCRYPT);
	struct certrow row = {.cert = cert,
		.addr = (char *)CAROL,
		.source = (char *)"harvest",
		.tier = TIER_HARVESTED,
		.signed_at = TEST_NOW - 100 * DAY};
	struct lookup *lookup;

	close(mkstemp(path));
	assert_int_equal(certstore_open(path, true, &store, &err), RC_OK);
	assert_int_equal(trust_new(&options, &w->trust, &err), RC_OK);
	assert_int_equal(trust_add_anchor(w->trust, w->people.ca, NULL, 0, &err), RC_OK);
	assert_int_equal(source_store_new(store, 12, &sources[0], &err), RC_OK);
	assert_int_equal(
		lookups_new_sources(&w->settings, sources, 1, store, w->trust, &w->lookups, &err),
		RC_OK);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
	assert_int_equal(certstore_add(store, &row, &err), RC_OK);
	lookup = ask(w, CAROL);
	assert_int_equal(await(lookup)->rc, RC_OK);
	CHECK_INT("signed lately", await(lookup)->proven, true);
	CHECK_STR("source", await(lookup)->v[0].source, "store");
	lookup_free(&lookup);
	assert_int_equal(certstore_forget(store, cert_fingerprint(cert), NULL, NULL, &err), RC_OK);
	assert_int_equal(outcome(w, CAROL), RC_NONE);
	row.signed_at = TEST_NOW - 1000 * DAY;
	assert_int_equal(certstore_add(store, &row, &err), RC_OK);
	lookup = ask(w, CAROL);
	CHECK_INT("signed long ago", await(lookup)->proven, false);
	lookup_free(&lookup);
	lookups_free(&w->lookups);
	certstore_close(&store);
	unlink(path);
	cert_unref(&cert);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tiers),
		cmocka_unit_test_setup_teardown(test_why, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revocation_required, setup, teardown),
		cmocka_unit_test_setup_teardown(test_proof, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ttl_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_side_by_side, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thread_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_addresses, setup, teardown),
		cmocka_unit_test(test_domains),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
