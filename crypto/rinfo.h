/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rinfo.h - writing one RecipientInfo; reading is in cms_envelope.h
 */
#ifndef CRYPTO_RINFO_H
#define CRYPTO_RINFO_H

#include "crypto/content_cipher.h"

/*
 * Appends the RecipientInfo that gives CEK to CERT: KeyTransRecipientInfo for RSA,
 * KeyAgreeRecipientInfo (ECDH with SHA-256 KDF, AES wrap) for EC. Recipients are named by issuer
 * and serial number.
 */
enum rc rinfo_write(const struct cert *cert, struct secret *cek, bool oaep, struct der_out *out,
	struct err *err);

#endif
