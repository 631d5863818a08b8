/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/authresults.h"

#include <string.h>
#include <strings.h>

#define MAX_DEPTH 16 /* of comments */

struct scan {
	const char *p, *end;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Past blanks and comments; false: a comment without an end, or one too deep. */
static bool
skip_cfws(struct scan *s)
{
	int depth = 0;

	for (; s->p < s->end; s->p++) {
		if (depth && *s->p == '\\') {
			if (++s->p == s->end)
				return false;
		} else if (*s->p == '(') {
			if (++depth > MAX_DEPTH)
				return false;
		} else if (depth && *s->p == ')') {
			depth--;
		} else if (!depth && !is_blank(*s->p)) {
			break;
		}
	}
	return depth == 0;
}

static bool
take_quoted(struct scan *s, char *out, size_t size)
{
	size_t n = 0;

	for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
		if (*s->p == '\\' && ++s->p == s->end)
			return false;
		if (n + 1 >= size || *s->p == '\0')
			return false;
		out[n++] = *s->p;
	}
	if (s->p == s->end)
		return false;
	s->p++;
	out[n] = '\0';
	return true;
}

/* A quoted string, or a run of at least one byte that is no blank, none of STOP and no delimiter of
 * a comment or string. */
static bool
take_word(struct scan *s, const char *stop, char *out, size_t size)
{
	size_t n = 0;

	if (s->p < s->end && *s->p == '"')
		return take_quoted(s, out, size);
	for (; s->p < s->end && !is_blank(*s->p) && !strchr("\"();", *s->p) && !strchr(stop, *s->p);
		s->p++) {
		if (n + 1 >= size || (unsigned char)*s->p < ' ')
			return false;
		out[n++] = *s->p;
	}
	out[n] = '\0';
	return n > 0;
}

static bool
take_char(struct scan *s, char c)
{
	if (!skip_cfws(s) || s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return skip_cfws(s);
}

static void
lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text | 0x20);
}

/* A property given twice could mean either: false. */
static bool
set_once(char *to, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (*to || len == 0 || len >= size)
		return false;
	memcpy(to, text, len + 1);
	return true;
}

/* One property of a result of DKIM. Others than those of a struct dkim_result say nothing here. */
static bool
keep_property(struct dkim_result *result, const char *type, const char *name, char *value)
{
	const char *at;

	if (strcasecmp(type, "header") != 0)
		return true;
	if (strcasecmp(name, "b") == 0)
		return set_once(result->b, sizeof(result->b), value);
	lower(value);
	if (strcasecmp(name, "d") == 0)
		return set_once(result->d, sizeof(result->d), value);
	if (strcasecmp(name, "s") == 0)
		return set_once(result->s, sizeof(result->s), value);
	at = strrchr(value, '@');
	if (strcasecmp(name, "i") == 0)
		return set_once(result->i, sizeof(result->i), at ? at + 1 : value);
	return true;
}

/* What follows the method's result, up to the next ';' or the end. */
static bool
take_properties(struct scan *s, struct dkim_result *result)
{
	char type[64], name[64], value[1024];

	while (skip_cfws(s)) {
		bool dotted;

		if (s->p == s->end || *s->p == ';')
			return true;
		if (!take_word(s, ".=", type, sizeof(type)) || !skip_cfws(s))
			return false;
		dotted = s->p < s->end && *s->p == '.';
		if (dotted && (!take_char(s, '.') || !take_word(s, "=", name, sizeof(name))))
			return false;
		if (!take_char(s, '=') || !take_word(s, "", value, sizeof(value)))
			return false;
		if (!dotted && result && strcasecmp(type, "reason") != 0)
			return false;
		if (dotted && result && !keep_property(result, type, name, value))
			return false;
	}
	return false;
}

/* method ["/" version] "=" result and its properties, behind the ';'. */
static bool
take_result(struct scan *s, struct authresults *out)
{
	struct dkim_result *result = NULL;
	char method[64], word[64];

	if (!skip_cfws(s) || !take_word(s, "/=", method, sizeof(method)) || !skip_cfws(s))
		return false;
	if (s->p < s->end && *s->p == '/') {
		if (!take_char(s, '/') || !take_word(s, "=", word, sizeof(word)))
			return false;
		if (strcmp(word, "1") != 0)
			return false;
		if (!skip_cfws(s))
			return false;
	}
	if ((s->p == s->end || *s->p == ';') && strcasecmp(method, "none") == 0)
		return true;
	if (!take_char(s, '=') || !take_word(s, "", word, sizeof(word)))
		return false;
	if (strcasecmp(method, "dkim") == 0) {
		if (out->n == AUTHRESULTS_MAX)
			return false;
		result = &out->dkim[out->n++];
		memset(result, 0, sizeof(*result));
		result->pass = strcasecmp(word, "pass") == 0;
	}
	return take_properties(s, result);
}

static bool
is_one_of(const char *id, const char *const *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(id, ids[i]) == 0)
			return true;
	return false;
}

/* [version] and the results, behind the name. */
static bool
take_rest(struct scan *s, struct authresults *out)
{
	char word[64];

	if (!skip_cfws(s))
		return false;
	if (s->p < s->end && *s->p != ';' &&
		(!take_word(s, "", word, sizeof(word)) || strcmp(word, "1") != 0 || !skip_cfws(s)))
		return false;
	while (s->p < s->end) {
		if (*s->p != ';')
			return false;
		s->p++;
		/* Some end the field with a ';'. */
		if (!skip_cfws(s))
			return false;
		if (s->p < s->end && !take_result(s, out))
			return false;
		if (!skip_cfws(s))
			return false;
	}
	return true;
}

void
authresults_read(const char *value, size_t len, const char *const *ids, size_t n_ids,
	struct authresults *out)
{
	struct scan s = {.p = value, .end = value + len};
	char id[512];

	out->kind = AUTHRESULTS_FOREIGN;
	out->n = 0;
	if (!skip_cfws(&s) || !take_word(&s, "", id, sizeof(id)) || !is_one_of(id, ids, n_ids))
		return;
	out->kind = AUTHRESULTS_OURS;
	if (len <= AUTHRESULTS_MAX_BYTES && take_rest(&s, out))
		return;
	out->kind = AUTHRESULTS_UNREADABLE;
	out->n = 0;
}

/* --- DKIM-Signature --- */

/* Copies a tag's value without blanks; what does not fit is cut where CUT allows it. */
static bool
copy_tag(struct scan value, char *out, size_t size, bool cut)
{
	size_t n = 0;

	if (*out)
		return false; /* twice */
	for (; value.p < value.end; value.p++) {
		if (is_blank(*value.p))
			continue;
		if ((unsigned char)*value.p <= ' ')
			return false;
		if (n + 1 == size)
			break;
		out[n++] = *value.p;
	}
	out[n] = '\0';
	return n > 0 && (cut || value.p == value.end);
}

static bool
keep_tag(char name, struct scan value, struct dkim_signature *out)
{
	switch (name) {
	case 'd':
		return copy_tag(value, out->d, sizeof(out->d), false);
	case 's':
		return copy_tag(value, out->s, sizeof(out->s), false);
	case 'b':
		return copy_tag(value, out->b, sizeof(out->b), true);
	case 'l':
		out->partial = true;
		return true;
	default:
		return true;
	}
}

bool
dkim_signature_read(const char *value, size_t len, struct dkim_signature *out)
{
	struct scan s = {.p = value, .end = value + len};

	memset(out, 0, sizeof(*out));
	while (s.p < s.end) {
		const char *end = memchr(s.p, ';', (size_t)(s.end - s.p));
		struct scan tag = {s.p, end ? end : s.end}, rest;
		const char *equals;

		s.p = end ? end + 1 : s.end;
		while (tag.p < tag.end && is_blank(*tag.p))
			tag.p++;
		if (tag.p == tag.end)
			continue;
		equals = memchr(tag.p, '=', (size_t)(tag.end - tag.p));
		if (!equals)
			return false;
		rest = (struct scan){equals + 1, tag.end};
		while (equals > tag.p && is_blank(equals[-1]))
			equals--;
		if (equals == tag.p + 1 && !keep_tag(*tag.p, rest, out))
			return false;
	}
	lower(out->d);
	lower(out->s);
	return *out->d && *out->s;
}

/* Is NAME the domain BASE or one below it? */
static bool
is_below(const char *name, const char *base)
{
	size_t n = strlen(name), m = strlen(base);

	return m > 0 && n >= m && strcmp(name + n - m, base) == 0 &&
	       (n == m || name[n - m - 1] == '.');
}

bool
dkim_result_is_of(const struct dkim_result *result, const struct dkim_signature *signature)
{
	if (!*result->d && !*result->i)
		return false;
	if (*result->d && strcmp(result->d, signature->d) != 0)
		return false;
	if (*result->i && !is_below(result->i, signature->d))
		return false;
	if (*result->s && strcmp(result->s, signature->s) != 0)
		return false;
	return !*result->b || strncmp(result->b, signature->b, strlen(result->b)) == 0;
}
