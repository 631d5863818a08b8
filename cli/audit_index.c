/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_index.c - sealgate audit index: the index of the ledger, made ahead or anew
 *
 * It is made by searches as they need it; a timer that calls this saves them the wait.
 */
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_index = {
	.name = "audit index",
	.usage = "[--dir DIR] [--index FOLDER] [--rebuild]",
	.help = "bring the index of the ledger up to date",
	.details =
		"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"
		"  --index FOLDER     where it is kept; default: index in the ledger's folder\n"
		"  --rebuild          make all of it anew\n",
	.run = run,
};

static int
print(const struct cli *cli, const struct ledger_search *search)
{
	struct buf text = BUF_INIT(4096);
	struct json json;

	if (!cli->json) {
		printf("%" PRIu64 " segments have an index, %" PRIu64 " of them a new one\n",
			search->indexed, search->built);
		return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : EX_OK;
	}
	cmd_json_begin(&json, &text);
	json_int(&json, "segments", (int64_t)(search->indexed + search->scanned));
	json_int(&json, "indexed", (int64_t)search->indexed);
	json_int(&json, "built", (int64_t)search->built);
	return cmd_json_end(&json, EX_OK);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct ledger_search search = {.use = LEDGER_INDEX_AUTO};
	struct err err = ERR_INIT;
	const char *dir = NULL;
	bool rebuild = false;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &dir},
		{"index", OPT_VALUE, &search.folder}, {"rebuild", OPT_FLAG, &rebuild}};
	int status;

	if (!cmd_parse(&audit_index, cli, opts, 3, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&audit_index, "too many arguments");
	if (!audit_dir(&audit_index, cli, dir, &search.dir, &status))
		return status;
	search.use = rebuild ? LEDGER_INDEX_REBUILD : LEDGER_INDEX_AUTO;
	if (ledger_search_index(&search, &err) != RC_OK)
		return err.code == ERR_LEDGER_BROKEN ? cmd_fail(&err) : cmd_fail_input(&err);
	if (search.no_folder) {
		fprintf(stderr, "sealgate: no index can be kept: %s\n", search.why);
		return EX_NOINPUT;
	}
	return print(cli, &search);
}
