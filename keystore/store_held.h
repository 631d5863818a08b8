/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_held.h - key files that wait for their PIN, in the key store
 *
 * The file stands wrapped under the master key, bound to its row's id and its own SHA-256; the row
 * is authenticated and counts in the sum like every other. What is dropped is overwritten on the
 * disk. A row whose file brought its key stays, so that the same file is known when it comes again.
 *
 * Threads: any.
 */
#ifndef KEYSTORE_STORE_HELD_H
#define KEYSTORE_STORE_HELD_H

#include "keystore/store.h"

#define HELD_LABEL_SIZE 256
#define STORE_MAX_HELD  20000 /* files that wait at one time */

struct store_held {
	char id[STORE_ID_SIZE];
	char addr[ADDR_MAX + 1];          /* whose it is to be; "": the certificate will say */
	char label[HELD_LABEL_SIZE];      /* what the file was called, UTF-8 */
	char sha256[2 * SHA256_SIZE + 1]; /* of the file */
	bool foreign;                     /* somebody else's certificate is taken, to open only */
	int64_t created;                  /* or held again */
	int64_t tries;                    /* PINs that did not fit since then */
	char key[STORE_ID_SIZE]; /* "": it waits; the key that it brought, "-": none; the file
				    is destroyed then */
	int64_t seq;
};

/* FILE: its bytes. A row of the same id is replaced. Only within a transaction. ERR_LIMIT: so many
 * wait already. */
enum rc store_put_held(
	struct store *store, const struct store_held *held, struct secret *file, struct err *err);
/* Changes what the row says; the file stays while it waits, else it is destroyed. */
enum rc store_set_held(struct store *store, const struct store_held *held, struct err *err);
enum rc
store_get_held(struct store *store, const char *id, struct store_held *out, struct err *err);
enum rc
store_find_held(struct store *store, const char *sha256, struct store_held *out, struct err *err);
enum rc store_unwrap_held(
	struct store *store, const struct store_held *held, struct secret **file, struct err *err);
/* RC_NONE: there is none. */
enum rc store_del_held(struct store *store, const char *id, struct err *err);
/* Those that wait, by id, behind AFTER; ADDR NULL: all. EACH as for the other lists. */
typedef enum rc store_each_held(void *ctx, const struct store_held *held, struct err *err);
enum rc store_list_held(struct store *store, const char *addr, const char *after, size_t max,
	store_each_held *each, void *ctx, struct err *err);

#endif
