/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "cli/logline.h"

#include "base/clock.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDENT "sealgate-milter["

/* "Nov 22 01:53:22": this year's, or last year's when that is still to come. */
static int64_t
parse_syslog_time(const char *text, int64_t now)
{
	time_t t = (time_t)now, when;
	struct tm tm, today;

	localtime_r(&t, &today);
	for (int back = 0; back < 2; back++) {
		memset(&tm, 0, sizeof(tm));
		if (!strptime(text, "%b %e %H:%M:%S", &tm))
			return -1;
		tm.tm_year = today.tm_year - back;
		tm.tm_isdst = -1;
		when = mktime(&tm);
		if (when != (time_t)-1 && when <= (time_t)now + 86400)
			return (int64_t)when;
	}
	return -1;
}

/* RFC 3339; journalctl writes offsets without a colon. */
static int64_t
parse_iso_time(const char *text, size_t len)
{
	char copy[48];
	int64_t seconds;

	if (len + 2 > sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (len > 5 && (copy[len - 5] == '+' || copy[len - 5] == '-')) {
		memmove(copy + len - 1, copy + len - 2, 3);
		copy[len - 2] = ':';
	}
	return clock_parse(copy, &seconds, NULL) == RC_OK ? seconds : -1;
}

int64_t
logline_time(const char *line, int64_t now)
{
	size_t len = strcspn(line, " ");

	if (!isdigit((unsigned char)*line))
		return parse_syslog_time(line, now);
	if (memchr(line, 'T', len))
		return parse_iso_time(line, len);
	return strspn(line, "0123456789.") == len ? (int64_t)atoll(line) : -1;
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Undoes base/log.c's quoting in place; gives what follows, or NULL when it does not end. */
static char *
unquote(char *p)
{
	char *out = p;

	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
			*out++ = (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
			p += 3;
		} else {
			if (*p == '\\' && p[1])
				p++;
			*out++ = *p;
		}
	}
	if (!*p)
		return NULL;
	*out = '\0';
	return p + 1;
}

/* One pair at P; gives what follows, or NULL when there is none. */
static char *
take_pair(char *p, struct logline *out)
{
	char *key = p, *value = strchr(p, '=');

	if (!value || value == key || out->n == LOGLINE_MAX_PAIRS)
		return NULL;
	*value++ = '\0';
	if (*value == '"') {
		p = unquote(value);
		if (!p)
			return NULL;
	} else {
		p = value + strcspn(value, " \n");
	}
	out->pairs[out->n].key = key;
	out->pairs[out->n++].value = value;
	if (*p)
		*p++ = '\0';
	return p + strspn(p, " \n");
}

bool
logline_parse(char *line, int64_t now, struct logline *out)
{
	char *p = strstr(line, IDENT), *next;
	const char *equals = strchr(line, '=');

	out->n = 0;
	/* The journal puts its own before ours, when the daemon logs on standard error. */
	while (p && equals && (next = strstr(p + 1, IDENT)) && next < equals)
		p = next;
	p = p ? strstr(p, "]: ") : NULL;
	if (!p)
		return false;
	out->time = logline_time(line, now);
	p += 3;
	if (strcspn(p, " ") < strcspn(p, "=")) /* the level, on standard error */
		p += strcspn(p, " ") + 1;
	while (p && *p)
		p = take_pair(p, out);
	return out->n > 0;
}

const char *
logline_get(const struct logline *line, const char *key)
{
	for (size_t i = 0; i < line->n; i++)
		if (strcmp(line->pairs[i].key, key) == 0)
			return line->pairs[i].value;
	return NULL;
}
