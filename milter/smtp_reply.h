/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_reply.h - what an SMTP server says (RFC 5321 section 4.2): pure, no I/O
 *
 * A reply is one line, or several with the same code. Line ends are CRLF or LF. What is no reply,
 * or too much of one, is ERR_PORT_ANSWER: after that nothing the server says has a meaning.
 *
 * Limits: SMTP_REPLY_LINE bytes in a line, SMTP_REPLY_LINES lines in a reply.
 */
#ifndef MILTER_SMTP_REPLY_H
#define MILTER_SMTP_REPLY_H

#include "milter/smtp.h"

#define SMTP_REPLY_LINE  2048
#define SMTP_REPLY_LINES 128

struct smtp_reply {
	int code; /* 200 to 599 */
	char enhanced[12];
	char text[200]; /* of the last line that has some; printable ASCII */
};

/*
 * The first reply in DATA. RC_OK: *USED bytes belong to it. RC_NONE: it is not whole yet.
 * RC_TEMP: ERR_PORT_ANSWER. CAPS: when not NULL the lines are those of an answer to EHLO, and it
 * is filled.
 */
enum rc smtp_reply_parse(const char *data, size_t len, struct smtp_reply *reply, size_t *used,
	struct smtp_caps *caps, struct err *err);

#endif
