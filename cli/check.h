/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - parts of `sealgate check`
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "base/conf.h"

/* What the vault compiles; in a file of its own, since its services are others than the milter's.
 */
enum rc check_vault(struct conf *conf, struct err *err);

/* The CA and publication: refusals; and warnings on standard error. */
enum rc check_ca(struct conf *conf, struct err *err);
void warn_ca(struct conf *conf);

/* Warnings about pinned and domain certificates that end soon. */
void warn_named(struct conf *conf);

/* Asks each server of each directory and prints what it said; the exit status. */
struct cli;
int check_directories(struct cli *cli);

#endif
