/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pem.h - the blocks of a PEM file (RFC 7468), one after the other
 *
 * What stands between blocks is passed over. A block is wiped when it was looked at, whatever is in
 * it: a file with a key beside its certificate is common.
 *
 * Limits: the caller's, who has the whole file in memory; INT_MAX bytes.
 */
#ifndef CRYPTO_PEM_H
#define CRYPTO_PEM_H

#include "base/err.h"

#include <stddef.h>

/* NAME: "CERTIFICATE". HEADER: RFC 1421's fields, such as those of an encrypted key; "" for none.
 * All of it is borrowed; HEADER and DER may be changed. */
typedef enum rc pem_block(
	void *ctx, const char *name, char *header, unsigned char *der, size_t len, struct err *err);

/* Calls EACH for each block until it says anything but RC_OK, which is returned then. DAMAGED: the
 * error when a block cannot be read. A file without a block is RC_OK. */
enum rc pem_each(const void *data, size_t len, enum errcode damaged, pem_block *each, void *ctx,
	struct err *err);

#endif
