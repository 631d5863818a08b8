/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/import_table.h"

#include "cli/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct columns {
	unsigned address, file, pin; /* 1, 2, …; 0: none */
};

/* "15,12,18" */
static bool
parse_columns(const char *text, struct columns *out)
{
	int end = 0;

	return sscanf(text, "%3u,%3u,%3u%n", &out->address, &out->file, &out->pin, &end) == 3 &&
	       text[end] == 0 && text[0] != '-' && out->address <= TEXT_FIELDS_MAX &&
	       out->file >= 1 && out->file <= TEXT_FIELDS_MAX && out->pin <= TEXT_FIELDS_MAX;
}

/* The Ith of N fields; NULL when it is none or empty. */
static char *
field(char **fields, size_t n, unsigned i)
{
	return i >= 1 && i <= n && *fields[i - 1] ? fields[i - 1] : NULL;
}

static enum rc
read_row(
	char *line, const struct columns *asked, bool pins, struct import_row *row, struct err *err)
{
	static const struct columns three = {1, 2, 3}, file_pin = {0, 1, 2}, addr_file = {1, 2, 0};
	char *fields[TEXT_FIELDS_MAX];
	const struct columns *columns = asked;
	size_t n;
	enum rc rc = text_split(line, fields, &n, err);

	if (rc != RC_OK)
		return rc;
	if (!columns && n < 2)
		return err_set(err, ERR_USAGE, "one field only: the fields are separated by tabs");
	if (!columns)
		columns = n >= 3 ? &three : pins ? &file_pin : &addr_file;
	row->address = field(fields, n, columns->address);
	row->file = field(fields, n, columns->file);
	row->pin = field(fields, n, columns->pin);
	return row->file ? RC_OK : err_set(err, ERR_USAGE, "there is no name of a file");
}

/* Titles: what stands in the place of an address is none. */
static bool
is_title(const struct import_row *row)
{
	return row->address && !strchr(row->address, '@');
}

static enum rc
add_row(struct import_table *table, const struct import_row *row, struct err *err)
{
	struct import_row *grown = table->rows;

	if ((table->n & (table->n - 1)) == 0)
		grown = realloc(table->rows, (table->n ? 2 * table->n : 1) * sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_MEMORY, "table");
	table->rows = grown;
	table->rows[table->n++] = *row;
	return RC_OK;
}

enum rc
import_table_parse(struct secret **text, const char *path, const char *columns, bool pins,
	struct import_table *out, struct err *err)
{
	struct columns asked;
	struct text_lines lines;
	char *line;
	enum rc rc = RC_OK;

	*out = (struct import_table){.text = *text};
	*text = NULL; /* the table's from here */
	if (columns && !parse_columns(columns, &asked))
		rc = err_set(err, ERR_USAGE,
			"--columns: the numbers of address, file and PIN, as in 15,12,18");
	text_lines_init(&lines, out->text);
	while (rc == RC_OK && (line = text_lines_next(&lines)) != NULL) {
		struct import_row row = {.line = lines.number};

		if (!*line || *line == '#')
			continue;
		rc = read_row(line, columns ? &asked : NULL, pins, &row, err);
		if (rc != RC_OK)
			err_prefix(err, "%s:%zu", path, lines.number);
		else if (lines.number > 1 || !is_title(&row))
			rc = add_row(out, &row, err);
	}
	if (rc == RC_OK && lines.at < lines.end)
		rc = err_set(err, ERR_LIMIT, "%s: more than %u lines", path, TEXT_LINES_MAX);
	if (rc != RC_OK)
		import_table_fini(out);
	return rc;
}

enum rc
import_table_read(
	const char *path, const char *columns, bool pins, struct import_table *out, struct err *err)
{
	struct secret *text;
	enum rc rc = text_file_read(path, true, &text, err);

	*out = (struct import_table){0};
	return rc == RC_OK ? import_table_parse(&text, path, columns, pins, out, err) : rc;
}

void
import_table_fini(struct import_table *table)
{
	secret_free(&table->text);
	free(table->rows);
	*table = (struct import_table){0};
}
