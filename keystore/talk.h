/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * talk.h - exchanges with the vault over kept connections
 *
 * A request takes a kept link, or opens one, and gives it back. Decisions, whose answers nobody
 * waits for, may be held back until the next request takes them along (held.h).
 *
 * Threads: any may talk at the same time; init, hold and fini are one thread's.
 */
#ifndef KEYSTORE_TALK_H
#define KEYSTORE_TALK_H

#include "base/conf.h"
#include "keystore/held.h"
#include "keystore/link.h"

#define LINKS_MAX 64 /* kept */

struct links {
	char *path, *service, *role;
	int64_t timeout_ms;
	struct held held;
	pthread_mutex_t lock; /* over what follows */
	struct link *pool[LINKS_MAX];
	size_t n_pool;
};

/* LINKS is to be finished after a failure too. */
enum rc
links_init(struct links *links, const struct conf *conf, const char *service, struct err *err);
void links_fini(struct links *links); /* what is held is sent first */
void links_hold(struct links *links);
/* Sends what is held; nothing is held from here on. */
void links_flush(struct links *links);

/* An exchange under way: answer and the link that it lies in. */
struct talk {
	struct links *links;
	struct link *link;
	struct proto_msg answer;
};
/* RC_OK with an answer of type WANTED, until talk_end; RC_NONE when the answer is NONE. */
enum rc talk_ask(struct talk *talk, struct links *links, struct buf *request,
	enum proto_type wanted, struct err *err);
void talk_end(struct talk *talk);
/* FRAME is on its way, or held. */
enum rc links_record(struct links *links, const struct buf *frame, struct err *err);

#endif
