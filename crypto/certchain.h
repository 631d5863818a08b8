/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certchain.h - the certificates above one, among those at hand
 *
 * For completing what is sent along with a signature; no judgement about trust (trust.h).
 */
#ifndef CRYPTO_CERTCHAIN_H
#define CRYPTO_CERTCHAIN_H

#include "crypto/cert.h"

#define CERTCHAIN_DEPTH 8

/* Does CERT name ISSUER, a CA, as the one that made it: by name and, if it says so, by key
 * identifier? Whether that is true only cert_is_issued_by knows. */
bool cert_names_issuer(const struct cert *cert, const struct cert *issuer);
/* Appends what stands above LEAF, lowest first, as far as POOL has it; a root that signs itself is
 * left out. Of several issuers the one that is valid longest. */
enum rc
certchain_find(struct cert *leaf, const struct certset *pool, struct certset *out, struct err *err);

#endif
