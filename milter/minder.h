/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * minder.h - keeps the worker pool of libmilter moving while answers are slow
 *
 * One thread watches the callbacks that may take long. It wakes libmilter's pool when one does (see
 * the essay in minder.c), so that a slow answer delays nobody else, and tells the waiting MTA from
 * time to time that we are still at it, so that it doesn't give up. A second thread does the
 * telling: an MTA that does not read its connection holds up its own session only, and what other
 * MTAs are told.
 *
 * Threads: any may begin and end a task. Between begin and end nobody else writes to that session's
 * connection; end returns only when the minder has done so.
 */
#ifndef MILTER_MINDER_H
#define MILTER_MINDER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct minder;

/* What is being waited for; lives with the caller from begin to end. */
struct minded {
	void (*still_at_it)(void *ctx); /* tells the MTA; NULL: nobody to tell */
	void *ctx;
	int64_t began_ms;
	int64_t told_ms;
	bool kicked;
	bool is_due;  /* the MTA is to be told */
	bool is_told; /* right now */
	struct minded *next, **prev;
};

/* SOCKET: the daemon's own listening address, "unix:PATH" or "inet[6]:PORT@ADDRESS"; copied. */
enum rc minder_start(const char *socket, struct minder **out, struct err *err);
void minder_stop(struct minder **minder);

void minder_begin(struct minder *minder, struct minded *task);
void minder_end(struct minder *minder, struct minded *task);
/* A task that knows that it will wait asks for the pool to be woken at once. */
void minder_kick(struct minder *minder, struct minded *task);
/* Sessions that are open, for the rare kick that mends what no callback shows. */
void minder_count(struct minder *minder, int change);
long minder_sessions(struct minder *minder);
/* Is PORT the local port of one of the minder's own connections of late? */
bool minder_is_own_port(struct minder *minder, unsigned port);
/* One connection to the own socket that is closed at once; what a kick is. */
bool minder_knock(struct minder *minder);

#endif
