/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cms_said.h - what a signer's signed attributes say of encrypting to them (RFC 8551 section 2.5)
 *
 * smimeCapabilities: what their program can open. smimeEncryptKeyPreference: which of their
 * certificates to encrypt to. Both are the signer's word, so believe them only when the signature
 * was found good. An attribute that is there twice, has not one value, or is malformed says
 * nothing: caps are then not known, and a preference fits no certificate.
 */
#ifndef CRYPTO_CMS_SAID_H
#define CRYPTO_CMS_SAID_H

#include "crypto/cms_verify.h"
#include "crypto/der.h"
#include "crypto/smimecaps.h"

struct cms_said { /* points into the SignedData */
	struct smimecaps caps;
	bool prefers;              /* there is a preference: */
	struct der issuer, serial; /* DER of the Name, content of the INTEGER; or … */
	struct der ski;            /* … the SubjectKeyIdentifier; neither: not to be read */
};

/* Of signer I. Everything is empty when it has no signed attributes. */
void cms_signed_said(const struct cms_signed *sd, size_t i, struct cms_said *said);
/* Is CERT the one that is preferred? */
bool cms_said_prefers(const struct cms_said *said, const struct cert *cert);
/* The certificates that came along; borrowed. */
const struct certset *cms_signed_certs(const struct cms_signed *sd);

#endif
