/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ca.c - sealgate ca …: the organisation's own CA
 */
#include "cli/ca.h"

#include "base/file.h"
#include "cli/officer.h"
#include "crypto/cert.h"

#include <stdio.h>
#include <string.h>

#define PEM_MAX (1u << 20)

static int run(struct cli *cli, int argc, char **argv);
static int run_list(struct cli *cli, int argc, char **argv);
static int run_show(struct cli *cli, int argc, char **argv);
static int run_new(struct cli *cli, int argc, char **argv);
static int run_rollover(struct cli *cli, int argc, char **argv);
static int run_renew(struct cli *cli, int argc, char **argv);
static int run_import(struct cli *cli, int argc, char **argv);
static int run_export(struct cli *cli, int argc, char **argv);

const struct command cmd_ca = {
	.name = "ca",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "the organisation's CA: root, issuing CA, revocation lists",
	.run = run,
};
static const struct command ca_list = {
	.name = "ca list",
	.usage = "",
	.help = "all CAs, with what they still do",
	.run = run_list,
};
static const struct command ca_show = {
	.name = "ca show",
	.usage = "[--root] [KEY]",
	.help = "everything about a CA; by default the one that signs people's certificates",
	.run = run_show,
};
static const struct command ca_new = {
	.name = "ca new",
	.usage = "--csr [--type TYPE]",
	.help = "make an issuing CA whose certificate comes from outside: prints the request",
	.details =
		"The CA so far goes on signing until \"ca import\" brings the certificate.\n"
		"  --type TYPE   rsa2048, rsa3072, rsa4096, p256, p384, p521; default: ca.type\n",
	.run = run_new,
};
static const struct command ca_rollover = {
	.name = "ca rollover",
	.usage = "[--root] [--type TYPE] [--reason TEXT] [--hours N] | --request REQUEST",
	.help = "make a new issuing CA; the old one only signs its revocation list from now on",
	.details =
		"  --root             a new root as well, certified by the old one\n"
		"  --type TYPE        rsa2048, rsa3072, rsa4096, p256, p384, p521; default: ca.type\n" OFFICER_ACT_DETAILS
		"Where there are officers, --root makes a request first.\n",
	.run = run_rollover,
};
static const struct command ca_renew = {
	.name = "ca renew",
	.usage = "[--csr] [KEY]",
	.help = "a new certificate for the same key and name of a CA",
	.details = "  --csr   print a request for somebody outside to sign instead\n",
	.run = run_renew,
};
static const struct command ca_import = {
	.name = "ca import",
	.usage = "[--reason TEXT] [--hours N] FILE… | --request REQUEST",
	.help = "take the certificate for an issuing CA's key, with the chain up to its root",
	.details = OFFICER_ACT_DETAILS "Where there are officers, this makes a request first.\n",
	.run = run_import,
};
static const struct command ca_export = {
	.name = "ca export",
	.usage = "--cert [--chain] [--root] [KEY]",
	.help = "the certificate of a CA as PEM",
	.details = "  --chain   and those above it up to the root\n"
		   "  --root    the root's, for those who are to trust it\n",
	.run = run_export,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&ca_list, &ca_show, &ca_new, &ca_rollover,
		&ca_renew, &ca_import, &ca_export, &ca_crl};

	return cmd_dispatch(&cmd_ca, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

static const char *
text_of(const struct json_value *object, const char *name)
{
	const char *text = json_get_text(object, name);

	return text ? text : "-";
}

static void
print_line(const struct json_value *ca)
{
	printf("%s  %-7s  %-7s  %-8s  %.10s  %s\n", text_of(ca, "key"), text_of(ca, "role"),
		text_of(ca, "status"), text_of(ca, "type"), text_of(ca, "not_after"),
		text_of(ca, "subject"));
}

static void
print_full(const struct json_value *ca)
{
	static const char *const names[] = {"key", "role", "status", "type", "subject", "issuer",
		"serial", "sha256", "fingerprint", "created", "not_before", "not_after", "parent",
		"last", "crl_next"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (json_get_text(ca, names[i]))
			printf("%-12s %s\n", names[i], json_get_text(ca, names[i]));
}

/* The CAs of the answer by EACH, or the request in it. */
static int
print_answer(
	const struct cli *cli, struct json_value *answer, void (*each)(const struct json_value *ca))
{
	const struct json_value *cas = json_find(answer, "cas");
	const char *csr = json_get_text(answer, "csr");

	if (cli->json)
		return answer_print_json(answer, EX_OK);
	if (csr)
		fputs(csr, stdout);
	for (size_t i = 0; !csr && cas && i < json_count(cas); i++)
		each(json_at(cas, i));
	return EX_OK;
}

/* Sends what is asked, and prints the answer. */
static int
finish(struct cli *cli, struct asking *asking, void (*each)(const struct json_value *ca))
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	int status;

	if (asking_send(asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = print_answer(cli, answer, each);
	json_free(&answer);
	return status;
}

/* The same for an act that officers may have to approve first. */
static int
finish_act(struct cli *cli, struct asking *asking)
{
	struct json_value *answer = NULL;
	const struct json_value *cas;
	const char *role = NULL;
	bool made;
	int status = officer_ask(cli, asking, NULL, &answer, &made);

	if (status == EX_OK && !made) {
		status = print_answer(cli, answer, print_line);
		cas = json_find(answer, "cas");
		if (cas && json_count(cas))
			role = json_get_text(json_at(cas, 0), "role");
		if (status == EX_OK && role && strcmp(role, "root") == 0)
			fprintf(stderr, "sealgate: the new root has to become an anchor wherever "
					"the old one is (ca export --cert --root)\n");
	}
	json_free(&answer);
	return status;
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	struct asking asking;
	int status;

	if (!cmd_take(&ca_list, cli, &(struct cmd_args){NULL, 0, 0, 0}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "ca.list");
	return finish(cli, &asking, print_line);
}

/* Which CA: KEY, the root, or the one that issues. */
static void
put_which(struct asking *asking, const char *key, bool root)
{
	json_str(&asking->json, "key", key);
	if (root)
		json_str(&asking->json, "role", "root");
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	bool root = false;
	const struct cmd_opt opts[] = {{"root", OPT_FLAG, &root}};
	struct asking asking;
	int status;

	if (!cmd_take(&ca_show, cli, &(struct cmd_args){opts, 1, 0, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "ca.show");
	put_which(&asking, argv[1], root);
	return finish(cli, &asking, print_full);
}

static int
run_new(struct cli *cli, int argc, char **argv)
{
	bool csr = false;
	const char *type = NULL;
	const struct cmd_opt opts[] = {{"csr", OPT_FLAG, &csr}, {"type", OPT_VALUE, &type}};
	struct asking asking;
	int status;

	if (!cmd_take(&ca_new, cli, &(struct cmd_args){opts, 2, 0, 0}, &argc, argv, &status))
		return status;
	if (!csr)
		return cmd_usage(&ca_new,
			"--csr is needed; below the root in the vault: sealgate ca rollover");
	asking_begin(&asking, "ca.new");
	json_bool(&asking.json, "csr", true);
	json_str(&asking.json, "type", type);
	return finish(cli, &asking, print_line);
}

/* What was asked for before, and is approved. */
static int
run_approved(struct cli *cli, const char *request, const char *act)
{
	struct asking asking;

	asking_begin(&asking, "officer.run");
	json_str(&asking.json, "request", request);
	json_str(&asking.json, "act", act);
	return finish_act(cli, &asking);
}

static int
run_rollover(struct cli *cli, int argc, char **argv)
{
	bool root = false;
	const char *type = NULL;
	struct officer_act act = {NULL};
	struct cmd_opt opts[OFFICER_ACT_OPTS + 2] = {
		[OFFICER_ACT_OPTS] = {"root", OPT_FLAG, &root}, {"type", OPT_VALUE, &type}};
	struct asking asking;
	int status;

	officer_act_opts(&act, opts);
	if (!cmd_take(&ca_rollover, cli, &(struct cmd_args){opts, OFFICER_ACT_OPTS + 2, 0, 0},
		    &argc, argv, &status))
		return status;
	if (act.request)
		return run_approved(cli, act.request, "ca.new-root");
	asking_begin(&asking, root ? "ca.new-root" : "ca.new");
	json_str(&asking.json, "type", type);
	if (!officer_act_put(&ca_rollover, &act, &asking, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	return finish_act(cli, &asking);
}

static int
run_renew(struct cli *cli, int argc, char **argv)
{
	bool csr = false;
	const struct cmd_opt opts[] = {{"csr", OPT_FLAG, &csr}};
	struct asking asking;
	int status;

	if (!cmd_take(&ca_renew, cli, &(struct cmd_args){opts, 1, 0, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "ca.renew");
	json_str(&asking.json, "key", argv[1]);
	if (csr)
		json_bool(&asking.json, "csr", true);
	return finish(cli, &asking, print_line);
}

/* The certificates of the files NAMES as PEM. */
static enum rc
read_certs(char **names, int n, struct buf *pem, struct err *err)
{
	struct buf file = BUF_INIT(PEM_MAX);
	struct certset set = {0};
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < n; i++) {
		buf_clear(&file);
		rc = file_read(names[i], &file, err);
		if (rc == RC_NONE)
			rc = err_set(err, ERR_FILE, "%s is not there", names[i]);
		if (rc == RC_OK && (rc = certset_parse(buf_text(&file), file.len, &set, err)))
			err_prefix(err, "%s", names[i]);
	}
	for (size_t i = 0; rc == RC_OK && i < set.n; i++)
		rc = cert_format_pem(set.v[i], pem, err);
	certset_fini(&set);
	buf_fini(&file);
	return rc;
}

static int
run_import(struct cli *cli, int argc, char **argv)
{
	struct officer_act act = {NULL};
	struct cmd_opt opts[OFFICER_ACT_OPTS];
	struct buf pem = BUF_INIT(PEM_MAX);
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	officer_act_opts(&act, opts);
	if (!cmd_parse(&ca_import, cli, opts, OFFICER_ACT_OPTS, &argc, argv, &status))
		return status;
	if ((argc < 2) != (act.request != NULL))
		return cmd_usage(&ca_import, "FILE…, or --request REQUEST");
	if (!cmd_conf(&ca_import, cli, &status))
		return status;
	if (act.request)
		return run_approved(cli, act.request, "ca.import");
	if (read_certs(argv + 1, argc - 1, &pem, &err) != RC_OK) {
		status = cmd_fail_input(&err);
	} else {
		asking_begin(&asking, "ca.import");
		json_str(&asking.json, "pem", buf_text(&pem));
		if (officer_act_put(&ca_import, &act, &asking, &status))
			status = finish_act(cli, &asking);
		else
			buf_fini(&asking.text);
	}
	buf_fini(&pem);
	return status;
}

static int
run_export(struct cli *cli, int argc, char **argv)
{
	bool cert = false, chain = false, root = false;
	const struct cmd_opt opts[] = {
		{"cert", OPT_FLAG, &cert}, {"chain", OPT_FLAG, &chain}, {"root", OPT_FLAG, &root}};
	const struct json_value *ca;
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!cmd_take(&ca_export, cli, &(struct cmd_args){opts, 3, 0, 1}, &argc, argv, &status))
		return status;
	if (!cert) {
		fprintf(stderr, "sealgate: a CA's private key leaves the vault by two persons' "
				"approval only; --cert exports the certificate\n");
		return EX_DATAERR;
	}
	asking_begin(&asking, "ca.show");
	put_which(&asking, argv[1], root);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	ca = json_at(json_find(answer, "cas"), 0);
	if (!ca || !json_get_text(ca, "pem")) {
		fprintf(stderr, "sealgate: that CA waits for its certificate\n");
		status = EX_DATAERR;
	} else if (cli->json) {
		status = answer_print_json(answer, EX_OK);
	} else {
		fputs(json_get_text(ca, "pem"), stdout);
		if (chain)
			fputs(text_of(ca, "chain"), stdout);
	}
	json_free(&answer);
	return status;
}
