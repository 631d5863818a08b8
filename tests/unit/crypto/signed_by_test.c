/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose signature is it, which keys are one key, and keys into files and back.
 */
#include "crypto/signed_by.h"

#include "crypto/cms_sign.h"
#include "crypto/p12.h"
#include "tests/unit/crypto/people.h"

#include <openssl/ec.h>
#include <openssl/pem.h>

static const char text[] = "sealgate-request:1\r\nact: x\r\n";
static struct err err = ERR_INIT;

static void
sign(const struct person *p, struct buf *der)
{
	unsigned char hash[DIGEST_MAX_SIZE];
	struct certset none = {0};
	struct cms_sign_request request = {
		.digest = cms_sign_digest_for(p->cert), .value = hash, .signing_time = -1};

	MUST(digest_bytes(request.digest, text, strlen(text), hash, &must));
	MUST(cms_sign_digest(p->key, p->cert, &none, &request, der, &must));
}

static void
refused(const char *name, const void *cms, size_t len, const char *content)
{
	unsigned char *copy = exact(cms, len);
	struct cert *signer;
	enum rc rc;

	err_clear(&err);
	rc = signed_by(copy, len, content, strlen(content), NULL, &signer, &err);
	if (rc != RC_PERM || err.code != ERR_APPROVAL || signer)
		fail_msg("%s: %d %s %s", name, rc, err_name(err.code), err.detail);
	free(copy);
}

static void
test_signatures(void **state)
{
	static const char *const kinds[] = {"rsa2048", "p256", "p384", "p521"};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct person p = person_make(kinds[i], NULL, 0, NULL);
		struct buf der = BUF_INIT(0), opaque = BUF_INIT(0);
		struct sink to = sink_to_buf(&opaque), stage;
		struct cms_opaque *maker;
		struct cert *signer = NULL;

		sign(&p, &der);
		MUST(signed_by(der.data, der.len, text, strlen(text), NULL, &signer, &must));
		assert_memory_equal(cert_sha256(signer), cert_sha256(p.cert), SHA256_SIZE);
		cert_unref(&signer);
		MUST(cms_opaque_new(der.data, der.len, strlen(text), &to, &maker, &must));
		stage = cms_opaque_sink(maker);
		MUST(sink_feed(&stage, text, strlen(text), &must));
		MUST(sink_finish(&stage, &must));
		cms_opaque_free(&maker);
		MUST(signed_by(opaque.data, opaque.len, text, strlen(text), NULL, &signer, &must));
		cert_unref(&signer);
		refused("another text", der.data, der.len, "sealgate-request:1\r\nact: y\r\n");
		refused("another text, opaque", opaque.data, opaque.len, "sealgate-request:1\r\n");
		refused("no text", opaque.data, opaque.len, "");
		for (size_t len = 1; len < der.len; len += 7)
			refused("truncated", der.data, len, text);
		for (size_t len = 1; len < opaque.len; len += 7)
			refused("truncated, opaque", opaque.data, len, text);
		buf_fini(&der);
		buf_fini(&opaque);
		person_fini(&p);
	}
	refused("nothing", "", 0, text);
	refused("text", text, strlen(text), text);
	refused("PEM cut off", "-----BEGIN CMS-----\nMIAG", 24, text);
}

/* Any bit turned round: refused, or signed by the same key all the same. */
static void
test_bits(void **state)
{
	struct person p = person_make("p256", NULL, 0, NULL);
	struct buf der = BUF_INIT(0);
	unsigned char id[SHA256_SIZE], found[SHA256_SIZE];
	struct cert *signer;

	(void)state;
	sign(&p, &der);
	MUST(cert_key_id(p.cert, id, &must));
	for (size_t i = 0; i < 8 * der.len; i++) {
		unsigned char *copy = exact(der.data, der.len);
		enum rc rc;

		copy[i / 8] ^= (unsigned char)(1u << (i % 8));
		err_clear(&err);
		rc = signed_by(copy, der.len, text, strlen(text), NULL, &signer, &err);
		if (rc == RC_OK) {
			MUST(cert_key_id(signer, found, &must));
			assert_memory_equal(found, id, SHA256_SIZE);
		} else {
			CHECK_INT("refused", err.code, ERR_APPROVAL);
		}
		cert_unref(&signer);
		free(copy);
	}
	buf_fini(&der);
	person_fini(&p);
}

/* A certificate of KEY that signs itself, made by OpenSSL. */
static struct cert *
certificate_of(EVP_PKEY *key, EVP_PKEY *signer)
{
	X509 *x509 = X509_new();
	unsigned char *der = NULL;
	struct cert *cert = NULL;
	int len;

	assert_non_null(x509);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 7);
	X509_gmtime_adj(X509_getm_notBefore(x509), -60);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
		(const unsigned char *)"x", -1, -1, 0);
	assert_int_equal(X509_set_pubkey(x509, key), 1);
	assert_true(X509_sign(x509, signer, EVP_sha256()) > 0);
	len = i2d_X509(x509, &der);
	assert_true(len > 0);
	MUST(cert_parse(der, (size_t)len, &cert, &must));
	OPENSSL_free(der);
	X509_free(x509);
	return cert;
}

/* One key, its point written in two ways; and other keys. */
static void
test_key_ids(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *again = EVP_PKEY_dup(key),
		 *other = EVP_EC_gen("P-256");
	struct cert *a, *b, *c;
	unsigned char id_a[SHA256_SIZE], id_b[SHA256_SIZE], id_c[SHA256_SIZE];
	size_t len_a, len_b;

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(again, "point-format", "compressed"), 1);
	a = certificate_of(key, key);
	b = certificate_of(again, key);
	c = certificate_of(other, other);
	(void)cert_spki(a, &len_a);
	(void)cert_spki(b, &len_b);
	assert_true(len_b < len_a);
	assert_true(cert_key_is_usual(a) && cert_key_is_usual(c) && !cert_key_is_usual(b));
	MUST(cert_key_id(a, id_a, &must));
	MUST(cert_key_id(b, id_b, &must));
	MUST(cert_key_id(c, id_c, &must));
	assert_memory_equal(id_a, id_b, SHA256_SIZE);
	assert_memory_not_equal(id_a, id_c, SHA256_SIZE);
	cert_unref(&a);
	cert_unref(&b);
	cert_unref(&c);
	EVP_PKEY_free(key);
	EVP_PKEY_free(again);
	EVP_PKEY_free(other);
}

/* Into a file, out of it. */
static void
test_files(void **state)
{
	struct person ca = person_make("p256", NULL, 0, NULL);
	struct person p = person_make("rsa2048", "a@example.org", CERT_SIGN | CERT_ENCRYPT, &ca);
	struct buf out = {.max = 0, .wipe = true}, pem = {.max = 0, .wipe = true};
	struct secret *password, *wrong, *empty;
	struct certset chain = {0};
	struct p12 p12 = {0};

	(void)state;
	MUST(certset_add(&chain, ca.cert, &must));
	MUST(secret_copy("h\303\244sslich lang", 13, &password, &must));
	MUST(secret_copy("wrong", 5, &wrong, &must));
	MUST(secret_new(0, &empty, &must));
	MUST(p12_write(p.key, p.cert, &chain, "k1", password, &out, &must));
	MUST(p12_parse(out.data, out.len, password, &p12, &must));
	CHECK_INT("keys", p12.n, 1);
	MUST(p12_check_pair(p12.items[0].pkey, p.cert, &must));
	assert_memory_equal(cert_sha256(p12.items[0].cert), cert_sha256(p.cert), SHA256_SIZE);
	CHECK_INT("chain", p12.others.n, 1);
	p12_fini(&p12);
	assert_int_not_equal(p12_parse(out.data, out.len, wrong, &p12, &err), RC_OK);
	p12_fini(&p12);
	buf_clear(&out);
	err_clear(&err);
	CHECK_INT(
		"no password", p12_write(p.key, p.cert, &chain, "k1", empty, &out, &err), RC_PERM);
	MUST(pem_write_key(p.key, p.cert, &chain, &pem, &must));
	MUST(p12_parse(pem.data, pem.len, NULL, &p12, &must));
	CHECK_INT("keys in PEM", p12.n, 1);
	MUST(p12_check_pair(p12.items[0].pkey, p.cert, &must));
	p12_fini(&p12);
	secret_free(&password);
	secret_free(&wrong);
	secret_free(&empty);
	certset_fini(&chain);
	buf_fini(&out);
	buf_fini(&pem);
	person_fini(&p);
	person_fini(&ca);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_key_ids),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
