/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_test.c - which way is taken when there are several, and that no heap of certificates makes
 * the search long: the work is counted, not timed
 */
#include "base/clock.h"
#include "crypto/mail_constraints.h"
#include "crypto/path_build.h"
#include "crypto/trust.h"
#include "message/addr.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/param_build.h>

#include <limits.h>

#define CA_EXT                                            \
	{                                                 \
		NID_basic_constraints, "critical,CA:TRUE" \
	}

/* A root, and keys for whoever needs one. */
struct world {
	EVP_PKEY *root_key, *key, *other_key;
	X509 *root;
	struct trust *trust;
	struct certset extra;
	struct verdict v;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	clock_set(PKI_NOW);
	w->root_key = pki_p256();
	w->key = pki_p256();
	w->other_key = pki_p256();
	w->root =
		pki_x509(&(struct pki_spec){.name = "Root", .key = w->root_key, .exts = {CA_EXT}});
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	X509_free(w->root);
	EVP_PKEY_free(w->root_key);
	EVP_PKEY_free(w->key);
	EVP_PKEY_free(w->other_key);
	free(w);
	clock_set(-1);
	return 0;
}

static void
anchor(struct world *w, X509 *x509, const struct trust_options *rules)
{
	struct cert *cert;
	struct err err = ERR_INIT;

	cert = pki_copy(x509);
	if (trust_add_anchor_with(w->trust, cert, NULL, 0, rules, &err) != RC_OK)
		fail_msg("anchor: %s", err.detail);
	cert_unref(&cert);
}

/* A fresh trust with the root as its only anchor. */
static void
begin(struct world *w, const struct trust_options *more)
{
	struct trust_options options = more ? *more : (struct trust_options){0};

	if (!options.min_rsa)
		options.min_rsa = 2048;
	assert_int_equal(trust_new(&options, &w->trust, NULL), RC_OK);
	verdict_init(&w->v);
}

static void
end(struct world *w)
{
	verdict_fini(&w->v);
	certset_fini(&w->extra);
	trust_unref(&w->trust);
}

/* X509 becomes a candidate and is given back. */
static X509 *
also(struct world *w, X509 *x509)
{
	struct cert *cert;

	cert = pki_copy(x509);
	assert_int_equal(certset_add(&w->extra, cert, NULL), RC_OK);
	cert_unref(&cert);
	return x509;
}

/* What the X509 given up here gets for ADDR. */
static const struct verdict *
judge(struct world *w, X509 *leaf, const char *addr)
{
	struct cert *cert = pki_take(leaf);
	struct err err = ERR_INIT;

	verdict_fini(&w->v);
	if (trust_check(w->trust, cert, &w->extra, 0, addr, -1, &w->v, &err) != RC_OK)
		fail_msg("trust_check: %s", err.detail);
	cert_unref(&cert);
	return &w->v;
}

static void
expect(const char *name, const struct verdict *v, enum verdict_path path, const char *word)
{
	const char *text = verdict_text(v, VERDICT_PATH);

	if (v->path != path)
		fail_msg("%s: got path %s, want %s (%s)", name, verdict_path_name(v->path),
			verdict_path_name(path), text);
	if (word ? !strstr(text, word) : *text)
		fail_msg("%s: got \"%s\", want \"%s\"", name, text, word ? word : "");
}

static X509 *
ca_of(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	return pki_x509(&(struct pki_spec){.name = name,
		.key = key,
		.issuer = issuer,
		.issuer_key = issuer_key,
		.exts = {CA_EXT, {NID_subject_key_identifier, "hash"}}});
}

static X509 *
leaf_of(struct world *w, X509 *issuer, EVP_PKEY *issuer_key)
{
	return pki_x509(&(struct pki_spec){.name = "Leaf",
		.key = w->other_key,
		.issuer = issuer,
		.issuer_key = issuer_key,
		.exts = {{NID_subject_alt_name, "email:alice@example.org"}}});
}

/* A name only, for an issuer whose certificate is somewhere else. */
static X509 *
named(struct world *w, const char *name)
{
	return pki_x509(&(struct pki_spec){.name = name, .key = w->key});
}

static void
cross_certificates_are_followed(void **state)
{
	struct world *w = *state;
	X509 *old_root = ca_of("Old Root", w->other_key, NULL, NULL);
	/* CA, certified by a root that nobody trusts and by ours; the wrong one is newer. */
	X509 *wrong = pki_x509(&(struct pki_spec){.name = "CA",
		.key = w->key,
		.issuer = old_root,
		.issuer_key = w->other_key,
		.from = PKI_NOW - 1000,
		.exts = {CA_EXT}});
	X509 *right = ca_of("CA", w->key, w->root, w->root_key);

	begin(w, NULL);
	anchor(w, w->root, NULL);
	X509_free(also(w, wrong));
	X509_free(also(w, old_root));
	expect("the other only", judge(w, leaf_of(w, right, w->key), NULL), PATH_INVALID,
		"it ends at CN=Old Root, which is not trusted");
	also(w, right);
	expect("both", judge(w, leaf_of(w, right, w->key), NULL), PATH_VALID, NULL);
	X509_free(right);
	end(w);
}

/* A CA's new key, certified by its old one and the other way round. */
static void
rollover_is_followed(void **state)
{
	struct world *w = *state;
	EVP_PKEY *new_key = pki_p256();
	X509 *old_root = ca_of("Root", w->root_key, NULL, NULL);
	X509 *new_root = ca_of("Root", new_key, NULL, NULL);
	/* Without key identifiers OpenSSL takes them for self-signed. */
	X509 *new_with_old = pki_x509(&(struct pki_spec){.name = "Root",
		.key = new_key,
		.issuer = old_root,
		.issuer_key = w->root_key,
		.exts = {CA_EXT, {NID_subject_key_identifier, "hash"},
			{NID_authority_key_identifier, "keyid:always"}}});
	X509 *old_with_new = pki_x509(&(struct pki_spec){.name = "Root",
		.key = w->root_key,
		.issuer = new_root,
		.issuer_key = new_key,
		.exts = {CA_EXT, {NID_subject_key_identifier, "hash"},
			{NID_authority_key_identifier, "keyid:always"}}});

	begin(w, NULL);
	anchor(w, old_root, NULL);
	expect("nobody knows the new key", judge(w, leaf_of(w, new_root, new_key), NULL),
		PATH_INVALID, "");
	also(w, new_with_old);
	expect("new with old", judge(w, leaf_of(w, new_root, new_key), NULL), PATH_VALID, NULL);
	end(w);
	begin(w, NULL);
	anchor(w, new_root, NULL);
	also(w, old_with_new);
	also(w, new_with_old); /* a circle beside it */
	expect("old with new", judge(w, leaf_of(w, old_root, w->root_key), NULL), PATH_VALID, NULL);
	end(w);
	X509_free(old_root);
	X509_free(new_with_old);
	X509_free(new_root);
	X509_free(old_with_new);
	EVP_PKEY_free(new_key);
}

/* The reason is the nearest way's, not the first one's. */
static void
the_best_reason_is_told(void **state)
{
	struct world *w = *state;
	X509 *stranger = ca_of("Stranger", w->other_key, NULL, NULL);
	X509 *wrong = pki_x509(&(struct pki_spec){.name = "CA",
		.key = w->key,
		.issuer = stranger,
		.issuer_key = w->other_key,
		.exts = {CA_EXT}});
	X509 *late = pki_x509(&(struct pki_spec){.name = "CA",
		.key = w->key,
		.issuer = w->root,
		.issuer_key = w->root_key,
		.until = PKI_NOW - 86400,
		.exts = {CA_EXT}});
	const struct verdict *v;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	X509_free(also(w, wrong));
	also(w, late);
	v = judge(w, leaf_of(w, late, w->key), NULL);
	expect("expired", v, PATH_INVALID, "the certificate of CN=CA expired on 2026-");
	assert_non_null(v->found[VERDICT_PATH].cert);
	CHECK_STR("about", cert_subject(v->found[VERDICT_PATH].cert), "CN=CA");
	X509_free(stranger);
	X509_free(late);
	end(w);
}

static void
missing_issuers_have_an_address(void **state)
{
	struct world *w = *state;
	X509 *gone = ca_of("Gone", w->key, w->root, w->root_key);
	const struct verdict *v;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	v = judge(w,
		pki_x509(&(struct pki_spec){.name = "Leaf",
			.key = w->other_key,
			.issuer = gone,
			.issuer_key = w->key,
			.exts = {{NID_info_access,
				"caIssuers;URI:http://ca.example.org/ca.cer,"
				"OCSP;URI:http://ocsp.example.org/,"
				"caIssuers;URI:file:///etc/passwd,"
				"caIssuers;URI:ldap://ldap.example.org/cn=ca?cACertificate"}}}),
		NULL);
	expect("missing", v, PATH_INVALID, "the issuer of CN=Leaf (CN=Gone) is not known");
	CHECK_INT("addresses", v->n_missing, 2);
	CHECK_STR("http", v->missing[0], "http://ca.example.org/ca.cer");
	CHECK_STR("ldap", v->missing[1], "ldap://ldap.example.org/cn=ca?cACertificate");
	also(w, gone);
	v = judge(w, leaf_of(w, gone, w->key), NULL);
	expect("there", v, PATH_VALID, NULL);
	CHECK_INT("none then", v->n_missing, 0);
	X509_free(gone);
	end(w);
}

/* A thousand CAs of one name: found when it is near, given up when it is not. */
static void
many_of_one_name(void **state)
{
	struct world *w = *state;
	X509 *name = named(w, "CA");
	const struct verdict *v;
	int i;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	for (i = 0; i < 999; i++) {
		EVP_PKEY *key = pki_p256();

		X509_free(also(w, ca_of("CA", key, w->root, w->root_key)));
		EVP_PKEY_free(key);
	}
	v = judge(w, leaf_of(w, name, w->key), NULL);
	expect("too many", v, PATH_UNKNOWN,
		"too many certificates might have issued that of CN=Leaf");
	assert_non_null(strstr(v->reason, "given up after 100 signatures"));
	verdict_conclude(&w->v, false);
	/* The key identifier tells at once which one it is. */
	certset_fini(&w->extra);
	X509_free(name);
	end(w);
}

/* What one signer's certificate gets when the message may still cost so much. */
static void
judge_signer(struct world *w, X509 *leaf, struct effort *effort)
{
	const struct trust_signing times = {-1, -1, -1, effort};
	struct cert *cert = pki_take(leaf);
	struct err err = ERR_INIT;
	bool old;

	verdict_fini(&w->v);
	if (trust_check_signer(w->trust, cert, &w->extra, NULL, &times, &w->v, &old, &err) != RC_OK)
		fail_msg("trust_check_signer: %s", err.detail);
	cert_unref(&cert);
}

/* However many signers a message has, and whatever each of them brings. */
static void
one_message_has_a_limit(void **state)
{
	struct world *w = *state;
	X509 *name = named(w, "CA"), *good = leaf_of(w, w->root, w->root_key);
	struct effort effort = {0};
	unsigned told = 0;
	int i;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	for (i = 0; i < 150; i++) {
		EVP_PKEY *key = pki_p256();

		X509_free(also(w, ca_of("CA", key, w->root, w->root_key)));
		EVP_PKEY_free(key);
	}
	for (i = 0; i < 16; i++) {
		judge_signer(w, leaf_of(w, name, w->key), &effort);
		CHECK_INT("path", w->v.path, PATH_UNKNOWN);
		told += strstr(w->v.reason, "too much to check") != NULL;
	}
	assert_true(effort.spent);
	assert_true(effort.signatures <= EFFORT_SIGNATURES && effort.signatures > 100);
	assert_true(told >= 10 && told < 16);
	/* What was not checked for that is not what is known of the certificate. */
	assert_true(X509_up_ref(good));
	judge_signer(w, good, &effort);
	expect("a good one", &w->v, PATH_UNKNOWN, "too much to check");
	assert_true(X509_up_ref(good));
	judge_signer(w, good, &(struct effort){0});
	expect("in the next message", &w->v, PATH_VALID, NULL);
	/* And what is known costs nothing. */
	judge_signer(w, good, &effort);
	expect("known", &w->v, PATH_VALID, NULL);
	X509_free(name);
	end(w);
}

/* Keys that take longer count for more. */
static void
large_keys_cost_more(void **state)
{
	EVP_PKEY *large = NULL, *usual = pki_p256();
	BIGNUM *n = BN_new(), *e = BN_new();
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	struct effort effort = {0};
	OSSL_PARAM *params;

	(void)state;
	assert_true(BN_set_bit(n, 16383) && BN_set_bit(n, 0) && BN_set_word(e, 65537));
	assert_true(OSSL_PARAM_BLD_push_BN(bld, "n", n) && OSSL_PARAM_BLD_push_BN(bld, "e", e));
	params = OSSL_PARAM_BLD_to_param(bld);
	assert_true(EVP_PKEY_fromdata_init(ctx) > 0);
	assert_true(EVP_PKEY_fromdata(ctx, &large, EVP_PKEY_PUBLIC_KEY, params) > 0);
	assert_true(effort_signature(&effort, usual));
	CHECK_INT("usual", effort.signatures, 1);
	assert_true(effort_signature(&effort, large));
	CHECK_INT("large", effort.signatures, 17);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	EVP_PKEY_free(large);
	EVP_PKEY_free(usual);
}

/* Every CA certifies every other, none of them leads to an anchor. */
static void
a_mesh_ends(void **state)
{
	enum { N = 12 };
	struct world *w = *state;
	char names[N][8];
	X509 *ca[N];
	int i, k;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	for (i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "M%d", i);
		ca[i] = named(w, names[i]);
	}
	for (i = 0; i < N; i++)
		for (k = 0; k < N; k++)
			if (i != k)
				X509_free(also(w, ca_of(names[i], w->key, ca[k], w->key)));
	expect("mesh", judge(w, leaf_of(w, ca[0], w->key), NULL), PATH_UNKNOWN, "too many");
	certset_fini(&w->extra);
	/* A small circle ends by itself. */
	X509_free(also(w, ca_of("M0", w->key, ca[1], w->key)));
	X509_free(also(w, ca_of("M1", w->key, ca[0], w->key)));
	expect("circle", judge(w, leaf_of(w, ca[0], w->key), NULL), PATH_INVALID, "in circles");
	for (i = 0; i < N; i++)
		X509_free(ca[i]);
	end(w);
}

/* Many ways to the anchor, each of them bad at its end: only some are judged. */
static void
bad_paths_are_counted(void **state)
{
	struct world *w = *state;
	X509 *name = named(w, "CA");
	int i;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	for (i = 0; i < 60; i++)
		X509_free(also(w, pki_x509(&(struct pki_spec){.name = "CA",
					  .key = w->key,
					  .issuer = w->root,
					  .issuer_key = w->root_key,
					  .until = PKI_NOW - 1000 - i,
					  .exts = {CA_EXT}})));
	expect("all expired", judge(w, leaf_of(w, name, w->key), NULL), PATH_INVALID, "expired on");
	X509_free(name);
	end(w);
}

/* A number between BEFORE and AFTER, N times, separated by commas. */
static char *
repeat(const char *before, int n, const char *after)
{
	struct buf text = BUF_INIT(0);
	char *out;
	int i;

	for (i = 0; i < n; i++)
		assert_int_equal(
			buf_appendf(&text, NULL, "%s%s%d%s", i ? "," : "", before, i, after),
			RC_OK);
	out = strdup(buf_text(&text));
	buf_fini(&text);
	return out;
}

/* Names are taken out of each certificate again for each CA above it that has constraints. */
static void
many_names_below_empty_constraints(void **state)
{
	enum { CAS = 8 };
	struct world *w = *state;
	char *names = repeat("email:", 9000, ""), name[8];
	X509 *ca[CAS + 1] = {w->root};
	int i;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	for (i = 0; i < CAS; i++) {
		(void)snprintf(name, sizeof(name), "CA %d", i);
		ca[i + 1] = pki_x509(&(struct pki_spec){.name = name,
			.key = w->key,
			.issuer = ca[i],
			.issuer_key = i ? w->key : w->root_key,
			.exts = {CA_EXT, {NID_name_constraints, "DER:30:00"},
				{NID_subject_alt_name, names}}});
		also(w, ca[i + 1]);
	}
	expect("too many",
		judge(w,
			pki_x509(&(struct pki_spec){.name = "Names",
				.key = w->other_key,
				.issuer = ca[CAS],
				.issuer_key = w->key,
				.exts = {{NID_subject_alt_name, names}}}),
			NULL),
		PATH_INVALID, "too many names");
	expect("under one of them",
		judge(w,
			pki_x509(&(struct pki_spec){.name = "Names",
				.key = w->other_key,
				.issuer = ca[1],
				.issuer_key = w->key,
				.exts = {{NID_subject_alt_name, names}}}),
			NULL),
		PATH_VALID, NULL);
	for (i = 1; i <= CAS; i++)
		X509_free(ca[i]);
	free(names);
	end(w);
}

static void
many_names_against_many_constraints(void **state)
{
	struct world *w = *state;
	char *names = repeat("email:", 9000, ""), *few = repeat("email:u", 60, "@example.org");
	char *trees = repeat("permitted;email:h", 1200, ".example.net");
	X509 *ca = pki_x509(&(struct pki_spec){.name = "CA",
		.key = w->key,
		.issuer = w->root,
		.issuer_key = w->root_key,
		.exts = {CA_EXT, {NID_name_constraints, trees}}});
	struct pki_spec spec = {.name = "Names",
		.key = w->other_key,
		.issuer = ca,
		.issuer_key = w->key,
		.exts = {{NID_subject_alt_name, names}}};

	begin(w, NULL);
	anchor(w, w->root, NULL);
	also(w, ca);
	expect("too many", judge(w, pki_x509(&spec), NULL), PATH_INVALID, "too many names");
	spec.exts[0].value = few;
	expect("few", judge(w, pki_x509(&spec), NULL), PATH_INVALID, "permitted subtree");
	X509_free(ca);
	end(w);
	/* Without constraints ten thousand names are only long. */
	begin(w, NULL);
	anchor(w, w->root, NULL);
	free(names);
	names = repeat("DNS:", 10000, "");
	spec = (struct pki_spec){.name = "Names",
		.key = w->other_key,
		.issuer = w->root,
		.issuer_key = w->root_key,
		.exts = {{NID_subject_alt_name, names}}};
	expect("10,000 names", judge(w, pki_x509(&spec), NULL), PATH_VALID, NULL);
	end(w);
	free(names);
	free(few);
	free(trees);
}

static void
many_extensions(void **state)
{
	struct world *w = *state;
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509 *leaf = leaf_of(w, w->root, w->root_key);
	const struct verdict *v;
	int i;

	assert_true(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2));
	for (i = 0; i < 1000; i++) {
		char oid[40];
		ASN1_OBJECT *obj;
		X509_EXTENSION *ext;

		(void)snprintf(oid, sizeof(oid), "1.3.6.1.4.1.99999.%d", i);
		obj = OBJ_txt2obj(oid, 1);
		ext = X509_EXTENSION_create_by_OBJ(NULL, obj, 0, value);
		assert_true(X509_add_ext(leaf, ext, -1));
		X509_EXTENSION_free(ext);
		ASN1_OBJECT_free(obj);
	}
	ASN1_OCTET_STRING_free(value);
	assert_true(X509_sign(leaf, w->root_key, EVP_sha256()) > 0);
	begin(w, NULL);
	anchor(w, w->root, NULL);
	v = judge(w, leaf, NULL);
	expect("1,000 extensions", v, PATH_INVALID, "has 1001 extensions, more than 100");
	end(w);
}

static void
unknown_critical_extensions_are_named(void **state)
{
	struct world *w = *state;
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509 *ca = ca_of("CA", w->key, w->root, w->root_key);
	ASN1_OBJECT *obj = OBJ_txt2obj("1.3.6.1.4.1.99999.7", 1);
	X509_EXTENSION *ext;

	assert_true(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2));
	ext = X509_EXTENSION_create_by_OBJ(NULL, obj, 1, value);
	assert_true(X509_add_ext(ca, ext, -1) && X509_sign(ca, w->root_key, EVP_sha256()) > 0);
	X509_EXTENSION_free(ext);
	ASN1_OBJECT_free(obj);
	ASN1_OCTET_STRING_free(value);
	begin(w, NULL);
	anchor(w, w->root, NULL);
	also(w, ca);
	expect("critical", judge(w, leaf_of(w, ca, w->key), NULL), PATH_INVALID,
		"the certificate of CN=CA has a critical extension that is not known: "
		"1.3.6.1.4.1.99999.7");
	X509_free(ca);
	end(w);
}

/* A serial number of 60 KB is refused when it is read, of 20 bytes it is one. */
static void
long_serial_numbers_are_refused(void **state)
{
	static const int sizes[] = {20, 64, 65, 60000};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		X509 *leaf = leaf_of(w, w->root, w->root_key);
		unsigned char *serial = malloc((size_t)sizes[i]), *der = NULL;
		struct err err = ERR_INIT;
		struct cert *cert;
		int len;

		memset(serial, 0x5a, (size_t)sizes[i]);
		assert_true(ASN1_STRING_set(X509_get_serialNumber(leaf), serial, sizes[i]) &&
			    X509_sign(leaf, w->root_key, EVP_sha256()) > 0);
		len = i2d_X509(leaf, &der);
		assert_true(len > 0);
		CHECK_INT("serial number", cert_parse(der, (size_t)len, &cert, &err),
			sizes[i] > 64 ? RC_PERM : RC_OK);
		if (sizes[i] > 64 && !strstr(err.detail, "serial number"))
			fail_msg("%d: %s", sizes[i], err.detail);
		cert_unref(&cert);
		OPENSSL_free(der);
		free(serial);
		X509_free(leaf);
	}
}

/* Each CA maps each of twenty policies to each other one. */
static void
policy_trees_are_bounded(void **state)
{
	enum { POLICIES = 12, LEVELS = 8 };
	struct world *w = *state;
	struct trust_options options = {.require_policy = true};
	struct buf maps = BUF_INIT(0);
	char *policies = repeat("1.3.6.1.4.1.99999.", POLICIES, ""), name[8];
	X509 *above = w->root, *ca;
	EVP_PKEY *key = w->root_key;
	const struct verdict *v;
	int i, k;

	for (i = 0; i < POLICIES; i++)
		for (k = 0; k < POLICIES; k++)
			assert_int_equal(buf_appendf(&maps, NULL,
						 "%s1.3.6.1.4.1.99999.%d:1.3.6.1.4.1.99999.%d",
						 i + k ? "," : "", i, k),
				RC_OK);
	begin(w, &options);
	anchor(w, w->root, NULL);
	for (i = 0; i < LEVELS; i++) {
		(void)snprintf(name, sizeof(name), "P%d", i);
		ca = also(w, pki_x509(&(struct pki_spec){.name = name,
				     .key = w->key,
				     .issuer = above,
				     .issuer_key = key,
				     .exts = {CA_EXT, {NID_certificate_policies, policies},
					     {NID_policy_mappings, buf_text(&maps)}}}));
		if (above != w->root)
			X509_free(above);
		above = ca;
		key = w->key;
	}
	v = judge(w,
		pki_x509(&(struct pki_spec){.name = "Leaf",
			.key = w->other_key,
			.issuer = above,
			.issuer_key = w->key,
			.exts = {{NID_certificate_policies, policies}}}),
		NULL);
	/* OpenSSL may be clever enough to answer; it may not take for ever, nor may we defer. */
	if (v->path == PATH_INVALID && !strstr(v->reason, "polic"))
		fail_msg("policies: %s", v->reason);
	X509_free(above);
	free(policies);
	buf_fini(&maps);
	end(w);
}

static void
mail_constraints(void **state)
{
	static const struct {
		const char *addr, *base;
		bool exact, inexact;
	} cases[] = {
		{"a@example.org", "example.org", true, true},
		{"a@EXAMPLE.org", "example.ORG", true, true},
		{"a@sub.example.org", "example.org", false, false},
		{"a@sub.example.org", ".example.org", true, true},
		{"a@example.org", ".example.org", false, false},
		{"a@notexample.org", ".example.org", false, false},
		{"a@notexample.org", "example.org", false, false},
		{"a@example.org", "a@example.org", true, true},
		{"A@example.org", "a@example.org", false, true},
		{"b@example.org", "a@example.org", false, false},
		{"a@b\xc3\xbc"
		 "cher.example",
			"xn--bcher-kva.example", true, true},
		{"\xc3\xa4@xn--bcher-kva.example",
			"b\xc3\xbc"
			"cher.example",
			true, true},
		{"\xc3\xa4@sub.b\xc3\xbc"
		 "cher.example",
			".xn--bcher-kva.example", true, true},
		{"a@example.org", "", false, false},
		{"a@example.org", ".", false, false},
		{"a@example.org", "@", false, false},
		{"a@example.org", "@example.org", false, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *addr = cases[i].addr, *base = cases[i].base;
		char canonical[1100];

		assert_int_equal(addr_canonical(addr, strlen(addr), canonical, NULL), RC_OK);
		CHECK_INT(base, mail_constraints_match(canonical, base, strlen(base), true),
			cases[i].exact);
		CHECK_INT(base, mail_constraints_match(canonical, base, strlen(base), false),
			cases[i].inexact);
	}
}

#define EAI "\1" /* in front of a SmtpUTF8Mailbox */

/* Puts one in, instead of what openssl.cnf cannot say, and signs anew. */
static void
add_utf8_mailbox(X509 *x509, EVP_PKEY *key, const char *addr)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_TYPE *value = ASN1_TYPE_new();
	ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();

	assert_true(ASN1_STRING_set(text, addr, -1));
	ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
	assert_true(
		GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_id_on_SmtpUTF8Mailbox), value));
	assert_true(sk_GENERAL_NAME_push(names, name));
	assert_true(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0));
	GENERAL_NAMES_free(names);
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
}

/* rfc822Name, SmtpUTF8Mailbox and the subject's address are all constrained. */
static void
every_kind_of_mailbox_is_constrained(void **state)
{
	static const struct {
		const char *name, *constraint, *san, *email;
		bool good;
	} cases[] = {
		{"host", "permitted;email:example.org", "email:a@example.org", NULL, true},
		{"another host", "permitted;email:example.org", "email:a@example.net", NULL, false},
		{"one of two", "permitted;email:example.org",
			"email:a@example.org,email:a@example.net", NULL, false},
		{"no mailbox", "permitted;email:example.org", "DNS:example.net", NULL, true},
		{"other constraints", "permitted;DNS:example.org", "email:a@example.net", NULL,
			true},
		{"subject", "permitted;email:example.org", "DNS:x", "a@example.net", false},
		{"subject, good", "permitted;email:example.org", "DNS:x", "a@example.org", true},
		{"excluded", "excluded;email:example.net", "email:a@example.net", NULL, false},
		{"excluded, another", "excluded;email:example.net", "email:a@example.org", NULL,
			true},
		{"excluded mailbox", "excluded;email:Mallory@example.org",
			"email:mallory@example.org", NULL, false},
		{"excluded, empty", "DER:30:06:a1:04:30:02:81:00", "email:a@example.org", NULL,
			false},
		{"UTF-8, excluded, empty", "DER:30:06:a1:04:30:02:81:00",
			EAI "\xc3\xa4@example.org", NULL, false},
		{"UTF-8, excluded, unreadable", "DER:30:08:a1:06:30:04:81:02:40:40",
			EAI "\xc3\xa4@example.org", NULL, false},
		{"subject, excluded, empty", "DER:30:06:a1:04:30:02:81:00", "DNS:x",
			"a@example.org", false},
		{"no mailbox, excluded, empty", "DER:30:06:a1:04:30:02:81:00", "DNS:x", NULL, true},
		{"UTF-8", "permitted;email:example.org", EAI "\xc3\xa4@example.net", NULL, false},
		{"UTF-8, good", "permitted;email:example.org", EAI "\xc3\xa4@example.org", NULL,
			true},
		{"UTF-8, excluded", "excluded;email:.example.net", EAI "\xc3\xa4@sub.example.net",
			NULL, false},
		{"UTF-8 domain", "permitted;email:xn--bcher-kva.example",
			EAI "\xc3\xa4@b\xc3\xbc"
			    "cher.example",
			NULL, true},
		{"UTF-8 domain, excluded", "excluded;email:xn--bcher-kva.example",
			EAI "\xc3\xa4@b\xc3\xbc"
			    "cher.example",
			NULL, false},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		X509 *ca = pki_x509(&(struct pki_spec){.name = "CA",
			.key = w->key,
			.issuer = w->root,
			.issuer_key = w->root_key,
			.exts = {CA_EXT, {NID_name_constraints, cases[i].constraint}}});
		bool utf8 = *cases[i].san == *EAI;
		struct pki_spec spec = {.name = "Leaf",
			.key = w->other_key,
			.email = cases[i].email,
			.issuer = ca,
			.issuer_key = w->key};
		const struct verdict *v;
		X509 *leaf;

		if (!utf8)
			spec.exts[0] = (struct pki_ext){NID_subject_alt_name, cases[i].san};
		leaf = pki_x509(&spec);
		if (utf8)
			add_utf8_mailbox(leaf, w->key, cases[i].san + 1);
		begin(w, NULL);
		anchor(w, w->root, NULL);
		also(w, ca);
		v = judge(w, leaf, NULL);
		expect(cases[i].name, v, cases[i].good ? PATH_VALID : PATH_INVALID,
			cases[i].good ? NULL : "name constraints");
		X509_free(ca);
		end(w);
	}
}

/* An anchor that somebody else signed, and whose time is not now, is what is to be judged itself:
 * anybody can name it as a signer. */
static void
an_anchor_itself_is_judged(void **state)
{
	static const struct {
		const char *name;
		int64_t from, until;
		const char *word; /* NULL: valid */
	} cases[] = {
		{"in date", 0, 0, NULL},
		{"expired", PKI_NOW - PKI_YEAR, PKI_NOW - 86400, "CN=CA expired on"},
		{"not yet valid", PKI_NOW + 86400, PKI_NOW + PKI_YEAR, "CN=CA is not valid yet"},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		X509 *ca = pki_x509(&(struct pki_spec){.name = "CA",
			.key = w->key,
			.issuer = w->root,
			.issuer_key = w->root_key,
			.from = cases[i].from,
			.until = cases[i].until,
			.exts = {CA_EXT}});

		begin(w, NULL);
		anchor(w, ca, NULL);
		expect(cases[i].name, judge(w, ca, NULL), cases[i].word ? PATH_INVALID : PATH_VALID,
			cases[i].word);
		end(w);
	}
}

/* A path with any bit changed is not valid: everything in it is signed, but for the signatures,
 * which must not fit then. */
static void
damaged_certificates_are_not_valid(void **state)
{
	struct world *w = *state;
	X509 *ca = ca_of("CA", w->key, w->root, w->root_key);
	X509 *leaf = leaf_of(w, ca, w->key);
	unsigned char *der[2] = {NULL, NULL};
	int len[2] = {i2d_X509(leaf, &der[0]), i2d_X509(ca, &der[1])}, k, i, parsed = 0;

	begin(w, NULL);
	anchor(w, w->root, NULL);
	cert_cache_limit(0);
	for (k = 0; k < 2; k++)
		for (i = 0; i < len[k]; i++) {
			unsigned char *bad = malloc((size_t)len[k]);
			struct certset set = {0};
			struct cert *cert[2] = {NULL, NULL};
			struct verdict v;

			memcpy(bad, der[k], (size_t)len[k]);
			bad[i] ^= (unsigned char)(1 << i % 8);
			if (cert_parse(bad, (size_t)len[k], &cert[k], NULL) == RC_OK &&
				cert_parse(der[!k], (size_t)len[!k], &cert[!k], NULL) == RC_OK) {
				parsed++;
				certset_add(&set, cert[1], NULL);
				verdict_init(&v);
				assert_int_equal(trust_check(w->trust, cert[0], &set, CERT_SIGN,
							 NULL, -1, &v, NULL),
					RC_OK);
				if (v.path == PATH_VALID)
					fail_msg("byte %d of certificate %d changed: valid", i, k);
				if (!*v.reason)
					fail_msg("byte %d of certificate %d: no reason", i, k);
				verdict_fini(&v);
			}
			cert_unref(&cert[0]);
			cert_unref(&cert[1]);
			certset_fini(&set);
			free(bad);
		}
	if (parsed < 100)
		fail_msg("only %d damaged certificates could be read", parsed);
	cert_cache_limit(20000);
	OPENSSL_free(der[0]);
	OPENSSL_free(der[1]);
	X509_free(ca);
	X509_free(leaf);
	end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cross_certificates_are_followed),
		cmocka_unit_test(rollover_is_followed),
		cmocka_unit_test(the_best_reason_is_told),
		cmocka_unit_test(missing_issuers_have_an_address),
		cmocka_unit_test(many_of_one_name),
		cmocka_unit_test(one_message_has_a_limit),
		cmocka_unit_test(large_keys_cost_more),
		cmocka_unit_test(a_mesh_ends),
		cmocka_unit_test(bad_paths_are_counted),
		cmocka_unit_test(many_names_against_many_constraints),
		cmocka_unit_test(many_names_below_empty_constraints),
		cmocka_unit_test(many_extensions),
		cmocka_unit_test(unknown_critical_extensions_are_named),
		cmocka_unit_test(long_serial_numbers_are_refused),
		cmocka_unit_test(policy_trees_are_bounded),
		cmocka_unit_test(mail_constraints),
		cmocka_unit_test(every_kind_of_mailbox_is_constrained),
		cmocka_unit_test(an_anchor_itself_is_judged),
		cmocka_unit_test(damaged_certificates_are_not_valid),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
