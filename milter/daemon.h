/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - what all sessions of one service share: configuration in force, work in flight,
 * stopping
 *
 * A reload puts another engine in force; messages under way keep theirs, and the old engine goes
 * with the last of them. At a stop no new message is begun, what was being taken in or worked on
 * gets a short time, and the rest is deferred.
 *
 * Threads: any.
 */
#ifndef MILTER_DAEMON_H
#define MILTER_DAEMON_H

#include "milter/minder.h"
#include "milter/pipeline.h"
#include "milter/service.h"

struct daemon;

/* Takes a reference of ENGINE. SERVICE is borrowed for the daemon's life. */
enum rc daemon_new(
	const struct service *service, struct engine *engine, struct daemon **out, struct err *err);
void daemon_free(struct daemon **daemon);
const struct service *daemon_service(const struct daemon *daemon);
struct minder *daemon_minder(struct daemon *daemon);
enum rc daemon_start_minder(struct daemon *daemon, struct err *err);

/* The engine in force, with a reference for the caller. */
struct engine *daemon_engine(struct daemon *daemon);
/* Puts ENGINE in force; takes a reference of it. */
void daemon_set_engine(struct daemon *daemon, struct engine *engine);

/* A message's content is being taken in or worked on, or no more. */
void daemon_content_begins(struct daemon *daemon);
void daemon_content_ends(struct daemon *daemon);

bool daemon_is_stopping(struct daemon *daemon);
/* From now on new messages are deferred; waits until no content is in flight, at most MS
 * milliseconds. True when none is left. */
bool daemon_drain(struct daemon *daemon, long ms);

#endif
