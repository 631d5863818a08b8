/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outlet.h - where mail of ours leaves: the port for copies, the journal, and notices
 *
 * Of one configuration; immutable, reference-counted, pinned by each session for a message's life.
 *
 * Threads: any.
 */
#ifndef MILTER_OUTLET_H
#define MILTER_OUTLET_H

#include "milter/journal.h"
#include "milter/notice.h"
#include "milter/pipeline.h"
#include "milter/smtp.h"

struct outlet;

/* RC_NONE: no port is configured. Nothing is connected or opened yet. A reference of ENGINE is
 * taken: notices ask its directories and its vault. */
enum rc outlet_new(struct conf *conf, struct engine *engine, struct outlet **out, struct err *err);
struct outlet *outlet_ref(struct outlet *outlet); /* NULL stays NULL */
void outlet_unref(struct outlet **outlet);
bool outlet_is_used(const struct outlet *outlet); /* by others than the caller */
/* Asks the port what it can do, and looks at the journal, in a thread of its own; for the log. */
void outlet_probe(struct outlet *outlet);
/* Begins to submit notices, in a thread that keeps the outlet alive until it is retired or stopped;
 * another outlet is in its place then, or the process ends. NULL is no outlet. */
enum rc outlet_serve(struct outlet *outlet, struct err *err);
void outlet_retire(struct outlet *outlet);
/* True when that thread has ended; waits for it, at most MS milliseconds. */
bool outlet_is_quiet(struct outlet *outlet, long ms);
/* The process ends: nothing waits for the port any more. */
void outlet_stop(struct outlet *outlet);

struct smtp_port *outlet_port(const struct outlet *outlet);
struct journal *outlet_journal(const struct outlet *outlet);
struct notices *outlet_notices(const struct outlet *outlet);

#endif
