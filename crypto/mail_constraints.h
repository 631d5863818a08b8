/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mail_constraints.h - may the CAs of a path speak for the mail addresses below them?
 *
 * RFC 5280 section 4.2.1.10 for rfc822Name and emailAddress in the subject, RFC 9598 section 6 for
 * SmtpUTF8Mailbox: a constraint is a mailbox, a host, or a domain with a dot in front; U-labels and
 * A-labels are the same. OpenSSL checks constraints too (of other kinds of names as well); what it
 * lets pass and this does not is refused. Comparisons are counted first: a CA with 5,000
 * constraints over a certificate with 5,000 names is refused, not compared.
 */
#ifndef CRYPTO_MAIL_CONSTRAINTS_H
#define CRYPTO_MAIL_CONSTRAINTS_H

#include <openssl/x509.h>

#include <stdbool.h>
#include <stddef.h>

#define MAIL_CONSTRAINTS_MAX_WORK (1 << 18) /* comparisons for one path */

/* How many comparisons a check of all names (not only those for mail) takes; it stops counting a
 * little over the maximum. */
size_t mail_constraints_work(X509 *const *chain, int n);
/* CHAIN: leaf first, N certificates. False: *PLACE is the certificate whose name is not allowed (or
 * the CA whose constraints cannot be read), WHY says it in words. */
bool mail_constraints_check(X509 *const *chain, int n, int *place, char *why, size_t why_size);
/* Does the address (canonical) fall under the constraint BASE? EXACT: local parts with case. */
bool mail_constraints_match(const char *addr, const char *base, size_t len, bool exact);

#endif
