/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trust.h - may this certificate be believed for this address, now?
 *
 * Holds anchors (scoped to mail domains), intermediates and CRLs. Paths are built by
 * OpenSSL with auth_level 2 and purpose "any"; KeyUsage, ExtendedKeyUsage, address, algorithm
 * floors and CRL state are decided here. CRLs are verified once against their issuer when loaded
 * and looked up by serial number; a CRL in a message is never believed. Path results are cached by
 * (leaf, settings, time bucket).
 *
 * Threads: filling is for one thread; afterwards the object is immutable, reference-counted and may
 * be used by any. A reload makes a new one.
 */
#ifndef CRYPTO_TRUST_H
#define CRYPTO_TRUST_H

#include "crypto/cert.h"
#include "crypto/verdict.h"

struct trust;

enum revocation_mode { REVOKE_OFF, REVOKE_IF_KNOWN, REVOKE_REQUIRED };

struct trust_options {
	enum revocation_mode revocation;
	int min_rsa;                 /* bits */
	const char *const *policies; /* certificate policy OIDs; for `verify` */
	size_t n_policies;
	bool require_policy, inhibit_mapping, inhibit_any;
};

enum rc trust_new(const struct trust_options *options, struct trust **out, struct err *err);
struct trust *trust_ref(struct trust *trust);
void trust_unref(struct trust **trust);
/* DOMAINS: entries as in addr_domain_in; n 0: all. */
enum rc trust_add_anchor(struct trust *trust, struct cert *cert, const char *const *domains,
	size_t n, struct err *err);
enum rc trust_add_intermediate(struct trust *trust, struct cert *cert, struct err *err);
/* DER or PEM, one or more. Kept even when its issuer is not known yet. */
enum rc trust_add_crl(struct trust *trust, const void *data, size_t len, struct err *err);
/* Each file of a folder; what is malformed is logged and left out. A missing folder is RC_OK. */
enum rc trust_load_crls(struct trust *trust, const char *dir, struct err *err);
enum rc trust_load_certs(struct trust *trust, const char *dir, bool as_anchors, struct err *err);

/*
 * Checks LEAF for USE (CERT_SIGN, CERT_ENCRYPT, or 0 for any) at time AT (-1: now), with EXTRA as
 * untrusted candidates for the path (may be NULL). ADDR: the mail address it has to carry, within
 * an anchor's domains; NULL: unchecked. Fills path, revocation, sender, strength and reason, not
 * signature and overall. RC_OK whatever the verdict says; RC_TEMP only for our own trouble.
 */
enum rc trust_check(struct trust *trust, struct cert *leaf, const struct certset *extra,
	unsigned use, const char *addr, int64_t at, struct verdict *verdict, struct err *err);
enum revocation_mode trust_revocation_mode(const struct trust *trust);

#endif
