/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crl.h - certificate revocation lists at hand (RFC 5280 section 5)
 *
 * Lists are parsed and sorted once, found by their issuer's name, and verified once against each
 * issuer certificate that is used with them; afterwards the question "is this serial number listed"
 * costs a microsecond. That holds for plain lists: complete, by the certificate's own issuer. Lists
 * that are partitioned, indirect or deltas, or signed with another key of the issuer, are OpenSSL's
 * to judge (CRL_COMPLEX).
 *
 * Threads: adding is for one thread, before the first question; questions are for any.
 */
#ifndef CRYPTO_CRL_H
#define CRYPTO_CRL_H

#include "base/buf.h"

#include <openssl/x509.h>

#include <stdint.h>

struct crl_index;

enum rc crl_index_new(struct crl_index **out, struct err *err);
void crl_index_free(struct crl_index **index);
/* DER, or PEM with one or more. */
enum rc crl_index_add(struct crl_index *index, const void *data, size_t len, struct err *err);

enum crl_state { CRL_GOOD, CRL_REVOKED, CRL_NONE /* no list at hand */, CRL_COMPLEX };
/* Is SUBJECT listed by ISSUER? *WHEN: the date of revocation. */
enum crl_state
crl_index_check(struct crl_index *index, X509 *subject, X509 *issuer, int64_t at, int64_t *when);
/* The lists that OpenSSL should consider for certificates of ISSUER; a stack of new references. */
STACK_OF(X509_CRL) * crl_index_lookup(const struct crl_index *index, const X509_NAME *issuer);

#endif
