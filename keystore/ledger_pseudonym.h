/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_pseudonym.h - addresses as the ledger writes them, under the key of the month
 *
 * The pseudonyms of late are kept: the same few addresses come again and again, and an HMAC costs
 * more than the rest of a record. A new month has a new key, and forgets them.
 *
 * Threads: pseudonyms_lock and what stands between it and pseudonyms_unlock, any number at a time.
 * Limits:  PSEUDONYMS_KEPT of them, those of addresses up to PSEUDONYMS_ADDR bytes.
 */
#ifndef KEYSTORE_LEDGER_PSEUDONYM_H
#define KEYSTORE_LEDGER_PSEUDONYM_H

#include "keystore/ledger.h"

#include <pthread.h>

#define PSEUDONYMS_KEPT 2048u
#define PSEUDONYMS_ADDR 63u

struct pseudonym {
	char addr[PSEUDONYMS_ADDR + 1]; /* "": none is kept here */
	char text[LEDGER_PSEUDONYM_SIZE];
};

struct pseudonyms {
	pthread_rwlock_t lock; /* over period, day and key */
	char period[LEDGER_PERIOD_SIZE];
	int64_t day; /* since 1970: PERIOD was right on this one */
	struct secret *key;
	pthread_mutex_t kept_lock;
	struct pseudonym *kept; /* PSEUDONYMS_KEPT, or NULL: none are kept */
};

enum rc pseudonyms_init(struct pseudonyms *pseudonyms, struct err *err);
void pseudonyms_fini(struct pseudonyms *pseudonyms);
/* Sees to it that the key is that of the present month, fetching it from KEYS when it is a new one,
 * and that it stays until pseudonyms_unlock. */
enum rc
pseudonyms_lock(struct pseudonyms *pseudonyms, const struct ledger_keys *keys, struct err *err);
void pseudonyms_unlock(struct pseudonyms *pseudonyms);
/* ADDR's pseudonym under the key that is locked. */
enum rc pseudonyms_get(struct pseudonyms *pseudonyms, const char *addr,
	char out[LEDGER_PSEUDONYM_SIZE], struct err *err);

#endif
