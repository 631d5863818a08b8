/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_held.c - sealgate key held, key pin: the second half of an import in two parts
 */
#include "cli/answer.h"
#include "cli/ask.h"
#include "cli/import_report.h"
#include "cli/import_table.h"
#include "cli/import_run.h"
#include "cli/key.h"
#include "cli/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_MAX 200000 /* that a table of PINs is matched with */

static int run_held(struct cli *cli, int argc, char **argv);
static int run_pin(struct cli *cli, int argc, char **argv);

const struct command key_held = {
	.name = "key held",
	.usage = "[drop ADDR|HELD-ID]",
	.help = "list the key files that wait for their PIN, or drop one",
	.run = run_held,
};
const struct command key_pin = {
	.name = "key pin",
	.usage = "[--password FILE] ADDR|HELD-ID | --tsv FILE [--columns A,F,P] [--report FILE]",
	.help = "give the PIN of a key file that waits for it",
	.details =
		"  --password FILE    its first line is the PIN; - for standard input; without it, it is asked for\n"
		"  --tsv FILE         many: a table of address (or id), file and PIN, separated by tabs; with two\n"
		"                     fields, address or id or file, and PIN; - for standard input\n"
		"  --columns A,F,P    numbers of the table's columns for address, file, PIN; 0 for none\n"
		"  --report FILE      write what became of each to FILE\n",
	.run = run_pin,
};

/* --- listing --- */

/* One page of key.held. */
static enum rc
ask_page(struct admin_session *session, const char *after, struct json_value **answer,
	struct err *err)
{
	struct asking asking;
	enum rc rc;

	*answer = NULL;
	asking_begin(&asking, "key.held");
	json_str(&asking.json, "after", *after ? after : NULL);
	rc = asking_end(&asking, err);
	if (rc == RC_OK)
		rc = admin_ask(session, buf_text(&asking.text), NULL, answer, NULL, err);
	buf_fini(&asking.text);
	return rc;
}

/* Calls EACH with every file that waits. */
static enum rc
each_held(struct admin_session *session,
	enum rc (*each)(void *ctx, const struct json_value *held, struct err *err), void *ctx,
	struct err *err)
{
	char after[64] = "";
	enum rc rc = RC_OK;

	do {
		const struct json_value *files;
		struct json_value *answer;
		const char *next;

		rc = ask_page(session, after, &answer, err);
		files = json_find(answer, "files");
		for (size_t i = 0; rc == RC_OK && files && i < json_count(files); i++)
			rc = each(ctx, json_at(files, i), err);
		next = rc == RC_OK ? json_get_text(answer, "next") : NULL;
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_free(&answer);
	} while (rc == RC_OK && *after);
	return rc;
}

static const char *
text_of(const struct json_value *object, const char *name)
{
	const char *text = json_get_text(object, name);

	return text && *text ? text : "-";
}

struct listing {
	bool as_json;
	struct json json;
};

static enum rc
list_one(void *ctx, const struct json_value *held, struct err *err)
{
	struct listing *listing = ctx;

	(void)err;
	if (listing->as_json) {
		answer_put(&listing->json, NULL, held);
		return RC_OK;
	}
	printf("%s  %.10s  %s  %s  %lld wrong%s\n", text_of(held, "held"), text_of(held, "since"),
		text_of(held, "address"), text_of(held, "file"),
		(long long)json_get_int(held, "wrong", 0),
		json_is_true(json_find(held, "locked")) ? "  LOCKED" : "");
	return RC_OK;
}

static int
list_held(struct cli *cli)
{
	struct listing listing = {.as_json = cli->json};
	struct buf text = BUF_INIT(256u << 20);
	struct admin_session *session = NULL;
	struct err err = ERR_INIT;
	int status = EX_OK;

	json_init(&listing.json, &text);
	json_object(&listing.json, NULL);
	json_int(&listing.json, "v", 1);
	json_array(&listing.json, "files");
	if (admin_open(cli->conf, &session, &err) != RC_OK ||
		each_held(session, list_one, &listing, &err) != RC_OK)
		status = cmd_fail(&err);
	admin_close(&session);
	json_array_end(&listing.json);
	json_object_end(&listing.json);
	if (status == EX_OK && cli->json)
		status = cmd_print_json(&listing.json, EX_OK);
	buf_fini(&text);
	return status;
}

static int
drop_held(struct cli *cli, const char *which)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	asking_begin(&asking, "key.held.drop");
	json_str(&asking.json, "held", which);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		printf("%s  dropped\n", text_of(json_find(answer, "held"), "held"));
	json_free(&answer);
	return status;
}

static int
run_held(struct cli *cli, int argc, char **argv)
{
	bool drop;
	int status;

	if (!cmd_parse(&key_held, cli, NULL, 0, &argc, argv, &status))
		return status;
	drop = argc == 3 && strcmp(argv[1], "drop") == 0;
	if (argc != 1 && !drop)
		return cmd_usage(&key_held, "which file?");
	if (!cmd_conf(&key_held, cli, &status))
		return status;
	return drop ? drop_held(cli, argv[2]) : list_held(cli);
}

/* --- one PIN --- */

static enum rc
send_pin(struct admin_session *session, const char *which, struct secret *pin,
	struct json_value **answer, struct err *err)
{
	struct admin_bytes bytes = {secret_data(pin), secret_len(pin)};
	struct secret *blob = NULL;
	struct asking asking;
	enum rc rc = admin_pack(&bytes, 1, NULL, 0, &blob, err);

	*answer = NULL;
	if (rc != RC_OK)
		return rc;
	asking_begin(&asking, "key.pin");
	json_str(&asking.json, "held", which);
	rc = asking_end(&asking, err);
	if (rc == RC_OK)
		rc = admin_ask(session, buf_text(&asking.text), blob, answer, NULL, err);
	buf_fini(&asking.text);
	secret_free(&blob);
	return rc;
}

static int
pin_one(struct cli *cli, const char *which, const char *file)
{
	struct passwords_list list = {.n = 0};
	struct admin_session *session = NULL;
	struct json_value *answer = NULL;
	struct secret *pin = NULL;
	struct err err = ERR_INIT;
	int status = EX_OK;
	enum rc rc = file ? passwords_read(file, true, &list, &err)
			  : ask_secret(which, "PIN", &pin, &err);

	if (rc == RC_OK && file) {
		pin = list.v[0]; /* ours from here */
		list.n = 0;
	}
	if (rc == RC_OK)
		rc = admin_open(cli->conf, &session, &err);
	if (rc == RC_OK)
		rc = send_pin(session, which, pin, &answer, &err);
	if (rc != RC_OK)
		status = cmd_fail(&err);
	else
		status = import_tell(cli, which, answer);
	json_free(&answer);
	admin_close(&session);
	secret_free(&pin);
	return status;
}

/* --- many --- */

struct waiting {
	char *id, *address, *file; /* owned */
};

struct pins {
	struct waiting *v;
	size_t n;
	struct admin_session *session;
	struct import_report report;
	enum rc worst, rc;
	struct err err;
};

static enum rc
remember(void *ctx, const struct json_value *held, struct err *err)
{
	struct pins *pins = ctx;
	struct waiting *grown = pins->v, *one;

	if (pins->n == HELD_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files wait", HELD_MAX);
	if ((pins->n & (pins->n - 1)) == 0)
		grown = realloc(pins->v, (pins->n ? 2 * pins->n : 1) * sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_MEMORY, "files that wait");
	pins->v = grown;
	one = &grown[pins->n++];
	one->id = strdup(text_of(held, "held"));
	one->address = strdup(text_of(held, "address"));
	one->file = strdup(text_of(held, "file"));
	return one->id && one->address && one->file ? RC_OK
						    : err_set(err, ERR_MEMORY, "files that wait");
}

static bool
is_named(const struct waiting *one, const char *name)
{
	const char *slash = strrchr(name, '/');

	return strcmp(one->id, name) == 0 || strcasecmp(one->address, name) == 0 ||
	       strcmp(one->file, slash ? slash + 1 : name) == 0;
}

/* The one file that the row means. */
static enum rc
find(const struct pins *pins, const struct import_row *row, const struct waiting **out,
	struct err *err)
{
	*out = NULL;
	for (size_t i = 0; i < pins->n; i++) {
		const struct waiting *one = &pins->v[i];

		if (!is_named(one, row->file) ||
			(row->address && *one->address != '-' && !is_named(one, row->address)))
			continue;
		if (*out)
			return err_set(err, ERR_USAGE,
				"line %zu: several files wait under this name: use their ids",
				row->line);
		*out = one;
	}
	return *out ? RC_OK
		    : err_set(err, ERR_VAULT_NO_KEY, "line %zu: no such file waits for its PIN",
			      row->line);
}

static void
pin_row(struct pins *pins, const struct import_row *row)
{
	struct import_line line = {.result = RESULT_FAILED, .file = row->file};
	const struct waiting *one = NULL;
	struct json_value *answer = NULL;
	struct secret *pin = NULL;
	struct err err = ERR_INIT;
	enum rc rc = find(pins, row, &one, &err);

	if (rc == RC_OK)
		rc = secret_copy(
			row->pin ? row->pin : "", row->pin ? strlen(row->pin) : 0, &pin, &err);
	if (rc == RC_OK)
		rc = send_pin(pins->session, one->id, pin, &answer, &err);
	if (rc == RC_OK) {
		import_report_answer(&pins->report, row->file, answer);
	} else if (rc == RC_TEMP) {
		pins->rc = rc;
		pins->err = err;
	} else {
		line.address = one && *one->address != '-' ? one->address : NULL;
		line.held = one ? one->id : NULL;
		line.error = err_name(err.code);
		line.detail = err.detail;
		import_report_put(&pins->report, &line);
		pins->worst = rc;
	}
	if (rc != RC_TEMP)
		import_report_step(&pins->report);
	json_free(&answer);
	secret_free(&pin);
}

static int
pin_table(struct cli *cli, const char *path, const char *columns, const char *report)
{
	struct import_table table = {0};
	struct pins pins = {.n = 0};
	struct err err = ERR_INIT;
	int status = EX_OK;
	enum rc rc = import_table_read(path, columns, true, &table, &err);

	if (rc == RC_OK)
		rc = admin_open(cli->conf, &pins.session, &err);
	if (rc == RC_OK)
		rc = each_held(pins.session, remember, &pins, &err);
	if (rc == RC_OK)
		rc = import_report_open(&pins.report, report, cli->json, table.n, &err);
	if (rc == RC_OK) {
		import_catch_stop();
		for (size_t i = 0; i < table.n && pins.rc == RC_OK && !import_stopped(); i++)
			pin_row(&pins, &table.rows[i]);
		rc = import_report_close(&pins.report, import_stopped() || pins.rc != RC_OK, &err);
	}
	if (rc != RC_OK)
		status = cmd_fail(&err);
	else if (pins.rc != RC_OK)
		status = cmd_fail(&pins.err);
	else if (import_stopped())
		status = EX_TEMPFAIL;
	else if (pins.worst != RC_OK)
		status = EX_DATAERR;
	for (size_t i = 0; i < pins.n; i++) {
		free(pins.v[i].id);
		free(pins.v[i].address);
		free(pins.v[i].file);
	}
	free(pins.v);
	admin_close(&pins.session);
	import_table_fini(&table);
	return status;
}

static int
run_pin(struct cli *cli, int argc, char **argv)
{
	const char *password = NULL, *tsv = NULL, *columns = NULL, *report = NULL;
	const struct cmd_opt opts[] = {{"password", OPT_VALUE, &password}, {"tsv", OPT_VALUE, &tsv},
		{"columns", OPT_VALUE, &columns}, {"report", OPT_VALUE, &report}};
	int status;

	if (!cmd_parse(&key_pin, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (tsv ? argc != 1 || password : argc != 2 || columns || report)
		return cmd_usage(&key_pin, "one file, or --tsv");
	if (!cmd_conf(&key_pin, cli, &status))
		return status;
	return tsv ? pin_table(cli, tsv, columns, report) : pin_one(cli, argv[1], password);
}
