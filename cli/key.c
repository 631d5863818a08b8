/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.c - sealgate key …: the organisation's keys
 *
 * Everything is done by the vault, over its admin socket, or on its files when no vault runs.
 */
#include "cli/key.h"
#include "cli/officer.h"

#include "message/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_new(struct cli *cli, int argc, char **argv);
static int run_list(struct cli *cli, int argc, char **argv);
static int run_show(struct cli *cli, int argc, char **argv);
static int run_retire(struct cli *cli, int argc, char **argv);
static int run_grant(struct cli *cli, int argc, char **argv);

const struct command cmd_key = {
	.name = "key",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "the organisation's keys: make, import, list, retire, grant",
	.run = run,
};
static const struct command key_new = {
	.name = "key new",
	.usage = "[--name NAME] [--kind person|role] [--purpose both|sign|open|separate] "
		 "[--type TYPE] [--days N] [--profile NAME] [--client-key] [--also] ADDR",
	.help = "make a key and a certificate of the organisation's CA for an address",
	.details =
		"  --name NAME        the person's name, for the certificate\n"
		"  --kind WORD        person (default) or role: a shared address\n"
		"  --purpose WORD     both (default), sign, open, or separate: two keys\n"
		"  --type TYPE        rsa2048, rsa3072, rsa4096, p256, p384, p521\n"
		"  --days N           how long the certificate is valid\n"
		"  --profile NAME     what the certificate looks like; default: that of the kind\n"
		"  --client-key       the person has the key in a mail program too\n"
		"  --also             although there is an active key already\n",
	.run = run_new,
};
static const struct command key_list = {
	.name = "key list",
	.usage = "[ADDR]",
	.help = "list all keys, or those of an address",
	.run = run_list,
};
static const struct command key_show = {
	.name = "key show",
	.usage = "ADDR|KEY",
	.help = "everything about a key but the key",
	.run = run_show,
};
static const struct command key_retire = {
	.name = "key retire",
	.usage = "ADDR|KEY",
	.help = "sign nothing more with a key; it goes on opening",
	.run = run_retire,
};
static const struct command key_grant = {
	.name = "key grant",
	.usage = "--to ADDR [--until TIME] OWNER",
	.help = "let ADDR have mail opened that is encrypted for OWNER",
	.details = "  --until TIME       RFC 3339 time or date at which the grant ends\n",
	.run = run_grant,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&key_new, &key_request, &key_import,
		&key_token, &key_held, &key_pin, &key_import_certs, &key_bulk, &key_list, &key_show,
		&key_renew, &key_expiring, &key_retire, &key_revoke, &key_grant, &key_export,
		&key_delete};

	return cmd_dispatch(&cmd_key, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

/* "a@x b@x" of an array of strings. */
static void
print_strings(const struct json_value *array)
{
	for (size_t i = 0; array && i < json_count(array); i++)
		printf("%s%s", i ? " " : "", json_text(json_at(array, i)));
}

/* The text under NAME, or "-". */
static const char *
text_of(const struct json_value *object, const char *name)
{
	const char *text = json_get_text(object, name);

	return text ? text : "-";
}

/* One line for a key. */
static void
print_key(const struct json_value *key)
{
	printf("%s  %-7s  %-8s  %-8s  %.10s  ", text_of(key, "key"), text_of(key, "status"),
		text_of(key, "purpose"), text_of(key, "type"), text_of(key, "not_after"));
	print_strings(json_find(key, "addresses"));
	if (strcmp(text_of(key, "status"), "waiting") == 0)
		printf("  (waiting for certificate)");
	printf("%s\n", json_is_true(json_find(key, "known")) ? "  (known already)" : "");
}

int
key_print(const struct cli *cli, const struct json_value *answer)
{
	const struct json_value *keys = json_find(answer, "keys");

	if (cli->json)
		return answer_print_json(answer, EX_OK);
	for (size_t i = 0; keys && i < json_count(keys); i++)
		print_key(json_at(keys, i));
	return EX_OK;
}

void
key_note_limit(const struct json_value *answer)
{
	const char *until = json_get_text(answer, "limited");

	if (until)
		fprintf(stderr,
			"sealgate: the certificate ends on %.10s with the organisation's CA, "
			"earlier than wanted: time for \"sealgate ca rollover\"\n",
			until);
}

/* --days as a number of the request. */
static bool
put_days(const struct command *command, struct asking *asking, const char *days, int *status)
{
	char *end;
	long n;

	if (!days)
		return true;
	n = strtol(days, &end, 10);
	if (!*days || *end || n < 1 || n > 100000) {
		*status = cmd_usage(command, "--days is a number of days");
		buf_fini(&asking->text);
		return false;
	}
	json_int(&asking->json, "days", n);
	return true;
}

/* Sends, and prints the keys of the answer. */
static int
finish(struct cli *cli, struct asking *asking)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	int status;

	if (asking_send(asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = key_print(cli, answer);
	key_note_limit(answer);
	json_free(&answer);
	return status;
}

/* A slip of the pen in the domain makes a key that no mail is ever for. */
static void
note_domain(const struct cli *cli, const char *addr)
{
	const char *const *domains, *domain;
	char canonical[ADDR_MAX + 1];
	size_t n = conf_strings(conf_section(cli->conf, "organisation"), "domains", &domains);

	if (addr_canonical(addr, strlen(addr), canonical, NULL) != RC_OK)
		return;
	domain = addr_domain(canonical);
	if (domain && !addr_domain_in(domain, domains, n))
		fprintf(stderr, "sealgate: mind that %s is not in organisation.domains\n", domain);
}

static int
run_new(struct cli *cli, int argc, char **argv)
{
	const char *name = NULL, *kind = NULL, *purpose = NULL, *type = NULL, *days = NULL,
		   *profile = NULL;
	bool client_key = false, also = false;
	const struct cmd_opt opts[] = {{"name", OPT_VALUE, &name}, {"kind", OPT_VALUE, &kind},
		{"purpose", OPT_VALUE, &purpose}, {"type", OPT_VALUE, &type},
		{"days", OPT_VALUE, &days}, {"profile", OPT_VALUE, &profile},
		{"client-key", OPT_FLAG, &client_key}, {"also", OPT_FLAG, &also}};
	struct asking asking;
	int status;

	if (!cmd_take(&key_new, cli, &(struct cmd_args){opts, sizeof(opts) / sizeof(*opts), 1, 1},
		    &argc, argv, &status))
		return status;
	asking_begin(&asking, "key.new");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "name", name);
	json_str(&asking.json, "kind", kind);
	json_str(&asking.json, "purpose", purpose);
	json_str(&asking.json, "type", type);
	json_str(&asking.json, "profile", profile);
	if (client_key)
		json_bool(&asking.json, "client_key", true);
	if (also)
		json_bool(&asking.json, "also", true);
	if (!put_days(&key_new, &asking, days, &status))
		return status;
	note_domain(cli, argv[1]);
	return finish(cli, &asking);
}

/* One page of key.list; AFTER: the key before it, and the last one of it (none: the end). */
static enum rc
list_page(struct cli *cli, const char *addr, char after[128], struct json_value **answer,
	struct err *err)
{
	struct asking asking;
	const char *next;
	enum rc rc;

	asking_begin(&asking, "key.list");
	json_str(&asking.json, "addr", addr);
	json_str(&asking.json, "after", *after ? after : NULL);
	rc = asking_send(&asking, cli->conf, NULL, answer, err);
	next = rc == RC_OK ? json_get_text(*answer, "next") : NULL;
	snprintf(after, 128, "%s", next ? next : "");
	return rc;
}

/* The pages of key.list, one after the other; all keys in one array for JSON. */
static int
list_pages(struct cli *cli, const char *addr)
{
	struct buf text = BUF_INIT(256u << 20);
	struct err err = ERR_INIT;
	struct json json;
	char after[128] = "";
	size_t count = 0;
	int status = EX_OK;

	cmd_json_begin(&json, &text);
	json_array(&json, "keys");
	do {
		struct json_value *answer = NULL;
		const struct json_value *keys = NULL;

		if (list_page(cli, addr, after, &answer, &err) == RC_OK)
			keys = json_find(answer, "keys");
		else
			status = cmd_fail(&err);
		for (size_t i = 0; keys && i < json_count(keys); i++, count++) {
			if (cli->json)
				answer_put(&json, NULL, json_at(keys, i));
			else
				print_key(json_at(keys, i));
		}
		json_free(&answer);
	} while (status == EX_OK && *after);
	json_array_end(&json);
	json_object_end(&json);
	if (status == EX_OK && cli->json)
		status = cmd_print_json(&json, EX_OK);
	buf_fini(&text);
	if (status != EX_OK || !addr || count)
		return status;
	fprintf(stderr, "sealgate: no key for %s\n", addr);
	return EX_DATAERR;
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	int status;

	if (!cmd_take(&key_list, cli, &(struct cmd_args){NULL, 0, 0, 1}, &argc, argv, &status))
		return status;
	return list_pages(cli, argc == 2 ? argv[1] : NULL);
}

static void
print_cert(const struct json_value *cert)
{
	const char *revoked = json_get_text(cert, "revoked"),
		   *comment = json_get_text(cert, "comment");

	printf("certificate  %s  %.10s to %.10s", text_of(cert, "sha256"),
		text_of(cert, "not_before"), text_of(cert, "not_after"));
	if (revoked)
		printf("  revoked %.10s, %s%s%s", revoked, text_of(cert, "reason"),
			comment ? ": " : "", comment ? comment : "");
	printf("\n");
}

/* One line for each member; certificates and grants below. */
static void
print_full(const struct json_value *key)
{
	static const char *const names[] = {"key", "person", "name", "status", "purpose", "type",
		"created", "changed", "left", "requested", "fingerprint", "sha256", "subject",
		"issuer", "serial", "not_before", "not_after", "use_from", "replaces"};
	const struct json_value *list;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (json_get_text(key, names[i]))
			printf("%-12s %s\n", names[i], json_get_text(key, names[i]));
	printf("%-12s ", "addresses");
	print_strings(json_find(key, "addresses"));
	printf("\n");
	list = json_find(key, "certificates");
	for (size_t i = 0; list && i < json_count(list); i++)
		print_cert(json_at(list, i));
	list = json_find(key, "grants");
	for (size_t i = 0; list && i < json_count(list); i++)
		printf("grant        %s  to %s  until %s\n", text_of(json_at(list, i), "grant"),
			text_of(json_at(list, i), "to"), text_of(json_at(list, i), "until"));
}

static int
run_show(struct cli *cli, int argc, char **argv)
{
	const struct json_value *keys;
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!cmd_take(&key_show, cli, &(struct cmd_args){NULL, 0, 1, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "key.show");
	json_str(&asking.json, "key", argv[1]);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	keys = json_find(answer, "keys");
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	for (size_t i = 0; !cli->json && keys && i < json_count(keys); i++)
		print_full(json_at(keys, i));
	json_free(&answer);
	return status;
}

/* A command whose only member is the key. */
static int
run_on_key(const struct command *command, const char *cmd, struct cli *cli, int argc, char **argv)
{
	struct asking asking;
	int status;

	if (!cmd_take(command, cli, &(struct cmd_args){NULL, 0, 1, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, cmd);
	json_str(&asking.json, "key", argv[1]);
	return finish(cli, &asking);
}

static int
run_retire(struct cli *cli, int argc, char **argv)
{
	return run_on_key(&key_retire, "key.retire", cli, argc, argv);
}

static int
run_grant(struct cli *cli, int argc, char **argv)
{
	const char *to = NULL, *until = NULL;
	const struct cmd_opt opts[] = {{"to", OPT_VALUE, &to}, {"until", OPT_VALUE, &until}};
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status = EX_OK;

	if (!cmd_take(&key_grant, cli, &(struct cmd_args){opts, 2, 1, 1}, &argc, argv, &status))
		return status;
	if (!to)
		return cmd_usage(&key_grant, "--to whom?");
	asking_begin(&asking, "key.grant");
	json_str(&asking.json, "owner", argv[1]);
	json_str(&asking.json, "to", to);
	json_str(&asking.json, "until", until);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		printf("%s  %s may read what is for %s\n", text_of(answer, "grant"), to, argv[1]);
	json_free(&answer);
	return status;
}
