/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * p12.h - keys and certificates out of files: PKCS#12 and PEM
 */
#ifndef CRYPTO_P12_H
#define CRYPTO_P12_H

#include "crypto/cert.h"

struct p12_item {
	struct pkey *pkey; /* owned */
	struct cert *cert; /* of that key, owned; NULL when the file has none */
};

struct p12 {
	struct p12_item *items;
	size_t n;
	struct certset others; /* chain and whatever else was in it */
};

/* PASSWORD as given by a person (UTF-8; NULL: none: empty and absent are both tried). Legacy RC2
 * and 3DES are read through the legacy provider in a library context of its own. ERR_KEY_MALFORMED
 * says whether the password or the file is wrong. */
enum rc
p12_parse(const void *data, size_t len, struct secret *password, struct p12 *out, struct err *err);
void p12_fini(struct p12 *p12);

#endif
