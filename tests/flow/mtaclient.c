/* SPDX-License-Identifier: BSD-2-Clause */
/* mtaclient.c - commands and answers of the milter protocol, MTA's side */
#include "tests/flow/mtawire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
mta_options_init(struct mta_options *options, const char *socket)
{
	*options = (struct mta_options){.socket = socket,
		.version = 6,
		.actions = 0x1ff,
		.protocol = 0x1fffff,
		.client_name = "client.test",
		.client_addr = "192.0.2.10",
		.client_port = 40000,
		.helo = "client.test",
		.timeout_ms = 30000,
		.cut_after = -1};
}

struct mta *
mta_open(const struct mta_options *options, char why[200])
{
	struct mta *mta = calloc(1, sizeof *mta);

	mta->options = options;
	mta->packet = malloc(MAX_PACKET + 1);
	mta->fd = mta_connect(options->socket, why);
	if (mta->fd >= 0 && mta_negotiate(mta))
		return mta;
	if (mta->fd >= 0)
		snprintf(why, 200, "%s", mta->why);
	mta_cut(&mta);
	return NULL;
}

/* The stage's number, for the lists of macros. */
static size_t
mta_stage(char stage)
{
	return (size_t)(strchr(MTA_STAGES, stage) - MTA_STAGES);
}

static bool
is_wanted(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *p = list;

	while ((p = strstr(p, name))) {
		bool begins = p == list || strchr(" ,\t{", p[-1]);
		bool ends = !p[len] || strchr(" ,\t}", p[len]);

		if (begins && ends)
			return true;
		p += len;
	}
	return false;
}

/* One name and value where the milter wants it at that stage. */
static void
add_macro(struct mta *mta, char stage, char *buf, size_t *len, const char *name, const char *value)
{
	const char *list = mta->symlist[mta_stage(stage)];
	size_t room = 4096 - *len;
	int n;

	if (!value || (list && !is_wanted(list, name)))
		return;
	/* names of more than one letter go in braces */
	n = snprintf(buf + *len, room, name[1] ? "{%s}%c%s" : "%s%c%s", name, 0, value);
	if (n > 0 && (size_t)n < room)
		*len += (size_t)n + 1;
}

/* Macros before the command of STAGE, as Postfix 3.7 sends them by default. */
static bool
put_macros(struct mta *mta, char stage, const struct mta_message *message, const char *rcpt)
{
	const struct mta_options *options = mta->options;
	char buf[4096];
	size_t len = 1;

	if (stage == options->lose_macros)
		return true;
	buf[0] = stage;
	if (stage == 'C') {
		add_macro(mta, stage, buf, &len, "j", "mta.test");
		add_macro(mta, stage, buf, &len, "daemon_name", "mta.test");
		add_macro(mta, stage, buf, &len, "v", "driver");
		add_macro(mta, stage, buf, &len, "client_addr", options->client_addr);
	} else if (stage == 'M') {
		add_macro(mta, stage, buf, &len, "auth_type", message->identity ? "PLAIN" : NULL);
		add_macro(mta, stage, buf, &len, "auth_authen", message->identity);
		add_macro(mta, stage, buf, &len, "mail_addr", message->sender);
	} else if (stage == 'R') {
		add_macro(mta, stage, buf, &len, "rcpt_addr", rcpt);
	}
	if (strchr("TNE", stage) && message)
		add_macro(mta, stage, buf, &len, "i", message->qid);
	for (size_t i = 0; i < options->n_macros; i++)
		if (options->macros[i].stage == stage)
			add_macro(mta, stage, buf, &len, options->macros[i].name,
				options->macros[i].value);
	return len == 1 || mta_put_packet(mta, 'D', buf, len);
}

static void
set_reply(struct mta_reply *reply, char stage, int code, const char *text)
{
	free(reply->text);
	reply->stage = stage;
	reply->code = code;
	if (asprintf(&reply->text, "%s", text) < 0)
		reply->text = NULL;
}

static void
set_lost(struct mta *mta, struct mta_reply *reply, char stage)
{
	char text[300];

	snprintf(text, sizeof text, "451 4.7.1 Service unavailable - try again later (%s)",
		mta->why);
	reply->lost = true;
	set_reply(reply, stage, 451, text);
}

/* Doubled percent signs stand for one, as in Postfix and Sendmail. */
static void
set_reply_code(struct mta *mta, struct mta_reply *reply, char stage)
{
	char *text = (char *)mta->packet, *to = text;

	for (char *from = text; *from; from++) {
		if (from[0] == '%' && from[1] == '%')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	if ((text[0] != '4' && text[0] != '5') || strlen(text) < 3) {
		mta_lose(mta, "bad reply code");
		set_lost(mta, reply, stage);
	} else {
		set_reply(reply, stage, atoi(text), text);
	}
}

/*
 * Reads what the milter says to the command STAGE. 'c' continue, 'a' accept, 's' skip the rest of
 * the body, 'd' discard; 0: refused, deferred or lost, REPLY says which. Modifications are only
 * allowed to a message (E), and are applied as they come.
 */
static char
await(struct mta *mta, char stage, struct mta_message *message, struct mta_reply *reply)
{
	for (;;) {
		char answer = mta_get_packet(mta);

		switch (answer) {
		case 'c':
		case 'a':
			return answer;
		case 's':
			if (stage == 'B' && mta->protocol & P_CAN_SKIP)
				return answer;
			break;
		case 'd':
			reply->discarded = true;
			return answer;
		case 'p':
			reply->progress++;
			continue;
		case 'r':
			set_reply(reply, stage, 550, "550 5.7.1 Command rejected");
			return 0;
		case 't':
			set_reply(reply, stage, 451,
				"451 4.7.1 Service unavailable - try again later");
			return 0;
		case 'y':
			set_reply_code(mta, reply, stage);
			return 0;
		default:
			if (answer && stage == 'E') {
				if (mta_apply(mta, message, reply, answer))
					continue;
			}
			break;
		}
		if (!mta->dead)
			mta_lose(
				mta, "unexpected answer %#x to '%c'", (unsigned char)answer, stage);
		set_lost(mta, reply, stage);
		return 0;
	}
}

/* Sends a command unless it is not wanted, and waits unless no answer is due: 'c' to go on. */
static char
command(struct mta *mta, char stage, uint32_t no, uint32_t nr, const void *data, size_t len,
	struct mta_message *message, struct mta_reply *reply)
{
	if (mta->protocol & no)
		return 'c';
	if (!mta_put_packet(mta, stage, data, len)) {
		set_lost(mta, reply, stage);
		return 0;
	}
	return mta->protocol & nr ? 'c' : await(mta, stage, message, reply);
}

bool
mta_hello(struct mta *mta, struct mta_reply *reply)
{
	const struct mta_options *options = mta->options;
	char buf[1200];
	char family = !options->client_addr ? 'U' : strchr(options->client_addr, ':') ? '6' : '4';
	size_t len;
	uint16_t port = htons((uint16_t)options->client_port);

	if (!options->client_name)
		return true;
	len = (size_t)snprintf(buf, 512, "%s", options->client_name) + 1;
	buf[len++] = family;
	if (options->client_addr) {
		memcpy(buf + len, &port, 2);
		len += 2;
		len += (size_t)snprintf(buf + len, 512, "%s%s", family == '6' ? "IPv6:" : "",
			       options->client_addr) +
		       1;
	}
	if (!put_macros(mta, 'C', NULL, NULL) ||
		!command(mta, 'C', P_NO_CONNECT, P_NR_CONN, buf, len, NULL, reply))
		return false;
	return command(mta, 'H', P_NO_HELO, P_NR_HELO, options->helo, strlen(options->helo) + 1,
		       NULL, reply) != 0;
}

/* ADDR NUL ARG NUL ARG NUL, from "ADDR" and "ARG ARG". */
static size_t
envelope_packet(char *buf, size_t size, const char *addr, const char *args)
{
	size_t len = (size_t)snprintf(buf, size, "%s%s%s", addr, args ? " " : "", args ? args : "");

	if (len >= size)
		len = size - 1;
	for (size_t i = strlen(addr); i < len; i++)
		if (buf[i] == ' ')
			buf[i] = '\0';
	return len + 1;
}

bool
mta_envelope(struct mta *mta, struct mta_message *message, struct mta_reply *reply)
{
	char buf[2048];
	size_t len, left = 0;

	if (!message->qid) {
		static _Thread_local char qid[24];

		snprintf(qid, sizeof qid, "D%05X%04X", (unsigned)getpid() & 0xfffff,
			(unsigned)((uintptr_t)mta >> 4 & 0xff) << 8 | (mta->serial & 0xff));
		message->qid = qid;
		mta->serial++;
	}
	len = envelope_packet(buf, sizeof buf, message->sender, message->sender_args);
	if (!put_macros(mta, 'M', message, NULL)) {
		set_lost(mta, reply, 'M');
		return false;
	}
	switch (command(mta, 'M', P_NO_MAIL, P_NR_MAIL, buf, len, NULL, reply)) {
	case 0:
		return false;
	case 'a':
		set_reply(reply, 'M', 250, "250 2.0.0 Accepted unseen");
		return false;
	}
	for (size_t i = 0; i < message->n_rcpts; i++) {
		struct mta_rcpt *rcpt = &message->rcpts[i];

		len = envelope_packet(buf, sizeof buf, rcpt->addr, rcpt->args);
		put_macros(mta, 'R', message, rcpt->addr);
		rcpt->refused = command(mta, 'R', P_NO_RCPT, P_NR_RCPT, buf, len, NULL, reply) == 0;
		if (mta->dead) {
			set_lost(mta, reply, 'R');
			return false;
		}
		left += !rcpt->refused;
	}
	return left > 0;
}

/* Name NUL value NUL, without a leading blank where the milter does not take it. */
static char
send_header(struct mta *mta, const struct mta_header *header, struct mta_reply *reply)
{
	size_t name = strlen(header->name) + 1, len;
	const char *value = header->value;
	char *buf, answer;

	if (!(mta->protocol & P_LEADSPC) && *value == ' ')
		value++;
	len = strlen(value) + 1;
	buf = malloc(name + len);
	if (!buf)
		abort();
	memcpy(buf, header->name, name);
	memcpy(buf + name, value, len);
	answer = command(mta, 'L', P_NO_HDRS, P_NR_HDR, buf, name + len, NULL, reply);
	free(buf);
	return answer;
}

static char
send_body(struct mta *mta, const struct mta_message *message, struct mta_reply *reply)
{
	char answer = 'c';

	if (mta->protocol & P_NO_BODY)
		return 'c';
	for (size_t at = 0; at < message->body_len && answer == 'c'; at += CHUNK) {
		size_t len = message->body_len - at < CHUNK ? message->body_len - at : CHUNK;

		answer = command(
			mta, 'B', P_NO_BODY, P_NR_BODY, message->body + at, len, NULL, reply);
	}
	return answer == 's' ? 'c' : answer;
}

/* All up to the last body chunk: 'c', or what ended it. */
static char
send_content(struct mta *mta, struct mta_message *message, struct mta_reply *reply)
{
	char answer;

	if (mta->options->version > 3) {
		put_macros(mta, 'T', message, NULL);
		if ((answer = command(mta, 'T', P_NO_DATA, P_NR_DATA, NULL, 0, NULL, reply)) != 'c')
			return answer;
	}
	for (size_t i = 0; i < message->n_headers; i++) {
		if (message->headers[i].own)
			continue;
		if ((answer = send_header(mta, &message->headers[i], reply)) != 'c')
			return answer;
	}
	if (!(mta->protocol & P_NO_EOH))
		put_macros(mta, 'N', message, NULL);
	if ((answer = command(mta, 'N', P_NO_EOH, P_NR_EOH, NULL, 0, NULL, reply)) != 'c')
		return answer;
	if ((answer = send_body(mta, message, reply)) != 'c')
		return answer;
	put_macros(mta, 'E', message, NULL);
	return 'c';
}

/* Takes the recipients that were refused or deleted out of the envelope. */
static void
settle_rcpts(struct mta_message *message)
{
	size_t n = 0;

	for (size_t i = 0; i < message->n_rcpts; i++) {
		if (message->rcpts[i].refused) {
			free(message->rcpts[i].addr);
			free(message->rcpts[i].args);
		} else {
			message->rcpts[n++] = message->rcpts[i];
		}
	}
	message->n_rcpts = n;
}

void
mta_content(struct mta *mta, struct mta_message *message, struct mta_reply *reply)
{
	char answer;

	mta->body_cap = 0;
	settle_rcpts(message);
	answer = send_content(mta, message, reply);
	if (answer == 'c')
		answer = command(mta, 'E', 0, 0, NULL, 0, message, reply);
	settle_rcpts(message);
	if (answer)
		set_reply(reply, 'E', 250,
			answer == 'd' ? "250 2.0.0 Ok: discarded" : "250 2.0.0 Ok");
}

bool
mta_send(struct mta *mta, struct mta_message *message, struct mta_reply *reply)
{
	if (mta_envelope(mta, message, reply))
		mta_content(mta, message, reply);
	else if (!mta->dead && reply->code != 250)
		mta_abort(mta);
	return reply->code == 250;
}

void
mta_abort(struct mta *mta)
{
	mta_put_packet(mta, 'A', NULL, 0);
	mta_flush(mta);
}

void
mta_quit(struct mta **mta)
{
	if (*mta) {
		mta_put_packet(*mta, 'Q', NULL, 0);
		mta_flush(*mta);
	}
	mta_cut(mta);
}

void
mta_cut(struct mta **mta)
{
	if (!*mta)
		return;
	if ((*mta)->fd >= 0)
		close((*mta)->fd);
	for (size_t i = 0; i < sizeof MTA_STAGES - 1; i++)
		free((*mta)->symlist[i]);
	free((*mta)->packet);
	free(*mta);
	*mta = NULL;
}

uint32_t
mta_protocol(const struct mta *mta)
{
	return mta->protocol;
}

uint32_t
mta_actions(const struct mta *mta)
{
	return mta->actions;
}

int64_t
mta_bytes_sent(const struct mta *mta)
{
	return mta->sent;
}
