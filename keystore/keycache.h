/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keycache.h - keys in use, parsed: unwrapping and parsing cost more than a P-256 signature
 *
 * An entry is immutable and reference-counted. All are forgotten when the store changes
 * (store_generation), each one after a minute, and the least recently used when there are too many.
 *
 * Threads: any.  Limits: KEYCACHE_MAX entries.
 */
#ifndef KEYSTORE_KEYCACHE_H
#define KEYSTORE_KEYCACHE_H

#include "keystore/store.h"

#define KEYCACHE_MAX 4096u

struct keyent {
	int refs;
	struct store_key key;
	struct store_cert cert; /* the current one; .cert NULL: none is valid now */
	struct cert
		*encrypt_cert; /* keys that sign: the owner's certificate to encrypt to, or NULL */
	struct pkey *pkey;     /* only when it was asked for */
	struct secret *fallback;   /* with pkey */
	struct cms_signer *signer; /* keys that sign and have a certificate */
	int64_t loaded;            /* clock_monotonic_ms */
	/* private to keycache.c */
	struct keyent *next, *older, *newer;
};

struct keycache;
enum rc keycache_new(struct store *store, struct keycache **out, struct err *err);
void keycache_free(struct keycache **cache);
/* RC_NONE: no such key. WITH_PKEY: unwrap the private key as well. */
enum rc keycache_get(struct keycache *cache, const char *id, bool with_pkey, struct keyent **out,
	struct err *err);
void keyent_unref(struct keyent **ent);
/* What a use of its private key takes of the processor: 1 is about a signature with P-256. */
unsigned keyent_cost(const struct keyent *ent);
/* After a change of the store. */
void keycache_flush(struct keycache *cache);

#endif
