/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hdrs.h - the header block of a message or body part, byte for byte
 *
 * A value is everything after the colon, with its leading blanks, and with "\n" for each
 * inner line end (as libmilter hands it over and takes it). hdrs_write gives back
 * "Name:value" with CRLF line ends, so that a block with CRLF line ends comes back byte for byte.
 *
 * Limits: HDRS_MAX fields, HDRS_MAX_BYTES in all.
 */
#ifndef MESSAGE_HDRS_H
#define MESSAGE_HDRS_H

#include "base/buf.h"
#include "base/sink.h"

#define HDRS_MAX       5000
#define HDRS_MAX_BYTES (4u << 20)

struct hdr {
	char *name; /* without colon and blanks before it */
	size_t name_len;
	char *gap; /* blanks between name and colon (RFC 5322 section 4.5), mostly none */
	size_t gap_len;
	char *value; /* as above; NUL-terminated, may contain NUL */
	size_t value_len;
};

struct hdrs {
	struct hdr *v;
	size_t n;
	size_t bytes; /* as hdrs_write writes them */
};

void hdrs_init(struct hdrs *hdrs);
void hdrs_fini(struct hdrs *hdrs);
enum rc hdrs_add(struct hdrs *hdrs, const char *name, size_t name_len, const char *value,
	size_t value_len, struct err *err);
/* Every field of FROM, byte for byte. OUT is to be freed after a failure too. */
enum rc hdrs_copy(const struct hdrs *from, struct hdrs *out, struct err *err);
enum rc
hdrs_insert(struct hdrs *hdrs, size_t at, const char *name, const char *value, struct err *err);
void hdrs_remove(struct hdrs *hdrs, size_t at);
/* The Nth (from 0) field called NAME, any case; NULL when there is none. */
const struct hdr *hdrs_find(const struct hdrs *hdrs, const char *name, size_t nth);
size_t hdrs_count(const struct hdrs *hdrs, const char *name);
/* Parses a block of CRLF or LF lines; *used is its length with the empty line that ends it. A line
 * that is no field ends the block as MTAs do (it is the body's). OUT is initialised here. */
enum rc hdrs_parse(const char *data, size_t len, struct hdrs *out, size_t *used, struct err *err);
/* Writes the fields, without the empty line behind them; does not finish the sink. */
enum rc hdrs_write(const struct hdrs *hdrs, const struct sink *sink, struct err *err);
enum rc hdr_write(const struct hdr *hdr, const struct sink *sink, struct err *err);
/* Length of the field name at the beginning of a line, with that of the blanks behind it; 0: the
 * line is no field. */
size_t hdrs_field_name(const char *line, size_t len, size_t *gap);
/* Value without folding and surrounding blanks. */
enum rc hdr_unfold(const struct hdr *hdr, struct buf *out, struct err *err);
/* Value decoded by RFC 2047 (adjacent words joined before conversion; ISO-2022-JP as CP50221,
 * Shift_JIS as CP932) and raw ISO-2022-JP, as UTF-8; what can't be decoded stands as U+FFFD. */
enum rc hdr_decode(const struct hdr *hdr, struct buf *out, struct err *err);

#endif
