/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pkey.h"

#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"
#include "crypto/token_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
	[KEY_OTHER] = "other",
	[KEY_RSA] = "rsa",
	[KEY_RSA_PSS] = "rsa-pss",
	[KEY_EC_P256] = "ec-p256",
	[KEY_EC_P384] = "ec-p384",
	[KEY_EC_P521] = "ec-p521",
	[KEY_ED25519] = "ed25519",
	[KEY_X25519] = "x25519",
};

const char *
key_type_name(enum key_type type)
{
	return type_names[type];
}

static enum key_type
ec_type(const EVP_PKEY *key)
{
	char group[64];
	size_t len;

	if (!EVP_PKEY_get_group_name(key, group, sizeof(group), &len))
		return KEY_OTHER;
	switch (OBJ_txt2nid(group)) {
	case NID_X9_62_prime256v1:
		return KEY_EC_P256;
	case NID_secp384r1:
		return KEY_EC_P384;
	case NID_secp521r1:
		return KEY_EC_P521;
	default:
		return KEY_OTHER;
	}
}

enum key_type
evp_key_type(const EVP_PKEY *key)
{
	switch (key ? EVP_PKEY_get_base_id(key) : NID_undef) {
	case EVP_PKEY_RSA:
		return KEY_RSA;
	case EVP_PKEY_RSA_PSS:
		return KEY_RSA_PSS;
	case EVP_PKEY_EC:
		return ec_type(key);
	case EVP_PKEY_ED25519:
		return KEY_ED25519;
	case EVP_PKEY_X25519:
		return KEY_X25519;
	default:
		return KEY_OTHER;
	}
}

enum rc
pkey_from_evp(EVP_PKEY **evp, struct pkey **out, struct err *err)
{
	struct pkey *pkey = calloc(1, sizeof(*pkey));

	*out = NULL;
	if (!pkey) {
		EVP_PKEY_free(*evp);
		*evp = NULL;
		return err_set(err, ERR_MEMORY, "private key");
	}
	atomic_init(&pkey->refs, 1);
	pkey->evp = *evp;
	*evp = NULL; /* the struct pkey's from here */
	pkey->type = evp_key_type(pkey->evp);
	*out = pkey;
	return RC_OK;
}

enum rc
pkey_generate(const char *kind, struct pkey **out, struct err *err)
{
	static const struct {
		const char *kind, *curve;
		unsigned bits;
	} kinds[] = {
		{"rsa2048", NULL, 2048},
		{"rsa3072", NULL, 3072},
		{"rsa4096", NULL, 4096},
		{"p256", "P-256", 0},
		{"p384", "P-384", 0},
		{"p521", "P-521", 0},
	};
	EVP_PKEY *evp;
	size_t i;

	*out = NULL;
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kind, kinds[i].kind) == 0)
			break;
	if (i == sizeof(kinds) / sizeof(*kinds))
		return err_set(err, ERR_USAGE,
			"no such kind of key: %.40s (rsa2048 rsa3072 rsa4096 p256 p384 p521)",
			kind);
	evp = kinds[i].curve ? EVP_EC_gen(kinds[i].curve) : EVP_RSA_gen(kinds[i].bits);
	if (!evp)
		return ossl_err(err, ERR_CRYPTO, "making a key of kind %s", kind);
	return pkey_from_evp(&evp, out, err);
}

/* OpenSSL's number for a type; 0 when it has to find out. */
static int
evp_id(enum key_type type)
{
	switch (type) {
	case KEY_RSA:
		return EVP_PKEY_RSA;
	case KEY_RSA_PSS:
		return EVP_PKEY_RSA_PSS;
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return EVP_PKEY_EC;
	case KEY_ED25519:
		return EVP_PKEY_ED25519;
	case KEY_X25519:
		return EVP_PKEY_X25519;
	case KEY_OTHER:
		break;
	}
	return 0;
}

enum rc
pkey_parse(const void *der, size_t len, enum key_type type, struct pkey **out, struct err *err)
{
	const unsigned char *p = der;
	EVP_PKEY *evp;
	int id = evp_id(type);

	*out = NULL;
	if (len > BUF_MAX_DEFAULT)
		return err_set(err, ERR_LIMIT, "a private key of %zu bytes", len);
	if (token_key_is(der, len))
		return token_key_parse(der, len, out, err);
	evp = id ? d2i_PrivateKey(id, NULL, &p, (long)len)
		 : d2i_AutoPrivateKey(NULL, &p, (long)len);
	if (!evp)
		return ossl_err(err, ERR_KEY_MALFORMED, "it is no private key in DER");
	ossl_clear(); /* decoders that were tried in vain leave their complaints */
	if (p != (const unsigned char *)der + len || (id && evp_key_type(evp) != type)) {
		EVP_PKEY_free(evp);
		return err_set(err, ERR_KEY_MALFORMED,
			"a private key of another type, or bytes after its end");
	}
	return pkey_from_evp(&evp, out, err);
}

enum rc
pkey_format(const struct pkey *pkey, struct secret **out, struct err *err)
{
	PKCS8_PRIV_KEY_INFO *info;
	unsigned char *der = NULL;
	int len;
	enum rc rc;

	*out = NULL;
	if (pkey->token)
		return token_key_format(pkey, out, err);
	info = EVP_PKEY2PKCS8(pkey->evp);
	len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	rc = len > 0 ? secret_copy(der, (size_t)len, out, err)
		     : ossl_err(err, ERR_CRYPTO, "a private key cannot be encoded");
	OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes the key inside */
	return rc;
}

struct pkey *
pkey_ref(struct pkey *pkey)
{
	if (pkey)
		atomic_fetch_add_explicit(&pkey->refs, 1, memory_order_relaxed);
	return pkey;
}

void
pkey_unref(struct pkey **pkey)
{
	struct pkey *gone = *pkey;

	*pkey = NULL;
	if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1) {
		pkey_free_idle(gone);
		EVP_PKEY_free(gone->evp);
		free(gone->token);
		free(gone);
	}
}

EVP_PKEY *
pkey_evp(const struct pkey *pkey)
{
	return pkey->evp;
}

enum key_type
pkey_type(const struct pkey *pkey)
{
	return pkey->type;
}

enum rc
pkey_public(const struct pkey *pkey, struct buf *spki, struct err *err)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pkey->evp, &der);
	enum rc rc = len > 0 ? buf_append(spki, der, (size_t)len, err)
			     : ossl_err(err, ERR_CRYPTO, "a public key cannot be encoded");

	OPENSSL_free(der);
	return rc;
}

enum rc
spki_verify(const void *spki, size_t spki_len, const void *data, size_t len, const void *sig,
	size_t sig_len, struct err *err)
{
	const unsigned char *p = spki;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki_len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum rc rc = RC_OK;

	if (!ctx)
		rc = ossl_err(err, ERR_MEMORY, "checking a signature");
	else if (!key || p != (const unsigned char *)spki + spki_len)
		rc = ossl_err(err, ERR_KEY_MALFORMED, "a public key is malformed");
	else if (EVP_DigestVerifyInit(ctx, NULL, digest_evp(pkey_usual_digest(evp_key_type(key))),
			 NULL, key) != 1)
		rc = ossl_err(err, ERR_CRYPTO, "checking a signature");
	else if (EVP_DigestVerify(ctx, sig, sig_len, data, len) != 1)
		rc = ossl_err(err, ERR_CERT_UNUSABLE, "a signature does not verify");
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ossl_clear();
	return rc;
}
