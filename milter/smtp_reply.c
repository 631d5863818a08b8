/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/smtp_reply.h"

#include "milter/smtp_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "5.1.10 " at the beginning, of the class of CODE: its length without the blank, else 0. */
static size_t
enhanced_len(const char *text, size_t len, int code)
{
	size_t at = 0;

	for (int part = 0; part < 3; part++) {
		size_t begin = at;

		while (at < len && is_digit(text[at]))
			at++;
		if (at == begin || at - begin > (part ? 3 : 1))
			return 0;
		if (part < 2 && (at >= len || text[at++] != '.'))
			return 0;
	}
	if (text[0] - '0' != code / 100 || (at < len && text[at] != ' '))
		return 0;
	return at;
}

/* The text of one line into REPLY; the last line that says something is the one that stays. */
static void
take_text(struct smtp_reply *reply, const char *text, size_t len)
{
	size_t n = enhanced_len(text, len, reply->code);

	if (n && n < sizeof reply->enhanced) {
		memcpy(reply->enhanced, text, n);
		reply->enhanced[n] = 0;
		text += n;
		len -= n;
	}
	while (len > 0 && *text == ' ') {
		text++;
		len--;
	}
	if (len == 0)
		return;
	if (len >= sizeof reply->text)
		len = sizeof reply->text - 1;
	for (size_t i = 0; i < len; i++)
		reply->text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	reply->text[len] = 0;
}

/* Is WORD the word at the beginning of TEXT? *REST: what follows its blank. */
static bool
is_word(const char *text, size_t len, const char *word, const char **rest)
{
	size_t n = strlen(word);

	if (len < n || strncasecmp(text, word, n) != 0)
		return false;
	if (len > n && text[n] != ' ' && text[n] != '=')
		return false;
	*rest = text + n + (len > n);
	return true;
}

static bool
next_word(const char **at, const char *end, const char **word, size_t *len)
{
	while (*at < end && **at == ' ')
		(*at)++;
	*word = *at;
	while (*at < end && **at != ' ')
		(*at)++;
	*len = (size_t)(*at - *word);
	return *len > 0;
}

static bool
equals(const char *word, size_t len, const char *text)
{
	return len == strlen(text) && strncasecmp(word, text, len) == 0;
}

static void
take_auth(struct smtp_caps *caps, const char *at, const char *end)
{
	const char *word;
	size_t n;

	while (next_word(&at, end, &word, &n)) {
		caps->auth_plain |= equals(word, n, "PLAIN");
		caps->auth_login |= equals(word, n, "LOGIN");
	}
}

static void
take_xforward(struct smtp_caps *caps, const char *at, const char *end)
{
	const char *word;
	size_t n;

	while (next_word(&at, end, &word, &n))
		for (int i = 0; i < SMTP_XFORWARD_COUNT; i++)
			if (equals(word, n, smtp_xforward_name(i)))
				caps->xforward |= 1u << i;
}

/* A number that is none, or too big, is no limit that we could know. */
static void
take_size(struct smtp_caps *caps, const char *at, const char *end)
{
	uint64_t size = 0;

	caps->size_offered = true;
	while (at < end && *at == ' ')
		at++;
	for (; at < end && is_digit(*at); at++) {
		if (size > (UINT64_MAX - 9) / 10)
			return;
		size = 10 * size + (uint64_t)(*at - '0');
	}
	if (at == end)
		caps->size = size;
}

/* One line of the answer to EHLO, without the code. */
static void
take_cap(struct smtp_caps *caps, const char *text, size_t len)
{
	const char *rest, *end = text + len;

	if (is_word(text, len, "PIPELINING", &rest))
		caps->pipelining = true;
	else if (is_word(text, len, "8BITMIME", &rest))
		caps->eightbitmime = true;
	else if (is_word(text, len, "SMTPUTF8", &rest))
		caps->smtputf8 = true;
	else if (is_word(text, len, "DSN", &rest))
		caps->dsn = true;
	else if (is_word(text, len, "STARTTLS", &rest))
		caps->starttls = true;
	else if (is_word(text, len, "CHUNKING", &rest))
		caps->chunking = true;
	else if (is_word(text, len, "ENHANCEDSTATUSCODES", &rest))
		caps->enhanced = true;
	else if (is_word(text, len, "AUTH", &rest))
		take_auth(caps, rest, end);
	else if (is_word(text, len, "XFORWARD", &rest))
		take_xforward(caps, rest, end);
	else if (is_word(text, len, "SIZE", &rest))
		take_size(caps, rest, end);
}

/* The line at AT: its length without the line end, the bytes of that in *END. */
static enum rc
find_line(const char *at, size_t len, size_t *line, size_t *end, struct err *err)
{
	const char *lf = memchr(at, '\n', len < SMTP_REPLY_LINE ? len : SMTP_REPLY_LINE);

	if (!lf && len >= SMTP_REPLY_LINE)
		return err_set(
			err, ERR_PORT_ANSWER, "a line of more than %d bytes", SMTP_REPLY_LINE);
	if (!lf)
		return RC_NONE;
	*line = (size_t)(lf - at);
	*end = 1;
	if (*line > 0 && at[*line - 1] == '\r') {
		(*line)--;
		(*end)++;
	}
	return RC_OK;
}

/* Three digits from 200 to 599, alone or before '-' or ' '. */
static int
read_code(const char *line, size_t len)
{
	int code;

	if (len < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]))
		return 0;
	if (len > 3 && line[3] != ' ' && line[3] != '-')
		return 0;
	code = 100 * (line[0] - '0') + 10 * (line[1] - '0') + line[2] - '0';
	return code >= 200 && code <= 599 ? code : 0;
}

/* The enhanced code that a server without them would have given: "2.0.0", "4.0.0", "5.0.0". */
static void
complete(struct smtp_reply *reply)
{
	if (!reply->enhanced[0])
		snprintf(reply->enhanced, sizeof reply->enhanced, "%d.0.0", reply->code / 100 % 10);
}

enum rc
smtp_reply_parse(const char *data, size_t len, struct smtp_reply *reply, size_t *used,
	struct smtp_caps *caps, struct err *err)
{
	size_t at = 0, line = 0, end = 0;
	enum rc rc;

	*reply = (struct smtp_reply){0};
	*used = 0;
	if (caps)
		*caps = (struct smtp_caps){0};
	for (int n = 0; n < SMTP_REPLY_LINES; n++) {
		const char *p = data + at;
		int code;

		rc = find_line(p, len - at, &line, &end, err);
		if (rc)
			return rc;
		code = read_code(p, line);
		if (!code || (reply->code && code != reply->code))
			return err_set(err, ERR_PORT_ANSWER, "\"%.*s\" is no reply",
				line < 60 ? (int)line : 60, p);
		reply->code = code;
		if (line > 4) {
			take_text(reply, p + 4, line - 4);
			if (caps && n > 0)
				take_cap(caps, p + 4, line - 4);
		}
		at += line + end;
		if (line == 3 || p[3] == ' ') {
			*used = at;
			complete(reply);
			return RC_OK;
		}
	}
	return err_set(err, ERR_PORT_ANSWER, "a reply of more than %d lines", SMTP_REPLY_LINES);
}
