/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue_private.h - what certificates and requests for certificates have in common
 */
#ifndef CRYPTO_ISSUE_PRIVATE_H
#define CRYPTO_ISSUE_PRIVATE_H

#include "base/err.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <stdbool.h>

struct pkey;

/* What KEY signs certificates with; NULL: it has its own. */
const EVP_MD *issue_digest(const struct pkey *key);
/* ADDR as a name of subjectAltName, for the caller to free; NULL for no memory. */
GENERAL_NAME *issue_mailbox(const char *addr);
/* keyUsage bits, as RFC 5280 numbers them, for the kind of key and what it is for
 * (CERT_SIGN | CERT_ENCRYPT). */
enum rc issue_key_usage(EVP_PKEY *key, unsigned use, unsigned *bits, struct err *err);

/* --- issue_ext.c: each adds one extension; false: no memory, or the value cannot be encoded --- */
struct issue_extra;
bool issue_add_constraints(X509 *x509, bool ca, int pathlen); /* PATHLEN -1: none */
bool issue_add_usage(X509 *x509, unsigned bits);              /* as RFC 5280 numbers them */
bool issue_add_eku(X509 *x509, const struct issue_extra *extra);
bool issue_add_ski(X509 *x509);
bool issue_add_aki(X509 *x509, X509 *issuer);
AUTHORITY_KEYID *issue_aki(X509 *issuer); /* NULL: the issuer has no name for its key */
bool issue_add_san(X509 *x509, const char *addr, const struct issue_extra *extra);
/* Policies, revocation lists, the issuer's certificate. */
bool issue_add_pointers(X509 *x509, const struct issue_extra *extra);

#endif
