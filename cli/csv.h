/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csv.h - tables for spreadsheets (RFC 4180, UTF-8, CR LF)
 *
 * A cell that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line end)
 * gets a ' in front.
 */
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include "base/buf.h"

/* Adds one cell, NULL like "". FIRST: of its line. */
enum rc csv_cell(struct buf *out, const char *text, bool first, struct err *err);
enum rc csv_end(struct buf *out, struct err *err);

#endif
