/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_filter.c - which records of the ledger are wanted
 *
 * Names become pseudonyms here, and only the vault can tell those; it records that somebody asked.
 */
#include "cli/audit.h"

#include "keystore/ledger_find.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PERIODS 1200 /* a hundred years */
#define MAX_TEXTS   LEDGER_QUERY_MAX

void
audit_options(struct audit_options *o, struct cmd_opt opts[AUDIT_N_OPTIONS])
{
	const struct cmd_opt table[AUDIT_N_OPTIONS] = {{"dir", OPT_VALUE, &o->dir},
		{"index", OPT_VALUE, &o->index}, {"no-index", OPT_FLAG, &o->no_index},
		{"key", OPT_VALUE, &o->key}, {"qid", OPT_VALUE, &o->qid},
		{"rule", OPT_VALUE, &o->rule}, {"service", OPT_VALUE, &o->service},
		{"event", OPT_VALUE, &o->event}, {"type", OPT_VALUE, &o->type},
		{"request", OPT_VALUE, &o->request}, {"seq", OPT_VALUE, &o->seq},
		{"address", OPT_VALUE, &o->address}, {"recipient", OPT_VALUE, &o->recipient},
		{"person", OPT_VALUE, &o->person}, {"since", OPT_VALUE, &o->since},
		{"until", OPT_VALUE, &o->until}, {"reopen", OPT_FLAG, &o->reopen}};

	memcpy(opts, table, sizeof(table));
}

bool
audit_time(const struct command *command, const char *name, const char *text,
	char out[CLOCK_TEXT_SIZE], const char **set, int *status)
{
	struct err err = ERR_INIT;
	int64_t seconds;

	if (!text)
		return true;
	if (clock_parse(text, &seconds, &err) != RC_OK) {
		*status =
			cmd_usage(command, "--%s: \"%s\" is no RFC 3339 time or date", name, text);
		return false;
	}
	*set = clock_format(seconds, out);
	return true;
}

/* Is TYPE one of the record types? */
static bool
type_ok(const char *type)
{
	for (int i = 0; i < LEDGER_TYPES; i++)
		if (strcmp(type, ledger_type_name((enum ledger_type)i)) == 0)
			return true;
	return false;
}

/* "17", "17-20" or "17-". */
static bool
parse_seq(const char *text, struct ledger_query *query)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	query->first = query->last = strtoull(text, &end, 10);
	if (*end == '-') {
		text = end + 1;
		query->last = strtoull(text, &end, 10);
		if (*text && (*text < '0' || *text > '9'))
			return false;
	}
	return !*end && query->first && (!query->last || query->last >= query->first);
}

/* A copy of TEXT in a list that the filter owns. */
static const char *
keep(char ***list, size_t *n, const char *text, struct err *err)
{
	char **grown = *n < MAX_TEXTS ? realloc(*list, (*n + 1) * sizeof(char *)) : NULL;

	if (!grown) {
		err_set(err, ERR_LIMIT, "too many names at once");
		return NULL;
	}
	*list = grown;
	grown[*n] = strdup(text);
	if (!grown[*n]) {
		err_set(err, ERR_MEMORY, "a filter");
		return NULL;
	}
	return grown[(*n)++];
}

/* A term with a text of the vault's. */
static enum rc
add_own(struct audit_filter *filter, char kind, const char *text, struct err *err)
{
	const char *kept = keep(&filter->texts, &filter->n_texts, text, err);

	return kept ? ledger_query_add(&filter->query, kind, kept, err) : RC_TEMP;
}

/* The same for a pseudonym of ADDR, which is noted. */
static enum rc
add_name(
	struct audit_filter *filter, char kind, const char *text, const char *addr, struct err *err)
{
	char name[1024];

	snprintf(name, sizeof(name), "%s %s", text, addr);
	if (!keep(&filter->names, &filter->n_names, name, err))
		return RC_TEMP;
	return add_own(filter, kind, text, err);
}

/* --- months --- */

struct periods {
	char v[MAX_PERIODS][LEDGER_PERIOD_SIZE];
	size_t n;
};

static void
add_period(struct periods *periods, const char *period)
{
	if (strlen(period) + 1 != LEDGER_PERIOD_SIZE || periods->n == MAX_PERIODS)
		return;
	for (size_t i = 0; i < periods->n; i++)
		if (strcmp(periods->v[i], period) == 0)
			return;
	strcpy(periods->v[periods->n++], period);
}

/* The month of the first record that is there. */
static enum rc
first_month(const char *dir, int *month, struct err *err)
{
	struct ledger_reader *reader = NULL;
	struct ledger_line prefix;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open(dir, 0, &reader, err);

	if (rc == RC_OK)
		rc = ledger_reader_next(reader, &line, &len, err);
	if (rc == RC_OK && ledger_line_parse(line, len, &prefix))
		*month = atoi(prefix.time) * 12 + atoi(prefix.time + 5) - 1;
	ledger_reader_close(&reader);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Months of which records may be: a clock may have been a little wrong, so one more on each side,
 * and all that the vault has a key for. */
static enum rc
list_periods(struct cli *cli, const char *dir, struct periods *periods, struct err *err)
{
	char period[LEDGER_PERIOD_SIZE + 16];
	struct json_value *answer = NULL;
	const struct json_value *list;
	struct asking asking;
	int64_t newest = 0;
	int from = 0, to;
	enum rc rc = first_month(dir, &from, err);

	if (rc == RC_OK)
		rc = ledger_newest(dir, &newest, err);
	if (rc)
		return rc;
	ledger_period(newest, period);
	to = atoi(period) * 12 + atoi(period + 5) - 1;
	for (int month = from - 1; from && month <= to + 1; month++) {
		snprintf(period, sizeof(period), "%04d-%02d", month / 12, month % 12 + 1);
		add_period(periods, period);
	}
	asking_begin(&asking, "audit.periods");
	rc = asking_send(&asking, cli->conf, NULL, &answer, err);
	list = rc == RC_OK ? json_find(answer, "periods") : NULL;
	for (size_t i = 0; list && i < json_count(list); i++)
		if (json_text(json_at(list, i)))
			add_period(periods, json_text(json_at(list, i)));
	json_free(&answer);
	return rc;
}

static enum rc
note_found(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	(void)line;
	(void)len;
	(void)prefix;
	(void)record;
	(void)err;
	*(bool *)ctx = true;
	return RC_NONE;
}

/* A month without a key: was it destroyed, or had it never one? Records tell. */
static enum rc
note_erased(struct audit_filter *filter, const char *period, struct err *err)
{
	struct ledger_query query = {.v = NULL};
	struct ledger_search search = filter->search;
	bool found = false;
	enum rc rc;

	for (size_t i = 0; i < filter->n_erased; i++)
		if (strcmp(filter->erased[i], period) == 0)
			return RC_OK;
	search.query = &query;
	if (search.use == LEDGER_INDEX_REBUILD)
		search.use = LEDGER_INDEX_AUTO;
	ledger_query_group(&query);
	rc = ledger_query_add(&query, LEDGER_TERM_PERIOD, period, err);
	if (rc == RC_OK)
		rc = ledger_search(&search, note_found, &found, err);
	ledger_query_fini(&query);
	if (rc || !found)
		return rc;
	fprintf(stderr, "sealgate: the key of %s is destroyed: its records speak of nobody\n",
		period);
	return keep(&filter->erased, &filter->n_erased, period, err) ? RC_OK : RC_TEMP;
}

/* Has the vault tell under which pseudonyms ADDR stands in the ledger; terms of KIND. */
static enum rc
add_pseudonyms(struct audit_filter *filter, struct cli *cli, const struct periods *periods,
	char kind, const char *addr, struct err *err)
{
	struct json_value *answer = NULL;
	const struct json_value *list;
	struct asking asking;
	enum rc rc;

	asking_begin(&asking, "audit.pseudonyms");
	json_str(&asking.json, "addr", addr);
	json_array(&asking.json, "periods");
	for (size_t i = 0; i < periods->n; i++)
		json_str(&asking.json, NULL, periods->v[i]);
	json_array_end(&asking.json);
	rc = asking_send(&asking, cli->conf, NULL, &answer, err);
	list = rc == RC_OK ? json_find(answer, "pseudonyms") : NULL;
	for (size_t i = 0; rc == RC_OK && list && i < json_count(list); i++) {
		const char *text = json_get_text(json_at(list, i), "pseudonym");
		const char *period = json_get_text(json_at(list, i), "period");

		if (text)
			rc = add_name(filter, kind, text, addr, err);
		else if (period)
			rc = note_erased(filter, period, err);
	}
	json_free(&answer);
	return rc;
}

/* --- persons --- */

/* ids, addresses and keys of PERSON, as an answer of the vault's has them. */
static enum rc
add_person(struct audit_filter *filter, struct cli *cli, const struct periods *periods,
	const struct json_value *person, struct err *err)
{
	const struct json_value *addrs = json_find(person, "addresses");
	const char *id = json_get_text(person, "person");
	enum rc rc = id ? add_own(filter, LEDGER_TERM_PERSON, id, err) : RC_OK;

	for (size_t i = 0; rc == RC_OK && addrs && i < json_count(addrs); i++) {
		const char *addr = json_get_text(json_at(addrs, i), "address");

		if (addr)
			rc = add_pseudonyms(filter, cli, periods, LEDGER_TERM_ADDR, addr, err);
	}
	return rc;
}

/* Keys of an address's owner. */
static enum rc
add_keys(struct audit_filter *filter, struct cli *cli, const char *who, struct err *err)
{
	struct json_value *answer = NULL;
	const struct json_value *keys;
	enum rc rc = answer_about(cli, "key.list", who, &answer, err);

	keys = rc == RC_OK ? json_find(answer, "keys") : NULL;
	for (size_t i = 0; rc == RC_OK && keys && i < json_count(keys); i++) {
		const char *key = json_get_text(json_at(keys, i), "key");

		if (key)
			rc = add_own(filter, LEDGER_TERM_KEY, key, err);
	}
	json_free(&answer);
	return rc;
}

static enum rc
add_persons(struct audit_filter *filter, struct cli *cli, const struct periods *periods,
	const char *who, struct err *err)
{
	struct json_value *answer = NULL;
	const struct json_value *persons;
	enum rc rc = answer_about(cli, "person.show", who, &answer, err);

	persons = rc == RC_OK ? json_find(answer, "persons") : NULL;
	for (size_t i = 0; rc == RC_OK && persons && i < json_count(persons); i++) {
		const char *id = json_get_text(json_at(persons, i), "person");

		rc = add_person(filter, cli, periods, json_at(persons, i), err);
		if (rc == RC_OK && id)
			rc = add_keys(filter, cli, id, err);
	}
	json_free(&answer);
	return rc;
}

/* --- the whole --- */

/* What the vault has to tell. */
static enum rc
add_names(struct audit_filter *filter, struct cli *cli, const struct audit_options *o,
	struct err *err)
{
	struct periods *periods = calloc(1, sizeof(*periods)); /* large */
	enum rc rc = periods ? list_periods(cli, filter->search.dir, periods, err)
			     : err_set(err, ERR_MEMORY, "periods");

	if (rc == RC_OK && o->address) {
		ledger_query_group(&filter->query);
		rc = add_pseudonyms(filter, cli, periods, LEDGER_TERM_ADDR, o->address, err);
	}
	if (rc == RC_OK && o->recipient) {
		ledger_query_group(&filter->query);
		rc = add_pseudonyms(filter, cli, periods, LEDGER_TERM_RCPT, o->recipient, err);
	}
	if (rc == RC_OK && o->person) {
		ledger_query_group(&filter->query);
		rc = add_persons(filter, cli, periods, o->person, err);
	}
	free(periods);
	return rc;
}

/* What needs nobody. */
static enum rc
add_given(struct audit_filter *filter, const struct audit_options *o, struct err *err)
{
	const struct {
		char kind;
		const char *text;
	} given[] = {{LEDGER_TERM_KEY, o->key}, {LEDGER_TERM_QID, o->qid},
		{LEDGER_TERM_RULE, o->rule}, {LEDGER_TERM_SERVICE, o->service},
		{LEDGER_TERM_EVENT, o->event}, {LEDGER_TERM_TYPE, o->type},
		{LEDGER_TERM_REQUEST, o->request}, {LEDGER_TERM_REOPEN, o->reopen ? "yes" : NULL}};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof(given) / sizeof(*given); i++)
		if (given[i].text) {
			ledger_query_group(&filter->query);
			rc = ledger_query_add(&filter->query, given[i].kind, given[i].text, err);
		}
	return rc;
}

bool
audit_filter_init(struct audit_filter *filter, const struct command *command, struct cli *cli,
	const struct audit_options *o, int *status)
{
	bool names = o->address || o->recipient || o->person;
	struct err err = ERR_INIT;

	*filter = (struct audit_filter){.n_texts = 0};
	filter->search.query = &filter->query;
	filter->search.folder = o->index;
	filter->search.use = o->no_index ? LEDGER_INDEX_NONE : LEDGER_INDEX_AUTO;
	if (!audit_time(command, "since", o->since, filter->since, &filter->query.since, status) ||
		!audit_time(
			command, "until", o->until, filter->until, &filter->query.until, status))
		return false;
	if (o->type && !type_ok(o->type))
		*status = cmd_usage(command, "no such type of record: %s", o->type);
	else if (o->seq && !parse_seq(o->seq, &filter->query))
		*status = cmd_usage(command, "--seq: \"%s\" is no record's number", o->seq);
	else if (o->index && o->no_index)
		*status = cmd_usage(command, "--index and --no-index exclude each other");
	else if ((!names || cmd_conf(command, cli, status)) &&
		 audit_dir(command, cli, o->dir, &filter->search.dir, status)) {
		if (add_given(filter, o, &err) == RC_OK &&
			(!names || add_names(filter, cli, o, &err) == RC_OK))
			return true;
		*status = cmd_fail(&err);
	}
	return false;
}

static void
free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void
audit_filter_fini(struct audit_filter *filter)
{
	ledger_query_fini(&filter->query);
	free_list(filter->texts, filter->n_texts);
	free_list(filter->erased, filter->n_erased);
	free_list(filter->names, filter->n_names);
	filter->texts = filter->erased = filter->names = NULL;
	filter->n_texts = filter->n_erased = filter->n_names = 0;
}

/* Below this much, nobody waits for a search without an index. */
#define QUIET_BYTES (64 << 20)

int
audit_find(struct audit_filter *filter, ledger_found *each, void *ctx)
{
	struct ledger_search *search = &filter->search;
	struct err err = ERR_INIT;
	enum rc rc = ledger_search(search, each, ctx, &err);

	if (search->no_folder && (search->folder || search->scanned_bytes > QUIET_BYTES))
		fprintf(stderr,
			"sealgate: no index can be kept (%s): records are read one by one\n",
			search->why);
	if (rc == RC_OK && search->dropped_to)
		fprintf(stderr,
			"sealgate: the records up to %" PRIu64
			" are dropped: what stood in them is not told here\n",
			search->dropped_to);
	if (rc)
		return err.code == ERR_LEDGER_BROKEN ? cmd_fail(&err) : cmd_fail_input(&err);
	return EX_OK;
}
