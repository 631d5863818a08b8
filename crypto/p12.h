/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12.h - keys and certificates out of files, and into them: PKCS#12 (RFC 7292), PEM, DER
 *
 * PKCS#12 with a password in whatever encoding (password.h), empty or none; MAC by the derivation
 * of PKCS#12 or PBMAC1 (RFC 9579), or no MAC; RC2, RC4, DES and 3DES of old exports through
 * OpenSSL's legacy provider in a library context of its own, so that nothing else in the process
 * can come to use it; PBES2 with PBKDF2 or scrypt. PEM: PKCS#8 plain or encrypted, the traditional
 * forms with DEK-Info, certificates, PKCS#7, PKCS12 (RFC 9216). DER: PKCS#8 plain or encrypted,
 * RSAPrivateKey, ECPrivateKey.
 *
 * Limits: P12_MAX_BYTES; P12_MAX_KEYS keys; what password.h says about time; RSA keys of
 *         P12_MAX_RSA bits.
 */
#ifndef CRYPTO_P12_H
#define CRYPTO_P12_H

#include "crypto/cert.h"

#define P12_MAX_BYTES (4u << 20)
#define P12_MAX_KEYS  64
#define P12_MAX_RSA   8192

struct p12_item {
	struct pkey *pkey; /* owned */
	struct cert *cert; /* of that key, for mail if there is one, valid longest; owned; NULL when
			      the file has none */
	struct certset certs; /* all of that key */
};

struct p12 {
	struct p12_item *items; /* no key twice */
	size_t n;
	struct certset others; /* chain and whatever else was in it */
	size_t n_left_out;     /* keys of kinds that are not supported, beside those that are */
	struct err left_out;   /* the first of them */
};

/*
 * PASSWORD as given by a person (NULL: none: empty and absent are both tried).
 * ERR_KEY_PASSWORD: the password is wrong, missing, or the file is damaged so that it cannot be
 * told; ERR_KEY_MALFORMED: the file is damaged or of another kind; ERR_CERT_UNSUPPORTED: an
 * algorithm or curve that is not supported, by its name, and no other key; ERR_LIMIT.
 */
enum rc
p12_parse(const void *data, size_t len, struct secret *password, struct p12 *out, struct err *err);
/* Further certificates, from files that came with the key: adds what fits. */
enum rc p12_add_certs(struct p12 *p12, const struct certset *certs, struct err *err);
void p12_fini(struct p12 *p12);

/*
 * What can be told without the password: it may be a file with a private key, it has no absurd
 * number of iterations. ADDRS gets the certificates that are not encrypted. Errors as above.
 */
enum rc p12_look(const void *data, size_t len, struct certset *certs, struct err *err);

/* Does the private key belong to the certificate? By signing and verifying, so that a made-up
 * public part does not pass. ERR_KEY_MALFORMED names the certificate. */
enum rc p12_check_pair(const struct pkey *pkey, const struct cert *cert, struct err *err);

/* --- p12_write.c --- */
#define P12_ITERATIONS 600000
/* PKEY with CERT (NULL: none) and CHAIN as a PKCS#12 file: PBES2 with AES-256-CBC, MAC with
 * SHA-256, P12_ITERATIONS rounds each. PASSWORD: UTF-8, not empty. NAME: friendly name, or NULL. */
enum rc p12_write(const struct pkey *pkey, struct cert *cert, const struct certset *chain,
	const char *name, struct secret *password, struct buf *out, struct err *err);
/* The same unencrypted, as PEM: PRIVATE KEY, CERTIFICATE and those of the chain. OUT has to wipe.
 */
enum rc pem_write_key(const struct pkey *pkey, struct cert *cert, const struct certset *chain,
	struct buf *out, struct err *err);

#endif
