/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oaep.h - taking OAEP apart (RFC 8017 section 7.1.2) where the size of what is in it is known
 */
#ifndef CRYPTO_OAEP_H
#define CRYPTO_OAEP_H

#include "crypto/digest.h"

#include <stdbool.h>

struct oaep { /* RSAES-OAEP-params; the label is borrowed */
	enum digest md, mgf;
	const void *label;
	size_t label_len;
};

/*
 * EM (SIZE bytes, changed) has the padding that the bare RSA operation left. *mask is 0xff when it
 * is right and LEN bytes are in it, which *data then points to, else 0; each byte has its place and
 * all are looked at once, whatever is in them (Manger). False: sizes and digests that cannot be,
 * which anybody can see.
 */
bool oaep_open(const struct oaep *params, unsigned char *em, size_t size, size_t len,
	const unsigned char **data, unsigned char *mask);

#endif
