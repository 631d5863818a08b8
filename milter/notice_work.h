/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_work.h - working off the outbox of notices
 *
 * The outside is a row of functions, so that a test can stand in for directory, vault and port.
 */
#ifndef MILTER_NOTICE_WORK_H
#define MILTER_NOTICE_WORK_H

#include "milter/notice.h"

struct notice_ops {
	/* preferredLanguage of ADDR as the directory has it. RC_NONE: has none; RC_TEMP: could not
	 * be asked. */
	enum rc (*language)(void *ctx, const char *addr, struct buf *out, struct err *err);
	/* Signs MSG in place. RC_PERM: can't be. */
	enum rc (*sign)(void *ctx, struct msg *msg, const char *from, const char *to,
		const char *rule, struct err *err);
	/* Submits MSG with the null sender. RC_PERM: was refused for good; RC_NONE: no port. */
	enum rc (*send)(void *ctx, struct msg *msg, const char *to, bool smtputf8, struct err *err);
	/* Has ADDR a usable certificate? RC_OK yes, RC_NONE no. */
	enum rc (*known)(void *ctx, const char *addr, struct err *err);
	int64_t (*now)(void *ctx); /* seconds */
	/* Have certificates come or gone since it was asked last? NULL: can't be told. */
	bool (*changed)(void *ctx);
};
/* OPS are copied. Before the first use by other threads. */
void notices_attach(struct notices *notices, const struct notice_ops *ops, void *ctx);

/* After how many seconds there may be something to do though nothing was kept. */
int64_t notices_interval(const struct notices *notices);
/* WAKE is called, by any thread, when something was kept. */
void notices_wake(struct notices *notices, void (*wake)(void *ctx), void *ctx);
/* A certificate has come: whoever works looks whether somebody waits for it. */
void notices_look(struct notices *notices);

/*
 * Submits what is due, and now and then looks for awaited certificates. STOP is asked between
 * messages. One thread at a time for a struct notices. The result is what stopped it: RC_TEMP when
 * the store cannot be used now.
 */
enum rc notices_work(struct notices *notices, bool (*stop)(void *ctx), void *ctx, struct err *err);

#endif
