/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_find.h - questions about the ledger's files, answered without reading all of it
 */
#ifndef KEYSTORE_LEDGER_FIND_H
#define KEYSTORE_LEDGER_FIND_H

#include "keystore/ledger_read.h"

/* What the ledger tells about a request since it was made. */
struct ledger_since {
	uint64_t runs;    /* records "officer.run" of this request */
	uint64_t changes; /* records "officer.change" and "officer.init" */
	int64_t newest;   /* the latest time of all records, seconds */
};
/*
 * Reads the ledger in DIR from record SEQ, which has this HASH, to its end. RC_NONE: it has no such
 * record, or not any more. ERR_LEDGER_BROKEN: what follows is no chain. A last line that is being
 * written is left out.
 */
enum rc ledger_read_since(const char *dir, uint64_t seq, const char *hash, const char *request,
	struct ledger_since *out, struct err *err);
/*
 * The newest change of officers that the ledger in DIR says was carried out: *seq is the number of
 * its record "officer.init" or "officer.change", which a record "officer.done" follows; 0: none is
 * told of. Reads the last two epochs only: a key store older than that has not the private key that
 * the ledger goes on with.
 */
enum rc ledger_officers_changed(const char *dir, uint64_t *seq, struct err *err);
/* When the newest whole record of the ledger in DIR was written, in seconds; 0 when there is none.
 * Reads the end of the last segment. */
enum rc ledger_newest(const char *dir, int64_t *seconds, struct err *err);

#endif
