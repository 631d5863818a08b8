/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crl_source.h - which CA's revocation list is this?
 */
#ifndef CRYPTO_CRL_SOURCE_H
#define CRYPTO_CRL_SOURCE_H

#include "base/buf.h"

/* Appends to OUT what two lists (DER) of one CA's key have in common: issuer name and
 * AuthorityKeyIdentifier. ERR_CERT_MALFORMED when it is no list. */
enum rc crl_source(const void *der, size_t len, struct buf *out, struct err *err);

#endif
