/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.h - what is said on one connection: HELLO, then requests, each with its answer
 *
 * Knows nothing of sockets: one frame in, one frame out. A request is a task with two halves: the
 * first takes the frame apart and, for a use of a key, decides and adds its intent to a group of
 * records; the second does what was asked and answers. The group is written in between. So tasks of
 * one connection or of many share one wait for the disk. Second halves come in the order of the
 * frames, and everything but the uses of keys happens there.
 *
 * A session and its tasks belong to one thread at a time.
 */
#ifndef KEYSTORE_SERVE_H
#define KEYSTORE_SERVE_H

#include "keystore/proto.h"
#include "keystore/use.h"
#include "keystore/vault.h"

struct session {
	struct vault *vault;
	bool admin;       /* came in by the admin socket */
	int64_t uid, pid; /* of the peer, from the kernel */
	char service[65]; /* after HELLO; "" before */
	bool closing;     /* the answer that is there is the last one */
};

/* How long a frame may be now. */
size_t session_limit(const struct session *session);
void session_log_broken(const struct session *session, const struct err *err);

#define TASK_FEW 8u /* recipients for which no memory is taken */

struct task {
	struct session *session;         /* borrowed … */
	const struct settings *settings; /* … until the task is over */
	struct proto_msg msg;
	struct peer peer;
	bool broken; /* no request at all: the connection ends */
	enum rc rc;  /* of the first half */
	struct err err;
	/* SIGN and OPEN */
	const char *few[TASK_FEW], **rcpts;
	struct vault_sign_request sign;
	struct open_request open;
	struct use use;
};

/*
 * First half. FRAME is whole and stays where it is until the task is over. Before HELLO was
 * answered there is one task at a time. What is wrong with the request is for the second half to
 * say.
 */
void task_begin(struct task *task, struct session *session, const struct settings *settings,
	const void *frame, size_t len, struct ledger_group *group);
/* What the second half will take of the processor: 1 is about a signature with P-256. */
unsigned task_cost(const struct task *task);
/*
 * Second half; the task is over. WRITTEN is the outcome of writing the group, WHY its error. Puts
 * the answer into OUT. Anything but RC_OK: close without an answer; it is logged.
 */
enum rc task_end(struct task *task, enum rc written, const struct err *why, struct buf *out);
/* Ends a task whose connection is gone; a key that it was about to use is not used. */
void task_drop(struct task *task);

#endif
