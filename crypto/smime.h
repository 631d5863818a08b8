/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smime.h - the MIME wrapping of CMS (RFC 8551 section 3)
 *
 * Each writes a whole entity, header included, with CRLF line ends; the caller puts its Content-*
 * fields into the message's header (smime_split_header finds the border).
 */
#ifndef CRYPTO_SMIME_H
#define CRYPTO_SMIME_H

#include "crypto/digest.h"

#define SMIME_BOUNDARY_SIZE 64

/* A boundary with 128 random bits. */
enum rc
smime_boundary(char out[SMIME_BOUNDARY_SIZE], struct err *err);
/* "Content-Type: multipart/signed; …" value for the header, folded with "\n\t". */
enum rc
smime_signed_type(const char *boundary, enum digest digest, struct buf *out, struct err *err);
/* Preamble and first delimiter; then the caller writes the signed entity as it was hashed; then the
 * rest. */
enum rc
smime_signed_begin(const char *boundary, const struct sink *to, struct err *err);
enum rc
smime_signed_end(
	const char *boundary, const void *der, size_t len, const struct sink *to, struct err *err);
/* "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m" and its companions, by type
 * word: "signed-data", "enveloped-data", "authEnveloped-data". */
enum rc
smime_pkcs7_type(const char *smime_type, struct buf *out, struct err *err);

#endif
