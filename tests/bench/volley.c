/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/volley.h"

#include "base/secret.h"
#include "keystore/proto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAMES VOLLEY_FRAMES

struct gun {
	struct volley *volley;
	int fd;
	struct buf frames;     /* FRAMES requests */
	size_t at[FRAMES + 1]; /* where each begins */
	size_t next;           /* to be sent */
	unsigned in_flight;
	struct buf in;
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
put_sign(struct proto_writer *w, const char *key, uint32_t id)
{
	unsigned char value[32];

	memset(value, (int)id, sizeof(value));
	proto_put_text(w, TAG_KEY, key);
	proto_put_text(w, TAG_DIGEST, "sha256");
	proto_put(w, TAG_VALUE, value, sizeof(value));
	proto_put_number(w, TAG_FLAG, 0);
}

static void
put_open(struct proto_writer *w, const struct rinfo *rinfo, const char *recipient)
{
	proto_put_text(w, TAG_ADDR, recipient);
	proto_put_number(w, TAG_INDEX, rinfo->index);
	proto_put_text(w, TAG_CIPHER, content_cipher_name(CIPHER_AES256_CBC));
	proto_put(w, TAG_RINFO, rinfo->der, rinfo->der_len);
}

static void
put_request(struct buf *out, const struct volley *volley, uint32_t id)
{
	struct proto_writer w;
	char sender[64], rcpt[64];
	struct err err = ERR_INIT;

	snprintf(sender, sizeof(sender), "person%u@example.org", id);
	snprintf(rcpt, sizeof(rcpt), "somebody%u@example.net", id);
	proto_begin(&w, out, volley->rinfos ? PROTO_OPEN : PROTO_SIGN, id);
	if (volley->rinfos)
		put_open(&w, &volley->rinfos[id], volley->recipient);
	else
		put_sign(&w, volley->key, id);
	proto_put_text(&w, TAG_CLAIM_QID, "4AbcDef");
	proto_put_text(&w, TAG_CLAIM_SENDER, sender);
	proto_put_text(&w, TAG_CLAIM_IDENTITY, sender);
	proto_put_text(&w, TAG_CLAIM_RULE, "outbound");
	proto_put_text(&w, TAG_CLAIM_RCPT, rcpt);
	if (proto_end(&w, &err))
		die("request");
}

static void
send_all(struct gun *gun, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(gun->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			die("send");
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* So many more requests, in as few calls as the ring of frames allows. */
static void
fire(struct gun *gun, unsigned n)
{
	gun->in_flight += n;
	while (n > 0) {
		size_t part = n < FRAMES - gun->next ? n : FRAMES - gun->next;

		send_all(gun, gun->frames.data + gun->at[gun->next],
			gun->at[gun->next + part] - gun->at[gun->next]);
		gun->next = (gun->next + part) % FRAMES;
		n -= (unsigned)part;
	}
}

/* Waits for answers; how many came. */
static unsigned
hits(struct gun *gun, enum proto_type wanted)
{
	struct err err = ERR_INIT;
	size_t at = 0, frame;
	unsigned n = 0;
	ssize_t got;

	if (buf_reserve(&gun->in, 65536, &err))
		die("memory");
	got = recv(gun->fd, gun->in.data + gun->in.len, 65536, 0);
	if (got <= 0)
		die("the vault closed the connection");
	gun->in.len += (size_t)got;
	for (;;) {
		const unsigned char *head = (unsigned char *)gun->in.data + at;

		if (proto_frame_len(head, gun->in.len - at, PROTO_MAX_FRAME, &frame, &err))
			die("answer");
		if (frame == 0 || frame > gun->in.len - at)
			break;
		if (head[5] != wanted)
			__atomic_add_fetch(&gun->volley->failed, 1, __ATOMIC_RELAXED);
		at += frame;
		n++;
	}
	memmove(gun->in.data, gun->in.data + at, gun->in.len - at);
	gun->in.len -= at;
	return n;
}

static void
dial(struct gun *gun)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct buf hello = BUF_INIT(PROTO_MAX_HELLO);
	struct proto_writer w;
	struct err err = ERR_INIT;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", gun->volley->path);
	gun->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (gun->fd < 0 || connect(gun->fd, (struct sockaddr *)&sun, sizeof(sun)))
		die(sun.sun_path);
	proto_begin(&w, &hello, PROTO_HELLO, 0);
	proto_put_number(&w, TAG_VERSION, PROTO_VERSION);
	proto_put_text(&w, TAG_SERVICE, "all");
	proto_put_text(&w, TAG_ROLE, "all");
	if (proto_end(&w, &err))
		die("hello");
	send_all(gun, hello.data, hello.len);
	if (hits(gun, PROTO_WELCOME) != 1)
		die("no welcome");
	buf_fini(&hello);
}

void *
volley_run(void *ctx)
{
	struct gun gun = {.volley = ctx, .frames = BUF_INIT(0), .in = BUF_INIT(0)};
	long done = 0;

	for (uint32_t i = 0; i < FRAMES; i++) {
		gun.at[i] = gun.frames.len;
		put_request(&gun.frames, gun.volley, i);
	}
	gun.at[FRAMES] = gun.frames.len;
	dial(&gun);
	fire(&gun, gun.volley->in_flight);
	while (gun.in_flight > 0) {
		unsigned n = hits(&gun, gun.volley->rinfos ? PROTO_OPENED : PROTO_SIGNED);

		gun.in_flight -= n;
		done += n;
		if (!*gun.volley->stop)
			fire(&gun, n);
	}
	__atomic_add_fetch(&gun.volley->done, done, __ATOMIC_RELAXED);
	close(gun.fd);
	buf_fini(&gun.frames);
	buf_fini(&gun.in);
	return NULL;
}
