/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authres.h - Authentication-Results (RFC 8601, RFC 7281)
 */
#ifndef MILTER_AUTHRES_H
#define MILTER_AUTHRES_H

#include "base/buf.h"
#include "crypto/verdict.h"

#include <stdbool.h>

enum authres_kind {
	AUTHRES_OTHER,  /* not ours, or nothing about smime in it: leave it alone */
	AUTHRES_CHANGE, /* ours, and something besides smime: the rest is in OUT */
	AUTHRES_DELETE  /* ours, and nothing but smime, or not to be read */
};

/* A field's value that came with the message: what has to be done so that nobody takes its smime
 * results for ours? OUT gets the new value for AUTHRES_CHANGE, leading blank included. */
enum rc authres_examine(const char *value, size_t len, const char *id, enum authres_kind *kind,
	struct buf *out, struct err *err);

/* Our field's value for N verdicts, outermost first, folded with "\n\t", leading blank included.
 * FROM: the address that a matching sender was checked for, or NULL. */
enum rc authres_format(const char *id, const struct verdict *verdicts, size_t n, const char *from,
	struct buf *out, struct err *err);

#endif
