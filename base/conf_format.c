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

/* One line "name = value;"; unset options have none. */
static enum rc
format_value(struct buf *out, const struct conf_option *row, const struct conf_value *value,
	struct err *err)
{
	enum rc rc;

	if (row->type == CONF_STRINGS ? !value->set : !value->set && !row->initial)
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
