/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of options and its division into sections. */
#include "base/conf_table.h"

#include <pthread.h>
#include <string.h>

#define MAX_SECTIONS 64

const char CONF_REQUIRED[] = "(required)";

static const struct conf_option options[] = {
#define OPTION(section, list, name, type, initial, min, max, help) \
	{section, list, name, CONF_##type, initial, min, max, help},
#include "base/options.def"
#undef OPTION
};

#define N_OPTIONS (sizeof options / sizeof *options)

static struct conf_section_def sections[MAX_SECTIONS];
static size_t n_sections;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Rows of one section stand together in the table. */
static void
find_sections(void)
{
	for (size_t i = 0; i < N_OPTIONS && n_sections < MAX_SECTIONS; i++) {
		struct conf_section_def *def = n_sections ? &sections[n_sections - 1] : NULL;

		if (!def || strcmp(def->name, options[i].section) != 0) {
			def = &sections[n_sections++];
			*def = (struct conf_section_def){options[i].section, options[i].list, i, 0};
		}
		def->n++;
	}
}

const struct conf_option *
conf_options(size_t *count)
{
	*count = N_OPTIONS;
	return options;
}

const struct conf_section_def *
conf_sections(size_t *count)
{
	pthread_once(&once, find_sections);
	*count = n_sections;
	return sections;
}

int
conf_section_index(const char *name)
{
	size_t n;
	const struct conf_section_def *defs = conf_sections(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(defs[i].name, name) == 0)
			return (int)i;
	return -1;
}
