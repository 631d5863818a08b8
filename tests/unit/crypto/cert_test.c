/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cert.h"

#include "tests/unit/crypto/pki.h"

#include <openssl/cms.h>

static struct cert *
parse(const char *name, const unsigned char *der, size_t len)
{
	void *copy = exact(der, len);
	struct err err = ERR_INIT;
	struct cert *cert;

	if (cert_parse(copy, len, &cert, &err) != RC_OK)
		fail_msg("%s: %s", name, err.detail);
	free(copy);
	return cert;
}

static void
parse_gives_fields(void **state)
{
	EVP_PKEY *key = pki_p256();
	struct cert *cert = pki_cert(&(struct pki_spec){.name = "Zoë, \"Z\"\xc2\x9b[J\x1b",
		.key = key,
		.exts = {{NID_basic_constraints, "critical,CA:TRUE"},
			{NID_subject_key_identifier, "hash"}}});
	unsigned char *spki = NULL;
	const unsigned char *bytes;
	int spki_len = i2d_PUBKEY(key, &spki);
	size_t len;

	(void)state;
	CHECK_STR("subject", cert_subject(cert), "CN=Zoë\\, \\\"Z\\\"\\C2\\9B[J\\1B");
	CHECK_STR("issuer", cert_issuer(cert), cert_subject(cert));
	CHECK_INT("self-issued", cert_is_self_issued(cert), true);
	CHECK_INT("ca", cert_is_ca(cert), true);
	CHECK_INT("not before", cert_not_before(cert), PKI_NOW - PKI_YEAR);
	CHECK_INT("not after", cert_not_after(cert), PKI_NOW + PKI_YEAR);
	CHECK_INT("key", cert_key_type(cert), KEY_EC_P256);
	CHECK_INT("bits", cert_key_bits(cert), 256);
	bytes = cert_spki(cert, &len);
	CHECK_INT("spki length", len, spki_len);
	assert_memory_equal(bytes, spki, len);
	cert_ski(cert, &len);
	CHECK_INT("ski length", len, 20);
	bytes = cert_issuer_der(cert, &len);
	assert_int_equal(bytes[0], 0x30);
	CHECK_INT("fingerprint", strlen(cert_fingerprint(cert)), 64);
	OPENSSL_free(spki);
	cert_unref(&cert);
	EVP_PKEY_free(key);
}

static void
serial_is_text_and_bytes(void **state)
{
	static const struct {
		const char *decimal, *text;
		size_t len;
	} cases[] = {{"1", "01", 1}, {"127", "7f", 1}, {"128", "80", 2}, {"65535", "ffff", 3},
		{"0", "00", 1}};
	EVP_PKEY *key = pki_p256();
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		X509 *x509 = pki_x509(&(struct pki_spec){.name = "serial", .key = key});
		ASN1_INTEGER *serial = s2i_ASN1_INTEGER(NULL, cases[i].decimal);
		struct cert *cert;

		assert_true(X509_set_serialNumber(x509, serial));
		assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
		cert = pki_take(x509);
		CHECK_STR(cases[i].decimal, cert_serial(cert), cases[i].text);
		cert_serial_bytes(cert, &len);
		CHECK_INT(cases[i].decimal, len, cases[i].len);
		cert_unref(&cert);
		ASN1_INTEGER_free(serial);
	}
	EVP_PKEY_free(key);
}

static void
addresses_are_canonical(void **state)
{
	static const struct {
		const char *san, *email, *addr;
		bool also, has;
	} cases[] = {
		{"email:Alice@Example.ORG", NULL, "Alice@example.org", false, true},
		{"email:Alice@Example.ORG", NULL, "alice@example.org", false, true},
		{"email:alice@example.org", NULL, "bob@example.org", false, false},
		{"email:a@example.org,email:b@example.org", NULL, "b@example.org", false, true},
		{"DNS:example.org", NULL, "example.org", false, false},
		{NULL, "carol@example.org", "carol@example.org", false, false},
		{NULL, "carol@example.org", "carol@example.org", true, true},
		{"email:alice@example.org", "carol@example.org", "carol@example.org", true, true},
		{"email:alice@xn--bcher-kva.example", NULL, "alice@xn--bcher-kva.example", false,
			true},
		/* SmtpUTF8Mailbox with U-label and A-label (RFC 8398, RFC 9598); OpenSSL reads
		 * these values as Latin-1 and makes them UTF-8 */
		{"otherName:1.3.6.1.5.5.7.8.9;UTF8:j\xf6rg@b\xfc"
		 "cher.example",
			NULL, "jörg@xn--bcher-kva.example", false, true},
		{"otherName:1.3.6.1.5.5.7.8.9;UTF8:j\xf6rg@xn--bcher-kva.example", NULL,
			"jörg@xn--bcher-kva.example", false, true},
		{"otherName:1.3.6.1.5.5.7.8.9;UTF8:not an address", NULL, "not an address", false,
			false},
	};
	EVP_PKEY *key = pki_p256();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cert *cert = pki_cert(&(struct pki_spec){.name = "x",
			.key = key,
			.email = cases[i].email,
			.exts = {{cases[i].san ? NID_subject_alt_name : 0, cases[i].san}}});

		CHECK_INT(cases[i].san ? cases[i].san : cases[i].email,
			cert_has_addr(cert, cases[i].addr, cases[i].also), cases[i].has);
		cert_unref(&cert);
	}
	EVP_PKEY_free(key);
}

static void
many_addresses_are_cut(void **state)
{
	EVP_PKEY *key = pki_p256();
	struct buf san = BUF_INIT(0);
	struct cert *cert;
	const char *const *addrs;
	int i;

	(void)state;
	for (i = 0; i < CERT_MAX_ADDRS + 10; i++)
		assert_int_equal(
			buf_appendf(&san, NULL, "%semail:u%d@example.org", i ? "," : "", i), RC_OK);
	cert = pki_cert(&(struct pki_spec){
		.name = "many", .key = key, .exts = {{NID_subject_alt_name, buf_text(&san)}}});
	CHECK_INT("addresses", cert_addrs(cert, false, &addrs), CERT_MAX_ADDRS);
	cert_unref(&cert);
	buf_fini(&san);
	EVP_PKEY_free(key);
}

static void
use_follows_rfc8550(void **state)
{
	static const struct {
		const char *name, *key, *ku, *eku;
		bool sign, encrypt;
	} cases[] = {
		{"rsa, nothing said", "rsa", NULL, NULL, true, true},
		{"rsa both", "rsa", "critical,digitalSignature,keyEncipherment", "emailProtection",
			true, true},
		{"rsa sign", "rsa", "digitalSignature", "emailProtection", true, false},
		{"rsa nonRepudiation", "rsa", "nonRepudiation", NULL, true, false},
		{"rsa encrypt", "rsa", "keyEncipherment", NULL, false, true},
		{"rsa keyAgreement", "rsa", "keyAgreement", NULL, false, false},
		{"rsa dataEncipherment", "rsa", "dataEncipherment", NULL, false, false},
		{"rsa any eku", "rsa", NULL, "anyExtendedKeyUsage", true, true},
		{"rsa web", "rsa", NULL, "serverAuth,clientAuth", false, false},
		{"rsa web and mail", "rsa", NULL, "clientAuth,emailProtection", true, true},
		{"rsa ca only", "rsa", "keyCertSign,cRLSign", NULL, false, false},
		{"ec agree", "ec", "keyAgreement", "emailProtection", false, true},
		{"ec encipher", "ec", "keyEncipherment", NULL, false, true},
		{"ec both", "ec", "digitalSignature,keyAgreement", NULL, true, true},
		{"ec sign", "ec", "digitalSignature", NULL, true, false},
		{"ed25519", "ED25519", "digitalSignature", NULL, true, false},
		{"x25519", "X25519", "keyAgreement", NULL, false, false},
	};
	EVP_PKEY *ca = pki_p256(), *rsa = EVP_RSA_gen(2048);
	size_t i;

	(void)state;
	assert_non_null(rsa);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		EVP_PKEY *key = strcmp(cases[i].key, "rsa") == 0 && EVP_PKEY_up_ref(rsa) ? rsa
				: strcmp(cases[i].key, "ec") == 0
					? pki_p256()
					: EVP_PKEY_Q_keygen(NULL, NULL, cases[i].key);
		struct pki_spec spec = {.name = "use", .key = key, .issuer_key = ca};
		struct cert *cert;
		struct err err = ERR_INIT;
		size_t n = 0;

		if (cases[i].ku)
			spec.exts[n++] = (struct pki_ext){NID_key_usage, cases[i].ku};
		if (cases[i].eku)
			spec.exts[n++] = (struct pki_ext){NID_ext_key_usage, cases[i].eku};
		cert = pki_cert(&spec);
		CHECK_INT(cases[i].name, cert_allows(cert, CERT_SIGN), cases[i].sign);
		CHECK_INT(cases[i].name, cert_allows(cert, CERT_ENCRYPT), cases[i].encrypt);
		if (!cases[i].encrypt) {
			CHECK_INT(cases[i].name, cert_check_use(cert, CERT_ENCRYPT, &err), RC_PERM);
			assert_true(err.detail[0]);
		}
		cert_unref(&cert);
		EVP_PKEY_free(key);
	}
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ca);
}

static void
cache_gives_the_same_object(void **state)
{
	EVP_PKEY *key = pki_p256();
	X509 *x509 = pki_x509(&(struct pki_spec){.name = "cached", .key = key});
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);
	struct cert *a = parse("a", der, (size_t)len), *b = parse("b", der, (size_t)len), *c;

	(void)state;
	assert_ptr_equal(a, b);
	cert_cache_limit(0);
	c = parse("c", der, (size_t)len);
	assert_ptr_not_equal(a, c);
	cert_unref(&a);
	cert_unref(&b);
	cert_unref(&c);
	cert_cache_limit(20000);
	OPENSSL_free(der);
	X509_free(x509);
	EVP_PKEY_free(key);
}

/* More certificates than fit: the old ones go, those in use stay usable. */
static void
cache_is_bounded(void **state)
{
	EVP_PKEY *key = pki_p256();
	struct cert *first, *cert;
	int i;

	(void)state;
	cert_cache_limit(32);
	first = pki_cert(&(struct pki_spec){.name = "first", .key = key});
	for (i = 0; i < 200; i++) {
		cert = pki_cert(&(struct pki_spec){.name = "more", .key = key});
		cert_unref(&cert);
	}
	CHECK_STR("first", cert_subject(first), "CN=first");
	cert_unref(&first);
	cert_cache_limit(20000);
	EVP_PKEY_free(key);
}

static void
bad_input_is_refused(void **state)
{
	EVP_PKEY *key = pki_p256();
	struct cert *cert = pki_cert(&(struct pki_spec){.name = "bad",
		.key = key,
		.exts = {{NID_subject_alt_name, "email:a@example.org"},
			{NID_key_usage, "digitalSignature"}}});
	struct cert *out;
	struct err err;
	size_t len, i;
	const unsigned char *der = cert_der(cert, &len);
	unsigned char *copy = malloc(len + 1);

	(void)state;
	for (i = 0; i < len; i++) { /* every truncation */
		void *cut = exact(der, i);

		err = (struct err)ERR_INIT;
		CHECK_INT("truncated", cert_parse(cut, i, &out, &err), RC_PERM);
		CHECK_INT("truncated", err.code, ERR_CERT_MALFORMED);
		assert_null(out);
		free(cut);
	}
	memcpy(copy, der, len);
	copy[len] = 0;
	CHECK_INT("trailing byte", cert_parse(copy, len + 1, &out, &err), RC_PERM);
	for (i = 0; i < 8 * len; i++) { /* every bit: no crash; what parses can be asked */
		void *flipped = exact(der, len);

		((unsigned char *)flipped)[i / 8] ^= (unsigned char)(1u << i % 8);
		if (cert_parse(flipped, len, &out, NULL) == RC_OK) {
			(void)cert_allows(out, CERT_SIGN);
			assert_non_null(cert_subject(out));
		}
		cert_unref(&out);
		free(flipped);
	}
	free(copy);
	copy = calloc(1, CERT_MAX_BYTES + 1);
	err = (struct err)ERR_INIT;
	CHECK_INT("too big", cert_parse(copy, CERT_MAX_BYTES + 1, &out, &err), RC_PERM);
	CHECK_INT("too big", err.code, ERR_LIMIT);
	free(copy);
	cert_unref(&cert);
	EVP_PKEY_free(key);
}

static void
sets_come_from_files(void **state)
{
	static const char crl[] = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
	EVP_PKEY *key = pki_p256();
	struct cert *a = pki_cert(&(struct pki_spec){.name = "a", .key = key});
	struct cert *b = pki_cert(&(struct pki_spec){.name = "b", .key = key});
	struct buf pem = BUF_INIT(0), p7 = BUF_INIT(0), p7_pem = BUF_INIT(0);
	struct certset set = {0}, again = {0};
	struct err err = ERR_INIT;
	BIO *bio = BIO_new(BIO_s_mem());
	const unsigned char *der;
	char *text;
	size_t len;
	long n;

	(void)state;
	assert_int_equal(cert_format_pem(a, &pem, &err), RC_OK);
	assert_int_equal(buf_append_str(&pem, crl, &err), RC_OK);
	assert_int_equal(buf_append_str(&pem, "some words\n", &err), RC_OK);
	assert_int_equal(cert_format_pem(b, &pem, &err), RC_OK);
	assert_int_equal(cert_format_pem(a, &pem, &err), RC_OK);
	assert_int_equal(certset_parse(pem.data, pem.len, &set, &err), RC_OK);
	CHECK_INT("PEM, a double left out", set.n, 2);
	assert_ptr_equal(set.v[0], a);

	assert_int_equal(certset_format_p7(&set, &p7, &err), RC_OK);
	assert_int_equal(certset_parse(p7.data, p7.len, &again, &err), RC_OK);
	CHECK_INT("PKCS#7", again.n, 2);
	certset_fini(&again);
	PEM_write_bio(bio, "PKCS7", "", (const unsigned char *)p7.data, (long)p7.len);
	n = BIO_get_mem_data(bio, &text);
	assert_int_equal(buf_append(&p7_pem, text, (size_t)n, &err), RC_OK);
	assert_int_equal(certset_parse(p7_pem.data, p7_pem.len, &again, &err), RC_OK);
	CHECK_INT("PKCS#7 as PEM", again.n, 2);
	certset_fini(&again);
	der = cert_der(a, &len);
	assert_int_equal(certset_parse(der, len, &again, &err), RC_OK);
	CHECK_INT("DER", again.n, 1);
	certset_fini(&again);

	CHECK_INT("words", certset_parse("hello", 5, &again, &err), RC_PERM);
	CHECK_INT("empty", certset_parse("", 0, &again, &err), RC_PERM);
	CHECK_INT("CRL only", certset_parse(crl, sizeof(crl) - 1, &again, &err), RC_PERM);
	CHECK_INT("cut PEM", certset_parse(pem.data, 100, &again, &err), RC_PERM);
	for (len = 0; len < p7.len; len++) {
		void *cut = exact(p7.data, len);

		CHECK_INT("cut PKCS#7", certset_parse(cut, len, &again, &err), RC_PERM);
		free(cut);
	}
	certset_fini(&again);
	certset_fini(&set);
	cert_unref(&a);
	cert_unref(&b);
	BIO_free(bio);
	buf_fini(&pem);
	buf_fini(&p7);
	buf_fini(&p7_pem);
	EVP_PKEY_free(key);
}

static void
rfc9216_people(void **state)
{
	static const struct {
		const char *file, *addr;
		enum key_type type;
		bool sign, encrypt;
	} cases[] = {
		{"Alice-s-Signature-Verification-End-Entity-Certificate.crt", "alice@smime.example",
			KEY_RSA, true, false},
		{"Alice-s-Encryption-End-Entity-Certificate.crt", "alice@smime.example", KEY_RSA,
			false, true},
		{"Carlos-s-Signature-Verification-End-Entity-Certificate.crt",
			"carlos@smime.example", KEY_ED25519, true, false},
		{"Carlos-s-Encryption-End-Entity-Certificate.crt", "carlos@smime.example",
			KEY_X25519, false, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf file = BUF_INIT(0);
		struct certset set = {0};
		struct err err = ERR_INIT;
		char name[200];

		snprintf(name, sizeof(name), "rfc9216/%s", cases[i].file);
		if (!pki_corpus(name, &file)) {
			buf_fini(&file);
			skip();
		}
		assert_int_equal(certset_parse(file.data, file.len, &set, &err), RC_OK);
		CHECK_INT(name, set.n, 1);
		CHECK_INT(name, cert_key_type(set.v[0]), cases[i].type);
		CHECK_INT(name, cert_has_addr(set.v[0], cases[i].addr, false), true);
		CHECK_INT(name, cert_allows(set.v[0], CERT_SIGN), cases[i].sign);
		CHECK_INT(name, cert_allows(set.v[0], CERT_ENCRYPT), cases[i].encrypt);
		certset_fini(&set);
		buf_fini(&file);
	}
}

static void
rfc4134_certs_only(void **state)
{
	struct buf file = BUF_INIT(0);
	struct certset set = {0};
	struct err err = ERR_INIT;

	(void)state;
	if (!pki_corpus("rfc4134/4.11.bin", &file)) {
		buf_fini(&file);
		skip();
	}
	if (certset_parse(file.data, file.len, &set, &err) != RC_OK)
		fail_msg("4.11: %s", err.detail);
	assert_true(set.n > 0);
	certset_fini(&set);
	buf_fini(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_gives_fields),
		cmocka_unit_test(serial_is_text_and_bytes),
		cmocka_unit_test(addresses_are_canonical),
		cmocka_unit_test(many_addresses_are_cut),
		cmocka_unit_test(use_follows_rfc8550),
		cmocka_unit_test(cache_gives_the_same_object),
		cmocka_unit_test(cache_is_bounded),
		cmocka_unit_test(bad_input_is_refused),
		cmocka_unit_test(sets_come_from_files),
		cmocka_unit_test(rfc9216_people),
		cmocka_unit_test(rfc4134_certs_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
