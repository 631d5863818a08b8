/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_directories.c - sealgate check --directories: does each LDAP server answer?
 */
#include "cli/check.h"
#include "cli/cmd.h"
#include "directory/ldap_probe.h"

#include <stdio.h>

struct report {
	struct json *json;
	struct buf *text; /* without JSON */
	bool failed;
};

static void
say(void *ctx, const struct ldap_probe *probe)
{
	struct report *report = ctx;

	report->failed |= probe->rc != RC_OK;
	if (report->text) {
		buf_appendf(report->text, NULL, "%s %s: %s%s", probe->directory, probe->uri,
			probe->rc == RC_OK ? "answers" : "fails: ",
			probe->rc == RC_OK ? "" : probe->err.detail);
		buf_appendf(report->text, NULL, " (%d ms)\n", probe->ms);
		return;
	}
	json_object(report->json, NULL);
	json_str(report->json, "directory", probe->directory);
	json_str(report->json, "uri", probe->uri);
	json_bool(report->json, "answers", probe->rc == RC_OK);
	json_int(report->json, "ms", probe->ms);
	if (probe->rc != RC_OK)
		json_str(report->json, "why", probe->err.detail);
	json_object_end(report->json);
}

int
check_directories(struct cli *cli)
{
	struct buf text = BUF_INIT(0), out = BUF_INIT(0);
	struct json json;
	struct report report = {.json = &json, .text = cli->json ? NULL : &text};
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;
	int status;

	if (conf_count(cli->conf, "directories") == 0)
		fputs("sealgate: the configuration has no directories\n", stderr);
	cmd_json_begin(&json, &out);
	json_array(&json, "servers");
	for (size_t i = 0; rc == RC_OK && i < conf_count(cli->conf, "directories"); i++)
		rc = ldap_probe(
			cli->conf, conf_item(cli->conf, "directories", i), say, &report, &err);
	json_array_end(&json);
	json_object_end(&json);
	if (rc != RC_OK)
		status = err_rc(err.code) == RC_PERM ? (cmd_fail(&err), EX_CONFIG) : cmd_fail(&err);
	else if (cli->json)
		status = cmd_print_json(&json, report.failed ? EX_TEMPFAIL : EX_OK);
	else if ((status = text.len ? cmd_print(&text) : EX_OK) == EX_OK && report.failed)
		status = EX_TEMPFAIL;
	buf_fini(&text);
	buf_fini(&out);
	return status;
}
