/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * content_cipher.h - what crypto/ alone knows of content ciphers
 */
#ifndef CRYPTO_CONTENT_CIPHER_H
#define CRYPTO_CONTENT_CIPHER_H

#include "crypto/cms_envelope.h"
#include "crypto/oid.h"
#include "crypto/openssl_glue.h"

const EVP_CIPHER *content_cipher_evp(enum content_cipher cipher);
enum oid content_cipher_oid(enum content_cipher cipher);
enum content_cipher content_cipher_of(enum oid oid); /* CIPHER_NONE when it is no cipher's */
size_t content_cipher_iv_size(enum content_cipher cipher);

#endif
