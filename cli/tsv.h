/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tsv.h - tables of tab-separated text, as Japanese services give and take them
 *
 * Columns are parted by tabs, rows end in CR LF or LF, the last end may be missing; nothing is
 * quoted, and no field holds a tab, a line end or another control character. Read: UTF-8 (with or
 * without a byte order mark), or else CP932. Written: either. Rows without any text are left out.
 * What is wrong is said with row and column, counted from 1 as editors and spreadsheets do.
 *
 * Limits: TSV_MAX_BYTES, TSV_MAX_ROWS, TSV_MAX_COLUMNS, TSV_MAX_FIELD.
 */
#ifndef CLI_TSV_H
#define CLI_TSV_H

#include "base/buf.h"

#define TSV_MAX_BYTES   (64u << 20)
#define TSV_MAX_ROWS    100000
#define TSV_MAX_COLUMNS 100
#define TSV_MAX_FIELD   65536

struct tsv_row {
	size_t line; /* in the file, from 1 */
	size_t n;    /* columns */
	char **v;    /* UTF-8; in the table's memory */
};

struct tsv {
	struct tsv_row *rows;
	size_t n;
	char *text; /* owned, as is what follows */
	char **fields;
};

/* NAME stands for the file in messages. ERR_USAGE, ERR_LIMIT. */
enum rc tsv_parse(const void *data, size_t len, const char *name, struct tsv *out, struct err *err);
/* Reads PATH. ERR_FILE when it is not there. */
enum rc tsv_read(const char *path, struct tsv *out, struct err *err);
void tsv_fini(struct tsv *tsv);
/* Field COLUMN (from 1) of ROW; "" when the row is shorter. */
const char *tsv_field(const struct tsv_row *row, size_t column);

struct tsv_style {
	bool cp932; /* else UTF-8 */
	bool crlf;
};
/* Appends one row. ERR_USAGE: "row 3, column 2: …" with the character that cannot be written. */
enum rc tsv_append_row(const struct tsv_style *style, char *const *fields, size_t n, size_t row,
	struct buf *out, struct err *err);

#endif
