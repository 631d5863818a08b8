/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reply.h - what the sending side hears
 *
 * ASCII only: MTAs pass other bytes raw. One line, with an enhanced status code, naming the
 * recipient and the rule where there is one.
 */
#ifndef MILTER_REPLY_H
#define MILTER_REPLY_H

#include "milter/pipeline.h"

struct reply_about { /* any may be NULL */
	const char *addr;
	const struct rule *rule;
	const char *message; /* the rule's own words */
	const char *help_url;
};
/* Fills outcome, code and text. */
void reply_set(struct result *result, const struct err *err, const struct reply_about *about);
/* The same for one recipient. */
void
reply_set_rcpt(struct rcpt_result *rcpt, const struct err *err, const struct reply_about *about);
void reply_accept(struct result *result, const char *text);

#endif
