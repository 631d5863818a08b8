/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_reconcile.c - sealgate audit reconcile: does the mail log know what the ledger claims?
 *
 * What a milter claims to have, the vault cannot check; the MTA's log can. A use of a key for a
 * queue id that the MTA never gave, or at another time, is what a milter in wrong hands leaves
 * behind. The other way round, what our own log says was done with a key must be decided in the
 * ledger.
 */
#include "cli/audit.h"
#include "cli/mta_log.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_reconcile = {
	.name = "audit reconcile",
	.usage = "--log FILE… [--skew SECONDS] [--service S] [--since TIME] [--until TIME] "
		 "[--dir DIR] [--index FOLDER] [--no-index]",
	.help = "compare the ledger with the mail log of Postfix or Sendmail",
	.details =
		"  --log FILE         of the mail log, with the milter's lines or in files of their\n"
		"                     own; -: standard input (for compressed ones)\n"
		"  --skew SECONDS     how far the clocks may be apart; default: 600\n"
		"  --service S        only uses by this service\n"
		"  --since, --until   RFC 3339 times or dates; until is not included\n"
		"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"
		"Uses before the logs' first line and behind their last one are counted, not judged.\n"
		"Exit status 65 when anything does not fit.\n",
	.run = run,
};

#define MAX_SKEW     86400
#define MAX_FINDINGS 100000u
#define MAX_DAYS     40000u
#define DAY_SIZE     11 /* "2026-11-22" */

/* A time in which lines about a queue id came, none further from the next than the skew. */
struct span {
	int64_t from, to;
	struct span *next;
};

/* All that is known of a queue id. Ids are used again after some time, hence the spans. */
struct message {
	char qid[MTA_LOG_QID];
	struct span *mta, *decided;
	struct span *keyed; /* our log: done with a key */
	bool sent;
};

enum finding_kind { FINDING_NO_MESSAGE, FINDING_NO_QID, FINDING_NO_DECISION, FINDING_KINDS };
static const char *const finding_names[] = {"no-message", "no-queue-id", "no-decision"};

struct finding {
	enum finding_kind kind;
	int64_t time;
	uint64_t seq;
	char qid[MTA_LOG_QID], event[24], service[40], key[64];
	bool sent;
};

struct day {
	char day[DAY_SIZE];
	uint64_t sign, open, matched, unmatched, decisions, undecided;
};

struct reconcile {
	void *messages, *days;
	size_t n_messages, n_days;
	struct span *notices;      /* our log: about a notice that the milter wrote itself */
	int64_t skew, first, last; /* of lines that are not ours; -1: none */
	uint64_t lines, mta_lines, our_lines, timeless;
	uint64_t uses, matched, outside, denied, denied_unknown;
	uint64_t counts[FINDING_KINDS];
	struct finding *findings;
	size_t n_findings, room;
	const char *since, *until;
	int64_t since_seconds, until_seconds;
	enum rc rc; /* of the walk over messages, which can return nothing */
};

static int
by_qid(const void *a, const void *b)
{
	return strcmp(((const struct message *)a)->qid, ((const struct message *)b)->qid);
}

static int
by_day(const void *a, const void *b)
{
	return strcmp(((const struct day *)a)->day, ((const struct day *)b)->day);
}

/* The one with this key in TREE, or a copy of SIZE bytes of WANTED, put there; NULL: no room. */
static void *
find_or_add(void **tree, const void *wanted, size_t size, size_t *n, size_t max,
	int (*compare)(const void *, const void *))
{
	void *found = tfind(wanted, tree, compare), *copy;

	if (found)
		return *(void **)found;
	copy = *n < max ? malloc(size) : NULL;
	if (!copy)
		return NULL;
	memcpy(copy, wanted, size);
	if (!tsearch(copy, tree, compare)) {
		free(copy);
		return NULL;
	}
	++*n;
	return copy;
}

static struct message *
message_of(struct reconcile *r, const char *qid, struct err *err)
{
	struct message wanted = {.mta = NULL}, *message;

	snprintf(wanted.qid, sizeof(wanted.qid), "%s", qid);
	message = find_or_add(
		&r->messages, &wanted, sizeof(wanted), &r->n_messages, MTA_LOG_QIDS, by_qid);
	if (!message)
		err_set(err, ERR_LIMIT, "too many queue ids");
	return message;
}

static struct day *
day_of(struct reconcile *r, int64_t time, struct err *err)
{
	char text[CLOCK_TEXT_SIZE];
	struct day wanted = {.sign = 0}, *day;

	clock_format(time, text);
	memcpy(wanted.day, text, DAY_SIZE - 1);
	day = find_or_add(&r->days, &wanted, sizeof(wanted), &r->n_days, MAX_DAYS, by_day);
	if (!day)
		err_set(err, ERR_LIMIT, "too many days");
	return day;
}

/* Adds TIME to the spans. */
static enum rc
add_time(struct span **spans, int64_t time, int64_t skew, struct err *err)
{
	struct span *span = *spans;

	for (; span; span = span->next)
		if (time >= span->from - skew && time <= span->to + skew) {
			span->from = time < span->from ? time : span->from;
			span->to = time > span->to ? time : span->to;
			return RC_OK;
		}
	span = malloc(sizeof(*span));
	if (!span)
		return err_set(err, ERR_MEMORY, "a message");
	*span = (struct span){time, time, *spans};
	*spans = span;
	return RC_OK;
}

static bool
was_then(const struct span *span, int64_t time, int64_t skew)
{
	for (; span; span = span->next)
		if (time >= span->from - skew && time <= span->to + skew)
			return true;
	return false;
}

/* A line of a log. */
static enum rc
note_line(void *ctx, const struct mta_log_line *line, struct err *err)
{
	struct reconcile *r = ctx;
	struct message *message;

	if (line->time < 0) {
		r->timeless++;
		return RC_OK;
	}
	r->our_lines += line->what == MTA_LOG_OURS;
	r->mta_lines += line->what == MTA_LOG_MTA;
	/* our own log may go on where the MTA's does not */
	if (line->what != MTA_LOG_OURS && (r->first < 0 || line->time < r->first))
		r->first = line->time;
	if (line->what != MTA_LOG_OURS && line->time > r->last)
		r->last = line->time;
	if (line->what == MTA_LOG_PROGRAM)
		return RC_OK;
	if (line->notice)
		return add_time(&r->notices, line->time, r->skew, err);
	if (!*line->qid || (line->what == MTA_LOG_OURS && !line->key))
		return RC_OK;
	message = message_of(r, line->qid, err);
	if (!message)
		return RC_TEMP;
	message->sent |= line->sent;
	return add_time(line->what == MTA_LOG_MTA ? &message->mta : &message->keyed, line->time,
		line->what == MTA_LOG_MTA ? r->skew : 1, err);
}

static enum rc
add_finding(struct reconcile *r, const struct finding *finding, struct err *err)
{
	r->counts[finding->kind]++;
	if (r->n_findings == MAX_FINDINGS)
		return RC_OK; /* counted */
	if (r->n_findings == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		struct finding *grown = realloc(r->findings, room * sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_MEMORY, "findings");
		r->findings = grown;
		r->room = room;
	}
	r->findings[r->n_findings++] = *finding;
	return RC_OK;
}

/* Is it a use for a message? The operator's own acts are none. */
static bool
is_mail(const char *event, const char *service)
{
	if (!event || (strcmp(event, "sign") != 0 && strcmp(event, "open") != 0))
		return false;
	return !service || strcmp(service, "admin") != 0;
}

/* A use of a key, by its claim. */
static enum rc
judge_use(struct reconcile *r, struct finding *use, bool denied, struct err *err)
{
	struct day *day;
	const struct message *message;
	struct message wanted = {.mta = NULL};
	void *found;
	bool known;

	if (use->time < r->first || use->time > r->last) {
		r->outside += !denied;
		return RC_OK;
	}
	memcpy(wanted.qid, use->qid, sizeof(wanted.qid));
	found = *use->qid ? tfind(&wanted, &r->messages, by_qid) : NULL;
	message = found ? *(struct message *const *)found : NULL;
	known = message && was_then(message->mta, use->time, r->skew);
	if (!*use->qid && strcmp(use->event, "sign") == 0)
		known = was_then(r->notices, use->time, r->skew);
	if (denied) {
		r->denied++;
		r->denied_unknown += !known;
		return RC_OK;
	}
	day = day_of(r, use->time, err);
	if (!day)
		return RC_TEMP;
	r->uses++;
	if (strcmp(use->event, "sign") == 0)
		day->sign++;
	else
		day->open++;
	r->matched += known;
	day->matched += known;
	day->unmatched += !known;
	if (known)
		return RC_OK;
	use->kind = *use->qid ? FINDING_NO_MESSAGE : FINDING_NO_QID;
	return add_finding(r, use, err);
}

static void
copy_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

/* A record of the ledger. */
static enum rc
note_record(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	const struct json_value *observed = json_find(record, "observed"),
				*claimed = json_find(record, "claimed");
	struct finding use = {.seq = prefix->seq};
	struct reconcile *r = ctx;
	char time[CLOCK_TEXT_SIZE];
	struct message *message;
	struct day *day;

	(void)line;
	(void)len;
	memcpy(time, prefix->time, 27);
	time[27] = '\0';
	if (clock_parse(time, &use.time, err) != RC_OK)
		return RC_PERM;
	copy_text(use.qid, sizeof(use.qid), claimed ? json_get_text(claimed, "qid") : NULL);
	copy_text(use.event, sizeof(use.event), json_get_text(record, "event"));
	copy_text(use.service, sizeof(use.service),
		observed ? json_get_text(observed, "service") : NULL);
	copy_text(use.key, sizeof(use.key), observed ? json_get_text(observed, "key") : NULL);
	if (prefix->type == LEDGER_INTENT || prefix->type == LEDGER_DENIED)
		return is_mail(use.event, use.service)
			       ? judge_use(r, &use, prefix->type == LEDGER_DENIED, err)
			       : RC_OK;
	if (prefix->type != LEDGER_DECISION || !*use.qid)
		return RC_OK;
	message = message_of(r, use.qid, err);
	day = message ? day_of(r, use.time, err) : NULL;
	if (!day)
		return RC_TEMP;
	day->decisions++;
	return add_time(&message->decided, use.time, r->skew, err);
}

static struct reconcile *current; /* for twalk, which hands nothing on */

/* What our log says was done with a key must have been decided. */
static void
judge_message(const void *node, VISIT visit, int depth)
{
	const struct message *message = *(struct message *const *)node;
	struct reconcile *r = current;
	struct err err = ERR_INIT;

	(void)depth;
	if (visit != postorder && visit != leaf)
		return;
	for (const struct span *span = message->keyed; span && r->rc == RC_OK; span = span->next) {
		struct finding finding = {
			.kind = FINDING_NO_DECISION, .time = span->from, .sent = message->sent};
		struct day *day;

		if ((r->since && span->from < r->since_seconds) ||
			(r->until && span->from >= r->until_seconds) ||
			was_then(message->decided, span->from, r->skew))
			continue;
		copy_text(finding.qid, sizeof(finding.qid), message->qid);
		day = day_of(r, span->from, &err);
		r->rc = day ? add_finding(r, &finding, &err) : RC_TEMP;
		if (day)
			day->undecided++;
	}
}

/* --- what is said --- */

static bool
is_fine(const struct reconcile *r)
{
	for (int i = 0; i < FINDING_KINDS; i++)
		if (r->counts[i])
			return false;
	return true;
}

static struct json *printing; /* NULL: for people */

static void
print_day(const void *node, VISIT visit, int depth)
{
	const struct day *day = *(struct day *const *)node;

	(void)depth;
	if (visit != postorder && visit != leaf)
		return;
	if (!printing) {
		printf("%-10s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
		       " %9" PRIu64 "\n",
			day->day, day->sign, day->open, day->matched, day->unmatched,
			day->decisions, day->undecided);
		return;
	}
	json_object(printing, NULL);
	json_str(printing, "day", day->day);
	json_int(printing, "sign", (int64_t)day->sign);
	json_int(printing, "open", (int64_t)day->open);
	json_int(printing, "matched", (int64_t)day->matched);
	json_int(printing, "unmatched", (int64_t)day->unmatched);
	json_int(printing, "decisions", (int64_t)day->decisions);
	json_int(printing, "undecided", (int64_t)day->undecided);
	json_object_end(printing);
}

static const char *
or_null(const char *text)
{
	return *text ? text : NULL;
}

static int
print_json(const struct reconcile *r, int status)
{
	struct buf text = BUF_INIT(1u << 30);
	struct json json;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_bool(&json, "ok", is_fine(r));
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
	for (size_t i = 0; i < r->n_findings; i++) {
		const struct finding *f = &r->findings[i];

		json_object(&json, NULL);
		json_str(&json, "kind", finding_names[f->kind]);
		json_time(&json, "time", f->time);
		if (f->seq)
			json_int(&json, "seq", (int64_t)f->seq);
		json_str(&json, "qid", or_null(f->qid));
		json_str(&json, "event", or_null(f->event));
		json_str(&json, "service", or_null(f->service));
		json_str(&json, "key", or_null(f->key));
		if (f->kind == FINDING_NO_DECISION)
			json_bool(&json, "delivered", f->sent);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_array(&json, "days");
	printing = &json;
	twalk(r->days, print_day);
	json_array_end(&json);
	json_object_end(&json);
	status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
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

static int
print_text(const struct reconcile *r, int status)
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
	printing = NULL;
	twalk(r->days, print_day);
	putchar('\n');
	for (size_t i = 0; i < r->n_findings; i++)
		print_finding(&r->findings[i]);
	if (is_fine(r))
		printf("OK: the ledger and the mail log agree\n");
	else
		printf("FAILED: %" PRIu64
		       " uses of keys for messages that the MTA did not see, %" PRIu64
		       " without a queue id; %" PRIu64 " messages without a decision\n",
			r->counts[FINDING_NO_MESSAGE], r->counts[FINDING_NO_QID],
			r->counts[FINDING_NO_DECISION]);
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : status;
}

/* --- the command --- */

static void
free_spans(struct span *span)
{
	while (span) {
		struct span *next = span->next;

		free(span);
		span = next;
	}
}

static void
free_message(void *p)
{
	struct message *message = p;

	free_spans(message->mta);
	free_spans(message->keyed);
	free_spans(message->decided);
	free(message);
}

static int
reconcile(struct cli *cli, struct reconcile *r, const struct cmd_values *logs,
	struct audit_filter *filter)
{
	struct err err = ERR_INIT;
	int64_t now = clock_now();
	int status;

	for (size_t i = 0; i < logs->n; i++)
		if (mta_log_read(logs->v[i], now, note_line, r, &r->lines, &err) != RC_OK)
			return cmd_fail_input(&err);
	if (!r->mta_lines) {
		fprintf(stderr, "sealgate: no line of Postfix or Sendmail in the log\n");
		return EX_NOINPUT;
	}
	status = audit_find(filter, note_record, r);
	if (status != EX_OK)
		return status;
	current = r;
	twalk(r->messages, judge_message);
	if (r->rc) {
		fprintf(stderr, "sealgate: too many findings, or no memory\n");
		return EX_TEMPFAIL;
	}
	status = is_fine(r) ? EX_OK : EX_DATAERR;
	return cli->json ? print_json(r, status) : print_text(r, status);
}

/* The skew; false: 64, said. */
static bool
parse_skew(const char *text, struct reconcile *r, int *status)
{
	char *end;

	r->skew = 600;
	if (!text)
		return true;
	r->skew = strtoll(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && r->skew <= MAX_SKEW)
		return true;
	*status = cmd_usage(&audit_reconcile, "--skew: 0 to %d seconds", MAX_SKEW);
	return false;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct cmd_values *logs = calloc(1, sizeof(*logs));
	struct audit_options o = {.dir = NULL};
	struct reconcile r = {.first = -1, .last = -1};
	const char *skew = NULL;
	const struct cmd_opt opts[] = {{"log", OPT_VALUES, logs}, {"skew", OPT_VALUE, &skew},
		{"service", OPT_VALUE, &o.service}, {"since", OPT_VALUE, &o.since},
		{"until", OPT_VALUE, &o.until}, {"dir", OPT_VALUE, &o.dir},
		{"index", OPT_VALUE, &o.index}, {"no-index", OPT_FLAG, &o.no_index}};
	struct audit_filter filter = {.n_texts = 0};
	int status = EX_TEMPFAIL;

	if (!logs ||
		!cmd_parse(&audit_reconcile, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv,
			&status) ||
		!parse_skew(skew, &r, &status))
		goto out;
	if (argc > 1 || !logs->n) {
		status = cmd_usage(
			&audit_reconcile, argc > 1 ? "too many arguments" : "--log is missing");
	} else if (audit_filter_init(&filter, &audit_reconcile, cli, &o, &status)) {
		r.since = filter.query.since;
		r.until = filter.query.until;
		if (r.since)
			(void)clock_parse(r.since, &r.since_seconds, NULL);
		if (r.until)
			(void)clock_parse(r.until, &r.until_seconds, NULL);
		status = reconcile(cli, &r, logs, &filter);
	}
	audit_filter_fini(&filter);
out:
	tdestroy(r.messages, free_message);
	tdestroy(r.days, free);
	free_spans(r.notices);
	free(r.findings);
	free(logs);
	return status;
}
