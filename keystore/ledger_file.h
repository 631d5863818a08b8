/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_file.h - the last segment on the disk: written durably or not at all
 *
 * A write or sync that fails leaves nobody knows what behind the durable end. The file is then
 * damaged: the next write first cuts it back to that end, and fails as long as this does not work.
 *
 * Room on the disk is reserved ahead, behind the end of the file, which makes each sync cheaper.
 * The file is never longer than what was written, and what was reserved is given back with it.
 *
 * Threads: one at a time.
 */
#ifndef KEYSTORE_LEDGER_FILE_H
#define KEYSTORE_LEDGER_FILE_H

#include "keystore/ledger_chain.h"
#include "keystore/ledger_disk.h"

struct ledger_file {
	char *dir;
	struct ledger_disk disk;
	int lock_fd; /* of DIR/.lock, with an exclusive flock */
	int fd;      /* of the last segment, or -1 */
	uint64_t segment;
	int64_t size;     /* bytes that are durable */
	int64_t reserved; /* up to here the disk has room for it: no write has to look for any */
	bool damaged;     /* something may stand behind them */
};

/* What was cut off at open. */
struct ledger_torn {
	bool found;
	uint64_t segment;
	int64_t offset, bytes;
	char hash[LEDGER_HASH_SIZE];
};

/* Locks DIR (made when CREATE). No segment is open yet. */
enum rc ledger_file_open(struct ledger_file *file, const char *dir, const struct ledger_disk *disk,
	bool create, struct err *err);
void ledger_file_close(struct ledger_file *file);
/*
 * Follows the last segment into CHAIN, puts a torn end aside and cuts it off, and opens the segment
 * for writing. RC_NONE: there is no ledger here (a torn beginning of the very first segment is put
 * aside too).
 */
enum rc ledger_file_recover(struct ledger_file *file, struct ledger_chain *chain,
	struct ledger_torn *torn, struct err *err);
/* Appends to the open segment; durable when it returns RC_OK. ERR_LEDGER otherwise. */
enum rc ledger_file_write(struct ledger_file *file, const void *data, size_t len, struct err *err);
/* Makes SEGMENT with DATA in it, durably, and goes on with it. On failure the present one stays. */
enum rc ledger_file_begin(
	struct ledger_file *file, uint64_t segment, const void *data, size_t len, struct err *err);

#endif
