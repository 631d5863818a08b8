/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compose.h - the pieces of messages that we write ourselves
 *
 * Whatever text comes in, one header field comes out: control characters, CR and LF among them,
 * become blanks, bytes that are no UTF-8 become U+FFFD, and what is not printable ASCII is encoded
 * by RFC 2047. Values are in the form of struct hdrs: with their leading blank, "\n" line ends.
 *
 * Limits: COMPOSE_MAX_TEXT bytes of text in a field; the rest is cut at a character.
 */
#ifndef MESSAGE_COMPOSE_H
#define MESSAGE_COMPOSE_H

#include "message/hdrs.h"

#include <stdbool.h>
#include <stdint.h>

#define COMPOSE_MAX_TEXT      2000
#define COMPOSE_BOUNDARY_SIZE 48

enum compose_charset { COMPOSE_UTF8, COMPOSE_ISO_2022_JP /* where it can say everything */ };

/* A field with unstructured text, such as Subject:. */
enum rc compose_text(struct hdrs *hdrs, const char *name, const char *text,
	enum compose_charset charset, struct err *err);
/* A field with one mailbox; DISPLAY may be NULL. ADDR is canonical. */
enum rc compose_mailbox(struct hdrs *hdrs, const char *name, const char *display, const char *addr,
	enum compose_charset charset, struct err *err);
/* A field whose value is ours and fit to stand as it is. */
enum rc compose_field(struct hdrs *hdrs, const char *name, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Date: and a Message-ID: of ours under DOMAIN. */
enum rc compose_origin(struct hdrs *hdrs, int64_t now, const char *domain, struct err *err);
enum rc compose_boundary(char out[COMPOSE_BOUNDARY_SIZE], struct err *err);

/*
 * A text/plain entity: its Content-* fields into HDRS, its encoded body, with CRLF line ends, to
 * BODY (not finished). TEXT has "\n" line ends.
 */
enum rc compose_plain(const char *text, size_t len, enum compose_charset charset, struct hdrs *hdrs,
	const struct sink *body, struct err *err);

/* TEXT as clean UTF-8 in one line: control characters become blanks; cut at MAX bytes. */
enum rc compose_clean(const char *text, size_t max, struct buf *out, struct err *err);
bool compose_is_ascii(const char *text);

#endif
