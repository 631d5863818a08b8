/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smime_value.h - what a directory has of a person: userCertificate, userSMIMECertificate
 *
 * A certificate, or a SignedData (RFC 2798 section 2.8) in DER or BER, also as PEM. The SignedData
 * is mostly there for its certificates and signed by nobody. Some programs sign it, with
 * SMIMECapabilities among the signed attributes; those count when the signature over the attributes
 * fits a certificate that is in it. Its content means nothing: "ignored by consumers".
 *
 * The certificates are not believed for being in it; whoever uses one judges it.
 */
#ifndef CRYPTO_SMIME_VALUE_H
#define CRYPTO_SMIME_VALUE_H

#include "crypto/cert.h"
#include "crypto/smimecaps.h"

struct smime_value {
	struct certset certs;
	struct smimecaps caps; /* not known: nobody said, or the signature does not fit */
};

/* VALUE is zero. RC_PERM: neither a certificate nor certificates in a SignedData. */
enum rc smime_value_parse(const void *data, size_t len, struct smime_value *value, struct err *err);
void smime_value_fini(struct smime_value *value);

#endif
