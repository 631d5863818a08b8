/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12_file.c - PEM and bare DER with private keys
 */
#include "crypto/p12_private.h"

#include "crypto/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <string.h>

/* A PEM block with encryption of the old kind ("DEK-Info", RFC 1421). */
struct block {
	EVP_CIPHER_INFO cipher;
	const unsigned char *from;
	unsigned char *to; /* as long */
	long len, out_len;
	const char *password;
	int password_len;
	bool look_only;
};

static int
give_password(char *out, int size, int writing, void *ctx)
{
	const struct block *block = ctx;

	(void)writing;
	if (!block->password || block->password_len > size)
		return -1;
	memcpy(out, block->password, (size_t)block->password_len);
	return block->password_len;
}

/* Is it one element of DER, all of it? */
static bool
is_element(const unsigned char *der, long len)
{
	const unsigned char *p = der;
	int tag, class;
	long n = 0;

	return ASN1_get_object(&p, &n, &tag, &class, len) == V_ASN1_CONSTRUCTED &&
	       p + n == der + len;
}

/* The padding fits by chance once in 256 times, so what comes out has to look like DER. */
static bool
try_block(void *ctx, const char *password, int len)
{
	struct block *block = ctx;
	bool ok;

	block->password = password;
	block->password_len = len;
	block->out_len = block->len;
	memcpy(block->to, block->from, (size_t)block->len);
	ok = PEM_do_header(&block->cipher, block->to, &block->out_len, give_password, block) &&
	     is_element(block->to, block->out_len);
	ossl_clear();
	return ok;
}

/* A private key that is not encrypted, or no longer: PKCS#8 or traditional. */
static enum rc
add_plain(struct reading *r, const unsigned char *der, long len, struct err *err)
{
	const unsigned char *p = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, len);
	EVP_PKEY *evp = NULL;
	enum rc rc;

	if (!info) {
		p = der;
		evp = d2i_AutoPrivateKey(NULL, &p, len);
		info = evp ? EVP_PKEY2PKCS8(evp) : NULL;
	}
	rc = info ? p12_add_key(r, info, err)
		  : ossl_err(err, ERR_KEY_MALFORMED,
			    "a private key in it is damaged, or of a kind or curve that is not "
			    "supported");
	ossl_clear();
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(evp);
	return rc;
}

static enum rc
add_old(struct reading *r, char *header, const unsigned char *der, long len, struct err *err)
{
	struct block block = {.from = der, .len = len};
	enum rc rc;

	r->keys = true;
	if (!PEM_get_EVP_CIPHER_INFO(header, &block.cipher))
		return ossl_err(err, ERR_CERT_UNSUPPORTED,
			"a private key encrypted in a way that is not supported");
	if (r->look)
		return RC_OK;
	block.to = OPENSSL_malloc((size_t)len);
	if (!block.to)
		return ossl_err(err, ERR_MEMORY, "private key");
	rc = passwords_try(&r->passwords, PASSWORD_BYTES, 1, try_block, &block, err);
	if (rc == RC_OK)
		rc = add_plain(r, block.to, block.out_len, err);
	OPENSSL_clear_free(block.to, (size_t)len);
	return rc;
}

static enum rc
read_block(
	void *ctx, const char *name, char *header, unsigned char *der, size_t len, struct err *err)
{
	static const char suffix[] = "PRIVATE KEY";
	struct reading *r = ctx;
	const unsigned char *p = der;
	size_t n = strlen(name);
	X509_SIG *sig;
	enum rc rc;

	if (strcmp(name, "PKCS12") == 0) /* as in RFC 9216 */
		return p12_read_pfx(r, der, len, err);
	if (n < sizeof(suffix) - 1 || strcmp(name + n - (sizeof(suffix) - 1), suffix) != 0)
		return RC_OK;
	if (header && *header)
		return add_old(r, header, der, (long)len, err);
	if (strcmp(name, PEM_STRING_PKCS8) != 0)
		return add_plain(r, der, (long)len, err);
	sig = d2i_X509_SIG(NULL, &p, (long)len);
	rc = sig ? p12_add_encrypted_key(r, sig, err)
		 : ossl_err(err, ERR_KEY_MALFORMED, "a damaged private key");
	X509_SIG_free(sig);
	return rc;
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

enum rc
p12_read_pem(struct reading *r, const void *data, size_t len, struct err *err)
{
	enum rc rc = pem_each(data, len, ERR_KEY_MALFORMED, read_block, r, err);

	if (rc == RC_OK && has_certs(data, len))
		rc = certset_parse(data, len, &r->certs, err);
	return rc;
}

/* EncryptedPrivateKeyInfo, PrivateKeyInfo, RSAPrivateKey, ECPrivateKey. */
enum rc
p12_read_der(struct reading *r, const void *data, size_t len, struct err *err)
{
	const unsigned char *p = data;
	X509_SIG *sig = d2i_X509_SIG(NULL, &p, (long)len);
	struct cert *cert = NULL;
	enum rc rc;

	ossl_clear();
	if (sig && p == (const unsigned char *)data + len)
		rc = p12_add_encrypted_key(r, sig, err);
	else if (len <= CERT_MAX_BYTES && cert_parse(data, len, &cert, NULL) == RC_OK)
		rc = certset_add(&r->certs, cert, err);
	else
		rc = add_plain(r, data, (long)len, err);
	if (rc == RC_PERM && err && err->code == ERR_KEY_MALFORMED)
		rc = err_set(err, ERR_KEY_MALFORMED,
			"it is neither PKCS#12 nor PEM nor a private key in DER, or it is damaged");
	cert_unref(&cert);
	X509_SIG_free(sig);
	return rc;
}
