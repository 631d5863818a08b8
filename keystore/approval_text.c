/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * approval_text.c - the words that officers sign: what may stand in them
 */
#include "keystore/approval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define VALUE_MAX 2000 /* bytes of one line's value */

/* Ranges of characters that do not show, look like a blank, change the order of what stands beside
 * them, or have no meaning that two readers share. */
static const struct {
	unsigned long first, last;
} hidden[] = {
	{0x00, 0x1f},
	{0x7f, 0xa0},
	{0xad, 0xad},
	{0x34f, 0x34f},
	{0x61c, 0x61c},
	{0x115f, 0x1160},
	{0x1680, 0x1680},
	{0x17b4, 0x17b5},
	{0x180b, 0x180f},
	{0x2000, 0x200f},
	{0x2028, 0x202f},
	{0x205f, 0x206f},
	{0x2800, 0x2800},
	{0x3164, 0x3164},
	{0xd800, 0xf8ff},
	{0xfdd0, 0xfdef},
	{0xfe00, 0xfe0f},
	{0xfeff, 0xfeff},
	{0xffa0, 0xffa0},
	{0xfff0, 0xfffb},
	{0xfffe, 0xffff},
	{0x1d173, 0x1d17a},
	{0xe0000, 0x10ffff},
};

/* The character of LEN bytes at P, which are valid UTF-8. */
static unsigned long
code_point(const unsigned char *p, size_t len)
{
	unsigned long c = len == 1 ? p[0] : p[0] & (0x7fu >> len);

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static bool
is_hidden(unsigned long c)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return false;
}

/* U+3000 stands between Japanese family and given names. */
static bool
is_blank(unsigned long c)
{
	return c == ' ' || c == 0x3000;
}

bool
approval_is_plain(const char *text, size_t max)
{
	size_t len = strlen(text), at = 0;
	bool blank = true; /* nothing or a blank stands before */

	if (len == 0 || len > max)
		return false;
	while (at < len) {
		size_t n = json_utf8_length(text + at, len - at);
		unsigned long c = n ? code_point((const unsigned char *)text + at, n) : 0;

		if (!n || is_hidden(c) || (blank && is_blank(c)))
			return false;
		blank = is_blank(c);
		at += n;
	}
	return !blank;
}

void
act_init(struct act *act, const char *name, bool always)
{
	*act = (struct act){.name = name, .always = always};
	buf_init(&act->lines, REQUEST_TEXT_MAX / 2);
	act->rc = buf_appendf(&act->lines, &act->err, "act: %s\r\n", name);
}

void
act_fini(struct act *act)
{
	buf_fini(&act->lines);
}

void
act_put(struct act *act, const char *name, const char *value)
{
	if (act->rc || !value)
		return;
	if (!approval_is_plain(value, VALUE_MAX))
		act->rc = err_set(&act->err, ERR_USAGE,
			"%s: one line of plain text, up to %d bytes, without two blanks in a row",
			name, VALUE_MAX);
	else
		act->rc = buf_appendf(&act->lines, &act->err, "%s: %s\r\n", name, value);
}

void
act_putf(struct act *act, const char *name, const char *fmt, ...)
{
	char value[VALUE_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	act_put(act, name, value);
}

void
act_put_time(struct act *act, const char *name, int64_t seconds)
{
	char text[CLOCK_TEXT_SIZE];

	act_put(act, name, clock_format(seconds, text));
}

/* What stands in the store or in a certificate and may be anything: what does not show, and a
 * blank that is one too many, becomes a question mark. */
void
act_put_shown(struct act *act, const char *name, const char *value)
{
	size_t len = strlen(value), at = 0;
	struct buf shown = BUF_INIT(VALUE_MAX);
	bool blank = true;

	while (!act->rc && at < len && shown.len < VALUE_MAX - 8) {
		size_t n = json_utf8_length(value + at, len - at);
		unsigned long c = n ? code_point((const unsigned char *)value + at, n) : 0;
		bool last = at + (n ? n : 1) == len;
		bool bad = !n || is_hidden(c) || (is_blank(c) && (blank || last));

		act->rc = bad ? buf_append_char(&shown, '?', &act->err)
			      : buf_append(&shown, value + at, n, &act->err);
		blank = !bad && is_blank(c);
		at += n ? n : 1;
	}
	if (!act->rc && at < len)
		act->rc = buf_append_str(&shown, blank ? "?..." : "...", &act->err);
	act_put(act, name, shown.len ? buf_text(&shown) : "?");
	buf_fini(&shown);
}
