/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_officer.h - the rows behind acts of two persons: officers, requests, approvals
 *
 * What the rows mean is said in approval.h. All of them carry an HMAC and count in the sum
 * (store_sum.c), so a row that was changed, removed or put back by hand is found. No row is ever
 * removed: an officer who left has an end, a request that was used or given up has a state.
 *
 * Limits: OFFICERS_MAX officers at a time; a text of REQUEST_TEXT_MAX bytes.
 */
#ifndef KEYSTORE_STORE_OFFICER_H
#define KEYSTORE_STORE_OFFICER_H

#include "keystore/ledger_format.h"
#include "keystore/store.h"

#define OFFICERS_MAX     50
#define OFFICERS_MIN     2 /* of the threshold, too */
#define REQUEST_ACT_SIZE 32
#define REQUEST_TEXT_MAX (256u << 10)
#define REQUEST_PENDING  100 /* at a time */

struct store_officer {
	char id[STORE_ID_SIZE];
	char name[STORE_NAME_SIZE];
	char keyid[2 * SHA256_SIZE + 1]; /* cert_key_id, hex */
	int64_t since, until;            /* seconds; until 0: an officer now */
	int64_t seq;
	struct cert *cert; /* as it was when they became one; owned */
};
void store_officer_fini(struct store_officer *officer);

struct officers { /* those who are officers now, by id */
	struct store_officer v[OFFICERS_MAX];
	size_t n;
	int threshold;
	int64_t changed, seq; /* when they last changed, by which record */
};
void officers_fini(struct officers *officers);

/* RC_NONE: there never were officers. */
enum rc store_get_officers(struct store *store, struct officers *out, struct err *err);
enum rc
store_put_officer(struct store *store, const struct store_officer *officer, struct err *err);
enum rc
store_put_quorum(struct store *store, int threshold, int64_t changed, int64_t seq, struct err *err);

enum request_state { REQUEST_OPEN, REQUEST_DONE, REQUEST_WITHDRAWN, REQUEST_EXPIRED, REQUEST_VOID };
#define REQUEST_STATES (REQUEST_VOID + 1)
const char *request_state_name(enum request_state state); /* "open", "done", … */

struct store_act {
	char id[STORE_ID_SIZE];
	char act[REQUEST_ACT_SIZE];
	enum request_state state;
	int uses, max_uses; /* how often it was used; may be */
	int64_t quorum;     /* officers.seq when it was made */
	int64_t made, expires, changed;
	int64_t head;                /* the ledger's last record when it was made … */
	char hash[LEDGER_HASH_SIZE]; /* … and its hash */
	int64_t seq;
	char *command; /* JSON of the admin command that it is for; owned */
	char *text;    /* what officers sign; owned */
	size_t len;
};
void store_act_fini(struct store_act *request);
enum rc store_put_act(struct store *store, const struct store_act *request, struct err *err);
enum rc store_get_act(struct store *store, const char *id, struct store_act *out, struct err *err);
typedef enum rc store_each_act(void *ctx, const struct store_act *request, struct err *err);
/* Newest first; ONLY_OPEN, else all; MAX of them. */
enum rc store_list_acts(struct store *store, bool only_open, size_t max, store_each_act *each,
	void *ctx, struct err *err);

struct store_approval {
	char id[STORE_ID_SIZE];
	char request[STORE_ID_SIZE], officer[STORE_ID_SIZE];
	int64_t at;
	char sha256[2 * SHA256_SIZE + 1]; /* of the signature's bytes */
	int64_t seq;
	const void *cms; /* as it came; borrowed */
	size_t len;
};
enum rc
store_add_approval(struct store *store, const struct store_approval *approval, struct err *err);
typedef enum rc
store_each_approval(void *ctx, const struct store_approval *approval, struct err *err);
enum rc store_list_approvals(struct store *store, const char *request, store_each_approval *each,
	void *ctx, struct err *err);

#endif
