/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue_private.h - what certificates and requests for certificates have in common
 */
#ifndef CRYPTO_ISSUE_PRIVATE_H
#define CRYPTO_ISSUE_PRIVATE_H

#include "base/err.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

struct pkey;

/* What KEY signs certificates with; NULL: it has its own. */
const EVP_MD *issue_digest(const struct pkey *key);
/* ADDR as a name of subjectAltName, for the caller to free; NULL for no memory. */
GENERAL_NAME *issue_mailbox(const char *addr);
/* keyUsage bits, as RFC 5280 numbers them, for the kind of key and what it is for
 * (CERT_SIGN | CERT_ENCRYPT). */
enum rc issue_key_usage(EVP_PKEY *key, unsigned use, unsigned *bits, struct err *err);

#endif
