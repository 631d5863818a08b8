/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_entry.h - what an entry of a directory says, as candidates
 *
 * Certificates stand in attributes that the configuration names in the order of preference, with
 * ";binary" behind or without, maybe in ranges as Active Directory gives long lists
 * ("userCertificate;range=0-1499"). A value is a certificate, or a SignedData (RFC 2798
 * section 2.8): its CA certificates help with the path, its signed attributes may say what the
 * person's program can do. A value that is neither is left out with a line in the log: somebody
 * else's garbage must not keep a correspondent's good certificate from being used.
 *
 * An entry shows its own mail addresses, in the attributes that the filter looked at. When it shows
 * some and the address that was asked for is not among them, it is not the entry that was asked
 * for, whatever the server means: its certificates are candidates that lost.
 *
 * Threads: belongs to one search.
 * Limits:  LDAP_MAX_VALUES values in an answer, LDAP_MAX_VALUE bytes in one, LOOKUP_MAX_CERTS
 *          certificates, of which many are not expired, LDAP_MAX_RANGES attributes that go on.
 */
#ifndef DIRECTORY_LDAP_ENTRY_H
#define DIRECTORY_LDAP_ENTRY_H

#include "directory/ldap_search.h"

#define LDAP_MAX_NAMES  16 /* attributes with certificates, and with addresses */
#define LDAP_MAX_RANGES 16

struct ldap_shape {       /* of a directory's entries; set once */
	const char *name; /* of the directory */
	enum tier tier;
	bool willing;
	bool check_entry;
	char *certs[LDAP_MAX_NAMES + 1]; /* attributes in the order of preference, owned */
	char *addresses[LDAP_MAX_NAMES +
			1]; /* attributes that the filter compares with the address, owned */
	char *wanted[2 * LDAP_MAX_NAMES + 1]; /* both, borrowed: what a search asks for */
};

/* ATTRIBUTES in the order of preference; FILTER as configured. */
enum rc ldap_shape_init(struct ldap_shape *shape, const char *const *attributes, size_t n,
	const char *filter, struct err *err);
void ldap_shape_fini(struct ldap_shape *shape);

struct ldap_range { /* an attribute that goes on */
	char *dn;
	unsigned entry, rank;
	unsigned long from;
};

struct ldap_reading { /* one answer while it comes */
	const struct ldap_shape *shape;
	const char *addr;
	struct answer *answer;
	unsigned entries, values, ignored;
	struct ldap_range ranges[LDAP_MAX_RANGES];
	size_t n_ranges;
	const struct ldap_range *within; /* a range is being read */
	unsigned long next;              /* where that goes on; 0: nowhere */
};

/* For struct ldap_search, with a struct ldap_reading as CTX. */
enum rc
ldap_reading_take(void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err);
void ldap_reading_again(void *ctx);
void ldap_reading_fini(struct ldap_reading *reading); /* the answer is the caller's */

#endif
