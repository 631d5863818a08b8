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
#include "milter/outlet.h"
#include "milter/pipeline.h"
#include "milter/service.h"

struct daemon;

/* Takes references of ENGINE and OUTLET (NULL: no port for copies). SERVICE is borrowed for the
 * daemon's life. */
enum rc daemon_new(const struct service *service, struct engine *engine, struct outlet *outlet,
	struct daemon **out, struct err *err);
void daemon_free(struct daemon **daemon);
const struct service *daemon_service(const struct daemon *daemon);
struct minder *daemon_minder(struct daemon *daemon);
enum rc daemon_start_minder(struct daemon *daemon, struct err *err);

/* The engine and the outlet in force, with references for the caller; *OUTLET may be NULL. */
struct engine *daemon_engine(struct daemon *daemon, struct outlet **outlet);
/* Puts them in force; takes references. */
void daemon_set_engine(struct daemon *daemon, struct engine *engine, struct outlet *outlet);

/* Is there one? */
bool daemon_has_outlet(struct daemon *daemon);

/* A message's content is being taken in or worked on, or no more. */
void daemon_content_begins(struct daemon *daemon);
void daemon_content_ends(struct daemon *daemon);

bool daemon_is_stopping(struct daemon *daemon);
/* From now on new messages are deferred; waits until no content is in flight, at most MS
 * milliseconds. Copies that are under way then are given up before the end of that time, so that
 * the rest of their message can be deferred in order. True when none is left. */
bool daemon_drain(struct daemon *daemon, long ms);

/* After that: nothing of ours works behind the sessions' backs any more; waits at most MS. */
bool daemon_is_quiet(struct daemon *daemon, long ms);

#endif
