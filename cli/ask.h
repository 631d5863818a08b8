/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - a password from the terminal
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "base/secret.h"

#include <stdbool.h>

/* "WHAT of NAME: ", without echo; one line of standard input. ERR_KEY_PASSWORD: none was given. */
enum rc ask_secret(const char *name, const char *what, struct secret **out, struct err *err);

#endif
