/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12.c - PKCS#12 (RFC 7292) and PEM files with keys
 *
 * PKCS12_parse of OpenSSL gives one key of a file; people with one key to sign and another to
 * decrypt have both in it. So the bags are walked here.
 *
 * Passwords: RFC 7292 wants BMPString from the characters. Old programs of ours and others took
 * each byte of UTF-8 for a character, so that is tried as well; "no password" is written in two
 * ways, both are tried.
 */
#include "crypto/p12.h"

#include "crypto/openssl_glue.h"
#include "crypto/pkey_private.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEYS       256
#define MAX_DEPTH      4
#define MAX_ITERATIONS 5000000 /* a few seconds; files with more are refused, not waited for */

/* One way to say the password. */
struct password {
	const char *text; /* NULL: none */
	int len;
};

struct reading {
	struct p12 *out;
	struct password password;
	struct certset certs;
	unsigned depth;
};

/*
 * RC2-40 and single passwords of old exports need the legacy provider. It is loaded into a context
 * of its own, so that nothing else in the process can come to use it, and stays for the life of the
 * process.
 */
static OSSL_LIB_CTX *legacy;

static void
make_legacy(void)
{
	legacy = OSSL_LIB_CTX_new();
	if (!legacy)
		return;
	(void)OSSL_PROVIDER_load(legacy, "default");
	(void)OSSL_PROVIDER_load(legacy, "legacy"); /* absent: old files are refused */
	ossl_clear();
}

static OSSL_LIB_CTX *
legacy_context(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_legacy);
	return legacy;
}

static enum rc
malformed(struct err *err, const char *what)
{
	return ossl_err(err, ERR_KEY_MALFORMED, "%s", what);
}

/* Adds a key from its PKCS#8 structure, through the default context: LEGACY's must not get out. */
static enum rc
add_key(struct reading *r, const PKCS8_PRIV_KEY_INFO *info, struct err *err)
{
	unsigned char *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	struct p12_item *grown;
	struct pkey *pkey = NULL;
	enum rc rc;

	if (len <= 0)
		return malformed(err, "a private key in it cannot be read");
	rc = pkey_parse(der, (size_t)len, KEY_OTHER, &pkey, err);
	OPENSSL_clear_free(der, (size_t)len);
	if (rc == RC_OK && r->out->n >= MAX_KEYS)
		rc = err_set(err, ERR_LIMIT, "more than %d keys in one file", MAX_KEYS);
	if (rc == RC_OK) {
		grown = realloc(r->out->items, (r->out->n + 1) * sizeof(*grown));
		if (!grown)
			rc = err_set(err, ERR_MEMORY, "private key");
		else
			r->out->items = grown;
	}
	if (rc != RC_OK) {
		pkey_unref(&pkey);
		return rc;
	}
	r->out->items[r->out->n++] = (struct p12_item){.pkey = pkey};
	return RC_OK;
}

static enum rc
add_cert(struct reading *r, const X509 *x509, struct err *err)
{
	unsigned char *der = NULL;
	int len = x509 ? i2d_X509(x509, &der) : -1;
	struct cert *cert = NULL;
	enum rc rc = len > 0 ? cert_parse(der, (size_t)len, &cert, err)
			     : malformed(err, "a certificate in it cannot be read");

	if (rc == RC_OK)
		rc = certset_add(&r->certs, cert, err);
	cert_unref(&cert);
	OPENSSL_free(der);
	return rc;
}

/* Refuses a key derivation that would take minutes. */
static enum rc
check_iterations(const X509_ALGOR *alg, struct err *err)
{
	const ASN1_OBJECT *oid;
	const void *value;
	int type;
	int64_t n = 1;

	X509_ALGOR_get0(&oid, &type, &value, alg);
	if (type != V_ASN1_SEQUENCE)
		return RC_OK;
	if (OBJ_obj2nid(oid) == NID_pbes2) {
		PBE2PARAM *pbe2 = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM));
		PBKDF2PARAM *kdf = NULL;

		type = V_ASN1_UNDEF;
		if (pbe2)
			X509_ALGOR_get0(&oid, &type, &value, pbe2->keyfunc);
		if (pbe2 && OBJ_obj2nid(oid) == NID_id_pbkdf2 && type == V_ASN1_SEQUENCE)
			kdf = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBKDF2PARAM));
		if (kdf && !ASN1_INTEGER_get_int64(&n, kdf->iter))
			n = INT64_MAX;
		PBKDF2PARAM_free(kdf);
		PBE2PARAM_free(pbe2);
	} else {
		PBEPARAM *pbe = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM));

		if (pbe && !ASN1_INTEGER_get_int64(&n, pbe->iter))
			n = INT64_MAX;
		PBEPARAM_free(pbe);
	}
	ossl_clear();
	if (n < 1 || n > MAX_ITERATIONS)
		return err_set(err, ERR_LIMIT,
			"its password has less than 1 or more than %d iterations", MAX_ITERATIONS);
	return RC_OK;
}

static enum rc
read_encrypted_key(struct reading *r, const X509_SIG *sig, struct err *err)
{
	const X509_ALGOR *alg;
	const ASN1_OCTET_STRING *data;
	PKCS8_PRIV_KEY_INFO *info;
	enum rc rc;

	X509_SIG_get0(sig, &alg, &data);
	rc = check_iterations(alg, err);
	if (rc != RC_OK)
		return rc;
	info = PKCS8_decrypt_ex(sig, r->password.text, r->password.len, legacy_context(), NULL);
	if (!info)
		return malformed(err,
			"the private key cannot be decrypted: the password is wrong, or the "
			"file is damaged");
	rc = add_key(r, info, err);
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
	return rc;
}

static enum rc read_bags(struct reading *r, const STACK_OF(PKCS12_SAFEBAG) * bags, struct err *err);

static enum rc
read_bag(struct reading *r, const PKCS12_SAFEBAG *bag, struct err *err)
{
	X509 *x509;
	enum rc rc;

	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		return add_key(r, PKCS12_SAFEBAG_get0_p8inf(bag), err);
	case NID_pkcs8ShroudedKeyBag:
		return read_encrypted_key(r, PKCS12_SAFEBAG_get0_pkcs8(bag), err);
	case NID_certBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
			return RC_OK;
		x509 = PKCS12_SAFEBAG_get1_cert(bag); /* get1 */
		rc = add_cert(r, x509, err);
		X509_free(x509);
		return rc;
	case NID_safeContentsBag:
		return read_bags(r, PKCS12_SAFEBAG_get0_safes(bag), err);
	default:
		return RC_OK; /* CRLs, secrets */
	}
}

static enum rc
read_bags(struct reading *r, const STACK_OF(PKCS12_SAFEBAG) * bags, struct err *err)
{
	enum rc rc = RC_OK;
	int i;

	if (++r->depth > MAX_DEPTH)
		return err_set(err, ERR_LIMIT, "bags in bags, more than %d deep", MAX_DEPTH);
	for (i = 0; rc == RC_OK && i < sk_PKCS12_SAFEBAG_num(bags); i++)
		rc = read_bag(r, sk_PKCS12_SAFEBAG_value(bags, i), err);
	r->depth--;
	return rc;
}

/* One of the outer containers, plain or encrypted. */
static enum rc
read_safe(struct reading *r, PKCS7 *p7, struct err *err)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	enum rc rc = RC_OK;

	switch (OBJ_obj2nid(p7->type)) {
	case NID_pkcs7_data:
		bags = PKCS12_unpack_p7data(p7);
		break;
	case NID_pkcs7_encrypted:
		if (p7->d.encrypted && p7->d.encrypted->enc_data)
			rc = check_iterations(p7->d.encrypted->enc_data->algorithm, err);
		if (rc != RC_OK)
			return rc;
		bags = PKCS12_unpack_p7encdata(p7, r->password.text, r->password.len);
		break;
	default:
		return err_set(err, ERR_KEY_MALFORMED,
			"it is encrypted to a certificate, not with a password");
	}
	rc = bags ? read_bags(r, bags, err)
		  : malformed(err, "its content cannot be decrypted: the password is wrong, or the "
				   "file is damaged");
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return rc;
}

static enum rc
read_safes(struct reading *r, const PKCS12 *p12, struct err *err)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	enum rc rc = safes ? RC_OK : malformed(err, "it is no PKCS#12 file, or a damaged one");
	int i;

	for (i = 0; rc == RC_OK && i < sk_PKCS7_num(safes); i++)
		rc = read_safe(r, sk_PKCS7_value(safes, i), err);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	return rc;
}

/* Is the password right? Without a MAC decrypting will show. */
static enum rc
check_mac(PKCS12 *p12, const struct password *password, struct err *err)
{
	const ASN1_INTEGER *iterations = NULL;
	int64_t n = 1;

	if (!PKCS12_mac_present(p12))
		return RC_OK;
	PKCS12_get0_mac(NULL, NULL, NULL, &iterations, p12);
	if (iterations && (!ASN1_INTEGER_get_int64(&n, iterations) || n < 1 || n > MAX_ITERATIONS))
		return err_set(err, ERR_LIMIT,
			"its password has less than 1 or more than %d iterations", MAX_ITERATIONS);
	if (PKCS12_verify_mac(p12, password->text, password->len) == 1)
		return RC_OK;
	ossl_clear();
	return err_set(err, ERR_KEY_MALFORMED,
		password->text && password->len ? "the password is wrong, or the file is damaged"
						: "it needs a password");
}

static void
reading_clear(struct reading *r)
{
	size_t i;

	for (i = 0; i < r->out->n; i++)
		pkey_unref(&r->out->items[i].pkey);
	free(r->out->items);
	r->out->items = NULL;
	r->out->n = 0;
	certset_fini(&r->certs);
	r->depth = 0;
}

/* Each byte above 127 as the UTF-8 of the character of that number; NULL when there is none. */
static enum rc
widen(struct secret *password, struct secret **out, struct err *err)
{
	const unsigned char *from = secret_data(password);
	size_t len = secret_len(password), n = 0, i;
	unsigned char *to;
	enum rc rc = secret_new(2 * len, out, err);

	if (rc != RC_OK)
		return rc;
	to = secret_data(*out);
	for (i = 0; i < len; i++) {
		if (from[i] > 127)
			to[n++] = (unsigned char)(0xc0 | from[i] >> 6);
		to[n++] = from[i] > 127 ? (unsigned char)(0x80 | (from[i] & 0x3f)) : from[i];
	}
	secret_truncate(*out, n);
	return RC_OK;
}

/* Tries the ways to say the password until the file opens. The first way's error is told. */
static enum rc
read_p12(struct reading *r, PKCS12 *p12, struct secret *password, struct err *err)
{
	struct password ways[3];
	struct secret *wide = NULL;
	struct err first = ERR_INIT;
	size_t n = 0, i;
	enum rc rc = RC_PERM;

	if (password && secret_len(password)) {
		ways[n++] = (struct password){
			(const char *)secret_data(password), (int)secret_len(password)};
		rc = widen(password, &wide, err);
		if (rc != RC_OK)
			return rc;
		if (secret_len(wide) > secret_len(password))
			ways[n++] = (struct password){
				(const char *)secret_data(wide), (int)secret_len(wide)};
	} else {
		ways[n++] = (struct password){"", 0};
		ways[n++] = (struct password){NULL, 0};
	}
	for (i = 0; i < n; i++) {
		struct err why = ERR_INIT;

		r->password = ways[i];
		rc = check_mac(p12, &ways[i], &why);
		if (rc == RC_OK)
			rc = read_safes(r, p12, &why);
		if (i == 0)
			first = why;
		if (rc == RC_OK || rc == RC_TEMP)
			break;
		reading_clear(r);
	}
	secret_free(&wide);
	return rc == RC_OK ? RC_OK : err_set(err, first.code, "%s", first.detail);
}

static enum rc
read_der(struct reading *r, const void *data, size_t len, struct secret *password, struct err *err)
{
	PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, legacy_context(), NULL);
	const unsigned char *p = data;
	enum rc rc;

	if (!p12)
		return ossl_err(err, ERR_MEMORY, "PKCS#12");
	if (d2i_PKCS12(&p12, &p, (long)len)) /* frees it on failure */
		rc = read_p12(r, p12, password, err);
	else
		rc = malformed(err, "it is neither PKCS#12 nor PEM");
	PKCS12_free(p12);
	return rc;
}

/* The password for a PEM block with encryption of the old kind ("DEK-Info"). */
static int
pem_password(char *out, int size, int writing, void *ctx)
{
	const struct password *password = ctx;

	(void)writing;
	if (!password->text || password->len > size)
		return -1;
	memcpy(out, password->text, (size_t)password->len);
	return password->len;
}

static enum rc
read_pem_key(
	struct reading *r, const char *name, const unsigned char *der, long len, struct err *err)
{
	const unsigned char *p = der;
	PKCS8_PRIV_KEY_INFO *info = NULL;
	X509_SIG *sig;
	EVP_PKEY *evp;
	enum rc rc;

	if (strcmp(name, PEM_STRING_PKCS8) == 0) {
		sig = d2i_X509_SIG(NULL, &p, len);
		rc = sig ? read_encrypted_key(r, sig, err)
			 : malformed(err, "a damaged private key");
		X509_SIG_free(sig);
		return rc;
	}
	evp = d2i_AutoPrivateKey(NULL, &p, len);
	if (evp)
		info = EVP_PKEY2PKCS8(evp);
	rc = info ? add_key(r, info, err) : malformed(err, "a private key cannot be read");
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(evp);
	return rc;
}

static enum rc
read_pem_block(struct reading *r, const char *name, char *header, unsigned char *der, long *len,
	struct err *err)
{
	static const char suffix[] = "PRIVATE KEY";
	EVP_CIPHER_INFO cipher;
	size_t n = strlen(name);

	if (n < sizeof(suffix) - 1 || strcmp(name + n - (sizeof(suffix) - 1), suffix) != 0)
		return RC_OK;
	if (header && *header &&
		(!PEM_get_EVP_CIPHER_INFO(header, &cipher) ||
			!PEM_do_header(&cipher, der, len, pem_password, &r->password)))
		return malformed(err,
			"the private key cannot be decrypted: the password is wrong, or the "
			"file is damaged");
	return read_pem_key(r, name, der, *len, err);
}

/* Is there anything for certset_parse in a PEM file? */
static bool
has_certs(const void *data, size_t len)
{
	static const char *const ends[] = {"CERTIFICATE-----", "PKCS7-----", "CMS-----"};
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (memmem(data, len, ends[i], strlen(ends[i])))
			return true;
	return false;
}

/* Keys of a PEM file; the certificates are certset_parse's. */
static enum rc
read_pem(struct reading *r, const void *data, size_t len, struct secret *password, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	enum rc rc = bio ? RC_OK : ossl_err(err, ERR_MEMORY, "private key");

	r->password = password ? (struct password){(const char *)secret_data(password),
					 (int)secret_len(password)}
			       : (struct password){"", 0};
	while (rc == RC_OK) {
		char *name = NULL, *header = NULL;
		unsigned char *der = NULL;
		long n = 0, size;

		if (!PEM_read_bio(bio, &name, &header, &der, &n)) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
				rc = malformed(err, "damaged PEM");
			break;
		}
		size = n;
		rc = strcmp(name, "PKCS12") == 0
			     ? read_der(r, der, (size_t)n, password, err) /* as in RFC 9216 */
			     : read_pem_block(r, name, header, der, &n, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)size);
	}
	BIO_free(bio);
	ossl_clear();
	if (rc == RC_OK && has_certs(data, len))
		rc = certset_parse(data, len, &r->certs, err);
	return rc;
}

/* Gives each key its certificate: the one that is no CA and valid longest; the rest are "others".
 */
static enum rc
match(struct reading *r, struct err *err)
{
	enum rc rc = RC_OK;
	size_t i, k;

	for (i = 0; i < r->out->n; i++) {
		struct p12_item *item = &r->out->items[i];

		for (k = 0; k < r->certs.n; k++) {
			struct cert *cert = r->certs.v[k];
			EVP_PKEY *key = cert_pubkey(cert); /* get0 */

			if (!key || EVP_PKEY_eq(key, pkey_evp(item->pkey)) != 1)
				continue;
			if (item->cert && cert_not_after(item->cert) >= cert_not_after(cert))
				continue;
			cert_unref(&item->cert);
			item->cert = cert_ref(cert);
		}
	}
	for (k = 0; rc == RC_OK && k < r->certs.n; k++) {
		for (i = 0; i < r->out->n && r->out->items[i].cert != r->certs.v[k]; i++)
			;
		if (i == r->out->n)
			rc = certset_add(&r->out->others, r->certs.v[k], err);
	}
	ossl_clear();
	return rc;
}

enum rc
p12_parse(const void *data, size_t len, struct secret *password, struct p12 *out, struct err *err)
{
	static const char begin[] = "-----BEGIN ";
	struct reading r = {.out = out};
	enum rc rc;

	*out = (struct p12){0};
	if (len > BUF_MAX_DEFAULT)
		return err_set(err, ERR_LIMIT, "a file of %zu bytes", len);
	rc = memmem(data, len, begin, sizeof(begin) - 1) ? read_pem(&r, data, len, password, err)
							 : read_der(&r, data, len, password, err);
	if (rc == RC_OK && !out->n)
		rc = err_set(err, ERR_KEY_MALFORMED, "there is no private key in it");
	if (rc == RC_OK)
		rc = match(&r, err);
	certset_fini(&r.certs);
	ossl_clear();
	if (rc != RC_OK)
		p12_fini(out);
	return rc;
}

void
p12_fini(struct p12 *p12)
{
	size_t i;

	for (i = 0; i < p12->n; i++) {
		pkey_unref(&p12->items[i].pkey);
		cert_unref(&p12->items[i].cert);
	}
	free(p12->items);
	certset_fini(&p12->others);
	*p12 = (struct p12){0};
}
