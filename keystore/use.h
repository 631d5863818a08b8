/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * use.h - what a service may ask for: the decisions of the vault, and the two uses of a private key
 *
 * A use goes: role of the service → the vault's own tables (key, owner, right of the recipient) →
 * budget → intent in the ledger, durable → the private key → outcome in the ledger. When the intent
 * cannot be written, the key is not used. A use that is refused is in the ledger as denied.
 *
 * So a use has two halves: the first decides and adds the intent to a group of records, the second
 * uses the key. Whoever calls them writes the group in between, with the intents of other uses in
 * it, and leaves the second half out when that fails.
 */
#ifndef KEYSTORE_USE_H
#define KEYSTORE_USE_H

#include "keystore/client.h"
#include "keystore/proto.h"
#include "keystore/vault.h"

struct peer {
	const char *service; /* name of a configured service */
	unsigned role;       /* enum role, from the configuration */
	int64_t uid, pid;
};

/* Key, certificates and the chain that sign for ADDR; RC_NONE. *ent is for the caller to unref. */
enum rc use_find_signer(struct vault *vault, const struct settings *settings, const char *addr,
	struct keyent **ent, struct err *err);
enum rc use_holds(struct vault *vault, const struct settings *settings, const char *addr,
	bool *client_key, struct err *err);

struct use {
	struct vault *vault;
	struct ledger_group *group; /* has the intent … */
	size_t index;               /* … as this one of its records */
	struct keyent *ent;         /* the key, with a reference */
	char grant[STORE_ID_SIZE];  /* by which somebody else's key opens; "": their own */
};
void use_fini(struct use *use); /* of zeros too */

/* Both halves get the same REQUEST. Its signing time is left out when it is more than a week ago or
 * ten minutes ahead: a service that was taken over cannot sign into the past. */
enum rc use_sign_begin(struct use *use, struct vault *vault, const struct settings *settings,
	const struct peer *peer, const struct vault_sign_request *request, size_t value_len,
	struct ledger_group *group, struct err *err);
enum rc use_sign_end(struct use *use, const struct vault_sign_request *request, struct buf *der,
	struct err *err);

struct candidate {
	bool is_ski;
	const unsigned char *value;
	size_t len;
};
/* The first candidate that RECIPIENT may have opened; RC_NONE. */
enum rc use_match(struct vault *vault, const struct settings *settings, const struct peer *peer,
	const char *recipient, const struct candidate *v, size_t n, size_t *index, struct err *err);

struct open_request {
	const unsigned char *der; /* one RecipientInfo */
	size_t len;
	unsigned index;
	enum content_cipher cipher;
	const char *recipient;
	struct vault_claim claim;
};
enum rc use_open_begin(struct use *use, struct vault *vault, const struct settings *settings,
	const struct peer *peer, const struct open_request *request, struct ledger_group *group,
	struct err *err);
enum rc use_open_end(
	struct use *use, const struct open_request *request, struct secret **cek, struct err *err);

/*
 * The one way past the right of the recipient: what officers approved (approval.h), for a key that
 * they named. Keys that the RecipientInfo names, whosever they are; the first half with this KEY
 * and DETAIL in the record; the second half is use_open_end.
 */
#define USE_NAMED_KEYS 8
enum rc use_named_keys(struct vault *vault, const struct open_request *request,
	char ids[USE_NAMED_KEYS][STORE_ID_SIZE], size_t *n, struct err *err);
enum rc use_open_approved(struct use *use, struct vault *vault, const struct peer *peer,
	const struct open_request *request, const char *key, const char *detail,
	struct ledger_group *group, struct err *err);

enum rc use_record(struct vault *vault, const struct peer *peer, const char *event,
	const struct vault_claim *claim, const char *json, struct err *err);

#endif
