/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit.c - sealgate audit …: proving and reading the ledger
 *
 * Needs no vault and no secret but for anchor, which asks for a fresh checkpoint when it can, for a
 * search by address, whose pseudonyms only the vault knows, and for what changes the ledger.
 */
#include "cli/audit.h"
#include "cli/officer.h"

#include "keystore/ledger_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_verify(struct cli *cli, int argc, char **argv);

const struct command cmd_audit = {
	.name = "audit",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "prove and read the ledger of key uses",
	.run = run,
};
static const struct command audit_verify = {
	.name = "audit verify",
	.usage = "[--dir DIR] [--anchor FILE]… [--root KEYID]",
	.help = "is the ledger whole? Needs nothing but its files",
	.details =
		"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"
		"  --anchor FILE      lines that \"audit anchor\" printed and that were kept elsewhere\n"
		"  --root KEYID       SHA-256 of the first epoch key, as init and audit verify print it\n",
	.run = run_verify,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&audit_verify, &audit_anchor, &audit_show,
		&audit_search, &audit_report, &audit_export, &audit_erase, &audit_open};

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

/* The report for scripts. */
static int
print_report_json(const struct ledger_report *r, int status)
{
	struct buf text = BUF_INIT(0);
	struct json json;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_bool(&json, "ok", r->ok);
	json_str(&json, "problem", *r->problem ? r->problem : NULL);
	json_str(&json, "node", *r->node ? r->node : NULL);
	json_int(&json, "records", (int64_t)r->records);
	json_int(&json, "segments", (int64_t)r->segments);
	json_int(&json, "epochs", (int64_t)r->epochs);
	json_int(&json, "checkpoints", (int64_t)r->checkpoints);
	json_int(&json, "signed_to", (int64_t)r->last_checkpoint);
	if (r->anchors)
		json_int(&json, "anchored_to", (int64_t)r->last_anchored);
	json_int(&json, "intents", (int64_t)r->intents);
	json_int(&json, "unknown_outcomes", (int64_t)r->unknown_outcomes);
	json_int(&json, "under_way", (int64_t)r->under_way);
	json_int(&json, "recovered", (int64_t)r->recovered);
	json_int(&json, "recovered_bytes", (int64_t)r->recovered_bytes);
	json_bool(&json, "torn_tail", r->torn_tail);
	json_str(&json, "root", *r->root ? r->root : NULL);
	json_str(&json, "head", r->head);
	json_object_end(&json);
	status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
}

/* What is proved and what is not, in words. */
static void
print_coverage(const struct ledger_report *r)
{
	/* the last checkpoint's own record needs no other one */
	uint64_t open =
		r->records > r->last_checkpoint + 1 ? r->records - r->last_checkpoint - 1 : 0;

	if (open)
		printf("signed up to   record %" PRIu64 "; %" PRIu64
		       " behind it are linked by their hashes, and signed with the next checkpoint\n",
			r->last_checkpoint, open);
	else
		printf("signed up to   record %" PRIu64 ": everything\n", r->last_checkpoint);
	if (r->anchors)
		printf("anchored up to record %" PRIu64
		       "; records cut off behind it would not be missed\n",
			r->last_anchored);
	else
		printf("no anchor      was given: a cut at an earlier checkpoint, or another ledger in\n"
		       "               this one's place, would not show\n");
}

/* The report for people. */
static void
print_report(const char *dir, const struct ledger_report *r)
{
	printf("ledger         %s of node %s\n", dir, *r->node ? r->node : "?");
	printf("records        %" PRIu64 " in %" PRIu64 " file%s; %" PRIu64
	       " signed checkpoint%s by %" PRIu64 " key%s\n",
		r->records, r->segments, r->segments == 1 ? "" : "s", r->checkpoints,
		r->checkpoints == 1 ? "" : "s", r->epochs, r->epochs == 1 ? "" : "s");
	print_coverage(r);
	printf("uses of keys   %" PRIu64 ", %" PRIu64 " with unknown outcome", r->intents,
		r->unknown_outcomes);
	if (r->under_way)
		printf(", %" PRIu64 " of the last two seconds under way", r->under_way);
	putchar('\n');
	if (r->recovered)
		printf("recovered      %" PRIu64 " torn ends of %" PRIu64 " bytes\n", r->recovered,
			r->recovered_bytes);
	if (r->torn_tail)
		printf("torn end       the last line is not whole: a crash, or it is being written\n");
	printf("first key      %s\n", r->root);
	printf("head           %s\n", r->head);
	if (r->ok)
		printf("The ledger is whole.\n");
	else
		printf("THE LEDGER DOES NOT VERIFY: %s\n", r->problem);
}

static int
run_verify(struct cli *cli, int argc, char **argv)
{
	struct cmd_values *anchors = calloc(1, sizeof(*anchors));
	const char *dir = NULL, *root = NULL;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &dir}, {"anchor", OPT_VALUES, anchors},
		{"root", OPT_VALUE, &root}};
	struct ledger_report report;
	struct err err = ERR_INIT;
	int status = EX_OSERR;

	if (!anchors || !cmd_parse(&audit_verify, cli, opts, 3, &argc, argv, &status))
		goto out;
	if (argc > 1) {
		status = cmd_usage(&audit_verify, "too many arguments");
		goto out;
	}
	if (!audit_dir(&audit_verify, cli, dir, &dir, &status))
		goto out;
	if (ledger_verify(dir, anchors->v, anchors->n, &report, &err) != RC_OK) {
		status = cmd_fail_input(&err);
		goto out;
	}
	if (report.ok && root && strcmp(root, report.root) != 0) {
		report.ok = false;
		snprintf(report.problem, sizeof(report.problem),
			"the first key is another one than --root: this is another ledger");
	}
	status = report.ok ? EX_OK : EX_DATAERR;
	if (cli->json)
		status = print_report_json(&report, status);
	else
		print_report(dir, &report);
out:
	free(anchors);
	return status;
}
