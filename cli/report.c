/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - sealgate report: what the rules did, and what observe rules would have done
 */
#include "config.h"

#include "cli/cmd.h"

#include "base/clock.h"
#include "cli/logline.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_report = {
	.name = "report",
	.usage = "[--since AGE|TIME] [--until TIME] [--log FILE]… [--json]",
	.help = "count from the log what the rules did, and observe rules would have done",
	.details =
		"  --since AGE|TIME   7d, 12h, 30m; an RFC 3339 time or a date; default: all there is\n"
		"  --until TIME       an RFC 3339 time or a date\n"
		"  --log FILE         of the mail log or of journalctl; default: standard input\n"
		"With -c the rules of the configuration that never decided are listed too. Each try of\n"
		"a message counts.\n",
	.run = run,
};

#define MAX_RULES 100000

/* In the order in which they are printed; of observe rules and others. */
static const char *const outcomes[] = {"leave", "sign", "encrypt", "sign+encrypt", "open",
	"open+verify", "verify", "refuse", "defer", "other"};
#define N_OUTCOMES (sizeof(outcomes) / sizeof(*outcomes))

struct rule_count {
	char name[65];
	bool observed;
	uint64_t total, by[N_OUTCOMES];
	uint64_t causes[ERR_COUNT]; /* of refusals and deferrals, where the line says so */
};

struct report {
	struct rule_count **rules; /* as they came */
	size_t n, cap;
	void *tree; /* the same, by name */
	int64_t since, until, first, last;
	uint64_t lines, timeless;
};

static int
by_name(const void *a, const void *b)
{
	const struct rule_count *x = a, *y = b;

	return x->observed != y->observed ? (x->observed ? 1 : -1) : strcmp(x->name, y->name);
}

static enum rc
append_rule(struct report *report, struct rule_count *rule)
{
	if (report->n == MAX_RULES)
		return RC_TEMP;
	if (report->n == report->cap) {
		size_t more = report->cap ? report->cap * 2 : 32;
		struct rule_count **grown =
			realloc(report->rules, more * sizeof(struct rule_count *));

		if (!grown)
			return RC_TEMP;
		report->rules = grown;
		report->cap = more;
	}
	if (!tsearch(rule, &report->tree, by_name))
		return RC_TEMP;
	report->rules[report->n++] = rule;
	return RC_OK;
}

/* The counts of rule NAME; NULL: no memory, or too many rules. */
static struct rule_count *
rule_of(struct report *report, const char *name, bool observed)
{
	struct rule_count *rule = calloc(1, sizeof(*rule));
	void *found;

	if (!rule)
		return NULL;
	snprintf(rule->name, sizeof(rule->name), "%s", name);
	for (char *p = rule->name; *p; p++) /* a log can be forged; a terminal obeys */
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	rule->observed = observed;
	found = tfind(rule, &report->tree, by_name);
	if (!found && append_rule(report, rule) == RC_OK)
		return rule;
	free(rule);
	return found ? *(struct rule_count **)found : NULL;
}

/* What a line about one recipient says was done, in the words of OUTCOMES; NULL: it is none. */
static const char *
outcome_of(const struct logline *line, const char *event)
{
	static const char *const names[][2] = {{"opened", "open"}, {"verified", "verify"},
		{"untouched", "leave"}, {"stamped", "leave"}, {"refused", "refuse"},
		{"deferred", "defer"}};

	if (!logline_get(line, "rcpt"))
		return NULL;
	if (strcmp(event, "observed") == 0)
		return logline_get(line, "would");
	if (strcmp(event, "sealed") == 0)
		return logline_get(line, "how");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(event, names[i][0]) == 0)
			return names[i][1];
	return NULL;
}

static void
count_cause(struct rule_count *rule, const char *name)
{
	for (int code = 1; name && code < ERR_COUNT; code++)
		if (strcmp(err_name((enum errcode)code), name) == 0)
			rule->causes[code]++;
}

static enum rc
count_line(struct report *report, const struct logline *line, struct err *err)
{
	const char *event = logline_get(line, "event"), *name = logline_get(line, "rule");
	const char *outcome = event ? outcome_of(line, event) : NULL;
	struct rule_count *rule;
	size_t i = 0;

	if (!outcome)
		return RC_OK;
	if (line->time < 0) {
		report->timeless++;
		return RC_OK;
	}
	if (line->time < report->since || line->time >= report->until)
		return RC_OK;
	rule = rule_of(report, name ? name : "(none)", strcmp(event, "observed") == 0);
	if (!rule)
		return err_set(err, ERR_MEMORY, "rules");
	while (i + 1 < N_OUTCOMES && strcmp(outcomes[i], outcome) != 0)
		i++;
	rule->by[i]++;
	rule->total++;
	count_cause(rule, logline_get(line, "error"));
	report->lines++;
	if (!report->first || line->time < report->first)
		report->first = line->time;
	if (line->time > report->last)
		report->last = line->time;
	return RC_OK;
}

static enum rc
read_log(struct report *report, FILE *file, const char *name, struct err *err)
{
	int64_t now = clock_now();
	struct logline parsed;
	char *line = NULL;
	size_t size = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && getline(&line, &size, file) >= 0)
		if (logline_parse(line, now, &parsed))
			rc = count_line(report, &parsed, err);
	if (rc == RC_OK && ferror(file))
		rc = err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	free(line);
	return rc;
}

static enum rc
read_logs(struct report *report, const struct cmd_values *logs, struct err *err)
{
	enum rc rc = RC_OK;

	if (logs->n == 0)
		return read_log(report, stdin, "standard input", err);
	for (size_t i = 0; rc == RC_OK && i < logs->n; i++) {
		FILE *file = fopen(logs->v[i], "re");

		if (!file)
			return err_set(err, ERR_FILE, "%s: %s", logs->v[i], strerror(errno));
		rc = read_log(report, file, logs->v[i], err);
		fclose(file);
	}
	return rc;
}

/* The rules of the configuration come first, in their order, also those that never decided. */
static enum rc
name_rules(struct report *report, const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf_count(conf, "rules"); i++) {
		const struct conf_group *group = conf_item(conf, "rules", i);

		if (!rule_of(report, conf_str(group, "name"),
			    strcmp(conf_str(group, "mode"), "observe") == 0))
			return err_set(err, ERR_MEMORY, "rules");
	}
	return RC_OK;
}

static void
json_rules(const struct report *report, bool observed, struct json *json)
{
	json_array(json, observed ? "observe" : "enforce");
	for (size_t i = 0; i < report->n; i++) {
		const struct rule_count *rule = report->rules[i];

		if (rule->observed != observed)
			continue;
		json_object(json, NULL);
		json_str(json, "rule", rule->name);
		json_int(json, "recipients", (int64_t)rule->total);
		json_object(json, "outcomes");
		for (size_t k = 0; k < N_OUTCOMES; k++)
			if (rule->by[k])
				json_int(json, outcomes[k], (int64_t)rule->by[k]);
		json_object_end(json);
		json_object(json, "causes");
		for (int k = 1; k < ERR_COUNT; k++)
			if (rule->causes[k])
				json_int(json, err_name((enum errcode)k), (int64_t)rule->causes[k]);
		json_object_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static int
print_json(const struct report *report)
{
	struct buf out = BUF_INIT(0);
	struct json json;

	cmd_json_begin(&json, &out);
	if (report->lines) {
		json_time(&json, "first", report->first);
		json_time(&json, "last", report->last);
	}
	json_int(&json, "recipients", (int64_t)report->lines);
	if (report->timeless)
		json_int(&json, "without_time", (int64_t)report->timeless);
	json_rules(report, true, &json);
	json_rules(report, false, &json);
	return cmd_json_end(&json, EX_OK);
}

static void
print_rule(const struct rule_count *rule)
{
	const char *between = "";

	printf("  %-32s %8" PRIu64 "  ", rule->name, rule->total);
	for (size_t k = 0; k < N_OUTCOMES; k++) {
		if (!rule->by[k])
			continue;
		printf("%s%s %" PRIu64, between, outcomes[k], rule->by[k]);
		between = ", ";
	}
	between = " (";
	for (int k = 1; k < ERR_COUNT; k++) {
		if (!rule->causes[k])
			continue;
		printf("%s%s %" PRIu64, between, err_name((enum errcode)k), rule->causes[k]);
		between = ", ";
	}
	printf("%s\n", *between == ',' ? ")" : "");
}

static void
print_rules(const struct report *report, bool observed)
{
	bool any = false;

	for (size_t i = 0; i < report->n; i++)
		any |= report->rules[i]->observed == observed;
	if (!any)
		return;
	printf("%s\n", observed ? "Observe rules would have done:" : "Rules did:");
	for (size_t i = 0; i < report->n; i++)
		if (report->rules[i]->observed == observed)
			print_rule(report->rules[i]);
}

static int
print(const struct report *report)
{
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

	if (report->lines)
		printf("%s to %s\n", clock_format(report->first, first),
			clock_format(report->last, last));
	else
		printf("nothing in the log\n");
	if (report->timeless)
		fprintf(stderr,
			"sealgate: %" PRIu64 " lines whose time cannot be read are left out\n",
			report->timeless);
	print_rules(report, true);
	print_rules(report, false);
	return fflush(stdout) == 0 ? EX_OK : EX_OSERR;
}

/* "7d" before now, or a time. */
static enum rc
parse_since(const char *text, int64_t *out, struct err *err)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	char *end;
	long n = strtol(text, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (end == text || *end != units[i].unit || end[1] || n < 0 || n > 1000000)
			continue;
		*out = clock_now() - n * units[i].seconds;
		return RC_OK;
	}
	return clock_parse(text, out, err);
}

static int
report_all(struct cli *cli, struct report *report, const struct cmd_values *logs)
{
	struct err err = ERR_INIT;
	int status;

	if (cli->conf_path && !cmd_conf(&cmd_report, cli, &status))
		return status;
	if (cli->conf_path && name_rules(report, cli->conf, &err) != RC_OK)
		return cmd_fail(&err);
	if (read_logs(report, logs, &err) != RC_OK)
		return err.code == ERR_FILE ? cmd_fail_input(&err) : cmd_fail(&err);
	return cli->json ? print_json(report) : print(report);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	static struct cmd_values logs; /* large */
	const char *since = NULL, *until = NULL;
	const struct cmd_opt opts[] = {{"since", OPT_VALUE, &since}, {"until", OPT_VALUE, &until},
		{"log", OPT_VALUES, &logs}};
	struct report report = {.until = INT64_MAX};
	int status;

	if (!cmd_parse(&cmd_report, cli, opts, 3, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&cmd_report, "unexpected argument %s", argv[1]);
	if (since && parse_since(since, &report.since, NULL) != RC_OK)
		return cmd_usage(&cmd_report, "--since %s: neither an age nor a time", since);
	if (until && clock_parse(until, &report.until, NULL) != RC_OK)
		return cmd_usage(&cmd_report, "--until %s: no time", until);
	status = report_all(cli, &report, &logs);
	tdestroy(report.tree, free);
	free(report.rules);
	return status;
}
