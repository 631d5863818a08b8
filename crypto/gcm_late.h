/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gcm_late.h - additional authenticated data that come after the ciphertext
 *
 * AuthEnvelopedData (RFC 5083) authenticates its authAttrs as AAD of AES-GCM, but they stand behind
 * the ciphertext, where a reader in one pass learns of them too late.
 */
#ifndef CRYPTO_GCM_LATE_H
#define CRYPTO_GCM_LATE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Turns TAG (TAG_LEN bytes) of a message with AAD into the tag that AES-GCM would have without
 * them, for a ciphertext of CIPHERTEXT_LEN bytes under KEY. The nonce does not matter.
 */
enum rc gcm_late_tag(const unsigned char *key, size_t key_len, uint64_t ciphertext_len,
	const void *aad, size_t aad_len, unsigned char *tag, size_t tag_len, struct err *err);

#endif
