/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_restore.c - sealgate vault restore: a backup becomes a folder from which the vault starts
 */
#include "base/file.h"
#include "cli/vault.h"
#include "crypto/p12.h"
#include "directory/certstore.h"
#include "keystore/restore.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command vault_restore = {
	.name = "vault restore",
	.usage = "--dir DIR [--key FILE]… [--password FILE] [--passphrase-file FILE] "
		 "[--master SPEC] BACKUP",
	.help = "make a gateway's folder from a backup",
	.details = "DIR must not be there yet, or be empty.\n"
		   "  --key FILE               private key and certificate of somebody it is for\n"
		   "  --password FILE          the first line of FILE is the password of that\n"
		   "  --passphrase-file FILE   the first line of FILE is the backup's passphrase;\n"
		   "                           without it and without --key, it is asked for\n"
		   "  --master SPEC            where the new master key will come from, as\n"
		   "                           vault.master_key; default: a file\n",
	.run = run,
};

#define KEYS_MAX 16

static const char *passphrase_file;

static enum rc
ask_passphrase(struct secret **out, struct err *err)
{
	return vault_passphrase(passphrase_file, false, out, err);
}

static bool
has_cert(const struct p12 *p12)
{
	for (size_t i = 0; i < p12->n; i++)
		if (p12->items[i].cert)
			return true;
	return false;
}

static enum rc
read_keys(const struct cmd_values *files, const char *password_file, struct p12 keys[KEYS_MAX],
	size_t *n, struct err *err)
{
	struct secret *password = NULL;
	enum rc rc = password_file ? vault_passphrase(password_file, false, &password, err) : RC_OK;

	for (*n = 0; !rc && *n < files->n; ++*n) {
		struct buf data = {.max = P12_MAX_BYTES, .wipe = true};

		rc = file_read(files->v[*n], &data, err);
		if (rc == RC_NONE)
			rc = RC_TEMP;
		if (!rc)
			rc = p12_parse(data.data, data.len, password, &keys[*n], err);
		if (!rc && !has_cert(&keys[*n])) {
			p12_fini(&keys[*n]);
			rc = err_set(err, ERR_KEY_MALFORMED,
				"a key without its certificate, by which a backup names who opens it");
		}
		if (rc && err)
			err_prefix(err, "%s", files->v[*n]);
		buf_fini(&data);
	}
	secret_free(&password);
	return rc;
}

/* Other people's certificates: the store of the backup has to be one; without one there is an empty
 * one. */
static enum rc
make_certstore(const struct conf *conf, struct err *err)
{
	const char *path = conf_str(conf_section(conf, "certstore"), "path");
	struct certstore *store = NULL;
	enum rc rc = certstore_open(path, access(path, F_OK) != 0, &store, err);

	certstore_close(&store);
	return rc;
}

static void
report(const struct restore_result *result)
{
	printf("%s is ready, from a backup of %s.\n"
	       "Its ledger goes on behind record %llu; what came after that is not in it.\n"
	       "The master key is new: %s. The journal, notices under way and PINs are not in a\n"
	       "backup.\n",
		result->conf, result->time, (unsigned long long)result->seq, result->master);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *dir = NULL, *password = NULL, *master = NULL;
	struct cmd_values files = {.n = 0};
	const struct cmd_opt opts[] = {{"dir", OPT_VALUE, &dir}, {"key", OPT_VALUES, &files},
		{"password", OPT_VALUE, &password},
		{"passphrase-file", OPT_VALUE, &passphrase_file}, {"master", OPT_VALUE, &master}};
	struct p12 officers[KEYS_MAX] = {0};
	struct restore_keys keys = {
		.officers = officers, .passphrase = ask_passphrase, .complete = make_certstore};
	struct restore_result result;
	struct err err = ERR_INIT;
	int status;
	enum rc rc;

	if (!cmd_parse(
		    &vault_restore, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status))
		return status;
	if (argc != 2 || !dir || files.n > KEYS_MAX)
		return cmd_usage(&vault_restore, "--dir and one backup are needed");
	if (files.n && !passphrase_file)
		keys.passphrase = NULL; /* who has a key is not asked for a passphrase */
	if (read_keys(&files, password, officers, &keys.n, &err) != RC_OK)
		rc = err.code == ERR_FILE ? RC_NONE : err_rc(err.code);
	else
		rc = restore_backup(argv[1], dir, master, &keys, &result, &err);
	for (size_t i = 0; i < KEYS_MAX; i++)
		p12_fini(&officers[i]);
	if (rc)
		return rc == RC_NONE ? cmd_fail_input(&err) : cmd_fail(&err);
	report(&result);
	return EX_OK;
}
