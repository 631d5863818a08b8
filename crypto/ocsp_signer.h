/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ocsp_signer.h - who signed an OCSP response, and did a CA certify that one for it?
 */
#ifndef CRYPTO_OCSP_SIGNER_H
#define CRYPTO_OCSP_SIGNER_H

#include "crypto/ocsp_response.h"

#include <openssl/x509.h>

/* Does the response say that CERT signed it? */
bool ocsp_is_responder(const struct ocsp_response *response, X509 *cert);
/* Does its signature fit CERT's key? */
bool ocsp_is_signed_by(const struct ocsp_response *response, X509 *cert);
/* The next certificate that came with it, to be freed; *CERTS and *N begin as its certs and 0. */
bool ocsp_next_cert(struct der *certs, size_t *n, X509 **cert);
/* NULL: ISSUER itself certified CERT for answering, dates and revocation aside; else why not. */
const char *ocsp_delegate_fault(X509 *issuer, X509 *cert);
/* Did ISSUER sign it, or somebody whom it certified for that, whenever? */
bool ocsp_is_by(const struct ocsp_response *response, X509 *issuer);

#endif
