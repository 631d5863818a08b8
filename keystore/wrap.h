/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrap.h - what the store key is used for: wrapping secrets, authenticating rows
 *
 * Two keys are derived from it by HKDF-SHA-256, one to wrap (AES-256-GCM, random
 * nonce), one to authenticate (HMAC-SHA-256). The master key is used in the same way, for the one
 * purpose of wrapping the store key (store_root.h). What is wrapped is bound to the caller's
 * associated data: a wrapped key that was moved to another row does not open there.
 *
 * Threads: a keyring is immutable and reference-counted; any thread may use it.
 */
#ifndef KEYSTORE_WRAP_H
#define KEYSTORE_WRAP_H

#include "base/buf.h"
#include "base/secret.h"

#define MASTER_SIZE   32u
#define WRAP_MAC_SIZE 32u
#define WRAP_OVERHEAD (1u + 12u + 16u) /* version, nonce, tag */

struct keyring;

/* MASTER: MASTER_SIZE bytes, borrowed. */
enum rc keyring_new(struct secret *master, struct keyring **out, struct err *err);
struct keyring *keyring_ref(struct keyring *keyring);
void keyring_free(struct keyring **keyring); /* gives up one reference */

enum rc keyring_wrap(const struct keyring *keyring, const void *aad, size_t aad_len,
	struct secret *plain, struct buf *out, struct err *err);
/* ERR_KEYSTORE_TAMPERED when it is not what was wrapped with this AAD under this master key. */
enum rc keyring_unwrap(const struct keyring *keyring, const void *aad, size_t aad_len,
	const void *wrapped, size_t len, struct secret **out, struct err *err);
enum rc keyring_mac(const struct keyring *keyring, const void *data, size_t len,
	unsigned char out[WRAP_MAC_SIZE], struct err *err);

#endif
