/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rowcache.h - the vault's answers to "whose is this address, which keys does this RecipientInfo
 * name, is there a grant", without asking the store each time
 *
 * Every row was authenticated when it was read. An answer is used as long as the store has not
 * changed (store_generation, store_look) and its time has not come: where a row begins or ends, so
 * does the answer.
 *
 * Threads: any.  Limits: ROWCACHE_MAX answers; a newer one takes an older one's place.
 */
#ifndef KEYSTORE_ROWCACHE_H
#define KEYSTORE_ROWCACHE_H

#include "keystore/store.h"

#define ROWCACHE_MAX  4096u
#define ROWCACHE_KEYS 8u /* with one SubjectKeyIdentifier; as many as are looked at */

struct rowcache;

enum rc rowcache_new(struct store *store, struct rowcache **out, struct err *err);
void rowcache_free(struct rowcache **cache);
/* store_find_addr: the person's id. */
enum rc rowcache_find_owner(struct rowcache *cache, const char *addr, int64_t at,
	char person[STORE_ID_SIZE], struct err *err);
/* Is PERSON one whose keys may be used at AT? RC_NONE: they have left. */
enum rc
rowcache_find_present(struct rowcache *cache, const char *person, int64_t at, struct err *err);
/* store_find_grant: RC_OK and the grant's id, or RC_NONE. */
enum rc rowcache_find_grant(struct rowcache *cache, const char *owner, const char *person,
	int64_t at, char grant[STORE_ID_SIZE], struct err *err);
/* store_match. */
enum rc rowcache_match(struct rowcache *cache, bool is_ski, const void *value, size_t len,
	char ids[ROWCACHE_KEYS][STORE_ID_SIZE], size_t *n, struct err *err);

#endif
