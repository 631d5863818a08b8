/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_table.h - the inside of struct conf, for conf.c (loading), conf_get.c and conf_format.c only
 */
#ifndef BASE_CONF_TABLE_H
#define BASE_CONF_TABLE_H

#include "base/conf.h"

#include <stdatomic.h>

#define CONF_MAX_ITEMS   20000
#define CONF_MAX_STRINGS 4096
#define CONF_MAX_TEXT    65536
#define CONF_MAX_FILE    (8u << 20)

struct conf_value {
	bool set;       /* given in the file */
	char *text;     /* STRING, PATH, ENUM; NULL when unset */
	int64_t number; /* INT, BOOL, SIZE, DURATION, MS */
	char **strings; /* STRINGS */
	size_t n_strings;
};

struct conf_group {
	const struct conf_section_def *def;
	int line;                  /* where it begins; 0: not in the file */
	struct conf_value *values; /* one for each option of the section */
};

/* The rows of one section, found once. */
struct conf_section_def {
	const char *name;
	bool list;
	size_t first, n; /* rows in the table */
};

struct conf {
	atomic_int refs;
	char *path;                 /* as given */
	char *dir;                  /* absolute; relative paths stand against it */
	struct conf_group **groups; /* for each section */
	size_t *counts;             /* groups of each section; 1 for a single one */
};

const struct conf_section_def *conf_sections(size_t *count);
/* Index of a section by name, or -1. */
int conf_section_index(const char *name);

#endif
