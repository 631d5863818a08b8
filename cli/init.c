/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * init.c - sealgate init: a folder with everything that a small site needs, ready to run
 *
 * As root, with the users sealgate and sealgate-vault on the system, each daemon gets its own user
 * and a folder of its own in DIR. Otherwise (an ordinary user, or no such users) both run as the
 * caller.
 */
#include "base/file.h"
#include "cli/cmd.h"
#include "directory/certstore.h"
#include "keystore/admin.h"
#include "keystore/ledger_verify.h"
#include "message/addr.h"
#include "milter/stamp_keys.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command cmd_init = {
	.name = "init",
	.usage = "--dir DIR --domain D [--organisation NAME]",
	.help = "make a new gateway's folder: configuration, keys, CA, ledger",
	.details = "DIR must not be there yet, or be empty.\n"
		   "  --dir DIR             where everything will be\n"
		   "  --domain D            our mail domain\n"
		   "  --organisation NAME   for certificates and texts; default: the domain\n",
	.run = run,
};

struct init {
	char dir[PATH_MAX]; /* absolute */
	char conf_path[PATH_MAX + 16];
	char domain[ADDR_MAX + 1];
	const char *organisation;
	char caller[64];
	char milter_user[64], vault_user[64];
	const char *fetch_user;
	bool separate; /* the daemons have users of their own */
	bool postfix_group;
	char node[65];
};

/* "  TEXT" as the inside of a libconfig string. */
static enum rc
append_quoted(struct buf *out, const char *text, struct err *err)
{
	enum rc rc = buf_append_char(out, '"', err);

	for (; rc == RC_OK && *text; text++) {
		if (*text == '"' || *text == '\\')
			rc = buf_append_char(out, '\\', err);
		if (rc == RC_OK)
			rc = buf_append_char(out, *text, err);
	}
	return rc == RC_OK ? buf_append_char(out, '"', err) : rc;
}

/* This machine's name, as far as a ledger's node may be called so. */
static void
choose_node(struct init *init)
{
	char host[65] = "";
	size_t n;

	(void)gethostname(host, sizeof(host) - 1);
	n = strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	host[n] = '\0';
	snprintf(init->node, sizeof(init->node), "%s", n ? host : "node1");
}

/* Who the daemons will be. */
static enum rc
choose_users(struct init *init, struct err *err)
{
	const struct passwd *pw = getpwuid(geteuid());

	if (!pw || strlen(pw->pw_name) >= sizeof(init->caller))
		return err_set(err, ERR_CONFIG, "uid %u has no user name", (unsigned)geteuid());
	strcpy(init->caller, pw->pw_name);
	init->separate = geteuid() == 0 && getpwnam("sealgate") && getpwnam("sealgate-vault");
	strcpy(init->milter_user, init->separate ? "sealgate" : init->caller);
	strcpy(init->vault_user, init->separate ? "sealgate-vault" : init->caller);
	init->fetch_user = init->separate ? "sealgate-fetcher" : init->caller;
	init->postfix_group = geteuid() == 0 && getgrnam("postfix");
	return RC_OK;
}

/* D in canonical form. */
static enum rc
take_domain(struct init *init, const char *domain, struct err *err)
{
	char addr[ADDR_MAX + 3], canonical[ADDR_MAX + 1];
	const char *of;
	enum rc rc;

	if (strlen(domain) > 253 || strpbrk(domain, "@<>\"\\ \t\r\n") || !*domain)
		return err_set(err, ERR_USAGE, "\"%.253s\" is no mail domain", domain);
	snprintf(addr, sizeof(addr), "x@%s", domain);
	rc = addr_canonical(addr, strlen(addr), canonical, err);
	of = rc == RC_OK ? addr_domain(canonical) : NULL;
	if (!of || strspn(of, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(of))
		return err_set(err, ERR_USAGE, "\"%.253s\" is no mail domain", domain);
	strcpy(init->domain, of);
	return RC_OK;
}

/* Makes DIR, or finds it empty, and makes its path absolute. */
static enum rc
take_dir(struct init *init, const char *dir, struct err *err)
{
	const struct dirent *entry;
	DIR *d;
	bool empty = true;

	if (strpbrk(dir, "\"\n") || !*dir)
		return err_set(err, ERR_USAGE, "a bad name for a folder");
	if (file_make_dir(dir, 0755, err) != RC_OK)
		return RC_TEMP;
	d = opendir(dir);
	if (!d || !realpath(dir, init->dir)) {
		if (d)
			closedir(d);
		return err_set(err, ERR_FILE, "%s: %s", dir, strerror(errno));
	}
	while (empty && (entry = readdir(d)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(d);
	if (!empty)
		return err_set(err, ERR_KEY_EXISTS, "%s is not empty", init->dir);
	if (strlen(init->dir) + sizeof("/run/milter.sock") >
		sizeof((struct sockaddr_un *)0)->sun_path)
		return err_set(
			err, ERR_USAGE, "%s: too long for the name of a socket in it", init->dir);
	snprintf(init->conf_path, sizeof(init->conf_path), "%s/sealgate.conf", init->dir);
	if (chmod(init->dir, 0755))
		return err_set(err, ERR_FILE, "%s: %s", init->dir, strerror(errno));
	return RC_OK;
}

/* One folder in DIR with its mode and owner. USER NULL: the caller. */
static enum rc
make_folder(
	const struct init *init, const char *name, mode_t mode, const char *user, struct err *err)
{
	const struct passwd *pw = user && geteuid() == 0 ? getpwnam(user) : NULL;
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", init->dir, name);
	if (mkdir(path, 0700) || chmod(path, mode) || (pw && chown(path, pw->pw_uid, pw->pw_gid)))
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return RC_OK;
}

/* The folders, each for who writes there. */
static enum rc
make_folders(const struct init *init, struct err *err)
{
	enum rc rc = make_folder(init, "run", 0755, NULL, err);

	if (rc == RC_OK)
		rc = make_folder(init, "spool", 0700, init->milter_user, err);
	if (rc == RC_OK)
		rc = make_folder(init, "certs", 0700, init->milter_user, err);
	if (rc == RC_OK)
		rc = make_folder(init, "state", 0700, init->milter_user, err);
	if (rc == RC_OK)
		rc = make_folder(init, "vault", 0700, init->vault_user, err);
	return rc == RC_OK ? make_folder(init, "crls", 0755, NULL, err) : rc;
}

/* Who runs what. */
static enum rc
format_users(const struct init *init, struct buf *out, struct err *err)
{
	return buf_appendf(out, err,
		"# Reads mail, holds no key.\n"
		"milter = {\n"
		"\tuser = \"%s\";\n"
		"\tspool = \"spool\";\n"
		"};\n"
		"# Where copies go when the recipients of one message need different treatment: a port of the\n"
		"# MTA that only sealgate may use, see contrib/postfix. Without it such mail is refused.\n"
		"#   port = { address = \"inet:10027@127.0.0.1\"; user = \"sealgate@localhost\";\n"
		"#            password_file = \"port.password\"; };\n"
		"journal = { path = \"state/journal.db\"; };  # of unfinished messages; nothing to back up\n"
		"notices = { store = \"state/notices.db\"; };  # mail to people that is still to be sent\n\n"
		"# Holds the keys, never sees a message.\n"
		"vault = {\n"
		"\tuser = \"%s\";\n"
		"\tsocket = \"run/vault.sock\";\n"
		"\tadmin_socket = \"run/admin.sock\";\n"
		"\tstore = \"vault/vault.db\";\n"
		"\tmaster_key = \"file:vault/master.key\";  # keep a copy elsewhere: without it every key is lost\n"
		"};\n\n"
		"# The record of every use of a key. \"sealgate audit verify\" proves it whole.\n"
		"ledger = {\n"
		"\tdir = \"ledger\";\n"
		"\tnode = \"%s\";\n"
		"};\n\n"
		"# The MTA connects here. Its group must be allowed to use the socket.\n"
		"services = (\n"
		"\t{ name = \"all\"; role = \"all\"; socket = \"unix:%s/run/milter.sock\";%s }\n"
		");\n\n"
		"# Keys for what a gate says of a sender, and for the mark of opened mail.\n"
		"stamp = { key_file = \"stamp.key\"; };\n\n"
		"# How often each key may be used in an hour; beyond it mail waits, and the log says so before.\n"
		"budgets = (\n"
		"\t{ use = \"open\"; hour = 2000; },\n"
		"\t{ use = \"sign\"; hour = 20000; }\n"
		");\n\n"
		"# Who may do what with the tool, beside root and the vault's own user.\n"
		"# \"process\" uses keys as the gateway does; take it away when nobody needs it.\n"
		"operators = (\n"
		"\t{ user = \"%s\"; rights = ( \"process\", \"keys\", \"audit\" ); }\n"
		");\n\n",
		init->milter_user, init->vault_user, init->node, init->dir,
		init->postfix_group ? " socket_group = \"postfix\";" : "", init->caller);
}

/* Whom and what to trust, what is done with mail. */
static enum rc
format_policy(const struct init *init, struct buf *out, struct err *err)
{
	return buf_appendf(out, err,
		"# Other people's certificates. A directory is added like this:\n"
		"#   directories = ( { name = \"partners\"; uri = \"ldaps://ldap.example.org\";\n"
		"#                     base = \"dc=example,dc=org\"; } );\n"
		"certstore = { path = \"certs/certs.db\"; };\n\n"
		"# Our own CA, for our own people only. Others: \"sealgate cert add --anchor\".\n"
		"anchors = (\n"
		"\t{ file = \"ca.pem\"; domains = \"%s\"; }\n"
		");\n"
		"trust = { crl_dir = \"crls\"; };  # revocation is checked where a CRL is at hand\n"
		"# Our own lists go there too, after each \"sealgate key revoke\" and by the timer sealgate-crl.\n"
		"ca = { crl_dir = \"crls\"; };\n"
		"# What sealgate-fetcher gets: lists, OCSP answers and CA certificates that certificates point to.\n"
		"# Without that program nothing is fetched, and everything else works.\n"
		"fetch = { user = \"%s\"; dir = \"fetched\"; socket = \"run/fetch.sock\"; };\n\n"
		"# Who is signed for: a SASL login that is an address, for that address.\n"
		"rights = (\n"
		"\t{ identity = \"*\"; from = \"%%l\"; key = \"own\"; }\n"
		");\n\n"
		"# Rules come here, the first that matches decides. Behind them stand the shipped ones:\n"
		"# mail of authorised senders is signed, and encrypted for each outside recipient with\n"
		"# a proven certificate; what comes in is opened for its owner and verified. Example:\n"
		"#   rules = ( { name = \"must-encrypt\"; direction = \"outbound\"; recipients = \"@example.net\";\n"
		"#               sign = \"required\"; encrypt = \"required\"; } );\n",
		init->domain, init->fetch_user);
}

/* The whole configuration file. */
static enum rc
format_conf(const struct init *init, struct buf *out, struct err *err)
{
	enum rc rc = buf_append_str(out,
		"# sealgate.conf - made by \"sealgate init\"; every option: sealgate.conf(5)\n"
		"# Relative paths start at this file's folder. \"sealgate -c FILE check\" shows what is in effect.\n\n"
		"organisation = {\n\tname = ",
		err);

	if (rc == RC_OK)
		rc = append_quoted(out, init->organisation, err);
	if (rc == RC_OK)
		rc = buf_appendf(out, err, ";\n\tdomains = ( \"%s\" );\n};\n\n", init->domain);
	if (rc == RC_OK)
		rc = format_users(init, out, err);
	return rc == RC_OK ? format_policy(init, out, err) : rc;
}

/* The store of certificates, so that it belongs to the milter's user from the beginning. */
static enum rc
make_certstore(const struct init *init, const struct conf *conf, struct err *err)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	const char *path = conf_str(conf_section(conf, "certstore"), "path");
	const struct passwd *pw = getpwnam(init->milter_user);
	struct certstore *store = NULL;
	char name[PATH_MAX + 8];
	enum rc rc = certstore_open(path, true, &store, err);

	certstore_close(&store);
	for (size_t i = 0; rc == RC_OK && geteuid() == 0 && pw && i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		if (lchown(name, pw->pw_uid, pw->pw_gid) && errno != ENOENT)
			rc = err_set(err, ERR_FILE, "%s: %s", name, strerror(errno));
	}
	return rc;
}

/* The keys of stamps and marks: the milter reads them, and nobody else. */
static enum rc
make_stamp_key(const struct init *init, const struct conf *conf, struct err *err)
{
	const char *path = conf_str(conf_section(conf, "stamp"), "key_file");
	const struct passwd *pw = geteuid() == 0 ? getpwnam(init->milter_user) : NULL;
	struct buf text = {.wipe = true};
	enum rc rc = stamp_keys_generate(&text, err);

	if (rc == RC_OK)
		rc = file_write_new(path, text.data, text.len, 0400, err);
	if (rc == RC_OK && pw && lchown(path, pw->pw_uid, pw->pw_gid))
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	buf_fini(&text);
	return rc;
}

/* Everything in DIR. */
static enum rc
fill_dir(struct init *init, struct cli *cli, struct err *err)
{
	const struct admin_init admin = {
		.organisation = init->organisation, .domain = init->domain};
	struct buf text = BUF_INIT(0), ca = BUF_INIT(0);
	char path[PATH_MAX + 16];
	enum rc rc = make_folders(init, err);

	if (rc == RC_OK)
		rc = format_conf(init, &text, err);
	if (rc == RC_OK)
		rc = file_write_new(init->conf_path, text.data, text.len, 0644, err);
	if (rc == RC_OK)
		rc = conf_load(init->conf_path, &cli->conf, err);
	if (rc == RC_OK)
		rc = admin_init(cli->conf, &admin, &ca, err);
	snprintf(path, sizeof(path), "%s/ca.pem", init->dir);
	if (rc == RC_OK)
		rc = file_write_new(path, ca.data, ca.len, 0644, err);
	if (rc == RC_OK)
		rc = make_certstore(init, cli->conf, err);
	if (rc == RC_OK)
		rc = make_stamp_key(init, cli->conf, err);
	buf_fini(&text);
	buf_fini(&ca);
	return rc;
}

/* For nftw after a failure: everything in DIR was made by us. */
static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	return ftw->level ? remove(path) : 0; /* DIR itself stays */
}

/* For people. The anchor is the last line, so that "tail -n 1" has it. */
static void
print_next_steps(const struct init *init, const char *anchor)
{
	printf("%s is ready. Next, a key for each person, and the two daemons:\n\n"
	       "  sealgate -c %s key new alice@%s\n"
	       "  sealgate-vault -c %s\n"
	       "  sealgate-milter -c %s\n\n"
	       "and, where revocation lists are to be fetched:\n\n"
	       "  sealgate-fetcher -c %s\n\n",
		init->dir, init->conf_path, init->domain, init->conf_path, init->conf_path,
		init->conf_path);
	if (geteuid() == 0)
		printf("So that they start at boot, from the folder of sealgate's source:\n\n"
		       "  contrib/systemd/install %s\n\n",
			init->dir);
	if (init->separate && !getpwnam(init->fetch_user))
		printf("That one needs a system user \"%s\", which is not here yet.\n\n",
			init->fetch_user);
	if (geteuid() == 0 && !init->separate)
		printf("There are no users \"sealgate\" and \"sealgate-vault\" here, so both daemons will run as\n"
		       "root. Better: make these two system users, and begin again with an empty folder.\n\n");
	printf("The MTA's milter is unix:%s/run/milter.sock\n", init->dir);
	if (geteuid() == 0 && !init->postfix_group)
		printf("Its group has to be the MTA's: name it with socket_group in the configuration.\n");
	printf("Keep a copy of %s/vault/master.key where nobody but you finds it.\n"
	       "Keep this line elsewhere; with it \"audit verify --anchor\" knows this ledger again:\n%s\n",
		init->dir, anchor);
}

/* What to do next, and what to keep elsewhere. */
static int
report(const struct init *init, struct cli *cli)
{
	struct ledger_report ledger;
	struct buf text = BUF_INIT(0), anchor = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct json json;
	const char *dir = conf_str(conf_section(cli->conf, "ledger"), "dir");
	int status;

	if (ledger_verify(dir, NULL, 0, &ledger, &err) != RC_OK ||
		ledger_anchor(dir, &anchor, &err) != RC_OK) {
		status = cmd_fail(&err);
	} else if (cli->json) {
		cmd_json_begin(&json, &text);
		json_str(&json, "dir", init->dir);
		json_str(&json, "config", init->conf_path);
		json_str(&json, "domain", init->domain);
		json_str(&json, "ledger_root", ledger.root);
		json_str(&json, "anchor", buf_text(&anchor));
		json_object_end(&json);
		status = cmd_print_json(&json, EX_OK);
	} else {
		print_next_steps(init, buf_text(&anchor));
		status = EX_OK;
	}
	buf_fini(&text);
	buf_fini(&anchor);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *dir = NULL, *domain = NULL, *organisation = NULL;
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &dir}, {"domain", OPT_VALUE, &domain},
		{"organisation", OPT_VALUE, &organisation}};
	struct init init = {.separate = false};
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&cmd_init, cli, opts, 3, &argc, argv, &status))
		return status;
	if (!dir || !domain || argc > 1)
		return cmd_usage(&cmd_init, "--dir and --domain are needed, and nothing else");
	init.organisation = organisation ? organisation : init.domain;
	choose_node(&init);
	if (organisation &&
		(!*organisation || strpbrk(organisation, "\r\n") || strlen(organisation) > 64))
		return cmd_usage(&cmd_init, "a name of the organisation has 1 to 64 bytes");
	if (take_domain(&init, domain, &err) != RC_OK || choose_users(&init, &err) != RC_OK ||
		take_dir(&init, dir, &err) != RC_OK)
		return cmd_fail(&err);
	if (fill_dir(&init, cli, &err) != RC_OK) {
		(void)nftw(init.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
		return cmd_fail(&err);
	}
	return report(&init, cli);
}
