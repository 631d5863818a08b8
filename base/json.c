/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

void
json_init(struct json *json, struct buf *out)
{
	*json = (struct json){.out = out, .rc = RC_OK};
}

/* Appends unless something failed before. */
static void
put(struct json *json, const char *text, size_t len)
{
	if (json->rc == RC_OK)
		json->rc = buf_append(json->out, text, len, NULL);
}

size_t
json_utf8_length(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned lead = p[0], second;
	size_t n;

	if (lead < 0x80)
		return 1;
	n = lead >= 0xc2 && lead <= 0xdf   ? 2
	    : lead >= 0xe0 && lead <= 0xef ? 3
	    : lead >= 0xf0 && lead <= 0xf4 ? 4
					   : 0;
	if (!n || n > len)
		return 0;
	second = p[1];
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
		(lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
		return 0;
	return n;
}

/* How many bytes from P on are ASCII that stands for itself. */
static size_t
plain_length(const unsigned char *p, size_t len)
{
	const uint64_t ones = 0x0101010101010101, high = ones << 7;
	size_t n = 0;
	uint64_t v;

	/* Eight at a time: none has its high bit set, is below a blank, or is one of the three. The
	 * high bit of (v ^ x) - 1 tells that a byte is x, wrongly at worst, never wrongly not. */
	for (; n + 8 <= len; n += 8) {
		memcpy(&v, p + n, 8);
		if ((v | (v - ones * ' ') | ((v ^ ones * '"') - ones) | ((v ^ ones * '\\') - ones) |
			    ((v ^ ones * 127) - ones)) &
			high)
			break;
	}
	while (n < len && p[n] >= ' ' && p[n] < 127 && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

/* The character at P, which may not stand for itself; returns its length. What is no UTF-8 is
 * replaced. */
static size_t
put_special(struct json *json, const unsigned char *p, size_t len)
{
	size_t n = json_utf8_length((const char *)p, len);
	char escape[8];

	if (!n) {
		put(json, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (*p == '"' || *p == '\\') {
		escape[0] = '\\';
		escape[1] = (char)*p;
		put(json, escape, 2);
	} else if (*p < ' ' || *p == 127) {
		put(json, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", *p));
	} else {
		put(json, (const char *)p, n);
	}
	return n;
}

/* A string in its quotes. */
static void
put_string(struct json *json, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	/* Room for all of it at once, when it stands for itself. */
	if (plain_length(p, len) == len && json->rc == RC_OK) {
		json->rc = buf_reserve(json->out, len + 2, NULL);
		if (json->rc == RC_OK) {
			char *to = json->out->data + json->out->len;

			*to = '"';
			memcpy(to + 1, text, len);
			to[len + 1] = '"';
			to[len + 2] = '\0';
			json->out->len += len + 2;
		}
		return;
	}
	put(json, "\"", 1);
	while (len) {
		size_t n = plain_length(p, len);

		if (n) {
			put(json, (const char *)p, n);
			p += n;
			len -= n;
			continue;
		}
		n = put_special(json, p, len);
		p += n;
		len -= n;
	}
	put(json, "\"", 1);
}

/* The comma before a value, and its name: nearly always one that is put as a whole. */
static void
begin_value(struct json *json, const char *key)
{
	size_t len = key ? strlen(key) : 0, at = 0;
	char text[40];

	if (json->comma)
		text[at++] = ',';
	json->comma = true;
	if (key && len < sizeof text - 4 && plain_length((const unsigned char *)key, len) == len) {
		text[at++] = '"';
		memcpy(text + at, key, len);
		at += len;
		text[at++] = '"';
		text[at++] = ':';
		key = NULL;
	}
	put(json, text, at);
	if (key) {
		put_string(json, key, len);
		put(json, ":", 1);
	}
}

/* Opens an object or array. */
static void
open_value(struct json *json, const char *key, const char *bracket)
{
	begin_value(json, key);
	put(json, bracket, 1);
	json->comma = false;
	json->depth++;
}

/* Closes it. */
static void
close_value(struct json *json, const char *bracket)
{
	if (!json->depth) {
		json->rc = RC_TEMP;
		return;
	}
	json->depth--;
	put(json, bracket, 1);
	json->comma = true;
}

void
json_object(struct json *json, const char *key)
{
	open_value(json, key, "{");
}

void
json_object_end(struct json *json)
{
	close_value(json, "}");
}

void
json_array(struct json *json, const char *key)
{
	open_value(json, key, "[");
}

void
json_array_end(struct json *json)
{
	close_value(json, "]");
}

void
json_str(struct json *json, const char *key, const char *text)
{
	if (text)
		json_strn(json, key, text, strlen(text));
}

void
json_strn(struct json *json, const char *key, const char *text, size_t len)
{
	begin_value(json, key);
	put_string(json, text, len);
}

void
json_int(struct json *json, const char *key, int64_t n)
{
	char text[24], *p = text + sizeof text;
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	do
		*--p = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (n < 0)
		*--p = '-';
	begin_value(json, key);
	put(json, p, (size_t)(text + sizeof text - p));
}

void
json_bool(struct json *json, const char *key, bool b)
{
	begin_value(json, key);
	put(json, b ? "true" : "false", b ? 4 : 5);
}

void
json_null(struct json *json, const char *key)
{
	begin_value(json, key);
	put(json, "null", 4);
}

void
json_hex(struct json *json, const char *key, const void *data, size_t len)
{
	begin_value(json, key);
	put(json, "\"", 1);
	if (json->rc == RC_OK)
		json->rc = buf_append_hex(json->out, data, len, NULL);
	put(json, "\"", 1);
}

void
json_time(struct json *json, const char *key, int64_t seconds)
{
	char text[CLOCK_TEXT_SIZE];

	json_str(json, key, clock_format(seconds, text));
}

enum rc
json_end(struct json *json, struct err *err)
{
	if (json->rc || json->depth)
		return err_set(err, ERR_INTERNAL, "a JSON text could not be written");
	return RC_OK;
}
