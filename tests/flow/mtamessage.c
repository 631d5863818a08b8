/* SPDX-License-Identifier: BSD-2-Clause */
/* mtamessage.c - the message and envelope that the test MTA holds */
#include "tests/flow/mtaclient.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *
need(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

static void
add_header(struct mta_message *message, char *name, char *value, bool own)
{
	message->headers = need(
		realloc(message->headers, (message->n_headers + 1) * sizeof *message->headers));
	message->headers[message->n_headers++] =
		(struct mta_header){.name = name, .value = value, .own = own};
}

/* Length of the line at DATA with its line end, or all of it. */
static size_t
line_length(const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);

	return lf ? (size_t)(lf - data) + 1 : len;
}

/* Length of the field name when the line begins a header field, else 0. */
static size_t
field_name(const char *line, size_t len)
{
	size_t n = 0, end;

	while (n < len && line[n] > 32 && line[n] < 127 && line[n] != ':')
		n++;
	for (end = n; end < len && (line[end] == ' ' || line[end] == '\t');)
		end++;
	return n > 0 && end < len && line[end] == ':' ? n : 0;
}

/* Takes a copy of a field body with CRLF or LF made "\n" and without the last line end. */
static char *
field_value(const char *data, size_t len)
{
	char *value = need(malloc(len + 1));
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\0' || (data[i] == '\r' && i + 1 < len && data[i + 1] == '\n'))
			continue;
		value[n++] = data[i];
	}
	while (n > 0 && value[n - 1] == '\n')
		n--;
	value[n] = '\0';
	return value;
}

/* Copies the body, with CRLF for a file of LF lines; a last line without an end gets one. */
static void
take_body(struct mta_message *message, const char *data, size_t len, bool crlf)
{
	char *body = need(malloc(len * 2 + 3));
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' && !crlf)
			body[n++] = '\r';
		body[n++] = data[i];
	}
	if (n > 0 && body[n - 1] != '\n') {
		body[n++] = '\r';
		body[n++] = '\n';
	}
	message->body = body;
	message->body_len = n;
}

bool
mta_message_parse(struct mta_message *message, const char *data, size_t len)
{
	size_t at = 0, first = line_length(data, len), name, field, next;
	bool crlf = first >= 2 && data[first - 1] == '\n' && data[first - 2] == '\r';

	if (len > 5 && !memcmp(data, "From ", 5))
		at = first;
	add_header(message, need(strdup("Received")),
		need(strdup(" from client.test by mta.test (driver) with ESMTP")), true);
	while (at < len) {
		field = line_length(data + at, len - at);
		if (data[at] == '\n' || (data[at] == '\r' && field == 2)) {
			at += field;
			break;
		}
		name = field_name(data + at, field);
		if (!name)
			break; /* what is no field begins the body, as in Postfix */
		while (at + field < len && (data[at + field] == ' ' || data[at + field] == '\t')) {
			next = line_length(data + at + field, len - at - field);
			field += next;
		}
		const char *colon = memchr(data + at, ':', field);
		add_header(message, need(strndup(data + at, name)),
			field_value(colon + 1, (size_t)(data + at + field - colon - 1)), false);
		at += field;
	}
	take_body(message, data + at, len - at, crlf);
	return true;
}

bool
mta_message_read(struct mta_message *message, const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	size_t len = 0, cap = 65536, n;
	char *data;

	if (!file)
		return false;
	data = need(malloc(cap));
	while ((n = fread(data + len, 1, cap - len, file)) > 0) {
		len += n;
		if (len == cap)
			data = need(realloc(data, cap *= 2));
	}
	if (file != stdin)
		fclose(file);
	mta_message_parse(message, data, len);
	free(data);
	return true;
}

void
mta_message_sender(struct mta_message *message, const char *sender, const char *args)
{
	free(message->sender);
	free(message->sender_args);
	message->sender = need(strdup(sender));
	message->sender_args = args ? need(strdup(args)) : NULL;
}

void
mta_message_rcpt(struct mta_message *message, const char *rcpt, const char *args)
{
	message->rcpts =
		need(realloc(message->rcpts, (message->n_rcpts + 1) * sizeof *message->rcpts));
	message->rcpts[message->n_rcpts++] = (struct mta_rcpt){
		.addr = need(strdup(rcpt)), .args = args ? need(strdup(args)) : NULL};
}

struct mta_message *
mta_message_copy(const struct mta_message *message)
{
	struct mta_message *copy = need(calloc(1, sizeof *copy));

	mta_message_sender(copy, message->sender ? message->sender : "<>", message->sender_args);
	for (size_t i = 0; i < message->n_rcpts; i++)
		mta_message_rcpt(copy, message->rcpts[i].addr, message->rcpts[i].args);
	for (size_t i = 0; i < message->n_headers; i++)
		add_header(copy, need(strdup(message->headers[i].name)),
			need(strdup(message->headers[i].value)), message->headers[i].own);
	copy->body = need(malloc(message->body_len + 1));
	if (message->body_len)
		memcpy(copy->body, message->body, message->body_len);
	copy->body_len = message->body_len;
	copy->identity = message->identity;
	copy->qid = message->qid;
	return copy;
}

/* Appends LEN bytes, leaving out each CR before LF for LF, or putting it there. */
static size_t
put(char *out, size_t at, const char *data, size_t len, bool lf)
{
	for (size_t i = 0; i < len; i++) {
		bool end = data[i] == '\n';
		bool has_cr = end && i > 0 && data[i - 1] == '\r';

		if (end && lf && has_cr)
			at--;
		if (end && !lf && !has_cr)
			out[at++] = '\r';
		out[at++] = data[i];
	}
	return at;
}

char *
mta_message_format(const struct mta_message *message, bool lf, size_t *len)
{
	size_t size = message->body_len * 2 + 8, at = 0;
	char *out;

	for (size_t i = 0; i < message->n_headers; i++)
		size += strlen(message->headers[i].name) + 2 * strlen(message->headers[i].value) +
			8;
	out = need(malloc(size));
	for (size_t i = 0; i < message->n_headers; i++) {
		const struct mta_header *header = &message->headers[i];

		if (header->own)
			continue;
		at = put(out, at, header->name, strlen(header->name), lf);
		at = put(out, at, ":", 1, lf);
		at = put(out, at, header->value, strlen(header->value), lf);
		at = put(out, at, "\n", 1, lf);
	}
	at = put(out, at, "\n", 1, lf);
	at = put(out, at, message->body, message->body_len, lf);
	out[at] = '\0';
	*len = at;
	return out;
}

const char *
mta_message_header(const struct mta_message *message, const char *name)
{
	for (size_t i = 0; i < message->n_headers; i++)
		if (!message->headers[i].own && !strcasecmp(message->headers[i].name, name))
			return message->headers[i].value;
	return NULL;
}

void
mta_message_fini(struct mta_message *message)
{
	free(message->sender);
	free(message->sender_args);
	for (size_t i = 0; i < message->n_rcpts; i++) {
		free(message->rcpts[i].addr);
		free(message->rcpts[i].args);
	}
	free(message->rcpts);
	for (size_t i = 0; i < message->n_headers; i++) {
		free(message->headers[i].name);
		free(message->headers[i].value);
	}
	free(message->headers);
	free(message->body);
	memset(message, 0, sizeof *message);
}

void
mta_reply_fini(struct mta_reply *reply)
{
	free(reply->text);
	free(reply->quarantine);
	memset(reply, 0, sizeof *reply);
}
