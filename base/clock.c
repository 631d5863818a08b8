/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include <stdatomic.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static _Atomic int64_t fixed = -1; /* tests only */

void
clock_set(int64_t seconds)
{
	fixed = seconds < 0 ? -1 : seconds;
}

int64_t
clock_now_us(void)
{
	struct timespec ts;
	int64_t f = fixed;

	if (f >= 0)
		return f * 1000000;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_now(void)
{
	return clock_now_us() / 1000000;
}

int64_t
clock_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* N as COUNT digits at P; gives their end. */
static char *
put_digits(char *p, unsigned n, int count)
{
	for (int i = count - 1; i >= 0; i--, n /= 10)
		p[i] = (char)('0' + n % 10);
	return p + count;
}

/* The civil date of a day since 1970. Years are taken to begin in March, so that the day of a leap
 * year is the last one, and counted from the year 0, whose first day is 719468 days before. */
static char *
put_date(char *p, unsigned days)
{
	unsigned d = days + 719468, era = d / 146097, of_era = d % 146097;
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153; /* from March */
	unsigned day = of_year - (153 * month + 2) / 5 + 1;

	month = month < 10 ? month + 3 : month - 9;
	p = put_digits(p, year + 400 * era + (month <= 2), 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	return put_digits(p, day, 2);
}

const char *
clock_format(int64_t seconds, char out[CLOCK_TEXT_SIZE])
{
	bool fits = seconds >= 0 && seconds < 253402300800; /* the year 10000 */
	unsigned of_day = fits ? (unsigned)(seconds % 86400) : 0;
	char *p = put_date(out, fits ? (unsigned)(seconds / 86400) : 0);

	*p++ = 'T';
	p = put_digits(p, of_day / 3600, 2);
	*p++ = ':';
	p = put_digits(p, of_day / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, of_day % 60, 2);
	*p++ = 'Z';
	*p = '\0';
	return out;
}

const char *
clock_format_us(int64_t us, char out[CLOCK_TEXT_SIZE])
{
	char *p;

	clock_format(us / 1000000, out);
	p = out + strlen(out) - 1; /* over the Z */
	*p++ = '.';
	p = put_digits(p, us > 0 ? (unsigned)(us % 1000000) : 0, 6);
	*p++ = 'Z';
	*p = '\0';
	return out;
}

/* N digits at *P as a number, or -1; moves on. */
static int
digits(const char **p, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return -1;
		v = 10 * v + (**p - '0');
	}
	return v;
}

#define DAYS_TO_1970 865259 /* from 1 January four centuries before the year 1 */

/* Seconds since 1970 of a valid civil date and time, UTC; false when it is none. */
static bool
civil(int year, int month, int day, int hour, int min, int sec, int64_t *out)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int past = year + 399, of_year; /* whole years since the one four centuries before 1 */

	if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || min < 0 ||
		min > 59 || sec < 0 || sec > 60)
		return false;
	if (day > days[month - 1] + (month == 2 && leap))
		return false;
	of_year = before[month - 1] + (month > 2 && leap) + day - 1;
	*out = ((int64_t)past * 365 + past / 4 - past / 100 + past / 400 + of_year - DAYS_TO_1970) *
		       86400 +
	       hour * 3600 + min * 60 + sec;
	return true;
}

/* "Z" or "±hh:mm" as seconds east of UTC, moving on; false when it is neither. */
static bool
offset(const char **p, int64_t *seconds)
{
	int sign, hour, min;

	*seconds = 0;
	if (**p == 'Z' || **p == 'z') {
		(*p)++;
		return true;
	}
	if (**p != '+' && **p != '-')
		return false;
	sign = *(*p)++ == '-' ? -1 : 1;
	hour = digits(p, 2);
	if (**p == ':')
		(*p)++;
	min = digits(p, 2);
	if (hour < 0 || hour > 23 || min < 0 || min > 59)
		return false;
	*seconds = sign * (hour * 3600 + min * 60);
	return true;
}

/* The work of clock_parse without the message. */
static bool
parse_rfc3339(const char *p, int64_t *seconds)
{
	int year, month, day, hour = 0, min = 0, sec = 0;
	int64_t east = 0;

	year = digits(&p, 4);
	if (year < 0 || *p++ != '-')
		return false;
	month = digits(&p, 2);
	if (month < 0 || *p++ != '-')
		return false;
	day = digits(&p, 2);
	if (day < 0)
		return false;
	if (*p) {
		if (*p != 'T' && *p != 't' && *p != ' ')
			return false;
		p++;
		hour = digits(&p, 2);
		if (hour < 0 || *p++ != ':')
			return false;
		min = digits(&p, 2);
		if (min < 0 || *p++ != ':')
			return false;
		sec = digits(&p, 2);
		if (sec < 0)
			return false;
		if (*p == '.')
			for (p++; isdigit((unsigned char)*p); p++)
				;
		if (!offset(&p, &east) || *p)
			return false;
	}
	if (!civil(year, month, day, hour, min, sec, seconds))
		return false;
	*seconds -= east;
	return true;
}

enum rc
clock_parse(const char *text, int64_t *seconds, struct err *err)
{
	if (!parse_rfc3339(text, seconds))
		return err_set(err, ERR_USAGE,
			"not a time (RFC 3339, such as 2026-11-21T22:14:03Z): %.40s", text);
	return RC_OK;
}

static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

const char *
clock_format_mail(int64_t seconds, char out[40])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof tm);
	snprintf(out, 40, "%s, %02d %s %04d %02d:%02d:%02d +0000", day_names[tm.tm_wday],
		tm.tm_mday, month_names[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
	return out;
}

/* Obsolete zone names of RFC 5322 section 4.3; hours east, 0 for unknown ones as the RFC says. */
static int
zone_hours(const char *name)
{
	static const struct {
		const char *name;
		int hours;
	} zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6},
		{"PST", -8}, {"PDT", -7}};

	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
		if (strcasecmp(name, zones[i].name) == 0)
			return zones[i].hours;
	return 0;
}

/* Copies TEXT to OUT without comments, folding and runs of blanks; false when it is too long. */
static bool
flatten(const char *text, size_t len, char *out, size_t room)
{
	size_t n = 0;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '(')
			depth++;
		if (depth) {
			if (c == '\\')
				i++;
			else if (c == ')')
				depth--;
			continue;
		}
		if (c == '\r' || c == '\n' || c == '\t')
			c = ' ';
		if (c == ' ' && (!n || out[n - 1] == ' '))
			continue;
		if (n + 1 >= room || !c)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

/* A number of at most DIGITS digits behind blanks. */
static bool
take_number(const char **p, int digits, int *n)
{
	const char *s = *p;

	while (*s == ' ')
		s++;
	*p = s;
	for (*n = 0; s - *p < digits && *s >= '0' && *s <= '9'; s++)
		*n = *n * 10 + *s - '0';
	if (s == *p)
		return false;
	*p = s;
	return true;
}

/* A month by its name, from 1, behind blanks; 0 when it is none. */
static int
take_month(const char **p)
{
	while (**p == ' ')
		++*p;
	for (int m = 0; m < 12; m++)
		if (strncasecmp(*p, month_names[m], 3) == 0) {
			*p += 3;
			return m + 1;
		}
	return 0;
}

/* Seconds east of Greenwich; a zone that says nothing is UTC. */
static int64_t
take_zone(const char *p)
{
	char zone[8] = "";
	int64_t east = 0;

	while (*p == ' ')
		p++;
	for (size_t n = 0; *p && *p != ' ' && n + 1 < sizeof zone; n++)
		zone[n] = *p++;
	p = zone;
	if (*p != '+' && *p != '-')
		return zone_hours(zone) * 3600;
	return offset(&p, &east) ? east : 0;
}

enum rc
clock_parse_mail(const char *text, size_t len, int64_t *seconds, struct err *err)
{
	char flat[80];
	const char *p = flat, *comma;
	int day, month, year, hour, min, sec = 0;

	if (!flatten(text, len, flat, sizeof flat))
		return err_set(err, ERR_MSG_MALFORMED, "the Date: field is too long");
	comma = strchr(flat, ',');
	if (comma)
		p = comma + 1;
	if (!take_number(&p, 2, &day) || !(month = take_month(&p)) || !take_number(&p, 4, &year) ||
		!take_number(&p, 2, &hour) || *p++ != ':' || !take_number(&p, 2, &min))
		return err_set(err, ERR_MSG_MALFORMED, "the Date: field is not a date");
	if (*p == ':' && p[1] >= '0' && p[1] <= '9') {
		p++;
		(void)take_number(&p, 2, &sec);
	}
	if (year < 50)
		year += 2000;
	else if (year < 1000)
		year += 1900;
	if (!civil(year, month, day, hour, min, sec, seconds))
		return err_set(err, ERR_MSG_MALFORMED, "the Date: field is not a date");
	*seconds -= take_zone(p);
	return RC_OK;
}
