/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * person.c - sealgate person …: who has which address, who may read whose mail, who has left
 *
 * Everything is done by the vault, over its admin socket, or on its files when no vault runs.
 */
#include "cli/person.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(struct cli *cli, int argc, char **argv);
static int run_add(struct cli *cli, int argc, char **argv);
static int run_set(struct cli *cli, int argc, char **argv);
static int run_rename(struct cli *cli, int argc, char **argv);
static int run_leave(struct cli *cli, int argc, char **argv);
static int run_return(struct cli *cli, int argc, char **argv);
static int run_address(struct cli *cli, int argc, char **argv);
static int run_address_add(struct cli *cli, int argc, char **argv);
static int run_address_end(struct cli *cli, int argc, char **argv);
static int run_address_move(struct cli *cli, int argc, char **argv);
static int run_grant(struct cli *cli, int argc, char **argv);
static int run_ungrant(struct cli *cli, int argc, char **argv);

const struct command cmd_person = {
	.name = "person",
	.usage = "COMMAND [ARGUMENT …]",
	.help = "persons and roles: addresses, grants, leaving, the directory",
	.run = run,
};
static const struct command person_add = {
	.name = "person add",
	.usage =
		"[--name NAME] [--kind person|role] [--alias ADDR]… [--uid ID] [--client-key] ADDR",
	.help = "a new person, or a role: an address that several people share",
	.details = "  --name NAME        for certificates; default: the address\n"
		   "  --kind WORD        person (default) or role\n"
		   "  --alias ADDR       one more address\n"
		   "  --uid ID           unique id in the directory that person sync follows\n"
		   "  --client-key       has the keys in a mail program too\n",
	.run = run_add,
};
static const struct command person_set = {
	.name = "person set",
	.usage = "[--name NAME] [--kind person|role] [--uid ID] [--client-key yes|no] PERSON",
	.help = "change what is known of a person",
	.run = run_set,
};
static const struct command person_rename = {
	.name = "person rename",
	.usage = "[--until TIME] [--name NAME] OLD NEW",
	.help = "a new address; the old one stays theirs, until a time",
	.details = "  --until TIME       RFC 3339 time or date at which OLD stops being theirs\n"
		   "  --name NAME        the new name\n",
	.run = run_rename,
};
static const struct command person_leave = {
	.name = "person leave",
	.usage = "[--at TIME] [--keep] [--end-addresses | --to PERSON] [--revoke] PERSON",
	.help = "somebody leaves: nothing is signed with their keys, nothing opened for them",
	.details = "  --at TIME          RFC 3339 time or date; default: now\n"
		   "  --keep             grants on their keys go on\n"
		   "  --end-addresses    their addresses are nobody's from then on\n"
		   "  --to PERSON        … or this person's, without the keys\n"
		   "  --revoke           revoke their keys too (now only)\n",
	.run = run_leave,
};
static const struct command person_return = {
	.name = "person return",
	.usage = "PERSON",
	.help = "somebody who had left is back",
	.run = run_return,
};
static const struct command person_address = {
	.name = "person address",
	.usage = "add|end|move …",
	.help = "further addresses, and their ends",
	.run = run_address,
};
static const struct command address_add = {
	.name = "person address add",
	.usage = "[--from TIME] [--until TIME] PERSON ADDR",
	.help = "one more address",
	.run = run_address_add,
};
static const struct command address_end = {
	.name = "person address end",
	.usage = "[--at TIME | --never] ADDR",
	.help = "an address stops being theirs; --never: it does not after all",
	.run = run_address_end,
};
static const struct command address_move = {
	.name = "person address move",
	.usage = "[--at TIME] --to PERSON ADDR",
	.help = "an address becomes another person's; old mail to it does not",
	.run = run_address_move,
};
static const struct command person_grant = {
	.name = "person grant",
	.usage = "--to PERSON [--from TIME] [--until TIME] [--keep] OWNER",
	.help = "let a person have mail opened that is encrypted for OWNER",
	.details = "  --from TIME        RFC 3339 time or date; default: now\n"
		   "  --until TIME       when the grant ends; default: never\n"
		   "  --keep             it goes on when OWNER leaves\n",
	.run = run_grant,
};
static const struct command person_ungrant = {
	.name = "person ungrant",
	.usage = "GRANT",
	.help = "end a grant",
	.run = run_ungrant,
};

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&person_add, &person_list, &person_show,
		&person_set, &person_rename, &person_leave, &person_return, &person_address,
		&person_grant, &person_ungrant, &person_grants, &person_sync};

	return cmd_dispatch(&cmd_person, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

int
person_finish(struct cli *cli, struct asking *asking)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	int status;

	if (asking_send(asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = person_print(cli, answer);
	json_free(&answer);
	return status;
}

static int
run_add(struct cli *cli, int argc, char **argv)
{
	const char *name = NULL, *kind = NULL, *uid = NULL;
	static struct cmd_values aliases;
	bool client_key = false;
	const struct cmd_opt opts[] = {{"name", OPT_VALUE, &name}, {"kind", OPT_VALUE, &kind},
		{"alias", OPT_VALUES, &aliases}, {"uid", OPT_VALUE, &uid},
		{"client-key", OPT_FLAG, &client_key}};
	struct asking asking;
	int status;

	if (!cmd_take(&person_add, cli,
		    &(struct cmd_args){opts, sizeof(opts) / sizeof(*opts), 1, 1}, &argc, argv,
		    &status))
		return status;
	asking_begin(&asking, "person.add");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "name", name);
	json_str(&asking.json, "kind", kind);
	json_str(&asking.json, "uid", uid);
	if (client_key)
		json_bool(&asking.json, "client_key", true);
	json_array(&asking.json, "aliases");
	for (size_t i = 0; i < aliases.n; i++)
		json_str(&asking.json, NULL, aliases.v[i]);
	json_array_end(&asking.json);
	return person_finish(cli, &asking);
}

static int
run_set(struct cli *cli, int argc, char **argv)
{
	const char *name = NULL, *kind = NULL, *uid = NULL, *client_key = NULL;
	const struct cmd_opt opts[] = {{"name", OPT_VALUE, &name}, {"kind", OPT_VALUE, &kind},
		{"uid", OPT_VALUE, &uid}, {"client-key", OPT_VALUE, &client_key}};
	struct asking asking;
	int status;

	if (!cmd_take(&person_set, cli,
		    &(struct cmd_args){opts, sizeof(opts) / sizeof(*opts), 1, 1}, &argc, argv,
		    &status))
		return status;
	if (client_key && strcmp(client_key, "yes") != 0 && strcmp(client_key, "no") != 0)
		return cmd_usage(&person_set, "--client-key is yes or no");
	if (!name && !kind && !uid && !client_key)
		return cmd_usage(&person_set, "nothing to change");
	asking_begin(&asking, "person.set");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "name", name);
	json_str(&asking.json, "kind", kind);
	json_str(&asking.json, "uid", uid);
	if (client_key)
		json_bool(&asking.json, "client_key", strcmp(client_key, "yes") == 0);
	return person_finish(cli, &asking);
}

static int
run_rename(struct cli *cli, int argc, char **argv)
{
	const char *until = NULL, *name = NULL;
	const struct cmd_opt opts[] = {{"until", OPT_VALUE, &until}, {"name", OPT_VALUE, &name}};
	struct json_value *answer;
	struct err err = ERR_INIT;
	struct asking asking;
	int status;

	if (!cmd_take(&person_rename, cli, &(struct cmd_args){opts, 2, 2, 2}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "person.rename");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "new", argv[2]);
	json_str(&asking.json, "until", until);
	json_str(&asking.json, "name", name);
	if (asking_send(&asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = person_print(cli, answer);
	if (json_get_int(json_find(answer, "person"), "active_keys", 0) > 0)
		fprintf(stderr,
			"sealgate: no certificate names %s yet; sealgate key renew %s makes one\n",
			argv[2], argv[2]);
	json_free(&answer);
	return status;
}

static int
run_leave(struct cli *cli, int argc, char **argv)
{
	const char *at = NULL, *to = NULL;
	bool keep = false, end = false, revoke = false;
	const struct cmd_opt opts[] = {{"at", OPT_VALUE, &at}, {"to", OPT_VALUE, &to},
		{"keep", OPT_FLAG, &keep}, {"end-addresses", OPT_FLAG, &end},
		{"revoke", OPT_FLAG, &revoke}};
	struct asking asking;
	int status;

	if (!cmd_take(&person_leave, cli,
		    &(struct cmd_args){opts, sizeof(opts) / sizeof(*opts), 1, 1}, &argc, argv,
		    &status))
		return status;
	if (to && end)
		return cmd_usage(&person_leave, "--to or --end-addresses");
	asking_begin(&asking, "person.leave");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "at", at);
	json_str(&asking.json, "to", to);
	json_bool(&asking.json, "keep", keep);
	json_bool(&asking.json, "end_addresses", end);
	json_bool(&asking.json, "revoke", revoke);
	return person_finish(cli, &asking);
}

static int
run_return(struct cli *cli, int argc, char **argv)
{
	struct asking asking;
	int status;

	if (!cmd_take(&person_return, cli, &(struct cmd_args){NULL, 0, 1, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "person.return");
	json_str(&asking.json, "addr", argv[1]);
	return person_finish(cli, &asking);
}

static int
run_address(struct cli *cli, int argc, char **argv)
{
	static const struct command *const table[] = {&address_add, &address_end, &address_move};

	return cmd_dispatch(
		&person_address, table, sizeof(table) / sizeof(*table), cli, argc, argv);
}

static int
run_address_add(struct cli *cli, int argc, char **argv)
{
	const char *from = NULL, *until = NULL;
	const struct cmd_opt opts[] = {{"from", OPT_VALUE, &from}, {"until", OPT_VALUE, &until}};
	struct asking asking;
	int status;

	if (!cmd_take(&address_add, cli, &(struct cmd_args){opts, 2, 2, 2}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "address.add");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "new", argv[2]);
	json_str(&asking.json, "since", from);
	json_str(&asking.json, "until", until);
	return person_finish(cli, &asking);
}

static int
run_address_end(struct cli *cli, int argc, char **argv)
{
	const char *at = NULL;
	bool never = false;
	const struct cmd_opt opts[] = {{"at", OPT_VALUE, &at}, {"never", OPT_FLAG, &never}};
	struct asking asking;
	int status;

	if (!cmd_take(&address_end, cli, &(struct cmd_args){opts, 2, 1, 1}, &argc, argv, &status))
		return status;
	if (at && never)
		return cmd_usage(&address_end, "--at or --never");
	asking_begin(&asking, "address.end");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "at", at);
	json_bool(&asking.json, "never", never);
	return person_finish(cli, &asking);
}

static int
run_address_move(struct cli *cli, int argc, char **argv)
{
	const char *at = NULL, *to = NULL;
	const struct cmd_opt opts[] = {{"at", OPT_VALUE, &at}, {"to", OPT_VALUE, &to}};
	struct asking asking;
	int status;

	if (!cmd_take(&address_move, cli, &(struct cmd_args){opts, 2, 1, 1}, &argc, argv, &status))
		return status;
	if (!to)
		return cmd_usage(&address_move, "--to whom?");
	asking_begin(&asking, "address.move");
	json_str(&asking.json, "addr", argv[1]);
	json_str(&asking.json, "to", to);
	json_str(&asking.json, "at", at);
	return person_finish(cli, &asking);
}

/* Sends, and prints the grant's id with a sentence. */
static int
finish_grant(struct cli *cli, struct asking *asking, const char *what, const char *who,
	const char *whose)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	const char *id;
	int status = EX_OK;

	if (asking_send(asking, cli->conf, NULL, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	id = json_get_text(answer, "grant");
	if (cli->json)
		status = answer_print_json(answer, EX_OK);
	else
		printf("%s  %s%s%s\n", id ? id : "-", who, what, whose);
	json_free(&answer);
	return status;
}

static int
run_grant(struct cli *cli, int argc, char **argv)
{
	const char *to = NULL, *from = NULL, *until = NULL;
	bool keep = false;
	const struct cmd_opt opts[] = {{"to", OPT_VALUE, &to}, {"from", OPT_VALUE, &from},
		{"until", OPT_VALUE, &until}, {"keep", OPT_FLAG, &keep}};
	struct asking asking;
	int status;

	if (!cmd_take(&person_grant, cli, &(struct cmd_args){opts, 4, 1, 1}, &argc, argv, &status))
		return status;
	if (!to)
		return cmd_usage(&person_grant, "--to whom?");
	asking_begin(&asking, "key.grant");
	json_str(&asking.json, "owner", argv[1]);
	json_str(&asking.json, "to", to);
	json_str(&asking.json, "since", from);
	json_str(&asking.json, "until", until);
	json_bool(&asking.json, "keep", keep);
	return finish_grant(cli, &asking, " may read what is for ", to, argv[1]);
}

static int
run_ungrant(struct cli *cli, int argc, char **argv)
{
	struct asking asking;
	int status;

	if (!cmd_take(
		    &person_ungrant, cli, &(struct cmd_args){NULL, 0, 1, 1}, &argc, argv, &status))
		return status;
	asking_begin(&asking, "key.ungrant");
	json_str(&asking.json, "grant", argv[1]);
	return finish_grant(cli, &asking, "is over", "", "");
}
