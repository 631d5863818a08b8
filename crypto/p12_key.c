/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12_key.c - the private keys and certificates of a file, one by one
 */
#include "crypto/p12_private.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DER 65536 /* of one key; an RSA key of P12_MAX_RSA bits has 5 KB */

/* ASN.1 of ECParameters' named curve: what OpenSSL does not know has no other name. */
static enum rc
unsupported(const PKCS8_PRIV_KEY_INFO *info, struct err *err)
{
	const ASN1_OBJECT *oid = NULL, *curve = NULL;
	const X509_ALGOR *alg = NULL;
	const void *value = NULL;
	char kind[80] = "?", name[80] = "written out";
	int type = V_ASN1_UNDEF;

	ossl_clear();
	if (!PKCS8_pkey_get0(&oid, NULL, NULL, &alg, info))
		return err_set(err, ERR_KEY_MALFORMED, "a private key in it cannot be read");
	X509_ALGOR_get0(NULL, &type, &value, alg);
	OBJ_obj2txt(kind, sizeof(kind), oid, 0);
	if (OBJ_obj2nid(oid) != NID_X9_62_id_ecPublicKey)
		return err_set(err, ERR_CERT_UNSUPPORTED,
			"a private key of kind %s, which mail does not use", kind);
	if (type == V_ASN1_OBJECT) {
		curve = value;
		OBJ_obj2txt(name, sizeof(name), curve, 0);
	}
	return err_set(err, ERR_CERT_UNSUPPORTED,
		"a private key on the curve %s: only P-256, P-384 and P-521 are supported", name);
}

/*
 * OpenSSL takes a modulus of 2048 bits with primes and exponents of millions, and one signature
 * with it takes minutes to hours: no part may be longer than the modulus.
 */
static bool
has_sane_parts(EVP_PKEY *key)
{
	static const char *const parts[] = {OSSL_PKEY_PARAM_RSA_FACTOR,
		OSSL_PKEY_PARAM_RSA_EXPONENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT};
	bool sane = true;

	/* 0: the private exponent; then for each of the primes, of which there may be ten. */
	for (int i = 0; sane && i <= 10 * 3; i++) {
		BIGNUM *part = NULL;
		char name[40];

		snprintf(name, sizeof(name), "%s%d", parts[i % 3], (i + 2) / 3);
		if (EVP_PKEY_get_bn_param(key, i ? name : OSSL_PKEY_PARAM_RSA_D, &part))
			sane = BN_num_bits(part) <= EVP_PKEY_get_bits(key);
		BN_clear_free(part);
	}
	ossl_clear();
	return sane;
}

/* A key of a kind and size that we use. */
static enum rc
check_kind(const PKCS8_PRIV_KEY_INFO *info, const struct pkey *pkey, struct err *err)
{
	int bits = EVP_PKEY_get_bits(pkey_evp(pkey));

	switch (pkey_type(pkey)) {
	case KEY_OTHER:
		return unsupported(info, err);
	case KEY_RSA:
	case KEY_RSA_PSS:
		if (bits > P12_MAX_RSA)
			return err_set(err, ERR_LIMIT, "an RSA key of %d bits", bits);
		return has_sane_parts(pkey_evp(pkey))
			       ? RC_OK
			       : err_set(err, ERR_KEY_MALFORMED,
					 "an RSA key of %d bits with parts that are longer", bits);
	default:
		return RC_OK;
	}
}

/* Is it there already? */
static bool
has_key(const struct p12 *p12, const struct pkey *pkey)
{
	size_t i;

	for (i = 0; i < p12->n; i++)
		if (EVP_PKEY_eq(pkey_evp(p12->items[i].pkey), pkey_evp(pkey)) == 1)
			return true;
	ossl_clear();
	return false;
}

/* Takes *PKEY. */
static enum rc
keep_key(struct p12 *p12, struct pkey **pkey, struct err *err)
{
	struct p12_item *grown;

	if (has_key(p12, *pkey)) {
		pkey_unref(pkey);
		return RC_OK;
	}
	if (p12->n + p12->n_left_out >= P12_MAX_KEYS)
		return err_set(err, ERR_LIMIT, "more than %d keys in one file", P12_MAX_KEYS);
	grown = realloc(p12->items, (p12->n + 1) * sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_MEMORY, "private key");
	p12->items = grown;
	p12->items[p12->n++] = (struct p12_item){.pkey = *pkey};
	*pkey = NULL; /* the list's from here */
	return RC_OK;
}

/* The file may have others that can be used: this one is remembered by what is said of it. */
static enum rc
leave_out(struct p12 *p12, enum rc rc, struct err *err)
{
	if (rc != RC_PERM || !err || err->code != ERR_CERT_UNSUPPORTED)
		return rc;
	if (p12->n + p12->n_left_out >= P12_MAX_KEYS)
		return err_set(err, ERR_LIMIT, "more than %d keys in one file", P12_MAX_KEYS);
	if (p12->n_left_out++ == 0)
		p12->left_out = *err;
	err_clear(err);
	return RC_OK;
}

enum rc
p12_add_key(struct reading *r, const PKCS8_PRIV_KEY_INFO *info, struct err *err)
{
	unsigned char *der = NULL;
	struct pkey *pkey = NULL;
	int len;
	enum rc rc;

	r->keys = true;
	if (r->look)
		return RC_OK;
	len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	if (len <= 0)
		return ossl_err(err, ERR_KEY_MALFORMED, "a private key in it cannot be read");
	if (len > MAX_DER) {
		OPENSSL_clear_free(der, (size_t)len);
		return err_set(err, ERR_LIMIT, "a private key of %d bytes", len);
	}
	rc = pkey_parse(der, (size_t)len, KEY_OTHER, &pkey, err);
	OPENSSL_clear_free(der, (size_t)len);
	if (rc == RC_PERM && err && err->code == ERR_KEY_MALFORMED)
		rc = unsupported(info, err);
	if (rc == RC_OK)
		rc = check_kind(info, pkey, err);
	if (rc == RC_OK)
		rc = keep_key(r->out, &pkey, err);
	pkey_unref(&pkey);
	return leave_out(r->out, rc, err);
}

struct opening {
	const X509_SIG *sig;
	PKCS8_PRIV_KEY_INFO *info; /* owned */
};

static bool
try_key(void *ctx, const char *password, int len)
{
	struct opening *opening = ctx;

	opening->info = PKCS8_decrypt_ex(opening->sig, password, len, pbe_context(), NULL);
	ossl_clear();
	return opening->info != NULL;
}

enum rc
p12_add_encrypted_key(struct reading *r, const X509_SIG *sig, struct err *err)
{
	struct opening opening = {.sig = sig};
	const X509_ALGOR *alg;
	struct pbe pbe;
	enum rc rc;

	r->keys = true;
	X509_SIG_get0(sig, &alg, NULL);
	rc = pbe_read(alg, &pbe, err);
	if (rc != RC_OK || r->look)
		return rc;
	rc = passwords_try(&r->passwords, pbe.form, pbe.iterations, try_key, &opening, err);
	if (rc == RC_OK)
		rc = p12_add_key(r, opening.info, err);
	PKCS8_PRIV_KEY_INFO_free(opening.info); /* wipes */
	return rc;
}

enum rc
p12_add_cert(struct reading *r, const X509 *x509, struct err *err)
{
	unsigned char *der = NULL;
	int len = x509 ? i2d_X509(x509, &der) : -1;
	struct cert *cert = NULL;
	enum rc rc =
		len > 0 ? cert_parse(der, (size_t)len, &cert, err)
			: ossl_err(err, ERR_KEY_MALFORMED, "a certificate in it cannot be read");

	if (rc == RC_OK)
		rc = certset_add(&r->certs, cert, err);
	cert_unref(&cert);
	OPENSSL_free(der);
	return rc;
}

enum rc
p12_check_pair(const struct pkey *pkey, const struct cert *cert, struct err *err)
{
	static const unsigned char data[] = "sealgate: does the key belong to the certificate?";
	const EVP_PKEY *public = cert_pubkey(cert);
	struct buf sig = BUF_INIT(65536);
	const unsigned char *spki;
	size_t len;
	bool fits = public && EVP_PKEY_eq(pkey_evp(pkey), public) == 1;
	enum rc rc = RC_OK;

	ossl_clear();
	/* X25519 does not sign, and its public part is always computed from the private one. */
	if (fits && pkey_type(pkey) != KEY_X25519) {
		spki = cert_spki(cert, &len);
		rc = pkey_sign(pkey, data, sizeof(data), &sig, err);
		if (rc == RC_OK)
			rc = spki_verify(spki, len, data, sizeof(data), sig.data, sig.len, err);
		fits = rc == RC_OK;
		buf_fini(&sig);
	}
	if (fits || (rc == RC_TEMP && err && (err->code == ERR_MEMORY || err->code == ERR_TOKEN)))
		return rc;
	return err_set(err, ERR_KEY_MALFORMED,
		"the private key does not belong to the certificate of %.200s", cert_subject(cert));
}
