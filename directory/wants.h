/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wants.h - telling the fetcher what is missing, without waiting for it
 *
 * A note is one packet to a unix socket, sent if that is possible at once and dropped otherwise:
 * the next message that needs the same says so again. What was noted a moment ago is not noted
 * again. Dropped notes are counted (wants_dropped), and the log says when the fetcher went away
 * and came back.
 *
 * Threads: any.
 */
#ifndef DIRECTORY_WANTS_H
#define DIRECTORY_WANTS_H

#include "base/conf.h"
#include "crypto/trust.h"
#include "directory/want.h"

struct wants;

/* Connects when there is something to say. fetch.socket unset: nothing is ever sent. */
enum rc wants_open(const struct conf *conf, struct wants **out, struct err *err);
void wants_close(struct wants **wants);

/* How soon the same may be noted again: what is missing soon, what is there now and then, so that
 * the fetcher keeps it fresh. */
enum wants_need { WANTS_MISSING, WANTS_IN_USE };

/* WANTS may be NULL. A list or a CA's certificate at URL. */
void wants_note(struct wants *wants, enum want_kind kind, const char *url, enum wants_need need);
/* The answer to REQUEST (DER) from the responder at URL, to be kept as NAME. */
void wants_note_ocsp(struct wants *wants, const char *url, const char *name, const void *request,
	size_t len, enum wants_need need);

/* Lists of this CA, over which a path led, will be asked for. */
void wants_note_issuer(struct wants *wants, const struct cert *issuer);

/* Has TRUST tell what it misses and what it uses: its watcher. */
enum rc wants_watch(const struct conf *conf, struct trust *trust, struct err *err);

#endif
