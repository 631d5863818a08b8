/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reinject.h - sends a message's copies to the port, in place of the message in hand
 *
 * Every copy has a Received: line of ours with the queue id and a loop mark above the message, and
 * the envelope's parameters. Who has it in the end stands in the result. PLAN_DELIVER then means
 * that the original must be discarded: whoever was to get it has it, or the sender is told; the
 * journal is closed. Anything else is the reply, and the client keeps the message.
 */
#ifndef MILTER_REINJECT_H
#define MILTER_REINJECT_H

#include "milter/envelope.h"
#include "milter/outlet.h"
#include "milter/pipeline.h"

struct reinject { /* all borrowed */
	struct outlet *outlet;
	struct transaction *tx;
	struct result *result;
	const struct envelope *envelope; /* its recipients are the transaction's, in their order */
	const struct envelope_client *client;
	const char *qid;
	int64_t deadline_ms; /* clock_monotonic_ms: no copy is begun after it */
	bool (*stopping)(void *ctx);
	void *ctx;
};
/* Did an earlier try of this message hand copies on? RESULT is not looked at. Asked before the
 * pipeline, which then makes copies too; a stamp is taken out of the message already. */
enum rc reinject_was_begun(const struct reinject *reinject, bool *begun, struct err *err);
/* Also for a result that refuses a message that was begun: who has it already has it. */
void reinject_run(const struct reinject *reinject);

#endif
