/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * officer.c - sealgate officer …: those who approve acts of two persons
 */
#include "cli/officer.h"

#include "base/file.h"
#include "crypto/cert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_init(struct cli *cli, int argc, char **argv);
static int run_list(struct cli *cli, int argc, char **argv);
static int run_change(struct cli *cli, int argc, char **argv);

const struct command cmd_officer = {
	.name = "officer",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "acts that two persons have to approve, and who they are",
	.run = run,
};
static const struct command officer_init = {
	.name = "officer init",
	.usage = "--cert FILE [--name NAME] --cert FILE [--name NAME] … [--threshold N]",
	.help = "name the first officers; later only they can change that",
	.details =
		"  --cert FILE        an officer's certificate; the key has to be outside the vault\n"
		"  --name NAME        the officer's name, one for each --cert, in their order;\n"
		"                     default: the certificate's subject\n"
		"  --threshold N      how many have to approve; default and least: 2\n",
	.run = run_init,
};
static const struct command officer_list = {
	.name = "officer list",
	.usage = "",
	.help = "the officers, and how many of them have to approve",
	.run = run_list,
};
static const struct command officer_change = {
	.name = "officer change",
	.usage = "[--add FILE [--name NAME]]… [--remove OFFICER]… [--threshold N] [--reason TEXT] "
		 "[--hours N]",
	.help = "ask the officers for other officers, or another threshold",
	.details =
		"  --add FILE         certificate of somebody who becomes an officer\n"
		"  --name NAME        name, one for each --add, in their order\n"
		"  --remove OFFICER   id or name of an officer who is none any more\n"
		"  --threshold N      how many have to approve from then on\n" OFFICER_ACT_DETAILS,
	.run = run_change,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&officer_init, &officer_list, &officer_change,
		&officer_requests, &officer_show, &officer_sign, &officer_approve, &officer_run,
		&officer_withdraw};

	return cmd_dispatch(&cmd_officer, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

/* "-" for what is missing. */
static const char *
text_of(const struct json_value *object, const char *name)
{
	const char *text = json_get_text(object, name);

	return text ? text : "-";
}

enum rc
officer_put_cert(struct json *json, const char *name, const char *path, struct err *err)
{
	struct buf file = BUF_INIT(OFFICER_FILE_MAX), pem = BUF_INIT(OFFICER_FILE_MAX);
	struct certset set = {0};
	enum rc rc = file_read(path, &file, err);

	if (rc == RC_NONE)
		rc = RC_TEMP;
	if (rc == RC_OK)
		rc = certset_parse(file.data, file.len, &set, err);
	if (rc == RC_OK && set.n == 0)
		rc = err_set(err, ERR_CERT_MALFORMED, "no certificate in it");
	if (rc == RC_OK)
		rc = cert_format_pem(set.v[0], &pem, err);
	if (rc == RC_OK)
		json_str(json, name, buf_text(&pem));
	else
		err_prefix(err, "%s", path);
	certset_fini(&set);
	buf_fini(&pem);
	buf_fini(&file);
	return rc;
}

/* A list of certificates with names; NAMES has none, or as many. */
static enum rc
put_officers(struct json *json, const char *member, const struct cmd_values *certs,
	const struct cmd_values *names, struct err *err)
{
	enum rc rc = RC_OK;

	json_array(json, member);
	for (size_t i = 0; rc == RC_OK && i < certs->n; i++) {
		json_object(json, NULL);
		rc = officer_put_cert(json, "pem", certs->v[i], err);
		json_str(json, "name", i < names->n ? names->v[i] : NULL);
		json_object_end(json);
	}
	json_array_end(json);
	return rc;
}

/* A whole number of an option; false: it was said. */
static bool
put_number(const struct command *command, struct asking *asking, const char *name, const char *text,
	int *status)
{
	char *end;
	long n;

	if (!text)
		return true;
	n = strtol(text, &end, 10);
	if (!*text || *end || n < 0 || n > 100000) {
		*status = cmd_usage(command, "--%s is a number", name);
		return false;
	}
	json_int(&asking->json, name, n);
	return true;
}

static int
print_officers(const struct cli *cli, const struct json_value *answer)
{
	const struct json_value *list = json_find(answer, "officers");

	if (cli->json)
		return answer_print_json(answer, EX_OK);
	for (size_t i = 0; list && i < json_count(list); i++) {
		const struct json_value *one = json_at(list, i);

		printf("%s  %-8s  since %.10s  %s\n", text_of(one, "officer"), text_of(one, "type"),
			text_of(one, "since"), text_of(one, "name"));
	}
	if (list && json_count(list))
		printf("%" PRId64 " of them have to approve; since record %" PRId64
		       " of the ledger\n",
			json_get_int(answer, "threshold", 0), json_get_int(answer, "record", 0));
	else
		printf("There are no officers: keys are not exported or deleted, no message is opened\n"
		       "for an auditor. See sealgate officer init --help.\n");
	return EX_OK;
}

/* Options of two lists that belong together. */
static bool
check_names(const struct command *command, const struct cmd_values *certs,
	const struct cmd_values *names, const char *option, int *status)
{
	if (names->n == 0 || names->n == certs->n)
		return true;
	*status = cmd_usage(command, "%zu --%s, but %zu --name", certs->n, option, names->n);
	return false;
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	if (!cmd_take(&officer_list, cli, &(struct cmd_args){NULL, 0, 0, 0}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "officer.list");
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = print_officers(cli, answer);
	json_free(&answer);
	return status;
}

struct lists {
	struct cmd_values certs, names, remove;
};

static int
send_init(struct cli *cli, const struct lists *lists, const char *threshold)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	asking_begin(&asking, "officer.init");
	if (!put_number(&officer_init, &asking, "threshold", threshold, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	if (put_officers(&asking.json, "officers", &lists->certs, &lists->names, &err) != RC_OK) {
		buf_fini(&asking.text);
		return cmd_fail_input(&err);
	}
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = print_officers(cli, answer);
	json_free(&answer);
	return status;
}

static int
run_init(struct cli *cli, int argc, char **argv)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	const char *threshold = NULL;
	int status = EX_OSERR;

	if (lists) {
		const struct cmd_opt opts[] = {{"cert", OPT_VALUES, &lists->certs},
			{"name", OPT_VALUES, &lists->names}, {"threshold", OPT_VALUE, &threshold}};

		if (cmd_parse(&officer_init, cli, opts, 3, &argc, argv, &status)) {
			if (argc > 1)
				status = cmd_usage(&officer_init, "too many arguments");
			else if (lists->certs.n < 2)
				status = cmd_usage(
					&officer_init, "two officers at least: --cert A --cert B");
			else if (check_names(&officer_init, &lists->certs, &lists->names, "cert",
					 &status) &&
				 cmd_conf(&officer_init, cli, &status))
				status = send_init(cli, lists, threshold);
		}
	}
	free(lists);
	return status;
}

static int
send_change(struct cli *cli, const struct lists *lists, const struct officer_act *act,
	const char *threshold)
{
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	bool made;
	int status;

	asking_begin(&asking, "officer.change");
	if (!put_number(&officer_change, &asking, "threshold", threshold, &status) ||
		!officer_act_put(&officer_change, act, &asking, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	json_array(&asking.json, "remove");
	for (size_t i = 0; i < lists->remove.n; i++)
		json_str(&asking.json, NULL, lists->remove.v[i]);
	json_array_end(&asking.json);
	if (put_officers(&asking.json, "add", &lists->certs, &lists->names, &err) != RC_OK) {
		buf_fini(&asking.text);
		return cmd_fail_input(&err);
	}
	status = officer_ask(cli, &asking, NULL, &answer, &made);
	json_free(&answer);
	return status;
}

static int
run_change(struct cli *cli, int argc, char **argv)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	struct officer_act act = {NULL};
	const char *threshold = NULL;
	int status = EX_OSERR;

	if (lists) {
		struct cmd_opt opts[OFFICER_ACT_OPTS + 4] = {
			[OFFICER_ACT_OPTS] = {"add", OPT_VALUES, &lists->certs},
			{"name", OPT_VALUES, &lists->names},
			{"remove", OPT_VALUES, &lists->remove},
			{"threshold", OPT_VALUE, &threshold},
		};

		officer_act_opts(&act, opts);
		if (cmd_parse(&officer_change, cli, opts, OFFICER_ACT_OPTS + 4, &argc, argv,
			    &status)) {
			if (argc > 1)
				status = cmd_usage(&officer_change, "too many arguments");
			else if (check_names(&officer_change, &lists->certs, &lists->names, "add",
					 &status) &&
				 cmd_conf(&officer_change, cli, &status))
				status = act.request ? officer_run_shown(cli, act.request,
							       "officer.change", print_officers)
						     : send_change(cli, lists, &act, threshold);
		}
	}
	free(lists);
	return status;
}
