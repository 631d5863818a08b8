/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert.h - one X.509 certificate, parsed once
 *
 * cert_parse looks in a process-wide cache by SHA-256 of the DER first, since parsing costs
 * 150-280 µs with OpenSSL 3.0. Certificates are immutable and reference-counted; any
 * thread may use them. What is asked for often is decoded at parse time.
 *
 * Limits: CERT_MAX_BYTES of DER; CERTSET_MAX certificates in a set; CERT_MAX_ADDRS addresses.
 */
#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H

#include "base/buf.h"
#include "crypto/digest.h"
#include "crypto/pkey.h"

#include <stdint.h>

#define CERT_MAX_BYTES 65536
#define CERTSET_MAX    1000
#define CERT_MAX_ADDRS 64

struct cert;

struct certset { /* owns one reference to each */
	struct cert **v;
	size_t n;
};

/* DER, all of it. ERR_CERT_MALFORMED when it is none, ERR_LIMIT. */
enum rc cert_parse(const void *der, size_t len, struct cert **out, struct err *err);
struct cert *cert_ref(struct cert *cert);
void cert_unref(struct cert **cert);
/* The cache's limit in certificates; 0 empties and stops it. Default 20000. */
void cert_cache_limit(size_t n);

const unsigned char *cert_der(const struct cert *cert, size_t *len);
const unsigned char *cert_sha256(const struct cert *cert); /* SHA256_SIZE bytes */
const char *cert_fingerprint(const struct cert *cert);     /* the same as lower-case hex */
const char *cert_subject(const struct cert *cert);         /* RFC 4514, UTF-8 */
const char *cert_issuer(const struct cert *cert);
const char *cert_serial(const struct cert *cert); /* lower-case hex */
int64_t cert_not_before(const struct cert *cert); /* seconds since 1970 */
int64_t cert_not_after(const struct cert *cert);
enum key_type cert_key_type(const struct cert *cert);
int cert_key_bits(const struct cert *cert);
/* rfc822Name and SmtpUTF8Mailbox of subjectAltName, canonical; ALSO_SUBJECT adds emailAddress of
 * the subject. */
size_t cert_addrs(const struct cert *cert, bool also_subject, const char *const **addrs);
bool cert_has_addr(const struct cert *cert, const char *addr, bool also_subject);
/* Is DOMAIN a dNSName of subjectAltName, as it is? Wildcards do not count, nor does the subject. */
bool cert_has_dns(const struct cert *cert, const char *domain);
bool cert_is_ca(const struct cert *cert);
bool cert_is_self_issued(const struct cert *cert);
/* DER of the issuer Name and of the serial's INTEGER content; the SubjectKeyIdentifier (len 0:
 * none). */
const unsigned char *cert_issuer_der(const struct cert *cert, size_t *len);
const unsigned char *cert_serial_bytes(const struct cert *cert, size_t *len);
const unsigned char *cert_ski(const struct cert *cert, size_t *len);
/* SubjectPublicKeyInfo as DER, borrowed. */
const unsigned char *cert_spki(const struct cert *cert, size_t *len);

/* KeyUsage and ExtendedKeyUsage by RFC 8550 section 4.4 (no EKU, emailProtection or
 * anyExtendedKeyUsage). SIGN: digitalSignature or nonRepudiation; ENCRYPT: keyEncipherment (RSA),
 * keyAgreement (EC; keyEncipherment is tolerated). */
enum cert_use { CERT_SIGN = 1, CERT_ENCRYPT = 2 };
bool cert_allows(const struct cert *cert, enum cert_use use);
/* The same with the reason: RC_OK, or RC_PERM with ERR_CERT_UNUSABLE/UNSUPPORTED and a sentence. */
enum rc cert_check_use(const struct cert *cert, enum cert_use use, struct err *err);

/* Why it is too weak to sign with or to encrypt for today, or NULL: an RSA key of less than MIN_RSA
 * bits, a signature with MD5 or SHA-1. */
const char *cert_weakness(const struct cert *cert, int min_rsa);
/* For client authentication and not for mail? */
bool cert_is_for_login(const struct cert *cert);
/* May it sign certificates: is it a CA, and does its keyUsage not say otherwise? */
bool cert_may_issue(const struct cert *cert);
/* Did ISSUER, a CA, make it: do names and key identifiers agree, and does the signature verify? */
bool cert_is_issued_by(const struct cert *cert, const struct cert *issuer);

enum rc certset_add(struct certset *set, struct cert *cert,
	struct err *err); /* takes a new reference; doubles are left out */
void certset_fini(struct certset *set);
/* Certificates of a file's content: PEM (any number), one DER, or a degenerate PKCS#7 (DER or PEM).
 */
enum rc certset_parse(const void *data, size_t len, struct certset *set, struct err *err);
enum rc cert_format_pem(const struct cert *cert, struct buf *out, struct err *err);
/* A degenerate PKCS#7 ("certs-only") of the set, DER. */
enum rc certset_format_p7(const struct certset *set, struct buf *out, struct err *err);

#endif
