/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_table.h - tables that say which file is whose, and its PIN
 *
 * A row has an address, a file and a PIN, separated by tabs, in this order or in the columns that
 * are asked for. With two fields a row has no address (with the PIN) or no PIN (without). Empty
 * lines, lines that begin with # and a line of titles at the top are left out. The table has PINs
 * in it, so others must not be able to read its file.
 */
#ifndef CLI_IMPORT_TABLE_H
#define CLI_IMPORT_TABLE_H

#include "base/secret.h"

#include <stdbool.h>

struct import_row {
	size_t line;
	char *address, *file, *pin; /* inside the table's text; NULL: none */
};

struct import_table {
	struct secret *text;
	struct import_row *rows;
	size_t n;
};

/* COLUMNS: "15,12,18" for address, file, PIN, 0 for none; NULL: as above. PINS: rows of two fields
 * end with a PIN. ERR_USAGE names file and line. */
enum rc import_table_read(const char *path, const char *columns, bool pins,
	struct import_table *out, struct err *err);
/* The same of *TEXT, UTF-8, which is the table's afterwards, whatever comes out; PATH for messages.
 */
enum rc import_table_parse(struct secret **text, const char *path, const char *columns, bool pins,
	struct import_table *out, struct err *err);
void import_table_fini(struct import_table *table);

#endif
