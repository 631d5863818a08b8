/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/crypto/people.h"

#include "crypto/cms_sign.h"
#include "crypto/cms_verify.h"
#include "crypto/der.h"

#include <openssl/rsa.h>

#define NOW 1800000000

static struct person ca, rsa, p256, p384, p521, other;
static struct trust *trust;

static int
setup(void **state)
{
	struct trust_options options = {.min_rsa = 2048};
	struct err err = ERR_INIT;

	(void)state;
	clock_set(NOW);
	ca = person_make("p256", NULL, 0, NULL);
	rsa = person_make("rsa2048", "rsa@example.org", CERT_SIGN, &ca);
	p256 = person_make("p256", "p256@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	p384 = person_make("p384", "p384@example.org", CERT_SIGN, &ca);
	p521 = person_make("p521", "p521@example.org", CERT_SIGN, &ca);
	other = person_make("rsa2048", "other@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	if (trust_new(&options, &trust, &err) != RC_OK)
		return -1;
	return trust_add_anchor(trust, ca.cert, NULL, 0, &err) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	trust_unref(&trust);
	person_fini(&ca);
	person_fini(&rsa);
	person_fini(&p256);
	person_fini(&p384);
	person_fini(&p521);
	person_fini(&other);
	cert_cache_limit(0);
	clock_set(-1);
	return 0;
}

/* --- what the tests do again and again --- */

static void
sign(const struct person *who, bool pss, struct cert *encrypt_cert, const void *data, size_t len,
	struct buf *der)
{
	unsigned char value[DIGEST_MAX_SIZE];
	struct certset chain = {NULL, 0};
	struct cms_sign_request request = {.digest = cms_sign_digest_for(who->cert),
		.value = value,
		.signing_time = NOW,
		.pss = pss,
		.encrypt_cert = encrypt_cert};

	MUST(certset_add(&chain, ca.cert, &must));
	MUST(digest_bytes(request.digest, data, len, value, &must));
	MUST(cms_sign_digest(who->key, who->cert, &chain, &request, der, &must));
	certset_fini(&chain);
}

static void
hash_all(const void *data, size_t len, unsigned set, struct hasher **hasher)
{
	struct sink sink;

	MUST(hasher_new(set, hasher, &must));
	sink = hasher_sink(*hasher);
	MUST(sink_feed(&sink, data, len, &must));
	MUST(sink_finish(&sink, &must));
}

/* Detached. */
static enum rc
verify(const void *der, size_t der_len, const void *data, size_t len, const char *addr,
	struct verdict *v, struct err *err)
{
	struct cms_signed *sd = NULL;
	struct hasher *hasher = NULL;
	void *copy = exact(der, der_len);
	enum rc rc = cms_signed_parse(copy, der_len, &sd, err);

	verdict_init(v);
	free(copy);
	if (rc != RC_OK)
		return rc;
	hash_all(data, len, cms_signed_digests(sd), &hasher);
	rc = cms_signed_verify(sd, hasher, trust, NULL, addr, -1, v, err);
	hasher_free(&hasher);
	cms_signed_free(&sd);
	return rc;
}

/* Opaque, fed in steps; the content goes to OUT. */
static enum rc
verify_opaque(const void *der, size_t der_len, size_t step, struct buf *out, struct verdict *v,
	struct err *err)
{
	struct cms_signed_reader *r = NULL;
	struct cms_signed *sd = NULL;
	const struct hasher *hasher;
	struct sink sink = sink_to_buf(out);
	enum rc rc = cms_signed_reader_new(&sink, &r, err);

	verdict_init(v);
	if (rc != RC_OK)
		return rc;
	sink = cms_signed_reader_sink(r);
	rc = feed_steps(&sink, der, der_len, step, err);
	if (rc == RC_OK)
		rc = cms_signed_reader_take(r, &sd, &hasher, err);
	if (rc == RC_OK)
		rc = cms_signed_verify(sd, hasher, trust, NULL, NULL, -1, v, err);
	cms_signed_free(&sd);
	cms_signed_reader_free(&r);
	return rc;
}

static void
check_verdict(const char *name, struct verdict *v, enum verdict_overall want)
{
	if (v->overall != want)
		fail_msg("%s: got %s (%s), want %s", name, verdict_overall_name(v->overall),
			v->reason, verdict_overall_name(want));
	verdict_fini(v);
}

/* OpenSSL's verdict on a signature, without the path. */
static bool
openssl_verifies(const struct buf *der, const void *data, size_t len, unsigned flags)
{
	const unsigned char *p = (const unsigned char *)der->data;
	CMS_ContentInfo *c = d2i_CMS_ContentInfo(NULL, &p, (long)der->len);
	BIO *in = data ? BIO_new_mem_buf(data, (int)len) : NULL, *out = BIO_new(BIO_s_null());
	bool good = c && CMS_verify(c, NULL, NULL, in, out,
				 CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY | flags) == 1;

	CMS_ContentInfo_free(c);
	BIO_free(in);
	BIO_free(out);
	ossl_clear();
	return good;
}

/* What OpenSSL reads and writes again is what we wrote: it is DER. */
static void
check_der(const char *name, const struct buf *der)
{
	const unsigned char *p = (const unsigned char *)der->data;
	CMS_ContentInfo *c = d2i_CMS_ContentInfo(NULL, &p, (long)der->len);
	unsigned char *again = NULL;
	int n;

	if (!c)
		fail_msg("%s: OpenSSL can't read it", name);
	n = i2d_CMS_ContentInfo(c, &again);
	CHECK_INT(name, n, der->len);
	if (memcmp(again, der->data, der->len) != 0)
		fail_msg("%s: not DER", name);
	OPENSSL_free(again);
	CMS_ContentInfo_free(c);
}

/* --- writing --- */

static void
test_sign(void **state)
{
	static const struct {
		const char *name;
		const struct person *who;
		bool pss, separate;
	} cases[] = {
		{"RSA", &rsa, false, false},
		{"RSA, separate certificate to encrypt", &rsa, false, true},
		{"RSA-PSS", &rsa, true, false},
		{"P-256", &p256, false, false},
		{"P-384", &p384, false, false},
		{"P-521", &p521, true, true},
	};
	static const size_t sizes[] = {0, 1, 100, 4096, 70000, 200000};
	unsigned char *data = sample(200000);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
			struct buf der = BUF_INIT(0);
			struct verdict v;

			sign(cases[i].who, cases[i].pss, cases[i].separate ? other.cert : NULL,
				data, sizes[s], &der);
			if (!openssl_verifies(
				    &der, data, sizes[s], CMS_CADES | CMS_NO_SIGNER_CERT_VERIFY) &&
				!openssl_verifies(&der, data, sizes[s], 0))
				fail_msg("%s: OpenSSL says bad", cases[i].name);
			check_der(cases[i].name, &der);
			MUST(verify(der.data, der.len, data, sizes[s], NULL, &v, &must));
			CHECK_INT(cases[i].name, v.signing_time, NOW);
			CHECK_INT(cases[i].name, v.n_signers, 1);
			CHECK_STR(cases[i].name, cert_fingerprint(v.signers[0]),
				cert_fingerprint(cases[i].who->cert));
			check_verdict(cases[i].name, &v, VERDICT_PASS);
			data[sizes[s] / 2] ^= 1;
			if (sizes[s]) {
				MUST(verify(der.data, der.len, data, sizes[s], NULL, &v, &must));
				CHECK_INT(cases[i].name, v.signature, SIGNATURE_BAD);
				check_verdict(cases[i].name, &v, VERDICT_FAIL);
				if (openssl_verifies(&der, data, sizes[s], 0))
					fail_msg("%s: OpenSSL says good to other content",
						cases[i].name);
			}
			data[sizes[s] / 2] ^= 1;
			buf_fini(&der);
		}
	}
	free(data);
}

/* Each attribute that has to be there, and only once, as OpenSSL sees it. */
static void
test_attributes(void **state)
{
	static const struct {
		const char *oid;
		int want, want_separate;
	} cases[] = {
		{"1.2.840.113549.1.9.3", 1, 1},
		{"1.2.840.113549.1.9.4", 1, 1},
		{"1.2.840.113549.1.9.5", 1, 1},
		{"1.2.840.113549.1.9.15", 1, 1},
		{"1.2.840.113549.1.9.16.2.47", 1, 1},
		{"1.2.840.113549.1.9.16.2.11", 0, 1},
	};

	(void)state;
	for (int separate = 0; separate < 2; separate++) {
		struct buf der = BUF_INIT(0);
		const unsigned char *p;
		CMS_ContentInfo *c;
		CMS_SignerInfo *si;

		sign(&rsa, false, separate ? other.cert : rsa.cert, "x", 1, &der);
		p = (const unsigned char *)der.data;
		c = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);
		si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(c), 0);
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			ASN1_OBJECT *oid = OBJ_txt2obj(cases[i].oid, 1);
			int at = CMS_signed_get_attr_by_OBJ(si, oid, -1);

			CHECK_INT(cases[i].oid, at >= 0,
				separate ? cases[i].want_separate : cases[i].want);
			CHECK_INT(cases[i].oid,
				CMS_signed_get_attr_by_OBJ(si, oid, at) >= 0 && at >= 0, 0);
			ASN1_OBJECT_free(oid);
		}
		CMS_ContentInfo_free(c);
		buf_fini(&der);
	}
}

static void
test_sign_refusals(void **state)
{
	unsigned char value[DIGEST_MAX_SIZE] = {0};
	struct cms_sign_request request = {
		.digest = DIGEST_SHA1, .value = value, .signing_time = -1};
	struct buf der = BUF_INIT(0);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(cms_sign_digest(rsa.key, rsa.cert, NULL, &request, &der, &err), RC_PERM);
	assert_string_equal(err_name(err.code), "usage");
	request.digest = DIGEST_SHA256;
	assert_int_equal(cms_sign_digest(rsa.key, p256.cert, NULL, &request, &der, &err), RC_PERM);
	assert_string_equal(err_name(err.code), "cert-unusable");
	request.signing_time = INT64_MAX;
	assert_int_equal(cms_sign_digest(rsa.key, rsa.cert, NULL, &request, &der, &err), RC_PERM);
	assert_int_equal(der.len, 0);
	/* Without a signing time, and past 2049, where GeneralizedTime begins. */
	for (int64_t at = -1; at < 3000000000; at += 3000000000) {
		request.signing_time = at;
		MUST(cms_sign_digest(rsa.key, rsa.cert, NULL, &request, &der, &must));
		check_der("time", &der);
		buf_clear(&der);
	}
	buf_fini(&der);
}

/* What was made beforehand changes no byte: RSA v1.5 signs the same thing the same way. */
static void
test_signer(void **state)
{
	unsigned char value[DIGEST_MAX_SIZE] = {7};
	struct cert *const encrypts[] = {NULL, rsa.cert, other.cert};
	struct certset chain = {NULL, 0};
	struct cms_sign_request request = {
		.digest = DIGEST_SHA256, .value = value, .signing_time = NOW};

	(void)state;
	MUST(certset_add(&chain, ca.cert, &must));
	for (size_t i = 0; i < sizeof encrypts / sizeof *encrypts; i++) {
		struct buf plain = BUF_INIT(0), prepared = BUF_INIT(0);
		struct cms_signer *signer;

		request.encrypt_cert = encrypts[i];
		request.signer = NULL;
		MUST(cms_sign_digest(rsa.key, rsa.cert, &chain, &request, &plain, &must));
		MUST(cms_signer_new(rsa.cert, &chain, encrypts[i], &signer, &must));
		request.signer = signer;
		for (int k = 0; k < 3; k++) { /* the key's context is another one at first */
			buf_clear(&prepared);
			MUST(cms_sign_digest(
				rsa.key, rsa.cert, &chain, &request, &prepared, &must));
			CHECK_INT("length", prepared.len, plain.len);
			assert_memory_equal(prepared.data, plain.data, plain.len);
		}
		cms_signer_free(&signer);
		buf_fini(&plain);
		buf_fini(&prepared);
	}
	certset_fini(&chain);
}

/* A key that may do nothing but PSS, with or without a digest of its own. */
static void
test_restricted_pss(void **state)
{
	static const struct {
		const char *name;
		enum digest digest; /* the key is bound to; DIGEST_NONE: none */
		enum digest want;
	} cases[] = {
		{"unbound", DIGEST_NONE, DIGEST_SHA256},
		{"SHA-384", DIGEST_SHA384, DIGEST_SHA384},
		{"SHA-512", DIGEST_SHA512, DIGEST_SHA512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
		const EVP_MD *md = digest_evp(cases[i].digest);
		EVP_PKEY *evp = NULL;
		X509 *x = X509_new();
		PKCS8_PRIV_KEY_INFO *p8;
		unsigned char *der = NULL;
		struct person who = {NULL, NULL};
		struct buf cms = BUF_INIT(0);
		struct verdict v;
		int n;

		assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048), 1);
		if (md) {
			assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_keygen_md(ctx, md), 1);
			assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(ctx, md), 1);
		}
		assert_int_equal(EVP_PKEY_keygen(ctx, &evp), 1);
		EVP_PKEY_CTX_free(ctx);
		assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 77), 1);
		assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
					 MBSTRING_ASC, (const unsigned char *)"pss", -1, -1, 0),
			1);
		assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
		assert_non_null(X509_time_adj_ex(X509_getm_notBefore(x), 0, 0, NULL));
		assert_non_null(X509_time_adj_ex(X509_getm_notAfter(x), 10, 0, NULL));
		assert_int_equal(X509_set_pubkey(x, evp), 1);
		assert_true(X509_sign(x, evp, md ? md : EVP_sha256()) > 0);
		n = i2d_X509(x, &der);
		MUST(cert_parse(der, (size_t)n, &who.cert, &must));
		OPENSSL_free(der);
		der = NULL;
		p8 = EVP_PKEY2PKCS8(evp);
		n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
		MUST(pkey_parse(der, (size_t)n, KEY_RSA_PSS, &who.key, &must));
		OPENSSL_free(der);
		PKCS8_PRIV_KEY_INFO_free(p8);
		EVP_PKEY_free(evp);
		X509_free(x);
		CHECK_STR(cases[i].name, digest_name(cms_sign_digest_for(who.cert)),
			digest_name(cases[i].want));
		sign(&who, false, NULL, "text", 4, &cms);
		if (!openssl_verifies(&cms, "text", 4, 0))
			fail_msg("%s: OpenSSL says bad", cases[i].name);
		MUST(verify(cms.data, cms.len, "text", 4, NULL, &v, &must));
		CHECK_INT(cases[i].name, v.signature, SIGNATURE_GOOD);
		verdict_fini(&v);
		buf_fini(&cms);
		person_fini(&who);
	}
}

/* --- opaque --- */

static void
opaque(const struct buf *detached, const void *data, size_t len, size_t step, struct buf *out)
{
	struct cms_opaque *o = NULL;
	struct sink sink = sink_to_buf(out);

	MUST(cms_opaque_new(detached->data, detached->len, len, &sink, &o, &must));
	sink = cms_opaque_sink(o);
	MUST(feed_steps(&sink, data, len, step, &must));
	cms_opaque_free(&o);
}

static void
test_opaque(void **state)
{
	static const size_t sizes[] = {0, 1, 127, 128, 65536, 200000}, steps[] = {0, 1, 1000};
	unsigned char *data = sample(200000);

	(void)state;
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		struct buf detached = BUF_INIT(0), cms = BUF_INIT(0), out = BUF_INIT(0);
		struct verdict v;

		sign(&p256, false, NULL, data, sizes[s], &detached);
		opaque(&detached, data, sizes[s], steps[s % 3], &cms);
		check_der("opaque", &cms);
		if (!openssl_verifies(&cms, NULL, 0, 0))
			fail_msg("opaque: OpenSSL says bad");
		MUST(verify_opaque(cms.data, cms.len, sizes[s] > 1000 ? 777 : 1, &out, &v, &must));
		check_verdict("opaque", &v, VERDICT_PASS);
		CHECK_INT("opaque", out.len, sizes[s]);
		if (out.len && memcmp(out.data, data, out.len) != 0)
			fail_msg("opaque: other content");
		buf_fini(&detached);
		buf_fini(&cms);
		buf_fini(&out);
	}
	free(data);
}

/* --- what others write --- */

static void
openssl_signs(const struct person *const *who, size_t n, const EVP_MD *md, unsigned flags, bool pss,
	const void *data, size_t len, struct buf *out)
{
	BIO *in = BIO_new_mem_buf(data, (int)len), *mem = BIO_new(BIO_s_mem());
	CMS_ContentInfo *c =
		CMS_sign(NULL, NULL, NULL, in, CMS_BINARY | CMS_PARTIAL | CMS_STREAM | flags);
	char *p;
	long m;

	for (size_t i = 0; i < n; i++) {
		CMS_SignerInfo *si =
			CMS_add1_signer(c, cert_x509(who[i]->cert), pkey_evp(who[i]->key), md,
				CMS_BINARY | CMS_PARTIAL | flags | (pss ? CMS_KEY_PARAM : 0) |
					(i && who[i] == who[i - 1] ? CMS_NOCERTS : 0));

		assert_non_null(si);
		if (pss)
			assert_int_equal(
				EVP_PKEY_CTX_set_rsa_padding(
					CMS_SignerInfo_get0_pkey_ctx(si), RSA_PKCS1_PSS_PADDING),
				1);
	}
	if (flags & CMS_DETACHED || pss) { /* OpenSSL can't stream PSS with its parameters */
		assert_int_equal(CMS_final(c, in, NULL, CMS_BINARY | flags), 1);
		assert_int_equal(i2d_CMS_bio(mem, c), 1);
	} else {
		assert_int_equal(
			i2d_CMS_bio_stream(mem, c, in, CMS_BINARY | CMS_STREAM | flags), 1);
	}
	m = BIO_get_mem_data(mem, &p);
	buf_clear(out);
	MUST(buf_append(out, p, (size_t)m, &must));
	CMS_ContentInfo_free(c);
	BIO_free(in);
	BIO_free(mem);
}

static void
test_openssl_signs(void **state)
{
	static const struct {
		const char *name;
		unsigned flags;
		bool pss;
		enum digest digest;
		int signers;
		enum verdict_overall want;
	} cases[] = {
		{"plain", 0, false, DIGEST_SHA256, 1, VERDICT_PASS},
		{"key identifier", CMS_USE_KEYID, false, DIGEST_SHA256, 1, VERDICT_PASS},
		{"no attributes", CMS_NOATTR, false, DIGEST_SHA256, 1, VERDICT_PASS},
		{"CAdES", CMS_CADES, false, DIGEST_SHA512, 1, VERDICT_PASS},
		{"SHA-224", 0, false, DIGEST_SHA224, 1, VERDICT_PASS},
		{"SHA-1", 0, false, DIGEST_SHA1, 1, VERDICT_POLICY},
		{"MD5, no attributes", CMS_NOATTR, false, DIGEST_MD5, 1, VERDICT_POLICY},
		{"PSS with the largest salt", 0, true, DIGEST_SHA256, 1, VERDICT_PASS},
		{"PSS, no attributes", CMS_NOATTR, true, DIGEST_SHA512, 1, VERDICT_PASS},
		{"two signers", 0, false, DIGEST_SHA256, 2, VERDICT_PASS},
		{"three signers", CMS_NOATTR, false, DIGEST_SHA384, 3, VERDICT_PASS},
		{"no certificate", CMS_NOCERTS, false, DIGEST_SHA256, 1, VERDICT_PERMERROR},
	};
	const struct person *people[] = {&rsa, &p256, &p384};
	unsigned char *data = sample(20000);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf cms = BUF_INIT(0), out = BUF_INIT(0);
		struct verdict v;
		size_t n = (size_t)cases[i].signers;

		openssl_signs(people, n, digest_evp(cases[i].digest), cases[i].flags | CMS_DETACHED,
			cases[i].pss, data, 20000, &cms);
		MUST(verify(cms.data, cms.len, data, 20000, NULL, &v, &must));
		check_verdict(cases[i].name, &v, cases[i].want);
		MUST(verify(cms.data, cms.len, data, 19999, NULL, &v, &must));
		check_verdict(cases[i].name, &v,
			cases[i].want == VERDICT_NEUTRAL ? VERDICT_FAIL : VERDICT_FAIL);
		openssl_signs(people, n, digest_evp(cases[i].digest), cases[i].flags, cases[i].pss,
			data, 20000, &cms);
		for (size_t step = 0; step < 3000; step = step * 50 + 1) {
			buf_clear(&out);
			MUST(verify_opaque(cms.data, cms.len, step, &out, &v, &must));
			CHECK_INT(cases[i].name, out.len, 20000);
			check_verdict(cases[i].name, &v, cases[i].want);
		}
		buf_fini(&cms);
		buf_fini(&out);
	}
	free(data);
}

/* The sender's address, one bad signer among good ones, certificates only, no trust. */
static void
test_verdicts(void **state)
{
	const struct person *people[] = {&rsa, &p256};
	struct buf cms = BUF_INIT(0);
	struct verdict v;

	(void)state;
	sign(&rsa, false, NULL, "text", 4, &cms);
	MUST(verify(cms.data, cms.len, "text", 4, "rsa@example.org", &v, &must));
	CHECK_INT("sender", v.sender, SENDER_MATCH);
	check_verdict("sender", &v, VERDICT_PASS);
	MUST(verify(cms.data, cms.len, "text", 4, "p256@example.org", &v, &must));
	CHECK_INT("other sender", v.sender, SENDER_MISMATCH);
	check_verdict("other sender", &v, VERDICT_FAIL);
	openssl_signs(people, 2, EVP_sha256(), CMS_DETACHED, false, "text", 4, &cms);
	MUST(verify(cms.data, cms.len, "text", 4, "p256@example.org", &v, &must));
	CHECK_INT("second signer is the sender", v.n_signers, 2);
	check_verdict("second signer is the sender", &v, VERDICT_PASS);
	cms.data[cms.len - 1] ^= 1; /* the last signature */
	MUST(verify(cms.data, cms.len, "text", 4, "p256@example.org", &v, &must));
	check_verdict("one of two is bad", &v, VERDICT_FAIL);
	buf_clear(&cms);
	{
		struct certset set = {NULL, 0};

		MUST(certset_add(&set, rsa.cert, &must));
		MUST(certset_format_p7(&set, &cms, &must));
		certset_fini(&set);
	}
	MUST(verify(cms.data, cms.len, "text", 4, NULL, &v, &must));
	CHECK_INT("certificates only", v.signature, SIGNATURE_NONE);
	check_verdict("certificates only", &v, VERDICT_NONE);
	buf_fini(&cms);
}

/* --- damage --- */

static void
test_damage(void **state)
{
	const struct person *people[] = {&rsa, &p256};
	struct buf cms[3] = {BUF_INIT(0), BUF_INIT(0), BUF_INIT(0)}, detached = BUF_INIT(0),
		   out = BUF_INIT(0);
	unsigned char *data = sample(100);
	unsigned passed = 0;
	struct verdict v;

	(void)state;
	sign(&p256, false, NULL, data, 100, &detached);
	opaque(&detached, data, 100, 0, &cms[0]);
	openssl_signs(people, 2, EVP_sha256(), 0, false, data, 100, &cms[1]);
	openssl_signs(
		people, 1, EVP_sha256(), CMS_NOATTR | CMS_USE_KEYID, true, data, 100, &cms[2]);
	for (int k = 0; k < 3; k++) {
		for (size_t i = (size_t)k; i < cms[k].len * 8; i += 7) {
			struct err err = ERR_INIT;
			enum rc rc;

			cms[k].data[i / 8] ^= (char)(1 << i % 8);
			buf_clear(&out);
			rc = verify_opaque(cms[k].data, cms[k].len, i % 2 ? 0 : 67, &out, &v, &err);
			cms[k].data[i / 8] ^= (char)(1 << i % 8);
			if (rc == RC_TEMP)
				fail_msg("bit %zu: %s %s", i, err_name(err.code), err.detail);
			if (rc == RC_OK && v.overall == VERDICT_PASS) {
				passed++;
				CHECK_INT("passed", out.len, 100);
				if (memcmp(out.data, data, 100) != 0)
					fail_msg("bit %zu: pass, with other content", i);
			}
			verdict_fini(&v);
		}
		for (size_t n = 0; n < cms[k].len; n += 1 + cms[k].len / 300) {
			CHECK_INT("cut", verify_opaque(cms[k].data, n, 0, &out, &v, NULL), RC_PERM);
			verdict_fini(&v);
		}
	}
	/* What nobody signed may change: certificates that are not the signer's, unknown bits of
	 * lengths. */
	if (passed > 1500)
		fail_msg("%u changes passed", passed);
	for (int k = 0; k < 3; k++)
		buf_fini(&cms[k]);
	buf_fini(&detached);
	buf_fini(&out);
	free(data);
}

/* Limits on counts: digests, signers. */
static void
test_limits(void **state)
{
	const struct person *people[CMS_MAX_SIGNERS + 1];
	struct buf cms = BUF_INIT(0);
	struct cms_signed *sd = NULL;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i <= CMS_MAX_SIGNERS; i++)
		people[i] = &p256;
	openssl_signs(people, CMS_MAX_SIGNERS, EVP_sha256(), CMS_DETACHED, false, "text", 4, &cms);
	MUST(cms_signed_parse(cms.data, cms.len, &sd, &must));
	CHECK_INT("signers", cms_signed_signers(sd), CMS_MAX_SIGNERS);
	cms_signed_free(&sd);
	openssl_signs(
		people, CMS_MAX_SIGNERS + 1, EVP_sha256(), CMS_DETACHED, false, "text", 4, &cms);
	assert_int_equal(cms_signed_parse(cms.data, cms.len, &sd, &err), RC_PERM);
	assert_string_equal(err_name(err.code), "cms-limit");
	buf_fini(&cms);
}

/* All signers of all layers of a message share what checking it may cost. */
static void
test_effort(void **state)
{
	const struct person *people[CMS_MAX_SIGNERS];
	struct effort effort = {0};
	const struct cms_asked asked = {.at = -1, .received = -1, .effort = &effort};
	struct hasher *hasher = NULL;
	struct buf cms = BUF_INIT(0);
	struct cms_signed *sd = NULL;
	struct verdict v;

	(void)state;
	for (int i = 0; i < CMS_MAX_SIGNERS; i++)
		people[i] = &p256;
	openssl_signs(people, CMS_MAX_SIGNERS, EVP_sha256(), CMS_DETACHED, false, "text", 4, &cms);
	MUST(cms_signed_parse(cms.data, cms.len, &sd, &must));
	hash_all("text", 4, cms_signed_digests(sd), &hasher);
	MUST(cms_signed_verify_asked(sd, hasher, trust, NULL, &asked, &v, &must));
	CHECK_INT("signatures", effort.signatures >= CMS_MAX_SIGNERS, true);
	check_verdict("sixteen signers", &v, VERDICT_PASS);
	effort.signatures = EFFORT_SIGNATURES - 3;
	MUST(cms_signed_verify_asked(sd, hasher, trust, NULL, &asked, &v, &must));
	assert_true(effort.spent);
	assert_non_null(strstr(v.reason, "too much to check"));
	check_verdict("in a message with too many others", &v, VERDICT_NEUTRAL);
	hasher_free(&hasher);
	cms_signed_free(&sd);
	buf_fini(&cms);
}

/* Every signer has to be good, and what is wrong is told of the one with whom it is wrong. */
static void
test_several_signers(void **state)
{
	struct person stranger_ca = person_make("p256", NULL, 0, NULL);
	struct person stranger =
		person_make("p256", "stranger@example.org", CERT_SIGN, &stranger_ca);
	const struct person *people[2][2] = {{&rsa, &stranger}, {&stranger, &rsa}};
	struct buf cms = BUF_INIT(0);
	struct verdict v;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct cert *about;

		openssl_signs(people[i], 2, EVP_sha256(), CMS_DETACHED, false, "text", 4, &cms);
		MUST(verify(cms.data, cms.len, "text", 4, "rsa@example.org", &v, &must));
		CHECK_STR("signature", verdict_answer(&v, VERDICT_SIGNATURE), "good");
		CHECK_STR("path", verdict_answer(&v, VERDICT_PATH), "invalid");
		CHECK_STR("sender", verdict_answer(&v, VERDICT_SENDER), "match");
		CHECK_STR("no word about the sender", verdict_text(&v, VERDICT_SENDER), "");
		about = v.found[VERDICT_PATH].cert;
		if (about != stranger.cert)
			fail_msg("the path's reason is about %s",
				about ? cert_subject(about) : "nobody");
		CHECK_STR("the reason", v.reason, verdict_text(&v, VERDICT_PATH));
		check_verdict("one is a stranger", &v, VERDICT_FAIL);
		MUST(verify(cms.data, cms.len, "else", 4, "rsa@example.org", &v, &must));
		CHECK_STR("signature", verdict_answer(&v, VERDICT_SIGNATURE), "bad");
		check_verdict("other content", &v, VERDICT_FAIL);
		buf_clear(&cms);
	}
	buf_fini(&cms);
	person_fini(&stranger);
	person_fini(&stranger_ca);
}

/* Each signer's revocation is judged by the rule of that one's anchor. The order of signers in a
 * SET OF is not theirs to choose, so it is the anchors that change places. */
static void
test_signers_of_two_anchors(void **state)
{
	struct trust_options options = {.min_rsa = 2048, .revocation = REVOKE_IF_KNOWN},
			     strict = {.own_revocation = true, .revocation = REVOKE_REQUIRED};
	struct person second_ca = person_make("p256", NULL, 0, NULL);
	struct person second = person_make("p256", "second@example.org", CERT_SIGN, &second_ca);
	const struct person *people[] = {&rsa, &second};
	struct trust *usual = trust;
	struct buf cms = BUF_INIT(0);
	struct verdict v;

	(void)state;
	openssl_signs(people, 2, EVP_sha256(), CMS_DETACHED, false, "text", 4, &cms);
	for (int i = 0; i < 2; i++) {
		MUST(trust_new(&options, &trust, &must));
		MUST(trust_add_anchor_with(trust, ca.cert, NULL, 0, i ? NULL : &strict, &must));
		MUST(trust_add_anchor_with(
			trust, second_ca.cert, NULL, 0, i ? &strict : NULL, &must));
		MUST(verify(cms.data, cms.len, "text", 4, NULL, &v, &must));
		CHECK_STR("revocation", verdict_answer(&v, VERDICT_REVOCATION), "unknown");
		check_verdict(
			i ? "the second is strict" : "the first is strict", &v, VERDICT_POLICY);
		trust_unref(&trust);
	}
	trust = usual;
	buf_fini(&cms);
	person_fini(&second);
	person_fini(&second_ca);
}

/* SHA-1 counts where an anchor takes it for signatures of long ago. */
static void
test_old_hashes(void **state)
{
	static const struct {
		int64_t until;
		const EVP_MD *(*md)(void);
		enum verdict_overall want;
	} cases[] = {
		{0, EVP_sha1, VERDICT_POLICY},
		{1000000000, EVP_sha1, VERDICT_POLICY}, /* OpenSSL signs by the real clock */
		{NOW + 1, EVP_sha1, VERDICT_PASS},
		{NOW + 1, EVP_md5, VERDICT_POLICY},
	};
	const struct person *people[] = {&rsa};
	struct trust *usual = trust;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trust_options options = {.min_rsa = 2048},
				     rules = {.sha1_until = cases[i].until};
		struct buf cms = BUF_INIT(0);
		struct verdict v;

		MUST(trust_new(&options, &trust, &must));
		MUST(trust_add_anchor_with(trust, ca.cert, NULL, 0, &rules, &must));
		openssl_signs(people, 1, cases[i].md(), CMS_DETACHED, false, "text", 4, &cms);
		MUST(verify(cms.data, cms.len, "text", 4, NULL, &v, &must));
		if (cases[i].want == VERDICT_POLICY && !strstr(v.reason, "weak algorithm or key"))
			fail_msg("%s", v.reason);
		check_verdict("old hash", &v, cases[i].want);
		trust_unref(&trust);
		buf_fini(&cms);
	}
	trust = usual;
}

/* 11 KB of a signature that announces a thousand digests. */
static void
test_many_digests(void **state)
{
	static const unsigned char head[] = {0x30, 0x82, 0x2b, 0x21, 0x06, 0x09, 0x2a, 0x86, 0x48,
		0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x82, 0x2b, 0x12, 0x30, 0x82, 0x2b, 0x0e,
		0x02, 0x01, 0x01, 0x31, 0x82, 0x2a, 0xf8};
	static const unsigned char sha1[] = {
		0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00};
	static const unsigned char tail[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
		0x0d, 0x01, 0x07, 0x01, 0x31, 0x00};
	struct buf der = BUF_INIT(0);
	struct cms_signed *sd;
	struct err err = ERR_INIT;
	int i;

	(void)state;
	MUST(buf_append(&der, head, sizeof head, &must));
	for (i = 0; i < 1000; i++)
		MUST(buf_append(&der, sha1, sizeof sha1, &must));
	MUST(buf_append(&der, tail, sizeof tail, &must));
	CHECK_INT("parsed", cms_signed_parse(der.data, der.len, &sd, &err), RC_PERM);
	assert_string_equal(err_name(err.code), "cms-limit");
	if (!strstr(err.detail, "digest algorithms"))
		fail_msg("%s", err.detail);
	buf_fini(&der);
}

/* 20 MB through writer and reader in one chain. */
static void
run_chain(size_t chunks)
{
	static const unsigned char chunk[65536];
	struct hasher *hasher = NULL;
	struct cms_signed_reader *r = NULL;
	struct cms_opaque *o = NULL;
	struct cms_signed *sd = NULL;
	const struct hasher *read;
	struct buf der = BUF_INIT(0);
	struct sink sink;
	struct cms_sign_request request = {.digest = DIGEST_SHA256, .signing_time = -1};
	struct verdict v;

	MUST(hasher_new(1u << DIGEST_SHA256, &hasher, &must));
	sink = hasher_sink(hasher);
	for (size_t i = 0; i < chunks; i++)
		MUST(sink_feed(&sink, chunk, sizeof chunk, &must));
	MUST(sink_finish(&sink, &must));
	request.value = hasher_value(hasher, DIGEST_SHA256);
	MUST(cms_sign_digest(p256.key, p256.cert, NULL, &request, &der, &must));
	sink = sink_null();
	MUST(cms_signed_reader_new(&sink, &r, &must));
	sink = cms_signed_reader_sink(r);
	MUST(cms_opaque_new(der.data, der.len, chunks * sizeof chunk, &sink, &o, &must));
	sink = cms_opaque_sink(o);
	for (size_t i = 0; i < chunks; i++)
		MUST(sink_feed(&sink, chunk, sizeof chunk, &must));
	MUST(sink_finish(&sink, &must));
	MUST(cms_signed_reader_take(r, &sd, &read, &must));
	MUST(cms_signed_verify(sd, read, trust, NULL, NULL, -1, &v, &must));
	check_verdict("chain", &v, VERDICT_PASS);
	cms_signed_free(&sd);
	cms_signed_reader_free(&r);
	cms_opaque_free(&o);
	hasher_free(&hasher);
	buf_fini(&der);
}

static void
test_memory(void **state)
{
	long before, after;

	(void)state;
	run_chain(16);
	before = peak_kb();
	run_chain(320);
	after = peak_kb();
	if (MEMORY_MEANS_SOMETHING && after - before > 512)
		fail_msg("peak memory grew by %ld KB", after - before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_sign_refusals),
		cmocka_unit_test(test_signer),
		cmocka_unit_test(test_restricted_pss),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_openssl_signs),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_digests),
		cmocka_unit_test(test_effort),
		cmocka_unit_test(test_several_signers),
		cmocka_unit_test(test_signers_of_two_anchors),
		cmocka_unit_test(test_old_hashes),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
