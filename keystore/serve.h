/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.h - what is said on one connection: HELLO, then requests, each with its answer
 *
 * Knows nothing of sockets: one frame in, one frame out. A session belongs to one thread at a time.
 */
#ifndef KEYSTORE_SERVE_H
#define KEYSTORE_SERVE_H

#include "keystore/proto.h"
#include "keystore/vault.h"

struct session {
	struct vault *vault;
	bool admin;       /* came in by the admin socket */
	int64_t uid, pid; /* of the peer, from the kernel */
	char service[65]; /* after HELLO; "" before */
	bool closing;     /* the answer that is there is the last one */
	bool busy;        /* a request is being worked on */
};

/* How long a frame may be now. */
size_t session_limit(const struct session *session);
/* Answers one whole frame into OUT. Anything but RC_OK: close without an answer; it is logged. */
enum rc session_serve(struct session *session, const void *frame, size_t len, struct buf *out);
void session_log_broken(const struct session *session, const struct err *err);

#endif
