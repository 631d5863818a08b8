/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap.h - one LDAP directory as a source of certificates
 *
 * Searches by exact mail address and reads the entries' certificates (ldap_entry.h). The
 * directory's servers are tried in order; one that fails is left alone for a while (breaker.h).
 * Connections are kept, each used by one thread at a time.
 *
 * RC_NONE only when a server said that the search succeeded and gave no certificate. A missing
 * search base, a refusal, a referral that is not followed, or an answer past the limits is RC_TEMP.
 * What a server gave up to a limit of its own is an answer as far as it goes, and never "none".
 * Continuation references beside entries are followed when the configuration says to where
 * (ldap_search.h); others do not count.
 *
 * Limits: the directory's timeout for each server, LDAP_MAX_ENTRIES entries, LDAP_MAX_VALUES values
 * in all, LDAP_MAX_VALUE bytes in one, LDAP_MAX_ANSWER bytes in a message of the protocol and twice
 * that in all.
 */
#ifndef DIRECTORY_LDAP_H
#define DIRECTORY_LDAP_H

#include "directory/source.h"

#define LDAP_MAX_ENTRIES 16
#define LDAP_MAX_VALUES  2000
#define LDAP_MAX_VALUE   (256u << 10)
#define LDAP_MAX_ANSWER  (4u << 20)

/* One item of the section "directories". ERROR_TTL_MS: how long a server that failed is left alone.
 */
enum rc source_ldap_new(struct conf *conf, const struct conf_group *group, int error_ttl_ms,
	struct source **out, struct err *err);

/*
 * TEMPLATE with each %a replaced by ADDR, escaped by RFC 4515 section 3, and %% by %. ERR_CONFIG
 * for another % or a template without %a or with unbalanced parentheses. Filters are
 * made here and with ldap_filter_append only.
 */
enum rc
ldap_filter_format(const char *template, const char *addr, struct buf *out, struct err *err);
/* A value inside a filter, escaped in the same way. */
enum rc ldap_filter_append(const char *value, struct buf *out, struct err *err);

#endif
