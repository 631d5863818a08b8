/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/p12.h"

#include "crypto/openssl_glue.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
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

/* The number of iterations in DER is changed everywhere: 70000 becomes 2^31 - 1, with one byte
 * more. */
static void
billions_are_refused_at_once(void **state)
{
	static const unsigned char asked[] = {0x02, 0x03, 0x01, 0x11, 0x70}; /* 70000 */
	struct made m = make();
	int len;
	unsigned char *der = make_p12(&m, "secret", 0, 0, 70000, 70000, &len), *at;
	struct p12 p12;
	struct err err;

	(void)state;
	/* In the MAC, which comes last in the file, the length of its sequence grows as well; so
	 * the salt in front of it gives a byte away. */
	for (at = der + len - 5; at > der && memcmp(at, asked, 5) != 0; at--)
		;
	assert_true(at > der && at[-10] == 0x04 && at[-9] == 8);
	at[-9] = 7;
	memcpy(at - 1, "\x02\x04\x7f\xff\xff\xff", 6);
	CHECK_INT("refused", parse(der, (size_t)len, "secret", &p12, &err), RC_PERM);
	CHECK_INT("refused", err.code, ERR_LIMIT);
	OPENSSL_free(der);
	unmake(&m);
}

/* RFC 9579: what newer programs write instead of the MAC of PKCS#12. */
static void
pbmac1(void **state)
{
	static const unsigned char head[] = {0x30, 0x6d, 0x30, 0x49, 0x06, 0x09, 0x2a, 0x86, 0x48,
		0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e, 0x30, 0x3c, 0x30, 0x2c, 0x06, 0x09, 0x2a, 0x86,
		0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c, 0x30, 0x1f, 0x04, 0x08, '1', '2', '3',
		'4', '5', '6', '7', '8', 0x02, 0x02, 0x08, 0x00, 0x02, 0x01, 0x20, 0x30, 0x0c, 0x06,
		0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09, 0x05, 0x00, 0x30, 0x0c, 0x06,
		0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09, 0x05, 0x00};
	static const char password[] = "p\xc3\xa4ss";
	struct made m = make();
	STACK_OF(PKCS7) *safes = sk_PKCS7_new_null();
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	unsigned char key[32], mac[32], *plain = NULL, out[8192], *der = NULL;
	struct p12 p12;
	struct err err;
	PKCS12 *made;
	int n, body;

	(void)state;
	assert_non_null(PKCS12_add_cert(&bags, m.cert));
	assert_non_null(
		PKCS12_add_key_ex(&bags, m.key, 0, 2048, NID_aes_256_cbc, password, NULL, NULL));
	assert_true(PKCS12_add_safe(&safes, bags, -1, 0, NULL));
	made = PKCS12_add_safes(safes, 0);
	n = ASN1_item_i2d((ASN1_VALUE *)safes, &plain, ASN1_ITEM_rptr(PKCS12_AUTHSAFES));
	assert_true(made && n > 0);
	assert_true(PKCS5_PBKDF2_HMAC(password, (int)strlen(password),
		(const unsigned char *)"12345678", 8, 2048, EVP_sha256(), 32, key));
	assert_non_null(HMAC(EVP_sha256(), key, 32, plain, (size_t)n, mac, NULL));
	body = i2d_PKCS12(made, &der);
	/* SEQUENCE { …, MacData { DigestInfo, salt, iterations } } with a length of two bytes. */
	assert_true(body > 260 && body < 6000 && der[1] == 0x82);
	memcpy(out, der, (size_t)body);
	n = body;
	out[n++] = 0x30;
	out[n++] = 0x81;
	out[n++] = 0; /* filled in */
	out[n++] = 0x30;
	out[n++] = 2 + sizeof(head) - 2 + 34 - 2 + 0;
	body = n;
	memcpy(out + n, head + 2, sizeof(head) - 2);
	n += (int)sizeof(head) - 2;
	out[n++] = 0x04;
	out[n++] = 32;
	memcpy(out + n, mac, 32);
	n += 32;
	out[body - 1] = (unsigned char)(n - body);
	memcpy(out + n, "\x04\x08NOT USED\x02\x01\x01", 13);
	n += 13;
	out[body - 3] = (unsigned char)(n - body + 2);
	out[2] = (unsigned char)((n - 4) >> 8);
	out[3] = (unsigned char)((n - 4) & 255);
	if (parse(out, (size_t)n, password, &p12, &err) != RC_OK)
		fail_msg("PBMAC1: %s", err.detail);
	CHECK_STR("PBMAC1", cert_subject(p12.items[0].cert), "CN=Alice");
	p12_fini(&p12);
	CHECK_INT("wrong", parse(out, (size_t)n, "p\xc3\xa4st", &p12, &err), RC_PERM);
	CHECK_INT("wrong", err.code, ERR_KEY_PASSWORD);
	out[n - 20] ^= 1; /* the MAC itself */
	CHECK_INT("changed", parse(out, (size_t)n, password, &p12, &err), RC_PERM);
	CHECK_INT("changed", err.code, ERR_KEY_PASSWORD);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	PKCS12_free(made);
	OPENSSL_free(plain);
	OPENSSL_free(der);
	unmake(&m);
}

/* A key in DER, and one in PEM under scrypt that asks for too much. */
static void
bare_keys(void **state)
{
	struct made m = make();
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(m.key);
	X509_SIG *sig = PKCS8_encrypt(-1, EVP_aes_256_cbc(), "secret", 6, NULL, 0, 2048, info);
	unsigned char *der[4] = {NULL};
	int len[4] = {i2d_PKCS8_PRIV_KEY_INFO(info, &der[0]), i2d_X509_SIG(sig, &der[1]),
		i2d_PrivateKey(m.key, &der[2]), i2d_X509(m.cert, &der[3])};
	struct certset none;
	struct p12 p12;
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		if (parse(der[i], (size_t)len[i], "secret", &p12, &err) != RC_OK)
			fail_msg("%d: %s", i, err.detail);
		CHECK_INT("keys", p12.n, 1);
		assert_null(p12.items[0].cert);
		p12_fini(&p12);
		assert_int_equal(p12_look(der[i], (size_t)len[i], &none, &err), RC_OK);
		certset_fini(&none);
	}
	CHECK_INT("wrong", parse(der[1], (size_t)len[1], "Secret", &p12, &err), RC_PERM);
	CHECK_INT("wrong", err.code, ERR_KEY_PASSWORD);
	CHECK_INT("a certificate", parse(der[3], (size_t)len[3], NULL, &p12, &err), RC_PERM);
	assert_non_null(strstr(err.detail, "only certificates"));
	CHECK_INT("a certificate", p12_look(der[3], (size_t)len[3], &none, &err), RC_PERM);
	for (int i = 0; i < 4; i++)
		OPENSSL_free(der[i]);
	X509_SIG_free(sig);
	PKCS8_PRIV_KEY_INFO_free(info);
	unmake(&m);
}

static void
scrypt_is_limited(void **state)
{
	static const struct {
		uint64_t n, r, p;
		bool ok;
	} cases[] = {
		{16384, 8, 1, true}, {16384, 8, 100, false}, /* time */
		{1 << 20, 8, 1, false},                      /* memory */
		{2, 1, 1 << 29, false}, /* time, in the only way that takes no memory */
	};
	struct made m = make();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		/* The parameters are written as they are asked for, without being used. */
		X509_ALGOR *alg = PKCS5_pbe2_set_scrypt(
			EVP_aes_256_cbc(), (const unsigned char *)"12345678", 8, NULL, 16384, 8, 1);
		PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(m.key);
		X509_SIG *sig = PKCS8_set0_pbe_ex("secret", 6, info, alg, NULL, NULL);
		const X509_ALGOR *outer;
		const void *value;
		PBE2PARAM *pbe2;
		SCRYPT_PARAMS *params;
		unsigned char *der = NULL;
		ASN1_OCTET_STRING *data;
		X509_ALGOR *to;
		ASN1_STRING *packed = NULL;
		struct p12 p12;
		struct err err;
		int len, type;

		assert_non_null(sig);
		X509_SIG_getm(sig, &to, &data);
		outer = to;
		X509_ALGOR_get0(NULL, &type, &value, outer);
		pbe2 = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM));
		X509_ALGOR_get0(NULL, &type, &value, pbe2->keyfunc);
		params = ASN1_item_unpack(value, ASN1_ITEM_rptr(SCRYPT_PARAMS));
		assert_true(ASN1_INTEGER_set_uint64(params->costParameter, cases[i].n) &&
			    ASN1_INTEGER_set_uint64(params->blockSize, cases[i].r) &&
			    ASN1_INTEGER_set_uint64(params->parallelizationParameter, cases[i].p));
		assert_non_null(ASN1_item_pack(params, ASN1_ITEM_rptr(SCRYPT_PARAMS), &packed));
		assert_true(X509_ALGOR_set0(
			pbe2->keyfunc, OBJ_nid2obj(NID_id_scrypt), V_ASN1_SEQUENCE, packed));
		packed = NULL;
		assert_non_null(ASN1_item_pack(pbe2, ASN1_ITEM_rptr(PBE2PARAM), &packed));
		assert_true(X509_ALGOR_set0(to, OBJ_nid2obj(NID_pbes2), V_ASN1_SEQUENCE, packed));
		len = i2d_X509_SIG(sig, &der);
		CHECK_INT("scrypt", parse(der, (size_t)len, "secret", &p12, &err),
			cases[i].ok ? RC_OK : RC_PERM);
		if (!cases[i].ok)
			CHECK_INT("scrypt", err.code, ERR_LIMIT);
		p12_fini(&p12);
		SCRYPT_PARAMS_free(params);
		PBE2PARAM_free(pbe2);
		X509_SIG_free(sig);
		PKCS8_PRIV_KEY_INFO_free(info);
		OPENSSL_free(der);
	}
	unmake(&m);
}

/* Two keys, one of them twice; all certificates of a key, the one for mail in front. */
static void
several_keys(void **state)
{
	struct made a = make(), b = make();
	X509 *login = pki_x509(&(struct pki_spec){.name = "Login",
		.key = a.key,
		.until = PKI_NOW + 9 * (int64_t)PKI_YEAR,
		.exts = {{NID_ext_key_usage, "clientAuth"}}});
	BIO *bio = BIO_new(BIO_s_mem());
	struct p12 p12;
	struct err err;
	char *text;
	long len;

	(void)state;
	PEM_write_bio_X509(bio, login);
	PEM_write_bio_PKCS8PrivateKey(bio, a.key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_PKCS8PrivateKey(bio, b.key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_PKCS8PrivateKey(bio, a.key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(bio, b.cert);
	PEM_write_bio_X509(bio, a.cert);
	PEM_write_bio_X509(bio, a.cert);
	len = BIO_get_mem_data(bio, &text);
	if (parse(text, (size_t)len, NULL, &p12, &err) != RC_OK)
		fail_msg("%s", err.detail);
	CHECK_INT("keys", p12.n, 2);
	CHECK_INT("certificates of the first", p12.items[0].certs.n, 2);
	CHECK_STR("for mail", cert_subject(p12.items[0].cert), "CN=Alice");
	CHECK_INT("certificates of the second", p12.items[1].certs.n, 1);
	CHECK_INT("pair", p12_check_pair(p12.items[0].pkey, p12.items[0].cert, &err), RC_OK);
	CHECK_INT("no pair", p12_check_pair(p12.items[0].pkey, p12.items[1].cert, &err), RC_PERM);
	CHECK_INT("no pair", err.code, ERR_KEY_MALFORMED);
	p12_fini(&p12);
	BIO_free(bio);
	X509_free(login);
	unmake(&a);
	unmake(&b);
}

/* A private key whose public half was made up: it has the certificate's, and another private one.
 */
static void
a_lying_key(void **state)
{
	struct made m = make();
	EVP_PKEY *other = pki_p256();
	unsigned char *mine = NULL, *theirs = NULL;
	int n = i2d_PrivateKey(m.key, &mine), k = i2d_PrivateKey(other, &theirs);
	struct cert *cert;
	struct p12 p12;
	struct err err;

	(void)state;
	/* ECPrivateKey: version, 32 bytes of the private key from byte 7 on, curve, public key. */
	assert_true(n == k && mine[5] == 0x04 && mine[6] == 32);
	memcpy(mine + 7, theirs + 7, 32);
	assert_true(X509_up_ref(m.cert));
	cert = pki_take(m.cert);
	if (parse(mine, (size_t)n, NULL, &p12, &err) == RC_OK) {
		CHECK_INT("lying", p12_check_pair(p12.items[0].pkey, cert, &err), RC_PERM);
		assert_non_null(
			strstr(err.detail, "does not belong to the certificate of CN=Alice"));
		p12_fini(&p12);
	}
	cert_unref(&cert);
	OPENSSL_free(mine);
	OPENSSL_free(theirs);
	EVP_PKEY_free(other);
	unmake(&m);
}

/* RSAPrivateKey (RFC 8017 A.1.2) out of the numbers of KEY; number LONG_ONE gets BITS bits. */
static unsigned char *
rsa_der(EVP_PKEY *key, int long_one, int bits, int *len)
{
	static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
		OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
		OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
		OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
	STACK_OF(ASN1_TYPE) *all = sk_ASN1_TYPE_new_null();
	unsigned char *der = NULL;

	for (int i = -1; i < 8; i++) {
		BIGNUM *number = i < 0 ? BN_new() : NULL;
		ASN1_TYPE *type = ASN1_TYPE_new();

		if (i >= 0)
			assert_int_equal(EVP_PKEY_get_bn_param(key, names[i], &number), 1);
		if (i == long_one)
			assert_int_equal(BN_set_bit(number, bits - 1), 1);
		ASN1_TYPE_set(type, V_ASN1_INTEGER, BN_to_ASN1_INTEGER(number, NULL));
		assert_true(sk_ASN1_TYPE_push(all, type) > 0);
		BN_clear_free(number);
	}
	*len = i2d_ASN1_SEQUENCE_ANY(all, &der);
	assert_true(*len > 0);
	sk_ASN1_TYPE_pop_free(all, ASN1_TYPE_free);
	return der;
}

/* One signature with such a key would take for ever. */
static void
rsa_with_long_parts(void **state)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	struct p12 p12;
	struct err err;

	(void)state;
	for (int i = 1; i <= 8; i++) { /* 1: the public exponent, 8: none of them is long */
		for (int bits = 3000; bits <= 1000000; bits += 997000) {
			int len;
			unsigned char *der = rsa_der(key, i, bits, &len);
			enum rc rc = parse(der, (size_t)len, NULL, &p12, &err);

			CHECK_INT("its parts", rc, i == 1 || i == 8 ? RC_OK : RC_PERM);
			if (rc == RC_OK)
				p12_fini(&p12);
			else
				CHECK_INT("too long", err.code,
					bits > 3000 ? ERR_LIMIT : ERR_KEY_MALFORMED);
			OPENSSL_free(der);
			if (i == 1 || i == 8)
				break;
		}
	}
	EVP_PKEY_free(key);
}

/* An encrypted file with every byte changed, one at a time: never a crash, never another key. */
static void
mutations(void **state)
{
	static const int kinds[] = {0, NID_pbe_WithSHA1And3_Key_TripleDES_CBC};
	struct made m = make();
	struct certset certs;

	(void)state;
	for (size_t kind = 0; kind < 2; kind++) {
		int len;
		unsigned char *der = make_p12(&m, "s", kinds[kind], kinds[kind], 1, 1, &len);

		assert_true(len > 0);
		for (int i = 0; i < len; i++) {
			unsigned char *copy = exact(der, (size_t)len);
			struct p12 p12;
			struct err err;

			copy[i] ^= (unsigned char)(1u << (i % 8));
			if (parse(copy, (size_t)len, "s", &p12, &err) == RC_OK)
				CHECK_INT("the key",
					EVP_PKEY_eq(pkey_evp(p12.items[0].pkey), m.key), 1);
			else
				assert_true(err.code != ERR_NONE && err.detail[0]);
			p12_fini(&p12);
			if (p12_look(copy, (size_t)len, &certs, &err) == RC_OK)
				certset_fini(&certs);
			free(copy);
		}
		for (int i = 0; i < len; i += 3) {
			struct p12 p12;
			struct err err;

			CHECK_INT("cut", parse(der, (size_t)i, "s", &p12, &err), RC_PERM);
		}
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
		cmocka_unit_test(billions_are_refused_at_once),
		cmocka_unit_test(pbmac1),
		cmocka_unit_test(bare_keys),
		cmocka_unit_test(scrypt_is_limited),
		cmocka_unit_test(several_keys),
		cmocka_unit_test(a_lying_key),
		cmocka_unit_test(rsa_with_long_parts),
		cmocka_unit_test(mutations),
		cmocka_unit_test(rfc9216_and_pkits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
