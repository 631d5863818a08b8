/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/p12.h"

#include "crypto/openssl_glue.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/pkcs12.h>
#include <openssl/provider.h>

struct made {
	EVP_PKEY *key;
	X509 *cert, *ca;
};

static struct made
make(void)
{
	struct made m = {.key = pki_p256()};
	EVP_PKEY *ca_key = pki_p256();

	m.ca = pki_x509(&(struct pki_spec){.name = "CA", .key = ca_key});
	m.cert = pki_x509(&(struct pki_spec){
		.name = "Alice", .key = m.key, .issuer = m.ca, .issuer_key = ca_key});
	EVP_PKEY_free(ca_key);
	return m;
}

static void
unmake(struct made *m)
{
	EVP_PKEY_free(m->key);
	X509_free(m->cert);
	X509_free(m->ca);
}

/* PKCS12_create with the algorithms given; 0: OpenSSL's own (PBES2); -1: no encryption. */
static unsigned char *
make_p12(const struct made *m, const char *password, int key_nid, int cert_nid, int iterations,
	int mac, int *len)
{
	OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
	STACK_OF(X509) *others = sk_X509_new_null();
	unsigned char *der = NULL;
	PKCS12 *p12;
	OSSL_PROVIDER *provider = OSSL_PROVIDER_load(ctx, "default");
	OSSL_PROVIDER *old = OSSL_PROVIDER_load(ctx, "legacy");

	assert_non_null(provider);
	assert_true(sk_X509_push(others, m->ca));
	p12 = PKCS12_create_ex(password, "alice", m->key, m->cert, others, key_nid, cert_nid,
		iterations, mac, 0, ctx, NULL);
	sk_X509_free(others);
	*len = p12 ? i2d_PKCS12(p12, &der) : 0;
	PKCS12_free(p12);
	OSSL_PROVIDER_unload(old);
	OSSL_PROVIDER_unload(provider);
	OSSL_LIB_CTX_free(ctx);
	return der;
}

static enum rc
parse(const void *data, size_t len, const char *password, struct p12 *out, struct err *err)
{
	void *copy = exact(data, len);
	struct secret *secret = NULL;
	enum rc rc;

	*err = (struct err)ERR_INIT;
	if (password)
		assert_int_equal(secret_copy(password, strlen(password), &secret, NULL), RC_OK);
	rc = p12_parse(copy, len, secret, out, err);
	secret_free(&secret);
	free(copy);
	return rc;
}

static void
every_kind_of_pkcs12(void **state)
{
	static const struct {
		const char *name, *made_with, *given;
		int key_nid, cert_nid, mac;
		bool ok;
	} cases[] = {
		{"PBES2", "secret", "secret", 0, 0, 0, true},
		{"wrong password", "secret", "Secret", 0, 0, 0, false},
		{"no password given", "secret", NULL, 0, 0, 0, false},
		{"empty password, none given", "", NULL, 0, 0, 0, true},
		{"empty password, empty given", "", "", 0, 0, 0, true},
		{"no password at all", NULL, NULL, 0, 0, 0, true},
		{"UTF-8 password", "p\xc3\xa4ss", "p\xc3\xa4ss", 0, 0, 0, true},
		{"bytes taken for characters", "p\xc3\x83\xc2\xa4ss", "p\xc3\xa4ss", 0, 0, 0, true},
		{"another letter", "p\xc3\xa4ss", "p\xc3\xb6ss", 0, 0, 0, false},
		{"3DES and RC2-40", "secret", "secret", NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
			NID_pbe_WithSHA1And40BitRC2_CBC, 0, true},
		{"3DES and RC2-40, UTF-8", "p\xc3\xa4ss", "p\xc3\xa4ss",
			NID_pbe_WithSHA1And3_Key_TripleDES_CBC, NID_pbe_WithSHA1And40BitRC2_CBC, 0,
			true},
		{"3DES, wrong password", "secret", "secreT", NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
			NID_pbe_WithSHA1And40BitRC2_CBC, 0, false},
		{"no MAC", "secret", "secret", 0, 0, -1, true},
		{"no MAC, wrong password", "secret", "wrong", 0, 0, -1, false},
		{"nothing encrypted", "secret", "secret", -1, -1, 0, true},
	};
	struct made m = make();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int len;
		unsigned char *der = make_p12(&m, cases[i].made_with, cases[i].key_nid,
			cases[i].cert_nid, 0, cases[i].mac, &len);
		struct p12 p12;
		struct err err;
		enum rc rc;

		if (!der) { /* no legacy provider on this machine */
			assert_true(cases[i].key_nid > 0);
			continue;
		}
		rc = parse(der, (size_t)len, cases[i].given, &p12, &err);
		if (cases[i].ok && rc != RC_OK)
			fail_msg("%s: %s", cases[i].name, err.detail);
		if (cases[i].ok) {
			CHECK_INT(cases[i].name, p12.n, 1);
			CHECK_INT(
				cases[i].name, EVP_PKEY_eq(pkey_evp(p12.items[0].pkey), m.key), 1);
			CHECK_STR(cases[i].name, cert_subject(p12.items[0].cert), "CN=Alice");
			CHECK_INT(cases[i].name, p12.others.n, 1);
			CHECK_STR(cases[i].name, cert_subject(p12.others.v[0]), "CN=CA");
		} else {
			CHECK_INT(cases[i].name, rc, RC_PERM);
			CHECK_INT(cases[i].name, err.code, ERR_KEY_PASSWORD);
			assert_non_null(strstr(err.detail, "password"));
			CHECK_INT(cases[i].name, p12.n, 0);
		}
		p12_fini(&p12);
		OPENSSL_free(der);
	}
	unmake(&m);
}

/* PEM in its forms: PKCS#8, encrypted PKCS#8, the old "RSA PRIVATE KEY" with and without DEK-Info.
 */
static void
every_kind_of_pem(void **state)
{
	static const struct {
		const char *name;
		bool traditional, encrypted;
		const char *given;
		bool ok;
	} cases[] = {
		{"PKCS#8", false, false, NULL, true},
		{"PKCS#8 encrypted", false, true, "secret", true},
		{"PKCS#8 wrong", false, true, "wrong", false},
		{"PKCS#8 none", false, true, NULL, false},
		{"traditional", true, false, NULL, true},
		{"traditional encrypted", true, true, "secret", true},
		{"traditional wrong", true, true, "wrong", false},
		{"traditional none", true, true, NULL, false},
	};
	struct made m = make();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const EVP_CIPHER *cipher = cases[i].encrypted ? EVP_aes_256_cbc() : NULL;
		BIO *bio = BIO_new(BIO_s_mem());
		struct p12 p12;
		struct err err;
		char *text;
		long len;
		enum rc rc;

		PEM_write_bio_X509(bio, m.ca);
		if (cases[i].traditional)
			assert_true(PEM_write_bio_PrivateKey_traditional(bio, m.key, cipher,
				(const unsigned char *)"secret", 6, NULL, NULL));
		else
			assert_true(PEM_write_bio_PKCS8PrivateKey(
				bio, m.key, cipher, "secret", 6, NULL, NULL));
		PEM_write_bio_X509(bio, m.cert);
		len = BIO_get_mem_data(bio, &text);
		rc = parse(text, (size_t)len, cases[i].given, &p12, &err);
		if (cases[i].ok && rc != RC_OK)
			fail_msg("%s: %s", cases[i].name, err.detail);
		CHECK_INT(cases[i].name, rc, cases[i].ok ? RC_OK : RC_PERM);
		if (cases[i].ok) {
			CHECK_STR(cases[i].name, cert_subject(p12.items[0].cert), "CN=Alice");
			CHECK_INT(cases[i].name, p12.others.n, 1);
		}
		p12_fini(&p12);
		BIO_free(bio);
	}
	unmake(&m);
}

static void
bad_files_are_refused(void **state)
{
	struct made m = make();
	struct p12 p12;
	struct err err;
	int len, i;
	unsigned char *der =
		make_p12(&m, "secret", -1, -1, 0, -1, &len); /* nothing slows the loop down */
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	(void)state;
	CHECK_INT("words", parse("hello", 5, "x", &p12, &err), RC_PERM);
	CHECK_INT("nothing", parse("", 0, NULL, &p12, &err), RC_PERM);
	PEM_write_bio_X509(bio, m.cert);
	i = (int)BIO_get_mem_data(bio, &text);
	CHECK_INT("no key", parse(text, (size_t)i, NULL, &p12, &err), RC_PERM);
	assert_non_null(strstr(err.detail, "no private key"));
	for (i = 0; i < len; i++)
		CHECK_INT("cut", parse(der, (size_t)i, "secret", &p12, &err), RC_PERM);
	for (i = 0; i < len * 8; i += 7) { /* bit flips: any outcome but a crash */
		unsigned char *copy = exact(der, (size_t)len);

		copy[i / 8] ^= (unsigned char)(1u << i % 8);
		(void)parse(copy, (size_t)len, "secret", &p12, &err);
		p12_fini(&p12);
		free(copy);
	}
	BIO_free(bio);
	OPENSSL_free(der);
	unmake(&m);
}

/* A file that would keep us busy for a long time. */
static void
iterations_are_limited(void **state)
{
	static const unsigned char iterations[] = {0x02, 0x03, 0x01, 0x11, 0x70}; /* 70000 */
	static const int kinds[] = {0, NID_pbe_WithSHA1And3_Key_TripleDES_CBC};
	struct made m = make();
	size_t i, n;

	(void)state;
	for (i = 0; i < 2; i++) {
		int len;
		unsigned char *der = make_p12(&m, "secret", kinds[i], kinds[i], 70000, -1, &len),
			      *at;
		struct p12 p12;
		struct err err;

		for (n = 0, at = der; (at = memmem(at, (size_t)(der + len - at), iterations, 5));
			n++)
			memcpy(at + 2, "\x7f\xff\xff", 3); /* 8 million */
		assert_true(n > 0);
		CHECK_INT("refused", parse(der, (size_t)len, "secret", &p12, &err), RC_PERM);
		CHECK_INT("refused", err.code, ERR_LIMIT);
		OPENSSL_free(der);
	}
	unmake(&m);
}

static void
rfc9216_and_pkits(void **state)
{
	static const struct {
		const char *file, *password;
		size_t keys;
	} cases[] = {
		{"rfc9216/PKCS-12-Object-for-Alice.p12", "alice", 2},
		{"rfc9216/PKCS-12-Object-for-Bob.p12", "bob", 2},
		{"rfc9216/PKCS-12-Object-for-Carlos.p12", "carlos", 2},
		{"rfc9216/PKCS-12-Object-for-Dana.p12", "dana", 2},
		{"rfc9216/PKCS-12-Object-for-Alice.p12.pem", "alice", 2},
		{"protected-headers/bob.p12", "bob", 1},
		{"pkits/pkcs12/ValidCertificatePathTest1EE.p12", "password", 1},
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf file = BUF_INIT(0);
		struct p12 p12 = {0};
		struct err err;

		if (!pki_corpus(cases[i].file, &file)) {
			buf_fini(&file);
			skip();
		}
		if (parse(file.data, file.len, cases[i].password, &p12, &err) != RC_OK)
			fail_msg("%s: %s", cases[i].file, err.detail);
		CHECK_INT(cases[i].file, p12.n, cases[i].keys);
		for (k = 0; k < p12.n; k++)
			assert_non_null(p12.items[k].cert);
		p12_fini(&p12);
		buf_fini(&file);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_pkcs12),
		cmocka_unit_test(every_kind_of_pem),
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(iterations_are_limited),
		cmocka_unit_test(rfc9216_and_pkits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
