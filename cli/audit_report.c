/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_report.c - sealgate audit report: who could read what, when, under which rule
 *
 * Counts by key, day, service and rule; with --list every act. What became of a use stands in
 * another record, often without the names that were searched for, so outcomes are read in a second
 * pass.
 */
#include "cli/audit_act.h"

#include "cli/csv.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_report = {
	.name = "audit report",
	.usage = AUDIT_FILTER_USAGE
	" [--list] [--owners] [--format text|csv] [--could ADDRESS [--at TIME]]",
	.help = "what keys were used for, by whom, under which rule; who could read whose mail",
	.details = AUDIT_FILTER_DETAILS
	"  --list             every use, denied use and act of an administrator\n"
	"  --owners           whose the keys are; the vault tells it\n"
	"  --format F         text, csv (for spreadsheets); --json for programs\n"
	"  --could ADDRESS    instead: who had the right to open mail to ADDRESS …\n"
	"  --at TIME          … at this time; default: now\n",
	.run = run,
};

#define MAX_GROUPS 1000000u
#define MAX_LISTED 200000u
#define MAX_USES   50000000u

enum table { BY_KEY, BY_DAY, BY_SERVICE, BY_RULE, TABLES };
static const char *const table_names[TABLES] = {"key", "day", "service", "rule"};
static const char *const table_lists[TABLES] = {"keys", "days", "services", "rules"};

struct use {
	char name[128];
	uint64_t sign, open, other, denied, reopen;
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE]; /* "2026-11-21T22:14:03Z" */
};

/* An intent that was found, and what became of it. */
struct intent {
	uint64_t seq;
	enum act_outcome outcome;
};

/* A record for the list. */
struct row {
	uint64_t seq;
	size_t len;
	char *line;
};

struct report {
	void *trees[TABLES]; /* of struct use, by name */
	size_t n_groups;
	uint64_t sign, open, other, reopen, outcomes[3], denied, denied_records, decisions, admin;
	struct intent *intents;
	size_t n_intents, intents_room;
	bool listing;
	struct row *rows;
	size_t n_rows, rows_room;
	struct act_names names;
	enum report_format format;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct use *)a)->name, ((const struct use *)b)->name);
}

static struct use *
use_of(struct report *report, enum table table, const char *name)
{
	struct use *use = calloc(1, sizeof(*use));
	void *found;

	if (!use)
		return NULL;
	snprintf(use->name, sizeof(use->name), "%s", name && *name ? name : "-");
	for (char *p = use->name; *p; p++) /* a rule is only claimed; a terminal obeys */
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	found = tfind(use, &report->trees[table], by_name);
	if (!found && report->n_groups < MAX_GROUPS &&
		tsearch(use, &report->trees[table], by_name)) {
		report->n_groups++;
		return use;
	}
	free(use);
	return found ? *(struct use **)found : NULL;
}

/* What one record adds. */
struct addition {
	uint64_t sign, open, other, denied, reopen;
	const char *time;
};

static enum rc
add_to(struct report *report, enum table table, const char *name, const struct addition *more,
	struct err *err)
{
	struct use *use = use_of(report, table, name);

	if (!use)
		return err_set(
			err, ERR_LIMIT, "too many different %s for a report", table_lists[table]);
	use->sign += more->sign;
	use->open += more->open;
	use->other += more->other;
	use->denied += more->denied;
	use->reopen += more->reopen;
	snprintf(use->last, sizeof(use->last), "%.19sZ", more->time);
	if (!*use->first)
		memcpy(use->first, use->last, sizeof(use->first));
	return RC_OK;
}

/* Room for one more element. */
static enum rc
grow(void **list, size_t n, size_t *room, size_t max, size_t size, struct err *err)
{
	size_t more = *room ? *room * 2 : 256;
	void *grown;

	if (n < *room)
		return RC_OK;
	grown = n < max ? realloc(*list, more * size) : NULL;
	if (!grown)
		return err_set(
			err, ERR_LIMIT, "too many records for one report: ask for a shorter time");
	*list = grown;
	*room = more;
	return RC_OK;
}

static enum rc
keep_row(struct report *report, const char *line, size_t len, uint64_t seq, struct err *err)
{
	enum rc rc = grow((void **)&report->rows, report->n_rows, &report->rows_room, MAX_LISTED,
		sizeof(*report->rows), err);
	char *copy = rc == RC_OK ? malloc(len) : NULL;

	if (!copy)
		return rc ? rc : err_set(err, ERR_MEMORY, "a report");
	memcpy(copy, line, len);
	report->rows[report->n_rows++] = (struct row){seq, len, copy};
	return RC_OK;
}

static bool
is_reopen(const struct json_value *record)
{
	const struct json_value *detail = json_find(record, "detail");

	return detail && json_type(detail) == JSON_OBJECT &&
	       json_is_true(json_find(detail, "reopen"));
}

/* A use of a key, or one that was denied. */
static enum rc
count_use(struct report *report, const struct ledger_line *prefix, const struct json_value *record,
	struct err *err)
{
	const struct json_value *observed = json_find(record, "observed"),
				*claimed = json_find(record, "claimed");
	const char *event = json_get_text(record, "event");
	struct addition more = {.time = prefix->time};
	char day[11];
	enum rc rc;

	snprintf(day, sizeof(day), "%.10s", prefix->time);
	if (prefix->type == LEDGER_DENIED)
		more.denied = ledger_denied_count(record);
	else if (event && strcmp(event, "sign") == 0)
		more.sign = 1;
	else if (event && strcmp(event, "open") == 0)
		more.open = 1;
	else
		more.other = 1;
	more.reopen = prefix->type == LEDGER_INTENT && is_reopen(record);
	report->sign += more.sign;
	report->open += more.open;
	report->other += more.other;
	report->reopen += more.reopen;
	report->denied += more.denied;
	report->denied_records += prefix->type == LEDGER_DENIED;
	rc = add_to(report, BY_KEY, observed ? json_get_text(observed, "key") : NULL, &more, err);
	if (rc == RC_OK)
		rc = add_to(report, BY_DAY, day, &more, err);
	if (rc == RC_OK)
		rc = add_to(report, BY_SERVICE,
			observed ? json_get_text(observed, "service") : NULL, &more, err);
	if (rc == RC_OK)
		rc = add_to(report, BY_RULE, claimed ? json_get_text(claimed, "rule") : NULL, &more,
			err);
	return rc;
}

/* Counts one record. */
static enum rc
count_record(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	struct report *report = ctx;
	enum rc rc = RC_OK;

	report->decisions += prefix->type == LEDGER_DECISION;
	report->admin += prefix->type == LEDGER_ADMIN;
	if (prefix->type == LEDGER_INTENT) {
		rc = grow((void **)&report->intents, report->n_intents, &report->intents_room,
			MAX_USES, sizeof(*report->intents), err);
		if (rc == RC_OK)
			report->intents[report->n_intents++] =
				(struct intent){prefix->seq, ACT_UNKNOWN};
	}
	if (rc == RC_OK && (prefix->type == LEDGER_INTENT || prefix->type == LEDGER_DENIED))
		rc = count_use(report, prefix, record, err);
	if (rc == RC_OK && report->listing &&
		(prefix->type == LEDGER_INTENT || prefix->type == LEDGER_DENIED ||
			prefix->type == LEDGER_ADMIN))
		rc = keep_row(report, line, len, prefix->seq, err);
	return rc;
}

/* --- outcomes --- */

static int
by_seq(const void *a, const void *b)
{
	const struct intent *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static struct intent *
intent_of(const struct report *report, uint64_t seq)
{
	struct intent wanted = {.seq = seq};

	return report->n_intents ? bsearch(&wanted, report->intents, report->n_intents,
					   sizeof(wanted), by_seq)
				 : NULL;
}

static enum rc
note_outcome(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	struct report *report = ctx;
	const char *event = json_get_text(record, "event");
	struct intent *intent = intent_of(report, (uint64_t)json_get_int(record, "intent", 0));

	(void)line;
	(void)len;
	(void)prefix;
	(void)err;
	if (intent && event && intent->outcome == ACT_UNKNOWN)
		intent->outcome = strcmp(event, "failed") == 0 ? ACT_FAILED : ACT_DONE;
	return RC_OK;
}

static int
read_outcomes(struct report *report, const struct audit_filter *filter)
{
	struct ledger_query query = {.first = report->n_intents ? report->intents[0].seq : 0};
	struct ledger_search search = filter->search;
	struct err err = ERR_INIT;
	enum rc rc = RC_OK;

	if (report->n_intents) {
		search.query = &query;
		ledger_query_group(&query);
		rc = ledger_query_add(&query, LEDGER_TERM_TYPE, "outcome", &err);
		if (rc == RC_OK)
			rc = ledger_search(&search, note_outcome, report, &err);
		ledger_query_fini(&query);
	}
	for (size_t i = 0; i < report->n_intents; i++)
		report->outcomes[report->intents[i].outcome]++;
	if (rc)
		return err.code == ERR_LEDGER_BROKEN ? cmd_fail(&err) : cmd_fail_input(&err);
	return EX_OK;
}

/* --- what is said --- */

struct printing {
	struct act_writer to;
	const char *table;
	struct err *err;
	enum rc rc;
};

static void
print_use_csv(struct printing *p, const struct use *use)
{
	const uint64_t counts[] = {use->sign, use->open, use->reopen, use->other, use->denied};
	struct buf *out = p->to.out;
	char number[24];

	p->rc = csv_cell(out, p->table, true, p->err);
	if (p->rc == RC_OK)
		p->rc = csv_cell(out, use->name, false, p->err);
	for (size_t i = 0; p->rc == RC_OK && i < sizeof(counts) / sizeof(*counts); i++) {
		snprintf(number, sizeof(number), "%" PRIu64, counts[i]);
		p->rc = csv_cell(out, number, false, p->err);
	}
	if (p->rc == RC_OK)
		p->rc = csv_cell(out, use->first, false, p->err);
	if (p->rc == RC_OK)
		p->rc = csv_cell(out, use->last, false, p->err);
	if (p->rc == RC_OK)
		p->rc = csv_end(out, p->err);
}

/* One line, or object. */
static void
print_use(const void *node, VISIT visit, void *closure)
{
	const struct use *use = *(struct use *const *)node;
	struct printing *p = closure;
	struct json *json = p->to.json;

	if ((visit != postorder && visit != leaf) || p->rc)
		return;
	if (p->to.format == REPORT_CSV) {
		print_use_csv(p, use);
	} else if (p->to.format == REPORT_TEXT) {
		p->rc = buf_appendf(p->to.out, p->err,
			"%-24s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
			"  %.10s  %.10s\n",
			use->name, use->sign, use->open, use->reopen, use->other, use->denied,
			use->first, use->last);
	} else {
		json_object(json, NULL);
		json_str(json, p->table, use->name);
		json_int(json, "sign", (int64_t)use->sign);
		json_int(json, "open", (int64_t)use->open);
		json_int(json, "reopen", (int64_t)use->reopen);
		json_int(json, "other", (int64_t)use->other);
		json_int(json, "denied", (int64_t)use->denied);
		json_str(json, "first", use->first);
		json_str(json, "last", use->last);
		json_object_end(json);
	}
}

static enum rc
print_tables(const struct report *report, const struct act_writer *to, struct err *err)
{
	struct printing p = {.to = *to, .err = err};

	if (to->format == REPORT_CSV)
		p.rc = buf_append_str(
			to->out, "by,name,sign,open,reopen,other,denied,first,last\r\n", err);
	for (int i = 0; i < TABLES && p.rc == RC_OK; i++) {
		p.table = table_names[i];
		if (to->format == REPORT_TEXT)
			p.rc = buf_appendf(to->out, err,
				"\n%-24s %8s %8s %8s %8s %8s  %-10s  %-10s\n", table_names[i],
				"sign", "open", "reopen", "other", "denied", "first", "last");
		if (to->format == REPORT_JSON)
			json_array(to->json, table_lists[i]);
		twalk_r(report->trees[i], print_use, &p);
		if (to->format == REPORT_JSON)
			json_array_end(to->json);
	}
	return p.rc;
}

static enum rc
print_rows(struct report *report, const struct act_writer *to, struct err *err)
{
	enum rc rc = act_header(to, err);

	for (size_t i = 0; rc == RC_OK && i < report->n_rows; i++) {
		const struct intent *intent = intent_of(report, report->rows[i].seq);

		rc = act_write(to, report->rows[i].line, report->rows[i].len,
			intent ? intent->outcome : ACT_UNKNOWN, err);
	}
	return rc;
}

static void
put_totals(const struct report *report, const struct audit_filter *filter, struct json *json)
{
	json_int(json, "v", 1);
	json_int(json, "uses", (int64_t)report->n_intents);
	json_int(json, "done", (int64_t)report->outcomes[ACT_DONE]);
	json_int(json, "failed", (int64_t)report->outcomes[ACT_FAILED]);
	json_int(json, "denied", (int64_t)report->denied);
	json_int(json, "unknown", (int64_t)report->outcomes[ACT_UNKNOWN]);
	json_int(json, "denied_records", (int64_t)report->denied_records);
	json_int(json, "decisions", (int64_t)report->decisions);
	json_int(json, "admin", (int64_t)report->admin);
	json_int(json, "sign", (int64_t)report->sign);
	json_int(json, "open", (int64_t)report->open);
	json_int(json, "reopen", (int64_t)report->reopen);
	json_int(json, "other", (int64_t)report->other);
	if (filter->search.dropped_to)
		json_int(json, "dropped_to", (int64_t)filter->search.dropped_to);
	json_array(json, "erased");
	for (size_t i = 0; i < filter->n_erased; i++)
		json_str(json, NULL, filter->erased[i]);
	json_array_end(json);
}

static enum rc
print_totals(const struct report *report, struct buf *out, struct err *err)
{
	return buf_appendf(out, err,
		"uses of keys %" PRIu64 ": %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64
		" with unknown outcome\n"
		"             %" PRIu64 " to sign, %" PRIu64 " to open (%" PRIu64
		" of them again), %" PRIu64 " other\n"
		"denied       %" PRIu64 " in %" PRIu64 " records\n"
		"decisions    %" PRIu64 "\nadmin        %" PRIu64 "\n",
		(uint64_t)report->n_intents, report->outcomes[ACT_DONE],
		report->outcomes[ACT_FAILED], report->outcomes[ACT_UNKNOWN], report->sign,
		report->open, report->reopen, report->other, report->denied, report->denied_records,
		report->decisions, report->admin);
}

static int
print(struct report *report, const struct audit_filter *filter)
{
	struct buf text = BUF_INIT(1u << 30);
	struct err err = ERR_INIT;
	struct json json;
	const struct act_writer to = {report->format, &report->names, &text, &json};
	enum rc rc = RC_OK;
	int status;

	json_init(&json, &text);
	if (report->format == REPORT_JSON) {
		json_object(&json, NULL);
		put_totals(report, filter, &json);
	} else if (report->format == REPORT_TEXT) {
		rc = print_totals(report, &text, &err);
	}
	if (rc == RC_OK && (report->format != REPORT_CSV || !report->listing))
		rc = print_tables(report, &to, &err);
	if (rc == RC_OK && report->listing) {
		if (report->format == REPORT_JSON)
			json_array(&json, "acts");
		if (report->format == REPORT_TEXT)
			rc = buf_append_char(&text, '\n', &err);
		if (rc == RC_OK)
			rc = print_rows(report, &to, &err);
		if (report->format == REPORT_JSON)
			json_array_end(&json);
	}
	if (report->format == REPORT_JSON)
		json_object_end(&json);
	if (rc)
		status = cmd_fail(&err);
	else
		status = report->format == REPORT_JSON ? cmd_print_json(&json, EX_OK)
						       : cmd_print(&text);
	buf_fini(&text);
	return status;
}

/* --- the command --- */

static void
report_fini(struct report *report)
{
	for (int i = 0; i < TABLES; i++)
		tdestroy(report->trees[i], free);
	for (size_t i = 0; i < report->n_rows; i++)
		free(report->rows[i].line);
	free(report->rows);
	free(report->intents);
	act_names_fini(&report->names);
}

static int
make(struct cli *cli, struct report *report, const struct audit_options *options, bool owners)
{
	struct audit_filter filter;
	struct err err = ERR_INIT;
	int status;

	if (audit_filter_init(&filter, &audit_report, cli, options, &status)) {
		report->names.filter = &filter;
		status = audit_find(&filter, count_record, report);
		if (status == EX_OK)
			status = read_outcomes(report, &filter);
		if (status == EX_OK && owners && act_names_load(&report->names, cli, &err) != RC_OK)
			status = cmd_fail(&err);
		if (status == EX_OK)
			status = print(report, &filter);
	}
	report_fini(report);
	audit_filter_fini(&filter);
	return status;
}

/* --format and --json; false: 64, said. */
static bool
parse_format(const struct cli *cli, const char *text, enum report_format *out, int *status)
{
	*out = cli->json ? REPORT_JSON : REPORT_TEXT;
	if (!text || (strcmp(text, "text") == 0 && !cli->json))
		return true;
	if (strcmp(text, "csv") == 0 && !cli->json)
		*out = REPORT_CSV;
	else if (strcmp(text, "json") == 0)
		*out = REPORT_JSON;
	else
		*status = cmd_usage(&audit_report, "--format: text, csv or json");
	return *out == REPORT_CSV || strcmp(text, "json") == 0;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct audit_options options = {.dir = NULL};
	struct cmd_opt opts[AUDIT_N_OPTIONS + AUDIT_MAX_OWN];
	const char *format = NULL, *could = NULL, *at = NULL;
	bool owners = false;
	struct report report = {.n_rows = 0};
	const struct cmd_opt own[] = {{"list", OPT_FLAG, &report.listing},
		{"owners", OPT_FLAG, &owners}, {"format", OPT_VALUE, &format},
		{"could", OPT_VALUE, &could}, {"at", OPT_VALUE, &at}};
	int64_t time = clock_now();
	int status;

	audit_options(&options, opts);
	memcpy(opts + AUDIT_N_OPTIONS, own, sizeof(own));
	if (!cmd_parse(&audit_report, cli, opts, AUDIT_N_OPTIONS + sizeof(own) / sizeof(*own),
		    &argc, argv, &status) ||
		!parse_format(cli, format, &report.format, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&audit_report, "too many arguments");
	if (at && clock_parse(at, &time, NULL) != RC_OK)
		return cmd_usage(&audit_report, "--at: \"%s\" is no RFC 3339 time or date", at);
	if (at && !could)
		return cmd_usage(&audit_report, "--at goes with --could");
	if ((could || owners) && !cmd_conf(&audit_report, cli, &status))
		return status;
	if (could)
		return audit_could(cli, could, time, report.format);
	return make(cli, &report, &options, owners);
}
