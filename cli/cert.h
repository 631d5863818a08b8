/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert.h - the commands of `sealgate cert` that work on the store
 */
#ifndef CLI_CERT_H
#define CLI_CERT_H

#include "cli/cmd.h"
#include "directory/certstore.h"

extern const struct command cert_publish;
extern const struct command cert_find, cert_add, cert_import_dir; /* cert_find.c, cert_add.c */
extern const struct command cert_list, cert_show, cert_pin, cert_unpin,
	cert_forget; /* cert_store.c */

/* Opens the configured store; CREATE: makes it when it is not there. False: *status, and it was
 * said. */
bool cert_open_store(const struct command *command, struct cli *cli, bool create,
	struct certstore **store, int *status);
/* Members of one certificate, into an open object. */
void cert_json(const struct cert *cert, struct json *json);
const char *cert_tier_name(enum tier tier);

#endif
