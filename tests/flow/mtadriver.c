/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtadriver.c - hand messages to a milter as Postfix would, and show what became of them
 *
 *   mtadriver [options] FILE...           one JSON line for each message; "-" is standard input
 *   mtadriver [options] -n CONNECTIONS -m MESSAGES FILE     load: one line of figures
 *
 * Exit status: 0 all accepted, 65 one was refused (5xx), 75 one was deferred (4xx or the milter
 * lost), 64 wrong usage, 66 no such file. 5xx goes before 4xx.
 */
#include "tests/flow/mtaclient.h"
#include "tests/flow/mtaload.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct mta_options options, options_beside;
static const char *sender = "<alice@example.org>", *sender_args, *identity, *out_path, *qid,
		  *beside;
static struct mta_rcpt rcpts[MTA_MAX_RCPTS];
static size_t n_rcpts;
static bool lf = true, one_session, quiet, probe;
static struct load_options load = {.to = &options};

static const char usage[] =
	"usage: mtadriver -S unix:PATH|inet:PORT@ADDR [options] FILE...\n"
	"  -f SENDER  --sender-args 'RET=FULL ENVID=x'  -r RCPT [--rcpt-args 'NOTIFY=NEVER'] ...\n"
	"  -u LOGIN   --client-name N --client-addr A --helo H  -M STAGE:NAME=VALUE  --qid ID\n"
	"  -o FILE (last result; %d: number)  --crlf  --one-session  -q\n"
	"  --version N --actions MASK --protocol MASK --timeout MS\n"
	"  --cut-after BYTES  --inject STAGE:HEX  --lose-macros STAGE\n"
	"  --probe: only connect and negotiate\n"
	"  load: -n CONNECTIONS -m MESSAGES [--new-connection] [--abort-every N]\n"
	"    %d in a recipient, a header field or at the beginning of the body: number of the message, from 0 or --first N\n"
	"    --files N: of files numbered from 0 to N-1 (%d in FILE), one for each message in turn\n"
	"    [--beside SOCKET: each message goes to this milter first, which must accept it]\n";

enum {
	OPT_SENDER_ARGS = 256,
	OPT_RCPT_ARGS,
	OPT_CLIENT_NAME,
	OPT_CLIENT_ADDR,
	OPT_HELO,
	OPT_QID,
	OPT_CRLF,
	OPT_ONE_SESSION,
	OPT_VERSION,
	OPT_ACTIONS,
	OPT_PROTOCOL,
	OPT_TIMEOUT,
	OPT_CUT,
	OPT_LOSE_MACROS,
	OPT_INJECT,
	OPT_NEW_CONNECTION,
	OPT_ABORT_EVERY,
	OPT_BESIDE,
	OPT_FILES,
	OPT_FIRST,
	OPT_PROBE
};

static const struct option longs[] = {{"sender-args", required_argument, NULL, OPT_SENDER_ARGS},
	{"rcpt-args", required_argument, NULL, OPT_RCPT_ARGS},
	{"client-name", required_argument, NULL, OPT_CLIENT_NAME},
	{"client-addr", required_argument, NULL, OPT_CLIENT_ADDR},
	{"helo", required_argument, NULL, OPT_HELO}, {"qid", required_argument, NULL, OPT_QID},
	{"crlf", no_argument, NULL, OPT_CRLF}, {"one-session", no_argument, NULL, OPT_ONE_SESSION},
	{"version", required_argument, NULL, OPT_VERSION},
	{"actions", required_argument, NULL, OPT_ACTIONS},
	{"protocol", required_argument, NULL, OPT_PROTOCOL},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"cut-after", required_argument, NULL, OPT_CUT},
	{"lose-macros", required_argument, NULL, OPT_LOSE_MACROS},
	{"inject", required_argument, NULL, OPT_INJECT},
	{"new-connection", no_argument, NULL, OPT_NEW_CONNECTION},
	{"probe", no_argument, NULL, OPT_PROBE}, {"beside", required_argument, NULL, OPT_BESIDE},
	{"files", required_argument, NULL, OPT_FILES},
	{"first", required_argument, NULL, OPT_FIRST},
	{"abort-every", required_argument, NULL, OPT_ABORT_EVERY}, {NULL, 0, NULL, 0}};

static void
die(const char *what)
{
	fprintf(stderr, "mtadriver: %s\n%s", what, usage);
	exit(64);
}

/* STAGE:NAME=VALUE, cut up in place. */
static void
take_macro(char *text)
{
	struct mta_macro *macro = &options.macros[options.n_macros];
	char *value = strchr(text, '=');

	if (strlen(text) < 4 || text[1] != ':' || !strchr("CHMRTNE", text[0]) || !value ||
		options.n_macros == MTA_MAX_MACROS)
		die("-M STAGE:NAME=VALUE");
	*value = '\0';
	*macro = (struct mta_macro){.stage = text[0], .name = text + 2, .value = value + 1};
	options.n_macros++;
}

static void
take_inject(const char *text)
{
	static unsigned char bytes[65536];
	unsigned byte;
	size_t n = 0;

	if (strlen(text) < 2 || text[1] != ':')
		die("--inject STAGE:HEX");
	for (const char *p = text + 2; *p && n < sizeof bytes; p += 2, n++) {
		if (sscanf(p, "%2x", &byte) != 1 || !p[1])
			die("--inject STAGE:HEX");
		bytes[n] = (unsigned char)byte;
	}
	options.inject_stage = text[0];
	options.inject = bytes;
	options.inject_len = n;
}

static void
take_long_option(int opt, char *arg)
{
	switch (opt) {
	case OPT_SENDER_ARGS:
		sender_args = arg;
		break;
	case OPT_RCPT_ARGS:
		if (!n_rcpts)
			die("--rcpt-args without -r");
		rcpts[n_rcpts - 1].args = arg;
		break;
	case OPT_CLIENT_NAME:
		options.client_name = arg;
		break;
	case OPT_CLIENT_ADDR:
		options.client_addr = *arg ? arg : NULL;
		break;
	case OPT_HELO:
		options.helo = arg;
		break;
	case OPT_QID:
		qid = arg;
		break;
	case OPT_CRLF:
		lf = false;
		break;
	case OPT_ONE_SESSION:
		one_session = true;
		break;
	case OPT_VERSION:
		options.version = (uint32_t)strtoul(arg, NULL, 0);
		break;
	case OPT_ACTIONS:
		options.actions = (uint32_t)strtoul(arg, NULL, 0);
		break;
	case OPT_PROTOCOL:
		options.protocol = (uint32_t)strtoul(arg, NULL, 0);
		break;
	case OPT_TIMEOUT:
		options.timeout_ms = atoi(arg);
		break;
	case OPT_CUT:
		options.cut_after = atoll(arg);
		break;
	case OPT_LOSE_MACROS:
		options.lose_macros = arg[0];
		break;
	case OPT_INJECT:
		take_inject(arg);
		break;
	case OPT_NEW_CONNECTION:
		load.new_connection = true;
		break;
	case OPT_ABORT_EVERY:
		load.abort_every = atol(arg);
		break;
	case OPT_BESIDE:
		beside = arg;
		break;
	case OPT_FILES:
		load.n_files = atol(arg);
		break;
	case OPT_FIRST:
		load.first = atol(arg);
		break;
	case OPT_PROBE:
		probe = true;
		break;
	default:
		die("unknown option");
	}
}

static void
set_envelope(struct mta_message *message)
{
	mta_message_sender(message, sender, sender_args);
	for (size_t i = 0; i < n_rcpts; i++)
		mta_message_rcpt(message, rcpts[i].addr, rcpts[i].args);
	message->identity = identity;
	message->qid = qid;
}

static void
take_options(int argc, char **argv)
{
	int opt;

	mta_options_init(&options, NULL);
	while ((opt = getopt_long(argc, argv, "S:f:r:u:M:o:n:m:q", longs, NULL)) != -1) {
		if (opt == 'S')
			options.socket = optarg;
		else if (opt == 'f')
			sender = optarg;
		else if (opt == 'r' && n_rcpts < MTA_MAX_RCPTS)
			rcpts[n_rcpts++].addr = optarg;
		else if (opt == 'u')
			identity = optarg;
		else if (opt == 'M')
			take_macro(optarg);
		else if (opt == 'o')
			out_path = optarg;
		else if (opt == 'n')
			load.connections = atol(optarg);
		else if (opt == 'm')
			load.per_connection = atol(optarg);
		else if (opt == 'q')
			quiet = true;
		else
			take_long_option(opt, optarg);
	}
	if (!options.socket || (optind == argc && !probe))
		die("a socket and a message are needed");
	if (!n_rcpts)
		rcpts[n_rcpts++].addr = (char *)"<bob@example.net>";
	if (options.version < 6)
		options.protocol &= 0x7f | (options.version > 3 ? 0x300 : 0);
	load.set_envelope = set_envelope;
	if (beside) {
		options_beside = options;
		options_beside.socket = beside;
		load.beside = &options_beside;
	}
}

static void
json_text(const char *key, const char *text)
{
	if (key)
		printf("\"%s\":", key);
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 32 || c > 126)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void
print_result(const char *file, const struct mta_message *message, const struct mta_reply *reply,
	double ms)
{
	printf("{");
	json_text("file", file);
	printf(",\"stage\":\"%c\",\"code\":%d,", reply->stage ? reply->stage : '?', reply->code);
	json_text("text", reply->text ? reply->text : "");
	printf(",\"changed\":%s,\"body_changed\":%s,\"lost\":%s,\"discarded\":%s,",
		reply->changed ? "true" : "false", reply->body_changed ? "true" : "false",
		reply->lost ? "true" : "false", reply->discarded ? "true" : "false");
	json_text("actions", reply->actions);
	printf(",\"progress\":%u,", reply->progress);
	json_text("sender", message->sender);
	if (message->sender_args) {
		putchar(',');
		json_text("sender_args", message->sender_args);
	}
	printf(",\"recipients\":[");
	for (size_t i = 0; i < message->n_rcpts; i++) {
		if (i)
			putchar(',');
		json_text(NULL, message->rcpts[i].addr);
	}
	printf("],");
	if (reply->quarantine) {
		json_text("quarantine", reply->quarantine);
		putchar(',');
	}
	printf("\"ms\":%.1f}\n", ms);
	fflush(stdout);
}

static void
write_result(const struct mta_message *message, int number)
{
	char path[4096];
	const char *mark = strstr(out_path, "%d");
	size_t len;
	char *text = mta_message_format(message, lf, &len);
	FILE *file;

	if (mark)
		snprintf(path, sizeof path, "%.*s%d%s", (int)(mark - out_path), out_path, number,
			mark + 2);
	else
		snprintf(path, sizeof path, "%s", out_path);
	file = strcmp(path, "-") ? fopen(path, "wb") : stdout;
	if (!file || fwrite(text, 1, len, file) != len || (file != stdout && fclose(file)) != 0) {
		perror(path);
		exit(66);
	}
	free(text);
}

static int
worst(int a, int code)
{
	int b = code / 100 == 2 ? 0 : code / 100 == 5 ? 65 : 75;

	return a == 65 || b == 65 ? 65 : a ? a : b;
}

static int
run_files(char **files)
{
	struct mta *mta = NULL;
	int status = 0;

	for (int i = 0; files[i]; i++) {
		struct mta_message message = {0};
		struct mta_reply reply = {0};
		double begun = mta_now();

		if (!mta_message_read(&message, files[i])) {
			perror(files[i]);
			return 66;
		}
		set_envelope(&message);
		if (!mta)
			mta = mta_greet(&options, &reply);
		if (mta)
			mta_send(mta, &message, &reply);
		status = worst(status, reply.code);
		if (!quiet)
			print_result(files[i], &message, &reply, (mta_now() - begun) * 1000);
		if (out_path && reply.code == 250 && !reply.discarded)
			write_result(&message, i + 1);
		if (reply.lost)
			mta_cut(&mta);
		else if (!one_session)
			mta_quit(&mta);
		mta_message_fini(&message);
		mta_reply_fini(&reply);
	}
	mta_quit(&mta);
	return status;
}

int
main(int argc, char **argv)
{
	take_options(argc, argv);
	if (probe) {
		char why[200] = "";
		struct mta *mta = mta_open(&options, why);

		mta_quit(&mta);
		return why[0] ? 75 : 0;
	}
	if (load.connections < 0 || load.per_connection < 0 || load.n_files < 0 || load.first < 0 ||
		(load.connections > 0) != (load.per_connection > 0))
		die("-n and -m go together");
	return load.connections ? mta_load(&load, argv[optind]) : run_files(argv + optind);
}
