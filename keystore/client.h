/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.h - asking the vault: what a service may do with keys, without ever having one
 *
 * Each call is one request and one answer over a pooled connection of vault.sock (protocol: proto.h
 * and sealgate-vault(8)). No vault, no answer in vault.timeout, a broken frame: RC_TEMP,
 * ERR_VAULT_DOWN or ERR_VAULT_PROTOCOL; the connection is closed and the next call tries anew, so a
 * vault that comes back is used without a restart. What the vault refuses is RC_PERM
 * (ERR_VAULT_DENIED, ERR_VAULT_NO_KEY) or RC_TEMP (ERR_VAULT_BUDGET, ERR_LEDGER).
 *
 * Threads: one struct vault_client may be used by any number of threads.
 */
#ifndef KEYSTORE_CLIENT_H
#define KEYSTORE_CLIENT_H

#include "base/conf.h"
#include "base/secret.h"
#include "crypto/cert.h"
#include "crypto/cms_envelope.h"

struct vault_client;

/* SERVICE: name of a configured service; its role is the vault's to know. Does not connect yet. */
enum rc vault_client_new(
	const struct conf *conf, const char *service, struct vault_client **out, struct err *err);
void vault_client_free(struct vault_client **client);
/* From now on decisions may wait HELD_MS for a request that takes them along. For a daemon, which
 * ends with flush or free. */
void vault_client_hold(struct vault_client *client);
/* Sends what waits; from here on each decision goes at once. */
void vault_client_flush(struct vault_client *client);

/* What is claimed about a use of a key; stands in the ledger as claimed. NULL: absent. */
struct vault_claim {
	const char *qid;
	const char *sender;   /* envelope sender */
	const char *identity; /* SASL login */
	const char *rule;
	const char *const *recipients;
	size_t n_recipients;
};

/* The key that signs for ADDR (canonical address of a person or role). RC_NONE: none. Cached for a
 * few seconds. */
struct vault_signer {
	char key_id[64];
	struct cert *cert; /* owned reference; the signing certificate */
	struct certset chain;
	struct cert *encrypt_cert; /* the owner's certificate to encrypt to, may be the same; may be
				      NULL */
	bool personal;             /* a person's key, not a role's */
	enum digest digest;        /* to hash the content with */
};
enum rc vault_find_signer(
	struct vault_client *client, const char *addr, struct vault_signer *out, struct err *err);
void vault_signer_fini(struct vault_signer *signer);

/* Does the vault hold a key that opens mail for ADDR? RC_OK yes, RC_NONE no. *client_key: the
 * person also has it in their own program, so encrypting to them is fine. Cached for a few seconds.
 */
enum rc
vault_holds(struct vault_client *client, const char *addr, bool *client_key, struct err *err);

struct vault_sign_request {
	const char *key_id;
	enum digest digest;
	const unsigned char *value; /* of the content */
	int64_t signing_time;       /* -1: leave it out */
	bool pss;
	struct vault_claim claim;
};
/* A detached SignedData in DER. */
enum rc vault_sign(struct vault_client *client, const struct vault_sign_request *request,
	struct buf *der, struct err *err);

/*
 * Which of N RecipientInfos can be opened for RECIPIENT, by the vault's own tables, without using a
 * key. RC_NONE: none (no such key, or not this recipient's). *index is into RINFOS.
 */
enum rc vault_match(struct vault_client *client, const char *recipient, const struct rinfo *rinfos,
	size_t n, size_t *index, struct err *err);

struct vault_open_request {
	const struct rinfo *rinfo;
	enum content_cipher cipher;
	const char *recipient; /* the envelope recipient on whose behalf */
	struct vault_claim claim;
};
/* The content key, or one that will not fit: the answer looks the same. ERR_VAULT_DENIED when
 * RECIPIENT has no right. */
enum rc vault_open(struct vault_client *client, const struct vault_open_request *request,
	struct secret **cek, struct err *err);

/* Puts a decision about a message whose key was used into the ledger. EVENT: "sealed", "opened",
 * "refused"; the outcome's details as a JSON object without personal text. RC_OK: it is on its way,
 * or held (vault_client_hold); what the vault has against it is in both logs. While decisions that
 * were held can't be sent, every further one is RC_TEMP. */
enum rc vault_record(struct vault_client *client, const char *event,
	const struct vault_claim *claim, const char *json, struct err *err);
/* Is the vault there? RC_OK or RC_TEMP. */
enum rc vault_ping(struct vault_client *client, struct err *err);

#endif
