/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * name_text.h - a distinguished name in a sentence for people
 *
 * For logs and reasons only: cut, and never compared.
 */
#ifndef CRYPTO_NAME_TEXT_H
#define CRYPTO_NAME_TEXT_H

#include <openssl/x509.h>

#define NAME_TEXT_SIZE 128

/* RFC 4514, cut where it is too long; "(without a name)" for none. Returns OUT. */
const char *name_text(const X509_NAME *name, char out[NAME_TEXT_SIZE]);
/* A certificate's subject. X509 may be NULL. */
const char *name_text_of(const X509 *x509, char out[NAME_TEXT_SIZE]);

#endif
