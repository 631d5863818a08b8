/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_ldif.h - certificates as LDIF (RFC 2849): an inetOrgPerson for each address
 */
#ifndef CLI_CERT_LDIF_H
#define CLI_CERT_LDIF_H

#include "base/buf.h"

#include <stddef.h>

struct ldif {
	const char *base; /* DN of the entries' parent; borrowed */
	char *addr;       /* of the entry begun last; owned */
};

/* One certificate for ADDR. Those of one address have to come one after the other: they are values
 * of one entry. */
enum rc ldif_add(struct ldif *ldif, const char *addr, const void *der, size_t len, struct buf *out,
	struct err *err);
void ldif_fini(struct ldif *ldif);

#endif
