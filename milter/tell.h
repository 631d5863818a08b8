/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tell.h - who is told what, at the end of a message: notices of a refusal, invitations
 *
 * Reports of what was left out of an accepted message belong to those who send copies (reinject.h).
 */
#ifndef MILTER_TELL_H
#define MILTER_TELL_H

#include "milter/envelope.h"
#include "milter/notice.h"
#include "milter/pipeline.h"

/* The sender is an address of ours that the login may use. */
bool tell_is_own_sender(const struct transaction *tx);
/* A recipient was refused when named, by transaction_rcpt_early, with REPLY. */
void tell_named(struct notices *notices, struct transaction *tx, const struct rcpt_result *reply);
/* After the outcome is known, before the reply. Nothing here changes the reply. */
void tell_people(struct notices *notices, struct transaction *tx, const struct result *result,
	const struct envelope *envelope);

#endif
