/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_token.c - sealgate key token …: keys that stay in a token
 */
#include "base/file.h"
#include "cli/key.h"
#include "keystore/admin.h"

#include <stdio.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_add(struct cli *cli, int argc, char **argv);
static int run_list(struct cli *cli, int argc, char **argv);
static int run_test(struct cli *cli, int argc, char **argv);

const struct command key_token = {
	.name = "key token",
	.usage = "add | list | test [ARGUMENT …]",
	.help = "keys that stay in a token (PKCS#11)",
	.run = run,
};
static const struct command token_add = {
	.name = "key token add",
	.usage = "--cert FILE [--address A] [--name NAME] [--kind person|role] [--client-key] URI",
	.help = "take a key in a token for an address; it is tried first",
	.details =
		"  URI                pkcs11:token=LABEL;object=LABEL, or with id=%XX; never a PIN\n"
		"  --cert FILE        its certificate, and those above it\n"
		"  --address A        whose key it is; default: the address in the certificate\n"
		"  --name NAME        the person's name\n"
		"  --kind WORD        person (default) or role\n"
		"  --client-key       the person has the key in a mail program too\n",
	.run = run_add,
};
static const struct command token_list = {
	.name = "key token list",
	.usage = "[--json]",
	.help = "the configured tokens, and the private keys in them",
	.run = run_list,
};
static const struct command token_test = {
	.name = "key token test",
	.usage = "ADDR|KEY",
	.help = "sign and open once with a key in a token",
	.run = run_test,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&token_add, &token_list, &token_test};

	return cmd_dispatch(&key_token, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

static int
run_add(struct cli *cli, int argc, char **argv)
{
	const char *cert = NULL, *address = NULL, *name = NULL, *kind = NULL;
	bool client_key = false;
	const struct cmd_opt opts[] = {{"cert", OPT_VALUE, &cert}, {"address", OPT_VALUE, &address},
		{"name", OPT_VALUE, &name}, {"kind", OPT_VALUE, &kind},
		{"client-key", OPT_FLAG, &client_key}};
	struct buf data = BUF_INIT(1u << 20);
	struct json_value *answer = NULL;
	struct secret *blob = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	if (!cmd_parse(&token_add, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (argc != 2 || !cert)
		return cmd_usage(&token_add, "a key's name and its certificate are needed");
	if (!cmd_conf(&token_add, cli, &status))
		return status;
	if (file_read(cert, &data, &err) != RC_OK) {
		buf_fini(&data);
		return cmd_fail_input(&err);
	}
	if (secret_copy(data.data, data.len, &blob, &err) != RC_OK) {
		buf_fini(&data);
		return cmd_fail(&err);
	}
	buf_fini(&data);
	asking_begin(&asking, "key.token");
	json_str(&asking.json, "uri", argv[1]);
	json_str(&asking.json, "addr", address);
	json_str(&asking.json, "name", name);
	json_str(&asking.json, "kind", kind);
	if (client_key)
		json_bool(&asking.json, "client_key", true);
	status = asking_send(&asking, cli->conf, blob, &answer, &err) == RC_OK
			 ? key_print(cli, answer)
			 : cmd_fail(&err);
	json_free(&answer);
	secret_free(&blob);
	return status;
}

static void
print_token(const struct json_value *token)
{
	const struct json_value *keys = json_find(token, "keys");
	const char *reason = json_get_text(token, "reason");

	printf("%s  %s%s%s\n", json_get_text(token, "token"), json_get_text(token, "state"),
		reason ? ": " : "", reason ? reason : "");
	for (size_t i = 0; keys && i < json_count(keys); i++) {
		const struct json_value *key = json_at(keys, i);

		printf("  %-5s  %s\n", json_get_text(key, "type"), json_get_text(key, "uri"));
	}
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	struct json_value *answer = NULL;
	const struct json_value *tokens;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!cmd_take(&token_list, cli, &(struct cmd_args){NULL, 0, 0, 0}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "token.list");
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	tokens = json_find(answer, "tokens");
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	for (size_t i = 0; !cli->json && tokens && i < json_count(tokens); i++)
		print_token(json_at(tokens, i));
	json_free(&answer);
	return status;
}

static int
run_test(struct cli *cli, int argc, char **argv)
{
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!cmd_parse(&token_test, cli, NULL, 0, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&token_test, "which key?");
	if (!cmd_conf(&token_test, cli, &status))
		return status;
	asking_begin(&asking, "token.test");
	json_str(&asking.json, "key", argv[1]);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		printf("%s  %s  good\n", json_get_text(answer, "key"),
			json_get_text(answer, "uri"));
	json_free(&answer);
	return status;
}
