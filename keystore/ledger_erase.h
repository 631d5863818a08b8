/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_erase.h - the pseudonym keys of past months, and their end
 *
 * Who has a month's key can tell which records of that month are about an address. When the key is
 * destroyed, nobody can, and the chain is as whole as before. The order is: a mark in the store
 * that the key is to go, the ledger's record, the key, the store's write-ahead log, where the key's
 * bytes may still stand, and at last the mark. A crash in between leaves the mark, and
 * ledger_erase_resume ends what was begun.
 *
 * What it does not reach: copies of the store that were made before, with their master key.
 */
#ifndef KEYSTORE_LEDGER_ERASE_H
#define KEYSTORE_LEDGER_ERASE_H

#include "keystore/ledger.h"
#include "keystore/store.h"

/* The pseudonym key of PERIOD, "2026-11"; made when there is none and CREATE. RC_NONE: none. */
enum rc ledger_period_key(
	struct store *store, const char *period, bool create, struct secret **key, struct err *err);
/* "2026-05": four digits, a hyphen, 01 to 12. */
bool ledger_is_period(const char *text);

/*
 * Destroys the key of PERIOD for the peer UID, PID. ERR_USAGE: not a month that is over, by the
 * clock and by the ledger's newest key. RC_NONE: there is no such key. *seq: the record.
 */
enum rc ledger_erase(struct ledger *ledger, struct store *store, const char *period, int64_t uid,
	int64_t pid, uint64_t *seq, struct err *err);
/* Ends what a crash interrupted. */
enum rc ledger_erase_resume(struct ledger *ledger, struct store *store, struct err *err);

/* Calls EACH for every month that has a key, oldest first. */
typedef enum rc ledger_each_period(void *ctx, const char *period, struct err *err);
enum rc ledger_periods(struct store *store, ledger_each_period *each, void *ctx, struct err *err);

#endif
