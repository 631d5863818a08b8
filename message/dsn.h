/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dsn.h - the machine's part of a delivery status notification (RFC 3464, 3461, 6533)
 *
 * What comes from outside (ENVID, ORCPT, replies) is decoded from xtext, checked and bounded; what
 * cannot stand in a field is left out of the report, never written raw.
 */
#ifndef MESSAGE_DSN_H
#define MESSAGE_DSN_H

#include "base/buf.h"
#include "base/sink.h"

#include <stdbool.h>
#include <stdint.h>

struct dsn_rcpt {
	const char *addr;     /* canonical */
	const char *orcpt;    /* "type;xtext" of RCPT, or NULL */
	int code;             /* SMTP reply code */
	const char *enhanced; /* "5.7.1", "" or NULL */
	const char *text;     /* of the reply, or NULL */
};

struct dsn {
	const char *reporting_mta; /* host or domain */
	const char *envid;         /* xtext of MAIL, or NULL */
	const char *qid;           /* the message's queue id, or NULL */
	int64_t arrival, now;
	const struct dsn_rcpt *v;
	size_t n;
	bool utf8; /* the report may carry UTF-8: message/global-delivery-status */
};

/* The content type of dsn_write's body. */
const char *dsn_type(bool utf8);
/* Fields for the message and a block for each recipient, CRLF line ends. */
enum rc dsn_write(const struct dsn *dsn, const struct sink *to, struct err *err);

/* Does NOTIFY (NULL: not given) ask to be told of failures? RFC 3461 section 4.1; what is no
 * NOTIFY is not obeyed. */
bool dsn_wants_failure(const char *notify);
/* A status for the reply CODE ENHANCED: the latter when it is one and of the same class. */
const char *dsn_status(int code, const char *enhanced);

/* Decodes xtext (RFC 3461 section 4). RC_PERM when it is none or gives more than printable
 * ASCII. */
enum rc dsn_decode_xtext(const char *text, size_t len, struct buf *out, struct err *err);

#endif
