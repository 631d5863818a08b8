/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logline.h - one line of our log as it comes out of a file or journalctl
 *
 * Before the pairs of base/log.h stand a time and "sealgate-milter[PID]:". The time may be RFC 3339
 * (ours on standard error, new syslogs, journalctl -o short-iso), seconds since 1970 (-o
 * short-unix) or "Nov 22 01:53:22" without a year, in local time: the last such moment is meant.
 */
#ifndef CLI_LOGLINE_H
#define CLI_LOGLINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGLINE_MAX_PAIRS 24

struct logline {
	int64_t time; /* seconds; -1: not to be read */
	size_t n;
	struct {
		const char *key, *value; /* within the line */
	} pairs[LOGLINE_MAX_PAIRS];
};

/* False: no line of the milter's. LINE is changed: values lose their quotes. NOW is for times
 * without a year. */
bool logline_parse(char *line, int64_t now, struct logline *out);
/* The time in front of a line of any program; -1. */
int64_t logline_time(const char *line, int64_t now);
const char *logline_get(const struct logline *line, const char *key); /* or NULL */

#endif
