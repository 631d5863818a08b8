/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.c - sealgate journal: how much is unfinished
 */
#include "cli/cmd.h"

#include "base/clock.h"
#include "milter/journal.h"

#include <inttypes.h>
#include <stdio.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_journal = {
	.name = "journal",
	.usage = "[--json]",
	.help = "count what waits for its client to try again",
	.details =
		"Recipients of messages of which some copies went out and others did not, yet.\n",
	.run = run,
};

static int
print_json(const struct journal_stats *stats)
{
	struct buf out = BUF_INIT(0);
	struct json json;

	cmd_json_begin(&json, &out);
	json_int(&json, "entries", stats->entries);
	json_int(&json, "in_doubt", stats->doubtful);
	if (stats->oldest)
		json_time(&json, "oldest", stats->oldest);
	return cmd_json_end(&json, EX_OK);
}

static int
print(const struct journal_stats *stats)
{
	char oldest[CLOCK_TEXT_SIZE];

	printf("entries   %" PRId64 "\nin doubt  %" PRId64 "\n", stats->entries, stats->doubtful);
	if (stats->oldest)
		printf("oldest    %s\n", clock_format(stats->oldest, oldest));
	return fflush(stdout) == 0 ? EX_OK : EX_OSERR;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct journal_stats stats;
	struct err err = ERR_INIT;
	int status;

	if (!cmd_take(&cmd_journal, cli, &(struct cmd_args){NULL, 0, 0, 0}, &argc, argv, &status))
		return status;
	/* No file: nothing was ever left unfinished. */
	if (journal_stats(journal_conf_of(cli->conf).path, &stats, &err) == RC_TEMP)
		return cmd_fail(&err);
	return cli->json ? print_json(&stats) : print(&stats);
}
