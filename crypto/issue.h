/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue.h - the organisation's own CA
 */
#ifndef CRYPTO_ISSUE_H
#define CRYPTO_ISSUE_H

#include "crypto/cert.h"

struct issue_request {
	const char *common_name;  /* UTF-8, may be NULL for persons: the address stands in */
	const char *organisation; /* may be NULL */
	const char *addr;         /* subjectAltName rfc822Name or SmtpUTF8Mailbox; NULL for a CA */
	int64_t not_before, not_after;
	unsigned use;            /* CERT_SIGN | CERT_ENCRYPT; 0 for a CA */
	const struct cert *like; /* has the same subject: names above do not count; or NULL */
	const struct issue_extra *extra; /* what a profile adds; NULL: nothing */
};

struct issue_attr {       /* of a subject, in the order of the certificate */
	const char *type; /* "CN", "O", …: those that issue.c knows */
	const char *text; /* UTF-8 */
};
struct issue_policy {
	const char *oid; /* dotted */
	const char *cps; /* URI of the practice statement, or NULL */
};

/* Zeros: what goes without saying. */
struct issue_extra {
	const struct issue_attr *subject; /* instead of common name and organisation */
	size_t n_subject;
	const char *const *addrs; /* further addresses */
	size_t n_addrs;
	unsigned key_usage;     /* bits of RFC 5280 section 4.2.1.3; 0: by use and kind of key */
	const char *const *eku; /* dotted; none: emailProtection */
	size_t n_eku;
	const struct issue_policy *policies;
	size_t n_policies;
	const char *const *crl_urls, *const *ca_urls, *const *ocsp_urls;
	size_t n_crl_urls, n_ca_urls, n_ocsp_urls;
	enum digest digest; /* DIGEST_NONE: what goes with the CA's key */
};

#define ISSUE_KU_SIGNATURE         (1u << 0)
#define ISSUE_KU_NON_REPUDIATION   (1u << 1)
#define ISSUE_KU_KEY_ENCIPHERMENT  (1u << 2)
#define ISSUE_KU_DATA_ENCIPHERMENT (1u << 3)
#define ISSUE_KU_KEY_AGREEMENT     (1u << 4)

/* May TYPE stand in a subject, and with how many characters at most? 0: unknown. */
int issue_attr_max(const char *type);
/* Is TEXT a dotted object identifier? */
bool issue_is_oid(const char *text);

/* A self-signed root for KEY. */
enum rc issue_root(const struct pkey *key, const struct issue_request *request, struct cert **out,
	struct err *err);
/* A certificate for an issuing CA with the public key SPKI, which may sign no CA below it. */
enum rc issue_ca(const struct pkey *ca_key, struct cert *ca, const void *spki, size_t spki_len,
	const struct issue_request *request, struct cert **out, struct err *err);
/* The new root NEW certified by the old one, for those who know only that. Not longer than both. */
enum rc issue_cross(const struct pkey *old_key, struct cert *old, struct cert *new_root,
	struct cert **out, struct err *err);
/* A request (PKCS#10, DER) for an issuing CA's certificate from outside. */
enum rc issue_ca_csr(const struct pkey *key, const struct issue_request *request, struct buf *der,
	struct err *err);
/* Has it keyCertSign and cRLSign? */
bool issue_may_sign_certs(const struct cert *cert);
/* Is CERT signed by ISSUER's key, and both names fit? */
bool issue_is_by(const struct cert *cert, const struct cert *issuer);
/* A leaf for the public key SPKI, signed by the CA. Serial numbers are 128 random bits. */
enum rc issue_leaf(const struct pkey *ca_key, struct cert *ca, const void *spki, size_t spki_len,
	const struct issue_request *request, struct cert **out, struct err *err);
/* A CRL over N (serial bytes, time) pairs; DER. */
struct revoked {
	const unsigned char *serial;
	size_t serial_len;
	int64_t at;
	int reason;
};
enum rc issue_crl(const struct pkey *ca_key, struct cert *ca, const struct revoked *v, size_t n,
	int64_t number, int64_t this_update, int64_t next_update, struct buf *der, struct err *err);

#endif
