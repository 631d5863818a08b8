/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_revoke.c - sealgate key revoke: a key counts no more, and others are told by a new list
 */
#include "cli/ca.h"
#include "cli/key.h"

#include <stdio.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command key_revoke = {
	.name = "key revoke",
	.usage = "[--reason WORD] [--comment TEXT] ADDR|KEY",
	.help = "mark a key as revoked: it goes on opening, and each use is marked",
	.details =
		"The certificates of the organisation's CA for it go onto the revocation list, which is\n"
		"published at once where the configuration says where (ca.crl_on_revoke).\n"
		"  --reason WORD    unspecified (default), keyCompromise, affiliationChanged, superseded,\n"
		"                   cessationOfOperation, privilegeWithdrawn\n"
		"  --comment TEXT   kept in the vault, not in the list\n",
	.run = run,
};

static int
publish_lists(struct cli *cli)
{
	const struct crl_wish wish = {.publish = true, .quiet = true};
	size_t n;

	if (!crl_has_place(cli) || !conf_bool(conf_section(cli->conf, "ca"), "crl_on_revoke"))
		return EX_OK;
	if (crl_make(cli, &wish, &n) == EX_OK)
		return EX_OK;
	fprintf(stderr, "sealgate: the key is revoked, but not everybody can know it yet; run "
			"\"sealgate ca crl --publish\" again\n");
	return EX_TEMPFAIL;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *reason = NULL, *comment = NULL;
	const struct cmd_opt opts[] = {
		{"reason", OPT_VALUE, &reason}, {"comment", OPT_VALUE, &comment}};
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status, published;

	if (!cmd_parse(&key_revoke, cli, opts, 2, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(
			&key_revoke, argc < 2 ? "an argument is missing" : "too many arguments");
	if (!cmd_conf(&key_revoke, cli, &status))
		return status;
	asking_begin(&asking, "key.revoke");
	json_str(&asking.json, "key", argv[1]);
	json_str(&asking.json, "reason", reason);
	json_str(&asking.json, "comment", comment);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = key_print(cli, answer);
	if (json_get_int(answer, "outside", 0))
		fprintf(stderr,
			"sealgate: it has %lld certificates of other CAs: have them revoked "
			"there, too\n",
			(long long)json_get_int(answer, "outside", 0));
	json_free(&answer);
	published = publish_lists(cli);
	return status == EX_OK ? published : status;
}
