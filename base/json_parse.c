/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct json_value {
	enum json_type type;
	char *text;     /* JSON_STRING; JSON_NUMBER as written */
	int64_t number; /* JSON_INT; JSON_BOOL */
	char **keys;    /* JSON_OBJECT */
	struct json_value **members;
	size_t n, room;
};

struct parser {
	const char *p, *end;
	size_t values;
	struct err *err;
};

static enum rc parse_value(struct parser *ps, unsigned depth, struct json_value **out);

/* A refusal; the position helps, the text may be private. */
static enum rc
refuse(struct parser *ps, const char *why)
{
	return err_set(ps->err, ERR_USAGE, "bad JSON: %s", why);
}

static void
blanks(struct parser *ps)
{
	while (ps->p < ps->end &&
		(*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r'))
		ps->p++;
}

void
json_free(struct json_value **value)
{
	struct json_value *v = *value;

	*value = NULL;
	if (!v)
		return;
	for (size_t i = 0; i < v->n; i++) {
		if (v->keys)
			free(v->keys[i]);
		json_free(&v->members[i]);
	}
	free(v->keys);
	free(v->members);
	free(v->text);
	free(v);
}

/* Four hex digits at the cursor, or -1. */
static long
hex4(struct parser *ps)
{
	long v = 0;

	if (ps->end - ps->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)*ps->p++;

		if (!isxdigit(c))
			return -1;
		v = 16 * v + (isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	return v;
}

/* Writes code point C as UTF-8; returns its length. */
static size_t
utf8_put(unsigned long c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* \uXXXX behind its "\u", with its second half when it is a surrogate; false when it is bad or NUL.
 */
static bool
escape_u(struct parser *ps, char *out, size_t *n)
{
	long c = hex4(ps), low;

	if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
		return false;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (ps->end - ps->p < 2 || ps->p[0] != '\\' || ps->p[1] != 'u')
			return false;
		ps->p += 2;
		low = hex4(ps);
		if (low < 0xdc00 || low > 0xdfff)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*n += utf8_put((unsigned long)c, out + *n);
	return true;
}

/* One escape behind its backslash. */
static bool
escape(struct parser *ps, char *out, size_t *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char c;

	if (ps->p == ps->end)
		return false;
	c = *ps->p++;
	if (c == 'u')
		return escape_u(ps, out, n);
	at = c ? strchr(from, c) : NULL;
	if (!at)
		return false;
	out[(*n)++] = to[at - from];
	return true;
}

/* A string from its opening quote. */
static enum rc
parse_string(struct parser *ps, char **out)
{
	const char *close = ++ps->p;
	char *text;
	size_t n = 0;

	while (close < ps->end && *close != '"')
		close += *close == '\\' ? 2 : 1;
	if (close >= ps->end)
		return refuse(ps, "a string does not end");
	text = malloc((size_t)(close - ps->p) + 1);
	if (!text)
		return err_set(ps->err, ERR_MEMORY, "no memory for JSON");
	while (ps->p < close) {
		char c = *ps->p++;

		size_t more = json_utf8_length(ps->p - 1, (size_t)(close - ps->p) + 1);

		if ((unsigned char)c < ' ' || !more || (c == '\\' && !escape(ps, text, &n))) {
			free(text);
			return refuse(ps, "a bad character in a string");
		}
		if (c == '\\')
			continue;
		memcpy(text + n, ps->p - 1, more);
		n += more;
		ps->p += more - 1;
	}
	ps->p = close + 1;
	text[n] = '\0';
	*out = text;
	return RC_OK;
}

/* A number; integers that fit are JSON_INT. */
static enum rc
parse_number(struct parser *ps, struct json_value *v)
{
	const char *start = ps->p;
	char text[64];
	size_t len;
	bool whole = true;
	char *end;

	if (*ps->p == '-')
		ps->p++;
	if (ps->p == ps->end || !isdigit((unsigned char)*ps->p))
		return refuse(ps, "a bad number");
	if (*ps->p == '0' && ps->p + 1 < ps->end && isdigit((unsigned char)ps->p[1]))
		return refuse(ps, "a number with a leading zero");
	while (ps->p < ps->end &&
		(isdigit((unsigned char)*ps->p) || (*ps->p && strchr(".eE+-", *ps->p)))) {
		if (!isdigit((unsigned char)*ps->p))
			whole = false;
		ps->p++;
	}
	len = (size_t)(ps->p - start);
	if (len >= sizeof text)
		return refuse(ps, "a number is too long");
	memcpy(text, start, len);
	text[len] = '\0';
	errno = 0;
	if (whole) {
		v->type = JSON_INT;
		v->number = strtoll(text, &end, 10);
	} else {
		v->type = JSON_NUMBER;
		(void)strtod(text, &end);
		v->text = strdup(text);
		if (!v->text)
			return err_set(ps->err, ERR_MEMORY, "no memory for JSON");
	}
	return *end || (whole && errno) ? refuse(ps, "a bad number") : RC_OK;
}

/* Room for one more member. */
static enum rc
grow(struct parser *ps, struct json_value *v, bool keyed)
{
	size_t room = v->room ? 2 * v->room : 8;
	struct json_value **members;
	char **keys;

	if (v->n < v->room)
		return RC_OK;
	members = realloc(v->members, room * sizeof *members);
	if (!members)
		return err_set(ps->err, ERR_MEMORY, "no memory for JSON");
	v->members = members;
	if (keyed) {
		keys = realloc(v->keys, room * sizeof *keys);
		if (!keys)
			return err_set(ps->err, ERR_MEMORY, "no memory for JSON");
		v->keys = keys;
	}
	v->room = room;
	return RC_OK;
}

/* A member's name with its colon; refuses one that is there already. */
static enum rc
parse_key(struct parser *ps, const struct json_value *object, char **key)
{
	enum rc rc;

	*key = NULL;
	blanks(ps);
	if (ps->p == ps->end || *ps->p != '"')
		return refuse(ps, "a name is missing");
	rc = parse_string(ps, key);
	if (rc)
		return rc;
	blanks(ps);
	if (json_find(object, *key))
		rc = refuse(ps, "a name stands twice");
	else if (object->n >= JSON_MAX_MEMBERS)
		rc = refuse(ps, "too many members");
	else if (ps->p == ps->end || *ps->p++ != ':')
		rc = refuse(ps, "a colon is missing");
	if (rc) {
		free(*key);
		*key = NULL;
	}
	return rc;
}

/* The members of an object or array from behind its bracket. */
static enum rc
parse_members(struct parser *ps, unsigned depth, struct json_value *v, char close)
{
	bool keyed = close == '}';

	blanks(ps);
	if (ps->p < ps->end && *ps->p == close) {
		ps->p++;
		return RC_OK;
	}
	for (;;) {
		char *key = NULL;
		enum rc rc = grow(ps, v, keyed);

		if (!rc && keyed)
			rc = parse_key(ps, v, &key);
		if (rc)
			return rc;
		rc = parse_value(ps, depth + 1, &v->members[v->n]);
		if (rc) {
			free(key);
			return rc;
		}
		if (keyed)
			v->keys[v->n] = key;
		v->n++;
		blanks(ps);
		if (ps->p == ps->end)
			return refuse(ps, "it does not end");
		if (*ps->p == close) {
			ps->p++;
			return RC_OK;
		}
		if (*ps->p++ != ',')
			return refuse(ps, "a comma is missing");
	}
}

/* true, false, null. */
static enum rc
parse_word(struct parser *ps, struct json_value *v)
{
	static const struct {
		const char *word;
		enum json_type type;
		int number;
	} words[] = {{"true", JSON_BOOL, 1}, {"false", JSON_BOOL, 0}, {"null", JSON_NULL, 0}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t len = strlen(words[i].word);

		if ((size_t)(ps->end - ps->p) >= len && memcmp(ps->p, words[i].word, len) == 0) {
			ps->p += len;
			v->type = words[i].type;
			v->number = words[i].number;
			return RC_OK;
		}
	}
	return refuse(ps, "an unknown word");
}

/* Any value. */
static enum rc
parse_value(struct parser *ps, unsigned depth, struct json_value **out)
{
	struct json_value *v;
	enum rc rc;

	*out = NULL;
	blanks(ps);
	if (ps->p == ps->end)
		return refuse(ps, "it ends early");
	if (depth > JSON_MAX_DEPTH || ++ps->values > JSON_MAX_VALUES)
		return refuse(ps, "too deep or too many values");
	v = calloc(1, sizeof *v);
	if (!v)
		return err_set(ps->err, ERR_MEMORY, "no memory for JSON");
	switch (*ps->p) {
	case '{':
		v->type = JSON_OBJECT;
		ps->p++;
		rc = parse_members(ps, depth, v, '}');
		break;
	case '[':
		v->type = JSON_ARRAY;
		ps->p++;
		rc = parse_members(ps, depth, v, ']');
		break;
	case '"':
		v->type = JSON_STRING;
		rc = parse_string(ps, &v->text);
		break;
	default:
		rc = *ps->p == '-' || isdigit((unsigned char)*ps->p) ? parse_number(ps, v)
								     : parse_word(ps, v);
	}
	if (rc) {
		json_free(&v);
		return rc;
	}
	*out = v;
	return RC_OK;
}

enum rc
json_parse(const char *text, size_t len, struct json_value **out, struct err *err)
{
	struct parser ps = {.p = text, .end = text + len, .err = err};
	enum rc rc;

	*out = NULL;
	if (len > JSON_MAX_BYTES)
		return refuse(&ps, "too long");
	rc = parse_value(&ps, 0, out);
	if (rc)
		return rc;
	blanks(&ps);
	if (ps.p != ps.end) {
		json_free(out);
		return refuse(&ps, "something stands behind it");
	}
	return RC_OK;
}

enum json_type
json_type(const struct json_value *value)
{
	return value->type;
}

const struct json_value *
json_find(const struct json_value *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->n; i++)
		if (strcmp(object->keys[i], key) == 0)
			return object->members[i];
	return NULL;
}

size_t
json_count(const struct json_value *value)
{
	return value ? value->n : 0;
}

const struct json_value *
json_at(const struct json_value *value, size_t i)
{
	return value->members[i];
}

const char *
json_key_at(const struct json_value *object, size_t i)
{
	return object->keys[i];
}

const char *
json_text(const struct json_value *value)
{
	return value && value->type == JSON_STRING ? value->text : NULL;
}

int64_t
json_number(const struct json_value *value, int64_t otherwise)
{
	return value && value->type == JSON_INT ? value->number : otherwise;
}

bool
json_is_true(const struct json_value *value)
{
	return value && value->type == JSON_BOOL && value->number;
}

const char *
json_get_text(const struct json_value *object, const char *key)
{
	return json_text(json_find(object, key));
}

int64_t
json_get_int(const struct json_value *object, const char *key, int64_t otherwise)
{
	return json_number(json_find(object, key), otherwise);
}
