/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * supervise.h - one process for each service, started again when one ends
 *
 * Each service has a process, a socket and an identity towards the vault of its own, so that what
 * breaks one of them does not break the others. The supervisor reads nothing but signals: SIGTERM
 * and SIGINT stop all, SIGUSR1 is handed on. A child that ends is started anew, at once at first,
 * then with growing pauses; one that refuses the configuration at the very start ends everything.
 */
#ifndef MILTER_SUPERVISE_H
#define MILTER_SUPERVISE_H

#include "base/conf.h"

/*
 * Runs RUN in a child for each service of CONF until it is told to stop; returns the exit status.
 * RUN gets the service's name and a descriptor on which it writes one byte when it serves. READY is
 * called once, when all do.
 */
int supervise(const struct conf *conf, int (*run)(const char *service, int ready_fd, void *ctx),
	void (*ready)(void), void *ctx);

#endif
