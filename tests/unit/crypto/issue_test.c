/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/issue.h"

#include "base/clock.h"
#include "crypto/openssl_glue.h"
#include "crypto/trust.h"
#include "tests/unit/crypto/pki.h"

static void
must(const char *what, enum rc rc, const struct err *err)
{
	if (rc != RC_OK)
		fail_msg("%s: %s", what, err->detail);
}

static struct cert *
make_root(const struct pkey *key)
{
	struct issue_request request = {.common_name = "Example CA",
		.organisation = "Exämple",
		.not_before = PKI_NOW - 86400,
		.not_after = PKI_NOW + 10 * (int64_t)PKI_YEAR};
	struct cert *root;
	struct err err = ERR_INIT;

	must("root", issue_root(key, &request, &root, &err), &err);
	return root;
}

static bool
has_ext(const struct cert *cert, int nid, bool critical)
{
	int at = X509_get_ext_by_NID(cert_x509(cert), nid, -1);

	return at >= 0 &&
	       !!X509_EXTENSION_get_critical(X509_get_ext(cert_x509(cert), at)) == critical;
}

static void
leaves_are_fit_for_mail(void **state)
{
	static const struct {
		const char *ca, *leaf, *addr;
		unsigned use;
		uint32_t ku;
	} cases[] = {
		{"p256", "rsa2048", "alice@example.org", CERT_SIGN | CERT_ENCRYPT,
			KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT},
		{"rsa2048", "p256", "alice@example.org", CERT_SIGN | CERT_ENCRYPT,
			KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT},
		{"p256", "p384", "alice@example.org", CERT_SIGN, KU_DIGITAL_SIGNATURE},
		{"p384", "rsa2048", "alice@example.org", CERT_ENCRYPT, KU_KEY_ENCIPHERMENT},
		{"p256", "p256", "j\xc3\xb6rg@xn--bcher-kva.example", CERT_SIGN | CERT_ENCRYPT,
			KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT},
	};
	size_t i;

	(void)state;
	clock_set(PKI_NOW);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct issue_request request = {.common_name = NULL,
			.addr = cases[i].addr,
			.use = cases[i].use,
			.not_before = PKI_NOW - 3600,
			.not_after = PKI_NOW + PKI_YEAR};
		struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
		struct pkey *ca_key, *key;
		struct cert *root, *leaf, *again;
		struct trust *trust;
		struct buf spki = BUF_INIT(0), crl = BUF_INIT(0);
		struct revoked revoked = {.at = PKI_NOW - 60, .reason = 1};
		struct verdict v;
		struct err err = ERR_INIT;

		must("CA key", pkey_generate(cases[i].ca, &ca_key, &err), &err);
		must("key", pkey_generate(cases[i].leaf, &key, &err), &err);
		root = make_root(ca_key);
		must("public", pkey_public(key, &spki, &err), &err);
		must("leaf", issue_leaf(ca_key, root, spki.data, spki.len, &request, &leaf, &err),
			&err);
		must("leaf", issue_leaf(ca_key, root, spki.data, spki.len, &request, &again, &err),
			&err);
		assert_string_not_equal(cert_serial(leaf), cert_serial(again));
		CHECK_STR("issuer", cert_issuer(leaf), cert_subject(root));
		CHECK_INT("address", cert_has_addr(leaf, cases[i].addr, false), true);
		CHECK_INT("CA", cert_is_ca(leaf), false);
		CHECK_INT("KU", X509_get_key_usage(cert_x509(leaf)), cases[i].ku);
		CHECK_INT("EKU", X509_get_extended_key_usage(cert_x509(leaf)), XKU_SMIME);
		assert_true(has_ext(leaf, NID_key_usage, true));
		assert_true(has_ext(leaf, NID_basic_constraints, true));
		assert_true(has_ext(leaf, NID_subject_key_identifier, false));
		assert_true(has_ext(leaf, NID_authority_key_identifier, false));
		assert_true(has_ext(root, NID_basic_constraints, true));
		assert_true(has_ext(root, NID_key_usage, true));
		if (cases[i].use & CERT_SIGN)
			CHECK_INT("OpenSSL's purpose",
				X509_check_purpose(cert_x509(leaf), X509_PURPOSE_SMIME_SIGN, 0), 1);

		must("trust", trust_new(&options, &trust, &err), &err);
		must("anchor", trust_add_anchor(trust, root, NULL, 0, &err), &err);
		must("CRL",
			issue_crl(ca_key, root, NULL, 0, 1, PKI_NOW - 3600, PKI_NOW + 3600, &crl,
				&err),
			&err);
		must("CRL", trust_add_crl(trust, crl.data, crl.len, &err), &err);
		verdict_init(&v);
		must("check",
			trust_check(trust, leaf, NULL, cases[i].use, cases[i].addr, -1, &v, &err),
			&err);
		if (v.path != PATH_VALID || v.revocation != REVOCATION_GOOD ||
			v.sender != SENDER_MATCH || v.strength != STRENGTH_OK)
			fail_msg("%s %s: %s", cases[i].ca, cases[i].leaf, v.reason);
		verdict_fini(&v);
		trust_unref(&trust);

		revoked.serial = cert_serial_bytes(leaf, &revoked.serial_len);
		buf_clear(&crl);
		must("trust", trust_new(&options, &trust, &err), &err);
		must("anchor", trust_add_anchor(trust, root, NULL, 0, &err), &err);
		must("CRL",
			issue_crl(ca_key, root, &revoked, 1, 2, PKI_NOW - 60, PKI_NOW + 3600, &crl,
				&err),
			&err);
		must("CRL", trust_add_crl(trust, crl.data, crl.len, &err), &err);
		verdict_init(&v);
		must("check", trust_check(trust, leaf, NULL, 0, NULL, -1, &v, &err), &err);
		CHECK_STR("revoked", verdict_revocation_name(v.revocation), "revoked");
		verdict_fini(&v);
		must("check", trust_check(trust, again, NULL, 0, NULL, -1, &v, &err), &err);
		CHECK_STR("not revoked", verdict_revocation_name(v.revocation), "good");
		verdict_fini(&v);
		trust_unref(&trust);
		buf_fini(&crl);
		buf_fini(&spki);
		cert_unref(&root);
		cert_unref(&leaf);
		cert_unref(&again);
		pkey_unref(&ca_key);
		pkey_unref(&key);
	}
	clock_set(-1);
}

static void
nonsense_is_refused(void **state)
{
	struct issue_request request = {.addr = "a@example.org",
		.use = CERT_SIGN,
		.not_before = PKI_NOW,
		.not_after = PKI_NOW + 1};
	struct pkey *key;
	struct cert *root, *leaf;
	struct buf spki = BUF_INIT(0);
	EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	unsigned char *der = NULL;
	struct err err = ERR_INIT;
	int len = i2d_PUBKEY(x25519, &der);

	(void)state;
	must("key", pkey_generate("p256", &key, &err), &err);
	CHECK_INT("kind", pkey_generate("rsa512", &(struct pkey *){NULL}, &err), RC_PERM);
	root = make_root(key);
	must("public", pkey_public(key, &spki, &err), &err);
	CHECK_INT("half a key",
		issue_leaf(key, root, spki.data, spki.len / 2, &request, &leaf, &err), RC_PERM);
	CHECK_INT(
		"X25519", issue_leaf(key, root, der, (size_t)len, &request, &leaf, &err), RC_PERM);
	request.use = 0;
	CHECK_INT("no use", issue_leaf(key, root, spki.data, spki.len, &request, &leaf, &err),
		RC_PERM);
	request.use = CERT_SIGN;
	request.addr = "nobody";
	request.addr = NULL;
	CHECK_INT("no address", issue_leaf(key, root, spki.data, spki.len, &request, &leaf, &err),
		RC_PERM);
	cert_unref(&root);
	pkey_unref(&key);
	buf_fini(&spki);
	OPENSSL_free(der);
	EVP_PKEY_free(x25519);
}

static void
keys_go_round(void **state)
{
	static const char *const kinds[] = {"rsa2048", "p256", "p384", "p521"};
	static const enum key_type types[] = {KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_EC_P521};
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct pkey *key, *again;
		struct secret *der;
		struct buf spki = BUF_INIT(0), sig = BUF_INIT(0);
		struct err err = ERR_INIT;

		must(kinds[i], pkey_generate(kinds[i], &key, &err), &err);
		CHECK_INT(kinds[i], pkey_type(key), types[i]);
		must("format", pkey_format(key, &der, &err), &err);
		must("parse", pkey_parse(secret_data(der), secret_len(der), types[i], &again, &err),
			&err);
		CHECK_INT(kinds[i], EVP_PKEY_eq(pkey_evp(key), pkey_evp(again)), 1);
		pkey_unref(&again);
		must("parse",
			pkey_parse(secret_data(der), secret_len(der), KEY_OTHER, &again, &err),
			&err);
		pkey_unref(&again);
		CHECK_INT("another type",
			pkey_parse(secret_data(der), secret_len(der), types[(i + 1) % 4], &again,
				&err),
			RC_PERM);
		CHECK_INT("cut",
			pkey_parse(secret_data(der), secret_len(der) - 1, types[i], &again, &err),
			RC_PERM);
		must("public", pkey_public(key, &spki, &err), &err);
		must("sign", pkey_sign(key, "text", 4, &sig, &err), &err);
		must("verify", spki_verify(spki.data, spki.len, "text", 4, sig.data, sig.len, &err),
			&err);
		CHECK_INT("other text",
			spki_verify(spki.data, spki.len, "Text", 4, sig.data, sig.len, &err),
			RC_PERM);
		sig.data[sig.len - 1] ^= 1;
		CHECK_INT("other signature",
			spki_verify(spki.data, spki.len, "text", 4, sig.data, sig.len, &err),
			RC_PERM);
		secret_free(&der);
		buf_fini(&spki);
		buf_fini(&sig);
		pkey_unref(&key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_are_fit_for_mail),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(keys_go_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
