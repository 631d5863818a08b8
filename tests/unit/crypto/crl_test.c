/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/crl.h"

#include "base/clock.h"
#include "crypto/cms_verify.h"
#include "crypto/issue.h"
#include "crypto/openssl_glue.h"
#include "crypto/revocation.h"
#include "crypto/trust.h"
#include "tests/unit/crypto/lists.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/cms.h>

#include <pthread.h>

#define DAY 86400

/* Root → CA → leaf; another key of the CA, and somebody who gives lists for others. */
struct world {
	EVP_PKEY *root_key, *ca_key, *new_key, *other_key;
	X509 *root_x, *ca_x, *new_x, *other_x;
	struct cert *root, *ca, *new_ca, *other, *leaf, *pointed, *indirect;
};

static X509 *
make_ca(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	return pki_x509(&(struct pki_spec){.name = name,
		.key = key,
		.issuer = issuer,
		.issuer_key = issuer_key,
		.exts = {PKI_CA_EXTS}});
}

/* A leaf whose lists are given by another: its distribution point names the list's issuer. */
static struct cert *
make_indirect(const struct world *w)
{
	X509 *x509 = pki_x509(
		&(struct pki_spec){.name = "Indirect", .key = w->other_key, .issuer = w->ca_x});
	CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
	DIST_POINT *point = DIST_POINT_new();
	GENERAL_NAME *name = GENERAL_NAME_new();

	name->type = GEN_DIRNAME;
	name->d.directoryName = X509_NAME_dup(X509_get_subject_name(w->other_x));
	point->CRLissuer = sk_GENERAL_NAME_new_null();
	assert_true(sk_GENERAL_NAME_push(point->CRLissuer, name));
	assert_true(sk_DIST_POINT_push(points, point));
	assert_true(X509_add1_ext_i2d(x509, NID_crl_distribution_points, points, 0, 0) == 1);
	assert_true(X509_sign(x509, w->ca_key, EVP_sha256()) > 0);
	CRL_DIST_POINTS_free(points);
	return pki_take(x509);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	clock_set(PKI_NOW);
	w->root_key = pki_p256();
	w->ca_key = pki_p256();
	w->new_key = pki_p256();
	w->other_key = pki_p256();
	w->root_x = make_ca("Root", w->root_key, NULL, NULL);
	w->ca_x = make_ca("CA", w->ca_key, w->root_x, w->root_key);
	w->new_x = make_ca("CA", w->new_key, w->root_x, w->root_key);
	w->other_x = make_ca("Lists", w->other_key, w->root_x, w->root_key);
	w->root = pki_copy(w->root_x);
	w->ca = pki_copy(w->ca_x);
	w->new_ca = pki_copy(w->new_x);
	w->other = pki_copy(w->other_x);
	w->leaf = pki_cert(&(struct pki_spec){
		.name = "Leaf", .key = w->other_key, .issuer = w->ca_x, .issuer_key = w->ca_key});
	w->pointed = pki_cert(&(struct pki_spec){.name = "Pointed",
		.key = w->other_key,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key,
		.exts = {{NID_crl_distribution_points, "URI:http://x.example/1.crl"}}});
	w->indirect = make_indirect(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	struct cert **certs[] = {
		&w->root, &w->ca, &w->new_ca, &w->other, &w->leaf, &w->pointed, &w->indirect};
	size_t i;

	for (i = 0; i < sizeof(certs) / sizeof(*certs); i++)
		cert_unref(certs[i]);
	X509_free(w->root_x);
	X509_free(w->ca_x);
	X509_free(w->new_x);
	X509_free(w->other_x);
	EVP_PKEY_free(w->root_key);
	EVP_PKEY_free(w->ca_key);
	EVP_PKEY_free(w->new_key);
	EVP_PKEY_free(w->other_key);
	free(w);
	clock_set(-1);
	return 0;
}

enum who { NOBODY, LEAF, STRANGER };
enum by { BY_NOBODY, BY_CA, BY_NEW_KEY, BY_OTHER, BY_FORGER };

struct list {
	enum by by;
	enum who listed;
	int from, until; /* days from now; until 0: no nextUpdate */
	int number, base;
	int reason;
	const char *idp; /* bytes, by idp_of */
	bool critical, critical_entry, names_issuer;
};

#define LIST(who, whom, since, to) .by = (who), .listed = (whom), .from = (since), .until = (to)

/* IssuingDistributionPoint by a word. */
static void
idp_of(const char *word, struct list_spec *spec)
{
	static const struct {
		const char *word, *bytes;
		size_t len;
	} table[] = {
		{"user", "\x30\x03\x81\x01\xff", 5},
		{"ca", "\x30\x03\x82\x01\xff", 5},
		{"attribute", "\x30\x03\x85\x01\xff", 5},
		{"user and ca", "\x30\x06\x81\x01\xff\x82\x01\xff", 8},
		{"indirect", "\x30\x03\x84\x01\xff", 5},
		{"keyCompromise", "\x30\x04\x83\x02\x06\x40", 6},
		{"all but keyCompromise", "\x30\x05\x83\x03\x07\x3f\x80", 7},
		{"broken", "\x30\x03\x84\x05\xff", 5},
		{"point 2", "\x30\x1c\xa0\x1a\xa0\x18\x86\x16http://x.example/2.crl", 30},
		{"point one", "\x30\x1c\xa0\x1a\xa0\x18\x86\x16http://x.example/1.crl", 30},
	};
	size_t i;

	for (i = 0; word && i < sizeof(table) / sizeof(*table); i++)
		if (strcmp(word, table[i].word) == 0) {
			spec->idp = (const unsigned char *)table[i].bytes;
			spec->idp_len = table[i].len;
			return;
		}
	assert_null(word);
}

struct entry_ctx {
	const struct list *list;
	const struct cert *cert;
	const X509_NAME *issuer;
};

static void
put_entry(void *ctx, size_t i, struct list_entry *entry)
{
	const struct entry_ctx *c = ctx;

	(void)i;
	entry->serial = (const unsigned char *)"\x01\x02\x03\x04\x05";
	entry->len = 5;
	if (c->list->listed == LEAF)
		entry->serial = cert_serial_bytes(c->cert, &entry->len);
	entry->reason = c->list->reason ? c->list->reason : LISTS_NONE;
	entry->critical = c->list->critical_entry;
	entry->issuer = c->list->names_issuer ? c->issuer : NULL;
}

static void
make_kept_list(struct world *w, const struct list *list, const struct cert *cert, const char *keeps,
	struct buf *der)
{
	struct entry_ctx ctx = {list, cert, X509_get_subject_name(w->ca_x)};
	struct list_spec spec = {
		.issuer = list->by == BY_OTHER ? w->other_x : w->ca_x,
		.key = list->by == BY_CA        ? w->ca_key
		       : list->by == BY_NEW_KEY ? w->new_key
		       : list->by == BY_OTHER   ? w->other_key
						: w->root_key,
		.from = PKI_NOW + list->from * DAY,
		.until = list->until ? PKI_NOW + list->until * DAY : 0,
		.number = list->number,
		.base = list->base,
		.critical = list->critical,
		.keeps = keeps,
		.n = list->listed != NOBODY,
		.entry = put_entry,
		.ctx = &ctx,
	};

	idp_of(list->idp, &spec);
	list_make(&spec, der);
}

static void
make_list(struct world *w, const struct list *list, const struct cert *cert, struct buf *der)
{
	make_kept_list(w, list, cert, NULL, der);
}

static void
root_list(struct world *w, struct trust *trust)
{
	struct list_spec spec = {.issuer = w->root_x,
		.key = w->root_key,
		.from = PKI_NOW - DAY,
		.until = PKI_NOW + DAY};
	struct buf der = BUF_INIT(0);

	list_make(&spec, &der);
	assert_int_equal(trust_add_crl(trust, der.data, der.len, NULL), RC_OK);
	buf_fini(&der);
}

static struct trust *
new_trust(struct world *w)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct trust *trust;

	assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	assert_int_equal(trust_add_intermediate(trust, w->ca, NULL), RC_OK);
	assert_int_equal(trust_add_intermediate(trust, w->new_ca, NULL), RC_OK);
	assert_int_equal(trust_add_intermediate(trust, w->other, NULL), RC_OK);
	root_list(w, trust);
	return trust;
}

static void
lists_of_every_kind(void **state)
{
	enum { PLAIN, POINTED, INDIRECT };
	static const struct {
		const char *name;
		int cert;
		struct list lists[3];
		enum verdict_revocation want;
		const char *word;
	} cases[] = {
		{"nothing", PLAIN, {{0}}, REVOCATION_UNKNOWN, "there is no CRL of its issuer"},
		{"clean", PLAIN, {{LIST(BY_CA, STRANGER, -1, 1)}}, REVOCATION_GOOD, ""},
		{"no next date", PLAIN, {{LIST(BY_CA, NOBODY, -1, 0)}}, REVOCATION_GOOD, ""},
		{"no next date, old", PLAIN, {{LIST(BY_CA, NOBODY, -8, 0)}}, REVOCATION_UNKNOWN,
			"too old, and names no next one"},
		{"no next date, old, listed", PLAIN, {{LIST(BY_CA, LEAF, -800, 0)}},
			REVOCATION_REVOKED, "revoked"},
		{"listed", PLAIN, {{LIST(BY_CA, LEAF, -1, 1), .reason = 1}}, REVOCATION_REVOKED,
			"(keyCompromise), by the list of CN=CA of 2026-09-20"},
		{"expired", PLAIN, {{LIST(BY_CA, STRANGER, -2, -1)}}, REVOCATION_UNKNOWN,
			"has expired"},
		{"forged", PLAIN, {{LIST(BY_FORGER, LEAF, -1, 1)}}, REVOCATION_UNKNOWN,
			"no key of"},
		{"of the future", PLAIN, {{LIST(BY_CA, NOBODY, 1, 2)}}, REVOCATION_UNKNOWN,
			"future"},
		{"another key", PLAIN, {{LIST(BY_NEW_KEY, NOBODY, -1, 1)}}, REVOCATION_GOOD, ""},
		{"listed by another key", PLAIN, {{LIST(BY_NEW_KEY, LEAF, -1, 1)}},
			REVOCATION_REVOKED, "revoked"},
		{"newer one clears", PLAIN,
			{{LIST(BY_CA, LEAF, -2, 1)}, {LIST(BY_CA, NOBODY, -1, 1)}}, REVOCATION_GOOD,
			""},
		{"newer one that is expired clears, and is no proof", PLAIN,
			{{LIST(BY_CA, LEAF, -5, 1)}, {LIST(BY_CA, NOBODY, -4, -1)}},
			REVOCATION_UNKNOWN, "has expired"},
		{"forged newer one clears nobody", PLAIN,
			{{LIST(BY_CA, LEAF, -2, 1)}, {LIST(BY_FORGER, NOBODY, -1, 1)}},
			REVOCATION_REVOKED, "revoked"},
		{"critical extension", PLAIN, {{LIST(BY_CA, NOBODY, -1, 1), .critical = true}},
			REVOCATION_UNKNOWN, "critical extension"},
		{"critical extension, listed", PLAIN,
			{{LIST(BY_CA, LEAF, -1, 1), .critical = true}}, REVOCATION_REVOKED,
			"revoked"},
		{"critical extension of another's entry", PLAIN,
			{{LIST(BY_CA, STRANGER, -1, 1), .critical_entry = true}},
			REVOCATION_UNKNOWN, "critical extension"},
		{"users only", PLAIN, {{LIST(BY_CA, NOBODY, -1, 1), .idp = "user"}},
			REVOCATION_GOOD, ""},
		{"CAs only", PLAIN, {{LIST(BY_CA, NOBODY, -1, 1), .idp = "ca"}}, REVOCATION_UNKNOWN,
			"no CRL of its issuer at hand is for it"},
		{"attribute certificates only", PLAIN,
			{{LIST(BY_CA, LEAF, -1, 1), .idp = "attribute"}}, REVOCATION_UNKNOWN,
			"no CRL of its issuer at hand is for it"},
		{"some reasons", PLAIN, {{LIST(BY_CA, NOBODY, -1, 1), .idp = "keyCompromise"}},
			REVOCATION_UNKNOWN, "only for some reasons"},
		{"all reasons in two", PLAIN,
			{{LIST(BY_CA, NOBODY, -1, 1), .idp = "keyCompromise"},
				{LIST(BY_CA, NOBODY, -2, 1), .idp = "all but keyCompromise"}},
			REVOCATION_GOOD, ""},
		{"the older of two for other reasons", PLAIN,
			{{LIST(BY_CA, NOBODY, -1, 1), .idp = "keyCompromise"},
				{LIST(BY_CA, LEAF, -2, 1), .idp = "all but keyCompromise"}},
			REVOCATION_REVOKED, "revoked"},
		{"its point", POINTED, {{LIST(BY_CA, NOBODY, -1, 1), .idp = "point one"}},
			REVOCATION_GOOD, ""},
		{"another point", POINTED, {{LIST(BY_CA, NOBODY, -1, 1), .idp = "point 2"}},
			REVOCATION_UNKNOWN, "no CRL of its issuer at hand is for it"},
		{"a point, but it has none", PLAIN,
			{{LIST(BY_CA, NOBODY, -1, 1), .idp = "point one"}}, REVOCATION_UNKNOWN,
			"no CRL of its issuer at hand is for it"},
		{"delta alone", PLAIN, {{LIST(BY_CA, LEAF, -1, 1), .number = 6, .base = 5}},
			REVOCATION_UNKNOWN, "not the list that it continues"},
		{"delta adds", PLAIN,
			{{LIST(BY_CA, NOBODY, -2, 1), .number = 5},
				{LIST(BY_CA, LEAF, -1, 1), .number = 6, .base = 5}},
			REVOCATION_REVOKED, "by the delta list"},
		{"delta removes", PLAIN,
			{{LIST(BY_CA, LEAF, -2, 1), .number = 5, .reason = 6},
				{LIST(BY_CA, LEAF, -1, 1), .number = 6, .base = 5, .reason = 8}},
			REVOCATION_GOOD, ""},
		{"delta makes fresh", PLAIN,
			{{LIST(BY_CA, NOBODY, -9, -2), .number = 5},
				{LIST(BY_CA, NOBODY, -1, 1), .number = 9, .base = 5}},
			REVOCATION_GOOD, ""},
		{"expired delta removes nothing", PLAIN,
			{{LIST(BY_CA, LEAF, -4, 1), .number = 5, .reason = 6},
				{LIST(BY_CA, LEAF, -3, -2), .number = 6, .base = 5, .reason = 8}},
			REVOCATION_REVOKED, "certificateHold"},
		{"delta to a later base", PLAIN,
			{{LIST(BY_CA, NOBODY, -2, 1), .number = 5},
				{LIST(BY_CA, LEAF, -1, 1), .number = 7, .base = 6}},
			REVOCATION_GOOD, ""},
		{"delta by another key", PLAIN,
			{{LIST(BY_CA, NOBODY, -2, 1), .number = 5},
				{LIST(BY_NEW_KEY, LEAF, -1, 1), .number = 6, .base = 5}},
			REVOCATION_GOOD, ""},
		{"delta of another scope", PLAIN,
			{{LIST(BY_CA, NOBODY, -2, 1), .number = 5},
				{LIST(BY_CA, LEAF, -1, 1), .number = 6, .base = 5, .idp = "user"}},
			REVOCATION_GOOD, ""},
		{"indirect", INDIRECT, {{LIST(BY_OTHER, NOBODY, -1, 1), .idp = "indirect"}},
			REVOCATION_GOOD, ""},
		{"indirect, listed", INDIRECT,
			{{LIST(BY_OTHER, LEAF, -1, 1), .idp = "indirect", .names_issuer = true}},
			REVOCATION_REVOKED, "by the list of CN=Lists"},
		{"indirect, listed for another issuer", INDIRECT,
			{{LIST(BY_OTHER, LEAF, -1, 1), .idp = "indirect"}}, REVOCATION_GOOD, ""},
		{"not meant to be indirect", INDIRECT, {{LIST(BY_OTHER, NOBODY, -1, 1)}},
			REVOCATION_UNKNOWN, "no CRL of its issuer at hand is for it"},
		{"indirect, but it did not ask for that", PLAIN,
			{{LIST(BY_OTHER, NOBODY, -1, 1), .idp = "indirect"}}, REVOCATION_UNKNOWN,
			"there is no CRL of its issuer"},
	};
	struct world *w = *state;
	size_t i, k;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cert *cert = cases[i].cert == POINTED    ? w->pointed
				    : cases[i].cert == INDIRECT ? w->indirect
								: w->leaf;
		struct trust *trust = new_trust(w);
		struct verdict v;

		for (k = 0; k < 3 && cases[i].lists[k].by; k++) {
			struct buf der = BUF_INIT(0);
			struct err err = ERR_INIT;

			make_list(w, &cases[i].lists[k], cert, &der);
			if (trust_add_crl(trust, der.data, der.len, &err) != RC_OK)
				fail_msg("%s: list %zu: %s", cases[i].name, k, err.detail);
			buf_fini(&der);
		}
		verdict_init(&v);
		assert_int_equal(trust_check(trust, cert, NULL, 0, NULL, -1, &v, NULL), RC_OK);
		CHECK_INT(cases[i].name, v.path, PATH_VALID);
		if (v.revocation != cases[i].want ||
			!strstr(verdict_text(&v, VERDICT_REVOCATION), cases[i].word))
			fail_msg("%s: got %s (%s), want %s (%s)", cases[i].name,
				verdict_revocation_name(v.revocation),
				verdict_text(&v, VERDICT_REVOCATION),
				verdict_revocation_name(cases[i].want), cases[i].word);
		verdict_fini(&v);
		trust_unref(&trust);
	}
}

/* One check of the leaf under an anchor with this rule. */
static struct verdict
check_by(struct world *w, const struct trust_options *options, const struct list *list, int64_t at)
{
	struct buf der = BUF_INIT(0);
	struct trust *trust;
	struct verdict v;

	assert_int_equal(trust_new(options, &trust, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
	assert_int_equal(trust_add_intermediate(trust, w->ca, NULL), RC_OK);
	root_list(w, trust);
	make_list(w, list, w->leaf, &der);
	assert_int_equal(trust_add_crl(trust, der.data, der.len, NULL), RC_OK);
	verdict_init(&v);
	assert_int_equal(trust_check(trust, w->leaf, NULL, 0, NULL, at, &v, NULL), RC_OK);
	CHECK_INT("path", v.path, PATH_VALID);
	trust_unref(&trust);
	buf_fini(&der);
	return v;
}

static void
rules_say_what_is_enough(void **state)
{
	static const struct {
		const char *name;
		enum revocation_mode mode;
		int grace, expired; /* days */
		bool enough;
		const enum revocation_mode own; /* of a rule; REVOKE_OFF: none */
	} cases[] = {
		{"soft", REVOKE_IF_KNOWN, 0, 2, true, REVOKE_OFF},
		{"hard", REVOKE_REQUIRED, 9, 2, false, REVOKE_OFF},
		{"within grace", REVOKE_GRACE, 3, 2, true, REVOKE_OFF},
		{"past grace", REVOKE_GRACE, 1, 2, false, REVOKE_OFF},
		{"in date", REVOKE_REQUIRED, 0, -1, true, REVOKE_OFF},
		{"a rule that is hard", REVOKE_IF_KNOWN, 0, 2, false, REVOKE_REQUIRED},
		{"a rule that is soft", REVOKE_REQUIRED, 0, 2, true, REVOKE_IF_KNOWN},
		{"a rule with grace", REVOKE_REQUIRED, 3, 2, true, REVOKE_GRACE},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust_options options = {.revocation = cases[i].mode,
			.revocation_grace = cases[i].grace * DAY,
			.min_rsa = 2048};
		struct list list = {LIST(BY_CA, STRANGER, -5, -cases[i].expired)};
		struct verdict v = check_by(w, &options, &list, -1);

		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation),
			cases[i].expired > 0 ? "unknown" : "good");
		CHECK_INT(
			cases[i].name, v.stale, cases[i].expired > 0 ? cases[i].expired * DAY : 0);
		CHECK_INT(cases[i].name,
			verdict_revocation_suffices(&v, cases[i].own ? &cases[i].own : NULL),
			cases[i].enough);
		verdict_fini(&v);
	}
}

/* Whoever an administrator denies gives no lists either. */
static void
denied_signers_do_not_count(void **state)
{
	static const struct {
		const char *name;
		enum who listed;
		bool deny;
		enum verdict_revocation want;
	} cases[] = {{"not denied", NOBODY, false, REVOCATION_GOOD},
		{"denied", NOBODY, true, REVOCATION_UNKNOWN},
		{"denied, and listed", LEAF, true, REVOCATION_UNKNOWN}};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct list list = {LIST(BY_NEW_KEY, cases[i].listed, -1, 1)};
		struct trust *trust = new_trust(w);
		struct buf der = BUF_INIT(0);
		struct verdict v;

		make_list(w, &list, w->leaf, &der);
		assert_int_equal(trust_add_crl(trust, der.data, der.len, NULL), RC_OK);
		if (cases[i].deny)
			assert_int_equal(
				trust_deny(trust, cert_sha256(w->new_ca), NULL, NULL), RC_OK);
		verdict_init(&v);
		assert_int_equal(trust_check(trust, w->leaf, NULL, 0, NULL, -1, &v, NULL), RC_OK);
		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation),
			verdict_revocation_name(cases[i].want));
		verdict_fini(&v);
		trust_unref(&trust);
		buf_fini(&der);
	}
}

/* A rule that is stricter than the anchor's "off": the verdict stays "unchecked", and is not enough
 * for that rule. */
static void
rules_are_stricter_than_off(void **state)
{
	static const struct {
		const char *name;
		struct list list;
		bool off, soft, hard, allowed; /* enough for these rules */
		const char *word;
	} cases[] = {
		{"good", {LIST(BY_CA, STRANGER, -1, 1)}, true, true, true, false, "good"},
		{"unknown", {LIST(BY_FORGER, NOBODY, -1, 1)}, true, true, false, false, "unknown"},
		{"revoked", {LIST(BY_CA, LEAF, -1, 1)}, true, false, false, false, "revoked"},
		{"allowed", {LIST(BY_CA, LEAF, -1, 1)}, true, true, true, true, "unchecked"},
	};
	static const enum revocation_mode off = REVOKE_OFF, soft = REVOKE_IF_KNOWN,
					  hard = REVOKE_REQUIRED;
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust_options options = {
			.revocation = REVOKE_OFF, .stricter_rules = true, .min_rsa = 2048};
		struct verdict v = check_by(w, &options, &cases[i].list, -1);

		if (cases[i].allowed) { /* as if without a path */
			verdict_fini(&v);
			v.path = PATH_VALID;
		}
		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation), "unchecked");
		assert_true(verdict_revocation_suffices(&v, NULL));
		CHECK_INT(cases[i].name, verdict_revocation_suffices(&v, &off), cases[i].off);
		CHECK_INT(cases[i].name, verdict_revocation_suffices(&v, &soft), cases[i].soft);
		CHECK_INT(cases[i].name, verdict_revocation_suffices(&v, &hard), cases[i].hard);
		verdict_be_strict(&v, &hard);
		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation), cases[i].word);
		if (strcmp(cases[i].word, "revoked") == 0)
			assert_non_null(
				strstr(verdict_text(&v, VERDICT_REVOCATION), "was revoked"));
		verdict_fini(&v);
	}
}

static void
dates_of_revocation(void **state)
{
	static const struct {
		const char *name;
		bool dated;
		int reason, at; /* days from now; revoked 3 days ago */
		enum verdict_revocation want;
	} cases[] = {
		{"strict", false, 4, -9, REVOCATION_REVOKED},
		{"before it was superseded", true, 4, -9, REVOCATION_GOOD},
		{"after", true, 4, -2, REVOCATION_REVOKED},
		{"compromised", true, 1, -9, REVOCATION_REVOKED},
		{"CA compromised", true, 2, -9, REVOCATION_REVOKED},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust_options options = {.revocation = REVOKE_REQUIRED,
			.revocation_dated = cases[i].dated,
			.min_rsa = 2048};
		struct list list = {LIST(BY_CA, LEAF, -3, 1), .reason = cases[i].reason};
		struct verdict v = check_by(w, &options, &list, PKI_NOW + cases[i].at * DAY);

		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation),
			verdict_revocation_name(cases[i].want));
		assert_non_null(strstr(verdict_text(&v, VERDICT_REVOCATION), "was revoked on"));
		verdict_fini(&v);
	}
}

/* A CA may drop from its lists what has expired: then not to be listed says nothing. */
static void
expired_certificates_may_be_dropped(void **state)
{
	static const struct {
		const char *name;
		struct list lists[2];
		const char *keeps; /* of the second */
		enum verdict_revocation want;
		const char *word;
	} cases[] = {
		{"before it expired", {{LIST(BY_CA, NOBODY, -3, 1)}}, NULL, REVOCATION_GOOD, ""},
		{"after", {{LIST(BY_CA, NOBODY, -1, 1)}}, NULL, REVOCATION_UNKNOWN,
			"expired before"},
		{"after, and kept", {{.by = BY_NOBODY}, {LIST(BY_CA, NOBODY, -1, 1)}},
			"20200101000000Z", REVOCATION_GOOD, ""},
		{"after, kept since then only", {{.by = BY_NOBODY}, {LIST(BY_CA, NOBODY, -1, 1)}},
			"20991231000000Z", REVOCATION_UNKNOWN, "expired before"},
		{"still listed", {{LIST(BY_CA, LEAF, -1, 1)}}, NULL, REVOCATION_REVOKED, ""},
		{"an older list knows", {{LIST(BY_CA, LEAF, -3, 1)}, {LIST(BY_CA, NOBODY, -1, 1)}},
			NULL, REVOCATION_REVOKED, ""},
		{"dropped by a delta",
			{{LIST(BY_CA, LEAF, -3, 1), .number = 1},
				{LIST(BY_CA, LEAF, -1, 1), .number = 2, .base = 1, .reason = 8}},
			NULL, REVOCATION_REVOKED, ""},
	};
	struct world *w = *state;
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct cert *leaf = pki_cert(&(struct pki_spec){.name = "Gone",
		.key = w->other_key,
		.from = PKI_NOW - 9 * DAY,
		.until = PKI_NOW - 2 * DAY,
		.issuer = w->ca_x,
		.issuer_key = w->ca_key});
	size_t i, k;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf der = BUF_INIT(0);
		struct trust *trust;
		struct verdict v;

		assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
		assert_int_equal(trust_add_anchor(trust, w->root, NULL, 0, NULL), RC_OK);
		assert_int_equal(trust_add_intermediate(trust, w->ca, NULL), RC_OK);
		root_list(w, trust);
		for (k = 0; k < 2; k++) {
			if (cases[i].lists[k].by == BY_NOBODY)
				continue;
			buf_clear(&der);
			make_kept_list(
				w, &cases[i].lists[k], leaf, k ? cases[i].keeps : NULL, &der);
			assert_int_equal(trust_add_crl(trust, der.data, der.len, NULL), RC_OK);
		}
		verdict_init(&v);
		assert_int_equal(
			trust_check(trust, leaf, NULL, 0, NULL, PKI_NOW - 3 * DAY, &v, NULL),
			RC_OK);
		CHECK_INT(cases[i].name, v.path, PATH_VALID);
		if (v.revocation != cases[i].want ||
			!strstr(verdict_text(&v, VERDICT_REVOCATION), cases[i].word))
			fail_msg("%s: got %s (%s)", cases[i].name,
				verdict_revocation_name(v.revocation),
				verdict_text(&v, VERDICT_REVOCATION));
		verdict_fini(&v);
		trust_unref(&trust);
		buf_fini(&der);
	}
	cert_unref(&leaf);
}

/* --- a list in a message --- */

/* A message signed by the leaf, with LIST inside. */
static void
sign_with_list(struct world *w, const struct buf *list, struct buf *der)
{
	const unsigned char *p = (const unsigned char *)list->data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)list->len);
	BIO *in = BIO_new_mem_buf("text", 4);
	size_t len;
	const unsigned char *leaf = cert_der(w->leaf, &len);
	X509 *signer = d2i_X509(NULL, &leaf, (long)len);
	CMS_ContentInfo *cms;
	unsigned char *bytes = NULL;
	int n;

	cms = CMS_sign(signer, w->other_key, NULL, in, CMS_BINARY | CMS_DETACHED | CMS_PARTIAL);
	assert_non_null(cms);
	assert_true(CMS_add1_crl(cms, crl));
	assert_true(CMS_add1_cert(cms, w->ca_x));
	assert_true(CMS_final(cms, in, NULL, CMS_BINARY | CMS_DETACHED));
	n = i2d_CMS_ContentInfo(cms, &bytes);
	assert_true(n > 0);
	assert_int_equal(buf_append(der, bytes, (size_t)n, NULL), RC_OK);
	OPENSSL_free(bytes);
	CMS_ContentInfo_free(cms);
	X509_CRL_free(crl);
	X509_free(signer);
	BIO_free(in);
}

static void
a_list_in_a_message_is_nothing(void **state)
{
	static const struct {
		const char *name;
		struct list ours, inside;
		enum verdict_revocation want;
	} cases[] = {
		{"a clean one inside clears nobody", {0}, {LIST(BY_CA, STRANGER, -1, 1)},
			REVOCATION_UNKNOWN},
		{"one inside revokes nobody", {LIST(BY_CA, STRANGER, -1, 1)},
			{LIST(BY_CA, LEAF, 0, 1)}, REVOCATION_GOOD},
		{"ours counts, the newer one inside does not", {LIST(BY_CA, LEAF, -2, 1)},
			{LIST(BY_CA, STRANGER, 0, 1)}, REVOCATION_REVOKED},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust *trust = new_trust(w);
		struct buf list = BUF_INIT(0), cms = BUF_INIT(0);
		struct hasher *hasher;
		struct cms_signed *sd;
		struct verdict v;
		struct sink sink;

		if (cases[i].ours.by) {
			make_list(w, &cases[i].ours, w->leaf, &list);
			assert_int_equal(trust_add_crl(trust, list.data, list.len, NULL), RC_OK);
			buf_clear(&list);
		}
		make_list(w, &cases[i].inside, w->leaf, &list);
		sign_with_list(w, &list, &cms);
		assert_int_equal(cms_signed_parse(cms.data, cms.len, &sd, NULL), RC_OK);
		assert_int_equal(hasher_new(cms_signed_digests(sd), &hasher, NULL), RC_OK);
		sink = hasher_sink(hasher);
		assert_int_equal(sink_feed(&sink, "text", 4, NULL), RC_OK);
		assert_int_equal(sink_finish(&sink, NULL), RC_OK);
		assert_int_equal(
			cms_signed_verify(sd, hasher, trust, NULL, NULL, -1, &v, NULL), RC_OK);
		CHECK_STR(cases[i].name, verdict_signature_name(v.signature), "good");
		CHECK_STR(cases[i].name, verdict_revocation_name(v.revocation),
			verdict_revocation_name(cases[i].want));
		verdict_fini(&v);
		hasher_free(&hasher);
		cms_signed_free(&sd);
		buf_fini(&cms);
		buf_fini(&list);
		trust_unref(&trust);
	}
}

/* --- size --- */

static void
number_entry(void *ctx, size_t i, struct list_entry *entry)
{
	static unsigned char serial[20];
	size_t k;

	(void)ctx;
	memset(serial, 0x41, sizeof(serial));
	for (k = 0; k < 4; k++)
		serial[8 + k] = (unsigned char)(i >> 8 * k);
	entry->serial = serial;
	entry->len = sizeof(serial);
	entry->reason = (int)(i % 6);
}

static void
every_entry_is_found(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 100, 20000};
	struct world *w = *state;
	size_t s, i;

	for (s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct list_spec spec = {.issuer = w->ca_x,
			.key = w->ca_key,
			.from = PKI_NOW,
			.n = sizes[s],
			.entry = number_entry};
		const X509_NAME *issuer = X509_get_subject_name(w->ca_x);
		struct buf der = BUF_INIT(64u << 20);
		struct serialset_entry found;
		struct list_entry entry = {0};
		struct crl *crl, *again;
		struct err err = ERR_INIT;

		list_make(&spec, &der);
		if (crl_parse(der.data, der.len, &crl, &err) != RC_OK)
			fail_msg("%zu entries: %s", sizes[s], err.detail);
		assert_int_equal(crl_parse(der.data, der.len, &again, &err), RC_OK);
		assert_ptr_equal(crl, again); /* parsed once */
		crl_unref(&again);
		CHECK_INT("entries", serialset_count(crl->entries), sizes[s]);
		for (i = 0; i < sizes[s]; i++) {
			number_entry(NULL, i, &entry);
			assert_true(crl_find(crl, issuer, entry.serial, entry.len, &found));
			CHECK_INT("reason", found.reason, i % 6);
			CHECK_INT("date", found.revoked, PKI_NOW);
			assert_false(crl_find(crl, X509_get_subject_name(w->root_x), entry.serial,
				entry.len, &found));
		}
		for (i = sizes[s]; i < sizes[s] + 1000; i++) {
			number_entry(NULL, i, &entry);
			assert_false(crl_find(crl, issuer, entry.serial, entry.len, &found));
		}
		if (sizes[s] == 20000 && crl_bytes(crl) > 20000 * 40)
			fail_msg("20,000 entries take %zu bytes", crl_bytes(crl));
		assert_true(crl_is_signed_by(crl, w->ca_x));
		assert_true(crl_is_signed_by(crl, w->ca_x));
		assert_false(crl_is_signed_by(crl, w->root_x));
		crl_unref(&crl);
		buf_fini(&der);
	}
}

/* --- indirect lists for many, and signatures of other kinds --- */

static void
issuer_entry(void *ctx, size_t i, struct list_entry *entry)
{
	X509_NAME **name = ctx;
	char text[32];

	number_entry(NULL, i, entry);
	X509_NAME_free(*name);
	*name = X509_NAME_new();
	snprintf(text, sizeof(text), "Issuer %zu", i % 20000);
	assert_true(X509_NAME_add_entry_by_txt(
		*name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0));
	entry->issuer = *name;
}

static void
many_issuers(void **state)
{
	struct world *w = *state;
	X509_NAME *name = NULL;
	struct list_spec spec = {.issuer = w->ca_x,
		.key = w->ca_key,
		.from = PKI_NOW,
		.n = 1000,
		.entry = issuer_entry,
		.ctx = &name};
	struct buf der = BUF_INIT(64u << 20);
	struct serialset_entry found;
	struct list_entry entry = {0};
	struct err err = ERR_INIT;
	struct crl *crl;
	size_t i;

	idp_of("indirect", &spec);
	list_make(&spec, &der);
	assert_int_equal(crl_parse(der.data, der.len, &crl, NULL), RC_OK);
	for (i = 0; i < spec.n; i++) {
		issuer_entry(&name, i, &entry);
		assert_true(crl_find(crl, name, entry.serial, entry.len, &found));
		number_entry(NULL, (i + 1) % spec.n, &entry);
		assert_false(crl_find(crl, name, entry.serial, entry.len, &found));
	}
	crl_unref(&crl);
	buf_clear(&der);
	spec.n = CRL_MAX_ISSUERS + 1;
	list_make(&spec, &der);
	CHECK_INT("too many", crl_parse(der.data, der.len, &crl, &err), RC_PERM);
	assert_non_null(strstr(err.detail, "certificate issuers"));
	X509_NAME_free(name);
	buf_fini(&der);
}

/* CN=xxxxxxxx, one letter for each hexadecimal digit. */
#define NAME_DER "\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08xxxxxxxx"
#define MEETING  400

struct meeting {
	unsigned char der[MEETING][sizeof(NAME_DER) - 1];
	X509_NAME *name;
};

/* Names that meet in one slot by a hash without a key (FNV-1a). */
static void
find_meeting(struct meeting *m)
{
	size_t n = 0;
	uint32_t i, hash, k;

	for (i = 0; n < MEETING; i++) {
		unsigned char *der = m->der[n];

		memcpy(der, NAME_DER, sizeof(NAME_DER) - 1);
		for (k = 0; k < 8; k++)
			der[13 + k] = (unsigned char)('a' + (i >> 4 * k & 15));
		hash = 2166136261u;
		for (k = 0; k < sizeof(NAME_DER) - 1; k++)
			hash = (hash ^ der[k]) * 16777619u;
		n += hash % (2 * CRL_MAX_ISSUERS) == 7;
	}
}

static void
meeting_entry(void *ctx, size_t i, struct list_entry *entry)
{
	struct meeting *m = ctx;
	const unsigned char *p = m->der[i % MEETING];

	number_entry(NULL, i, entry);
	X509_NAME_free(m->name);
	m->name = d2i_X509_NAME(NULL, &p, sizeof(NAME_DER) - 1);
	assert_non_null(m->name);
	entry->issuer = m->name;
}

/* The work is counted, not timed. */
static void
issuers_chosen_to_meet(void **state)
{
	struct world *w = *state;
	struct meeting *m = calloc(1, sizeof(*m));
	struct list_spec spec = {.issuer = w->ca_x,
		.key = w->ca_key,
		.from = PKI_NOW,
		.n = 4 * MEETING,
		.entry = meeting_entry,
		.ctx = m};
	struct buf der = BUF_INIT(1u << 20);
	struct crl *crl;

	find_meeting(m);
	idp_of("indirect", &spec);
	list_make(&spec, &der);
	assert_int_equal(crl_parse(der.data, der.len, &crl, NULL), RC_OK);
	CHECK_INT("names", crl->n_names, MEETING);
	if (crl->probes > spec.n)
		fail_msg("%zu names were passed over for %zu entries", crl->probes, spec.n);
	crl_unref(&crl);
	X509_NAME_free(m->name);
	free(m);
	buf_fini(&der);
}

static void
signatures_of_every_kind(void **state)
{
	static const struct {
		const char *type;
		bool pss;
		const char *digest;
	} kinds[] = {{"ED25519", false, NULL}, {"RSA", false, "SHA512"}, {"RSA", true, "SHA256"}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		EVP_PKEY *key = strcmp(kinds[i].type, "RSA") == 0
					? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
					: EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type);
		X509 *ca = pki_x509(&(struct pki_spec){.name = "Signer",
			.key = pki_p256(),
			.exts = {{NID_basic_constraints, "critical,CA:TRUE"}}});
		X509_CRL *list = X509_CRL_new();
		ASN1_TIME *at = ASN1_TIME_adj(NULL, PKI_NOW, 0, 0);
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		EVP_PKEY_CTX *pctx;
		unsigned char *der = NULL;
		struct crl *crl;
		EVP_PKEY *old = X509_get_pubkey(ca);
		int len;

		assert_true(X509_set_pubkey(ca, key));
		assert_true(X509_CRL_set_version(list, X509_CRL_VERSION_2));
		assert_true(X509_CRL_set_issuer_name(list, X509_get_subject_name(ca)));
		assert_true(X509_CRL_set1_lastUpdate(list, at));
		assert_true(EVP_DigestSignInit_ex(
				    ctx, &pctx, kinds[i].digest, NULL, NULL, key, NULL) == 1);
		if (kinds[i].pss)
			assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1);
		assert_true(X509_CRL_sign_ctx(list, ctx) > 0);
		len = i2d_X509_CRL(list, &der);
		assert_int_equal(crl_parse(der, (size_t)len, &crl, NULL), RC_OK);
		if (!crl_is_signed_by(crl, ca))
			fail_msg("%s %d: not verified", kinds[i].type, kinds[i].pss);
		crl_unref(&crl);
		der[len - 5] ^= 1;
		if (crl_parse(der, (size_t)len, &crl, NULL) == RC_OK) {
			assert_false(crl_is_signed_by(crl, ca));
			crl_unref(&crl);
		}
		OPENSSL_free(der);
		EVP_PKEY_free(old);
		EVP_PKEY_free(old); /* pki_p256's own reference */
		EVP_PKEY_free(key);
		EVP_MD_CTX_free(ctx);
		ASN1_TIME_free(at);
		X509_CRL_free(list);
		X509_free(ca);
	}
}

/* What the organisation's own CA gives out. */
static void
our_own_large_list(void **state)
{
	enum { N = 20000 };
	struct issue_request request = {
		.common_name = "Own CA", .not_before = PKI_NOW - DAY, .not_after = PKI_NOW + DAY};
	struct revoked *revoked = calloc(N, sizeof(*revoked));
	unsigned char(*serials)[16] = calloc(N, sizeof(*serials));
	struct serialset_entry found;
	struct buf der = BUF_INIT(64u << 20);
	struct cert *ca;
	struct pkey *key;
	struct crl *crl;
	size_t i;

	(void)state;
	assert_int_equal(pkey_generate("p256", &key, NULL), RC_OK);
	assert_int_equal(issue_root(key, &request, &ca, NULL), RC_OK);
	for (i = 0; i < N; i++) {
		memset(serials[i], 0x80 | (int)(i & 0x7f), sizeof(serials[i]));
		memcpy(serials[i] + 1, &i, sizeof(i));
		revoked[i] = (struct revoked){serials[i], sizeof(serials[i]), PKI_NOW - 60, 4};
	}
	assert_int_equal(
		issue_crl(key, ca, revoked, N, 7, PKI_NOW, PKI_NOW + DAY, &der, NULL), RC_OK);
	assert_int_equal(crl_parse(der.data, der.len, &crl, NULL), RC_OK);
	CHECK_INT("entries", serialset_count(crl->entries), N);
	assert_true(crl_is_signed_by(crl, cert_x509(ca)));
	for (i = 0; i < N; i++) {
		unsigned char serial[17] = {0}; /* as in a certificate: positive */

		memcpy(serial + 1, serials[i], 16);
		assert_true(crl_find(crl, crl->issuer, serial, sizeof(serial), &found) ||
			    crl_find(crl, crl->issuer, serials[i], 16, &found));
	}
	crl_unref(&crl);
	cert_unref(&ca);
	pkey_unref(&key);
	free(revoked);
	free(serials);
	buf_fini(&der);
}

/* --- what is refused --- */

static void
long_entry(void *ctx, size_t i, struct list_entry *entry)
{
	(void)i;
	entry->serial = ctx;
	entry->len = 65536;
}

static void
refuse(const char *name, const struct buf *der, const char *word)
{
	char *copy = exact(der->data, der->len);
	struct err err = ERR_INIT;
	struct crl *crl;

	CHECK_INT(name, crl_parse(copy, der->len, &crl, &err), RC_PERM);
	assert_null(crl);
	if (!strstr(err.detail, word))
		fail_msg("%s: got \"%s\", want \"%s\"", name, err.detail, word);
	free(copy);
}

static void
odd_lists_are_refused(void **state)
{
	struct world *w = *state;
	struct list_spec spec = {.issuer = w->ca_x, .key = w->ca_key, .from = PKI_NOW, .n = 3};
	struct buf der = BUF_INIT(0);
	char *serial = calloc(1, 65536);

	memset(serial, 0x11, 65536);
	spec.entry = long_entry;
	spec.ctx = serial;
	list_make(&spec, &der);
	refuse("a serial number of 64 KB", &der, "a serial number of 65536 bytes");
	buf_clear(&der);
	spec.entry = number_entry;
	idp_of("user and ca", &spec);
	list_make(&spec, &der);
	refuse("two scopes", &der, "a scope of two kinds");
	buf_clear(&der);
	idp_of("broken", &spec); /* its lengths do not fit */
	list_make(&spec, &der);
	refuse("malformed distribution point", &der, "distribution point");
	buf_clear(&der);
	spec.idp = NULL;
	list_make(&spec, &der);
	assert_int_equal(buf_append(&der, "", 1, NULL), RC_OK);
	refuse("a byte after the end", &der, "bytes after the end");
	der.len -= 2;
	refuse("a byte too few", &der, "cut off");
	buf_fini(&der);
	free(serial);
}

/* Flips bits and cuts: whatever comes of it, nothing breaks, and what is still taken for a list is
 * not taken for one by its CA unless only what is unsigned changed. */
static void
mutations(void **state)
{
	struct world *w = *state;
	struct list list = {
		LIST(BY_CA, STRANGER, -1, 1), .number = 3, .idp = "point one", .reason = 4};
	struct buf der = BUF_INIT(0);
	struct crl *crl;
	size_t i, taken = 0;

	make_list(w, &list, w->leaf, &der);
	for (i = 0; i < 8 * der.len; i++) {
		char *copy = exact(der.data, der.len);

		copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
		if (crl_parse(copy, der.len, &crl, NULL) == RC_OK) {
			taken++;
			assert_false(crl_is_signed_by(crl, w->ca_x));
			crl_unref(&crl);
		}
		free(copy);
	}
	assert_true(taken > 0);
	for (i = 0; i < der.len; i++) {
		char *copy = exact(der.data, i);

		CHECK_INT("cut", crl_parse(copy, i, &crl, NULL), RC_PERM);
		free(copy);
	}
	buf_fini(&der);
}

#define HOLDERS 4
#define TURNS   4000

/* Holds a list for a moment, again and again. */
static void *
hold(void *ctx)
{
	const struct buf *der = ctx;
	size_t good = 0;

	for (int i = 0; i < TURNS; i++) {
		struct crl *crl;

		if (crl_parse(der->data, der->len, &crl, NULL) != RC_OK)
			break;
		good += crl->next_update == PKI_NOW + DAY;
		crl_unref(&crl);
	}
	return good == TURNS ? ctx : NULL;
}

/* One thread finds a list of the process while another gives the last reference back. */
static void
last_holders_and_finders(void **state)
{
	struct world *w = *state;
	struct list list = {LIST(BY_CA, NOBODY, -1, 1), .number = 3};
	struct buf der = BUF_INIT(0);
	pthread_t threads[HOLDERS];
	void *result;

	make_list(w, &list, w->leaf, &der);
	for (int i = 0; i < HOLDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold, &der), 0);
	for (int i = 0; i < HOLDERS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, &der);
	}
	buf_fini(&der);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_every_kind),
		cmocka_unit_test(rules_say_what_is_enough),
		cmocka_unit_test(denied_signers_do_not_count),
		cmocka_unit_test(rules_are_stricter_than_off),
		cmocka_unit_test(dates_of_revocation),
		cmocka_unit_test(a_list_in_a_message_is_nothing),
		cmocka_unit_test(every_entry_is_found),
		cmocka_unit_test(expired_certificates_may_be_dropped),
		cmocka_unit_test(many_issuers),
		cmocka_unit_test(issuers_chosen_to_meet),
		cmocka_unit_test(signatures_of_every_kind),
		cmocka_unit_test(our_own_large_list),
		cmocka_unit_test(odd_lists_are_refused),
		cmocka_unit_test(mutations),
		cmocka_unit_test(last_holders_and_finders),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
