/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trust.h - may this certificate be believed for this address, now?
 *
 * Holds anchors (scoped to mail domains, with rules of their own), intermediates, what is known of
 * revocation, and the lists of denied and allowed certificates. Paths are built and judged by
 * path.h; KeyUsage and ExtendedKeyUsage of the leaf, address and times are decided here. Nothing
 * that comes in a message is believed: its certificates are candidates, its CRLs are not looked at.
 * Results are kept for a minute, by everything that they depend on.
 *
 * Threads: filling is for one thread; afterwards the object is immutable, reference-counted and may
 * be used by any. A reload makes a new one.
 */
#ifndef CRYPTO_TRUST_H
#define CRYPTO_TRUST_H

#include "crypto/cert.h"
#include "crypto/verdict.h"
#include "crypto/watch.h"
#include "crypto/effort.h"

struct trust;

/* Does an address in the subject's emailAddress count? IF_ALONE: when subjectAltName has none. */
enum subject_address {
	SUBJECT_ADDRESS_DEFAULT, /* an anchor: as the trust; the trust: IF_ALONE */
	SUBJECT_ADDRESS_NEVER,
	SUBJECT_ADDRESS_IF_ALONE,
	SUBJECT_ADDRESS_ALWAYS
};
/* When a certificate has to be valid for a signature that it made. */
enum signature_time { SIGNATURE_TIME_NOW, SIGNATURE_TIME_RECEIPT, SIGNATURE_TIME_SIGNING };

struct trust_options {
	enum signature_time signature_time;
	int64_t signing_future; /* seconds by which a signing time may lie after receipt; 0: any */
	int64_t signing_age;    /* … before receipt; 0: any */
	/* Some rule may want to know about revocation where the anchor does not: it is found out
	 * beside the verdict (verdict_be_strict). */
	bool stricter_rules;
	/* From here on an anchor may have its own; 0 and NULL are the trust's then. */
	enum revocation_mode revocation;
	int64_t revocation_grace; /* seconds; for REVOKE_GRACE, whoever sets it */
	bool revocation_dated;    /* see struct revocation_rule */
	bool own_revocation;      /* an anchor's: these three are its own */
	int min_rsa;              /* bits */
	int64_t sha1_until; /* SHA-1 in signatures made before this is not weak; 0: always weak */
	enum subject_address subject_address;
	const char *const *curves; /* accepted elliptic curves; n 0: all from 224 bits */
	size_t n_curves;
	const char *const *policies; /* certificate policy OIDs */
	size_t n_policies;
	bool require_policy, inhibit_mapping, inhibit_any; /* either's */
};

enum rc trust_new(const struct trust_options *options, struct trust **out, struct err *err);
struct trust *trust_ref(struct trust *trust);
void trust_unref(struct trust **trust);
/* DOMAINS: entries as in addr_domain_in; n 0: all. */
enum rc trust_add_anchor(struct trust *trust, struct cert *cert, const char *const *domains,
	size_t n, struct err *err);
/* With settings of its own: those of RULES from min_rsa on. ERR_USAGE. */
enum rc trust_add_anchor_with(struct trust *trust, struct cert *cert, const char *const *domains,
	size_t n, const struct trust_options *rules, struct err *err);
/* Denied: a key of trustlist.h. REASON may be NULL. */
enum rc
trust_deny(struct trust *trust, const unsigned char *key, const char *reason, struct err *err);
/* Believed without a path, within its validity, for these addresses. */
enum rc trust_allow(struct trust *trust, const unsigned char *sha256, const char *reason,
	const char *const *addrs, size_t n, struct err *err);
enum rc trust_add_intermediate(struct trust *trust, struct cert *cert, struct err *err);
/* DER or PEM, one or more. Kept even when its issuer is not known yet. */
enum rc trust_add_crl(struct trust *trust, const void *data, size_t len, struct err *err);
/* A responder's answer (OCSPResponse in DER), from FILE (for reasons; may be NULL); and the folder
 * in which answers are looked for by ocsp_file_name when a certificate is checked. */
enum rc trust_add_ocsp(
	struct trust *trust, const void *data, size_t len, const char *file, struct err *err);
enum rc trust_set_ocsp_dir(struct trust *trust, const char *dir, struct err *err);
/* Borrowed: to add to it while the trust is filled. */
struct revocation *trust_revocation(const struct trust *trust);
/* WATCHER's content is copied; its free is called when the trust ends. */
void trust_set_watcher(struct trust *trust, const struct watcher *watcher);
/* Each file of a folder; what is malformed is logged and left out. A missing folder is RC_OK. */
enum rc trust_load_crls(struct trust *trust, const char *dir, struct err *err);
enum rc trust_load_certs(struct trust *trust, const char *dir, bool as_anchors, struct err *err);
/* CA certificates from wherever certificates in messages said: only those that somebody who is
 * known already has signed. Others could crowd out the real ones. To be called when anchors and
 * intermediates are there. */
enum rc trust_load_fetched(struct trust *trust, const char *dir, struct err *err);

/*
 * Checks LEAF for USE (CERT_SIGN, CERT_ENCRYPT, or 0 for any) at time AT (-1: now), with EXTRA as
 * untrusted candidates for the path (may be NULL). ADDR: the mail address it has to carry, within
 * an anchor's domains; NULL: unchecked. Fills path, revocation, sender, strength and reason, not
 * signature and overall. RC_OK whatever the verdict says; RC_TEMP only for our own trouble.
 */
enum rc trust_check(struct trust *trust, struct cert *leaf, const struct certset *extra,
	unsigned use, const char *addr, int64_t at, struct verdict *verdict, struct err *err);
/*
 * The same for the signer of something: MADE is the claimed signing time (-1: none), RECEIVED when
 * it came in (-1: at AT). By the trust's signature_time the path is judged at one of the three;
 * revocation always at AT. Fills the time part as well; *OLD: SHA-1 is no weakness in it, by the
 * anchor's rules.
 */
struct trust_signing {
	int64_t at, received, made;
	struct effort *effort; /* what the message may still cost; NULL: no matter */
};
enum rc trust_check_signer(struct trust *trust, struct cert *leaf, const struct certset *extra,
	const char *addr, const struct trust_signing *times, struct verdict *verdict, bool *old,
	struct err *err);
enum signature_time trust_signature_time(const struct trust *trust);

#endif
