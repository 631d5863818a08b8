/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_ca.h - inside of the operator's commands: using a CA's key
 *
 * The CA's key is a private key like others: nothing is signed with it without a record.
 */
#ifndef KEYSTORE_ADMIN_CA_H
#define KEYSTORE_ADMIN_CA_H

#include "crypto/issue.h"
#include "keystore/admin_cmd.h"
#include "keystore/store_ca.h"

struct ca { /* one that is ready to sign */
	struct store_ca row;
	struct keyent *ent; /* with private key and certificate */
};
void ca_fini(struct ca *ca);

/* The CA that signs people's certificates now. ERR_VAULT_NO_KEY says why there is none. */
enum rc ca_open_issuing(struct admin *a, struct ca *ca, struct err *err);
/* The root that signs issuing CAs. */
enum rc ca_open_root(struct admin *a, struct ca *ca, struct err *err);
/* The one with this key, whatever its state. */
enum rc ca_open(struct admin *a, const char *key, struct ca *ca, struct err *err);

/* Intent, before CA's key signs something about SUBJECT (an address, or NULL), and what came of it.
 */
enum rc ca_intent(struct admin *a, const struct ca *ca, const char *event, const char *subject,
	uint64_t *seq, struct err *err);
void
ca_outcome(struct admin *a, const struct ca *ca, uint64_t seq, enum rc rc, const struct err *why);

/* Notes, in the open transaction, that CA signed something that ends at NOT_AFTER. */
enum rc ca_note_last(struct admin *a, struct ca *ca, int64_t not_after, struct err *err);
/* What belongs above a certificate that CA signed: CA's own and those above it, without a root. */
enum rc ca_chain(const struct ca *ca, struct certset *chain, struct err *err);
/* DER between the lines of PEM. */
enum rc
admin_format_pem(const char *label, const struct buf *der, struct buf *out, struct err *err);
/* One CA as an object; FULL: with certificate and chain. */
enum rc admin_put_ca(struct admin *a, const char *id, bool full, struct err *err);

/* A key pair with everything of its row but person and the record's number. */
enum rc admin_make_key(const char *kind, enum key_purpose purpose, struct store_key *key,
	struct pkey **pkey, struct buf *spki, struct err *err);

#endif
