/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_export.c - sealgate key export, key delete: certificates for anybody, keys for two officers
 */
#include "cli/key.h"
#include "cli/officer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int run_export(struct cli *cli, int argc, char **argv);
static int run_delete(struct cli *cli, int argc, char **argv);

const struct command key_export = {
	.name = "key export",
	.usage =
		"--cert [--purpose sign|open] ADDR|KEY | [--to CERT] [--reason TEXT] [--hours N] ADDR|KEY"
		" | --request REQUEST --out FILE [--password P-FILE]",
	.help = "the current certificate as PEM; or the private key, if officers approve",
	.details =
		"  --cert             the certificate and its chain, no key\n"
		"  --to CERT          the key's file is encrypted to this certificate (CMS), so that\n"
		"                     nobody here sees the key; without it, it is a PKCS#12 file\n" OFFICER_ACT_DETAILS
		"  --out FILE         where the key's file goes\n"
		"  --password P-FILE  the first line of P-FILE becomes the PKCS#12 file's password;\n"
		"                     default: asked\n",
	.run = run_export,
};
const struct command key_delete = {
	.name = "key delete",
	.usage = "[--reason TEXT] [--hours N] ADDR|KEY | --request REQUEST",
	.help = "destroy a private key for ever, if officers approve",
	.details = OFFICER_ACT_DETAILS,
	.run = run_delete,
};

/* --- certificates --- */

static int
export_cert(struct cli *cli, const char *key, const char *purpose)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	const char *pem;
	int status = EX_OK;

	asking_begin(&asking, "key.cert");
	json_str(&asking.json, "key", key);
	json_str(&asking.json, "purpose", purpose);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	pem = json_get_text(answer, "pem");
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		fputs(pem ? pem : "", stdout);
	json_free(&answer);
	return status;
}

/* --- the private key --- */

struct export_options {
	bool cert;
	const char *purpose, *to, *out, *password;
	struct officer_act act;
};

static int
ask_export(struct cli *cli, const struct export_options *o, const char *key)
{
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	bool made;
	int status;

	asking_begin(&asking, "key.export");
	json_str(&asking.json, "key", key);
	if (!officer_act_put(&key_export, &o->act, &asking, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	if (o->to && officer_put_cert(&asking.json, "to", o->to, &err) != RC_OK) {
		buf_fini(&asking.text);
		return cmd_fail_input(&err);
	}
	status = officer_ask(cli, &asking, NULL, &answer, &made);
	json_free(&answer);
	return status;
}

static int
run_export(struct cli *cli, int argc, char **argv)
{
	struct export_options o = {.cert = false};
	struct cmd_opt opts[OFFICER_ACT_OPTS + 5] = {
		[OFFICER_ACT_OPTS] = {"cert", OPT_FLAG, &o.cert},
		{"purpose", OPT_VALUE, &o.purpose},
		{"to", OPT_VALUE, &o.to},
		{"out", OPT_VALUE, &o.out},
		{"password", OPT_VALUE, &o.password},
	};
	int status;

	officer_act_opts(&o.act, opts);
	if (!cmd_parse(&key_export, cli, opts, OFFICER_ACT_OPTS + 5, &argc, argv, &status))
		return status;
	if (argc != (o.act.request ? 1 : 2))
		return cmd_usage(&key_export, argc == 1 ? "which key?" : "too many arguments");
	if (o.cert && (o.to || o.act.request))
		return cmd_usage(&key_export, "--cert exports no key");
	if (!o.act.request && (o.out || o.password))
		return cmd_usage(&key_export,
			"first the officers have to approve; then --request REQUEST --out FILE");
	if (!cmd_conf(&key_export, cli, &status))
		return status;
	if (o.cert)
		return export_cert(cli, argv[1], o.purpose);
	if (o.act.request)
		return officer_carry_out(cli, o.act.request, "key.export", o.out, o.password);
	return ask_export(cli, &o, argv[1]);
}

/* --- deletion --- */

static int
show_deleted(const struct cli *cli, const struct json_value *answer)
{
	int status = key_print(cli, answer);

	fprintf(stderr,
		"sealgate: backups of the key store that were made before still have the key\n");
	return status;
}

static int
run_delete(struct cli *cli, int argc, char **argv)
{
	struct officer_act act = {NULL};
	struct cmd_opt opts[OFFICER_ACT_OPTS];
	struct json_value *answer = NULL;
	struct asking asking;
	bool made;
	int status;

	officer_act_opts(&act, opts);
	if (!cmd_parse(&key_delete, cli, opts, OFFICER_ACT_OPTS, &argc, argv, &status))
		return status;
	if (argc != (act.request ? 1 : 2))
		return cmd_usage(&key_delete, argc == 1 ? "which key?" : "too many arguments");
	if (!cmd_conf(&key_delete, cli, &status))
		return status;
	if (act.request)
		return officer_run_shown(cli, act.request, "key.delete", show_deleted);
	asking_begin(&asking, "key.delete");
	json_str(&asking.json, "key", argv[1]);
	if (!officer_act_put(&key_delete, &act, &asking, &status)) {
		buf_fini(&asking.text);
		return status;
	}
	status = officer_ask(cli, &asking, NULL, &answer, &made);
	json_free(&answer);
	return status;
}
