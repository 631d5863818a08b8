/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_verify.h - proving a ledger whole with public keys only
 */
#ifndef KEYSTORE_LEDGER_VERIFY_H
#define KEYSTORE_LEDGER_VERIFY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_report {
	uint64_t records, segments, checkpoints, epochs;
	uint64_t last_checkpoint;   /* sequence number of the last record a checkpoint covers */
	uint64_t last_anchored;     /* … an anchor file covers; 0: none given */
	uint64_t unknown_outcomes;  /* intents without an outcome */
	bool torn_tail;             /* the last line was cut off by a crash and is not counted */
	bool ok;
	char problem[384];          /* what is wrong, with segment and line; "" when ok */
	char head[65];              /* hash of the last record, hex */
};

/* DIR: folder of segments. ANCHORS: files with lines that `sealgate audit anchor` printed; may be NULL. RC_OK whatever
 * the report says; RC_TEMP when it could not be read. */
enum rc ledger_verify(const char *dir, const char *const *anchors, size_t n, struct ledger_report *report, struct err *err);

#endif
