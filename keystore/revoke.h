/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revoke.h - certificates of the organisation's CAs that count no more
 */
#ifndef KEYSTORE_REVOKE_H
#define KEYSTORE_REVOKE_H

#include "keystore/store_ca.h"

/* CRLReason (RFC 5280 section 5.3.1): "unspecified", "keyCompromise", … */
#define REVOKE_LEFT  3 /* affiliationChanged: the owner has left */
#define REVOKE_ENDED 5 /* cessationOfOperation: the key was destroyed */
const char *revoke_reason_name(int reason);
bool revoke_reason_find(const char *word, int *reason);

/* The CA here that signed CERT; RC_NONE: it is from elsewhere. */
enum rc revoke_find_issuer(
	struct store *store, const struct cert *cert, struct store_ca *out, struct err *err);
struct revoke_how {
	int reason;
	const char *comment; /* or NULL */
	int64_t at;
	int64_t seq; /* of the ledger record */
};
/* In the open transaction: every certificate of KEY that a CA here signed is revoked; what was
 * revoked before stays as it is.
 * *outside: those of other CAs that are still valid, which have to be revoked there. */
enum rc revoke_certs(struct store *store, const char *key, const struct revoke_how *how,
	size_t *outside, struct err *err);

#endif
