/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_attrs.h - the attributes of an entry, one after the other
 *
 * ldap_first_attribute, ldap_get_values_len and their kin give the same NULL for what is not there
 * and for what can't be read. An answer that can't be read must not look like "none": here it is
 * ERR_DIR_ANSWER.
 *
 * Threads: as the connection's.
 */
#ifndef DIRECTORY_LDAP_ATTRS_H
#define DIRECTORY_LDAP_ATTRS_H

#include "directory/ldap_conn.h"

struct ldap_attrs { /* while an entry is read; ldap_attrs_end */
	LDAP *ld;
	LDAPMessage *message;
	const char *who; /* of the directory, for errors; borrowed */
	BerElement *ber;
	char *dn;              /* as the server writes it */
	struct berval name;    /* of the attribute, with its options; it lies in the message */
	struct berval *values; /* bv_val NULL behind the last; NULL: none */
};

/* To be ended in any case. */
enum rc ldap_attrs_begin(
	struct ldap_attrs *attrs, LDAP *ld, LDAPMessage *message, const char *who, struct err *err);
/* RC_NONE: that was the last. */
enum rc ldap_attrs_next(struct ldap_attrs *attrs, struct err *err);
/* Is it NAME, with or without options behind it? */
bool ldap_attrs_is(const struct ldap_attrs *attrs, const char *name);
void ldap_attrs_end(struct ldap_attrs *attrs);

#endif
