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

const struct command audit_show = {
	.name = "audit show",
	.usage = "[--dir DIR] [SEQ…]",
	.help = "records by number, or all of them",
	.run = run_show,
};
const struct command audit_search = {
	.name = "audit search",
	.usage = AUDIT_FILTER_USAGE,
	.help = "find records by person, key, message, time, rule …",
	.details = AUDIT_FILTER_DETAILS,
	.run = run_search,
};
const struct command audit_export = {
	.name = "audit export",
	.usage = AUDIT_FILTER_USAGE,
	.help = "the lines of records as they stand, JSON Lines",
	.details = AUDIT_FILTER_DETAILS,
	.run = run_export,
};

/* The code point of the valid UTF-8 sequence AT of N bytes. */
static unsigned
code_point(const unsigned char *at, size_t n)
{
	unsigned c = n == 1 ? *at : *at & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (at[i] & 0x3f);
	return c;
}

/* Would C do something to a terminal: control characters, and what turns the direction? */
static bool
is_hidden(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* TEXT as it may stand on a terminal; the ledger has names in it that others chose. */
static void
print_shown(const char *text)
{
	for (size_t n, left = strlen(text); left; text += n, left -= n) {
		const unsigned char *at = (const unsigned char *)text;

		n = json_utf8_length(text, left);
		if (n && *at != '\\' && !is_hidden(code_point(at, n)))
			fwrite(text, 1, n, stdout);
		else if (n > 1)
			printf("\\u{%x}", code_point(at, n));
		else
			printf("\\x%02x", *at);
		n = n ? n : 1;
	}
}

/* NAME=value for a text, a number or a flag. */
static void
print_member(const char *name, const struct json_value *value)
{
	enum json_type type = json_type(value);

	if (type != JSON_STRING && type != JSON_INT && type != JSON_BOOL && type != JSON_ARRAY)
		return;
	putchar(' ');
	print_shown(name);
	putchar('=');
	if (type == JSON_STRING)
		print_shown(json_text(value));
	else if (type == JSON_INT)
		printf("%" PRId64, json_number(value, 0));
	else if (type == JSON_BOOL)
		fputs(json_is_true(value) ? "yes" : "no", stdout);
	for (size_t i = 0; type == JSON_ARRAY && i < json_count(value); i++) {
		const char *text = json_text(json_at(value, i));

		if (i)
			putchar(',');
		print_shown(text ? text : "?");
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
		if (json_count(value)) {
			putchar(' ');
			print_shown(name);
			putchar(':');
		}
		for (size_t k = 0; k < json_count(value); k++)
			print_member(json_key_at(value, k), json_at(value, k));
	}
	putchar('\n');
	return RC_OK;
}

/* Finds and prints; 65 when nothing was found. */
static int
print_all(struct audit_filter *filter, bool raw)
{
	struct printing printing = {.raw = raw};
	int status = audit_find(filter, print_record, &printing);

	if (status != EX_OK)
		return status;
	if (fflush(stdout) || ferror(stdout))
		return EX_SOFTWARE;
	if (printing.count)
		return EX_OK;
	fprintf(stderr, "sealgate: there is no such record\n");
	return EX_DATAERR;
}

/* Records with the number TEXT (NULL: all of them). */
static int
show(struct cli *cli, const char *dir, const char *text)
{
	struct audit_options options = {.dir = dir, .seq = text, .no_index = true};
	struct audit_filter filter;
	int status;

	if (audit_filter_init(&filter, &audit_show, cli, &options, &status))
		status = print_all(&filter, cli->json);
	audit_filter_fini(&filter);
	return status;
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	const char *dir = NULL;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &dir}};
	int status;

	if (!cmd_parse(&audit_show, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc == 1)
		return show(cli, dir, NULL);
	status = EX_OK;
	for (int i = 1; i < argc; i++) {
		int one = show(cli, dir, argv[i]);

		status = status == EX_OK ? one : status;
	}
	return status;
}

/* Both search and export. */
static int
run_filter(const struct command *command, struct cli *cli, bool raw, int argc, char **argv)
{
	struct audit_options options = {.dir = NULL};
	struct cmd_opt opts[AUDIT_N_OPTIONS];
	struct audit_filter filter;
	int status;

	audit_options(&options, opts);
	if (!cmd_parse(command, cli, opts, AUDIT_N_OPTIONS, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(command, "too many arguments");
	if (audit_filter_init(&filter, command, cli, &options, &status))
		status = print_all(&filter, raw || cli->json);
	audit_filter_fini(&filter);
	return status;
}

static int
run_search(struct cli *cli, int argc, char **argv)
{
	return run_filter(&audit_search, cli, false, argc, argv);
}

static int
run_export(struct cli *cli, int argc, char **argv)
{
	return run_filter(&audit_export, cli, true, argc, argv);
}
