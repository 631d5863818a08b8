/* SPDX-License-Identifier: BSD-2-Clause */
/* mtaclient.c - negotiation, commands and answers of the milter protocol, MTA's side */
#include "tests/flow/mtaclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK      65535u
#define OUT_SIZE   8192u /* flushed when full or before an answer is awaited, as Postfix does */
#define MAX_PACKET (1u << 20)

/* Bits of the protocol mask: commands not wanted, answers not given. */
enum {
	P_NO_CONNECT = 0x1,
	P_NO_HELO = 0x2,
	P_NO_MAIL = 0x4,
	P_NO_RCPT = 0x8,
	P_NO_BODY = 0x10,
	P_NO_HDRS = 0x20,
	P_NO_EOH = 0x40,
	P_NR_HDR = 0x80,
	P_NO_DATA = 0x200,
	P_CAN_SKIP = 0x400,
	P_NR_CONN = 0x1000,
	P_NR_HELO = 0x2000,
	P_NR_MAIL = 0x4000,
	P_NR_RCPT = 0x8000,
	P_NR_DATA = 0x10000,
	P_NR_EOH = 0x40000,
	P_NR_BODY = 0x80000,
	P_LEADSPC = 0x100000
};

struct mta {
	const struct mta_options *options;
	int fd;
	uint32_t protocol, actions;
	char *symlist[7]; /* by stage: C H M R E T N, as the milter asked */
	unsigned char out[OUT_SIZE];
	size_t out_len;
	unsigned char in[65536];
	size_t in_at, in_len;
	unsigned char *packet; /* the last answer's data, a NUL behind it */
	size_t packet_len;
	int64_t sent;
	bool dead;
	bool injected;
	char why[200];
	unsigned serial;
	size_t body_cap; /* room in the replaced body */
};

static const char stages[] = "CHMRETN"; /* in the order of SMFIM_* */

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

/* Marks the connection as gone; the first reason stays. */
static bool
lose(struct mta *mta, const char *fmt, ...)
{
	va_list ap;

	if (!mta->dead) {
		va_start(ap, fmt);
		vsnprintf(mta->why, sizeof mta->why, fmt, ap);
		va_end(ap);
	}
	mta->dead = true;
	return false;
}

static int
connect_unix(const char *path, char why[200])
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0)
		return fd;
	snprintf(why, 200, "%.150s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* SPEC is PORT@ADDRESS. */
static int
connect_inet(const char *spec, char why[200])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *ai;
	char port[16];
	const char *at = strchr(spec, '@');
	int fd = -1;

	snprintf(port, sizeof port, "%.*s", at ? (int)(at - spec) : 8, spec);
	if (getaddrinfo(at ? at + 1 : "127.0.0.1", port, &hints, &ai) != 0) {
		snprintf(why, 200, "%.150s: bad address", spec);
		return -1;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		snprintf(why, 200, "%.150s: %s", spec, strerror(errno));
		close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

/* Writes to the milter, cutting the connection where the options say so. */
static bool
write_all(struct mta *mta, const void *data, size_t len)
{
	const unsigned char *p = data;
	int64_t cut = mta->options->cut_after;
	ssize_t n;

	while (len > 0 && !mta->dead) {
		size_t want = len;

		if (cut >= 0 && mta->sent + (int64_t)want > cut)
			want = (size_t)(cut - mta->sent);
		if (want == 0) {
			shutdown(mta->fd, SHUT_RDWR);
			return lose(mta, "cut after %lld bytes", (long long)cut);
		}
		n = send(mta->fd, p, want, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lose(mta, "write: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
		mta->sent += n;
	}
	return !mta->dead;
}

static bool
flush(struct mta *mta)
{
	size_t len = mta->out_len;

	mta->out_len = 0;
	return len == 0 ? !mta->dead : write_all(mta, mta->out, len);
}

static bool
put(struct mta *mta, const void *data, size_t len)
{
	if (mta->out_len + len > OUT_SIZE && !flush(mta))
		return false;
	if (len > OUT_SIZE)
		return write_all(mta, data, len);
	if (len)
		memcpy(mta->out + mta->out_len, data, len);
	mta->out_len += len;
	return !mta->dead;
}

static bool
put_packet(struct mta *mta, char cmd, const void *data, size_t len)
{
	uint32_t n = htonl((uint32_t)len + 1);

	if (mta->options->inject_stage == cmd && !mta->injected) {
		mta->injected = true;
		if (!put(mta, mta->options->inject, mta->options->inject_len))
			return false;
	}
	return put(mta, &n, 4) && put(mta, &cmd, 1) && put(mta, data, len);
}

static bool
read_exact(struct mta *mta, unsigned char *out, size_t len)
{
	struct pollfd pfd = {.fd = mta->fd, .events = POLLIN};
	ssize_t n;

	while (len > 0) {
		size_t have = mta->in_len - mta->in_at;

		if (have > 0) {
			size_t take = have < len ? have : len;

			memcpy(out, mta->in + mta->in_at, take);
			mta->in_at += take;
			out += take;
			len -= take;
			continue;
		}
		if (poll(&pfd, 1, mta->options->timeout_ms) == 0)
			return lose(mta, "no answer in %d ms", mta->options->timeout_ms);
		n = recv(mta->fd, mta->in, sizeof mta->in, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lose(mta, "read: %s", n ? strerror(errno) : "closed by the milter");
		mta->in_at = 0;
		mta->in_len = (size_t)n;
	}
	return true;
}

/* Reads one packet; its letter, or 0 when the connection is lost. */
static char
get_packet(struct mta *mta)
{
	unsigned char head[5];
	uint32_t len;

	if (!flush(mta) || !read_exact(mta, head, 5))
		return 0;
	len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (len < 1 || len > MAX_PACKET) {
		lose(mta, "bad packet length %u", len);
		return 0;
	}
	mta->packet_len = len - 1;
	if (!read_exact(mta, mta->packet, mta->packet_len))
		return 0;
	mta->packet[mta->packet_len] = '\0';
	return (char)head[4];
}

/* Takes what the milter wants of the macros: (stage as 32 bits, names, NUL) repeated. */
static bool
take_symlists(struct mta *mta, size_t at)
{
	while (at < mta->packet_len) {
		size_t room = mta->packet_len - at, len;
		unsigned stage;

		if (room < 5)
			return lose(mta, "bad macro list");
		stage = mta->packet[at + 3];
		len = strnlen((char *)mta->packet + at + 4, room - 4);
		if (stage >= sizeof stages - 1 || len == room - 4)
			return lose(mta, "bad macro list");
		free(mta->symlist[stage]);
		mta->symlist[stage] = strdup((char *)mta->packet + at + 4);
		at += 4 + len + 1;
	}
	return true;
}

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool
negotiate(struct mta *mta)
{
	const struct mta_options *options = mta->options;
	uint32_t offer[3] = {
		htonl(options->version), htonl(options->actions), htonl(options->protocol)};
	uint32_t version;

	if (!put_packet(mta, 'O', offer, sizeof offer))
		return false;
	if (get_packet(mta) != 'O' || mta->packet_len < 12)
		return lose(mta, "no negotiation");
	version = get32(mta->packet);
	mta->actions = get32(mta->packet + 4);
	mta->protocol = get32(mta->packet + 8);
	if (version > options->version || version < 2)
		return lose(mta, "version %u answered to %u", version, options->version);
	if (mta->actions & ~options->actions || mta->protocol & ~options->protocol)
		return lose(mta, "asks for what was not offered: actions %#x protocol %#x",
			mta->actions, mta->protocol);
	return take_symlists(mta, 12);
}

struct mta *
mta_open(const struct mta_options *options, char why[200])
{
	struct mta *mta = calloc(1, sizeof *mta);

	mta->options = options;
	mta->packet = malloc(MAX_PACKET + 1);
	if (!strncmp(options->socket, "unix:", 5))
		mta->fd = connect_unix(options->socket + 5, why);
	else if (!strncmp(options->socket, "inet:", 5))
		mta->fd = connect_inet(options->socket + 5, why);
	else if (!strncmp(options->socket, "inet6:", 6))
		mta->fd = connect_inet(options->socket + 6, why);
	else {
		snprintf(why, 200, "%.150s: unix:PATH or inet:PORT@ADDRESS", options->socket);
		mta->fd = -1;
	}
	if (mta->fd >= 0 && negotiate(mta))
		return mta;
	if (mta->fd >= 0)
		snprintf(why, 200, "%s", mta->why);
	mta_cut(&mta);
	return NULL;
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
	const char *list = mta->symlist[strchr(stages, stage) - stages];
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
	return len == 1 || put_packet(mta, 'D', buf, len);
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
		lose(mta, "bad reply code");
		set_lost(mta, reply, stage);
	} else {
		set_reply(reply, stage, atoi(text), text);
	}
}

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
	unsigned index = at && mta->packet_len >= 4 ? get32(mta->packet) : 0;
	char *name = packet_string(mta, &at), *value = name ? packet_string(mta, &at) : NULL;

	if (!value || at != mta->packet_len || !*name)
		return lose(mta, "bad packet '%c'", action);
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
		return lose(mta, "bad packet '%c'", action);
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

static bool
apply(struct mta *mta, struct mta_message *message, struct mta_reply *reply, char action)
{
	uint32_t bit = action_bit(action);

	if (!bit)
		return lose(mta, "unknown action %#x", (unsigned char)action);
	if (!(mta->actions & bit))
		return lose(mta, "action '%c' was not negotiated", action);
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

/*
 * Reads what the milter says to the command STAGE. 'c' continue, 'a' accept, 's' skip the rest of
 * the body, 'd' discard; 0: refused, deferred or lost, REPLY says which. Modifications are only
 * allowed to a message (E), and are applied as they come.
 */
static char
await(struct mta *mta, char stage, struct mta_message *message, struct mta_reply *reply)
{
	for (;;) {
		char answer = get_packet(mta);

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
				if (apply(mta, message, reply, answer))
					continue;
			}
			break;
		}
		if (!mta->dead)
			lose(mta, "unexpected answer %#x to '%c'", (unsigned char)answer, stage);
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
	if (!put_packet(mta, stage, data, len)) {
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
	put_packet(mta, 'A', NULL, 0);
	flush(mta);
}

void
mta_quit(struct mta **mta)
{
	if (*mta) {
		put_packet(*mta, 'Q', NULL, 0);
		flush(*mta);
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
	for (size_t i = 0; i < sizeof stages - 1; i++)
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
