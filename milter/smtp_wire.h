/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_wire.h - what we say to an SMTP server: commands and the doubling of dots; pure, no I/O
 *
 * The one place where text from a mail becomes part of a command. An address is printable and
 * balanced in its quotes, a parameter has the syntax of its RFC (3461, 6533); everything else is
 * refused (addresses) or left out (parameters), so that nobody's CR LF becomes a command.
 */
#ifndef MILTER_SMTP_WIRE_H
#define MILTER_SMTP_WIRE_H

#include "milter/smtp.h"

#define SMTP_XFORWARD_COUNT 7
/* "NAME", "ADDR", … for bit I of smtp_caps.xforward. */
const char *smtp_xforward_name(int i);

/* May ADDR, with or without <>, stand in MAIL (EMPTY_OK) or RCPT? */
bool smtp_addr_is_good(const char *addr, bool empty_ok);
bool smtp_is_ascii(const char *text);

/* Each appends one command with its CRLF. *DROPPED: a parameter was left out, because it is
 * malformed or not offered. The addresses are good. */
enum rc smtp_format_mail(const struct smtp_envelope *envelope, const struct smtp_caps *caps,
	bool utf8, struct buf *out, bool *dropped, struct err *err);
enum rc smtp_format_rcpt(const struct smtp_rcpt *rcpt, const struct smtp_caps *caps, bool utf8,
	struct buf *out, bool *dropped, struct err *err);
/* One XFORWARD command or several, of what is known and offered; *N: how many. */
enum rc smtp_format_xforward(const struct smtp_xforward *xforward, const struct smtp_caps *caps,
	struct buf *out, size_t *n, struct err *err);

/* Doubles dots at the beginning of lines and sees to it that every line ends with CRLF. */
struct smtp_dots {
	const struct sink *to; /* borrowed; its finish() is not called */
	bool in_line;          /* something of a line was passed on */
	bool cr;               /* the last byte was a CR */
	uint64_t bytes;        /* passed on */
};
enum rc smtp_dots_feed(struct smtp_dots *dots, const void *data, size_t len, struct err *err);
/* Ends the last line, when it has no end yet. The final dot is the caller's. */
enum rc smtp_dots_end_line(struct smtp_dots *dots, struct err *err);

#endif
