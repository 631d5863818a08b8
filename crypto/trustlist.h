/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trustlist.h - certificates that an administrator denies, and those believed without a path
 *
 * Denied are certificates by SHA-256, keys by the SHA-256 of their SubjectPublicKeyInfo, or issuer
 * and serial number; a denied CA denies every path over it. Allowed are certificates by SHA-256,
 * each for some addresses only. Deny is stronger.
 */
#ifndef CRYPTO_TRUSTLIST_H
#define CRYPTO_TRUSTLIST_H

#include "crypto/cert.h"

#include <openssl/x509.h>

#define TRUSTLIST_MAX       100000
#define TRUSTLIST_ADDRS_MAX 1024

struct trustlist_entry {
	unsigned char key[SHA256_SIZE]; /* of a certificate or key, or over issuer and serial */
	char *reason;                   /* owned; may be "" */
	char **addrs;                   /* owned, canonical; for allowed ones */
	size_t n_addrs;
};

struct trustlist {
	struct trustlist_entry *v; /* by key */
	size_t n;
};

void trustlist_fini(struct trustlist *list);
/* ADDRS: as written; ERR_ADDR_SYNTAX. The first entry of a key stays. */
enum rc trustlist_add(struct trustlist *list, const unsigned char key[SHA256_SIZE],
	const char *reason, const char *const *addrs, size_t n, struct err *err);
const struct trustlist_entry *
trustlist_find(const struct trustlist *list, const unsigned char key[SHA256_SIZE]);
/* SHA-256 as 64 hex digits, with colons or without; ERR_USAGE. */
enum rc trustlist_parse_key(const char *text, unsigned char key[SHA256_SIZE], struct err *err);
/* The key of a certificate by its issuer (RFC 4514, as cert_issuer has it) and serial number. */
enum rc trustlist_serial_key(
	const char *issuer, const char *serial, unsigned char key[SHA256_SIZE], struct err *err);
/* Why CERT is denied, or NULL: by itself, its key, its issuer and serial number. */
const struct trustlist_entry *
trustlist_denies(const struct trustlist *list, const struct cert *cert);
bool trustlist_entry_is_for(const struct trustlist_entry *entry, const char *addr);

#endif
