/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ca.h - sealgate ca …: what its files and key revoke share
 */
#ifndef CLI_CA_H
#define CLI_CA_H

#include "cli/cmd.h"

extern const struct command ca_crl;

struct crl_wish {
	const char *key;  /* of one CA; NULL: all that need a list */
	const char *days; /* validity; NULL: the configuration's */
	bool due;         /* only those that end soon */
	bool quiet;       /* no line for each list */
	bool publish;     /* to file and directory, otherwise to standard output */
};
/* Makes lists and does with them what is wished. Gives the exit status; *n: how many. */
int crl_make(struct cli *cli, const struct crl_wish *wish, size_t *n);
/* Is there a place to publish lists? */
bool crl_has_place(const struct cli *cli);

#endif
