/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trust_rules_test.c - rules of one anchor, denied and allowed certificates, times of signatures
 */
#include "base/clock.h"
#include "crypto/trust.h"
#include "crypto/trustlist.h"
#include "tests/unit/crypto/pki.h"

#define CA_EXT                                            \
	{                                                 \
		NID_basic_constraints, "critical,CA:TRUE" \
	}

struct world {
	EVP_PKEY *root_key, *key, *rsa;
	X509 *root_x;
	struct cert *root, *leaf;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	clock_set(PKI_NOW);
	w->root_key = pki_p256();
	w->key = pki_p256();
	w->rsa = EVP_RSA_gen(1024);
	w->root_x = pki_x509(&(struct pki_spec){.name = "Root",
		.key = w->root_key,
		.from = PKI_NOW - 20LL * PKI_YEAR,
		.exts = {CA_EXT}});
	w->root = pki_copy(w->root_x);
	w->leaf = pki_cert(&(struct pki_spec){.name = "Leaf",
		.key = w->key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.exts = {{NID_subject_alt_name, "email:alice@example.org"}}});
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	cert_unref(&w->root);
	cert_unref(&w->leaf);
	X509_free(w->root_x);
	EVP_PKEY_free(w->root_key);
	EVP_PKEY_free(w->key);
	EVP_PKEY_free(w->rsa);
	free(w);
	clock_set(-1);
	return 0;
}

/* A trust with OPTIONS and the root as an anchor by RULES. */
static struct trust *
trust_of(struct world *w, struct trust_options options, const struct trust_options *rules)
{
	struct trust *trust;
	struct err err = ERR_INIT;

	if (!options.min_rsa)
		options.min_rsa = 2048;
	if (trust_new(&options, &trust, &err) != RC_OK ||
		trust_add_anchor_with(trust, w->root, NULL, 0, rules, &err) != RC_OK)
		fail_msg("trust: %s", err.detail);
	return trust;
}

/* WORD stands in the text of PART, or there is none. */
static void
expect(const char *name, struct trust *trust, struct cert *leaf, const char *addr,
	enum verdict_part part, const char *answer, const char *word)
{
	struct verdict v;
	struct err err = ERR_INIT;

	verdict_init(&v);
	if (trust_check(trust, leaf, NULL, 0, addr, -1, &v, &err) != RC_OK)
		fail_msg("%s: %s", name, err.detail);
	CHECK_STR(name, verdict_answer(&v, part), answer);
	if (word ? !strstr(verdict_text(&v, part), word) : *verdict_text(&v, part))
		fail_msg("%s: got \"%s\", want \"%s\"", name, verdict_text(&v, part),
			word ? word : "");
	verdict_fini(&v);
}

static void
keys_and_hashes_by_anchor(void **state)
{
	static const char *const p384[] = {"P-384"}, *const both[] = {"P-384", "prime256v1"};
	static const char *const bad[] = {"P-257"};
	struct world *w = *state;
	struct cert *small = pki_cert(&(struct pki_spec){
		.name = "Small", .key = w->rsa, .issuer = w->root_x, .issuer_key = w->root_key});
	struct cert *old = pki_cert(&(struct pki_spec){.name = "Old",
		.key = w->key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.from = PKI_NOW - 10LL * PKI_YEAR,
		.md = EVP_sha1()});
	const struct {
		const char *name;
		struct trust_options trust, anchor;
		struct cert *leaf;
		const char *answer, *word;
	} cases[] = {
		{"1024 bits", {0}, {0}, small, "weak",
			"the key of CN=Small is too short: 1024 bits, not 2048"},
		{"1024 bits by the trust", {.min_rsa = 1024}, {0}, small, "ok", NULL},
		{"1024 bits by the anchor", {0}, {.min_rsa = 1024}, small, "ok", NULL},
		{"more by the anchor", {.min_rsa = 1024}, {.min_rsa = 3072}, small, "weak",
			"too short"},
		{"SHA-1", {0}, {0}, old, "weak", "the certificate of CN=Old is signed with a hash"},
		{"SHA-1 before a date", {0}, {.sha1_until = PKI_NOW - 9LL * PKI_YEAR}, old, "ok",
			NULL},
		{"SHA-1 after the date", {0}, {.sha1_until = PKI_NOW - 11LL * PKI_YEAR}, old,
			"weak", "hash"},
		{"SHA-1 by the trust", {.sha1_until = PKI_NOW}, {0}, old, "ok", NULL},
		{"another curve", {.curves = p384, .n_curves = 1}, {0}, w->leaf, "weak",
			"of a curve that is not accepted"},
		{"one of two", {.curves = both, .n_curves = 2}, {0}, w->leaf, "ok", NULL},
		{"the anchor's curves", {.curves = p384, .n_curves = 1},
			{.curves = both, .n_curves = 2}, w->leaf, "ok", NULL},
	};
	struct trust_options wrong = {.curves = bad, .n_curves = 1};
	struct err err = ERR_INIT;
	struct trust *trust;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		trust = trust_of(w, cases[i].trust, &cases[i].anchor);
		expect(cases[i].name, trust, cases[i].leaf, NULL, VERDICT_STRENGTH, cases[i].answer,
			cases[i].word);
		expect(cases[i].name, trust, cases[i].leaf, NULL, VERDICT_PATH, "valid", NULL);
		trust_unref(&trust);
	}
	CHECK_INT("no curve", trust_new(&wrong, &trust, &err), RC_PERM);
	CHECK_INT("no curve", err.code, ERR_USAGE);
	cert_unref(&small);
	cert_unref(&old);
}

static void
addresses_in_the_subject(void **state)
{
	struct world *w = *state;
	struct cert *alone = pki_cert(&(struct pki_spec){.name = "Alone",
		.email = "alice@example.org",
		.key = w->key,
		.issuer = w->root_x,
		.issuer_key = w->root_key});
	struct cert *both = pki_cert(&(struct pki_spec){.name = "Both",
		.email = "alice@example.org",
		.key = w->key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.exts = {{NID_subject_alt_name, "email:bob@example.org"}}});
	static const struct {
		const char *name;
		enum subject_address trust, anchor;
		bool is_alone, match;
	} cases[] = {
		{"by default", 0, 0, true, true},
		{"by default beside another", 0, 0, false, false},
		{"never", SUBJECT_ADDRESS_NEVER, 0, true, false},
		{"always", SUBJECT_ADDRESS_ALWAYS, 0, false, true},
		{"the anchor: always", SUBJECT_ADDRESS_NEVER, SUBJECT_ADDRESS_ALWAYS, false, true},
		{"the anchor: never", SUBJECT_ADDRESS_ALWAYS, SUBJECT_ADDRESS_NEVER, true, false},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust_options rules = {.subject_address = cases[i].anchor};
		struct trust *trust = trust_of(
			w, (struct trust_options){.subject_address = cases[i].trust}, &rules);

		expect(cases[i].name, trust, cases[i].is_alone ? alone : both, "alice@example.org",
			VERDICT_SENDER, cases[i].match ? "match" : "mismatch",
			cases[i].match ? NULL : "in its subject only");
		trust_unref(&trust);
	}
	cert_unref(&alone);
	cert_unref(&both);
}

static void
policies_by_anchor(void **state)
{
	static const char *const wanted[] = {"1.3.6.1.4.1.99999.1"};
	struct world *w = *state;
	struct trust_options rules = {.policies = wanted, .n_policies = 1, .require_policy = true};
	struct cert *with = pki_cert(&(struct pki_spec){.name = "Policy",
		.key = w->key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.exts = {{NID_certificate_policies, "1.3.6.1.4.1.99999.1"}}});
	struct trust *trust = trust_of(w, (struct trust_options){0}, &rules);

	expect("with", trust, with, NULL, VERDICT_PATH, "valid", NULL);
	expect("without", trust, w->leaf, NULL, VERDICT_PATH, "invalid", "policy");
	/* The same anchor a second time, without the rule: the better path counts. */
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	trust_unref(&trust);
	trust = trust_of(w, (struct trust_options){0}, &rules);
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	expect("either", trust, w->leaf, NULL, VERDICT_PATH, "valid", NULL);
	trust_unref(&trust);
	cert_unref(&with);
}

static void
certificates_are_denied(void **state)
{
	enum { BY_CERT, BY_KEY, BY_SERIAL, CA, OTHER };
	static const struct {
		const char *name, *word;
		int what;
	} cases[] = {
		{"certificate", "the certificate of CN=Leaf is denied: lost", BY_CERT},
		{"key", "the certificate of CN=Leaf is denied: lost", BY_KEY},
		{"issuer and serial number", "the certificate of CN=Leaf is denied: lost",
			BY_SERIAL},
		{"CA", "the certificate of CN=Root is denied: lost", CA},
		{"another", NULL, OTHER},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust *trust = trust_of(w, (struct trust_options){0}, NULL);
		unsigned char key[DIGEST_MAX_SIZE] = {0};
		const unsigned char *spki;
		size_t len;

		switch (cases[i].what) {
		case BY_CERT:
			memcpy(key, cert_sha256(w->leaf), SHA256_SIZE);
			break;
		case CA:
			memcpy(key, cert_sha256(w->root), SHA256_SIZE);
			break;
		case BY_KEY:
			spki = cert_spki(w->leaf, &len);
			assert_int_equal(digest_bytes(DIGEST_SHA256, spki, len, key, NULL), RC_OK);
			break;
		case BY_SERIAL:
			assert_int_equal(trustlist_serial_key(cert_issuer(w->leaf),
						 cert_serial(w->leaf), key, NULL),
				RC_OK);
			break;
		}
		assert_int_equal(trust_deny(trust, key, "lost", NULL), RC_OK);
		/* Deny is stronger. */
		if (cases[i].what != OTHER && cases[i].what != CA) {
			const char *addr = "alice@example.org";

			assert_int_equal(
				trust_allow(trust, cert_sha256(w->leaf), "", &addr, 1, NULL),
				RC_OK);
		}
		expect(cases[i].name, trust, w->leaf, "alice@example.org", VERDICT_PATH,
			cases[i].word ? "invalid" : "valid", cases[i].word);
		trust_unref(&trust);
	}
}

static void
certificates_are_allowed(void **state)
{
	struct world *w = *state;
	struct trust_options options = {.min_rsa = 2048};
	static const char *const addrs[] = {"Alice@Example.ORG", "a@example.net"};
	struct cert *late =
		pki_cert(&(struct pki_spec){.name = "Late", .key = w->key, .until = PKI_NOW - 10});
	struct trust *trust;

	assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
	assert_int_equal(
		trust_allow(trust, cert_sha256(w->leaf), "seen in person", addrs, 2, NULL), RC_OK);
	assert_int_equal(trust_allow(trust, cert_sha256(late), NULL, addrs, 2, NULL), RC_OK);
	expect("for her", trust, w->leaf, "alice@example.org", VERDICT_PATH, "valid",
		"believed without a path: the certificate of CN=Leaf is allowed: seen in person");
	expect("by another name", trust, w->leaf, "a@example.net", VERDICT_SENDER, "match", NULL);
	expect("for another", trust, w->leaf, "bob@example.org", VERDICT_PATH, "invalid",
		"not known or not trusted");
	expect("for nobody", trust, w->leaf, NULL, VERDICT_PATH, "invalid", "not known");
	expect("expired", trust, late, "alice@example.org", VERDICT_PATH, "invalid", "");
	trust_unref(&trust);
	cert_unref(&late);
}

static void
fingerprints_are_read(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", true},
		{"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
			true},
		{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeef", false},
		{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0", false},
		{"0:0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", false},
		{"", false},
		{"zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", false},
	};
	unsigned char key[SHA256_SIZE], one[SHA256_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_INT(cases[i].text, trustlist_parse_key(cases[i].text, key, NULL) == RC_OK,
			cases[i].good);
	assert_int_equal(trustlist_parse_key(cases[1].text, key, NULL), RC_OK);
	CHECK_INT("last byte", key[31], 0xff);
	assert_int_equal(trustlist_serial_key("CN=A", "0a:BC", key, NULL), RC_OK);
	assert_int_equal(trustlist_serial_key("CN=A", "abc", one, NULL), RC_OK);
	assert_memory_equal(key, one, SHA256_SIZE);
	assert_int_equal(trustlist_serial_key("CN=B", "abc", one, NULL), RC_OK);
	assert_memory_not_equal(key, one, SHA256_SIZE);
}

/* The certificate was good when it signed; now it is not. */
static void
signatures_have_times(void **state)
{
	enum { DAY = 86400 };
	static const struct {
		const char *name;
		enum signature_time mode;
		int64_t made, received; /* days from now; -999: none */
		int64_t age;
		enum verdict_path path;
		const char *time, *word;
	} cases[] = {
		{"now", SIGNATURE_TIME_NOW, -60, -60, 0, PATH_INVALID, "ok", NULL},
		{"signing time", SIGNATURE_TIME_SIGNING, -60, -59, 0, PATH_VALID, "ok", NULL},
		{"no signing time", SIGNATURE_TIME_SIGNING, -999, -999, 0, PATH_INVALID,
			"unchecked", NULL},
		{"no signing time, but receipt", SIGNATURE_TIME_SIGNING, -999, -60, 0, PATH_VALID,
			"unchecked", NULL},
		{"receipt", SIGNATURE_TIME_RECEIPT, -999, -60, 0, PATH_VALID, "unchecked", NULL},
		{"received too late", SIGNATURE_TIME_RECEIPT, -60, -10, 0, PATH_INVALID, "ok",
			NULL},
		{"nobody knows when", SIGNATURE_TIME_RECEIPT, -60, -999, 0, PATH_INVALID, "ok",
			NULL},
		{"in the future", SIGNATURE_TIME_NOW, 3, -999, 0, PATH_INVALID, "odd",
			"lies after the time of receipt"},
		{"a clock that is a little fast", SIGNATURE_TIME_SIGNING, -59, -60, 0, PATH_VALID,
			"ok", NULL},
		{"long ago", SIGNATURE_TIME_SIGNING, -60, -999, 30 * DAY, PATH_INVALID, "odd",
			"too long before the time of receipt"},
		{"not so long ago", SIGNATURE_TIME_SIGNING, -60, -999, 90 * DAY, PATH_VALID, "ok",
			NULL},
		{"before it was valid", SIGNATURE_TIME_SIGNING, -800, -999, 0, PATH_INVALID, "ok",
			NULL},
	};
	struct world *w = *state;
	struct cert *leaf = pki_cert(&(struct pki_spec){.name = "Leaf",
		.key = w->key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.until = PKI_NOW - 30 * DAY});
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust *trust = trust_of(w,
			(struct trust_options){.signature_time = cases[i].mode,
				.signing_future = 2 * DAY,
				.signing_age = cases[i].age},
			NULL);
		struct trust_signing times = {.at = -1,
			.received =
				cases[i].received == -999 ? -1 : PKI_NOW + cases[i].received * DAY,
			.made = cases[i].made == -999 ? -1 : PKI_NOW + cases[i].made * DAY};
		struct verdict v;
		bool old;

		verdict_init(&v);
		assert_int_equal(
			trust_check_signer(trust, leaf, NULL, NULL, &times, &v, &old, NULL), RC_OK);
		CHECK_STR(
			cases[i].name, verdict_path_name(v.path), verdict_path_name(cases[i].path));
		CHECK_STR(cases[i].name, verdict_answer(&v, VERDICT_TIME), cases[i].time);
		if (cases[i].word && !strstr(verdict_text(&v, VERDICT_TIME), cases[i].word))
			fail_msg("%s: %s", cases[i].name, verdict_text(&v, VERDICT_TIME));
		v.signature = SIGNATURE_GOOD;
		verdict_conclude(&v, false);
		if (v.path == PATH_VALID)
			CHECK_STR(cases[i].name, verdict_overall_name(v.overall), "pass");
		verdict_fini(&v);
		trust_unref(&trust);
	}
	cert_unref(&leaf);
}

static void
verdicts_choose_their_reason(void **state)
{
	static const struct {
		const char *name, *reason;
		enum verdict_signature signature;
		enum verdict_path path;
		enum verdict_revocation revocation;
		enum verdict_sender sender;
		enum verdict_strength strength;
		enum verdict_time time;
		enum verdict_overall overall;
	} cases[] = {
		{"all well", "", SIGNATURE_GOOD, PATH_VALID, REVOCATION_GOOD, SENDER_MATCH,
			STRENGTH_OK, TIME_OK, VERDICT_PASS},
		{"unknown is enough", "", SIGNATURE_GOOD, PATH_VALID, REVOCATION_UNKNOWN,
			SENDER_MATCH, STRENGTH_OK, TIME_OK, VERDICT_PASS},
		{"bad", "signature", SIGNATURE_BAD, PATH_INVALID, REVOCATION_UNKNOWN, SENDER_MATCH,
			STRENGTH_WEAK, TIME_OK, VERDICT_FAIL},
		{"unsupported", "signature", SIGNATURE_UNSUPPORTED, PATH_VALID, REVOCATION_GOOD,
			SENDER_MATCH, STRENGTH_OK, TIME_OK, VERDICT_NEUTRAL},
		{"no path", "path", SIGNATURE_GOOD, PATH_INVALID, REVOCATION_UNKNOWN,
			SENDER_MISMATCH, STRENGTH_WEAK, TIME_OK, VERDICT_FAIL},
		{"nobody knows a path", "path", SIGNATURE_GOOD, PATH_UNKNOWN, REVOCATION_UNCHECKED,
			SENDER_MATCH, STRENGTH_OK, TIME_OK, VERDICT_FAIL},
		{"revoked", "revocation", SIGNATURE_GOOD, PATH_VALID, REVOCATION_REVOKED,
			SENDER_MISMATCH, STRENGTH_WEAK, TIME_ODD, VERDICT_FAIL},
		{"somebody else", "sender", SIGNATURE_GOOD, PATH_VALID, REVOCATION_UNKNOWN,
			SENDER_MISMATCH, STRENGTH_WEAK, TIME_ODD, VERDICT_FAIL},
		{"weak", "strength", SIGNATURE_GOOD, PATH_VALID, REVOCATION_UNKNOWN, SENDER_MATCH,
			STRENGTH_WEAK, TIME_ODD, VERDICT_POLICY},
		{"odd time", "time", SIGNATURE_GOOD, PATH_VALID, REVOCATION_UNKNOWN, SENDER_MATCH,
			STRENGTH_OK, TIME_ODD, VERDICT_POLICY},
	};
	struct world *w = *state;
	size_t i, part;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf text = BUF_INIT(0);
		struct json json;
		struct verdict v;

		verdict_init(&v);
		for (part = 0; part < VERDICT_PARTS; part++)
			verdict_note(&v, (enum verdict_part)part, w->leaf, "%s",
				verdict_part_name((enum verdict_part)part));
		v.signature = cases[i].signature;
		v.path = cases[i].path;
		v.revocation = cases[i].revocation;
		v.sender = cases[i].sender;
		v.strength = cases[i].strength;
		v.time = cases[i].time;
		verdict_conclude(&v, false);
		CHECK_STR(cases[i].name, verdict_overall_name(v.overall),
			verdict_overall_name(cases[i].overall));
		CHECK_STR(cases[i].name, v.reason, cases[i].reason);
		json_init(&json, &text);
		json_object(&json, NULL);
		verdict_json(&v, &json);
		json_object_end(&json);
		if (!strstr(buf_text(&text),
			    "\"sender\":{\"text\":\"sender\",\"subject\":\"CN=Leaf\"") ||
			!strstr(buf_text(&text), cert_fingerprint(w->leaf)))
			fail_msg("%s: %s", cases[i].name, buf_text(&text));
		buf_fini(&text);
		verdict_fini(&v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_hashes_by_anchor),
		cmocka_unit_test(addresses_in_the_subject),
		cmocka_unit_test(policies_by_anchor),
		cmocka_unit_test(certificates_are_denied),
		cmocka_unit_test(certificates_are_allowed),
		cmocka_unit_test(fingerprints_are_read),
		cmocka_unit_test(signatures_have_times),
		cmocka_unit_test(verdicts_choose_their_reason),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
