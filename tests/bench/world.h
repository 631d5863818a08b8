/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.h - a private configuration with an empty store, for the benches of the vault
 *
 * Everything lies in one folder that goes at the end of the process. Trouble ends it with a
 * message.
 */
#ifndef TESTS_BENCH_WORLD_H
#define TESTS_BENCH_WORLD_H

#include "base/conf.h"

#include <sys/types.h>

void world_make(void);
struct conf *world_conf(void);
/* Starts the vault PROGRAM and waits until it answers; gives the milliseconds that took. */
int64_t world_start(const char *program, pid_t *pid);
void world_stop(pid_t pid);
void world_die(const char *what, const struct err *err);

#define MUST(call)                              \
	do {                                    \
		if ((call) != RC_OK)            \
			world_die(#call, &err); \
	} while (0)

#endif
