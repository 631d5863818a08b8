/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - the fields above a copy of ours, and how a copy that comes back is known
 *
 * The loop mark is bound to the service that made the copy and to the envelope sender: a mailing
 * list or another service of ours that passes the copy on is no loop. It grants nothing: whoever
 * forges it stops their own mail.
 */
#ifndef MILTER_TRACE_H
#define MILTER_TRACE_H

#include "message/hdrs.h"
#include "milter/envelope.h"

struct trace { /* all borrowed; NULL: not known */
	const char *authserv_id, *service;
	const char *sender; /* canonical */
	const char *qid;
	const struct envelope_client *client;
	bool extended, authenticated; /* how the client spoke */
	int64_t now;
};

/* Received: and the loop mark, with CRLF line ends. */
enum rc trace_format(const struct trace *trace, struct buf *out, struct err *err);
/* Has this message passed here already? A mark that names nothing but us counts as well. */
enum rc
trace_is_loop(const struct trace *trace, const struct hdrs *hdrs, bool *loop, struct err *err);

#endif
