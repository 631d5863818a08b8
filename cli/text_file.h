/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text_file.h - lists that people make elsewhere: passwords, tables separated by tabs
 *
 * UTF-8, with or without byte order mark; UTF-16 with one, as spreadsheets write "Unicode text";
 * otherwise CP932, which is what Japanese systems mean by Shift_JIS. Lines end in LF or CR LF, the
 * last one may lack its end. Fields are not quoted.
 *
 * Limits: TEXT_FILE_MAX bytes, TEXT_LINES_MAX lines, TEXT_FIELDS_MAX fields in a line.
 */
#ifndef CLI_TEXT_FILE_H
#define CLI_TEXT_FILE_H

#include "base/secret.h"

#include <stdbool.h>

#define TEXT_FILE_MAX   (16u << 20)
#define TEXT_LINES_MAX  200000u
#define TEXT_FIELDS_MAX 64u

/* All of PATH ("-": standard input) as UTF-8. SECRET: refused (ERR_USAGE) when others than its
 * owner may read the file. */
enum rc text_file_read(const char *path, bool secret, struct secret **out, struct err *err);
/* The same as it is, unless it says by a byte order mark what it is: passwords mean bytes to many
 * programs. */
enum rc text_file_bytes(const char *path, bool secret, struct secret **out, struct err *err);
/* Bytes as UTF-8. ERR_USAGE names the line that is none of the encodings above. */
enum rc text_decode(const void *data, size_t len, struct secret **out, struct err *err);

/* Lines one after the other. */
struct text_lines {
	char *at, *end;
	size_t number; /* of the line given last; 1, 2, … */
};
void text_lines_init(struct text_lines *lines, struct secret *text);
/* The next line, ended by a NUL where it stands; NULL when there is none. */
char *text_lines_next(struct text_lines *lines);
/* Splits LINE where it stands; ERR_LIMIT. */
enum rc text_split(char *line, char *fields[TEXT_FIELDS_MAX], size_t *n, struct err *err);

#endif
