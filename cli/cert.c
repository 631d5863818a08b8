/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert.c - sealgate cert …: judging certificates, and the local store of other people's
 */
#include "cli/cert.h"

#include "base/file.h"
#include "cli/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERT_FILE_MAX (16u << 20)

static int run(struct cli *cli, int argc, char **argv);
static int run_check(struct cli *cli, int argc, char **argv);

const struct command cmd_cert = {
	.name = "cert",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "judge certificates; keep the local store of other people's",
	.run = run,
};

static const struct command cert_check = {
	.name = "cert check",
	.usage = JUDGE_USAGE " [--purpose sign|encrypt|any] CERT…",
	.help = "may these certificates be believed?",
	.details =
		"Each CERT is a file, PEM or DER; its first certificate is judged, the others may\n"
		"lie on the path. One line of JSON for each, or --text.\n" JUDGE_DETAILS
		"  --purpose WORD     sign, encrypt or any (default)\n",
	.run = run_check,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&cert_check, &cert_find, &cert_add,
		&cert_list, &cert_show, &cert_pin, &cert_unpin, &cert_forget, &cert_import_dir,
		&cert_export, &cert_pending, &cert_approve, &cert_reject, &cert_publish};

	return cmd_dispatch(&cmd_cert, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

/* Judges the first certificate of SET. Without a message there is no signature: the rest decides.
 */
static enum rc
judge_set(const struct judge *judge, const struct certset *set, unsigned use,
	struct verdict *verdict, struct err *err)
{
	struct certset extra = {0};
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < judge->extra.n; i++)
		rc = certset_add(&extra, judge->extra.v[i], err);
	for (i = 1; rc == RC_OK && i < set->n; i++)
		rc = certset_add(&extra, set->v[i], err);
	if (rc == RC_OK)
		rc = trust_check(
			judge->trust, set->v[0], &extra, use, judge->from, judge->at, verdict, err);
	if (rc == RC_OK) {
		verdict->signature = SIGNATURE_GOOD;
		verdict_conclude(verdict, !verdict_revocation_suffices(verdict, NULL));
		verdict->signature = SIGNATURE_NONE;
		verdict->signers[verdict->n_signers++] = cert_ref(set->v[0]);
	}
	certset_fini(&extra);
	return rc;
}

static int
check_file(const struct judge *judge, const char *path, unsigned use)
{
	struct buf file = BUF_INIT(CERT_FILE_MAX);
	struct certset set = {0};
	struct err err = ERR_INIT;
	struct verdict verdict;
	int status;
	enum rc rc = file_read(path, &file, &err);

	verdict_init(&verdict);
	if (rc == RC_NONE)
		rc = err_set(&err, ERR_FILE, "%s is not there", path);
	if (rc == RC_OK && (rc = certset_parse(buf_text(&file), file.len, &set, &err)) != RC_OK)
		err_prefix(&err, "%s", path);
	if (rc != RC_OK || !set.n) {
		status = cmd_fail_input(&err);
		goto out;
	}
	if (judge_set(judge, &set, use, &verdict, &err) != RC_OK) {
		verdict.overall = VERDICT_TEMPERROR;
		verdict_reason(&verdict, "%s", err.detail);
	}
	status = judge_print(judge, path, &verdict);
out:
	verdict_fini(&verdict);
	certset_fini(&set);
	buf_fini(&file);
	return status;
}

static int
run_check(struct cli *cli, int argc, char **argv)
{
	struct judge *judge = calloc(1, sizeof(*judge)); /* its lists are large */
	struct cmd_opt opts[JUDGE_N_OPTS + 1];
	const char *purpose = "any";
	int status = EX_OSERR, one, i;
	unsigned use;

	if (!judge) {
		fprintf(stderr, "sealgate: out of memory\n");
		return EX_TEMPFAIL;
	}
	judge_opts(judge, opts);
	opts[JUDGE_N_OPTS] = (struct cmd_opt){"purpose", OPT_VALUE, &purpose};
	if (!cmd_parse(&cert_check, cli, opts, JUDGE_N_OPTS + 1, &argc, argv, &status))
		goto out;
	use = strcmp(purpose, "sign") == 0      ? CERT_SIGN
	      : strcmp(purpose, "encrypt") == 0 ? CERT_ENCRYPT
						: 0;
	if (!use && strcmp(purpose, "any") != 0) {
		status = cmd_usage(&cert_check, "--purpose is sign, encrypt or any");
		goto out;
	}
	if (argc < 2) {
		status = cmd_usage(&cert_check, "which certificate?");
		goto out;
	}
	if (!judge_open(&cert_check, cli, judge, &status))
		goto out;
	status = EX_OK;
	for (i = 1; i < argc; i++) { /* the first that is not good decides */
		one = check_file(judge, argv[i], use);
		status = status == EX_OK ? one : status;
	}
out:
	judge_close(judge);
	free(judge);
	return status;
}
