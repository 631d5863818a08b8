/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_erase.c - sealgate audit erase: the end of a month's pseudonym key
 */
#include "cli/audit.h"
#include "cli/officer.h"

#include <inttypes.h>
#include <stdio.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_erase = {
	.name = "audit erase",
	.usage = "--period MONTH [--reason TEXT] [--hours N] | --request REQUEST | --list",
	.help = "destroy a month's pseudonym key: its records speak of nobody any more",
	.details =
		"  --period MONTH     a month that is over, like 2026-05; nothing brings its key back\n" OFFICER_ACT_DETAILS
		"  --list             the months that have a key\n"
		"Where there are officers, this makes a request first.\n",
	.run = run,
};

static int
print_list(struct cli *cli, const struct json_value *answer)
{
	const struct json_value *list = json_find(answer, "periods");

	if (cli->json)
		return answer_print_json(answer, EX_OK);
	for (size_t i = 0; list && i < json_count(list); i++)
		puts(json_text(json_at(list, i)));
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : EX_OK;
}

static int
print_done(const struct cli *cli, const struct json_value *answer)
{
	const char *period = json_get_text(answer, "period");

	if (cli->json)
		return answer_print_json(answer, EX_OK);
	printf("the key of %s is destroyed: record %" PRId64 "\n", period,
		json_get_int(answer, "record", 0));
	fprintf(stderr,
		"sealgate: backups of the key store that were made before still have the key\n");
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : EX_OK;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *period = NULL;
	bool list = false;
	struct officer_act act = {NULL};
	struct cmd_opt opts[OFFICER_ACT_OPTS + 2] = {
		[OFFICER_ACT_OPTS] = {"period", OPT_VALUE, &period}, {"list", OPT_FLAG, &list}};
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	officer_act_opts(&act, opts);
	if (!cmd_parse(&audit_erase, cli, opts, OFFICER_ACT_OPTS + 2, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&audit_erase, "too many arguments");
	if (list + (period != NULL) + (act.request != NULL) != 1)
		return cmd_usage(
			&audit_erase, "needs --period MONTH, --request REQUEST, or --list");
	if (!cmd_conf(&audit_erase, cli, &status))
		return status;
	if (act.request)
		return officer_run_shown(cli, act.request, "audit.erase", print_done);
	asking_begin(&asking, list ? "audit.periods" : "audit.erase");
	json_str(&asking.json, "period", period);
	if (!officer_act_put(&audit_erase, &act, &asking, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		status = err.code == ERR_USAGE ? (cmd_fail(&err), EX_DATAERR) : cmd_fail(&err);
	else if (officer_is_request(answer))
		status = officer_print_request(cli, answer);
	else
		status = list ? print_list(cli, answer) : print_done(cli, answer);
	json_free(&answer);
	return status;
}
