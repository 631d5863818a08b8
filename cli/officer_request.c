/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * officer_request.c - sealgate officer requests, show, withdraw, run; and what acts share
 */
#include "cli/officer.h"

#include "base/file.h"
#include "keystore/admin.h"

#include <fcntl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int run_requests(struct cli *cli, int argc, char **argv);
static int run_show(struct cli *cli, int argc, char **argv);
static int run_withdraw(struct cli *cli, int argc, char **argv);
static int run_run(struct cli *cli, int argc, char **argv);

const struct command officer_requests = {
	.name = "officer requests",
	.usage = "[--all]",
	.help = "what waits for officers",
	.details = "  --all              also what was used, withdrawn, expired or void\n",
	.run = run_requests,
};
const struct command officer_show = {
	.name = "officer show",
	.usage = "[--out FILE] REQUEST",
	.help = "the text of a request, byte for byte as officers sign it",
	.details = "  --out FILE         into a new file\n",
	.run = run_show,
};
const struct command officer_withdraw = {
	.name = "officer withdraw",
	.usage = "REQUEST",
	.help = "give a request up: nobody can use it any more",
	.run = run_withdraw,
};
const struct command officer_run = {
	.name = "officer run",
	.usage = "[--out FILE] [--password P-FILE] REQUEST",
	.help = "carry out what enough officers have approved",
	.details =
		"  --out FILE         for the file of an exported key\n"
		"  --password P-FILE  the first line of P-FILE becomes the password of that file\n"
		"\nA message is opened by: sealgate audit open --request REQUEST MESSAGE\n",
	.run = run_run,
};

void
officer_act_opts(struct officer_act *act, struct cmd_opt *opts)
{
	opts[0] = (struct cmd_opt){"reason", OPT_VALUE, &act->reason};
	opts[1] = (struct cmd_opt){"hours", OPT_VALUE, &act->hours};
	opts[2] = (struct cmd_opt){"request", OPT_VALUE, &act->request};
}

bool
officer_act_put(const struct command *command, const struct officer_act *act, struct asking *asking,
	int *status)
{
	char *end;
	long n;

	json_str(&asking->json, "reason", act->reason);
	if (!act->hours)
		return true;
	n = strtol(act->hours, &end, 10);
	if (!*act->hours || *end || n < 1 || n > 168) {
		*status = cmd_usage(command, "--hours is a number from 1 to 168");
		return false;
	}
	json_int(&asking->json, "hours", n);
	return true;
}

/* A text in CR LF lines, for the terminal. */
static void
print_text(FILE *to, const char *text)
{
	for (; *text; text++)
		if (*text != '\r')
			putc(*text, to);
}

static void
print_made(const struct json_value *answer)
{
	const char *id = json_get_text(answer, "request");

	print_text(stdout, json_get_text(answer, "text"));
	fflush(stdout);
	fprintf(stderr,
		"\nsealgate: request %s waits for %" PRId64 " officers. Each of them signs it:\n"
		"  sealgate -c CONF officer approve --key KEYFILE %s\n"
		"then it is carried out by: officer run %s\n",
		id, json_get_int(answer, "threshold", 0), id, id);
}

bool
officer_is_request(const struct json_value *answer)
{
	return json_get_text(answer, "text") && json_get_text(answer, "request");
}

int
officer_print_request(const struct cli *cli, const struct json_value *answer)
{
	if (cli->json)
		return answer_print_json(answer, EX_OK);
	print_made(answer);
	return EX_OK;
}

int
officer_ask(struct cli *cli, struct asking *asking, struct secret *blob, struct json_value **answer,
	bool *made)
{
	struct err err = ERR_INIT;

	*made = false;
	if (asking_send(asking, cli->conf, blob, answer, &err) != RC_OK)
		return cmd_fail(&err);
	*made = officer_is_request(*answer);
	return *made ? officer_print_request(cli, *answer) : EX_OK;
}

bool
officer_run_request(struct cli *cli, const struct officer_run *run, struct json_value **answer,
	struct secret **result, int *status)
{
	struct err err = ERR_INIT;
	struct asking asking;
	enum rc rc;

	*answer = NULL;
	*result = NULL;
	asking_begin(&asking, "officer.run");
	json_str(&asking.json, "request", run->request);
	json_str(&asking.json, "act", run->act);
	rc = asking_end(&asking, &err);
	if (rc == RC_OK)
		rc = admin_call_result(
			cli->conf, buf_text(&asking.text), run->blob, answer, result, &err);
	buf_fini(&asking.text);
	*status = rc == RC_OK ? EX_OK : cmd_fail(&err);
	return rc == RC_OK;
}

int
officer_run_shown(struct cli *cli, const char *request, const char *act, officer_show_answer *show)
{
	struct json_value *answer;
	struct secret *result;
	int status;

	if (!officer_run_request(
		    cli, &(struct officer_run){request, act, NULL}, &answer, &result, &status))
		return status;
	status = show(cli, answer);
	json_free(&answer);
	secret_free(&result);
	return status;
}

/* --- files and passwords --- */

/* One line, without its end, as a secret. */
static enum rc
first_line(const char *text, size_t len, struct secret **out, struct err *err)
{
	const char *lf = memchr(text, '\n', len);

	if (lf)
		len = (size_t)(lf - text);
	if (len && text[len - 1] == '\r')
		len--;
	return secret_copy(text, len, out, err);
}

/* Asks on the terminal without echo. */
static enum rc
ask(const char *prompt, struct secret **out, struct err *err)
{
	char line[1024] = "";
	struct termios old, quiet;
	enum rc rc;

	if (tcgetattr(STDIN_FILENO, &old))
		return RC_NONE;
	fprintf(stderr, "%s: ", prompt);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	rc = fgets(line, sizeof(line), stdin) ? first_line(line, strlen(line), out, err) : RC_NONE;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	secret_wipe(line, sizeof(line));
	return rc;
}

static enum rc
ask_twice(const char *prompt, struct secret **out, struct err *err)
{
	struct secret *again = NULL;
	enum rc rc = ask(prompt, out, err);

	if (rc == RC_OK)
		rc = ask("The same again", &again, err);
	if (rc == RC_OK &&
		(secret_len(*out) != secret_len(again) ||
			secret_compare(secret_data(*out), secret_data(again), secret_len(again))))
		rc = err_set(err, ERR_USAGE, "these were two different passwords");
	secret_free(&again);
	if (rc != RC_OK)
		secret_free(out);
	return rc;
}

enum rc
officer_password(
	const char *path, const char *prompt, bool twice, struct secret **out, struct err *err)
{
	struct buf text = {.max = 4096, .wipe = true};
	enum rc rc;

	*out = NULL;
	if (!path)
		return twice ? ask_twice(prompt, out, err) : ask(prompt, out, err);
	rc = file_read(path, &text, err);
	if (rc == RC_NONE)
		rc = RC_TEMP;
	if (rc == RC_OK)
		rc = first_line(buf_text(&text), text.len, out, err);
	buf_fini(&text);
	return rc;
}

int
officer_write(const char *path, struct secret *result)
{
	struct err err = ERR_INIT;
	enum rc rc;

	if (path)
		rc = file_write_new(path, secret_data(result), secret_len(result), 0600, &err);
	else
		rc = file_write_all(STDOUT_FILENO, secret_data(result), secret_len(result), &err);
	return rc == RC_OK ? EX_OK : cmd_fail(&err);
}

/* --- commands --- */

/* "2 of 3 …": one line for a request. */
static void
print_request(const struct json_value *one)
{
	const struct json_value *approvals = json_find(one, "approvals");
	const char *act = json_get_text(one, "act"), *state = json_get_text(one, "state");

	printf("%s  %-14s  %-9s  until %.16sZ  %zu approved\n", json_get_text(one, "request"),
		act ? act : "-", state ? state : "-", json_get_text(one, "expires"),
		approvals ? json_count(approvals) : 0);
}

static int
run_requests(struct cli *cli, int argc, char **argv)
{
	bool all = false;
	const struct cmd_opt opts[] = {{"all", OPT_FLAG, &all}};
	const struct json_value *list;
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	if (!cmd_take(&officer_requests, cli, &(struct cmd_args){opts, 1, 0, 0}, &argc, argv,
		    &status))
		return status;
	asking_begin(&asking, "officer.requests");
	if (all)
		json_bool(&asking.json, "all", true);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	list = json_find(answer, "requests");
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		for (size_t i = 0; list && i < json_count(list); i++)
			print_request(json_at(list, i));
	json_free(&answer);
	return cli->json ? status : EX_OK;
}

/* Options and one request; false: *status. */
static bool
parse_request(const struct command *command, struct cli *cli, const struct cmd_args *args, int argc,
	char **argv, int *status)
{
	if (!cmd_parse(command, cli, args->opts, args->n, &argc, argv, status))
		return false;
	if (argc == 2)
		return cmd_conf(command, cli, status);
	*status = cmd_usage(command, argc < 2 ? "which request?" : "too many arguments");
	return false;
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	const char *out = NULL, *text;
	const struct cmd_opt opts[] = {{"out", OPT_VALUE, &out}};
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	if (!parse_request(
		    &officer_show, cli, &(struct cmd_args){opts, 1, 1, 1}, argc, argv, &status))
		return status;
	asking_begin(&asking, "officer.show");
	json_str(&asking.json, "request", argv[1]);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	text = json_get_text(answer, "text");
	if (out)
		status = file_write_new(out, text, strlen(text), 0644, &err) == RC_OK
				 ? EX_OK
				 : cmd_fail(&err);
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else if (!out)
		status = fwrite(text, 1, strlen(text), stdout) == strlen(text) && !fflush(stdout)
				 ? EX_OK
				 : EX_SOFTWARE;
	json_free(&answer);
	return status;
}

static int
run_withdraw(struct cli *cli, int argc, char **argv)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!parse_request(
		    &officer_withdraw, cli, &(struct cmd_args){NULL, 0, 1, 1}, argc, argv, &status))
		return status;
	asking_begin(&asking, "officer.withdraw");
	json_str(&asking.json, "request", argv[1]);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		print_request(answer);
	json_free(&answer);
	return status;
}

/* Which act, before a password is asked for in vain. */
static bool
look_at(struct cli *cli, const char *id, char act[64], bool *pkcs12, int *status)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;

	asking_begin(&asking, "officer.show");
	json_str(&asking.json, "request", id);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK) {
		*status = cmd_fail(&err);
		return false;
	}
	snprintf(act, 64, "%s", json_get_text(answer, "act"));
	*pkcs12 = strstr(json_get_text(answer, "text"), "\r\nform: PKCS#12 ") != NULL;
	json_free(&answer);
	return true;
}

/* The file of an exported key has to have somewhere to go, and perhaps a password. */
static bool
prepare(const char *act, bool pkcs12, const char *out, const char *password, struct secret **blob,
	int *status)
{
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;

	if (strcmp(act, "audit.open") == 0) {
		*status = cmd_usage(&officer_run,
			"a message is opened by: sealgate audit open --request REQUEST MESSAGE");
		return false;
	}
	if (strcmp(act, "key.export") != 0)
		return true;
	if (!out) {
		*status = cmd_usage(&officer_run, "where to? --out FILE");
		return false;
	}
	if (access(out, F_OK) == 0) {
		fprintf(stderr, "sealgate: %s: is there already\n", out);
		*status = EX_DATAERR;
		return false;
	}
	if (pkcs12)
		rc = officer_password(password, "A password for the file", true, blob, &err);
	if (rc == RC_NONE)
		rc = err_set(
			&err, ERR_USAGE, "no terminal to ask for a password: --password P-FILE");
	if (rc != RC_OK)
		*status = err.code == ERR_FILE ? cmd_fail_input(&err) : cmd_fail(&err);
	return rc == RC_OK;
}

static int
run_run(struct cli *cli, int argc, char **argv)
{
	const char *out = NULL, *password = NULL;
	const struct cmd_opt opts[] = {
		{"out", OPT_VALUE, &out}, {"password", OPT_VALUE, &password}};
	int status;

	if (!parse_request(
		    &officer_run, cli, &(struct cmd_args){opts, 2, 1, 1}, argc, argv, &status))
		return status;
	return officer_carry_out(cli, argv[1], NULL, out, password);
}

int
officer_carry_out(struct cli *cli, const char *request, const char *wanted, const char *out,
	const char *password)
{
	struct secret *blob = NULL, *result = NULL;
	struct json_value *answer = NULL;
	bool pkcs12 = false;
	char act[64];
	int status;

	if (!look_at(cli, request, act, &pkcs12, &status))
		return status;
	if (wanted && strcmp(act, wanted) != 0) {
		fprintf(stderr, "sealgate: request %s is for %s, not for %s\n", request, act,
			wanted);
		return EX_USAGE;
	}
	if (!prepare(act, pkcs12, out, password, &blob, &status))
		return status;
	if (officer_run_request(
		    cli, &(struct officer_run){request, wanted, blob}, &answer, &result, &status)) {
		if (result)
			status = officer_write(out, result);
		if (status == EX_OK && cli->json)
			status = answer_print_json(answer, EX_OK);
		else if (status == EX_OK)
			printf("%s  %s  done\n", request, act);
	}
	secret_free(&blob);
	secret_free(&result);
	json_free(&answer);
	return status;
}
