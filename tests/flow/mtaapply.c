/* SPDX-License-Identifier: BSD-2-Clause */
/* mtaapply.c - the milter's modifications, applied as Postfix's cleanup(8) does */
#include "tests/flow/mtawire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One NUL-terminated string of the packet at *AT, or NULL. */
static char *
packet_string(struct mta *mta, size_t *at)
{
	char *text = (char *)mta->packet + *at;
	size_t room = mta->packet_len - *at, len;

	if (*at >= mta->packet_len)
		return NULL;
	len = strnlen(text, room);
	if (len == room)
		return NULL;
	*at += len + 1;
	return text;
}

static char *
header_value(const struct mta *mta, const char *value)
{
	char *copy = NULL;

	/* without LEADSPC the MTA puts the blank there itself */
	if (asprintf(&copy, "%s%s", mta->protocol & P_LEADSPC ? "" : " ", value) < 0)
		abort();
	return copy;
}

static void
insert_header(struct mta_message *message, size_t at, const char *name, char *value)
{
	message->headers =
		realloc(message->headers, (message->n_headers + 1) * sizeof *message->headers);
	if (!message->headers)
		abort();
	if (at > message->n_headers)
		at = message->n_headers;
	memmove(message->headers + at + 1, message->headers + at,
		(message->n_headers - at) * sizeof *message->headers);
	message->headers[at] = (struct mta_header){.name = strdup(name), .value = value};
	message->n_headers++;
}

/* The INDEXth (from 1) of that name, without the MTA's own; an empty value deletes it. */
static void
change_header(const struct mta *mta, struct mta_message *message, unsigned index, const char *name,
	const char *value)
{
	unsigned seen = 0;

	for (size_t i = 0; i < message->n_headers; i++) {
		struct mta_header *header = &message->headers[i];

		if (header->own || strcasecmp(header->name, name) || ++seen < (index ? index : 1))
			continue;
		free(header->value);
		if (*value) {
			header->value = header_value(mta, value);
			return;
		}
		free(header->name);
		memmove(header, header + 1, (message->n_headers - i - 1) * sizeof *header);
		message->n_headers--;
		return;
	}
	if (*value)
		insert_header(message, message->n_headers, name, header_value(mta, value));
}

static bool
apply_header(struct mta *mta, struct mta_message *message, char action)
{
	size_t at = action == 'h' ? 0 : 4;
	unsigned index = at && mta->packet_len >= 4 ? mta_get32(mta->packet) : 0;
	char *name = packet_string(mta, &at), *value = name ? packet_string(mta, &at) : NULL;

	if (!value || at != mta->packet_len || !*name)
		return mta_lose(mta, "bad packet '%c'", action);
	if (action == 'h')
		insert_header(message, message->n_headers, name, header_value(mta, value));
	else if (action == 'i')
		insert_header(message, index, name, header_value(mta, value));
	else
		change_header(mta, message, index, name, value);
	return true;
}

static void
replace_body(struct mta *mta, struct mta_message *message, struct mta_reply *reply)
{
	if (!reply->body_changed) {
		free(message->body);
		message->body = NULL;
		message->body_len = mta->body_cap = 0;
	}
	reply->body_changed = true;
	if (message->body_len + mta->packet_len + 1 > mta->body_cap) {
		mta->body_cap = (message->body_len + mta->packet_len + 1) * 2;
		message->body = realloc(message->body, mta->body_cap);
		if (!message->body)
			abort();
	}
	memcpy(message->body + message->body_len, mta->packet, mta->packet_len);
	message->body_len += mta->packet_len;
}

static void
delete_rcpt(struct mta_message *message, const char *addr)
{
	for (size_t i = 0; i < message->n_rcpts; i++)
		if (!strcasecmp(message->rcpts[i].addr, addr))
			message->rcpts[i].refused = true;
}

static bool
apply_envelope(struct mta *mta, struct mta_message *message, struct mta_reply *reply, char action)
{
	size_t at = 0;
	char *first = packet_string(mta, &at), *args = first ? packet_string(mta, &at) : NULL;

	if (!first)
		return mta_lose(mta, "bad packet '%c'", action);
	if (action == '+' || action == '2')
		mta_message_rcpt(message, first, args);
	else if (action == '-')
		delete_rcpt(message, first);
	else if (action == 'q') {
		free(reply->quarantine);
		reply->quarantine = strdup(first);
	} else { /* Postfix keeps RET and ENVID unless it is told new ones */
		char *old = message->sender_args ? strdup(message->sender_args) : NULL;

		mta_message_sender(message, first, args ? args : old);
		free(old);
	}
	return true;
}

/* The bit of the actions mask that a modification needs. */
static uint32_t
action_bit(char action)
{
	switch (action) {
	case 'h':
	case 'i':
		return 0x1;
	case 'b':
		return 0x2;
	case '+':
		return 0x4;
	case '-':
		return 0x8;
	case 'm':
		return 0x10;
	case 'q':
		return 0x20;
	case 'e':
		return 0x40;
	case '2':
		return 0x80;
	default:
		return 0;
	}
}

bool
mta_apply(struct mta *mta, struct mta_message *message, struct mta_reply *reply, char action)
{
	uint32_t bit = action_bit(action);

	if (!bit)
		return mta_lose(mta, "unknown action %#x", (unsigned char)action);
	if (!(mta->actions & bit))
		return mta_lose(mta, "action '%c' was not negotiated", action);
	reply->changed = true;
	if (reply->n_actions < sizeof reply->actions - 1)
		reply->actions[reply->n_actions] = action;
	reply->n_actions++;
	if (action == 'b')
		replace_body(mta, message, reply);
	else if (strchr("him", action))
		return apply_header(mta, message, action);
	else
		return apply_envelope(mta, message, reply, action);
	return true;
}
