/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - one line for each event: qid=… event=… key=value …
 *
 * Values are quoted here and nowhere else: what is not printable ASCII without blanks,
 * quotes, backslash or '=' stands in double quotes with \xNN escapes, cut at
 * LOG_VALUE_MAX bytes. No content, no subjects, no secrets. ERROR means: somebody has to act.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>

enum log_level { LOGL_ERROR, LOGL_WARN, LOGL_INFO, LOGL_DEBUG };

#define LOG_VALUE_MAX 400

/* To syslog (facility mail), or to standard error. May be called again. */
void log_open(const char *ident, bool to_stderr);
void log_set_level(enum log_level level);

/*
 * EVENT and then pairs of key and value, all const char *, ended by NULL. A NULL value
 * leaves its pair out. QID may be NULL. Threads: any.
 *   log_event(LOGL_INFO, qid, "sealed", "rcpt", addr, "rule", rule, NULL);
 */
void
log_event(enum log_level level, const char *qid, const char *event, ...) __attribute__((sentinel));
/* The same with error=NAME detail=TEXT from ERR at the end. */
void log_error(enum log_level level, const char *qid, const char *event, const struct err *err, ...)
	__attribute__((sentinel));

/* A number as a value, good to the end of the enclosing block: LOG_NUM(size). */
#define LOG_NUM(n) log_number((char[24]){0}, (long long)(n))
const char *log_number(char out[24], long long n);

#endif
