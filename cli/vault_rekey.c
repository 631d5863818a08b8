/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_rekey.c - sealgate vault rekey: another master key, while the vault runs
 *
 * The vault is shown the new master key and from then on can be opened with either; when the new
 * one is in its place, it is shown again, and the old one opens nothing any more. In a file, the
 * place is taken in these steps, so that after each of them FILE opens the store (NEW is
 * FILE.rekey-new, OLD is FILE.rekey-old):
 *
 *     NEW is written; the store takes the new key as "pending"; FILE is OLD as well; NEW becomes
 * FILE; the pending key becomes the only one; OLD is removed
 */
#include "base/file.h"
#include "cli/vault.h"
#include "keystore/admin.h"
#include "keystore/master.h"
#include "keystore/vault.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command vault_rekey = {
	.name = "vault rekey",
	.usage = "[--to SPEC [--key FILE]] [--deep] | --finish [--deep] | --cancel",
	.help = "another master key; with --deep everything is encrypted anew",
	.details =
		"  --to SPEC          where it will come from, as vault.master_key: file:PATH,\n"
		"                     credential:NAME, ask, pkcs11:…; default: what vault.master_key says\n"
		"  --key FILE         the new master key, 64 hex digits, instead of a random one\n"
		"  --deep             a new store key as well, under which everything is written anew\n"
		"  --finish           vault.master_key names the new one now: drop the old one\n"
		"  --cancel           drop the new one\n",
	.run = run,
};

struct rekey {
	struct cli *cli;
	const char *spec, *present; /* new and configured source */
	const char *key_file;
	char *dir;
	char *file; /* that SPEC names; NULL: none */
	char fresh[PATH_MAX + 16], old[PATH_MAX + 16];
	char kdf[MASTER_KDF_SIZE];
	struct secret *master;
};

static enum rc
find_files(struct rekey *r, struct err *err)
{
	enum rc rc = RC_OK;

	if (strncmp(r->spec, "file:", 5) == 0)
		rc = master_path(r->spec, r->dir, &r->file, err);
	if (!rc && r->file && strlen(r->file) >= PATH_MAX)
		rc = err_set(err, ERR_USAGE, "the name of the file is too long");
	if (!rc && r->file) {
		snprintf(r->fresh, sizeof(r->fresh), "%s.rekey-new", r->file);
		snprintf(r->old, sizeof(r->old), "%s.rekey-old", r->file);
	}
	return rc;
}

/* The vault's user has to read it as well. */
static enum rc
give_to_vault(const struct rekey *r, const char *path, struct err *err)
{
	struct stat st;

	if (geteuid() == 0 && (stat(conf_str(conf_section(r->cli->conf, "vault"), "store"), &st) ||
				      lchown(path, st.st_uid, st.st_gid)))
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return RC_OK;
}

/* The new master key. Nothing is changed yet, but that NEW is there. */
static enum rc
make_master(struct rekey *r, struct err *err)
{
	enum rc rc;

	if (strcmp(r->spec, "ask") == 0)
		return master_make("ask", r->dir, r->kdf, &r->master, err);
	if (strncmp(r->spec, "pkcs11:", 7) == 0) {
		rc = vault_read_pins(r->cli->conf, true, err);
		return rc ? rc : master_make(r->spec, r->dir, r->kdf, &r->master, err);
	}
	if (r->key_file) {
		char spec[PATH_MAX + 8];

		snprintf(spec, sizeof(spec), "file:%s", r->key_file);
		rc = master_read(spec, ".", "", geteuid(), &r->master, err);
	} else if (!r->file) {
		rc = master_read(r->spec, r->dir, "", geteuid(), &r->master, err);
	} else {
		rc = secret_random(MASTER_SIZE, &r->master, err);
	}
	if (!rc && r->file && strcmp(r->spec, r->present) != 0 && access(r->file, F_OK) == 0)
		rc = err_set(err, ERR_KEY_EXISTS, "%s: is there already", r->file);
	if (!rc && r->file) {
		rc = master_write(r->fresh, r->master, err);
		if (!rc)
			rc = give_to_vault(r, r->fresh, err);
		if (rc == RC_PERM && access(r->fresh, F_OK) == 0)
			rc = err_set(err, ERR_KEY_EXISTS,
				"%s: left by a rekey that was interrupted: use --finish or "
				"--cancel",
				r->fresh);
	}
	return rc;
}

static enum rc
announce(struct rekey *r, struct err *err)
{
	struct json_value *answer = NULL;
	struct asking asking;
	enum rc rc;

	asking_begin(&asking, "vault.rekey");
	json_str(&asking.json, "to", r->spec);
	json_str(&asking.json, "kdf", r->kdf);
	rc = asking_send(&asking, r->cli->conf, r->master, &answer, err);
	json_free(&answer);
	return rc;
}

/* NEW becomes FILE; what was there is OLD. */
static enum rc
put_in_place(const struct rekey *r, struct err *err)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", r->file);
	slash = strrchr(parent, '/');
	if (slash)
		*(slash == parent ? slash + 1 : slash) = 0;
	if (access(r->file, F_OK) == 0 && access(r->old, F_OK) != 0 && link(r->file, r->old))
		return err_set(err, ERR_FILE, "%s: %s", r->old, strerror(errno));
	if (rename(r->fresh, r->file))
		return err_set(err, ERR_FILE, "%s: %s", r->file, strerror(errno));
	return file_sync_dir(slash ? parent : ".", err);
}

/* The new master key is where the configuration says: the old one goes. */
static enum rc
finish(const struct rekey *r, struct err *err)
{
	enum rc rc = vault_do(r->cli, "vault.rekey.finish", r->master, err);

	if (!rc && r->file && unlink(r->old) && errno != ENOENT)
		rc = err_set(err, ERR_FILE, "the master key is replaced, but %s: %s", r->old,
			strerror(errno));
	return rc;
}

static int
deepen(const struct rekey *r)
{
	struct err err = ERR_INIT;

	if (vault_do(r->cli, "vault.reencrypt", r->master, &err) != RC_OK) {
		err_prefix(&err, "the master key is replaced, but nothing is encrypted anew");
		return cmd_fail(&err);
	}
	fprintf(stderr, "sealgate: everything is encrypted anew\n");
	return EX_OK;
}

static int
begin(struct rekey *r, bool deep)
{
	struct err err = ERR_INIT;
	bool same = strcmp(r->spec, r->present) == 0;
	enum rc rc = make_master(r, &err);

	if (!rc) {
		rc = announce(r, &err);
		/* No answer does not mean that it was not done. */
		if (rc && r->file &&
			(err.code == ERR_KEY_EXISTS || err.code == ERR_VAULT_DENIED ||
				err.code == ERR_USAGE))
			(void)unlink(r->fresh);
	}
	if (!rc && r->file)
		rc = put_in_place(r, &err);
	if (!rc && same && (r->file || master_needs_kdf(r->spec))) {
		rc = finish(r, &err);
		if (!rc && deep)
			return deepen(r);
	} else if (!rc) {
		fprintf(stderr,
			"sealgate: both master keys open the key store now. %s\n"
			"%s, then: sealgate vault rekey --finish%s\n",
			same ? "Put the new one into" : "Set vault.master_key to", r->spec,
			deep ? " --deep" : "");
		return EX_OK;
	}
	if (rc)
		return cmd_fail(&err);
	fprintf(stderr, "sealgate: the master key is replaced\n");
	return EX_OK;
}

/* The configured source has the new one; or NEW does, when we were killed before it became
 * FILE. */
static int
run_finish(struct rekey *r, bool deep)
{
	struct secret *fresh = NULL;
	struct err err = ERR_INIT;
	char spec[PATH_MAX + 32];
	enum rc rc = vault_read_master(r->cli->conf, &r->master, &err);

	if (!rc && r->file && access(r->fresh, F_OK) == 0) {
		snprintf(spec, sizeof(spec), "file:%s", r->fresh);
		rc = master_read(spec, r->dir, "", geteuid(), &fresh, &err);
		if (!rc)
			rc = vault_do(r->cli, "vault.rekey.check", fresh, &err);
		if (!rc)
			rc = put_in_place(r, &err);
		if (!rc) {
			secret_free(&r->master);
			r->master = fresh;
			fresh = NULL;
		}
	}
	if (!rc)
		rc = finish(r, &err);
	secret_free(&fresh);
	if (rc)
		return cmd_fail(&err);
	fprintf(stderr, "sealgate: the master key is replaced\n");
	return deep ? deepen(r) : EX_OK;
}

/* The old key back into FILE, when the new one is there already: NEW has that again. */
static enum rc
put_back(const struct rekey *r, struct err *err)
{
	if (!r->file || access(r->old, F_OK))
		return RC_OK;
	if (access(r->fresh, F_OK) && (link(r->file, r->fresh) || rename(r->old, r->file)))
		return err_set(err, ERR_FILE, "%s: %s", r->file, strerror(errno));
	return RC_OK;
}

static enum rc
remove_file(const char *path, struct err *err)
{
	return unlink(path) && errno != ENOENT
		       ? err_set(err, ERR_FILE, "%s: %s", path, strerror(errno))
		       : RC_OK;
}

static int
run_cancel(struct rekey *r)
{
	struct err err = ERR_INIT;
	enum rc rc = put_back(r, &err);

	if (!rc)
		rc = vault_do(r->cli, "vault.rekey.cancel", NULL, &err);
	/* Written, and killed before the store knew of it. */
	if (rc && err.code == ERR_VAULT_NO_KEY && r->file && access(r->fresh, F_OK) == 0)
		rc = RC_OK;
	if (!rc && r->file)
		rc = remove_file(r->fresh, &err);
	if (!rc && r->file)
		rc = remove_file(r->old, &err);
	return rc ? cmd_fail(&err) : EX_OK;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct rekey r = {.cli = cli};
	bool deep = false, end = false, cancel = false;
	const struct cmd_opt opts[] = {{"to", OPT_VALUE, &r.spec}, {"key", OPT_VALUE, &r.key_file},
		{"deep", OPT_FLAG, &deep}, {"finish", OPT_FLAG, &end},
		{"cancel", OPT_FLAG, &cancel}};
	struct err err = ERR_INIT;
	int status;

	if (!cmd_parse(&vault_rekey, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (argc > 1 || end + cancel > 1 || ((end || cancel) && (r.spec || r.key_file)) ||
		(cancel && deep))
		return cmd_usage(&vault_rekey, "these do not go together");
	if (!cmd_conf(&vault_rekey, cli, &status))
		return status;
	r.present = conf_str(conf_section(cli->conf, "vault"), "master_key");
	if (!r.spec)
		r.spec = r.present;
	r.dir = vault_conf_dir(cli->conf);
	if (!r.dir)
		return EX_SOFTWARE;
	if (find_files(&r, &err) != RC_OK)
		status = cmd_fail(&err);
	else
		status = end ? run_finish(&r, deep) : cancel ? run_cancel(&r) : begin(&r, deep);
	secret_free(&r.master);
	free(r.file);
	free(r.dir);
	return status;
}
