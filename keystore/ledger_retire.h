/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_retire.h - dropping the oldest segments of a ledger, with proof of what they were
 *
 * The order, each step durable before the next:
 *   1. the segment is verified and its stub written as 000001.stub.new
 *   2. a record "audit.retire" with the stub's hash, and a checkpoint over it
 *   3. the stub gets its name, 000001.stub
 *   4. 000001.jsonl is removed
 * A crash behind 1 or 2 leaves the .new file: ledger_retire_resume goes on from 3 if the record is
 * there, and else forgets the stub. A crash behind 3 leaves both: it goes on with 4.
 *
 * Only the oldest segment can be dropped, never the one that is written, and none that does not
 * verify.
 */
#ifndef KEYSTORE_LEDGER_RETIRE_H
#define KEYSTORE_LEDGER_RETIRE_H

#include "keystore/ledger.h"

#define LEDGER_NEW_STUB ".stub.new" /* behind the number */

struct ledger_retire_order {
	uint64_t up_to;  /* no segment above this number; 0: no such limit */
	int64_t before;  /* none with a record of this time (seconds) or later; 0: no such limit */
	bool dry_run;    /* nothing is done; then … */
	uint64_t behind; /* … the oldest one above this number is looked at */
	const char *service; /* who asked, for the record: "admin", "vault" … */
	int64_t uid, pid;    /* … and the peer; -1: none */
};

struct ledger_dropped {
	uint64_t segment, first, last; /* numbers of its records */
	int64_t bytes;
	char from[32], to[32]; /* times of the first and last record */
	uint64_t record;       /* that says so; 0 after a dry run */
};

/* Drops one segment. RC_NONE: there is none (more) that ORDER is about. ERR_LEDGER_BROKEN: the
 * oldest one does not verify. */
enum rc ledger_retire(struct ledger *ledger, const struct ledger_retire_order *order,
	struct ledger_dropped *out, struct err *err);

/* Ends what a crash interrupted. Called by ledger_open. */
enum rc ledger_retire_resume(struct ledger *ledger, struct err *err);

#endif
