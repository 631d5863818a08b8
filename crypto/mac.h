/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mac.h - HMAC-SHA-256 (RFC 2104) over bytes in memory
 */
#ifndef CRYPTO_MAC_H
#define CRYPTO_MAC_H

#include "base/err.h"

#include <stddef.h>

#define MAC_SIZE 32

enum rc mac_bytes(const void *key, size_t key_len, const void *data, size_t len,
	unsigned char out[MAC_SIZE], struct err *err);

#endif
