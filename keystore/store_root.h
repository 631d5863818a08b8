/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_root.h - the store's own key, and the master keys that open it
 *
 * Everything in the store is wrapped and authenticated under the store key: 32 random bytes that
 * never leave the vault in the clear. A master key opens it: table "masters" has one row for each,
 * with the store key wrapped under that master key. There is one, and a second one while the master
 * key is being replaced: "current" and "pending". Either opens the store, and what is opened says
 * which it was; so a replacement that is interrupted anywhere leaves a store that opens with the
 * old master key, or with either, or with the new one, and never with none.
 *
 * Replacing the master key does not help where somebody had it and a copy of the store: that gives
 * the store key, which stays. store_reencrypt makes a new one and writes everything anew
 * (store_reencrypt.c).
 *
 * SPEC is where the master key comes from, as in vault.master_key; KDF what is needed to make it
 * from there ("scrypt N r p SALT", "pkcs11 …"), or "".
 */
#ifndef KEYSTORE_STORE_ROOT_H
#define KEYSTORE_STORE_ROOT_H

#include "keystore/store.h"

#define STORE_SPEC_SIZE 512
#define STORE_KDF_SIZE  4096

struct store_master {
	bool pending;
	bool opened; /* this store was opened with it */
	char spec[STORE_SPEC_SIZE];
	char kdf[STORE_KDF_SIZE];
	int64_t since;
};

/* For a store that is not unlocked: the parameters of the master key that comes from SPEC, or of
 * one that comes from the same kind of place; RC_NONE. They are not authenticated yet. */
enum rc
store_find_kdf(struct store *store, const char *spec, char out[STORE_KDF_SIZE], struct err *err);
/* *n of one or two: the current one first. */
enum rc
store_list_masters(struct store *store, struct store_master out[2], size_t *n, struct err *err);
/* MASTER may open the store as well, as the pending one; there must be none yet. Durable. */
enum rc store_add_master(struct store *store, const char *spec, const char *kdf,
	struct secret *master, struct err *err);
/* The pending master key, which MASTER has to be, becomes the only one. ERR_KEYSTORE: it is
 * another. When the pending one opened the store, MASTER may be NULL. */
enum rc store_settle_master(struct store *store, struct secret *master, struct err *err);
/* The pending one opens nothing any more. */
enum rc store_drop_master(struct store *store, struct err *err);
/* Is MASTER the current (PENDING: the pending) master key? ERR_KEYSTORE when not. */
enum rc
store_check_master(struct store *store, struct secret *master, bool pending, struct err *err);
/* A new store key, under MASTER (the current one: no other is known afterwards). */
enum rc store_reencrypt(struct store *store, struct secret *master, struct err *err);
/*
 * For backups. A copy of the file as it is at one moment, closed, under a new name beside it; the
 * store key, for the caller to free.
 */
enum rc store_snapshot(struct store *store, const char *path, struct err *err);
enum rc store_get_root(struct store *store, struct secret **root, struct err *err);
/* The copy at PATH, whose store key is ROOT, gets MASTER as its only master key. */
enum rc store_adopt(const char *path, struct secret *root, const char *spec, const char *kdf,
	struct secret *master, struct err *err);
/* What a store_reencrypt or a backup that was interrupted left beside the store at PATH. */
void store_clean(const char *path);

/* --- inside the store --- */
enum rc store_root_create(struct store *store, const char *spec, const char *kdf,
	struct secret *master, struct err *err);
/* Finds the row that MASTER opens; sets the keyring. */
enum rc store_root_open(struct store *store, struct secret *master, struct err *err);
/* A row of masters for ROOT under MASTER, in the open transaction; replaces the row of that kind.
 */
enum rc store_root_put(struct store *store, struct secret *root, const struct store_master *row,
	struct secret *master, struct err *err);

#endif
