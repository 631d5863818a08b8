/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_import.c - sealgate key import: files with keys, folders and archives of them, into the vault
 *
 * A password comes from a file or from the terminal, never from the command line, where every
 * process could read it.
 */
#include "cli/answer.h"
#include "cli/ask.h"
#include "cli/import_run.h"
#include "cli/import_table.h"
#include "cli/key.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command key_import = {
	.name = "key import",
	.usage =
		"[--password FILE | --passwords FILE] [--tsv FILE [--columns A,F,P]] [--address A] "
		"[--foreign] [--hold] [--report FILE] [--name NAME] [--kind person|role] "
		"[--client-key] FILE|FOLDER|ARCHIVE…",
	.help = "take private keys with their certificates from files, folders, ZIP archives",
	.details =
		"  --password FILE    the first line of FILE is the password of every file; without it,\n"
		"                     it is asked for where one is needed\n"
		"  --passwords FILE   each line of FILE is tried\n"
		"  --tsv FILE         a table of address, file and PIN (- for standard input), separated\n"
		"                     by tabs; only what is in it is taken\n"
		"  --columns A,F,P    numbers of the table's columns for address, file, PIN; 0 for none\n"
		"  --address A        whose key it is; default: the address in the certificate\n"
		"  --foreign          take keys whose certificate is for somebody else, to open mail only\n"
		"  --hold             store the files as they are, until \"key pin\" gives their PINs\n"
		"  --report FILE      write what became of each file to FILE\n"
		"  --name NAME        the person's name\n"
		"  --kind WORD        person (default) or role\n"
		"  --client-key       the person has the key in a mail program too\n",
	.run = run,
};

struct arguments {
	struct import_options options;
	const char *password, *passwords, *tsv, *columns, *report;
	char **paths;
	size_t n_paths;
};

/* --- one file, named itself: its keys as in key list --- */

static int
show_one(struct cli *cli, const struct arguments *args, const struct json_value *answer)
{
	const struct json_value *held = json_find(answer, "held");

	if (!args->options.hold)
		return import_tell(cli, args->paths[0], answer);
	if (cli->json)
		return answer_print_json(answer, EX_OK);
	printf("%s  %s  %s\n", json_get_text(held, "held"),
		json_get_text(held, "address") ? json_get_text(held, "address") : "-",
		json_get_text(held, "key")                 ? "its key is in already"
		: json_is_true(json_find(answer, "known")) ? "waits for its PIN already"
							   : "waits for its PIN");
	return EX_OK;
}

/* Asks for the password when the file does not open without one. */
static int
import_one(struct cli *cli, const struct arguments *args, struct import_run *im)
{
	const char *path = args->paths[0];
	struct json_value *answer = NULL;
	struct secret *bytes = NULL, *asked = NULL;
	struct err err = ERR_INIT;
	int status;
	enum rc rc = key_files_read(im->files, 0, &bytes, &err);

	if (rc != RC_OK) {
		err_prefix(&err, "%s", path);
		return cmd_fail_input(&err);
	}
	rc = import_send(im, bytes, &(struct import_with){.label = key_files_label(im->files, 0)},
		&answer, &err);
	if (rc == RC_PERM && err.code == ERR_KEY_PASSWORD && !im->passwords->n &&
		isatty(STDIN_FILENO)) {
		err_clear(&err);
		rc = ask_secret(path, "Password", &asked, &err);
		if (rc == RC_OK)
			rc = import_send(
				im, bytes, &(struct import_with){.pin = asked}, &answer, &err);
	}
	if (rc != RC_OK) {
		err_prefix(&err, "%s", path);
		status = cmd_fail(&err);
	} else {
		status = show_one(cli, args, answer);
	}
	json_free(&answer);
	secret_free(&asked);
	secret_free(&bytes);
	return status;
}

/* --- many --- */

static void
take_all(struct import_run *im)
{
	for (size_t i = 0; i < key_files_count(im->files) && !import_stopped() && im->rc == RC_OK;
		i++)
		import_run_file(im, i, NULL, NULL);
}

/* One row of the table. */
static void
take_row(struct import_run *im, const struct import_row *row, bool *used)
{
	struct secret *pin = NULL;
	struct err err = ERR_INIT;
	size_t i = 0;
	enum rc rc = key_files_find(im->files, row->file, &i, &err);

	if (rc == RC_NONE)
		rc = err_set(&err, ERR_FILE, "line %zu: there is no such file", row->line);
	else if (rc == RC_OK && used[i])
		rc = err_set(
			&err, ERR_USAGE, "line %zu: the file is in the table twice", row->line);
	else if (rc == RC_OK && row->pin)
		rc = secret_copy(row->pin, strlen(row->pin), &pin, &err);
	if (rc == RC_OK) {
		used[i] = true;
		import_run_file(im, i, row->address, pin);
	} else {
		import_run_fail(im, row->file, &err);
		import_report_step(&im->report);
	}
	secret_free(&pin);
}

/* What the table says, and what it says nothing about. */
static enum rc
take_table(struct import_run *im, const struct import_table *table, struct err *err)
{
	size_t n = key_files_count(im->files);
	bool *used = calloc(n + 1, sizeof(*used));

	if (!used)
		return err_set(err, ERR_MEMORY, "table");
	for (size_t i = 0; i < table->n && !import_stopped() && im->rc == RC_OK; i++)
		take_row(im, &table->rows[i], used);
	for (size_t i = 0; i < n && !import_stopped() && im->rc == RC_OK; i++)
		if (!used[i]) {
			struct import_line line = {.result = RESULT_SKIPPED,
				.file = key_files_name(im->files, i),
				.detail = "it is not in the table"};

			import_report_put(&im->report, &line);
		}
	free(used);
	return RC_OK;
}

/* How the run ended, in one number: what ended it, else the first failure of a file. */
static int
exit_status(const struct import_run *im)
{
	const size_t *counts = im->report.counts;

	if (im->rc != RC_OK)
		return cmd_fail(&im->err);
	if (import_stopped()) {
		fputs("sealgate: interrupted; run it again for the rest\n", stderr);
		return EX_TEMPFAIL;
	}
	if (im->worst != RC_OK || counts[RESULT_FAILED])
		return im->unreadable ? EX_NOINPUT : EX_DATAERR;
	return counts[RESULT_IMPORTED] + counts[RESULT_KNOWN] + counts[RESULT_HELD] ? EX_OK
										    : EX_DATAERR;
}

static int
import_many(struct cli *cli, const struct arguments *args, struct import_run *im,
	const struct import_table *table)
{
	size_t total = args->tsv ? table->n : key_files_count(im->files);
	struct err err = ERR_INIT;
	int status;
	enum rc rc = import_report_open(&im->report, args->report, cli->json, total, &err);

	if (rc != RC_OK)
		return cmd_fail(&err);
	import_catch_stop();
	if (args->tsv)
		rc = take_table(im, table, &err);
	else
		take_all(im);
	status = exit_status(im);
	if (rc == RC_OK)
		rc = import_report_close(&im->report, import_stopped() || im->rc != RC_OK, &err);
	return rc == RC_OK ? status : cmd_fail(&err);
}

/* Without other paths the table's own folder is where its files are. */
static enum rc
open_files(const struct arguments *args, struct key_files **out, struct err *err)
{
	char *copy, *folder;
	enum rc rc;

	if (args->n_paths)
		return key_files_open(args->paths, args->n_paths, out, err);
	copy = strdup(args->tsv);
	folder = copy ? dirname(copy) : NULL;
	rc = folder ? key_files_open(&folder, 1, out, err) : err_set(err, ERR_MEMORY, "table");
	free(copy);
	return rc;
}

static int
import(struct cli *cli, const struct arguments *args)
{
	struct passwords_list passwords = {.n = 0};
	struct import_table table = {0};
	struct import_run im = {.options = &args->options, .passwords = &passwords};
	struct err err = ERR_INIT;
	int status = EX_OK;
	enum rc rc = RC_OK;

	if (args->password || args->passwords)
		rc = passwords_read(args->password ? args->password : args->passwords,
			args->password != NULL, &passwords, &err);
	if (rc == RC_OK && args->tsv)
		rc = import_table_read(args->tsv, args->columns, !args->options.hold, &table, &err);
	if (rc == RC_OK)
		rc = open_files(args, &im.files, &err);
	if (rc == RC_OK)
		rc = import_run_prepare(&im, &err);
	if (rc != RC_OK)
		status = err.code == ERR_USAGE ? cmd_fail(&err) : cmd_fail_input(&err);
	if (rc == RC_OK && (rc = admin_open(cli->conf, &im.session, &err)) != RC_OK)
		status = cmd_fail(&err);
	if (rc == RC_OK)
		status = args->n_paths == 1 && !args->tsv && !args->report &&
					 key_files_count(im.files) == 1 &&
					 !key_files_was_found(im.files, 0)
				 ? import_one(cli, args, &im)
				 : import_many(cli, args, &im, &table);
	admin_close(&im.session);
	import_run_fini(&im);
	key_files_close(&im.files);
	import_table_fini(&table);
	passwords_list_fini(&passwords);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct arguments args = {.n_paths = 0};
	struct import_options *o = &args.options;
	const struct cmd_opt opts[] = {{"password", OPT_VALUE, &args.password},
		{"passwords", OPT_VALUE, &args.passwords}, {"tsv", OPT_VALUE, &args.tsv},
		{"columns", OPT_VALUE, &args.columns}, {"report", OPT_VALUE, &args.report},
		{"address", OPT_VALUE, &o->address}, {"name", OPT_VALUE, &o->name},
		{"kind", OPT_VALUE, &o->kind}, {"client-key", OPT_FLAG, &o->client_key},
		{"foreign", OPT_FLAG, &o->foreign}, {"hold", OPT_FLAG, &o->hold}};
	int status;

	if (!cmd_parse(&key_import, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	args.paths = argv + 1;
	args.n_paths = (size_t)argc - 1;
	if (argc < 2 && !args.tsv)
		return cmd_usage(&key_import, "which file?");
	if (argc < 2 && strcmp(args.tsv, "-") == 0)
		return cmd_usage(&key_import, "where are the table's files?");
	if (args.password && args.passwords)
		return cmd_usage(&key_import, "--password or --passwords");
	if ((args.password || args.passwords) && o->hold)
		return cmd_usage(&key_import, "a file that is held waits for its password");
	if (args.columns && !args.tsv)
		return cmd_usage(&key_import, "--columns are those of --tsv");
	if (o->address && args.tsv)
		return cmd_usage(&key_import, "the table names the addresses");
	if (!cmd_conf(&key_import, cli, &status))
		return status;
	return import(cli, &args);
}
