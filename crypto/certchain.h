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

/* Appends what stands above LEAF, lowest first, as far as POOL has it; a root that signs itself is
 * left out. Of several issuers the one that is valid longest. */
enum rc
certchain_find(struct cert *leaf, const struct certset *pool, struct certset *out, struct err *err);

#endif
