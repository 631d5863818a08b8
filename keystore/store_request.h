/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_request.h - certificate requests that an outside CA has not answered yet
 *
 * At most one for each key. The request's bytes are kept, so that asking again gives the same ones.
 * Rows carry an HMAC and count in the store's sum like all others.
 */
#ifndef KEYSTORE_STORE_REQUEST_H
#define KEYSTORE_STORE_REQUEST_H

#include "base/buf.h"
#include "keystore/store.h"

#define STORE_SUBJECT_SIZE 1024

struct store_request {
	char key[STORE_ID_SIZE];
	char addr[ADDR_MAX + 1];
	char subject[STORE_SUBJECT_SIZE]; /* as in dn.h */
	char replaces[STORE_ID_SIZE];     /* key that retires when the answer is there; or "" */
	int64_t created;
	int64_t seq;
};

/* Only within a transaction. One of the same key is replaced. */
enum rc store_put_request(struct store *store, const struct store_request *request,
	const struct buf *der, struct err *err);
/* RC_NONE: the key has none. DER may be NULL. */
enum rc store_get_request(struct store *store, const char *key, struct store_request *out,
	struct buf *der, struct err *err);
/* RC_OK also when there was none. */
enum rc store_del_request(struct store *store, const char *key, struct err *err);

#endif
