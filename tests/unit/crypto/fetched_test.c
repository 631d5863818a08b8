/* SPDX-License-Identifier: BSD-2-Clause */
/* The first look at what a server sent, and the URLs that certificates name. */
#include "tests/unit/directory/people.h"

#include "crypto/fetched.h"

static void
make_list(struct people *people, int64_t number, int64_t from, int64_t to, struct buf *out)
{
	struct err err = ERR_INIT;

	buf_clear(out);
	if (issue_crl(people->ca_key, people->ca, NULL, 0, number, from, to, out, &err) != RC_OK)
		fail_msg("%s", err.detail);
}

/* FRESH where OLD is, and the certificates in KNOWN are. */
static enum rc
look(const struct buf *fresh, const struct buf *old, const struct certset *known,
	struct fetched *out)
{
	const struct fetched_there there = {old->data, old->len, known, TEST_NOW};

	return fetched_crl(fresh->data, fresh->len, &there, out, NULL);
}

/* What becomes of a list with NUMBER from FROM, where one with number 5 from TEST_NOW - DAY is. */
static void
test_order(void **state)
{
	static const struct {
		const char *name;
		int64_t number, from, old_to;
		enum rc want;
	} table[] = {
		{"later", 6, TEST_NOW - 60, TEST_NOW + DAY, RC_OK},
		{"same number, later", 5, TEST_NOW - 60, TEST_NOW + DAY, RC_OK},
		{"older", 6, TEST_NOW - 2 * DAY, TEST_NOW + DAY, RC_TEMP},
		{"older than an expired one", 6, TEST_NOW - 2 * DAY, TEST_NOW - 60, RC_TEMP},
		{"same date, smaller number", 4, TEST_NOW - DAY, TEST_NOW + DAY, RC_TEMP},
		{"smaller number, later", 4, TEST_NOW - 60, TEST_NOW + DAY, RC_OK},
		{"future", 6, TEST_NOW + FETCHED_SKEW + 60, TEST_NOW + DAY, RC_TEMP},
		{"a clock that is ahead", 6, TEST_NOW + FETCHED_SKEW - 60, TEST_NOW + DAY, RC_OK},
	};
	struct buf old = BUF_INIT(0), fresh = BUF_INIT(0);
	struct people people;

	(void)state;
	people_init(&people);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fetched out;

		make_list(&people, 5, TEST_NOW - DAY, table[i].old_to, &old);
		make_list(&people, table[i].number, table[i].from, TEST_NOW + 7 * DAY, &fresh);
		CHECK_INT(table[i].name, look(&fresh, &old, NULL, &out), table[i].want);
		if (table[i].want == RC_OK) {
			CHECK_INT(table[i].name, out.begins, table[i].from);
			CHECK_INT(table[i].name, out.ends, TEST_NOW + 7 * DAY);
		}
		fetched_fini(&out);
		CHECK_INT("the same", look(&old, &old, NULL, &out), RC_NONE);
		fetched_fini(&out);
	}
	people_fini(&people);
	buf_fini(&old);
	buf_fini(&fresh);
}

/* Another issuer's list takes the place of one that has expired, never of one that is good. */
static void
test_issuer(void **state)
{
	struct buf old = BUF_INIT(0), fresh = BUF_INIT(0);
	struct people people;
	struct issue_request request = {.common_name = "Other CA",
		.not_before = TEST_NOW - DAY,
		.not_after = TEST_NOW + DAY};
	struct cert *other = NULL;
	struct fetched out;

	(void)state;
	people_init(&people);
	assert_int_equal(issue_root(people.key, &request, &other, NULL), RC_OK);
	assert_int_equal(issue_crl(people.key, other, NULL, 0, 1, TEST_NOW - 60, TEST_NOW + DAY,
				 &fresh, NULL),
		RC_OK);
	make_list(&people, 5, TEST_NOW - DAY, TEST_NOW + DAY, &old);
	CHECK_INT("while it is good", look(&fresh, &old, NULL, &out), RC_TEMP);
	fetched_fini(&out);
	make_list(&people, 5, TEST_NOW - DAY, TEST_NOW - 60, &old);
	CHECK_INT("when it has expired", look(&fresh, &old, NULL, &out), RC_OK);
	fetched_fini(&out);
	cert_unref(&other);
	people_fini(&people);
	buf_fini(&old);
	buf_fini(&fresh);
}

/* A list by a known key of its CA never goes for one by another key, and that one goes for it at
 * once, whatever their dates are. */
static void
test_proof(void **state)
{
	enum { GOOD, FORGED, NONE };
	static const struct {
		const char *name;
		int old, fresh;
		int64_t old_from, from;
		bool known;
		enum rc want;
		enum fetched_proof proof;
		bool beside;
	} table[] = {
		{"good, later", GOOD, GOOD, -DAY, -60, true, RC_OK, FETCHED_PROVEN, false},
		{"good, older", GOOD, GOOD, -60, -DAY, true, RC_TEMP, FETCHED_PROVEN, false},
		{"forged", GOOD, FORGED, -DAY, 60, true, RC_OK, FETCHED_DOUBTFUL, true},
		{"forged, older", GOOD, FORGED, -60, -DAY, true, RC_OK, FETCHED_DOUBTFUL, true},
		{"the first is forged", NONE, FORGED, 0, -60, true, RC_OK, FETCHED_DOUBTFUL, false},
		{"good, with an earlier date", FORGED, GOOD, 60, -DAY, true, RC_OK, FETCHED_PROVEN,
			false},
		{"nobody knows", GOOD, FORGED, -DAY, 60, false, RC_OK, FETCHED_UNPROVEN, false},
		{"nobody knows, older", FORGED, GOOD, 60, -DAY, false, RC_TEMP, FETCHED_UNPROVEN,
			false},
	};
	struct buf old = BUF_INIT(0), fresh = BUF_INIT(0);
	struct people people, forger;
	struct certset known = {0};

	(void)state;
	people_init(&people);
	people_init(&forger);
	assert_int_equal(certset_add(&known, people.ca, NULL), RC_OK);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fetched out;

		buf_clear(&old);
		if (table[i].old != NONE)
			make_list(table[i].old == GOOD ? &people : &forger, 5,
				TEST_NOW + table[i].old_from, TEST_NOW + 9 * DAY, &old);
		make_list(table[i].fresh == GOOD ? &people : &forger, 6, TEST_NOW + table[i].from,
			TEST_NOW + 9 * DAY, &fresh);
		CHECK_INT(table[i].name, look(&fresh, &old, table[i].known ? &known : NULL, &out),
			table[i].want);
		CHECK_INT(table[i].name, out.proof, table[i].proof);
		CHECK_INT(table[i].name, out.beside, table[i].beside);
		fetched_fini(&out);
	}
	certset_fini(&known);
	people_fini(&people);
	people_fini(&forger);
	buf_fini(&old);
	buf_fini(&fresh);
}

/* Cut anywhere and every bit turned: refused or taken, never read past its end. */
static void
test_mutated(void **state)
{
	struct buf list = BUF_INIT(0);
	struct people people;
	struct fetched out;
	const unsigned char *der;
	size_t len;

	(void)state;
	people_init(&people);
	make_list(&people, 5, TEST_NOW - DAY, TEST_NOW + DAY, &list);
	der = cert_der(people.ca, &len);
	for (int kind = 0; kind < 2; kind++) {
		const void *data = kind ? (const void *)der : list.data;
		size_t n = kind ? len : list.len;

		for (size_t i = 0; i < n + 8 * n; i++) {
			size_t size = i < n ? i : n;
			unsigned char *copy = exact(data, size);
			enum rc rc;

			if (i >= n)
				copy[(i - n) / 8] ^= (unsigned char)(1 << (i - n) % 8);
			rc = kind ? fetched_certs(copy, size, NULL, 0, TEST_NOW, &out, NULL)
				  : fetched_crl(copy, size,
					    &(struct fetched_there){.now = TEST_NOW}, &out, NULL);
			if (i < n)
				assert_int_equal(rc, RC_TEMP);
			fetched_fini(&out);
			free(copy);
		}
	}
	people_fini(&people);
	buf_fini(&list);
}

static void
test_urls(void **state)
{
	static const char *const lists[] = {
		"http://a.example/1.crl", "ldap://b.example/cn=A", "http://a.example/1.crl"};
	static const char *const cas[] = {"http://a.example/ca.cer"};
	static const char *const responders[] = {"http://o.example/"};
	struct issue_request request = {.common_name = "x",
		.addr = "x@x.test",
		.not_before = TEST_NOW - DAY,
		.not_after = TEST_NOW + DAY,
		.use = CERT_SIGN};
	struct issue_extra extra = {.crl_urls = lists,
		.n_crl_urls = 3,
		.ca_urls = cas,
		.n_ca_urls = 1,
		.ocsp_urls = responders,
		.n_ocsp_urls = 1};
	struct cert *cert = NULL, *plain;
	struct cert_urls urls;
	struct people people;

	(void)state;
	people_init(&people);
	request.extra = &extra;
	assert_int_equal(issue_leaf(people.ca_key, people.ca, people.spki.data, people.spki.len,
				 &request, &cert, NULL),
		RC_OK);
	assert_int_equal(cert_urls_get(cert, CERT_URL_CRL, &urls, NULL), RC_OK);
	CHECK_INT("lists, each once", urls.n, 2);
	CHECK_STR("first", urls.v[0], lists[0]);
	CHECK_STR("second", urls.v[1], lists[1]);
	cert_urls_fini(&urls);
	assert_int_equal(cert_urls_get(cert, CERT_URL_ISSUER, &urls, NULL), RC_OK);
	CHECK_INT("CA", urls.n, 1);
	CHECK_STR("CA", urls.v[0], cas[0]);
	cert_urls_fini(&urls);
	assert_int_equal(cert_urls_get(cert, CERT_URL_OCSP, &urls, NULL), RC_OK);
	CHECK_INT("OCSP", urls.n, 1);
	CHECK_STR("OCSP", urls.v[0], responders[0]);
	cert_urls_fini(&urls);
	plain = people_cert(&people, "y@x.test", 1, CERT_SIGN);
	for (int kind = CERT_URL_CRL; kind <= CERT_URL_OCSP; kind++) {
		assert_int_equal(
			cert_urls_get(plain, (enum cert_url_kind)kind, &urls, NULL), RC_OK);
		CHECK_INT("none", urls.n, 0);
	}
	cert_unref(&plain);
	cert_unref(&cert);
	people_fini(&people);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_issuer),
		cmocka_unit_test(test_proof),
		cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
