/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_issue.h - inside of the operator's commands: keys with certificates of the organisation's
 * CA
 */
#ifndef KEYSTORE_ADMIN_ISSUE_H
#define KEYSTORE_ADMIN_ISSUE_H

#include "keystore/admin_ca.h"
#include "keystore/profile.h"

struct issue_person {     /* for whom; all borrowed */
	const char *addr; /* canonical */
	const char *name; /* NULL: the address stands in */
	const char *id;   /* of the person; NULL: not there yet */
};

/* The profile that the request names, or that of KIND; NULL: ERR_USAGE. */
const struct profile *admin_profile(struct admin *a, enum person_kind kind, struct err *err);
/* A certificate for the public key SPKI, with its record. The admin's "limited" is set when the CA
 * ends before the wanted time. */
enum rc admin_issue_cert(struct admin *a, struct ca *ca, const struct profile *profile,
	const struct issue_person *person, enum key_purpose purpose, const void *spki,
	size_t spki_len, struct cert **out, struct err *err);

struct fresh { /* a new key with its certificate, before it is in the store */
	struct store_key key;
	struct pkey *pkey;
	struct cert *cert;
};
void fresh_fini(struct fresh *fresh);
/* KIND NULL: the profile's. */
enum rc admin_make_fresh(struct admin *a, struct ca *ca, const struct profile *profile,
	const struct issue_person *person, const char *kind, enum key_purpose purpose,
	struct fresh *fresh, struct err *err);
/* Record, then all rows in one transaction. OLD: a key that the new one replaces, or NULL; it
 * retires unless the new key's use_from is still to come. */
enum rc admin_keep_fresh(struct admin *a, const char *event, const char *addr, struct ca *ca,
	struct fresh *fresh, size_t n, const struct store_key *old, struct err *err);
/* The answer of all that make keys. */
enum rc admin_put_fresh(struct admin *a, const struct fresh *fresh, size_t n, struct err *err);

#endif
