/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/bulk_status.h"

#include "base/clock.h"
#include "cli/bulk_form.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name, *text;
} findings[BULK_FINDINGS] = {
	[BULK_NO_KEY] = {"no-key", "a certificate at the service, no key here: import its PKCS#12"},
	[BULK_NOT_LISTED] = {"not-listed", "an active key here, not in the list"},
	[BULK_SERIAL] = {"serial-differs", "another certificate at the service than here"},
	[BULK_REVOKED_THERE] = {"revoked-there", "revoked at the service, active here: key revoke"},
	[BULK_EXPIRED_THERE] = {"expired-there", "expired at the service, active here: renew it"},
	[BULK_REVOKED_HERE] = {"revoked-here",
		"revoked here, valid at the service: revoke it there"},
	[BULK_OLD_KEY] = {"old-key-missing",
		"a former certificate whose key is not here: mail for it cannot be opened"},
	[BULK_NO_ADDRESS] = {"no-address", "a row without a mail address"},
};

const char *
bulk_finding_name(enum bulk_finding_kind kind)
{
	return findings[kind].name;
}

const char *
bulk_finding_text(enum bulk_finding_kind kind)
{
	return findings[kind].text;
}

/* Hexadecimal digits alone, lower-case, without leading zeros; false when there is anything else.
 */
static bool
plain_hex(const char *text, char out[256])
{
	size_t n = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (; *text; text++) {
		if (*text == ':' || *text == ' ')
			continue;
		if (!isxdigit((unsigned char)*text) || n >= 200)
			return false;
		if (n == 0 && *text == '0' && text[1])
			continue;
		out[n++] = (char)tolower((unsigned char)*text);
	}
	out[n] = 0;
	return n > 0;
}

bool
bulk_same_serial(const char *hex, const char *text)
{
	char ours[256], theirs[256], digits[256];

	if (!plain_hex(hex, ours) || !plain_hex(text, theirs))
		return false;
	return strcmp(ours, theirs) == 0 ||
	       (bulk_serial_dec(ours, digits) && strcmp(digits, theirs) == 0);
}

/* A row of the list, read. */
struct listed {
	const struct tsv_row *row;
	const char *addr;   /* "" when there is none */
	const char *serial; /* NULL: the map names no column */
	enum bulk_state state;
};

static bool
row_has_serial(const struct bulk_map *map, const struct tsv_row *row, const char *hex)
{
	size_t column = bulk_map_column(map, "serial");

	if (column)
		return bulk_same_serial(hex, tsv_field(row, column));
	/* A short number would be found by chance. */
	for (size_t i = 1; map->any_serial && strlen(hex) >= 8 && i <= row->n; i++)
		if (bulk_same_serial(hex, tsv_field(row, i)))
			return true;
	return false;
}

/* "2026/11/22 10:00:00", "2026-11-22…", "20261122…": the end of that day; false when it is none. */
static bool
parse_day(const char *text, int64_t *end)
{
	char digits[9], date[16];
	size_t n = 0;

	for (; *text && n < 8; text++) {
		if (isdigit((unsigned char)*text))
			digits[n++] = *text;
		else if (*text != '/' && *text != '-' && *text != '.')
			return false;
		else if (n < 4 || (n > 4 && n < 6))
			return false;
	}
	if (n != 8)
		return false;
	digits[8] = 0;
	snprintf(date, sizeof(date), "%.4s-%.2s-%.2s", digits, digits + 4, digits + 6);
	if (clock_parse(date, end, NULL) != RC_OK)
		return false;
	*end += 86400;
	return true;
}

static enum bulk_state
state_of_word(const struct bulk_map *map, const char *text)
{
	for (size_t i = 0; *text && i < map->n_states; i++)
		if (bulk_word_in(map->states[i].value, text))
			return strcmp(map->states[i].name, "valid") == 0     ? BULK_VALID
			       : strcmp(map->states[i].name, "revoked") == 0 ? BULK_REVOKED
									     : BULK_EXPIRED;
	return BULK_UNKNOWN;
}

static enum bulk_state
row_state(const struct bulk_map *map, const struct tsv_row *row, int64_t now)
{
	size_t column = bulk_map_column(map, "state"), day = bulk_map_column(map, "not-after");
	enum bulk_state state = BULK_UNKNOWN;
	int64_t end;

	if (column)
		state = state_of_word(map, tsv_field(row, column));
	for (size_t i = 1; !column && map->any_state && state == BULK_UNKNOWN && i <= row->n; i++)
		state = state_of_word(map, tsv_field(row, i));
	if (day && state != BULK_REVOKED && parse_day(tsv_field(row, day), &end))
		state = end <= now ? BULK_EXPIRED : state == BULK_UNKNOWN ? BULK_VALID : state;
	return state;
}

static bool
is_ignored(const struct bulk_map *map, const struct tsv_row *row)
{
	for (size_t i = 0; i < map->n_ignores; i++)
		if (bulk_word_in(map->ignores[i].value,
			    tsv_field(row, strtoul(map->ignores[i].name, NULL, 10))))
			return true;
	return false;
}

struct comparing {
	const struct bulk_map *map;
	const struct bulk_keys *keys;
	struct bulk_report *report;
	size_t room, texts_used;
	struct err *err;
};

static enum rc
add(struct comparing *c, enum bulk_finding_kind kind, const struct listed *listed, const char *addr,
	const struct bulk_key *key)
{
	struct bulk_report *report = c->report;

	if (report->n == c->room) {
		size_t room = c->room * 2 + 64;
		void *more = realloc(report->v, room * sizeof(*report->v));

		if (!more)
			return err_set(c->err, ERR_MEMORY, "findings");
		report->v = more;
		c->room = room;
	}
	report->v[report->n++] = (struct bulk_finding){
		.kind = kind,
		.addr = addr,
		.key = key ? key->id : NULL,
		.serial = key ? key->serial : NULL,
		.listed = listed ? listed->serial : NULL,
		.line = listed ? listed->row->line : 0,
	};
	return RC_OK;
}

/* The address of a row: its own column, or the CN of its name. */
static const char *
row_addr(struct comparing *c, const struct tsv_row *row)
{
	size_t column = bulk_map_column(c->map, "address"),
	       dn_column = bulk_map_column(c->map, "dn");
	const char *addr = column ? tsv_field(row, column) : "", *cn, *text;
	struct dn dn;
	char *to = c->report->texts + c->texts_used;

	if (strchr(addr, '@') || !dn_column)
		return addr;
	text = tsv_field(row, dn_column);
	if (dn_parse(text, strlen(text), &dn, NULL) != RC_OK)
		return "";
	cn = dn_get(&dn, "CN");
	to[0] = 0;
	if (cn && strchr(cn, '@')) {
		strcpy(to, cn); /* no longer than the name that it is out of */
		c->texts_used += strlen(cn) + 1;
	}
	dn_fini(&dn);
	return to;
}

/* The key of that address that the row is about; *n: how many keys the address has. */
static const struct bulk_key *
find_key(struct comparing *c, const struct listed *listed, size_t *n, const struct bulk_key **any)
{
	size_t first = bulk_keys_of(c->keys, listed->addr, n);
	bool serials = bulk_map_column(c->map, "serial") || c->map->any_serial;
	const struct bulk_key *best = NULL;

	*any = NULL;
	for (size_t i = first; i < first + *n; i++) {
		const struct bulk_key *key = &c->keys->v[c->keys->owners[i].key];

		if (!bulk_key_is_from(c->keys, key, c->map->issuer))
			continue;
		if (!*any || bulk_key_is_active(key))
			*any = key;
		if (serials && row_has_serial(c->map, listed->row, key->serial))
			best = key;
	}
	return serials ? best : *any;
}

static enum rc
compare_row(struct comparing *c, const struct listed *listed)
{
	const struct bulk_key *key, *any;
	enum bulk_finding_kind kind;
	size_t n;

	if (!strchr(listed->addr, '@'))
		return add(c, BULK_NO_ADDRESS, listed, "", NULL);
	key = find_key(c, listed, &n, &any);
	if (key)
		c->report->marks[key - c->keys->v] = 1;
	if (!key && (listed->state == BULK_REVOKED || listed->state == BULK_EXPIRED))
		return add(c, BULK_OLD_KEY, listed, listed->addr, NULL);
	if (!key && any)
		c->report->marks[any - c->keys->v] = 1; /* said with this row */
	if (!key)
		return add(c, any ? BULK_SERIAL : BULK_NO_KEY, listed, listed->addr, any);
	if (bulk_key_is_active(key) && listed->state == BULK_REVOKED)
		kind = BULK_REVOKED_THERE;
	else if (bulk_key_is_active(key) && listed->state == BULK_EXPIRED)
		kind = BULK_EXPIRED_THERE;
	else if (strcmp(key->status, "revoked") == 0 && listed->state == BULK_VALID)
		kind = BULK_REVOKED_HERE;
	else {
		c->report->same++;
		return RC_OK;
	}
	return add(c, kind, listed, listed->addr, key);
}

/* Active keys with a certificate of the service that no row was about. */
static enum rc
add_not_listed(struct comparing *c)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < c->keys->n; i++) {
		const struct bulk_key *key = &c->keys->v[i];
		const char *addr = key->addrs && json_count(key->addrs)
					   ? json_text(json_at(key->addrs, 0))
					   : "";

		if (!c->report->marks[i] && bulk_key_is_active(key) &&
			bulk_key_is_from(c->keys, key, c->map->issuer))
			rc = add(c, BULK_NOT_LISTED, NULL, addr, key);
	}
	return rc;
}

enum rc
bulk_compare(const struct bulk_map *map, const struct tsv *list, const struct bulk_keys *keys,
	int64_t now, struct bulk_report *out, struct err *err)
{
	struct comparing c = {.map = map, .keys = keys, .report = out, .err = err};
	size_t serial = bulk_map_column(map, "serial"), dn = bulk_map_column(map, "dn"), texts = 1;
	enum rc rc = RC_OK;

	*out = (struct bulk_report){.n = 0};
	for (size_t i = 0; dn && i < list->n; i++)
		texts += strlen(tsv_field(&list->rows[i], dn)) + 1;
	out->marks = calloc(keys->n + 1, 1);
	out->texts = malloc(texts);
	if (!out->marks || !out->texts)
		rc = err_set(err, ERR_MEMORY, "a comparison");
	for (size_t i = map->header ? 1 : 0; rc == RC_OK && i < list->n; i++) {
		const struct tsv_row *row = &list->rows[i];
		struct listed listed = {.row = row};

		out->rows++;
		if (is_ignored(map, row)) {
			out->ignored++;
			continue;
		}
		listed.addr = row_addr(&c, row);
		listed.serial = serial ? tsv_field(row, serial) : NULL;
		listed.state = row_state(map, row, now);
		rc = compare_row(&c, &listed);
	}
	if (rc == RC_OK)
		rc = add_not_listed(&c);
	if (rc != RC_OK)
		bulk_report_fini(out);
	return rc;
}

void
bulk_report_fini(struct bulk_report *report)
{
	free(report->v);
	free(report->marks);
	free(report->texts);
	*report = (struct bulk_report){.n = 0};
}

const struct tsv_row *
bulk_find_serial(
	const struct bulk_map *map, const struct tsv *list, const char *addr, const char *serial)
{
	size_t column = bulk_map_column(map, "address");

	for (size_t i = map->header ? 1 : 0; i < list->n; i++)
		if ((!column || strcasecmp(tsv_field(&list->rows[i], column), addr) == 0) &&
			row_has_serial(map, &list->rows[i], serial))
			return &list->rows[i];
	return NULL;
}
