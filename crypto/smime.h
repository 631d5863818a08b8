/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smime.h - the MIME wrapping of CMS (RFC 8551 section 3)
 *
 * The *_type functions give the value of a Content-Type field, folded for a milter ("\n\t"); the
 * others write the body of a multipart/signed with CRLF line ends around the entity that was
 * hashed.
 */
#ifndef CRYPTO_SMIME_H
#define CRYPTO_SMIME_H

#include "crypto/digest.h"

#define SMIME_BOUNDARY_SIZE 64

/* A boundary with 128 random bits. */
enum rc smime_boundary(char out[SMIME_BOUNDARY_SIZE], struct err *err);
/* "Content-Type: multipart/signed; …" value for the header, folded with "\n\t". */
enum rc
smime_signed_type(const char *boundary, enum digest digest, struct buf *out, struct err *err);
/* Preamble and first delimiter; then the caller writes the signed entity as it was hashed; then the
 * rest. */
enum rc smime_signed_begin(const char *boundary, const struct sink *to, struct err *err);
enum rc smime_signed_end(
	const char *boundary, const void *der, size_t len, const struct sink *to, struct err *err);
/* "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m" and its companions, by type
 * word: "signed-data", "enveloped-data", "authEnveloped-data". */
enum rc smime_pkcs7_type(const char *smime_type, struct buf *out, struct err *err);

#endif
