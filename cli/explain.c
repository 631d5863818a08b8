/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - sealgate explain: what would happen to a mail, and why
 */
#include "cli/mail.h"

#include <stdlib.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_explain = {
	.name = "explain",
	.usage = MAIL_USAGE " [--json]",
	.help = "say what would happen to a mail, and why; uses no key",
	.details = MAIL_DETAILS "Status: 0 it would be accepted, 65 refused, 75 deferred.\n",
	.run = run,
};

static int
report(const struct cli *cli, struct mail *mail)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct json json;
	int status = mail_status(mail->result);

	if (cli->json) {
		json_init(&json, &text);
		json_object(&json, NULL);
		if (pipeline_explain_json(mail->tx, mail->result, &json) != RC_OK)
			status = EX_SOFTWARE;
		json_object_end(&json);
		status = cmd_print_json(&json, status);
	} else if (pipeline_explain_text(mail->tx, mail->result, &text, &err) == RC_OK) {
		status = cmd_print(&text) == EX_OK ? status : EX_SOFTWARE;
	} else {
		status = cmd_fail(&err);
	}
	buf_fini(&text);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct mail *mail = calloc(1, sizeof(*mail)); /* its list is large */
	struct cmd_opt opts[MAIL_N_OPTS];
	int status = EX_OSERR;

	if (!mail)
		return status;
	mail_opts(mail, opts);
	if (cmd_parse(&cmd_explain, cli, opts, MAIL_N_OPTS, &argc, argv, &status)) {
		if (argc > 1)
			status = cmd_usage(&cmd_explain, "the mail comes from standard input");
		else if (mail_run(&cmd_explain, cli, mail, PIPELINE_EXPLAIN, &status))
			status = report(cli, mail);
	}
	mail_close(mail);
	free(mail);
	return status;
}
