/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_read.h - the lines of a ledger in order, as they stand in its segments
 *
 * Judges nothing but the names and numbers of the files; ledger_chain.h tells whether the lines
 * fit. A ledger may be read while it is written: the last line is then perhaps not whole.
 *
 * Limits:  LEDGER_MAX_LINE bytes in a line, LEDGER_MAX_SEGMENTS files. Memory does not grow with
 * the ledger.
 */
#ifndef KEYSTORE_LEDGER_READ_H
#define KEYSTORE_LEDGER_READ_H

#include "keystore/ledger_format.h"

#define LEDGER_MAX_SEGMENTS 100000u
#define LEDGER_MAX_FILES    (2 * LEDGER_MAX_SEGMENTS) /* in the folder, of all kinds */
#define LEDGER_SEGMENT_NAME 24
/* What one crash can leave behind at the end: two batches of the writer at most. */
#define LEDGER_MAX_TORN (4u << 20)

struct ledger_reader;

/* "000001.jsonl" */
const char *ledger_segment_name(uint64_t segment, char out[LEDGER_SEGMENT_NAME]);
/* "000001.stub": what a segment leaves behind that was dropped (ledger_stub.h) */
const char *ledger_stub_name(uint64_t segment, char out[LEDGER_SEGMENT_NAME]);

/* What is there of each segment. */
enum { LEDGER_LINES = 1, LEDGER_STUB = 2 };
struct ledger_files {
	uint64_t first, last; /* without a gap; 0: none */
	unsigned char *kind;  /* of each of them; owned */
};
/* A gap is ERR_LEDGER_BROKEN. */
enum rc ledger_files_list(const char *dir, struct ledger_files *files, struct err *err);
void ledger_files_free(struct ledger_files *files);
unsigned ledger_files_kind(const struct ledger_files *files, uint64_t segment); /* bits */
/* Its lines, opened for reading; RC_NONE when they are not there. */
enum rc ledger_segment_open(const char *dir, uint64_t segment, int *fd, struct err *err);
/* The bytes of SEGMENT's stub; RC_NONE when there is none. */
enum rc ledger_stub_read(const char *dir, uint64_t segment, struct buf *out, struct err *err);

/* Numbers of the first and last segment whose lines are in DIR; both 0 when there is none. A gap
 * that no stub fills is ERR_LEDGER_BROKEN. */
enum rc ledger_segments(const char *dir, uint64_t *first, uint64_t *last, struct err *err);

/* Begins with segment FROM (0: the first whose lines are there), and steps over those that were
 * dropped. A folder without segments gives no line. */
enum rc
ledger_reader_open(const char *dir, uint64_t from, struct ledger_reader **out, struct err *err);
/* Reads SEGMENT alone. RC_NONE: its lines are not there. */
enum rc ledger_reader_open_one(
	const char *dir, uint64_t segment, struct ledger_reader **out, struct err *err);
void ledger_reader_close(struct ledger_reader **reader);
/* The next line, good until the next call. *len counts its LF; a last line without one is given as
 * it is, also when it is longer than a line may be (then its beginning). RC_NONE: the end. */
enum rc
ledger_reader_next(struct ledger_reader *reader, const char **line, size_t *len, struct err *err);
/* The next line is the one that begins at OFFSET of the segment that is being read. Lines count
 * from there on then. */
enum rc ledger_reader_seek(struct ledger_reader *reader, int64_t offset, struct err *err);
/* Where that line is. */
uint64_t ledger_reader_line(const struct ledger_reader *reader);
int64_t ledger_reader_offset(const struct ledger_reader *reader);

/*
 * Could a crash of the writer have left what stands in SEGMENT from OFFSET on? One write cut short
 * is a line without its end; blocks that were never written are zeros, whole blocks of them, and
 * lines of the same write may stand behind them. *bytes and *hash are set when so.
 */
enum rc ledger_is_torn(const char *dir, uint64_t segment, int64_t offset, bool *torn,
	int64_t *bytes, char hash[LEDGER_HASH_SIZE], struct err *err);

#endif
