/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_guard.h - a deadline for every read and write of an LDAP connection
 *
 * libldap's own time limits have two holes: with GnuTLS it reads in a busy loop, for ever, when a
 * server says nothing in the TLS handshake, and a server that stops in the middle of a message
 * blocks the reader. The guard is a layer of the connection's socket buffer, below TLS, that waits
 * for the socket until the deadline and then fails with ETIMEDOUT.
 *
 * Threads: belongs to its connection.
 */
#ifndef DIRECTORY_LDAP_GUARD_H
#define DIRECTORY_LDAP_GUARD_H

#include <ldap.h>
#include <stdbool.h>
#include <stdint.h>

struct ldap_guard {
	int64_t deadline; /* clock_monotonic_ms; may be moved at any time between calls */
	bool expired;     /* a read or write failed for it */
};

/* To be called before the connection is made; GUARD (borrowed) must outlive LD. A result code of
 * libldap. */
int ldap_guard_install(LDAP *ld, struct ldap_guard *guard);

#endif
