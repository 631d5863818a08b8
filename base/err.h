/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * err.h - one table of errors, and what went wrong this time
 *
 * An error is set where it is first known and logged once, at the edge. The row in
 * errors.def gives its outcome, its SMTP reply and its public text.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/rc.h"

#include <stdarg.h>

enum errcode {
	ERR_NONE,
#define ERR(name, rc, smtp, enhanced, text) ERR_##name,
#include "base/errors.def"
#undef ERR
	ERR_COUNT
};

struct err {
	enum errcode code;
	char detail[384]; /* for the log; never content, secrets or personal text of a mail */
};

#define ERR_INIT                 \
	{                        \
		.code = ERR_NONE \
	}

/* Sets code and detail and returns the code's outcome. ERR may be NULL. */
enum rc err_set(struct err *err, enum errcode code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "text: " before the detail that is there and returns the code's outcome (RC_TEMP when ERR is
 * NULL: a caller that may be given NULL returns the outcome that it has). */
enum rc err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);

/* The table's columns. CODE must be one of the enum. ERR_NONE reads as "ok", 250 2.0.0. */
enum rc err_rc(enum errcode code);
const char *err_name(enum errcode code);     /* "vault-down": lower case, hyphens */
int err_smtp(enum errcode code);             /* 451 */
const char *err_enhanced(enum errcode code); /* "4.3.2" */
const char *err_public(enum errcode code);   /* ASCII */

/* Exit status of a program that ends with RC: 0, 65, 75; see the contract in sealgate(1). */
int err_exit_status(enum rc rc);

#endif
