/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkey_private.h - from OpenSSL's keys to ours and their types
 */
#ifndef CRYPTO_PKEY_PRIVATE_H
#define CRYPTO_PKEY_PRIVATE_H

#include "crypto/pkey.h"

#include <openssl/evp.h>

/* NULL reads as KEY_OTHER. */
enum key_type evp_key_type(const EVP_PKEY *key);
/* Takes *EVP over in any case. ERR_KEY_MALFORMED when it has no private part. */
enum rc pkey_from_evp(EVP_PKEY **evp, struct pkey **out, struct err *err);

#endif
