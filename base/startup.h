/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * startup.h - what the programs of the daemons have in common before the work begins
 *
 * Threads: the first one, before there are others.
 */
#ifndef BASE_STARTUP_H
#define BASE_STARTUP_H

#include "base/conf.h"

#include <signal.h>
#include <stdbool.h>

struct startup {          /* what the command line says */
	const char *conf; /* borrowed from argv */
	bool foreground;
};

/* Answers --version and --help of PROGRAM, which need no configuration; false: neither was asked.
 */
bool startup_answer(const char *program, int argc, char **argv);
/* "-c CONF [-f]". False: something else; the usage stands on standard error. */
bool startup_parse(const char *program, int argc, char **argv, struct startup *out);
/* log.level holds from now on; may be called again after a reload, from any thread. */
void startup_set_log(const struct conf *conf);
/* Keeps SIGTERM, SIGINT, SIGUSR1 and SIGHUP for whoever waits for *SET, in all threads that come
 * later too. A closed peer, or a file at its limit of size, is an error and not our end. */
void startup_block_signals(sigset_t *set);

#endif
