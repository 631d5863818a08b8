/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_opened.h - which content keys were opened before
 *
 * A message is opened once for each delivery. The same encryptedKey again is a retry of the MTA, a
 * second copy, or somebody who has an old message opened: the vault opens it all the same, for it
 * cannot know, and says so in the ledger and the log. A file of its own beside the key store
 * (SQLite) keeps a hash of key and encryptedKey, when it was first and last opened, how often, and
 * a hash of the queue id that was claimed last. It holds nothing secret and nothing that decides: a
 * file that is lost is begun anew, and said.
 *
 * Nothing waits for the disk here: what came in the last minute may be lost when the vault is
 * killed.
 *
 * Threads: any.  Limits: OPENED_MAX rows; beyond it the oldest go first.
 */
#ifndef KEYSTORE_STORE_OPENED_H
#define KEYSTORE_STORE_OPENED_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPENED_MAX 20000000

struct opened;

struct opened_before {
	int64_t count;       /* 0: never */
	int64_t first, last; /* seconds */
	bool retry;          /* the last time for the same queue id, as the service claimed */
};

/* STORE: the key store's path; the file is STORE.opened. Nothing is opened yet. */
enum rc opened_new(const char *store, struct opened **out, struct err *err);
void opened_free(struct opened **opened); /* writes what is not written yet */
/* Notes one opening and tells what was before it. Trouble with the file is logged once, and BEFORE
 * is never then. */
void opened_note(struct opened *opened, const char *key, const void *encrypted_key, size_t len,
	const char *qid, int64_t now, struct opened_before *before);
/* Writes, and forgets what is older than MEMORY seconds; once a minute or so. */
void opened_tick(struct opened *opened, int64_t now, int64_t memory);

#endif
