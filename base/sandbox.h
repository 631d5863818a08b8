/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox.h - what a daemon gives up before it reads anything from outside
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>

/* No core files, no ptrace by others, no new privileges, umask 077. Call first in main(). */
enum rc sandbox_harden(struct err *err);
/* Locks all memory now and later; false and only logged where the limit forbids it. */
bool sandbox_lock_memory(void);
/* Becomes USER and GROUP (GROUP NULL: the user's own), when started as root; a no-op otherwise. */
enum rc sandbox_drop(const char *user, const char *group, struct err *err);
/* Detaches from the terminal; the parent returns from the program when the child called
 * sandbox_ready, with status 0, or when it died, with status 70 or the child's. */
enum rc sandbox_daemonize(struct err *err);
void sandbox_ready(void);
/* Tells the service manager (NOTIFY_SOCKET) STATE, e.g. "READY=1"; nothing when there is none. */
void sandbox_notify(const char *state);

#endif
