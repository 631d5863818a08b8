/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_stub.h - what a dropped segment leaves behind, and what it still proves
 *
 * A stub is JSON Lines. The first line tells what was dropped:
 *   {"v":1,"format":"sealgate-stub:1","node":"node1","segment":1,"first":1,"last":4711,
 *    "from":"<time of the first record>","to":"<of the last>","hash":"<of the last line>",
 *    "bytes":N,"sha256":"<of the segment's file>","before":"<SHA-256 of the stub before, or
 * zeros>"} The others are lines of the segment as they stood there: the open record, each epoch
 * record with its checkpoint, the last checkpoint. So the epoch keys still hand over to each other
 * from the first on, and the old key's signature still covers the last line.
 *
 * What no signature in it covers (bytes, sha256, times) the record "audit.retire" does, which names
 * the SHA-256 of the stub; and the stub names that of the one before it.
 *
 * Limits:  LEDGER_MAX_STUB bytes.
 */
#ifndef KEYSTORE_LEDGER_STUB_H
#define KEYSTORE_LEDGER_STUB_H

#include "keystore/ledger_chain.h"

#define LEDGER_STUB_FORMAT "sealgate-stub:1"
#define LEDGER_MAX_STUB    (16u << 20)

struct ledger_stub {
	uint64_t segment, first, last;
	int64_t bytes; /* of the segment's file */
	char node[LEDGER_MAX_NODE + 1];
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
	char hash[LEDGER_HASH_SIZE];   /* of the last line */
	char sha256[LEDGER_HASH_SIZE]; /* of the segment's file */
	char before[LEDGER_HASH_SIZE]; /* of the stub before this one */
	char self[LEDGER_HASH_SIZE];   /* of this stub's own bytes */
};

/*
 * Verifies SEGMENT of DIR, which must be closed by a checkpoint, and makes its stub. BEFORE: hash
 * of the stub before it. CHAIN is the one at the end of the segment before, or new (then the
 * segment's first line is taken on trust); it goes on to the end of this one. ERR_LEDGER_BROKEN: it
 * does not verify, and must not be dropped.
 */
enum rc ledger_stub_make(const char *dir, uint64_t segment, const char *before,
	struct ledger_chain *chain, struct buf *out, struct ledger_stub *stub, struct err *err);

/* Reads the first line; SELF is set too. ERR_LEDGER_BROKEN: this is no stub of SEGMENT. */
enum rc ledger_stub_parse(
	const char *text, size_t len, uint64_t segment, struct ledger_stub *stub, struct err *err);

/*
 * Follows the lines with CHAIN, which stands before the segment. BEFORE_LINE is called ahead of
 * each line, with the chain that was in force up to it, and with the line's number; may be NULL.
 */
typedef enum rc ledger_stub_each(void *ctx, const struct ledger_chain *chain,
	const struct ledger_line *line, struct err *err);
enum rc ledger_stub_follow(const char *text, size_t len, const struct ledger_stub *stub,
	struct ledger_chain *chain, ledger_stub_each *before_line, void *ctx, struct err *err);

/* What a record "audit.retire" says, in its detail. */
struct ledger_retired {
	uint64_t record;            /* its number … */
	char time[CLOCK_TEXT_SIZE]; /* … and time */
	uint64_t segment;
	char stub[LEDGER_HASH_SIZE]; /* SHA-256 of the stub */
};
#define LEDGER_RETIRE_EVENT "audit.retire"
/* The detail for STUB's record. */
enum rc ledger_retire_detail(const struct ledger_stub *stub, struct buf *out, struct err *err);
/* Does LINE, which fits into the chain, say that a segment is dropped? */
bool ledger_retire_parse(
	const char *line, size_t len, const struct ledger_line *prefix, struct ledger_retired *out);

#endif
