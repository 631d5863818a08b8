/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12_private.h - what the files that read private keys share
 */
#ifndef CRYPTO_P12_PRIVATE_H
#define CRYPTO_P12_PRIVATE_H

#include "crypto/openssl_glue.h"
#include "crypto/p12.h"
#include "crypto/password.h"

#include <openssl/pkcs12.h>

struct reading {
	struct p12 *out;
	struct passwords passwords;
	struct certset certs;
	unsigned depth;
	bool look; /* p12_look: nothing is decrypted */
	bool keys; /* there are some, or may be */
};

/* --- pbe.c --- */
/* A library context with the legacy provider, where there is one; never freed. */
OSSL_LIB_CTX *pbe_context(void);
/* What the AlgorithmIdentifier of something that a password encrypts asks for. */
struct pbe {
	enum password_form form;
	int64_t iterations; /* or as much work */
};
/* ERR_LIMIT; ERR_CERT_UNSUPPORTED with the name of what is missing. */
enum rc pbe_read(const X509_ALGOR *alg, struct pbe *out, struct err *err);
/* The parameters of PBKDF2, within the limits. Free with PBKDF2PARAM_free. */
enum rc
pbe_read_pbkdf2(const X509_ALGOR *alg, PBKDF2PARAM **out, int64_t *iterations, struct err *err);

/* --- p12_mac.c --- */
/* Finds a password with which the MAC fits; fine when there is no MAC. DER: the file. */
enum rc p12_check_mac(struct reading *r, PKCS12 *p12, const void *der, size_t len, struct err *err);

/* --- p12_key.c --- */
/* Adds a key from its PKCS#8 structure, through the default context: that of pbe.c must not get
 * out. */
enum rc p12_add_key(struct reading *r, const PKCS8_PRIV_KEY_INFO *info, struct err *err);
enum rc p12_add_encrypted_key(struct reading *r, const X509_SIG *sig, struct err *err);
enum rc p12_add_cert(struct reading *r, const X509 *x509, struct err *err);

/* --- p12_file.c, p12.c --- */
enum rc p12_read_pem(struct reading *r, const void *data, size_t len, struct err *err);
enum rc p12_read_der(struct reading *r, const void *data, size_t len, struct err *err);
enum rc p12_read_pfx(struct reading *r, const void *data, size_t len, struct err *err);

#endif
