/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/trust.h"

#include "base/clock.h"
#include "base/file.h"
#include "crypto/issue.h"
#include "tests/unit/crypto/pki.h"

#include <pthread.h>

/* A small world: root → intermediate → leaf, everything P-256. */
struct world {
	EVP_PKEY *root_key, *ca_key, *leaf_key;
	X509 *root_x, *ca_x;
	struct cert *root, *ca, *leaf;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	clock_set(PKI_NOW);
	w->root_key = pki_p256();
	w->ca_key = pki_p256();
	w->leaf_key = pki_p256();
	w->root_x = pki_x509(
		&(struct pki_spec){.name = "Root", .key = w->root_key, .exts = {PKI_CA_EXTS}});
	w->ca_x = pki_x509(&(struct pki_spec){.name = "CA",
		.key = w->ca_key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.exts = {PKI_CA_EXTS, {NID_authority_key_identifier, "keyid"}}});
	w->root = pki_copy(w->root_x);
	w->ca = pki_copy(w->ca_x);
	w->leaf = pki_cert(&(struct pki_spec){.name = "Leaf",
		.key = w->leaf_key,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key,
		.exts = {{NID_subject_alt_name, "email:alice@example.org"},
			{NID_key_usage, "digitalSignature"},
			{NID_ext_key_usage, "emailProtection"}}});
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	cert_unref(&w->root);
	cert_unref(&w->ca);
	cert_unref(&w->leaf);
	X509_free(w->root_x);
	X509_free(w->ca_x);
	EVP_PKEY_free(w->root_key);
	EVP_PKEY_free(w->ca_key);
	EVP_PKEY_free(w->leaf_key);
	free(w);
	clock_set(-1);
	return 0;
}

static struct trust *
new_trust(enum revocation_mode mode)
{
	struct trust_options options = {.revocation = mode, .min_rsa = 2048};
	struct trust *trust;

	assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
	return trust;
}

/* What V says in plain values, for tests that look at no more; V itself is given up. */
static struct verdict
plain(struct verdict *v)
{
	struct verdict out = {.path = v->path,
		.revocation = v->revocation,
		.sender = v->sender,
		.strength = v->strength};

	memcpy(out.reason, v->reason, sizeof(out.reason));
	verdict_fini(v);
	return out;
}

static struct verdict
check(struct trust *trust, struct cert *leaf, struct cert *extra, unsigned use, const char *addr)
{
	struct certset set = {.v = &extra, .n = extra ? 1 : 0};
	struct verdict verdict;
	struct err err = ERR_INIT;

	verdict_init(&verdict);
	if (trust_check(trust, leaf, &set, use, addr, -1, &verdict, &err) != RC_OK)
		fail_msg("trust_check: %s", err.detail);
	return plain(&verdict);
}

/* WORD stands in the reason; NULL: there is no reason. */
static void
expect(const char *name, struct verdict got, enum verdict_path path, const char *word)
{
	if (got.path != path)
		fail_msg("%s: got path %s, want %s (%s)", name, verdict_path_name(got.path),
			verdict_path_name(path), got.reason);
	if (word ? !strstr(got.reason, word) : got.reason[0] != '\0')
		fail_msg("%s: got reason \"%s\", want \"%s\"", name, got.reason, word ? word : "");
}

static void
paths_end_at_anchors(void **state)
{
	struct world *w = *state;
	struct trust *trust = new_trust(REVOKE_OFF);
	struct verdict v;

	expect("no anchor", check(trust, w->leaf, w->ca, 0, NULL), PATH_INVALID,
		"not known or not trusted");
	trust_unref(&trust);
	trust = new_trust(REVOKE_OFF);
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	expect("no intermediate", check(trust, w->leaf, NULL, 0, NULL), PATH_INVALID, "not known");
	v = check(trust, w->leaf, w->ca, CERT_SIGN, "alice@EXAMPLE.org");
	expect("good", v, PATH_VALID, NULL);
	CHECK_INT("sender", v.sender, SENDER_MATCH);
	CHECK_INT("strength", v.strength, STRENGTH_OK);
	CHECK_INT("revocation", v.revocation, REVOCATION_UNCHECKED);
	v = check(trust, w->leaf, w->ca, CERT_SIGN, "mallory@example.org");
	expect("another sender", v, PATH_VALID, "for alice@example.org, not for mallory");
	CHECK_INT("sender", v.sender, SENDER_MISMATCH);
	expect("wrong use", check(trust, w->leaf, w->ca, CERT_ENCRYPT, NULL), PATH_INVALID,
		"not for encryption");
	expect("again, from the cache", check(trust, w->leaf, w->ca, CERT_ENCRYPT, NULL),
		PATH_INVALID, "not for encryption");
	assert_int_equal(trust_add_intermediate(trust, w->ca, NULL), RC_OK);
	trust_unref(&trust);
	trust = new_trust(REVOKE_OFF);
	assert_int_equal(trust_add_anchor(trust, w->ca, NULL, 0, NULL), RC_OK);
	expect("an intermediate as anchor", check(trust, w->leaf, NULL, 0, NULL), PATH_VALID, NULL);
	trust_unref(&trust);
}

static void
time_is_the_given_one(void **state)
{
	struct world *w = *state;
	struct trust *trust = new_trust(REVOKE_OFF);
	struct certset set = {.v = &w->ca, .n = 1};
	struct verdict v;

	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	verdict_init(&v);
	assert_int_equal(
		trust_check(trust, w->leaf, &set, 0, NULL, PKI_NOW + 2 * PKI_YEAR, &v, NULL),
		RC_OK);
	v = plain(&v);
	expect("later", v, PATH_INVALID, "expired on 2027-");
	verdict_init(&v);
	assert_int_equal(
		trust_check(trust, w->leaf, &set, 0, NULL, PKI_NOW - 2 * PKI_YEAR, &v, NULL),
		RC_OK);
	v = plain(&v);
	expect("earlier", v, PATH_INVALID, "not valid yet");
	expect("now", check(trust, w->leaf, w->ca, 0, NULL), PATH_VALID, NULL);
	clock_set(PKI_NOW + 2 * PKI_YEAR);
	expect("the cache does not outlive it", check(trust, w->leaf, w->ca, 0, NULL), PATH_INVALID,
		"expired");
	clock_set(PKI_NOW);
	trust_unref(&trust);
}

static void
anchors_are_scoped(void **state)
{
	static const char *const ours[] = {"example.org", ".example.org"}, *const theirs[] = {
										   "example.net"};
	struct world *w = *state;
	struct trust *trust = new_trust(REVOKE_OFF);
	struct cert *leaf = pki_cert(&(struct pki_spec){.name = "Everywhere",
		.key = w->leaf_key,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key,
		.exts = {{NID_subject_alt_name,
			"email:a@example.org,email:a@sub.example.org,email:a@example.net"}}});

	assert_int_equal(trust_add_anchor(trust, w->root, ours, 2, NULL), RC_OK);
	expect("its domain", check(trust, leaf, w->ca, 0, "a@example.org"), PATH_VALID, NULL);
	expect("a subdomain", check(trust, leaf, w->ca, 0, "a@sub.example.org"), PATH_VALID, NULL);
	expect("another", check(trust, leaf, w->ca, 0, "a@example.net"), PATH_INVALID,
		"may not speak for example.net");
	expect("nobody asked", check(trust, leaf, w->ca, 0, NULL), PATH_VALID, NULL);
	trust_unref(&trust);

	/* The anchor out of scope must not hide the one in scope. */
	trust = new_trust(REVOKE_OFF);
	assert_int_equal(trust_add_anchor(trust, w->root, ours, 2, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, w->ca, theirs, 1, NULL), RC_OK);
	expect("by the other anchor", check(trust, leaf, w->ca, 0, "a@example.net"), PATH_VALID,
		NULL);
	expect("by the first", check(trust, leaf, w->ca, 0, "a@example.org"), PATH_VALID, NULL);
	trust_unref(&trust);
	cert_unref(&leaf);
}

/* Two CA certificates of one name: OpenSSL's first choice may be the wrong one. */
static void
other_issuers_are_tried(void **state)
{
	struct world *w = *state;
	EVP_PKEY *other_key = pki_p256();
	struct pki_ext ca_exts[PKI_MAX_EXTS] = {{NID_basic_constraints, "critical,CA:TRUE"}};
	struct pki_spec spec = {.name = "CA",
		.key = other_key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.until = PKI_NOW + 2 * PKI_YEAR};
	struct cert *wrong_key, *leaf, *expired;
	struct certset set = {0};
	struct trust *trust;
	struct verdict v;
	int order;

	memcpy(spec.exts, ca_exts, sizeof(ca_exts));
	wrong_key = pki_cert(&spec);
	spec.key = w->ca_key;
	spec.until = PKI_NOW - 1000;
	expired = pki_cert(&spec);
	leaf = pki_cert(&(struct pki_spec){/* without AuthorityKeyIdentifier */
		.name = "Leaf",
		.key = w->leaf_key,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key});
	for (order = 0; order < 2; order++) {
		certset_add(&set, order ? wrong_key : w->ca, NULL);
		certset_add(&set, expired, NULL);
		certset_add(&set, order ? w->ca : wrong_key, NULL);
		trust = new_trust(REVOKE_OFF);
		assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
		verdict_init(&v);
		assert_int_equal(trust_check(trust, leaf, &set, 0, NULL, -1, &v, NULL), RC_OK);
		v = plain(&v);
		expect(order ? "wrong first" : "right first", v, PATH_VALID, NULL);
		trust_unref(&trust);
		certset_fini(&set);
	}
	/* The same with two anchors of one name. */
	trust = new_trust(REVOKE_OFF);
	assert_int_equal(trust_add_anchor(trust, wrong_key, NULL, 0, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, w->ca, NULL, 0, NULL), RC_OK);
	expect("two anchors", check(trust, leaf, NULL, 0, NULL), PATH_VALID, NULL);
	trust_unref(&trust);
	trust = new_trust(REVOKE_OFF);
	assert_int_equal(trust_add_anchor(trust, wrong_key, NULL, 0, NULL), RC_OK);
	expect("only the wrong one", check(trust, leaf, NULL, 0, NULL), PATH_INVALID, "");
	trust_unref(&trust);
	cert_unref(&wrong_key);
	cert_unref(&expired);
	cert_unref(&leaf);
	EVP_PKEY_free(other_key);
}

static void
bad_paths_are_refused(void **state)
{
	static const struct {
		const char *name, *word;
		struct pki_ext ca[3], leaf[3];
	} cases[] = {
		{"no CA", "CA", {{NID_basic_constraints, "CA:FALSE"}}, {{0, NULL}}},
		{"no certificate signing", "",
			{{NID_basic_constraints, "critical,CA:TRUE"},
				{NID_key_usage, "critical,digitalSignature"}},
			{{0, NULL}}},
		{"name constraint", "permitted subtree",
			{{NID_basic_constraints, "critical,CA:TRUE"},
				{NID_name_constraints, "critical,permitted;email:example.net"}},
			{{NID_subject_alt_name, "email:alice@example.org"}}},
		{"CA for the web", "may not issue certificates for mail",
			{{NID_basic_constraints, "critical,CA:TRUE"},
				{NID_ext_key_usage, "serverAuth"}},
			{{0, NULL}}},
		{"policy required", "policy",
			{{NID_basic_constraints, "critical,CA:TRUE"},
				{NID_policy_constraints, "critical,requireExplicitPolicy:0"}},
			{{0, NULL}}},
		{"leaf for the web", "not for mail", {{NID_basic_constraints, "critical,CA:TRUE"}},
			{{NID_ext_key_usage, "serverAuth"}}},
		/* a critical extension that nobody knows */
		{"critical extension", "critical", {{NID_basic_constraints, "critical,CA:TRUE"}},
			{{NID_netscape_comment, "critical,hm"}}},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pki_spec ca_spec = {.name = "Bad CA",
			.key = w->ca_key,
			.issuer = w->root_x,
			.issuer_key = w->root_key};
		struct pki_spec leaf_spec = {
			.name = "Leaf", .key = w->leaf_key, .issuer_key = w->ca_key};
		struct trust *trust = new_trust(REVOKE_OFF);
		struct cert *ca, *leaf;
		X509 *ca_x;

		memcpy(ca_spec.exts, cases[i].ca, sizeof(cases[i].ca));
		memcpy(leaf_spec.exts, cases[i].leaf, sizeof(cases[i].leaf));
		ca_x = pki_x509(&ca_spec);
		leaf_spec.issuer = ca_x;
		leaf = pki_cert(&leaf_spec);
		ca = pki_take(ca_x);
		assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
		expect(cases[i].name, check(trust, leaf, ca, CERT_SIGN, NULL), PATH_INVALID,
			cases[i].word);
		trust_unref(&trust);
		cert_unref(&ca);
		cert_unref(&leaf);
	}
}

/* Right, but weak: SHA-1 in the path, short RSA keys. */
static void
weak_is_not_wrong(void **state)
{
	struct world *w = *state;
	struct trust *trust = new_trust(REVOKE_OFF);
	EVP_PKEY *rsa = EVP_RSA_gen(1024);
	struct cert *sha1 = pki_cert(&(struct pki_spec){.name = "SHA-1",
		.key = w->leaf_key,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key,
		.md = EVP_sha1()});
	struct cert *small = pki_cert(&(struct pki_spec){
		.name = "RSA-1024", .key = rsa, .issuer = w->ca_x, .issuer_key = w->ca_key});
	struct verdict v;

	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	v = check(trust, sha1, w->ca, 0, NULL);
	expect("SHA-1", v, PATH_VALID, "hash that is too weak");
	CHECK_INT("SHA-1", v.strength, STRENGTH_WEAK);
	v = check(trust, small, w->ca, 0, NULL);
	expect("RSA-1024", v, PATH_VALID, "too short");
	CHECK_INT("RSA-1024", v.strength, STRENGTH_WEAK);
	trust_unref(&trust);
	cert_unref(&sha1);
	cert_unref(&small);
	EVP_PKEY_free(rsa);
}

/* A CRL of ISSUER over one serial number (or none), signed by KEY. */
static void
add_crl(struct trust *trust, X509 *issuer, EVP_PKEY *key, const struct cert *revoked, int64_t from,
	int64_t until)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = ASN1_TIME_adj(NULL, from, 0, 0), *next = ASN1_TIME_adj(NULL, until, 0, 0);
	unsigned char *der = NULL;
	struct err err = ERR_INIT;
	int len;

	assert_true(X509_CRL_set_version(crl, X509_CRL_VERSION_2));
	assert_true(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)));
	assert_true(X509_CRL_set1_lastUpdate(crl, at) && X509_CRL_set1_nextUpdate(crl, next));
	if (revoked) {
		X509_REVOKED *entry = X509_REVOKED_new();
		const unsigned char *bytes;
		BIGNUM *bn;
		ASN1_INTEGER *serial;
		size_t n;

		bytes = cert_serial_bytes(revoked, &n);
		bn = BN_bin2bn(bytes, (int)n, NULL);
		serial = BN_to_ASN1_INTEGER(bn, NULL);
		assert_true(X509_REVOKED_set_serialNumber(entry, serial));
		assert_true(X509_REVOKED_set_revocationDate(entry, at));
		assert_true(X509_CRL_add0_revoked(crl, entry));
		ASN1_INTEGER_free(serial);
		BN_free(bn);
	}
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	len = i2d_X509_CRL(crl, &der);
	if (trust_add_crl(trust, der, (size_t)len, &err) != RC_OK)
		fail_msg("trust_add_crl: %s", err.detail);
	OPENSSL_free(der);
	ASN1_TIME_free(at);
	ASN1_TIME_free(next);
	X509_CRL_free(crl);
}

static void
revocation_is_told(void **state)
{
	enum {
		NO_CRL,
		EMPTY,
		LISTED,
		EXPIRED,
		EXPIRED_LISTED,
		FORGED,
		FUTURE,
		NEWER_LISTED,
		NEWER_CLEAN
	};
	static const struct {
		const char *name, *word;
		int leaf, ca;
		enum verdict_revocation want;
	} cases[] = {
		{"no list", "no CRL of its issuer", NO_CRL, NO_CRL, REVOCATION_UNKNOWN},
		{"good", NULL, EMPTY, EMPTY, REVOCATION_GOOD},
		{"leaf revoked", "revoked on 2026-", LISTED, EMPTY, REVOCATION_REVOKED},
		{"CA revoked", "CN=CA was revoked", EMPTY, LISTED, REVOCATION_REVOKED},
		{"leaf's list is missing", "unknown", NO_CRL, EMPTY, REVOCATION_UNKNOWN},
		{"CA's list is missing", "unknown", EMPTY, NO_CRL, REVOCATION_UNKNOWN},
		{"expired list", "expired", EXPIRED, EMPTY, REVOCATION_UNKNOWN},
		{"revoked in an expired list", "revoked", EXPIRED_LISTED, EMPTY,
			REVOCATION_REVOKED},
		{"list signed by another", "unknown", FORGED, EMPTY, REVOCATION_UNKNOWN},
		{"list of tomorrow", "unknown", FUTURE, EMPTY, REVOCATION_UNKNOWN},
		{"the newer list counts", "revoked", NEWER_LISTED, EMPTY, REVOCATION_REVOKED},
		{"the newer list clears", NULL, NEWER_CLEAN, EMPTY, REVOCATION_GOOD},
	};
	struct world *w = *state;
	const int64_t now = PKI_NOW, day = 86400;
	size_t i;
	int k;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust *trust = new_trust(REVOKE_IF_KNOWN);
		struct verdict v;

		assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
		for (k = 0; k < 2; k++) {
			X509 *by = k ? w->root_x : w->ca_x;
			EVP_PKEY *key = k ? w->root_key : w->ca_key;
			struct cert *one = k ? w->ca : w->leaf;

			switch (k ? cases[i].ca : cases[i].leaf) {
			case EMPTY:
				add_crl(trust, by, key, NULL, now - day, now + day);
				break;
			case LISTED:
				add_crl(trust, by, key, one, now - day, now + day);
				break;
			case EXPIRED:
				add_crl(trust, by, key, NULL, now - 2 * day, now - day);
				break;
			case EXPIRED_LISTED:
				add_crl(trust, by, key, one, now - 2 * day, now - day);
				break;
			case FORGED:
				add_crl(trust, by, w->leaf_key, NULL, now - day, now + day);
				break;
			case FUTURE:
				add_crl(trust, by, key, NULL, now + day, now + 2 * day);
				break;
			case NEWER_LISTED:
				add_crl(trust, by, key, one, now - day, now + day);
				add_crl(trust, by, key, NULL, now - 2 * day, now + day);
				break;
			case NEWER_CLEAN:
				add_crl(trust, by, key, one, now - 2 * day, now + day);
				add_crl(trust, by, key, NULL, now - day, now + day);
				break;
			}
		}
		v = check(trust, w->leaf, w->ca, 0, NULL);
		expect(cases[i].name, v, PATH_VALID, cases[i].word);
		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation),
			verdict_revocation_name(cases[i].want));
		v = check(trust, w->leaf, w->ca, 0, NULL);
		CHECK_STR("again", verdict_revocation_name(v.revocation),
			verdict_revocation_name(cases[i].want));
		trust_unref(&trust);
	}
}

static void
bad_crls_are_refused(void **state)
{
	struct world *w = *state;
	struct trust *trust = new_trust(REVOKE_IF_KNOWN);
	struct err err = ERR_INIT;
	size_t len;
	const unsigned char *der = cert_der(w->root, &len);

	CHECK_INT("a certificate", trust_add_crl(trust, der, len, &err), RC_PERM);
	CHECK_INT("code", err.code, ERR_CRL_MALFORMED);
	CHECK_INT("nothing", trust_add_crl(trust, "", 0, &err), RC_PERM);
	CHECK_INT("PEM without one",
		trust_add_crl(trust, "-----BEGIN X-----\nMAA=\n-----END X-----\n", 39, &err),
		RC_PERM);
	trust_unref(&trust);
}

static void
policies_are_options(void **state)
{
	static const char *const wanted[] = {"1.3.6.1.4.1.99999.1"}, *const bad[] = {"1.2.x"};
	struct world *w = *state;
	struct trust_options options = {
		.min_rsa = 2048, .policies = wanted, .n_policies = 1, .require_policy = true};
	struct cert *leaf = pki_cert(&(struct pki_spec){.name = "Policy",
		.key = w->leaf_key,
		.issuer = w->root_x,
		.issuer_key = w->root_key,
		.exts = {{NID_certificate_policies, "1.3.6.1.4.1.99999.1"}}});
	struct trust *trust;
	struct err err = ERR_INIT;

	assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	expect("with the policy", check(trust, leaf, NULL, 0, NULL), PATH_VALID, NULL);
	expect("without", check(trust, w->leaf, w->ca, 0, NULL), PATH_INVALID, "policy");
	trust_unref(&trust);
	options.policies = bad;
	CHECK_INT("no OID", trust_new(&options, &trust, &err), RC_PERM);
	CHECK_INT("no OID", err.code, ERR_USAGE);
	cert_unref(&leaf);
}

/* A hundred CAs on the way: refused, and not after a hundred signatures. */
static void
depth_is_limited(void **state)
{
	struct world *w = *state;
	struct certset set = {0};
	struct trust *trust = new_trust(REVOKE_OFF);
	struct cert *leaf;
	X509 *above = w->root_x, *below;
	EVP_PKEY *key = w->root_key;
	struct verdict v;
	char name[20];
	int i;

	assert_true(X509_up_ref(above));
	for (i = 0; i < 100; i++) {
		struct cert *ca;

		snprintf(name, sizeof(name), "CA %d", i);
		below = pki_x509(&(struct pki_spec){.name = name,
			.key = w->ca_key,
			.issuer = above,
			.issuer_key = key,
			.exts = {{NID_basic_constraints, "critical,CA:TRUE"}}});
		ca = pki_copy(below);
		certset_add(&set, ca, NULL);
		cert_unref(&ca);
		X509_free(above);
		above = below;
		key = w->ca_key;
	}
	leaf = pki_cert(&(struct pki_spec){
		.name = "Deep", .key = w->leaf_key, .issuer = above, .issuer_key = w->ca_key});
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	verdict_init(&v);
	assert_int_equal(trust_check(trust, leaf, &set, 0, NULL, -1, &v, NULL), RC_OK);
	v = plain(&v);
	expect("deep", v, PATH_INVALID, "");
	X509_free(above);
	cert_unref(&leaf);
	certset_fini(&set);
	trust_unref(&trust);
}

/* What one of several threads does: parses and checks the same certificates over and over. */
struct worker {
	struct world *w;
	struct trust *trust;
	pthread_t thread;
	int wrong;
};

static void *
work(void *arg)
{
	struct worker *me = arg;
	int i;

	for (i = 0; i < 300; i++) {
		struct cert *cert;
		struct certset set = {.v = &me->w->ca, .n = 1};
		struct verdict v;
		size_t len;
		const unsigned char *der = cert_der(me->w->leaf, &len);

		verdict_init(&v);
		if (cert_parse(der, len, &cert, NULL) != RC_OK ||
			trust_check(me->trust, cert, &set, CERT_SIGN, NULL, PKI_NOW + i % 50, &v,
				NULL) != RC_OK ||
			v.path != PATH_VALID || v.revocation != REVOCATION_GOOD)
			me->wrong++;
		verdict_fini(&v);
		cert_unref(&cert);
	}
	return NULL;
}

static void
threads_share_a_trust(void **state)
{
	struct world *w = *state;
	struct trust *trust = new_trust(REVOKE_REQUIRED);
	struct worker workers[4];
	int i;

	cert_cache_limit(16); /* so that they also evict */
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	add_crl(trust, w->root_x, w->root_key, NULL, PKI_NOW - 1, PKI_NOW + 86400);
	add_crl(trust, w->ca_x, w->ca_key, NULL, PKI_NOW - 1, PKI_NOW + 86400);
	for (i = 0; i < 4; i++) {
		workers[i] = (struct worker){.w = w, .trust = trust};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		CHECK_INT("wrong answers", workers[i].wrong, 0);
	}
	cert_cache_limit(20000);
	trust_unref(&trust);
}

static void
rfc9216_paths(void **state)
{
	static const char *const leaves[] = {
		"Alice-s-Signature-Verification-End-Entity-Certificate.crt",
		"Carlos-s-Signature-Verification-End-Entity-Certificate.crt"};
	static const char *const files[] = {"RSA-Certification-Authority-Root-Certificate.crt",
		"RSA-Certification-Authority-Cross-Signed-Certificate.crt",
		"Ed25519-Certification-Authority-Cross-Signed-Certificate.crt"};
	struct certset certs[3] = {{0}}, leaf = {0}, all = {0};
	struct trust *trust = new_trust(REVOKE_OFF);
	struct buf file = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct verdict v;
	char name[200];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "rfc9216/%s", files[i]);
		buf_clear(&file);
		if (!pki_corpus(name, &file)) {
			buf_fini(&file);
			trust_unref(&trust);
			skip();
		}
		assert_int_equal(certset_parse(file.data, file.len, &certs[i], &err), RC_OK);
		certset_add(&all, certs[i].v[0], NULL);
	}
	assert_int_equal(trust_add_anchor(trust, certs[0].v[0], NULL, 0, NULL), RC_OK);
	for (i = 0; i < 2; i++) { /* Carlos only through the cross-certificate */
		snprintf(name, sizeof(name), "rfc9216/%s", leaves[i]);
		buf_clear(&file);
		assert_true(pki_corpus(name, &file));
		assert_int_equal(certset_parse(file.data, file.len, &leaf, &err), RC_OK);
		verdict_init(&v);
		assert_int_equal(
			trust_check(trust, leaf.v[0], &all, CERT_SIGN, NULL, -1, &v, &err), RC_OK);
		v = plain(&v);
		expect(leaves[i], v, PATH_VALID, NULL);
		certset_fini(&leaf);
	}
	for (i = 0; i < 3; i++)
		certset_fini(&certs[i]);
	certset_fini(&all);
	buf_fini(&file);
	trust_unref(&trust);
}

static void
write_cert(const char *dir, const char *name, struct cert *const *v, size_t n)
{
	struct buf pem = BUF_INIT(1u << 20);
	char path[128];

	for (size_t i = 0; i < n; i++)
		assert_int_equal(cert_format_pem(v[i], &pem, NULL), RC_OK);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(file_write(path, buf_text(&pem), pem.len, 0600, NULL), RC_OK);
	buf_fini(&pem);
}

/* Whoever sends mail can have files fetched: a crowd of certificates with a CA's name does not keep
 * the real one away, wherever it lies and however far below the anchor it is. */
static void
fetched_ones_are_vouched_for(void **state)
{
	struct world *w = *state;
	char dir[] = "/tmp/sealgate-fetched-XXXXXX", path[128];
	struct trust *trust = new_trust(REVOKE_OFF);
	EVP_PKEY *sub_key = pki_p256(), *fake_key = pki_p256();
	struct pki_ext ca[] = {{NID_basic_constraints, "critical,CA:TRUE"},
		{NID_key_usage, "keyCertSign,cRLSign"}};
	X509 *sub_x = pki_x509(&(struct pki_spec){.name = "Sub",
		.key = sub_key,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key,
		.exts = {ca[0], ca[1]}});
	struct cert *leaf = pki_cert(&(struct pki_spec){.name = "Bob",
		.key = w->leaf_key,
		.issuer = sub_x,
		.issuer_key = sub_key,
		.exts = {{NID_subject_alt_name, "email:bob@example.org"},
			{NID_key_usage, "digitalSignature"}}});
	struct cert *fakes[240], *sub = pki_copy(sub_x);

	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < 240; i++)
		fakes[i] = pki_cert(&(struct pki_spec){.name = i % 2 ? "Sub" : "CA",
			.key = fake_key,
			.issuer = w->root_x,
			.issuer_key = fake_key,
			.from = PKI_NOW - 100 + (int64_t)i / 2,
			.exts = {ca[0], ca[1]}});
	write_cert(dir, "1", &sub, 1);
	write_cert(dir, "2", fakes, 240);
	write_cert(dir, "3", &w->ca, 1);
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	assert_int_equal(trust_load_fetched(trust, dir, NULL), RC_OK);
	assert_int_equal(
		check(trust, w->leaf, NULL, CERT_SIGN, "alice@example.org").path, PATH_VALID);
	assert_int_equal(check(trust, leaf, NULL, CERT_SIGN, "bob@example.org").path, PATH_VALID);
	for (int i = 1; i <= 3; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		(void)unlink(path);
	}
	(void)rmdir(dir);
	for (size_t i = 0; i < 240; i++)
		cert_unref(&fakes[i]);
	cert_unref(&sub);
	cert_unref(&leaf);
	X509_free(sub_x);
	EVP_PKEY_free(sub_key);
	EVP_PKEY_free(fake_key);
	trust_unref(&trust);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_end_at_anchors),
		cmocka_unit_test(time_is_the_given_one),
		cmocka_unit_test(anchors_are_scoped),
		cmocka_unit_test(other_issuers_are_tried),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(weak_is_not_wrong),
		cmocka_unit_test(revocation_is_told),
		cmocka_unit_test(bad_crls_are_refused),
		cmocka_unit_test(policies_are_options),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(threads_share_a_trust),
		cmocka_unit_test(rfc9216_paths),
		cmocka_unit_test(fetched_ones_are_vouched_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
