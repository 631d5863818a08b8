/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_ldap.h - lists and certificates from an LDAP URL (RFC 4516)
 *
 * One entry, one attribute, anonymously; no referrals, no aliases. The socket is made here, for an
 * allowed address only, and handed to libldap, so that no name is resolved twice. A thread for each
 * transfer: libldap can wait. Every wait has a deadline (ldap_guard.h); resolving the name is the
 * resolver's to limit, and a fetcher that stops does not wait for it.
 *
 * Threads: one; the transfers' own threads are inside.
 */
#ifndef DIRECTORY_FETCH_LDAP_H
#define DIRECTORY_FETCH_LDAP_H

#include "directory/fetch_job.h"

struct fetch_ldap;

/* WAKE is called with CTX from other threads when a job has ended. */
enum rc
fetch_ldap_new(void (*wake)(void *ctx), void *ctx, struct fetch_ldap **out, struct err *err);
void fetch_ldap_free(struct fetch_ldap **ldap);
/* Takes the job; when that fails already, it is among those that have ended. */
void fetch_ldap_start(
	struct fetch_ldap *ldap, const struct fetch_settings *settings, struct fetch_job **job);
struct fetch_job *fetch_ldap_take(struct fetch_ldap *ldap);

#endif
