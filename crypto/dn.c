/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/dn.h"

#include "message/charset.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *written, *type;
} types[] = {
	{"CN", "CN"},
	{"commonName", "CN"},
	{"OU", "OU"},
	{"O", "O"},
	{"L", "L"},
	{"ST", "ST"},
	{"S", "ST"},
	{"C", "C"},
	{"DC", "DC"},
	{"UID", "UID"},
	{"SN", "SN"},
	{"GN", "GN"},
	{"T", "title"},
	{"title", "title"},
	{"STREET", "street"},
	{"serialNumber", "serialNumber"},
	{"emailAddress", "emailAddress"},
	{"E", "emailAddress"},
};

static const char *
type_named(const char *written)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcasecmp(types[i].written, written) == 0)
			return types[i].type;
	return written;
}

static bool
is_special(char c)
{
	return c && strchr("\"+,;<>\\", c) != NULL;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static const char *
skip_blanks(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* The type before "=", written to *TO with a NUL. */
static const char *
take_type(const char *p, char **to)
{
	const char *begin;

	begin = p = skip_blanks(p);
	while (isalnum((unsigned char)*p) || *p == '.' || *p == '-')
		*(*to)++ = *p++;
	*(*to)++ = 0;
	if (p == begin)
		return NULL;
	p = skip_blanks(p);
	return *p == '=' ? p + 1 : NULL;
}

/* The value up to the next separator, escapes taken off; NULL: malformed. */
static const char *
take_value(const char *p, char **to)
{
	char *last = *to; /* behind what is not a trailing blank */

	p = skip_blanks(p);
	while (*p && *p != ',' && *p != '+' && *p != ';') {
		if (*p == '\\' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
			int c = hex_digit(p[1]) << 4 | hex_digit(p[2]);

			if (c == 0)
				return NULL;
			*(*to)++ = (char)c;
			p += 3;
			last = *to;
			continue;
		}
		if (*p == '\\' && !is_special(p[1]) && p[1] != ' ' && p[1] != '#' && p[1] != '=')
			return NULL;
		if (*p == '\\') {
			*(*to)++ = p[1];
			p += 2;
			last = *to;
			continue;
		}
		*(*to)++ = *p;
		if (*p++ != ' ')
			last = *to;
	}
	*to = last;
	*(*to)++ = 0;
	return p;
}

static enum rc
parse(const char *p, struct dn *dn, char *to, struct err *err)
{
	bool joined = false;

	for (;;) {
		struct dn_part *part = &dn->v[dn->n];
		char *type = to, *value;

		if (dn->n == DN_MAX_PARTS)
			return err_set(
				err, ERR_LIMIT, "a name of more than %d parts", DN_MAX_PARTS);
		p = take_type(p, &to);
		value = to;
		p = p ? take_value(p, &to) : NULL;
		if (!p)
			return err_set(err, ERR_USAGE, "part %zu is no TYPE=VALUE", dn->n + 1);
		if (!*value)
			return err_set(err, ERR_USAGE, "%.40s has no value", type);
		if (!utf8_is_valid(value, strlen(value)))
			return err_set(err, ERR_USAGE, "%.40s is no UTF-8", type);
		*part = (struct dn_part){type_named(type), value, joined};
		dn->n++;
		if (!*p)
			return RC_OK;
		joined = *p++ == '+';
	}
}

enum rc
dn_parse(const char *text, size_t len, struct dn *out, struct err *err)
{
	char *copy = NULL;
	enum rc rc;

	*out = (struct dn){.n = 0};
	if (len > DN_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a name of %zu bytes", len);
	if (memchr(text, 0, len))
		return err_set(err, ERR_USAGE, "a name with a NUL in it");
	/* Unescaped text is no longer than the escaped one; a NUL behind each type and value stands
	 * where "=" and the separator stood. */
	out->text = malloc(len + 2);
	copy = strndup(text, len);
	if (!out->text || !copy)
		rc = err_set(err, ERR_MEMORY, "a name");
	else
		rc = parse(copy, out, out->text, err);
	free(copy);
	if (rc != RC_OK)
		dn_fini(out);
	return rc;
}

void
dn_fini(struct dn *dn)
{
	free(dn->text);
	*dn = (struct dn){.n = 0};
}

bool
dn_same(const struct dn *a, const struct dn *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcasecmp(a->v[i].type, b->v[i].type) != 0 ||
			strcmp(a->v[i].value, b->v[i].value) != 0 ||
			a->v[i].joined != b->v[i].joined)
			return false;
	return true;
}

const char *
dn_get(const struct dn *dn, const char *type)
{
	for (size_t i = 0; i < dn->n; i++)
		if (strcasecmp(dn->v[i].type, type) == 0)
			return dn->v[i].value;
	return NULL;
}

enum rc
dn_escape(const char *value, struct buf *out, struct err *err)
{
	size_t len = strlen(value);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < len; i++) {
		bool edge = (value[i] == ' ' && (i == 0 || i == len - 1)) ||
			    (value[i] == '#' && i == 0);

		if (edge || is_special(value[i]))
			rc = buf_append_char(out, '\\', err);
		if (rc == RC_OK)
			rc = buf_append_char(out, value[i], err);
	}
	return rc;
}

enum rc
dn_format(const struct dn *dn, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < dn->n; i++) {
		if (i)
			rc = buf_append_char(out, dn->v[i].joined ? '+' : ',', err);
		if (rc == RC_OK)
			rc = buf_appendf(out, err, "%s=", dn->v[i].type);
		if (rc == RC_OK)
			rc = dn_escape(dn->v[i].value, out, err);
	}
	return rc;
}
