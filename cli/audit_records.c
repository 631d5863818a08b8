/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_records.c - sealgate audit show, search, export: single records of the ledger
 *
 * A record is shown as it stands; whether the ledger may be believed is what audit verify says.
 */
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_show(struct cli *cli, int argc, char **argv);
static int run_search(struct cli *cli, int argc, char **argv);
static int run_export(struct cli *cli, int argc, char **argv);

#define FILTER_USAGE                                                                                 \
	"[--dir DIR] [--key KEY] [--qid ID] [--address A] [--since TIME] [--until TIME] [--type T] " \
	"[--event E] [--service S]"
#define FILTER_DETAILS                                                                               \
	"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"       \
	"  --key KEY          key id, or the fingerprint of its certificate\n"                       \
	"  --qid ID           queue id of the message\n"                                             \
	"  --address A        recipient, sender, login or subject; the vault tells its pseudonyms\n" \
	"  --since, --until   RFC 3339 times or dates\n"                                             \
	"  --type T           intent, outcome, denied, decision, admin, checkpoint, …\n"           \
	"  --event E          sign, open, done, key.new, …\n"                                      \
	"  --service S        name of a service\n"

const struct command audit_show = {
	.name = "audit show",
	.usage = "[--dir DIR] [SEQ…]",
	.help = "records by number, or all of them",
	.run = run_show,
};
const struct command audit_search = {
	.name = "audit search",
	.usage = FILTER_USAGE,
	.help = "find records by key, message, time, address",
	.details = FILTER_DETAILS,
	.run = run_search,
};
const struct command audit_export = {
	.name = "audit export",
	.usage = FILTER_USAGE,
	.help = "the lines of records as they stand, JSON Lines",
	.details = FILTER_DETAILS,
	.run = run_export,
};

/* Is TEXT anywhere in the line? What is not there cannot match, and parsing costs more. */
static bool
has(const char *line, size_t len, const char *text)
{
	return !text || memmem(line, len, text, strlen(text)) != NULL;
}

/* Is TEXT the wanted one? Nothing wanted: always. */
static bool
is(const char *wanted, const char *text)
{
	return !wanted || (text && strcmp(wanted, text) == 0);
}

/* What can be told without parsing. */
static bool
may_match(const struct audit_filter *filter, const char *line, size_t len,
	const struct ledger_line *prefix)
{
	if (filter->seq && filter->seq != prefix->seq)
		return false;
	if (filter->type && strcmp(filter->type, ledger_type_name(prefix->type)) != 0)
		return false;
	/* "2026-11-21T22:14:03" sorts as the times do */
	if (filter->since && strncmp(prefix->time, filter->since, 19) < 0)
		return false;
	if (filter->until && strncmp(prefix->time, filter->until, 19) >= 0)
		return false;
	return has(line, len, filter->key) && has(line, len, filter->event) &&
	       has(line, len, filter->service);
}

/* Is TEXT one of the address's pseudonyms? */
static bool
is_pseudonym(const struct audit_filter *filter, const char *text)
{
	for (size_t i = 0; text && i < filter->n_pseudonyms; i++)
		if (strcmp(filter->pseudonyms[i], text) == 0)
			return true;
	return false;
}

/* Is the wanted address in any of the places where addresses stand? */
static bool
names_address(const struct audit_filter *filter, const struct json_value *record)
{
	const struct json_value *claimed = json_find(record, "claimed");
	const struct json_value *rcpts = claimed ? json_find(claimed, "recipients") : NULL;

	if (is_pseudonym(filter, json_get_text(record, "subject")))
		return true;
	if (!claimed)
		return false;
	for (size_t i = 0; rcpts && i < json_count(rcpts); i++)
		if (is_pseudonym(filter, json_text(json_at(rcpts, i))))
			return true;
	return is_pseudonym(filter, json_get_text(claimed, "sender")) ||
	       is_pseudonym(filter, json_get_text(claimed, "identity"));
}

/* The whole filter, on the parsed record. */
static bool
matches(const struct audit_filter *filter, const struct json_value *record)
{
	const struct json_value *observed = json_find(record, "observed");
	const struct json_value *claimed = json_find(record, "claimed");

	if (!is(filter->event, json_get_text(record, "event")))
		return false;
	if (filter->service &&
		(!observed || !is(filter->service, json_get_text(observed, "service"))))
		return false;
	if (filter->key &&
		(!observed || !(is(filter->key, json_get_text(observed, "key")) ||
				      is(filter->key, json_get_text(observed, "fingerprint")))))
		return false;
	if (filter->qid && (!claimed || !is(filter->qid, json_get_text(claimed, "qid"))))
		return false;
	return !filter->by_address || names_address(filter, record);
}

enum rc
audit_walk(const char *dir, const struct audit_filter *filter, audit_each *each, void *ctx,
	struct err *err)
{
	struct ledger_reader *reader = NULL;
	const char *line;
	size_t len;
	enum rc rc = ledger_reader_open(dir, 0, &reader, err);

	while (rc == RC_OK && (rc = ledger_reader_next(reader, &line, &len, err)) == RC_OK) {
		struct json_value *record = NULL;
		struct ledger_line prefix;

		if (!ledger_line_parse(line, len, &prefix)) {
			if (ledger_reader_in_last(reader) && line[len - 1] != '\n')
				break; /* being written, or torn */
			rc = err_set(err, ERR_LEDGER_BROKEN,
				"segment %06" PRIu64 " line %" PRIu64 " is no record",
				ledger_reader_segment(reader), ledger_reader_line(reader));
			break;
		}
		if (filter && !may_match(filter, line, len, &prefix))
			continue;
		rc = json_parse(line, len, &record, err);
		if (rc == RC_OK && (!filter || matches(filter, record)))
			rc = each(ctx, line, len, &prefix, record, err);
		json_free(&record);
	}
	ledger_reader_close(&reader);
	return rc == RC_NONE ? RC_OK : rc;
}

/* NAME=value for a text, a number or a flag. */
static void
print_member(const char *name, const struct json_value *value)
{
	switch (json_type(value)) {
	case JSON_STRING:
		printf(" %s=%s", name, json_text(value));
		break;
	case JSON_INT:
		printf(" %s=%" PRId64, name, json_number(value, 0));
		break;
	case JSON_BOOL:
		printf(" %s=%s", name, json_is_true(value) ? "yes" : "no");
		break;
	case JSON_ARRAY:
		printf(" %s=", name);
		for (size_t i = 0; i < json_count(value); i++)
			printf("%s%s", i ? "," : "", json_text(json_at(value, i)));
		break;
	default:
		break;
	}
}

struct printing {
	bool raw;
	size_t count;
};

/* One record as a line for people, or as it stands. */
static enum rc
print_record(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	struct printing *printing = ctx;

	(void)err;
	printing->count++;
	if (printing->raw) {
		fwrite(line, 1, len, stdout);
		return RC_OK;
	}
	printf("%" PRIu64 " %.19sZ %s", prefix->seq, prefix->time, ledger_type_name(prefix->type));
	for (size_t i = 6; i < json_count(record); i++) { /* behind the fixed members */
		const char *name = json_key_at(record, i);
		const struct json_value *value = json_at(record, i);

		if (json_type(value) != JSON_OBJECT) {
			print_member(name, value);
			continue;
		}
		if (json_count(value))
			printf(" %s:", name);
		for (size_t k = 0; k < json_count(value); k++)
			print_member(json_key_at(value, k), json_at(value, k));
	}
	putchar('\n');
	return RC_OK;
}

/* Walks and prints; 65 when nothing was found. */
static int
print_all(const char *dir, const struct audit_filter *filter, bool raw)
{
	struct printing printing = {.raw = raw};
	struct err err = ERR_INIT;

	if (audit_walk(dir, filter, print_record, &printing, &err) != RC_OK)
		return err.code == ERR_LEDGER_BROKEN ? cmd_fail(&err) : cmd_fail_input(&err);
	if (fflush(stdout) || ferror(stdout))
		return EX_SOFTWARE;
	if (printing.count)
		return EX_OK;
	fprintf(stderr, "sealgate: there is no such record\n");
	return EX_DATAERR;
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	const char *opt = NULL, *dir;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &opt}};
	int status;

	if (!cmd_parse(&audit_show, cli, opts, 1, &argc, argv, &status) ||
		!audit_dir(&audit_show, cli, opt, &dir, &status))
		return status;
	if (argc == 1)
		return print_all(dir, NULL, cli->json);
	status = EX_OK;
	for (int i = 1; i < argc; i++) {
		struct audit_filter *filter = calloc(1, sizeof(*filter));
		char *end;
		int one;

		if (!filter)
			return EX_TEMPFAIL;
		filter->seq = strtoull(argv[i], &end, 10);
		if (*end || !filter->seq)
			one = cmd_usage(&audit_show, "%s is no record's number", argv[i]);
		else
			one = print_all(dir, filter, cli->json);
		free(filter);
		status = status == EX_OK ? one : status;
	}
	return status;
}

/* The months that records speak of. */
struct periods {
	char v[AUDIT_MAX_PERIODS][LEDGER_PERIOD_SIZE];
	size_t n;
};

/* Collects the months in use. */
static enum rc
note_period(void *ctx, const char *line, size_t len, const struct ledger_line *prefix,
	const struct json_value *record, struct err *err)
{
	const char *period = json_get_text(record, "period");
	struct periods *periods = ctx;

	(void)line;
	(void)len;
	(void)prefix;
	if (!period || strlen(period) >= LEDGER_PERIOD_SIZE)
		return RC_OK;
	for (size_t i = periods->n; i; i--)
		if (strcmp(periods->v[i - 1], period) == 0)
			return RC_OK;
	if (periods->n == AUDIT_MAX_PERIODS)
		return err_set(err, ERR_LIMIT, "more than %d months", AUDIT_MAX_PERIODS);
	strcpy(periods->v[periods->n++], period);
	return RC_OK;
}

/* Has the vault tell under which pseudonyms ADDR stands in the ledger. */
static enum rc
find_pseudonyms(struct cli *cli, const char *dir, const char *addr, struct audit_filter *filter,
	struct err *err)
{
	struct periods *periods = calloc(1, sizeof(*periods));
	struct json_value *answer = NULL;
	const struct json_value *list;
	struct asking asking;
	enum rc rc;

	if (!periods)
		return err_set(err, ERR_MEMORY, "periods");
	rc = audit_walk(dir, NULL, note_period, periods, err);
	if (rc == RC_OK) {
		asking_begin(&asking, "audit.pseudonyms");
		json_str(&asking.json, "addr", addr);
		json_array(&asking.json, "periods");
		for (size_t i = 0; i < periods->n; i++)
			json_str(&asking.json, NULL, periods->v[i]);
		json_array_end(&asking.json);
		rc = asking_send(&asking, cli->conf, NULL, &answer, err);
	}
	list = rc == RC_OK ? json_find(answer, "pseudonyms") : NULL;
	for (size_t i = 0; list && i < json_count(list) && i < AUDIT_MAX_PERIODS; i++) {
		const char *text = json_get_text(json_at(list, i), "pseudonym");
		const char *period = json_get_text(json_at(list, i), "period");

		if (!text && period)
			fprintf(stderr,
				"sealgate: the key of %s is destroyed: its records speak of nobody\n",
				period);
		if (text && strlen(text) < LEDGER_PSEUDONYM_SIZE)
			strcpy(filter->pseudonyms[filter->n_pseudonyms++], text);
	}
	filter->by_address = true;
	json_free(&answer);
	free(periods);
	return rc;
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

/* Both search and export: options, filter, printing. */
static int
run_filter(const struct command *command, struct cli *cli, struct audit_filter *filter, bool raw,
	int argc, char **argv)
{
	const char *opt = NULL, *dir, *since = NULL, *until = NULL, *address = NULL;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &opt}, {"key", OPT_VALUE, &filter->key},
		{"qid", OPT_VALUE, &filter->qid}, {"type", OPT_VALUE, &filter->type},
		{"event", OPT_VALUE, &filter->event}, {"service", OPT_VALUE, &filter->service},
		{"since", OPT_VALUE, &since}, {"until", OPT_VALUE, &until},
		{"address", OPT_VALUE, &address}};
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(command, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status) ||
		!audit_time(command, "since", since, filter->since_text, &filter->since, &status) ||
		!audit_time(command, "until", until, filter->until_text, &filter->until, &status))
		return status;
	if (argc > 1)
		return cmd_usage(command, "too many arguments");
	if (filter->type && !type_ok(filter->type))
		return cmd_usage(command, "no such type of record: %s", filter->type);
	if (address && !cmd_conf(command, cli, &status))
		return status;
	if (!audit_dir(command, cli, opt, &dir, &status))
		return status;
	if (address && find_pseudonyms(cli, dir, address, filter, &err) != RC_OK)
		return cmd_fail(&err);
	return print_all(dir, filter, raw || cli->json);
}

/* Makes room for the filter and runs. */
static int
run_with_filter(const struct command *command, struct cli *cli, bool raw, int argc, char **argv)
{
	struct audit_filter *filter = calloc(1, sizeof(*filter)); /* its lists are large */
	int status;

	if (!filter)
		return EX_TEMPFAIL;
	status = run_filter(command, cli, filter, raw, argc, argv);
	free(filter);
	return status;
}

static int
run_search(struct cli *cli, int argc, char **argv)
{
	return run_with_filter(&audit_search, cli, false, argc, argv);
}

static int
run_export(struct cli *cli, int argc, char **argv)
{
	return run_with_filter(&audit_export, cli, true, argc, argv);
}
