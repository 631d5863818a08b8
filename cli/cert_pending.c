/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_pending.c - sealgate cert pending, approve, reject: second keys that came in signed mail
 */
#include "base/clock.h"
#include "cli/cert.h"
#include "directory/harvest_store.h"
#include "message/addr.h"

#include <stdio.h>

static int run_pending(struct cli *cli, int argc, char **argv);
static int run_approve(struct cli *cli, int argc, char **argv);
static int run_reject(struct cli *cli, int argc, char **argv);

const struct command cert_pending = {
	.name = "cert pending",
	.usage = "[--rejected] [--json]",
	.help = "certificates from signed mail that wait for approval: another key is known",
	.details = "  --rejected         those that were rejected instead\n",
	.run = run_pending,
};
const struct command cert_approve = {
	.name = "cert approve",
	.usage = "[--address ADDR] [--replace] [--why TEXT] FINGERPRINT",
	.help = "encrypt to a certificate that waits, or was rejected",
	.details =
		"  --address ADDR     only for this address; without it for all that it waits for\n"
		"  --replace          forget the other certificates that came in signed mail\n"
		"  --why TEXT         kept with it\n",
	.run = run_approve,
};
const struct command cert_reject = {
	.name = "cert reject",
	.usage = "[--address ADDR] [--why TEXT] FINGERPRINT",
	.help = "do not learn a certificate that waits",
	.details =
		"It is not asked about again for harvest.pending_age.\n"
		"  --address ADDR     only for this address; without it for all that it waits for\n"
		"  --why TEXT         kept with it\n",
	.run = run_reject,
};

static enum rc
pending_json(void *ctx, const struct harvest_pending *pending, struct err *err)
{
	struct json *json = ctx;

	(void)err;
	json_object(json, NULL);
	json_str(json, "address", pending->addr);
	json_bool(json, "rejected", pending->rejected);
	json_time(json, "first_seen", pending->first_seen);
	json_time(json, "last_seen", pending->last_seen);
	json_time(json, "signed_at", pending->signed_at);
	json_int(json, "messages", pending->seen);
	json_str(json, "qid", *pending->qid ? pending->qid : NULL);
	json_str(json, "who", *pending->who ? pending->who : NULL);
	json_str(json, "why", *pending->why ? pending->why : NULL);
	cert_json(pending->cert, json);
	json_object_end(json);
	return RC_OK;
}

static enum rc
pending_text(void *ctx, const struct harvest_pending *pending, struct err *err)
{
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];
	size_t *n = ctx;

	(void)err;
	++*n;
	printf("%.16s  %s\n  %s\n  issued by %s, until %.10s\n", cert_fingerprint(pending->cert),
		pending->addr, cert_subject(pending->cert), cert_issuer(pending->cert),
		clock_format(cert_not_after(pending->cert), until));
	printf("  in %lld message%s since %.10s; %s %.10s%s%s%s%s\n", (long long)pending->seen,
		pending->seen == 1 ? "" : "s", clock_format(pending->first_seen, first),
		pending->rejected ? "rejected" : "last", clock_format(pending->last_seen, last),
		*pending->who ? " by " : "", pending->who, *pending->why ? ": " : "", pending->why);
	return RC_OK;
}

static int
list_json(struct certstore *store, bool rejected)
{
	struct buf text = BUF_INIT(64u << 20);
	struct err err = ERR_INIT;
	struct json json;
	int status;

	cmd_json_begin(&json, &text);
	json_array(&json, "pending");
	if (harvest_pending_each(store, rejected, pending_json, &json, &err) == RC_OK) {
		json_array_end(&json);
		json_object_end(&json);
		status = cmd_print_json(&json, EX_OK);
	} else {
		status = cmd_fail(&err);
	}
	buf_fini(&text);
	return status;
}

static int
list_text(struct certstore *store, bool rejected)
{
	struct err err = ERR_INIT;
	size_t n = 0;

	if (harvest_pending_each(store, rejected, pending_text, &n, &err) != RC_OK)
		return cmd_fail(&err);
	if (n == 0)
		fprintf(stderr, "sealgate: nothing %s\n", rejected ? "was rejected" : "waits");
	return EX_OK;
}

static int
run_pending(struct cli *cli, int argc, char **argv)
{
	bool rejected = false;
	const struct cmd_opt opts[] = {{"rejected", OPT_FLAG, &rejected}};
	struct certstore *store;
	int status;

	if (!cmd_parse(&cert_pending, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&cert_pending, "too many arguments");
	if (!cert_open_store(&cert_pending, cli, false, &store, &status))
		return status;
	status = cli->json ? list_json(store, rejected) : list_text(store, rejected);
	certstore_close(&store);
	return status;
}

struct request {
	const char *addr, *why;
	bool replace;
};

static int
settle(const struct command *command, struct cli *cli, const struct request *request,
	const char *fingerprint)
{
	const struct certword word = {.who = cert_user(), .why = request->why};
	char addr[ADDR_MAX + 1];
	struct certstore *store;
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (request->addr && !cert_address(command, request->addr, addr, &status))
		return status;
	if (!cert_open_store(command, cli, false, &store, &status))
		return status;
	if (command == &cert_approve)
		rc = harvest_approve(store, fingerprint, request->addr ? addr : NULL,
			request->replace, &word, &err);
	else
		rc = harvest_reject(store, fingerprint, request->addr ? addr : NULL, &word, &err);
	certstore_close(&store);
	if (rc == RC_OK) {
		printf("%s: %s%s%s\n", command == &cert_approve ? "approved" : "rejected",
			fingerprint, request->addr ? "  " : "", request->addr ? addr : "");
		return EX_OK;
	}
	if (rc != RC_NONE)
		return cmd_fail(&err);
	fprintf(stderr, "sealgate: no certificate that waits begins with %s\n", fingerprint);
	return EX_DATAERR;
}

static int
run_approve(struct cli *cli, int argc, char **argv)
{
	struct request request = {0};
	const struct cmd_opt opts[] = {{"address", OPT_VALUE, &request.addr},
		{"replace", OPT_FLAG, &request.replace}, {"why", OPT_VALUE, &request.why}};
	int status;

	if (!cmd_parse(&cert_approve, cli, opts, 3, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_approve, "one fingerprint");
	return settle(&cert_approve, cli, &request, argv[1]);
}

static int
run_reject(struct cli *cli, int argc, char **argv)
{
	struct request request = {0};
	const struct cmd_opt opts[] = {
		{"address", OPT_VALUE, &request.addr}, {"why", OPT_VALUE, &request.why}};
	int status;

	if (!cmd_parse(&cert_reject, cli, opts, 2, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_reject, "one fingerprint");
	return settle(&cert_reject, cli, &request, argv[1]);
}
