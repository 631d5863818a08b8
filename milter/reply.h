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

/* Fills outcome, code and text. ADDR, RULE may be NULL. */
void reply_set(struct result *result, const struct err *err, const char *addr,
	const struct rule *rule, const struct verdicts *verdicts);
void reply_accept(struct result *result, const char *text);

#endif
