/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_ca_sign.h - inside of the operator's commands: a CA's certificate, and what is told of it
 *
 * Nothing here writes to the ledger or the store: the caller has recorded that a key is used.
 */
#ifndef KEYSTORE_ADMIN_CA_SIGN_H
#define KEYSTORE_ADMIN_CA_SIGN_H

#include "keystore/admin_ca.h"

/* What a CA is called: new, or as its certificate has it. */
struct ca_name {
	const char *name, *org;
	const struct cert *like; /* or NULL */
};

/* What signs an issuing CA's certificate. */
struct parent_ca {
	const struct pkey *key;
	struct cert *cert;
	const char *id;
};

/* The root signs its certificate; PKEY may be one that is in the store already. */
enum rc ca_sign_root(struct admin *a, const struct pkey *pkey, const struct ca_name *name,
	struct cert **out, struct err *err);
/* PARENT's key signs the certificate of the issuing CA with the public key SPKI. Pointers (where
 * the root's list is) are those of the profile for persons. */
enum rc ca_sign_issuing(struct admin *a, const struct parent_ca *parent, const struct ca_name *name,
	const struct buf *spki, struct cert **out, struct err *err);
/* The same by the root in the store. */
enum rc ca_sign_by_root(struct admin *a, const struct ca *root, const struct ca_name *name,
	const struct buf *spki, struct cert **out, struct err *err);
/* What a certificate by ROOT has above it: what is above ROOT and ROOT itself. */
enum rc ca_chain_of_root(const struct ca *root, struct certset *chain, struct err *err);

/* "csr": the request for an issuing CA's certificate, for somebody outside to sign. */
enum rc
ca_put_csr(struct admin *a, const struct pkey *pkey, const struct ca_name *name, struct err *err);
/* "cas": the one with this key. */
enum rc ca_put_one(struct admin *a, const char *key, struct err *err);

#endif
