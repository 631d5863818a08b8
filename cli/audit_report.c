/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_report.c - sealgate audit report: how often each key was used, for what, and what was
 * denied
 */
#include "cli/audit.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_report = {
	.name = "audit report",
	.usage = AUDIT_FILTER_USAGE,
	.help = "uses of each key, counted",
	.details = AUDIT_FILTER_DETAILS,
	.run = run,
};

#define MAX_KEYS 1000000

struct use {
	char key[64];
	uint64_t sign, open, other, denied;
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE]; /* "2026-11-21T22:14:03Z" */
};

struct counts {
	void *tree; /* of struct use, by key */
	size_t n_keys;
	uint64_t intents, done, failed, denied, decisions, admin;
	struct json *json; /* while printing */
	size_t printed;
};

/* For the tree. */
static int
by_key(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* The counts of KEY, made when it is a new one; NULL when there is no room. */
static struct use *
use_of(struct counts *counts, const char *key)
{
	struct use *use = calloc(1, sizeof(*use));
	void *found;

	if (!use)
		return NULL;
	snprintf(use->key, sizeof(use->key), "%s", key);
	found = tfind(use, &counts->tree, by_key);
	if (!found && counts->n_keys < MAX_KEYS && tsearch(use, &counts->tree, by_key)) {
		counts->n_keys++;
		return use;
	}
	free(use);
	return found ? *(struct use **)found : NULL;
}

/* Adds one use to the key's counts. */
static void
count_use(struct use *use, const struct ledger_line *prefix, const char *event, uint64_t n)
{
	if (prefix->type == LEDGER_DENIED)
		use->denied += n;
	else if (event && strcmp(event, "sign") == 0)
		use->sign++;
	else if (event && strcmp(event, "open") == 0)
		use->open++;
	else
		use->other++;
	snprintf(use->last, sizeof(use->last), "%.19sZ", prefix->time);
	if (!*use->first)
		memcpy(use->first, use->last, sizeof(use->first));
}

/* Counts one record. */
static enum rc
count_record(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	const struct json_value *observed = json_find(record, "observed");
	const char *event = json_get_text(record, "event");
	const char *key = observed ? json_get_text(observed, "key") : NULL;
	struct counts *counts = ctx;
	struct use *use;

	(void)line;
	(void)len;
	counts->intents += prefix->type == LEDGER_INTENT;
	if (prefix->type == LEDGER_DENIED)
		counts->denied += ledger_denied_count(record);
	counts->decisions += prefix->type == LEDGER_DECISION;
	counts->admin += prefix->type == LEDGER_ADMIN;
	if (prefix->type == LEDGER_OUTCOME && event && strcmp(event, "failed") == 0)
		counts->failed++;
	else if (prefix->type == LEDGER_OUTCOME)
		counts->done++;
	if (prefix->type != LEDGER_INTENT && prefix->type != LEDGER_DENIED)
		return RC_OK;
	use = use_of(counts, key ? key : "-");
	if (!use)
		return err_set(err, ERR_LIMIT, "too many keys for a report");
	count_use(use, prefix, event,
		prefix->type == LEDGER_DENIED ? ledger_denied_count(record) : 1);
	return RC_OK;
}

static struct counts *current; /* for twalk, which hands nothing on */

/* One key's line, or object. */
static void
print_use(const void *node, VISIT visit, int depth)
{
	const struct use *use = *(struct use *const *)node;
	struct json *json = current->json;

	(void)depth;
	if (visit != postorder && visit != leaf)
		return;
	if (!json) {
		printf("%-20s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "  %.10s  %.10s\n",
			use->key, use->sign, use->open, use->other, use->denied, use->first,
			use->last);
		return;
	}
	json_object(json, NULL);
	json_str(json, "key", use->key);
	json_int(json, "sign", (int64_t)use->sign);
	json_int(json, "open", (int64_t)use->open);
	json_int(json, "other", (int64_t)use->other);
	json_int(json, "denied", (int64_t)use->denied);
	json_str(json, "first", use->first);
	json_str(json, "last", use->last);
	json_object_end(json);
}

/* The report for scripts. */
static int
print_json(struct counts *counts)
{
	struct buf text = BUF_INIT(1u << 30);
	struct json json;
	int status;

	json_init(&json, &text);
	counts->json = &json;
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_int(&json, "uses", (int64_t)counts->intents);
	json_int(&json, "done", (int64_t)counts->done);
	json_int(&json, "failed", (int64_t)counts->failed);
	json_int(&json, "denied", (int64_t)counts->denied);
	json_int(&json, "decisions", (int64_t)counts->decisions);
	json_int(&json, "admin", (int64_t)counts->admin);
	json_array(&json, "keys");
	twalk(counts->tree, print_use);
	json_array_end(&json);
	json_object_end(&json);
	status = cmd_print_json(&json, EX_OK);
	buf_fini(&text);
	return status;
}

/* The report for people. */
static int
print_text(struct counts *counts)
{
	uint64_t known = counts->done + counts->failed;

	printf("uses of keys %" PRIu64 ": %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64
	       " with unknown outcome\n",
		counts->intents, counts->done, counts->failed,
		counts->intents > known ? counts->intents - known : 0);
	printf("denied       %" PRIu64 "\ndecisions    %" PRIu64 "\nadmin        %" PRIu64 "\n\n",
		counts->denied, counts->decisions, counts->admin);
	printf("%-20s %8s %8s %8s %8s  %-10s  %-10s\n", "key", "sign", "open", "other", "denied",
		"first", "last");
	twalk(counts->tree, print_use);
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : EX_OK;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct audit_options options = {.dir = NULL};
	struct cmd_opt opts[AUDIT_N_OPTIONS];
	struct counts counts = {.tree = NULL};
	struct audit_filter filter;
	int status;

	audit_options(&options, opts);
	if (!cmd_parse(&audit_report, cli, opts, AUDIT_N_OPTIONS, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&audit_report, "too many arguments");
	if (audit_filter_init(&filter, &audit_report, cli, &options, &status)) {
		current = &counts;
		status = audit_find(&filter, count_record, &counts);
		if (status == EX_OK)
			status = cli->json ? print_json(&counts) : print_text(&counts);
	}
	tdestroy(counts.tree, free);
	audit_filter_fini(&filter);
	return status;
}
