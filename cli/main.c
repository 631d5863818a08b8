/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - sealgate, the operator's tool
 */
#include "config.h"

#include "base/log.h"
#include "base/sandbox.h"
#include "crypto/token.h"
#include "cli/cmd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
#define COMMAND(name) &cmd_##name,
#include "cli/commands.def"
#undef COMMAND
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static void
print_commands(FILE *to)
{
	size_t i;

	fprintf(to, "usage: sealgate [-c CONF] COMMAND [ARGUMENT …]\n\n");
	for (i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->help);
	fprintf(to, "\nsealgate COMMAND --help tells more of each.\n");
}

static int
run(struct cli *cli, int argc, char **argv)
{
	int i;
	size_t k;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			cli->conf_path = argv[++i];
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_commands(stdout);
			return EX_OK;
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("sealgate " PACKAGE_VERSION);
			return EX_OK;
		} else {
			break;
		}
	}
	for (k = 0; i < argc && k < N_COMMANDS; k++)
		if (strcmp(argv[i], commands[k]->name) == 0)
			return commands[k]->run(cli, argc - i, argv + i);
	if (i < argc)
		fprintf(stderr, "sealgate: no such command or option: %s\n", argv[i]);
	print_commands(stderr);
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	struct cli cli = {0};
	struct err err = ERR_INIT;
	int status;

	/* The same program is started for a token, when no vault runs. */
	if (token_process_is_wanted(argc, argv))
		return token_process_main(argv);
	signal(SIGXFSZ, SIG_IGN); /* nor is a full disk */
	signal(SIGPIPE, SIG_IGN); /* a vault that goes away is an error, not our end */
	log_open("sealgate", true);
	log_set_level(LOGL_WARN);
	if (sandbox_harden(&err) != RC_OK)
		return cmd_fail(&err);
	status = run(&cli, argc, argv);
	conf_unref(&cli.conf);
	return status;
}
