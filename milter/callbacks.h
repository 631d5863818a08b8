/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callbacks.h - libmilter's callbacks, translated into calls of session.h
 */
#ifndef MILTER_CALLBACKS_H
#define MILTER_CALLBACKS_H

#include "milter/daemon.h"

/* Registers the filter; DAEMON is used by all callbacks until the program ends. */
enum rc callbacks_register(struct daemon *daemon, struct err *err);

#endif
