/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_ca.h - in the key store: the organisation's CAs, and what they revoked
 *
 * A CA is a key with purpose "ca" and a row here. A root signs itself and issuing CAs; an issuing
 * CA signs the certificates of persons. The key's status says what it still does: active: signs
 * certificates; retired: signs only its revocation list, until the last certificate of it has
 * expired. An issuing CA without a certificate waits for one from outside.
 *
 * A revocation is kept by certificate, with date and reason, so that a list is made from rows
 * alone.
 *
 * Limits:  STORE_MAX_CAS authorities, STORE_MAX_REVOKED entries in one list.
 */
#ifndef KEYSTORE_STORE_CA_H
#define KEYSTORE_STORE_CA_H

#include "keystore/store.h"

#define STORE_MAX_CAS      64
#define STORE_MAX_REVOKED  50000
#define STORE_COMMENT_SIZE 256
#define STORE_MAX_SERIAL   32

enum ca_role { CA_ROOT, CA_ISSUING };
const char *ca_role_name(enum ca_role role); /* "root", "issuing" */

struct store_ca {
	char key[STORE_ID_SIZE];
	enum ca_role role;
	char parent[STORE_ID_SIZE]; /* the root here that signed it; "": itself, or an outside one
				     */
	int64_t last;               /* when the last certificate that it signed expires; 0: none */
	int64_t crl_next;           /* nextUpdate of its newest revocation list; 0: none yet */
	int64_t created;
	int64_t seq;
};

/* Replaces the row of the same key. */
enum rc store_put_ca(struct store *store, const struct store_ca *ca, struct err *err);
/* RC_NONE: KEY is no CA. */
enum rc store_get_ca(struct store *store, const char *key, struct store_ca *out, struct err *err);
/* All, oldest first; V has room for STORE_MAX_CAS. */
enum rc store_list_cas(struct store *store, struct store_ca *v, size_t *n, struct err *err);
/* The newest CA of ROLE whose key is active and has a certificate that is valid at AT. RC_NONE. */
enum rc store_find_ca(
	struct store *store, enum ca_role role, int64_t at, struct store_ca *out, struct err *err);

struct store_revocation {
	char sha256[2 * SHA256_SIZE + 1]; /* of the certificate */
	char ca[STORE_ID_SIZE];
	unsigned char serial[STORE_MAX_SERIAL];
	size_t serial_len;
	int64_t at;
	int reason; /* CRLReason (RFC 5280 section 5.3.1) */
	char comment[STORE_COMMENT_SIZE];
	int64_t not_after;
	int64_t seq;
};

/* Replaces an earlier one of the same certificate. */
enum rc store_put_revocation(
	struct store *store, const struct store_revocation *revocation, struct err *err);
enum rc store_get_revocation(
	struct store *store, const char *sha256, struct store_revocation *out, struct err *err);
typedef enum rc
store_each_revocation(void *ctx, const struct store_revocation *revocation, struct err *err);
/* Of the CA with key KEY. */
enum rc store_list_revocations(struct store *store, const char *ca, store_each_revocation *each,
	void *ctx, struct err *err);

struct store_ids {
	char (*v)[STORE_ID_SIZE]; /* room for MAX, the caller's */
	size_t max, n;
};
/*
 * Ids of active keys of persons whose newest certificate ends by UNTIL, in the order of ids behind
 * AFTER. Ids alone: whoever acts on one reads its rows.
 */
enum rc store_list_due(struct store *store, int64_t until, const char *after, struct store_ids *ids,
	struct err *err);
/* The same for active keys that replace another one. */
enum rc store_list_successors(
	struct store *store, const char *after, struct store_ids *ids, struct err *err);

#endif
