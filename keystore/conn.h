/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - one connection of the vault: its bytes in and out
 *
 * A connection belongs to one worker from the time that it has something for us until it is armed
 * again. Frames are taken from the buffer as they come and stay where they are until conn_consume.
 */
#ifndef KEYSTORE_CONN_H
#define KEYSTORE_CONN_H

#include "keystore/serve.h"

#include <sys/socket.h>

#define CONN_PATIENCE_MS 10000 /* for HELLO, a begun frame, an answer */

struct share;

struct conn {
	int fd;
	struct conn *prev, *next; /* in the server's list */
	struct share *share;
	struct conn *behind; /* in its share's line */
	struct session session;
	bool stranger; /* on the admin socket, without any right there */
	bool broken;   /* no more frames: to be closed */
	struct buf in, out;
	size_t taken;       /* of IN: frames that are being worked on */
	size_t counted;     /* of its bytes, while it is a large buffer */
	size_t sent;        /* of OUT */
	bool moved;         /* something came to its end since it was armed last */
	int64_t busy_since; /* when HELLO was due, a frame begun or an answer stuck; 0: idle */
	bool in_hand;       /* waits for a worker, or has one */
	int turn;           /* what one owner wrote is seen by the next */
};

/* FD is taken. NULL: no memory. */
struct conn *conn_new(int fd, bool admin, struct vault *vault, const struct ucred *cred);
void conn_free(struct conn **conn); /* closes it */
/* Is there an answer that could not be sent yet? */
bool conn_is_stuck(const struct conn *conn);
/* Reads what is there, up to a limit, unless there is a whole frame already. False: close. */
bool conn_read(struct conn *conn);
/* The next whole frame. False: none, or the connection is broken. */
bool conn_take_frame(struct conn *conn, const void **frame, size_t *len);
bool conn_has_frame(const struct conn *conn);
/* Forgets the frames that were taken. */
void conn_consume(struct conn *conn);
/* Sends what can be sent. False: close. */
bool conn_flush(struct conn *conn);
/* Makes room for N usual answers, so that they are not moved about one by one. */
void conn_expect(struct conn *conn, size_t n);
/* Are there enough answers to send them before the others are made? */
bool conn_has_load(const struct conn *conn);
/* Before it waits for its peer again: since when it lets us wait. */
void conn_note_wait(struct conn *conn);
/* From any thread: does it let us wait for too long? */
bool conn_is_late(const struct conn *conn, int64_t now);
void conn_set_in_hand(struct conn *conn, bool in_hand);

#endif
