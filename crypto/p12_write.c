/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12_write.c - a private key into a file, for where it goes next
 */
#include "crypto/p12.h"

#include "crypto/openssl_glue.h"
#include "message/b64.h"

#include <openssl/pkcs12.h>

#include <string.h>

#define PEM_LINE 48 /* bytes for 64 characters */

static STACK_OF(X509) * stack_of(const struct certset *chain)
{
	STACK_OF(X509) *stack = sk_X509_new_null();

	for (size_t i = 0; stack && chain && i < chain->n; i++)
		if (!sk_X509_push(stack, cert_x509(chain->v[i]))) {
			sk_X509_free(stack);
			stack = NULL;
		}
	return stack;
}

static enum rc
format(PKCS12 *p12, struct buf *out, struct err *err)
{
	unsigned char *der = NULL;
	int len = i2d_PKCS12(p12, &der);
	enum rc rc = len > 0 ? buf_append(out, der, (size_t)len, err)
			     : ossl_err(err, ERR_CRYPTO, "writing PKCS#12");

	OPENSSL_free(der);
	return rc;
}

enum rc
p12_write(const struct pkey *pkey, struct cert *cert, const struct certset *chain, const char *name,
	struct secret *password, struct buf *out, struct err *err)
{
	struct buf pass = {.max = 4096, .wipe = true};
	STACK_OF(X509) *others = stack_of(chain); /* borrows them */
	PKCS12 *p12 = NULL;
	enum rc rc = buf_append(&pass, secret_data(password), secret_len(password), err);

	if (!rc && (pass.len == 0 || memchr(pass.data, 0, pass.len)))
		rc = err_set(err, ERR_USAGE, "a PKCS#12 file needs a password");
	if (!rc && !others)
		rc = ossl_err(err, ERR_MEMORY, "PKCS#12");
	if (!rc) {
		p12 = PKCS12_create_ex(pass.data, name, pkey_evp(pkey),
			cert ? cert_x509(cert) : NULL, others, NID_aes_256_cbc, NID_aes_256_cbc,
			P12_ITERATIONS, -1, 0, NULL, NULL);
		if (!p12 || PKCS12_set_mac(p12, pass.data, -1, NULL, 16, P12_ITERATIONS,
				    EVP_sha256()) != 1)
			rc = ossl_err(err, ERR_CRYPTO, "writing PKCS#12");
	}
	if (!rc)
		rc = format(p12, out, err);
	PKCS12_free(p12);
	sk_X509_free(others);
	buf_fini(&pass);
	return rc;
}

static enum rc
pem_block(const char *name, const unsigned char *der, size_t len, struct buf *out, struct err *err)
{
	char line[64 + 1];
	enum rc rc = buf_appendf(out, err, "-----BEGIN %s-----\n", name);

	for (size_t at = 0; !rc && at < len; at += PEM_LINE) {
		size_t n = len - at < PEM_LINE ? len - at : PEM_LINE;
		size_t chars = b64_encode(der + at, n, line);

		line[chars++] = '\n';
		rc = buf_append(out, line, chars, err);
	}
	secret_wipe(line, sizeof(line));
	return rc ? rc : buf_appendf(out, err, "-----END %s-----\n", name);
}

enum rc
pem_write_key(const struct pkey *pkey, struct cert *cert, const struct certset *chain,
	struct buf *out, struct err *err)
{
	struct secret *der = NULL;
	enum rc rc = pkey_format(pkey, &der, err);

	if (!rc)
		rc = pem_block("PRIVATE KEY", secret_data(der), secret_len(der), out, err);
	if (!rc && cert)
		rc = cert_format_pem(cert, out, err);
	for (size_t i = 0; !rc && chain && i < chain->n; i++)
		rc = cert_format_pem(chain->v[i], out, err);
	secret_free(&der);
	return rc;
}
