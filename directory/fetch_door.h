/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_door.h - the fetcher's socket
 *
 * Packets (want.h) from the mail path, which waits for no answer, and from the operator's tool,
 * which gets one: JSON objects, one a packet, and an empty object at the end.
 *
 * Limits: DOOR_CONNS connections, DOOR_RATE packets a second of each; who sends more is read later,
 * and its own socket is what fills. Nothing is kept for anybody but a place in the list.
 */
#ifndef DIRECTORY_FETCH_DOOR_H
#define DIRECTORY_FETCH_DOOR_H

#include "base/buf.h"
#include "directory/want.h"

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

#define DOOR_CONNS 128
#define DOOR_RATE  200
#define DOOR_BURST 1000

struct fetch_door;

/* What is behind the door. */
struct door_handler {
	/* A want that parses. An answer, when one is due, is appended to OUT. */
	void (*take)(void *ctx, const struct want *want, struct buf *out);
	/* The next object of a list after *PLACE (0: the first), which moves; RC_NONE: no more. */
	enum rc (*list)(void *ctx, uint64_t *place, struct buf *out);
	void *ctx;
};

/* The socket at PATH, of mode 0660, for GID ((gid_t)-1: as it comes). One that somebody listens on
 * is not taken away. */
enum rc
fetch_door_open(const char *path, uid_t uid, gid_t gid, struct fetch_door **out, struct err *err);
void fetch_door_close(struct fetch_door **door);
/* What to wait for: at most MAX entries; how many. *TIMEOUT_MS is lowered when somebody has to wait
 * for its turn. */
size_t fetch_door_fds(struct fetch_door *door, struct pollfd *fds, size_t max, int *timeout_ms);
/* Serves what is ready; N as fetch_door_fds said. */
void fetch_door_serve(struct fetch_door *door, const struct pollfd *fds, size_t n,
	const struct door_handler *handler);

#endif
