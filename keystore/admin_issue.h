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

/* What a certificate is issued by and for; all borrowed. */
struct issue_job {
	struct ca *ca;
	const struct profile *profile;
	const struct issue_person *person;
	enum key_purpose purpose;
};

/* The profile that the request names, or that of KIND; NULL: ERR_USAGE. */
const struct profile *admin_profile(struct admin *a, enum person_kind kind, struct err *err);
/* A certificate for the public key SPKI, with its record. The admin's "limited" is set when the CA
 * ends before the wanted time. */
enum rc admin_issue_cert(struct admin *a, const struct issue_job *job, const void *spki, size_t len,
	struct cert **out, struct err *err);

struct fresh { /* a new key with its certificate, before it is in the store */
	struct store_key key;
	struct pkey *pkey;
	struct cert *cert;
};
void fresh_fini(struct fresh *fresh);
/* KIND NULL: the profile's. */
enum rc admin_make_fresh(struct admin *a, const struct issue_job *job, const char *kind,
	struct fresh *fresh, struct err *err);

/* How new keys come into the store. */
struct keeping {
	const char *event; /* of the ledger record */
	const char *addr;  /* whose they are; canonical */
	struct ca *ca;     /* that signed their certificates */
	/* A key that the new one replaces, or NULL; it retires unless the new key's use_from is
	 * still to come. */
	const struct store_key *old;
};
/* Record, then all rows in one transaction. */
enum rc admin_keep_fresh(
	struct admin *a, const struct keeping *how, struct fresh *fresh, size_t n, struct err *err);
/* The answer of all that make keys. */
enum rc admin_put_fresh(struct admin *a, const struct fresh *fresh, size_t n, struct err *err);

#endif
