/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/bulk_map.h"

#include "base/file.h"
#include "message/charset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const forms[] = {"issue", "renew", "revoke", "status"};

const char *
bulk_form_name(enum bulk_form form)
{
	return forms[form];
}

const char *
bulk_pair_find(const struct bulk_pair *pairs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return NULL;
}

size_t
bulk_map_column(const struct bulk_map *map, const char *field)
{
	for (size_t i = 1; i <= map->n_columns; i++)
		if (map->columns[i].template && strcmp(map->columns[i].template, field) == 0)
			return i;
	return 0;
}

bool
bulk_word_in(const char *list, const char *text)
{
	size_t len = strlen(text);

	for (;;) {
		size_t n = strcspn(list, "|");

		if (n == len && memcmp(list, text, n) == 0)
			return true;
		if (!list[n])
			return false;
		list += n + 1;
	}
}

/* One line being read. */
struct reading {
	struct bulk_map *map;
	const char *name;
	size_t line;
	struct err *err;
};

static enum rc __attribute__((format(printf, 2, 3)))
refuse(const struct reading *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(r->err, ERR_CONFIG, "%s:%zu: %s", r->name, r->line, text);
}

/* The next word, cut off with a NUL; NULL at the end. */
static char *
take_word(char **p)
{
	char *word;

	*p += strspn(*p, " \t");
	word = *p;
	if (!*word)
		return NULL;
	*p += strcspn(*p, " \t");
	if (**p)
		*(*p)++ = 0;
	return word;
}

static bool
take_number(const char *text, size_t max, size_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > max)
		return false;
	*out = n;
	return true;
}

/* HEAD: "N required max=64 ascii"; VALUE: the template, "" for none. */
static enum rc
take_column(struct reading *r, char *head, char *value)
{
	static const char *const fields[] = {"dn", "address", "serial", "state", "not-after"};
	struct bulk_map *map = r->map;
	char *word = take_word(&head);
	struct bulk_column *column;
	bool known = false;
	size_t n;

	if (!word || !take_number(word, TSV_MAX_COLUMNS, &n))
		return refuse(r, "column: a number from 1 to %d", TSV_MAX_COLUMNS);
	column = &map->columns[n];
	if (column->template)
		return refuse(r, "column %zu a second time", n);
	column->template = value;
	while ((word = take_word(&head))) {
		if (strcmp(word, "required") == 0)
			column->required = true;
		else if (strcmp(word, "ascii") == 0)
			column->ascii = true;
		else if (strncmp(word, "max=", 4) != 0 ||
			 !take_number(word + 4, TSV_MAX_FIELD, &column->max))
			return refuse(r, "column %zu: required, ascii or max=NUMBER, not \"%.40s\"",
				n, word);
	}
	if (n > map->n_columns)
		map->n_columns = n;
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		known |= strcmp(fields[i], value) == 0;
	if (map->form == BULK_STATUS && !known)
		return refuse(r, "column %zu: dn, address, serial, state or not-after", n);
	return RC_OK;
}

static enum rc
add_pair(struct reading *r, struct bulk_pair *pairs, size_t *n, const char *name, const char *value)
{
	if (!name || !*name)
		return refuse(r, "a name is missing");
	if (bulk_pair_find(pairs, *n, name))
		return refuse(r, "%.40s a second time", name);
	if (*n == BULK_SETS)
		return refuse(r, "more than %d of a kind", BULK_SETS);
	pairs[(*n)++] = (struct bulk_pair){name, value};
	return RC_OK;
}

static enum rc
take_form(struct reading *r, const char *value)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (strcmp(forms[i], value) == 0) {
			r->map->form = (enum bulk_form)i;
			return RC_OK;
		}
	return refuse(r, "form: issue, renew, revoke or status");
}

/* One of two words. */
static enum rc
take_choice(struct reading *r, const char *key, const char *value, const char *no, const char *yes,
	bool *out)
{
	if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
		return refuse(r, "%s: %s or %s", key, yes, no);
	*out = strcmp(value, yes) == 0;
	return RC_OK;
}

static enum rc
take_renew_if(struct reading *r, char *value)
{
	char *word;

	r->map->same_dn = r->map->cn_is_address = false;
	while ((word = take_word(&value))) {
		if (strcmp(word, "same-dn") == 0)
			r->map->same_dn = true;
		else if (strcmp(word, "cn-is-address") == 0)
			r->map->cn_is_address = true;
		else
			return refuse(r, "renew-if: same-dn, cn-is-address");
	}
	return RC_OK;
}

static enum rc
take_any(struct reading *r, const char *what)
{
	if (strcmp(what, "serial") == 0)
		r->map->any_serial = true;
	else if (strcmp(what, "state") == 0)
		r->map->any_state = true;
	else
		return refuse(r, "any: serial or state");
	return RC_OK;
}

static enum rc
take_state(struct reading *r, const char *name, const char *value)
{
	if (!name || (strcmp(name, "valid") != 0 && strcmp(name, "revoked") != 0 &&
			     strcmp(name, "expired") != 0))
		return refuse(r, "state: valid, revoked or expired");
	return add_pair(r, r->map->states, &r->map->n_states, name, value);
}

static enum rc
take_ignore(struct reading *r, const char *name, const char *value)
{
	size_t n;

	if (!name || !take_number(name, TSV_MAX_COLUMNS, &n))
		return refuse(r, "ignore: a number from 1 to %d", TSV_MAX_COLUMNS);
	return add_pair(r, r->map->ignores, &r->map->n_ignores, name, value);
}

/* A setting with a name: "key name… = value". RC_NONE: KEY has none. HEAD is what stands between
 * the key and "=". */
static enum rc
take_named(struct reading *r, const char *key, char *head, char *value)
{
	struct bulk_map *map = r->map;
	char *rest = head;

	if (strcmp(key, "column") == 0)
		return take_column(r, head, value);
	if (strcmp(key, "set") == 0)
		return add_pair(r, map->sets, &map->n_sets, take_word(&rest), value);
	if (strcmp(key, "reason") == 0)
		return add_pair(r, map->reasons, &map->n_reasons, take_word(&rest), value);
	if (strcmp(key, "allow") == 0)
		return add_pair(r, map->allows, &map->n_allows, take_word(&rest), value);
	if (strcmp(key, "state") == 0)
		return take_state(r, take_word(&rest), value);
	if (strcmp(key, "ignore") == 0)
		return take_ignore(r, take_word(&rest), value);
	return *head ? refuse(r, "%.40s takes no name", key) : RC_NONE;
}

static enum rc
take_setting(struct reading *r, const char *key, char *head, char *value)
{
	struct bulk_map *map = r->map;
	enum rc rc = take_named(r, key, head, value);

	if (rc != RC_NONE)
		return rc;
	if (strcmp(key, "form") == 0)
		return take_form(r, value);
	if (strcmp(key, "charset") == 0)
		return take_choice(r, key, value, "utf-8", "cp932", &map->style.cp932);
	if (strcmp(key, "line-end") == 0)
		return take_choice(r, key, value, "lf", "crlf", &map->style.crlf);
	if (strcmp(key, "last-line-end") == 0)
		return take_choice(r, key, value, "no", "yes", &map->last_line_end);
	if (strcmp(key, "header") == 0)
		return take_choice(r, key, value, "no", "yes", &map->header);
	if (strcmp(key, "renew-if") == 0)
		return take_renew_if(r, value);
	if (strcmp(key, "any") == 0)
		return take_any(r, value);
	if (strcmp(key, "dn-max") == 0)
		return take_number(value, TSV_MAX_FIELD, &map->dn_max)
			       ? RC_OK
			       : refuse(r, "dn-max: a number of characters");
	if (strcmp(key, "dn") == 0)
		map->dn = value;
	else if (strcmp(key, "comment-needed") == 0)
		map->comment_needed = value;
	else if (strcmp(key, "otherwise") == 0)
		map->otherwise = value;
	else if (strcmp(key, "issuer") == 0)
		map->issuer = value;
	else
		return refuse(r, "unknown setting \"%.40s\"", key);
	return RC_OK;
}

/* Without blanks at both ends. */
static char *
trim(char *p)
{
	size_t n;

	p += strspn(p, " \t");
	n = strlen(p);
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r'))
		p[--n] = 0;
	return p;
}

static enum rc
take_line(struct reading *r, char *line)
{
	char *equals, *key, *head, *value;

	line = trim(line);
	if (!*line || *line == '#')
		return RC_OK;
	/* "max=64" is an option: the sign that counts stands between blanks. */
	equals = strstr(line, " = ");
	if (!equals && strlen(line) > 2 && strcmp(line + strlen(line) - 2, " =") == 0)
		equals = line + strlen(line) - 2;
	if (!equals)
		return refuse(r, "no \" = \" in the line");
	*equals = 0;
	value = equals[1] && equals[2] ? trim(equals + 3) : equals + 2;
	head = line;
	key = take_word(&head);
	if (!key)
		return refuse(r, "nothing before \" = \"");
	return take_setting(r, key, trim(head), value);
}

/* What a form cannot do without. */
static enum rc
check_whole(const struct reading *r)
{
	const struct bulk_map *map = r->map;

	if (map->form == BULK_STATUS) {
		if (!bulk_map_column(map, "address") && !bulk_map_column(map, "dn"))
			return refuse(r, "a list needs a column for the address or the dn");
		return RC_OK;
	}
	if (map->n_columns == 0)
		return refuse(r, "no column is named");
	if (map->form == BULK_REVOKE && map->n_reasons == 0)
		return refuse(r, "no reason is named");
	return RC_OK;
}

enum rc
bulk_map_parse(
	const char *text, size_t len, const char *name, struct bulk_map *out, struct err *err)
{
	struct reading r = {.map = out, .name = name, .err = err};
	enum rc rc = RC_OK;
	char *p;

	*out = (struct bulk_map){.style = {.cp932 = true, .crlf = true},
		.last_line_end = true,
		.same_dn = true,
		.cn_is_address = true};
	if (len > BULK_MAP_BYTES)
		return err_set(err, ERR_CONFIG, "%s: more than %d bytes", name, BULK_MAP_BYTES);
	if (memchr(text, 0, len) || !utf8_is_valid(text, len))
		return err_set(err, ERR_CONFIG, "%s: no UTF-8 text", name);
	p = out->text = strndup(text, len);
	if (!p)
		return err_set(err, ERR_MEMORY, "%s", name);
	while (rc == RC_OK && *p) {
		char *end = p + strcspn(p, "\n");
		bool last = !*end;

		r.line++;
		*end = 0;
		rc = take_line(&r, p);
		p = last ? end : end + 1;
	}
	if (rc == RC_OK)
		rc = check_whole(&r);
	if (rc != RC_OK)
		bulk_map_fini(out);
	return rc;
}

void
bulk_map_fini(struct bulk_map *map)
{
	free(map->text);
	*map = (struct bulk_map){.text = NULL};
}

/* RC_NONE: no such file. */
static enum rc
load_file(const char *path, struct bulk_map *out, struct err *err)
{
	struct buf file = BUF_INIT(BULK_MAP_BYTES);
	enum rc rc = file_read(path, &file, err);

	if (rc == RC_OK)
		rc = bulk_map_parse(buf_text(&file), file.len, path, out, err);
	buf_fini(&file);
	return rc;
}

enum rc
bulk_map_load(const char *dir, const char *name, struct bulk_map *out, struct err *err)
{
	const char *const places[] = {dir, PKGDATADIR};
	size_t len = strlen(name);
	char path[4096];
	enum rc rc = RC_NONE;

	*out = (struct bulk_map){.text = NULL};
	if (strchr(name, '/') || (len > 5 && strcmp(name + len - 5, ".conf") == 0)) {
		rc = load_file(name, out, err);
		return rc == RC_NONE ? err_set(err, ERR_CONFIG, "%s is not there", name) : rc;
	}
	for (size_t i = 0; rc == RC_NONE && i < 2; i++) {
		snprintf(path, sizeof(path), "%s/bulk/%s.conf", places[i], name);
		rc = load_file(path, out, err);
	}
	return rc == RC_NONE
		       ? err_set(err, ERR_CONFIG, "no form \"%s\": neither %s/bulk/%s.conf nor %s",
				 name, dir, name, path)
		       : rc;
}
