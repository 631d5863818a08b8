/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12_mac.c - the MAC of a PKCS#12 file, which tells whether the password is right
 *
 * Usually its key comes from the derivation of PKCS#12; RFC 9579 brought PBKDF2 ("PBMAC1"), which
 * OpenSSL knows from 3.4 on and which is therefore computed here.
 */
#include "crypto/der.h"
#include "crypto/p12_private.h"

#include <openssl/asn1t.h>
#include <openssl/hmac.h>

#include <string.h>

static bool
try_usual(void *ctx, const char *password, int len)
{
	bool fits = PKCS12_verify_mac(ctx, password, len) == 1;

	ossl_clear();
	return fits;
}

static enum rc
check_usual(struct reading *r, PKCS12 *p12, const X509_ALGOR *alg, struct err *err)
{
	const ASN1_INTEGER *iterations = NULL;
	const ASN1_OBJECT *oid;
	char name[80];
	int64_t n = 1;

	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	PKCS12_get0_mac(NULL, NULL, NULL, &iterations, p12);
	if (!EVP_get_digestbyobj(oid)) {
		OBJ_obj2txt(name, sizeof(name), oid, 0);
		ossl_clear();
		return err_set(err, ERR_CERT_UNSUPPORTED, "its MAC %s is not supported", name);
	}
	if (iterations &&
		(!ASN1_INTEGER_get_int64(&n, iterations) || n < 1 || n > PASSWORD_ITERATIONS)) {
		ossl_clear();
		return err_set(err, ERR_LIMIT,
			"its password is to be stretched with less than 1 or more than %d "
			"iterations",
			PASSWORD_ITERATIONS);
	}
	return passwords_try(&r->passwords, PASSWORD_CHARS, n, try_usual, p12, err);
}

/* What PBMAC1 says, and what it is over. */
struct pbmac1 {
	const PBKDF2PARAM *kdf;
	int64_t iterations, key_len;
	const EVP_MD *prf, *md;
	const ASN1_OCTET_STRING *value;
	const unsigned char *data;
	size_t len;
};

static bool
try_pbmac1(void *ctx, const char *password, int len)
{
	const struct pbmac1 *m = ctx;
	const ASN1_OCTET_STRING *salt = m->kdf->salt->value.octet_string;
	unsigned char key[EVP_MAX_MD_SIZE], mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	bool fits = PKCS5_PBKDF2_HMAC(password, len, ASN1_STRING_get0_data(salt),
			    ASN1_STRING_length(salt), (int)m->iterations, m->prf, (int)m->key_len,
			    key) == 1 &&
		    HMAC(m->md, key, (int)m->key_len, m->data, m->len, mac, &n) &&
		    (int)n == ASN1_STRING_length(m->value) &&
		    CRYPTO_memcmp(mac, ASN1_STRING_get0_data(m->value), n) == 0;

	secret_wipe(key, sizeof(key));
	ossl_clear();
	return fits;
}

/* The hash of hmacWithSHA256 and its like; NULL: not supported. */
static const EVP_MD *
hash_of(const X509_ALGOR *hmac)
{
	int md = NID_sha1; /* when PBKDF2 names none (RFC 8018) */
	const ASN1_OBJECT *oid;

	if (hmac) {
		X509_ALGOR_get0(&oid, NULL, NULL, hmac);
		if (!EVP_PBE_find(EVP_PBE_TYPE_PRF, OBJ_obj2nid(oid), NULL, &md, NULL))
			return NULL;
	}
	return EVP_get_digestbynid(md);
}

/* The content octets of authSafe: the second element of PFX is ContentInfo { data, [0] { octets } }
 * (RFC 7292 section 4). */
static bool
find_content(struct der in, struct pbmac1 *m)
{
	struct der_item pfx, version, info, oid, explicit, octets;

	if (!der_take(&in, DER_SEQUENCE, &pfx) || !der_take(&pfx.body, DER_INTEGER, &version) ||
		!der_take(&pfx.body, DER_SEQUENCE, &info) || !der_take(&info.body, DER_OID, &oid) ||
		!der_take(&info.body, DER_CONTEXT_CONSTRUCTED, &explicit) ||
		!der_take(&explicit.body, DER_OCTETS, &octets))
		return false;
	m->data = octets.body.p;
	m->len = octets.body.len;
	return true;
}

static enum rc
check_parsed(struct reading *r, const PBE2PARAM *params, struct pbmac1 *m, struct err *err)
{
	PBKDF2PARAM *kdf = NULL;
	const ASN1_OBJECT *oid;
	enum rc rc;

	X509_ALGOR_get0(&oid, NULL, NULL, params->keyfunc);
	if (OBJ_obj2nid(oid) != NID_id_pbkdf2)
		return err_set(err, ERR_CERT_UNSUPPORTED,
			"the key derivation of its MAC is not supported");
	rc = pbe_read_pbkdf2(params->keyfunc, &kdf, &m->iterations, err);
	if (rc != RC_OK)
		return rc;
	m->kdf = kdf;
	m->prf = hash_of(kdf->prf);
	m->md = hash_of(params->encryption);
	if (!kdf->keylength || !ASN1_INTEGER_get_int64(&m->key_len, kdf->keylength) ||
		m->key_len < 16 || m->key_len > EVP_MAX_MD_SIZE || !kdf->salt ||
		kdf->salt->type != V_ASN1_OCTET_STRING)
		rc = err_set(err, ERR_KEY_MALFORMED, "damaged parameters of its MAC");
	else if (!m->prf || !m->md)
		rc = err_set(err, ERR_CERT_UNSUPPORTED, "its MAC is not supported");
	else
		rc = passwords_try(
			&r->passwords, PASSWORD_BYTES, m->iterations, try_pbmac1, m, err);
	PBKDF2PARAM_free(kdf);
	ossl_clear();
	return rc;
}

static enum rc
check_pbmac1(struct reading *r, const X509_ALGOR *alg, const ASN1_OCTET_STRING *value,
	const void *data, size_t len, struct err *err)
{
	struct pbmac1 m = {.value = value};
	struct buf der = {.max = P12_MAX_BYTES, .wipe = true};
	const ASN1_OBJECT *oid;
	const void *sequence;
	PBE2PARAM *params; /* of the same shape: two AlgorithmIdentifiers */
	int type;
	enum rc rc = der_from_ber(data, len, &der, err);

	X509_ALGOR_get0(&oid, &type, &sequence, alg);
	params = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(sequence, ASN1_ITEM_rptr(PBE2PARAM))
					 : NULL;
	if (rc == RC_OK &&
		(!params || !find_content((struct der){(unsigned char *)der.data, der.len}, &m)))
		rc = ossl_err(err, ERR_KEY_MALFORMED, "damaged parameters of its MAC");
	if (rc == RC_OK)
		rc = check_parsed(r, params, &m, err);
	PBE2PARAM_free(params);
	buf_fini(&der);
	return rc;
}

enum rc
p12_check_mac(struct reading *r, PKCS12 *p12, const void *der, size_t len, struct err *err)
{
	const ASN1_OCTET_STRING *value = NULL;
	const X509_ALGOR *alg = NULL;
	const ASN1_OBJECT *oid;
	char number[80];

	if (!PKCS12_mac_present(p12))
		return RC_OK;
	PKCS12_get0_mac(&value, &alg, NULL, NULL, p12);
	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	OBJ_obj2txt(number, sizeof(number), oid, 1);
	if (strcmp(number, "1.2.840.113549.1.5.14") == 0)
		return check_pbmac1(r, alg, value, der, len, err);
	return check_usual(r, p12, alg, err);
}
