/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_retire.c - sealgate audit retire: dropping old segments of the ledger
 */
#include "cli/audit.h"
#include "cli/officer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_retire = {
	.name = "audit retire",
	.usage =
		"[--before TIME] [--segment N] [--dry-run] [--reason TEXT] [--hours N] | --request REQUEST",
	.help = "drop old segments of the ledger; a signed stub of each is left",
	.details =
		"  --before TIME      segments all of whose records are older; an RFC 3339 time or a date\n"
		"  --segment N        segments up to this number; with --before, both must hold\n"
		"  --dry-run          only say which ones\n" OFFICER_ACT_DETAILS
		"Where there are officers, this makes a request first.\n",
	.run = run,
};

/* What is left of the options. */
struct order {
	const char *before;
	int64_t segment;
	bool dry_run;
	struct officer_act act;
};

/* One call of the vault, which stops after a while. */
static enum rc
ask(struct cli *cli, const struct order *order, struct json_value **answer, struct err *err)
{
	struct asking asking;

	asking_begin(&asking, order->act.request ? "officer.run" : "audit.retire");
	json_str(&asking.json, "request", order->act.request);
	json_str(&asking.json, "act", order->act.request ? "audit.retire" : NULL);
	json_str(&asking.json, "reason", order->act.reason);
	if (order->act.hours) /* the vault judges the number */
		json_int(&asking.json, "hours", strtol(order->act.hours, NULL, 10));
	json_str(&asking.json, "before", order->before);
	if (order->segment)
		json_int(&asking.json, "segment", order->segment);
	json_bool(&asking.json, "dry_run", order->dry_run);
	return asking_send(&asking, cli->conf, NULL, answer, err);
}

/* Prints the segments of ANSWER; gives their number. */
static size_t
print_segments(const struct json_value *answer, struct json *json, bool dry_run)
{
	const struct json_value *list = json_find(answer, "segments");
	size_t n = list ? json_count(list) : 0;

	for (size_t i = 0; i < n; i++) {
		const struct json_value *one = json_at(list, i);

		if (json) {
			answer_put(json, NULL, one);
			continue;
		}
		printf("segment %06" PRId64 ", records %" PRId64 " to %" PRId64
		       ", %.10s to %.10s, %" PRId64 " bytes",
			json_get_int(one, "segment", 0), json_get_int(one, "first", 0),
			json_get_int(one, "last", 0), json_get_text(one, "from"),
			json_get_text(one, "to"), json_get_int(one, "bytes", 0));
		if (dry_run)
			printf(" would be dropped\n");
		else
			printf(": dropped, record %" PRId64 "\n", json_get_int(one, "record", 0));
	}
	return n;
}

/* Asks until nothing is left to do. What was done before a failure is shown all the same. */
static int
retire(struct cli *cli, const struct order *order)
{
	struct buf text = BUF_INIT(64u << 20);
	struct err err = ERR_INIT;
	struct json json;
	size_t n = 0;
	bool more = true, made = false;
	int status = EX_OK;

	cmd_json_begin(&json, &text);
	json_array(&json, "segments");
	while (more && status == EX_OK) {
		struct json_value *answer = NULL;

		if (ask(cli, order, &answer, &err) != RC_OK)
			status = cmd_fail(&err);
		else if (officer_is_request(answer))
			made = (status = officer_print_request(cli, answer), true);
		else
			n += print_segments(answer, cli->json ? &json : NULL, order->dry_run);
		more = answer && json_is_true(json_find(answer, "more")) && !order->dry_run;
		json_free(&answer);
	}
	if (made) {
		buf_fini(&text);
		return status;
	}
	json_array_end(&json);
	json_object_end(&json);
	if (status == EX_OK && !n)
		status = EX_DATAERR;
	if (cli->json)
		status = cmd_print_json(&json, status);
	else if (status == EX_DATAERR && !n)
		fprintf(stderr,
			"sealgate: no segment is so old; the one that is written is never dropped\n");
	buf_fini(&text);
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct order order = {.before = NULL};
	const char *segment = NULL;
	struct cmd_opt opts[OFFICER_ACT_OPTS + 3] = {
		[OFFICER_ACT_OPTS] = {"before", OPT_VALUE, &order.before},
		{"segment", OPT_VALUE, &segment},
		{"dry-run", OPT_FLAG, &order.dry_run}};
	char text[CLOCK_TEXT_SIZE], *end;
	int status;

	officer_act_opts(&order.act, opts);
	if (!cmd_parse(&audit_retire, cli, opts, OFFICER_ACT_OPTS + 3, &argc, argv, &status) ||
		!audit_time(&audit_retire, "before", order.before, text, &order.before, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&audit_retire, "too many arguments");
	if (!order.before && !segment && !order.act.request)
		return cmd_usage(
			&audit_retire, "needs --before TIME, --segment N or --request REQUEST");
	if (segment) {
		order.segment = strtoll(segment, &end, 10);
		if (*end || order.segment < 1)
			return cmd_usage(&audit_retire, "%s is no segment's number", segment);
	}
	if (!cmd_conf(&audit_retire, cli, &status))
		return status;
	return retire(cli, &order);
}
