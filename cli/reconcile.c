/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/reconcile.h"

#include "base/clock.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FINDINGS 100000u
#define MAX_DAYS     40000u

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

enum rc
reconcile_line(void *ctx, const struct mta_log_line *line, struct err *err)
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

enum rc
reconcile_record(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
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

struct walk {
	struct reconcile *r;
	enum rc rc;
	struct err *err;
};

static void
judge_message(const void *node, VISIT visit, void *closure)
{
	const struct message *message = *(struct message *const *)node;
	struct walk *walk = closure;
	struct reconcile *r = walk->r;

	if (visit != postorder && visit != leaf)
		return;
	for (const struct span *span = message->keyed; span && !walk->rc; span = span->next) {
		struct finding finding = {
			.kind = FINDING_NO_DECISION, .time = span->from, .sent = message->sent};
		struct day *day;

		if ((r->since && span->from < r->since_seconds) ||
			(r->until && span->from >= r->until_seconds) ||
			was_then(message->decided, span->from, r->skew))
			continue;
		copy_text(finding.qid, sizeof(finding.qid), message->qid);
		day = day_of(r, span->from, walk->err);
		walk->rc = day ? add_finding(r, &finding, walk->err) : RC_TEMP;
		if (day)
			day->undecided++;
	}
}

enum rc
reconcile_messages(struct reconcile *r, struct err *err)
{
	struct walk walk = {r, RC_OK, err};

	twalk_r(r->messages, judge_message, &walk);
	return walk.rc;
}

bool
reconcile_is_fine(const struct reconcile *r)
{
	for (int i = 0; i < FINDING_KINDS; i++)
		if (r->counts[i])
			return false;
	return true;
}

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

void
reconcile_fini(struct reconcile *r)
{
	tdestroy(r->messages, free_message);
	tdestroy(r->days, free);
	free_spans(r->notices);
	free(r->findings);
}
