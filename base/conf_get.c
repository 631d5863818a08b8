/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_get.c - asking a configuration that was loaded, and its life
 */
#include "base/conf.h"

#include "base/conf_table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf *
conf_ref(struct conf *conf)
{
	atomic_fetch_add(&conf->refs, 1);
	return conf;
}

/* Frees what one group owns. */
static void
group_fini(struct conf_group *group)
{
	for (size_t i = 0; group->values && i < group->def->n; i++) {
		struct conf_value *value = &group->values[i];

		free(value->text);
		for (size_t j = 0; j < value->n_strings; j++)
			free(value->strings[j]);
		free(value->strings);
	}
	free(group->values);
}

void
conf_unref(struct conf **conf)
{
	struct conf *c = *conf;
	size_t n;

	*conf = NULL;
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	conf_sections(&n);
	for (size_t i = 0; c->groups && c->counts && i < n; i++) {
		for (size_t j = 0; c->groups[i] && j < c->counts[i]; j++)
			group_fini(&c->groups[i][j]);
		free(c->groups[i]);
	}
	free(c->groups);
	free(c->counts);
	free(c->path);
	free(c->dir);
	free(c);
}

const char *
conf_path(const struct conf *conf)
{
	return conf->path;
}

const char *
conf_dir(const struct conf *conf)
{
	return conf->dir;
}

const struct conf_group *
conf_section(const struct conf *conf, const char *section)
{
	int i = conf_section_index(section);

	assert(i >= 0 && conf->counts[i] == 1);
	return &conf->groups[i][0];
}

size_t
conf_count(const struct conf *conf, const char *section)
{
	int i = conf_section_index(section);

	assert(i >= 0);
	return conf->counts[i];
}

const struct conf_group *
conf_item(const struct conf *conf, const char *section, size_t i)
{
	int s = conf_section_index(section);

	assert(s >= 0 && i < conf->counts[s]);
	return &conf->groups[s][i];
}

/* The value of option NAME, whose row is put into *ROW; NULL: the section has none. */
static const struct conf_value *
find_value(const struct conf_group *group, const char *name, const struct conf_option **row)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n) + group->def->first;

	for (size_t i = 0; i < group->def->n; i++)
		if (strcmp(rows[i].name, name) == 0) {
			*row = &rows[i];
			return &group->values[i];
		}
	return NULL;
}

static const struct conf_value *
value_of(const struct conf_group *group, const char *name, const struct conf_option **row)
{
	const struct conf_value *value = find_value(group, name, row);

	if (value)
		return value;
	assert(!"an option that is not in the table");
	abort();
}

const char *
conf_str(const struct conf_group *group, const char *name)
{
	const struct conf_option *row;
	const struct conf_value *value = value_of(group, name, &row);

	assert(row->type == CONF_STRING || row->type == CONF_PATH || row->type == CONF_ENUM);
	return value->text;
}

int64_t
conf_int(const struct conf_group *group, const char *name)
{
	const struct conf_option *row;
	const struct conf_value *value = value_of(group, name, &row);

	assert(row->type == CONF_INT || row->type == CONF_SIZE || row->type == CONF_DURATION ||
		row->type == CONF_MS);
	return value->number;
}

bool
conf_bool(const struct conf_group *group, const char *name)
{
	const struct conf_option *row;
	const struct conf_value *value = value_of(group, name, &row);

	assert(row->type == CONF_BOOL);
	return value->number != 0;
}

size_t
conf_strings(const struct conf_group *group, const char *name, const char *const **values)
{
	const struct conf_option *row;
	const struct conf_value *value = value_of(group, name, &row);

	assert(row->type == CONF_STRINGS);
	*values = (const char *const *)value->strings;
	return value->n_strings;
}

bool
conf_is_set(const struct conf_group *group, const char *name)
{
	const struct conf_option *row;

	return value_of(group, name, &row)->set;
}

bool
conf_has(const struct conf_group *group, const char *name)
{
	const struct conf_option *row;

	return find_value(group, name, &row) != NULL;
}

int
conf_line(const struct conf_group *group)
{
	return group->line;
}

enum rc
conf_err(struct err *err, const struct conf *conf, const struct conf_group *group, const char *name,
	const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(err, ERR_CONFIG, "%s:%d: %s%s%s: %s", conf->path, group->line,
		group->def->name, name ? "." : "", name ? name : "", text);
}
