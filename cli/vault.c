/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault.c - sealgate vault …: the key store as a whole
 */
#include "cli/vault.h"

#include "base/file.h"
#include "keystore/admin.h"
#include "keystore/master.h"

#include <stdio.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_status(struct cli *cli, int argc, char **argv);

const struct command cmd_vault = {
	.name = "vault",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "the key store as a whole: master key, backup",
	.run = run,
};
static const struct command vault_status = {
	.name = "vault status",
	.usage = "[--json]",
	.help = "where the master key comes from, and whether it is being replaced",
	.run = run_status,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {
		&vault_status, &vault_budgets, &vault_rekey, &vault_backup, &vault_restore};

	return cmd_dispatch(&cmd_vault, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

/* The first line of the file. */
static enum rc
read_line_of(const char *file, struct secret **out, struct err *err)
{
	struct buf text = {.max = 4096, .wipe = true};
	size_t len;
	enum rc rc = file_read(file, &text, err);

	if (rc == RC_OK) {
		len = strcspn(buf_text(&text), "\r\n");
		rc = len ? secret_copy(text.data, len, out, err)
			 : err_set(err, ERR_USAGE, "%s: its first line is empty", file);
	}
	buf_fini(&text);
	return rc == RC_NONE ? RC_TEMP : rc;
}

enum rc
vault_passphrase(const char *file, bool twice, struct secret **out, struct err *err)
{
	*out = NULL;
	return file ? read_line_of(file, out, err)
		    : master_ask("Passphrase of the backup: ", twice, out, err);
}

enum rc
vault_do(struct cli *cli, const char *cmd, struct secret *blob, struct err *err)
{
	struct json_value *answer = NULL;
	struct asking asking;
	enum rc rc;

	asking_begin(&asking, cmd);
	rc = asking_send(&asking, cli->conf, blob, &answer, err);
	json_free(&answer);
	return rc;
}

static int
run_status(struct cli *cli, int argc, char **argv)
{
	struct json_value *answer = NULL;
	const struct json_value *masters;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!cmd_take(&vault_status, cli, &(struct cmd_args){NULL, 0, 0, 0}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "vault.masters");
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	masters = json_find(answer, "masters");
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	for (size_t i = 0; !cli->json && masters && i < json_count(masters); i++) {
		const struct json_value *one = json_at(masters, i);

		printf("master key  %-8s  since %s  %s%s\n", json_get_text(one, "state"),
			json_get_text(one, "since"), json_get_text(one, "source"),
			json_is_true(json_find(one, "opened")) ? "  (in use)" : "");
	}
	json_free(&answer);
	return status;
}
