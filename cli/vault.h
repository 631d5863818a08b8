/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault.h - what the files of sealgate vault … share
 */
#ifndef CLI_VAULT_H
#define CLI_VAULT_H

#include "cli/answer.h"

extern const struct command vault_backup, vault_budgets, vault_rekey, vault_restore;

/* One request without members, for its effect. */
enum rc vault_do(struct cli *cli, const char *cmd, struct secret *blob, struct err *err);

/* The first line of FILE; NULL: asked for on the terminal, TWICE for a new one. */
enum rc vault_passphrase(const char *file, bool twice, struct secret **out, struct err *err);

#endif
