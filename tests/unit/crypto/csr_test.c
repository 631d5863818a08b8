/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/csr.h"

#include "crypto/certchain.h"
#include "crypto/issue.h"
#include "crypto/openssl_glue.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void
must(const char *what, enum rc rc, const struct err *err)
{
	if (rc != RC_OK)
		fail_msg("%s: %s", what, err->detail);
}

static X509_REQ *
make(const struct pkey *key, const char *subject, const char *addr, unsigned use)
{
	struct csr_request request = {.addr = addr, .use = use};
	struct buf der = BUF_INIT(65536), pem = BUF_INIT(65536);
	struct err err = ERR_INIT;
	const unsigned char *p;
	X509_REQ *req;
	struct dn dn;
	BIO *bio;

	must(subject, dn_parse(subject, strlen(subject), &dn, &err), &err);
	request.subject = &dn;
	must(subject, csr_make(key, &request, &der, &err), &err);
	p = (const unsigned char *)der.data;
	req = d2i_X509_REQ(NULL, &p, (long)der.len);
	assert_non_null(req);
	assert_ptr_equal(p, der.data + der.len);
	X509_REQ_free(req);
	must("PEM", csr_format_pem(der.data, der.len, &pem, &err), &err);
	assert_true(strncmp(buf_text(&pem), "-----BEGIN CERTIFICATE REQUEST-----\n", 36) == 0);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	assert_non_null(req);
	BIO_free(bio);
	dn_fini(&dn);
	buf_fini(&der);
	buf_fini(&pem);
	return req;
}

/* The extension NID out of the request's attribute, decoded. */
static void *
wanted(X509_REQ *req, int nid)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);
	void *value = X509V3_get_d2i(exts, nid, NULL, NULL);

	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return value;
}

static void
requests_say_what_is_wanted(void **state)
{
	static const struct {
		const char *type, *subject, *rfc2253, *addr;
		unsigned use, bits;
		bool utf8_addr;
	} cases[] = {
		{"rsa2048", "CN=alice@example.org", "CN=alice@example.org", "alice@example.org",
			CERT_SIGN | CERT_ENCRYPT, 1u << 0 | 1u << 2, false},
		{"p256", "CN=A,OU=x\\,y,OU=z,O=Ex,L=Academe,ST=Tokyo,C=JP",
			"CN=A,OU=x\\,y,OU=z,O=Ex,L=Academe,ST=Tokyo,C=JP", "alice@example.org",
			CERT_SIGN | CERT_ENCRYPT, 1u << 0 | 1u << 4, false},
		{"p384", "CN=A+UID=7,O=Ex", "CN=A+UID=7,O=Ex", "alice@example.org", CERT_SIGN,
			1u << 0, false},
		{"p521", "CN=\xe6\x9d\xb1", "CN=\xe6\x9d\xb1", "j\xc3\xb6rg@example.org",
			CERT_ENCRYPT, 1u << 4, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = ERR_INIT;
		struct pkey *key;
		X509_REQ *req;
		GENERAL_NAMES *names;
		ASN1_BIT_STRING *ku;
		EXTENDED_KEY_USAGE *eku;
		char text[512] = "";
		BIO *bio = BIO_new(BIO_s_mem());

		must("key", pkey_generate(cases[i].type, &key, &err), &err);
		req = make(key, cases[i].subject, cases[i].addr, cases[i].use);
		CHECK_INT("signature", X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
		X509_NAME_print_ex(bio, X509_REQ_get_subject_name(req), 0,
			XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
		BIO_read(bio, text, sizeof(text) - 1);
		BIO_free(bio);
		/* The order of a set is DER's. */
		if (!strchr(cases[i].subject, '+'))
			CHECK_STR("subject", text, cases[i].rfc2253);
		else
			CHECK_INT("one set",
				X509_NAME_ENTRY_set(
					X509_NAME_get_entry(X509_REQ_get_subject_name(req), 1)) ==
					X509_NAME_ENTRY_set(X509_NAME_get_entry(
						X509_REQ_get_subject_name(req), 2)),
				true);
		names = wanted(req, NID_subject_alt_name);
		CHECK_INT("names", sk_GENERAL_NAME_num(names), 1);
		CHECK_INT("kind of name", sk_GENERAL_NAME_value(names, 0)->type,
			cases[i].utf8_addr ? GEN_OTHERNAME : GEN_EMAIL);
		sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
		ku = wanted(req, NID_key_usage);
		for (int bit = 0; bit < 9; bit++)
			CHECK_INT("usage", ASN1_BIT_STRING_get_bit(ku, bit),
				!!(cases[i].bits & 1u << bit));
		ASN1_BIT_STRING_free(ku);
		eku = wanted(req, NID_ext_key_usage);
		CHECK_INT("purpose", OBJ_obj2nid(sk_ASN1_OBJECT_value(eku, 0)), NID_email_protect);
		sk_ASN1_OBJECT_pop_free(eku, ASN1_OBJECT_free);
		X509_REQ_free(req);
		pkey_unref(&key);
	}
}

static void
subjects_that_cannot_be(void **state)
{
	static const char *const bad[] = {
		"CN=a,C=JPN",
		"odd=x",
		"CN=0123456789012345678901234567890123456789012345678901234567890123456789",
		"C=\xe6\x97\xa5",
	};
	struct pkey *key;
	struct err err = ERR_INIT;

	(void)state;
	must("key", pkey_generate("p256", &key, &err), &err);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct buf der = BUF_INIT(65536);
		struct dn dn;
		struct csr_request request = {&dn, "a@example.org", CERT_SIGN};

		must(bad[i], dn_parse(bad[i], strlen(bad[i]), &dn, &err), &err);
		CHECK_INT(bad[i], csr_check_subject(&dn, &err), RC_PERM);
		CHECK_INT(bad[i], err.code, ERR_USAGE);
		err_clear(&err);
		CHECK_INT(bad[i], csr_make(key, &request, &der, &err), RC_PERM);
		CHECK_INT(bad[i], der.len, 0);
		err_clear(&err);
		dn_fini(&dn);
		buf_fini(&der);
	}
	pkey_unref(&key);
}

/* A chain of three, beside CAs of the same name with another key. */
static void
chains_are_found_by_signature(void **state)
{
	struct pkey *keys[2], *leaf_key;
	struct cert *roots[2], *leaf;
	struct certset pool = {0}, chain = {0};
	struct err err = ERR_INIT;
	struct buf spki = BUF_INIT(4096);
	struct issue_request request = {.common_name = "Same Name CA",
		.not_before = PKI_NOW - 86400,
		.not_after = PKI_NOW + PKI_YEAR};

	(void)state;
	for (int i = 0; i < 2; i++) {
		must("CA key", pkey_generate("p256", &keys[i], &err), &err);
		must("CA", issue_root(keys[i], &request, &roots[i], &err), &err);
		must("pool", certset_add(&pool, roots[i], &err), &err);
	}
	must("key", pkey_generate("p256", &leaf_key, &err), &err);
	must("public", pkey_public(leaf_key, &spki, &err), &err);
	request = (struct issue_request){.addr = "a@example.org",
		.use = CERT_SIGN,
		.not_before = PKI_NOW,
		.not_after = PKI_NOW + 86400};
	must("leaf", issue_leaf(keys[1], roots[1], spki.data, spki.len, &request, &leaf, &err),
		&err);
	CHECK_INT("the other CA", cert_is_issued_by(leaf, roots[0]), false);
	CHECK_INT("the CA", cert_is_issued_by(leaf, roots[1]), true);
	CHECK_INT("a leaf issues nothing", cert_is_issued_by(leaf, leaf), false);
	must("chain", certchain_find(leaf, &pool, &chain, &err), &err);
	CHECK_INT("a root is left out", chain.n, 0);
	must("chain of a root", certchain_find(roots[0], &pool, &chain, &err), &err);
	CHECK_INT("nothing above a root", chain.n, 0);
	certset_fini(&pool);
	for (int i = 0; i < 2; i++) {
		cert_unref(&roots[i]);
		pkey_unref(&keys[i]);
	}
	cert_unref(&leaf);
	pkey_unref(&leaf_key);
	buf_fini(&spki);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_say_what_is_wanted),
		cmocka_unit_test(subjects_that_cannot_be),
		cmocka_unit_test(chains_are_found_by_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
