/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk.h - what the files of sealgate key bulk … share
 */
#ifndef CLI_BULK_H
#define CLI_BULK_H

#include "cli/cmd.h"

extern const struct command bulk_export;

#endif
