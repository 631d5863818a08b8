/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other people's CMS: the examples of RFC 4134, keys of RFC 9216, and messages of OpenSSL's tests
 * that must fail. Skipped where the corpora are not at hand (environment variable
 * SEALGATE_CORPORA).
 */
#include "tests/unit/crypto/people.h"

#include "crypto/cms_envelope.h"
#include "crypto/cms_sign.h"
#include "crypto/cms_verify.h"
#include "crypto/der.h"

#include <openssl/pem.h>

static const char content[] = "This is some sample content.";

/* --- files --- */

static bool
corpus(const char *name, struct buf *out)
{
	const char *dir = getenv("SEALGATE_CORPORA");
	char path[1024], block[4096];
	FILE *f;
	size_t n;

	buf_clear(out);
	(void)snprintf(
		path, sizeof path, "%s/%s", dir && *dir ? dir : SRCDIR "/../shared/corpora", name);
	f = fopen(path, "rb");
	if (!f)
		return false;
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		MUST(buf_append(out, block, n, &must));
	(void)fclose(f);
	return true;
}

/* What stands between the lines of PEM, when it is PEM. */
static void
unpem(struct buf *b)
{
	BIO *in = BIO_new_mem_buf(b->data, (int)b->len);
	char *name, *header;
	unsigned char *data;
	long len;

	if (PEM_read_bio(in, &name, &header, &data, &len) == 1) {
		buf_clear(b);
		MUST(buf_append(b, data, (size_t)len, &must));
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	BIO_free(in);
	ossl_clear();
}

static struct pkey *
load_key(const char *name)
{
	struct buf b = BUF_INIT(0);
	struct pkey *key = NULL;
	BIO *in;
	EVP_PKEY *evp;
	PKCS8_PRIV_KEY_INFO *p8;
	unsigned char *der = NULL;
	int n;

	assert_true(corpus(name, &b));
	in = BIO_new_mem_buf(b.data, (int)b.len);
	evp = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	assert_non_null(evp);
	p8 = EVP_PKEY2PKCS8(evp);
	n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
	MUST(pkey_parse(der, (size_t)n, KEY_OTHER, &key, &must));
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(p8);
	EVP_PKEY_free(evp);
	BIO_free(in);
	buf_fini(&b);
	return key;
}

static struct cert *
load_cert(const char *name)
{
	struct buf b = BUF_INIT(0);
	struct certset set = {NULL, 0};
	struct cert *cert;

	assert_true(corpus(name, &b));
	MUST(certset_parse(b.data, b.len, &set, &must));
	cert = cert_ref(set.v[0]);
	certset_fini(&set);
	buf_fini(&b);
	return cert;
}

/* --- signed --- */

/* The verdict on a SignedData, with the content in it or beside it. */
static enum rc
verify(const struct buf *cms, const struct buf *detached, const struct certset *extra,
	struct buf *out, struct verdict *v, struct err *err)
{
	struct cms_signed_reader *r = NULL;
	struct cms_signed *sd = NULL;
	const struct hasher *hasher = NULL;
	struct hasher *own = NULL;
	struct sink sink = sink_to_buf(out);
	enum rc rc;

	verdict_init(v);
	buf_clear(out);
	if (detached) {
		rc = cms_signed_parse(cms->data, cms->len, &sd, err);
		if (rc == RC_OK) {
			MUST(hasher_new(cms_signed_digests(sd), &own, &must));
			sink = hasher_sink(own);
			MUST(feed_steps(&sink, detached->data, detached->len, 0, &must));
			hasher = own;
		}
	} else {
		MUST(cms_signed_reader_new(&sink, &r, &must));
		sink = cms_signed_reader_sink(r);
		rc = feed_steps(&sink, cms->data, cms->len, 0, err);
		if (rc == RC_OK)
			rc = cms_signed_reader_take(r, &sd, &hasher, err);
	}
	if (rc == RC_OK)
		rc = cms_signed_verify(sd, hasher, NULL, extra, NULL, -1, v, err);
	hasher_free(&own);
	cms_signed_free(&sd);
	cms_signed_reader_free(&r);
	return rc;
}

static void
test_rfc4134_signed(void **state)
{
	static const struct {
		const char *name;
		enum verdict_signature want;
		bool either; /* Diane's DSA parameters are inherited, which OpenSSL can't do */
	} cases[] = {
		{"4.1", SIGNATURE_GOOD, false},
		{"4.2", SIGNATURE_GOOD, false},
		{"4.4", SIGNATURE_GOOD, false},
		{"4.5", SIGNATURE_GOOD, false},
		{"4.6", SIGNATURE_GOOD, true},
		{"4.7", SIGNATURE_GOOD, false},
		{"4.10", SIGNATURE_GOOD, false},
	};
	struct buf b = BUF_INIT(0), out = BUF_INIT(0), text = BUF_INIT(0);
	struct certset extra = {NULL, 0};
	struct verdict v;
	struct cert *alice;

	(void)state;
	if (!corpus("rfc4134/4.1.bin", &b))
		skip();
	alice = load_cert("rfc4134/AliceDSSSignByCarlNoInherit.cer");
	MUST(certset_add(&extra, alice, &must));
	cert_unref(&alice);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char name[64], *at;

		(void)snprintf(name, sizeof name, "rfc4134/%s.bin", cases[i].name);
		assert_true(corpus(name, &b));
		MUST(verify(&b, NULL, &extra, &out, &v, &must));
		if (v.signature != cases[i].want && !cases[i].either)
			fail_msg("%s: %s, %s", name, verdict_signature_name(v.signature), v.reason);
		CHECK_INT(name, v.strength, STRENGTH_WEAK);
		CHECK_STR(name, buf_text(&out), content);
		verdict_fini(&v);
		/* One changed byte of the content, and it does not hold. */
		at = memmem(b.data, b.len, "This", 4);
		assert_non_null(at);
		*at ^= 1;
		MUST(verify(&b, NULL, &extra, &out, &v, &must));
		CHECK_INT(name, v.signature, cases[i].either ? v.signature : SIGNATURE_BAD);
		CHECK_INT(name, v.signature != SIGNATURE_GOOD, 1);
		verdict_fini(&v);
	}
	assert_true(corpus("rfc4134/4.3.bin", &b));
	assert_true(corpus("rfc4134/ExContent.bin", &text));
	MUST(verify(&b, &text, &extra, &out, &v, &must));
	CHECK_STR("4.3", verdict_signature_name(v.signature), "good");
	verdict_fini(&v);
	buf_clear(&text);
	MUST(verify(&b, &text, &extra, &out, &v, &must));
	CHECK_STR("4.3 without content", verdict_signature_name(v.signature), "bad");
	verdict_fini(&v);
	assert_true(corpus("rfc4134/4.11.bin", &b));
	MUST(verify(&b, &text, NULL, &out, &v, &must));
	CHECK_STR("4.11", verdict_overall_name(v.overall), "none");
	verdict_fini(&v);
	certset_fini(&extra);
	buf_fini(&b);
	buf_fini(&out);
	buf_fini(&text);
}

/* Types that are neither signed nor enveloped. */
static void
test_rfc4134_others(void **state)
{
	static const char *const names[] = {
		"rfc4134/6.0.bin", "rfc4134/7.1.bin", "rfc4134/7.2.bin"};
	struct buf b = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct cms_header_reader *r = NULL;
		struct err err = ERR_INIT;
		struct verdict v;
		struct sink sink;

		if (!corpus(names[i], &b))
			skip();
		assert_int_equal(verify(&b, NULL, NULL, &out, &v, &err), RC_PERM);
		CHECK_STR(names[i], err_name(err.code), "cms-unsupported");
		MUST(cms_header_reader_new(&r, &must));
		sink = cms_header_reader_sink(r);
		MUST(feed_steps(&sink, b.data, b.len, 0, &must));
		CHECK_INT(names[i], cms_header_kind(r), CMS_OTHER);
		cms_header_reader_free(&r);
	}
	buf_fini(&b);
	buf_fini(&out);
}

/* --- enveloped --- */

/* Opens for KEY whatever recipient it may be: every one is tried. RC_OK as soon as one worked. */
static enum rc
open_any(const struct buf *cms, const struct pkey *key, struct buf *out, struct err *err)
{
	struct cms_header_reader *r = NULL;
	struct cms_enveloped *e = NULL;
	struct secret *fallback = NULL;
	struct sink sink;
	enum rc rc;

	MUST(secret_random(32, &fallback, &must));
	MUST(cms_header_reader_new(&r, &must));
	sink = cms_header_reader_sink(r);
	rc = feed_steps(&sink, cms->data, cms->len, 0, err);
	if (rc == RC_OK)
		rc = cms_header_take(r, &e, err);
	for (size_t i = 0; e && i < e->n; i++) {
		struct rinfo *ri = &e->rinfos[i];
		struct cms_decryptor *d = NULL;
		struct secret *cek = NULL;

		rc = rinfo_open(
			ri->der, ri->der_len, ri->index, e->cipher, key, fallback, &cek, err);
		if (rc == RC_OK) {
			buf_clear(out);
			sink = sink_to_buf(out);
			MUST(cms_decryptor_new(cek, &sink, &d, &must));
			sink = cms_decryptor_sink(d);
			rc = feed_steps(&sink, cms->data, cms->len, 0, err);
			cms_decryptor_free(&d);
		}
		secret_free(&cek);
		if (rc == RC_OK)
			break;
	}
	cms_enveloped_free(&e);
	cms_header_reader_free(&r);
	secret_free(&fallback);
	return rc;
}

static void
test_rfc4134_enveloped(void **state)
{
	struct buf b = BUF_INIT(0), out = BUF_INIT(0);
	struct pkey *bob;
	struct err err = ERR_INIT;

	(void)state;
	if (!corpus("rfc4134/5.1.bin", &b))
		skip();
	bob = load_key("rfc4134/BobPrivRSAEncrypt.pem");
	MUST(open_any(&b, bob, &out, &must));
	CHECK_STR("5.1", buf_text(&out), content);
	assert_true(corpus("rfc4134/5.2.bin", &b));
	assert_int_equal(open_any(&b, bob, &out, &err), RC_PERM);
	CHECK_STR("5.2", err_name(err.code), "cms-unsupported"); /* RC2 */
	pkey_unref(&bob);
	buf_fini(&b);
	buf_fini(&out);
}

/* OpenSSL's example of authAttrs is for a symmetric key: unwrapped here, then through our
 * decryptor. */
static void
test_auth_attrs(void **state)
{
	static const unsigned char kek[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	static const char *const names[] = {"openssl-data/80-test_cms_data/authenveloped_attrs.pem",
		"openssl-data/80-test_cms_data/bad_authenveloped_attrs.pem"};
	struct buf b = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	for (int i = 0; i < 2; i++) {
		EVP_CIPHER_CTX *ctx;
		struct cms_decryptor *d = NULL;
		struct secret *cek = NULL;
		unsigned char key[32], *wrapped;
		struct sink sink = sink_to_buf(&out);
		int n;

		if (!corpus(names[i], &b))
			skip();
		ctx = EVP_CIPHER_CTX_new();
		unpem(&b);
		wrapped = (unsigned char *)b.data + 51; /* as dumpasn1 shows it */
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
		assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_128_wrap(), NULL, kek, NULL), 1);
		assert_int_equal(EVP_DecryptUpdate(ctx, key, &n, wrapped, 24), 1);
		EVP_CIPHER_CTX_free(ctx);
		MUST(secret_copy(key, 16, &cek, &must));
		buf_clear(&out);
		MUST(cms_decryptor_new(cek, &sink, &d, &must));
		sink = cms_decryptor_sink(d);
		CHECK_INT(names[i], feed_steps(&sink, b.data, b.len, 1, NULL),
			i == 0 ? RC_OK : RC_PERM);
		if (i == 0)
			CHECK_STR(names[i], buf_text(&out), "Hello AuthEnvelopedData world\n");
		cms_decryptor_free(&d);
		secret_free(&cek);
	}
	buf_fini(&b);
	buf_fini(&out);
}

/* --- what must fail --- */

static void
test_negative(void **state)
{
	static const struct {
		const char *name, *key;
	} cases[] = {
		{"80-test_cms_data/bad_signtime_attr.cms", NULL},
		{"80-test_cms_data/no_ct_attr.cms", NULL},
		{"80-test_cms_data/no_md_attr.cms", NULL},
		{"80-test_cms_data/ct_multiple_attr.cms", NULL},
		{"80-test_cms_data/pkcs7-md4.pem", NULL},
		{"25-test_pkcs7_data/malformed.pkcs7", NULL},
		{"80-test_cms_data/rsa-malformed.der", "smime-certs/smrsa1.pem"},
		{"80-test_cms_data/ecdh-malformed.der", "80-test_cms_data/ecdh-key.pem"},
		{"80-test_cms_data/dh-malformed.der", "smime-certs/smrsa1.pem"},
		{"cms-msg/missing-kdf.der", "smime-certs/smec1.pem"},
		{"cms-msg/enveloped-content-type-for-aes-gcm.pem", "smime-certs/smrsa1.pem"},
		{"80-test_cmsapi_data/encDataWithTooLongIV.pem", "smime-certs/smrsa1.pem"},
		{"80-test_cmsapi_data/cms_pwri_kek_oob.der", "smime-certs/smrsa1.pem"},
		{"80-test_cmsapi_data/encryptedData.der", "smime-certs/smrsa1.pem"},
	};
	struct buf b = BUF_INIT(0), out = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char name[200];
		struct verdict v;
		enum rc rc;

		(void)snprintf(name, sizeof name, "openssl-data/%s", cases[i].name);
		if (!corpus(name, &b))
			skip();
		unpem(&b);
		rc = verify(&b, NULL, NULL, &out, &v, NULL);
		if (rc != RC_PERM && (rc != RC_OK || v.signature == SIGNATURE_GOOD))
			fail_msg("%s: outcome %d, signature %s", name, rc,
				verdict_signature_name(v.signature));
		verdict_fini(&v);
		if (cases[i].key) {
			struct pkey *key;

			(void)snprintf(name, sizeof name, "openssl-data/%s", cases[i].key);
			key = load_key(name);
			CHECK_INT(cases[i].name, open_any(&b, key, &out, NULL), RC_PERM);
			pkey_unref(&key);
		}
	}
	buf_fini(&b);
	buf_fini(&out);
}

/* --- RFC 9216: separate certificates, Ed25519 --- */

static void
test_rfc9216(void **state)
{
	static const char *const people[] = {"Alice", "Bob", "Carlos", "Dana"};
	struct buf der = BUF_INIT(0), b = BUF_INIT(0), out = BUF_INIT(0), text = BUF_INIT(0);

	(void)state;
	if (!corpus("rfc9216/Alice-s-Signing-Private-Key-Material.key", &b))
		skip();
	MUST(buf_append(&text, content, 28, &must));
	for (int i = 0; i < 4; i++) {
		char name[100];
		struct pkey *key;
		struct cert *cert, *encrypt_cert;
		unsigned char value[DIGEST_MAX_SIZE];
		struct cms_sign_request request = {.value = value, .signing_time = clock_now()};
		struct verdict v;

		(void)snprintf(name, sizeof name, "rfc9216/%s-s-Signing-Private-Key-Material.key",
			people[i]);
		key = load_key(name);
		(void)snprintf(name, sizeof name,
			"rfc9216/%s-s-Signature-Verification-End-Entity-Certificate.crt",
			people[i]);
		cert = load_cert(name);
		(void)snprintf(name, sizeof name,
			"rfc9216/%s-s-Encryption-End-Entity-Certificate.crt", people[i]);
		encrypt_cert = load_cert(name);
		request.encrypt_cert = encrypt_cert;
		request.digest = cms_sign_digest_for(cert);
		CHECK_STR(people[i], digest_name(request.digest), i < 2 ? "sha256" : "sha512");
		MUST(digest_bytes(request.digest, content, 28, value, &must));
		buf_clear(&der);
		MUST(cms_sign_digest(key, cert, NULL, &request, &der, &must));
		MUST(verify(&der, &text, NULL, &out, &v, &must));
		CHECK_STR(people[i], verdict_signature_name(v.signature), "good");
		CHECK_STR(people[i], verdict_strength_name(v.strength), "ok");
		verdict_fini(&v);
		der.data[der.len - 1] ^= 1;
		MUST(verify(&der, &text, NULL, &out, &v, &must));
		CHECK_STR(people[i], verdict_signature_name(v.signature), "bad");
		verdict_fini(&v);
		cert_unref(&cert);
		cert_unref(&encrypt_cert);
		pkey_unref(&key);
	}
	buf_fini(&der);
	buf_fini(&b);
	buf_fini(&out);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc4134_signed),
		cmocka_unit_test(test_rfc4134_others),
		cmocka_unit_test(test_rfc4134_enveloped),
		cmocka_unit_test(test_auth_attrs),
		cmocka_unit_test(test_negative),
		cmocka_unit_test(test_rfc9216),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
