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
	unsigned use; /* CERT_SIGN | CERT_ENCRYPT; 0 for a CA */
};

/* A self-signed root for KEY. */
enum rc issue_root(const struct pkey *key, const struct issue_request *request, struct cert **out,
	struct err *err);
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
