/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/bulk_form.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD_MAX 8192
#define DEPTH     4 /* of words within words */

static size_t
count_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

bool
bulk_serial_dec(const char *hex, char out[256])
{
	char digits[256] = {0}; /* lowest first */
	size_t n = 1;

	if (!*hex || strlen(hex) > 160)
		return false;
	for (; *hex; hex++) {
		int carry = isdigit((unsigned char)*hex) ? *hex - '0'
			    : isxdigit((unsigned char)*hex)
				    ? tolower((unsigned char)*hex) - 'a' + 10
				    : -1;

		if (carry < 0)
			return false;
		for (size_t i = 0; i < n; i++) {
			carry += digits[i] * 16;
			digits[i] = (char)(carry % 10);
			carry /= 10;
		}
		for (; carry; carry /= 10)
			digits[n++] = (char)(carry % 10);
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (char)('0' + digits[n - 1 - i]);
	out[n] = 0;
	return true;
}

static size_t
people_column(const struct tsv *people, const char *name)
{
	for (size_t i = 0; people && people->n > 0 && i < people->rows[0].n; i++)
		if (strcasecmp(people->rows[0].v[i], name) == 0)
			return i + 1;
	return 0;
}

enum rc
bulk_check_people(const struct tsv *people, const char *name, struct err *err)
{
	if (people_column(people, "address"))
		return RC_OK;
	return err_set(err, ERR_USAGE,
		"%s: the first row names the columns, and none is \"address\"", name);
}

const struct tsv_row *
bulk_find_person(const struct tsv *people, const char *addr, size_t *hint)
{
	size_t column = people_column(people, "address");

	for (size_t i = 0; column && i < people->n; i++) {
		size_t at = (*hint + i) % people->n;

		if (at == 0 || strcasecmp(tsv_field(&people->rows[at], column), addr) != 0)
			continue;
		*hint = at + 1;
		return &people->rows[at];
	}
	return NULL;
}

static enum rc make_dn(const struct bulk_map *map, const struct bulk_facts *facts, int depth,
	struct buf *text, struct dn *dn, struct err *err);

/* What is known of the row itself; RC_NONE: WORD is no fact. */
static enum rc
add_fact(const struct bulk_map *map, const struct bulk_facts *facts, const char *word, int depth,
	struct buf *out, struct err *err)
{
	const char *at = facts->addr ? strrchr(facts->addr, '@') : NULL;
	const struct {
		const char *word, *value;
	} plain[] = {
		{"address", facts->addr},
		{"domain", at ? at + 1 : NULL},
		{"key", facts->key},
		{"serial", facts->serial},
		{"subject", facts->subject},
		{"reason", facts->reason},
		{"comment", facts->comment},
	};
	char digits[256];

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (strcmp(plain[i].word, word) == 0)
			return buf_append_str(out, plain[i].value ? plain[i].value : "", err);
	if (strcmp(word, "local") == 0)
		return buf_append(out, facts->addr, at ? (size_t)(at - facts->addr) : 0, err);
	if (strcmp(word, "dn") == 0)
		return make_dn(map, facts, depth + 1, out, NULL, err);
	if (strcmp(word, "serial-dec") == 0)
		return buf_append_str(out,
			facts->serial && bulk_serial_dec(facts->serial, digits) ? digits : "", err);
	if (strcmp(word, "serial-upper") == 0) {
		for (const char *p = facts->serial ? facts->serial : ""; *p; p++)
			if (buf_append_char(out, (char)toupper((unsigned char)*p), err) != RC_OK)
				return RC_TEMP;
		return RC_OK;
	}
	return RC_NONE;
}

static enum rc fill(const struct bulk_map *map, const struct bulk_facts *facts,
	const char *template, bool in_name, int depth, struct buf *out, struct err *err);

static enum rc
add_word(const struct bulk_map *map, const struct bulk_facts *facts, const char *word, int depth,
	struct buf *out, struct err *err)
{
	enum rc rc = add_fact(map, facts, word, depth, out, err);
	const char *set = bulk_pair_find(map->sets, map->n_sets, word), *value = NULL;
	size_t column;

	if (rc != RC_NONE)
		return rc;
	column = people_column(facts->people, word);
	if (column && facts->person)
		value = tsv_field(facts->person, column);
	if (value && *value)
		return buf_append_str(out, value, err);
	if (set)
		return fill(map, facts, set, false, depth + 1, out, err);
	if (strcmp(word, "name") == 0)
		return buf_append_str(out, facts->name ? facts->name : "", err);
	if (column)
		return RC_OK; /* known, and empty for this person */
	return err_set(err, ERR_CONFIG,
		"{%.60s} is neither set in the form nor a column of the --people file", word);
}

static enum rc
fill(const struct bulk_map *map, const struct bulk_facts *facts, const char *template, bool in_name,
	int depth, struct buf *out, struct err *err)
{
	struct buf value = BUF_INIT(FIELD_MAX);
	char word[64];
	enum rc rc = RC_OK;

	if (depth > DEPTH)
		return err_set(err, ERR_CONFIG, "{words} within words, without an end");
	while (rc == RC_OK && *template) {
		size_t n = strcspn(template, "{"), len;

		rc = buf_append(out, template, n, err);
		template += n;
		if (rc != RC_OK || !*template)
			break;
		len = strcspn(template + 1, "}");
		if (!template[1 + len] || len == 0 || len >= sizeof(word)) {
			rc = err_set(err, ERR_CONFIG, "\"%.40s\": no word in braces", template);
			break;
		}
		memcpy(word, template + 1, len);
		word[len] = 0;
		template += len + 2;
		buf_clear(&value);
		rc = add_word(map, facts, word, depth, &value, err);
		if (rc == RC_OK)
			rc = in_name ? dn_escape(buf_text(&value), out, err)
				     : buf_append(out, value.data, value.len, err);
	}
	buf_fini(&value);
	return rc;
}

/* Characters that the service takes in a part of the name. */
static enum rc
check_allowed(const struct bulk_map *map, const struct dn *dn, struct err *err)
{
	for (size_t i = 0; i < dn->n; i++) {
		const char *more = bulk_pair_find(map->allows, map->n_allows, dn->v[i].type);

		for (const char *p = dn->v[i].value; more && *p; p++) {
			unsigned char c = (unsigned char)*p;
			size_t n = 1;

			if (c == ' ' || (c < 0x80 && (isalnum(c) || strchr(more, c))))
				continue;
			while (((unsigned char)p[n] & 0xc0) == 0x80)
				n++;
			return err_set(err, ERR_USAGE,
				"the name has \"%.*s\" in %s=%.100s, which the "
				"service does not take",
				(int)n, p, dn->v[i].type, dn->v[i].value);
		}
	}
	return RC_OK;
}

static enum rc
make_dn(const struct bulk_map *map, const struct bulk_facts *facts, int depth, struct buf *text,
	struct dn *dn, struct err *err)
{
	struct buf out = BUF_INIT(FIELD_MAX);
	struct dn parsed = {.n = 0};
	enum rc rc = map->dn ? fill(map, facts, map->dn, true, depth, &out, err)
			     : err_set(err, ERR_CONFIG, "the form has no setting dn");

	if (rc == RC_OK && (rc = dn_parse(buf_text(&out), out.len, &parsed, err)) != RC_OK)
		err_prefix(err, "the name \"%.100s\"", buf_text(&out));
	if (rc == RC_OK && map->dn_max && count_characters(buf_text(&out)) > map->dn_max)
		rc = err_set(err, ERR_USAGE,
			"the name has %zu characters, and %zu are allowed: %.120s",
			count_characters(buf_text(&out)), map->dn_max, buf_text(&out));
	if (rc == RC_OK)
		rc = check_allowed(map, &parsed, err);
	if (rc == RC_OK)
		rc = buf_append(text, out.data, out.len, err);
	if (rc == RC_OK && dn)
		*dn = parsed;
	else
		dn_fini(&parsed);
	buf_fini(&out);
	return rc;
}

enum rc
bulk_make_dn(const struct bulk_map *map, const struct bulk_facts *facts, struct buf *text,
	struct dn *dn, struct err *err)
{
	return make_dn(map, facts, 0, text, dn, err);
}

/* One field against what the map says of its column. */
static enum rc
check_field(const struct bulk_column *column, const char *text, struct err *err)
{
	if (column->required && !*text)
		return err_set(
			err, ERR_USAGE, "empty, and the form needs it: %.60s", column->template);
	if (column->max && count_characters(text) > column->max)
		return err_set(err, ERR_USAGE, "%zu characters, and %zu are allowed: %.100s",
			count_characters(text), column->max, text);
	for (const char *p = text; column->ascii && *p; p++)
		if ((unsigned char)*p > 0x7e)
			return err_set(err, ERR_USAGE, "only ASCII is allowed: %.100s", text);
	return RC_OK;
}

static enum rc
make_field(const struct bulk_map *map, const struct bulk_facts *facts, size_t row, size_t column,
	char **out, struct err *err)
{
	const struct bulk_column *of = &map->columns[column];
	struct buf field = BUF_INIT(FIELD_MAX);
	enum rc rc = of->template ? fill(map, facts, of->template, false, 0, &field, err) : RC_OK;

	if (rc == RC_OK)
		rc = check_field(of, buf_text(&field), err);
	if (rc != RC_OK && rc != RC_TEMP)
		rc = err_prefix(err, "row %zu, column %zu", row, column);
	*out = rc == RC_OK ? strdup(buf_text(&field)) : NULL;
	if (rc == RC_OK && !*out)
		rc = err_set(err, ERR_MEMORY, "a field");
	buf_fini(&field);
	return rc;
}

enum rc
bulk_append_row(const struct bulk_map *map, const struct bulk_facts *facts, size_t row,
	struct buf *out, struct err *err)
{
	char *fields[TSV_MAX_COLUMNS] = {NULL};
	size_t before = out->len;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < map->n_columns; i++)
		rc = make_field(map, facts, row, i + 1, &fields[i], err);
	if (rc == RC_OK)
		rc = tsv_append_row(&map->style, fields, map->n_columns, row, out, err);
	if (rc != RC_OK)
		out->len = before;
	for (size_t i = 0; i < map->n_columns; i++)
		free(fields[i]);
	return rc;
}

void
bulk_finish(const struct bulk_map *map, struct buf *out)
{
	if (map->last_line_end || out->len == 0)
		return;
	out->len -= map->style.crlf ? 2 : 1;
	out->data[out->len] = 0;
}

bool
bulk_may_renew(const struct bulk_map *map, const struct dn *new, const struct dn *old,
	const struct dn *subject, const char *addr, char why[256])
{
	const char *cn = dn_get(old ? old : subject, "CN");
	/* Since 2023 the certificate says the address alone, and the service's list the whole name.
	 */
	bool only_cn = !old && subject->n == 1;

	why[0] = 0;
	if (map->cn_is_address && (!cn || strcasecmp(cn, addr) != 0))
		snprintf(why, 256, "the CN of the old certificate is \"%.150s\", not the address",
			cn ? cn : "");
	else if (map->same_dn && !only_cn && !dn_same(old ? old : subject, new))
		snprintf(why, 256, "the name of the old certificate is another one");
	return why[0] == 0;
}
