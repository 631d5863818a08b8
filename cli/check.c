/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - sealgate -c CONF check: is the configuration good, and what is in effect?
 *
 * Whatever the daemons compile at start is compiled here too.
 */
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/conf.h"
#include "cli/check.h"
#include "cli/cmd.h"
#include "cli/people.h"
#include "directory/anchors.h"
#include "directory/attribute.h"
#include "directory/groups.h"
#include "directory/logins.h"
#include "directory/lookup.h"
#include "message/alias.h"
#include "milter/folders.h"
#include "milter/forwarding.h"
#include "milter/notice.h"
#include "milter/service.h"
#include "milter/smtp.h"
#include "policy/policy.h"

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_check = {
	.name = "check",
	.usage = "[--directories]",
	.help = "check the configuration and print what is in effect",
	.details = "Warns of pinned and domain certificates that expire within 30 days.\n"
		   "  --directories   ask each LDAP server instead, and print whether it answers\n",
	.run = run,
};

/* Who is told what by mail, in which language, and the directory of logins. */
static enum rc
compile_people(struct conf *conf, struct err *err)
{
	const char *directory = conf_str(conf_section(conf, "notices"), "directory");
	struct attributes *people = NULL;
	struct notices *notices = NULL;
	struct logins *logins = NULL;
	struct people *followed = NULL;
	enum rc rc = logins_new(conf, &logins, err);

	if (rc == RC_OK || rc == RC_NONE)
		rc = notices_new(conf, &notices, err);
	if (rc == RC_OK && directory)
		rc = attributes_new(conf, directory, &people, err);
	if (rc == RC_OK)
		rc = people_new(conf, &followed, err);
	if (rc == RC_NONE)
		rc = RC_OK; /* no directory is followed */
	people_free(&followed);
	attributes_free(&people);
	notices_free(&notices);
	logins_free(&logins);
	return rc;
}

/* The ports that mail is handed to, if there are any. */
static enum rc
compile_ports(struct conf *conf, struct err *err)
{
	struct smtp_port *port = NULL;
	enum rc rc = smtp_port_new(conf, &port, err);

	smtp_port_free(&port);
	if (rc == RC_OK || rc == RC_NONE)
		rc = smtp_port_new_own(conf, &port, err);
	smtp_port_free(&port);
	return rc == RC_NONE ? RC_OK : rc;
}

/* What rules want to know of a directory, if there is one. */
static enum rc
compile_asked(struct conf *conf, const struct policy *policy, struct err *err)
{
	struct forwarding *forwarding = NULL;
	struct groups *groups = NULL;
	const char *const *names;
	enum rc rc = forwarding_new(conf, policy, &forwarding, err);

	if (rc == RC_OK || rc == RC_NONE) {
		size_t n = policy_groups(policy, &names);

		rc = groups_new(conf, names, n, &groups, err);
	}
	groups_free(&groups);
	forwarding_free(&forwarding);
	return rc == RC_NONE ? RC_OK : rc;
}

/* What the milter compiles. Nothing is opened or asked: no store, no directory, no socket. */
static enum rc
compile(struct conf *conf, struct err *err)
{
	struct policy *policy = NULL;
	struct rights *rights = NULL;
	struct trust *trust = NULL;
	struct lookups *lookups = NULL;
	struct alias_map *aliases = NULL;
	/* A machine with the vault alone has no service. */
	enum rc rc = conf_count(conf, "services") ? service_check_all(conf, err) : RC_OK;

	if (rc == RC_OK)
		rc = policy_compile(conf, &policy, err);
	if (rc == RC_OK)
		rc = rights_compile(conf, &rights, err);
	if (rc == RC_OK)
		rc = alias_map_load(
			conf_str(conf_section(conf, "organisation"), "alias_map"), &aliases, err);
	if (rc == RC_OK)
		rc = anchors_trust(conf, NULL, &trust, err);
	if (rc == RC_OK)
		rc = lookups_new(conf, NULL, trust, &lookups, err);
	if (rc == RC_OK)
		rc = compile_ports(conf, err);
	if (rc == RC_OK)
		rc = compile_asked(conf, policy, err);
	if (rc == RC_OK)
		rc = compile_people(conf, err);
	if (rc == RC_OK)
		rc = check_ca(conf, err);
	lookups_free(&lookups);
	trust_unref(&trust);
	alias_map_free(&aliases);
	rights_free(&rights);
	policy_free(&policy);
	return rc == RC_OK ? check_vault(conf, err) : rc;
}

/* Prints what is in effect. */
static int
print(const struct cli *cli, const struct buf *text)
{
	struct buf out = BUF_INIT(0);
	struct json json;

	if (!cli->json)
		return cmd_print(text);
	cmd_json_begin(&json, &out);
	conf_json(cli->conf, &json);
	return cmd_json_end(&json, EX_OK);
}

static void
tell_missing(const char *option, const char *dir, const char *why)
{
	fprintf(stderr, "sealgate: warning: %s: %s: %s\n", option, dir, why);
}

/* What only the daemons' machine can have: it may be another than this one. */
static void
warn_place(const struct conf *conf)
{
	static const char *const daemons[] = {"milter", "vault"};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < sizeof(daemons) / sizeof(*daemons); i++) {
		const char *user = conf_str(conf_section(conf, daemons[i]), "user");

		if (!getpwnam(user))
			fprintf(stderr, "sealgate: warning: %s.user: there is no user %s here\n",
				daemons[i], user);
	}
	if (conf_count(conf, "services") && folders_spool(conf, &err) != RC_OK && geteuid() == 0)
		fprintf(stderr, "sealgate: warning: %s\n", err.detail);
	folders_missing(conf, tell_missing);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	bool directories = false;
	const struct cmd_opt opts[] = {{"directories", OPT_FLAG, &directories}};
	int status;

	if (!cmd_parse(&cmd_check, cli, opts, 1, &argc, argv, &status) ||
		!cmd_conf(&cmd_check, cli, &status))
		return status;
	if (argc > 1)
		return cmd_usage(&cmd_check, "too many arguments");
	if (directories)
		return check_directories(cli);
	if (compile(cli->conf, &err) != RC_OK || conf_format(cli->conf, &text, &err) != RC_OK) {
		status = cmd_fail(&err);
		if (err_rc(err.code) == RC_PERM)
			status = EX_CONFIG;
	} else {
		status = print(cli, &text);
		warn_place(cli->conf);
		warn_ca(cli->conf);
		warn_named(cli->conf);
	}
	buf_fini(&text);
	return status;
}
