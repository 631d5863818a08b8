/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_reconcile.c - sealgate audit reconcile: does the mail log know what the ledger claims?
 */
#include "cli/audit.h"
#include "cli/reconcile.h"

#include <stdio.h>
#include <stdlib.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_reconcile = {
	.name = "audit reconcile",
	.usage = "--log FILE… [--skew SECONDS] [--service S] [--since TIME] [--until TIME] "
		 "[--dir DIR] [--index FOLDER] [--no-index]",
	.help = "compare the ledger with the mail log of Postfix or Sendmail",
	.details =
		"  --log FILE         of the mail log, with the milter's lines or in files of their\n"
		"                     own; -: standard input (for compressed ones)\n"
		"  --skew SECONDS     how far the clocks may be apart; default: 600\n"
		"  --service S        only uses by this service\n"
		"  --since, --until   RFC 3339 times or dates; until is not included\n"
		"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"
		"Uses before the logs' first line and behind their last one are counted, not judged.\n"
		"Exit status 65 when anything does not fit.\n",
	.run = run,
};

#define MAX_SKEW 86400

static int
reconcile(struct cli *cli, struct reconcile *r, const struct cmd_values *logs,
	struct audit_filter *filter)
{
	struct err err = ERR_INIT;
	int64_t now = clock_now();
	int status;

	for (size_t i = 0; i < logs->n; i++)
		if (mta_log_read(logs->v[i], now, reconcile_line, r, &r->lines, &err) != RC_OK)
			return cmd_fail_input(&err);
	if (!r->mta_lines) {
		fprintf(stderr, "sealgate: no line of Postfix or Sendmail in the log\n");
		return EX_NOINPUT;
	}
	status = audit_find(filter, reconcile_record, r);
	if (status != EX_OK)
		return status;
	if (reconcile_messages(r, &err) != RC_OK) {
		fprintf(stderr, "sealgate: too many findings, or no memory\n");
		return EX_TEMPFAIL;
	}
	status = reconcile_is_fine(r) ? EX_OK : EX_DATAERR;
	return cli->json ? reconcile_print_json(r, status) : reconcile_print_text(r, status);
}

/* The skew; false: 64, said. */
static bool
parse_skew(const char *text, struct reconcile *r, int *status)
{
	char *end;

	r->skew = 600;
	if (!text)
		return true;
	r->skew = strtoll(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && r->skew <= MAX_SKEW)
		return true;
	*status = cmd_usage(&audit_reconcile, "--skew: 0 to %d seconds", MAX_SKEW);
	return false;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct cmd_values *logs = calloc(1, sizeof(*logs));
	struct audit_options o = {.dir = NULL};
	struct reconcile r = {.first = -1, .last = -1};
	const char *skew = NULL;
	const struct cmd_opt opts[] = {{"log", OPT_VALUES, logs}, {"skew", OPT_VALUE, &skew},
		{"service", OPT_VALUE, &o.service}, {"since", OPT_VALUE, &o.since},
		{"until", OPT_VALUE, &o.until}, {"dir", OPT_VALUE, &o.dir},
		{"index", OPT_VALUE, &o.index}, {"no-index", OPT_FLAG, &o.no_index}};
	struct audit_filter filter = {.n_texts = 0};
	int status = EX_TEMPFAIL;

	if (!logs ||
		!cmd_parse(&audit_reconcile, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv,
			&status) ||
		!parse_skew(skew, &r, &status))
		goto out;
	if (argc > 1 || !logs->n) {
		status = cmd_usage(
			&audit_reconcile, argc > 1 ? "too many arguments" : "--log is missing");
	} else if (audit_filter_init(&filter, &audit_reconcile, cli, &o, &status)) {
		r.since = filter.query.since;
		r.until = filter.query.until;
		if (r.since)
			(void)clock_parse(r.since, &r.since_seconds, NULL);
		if (r.until)
			(void)clock_parse(r.until, &r.until_seconds, NULL);
		status = reconcile(cli, &r, logs, &filter);
	}
	audit_filter_fini(&filter);
out:
	reconcile_fini(&r);
	free(logs);
	return status;
}
