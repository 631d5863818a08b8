/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.h - what the files of sealgate key … share
 */
#ifndef CLI_KEY_H
#define CLI_KEY_H

#include "cli/answer.h"

extern const struct command key_import, key_held, key_pin, key_import_certs, key_request;
extern const struct command key_bulk;

/* The keys of an answer as lines, or the answer as JSON. */
int key_print(const struct cli *cli, const struct json_value *answer);

#endif
