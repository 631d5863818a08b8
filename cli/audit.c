/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit.c - sealgate audit …: proving and reading the ledger
 *
 * Needs no vault and no secret but for anchor, which asks for a fresh checkpoint when it can, for a
 * search by address, whose pseudonyms only the vault knows, and for what changes the ledger.
 */
#include "cli/audit.h"
#include "cli/officer.h"

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_audit = {
	.name = "audit",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "prove and read the ledger of key uses",
	.run = run,
};
static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&audit_verify, &audit_anchor, &audit_show,
		&audit_search, &audit_report, &audit_export, &audit_index, &audit_reconcile,
		&audit_retire, &audit_erase, &audit_open};

	return cmd_dispatch(&cmd_audit, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

bool
audit_dir(const struct command *command, struct cli *cli, const char *opt, const char **dir,
	int *status)
{
	*dir = opt;
	if (opt)
		return true;
	if (!cmd_conf(command, cli, status))
		return false;
	*dir = conf_str(conf_section(cli->conf, "ledger"), "dir");
	return true;
}
