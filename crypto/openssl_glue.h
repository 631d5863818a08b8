/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl_glue.h - what only the files that talk to OpenSSL see
 *
 * The error queue of OpenSSL is turned into struct err here and nowhere else. A verdict is never
 * derived from the queue: failures often leave it empty.
 */
#ifndef CRYPTO_OPENSSL_GLUE_H
#define CRYPTO_OPENSSL_GLUE_H

#include "base/err.h"
#include "crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdbool.h>

struct cert;
struct pkey;

/* Sets CODE with the text and OpenSSL's first reason, empties the queue, returns the outcome. When
 * OpenSSL ran out of memory the code is ERR_MEMORY, whatever was asked for. */
enum rc ossl_err(struct err *err, enum errcode code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Empties the error queue: after a failure that is an answer and no trouble. */
void ossl_clear(void);

/*
 * How often OpenSSL was refused memory in this thread. Many of its functions answer then as if what
 * they looked at were bad (no path, no such extension), and leave no error behind. So whoever turns
 * such an answer into a judgement compares this from before with that from after: if they
 * differ, nobody knows, and it is to be tried later.
 */
unsigned ossl_refusals(void);
/* Was OpenSSL ever refused memory, in any thread? Some of its objects are not what they were then
 * (pkey_sign.c). */
bool ossl_was_refused(void);

X509 *cert_x509(const struct cert *cert); /* borrowed, never to be changed; cert.c */
EVP_PKEY *
cert_pubkey(const struct cert *cert);        /* borrowed; NULL: OpenSSL can't decode it; cert.c */
EVP_PKEY *pkey_evp(const struct pkey *pkey); /* borrowed; pkey.c */
/* A mail address among a certificate's names: rfc822Name, or SmtpUTF8Mailbox (RFC 9598); borrowed;
 * NULL for any other kind of name. */
const ASN1_STRING *ossl_mailbox_of(const GENERAL_NAME *name);

/* Fetched once for the life of the process; NULL when the library has none. */
const EVP_MD *digest_evp(enum digest digest);

#endif
