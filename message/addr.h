/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - mail addresses: envelope paths, header address lists, one canonical form
 *
 * Accepts what the envelope carries, also what breaks the grammar ("a..b.@docomo.ne.jp").
 * Header lists follow RFC 5322 section 3.4 with groups, comments and quoted strings; between
 * ESC $ and ESC ( everything is opaque (raw ISO-2022-JP). Canonical: domain in lower case
 * and as A-labels (IDNA 2008), local part as it is, quotes removed where not needed.
 *
 * Limits: ADDR_MAX bytes for an address, ADDR_MAX_LIST addresses in a header.
 */
#ifndef MESSAGE_ADDR_H
#define MESSAGE_ADDR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define ADDR_MAX      1024
#define ADDR_MAX_LIST 20000

struct addrlist {
	char **v; /* canonical addresses, owned */
	size_t n;
	bool doubtful; /* another address stands, without quotes, where a display name belongs */
};

/* Canonical form of an address with or without <>; "" for the null path. OUT has ADDR_MAX + 1
 * bytes. */
enum rc addr_canonical(const char *text, size_t len, char *out, struct err *err);
/* Addresses of a header value (From:, To:, …), in order. An empty list is RC_OK with n = 0. */
enum rc addrlist_parse(const char *value, size_t len, struct addrlist *out, struct err *err);
void addrlist_fini(struct addrlist *list);
bool addrlist_has(const struct addrlist *list, const char *addr);

/* The part after the last '@', or NULL. ADDR is canonical. */
const char *addr_domain(const char *addr);
/* Same mailbox: domains without case, local parts without case (how directories compare). */
bool addr_equal(const char *a, const char *b);
/* PATTERN: "user@domain", "@domain", ".domain" (subdomains), "<>" (null path), "*" (any). */
bool addr_match(const char *pattern, const char *addr);
/* Is DOMAIN named by one of the N entries ("example.org", ".example.org" for subdomains)? */
bool addr_domain_in(const char *domain, const char *const *entries, size_t n);
/* ADDR without its extension (user+ext@d → user@d); OUT has ADDR_MAX + 1 bytes. */
void addr_strip_extension(const char *addr, char delimiter, char *out);

#endif
