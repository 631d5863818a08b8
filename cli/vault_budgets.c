/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/vault.h"

#include <stdio.h>
#include <stdlib.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command vault_budgets = {
	.name = "vault budgets",
	.usage = "[--least PERCENT] [--json]",
	.help = "how often keys were used in this hour and this day, of what their budgets allow",
	.details = "  --least PERCENT    only what has reached so much of its budget\n",
	.run = run,
};

/* "12 of 2000" or "12". */
static void
print_count(const struct json_value *one, const char *uses, const char *limit, const char *when)
{
	int64_t of = json_get_int(one, limit, 0);

	printf("  %lld", (long long)json_get_int(one, uses, 0));
	if (of)
		printf(" of %lld", (long long)of);
	printf(" %s", when);
}

static int
print_budgets(const struct json_value *answer)
{
	const struct json_value *budgets = json_find(answer, "budgets");

	for (size_t i = 0; budgets && i < json_count(budgets); i++) {
		const struct json_value *one = json_at(budgets, i);
		const char *key = json_get_text(one, "key");

		printf("%s %s  %s", key ? "key" : "service",
			key ? key : json_get_text(one, "service"), json_get_text(one, "use"));
		print_count(one, "in_hour", "hour", "this hour,");
		print_count(one, "in_day", "day", "today\n");
	}
	if (json_is_true(json_find(answer, "more")))
		fprintf(stderr, "sealgate: there are more; ask for those that reached --least\n");
	return EX_OK;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *least = NULL;
	const struct cmd_opt opts[] = {{"least", OPT_VALUE, &least}};
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	char *end = NULL;
	long percent;
	int status = EX_OK;

	if (!cmd_parse(&vault_budgets, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&vault_budgets, "too many arguments");
	percent = least ? strtol(least, &end, 10) : 0;
	if (least && (end == least || *end || percent < 0 || percent > 100))
		return cmd_usage(&vault_budgets, "--least: 0 to 100");
	if (!cmd_conf(&vault_budgets, cli, &status))
		return status;
	asking_begin(&asking, "vault.budgets");
	json_int(&asking.json, "least", percent);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = cli->json ? answer_print_json(answer, EX_OK) : print_budgets(answer);
	json_free(&answer);
	return status;
}
