/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vault_backup.c - sealgate vault backup: store, ledger and configuration in one encrypted file
 *
 * The vault encrypts and gives it piece by piece; the file gets its name when it is whole. What the
 * vault cannot read of the configuration's files, because they are the milter's, goes along with
 * the request.
 */
#include "base/file.h"
#include "cli/vault.h"
#include "crypto/kek.h"
#include "directory/certstore.h"
#include "keystore/admin.h"
#include "keystore/admin_backup.h"
#include "keystore/master.h"
#include "keystore/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int run(struct cli *cli, int argc, char **argv);

const struct command vault_backup = {
	.name = "vault backup",
	.usage = "[--to CERT]… [--passphrase | --passphrase-file FILE] BACKUP",
	.help = "store, ledger and configuration in one encrypted file, while the vault runs",
	.details = "  --to CERT                certificates of those who can open it, PEM or DER\n"
		   "  --passphrase             for a passphrase, asked twice\n"
		   "  --passphrase-file FILE   the first line of FILE, which only you can read\n",
	.run = run,
};

#define REQUEST_MAX (6u << 20)
#define FILE_LIMIT  (1u << 20)

struct making {
	struct cli *cli;
	const struct cmd_values *to;
	bool ask;
	const char *passphrase_file;
	struct buf parts; /* of the request */
	struct buf names; /* of the files in it, each with a NUL */
	int certs;        /* a copy of certs.db; -1: none */
};

/* --- the request --- */

static void
leave_out(const char *path, const char *why)
{
	fprintf(stderr, "sealgate: not in the backup: %s: %s\n", path, why);
}

/* Two options may name one file or folder. */
static bool
has_name(const struct making *m, const char *name)
{
	const char *names = (const char *)m->names.data;

	for (size_t i = 0; i < m->names.len; i += strlen(names + i) + 1)
		if (strcmp(names + i, name) == 0)
			return true;
	return false;
}

/* The file PATH, if it is a small one that can be read. */
static enum rc
add_file(struct making *m, const char *name, const char *path, struct err *err)
{
	struct buf data = {.max = FILE_LIMIT, .wipe = true};
	struct err why = ERR_INIT;
	struct stat st;
	enum rc rc = RC_OK;

	if (has_name(m, name) || stat(path, &st) || !S_ISREG(st.st_mode))
		return RC_OK; /* there already, or none yet */
	if (file_read(path, &data, &why) != RC_OK)
		leave_out(path, why.detail);
	else if (strlen(name) >= TAR_NAME || m->parts.len + data.len > REQUEST_MAX)
		leave_out(path, "too much");
	else {
		rc = admin_pack_part(&m->parts, ADMIN_PART_NAME, name, strlen(name), err);
		if (!rc)
			rc = admin_pack_part(&m->parts, ADMIN_PART_FILE, data.data, data.len, err);
		if (!rc)
			rc = buf_append(&m->names, name, strlen(name) + 1, err);
	}
	buf_fini(&data);
	return rc;
}

/* Its name in the archive: below the configuration's folder as it is, others below root/. */
static void
name_of(const char *dir, const char *path, char out[PATH_MAX + 8])
{
	size_t len = strlen(dir);

	if (strncmp(path, dir, len) == 0 && path[len] == '/')
		snprintf(out, PATH_MAX + 8, "%s", path + len + 1);
	else
		snprintf(out, PATH_MAX + 8, "root%s", path);
}

static enum rc
add_path(struct making *m, const char *dir, const char *path, struct err *err)
{
	char name[PATH_MAX + 8], **names = NULL;
	struct stat st;
	size_t n = 0;
	enum rc rc = RC_OK;

	if (stat(path, &st)) {
		if (errno != ENOENT)
			leave_out(path, strerror(errno));
		return RC_OK;
	}
	name_of(dir, path, name);
	if (!S_ISDIR(st.st_mode))
		return add_file(m, name, path, err);
	if (file_list(path, 1000, &names, &n, NULL) != RC_OK)
		leave_out(path, "the folder cannot be read");
	for (size_t i = 0; !rc && i < n; i++) {
		char *one = file_join(path, names[i]);

		if (!one) {
			rc = err_set(err, ERR_MEMORY, "backup");
			break;
		}
		name_of(dir, one, name);
		rc = add_file(m, name, one, err);
		free(one);
	}
	file_list_free(&names, n);
	return rc;
}

/* What is in the backup as itself, is made anew, or is no file of the configuration. */
static bool
is_state(const char *section, const char *name)
{
	static const char *const rows[][2] = {{"vault", "store"}, {"vault", "socket"},
		{"vault", "admin_socket"}, {"ledger", "dir"}, {"milter", "spool"},
		{"journal", "path"}, {"notices", "store"}, {"certstore", "path"},
		{"replies", "path"}, {"tokens", "module"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(rows[i][0], section) == 0 && strcmp(rows[i][1], name) == 0)
			return true;
	return false;
}

static enum rc
add_configuration(struct making *m, struct err *err)
{
	const struct conf *conf = m->cli->conf;
	const char *dir = conf_dir(conf);
	size_t n;
	const struct conf_option *rows = conf_options(&n);
	enum rc rc = add_file(m, "sealgate.conf", conf_path(conf), err);

	if (!rc)
		rc = admin_pack_part(
			&m->parts, ADMIN_PART_NAME, "sealgate.dir", strlen("sealgate.dir"), err);
	if (!rc)
		rc = admin_pack_part(&m->parts, ADMIN_PART_FILE, dir, strlen(dir), err);
	for (size_t i = 0; !rc && i < n; i++) {
		size_t groups = rows[i].list ? conf_count(conf, rows[i].section) : 1;

		if (rows[i].type != CONF_PATH || is_state(rows[i].section, rows[i].name))
			continue;
		for (size_t g = 0; !rc && g < groups; g++) {
			const char *path =
				conf_str(rows[i].list ? conf_item(conf, rows[i].section, g)
						      : conf_section(conf, rows[i].section),
					rows[i].name);

			if (path)
				rc = add_path(m, dir, path, err);
		}
	}
	return rc;
}

static enum rc
add_certs(struct making *m, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < m->to->n; i++) {
		struct buf data = BUF_INIT(FILE_LIMIT);

		rc = file_read(m->to->v[i], &data, err);
		if (rc == RC_NONE)
			rc = RC_TEMP;
		if (!rc)
			rc = admin_pack_part(&m->parts, ADMIN_PART_CERTS, data.data, data.len, err);
		buf_fini(&data);
	}
	return rc;
}

static enum rc
add_passphrase(struct making *m, struct err *err)
{
	struct secret *passphrase = NULL;
	struct kek kek = {{0}, NULL};
	enum rc rc = vault_passphrase(m->passphrase_file, true, &passphrase, err);

	if (!rc)
		rc = kek_make(passphrase, &kek, err);
	if (!rc)
		rc = admin_pack_part(&m->parts, ADMIN_PART_KEK_ID, kek.id, strlen(kek.id), err);
	if (!rc)
		rc = admin_pack_part(
			&m->parts, ADMIN_PART_KEK, secret_data(kek.key), KEK_SIZE, err);
	kek_fini(&kek);
	secret_free(&passphrase);
	return rc;
}

/* A copy of the certificate store beside the backup, without a name; its size goes along. */
static enum rc
add_certstore(struct making *m, const char *backup, struct err *err)
{
	const char *path = conf_str(conf_section(m->cli->conf, "certstore"), "path");
	char temp[PATH_MAX], size[24];
	struct err why = ERR_INIT;
	struct stat st;
	enum rc rc;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", backup) >= sizeof(temp))
		return err_set(err, ERR_USAGE, "the name of the file is too long");
	m->certs = mkostemp(temp, O_CLOEXEC);
	if (m->certs < 0)
		return err_set(err, ERR_FILE, "%s: %s", temp, strerror(errno));
	rc = certstore_copy(path, temp, &why);
	(void)unlink(temp);
	if (!rc && !fstat(m->certs, &st) && st.st_size > 0) {
		snprintf(size, sizeof(size), "%lld", (long long)st.st_size);
		return admin_pack_part(&m->parts, ADMIN_PART_CERTDB, size, strlen(size), err);
	}
	close(m->certs);
	m->certs = -1;
	if (access(path, R_OK) == 0 && rc) /* it is ours to read: a backup without it would lie */
		return err_set(err, why.code, "%s", why.detail);
	if (rc && rc != RC_NONE)
		leave_out(path, why.detail);
	return RC_OK;
}

static enum rc
make_request(struct making *m, struct secret **blob, struct err *err)
{
	enum rc rc = add_certs(m, err);

	if (!rc && (m->ask || m->passphrase_file))
		rc = add_passphrase(m, err);
	if (!rc)
		rc = add_configuration(m, err);
	return rc ? rc : secret_copy(m->parts.data, m->parts.len, blob, err);
}

/* --- the file --- */

/* What the vault wants next of the certificate store. */
static enum rc
read_certs(const struct making *m, int64_t wants, struct secret **blob, struct err *err)
{
	enum rc rc;
	ssize_t n;

	*blob = NULL;
	if (wants <= 0)
		return RC_OK;
	rc = secret_new(wants < FILE_LIMIT ? (size_t)wants : FILE_LIMIT, blob, err);
	n = rc ? 0 : read(m->certs, secret_data(*blob), secret_len(*blob));
	if (!rc && n <= 0)
		rc = err_set(err, ERR_FILE, "the copy of certs.db: %s",
			n < 0 ? strerror(errno) : "it became shorter");
	if (!rc)
		secret_truncate(*blob, (size_t)n);
	else
		secret_free(blob);
	return rc;
}

/* All pieces into FD. */
static enum rc
take_pieces(struct making *m, struct admin_session *session, int64_t seq, int fd, struct err *err)
{
	int64_t wants = 0;
	struct buf request = BUF_INIT(256);
	bool done = false;
	enum rc rc = buf_appendf(
		&request, err, "{\"cmd\":\"vault.backup.next\",\"seq\":%lld}", (long long)seq);

	while (!rc && !done) {
		struct json_value *answer = NULL;
		struct secret *piece = NULL, *more = NULL;

		rc = read_certs(m, wants, &more, err);
		if (!rc)
			rc = admin_ask(session, request.data, more, &answer, &piece, err);
		if (!rc)
			done = json_is_true(json_find(answer, "done"));
		if (!rc)
			wants = json_get_int(answer, "wants", 0);
		secret_free(&more);
		if (!rc && piece)
			rc = file_write_all(fd, secret_data(piece), secret_len(piece), err);
		secret_free(&piece);
		json_free(&answer);
	}
	buf_fini(&request);
	return rc;
}

/* TEMP becomes PATH, which must not be there. */
static enum rc
give_name(int fd, const char *temp, const char *path, struct err *err)
{
	char parent[PATH_MAX];
	char *slash;

	if (fsync(fd) || link(temp, path))
		return err_set(err, errno == EEXIST ? ERR_KEY_EXISTS : ERR_FILE, "%s: %s", path,
			strerror(errno));
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash)
		*(slash == parent ? slash + 1 : slash) = 0;
	return file_sync_dir(slash ? parent : ".", err);
}

static enum rc
write_backup(struct making *m, const char *path, int64_t *seq, struct err *err)
{
	char temp[PATH_MAX];
	struct admin_session *session = NULL;
	struct json_value *answer = NULL;
	struct secret *blob = NULL;
	int fd = -1;
	enum rc rc = RC_OK;

	if (access(path, F_OK) == 0)
		return err_set(err, ERR_KEY_EXISTS, "%s: is there already", path);
	if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= sizeof(temp))
		return err_set(err, ERR_USAGE, "the name of the file is too long");
	rc = add_certstore(m, path, err);
	if (!rc)
		rc = make_request(m, &blob, err);
	if (!rc && (fd = mkostemp(temp, O_CLOEXEC)) < 0)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (!rc)
		rc = admin_open(m->cli->conf, &session, err);
	if (!rc)
		rc = admin_ask(session, "{\"cmd\":\"vault.backup\"}", blob, &answer, NULL, err);
	if (!rc) {
		*seq = json_get_int(answer, "seq", -1);
		rc = take_pieces(m, session, *seq, fd, err);
	}
	if (!rc)
		rc = give_name(fd, temp, path, err);
	admin_close(&session);
	json_free(&answer);
	secret_free(&blob);
	if (fd >= 0) {
		close(fd);
		(void)unlink(temp);
	}
	if (m->certs >= 0)
		close(m->certs);
	return rc;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct cmd_values certs = {.n = 0};
	struct making m = {
		.cli = cli,
		.to = &certs,
		.certs = -1,
		.parts = {.max = 2 * REQUEST_MAX, .wipe = true},
		.names = {.max = REQUEST_MAX},
	};
	const struct cmd_opt opts[] = {{"to", OPT_VALUES, &certs}, {"passphrase", OPT_FLAG, &m.ask},
		{"passphrase-file", OPT_VALUE, &m.passphrase_file}};
	struct err err = ERR_INIT;
	int64_t seq = 0;
	int status;
	enum rc rc;

	if (!cmd_parse(&vault_backup, cli, opts, 3, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(&vault_backup, "which file?");
	if (certs.n == 0 && !m.ask && !m.passphrase_file)
		return cmd_usage(&vault_backup, "for whom? --to or --passphrase");
	if (!cmd_conf(&vault_backup, cli, &status))
		return status;
	rc = write_backup(&m, argv[1], &seq, &err);
	buf_fini(&m.parts);
	buf_fini(&m.names);
	if (rc)
		return cmd_fail(&err);
	fprintf(stderr, "sealgate: %s has the ledger up to record %lld\n", argv[1], (long long)seq);
	return EX_OK;
}
