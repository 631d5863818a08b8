/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_store.c - sealgate cert list, show, pin, unpin, forget
 */
#include "cli/cert.h"

#include "base/clock.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static int run_list(struct cli *cli, int argc, char **argv);
static int run_show(struct cli *cli, int argc, char **argv);
static int run_pin(struct cli *cli, int argc, char **argv);
static int run_unpin(struct cli *cli, int argc, char **argv);
static int run_forget(struct cli *cli, int argc, char **argv);

const struct command cert_list = {
	.name = "cert list",
	.usage = "[--anchor] [--json]",
	.help = "list the certificates of the store, or its anchors",
	.run = run_list,
};
const struct command cert_show = {
	.name = "cert show",
	.usage = "[--json] FINGERPRINT",
	.help = "show one certificate of the store as PEM, and what is known of it",
	.details = "A fingerprint is SHA-256 in hex; its beginning is enough when it is unique.\n",
	.run = run_show,
};
const struct command cert_pin = {
	.name = "cert pin",
	.usage = "FINGERPRINT",
	.help = "prefer this certificate to all others of its address",
	.run = run_pin,
};
const struct command cert_unpin = {
	.name = "cert unpin",
	.usage = "FINGERPRINT",
	.help = "take a pin back",
	.run = run_unpin,
};
const struct command cert_forget = {
	.name = "cert forget",
	.usage = "FINGERPRINT",
	.help = "take a certificate or an anchor out of the store",
	.run = run_forget,
};

const char *
cert_tier_name(enum tier tier)
{
	switch (tier) {
	case TIER_PINNED:
		return "pinned";
	case TIER_DIRECTORY:
		return "directory";
	case TIER_SMIMEA:
		return "smimea";
	case TIER_HARVESTED:
		return "harvested";
	}
	return "unknown";
}

/* A store that root made has to be the milter's, which reads and writes it as well. */
static enum rc
give_away(const struct conf *conf, const char *path, struct err *err)
{
	const char *user = conf_str(conf_section(conf, "milter"), "user");
	const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;

	if (pw && chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_set(err, ERR_STORE, "%s cannot be given to %s", path, user);
	return RC_OK;
}

bool
cert_open_store(const struct command *command, struct cli *cli, bool create,
	struct certstore **store, int *status)
{
	struct err err = ERR_INIT;
	const char *path;
	bool there;

	*store = NULL;
	if (!cmd_conf(command, cli, status))
		return false;
	path = conf_str(conf_section(cli->conf, "certstore"), "path");
	there = access(path, F_OK) == 0;
	if (!create && !there) {
		fprintf(stderr, "sealgate: the store %s is not there yet\n", path);
		*status = EX_DATAERR;
		return false;
	}
	if (certstore_open(path, create, store, &err) == RC_OK &&
		(there || give_away(cli->conf, path, &err) == RC_OK))
		return true;
	certstore_close(store);
	*status = cmd_fail(&err);
	return false;
}

void
cert_json(const struct cert *cert, struct json *json)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs), i;

	json_array(json, "addresses");
	for (i = 0; i < n; i++)
		json_str(json, NULL, addrs[i]);
	json_array_end(json);
	json_str(json, "subject", cert_subject(cert));
	json_str(json, "issuer", cert_issuer(cert));
	json_str(json, "serial", cert_serial(cert));
	json_str(json, "sha256", cert_fingerprint(cert));
	json_time(json, "not_before", cert_not_before(cert));
	json_time(json, "not_after", cert_not_after(cert));
	json_str(json, "key", key_type_name(cert_key_type(cert)));
	json_int(json, "bits", cert_key_bits(cert));
}

static void
row_json(const struct certrow *row, struct json *json)
{
	json_object(json, NULL);
	json_int(json, "v", 1);
	if (row->anchor)
		json_str(json, "domains", row->domains && *row->domains ? row->domains : NULL);
	else
		json_str(json, "address", row->addr);
	json_str(json, "source", row->source);
	json_str(json, "vouched", row->vouched && *row->vouched ? row->vouched : NULL);
	json_bool(json, "anchor", row->anchor);
	json_bool(json, "pinned", row->pinned);
	if (!row->anchor) {
		json_str(json, "tier", cert_tier_name(row->tier));
		json_bool(json, "proven", row->proven);
	}
	json_time(json, "first_seen", row->first_seen);
	json_time(json, "last_seen", row->last_seen);
	if (row->signed_at)
		json_time(json, "signed_at", row->signed_at);
	cert_json(row->cert, json);
	json_object_end(json);
}

static int
print_rows_json(const struct certrow *rows, size_t n)
{
	struct buf text = BUF_INIT(64u << 20);
	struct json json;
	int status;
	size_t i;

	json_init(&json, &text);
	json_object(&json, NULL);
	json_int(&json, "v", 1);
	json_array(&json, "certificates");
	for (i = 0; i < n; i++)
		row_json(&rows[i], &json);
	json_array_end(&json);
	json_object_end(&json);
	status = cmd_print_json(&json, EX_OK);
	buf_fini(&text);
	return status;
}

static void
print_row(const struct certrow *row)
{
	char until[CLOCK_TEXT_SIZE];

	printf("%.16s  %-9s %s%s until %.10s  %s\n", cert_fingerprint(row->cert),
		row->anchor ? "anchor" : cert_tier_name(row->tier), row->proven ? "proven " : "",
		row->source, clock_format(cert_not_after(row->cert), until),
		row->anchor ? cert_subject(row->cert) : row->addr);
	if (row->anchor && row->domains && *row->domains)
		printf("%16s  for %s\n", "", row->domains);
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	bool anchors = false;
	const struct cmd_opt opts[] = {{"anchor", OPT_FLAG, &anchors}};
	struct certstore *store;
	struct certrow *rows = NULL;
	struct err err = ERR_INIT;
	size_t n = 0, i;
	int status;
	enum rc rc;

	if (!cmd_parse(&cert_list, cli, opts, 1, &argc, argv, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&cert_list, "too many arguments");
	if (!cert_open_store(&cert_list, cli, false, &store, &status))
		return status;
	rc = certstore_list(store, anchors, &rows, &n, &err);
	status = EX_OK;
	if (rc != RC_OK && rc != RC_NONE)
		status = cmd_fail(&err);
	else if (cli->json)
		status = print_rows_json(rows, n);
	else
		for (i = 0; i < n; i++)
			print_row(&rows[i]);
	certrows_free(&rows, n);
	certstore_close(&store);
	return status;
}

static int
show_rows(const struct cli *cli, const struct certrow *rows, size_t n)
{
	struct buf pem = BUF_INIT(0);
	struct err err = ERR_INIT;
	int status;
	size_t i;

	if (cli->json)
		return print_rows_json(rows, n);
	for (i = 0; i < n; i++)
		print_row(&rows[i]);
	printf("subject: %s\nissuer:  %s\nserial:  %s\nsha256:  %s\n", cert_subject(rows[0].cert),
		cert_issuer(rows[0].cert), cert_serial(rows[0].cert),
		cert_fingerprint(rows[0].cert));
	if (cert_format_pem(rows[0].cert, &pem, &err) == RC_OK)
		status = cmd_print(&pem);
	else
		status = cmd_fail(&err);
	buf_fini(&pem);
	return status;
}

static int
no_such(const char *fingerprint)
{
	fprintf(stderr, "sealgate: no certificate in the store begins with %s\n", fingerprint);
	return EX_DATAERR;
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	struct certstore *store;
	struct certrow *rows = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;
	int status;
	enum rc rc;

	if (!cmd_parse(&cert_show, cli, NULL, 0, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&cert_show, "one fingerprint");
	if (!cert_open_store(&cert_show, cli, false, &store, &status))
		return status;
	rc = certstore_by_fingerprint(store, argv[1], &rows, &n, &err);
	if (rc == RC_OK && n)
		status = show_rows(cli, rows, n);
	else
		status = rc == RC_NONE || rc == RC_OK ? no_such(argv[1]) : cmd_fail(&err);
	certrows_free(&rows, n);
	certstore_close(&store);
	return status;
}

/* One of the commands that change the rows of one certificate. */
static int
change(const struct command *command, struct cli *cli, int argc, char **argv,
	enum rc (*act)(struct certstore *, const char *, struct err *))
{
	struct certstore *store;
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (!cmd_parse(command, cli, NULL, 0, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(command, "one fingerprint");
	if (!cert_open_store(command, cli, false, &store, &status))
		return status;
	rc = act(store, argv[1], &err);
	status = rc == RC_OK ? EX_OK : rc == RC_NONE ? no_such(argv[1]) : cmd_fail(&err);
	certstore_close(&store);
	return status;
}

static enum rc
pin(struct certstore *store, const char *fingerprint, struct err *err)
{
	return certstore_pin(store, fingerprint, true, err);
}

static enum rc
unpin(struct certstore *store, const char *fingerprint, struct err *err)
{
	return certstore_pin(store, fingerprint, false, err);
}

static int
run_pin(struct cli *cli, int argc, char **argv)
{
	return change(&cert_pin, cli, argc, argv, pin);
}

static int
run_unpin(struct cli *cli, int argc, char **argv)
{
	return change(&cert_unpin, cli, argc, argv, unpin);
}

static int
run_forget(struct cli *cli, int argc, char **argv)
{
	return change(&cert_forget, cli, argc, argv, certstore_forget);
}
