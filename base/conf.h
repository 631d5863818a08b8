/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.h - the configuration: a libconfig file checked against one table of options
 *
 * base/options.def has one row for each option: section, name, type, default, minimum, maximum,
 * help. A key that has no row, a value of another type or out of bounds, a missing required
 * value is refused with file and line. Sections are groups ("vault = { … };") or lists of
 * groups ("rules = ( { … }, { … } );"). What rows cannot say (rules that contradict each
 * other) is checked by the room that compiles the section, with conf_err for file and line.
 *
 * Memory:  a struct conf is immutable and reference-counted; a session pins the one it began with.
 * Limits:  file of 8 MB, 20000 items in a list, 4096 strings in one option, 64 KB in a string.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/buf.h"
#include "base/json.h"

#include <stdint.h>

struct conf;
struct conf_group; /* one section, or one item of a list; lives as long as its conf */

enum conf_type {
	CONF_STRING,
	CONF_PATH, /* relative to the folder of the configuration file; given back absolute */
	CONF_INT,
	CONF_BOOL,
	CONF_SIZE,     /* bytes: number or "10M" (K, M, G) */
	CONF_DURATION, /* seconds: number or "90s", "5m", "2h", "30d" */
	CONF_MS,       /* milliseconds: number or "250ms", "2s" */
	CONF_ENUM,     /* one of the words in help's brackets: "[observe|enforce] …" */
	CONF_STRINGS   /* one string or a list of strings */
};

struct conf_option {
	const char *section; /* "vault"; "rules" */
	bool list;           /* the section is a list of groups */
	const char *name;
	enum conf_type type;
	const char *initial; /* default as text; NULL: unset; CONF_REQUIRED: must be given */
	int64_t min, max; /* numbers: bounds; strings: lengths; strings: counts. 0,0: type's own */
	const char *help;
};
extern const char CONF_REQUIRED[];

/* The table, for `check`, the manual's test and completeness tests. */
const struct conf_option *conf_options(size_t *count);

enum rc conf_load(const char *path, struct conf **out, struct err *err);
/* The same from text; NAME stands for the file in messages, DIR for relative paths. */
enum rc
conf_parse(const char *text, const char *name, const char *dir, struct conf **out, struct err *err);
struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf **conf);
const char *conf_path(const struct conf *conf);
const char *conf_dir(const struct conf *conf); /* absolute: what relative paths stand against */
/* PATH against conf_dir as a new string ("unix:PATH" values and such), or NULL for no memory. */
char *conf_absolute(const struct conf *conf, const char *path);

/* A single section; there for every section of the table, with defaults when the file has none. */
const struct conf_group *conf_section(const struct conf *conf, const char *section);
size_t conf_count(const struct conf *conf, const char *section);
const struct conf_group *conf_item(const struct conf *conf, const char *section, size_t i);

/* NAME must be in the table with that type (asserted). Unset strings are NULL, numbers 0. */
const char *conf_str(const struct conf_group *group, const char *name); /* STRING, PATH, ENUM */
int64_t conf_int(const struct conf_group *group, const char *name);     /* INT SIZE DURATION MS */
bool conf_bool(const struct conf_group *group, const char *name);
size_t conf_strings(const struct conf_group *group, const char *name, const char *const **values);
bool conf_is_set(const struct conf_group *group, const char *name); /* given in the file */
/* Has its section such an option at all? For what sections share. */
bool conf_has(const struct conf_group *group, const char *name);
int conf_line(const struct conf_group *group);

/* ERR_CONFIG with "file:line: section.name: text". NAME may be NULL. */
enum rc conf_err(struct err *err, const struct conf *conf, const struct conf_group *group,
	const char *name, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The configuration in effect as a file that conf_parse takes; secrets are never in options. */
enum rc conf_format(const struct conf *conf, struct buf *out, struct err *err);
/* The same as members of an open object: sections, lists of sections, options in effect. */
void conf_json(const struct conf *conf, struct json *json);

#endif
