/* SPDX-License-Identifier: BSD-2-Clause */
/* What directories have of people: certificates, SignedData with and without a signature. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "crypto/issue.h"
#include "crypto/smime_value.h"

#include <openssl/cms.h>
#include <openssl/pem.h>

struct made { /* by OpenSSL, as other people's programs do */
	X509 *cert, *other;
	EVP_PKEY *key;
};

/* A certificate for KEY that signs itself. */
static X509 *
make_cert(EVP_PKEY *key, long serial)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	assert_int_equal(X509_set_version(cert, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"somebody", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

/* SignedData over TEXT with FLAGS, as DER; with the other certificate when OTHER. */
static unsigned char *
make_signed(const struct made *made, const char *text, unsigned flags, bool other, size_t *len)
{
	BIO *content = BIO_new_mem_buf(text, -1);
	STACK_OF(X509) *others = sk_X509_new_null();
	unsigned char *der = NULL;
	CMS_ContentInfo *cms;
	int n;

	if (other)
		sk_X509_push(others, made->other);
	cms = CMS_sign(made->cert, made->key, others, content, flags | CMS_BINARY);
	assert_non_null(cms);
	n = i2d_CMS_ContentInfo(cms, &der);
	assert_true(n > 0);
	*len = (size_t)n;
	CMS_ContentInfo_free(cms);
	sk_X509_free(others);
	BIO_free(content);
	return der;
}

/* Parses a copy of exactly LEN bytes. */
static enum rc
parse(const unsigned char *der, size_t len, struct smime_value *value)
{
	unsigned char *copy = malloc(len ? len : 1);
	enum rc rc;

	assert_non_null(copy);
	memcpy(copy, der, len);
	*value = (struct smime_value){0};
	rc = smime_value_parse(copy, len, value, NULL);
	free(copy);
	return rc;
}

static const struct {
	const char *name, *text;
	unsigned flags;
	bool other;
	size_t certs;
	bool known;
} cases[] = {
	{"signed, without content", "", CMS_DETACHED, false, 1, true},
	{"signed, with empty content", "", 0, false, 1, true},
	{"signed over something, which is in it", "text", 0, false, 1, true},
	{"signed over something that nobody has", "text", CMS_DETACHED, false, 1, true},
	{"with another certificate", "", 0, true, 2, true},
	{"without capabilities", "", CMS_NOSMIMECAP, false, 1, false},
	{"without attributes", "", CMS_NOATTR, false, 1, false},
	{"the signer's certificate is not in it", "", CMS_NOCERTS, true, 1, false},
};

static void
made_init(struct made *made)
{
	made->key = EVP_EC_gen("P-256");
	assert_non_null(made->key);
	made->cert = make_cert(made->key, 1);
	made->other = make_cert(made->key, 2);
}

static void
made_fini(struct made *made)
{
	X509_free(made->cert);
	X509_free(made->other);
	EVP_PKEY_free(made->key);
}

static void
test_signed(void **state)
{
	struct made made;

	(void)state;
	made_init(&made);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct smime_value value;
		size_t len;
		unsigned char *der =
			make_signed(&made, cases[i].text, cases[i].flags, cases[i].other, &len);

		if (parse(der, len, &value) != RC_OK)
			fail_msg("%s: refused", cases[i].name);
		if (value.certs.n != cases[i].certs || value.caps.known != cases[i].known)
			fail_msg("%s: got %zu certificates, capabilities %d, want %zu, %d",
				cases[i].name, value.certs.n, value.caps.known, cases[i].certs,
				cases[i].known);
		assert_int_equal(smimecaps_has(&value.caps, SMIMECAP_AES256_CBC), cases[i].known);
		smime_value_fini(&value);
		der[len - 1] ^= 1; /* in the signature */
		if (parse(der, len, &value) == RC_OK && value.caps.known)
			fail_msg("%s: a signature that does not fit speaks", cases[i].name);
		smime_value_fini(&value);
		OPENSSL_free(der);
	}
	made_fini(&made);
}

static void
test_plain(void **state)
{
	struct made made;
	struct smime_value value;
	struct certset set = {0};
	struct buf p7 = BUF_INIT(65536);
	unsigned char *der = NULL;
	int len;

	(void)state;
	made_init(&made);
	len = i2d_X509(made.cert, &der);
	assert_true(len > 0);
	assert_int_equal(parse(der, (size_t)len, &value), RC_OK);
	assert_int_equal(value.certs.n, 1);
	assert_false(value.caps.known);
	assert_int_equal(certset_add(&set, value.certs.v[0], NULL), RC_OK);
	smime_value_fini(&value);
	assert_int_equal(certset_format_p7(&set, &p7, NULL), RC_OK);
	assert_int_equal(parse((const unsigned char *)p7.data, p7.len, &value), RC_OK);
	assert_int_equal(value.certs.n, 1);
	assert_false(value.caps.known);
	smime_value_fini(&value);
	assert_int_equal(parse((const unsigned char *)"garbage", 7, &value), RC_PERM);
	assert_int_equal(parse((const unsigned char *)"", 0, &value), RC_PERM);
	certset_fini(&set);
	buf_fini(&p7);
	OPENSSL_free(der);
	made_fini(&made);
}

/* Every truncation and a flipped bit in every byte: refused, or the certificates alone, or as it
 * was where the bit means nothing. */
static void
test_mutation(void **state)
{
	struct made made;
	struct smime_value value;
	unsigned char *der;
	size_t len;

	(void)state;
	made_init(&made);
	der = make_signed(&made, "text", 0, true, &len);
	for (size_t i = 0; i < len; i++) {
		parse(der, i, &value);
		assert_false(value.caps.known);
		smime_value_fini(&value);
		der[i] ^= (unsigned char)(1u << (i % 8));
		parse(der, len, &value);
		assert_true(!value.caps.known || value.certs.n > 0);
		smime_value_fini(&value);
		der[i] ^= (unsigned char)(1u << (i % 8));
	}
	OPENSSL_free(der);
	made_fini(&made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_mutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
