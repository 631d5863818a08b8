/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/reconcile.h"

#include "base/clock.h"
#include "base/json.h"
#include "cli/cmd.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>

static const char *const finding_names[] = {"no-message", "no-queue-id", "no-decision"};

/* JSON: where to, or NULL for people. */
static void
print_day(const void *node, VISIT visit, void *json)
{
	const struct day *day = *(struct day *const *)node;

	if (visit != postorder && visit != leaf)
		return;
	if (!json) {
		printf("%-10s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
		       " %9" PRIu64 "\n",
			day->day, day->sign, day->open, day->matched, day->unmatched,
			day->decisions, day->undecided);
		return;
	}
	json_object(json, NULL);
	json_str(json, "day", day->day);
	json_int(json, "sign", (int64_t)day->sign);
	json_int(json, "open", (int64_t)day->open);
	json_int(json, "matched", (int64_t)day->matched);
	json_int(json, "unmatched", (int64_t)day->unmatched);
	json_int(json, "decisions", (int64_t)day->decisions);
	json_int(json, "undecided", (int64_t)day->undecided);
	json_object_end(json);
}

static const char *
or_null(const char *text)
{
	return *text ? text : NULL;
}

static void
put_finding(struct json *json, const struct finding *f)
{
	json_object(json, NULL);
	json_str(json, "kind", finding_names[f->kind]);
	json_time(json, "time", f->time);
	if (f->seq)
		json_int(json, "seq", (int64_t)f->seq);
	json_str(json, "qid", or_null(f->qid));
	json_str(json, "event", or_null(f->event));
	json_str(json, "service", or_null(f->service));
	json_str(json, "key", or_null(f->key));
	if (f->kind == FINDING_NO_DECISION)
		json_bool(json, "delivered", f->sent);
	json_object_end(json);
}

int
reconcile_print_json(const struct reconcile *r, int status)
{
	struct buf text = BUF_INIT(1u << 30);
	struct json json;

	cmd_json_begin(&json, &text);
	json_bool(&json, "ok", reconcile_is_fine(r));
	json_time(&json, "from", r->first);
	json_time(&json, "to", r->last);
	json_int(&json, "lines", (int64_t)r->lines);
	json_int(&json, "mta_lines", (int64_t)r->mta_lines);
	json_int(&json, "our_lines", (int64_t)r->our_lines);
	json_int(&json, "timeless", (int64_t)r->timeless);
	json_int(&json, "uses", (int64_t)r->uses);
	json_int(&json, "matched", (int64_t)r->matched);
	json_int(&json, "outside", (int64_t)r->outside);
	json_int(&json, "denied", (int64_t)r->denied);
	json_int(&json, "denied_unknown", (int64_t)r->denied_unknown);
	for (int i = 0; i < FINDING_KINDS; i++)
		json_int(&json, finding_names[i], (int64_t)r->counts[i]);
	json_array(&json, "findings");
	for (size_t i = 0; i < r->n_findings; i++)
		put_finding(&json, &r->findings[i]);
	json_array_end(&json);
	json_array(&json, "days");
	twalk_r(r->days, print_day, &json);
	json_array_end(&json);
	return cmd_json_end(&json, status);
}

static void
print_finding(const struct finding *f)
{
	char time[CLOCK_TEXT_SIZE];

	clock_format(f->time, time);
	if (f->kind == FINDING_NO_DECISION)
		printf("%s  queue id %s: our log says that a key was used, %s; the ledger has no "
		       "decision\n",
			time, f->qid,
			f->sent ? "the MTA delivered it" : "the MTA's log tells no delivery");
	else
		printf("%s  record %" PRIu64 ": %s with key %s by service %s for %s%s\n", time,
			f->seq, f->event, *f->key ? f->key : "?", *f->service ? f->service : "?",
			*f->qid ? "a message that the MTA did not see: queue id "
				: "a message without a queue id",
			f->qid);
}

int
reconcile_print_text(const struct reconcile *r, int status)
{
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];

	printf("log     %s to %s, %" PRIu64 " lines: %" PRIu64 " of the MTA, %" PRIu64
	       " of the milter\n",
		clock_format(r->first, from), clock_format(r->last, to), r->lines, r->mta_lines,
		r->our_lines);
	if (r->timeless)
		printf("        %" PRIu64 " lines without a time that can be read\n", r->timeless);
	printf("uses    %" PRIu64 " for messages, %" PRIu64 " of them known to the MTA; %" PRIu64
	       " outside the log's time\n",
		r->uses, r->matched, r->outside);
	printf("denied  %" PRIu64 ", %" PRIu64 " of them for messages that the MTA did not see\n",
		r->denied, r->denied_unknown);
	if (!r->our_lines)
		printf("        no line of the milter: whether everything was decided is not "
		       "known\n");
	printf("\n%-10s %9s %9s %9s %9s %9s %9s\n", "day", "sign", "open", "known", "unknown",
		"decisions", "undecided");
	twalk_r(r->days, print_day, NULL);
	putchar('\n');
	for (size_t i = 0; i < r->n_findings; i++)
		print_finding(&r->findings[i]);
	if (reconcile_is_fine(r))
		printf("OK: the ledger and the mail log agree\n");
	else
		printf("FAILED: %" PRIu64
		       " uses of keys for messages that the MTA did not see, %" PRIu64
		       " without a queue id; %" PRIu64 " messages without a decision\n",
			r->counts[FINDING_NO_MESSAGE], r->counts[FINDING_NO_QID],
			r->counts[FINDING_NO_DECISION]);
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : status;
}
