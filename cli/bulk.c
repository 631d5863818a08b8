/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk.c - sealgate key bulk …: forms and lists of services that make certificates for many
 */
#include "cli/bulk.h"

#include "base/clock.h"
#include "cli/bulk_status.h"
#include "cli/key.h"

#include <stdio.h>
#include <stdlib.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_status(struct cli *cli, int argc, char **argv);
static int run_columns(struct cli *cli, int argc, char **argv);

const struct command key_bulk = {
	.name = "key bulk",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "forms and lists of services that make certificates for many",
	.run = run,
};
static const struct command bulk_status = {
	.name = "key bulk status",
	.usage = "[--form NAME] FILE",
	.help = "compare a service's list of certificates with the keys here",
	.details = "  --form NAME        map of the list's columns; default upki-status\n"
		   "Exit status 65 when there is a difference.\n",
	.run = run_status,
};
static const struct command bulk_columns = {
	.name = "key bulk columns",
	.usage = "[--row N] FILE",
	.help = "show a row of a list with the numbers of its columns",
	.details = "  --row N            which row; default 1\n",
	.run = run_columns,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&bulk_export, &bulk_status, &bulk_columns};

	return cmd_dispatch(&key_bulk, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

static void
print_finding(const struct bulk_finding *f)
{
	printf("%-15s  %-30s  %-17s", bulk_finding_name(f->kind), *f->addr ? f->addr : "-",
		f->key ? f->key : "-");
	if (f->serial)
		printf("  here %s", f->serial);
	if (f->listed && *f->listed)
		printf("  there %s", f->listed);
	if (f->line)
		printf("  row %zu", f->line);
	printf(": %s\n", bulk_finding_text(f->kind));
}

static int
print_report(const struct cli *cli, const struct bulk_report *report)
{
	struct buf text = BUF_INIT(256u << 20);
	int status = report->n ? EX_DATAERR : EX_OK;
	struct json json;

	cmd_json_begin(&json, &text);
	json_int(&json, "rows", (int64_t)report->rows);
	json_int(&json, "same", (int64_t)report->same);
	json_int(&json, "ignored", (int64_t)report->ignored);
	json_array(&json, "findings");
	for (size_t i = 0; i < report->n; i++) {
		const struct bulk_finding *f = &report->v[i];

		if (!cli->json)
			print_finding(f);
		json_object(&json, NULL);
		json_str(&json, "kind", bulk_finding_name(f->kind));
		json_str(&json, "address", *f->addr ? f->addr : NULL);
		json_str(&json, "key", f->key);
		json_str(&json, "serial", f->serial);
		json_str(&json, "listed_serial", f->listed && *f->listed ? f->listed : NULL);
		if (f->line)
			json_int(&json, "row", (int64_t)f->line);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	if (cli->json)
		status = cmd_print_json(&json, status);
	else
		fprintf(stderr, "sealgate: %zu rows, %zu as here, %zu left out, %zu differences\n",
			report->rows, report->same, report->ignored, report->n);
	buf_fini(&text);
	return status;
}

static int
run_status(struct cli *cli, int argc, char **argv)
{
	const char *form = "upki-status";
	const struct cmd_opt opts[] = {{"form", OPT_VALUE, &form}};
	struct bulk_report report = {.n = 0};
	struct bulk_map map = {.text = NULL};
	struct bulk_keys keys = {.n = 0};
	struct tsv list = {.n = 0};
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (!cmd_parse(&bulk_status, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&bulk_status, argc < 2 ? "which list?" : "one list");
	if (!cmd_conf(&bulk_status, cli, &status))
		return status;
	rc = bulk_map_load(conf_dir(cli->conf), form, &map, &err);
	if (rc == RC_OK && map.form != BULK_STATUS)
		rc = err_set(&err, ERR_CONFIG, "%s is the map of a form, not of a list", form);
	if (rc == RC_OK && (rc = tsv_read(argv[1], &list, &err)) != RC_OK) {
		status = cmd_fail_input(&err);
		goto out;
	}
	if (rc == RC_OK)
		rc = bulk_keys_load(cli->conf, &keys, &err);
	if (rc == RC_OK)
		rc = bulk_compare(&map, &list, &keys, clock_now(), &report, &err);
	status = rc == RC_OK ? print_report(cli, &report) : cmd_fail(&err);
out:
	bulk_report_fini(&report);
	bulk_keys_fini(&keys);
	tsv_fini(&list);
	bulk_map_fini(&map);
	return status;
}

static int
print_columns(const struct cli *cli, const struct tsv_row *row)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	int status = EX_OK;

	cmd_json_begin(&json, &text);
	json_array(&json, "columns");
	for (size_t i = 0; i < row->n; i++) {
		if (!cli->json)
			printf("%3zu  %s\n", i + 1, row->v[i]);
		json_str(&json, NULL, row->v[i]);
	}
	json_array_end(&json);
	json_object_end(&json);
	if (cli->json)
		status = cmd_print_json(&json, EX_OK);
	buf_fini(&text);
	return status;
}

static int
run_columns(struct cli *cli, int argc, char **argv)
{
	const char *text = "1";
	const struct cmd_opt opts[] = {{"row", OPT_VALUE, &text}};
	const struct tsv_row *row = NULL;
	struct tsv list = {.n = 0};
	struct err err = ERR_INIT;
	unsigned long n;
	char *end;
	int status;

	if (!cmd_parse(&bulk_columns, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&bulk_columns, argc < 2 ? "which list?" : "one list");
	n = strtoul(text, &end, 10);
	if (*text < '1' || *text > '9' || *end)
		return cmd_usage(&bulk_columns, "--row is a number");
	if (tsv_read(argv[1], &list, &err) != RC_OK)
		return cmd_fail_input(&err);
	for (size_t i = 0; i < list.n && !row; i++)
		if (list.rows[i].line == n)
			row = &list.rows[i];
	if (row)
		status = print_columns(cli, row);
	else
		status = (fprintf(stderr, "sealgate: %s has no row %lu\n", argv[1], n), EX_DATAERR);
	tsv_fini(&list);
	return status;
}
