/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_verify.h - proving a ledger whole with public keys only
 *
 * Reads every line once, in constant memory. What is proved: the lines continue each other from the
 * first on, and every checkpoint carries the signature of the epoch key that was in force. That the
 * first key is ours only something kept elsewhere can prove: an anchor, or the key id that init
 * printed (report.root). What stands behind the last checkpoint is chained but not signed; what
 * stands behind the last anchor could be missing unseen.
 */
#ifndef KEYSTORE_LEDGER_VERIFY_H
#define KEYSTORE_LEDGER_VERIFY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct ledger_report {
	uint64_t records, segments, checkpoints, epochs;
	uint64_t last_checkpoint;  /* sequence number of the last record a checkpoint covers */
	uint64_t last_anchored;    /* … an anchor file covers; 0: none given */
	uint64_t anchors;          /* anchors that were checked */
	uint64_t intents;          /* uses of keys */
	uint64_t unknown_outcomes; /* intents without an outcome, but for … */
	uint64_t under_way; /* … those of the last seconds: a vault that runs writes outcomes
			       up to half a second later */
	uint64_t recovered; /* torn ends that the writer closed … */
	uint64_t recovered_bytes; /* … and their bytes */
	bool torn_tail; /* the last line was cut off by a crash, or is being written; it is not
			   counted */
	bool ok;
	char problem[384]; /* what is wrong, with segment and line; "" when ok */
	char head[65];     /* hash of the last record, hex */
	char root[65];     /* SHA-256 of the first epoch's public key, hex */
	char node[65];
};

#define LEDGER_MAX_ANCHORS 100000

/* DIR: folder of segments. ANCHORS: files with lines that `sealgate audit anchor` printed; may be
 * NULL. RC_OK whatever the report says; RC_TEMP when it could not be read, RC_PERM when an anchor
 * file is none. */
enum rc ledger_verify(const char *dir, const char *const *anchors, size_t n,
	struct ledger_report *report, struct err *err);

/* The last checkpoint of DIR as an anchor: one line, without line end. RC_NONE when there is none.
 * Does not verify the ledger. */
enum rc ledger_anchor(const char *dir, struct buf *out, struct err *err);
/* Every checkpoint of DIR as an anchor, a line each with its LF. RC_NONE when there is none. */
enum rc ledger_all_anchors(const char *dir, struct buf *out, struct err *err);

#endif
