/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/conf.h"

#include "base/conf_table.h"
#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is under way while a file is taken over. */
struct load {
	struct conf *conf;
	struct err *err;
};

/* A refusal about SETTING. */
static enum rc
refuse(struct load *load, const config_setting_t *setting, const struct conf_option *option,
	const char *why)
{
	return err_set(load->err, ERR_CONFIG, "%s:%d: %s%s%s: %s", load->conf->path,
		setting ? (int)config_setting_source_line(setting) : 0, option->section,
		option->name ? "." : "", option->name ? option->name : "", why);
}

/* Number with a unit out of UNITS ("K" 1024 …); false when TEXT is no such thing. */
static bool
parse_units(const char *text, enum conf_type type, int64_t *out)
{
	static const struct {
		enum conf_type type;
		const char *unit;
		int64_t factor;
	} units[] = {{CONF_SIZE, "", 1}, {CONF_SIZE, "K", 1 << 10}, {CONF_SIZE, "M", 1 << 20},
		{CONF_SIZE, "G", 1 << 30}, {CONF_DURATION, "", 1}, {CONF_DURATION, "s", 1},
		{CONF_DURATION, "m", 60}, {CONF_DURATION, "h", 3600}, {CONF_DURATION, "d", 86400},
		{CONF_MS, "", 1}, {CONF_MS, "ms", 1}, {CONF_MS, "s", 1000}, {CONF_MS, "m", 60000},
		{CONF_INT, "", 1}};
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || errno || n < 0)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (units[i].type == type && strcasecmp(units[i].unit, end) == 0) {
			if (n > INT64_MAX / units[i].factor)
				return false;
			*out = n * units[i].factor;
			return true;
		}
	return false;
}

/* Is WORD in the brackets at the beginning of HELP? */
static bool
in_brackets(const char *help, const char *word)
{
	size_t len = strlen(word);
	const char *p = help + 1, *end = strchr(help, ']');

	while (p < end) {
		size_t n = strcspn(p, "|]");

		if (n == len && memcmp(p, word, n) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

char *
conf_absolute(const struct conf *conf, const char *path)
{
	return *path == '/' ? strdup(path) : file_join(conf->dir, path);
}

/* The words that there are stand in the help's brackets: "[a|b|c] …". */
static enum rc
refuse_word(struct load *load, const config_setting_t *at, const struct conf_option *option)
{
	int len = (int)strcspn(option->help + 1, "]");
	char why[256];

	snprintf(why, sizeof why, "an unknown word, there are: %.*s", len, option->help + 1);
	for (char *p = strchr(why, ':'); *p; p++)
		if (*p == '|')
			*p = ' ';
	return refuse(load, at, option, why);
}

/* Checks and takes one text: STRING, PATH, ENUM, or a number in words. */
static enum rc
take_text(struct load *load, const config_setting_t *at, const struct conf_option *option,
	const char *text, struct conf_value *value)
{
	size_t len = strlen(text);

	switch (option->type) {
	case CONF_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return refuse(load, at, option, "must be true or false");
		value->number = *text == 't';
		return RC_OK;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_DURATION:
	case CONF_MS:
		if (!parse_units(text, option->type, &value->number))
			return refuse(load, at, option, "not a number with a known unit");
		return RC_OK;
	case CONF_ENUM:
		if (!in_brackets(option->help, text))
			return refuse_word(load, at, option);
		break;
	default:
		if (len > CONF_MAX_TEXT || (option->max && len > (size_t)option->max) ||
			len < (size_t)option->min)
			return refuse(load, at, option, "the text is too short or too long");
	}
	value->text = option->type == CONF_PATH ? conf_absolute(load->conf, text) : strdup(text);
	return value->text ? RC_OK
			   : err_set(load->err, ERR_MEMORY, "no memory for the configuration");
}

/* Checks a number against the row's bounds. */
static enum rc
check_bounds(
	struct load *load, const config_setting_t *at, const struct conf_option *option, int64_t n)
{
	char why[128];

	if (option->min == 0 && option->max == 0 && n >= 0)
		return RC_OK;
	if (n >= option->min && (!option->max || n <= option->max))
		return RC_OK;
	if (option->max)
		snprintf(why, sizeof why, "must be from %" PRId64 " to %" PRId64, option->min,
			option->max);
	else
		snprintf(why, sizeof why, "must be at least %" PRId64, option->min);
	return refuse(load, at, option, why);
}

/* Appends a copy of TEXT to a STRINGS value. */
static enum rc
add_string(struct load *load, const config_setting_t *at, const struct conf_option *option,
	const char *text, struct conf_value *value)
{
	if (!text)
		return refuse(load, at, option, "must be a string or a list of strings");
	if (strlen(text) > CONF_MAX_TEXT)
		return refuse(load, at, option, "a text is too long");
	if (*option->help == '[' && !in_brackets(option->help, text))
		return refuse_word(load, at, option);
	value->strings[value->n_strings] = strdup(text);
	if (!value->strings[value->n_strings])
		return err_set(load->err, ERR_MEMORY, "no memory for the configuration");
	value->n_strings++;
	return RC_OK;
}

/* One string or a list of them. */
static enum rc
take_strings(struct load *load, const config_setting_t *setting, const struct conf_option *option,
	struct conf_value *value)
{
	bool single = config_setting_type(setting) == CONFIG_TYPE_STRING;
	int n = single ? 1 : config_setting_length(setting);

	if (!single && config_setting_type(setting) != CONFIG_TYPE_ARRAY &&
		config_setting_type(setting) != CONFIG_TYPE_LIST)
		return refuse(load, setting, option, "must be a string or a list of strings");
	if (n > CONF_MAX_STRINGS || n < option->min || (option->max && n > option->max))
		return refuse(load, setting, option, "too few or too many strings");
	value->strings = calloc((size_t)n + 1, sizeof *value->strings);
	if (!value->strings)
		return err_set(load->err, ERR_MEMORY, "no memory for the configuration");
	for (int i = 0; i < n; i++) {
		const char *text = single ? config_setting_get_string(setting)
					  : config_setting_get_string_elem(setting, i);
		enum rc rc = add_string(load, setting, option, text, value);

		if (rc)
			return rc;
	}
	return RC_OK;
}

/* What should stand there instead. */
static enum rc
refuse_type(struct load *load, const config_setting_t *at, const struct conf_option *option)
{
	switch (option->type) {
	case CONF_BOOL:
		return refuse(load, at, option, "must be true or false, without quotes");
	case CONF_STRING:
	case CONF_PATH:
	case CONF_ENUM:
		return refuse(load, at, option, "must be a text in quotes");
	case CONF_INT:
		return refuse(load, at, option, "must be a number, without quotes");
	default:
		return refuse(load, at, option, "must be a number, or one with a unit in quotes");
	}
}

/* One option as it stands in the file. */
static enum rc
take_setting(struct load *load, const config_setting_t *setting, const struct conf_option *option,
	struct conf_value *value)
{
	int type = config_setting_type(setting);
	enum rc rc;

	value->set = true;
	if (option->type == CONF_STRINGS)
		return take_strings(load, setting, option, value);
	if (type == CONFIG_TYPE_STRING && option->type != CONF_BOOL && option->type != CONF_INT) {
		rc = take_text(load, setting, option, config_setting_get_string(setting), value);
		if (rc || option->type == CONF_STRING || option->type == CONF_PATH ||
			option->type == CONF_ENUM)
			return rc;
		return check_bounds(load, setting, option, value->number);
	}
	if (option->type == CONF_BOOL && type == CONFIG_TYPE_BOOL) {
		value->number = config_setting_get_bool(setting);
		return RC_OK;
	}
	if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && option->type != CONF_STRING &&
		option->type != CONF_PATH && option->type != CONF_ENUM &&
		option->type != CONF_BOOL) {
		value->number = type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
							: config_setting_get_int64(setting);
		return value->number < 0 ? refuse(load, setting, option, "must not be negative")
					 : check_bounds(load, setting, option, value->number);
	}
	return refuse_type(load, setting, option);
}

/* The default of an option that the file does not give. */
static enum rc
take_default(struct load *load, const config_setting_t *group, const struct conf_option *option,
	struct conf_value *value)
{
	if (option->initial == CONF_REQUIRED)
		return refuse(load, group, option, "is missing");
	return option->initial ? take_text(load, group, option, option->initial, value) : RC_OK;
}

/* Fills GROUP from SETTING, which may be NULL: all defaults. */
static enum rc
take_group(struct load *load, const config_setting_t *setting, struct conf_group *group)
{
	const struct conf_section_def *def = group->def;
	size_t n_all;
	const struct conf_option *rows = conf_options(&n_all) + def->first;
	int known = 0;

	group->line = setting ? (int)config_setting_source_line(setting) : 0;
	group->values = calloc(def->n, sizeof *group->values);
	if (!group->values)
		return err_set(load->err, ERR_MEMORY, "no memory for the configuration");
	for (size_t i = 0; i < def->n; i++) {
		const config_setting_t *member =
			setting ? config_setting_get_member(setting, rows[i].name) : NULL;
		enum rc rc = member ? take_setting(load, member, &rows[i], &group->values[i])
				    : take_default(load, setting, &rows[i], &group->values[i]);

		if (rc)
			return rc;
		known += member != NULL;
	}
	for (int i = 0; setting && known < config_setting_length(setting) &&
			i < config_setting_length(setting);
		i++) {
		const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);
		struct conf_option unknown = {
			.section = def->name, .name = config_setting_name(member)};
		size_t j;

		for (j = 0; j < def->n; j++)
			if (strcmp(rows[j].name, unknown.name) == 0)
				break;
		if (j == def->n)
			return refuse(load, member, &unknown, "no such option");
	}
	return RC_OK;
}

/* All groups of one section. */
static enum rc
take_section(struct load *load, const config_setting_t *setting, size_t index)
{
	size_t n_defs;
	const struct conf_section_def *def = &conf_sections(&n_defs)[index];
	struct conf_option row = {.section = def->name};
	size_t n = def->list ? setting ? (size_t)config_setting_length(setting) : 0 : 1;

	if (setting && def->list && config_setting_type(setting) != CONFIG_TYPE_LIST)
		return refuse(load, setting, &row, "must be a list of groups: ( { … }, { … } )");
	if (setting && !def->list && config_setting_type(setting) != CONFIG_TYPE_GROUP)
		return refuse(load, setting, &row, "must be a group: { … }");
	if (n > CONF_MAX_ITEMS)
		return refuse(load, setting, &row, "too many items");
	load->conf->groups[index] = calloc(n + 1, sizeof **load->conf->groups);
	if (!load->conf->groups[index])
		return err_set(load->err, ERR_MEMORY, "no memory for the configuration");
	load->conf->counts[index] = n;
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *item =
			def->list ? config_setting_get_elem(setting, (unsigned)i) : setting;
		enum rc rc;

		if (def->list && config_setting_type(item) != CONFIG_TYPE_GROUP)
			return refuse(
				load, item, &row, "must be a list of groups: ( { … }, { … } )");
		load->conf->groups[index][i].def = def;
		rc = take_group(load, item, &load->conf->groups[index][i]);
		if (rc)
			return rc;
	}
	return RC_OK;
}

/* Everything of a parsed file. */
static enum rc
take_all(struct load *load, config_t *config)
{
	config_setting_t *root = config_root_setting(config);
	size_t n;
	const struct conf_section_def *defs = conf_sections(&n);

	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *member = config_setting_get_elem(root, (unsigned)i);
		struct conf_option row = {.section = config_setting_name(member)};

		if (conf_section_index(row.section) < 0)
			return refuse(load, member, &row, "no such section");
	}
	for (size_t i = 0; i < n; i++) {
		enum rc rc = take_section(load, config_setting_get_member(root, defs[i].name), i);

		if (rc)
			return rc;
	}
	return RC_OK;
}

/* An empty conf with its names. */
static enum rc
conf_new(const char *name, const char *dir, struct conf **out, struct err *err)
{
	struct conf *conf = calloc(1, sizeof *conf);
	size_t n;

	conf_sections(&n);
	*out = conf;
	if (!conf)
		return err_set(err, ERR_MEMORY, "no memory for the configuration");
	conf->refs = 1;
	conf->path = strdup(name);
	conf->dir = strdup(dir);
	conf->groups = calloc(n, sizeof(struct conf_group *));
	conf->counts = calloc(n, sizeof *conf->counts);
	if (!conf->path || !conf->dir || !conf->groups || !conf->counts) {
		conf_unref(out);
		return err_set(err, ERR_MEMORY, "no memory for the configuration");
	}
	return RC_OK;
}

enum rc
conf_parse(const char *text, const char *name, const char *dir, struct conf **out, struct err *err)
{
	config_t config;
	struct load load = {.err = err};
	enum rc rc;

	*out = NULL;
	rc = conf_new(name, dir, &load.conf, err);
	if (rc)
		return rc;
	config_init(&config);
	config_set_options(&config, 0);
	if (!config_read_string(&config, text))
		rc = err_set(err, ERR_CONFIG, "%s:%d: %s", name, config_error_line(&config),
			config_error_text(&config));
	else
		rc = take_all(&load, &config);
	config_destroy(&config);
	if (rc) {
		conf_unref(&load.conf);
		return rc;
	}
	*out = load.conf;
	return RC_OK;
}

enum rc
conf_load(const char *path, struct conf **out, struct err *err)
{
	struct buf text = BUF_INIT(CONF_MAX_FILE);
	char real[PATH_MAX], *slash;
	enum rc rc;

	*out = NULL;
	rc = file_read(path, &text, err);
	if (rc)
		rc = err_set(err, ERR_CONFIG, "%s", err ? err->detail : path);
	else if (memchr(buf_text(&text), '\0', text.len))
		rc = err_set(err, ERR_CONFIG, "%s: a NUL byte in it", path);
	else if (!realpath(path, real))
		rc = err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	if (!rc) {
		slash = strrchr(real, '/');
		*(slash == real ? slash + 1 : slash) = '\0';
		rc = conf_parse(buf_text(&text), path, real, out, err);
	}
	buf_fini(&text);
	return rc;
}
