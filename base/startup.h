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
	const char *conf; /* borrowed */
	bool foreground;
};

/* Answers --version and --help of PROGRAM, which need no configuration; false: neither was asked.
 */
bool startup_answer(const char *program, int argc, char **argv);
/* "-c CONF [-f]". False: something else; the usage stands on standard error. */
bool startup_parse(const char *program, int argc, char **argv, struct startup *out);
/* All that main of a daemon does around RUN, whose exit status it gives: the command line,
 * hardening, the configuration, the log. 64, 70, 78: it did not come to that, and it was said. */
typedef int startup_run(const struct startup *args, struct conf *conf);
int startup_main(const char *program, int argc, char **argv, startup_run *run);
/* Reads the configuration anew and has APPLY take it, with the words for the log and for systemd.
 * One that is refused leaves the old one in force. */
typedef enum rc startup_apply(void *ctx, struct conf *conf, struct err *err);
void startup_reload(const char *path, startup_apply *apply, void *ctx);
/* log.level holds from now on; may be called again after a reload, from any thread. */
void startup_set_log(const struct conf *conf);
/* Keeps SIGTERM, SIGINT, SIGUSR1 and SIGHUP for whoever waits for *SET, in all threads that come
 * later too. A closed peer, or a file at its limit of size, is an error and not our end. */
void startup_block_signals(sigset_t *set);

#endif
