/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.h - the service's socket: locked, opened, guarded
 */
#ifndef MILTER_LISTEN_H
#define MILTER_LISTEN_H

#include "milter/minder.h"
#include "milter/service.h"

/*
 * Opens the socket through libmilter, which removes a unix socket that is there, even a living
 * one's: so a lock file beside it is taken first (PATH.lock, with the pid in it). The lock is held
 * until the process ends. ERR_CONFIG when another process has it. Call while still privileged.
 */
enum rc listen_open(const struct service *service, struct err *err);
/* Removes the unix socket when the service ends. */
void listen_close(const struct service *service);

/*
 * Breaks each connection of a peer that is not in the service's list; false when that can't be
 * done. libmilter does not tell which connection a callback is for, but it is among the open ones.
 * Called from the first callback of each connection, before anything is believed. MINDER's own are
 * let be.
 */
bool listen_check_peers(const struct service *service, struct minder *minder);

#endif
