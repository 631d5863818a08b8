/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_verify.c - sealgate audit verify: is the ledger whole, and up to where is that proved?
 */
#include "cli/audit.h"

#include "keystore/ledger_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command audit_verify = {
	.name = "audit verify",
	.usage = "[--dir DIR] [--anchor FILE]… [--root KEYID] [--list]",
	.help = "is the ledger whole? Needs nothing but its files",
	.details =
		"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"
		"  --anchor FILE      lines that \"audit anchor\" printed and that were kept elsewhere,\n"
		"                     also as a syslog has them\n"
		"  --root KEYID       SHA-256 of the first epoch key, as init and audit verify print it\n"
		"  --list             the numbers of the uses of keys with unknown outcome too\n",
	.run = run,
};

#define MAX_LISTED 50000

/* What the verification tells besides its report. */
struct told {
	struct json gone, unknown; /* elements of lists, without their brackets */
	struct buf gone_text, unknown_text;
	size_t n_unknown;
};

static void
tell_gone(void *ctx, const struct ledger_gone *gone)
{
	struct told *told = ctx;
	struct json *json = &told->gone;

	json_object(json, NULL);
	json_int(json, "segment", (int64_t)gone->segment);
	json_int(json, "first", (int64_t)gone->first);
	json_int(json, "last", (int64_t)gone->last);
	json_str(json, "from", gone->from);
	json_str(json, "to", gone->to);
	json_int(json, "bytes", gone->bytes);
	json_str(json, "sha256", gone->sha256);
	if (gone->record)
		json_int(json, "record", (int64_t)gone->record);
	json_str(json, "at", gone->at);
	json_object_end(json);
}

static void
tell_unknown(void *ctx, uint64_t intent)
{
	struct told *told = ctx;

	if (told->n_unknown++ < MAX_LISTED)
		json_int(&told->unknown, NULL, (int64_t)intent);
}

/* Lists are written as they come and become arrays at the end. */
static void
told_init(struct told *told)
{
	*told = (struct told){
		.gone_text = BUF_INIT(64u << 20), .unknown_text = BUF_INIT(64u << 20)};
	json_init(&told->gone, &told->gone_text);
	json_init(&told->unknown, &told->unknown_text);
	json_array(&told->gone, NULL);
	json_array(&told->unknown, NULL);
}

static void
told_fini(struct told *told)
{
	buf_fini(&told->gone_text);
	buf_fini(&told->unknown_text);
}

/* The list as a tree; NULL: it is too large to be shown. */
static struct json_value *
told_list(struct json *json, struct buf *text)
{
	struct json_value *list = NULL;
	struct err err = ERR_INIT;

	json_array_end(json);
	if (json_end(json, &err) != RC_OK ||
		json_parse(buf_text(text), text->len, &list, &err) != RC_OK)
		return NULL;
	return list;
}

/* Records behind the last checkpoint; its own record needs no other one. */
static uint64_t
unsigned_records(const struct ledger_report *r)
{
	return r->records > r->last_checkpoint + 1 ? r->records - r->last_checkpoint - 1 : 0;
}

/* Records behind what anchors prove: the checkpoint behind an anchored record is proved too. */
static uint64_t
unanchored_records(const struct ledger_report *r)
{
	return r->records > r->last_anchored + 1 ? r->records - r->last_anchored - 1 : 0;
}

/* The counts. */
static void
put_counts(struct json *json, const struct ledger_report *r)
{
	json_int(json, "records", (int64_t)r->records);
	json_int(json, "segments", (int64_t)r->segments);
	json_int(json, "epochs", (int64_t)r->epochs);
	json_int(json, "checkpoints", (int64_t)r->checkpoints);
	json_int(json, "signed_to", (int64_t)r->last_checkpoint);
	json_int(json, "unsigned", (int64_t)unsigned_records(r));
	if (r->last_anchored) {
		json_int(json, "anchors", (int64_t)r->anchors);
		json_int(json, "anchors_dropped", (int64_t)r->anchors_dropped);
		json_int(json, "anchored_to", (int64_t)r->last_anchored);
		json_int(json, "unanchored", (int64_t)unanchored_records(r));
	}
	if (r->anchors_other)
		json_int(json, "anchors_other", (int64_t)r->anchors_other);
	json_int(json, "intents", (int64_t)r->intents);
	json_int(json, "unknown_outcomes", (int64_t)r->unknown_outcomes);
	json_int(json, "under_way", (int64_t)r->under_way);
	json_int(json, "strays", (int64_t)r->strays);
	json_int(json, "recovered", (int64_t)r->recovered);
	json_int(json, "recovered_bytes", (int64_t)r->recovered_bytes);
	json_bool(json, "torn_tail", r->torn_tail);
}

/* The report for scripts. */
static int
print_json(const struct ledger_report *r, const struct json_value *gone,
	const struct json_value *unknown, bool list, int status)
{
	struct buf text = BUF_INIT(64u << 20);
	struct json json;

	cmd_json_begin(&json, &text);
	json_bool(&json, "ok", r->ok);
	json_str(&json, "problem", *r->problem ? r->problem : NULL);
	json_str(&json, "node", *r->node ? r->node : NULL);
	put_counts(&json, r);
	if (r->dropped) {
		json_int(&json, "dropped_to", (int64_t)r->dropped_to);
		if (gone)
			answer_put(&json, "dropped", gone);
	}
	if (list && unknown)
		answer_put(&json, "unknown", unknown);
	json_str(&json, "root", *r->root ? r->root : NULL);
	json_str(&json, "head", *r->head ? r->head : NULL);
	return cmd_json_end(&json, status);
}

/* What is proved and what is not, in words. */
static void
print_coverage(const struct ledger_report *r)
{
	uint64_t open = unsigned_records(r);

	if (open)
		printf("signed up to   record %" PRIu64 "; %" PRIu64
		       " behind it are linked by their hashes, and signed with the next checkpoint\n",
			r->last_checkpoint, open);
	else
		printf("signed up to   record %" PRIu64 ": everything\n", r->last_checkpoint);
	if (r->last_anchored) {
		printf("anchored up to record %" PRIu64
		       "; records cut off behind it would not be missed",
			r->last_anchored);
		if (unanchored_records(r))
			printf(" (%" PRIu64 " now)", unanchored_records(r));
		printf("\nanchors        %" PRIu64, r->anchors + r->anchors_dropped);
		if (r->anchors_dropped)
			printf(", %" PRIu64
			       " of them for dropped records: their signatures are good",
				r->anchors_dropped);
		putchar('\n');
	} else {
		printf("no anchor      was given: a cut at an earlier checkpoint, or another ledger in\n"
		       "               this one's place, would not show\n");
	}
	if (r->anchors_other)
		printf("other nodes    %" PRIu64 " anchors that say nothing here\n",
			r->anchors_other);
}

/* What retention took away. */
static void
print_gone(const struct ledger_report *r, const struct json_value *gone)
{
	if (!r->dropped)
		return;
	printf("dropped        %" PRIu64 " file%s, records up to %" PRIu64
	       ": their stubs were checked, their content is gone\n",
		r->dropped, r->dropped == 1 ? "" : "s", r->dropped_to);
	for (size_t i = 0; gone && i < json_count(gone); i++) {
		const struct json_value *one = json_at(gone, i);
		int64_t record = json_get_int(one, "record", 0);

		printf("  segment %06" PRId64 "  records %" PRId64 " to %" PRId64
		       ", %.10s to %.10s; ",
			json_get_int(one, "segment", 0), json_get_int(one, "first", 0),
			json_get_int(one, "last", 0), json_get_text(one, "from"),
			json_get_text(one, "to"));
		if (record)
			printf("dropped %.19sZ by record %" PRId64 "\n", json_get_text(one, "at"),
				record);
		else
			printf("its record is dropped too; the next stub tells of it\n");
	}
}

/* The report for people. */
static void
print_text(const char *dir, const struct ledger_report *r, const struct json_value *gone,
	const struct json_value *unknown, bool list)
{
	printf("ledger         %s of node %s\n", dir, *r->node ? r->node : "?");
	printf("records        %" PRIu64 " in %" PRIu64 " file%s; %" PRIu64
	       " signed checkpoint%s by %" PRIu64 " key%s\n",
		r->records, r->segments, r->segments == 1 ? "" : "s", r->checkpoints,
		r->checkpoints == 1 ? "" : "s", r->epochs, r->epochs == 1 ? "" : "s");
	print_gone(r, gone);
	print_coverage(r);
	printf("uses of keys   %" PRIu64 ", %" PRIu64 " with unknown outcome", r->intents,
		r->unknown_outcomes);
	if (r->under_way)
		printf(", %" PRIu64 " of the last two seconds under way", r->under_way);
	putchar('\n');
	for (size_t i = 0; list && unknown && i < json_count(unknown); i++)
		printf("  record %" PRId64 "\n", json_number(json_at(unknown, i), 0));
	if (r->strays)
		printf("strays         %" PRIu64 " outcomes of no use, or second ones\n",
			r->strays);
	if (r->recovered)
		printf("recovered      %" PRIu64 " torn ends of %" PRIu64 " bytes\n", r->recovered,
			r->recovered_bytes);
	if (r->torn_tail)
		printf("torn end       the last line is not whole: a crash, or it is being written\n");
	printf("first key      %s\n", r->root);
	printf("head           %s\n", r->head);
	if (r->ok)
		printf("The ledger is whole.\n");
	else
		printf("THE LEDGER DOES NOT VERIFY: %s\n", r->problem);
}

/* Verifies and prints. */
static int
verify(struct cli *cli, struct ledger_verify_options *options, const char *root, bool list)
{
	struct json_value *gone, *unknown;
	struct ledger_report report;
	struct err err = ERR_INIT;
	struct told told;
	int status;

	told_init(&told);
	options->gone = tell_gone;
	options->unknown = list ? tell_unknown : NULL;
	options->ctx = &told;
	if (ledger_verify_with(options, &report, &err) != RC_OK) {
		told_fini(&told);
		return cmd_fail_input(&err);
	}
	if (report.ok && root && strcmp(root, report.root) != 0) {
		report.ok = false;
		snprintf(report.problem, sizeof(report.problem),
			"the first key is another one than --root: this is another ledger");
	}
	status = report.ok ? EX_OK : EX_DATAERR;
	gone = told_list(&told.gone, &told.gone_text);
	unknown = told_list(&told.unknown, &told.unknown_text);
	if (cli->json)
		status = print_json(&report, gone, unknown, list, status);
	else
		print_text(options->dir, &report, gone, unknown, list);
	if (list && told.n_unknown > MAX_LISTED)
		fprintf(stderr, "sealgate: only the first %d are listed\n", MAX_LISTED);
	json_free(&gone);
	json_free(&unknown);
	told_fini(&told);
	return fflush(stdout) || ferror(stdout) ? EX_SOFTWARE : status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct cmd_values *anchors = calloc(1, sizeof(*anchors));
	const char *dir = NULL, *root = NULL;
	bool list = false;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &dir}, {"anchor", OPT_VALUES, anchors},
		{"root", OPT_VALUE, &root}, {"list", OPT_FLAG, &list}};
	struct ledger_verify_options options = {.dir = NULL};
	int status = EX_OSERR;

	if (!anchors || !cmd_parse(&audit_verify, cli, opts, 4, &argc, argv, &status))
		goto out;
	if (argc > 1) {
		status = cmd_usage(&audit_verify, "too many arguments");
		goto out;
	}
	if (!audit_dir(&audit_verify, cli, dir, &options.dir, &status))
		goto out;
	options.anchors = anchors->v;
	options.n_anchors = anchors->n;
	if (!dir) /* a copy of another node's ledger has no business there */
		options.node = conf_str(conf_section(cli->conf, "ledger"), "node");
	status = verify(cli, &options, root, list);
out:
	free(anchors);
	return status;
}
