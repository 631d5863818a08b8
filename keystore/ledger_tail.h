/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_tail.h - where segments begin and end, and which one is the last
 *
 * Reads the first and the last lines of files only.
 */
#ifndef KEYSTORE_LEDGER_TAIL_H
#define KEYSTORE_LEDGER_TAIL_H

#include "keystore/ledger_read.h"

struct ledger_ends {
	int64_t bytes;  /* of the file */
	bool has_first; /* a whole first line that is a record; then … */
	uint64_t first;
	char prev[LEDGER_HASH_SIZE];
	char from[CLOCK_TEXT_SIZE];
	int64_t first_len; /* of its line */
	bool has_last;     /* the last line that has its end is a record; then … */
	uint64_t last;
	char hash[LEDGER_HASH_SIZE]; /* of that line */
	char to[CLOCK_TEXT_SIZE];
};
/* RC_NONE: the segment's lines are not there. */
enum rc
ledger_ends_read(const char *dir, uint64_t segment, struct ledger_ends *out, struct err *err);

/*
 * The segment in which the ledger ends. That is the one with the highest number, unless it holds
 * nothing but the beginning of a first line, or a first line that does not continue the segment
 * before: such a file is left when the disk failed, or the power went, while the segment was made.
 * *left: that it is so.
 */
enum rc ledger_find_last(const char *dir, const struct ledger_files *files, uint64_t *last,
	bool *left, struct err *err);

#endif
