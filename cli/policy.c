/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy.c - sealgate policy test: an administrator's table of expectations
 */
#include "config.h"

#include "cli/policy.h"

#include "cli/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_test(struct cli *cli, int argc, char **argv);

const struct command cmd_policy = {
	.name = "policy",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "try the rules on cases",
	.run = run,
};
static const struct command policy_test = {
	.name = "policy test",
	.usage = "[--show] [--json] FILE…",
	.help = "does each case of a table come out as expected? Needs no daemon",
	.details =
		"  --show             print what comes out of each case, as expectations\n"
		"A case is a line: facts => expectations. Example:\n"
		"  sender=a@example.org login=a@example.org rcpt=b@example.net cert=proven => does=sign+encrypt\n"
		"Status: 0 all met, 65 some not, 66 a table cannot be read.\n",
	.run = run_test,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&policy_test};

	return cmd_dispatch(&cmd_policy, table, 1, cli, argc, argv);
}

struct tester {
	struct policy_world world;
	bool show, as_json;
	struct json json;
	size_t cases, failed;
};

/* One recipient's answers beside what was expected. */
static void
print_case(struct tester *t, const char *file, const struct policy_case *one, const char *rcpt,
	const struct policy_answer *answer)
{
	if (t->show) {
		printf("%s:%u: %s =>", file, one->line, rcpt);
		for (int i = 0; i < ANSWER_COUNT; i++)
			printf(" %s=%s", answer_name((enum answer)i), answer->text[i]);
		printf("%s%s\n", *answer->why ? " # " : "", answer->why);
	}
	for (size_t i = 0; i < one->n_wants; i++) {
		int which = answer_find(one->wants[i].name);

		if (strcmp(answer->text[which], one->wants[i].value) != 0)
			printf("%s:%u: %s: %s: got \"%s\", want \"%s\"\n", file, one->line, rcpt,
				one->wants[i].name, answer->text[which], one->wants[i].value);
	}
}

static void
json_case(struct tester *t, const char *file, const struct policy_case *one, const char *rcpt,
	const struct policy_answer *answer, bool met)
{
	json_object(&t->json, NULL);
	json_str(&t->json, "file", file);
	json_int(&t->json, "line", one->line);
	json_str(&t->json, "recipient", rcpt);
	json_bool(&t->json, "met", met);
	json_object(&t->json, "got");
	for (int i = 0; i < ANSWER_COUNT; i++)
		json_str(&t->json, answer_name((enum answer)i), answer->text[i]);
	json_object_end(&t->json);
	json_object(&t->json, "want");
	for (size_t i = 0; i < one->n_wants; i++)
		json_str(&t->json, one->wants[i].name, one->wants[i].value);
	json_object_end(&t->json);
	json_str(&t->json, "why", *answer->why ? answer->why : NULL);
	json_object_end(&t->json);
}

static enum rc
try_case(struct tester *t, const char *file, const struct policy_case *one, struct err *err)
{
	const char *rcpt;

	for (size_t k = 0; (rcpt = case_fact(one, "rcpt", k)); k++) {
		struct policy_answer answer;
		bool met = true;
		enum rc rc = policy_case_run(&t->world, one, rcpt, &answer, err);

		if (rc != RC_OK)
			return rc;
		for (size_t i = 0; i < one->n_wants; i++)
			met &= strcmp(answer.text[answer_find(one->wants[i].name)],
				       one->wants[i].value) == 0;
		t->cases++;
		t->failed += !met;
		if (t->as_json)
			json_case(t, file, one, rcpt, &answer, met);
		else
			print_case(t, file, one, rcpt, &answer);
	}
	return RC_OK;
}

static enum rc
read_table(struct tester *t, FILE *file, const char *name, struct err *err)
{
	struct policy_case *one = calloc(1, sizeof(*one)); /* large */
	char *text = NULL;
	size_t size = 0;
	unsigned line = 0;
	enum rc rc = one ? RC_OK : err_set(err, ERR_MEMORY, "table");

	while (rc == RC_OK && getline(&text, &size, file) >= 0) {
		line++;
		rc = strlen(text) > CASE_MAX_LINE
			     ? err_set(err, ERR_USAGE, "longer than %d bytes", CASE_MAX_LINE)
			     : case_parse(text, line, one, err);
		if (rc == RC_OK)
			rc = try_case(t, name, one, err);
		if (rc == RC_NONE)
			rc = RC_OK;
		else if (rc != RC_OK)
			err_prefix(err, "%s:%u", name, line);
	}
	if (rc == RC_OK && ferror(file))
		rc = err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	free(text);
	free(one);
	return rc;
}

static int
test_tables(struct tester *t, int argc, char **argv)
{
	struct err err = ERR_INIT;

	for (int i = 1; i < argc; i++) {
		bool in = strcmp(argv[i], "-") == 0;
		FILE *file = in ? stdin : fopen(argv[i], "re");
		enum rc rc = RC_OK;

		if (file)
			rc = read_table(t, file, argv[i], &err);
		else
			rc = err_set(&err, ERR_FILE, "%s: %s", argv[i], strerror(errno));
		if (file && !in)
			fclose(file);
		if (rc != RC_OK)
			return cmd_fail_input(&err);
	}
	return t->failed ? EX_DATAERR : EX_OK;
}

/* The table's result after the cases, in JSON or as a last line. */
static int
test_and_report(struct tester *t, int argc, char **argv)
{
	struct buf out = BUF_INIT(256u << 20);
	int status;

	json_init(&t->json, &out);
	json_object(&t->json, NULL);
	json_int(&t->json, "v", 1);
	json_array(&t->json, "results");
	status = test_tables(t, argc, argv);
	json_array_end(&t->json);
	json_int(&t->json, "cases", (int64_t)t->cases);
	json_int(&t->json, "failed", (int64_t)t->failed);
	json_object_end(&t->json);
	if (status != EX_OK && status != EX_DATAERR) {
		/* said already */
	} else if (t->as_json) {
		status = cmd_print_json(&t->json, status);
	} else {
		printf("%zu cases, %zu not met\n", t->cases, t->failed);
		status = fflush(stdout) == 0 ? status : EX_OSERR;
	}
	buf_fini(&out);
	return status;
}

static int
run_test(struct cli *cli, int argc, char **argv)
{
	struct tester t = {0};
	const struct cmd_opt opts[] = {{"show", OPT_FLAG, &t.show}};
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&policy_test, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc < 2)
		return cmd_usage(&policy_test, "which table?");
	if (!cmd_conf(&policy_test, cli, &status))
		return status;
	t.as_json = cli->json;
	if (policy_world_init(&t.world, cli->conf, &err) != RC_OK) {
		status = cmd_fail(&err);
		return err.code == ERR_CONFIG ? EX_CONFIG : status;
	}
	status = test_and_report(&t, argc, argv);
	policy_world_fini(&t.world);
	return status;
}
