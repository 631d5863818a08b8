/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/tsv.h"

#include "base/file.h"
#include "message/charset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char BOM[] = "\xef\xbb\xbf";

/* The file as UTF-8: what is valid UTF-8 is that, else CP932. */
static enum rc
decode(const char *data, size_t len, struct buf *out, struct err *err)
{
	if (len >= 3 && memcmp(data, BOM, 3) == 0)
		return charset_decode("utf-8", 5, data + 3, len - 3, out, err);
	if (utf8_is_valid(data, len))
		return buf_append(out, data, len, err);
	return charset_decode("cp932", 5, data, len, out, err);
}

/* U+0080 to U+009F, which terminals obey, and U+FEFF, which begins files and is not seen. */
static const char *
find_unseen(const char *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		if (((unsigned char)p[i] == 0xc2 && (unsigned char)p[i + 1] >= 0x80 &&
			    (unsigned char)p[i + 1] < 0xa0) ||
			(len - i >= 3 && memcmp(p + i, BOM, 3) == 0))
			return p + i;
	return NULL;
}

/* What no field may hold: control characters, and characters that could not be read. */
static enum rc
check_field(
	const char *name, size_t line, size_t column, const char *p, size_t len, struct err *err)
{
	static const char replacement[] = "\xef\xbf\xbd";

	if (len > TSV_MAX_FIELD)
		return err_set(err, ERR_LIMIT, "%s: row %zu, column %zu: a field of %zu bytes",
			name, line, column, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c < 0x20 || c == 0x7f)
			return err_set(err, ERR_USAGE,
				"%s: row %zu, column %zu: a control character (%02x)%s", name, line,
				column, c, c == '\r' ? ", a CR without LF" : "");
		if (c == 0xef && len - i >= 3 && memcmp(p + i, replacement, 3) == 0)
			return err_set(err, ERR_USAGE,
				"%s: row %zu, column %zu: neither UTF-8 nor CP932", name, line,
				column);
	}
	if (find_unseen(p, len))
		return err_set(err, ERR_USAGE, "%s: row %zu, column %zu: %s", name, line, column,
			*find_unseen(p, len) == '\xc2' ? "a control character"
						       : "a byte order mark within the file");
	if (len > 1 && p[0] == '"' && p[len - 1] == '"')
		return err_set(err, ERR_USAGE,
			"%s: row %zu, column %zu: the field is in quotes, which the format does not "
			"have",
			name, line, column);
	return RC_OK;
}

/* Rows and fields of the text, which gets NULs in place of tabs and line ends. */
struct splitting {
	struct tsv *tsv;
	const char *name;
	size_t line, n_fields, fields_room, rows_room;
};

static enum rc
add_field(struct splitting *s, char *field, struct err *err)
{
	if (s->n_fields == s->fields_room) {
		size_t room = s->fields_room * 2 + 256;
		char **more = realloc(s->tsv->fields, room * sizeof(*more));

		if (!more)
			return err_set(err, ERR_MEMORY, "%s", s->name);
		s->tsv->fields = more;
		s->fields_room = room;
	}
	s->tsv->fields[s->n_fields++] = field;
	return RC_OK;
}

static enum rc
add_row(struct splitting *s, size_t columns, struct err *err)
{
	struct tsv *tsv = s->tsv;

	if (tsv->n == TSV_MAX_ROWS)
		return err_set(err, ERR_LIMIT, "%s: more than %d rows", s->name, TSV_MAX_ROWS);
	if (tsv->n == s->rows_room) {
		size_t room = s->rows_room * 2 + 64;
		struct tsv_row *more = realloc(tsv->rows, room * sizeof(*more));

		if (!more)
			return err_set(err, ERR_MEMORY, "%s", s->name);
		tsv->rows = more;
		s->rows_room = room;
	}
	/* Fields move while they grow in number: they are told by count until the end. */
	tsv->rows[tsv->n++] = (struct tsv_row){.line = s->line, .n = columns};
	return RC_OK;
}

/* One line of LEN bytes without its end; its last byte may be written over with a NUL. */
static enum rc
split_line(struct splitting *s, char *p, size_t len, struct err *err)
{
	size_t columns = 0;
	enum rc rc = RC_OK;

	p[len] = 0;
	while (rc == RC_OK) {
		char *tab = memchr(p, '\t', len);
		size_t n = tab ? (size_t)(tab - p) : len;

		if (++columns > TSV_MAX_COLUMNS)
			return err_set(err, ERR_LIMIT, "%s: row %zu: more than %d columns", s->name,
				s->line, TSV_MAX_COLUMNS);
		rc = check_field(s->name, s->line, columns, p, n, err);
		if (rc == RC_OK)
			rc = add_field(s, p, err);
		if (!tab)
			break;
		*tab = 0;
		p += n + 1;
		len -= n + 1;
	}
	return rc == RC_OK ? add_row(s, columns, err) : rc;
}

static bool
is_blank(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\t' && p[i] != ' ')
			return false;
	return true;
}

static enum rc
split(struct splitting *s, size_t len, struct err *err)
{
	char *p = s->tsv->text, *end = p + len;
	char **fields;
	enum rc rc = RC_OK;

	while (rc == RC_OK && p < end) {
		char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;
		size_t n = (size_t)(stop - p);

		s->line++;
		if (lf && n > 0 && p[n - 1] == '\r')
			n--;
		if (!is_blank(p, n))
			rc = split_line(s, p, n, err);
		p = stop + 1;
	}
	fields = s->tsv->fields;
	for (size_t i = 0; i < s->tsv->n; i++) {
		s->tsv->rows[i].v = fields;
		fields += s->tsv->rows[i].n;
	}
	return rc;
}

enum rc
tsv_parse(const void *data, size_t len, const char *name, struct tsv *out, struct err *err)
{
	struct buf text = BUF_INIT(3 * (size_t)TSV_MAX_BYTES);
	struct splitting s = {.tsv = out, .name = name};
	enum rc rc;

	*out = (struct tsv){.n = 0};
	if (len > TSV_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "%s: more than %u bytes", name, TSV_MAX_BYTES);
	rc = decode(data, len, &text, err);
	if (rc == RC_OK && text.len > 0) {
		size_t n = text.len;

		out->text = text.data; /* the table's now, with its NUL behind the end */
		buf_init(&text, 0);
		rc = split(&s, n, err);
	}
	buf_fini(&text);
	if (rc != RC_OK)
		tsv_fini(out);
	return rc;
}

enum rc
tsv_read(const char *path, struct tsv *out, struct err *err)
{
	struct buf file = BUF_INIT(TSV_MAX_BYTES);
	enum rc rc = file_read(path, &file, err);

	*out = (struct tsv){.n = 0};
	if (rc == RC_NONE)
		rc = err_set(err, ERR_FILE, "%s is not there", path);
	if (rc == RC_OK)
		rc = tsv_parse(buf_text(&file), file.len, path, out, err);
	buf_fini(&file);
	return rc;
}

void
tsv_fini(struct tsv *tsv)
{
	free(tsv->text);
	free(tsv->fields);
	free(tsv->rows);
	*tsv = (struct tsv){.n = 0};
}

const char *
tsv_field(const struct tsv_row *row, size_t column)
{
	return column >= 1 && column <= row->n ? row->v[column - 1] : "";
}

/* "U+20BB7 (𠮷)" */
static void
name_character(const char *p, size_t len, char out[32])
{
	size_t n = utf8_length(p, len);
	unsigned long c = (unsigned char)p[0];

	if (n > 1) {
		c &= 0x7fu >> n;
		for (size_t i = 1; i < n; i++)
			c = c << 6 | ((unsigned char)p[i] & 0x3f);
	}
	snprintf(out, 32, "U+%04lX (%.*s)", c, (int)n, p);
}

static enum rc
append_field(const struct tsv_style *style, const char *field, size_t row, size_t column,
	struct buf *out, struct err *err)
{
	size_t len = strlen(field), bad = 0;
	char character[32];
	enum rc rc;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)field[i] < 0x20 || field[i] == 0x7f)
			return err_set(err, ERR_USAGE, "row %zu, column %zu: %s in a field", row,
				column,
				field[i] == '\t'                       ? "a tab"
				: field[i] == '\n' || field[i] == '\r' ? "a line end"
								       : "a control character");
	if (!utf8_is_valid(field, len))
		return err_set(err, ERR_USAGE, "row %zu, column %zu: no UTF-8", row, column);
	if (find_unseen(field, len))
		return err_set(err, ERR_USAGE, "row %zu, column %zu: a character that is not seen",
			row, column);
	if (len > 1 && field[0] == '"' && field[len - 1] == '"')
		return err_set(
			err, ERR_USAGE, "row %zu, column %zu: a field in quotes", row, column);
	if (!style->cp932)
		return buf_append(out, field, len, err);
	rc = charset_encode_cp932(field, len, out, &bad, err);
	if (rc != RC_NONE)
		return rc;
	name_character(field + bad, len - bad, character);
	return err_set(err, ERR_USAGE, "row %zu, column %zu: %s cannot be written in CP932", row,
		column, character);
}

enum rc
tsv_append_row(const struct tsv_style *style, char *const *fields, size_t n, size_t row,
	struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (i)
			rc = buf_append_char(out, '\t', err);
		if (rc == RC_OK)
			rc = append_field(style, fields[i], row, i + 1, out, err);
	}
	return rc == RC_OK ? buf_append_str(out, style->crlf ? "\r\n" : "\n", err) : rc;
}
