/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pbe.c - encryption with a password: which kind, how much work, and whether this system can do it
 */
#include "crypto/p12_private.h"

#include <openssl/asn1t.h>
#include <openssl/provider.h>

#include <pthread.h>

#define SCRYPT_MEMORY (32u << 20) /* what OpenSSL gives to scrypt here */

static OSSL_LIB_CTX *context;

static void
make_context(void)
{
	context = OSSL_LIB_CTX_new();
	if (!context)
		return;
	(void)OSSL_PROVIDER_load(context, "default");
	(void)OSSL_PROVIDER_load(context, "legacy"); /* absent: old files are refused */
	ossl_clear();
}

OSSL_LIB_CTX *
pbe_context(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_context);
	return context;
}

static enum rc
too_many(struct err *err)
{
	return err_set(err, ERR_LIMIT,
		"its password is to be stretched with less than 1 or more than %d iterations",
		PASSWORD_ITERATIONS);
}

/* The name of an algorithm, or its number. */
static const char *
name_of(const ASN1_OBJECT *oid, char text[80])
{
	OBJ_obj2txt(text, 80, oid, 0);
	return text;
}

/* Is there such a cipher, with the legacy provider or without? */
static enum rc
check_cipher(const char *name, struct err *err)
{
	EVP_CIPHER *cipher = name ? EVP_CIPHER_fetch(pbe_context(), name, NULL) : NULL;
	bool old;

	ossl_clear();
	if (cipher) {
		EVP_CIPHER_free(cipher);
		return RC_OK;
	}
	old = pbe_context() && !OSSL_PROVIDER_available(pbe_context(), "legacy");
	if (!name || !old)
		return err_set(err, ERR_CERT_UNSUPPORTED,
			"it is encrypted with %s, which OpenSSL does not have here",
			name ? name : "a cipher");
	return err_set(err, ERR_CERT_UNSUPPORTED,
		"it is encrypted with %s, for which OpenSSL's legacy provider (legacy.so) is needed: "
		"it is missing on this system; Debian has it in libssl3, later in "
		"openssl-provider-legacy",
		name);
}

enum rc
pbe_read_pbkdf2(const X509_ALGOR *alg, PBKDF2PARAM **out, int64_t *iterations, struct err *err)
{
	const ASN1_OBJECT *oid;
	const void *value;
	int type;

	X509_ALGOR_get0(&oid, &type, &value, alg);
	*out = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBKDF2PARAM))
				       : NULL;
	if (!*out)
		return ossl_err(err, ERR_KEY_MALFORMED, "damaged parameters of PBKDF2");
	if (!ASN1_INTEGER_get_int64(iterations, (*out)->iter) || *iterations < 1 ||
		*iterations > PASSWORD_ITERATIONS) {
		ossl_clear();
		PBKDF2PARAM_free(*out);
		*out = NULL;
		return too_many(err);
	}
	return RC_OK;
}

/* scrypt (RFC 7914): the work is N·r·p, the memory 128·N·r. */
static enum rc
read_scrypt(const X509_ALGOR *alg, struct pbe *out, struct err *err)
{
	const ASN1_OBJECT *oid;
	const void *value;
	uint64_t n = 0, r = 0, p = 0;
	SCRYPT_PARAMS *params;
	int type;
	bool ok;

	X509_ALGOR_get0(&oid, &type, &value, alg);
	params = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(SCRYPT_PARAMS))
					 : NULL;
	ok = params && ASN1_INTEGER_get_uint64(&n, params->costParameter) &&
	     ASN1_INTEGER_get_uint64(&r, params->blockSize) &&
	     ASN1_INTEGER_get_uint64(&p, params->parallelizationParameter);
	SCRYPT_PARAMS_free(params);
	ossl_clear();
	if (!ok)
		return err_set(err, ERR_KEY_MALFORMED, "damaged parameters of scrypt");
	if (n < 2 || n > 1u << 24 || r < 1 || r > 1u << 16 || p < 1 || p > 1u << 16 ||
		128 * n * r + 128 * r * p >= SCRYPT_MEMORY || n * r * p > PASSWORD_ITERATIONS)
		return err_set(err, ERR_LIMIT,
			"its password is to be stretched by scrypt with more memory or time than "
			"is allowed (N %llu, r %llu, p %llu)",
			(unsigned long long)n, (unsigned long long)r, (unsigned long long)p);
	out->iterations = (int64_t)(n * r * p);
	return RC_OK;
}

static enum rc
read_pbes2(const PBE2PARAM *pbes2, struct pbe *out, struct err *err)
{
	const ASN1_OBJECT *kdf, *cipher;
	PBKDF2PARAM *params;
	char text[80];
	int nid;
	enum rc rc;

	out->form = PASSWORD_BYTES;
	X509_ALGOR_get0(&kdf, NULL, NULL, pbes2->keyfunc);
	X509_ALGOR_get0(&cipher, NULL, NULL, pbes2->encryption);
	if (OBJ_obj2nid(kdf) == NID_id_scrypt) {
		rc = read_scrypt(pbes2->keyfunc, out, err);
	} else if (OBJ_obj2nid(kdf) == NID_id_pbkdf2) {
		rc = pbe_read_pbkdf2(pbes2->keyfunc, &params, &out->iterations, err);
		PBKDF2PARAM_free(params);
	} else {
		return err_set(err, ERR_CERT_UNSUPPORTED, "its key derivation %s is not supported",
			name_of(kdf, text));
	}
	nid = OBJ_obj2nid(cipher);
	/* RC2 in PBES2 says its length in the parameters; one of the family stands for all. */
	return rc ? rc
		  : check_cipher(nid == NID_undef ? name_of(cipher, text) : OBJ_nid2sn(nid), err);
}

/* The schemes of PKCS#5 version 1 and of PKCS#12, which are one number each. */
static enum rc
read_old(const ASN1_OBJECT *oid, const PBEPARAM *params, struct pbe *out, struct err *err)
{
	int cipher = NID_undef, kind = OBJ_obj2nid(oid);
	char text[80];

	switch (kind) {
	case NID_pbe_WithSHA1And128BitRC4:
	case NID_pbe_WithSHA1And40BitRC4:
	case NID_pbe_WithSHA1And3_Key_TripleDES_CBC:
	case NID_pbe_WithSHA1And2_Key_TripleDES_CBC:
	case NID_pbe_WithSHA1And128BitRC2_CBC:
	case NID_pbe_WithSHA1And40BitRC2_CBC:
		out->form = PASSWORD_CHARS;
		break;
	case NID_pbeWithMD5AndDES_CBC:
	case NID_pbeWithMD5AndRC2_CBC:
	case NID_pbeWithSHA1AndDES_CBC:
	case NID_pbeWithSHA1AndRC2_CBC:
		out->form = PASSWORD_BYTES;
		break;
	default:
		return err_set(err, ERR_CERT_UNSUPPORTED, "its encryption %s is not supported",
			name_of(oid, text));
	}
	if (!ASN1_INTEGER_get_int64(&out->iterations, params->iter) || out->iterations < 1 ||
		out->iterations > PASSWORD_ITERATIONS) {
		ossl_clear();
		return too_many(err);
	}
	if (!EVP_PBE_find(EVP_PBE_TYPE_OUTER, kind, &cipher, NULL, NULL))
		cipher = NID_undef;
	ossl_clear();
	return check_cipher(cipher == NID_undef ? NULL : OBJ_nid2sn(cipher), err);
}

enum rc
pbe_read(const X509_ALGOR *alg, struct pbe *out, struct err *err)
{
	const ASN1_OBJECT *oid;
	const void *value;
	PBE2PARAM *pbes2 = NULL;
	PBEPARAM *old = NULL;
	int type;
	enum rc rc;

	X509_ALGOR_get0(&oid, &type, &value, alg);
	if (type == V_ASN1_SEQUENCE && OBJ_obj2nid(oid) == NID_pbes2)
		pbes2 = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM));
	else if (type == V_ASN1_SEQUENCE)
		old = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM));
	ossl_clear();
	if (pbes2)
		rc = read_pbes2(pbes2, out, err);
	else if (old)
		rc = read_old(oid, old, out, err);
	else
		rc = err_set(err, ERR_KEY_MALFORMED, "damaged parameters of its encryption");
	PBE2PARAM_free(pbes2);
	PBEPARAM_free(old);
	return rc;
}
