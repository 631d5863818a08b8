/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kek.h - KEKRecipientInfo (RFC 5652 section 6.2.3): an envelope for whoever has a symmetric key
 *
 * For files of our own, not for mail. The content key is wrapped with AES-256 key wrap (RFC 3394);
 * `openssl cms -decrypt -secretkey HEX -secretkeyid HEX` opens it as well. The key may come from a
 * passphrase by scrypt; the parameters are then the key's identifier, as text:
 *
 *     scrypt:N:R:P:SALT        SALT: 32 hex digits
 */
#ifndef CRYPTO_KEK_H
#define CRYPTO_KEK_H

#include "base/buf.h"
#include "base/secret.h"

#define KEK_SIZE   32u
#define KEK_ID_MAX 128u

struct kek {
	char id[KEK_ID_MAX + 1];
	struct secret *key; /* KEK_SIZE bytes */
};

/* From PASSPHRASE with a new salt: 64 MB, a quarter of a second. */
enum rc kek_make(struct secret *passphrase, struct kek *out, struct err *err);
/* From PASSPHRASE with the parameters in ID, which are bounded before they are used. */
enum rc kek_remake(const char *id, struct secret *passphrase, struct secret **key, struct err *err);
void kek_fini(struct kek *kek);

struct der_out;
/* Appends the RecipientInfo. */
enum rc kek_write(const struct kek *kek, struct secret *cek, struct der_out *out, struct err *err);
/* The identifier in a RecipientInfo; RC_NONE: it is of another kind. */
enum rc kek_parse(const void *der, size_t len, char id[KEK_ID_MAX + 1], struct err *err);
/* The content key of a RecipientInfo. ERR_KEY_MALFORMED when KEY is another. */
enum rc
kek_open(const void *der, size_t len, struct secret *key, struct secret **cek, struct err *err);

#endif
