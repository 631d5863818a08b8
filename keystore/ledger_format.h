/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_format.h - the lines of a ledger, made and taken apart; doc/ledger.md is its description
 *
 * Pure functions. Each line begins with the same five members in the same order, so that a reader
 * finds them without parsing JSON:
 *   {"v":1,"seq":N,"prev":"<64 hex>","time":"<27 characters>","node":"…","type":"…"
 * Fields are never reordered and never reinterpreted: the format is frozen.
 */
#ifndef KEYSTORE_LEDGER_FORMAT_H
#define KEYSTORE_LEDGER_FORMAT_H

#include "base/buf.h"
#include "base/clock.h"
#include "keystore/ledger.h"

#define LEDGER_FORMAT    "sealgate-ledger:1"
#define LEDGER_HASH_SIZE 65 /* SHA-256 in hex and a NUL */
#define LEDGER_MAX_NODE  64
#define LEDGER_ZERO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* A line's fixed beginning; the pointers are into the line. */
struct ledger_line {
	uint64_t seq;
	const char *prev; /* 64 characters */
	const char *time; /* 27 characters */
	const char *node;
	size_t node_len;
	enum ledger_type type;
};

/* LINE with its LF. False when it is no line of a ledger. */
bool ledger_line_parse(const char *line, size_t len, struct ledger_line *out);
/* SHA-256 over the exact bytes, LF included. */
enum rc ledger_hash(const void *data, size_t len, char out[LEDGER_HASH_SIZE], struct err *err);
bool ledger_is_hash(const char *text, size_t len); /* 64 lower-case hex digits */
bool ledger_node_ok(const char *node);
/* Hex digits to bytes; false when it is no hex or does not fit. */
bool ledger_unhex(const char *hex, unsigned char *out, size_t size, size_t *len);

/* What stands before and after the body. BODY is a JSON object whose members follow the fixed ones.
 */
struct ledger_prefix {
	uint64_t seq;
	const char *prev;
	int64_t time_us;
	const char *node;
	enum ledger_type type;
};
enum rc ledger_line_format(struct buf *out, const struct ledger_prefix *prefix, const char *body,
	size_t body_len, struct err *err);

/* Bodies. PSEUDONYMS, locked, may be NULL when the record has no address. */
struct pseudonyms;
enum rc ledger_body_record(struct buf *out, const struct ledger_record *record,
	struct pseudonyms *pseudonyms, struct err *err);
bool ledger_needs_period(const struct ledger_record *record);
enum rc ledger_body_open(struct buf *out, uint64_t segment, uint64_t epoch, const char *keyid,
	const struct buf *spki, struct err *err);
enum rc ledger_body_epoch(struct buf *out, uint64_t epoch, const char *keyid,
	const struct buf *spki, struct err *err);
enum rc ledger_body_checkpoint(struct buf *out, uint64_t epoch, const char *keyid,
	const void *signature, size_t len, struct err *err);
enum rc ledger_body_recovered(struct buf *out, uint64_t segment, int64_t offset, int64_t bytes,
	const char *hash, struct err *err);

/*
 * What a checkpoint signs, and an anchor is: "sealgate-anchor:1 NODE SEQ HASH TIME KEYID" where
 * SEQ and HASH are those of the record before the checkpoint. An anchor has a blank and the
 * signature in hex after it.
 */
struct ledger_anchor {
	char node[LEDGER_MAX_NODE + 1];
	uint64_t seq;
	char hash[LEDGER_HASH_SIZE];
	char time[CLOCK_TEXT_SIZE];
	char keyid[LEDGER_HASH_SIZE];
	unsigned char signature[160];
	size_t signature_len;
};
enum rc ledger_anchor_text(struct buf *out, const struct ledger_anchor *anchor, struct err *err);
enum rc ledger_anchor_format(struct buf *out, const struct ledger_anchor *anchor, struct err *err);
/* RC_PERM, ERR_LEDGER_BROKEN when it is no anchor. LEN without line end. */
enum rc
ledger_anchor_parse(const char *text, size_t len, struct ledger_anchor *out, struct err *err);

#endif
