/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_uses.h - which uses of keys have no outcome in the ledger
 *
 * Intents come in the order of their numbers, outcomes in any order behind theirs. A part of the
 * ledger may be looked at alone: outcomes of intents before it are kept, and find theirs when the
 * parts are joined in order.
 */
#ifndef KEYSTORE_LEDGER_USES_H
#define KEYSTORE_LEDGER_USES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_uses {
	uint64_t *open; /* numbers of intents, growing; the top bit: its outcome came */
	size_t n_open, n_closed, room_open;
	uint64_t *early; /* intents that are before this part, and whose outcome is in it */
	size_t n_early, room_early;
	uint64_t strays; /* outcomes of nothing, and second ones */
};

enum rc ledger_uses_intent(struct ledger_uses *uses, uint64_t seq, struct err *err);
enum rc ledger_uses_outcome(struct ledger_uses *uses, uint64_t intent, struct err *err);
/* NEXT is the part behind USES; it is empty afterwards. */
enum rc ledger_uses_join(struct ledger_uses *uses, struct ledger_uses *next, struct err *err);
/* After the last join: what is still early is of intents before FIRST, or of nothing. */
void ledger_uses_end(struct ledger_uses *uses, uint64_t first);
/* Calls EACH with the intents that have no outcome, in order. */
void
ledger_uses_each(const struct ledger_uses *uses, void (*each)(void *ctx, uint64_t seq), void *ctx);
void ledger_uses_fini(struct ledger_uses *uses);

#endif
