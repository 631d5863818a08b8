/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing a configuration back, for `sealgate check`. */
#include "base/conf.h"

#include "base/conf_table.h"

#include <inttypes.h>
#include <string.h>

/* A string in libconfig's quotes. */
static enum rc
format_string(struct buf *out, const char *text, struct err *err)
{
	enum rc rc = buf_append_char(out, '"', err);

	for (const unsigned char *p = (const unsigned char *)text; !rc && *p; p++) {
		if (*p == '"' || *p == '\\')
			rc = buf_appendf(out, err, "\\%c", *p);
		else if (*p < ' ' || *p == 127)
			rc = buf_appendf(out, err, "\\x%02x", *p);
		else
			rc = buf_append_char(out, (char)*p, err);
	}
	return rc ? rc : buf_append_char(out, '"', err);
}

/* Strings in brackets. */
static enum rc
format_strings(struct buf *out, const struct conf_value *value, struct err *err)
{
	enum rc rc = buf_append_char(out, '[', err);

	for (size_t i = 0; !rc && i < value->n_strings; i++) {
		if (i)
			rc = buf_append_str(out, ", ", err);
		if (!rc)
			rc = format_string(out, value->strings[i], err);
	}
	return rc ? rc : buf_append_char(out, ']', err);
}

/* Has it a value, given or by default? */
static bool
has_value(const struct conf_option *row, const struct conf_value *value)
{
	return value->set || (row->type != CONF_STRINGS && row->initial);
}

/* One line "name = value;"; unset options have none. */
static enum rc
format_value(struct buf *out, const struct conf_option *row, const struct conf_value *value,
	struct err *err)
{
	enum rc rc;

	if (!has_value(row, value))
		return RC_OK;
	rc = buf_appendf(out, err, "\t%s = ", row->name);
	if (rc)
		return rc;
	switch (row->type) {
	case CONF_STRINGS:
		rc = format_strings(out, value, err);
		break;
	case CONF_BOOL:
		rc = buf_append_str(out, value->number ? "true" : "false", err);
		break;
	case CONF_STRING:
	case CONF_PATH:
	case CONF_ENUM:
		rc = format_string(out, value->text, err);
		break;
	default:
		rc = buf_appendf(out, err, "%" PRId64 "%s", value->number,
			value->number > INT32_MAX ? "L" : "");
	}
	return rc ? rc : buf_append_str(out, ";\n", err);
}

/* "{ … }" of one group. */
static enum rc
format_group(struct buf *out, const struct conf_group *group, struct err *err)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n) + group->def->first;
	enum rc rc = buf_append_str(out, "{\n", err);

	for (size_t i = 0; !rc && i < group->def->n; i++)
		rc = format_value(out, &rows[i], &group->values[i], err);
	return rc ? rc : buf_append_str(out, "}", err);
}

enum rc
conf_format(const struct conf *conf, struct buf *out, struct err *err)
{
	size_t n;
	const struct conf_section_def *defs = conf_sections(&n);
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		rc = buf_appendf(out, err, "%s = %s", defs[i].name, defs[i].list ? "( " : "");
		for (size_t j = 0; !rc && j < conf->counts[i]; j++) {
			if (j)
				rc = buf_append_str(out, ", ", err);
			if (!rc)
				rc = format_group(out, &conf->groups[i][j], err);
		}
		if (!rc)
			rc = buf_append_str(out, defs[i].list ? " );\n" : ";\n", err);
	}
	return rc;
}

static void
value_json(const struct conf_option *row, const struct conf_value *value, struct json *json)
{
	if (!has_value(row, value))
		return;
	switch (row->type) {
	case CONF_STRINGS:
		json_array(json, row->name);
		for (size_t i = 0; i < value->n_strings; i++)
			json_str(json, NULL, value->strings[i]);
		json_array_end(json);
		break;
	case CONF_BOOL:
		json_bool(json, row->name, value->number != 0);
		break;
	case CONF_STRING:
	case CONF_PATH:
	case CONF_ENUM:
		json_str(json, row->name, value->text);
		break;
	default:
		json_int(json, row->name, value->number);
	}
}

static void
group_json(const struct conf_group *group, const char *key, struct json *json)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n) + group->def->first;

	json_object(json, key);
	for (size_t i = 0; i < group->def->n; i++)
		value_json(&rows[i], &group->values[i], json);
	json_object_end(json);
}

void
conf_json(const struct conf *conf, struct json *json)
{
	size_t n;
	const struct conf_section_def *defs = conf_sections(&n);

	for (size_t i = 0; i < n; i++) {
		if (!defs[i].list) {
			if (conf->counts[i])
				group_json(&conf->groups[i][0], defs[i].name, json);
			continue;
		}
		json_array(json, defs[i].name);
		for (size_t j = 0; j < conf->counts[i]; j++)
			group_json(&conf->groups[i][j], NULL, json);
		json_array_end(json);
	}
}
