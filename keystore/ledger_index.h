/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_index.h - where in a segment the records with a certain term stand
 *
 * One file for each segment, 000001.index, in a folder of its own: DIR/index, or one of the
 * caller's, who may be an auditor with a copy that cannot be written to. It proves nothing and is
 * believed nothing: whoever uses it reads each hit from the segment. A file that is damaged, of
 * another version, or does not fit its segment counts as none; deleting it costs time only.
 *
 * The file: 16 bytes "sealgate-index:1"; ten numbers of 8 bytes, little endian (segment, bytes of
 * the segment that are covered, offset of the last line in them, first and last seq, terms,
 * postings' bytes, three 0); 64 bytes hash of that last line; 27 + 27 bytes earliest and latest
 * time, 10 zeros; the terms, sorted, each 8 bytes hash, 4 bytes number of lines, 4 bytes 0, 8
 * bytes place in the postings; the postings: offsets of lines as differences, 7 bits a byte; 32
 * bytes SHA-256 over all before it. Terms are hashed to 8 bytes: two may share a place, which costs
 * a look at a line.
 *
 * Limits: INDEX_MAX_ENTRIES terms of lines in a segment; what is behind them is not covered.
 */
#ifndef KEYSTORE_LEDGER_INDEX_H
#define KEYSTORE_LEDGER_INDEX_H

#include "keystore/ledger_read.h"

#define INDEX_MAX_ENTRIES (24u << 20)
#define INDEX_MAX_FILE    (512u << 20)
#define INDEX_TIME        28 /* "2026-11-21T22:14:03.123456Z" */

struct ledger_index {
	uint64_t segment;
	int64_t covered, last_line; /* bytes of the segment; offset of the last line in them */
	uint64_t first, last;       /* numbers of the first and last record covered */
	char hash[LEDGER_HASH_SIZE];
	char from[INDEX_TIME], to[INDEX_TIME]; /* earliest and latest time */
	size_t n_terms, postings_len;
	struct buf file; /* the whole of it */
};

/*
 * The folder FOLDER (NULL: DIR/index) as a descriptor, made when MAKE is set. RC_NONE: it is not
 * there, or cannot be used by us: as root nobody else's folder is written to but the ledger's
 * owner's.
 */
enum rc
ledger_index_folder(const char *dir, const char *folder, bool make, int *fd, struct err *err);

/* The index of SEGMENT, if it is whole and fits the segment in DIR; else RC_NONE. */
enum rc ledger_index_load(
	int folder, const char *dir, uint64_t segment, struct ledger_index *out, struct err *err);
/* Makes it from the segment. RC_NONE: the segment has no whole line. ERR_LEDGER_BROKEN. */
enum rc
ledger_index_build(const char *dir, uint64_t segment, struct ledger_index *out, struct err *err);
enum rc ledger_index_save(int folder, const struct ledger_index *index, struct err *err);
void ledger_index_fini(struct ledger_index *index);
/* Removes the files of segments before FIRST, which are dropped. */
void ledger_index_drop(int folder, uint64_t first);

/* Places in a segment, ascending. */
struct ledger_places {
	int64_t *v;
	size_t n, room;
};
/* Adds those of lines with TERM behind the others. */
enum rc ledger_index_find(const struct ledger_index *index, char kind, const char *text,
	struct ledger_places *places, struct err *err);

#endif
