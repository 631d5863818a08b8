/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A parameter as it stands: the name may end in RFC 2231's marks. */
struct raw_param {
	char *name;    /* lower case, marks cut off */
	char *value;   /* without quotes */
	int section;   /* of a continuation; -1: there is no number */
	bool extended; /* percent signs encode */
};

struct reader {
	const char *p, *end;
	struct raw_param raw[MIME_MAX_PARAMS];
	size_t n;
};

/* A blank, or (where fields are read) a byte of a line end. */
static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A token's character (RFC 2045 section 5.1). */
static bool
is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`{|}~", c));
}

/* ASCII lower case. */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Passes over blanks and comments. */
static void
skip_blanks(struct reader *reader)
{
	size_t depth = 0;

	for (; reader->p < reader->end; reader->p++) {
		char c = *reader->p;

		if (c == '(')
			depth++;
		else if (depth == 0 && !is_blank(c))
			break;
		else if (c == ')')
			depth--;
		else if (c == '\\' && depth && reader->p + 1 < reader->end)
			reader->p++;
	}
}

/* A copy of LEN bytes in lower case, or NULL. */
static char *
copy_lower(const char *text, size_t len)
{
	char *out = malloc(len + 1);

	for (size_t i = 0; out && i < len; i++)
		out[i] = lower(text[i]);
	if (out)
		out[len] = '\0';
	return out;
}

/* The quoted string or the bare value here, without quotes, quoted pairs and line ends; NULL: no
 * memory. A bare one ends at a blank or semicolon: mailers write there what should be in quotes. */
static char *
read_value(struct reader *reader)
{
	char *out = malloc((size_t)(reader->end - reader->p) + 1), *o = out;
	bool quoted = reader->p < reader->end && *reader->p == '"';

	if (!out)
		return NULL;
	for (reader->p += quoted; reader->p < reader->end; reader->p++) {
		char c = *reader->p;

		if (quoted ? c == '"' : is_blank(c) || c == ';')
			break;
		if (quoted && c == '\\' && reader->p + 1 < reader->end)
			c = *++reader->p;
		if (c != '\r' && c != '\n')
			*o++ = c;
	}
	if (quoted && reader->p < reader->end)
		reader->p++;
	*o = '\0';
	return out;
}

/* Cuts "*", "*N" or "*N*" off the name and sets what they mean; false: they mean nothing. */
static bool
read_marks(struct raw_param *raw)
{
	char *star = strchr(raw->name, '*'), *p = star;
	int n = 0;

	raw->section = -1;
	raw->extended = false;
	if (!star)
		return true;
	if (p[1] >= '0' && p[1] <= '9') {
		for (p++; *p >= '0' && *p <= '9' && n <= MIME_MAX_PARAMS; p++)
			n = n * 10 + (*p - '0');
		raw->section = n;
	}
	if (*p == '*') {
		raw->extended = true;
		p++;
	}
	if (*p)
		return false;
	*star = '\0';
	return true;
}

/* Reads one parameter; what is no parameter is passed over. */
static enum rc
read_param(struct reader *reader, struct err *err)
{
	const char *name = reader->p;
	struct raw_param *raw;
	size_t len;

	while (reader->p < reader->end && is_token(*reader->p))
		reader->p++;
	len = (size_t)(reader->p - name);
	skip_blanks(reader);
	if (reader->p == reader->end || *reader->p != '=' || len == 0) {
		if (len == 0 && reader->p < reader->end)
			reader->p++;
		return RC_OK;
	}
	reader->p++;
	skip_blanks(reader);
	if (reader->n == MIME_MAX_PARAMS)
		return err_set(err, ERR_LIMIT, "more than %d parameters", MIME_MAX_PARAMS);
	raw = &reader->raw[reader->n++];
	raw->name = copy_lower(name, len);
	raw->value = read_value(reader);
	if (!raw->name || !raw->value)
		return err_set(err, ERR_MEMORY, "parameters");
	if (!read_marks(raw))
		return err_set(err, ERR_MSG_MALFORMED, "bad parameter name");
	return RC_OK;
}

/* 0 to 15, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes percent signs in place; false when a NUL comes out. */
static bool
decode_percent(char *text)
{
	char *o = text;

	for (const char *p = text; *p; p++) {
		if (*p == '%' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
			*o = (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
			p += 2;
			if (*o == '\0')
				return false;
			o++;
		} else {
			*o++ = *p;
		}
	}
	*o = '\0';
	return true;
}

/* Takes "charset'language'" off the value. */
static void
drop_charset(char *value)
{
	char *quote = strchr(value, '\''), *second = quote ? strchr(quote + 1, '\'') : NULL;

	if (second)
		memmove(value, second + 1, strlen(second + 1) + 1);
}

/* The section N of NAME, or NULL. */
static struct raw_param *
find_section(struct reader *reader, const char *name, int n)
{
	for (size_t i = 0; i < reader->n; i++)
		if (reader->raw[i].section == n && strcmp(reader->raw[i].name, name) == 0)
			return &reader->raw[i];
	return NULL;
}

/* Puts the sections of a parameter together; its value is replaced. */
static enum rc
join_sections(struct reader *reader, struct raw_param *first, struct err *err)
{
	struct raw_param *next;
	struct buf value = BUF_INIT(HDRS_MAX_BYTES);
	enum rc rc = buf_append_str(&value, first->value, err);

	for (int n = 1; rc == RC_OK && (next = find_section(reader, first->name, n)); n++) {
		if (next->extended && !decode_percent(next->value))
			rc = err_set(err, ERR_MSG_MALFORMED, "NUL in a parameter");
		else
			rc = buf_append_str(&value, next->value, err);
	}
	if (rc == RC_OK) {
		free(first->value);
		first->value = strdup(buf_text(&value));
		if (!first->value)
			rc = err_set(err, ERR_MEMORY, "parameters");
	}
	buf_fini(&value);
	return rc;
}

/* Moves the parameters to OUT, whole and decoded. */
static enum rc
give_params(struct reader *reader, struct ctype *out, struct err *err)
{
	enum rc rc = RC_OK;

	out->params = calloc(reader->n ? reader->n : 1, sizeof(*out->params));
	if (!out->params)
		return err_set(err, ERR_MEMORY, "parameters");
	for (size_t i = 0; rc == RC_OK && i < reader->n; i++) {
		struct raw_param *raw = &reader->raw[i];

		if (raw->section > 0)
			continue;
		if (raw->extended) {
			drop_charset(raw->value);
			if (!decode_percent(raw->value))
				return err_set(err, ERR_MSG_MALFORMED, "NUL in a parameter");
		}
		if (raw->section == 0)
			rc = join_sections(reader, raw, err);
		if (rc == RC_OK) {
			out->params[out->n].name = raw->name;
			out->params[out->n++].value = raw->value;
			raw->name = strdup(raw->name); /* later sections still look for it */
			raw->value = NULL;
			if (!raw->name)
				rc = err_set(err, ERR_MEMORY, "parameters");
		}
	}
	return rc;
}

/* "type/subtype", or one word for a disposition. */
static enum rc
read_type(struct reader *reader, struct ctype *out, struct err *err)
{
	const char *type;
	size_t len, slashes = 0, slash = 0;

	skip_blanks(reader);
	type = reader->p;
	for (; reader->p < reader->end && (is_token(*reader->p) || *reader->p == '/'); reader->p++)
		if (*reader->p == '/') {
			slashes++;
			slash = (size_t)(reader->p - type);
		}
	len = (size_t)(reader->p - type);
	if (len == 0 || slashes > 1 || (slashes && (slash == 0 || slash == len - 1)))
		return err_set(err, ERR_MSG_MALFORMED, "bad type");
	if (reader->p < reader->end && !is_blank(*reader->p) && *reader->p != ';' &&
		*reader->p != '(')
		return err_set(err, ERR_MSG_MALFORMED, "bad type");
	out->type = copy_lower(type, len);
	return out->type ? RC_OK : err_set(err, ERR_MEMORY, "type");
}

enum rc
ctype_parse(const char *value, size_t len, struct ctype *out, struct err *err)
{
	struct reader reader; /* RAW is for those that come */
	enum rc rc;

	reader.p = value;
	reader.end = value + len;
	reader.n = 0;
	*out = (struct ctype){.type = NULL};
	if (memchr(value, '\0', len))
		return err_set(err, ERR_MSG_MALFORMED, "NUL in a header field");
	rc = read_type(&reader, out, err);
	while (rc == RC_OK && (skip_blanks(&reader), reader.p < reader.end)) {
		if (*reader.p == ';')
			reader.p++;
		else
			rc = read_param(&reader, err);
	}
	if (rc == RC_OK)
		rc = give_params(&reader, out, err);
	for (size_t i = 0; i < reader.n; i++) {
		free(reader.raw[i].name);
		free(reader.raw[i].value);
	}
	if (rc != RC_OK)
		ctype_fini(out);
	return rc;
}

void
ctype_fini(struct ctype *ctype)
{
	for (size_t i = 0; i < ctype->n; i++) {
		free(ctype->params[i].name);
		free(ctype->params[i].value);
	}
	free(ctype->params);
	free(ctype->type);
	*ctype = (struct ctype){.type = NULL};
}

const char *
ctype_param(const struct ctype *ctype, const char *name)
{
	for (size_t i = 0; i < ctype->n; i++)
		if (strcmp(ctype->params[i].name, name) == 0)
			return ctype->params[i].value;
	return NULL;
}

/* Where the name "boundary" and its equals sign at the beginning of TEXT end, 0: it does not stand
 * there. One with RFC 2231's marks counts as well. */
static size_t
boundary_name(const char *text, size_t len)
{
	size_t at = 8;

	if (len < at || strncasecmp(text, "boundary", at) != 0)
		return 0;
	while (at < len && (is_blank(text[at]) || text[at] == '*' ||
				   (text[at] >= '0' && text[at] <= '9' && text[at - 1] == '*')))
		at++;
	return at < len && text[at] == '=' ? at + 1 : 0;
}

/* Is a value here, up to LEN, that nobody can take for a longer or a shorter one? */
static bool
is_clear_value(const char *text, size_t len)
{
	static const char bare[] = "'+_-./:=?";
	size_t at = 0, start;
	bool quoted;

	while (at < len && is_blank(text[at]))
		at++;
	quoted = at < len && text[at] == '"';
	start = at += quoted;
	if (quoted) {
		const char *end = memchr(text + at, '"', len - at);

		at = end ? (size_t)(end - text) + 1 : len;
		return end && at > start + 1 && !memchr(text + start, '\n', at - start) &&
		       (at == len || is_blank(text[at]) || text[at] == ';');
	}
	while (at < len &&
		(isalnum((unsigned char)text[at]) || (text[at] && strchr(bare, text[at]))))
		at++;
	return at > start && (at == len || is_blank(text[at]) || text[at] == ';');
}

bool
ctype_is_clear(const char *value, size_t len)
{
	bool quoted = false, found = false;
	char before = 0; /* the last byte that is no blank */

	for (size_t i = 0; i < len; i++) {
		size_t name = boundary_name(value + i, len - i);

		if (value[i] == '\\' || value[i] == '\0' || (value[i] == '(' && !quoted) ||
			(value[i] == '\r' && (i + 1 == len || value[i + 1] != '\n')))
			return false;
		if (name && (found || before != ';' || quoted || memchr(value + i, '*', name) ||
				    !is_clear_value(value + i + name, len - i - name)))
			return false;
		found |= name > 0;
		quoted ^= value[i] == '"';
		before = is_blank(value[i]) ? before : value[i];
	}
	return found && !quoted;
}
