/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/directory/people.h"

#include "crypto/cms_said.h"
#include "crypto/cms_sign.h"
#include "directory/harvest_store.h"

#include <stdio.h>

#define ADDR "dave@partner.example"

struct world {
	struct people people;
	struct certstore *store;
	struct trust *trust;
	char path[64];
	struct harvest_conf conf;
};

static const char *const ids[] = {"mx.example.org"};

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct err err = ERR_INIT;
	int fd;

	clock_set(TEST_NOW);
	people_init(&w->people);
	snprintf(w->path, sizeof(w->path), "/tmp/sealgate-harvest.XXXXXX");
	fd = mkstemp(w->path);
	assert_true(fd >= 0);
	close(fd);
	unlink(w->path);
	if (certstore_open(w->path, true, &w->store, &err) != RC_OK ||
		trust_new(&options, &w->trust, &err) != RC_OK ||
		trust_add_anchor(w->trust, w->people.ca, NULL, 0, &err) != RC_OK)
		fail_msg("%s", err.detail);
	w->conf = (struct harvest_conf){.mode = HARVEST_ON,
		.ids = ids,
		.n_ids = 1,
		.own_received = 1,
		.max_age = 7 * DAY,
		.proof_months = 24,
		.per_domain = 1000,
		.per_day = 1000,
		.pending_per_addr = 2,
		.pending_max = 3,
		.pending_age = 60 * DAY};
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	certstore_close(&w->store);
	trust_unref(&w->trust);
	unlink(w->path);
	people_fini(&w->people);
	clock_set(-1);
	free(w);
	return 0;
}

/* With a key of its own. KEY NULL: thrown away. */
static struct cert *
make_cert(struct world *w, const char *addr, int days, unsigned use, struct pkey **key)
{
	struct people one = w->people;
	struct err err = ERR_INIT;
	struct pkey *fresh;
	struct cert *cert;

	one.spki = (struct buf)BUF_INIT(0);
	if (pkey_generate("p256", &fresh, &err) != RC_OK ||
		pkey_public(fresh, &one.spki, &err) != RC_OK)
		fail_msg("%s", err.detail);
	cert = people_cert(&one, addr, days, use);
	buf_fini(&one.spki);
	if (key)
		*key = fresh;
	else
		pkey_unref(&fresh);
	return cert;
}

static struct harvest_offer
offer_of(struct cert *cert, const char *addr, int64_t signed_at, const char *caps)
{
	struct harvest_offer offer = {.cert = cert,
		.signed_at = signed_at,
		.caps = smimecaps_read(caps, signed_at),
		.learn = true,
		.prove = true};

	snprintf(offer.addr, sizeof(offer.addr), "%s", addr);
	return offer;
}

/* "learned", or "refused: why". */
static void
check_take(struct world *w, const char *name, const struct harvest_offer *offer, const char *want)
{
	struct harvest_result dry, result;
	struct err err = ERR_INIT;
	char got[400];

	if (harvest_store(w->store, offer, &(struct harvest_run){&w->conf, "Q1", clock_now(), true},
		    &dry, &err) != RC_OK ||
		harvest_store(w->store, offer,
			&(struct harvest_run){&w->conf, "Q1", clock_now(), false}, &result,
			&err) != RC_OK)
		fail_msg("%s: %s", name, err.detail);
	snprintf(got, sizeof(got), "%s%s%s", harvest_outcome_name(result.outcome),
		*result.why ? ": " : "", result.why);
	CHECK_STR(name, got, want);
	CHECK_INT(name, dry.outcome, result.outcome);
}

/* The one candidate that CERT is for ADDR, annotated. */
static struct candidate
annotated(struct world *w, const char *addr, struct cert *cert)
{
	struct candidate c = {.cert = cert};

	assert_int_equal(harvest_annotate(w->store, addr, 24, &c, 1, NULL), RC_OK);
	return c;
}

static void
test_learn(void **state)
{
	struct world *w = *state;
	struct cert *cert = make_cert(w, ADDR, 300, CERT_SIGN | CERT_ENCRYPT, NULL);
	struct harvest_offer offer = offer_of(cert, ADDR, TEST_NOW - 10, "aes-256-cbc");
	struct certrow *rows;
	struct candidate c;
	size_t n;

	check_take(w, "new", &offer, "learned");
	check_take(w, "again", &offer, "unchanged");
	assert_int_equal(certstore_find(w->store, "DAVE@partner.example", &rows, &n, NULL), RC_OK);
	CHECK_INT("rows", n, 1);
	CHECK_INT("tier", rows[0].tier, TIER_HARVESTED);
	CHECK_STR("source", rows[0].source, "harvest");
	CHECK_INT("no standing proof", rows[0].proven, false);
	CHECK_INT("signed", rows[0].signed_at, TEST_NOW - 10);
	certrows_free(&rows, n);
	c = annotated(w, ADDR, cert);
	CHECK_INT("proven", c.proven, true);
	CHECK_INT("capabilities", smimecaps_has(&c.caps, SMIMECAP_AES256_CBC), true);
	c = annotated(w, "boss@partner.example", cert);
	CHECK_INT("of another address", c.proven || c.caps.known, false);

	/* Proof ends, and begins anew with a signature. */
	clock_set(TEST_NOW + 24 * 31 * (int64_t)DAY);
	c = annotated(w, ADDR, cert);
	CHECK_INT("too long ago", c.proven, false);
	offer.signed_at = clock_now();
	check_take(w, "signed again", &offer, "proven");
	CHECK_INT("proven again", annotated(w, ADDR, cert).proven, true);
	cert_unref(&cert);
}

/* The newest statement wins; an older message brings nothing back. */
static void
test_capabilities(void **state)
{
	struct world *w = *state;
	struct cert *cert = make_cert(w, ADDR, 300, CERT_SIGN | CERT_ENCRYPT, NULL);
	struct harvest_offer first = offer_of(cert, ADDR, TEST_NOW - 100, "aes-256-cbc"),
			     better = offer_of(cert, ADDR, TEST_NOW - 50, "aes-256-gcm"),
			     silent = offer_of(cert, ADDR, TEST_NOW - 20, ""),
			     weak = offer_of(cert, ADDR, TEST_NOW - 10, "none");

	check_take(w, "first", &first, "learned");
	check_take(w, "better", &better, "proven");
	check_take(w, "replayed", &first, "unchanged");
	CHECK_INT("the newer stays", annotated(w, ADDR, cert).caps.set, 1u << SMIMECAP_AES256_GCM);
	check_take(w, "says nothing", &silent, "unchanged");
	CHECK_INT("and changes nothing", annotated(w, ADDR, cert).caps.since, TEST_NOW - 50);
	check_take(w, "only weak ones", &weak, "proven");
	CHECK_INT("known and empty", annotated(w, ADDR, cert).caps.known, true);
	CHECK_INT("empty", annotated(w, ADDR, cert).caps.set, 0);
	cert_unref(&cert);
}

static enum rc
count_pending(void *ctx, const struct harvest_pending *pending, struct err *err)
{
	(void)pending;
	(void)err;
	++*(int *)ctx;
	return RC_OK;
}

static int
pending(struct world *w, bool rejected)
{
	int n = 0;

	assert_int_equal(harvest_pending_each(w->store, rejected, count_pending, &n, NULL), RC_OK);
	return n;
}

static void
test_second_key(void **state)
{
	struct world *w = *state;
	const struct certword word = {"root", "asked"};
	struct cert *cert[5];
	struct harvest_offer offer[5];
	struct certrow *rows;
	size_t n;

	for (int i = 0; i < 5; i++) {
		cert[i] = make_cert(w, ADDR, i == 0 ? 10 : 300, CERT_SIGN | CERT_ENCRYPT, NULL);
		offer[i] = offer_of(cert[i], ADDR, TEST_NOW - 10, "aes-128-cbc");
	}
	check_take(w, "first", &offer[0], "learned");
	check_take(w, "second", &offer[1], "pending: another key is known for the address");
	check_take(w, "once more", &offer[1],
		"unchanged: waits for approval: another key is known for the address");
	check_take(w, "third", &offer[2], "pending: another key is known for the address");
	check_take(w, "fourth", &offer[3],
		"refused: another key is known, and harvest.pending_per_address wait already");
	CHECK_INT("wait", pending(w, false), 2);
	CHECK_INT("not used", annotated(w, ADDR, cert[1]).proven, false);

	assert_int_equal(
		harvest_reject(w->store, cert_fingerprint(cert[2]), ADDR, &word, NULL), RC_OK);
	check_take(w, "rejected", &offer[2], "refused: it was rejected on 2027-01-15");
	CHECK_INT("rejected", pending(w, true), 1);
	assert_int_equal(harvest_approve(w->store, cert_fingerprint(cert[1]), "x@y.example", false,
				 &word, NULL),
		RC_NONE);
	assert_int_equal(
		harvest_approve(w->store, cert_fingerprint(cert[1]), NULL, true, &word, NULL),
		RC_OK);
	assert_int_equal(certstore_find(w->store, ADDR, &rows, &n, NULL), RC_OK);
	CHECK_INT("replaced", n, 1);
	CHECK_STR("by", cert_fingerprint(rows[0].cert), cert_fingerprint(cert[1]));
	CHECK_STR("vouched", rows[0].vouched, "root");
	certrows_free(&rows, n);
	CHECK_INT("proven", annotated(w, ADDR, cert[1]).proven, true);
	CHECK_INT("capabilities", annotated(w, ADDR, cert[1]).caps.set, 1u << SMIMECAP_AES128_CBC);

	/* Pinned: no other one, not even to ask about. */
	assert_int_equal(
		certstore_pin(w->store, cert_fingerprint(cert[1]), NULL, true, NULL, NULL), RC_OK);
	check_take(
		w, "pinned", &offer[3], "refused: another certificate is pinned for the address");
	assert_int_equal(
		certstore_pin(w->store, cert_fingerprint(cert[1]), NULL, false, NULL, NULL), RC_OK);

	/* Expired: whoever has a new one is expected to. */
	clock_set(TEST_NOW + 301 * (int64_t)DAY);
	cert_unref(&cert[4]);
	cert[4] = make_cert(w, ADDR, 600, CERT_SIGN | CERT_ENCRYPT, NULL);
	offer[4] = offer_of(cert[4], ADDR, clock_now() - 10, "");
	check_take(w, "after the other has expired", &offer[4], "learned");
	CHECK_INT("what waited long is gone", pending(w, true) + pending(w, false), 0);
	for (int i = 0; i < 5; i++)
		cert_unref(&cert[i]);
}

/* A renewed certificate of the same key asks nobody; an administrator's counts as the first. */
static void
test_renewed(void **state)
{
	struct world *w = *state;
	struct cert *old = people_cert(&w->people, ADDR, 100, CERT_SIGN | CERT_ENCRYPT),
		    *renewed = people_cert(&w->people, ADDR, 400, CERT_SIGN | CERT_ENCRYPT),
		    *other = make_cert(w, ADDR, 400, CERT_SIGN | CERT_ENCRYPT, NULL);
	struct harvest_offer offer = offer_of(renewed, ADDR, TEST_NOW, ""),
			     second = offer_of(other, ADDR, TEST_NOW, "");
	struct certrow row = {.cert = old,
		.addr = (char *)ADDR,
		.source = (char *)"admin",
		.tier = TIER_DIRECTORY};

	assert_int_equal(certstore_add(w->store, &row, NULL), RC_OK);
	check_take(w, "same key", &offer, "learned");
	check_take(w, "another key", &second, "pending: another key is known for the address");
	cert_unref(&old);
	cert_unref(&renewed);
	cert_unref(&other);
}

/* What only a signature speaks for is not filed, but counts when a directory names it. */
static void
test_noted(void **state)
{
	struct world *w = *state;
	struct cert *cert = make_cert(w, ADDR, 300, CERT_SIGN | CERT_ENCRYPT, NULL);
	struct harvest_offer offer = offer_of(cert, ADDR, TEST_NOW - 10, "aes-256-gcm");
	struct certrow *rows;
	size_t n;

	offer.learn = false;
	snprintf(offer.why, sizeof(offer.why), "no DKIM");
	check_take(w, "noted", &offer, "noted: no DKIM");
	check_take(w, "again", &offer, "unchanged: no DKIM");
	assert_int_equal(certstore_find(w->store, ADDR, &rows, &n, NULL), RC_NONE);
	CHECK_INT("proof", annotated(w, ADDR, cert).proven, true);
	offer.learn = true;
	check_take(w, "then with everything", &offer, "learned");
	offer.prove = offer.learn = false;
	check_take(w, "nothing holds", &offer, "refused: no DKIM");
	cert_unref(&cert);
}

static void
test_limits(void **state)
{
	struct world *w = *state;
	struct harvest_offer offer;
	char addr[64];

	w->conf.per_domain = 3;
	w->conf.per_day = 5;
	for (int i = 0; i < 12; i++) {
		const char *domain = i < 6 ? "partner.example" : "other.example";
		const char *want =
			i < 3   ? "learned"
			: i < 6 ? "refused: harvest.per_domain is reached for partner.example"
			: i < 8 ? "learned"
				: "refused: harvest.per_day is reached";
		struct cert *cert;

		snprintf(addr, sizeof(addr), "p%d@%s", i, domain);
		cert = people_cert(&w->people, addr, 300, CERT_SIGN | CERT_ENCRYPT);
		offer = offer_of(cert, addr, TEST_NOW, "");
		offer.learn = i != 1; /* what is noted counts as well */
		check_take(w, addr, &offer, i == 1 ? "noted" : want);
		cert_unref(&cert);
	}
	clock_set(TEST_NOW + DAY);
	offer = offer_of(people_cert(&w->people, "q@partner.example", 300, CERT_ENCRYPT),
		"q@partner.example", TEST_NOW, "");
	check_take(w, "the next day", &offer, "learned");
	cert_unref(&offer.cert);
}

/* --- the message --- */

struct msg_case {
	const char *name;
	const char *fields[6]; /* above From: */
	const char *want;      /* why DKIM does not hold; "": it does */
	bool relaxed;
};

#define PASS(d) "Authentication-Results: mx.example.org; dkim=pass header.d=" d
#define SIG(d)  "DKIM-Signature: v=1; d=" d "; s=k; b=abc"
#define RECV    "Received: x"
#define NOT_OF  "no good DKIM signature is of the domain partner.example"
#define SILENT  "our own MTA says nothing of DKIM"

static const struct msg_case msg_cases[] = {
	{"good", {PASS("partner.example"), RECV, SIG("partner.example")}, "", false},
	{"below our Received", {RECV, PASS("partner.example"), SIG("partner.example")}, "", false},
	{"below another's", {RECV, RECV, PASS("partner.example"), SIG("partner.example")}, SILENT,
		false},
	{"case",
		{"AUTHENTICATION-results: MX.example.ORG; DKIM=pass header.d=PARTNER.example",
			SIG("Partner.Example")},
		"", false},
	{"the topmost counts",
		{"Authentication-Results: mx.example.org; dkim=fail header.d=partner.example",
			PASS("partner.example"), SIG("partner.example")},
		"no DKIM signature was found good", false},
	{"one of ours without DKIM above it",
		{"Authentication-Results: mx.example.org; spf=fail", PASS("partner.example"),
			SIG("partner.example")},
		"", false},
	{"one of another's above it",
		{"Authentication-Results: mx.evil.example; dkim=fail", PASS("partner.example"),
			SIG("partner.example")},
		"", false},
	{"unreadable above it",
		{"Authentication-Results: mx.example.org; dkim=(", PASS("partner.example"),
			SIG("partner.example")},
		"an Authentication-Results field of ours can't be read", false},
	{"without a signature", {PASS("partner.example")}, NOT_OF, false},
	{"of another domain", {PASS("evil.example"), SIG("evil.example")}, NOT_OF, false},
	{"a subdomain's", {PASS("a.partner.example"), SIG("a.partner.example")}, NOT_OF, true},
	{"one that ends so", {PASS("xpartner.example"), SIG("xpartner.example")}, NOT_OF, true},
	{"the top", {PASS("example"), SIG("example")}, NOT_OF, true},
	{"two results, the second",
		{"Authentication-Results: mx.example.org; dkim=pass "
		 "header.d=list.example; dkim=pass header.d=partner.example",
			SIG("list.example"), SIG("partner.example")},
		"", false},
	{"nothing", {NULL}, SILENT, false},
};

static void
add_field(struct hdrs *hdrs, const char *line)
{
	const char *colon = strchr(line, ':');

	assert_int_equal(
		hdrs_add(hdrs, line, (size_t)(colon - line), colon + 1, strlen(colon + 1), NULL),
		RC_OK);
}

static void
test_dkim(void **state)
{
	struct world *w = *state;
	char why[HARVEST_WHY];

	for (size_t i = 0; i < sizeof msg_cases / sizeof msg_cases[0]; i++) {
		const struct msg_case *c = &msg_cases[i];
		struct hdrs hdrs;

		hdrs_init(&hdrs);
		for (size_t k = 0; k < 6 && c->fields[k]; k++)
			add_field(&hdrs, c->fields[k]);
		w->conf.relaxed = c->relaxed;
		*why = '\0';
		CHECK_INT(c->name, harvest_dkim(&w->conf, &hdrs, "partner.example", why),
			*c->want == '\0');
		CHECK_STR(c->name, why, c->want);
		hdrs_fini(&hdrs);
	}
	w->conf.n_ids = 0;
	assert_false(harvest_dkim(&w->conf, &(struct hdrs){0}, "partner.example", why));
}

static void
test_alignment(void **state)
{
	static const struct {
		const char *signing, *domain;
		bool strict, relaxed;
	} cases[] = {
		{"a.example", "a.example", true, true},
		{"a.example", "b.a.example", false, true},
		{"a.example", "c.b.a.example", false, true},
		{"b.a.example", "a.example", false, false},
		{"a.example", "b.example", false, false},
		{"a.example", "ba.example", false, false},
		{"example", "a.example", false, false},
		{"co.uk", "a.co.uk", false, false},
		{"ac.jp", "u.ac.jp", false, false},
		{"u.ac.jp", "cs.u.ac.jp", false, true},
		{"hospital.de", "ward.hospital.de", false, true},
		{"", "a.example", false, false},
		{"a.example", "", false, false},
		{".example", "a.example", false, false},
		{"a..example", "a..example", false, false},
		{"a.example.", "a.example.", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CHECK_INT(cases[i].signing,
			harvest_is_aligned(cases[i].signing, cases[i].domain, false),
			cases[i].strict);
		CHECK_INT(cases[i].signing,
			harvest_is_aligned(cases[i].signing, cases[i].domain, true),
			cases[i].relaxed);
	}
}

/* A message signed by CERT with KEY, at AT; OTHER: the one that is preferred, and comes along. */
struct signed_mail {
	struct cms_signed *sd;
	struct verdict verdict;
	struct hasher *hasher;
};

static void
sign_mail(struct world *w, struct cert *cert, struct pkey *key, struct cert *other, int64_t at,
	struct signed_mail *out)
{
	struct cms_sign_request request = {
		.digest = DIGEST_SHA256, .signing_time = at, .encrypt_cert = other};
	struct buf der = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct sink sink;

	assert_int_equal(hasher_new(1u << DIGEST_SHA256, &out->hasher, NULL), RC_OK);
	sink = hasher_sink(out->hasher);
	assert_int_equal(sink_feed_str(&sink, "hello", NULL), RC_OK);
	assert_int_equal(sink_finish(&sink, NULL), RC_OK);
	request.value = hasher_value(out->hasher, DIGEST_SHA256);
	if (cms_sign_digest(key, cert, NULL, &request, &der, &err) != RC_OK ||
		cms_signed_parse(der.data, der.len, &out->sd, &err) != RC_OK ||
		cms_signed_verify(out->sd, out->hasher, w->trust, NULL, ADDR, -1, &out->verdict,
			&err) != RC_OK)
		fail_msg("%s", err.detail);
	buf_fini(&der);
}

static void
signed_mail_fini(struct signed_mail *mail)
{
	verdict_fini(&mail->verdict);
	cms_signed_free(&mail->sd);
	hasher_free(&mail->hasher);
}

static struct harvest_offer
examine(struct world *w, const struct signed_mail *mail, const char *const *from, size_t n_from)
{
	struct addrlist list = {.v = (char **)(uintptr_t)from, .n = n_from};
	struct hdrs hdrs;
	struct harvest_message msg = {.hdrs = &hdrs,
		.from = &list,
		.from_fields = 1,
		.sd = mail->sd,
		.verdict = &mail->verdict,
		.trust = w->trust,
		.now = TEST_NOW};
	struct harvest_offer offer;
	struct err err = ERR_INIT;

	hdrs_init(&hdrs);
	add_field(&hdrs, PASS("partner.example"));
	add_field(&hdrs, SIG("partner.example"));
	if (harvest_examine(&w->conf, &msg, &offer, &err) != RC_OK)
		fail_msg("%s", err.detail);
	hdrs_fini(&hdrs);
	return offer;
}

static void
test_examine(void **state)
{
	struct world *w = *state;
	const char *const dave[] = {ADDR, "boss@partner.example"};
	struct pkey *key, *sign_key;
	struct cert *cert = make_cert(w, ADDR, 300, CERT_SIGN | CERT_ENCRYPT, &key),
		    *signer = make_cert(w, ADDR, 300, CERT_SIGN, &sign_key),
		    *reader = make_cert(w, ADDR, 300, CERT_ENCRYPT, NULL),
		    *stranger = make_cert(w, "boss@partner.example", 300, CERT_ENCRYPT, NULL);
	const struct {
		const char *name;
		struct cert *cert, *other;
		struct pkey *key;
		int64_t at;
		size_t n_from;
		struct cert *want;
		const char *why;
	} cases[] = {
		/* Nothing here knows whether it is revoked, so only proof is left. */
		{"one for both", cert, NULL, key, TEST_NOW - 10, 1, cert,
			"whether the certificate is revoked is not known"},
		{"preferred", signer, reader, sign_key, TEST_NOW - 10, 1, reader,
			"whether the certificate is revoked is not known"},
		{"preferred, though it could be encrypted to", cert, reader, key, TEST_NOW, 1,
			reader, "whether the certificate is revoked is not known"},
		{"another's preferred", cert, stranger, key, TEST_NOW - 10, 1, NULL,
			"the certificate is for boss@partner.example, not for " ADDR},
		{"only to sign", signer, NULL, sign_key, TEST_NOW - 10, 1, NULL,
			"it is not for encryption: its keyUsage has no keyAgreement"},
		{"old", cert, NULL, key, TEST_NOW - 8 * DAY, 1, NULL,
			"the signature is older than harvest.max_age"},
		{"to come", cert, NULL, key, TEST_NOW + 7200, 1, NULL,
			"the signing time is in the future"},
		{"no time", cert, NULL, key, -1, 1, NULL, "the signature has no signing time"},
		{"two authors", cert, NULL, key, TEST_NOW, 2, NULL,
			"there is not one author: 1 From: fields, 2 addresses"},
		{"no author", cert, NULL, key, TEST_NOW, 0, NULL,
			"there is not one author: 1 From: fields, 0 addresses"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct signed_mail mail = {0};
		struct harvest_offer offer;

		sign_mail(w, cases[i].cert, cases[i].key, cases[i].other, cases[i].at, &mail);
		offer = examine(w, &mail, dave, cases[i].n_from);
		CHECK_STR(cases[i].name, offer.why, cases[i].why);
		CHECK_STR(cases[i].name, offer.cert ? cert_fingerprint(offer.cert) : NULL,
			cases[i].want ? cert_fingerprint(cases[i].want) : NULL);
		CHECK_INT(cases[i].name, offer.prove, cases[i].want != NULL);
		CHECK_INT(cases[i].name, offer.learn, false);
		if (offer.cert)
			CHECK_INT(cases[i].name,
				smimecaps_has(&offer.caps, SMIMECAP_AES256_GCM) &&
					smimecaps_has(&offer.caps, SMIMECAP_OAEP_SHA256),
				true);
		harvest_offer_fini(&offer);
		signed_mail_fini(&mail);
	}
	cert_unref(&cert);
	cert_unref(&signer);
	cert_unref(&reader);
	cert_unref(&stranger);
	pkey_unref(&key);
	pkey_unref(&sign_key);
}

/* Damaged anywhere: refused, or it says something else, or nothing; never past the end. */
static void
test_said_mutation(void **state)
{
	struct world *w = *state;
	struct pkey *key;
	struct cert *cert = make_cert(w, ADDR, 300, CERT_SIGN, &key),
		    *reader = make_cert(w, ADDR, 300, CERT_ENCRYPT, NULL);
	static const unsigned char digest[32];
	const struct cms_sign_request request = {.digest = DIGEST_SHA256,
		.value = digest,
		.signing_time = TEST_NOW,
		.encrypt_cert = reader};
	struct buf der = BUF_INIT(0);
	int read = 0;

	assert_int_equal(cms_sign_digest(key, cert, NULL, &request, &der, NULL), RC_OK);
	for (size_t i = 0; i < der.len; i++) {
		unsigned char *copy = exact(der.data, der.len);
		struct cms_signed *sd = NULL;
		struct cms_said said;

		copy[i] ^= (unsigned char)(1u << i % 8);
		if (cms_signed_parse(copy, der.len, &sd, NULL) == RC_OK) {
			cms_signed_said(sd, 0, &said);
			read += cms_said_prefers(&said, reader);
			cms_signed_said(sd, 1, &said);
			assert_false(said.prefers || said.caps.known);
		}
		cms_signed_free(&sd);
		free(copy);
	}
	assert_true(read > 0);
	buf_fini(&der);
	cert_unref(&cert);
	cert_unref(&reader);
	pkey_unref(&key);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_learn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_capabilities, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renewed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_noted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dkim, set_up, tear_down),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test_setup_teardown(test_examine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_said_mutation, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
