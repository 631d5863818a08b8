/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/restore_private.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/tar.h"
#include "crypto/cms_envelope.h"
#include "keystore/admin_cmd.h"
#include "keystore/ledger_verify.h"
#include "keystore/master.h"
#include "keystore/restore_owner.h"
#include "keystore/store_root.h"

#define KEY_TEXT (2 * MASTER_SIZE)

/* --- reading the archive --- */

/* The folders above the file PATH. */
static enum rc
make_parents(const char *path, struct err *err)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	return file_make_dir(dirname(copy), 0700, err);
}

static enum rc
open_file(void *ctx, const char *name, uint64_t size, struct err *err)
{
	struct restore *r = ctx;
	enum rc rc;

	r->fd = -1;
	r->memory = strcmp(name, "store.key") == 0     ? &r->root_text
		    : strcmp(name, "backup.json") == 0 ? &r->manifest
						       : NULL;
	if (r->memory)
		return size <= 4096 ? RC_OK : err_set(err, ERR_LIMIT, "archive: %s", name);
	r->has_certs |= strcmp(name, "certs.db") == 0;
	if (strcmp(name, "vault.db") != 0 && strcmp(name, "certs.db") != 0 &&
		strncmp(name, "ledger/", 7) != 0 && strncmp(name, "conf/", 5) != 0)
		return err_set(
			err, ERR_MSG_MALFORMED, "archive: %.100s does not belong there", name);
	if ((size_t)snprintf(r->file, sizeof(r->file), "%s/%s", r->work, name) >= sizeof(r->file))
		return err_set(err, ERR_LIMIT, "archive: a long name");
	rc = make_parents(r->file, err);
	if (rc)
		return rc;
	r->fd = open(r->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->fd < 0 && errno == EEXIST)
		return err_set(err, ERR_MSG_MALFORMED, "archive: %s is there twice", name);
	return r->fd >= 0 ? RC_OK : err_set(err, ERR_FILE, "%s: %s", r->file, strerror(errno));
}

static enum rc
take_data(void *ctx, const void *data, size_t len, struct err *err)
{
	struct restore *r = ctx;

	return r->memory ? buf_append(r->memory, data, len, err)
			 : file_write_all(r->fd, data, len, err);
}

static enum rc
close_file(void *ctx, struct err *err)
{
	struct restore *r = ctx;
	int failed = r->fd >= 0 && fsync(r->fd);

	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	return failed ? err_set(err, ERR_FILE, "%s: %s", r->file, strerror(errno)) : RC_OK;
}

/* Everything into the work folder. It is not believed before this returned RC_OK. */
static enum rc
unpack(struct restore *r, int fd, const char *path, struct secret *cek, struct err *err)
{
	const struct tar_reader_calls calls = {open_file, take_data, close_file, r};
	static unsigned char chunk[SINK_CHUNK];
	struct cms_decryptor *decryptor = NULL;
	struct tar_reader *tar = NULL;
	struct sink sink, to;
	ssize_t n = 1;
	enum rc rc = lseek(fd, 0, SEEK_SET) == 0
			     ? tar_reader_new(&calls, &tar, err)
			     : err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));

	if (!rc) {
		to = tar_reader_sink(tar);
		rc = cms_decryptor_new(cek, &to, &decryptor, err);
	}
	if (!rc)
		sink = cms_decryptor_sink(decryptor);
	while (!rc && (n = read(fd, chunk, sizeof(chunk))) > 0)
		rc = sink_feed(&sink, chunk, (size_t)n, err);
	if (!rc && n < 0)
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (!rc)
		rc = sink_finish(&sink, err);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	cms_decryptor_free(&decryptor);
	tar_reader_free(&tar);
	secret_wipe(chunk, sizeof(chunk));
	return rc;
}

/* --- to where the configuration says --- */

static enum rc
move_to(const struct restore *r, const char *from, const char *path, struct err *err)
{
	char source[PATH_MAX], target[PATH_MAX];
	enum rc rc = restore_in_work(r, path, target, err);

	snprintf(source, sizeof(source), "%.3000s/%s", r->work, from);
	if (!rc)
		rc = make_parents(target, err);
	if (!rc && rename(source, target))
		rc = err_set(err, ERR_FILE, "%s: %s", target, strerror(errno));
	return rc;
}

static char walk_from[PATH_MAX], walk_to[PATH_MAX], walk_dir[PATH_MAX];
static struct err *walk_err;

/* A file of conf/, whose name there is its place: below the folder of the configuration, or
 * (root/…) elsewhere. */
static int
place_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	const char *name = path + strlen(walk_from) + 1;
	char target[PATH_MAX];

	(void)st;
	(void)ftw;
	if (what != FTW_F || strcmp(name, "sealgate.conf") == 0 ||
		strcmp(name, "sealgate.dir") == 0)
		return 0;
	if ((size_t)snprintf(target, sizeof(target), "%s/%s", walk_to,
		    strncmp(name, "root/", 5) == 0 ? name + 5 : name) >= sizeof(target))
		return -1;
	if (make_parents(target, walk_err) || rename(path, target))
		return -1;
	return 0;
}

static enum rc
place_conf_files(struct restore *r, struct err *err)
{
	snprintf(walk_from, sizeof(walk_from), "%.3000s/conf", r->work);
	snprintf(walk_to, sizeof(walk_to), "%s", r->work);
	walk_err = err;
	if (nftw(walk_from, place_one, 16, FTW_PHYS))
		return err_set(err, ERR_FILE, "the configuration's files: %s", strerror(errno));
	return RC_OK;
}

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path);
}

static void
remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Store, ledger and the rest to where the configuration says, still in the work folder. */
static enum rc
place(struct restore *r, struct err *err)
{
	const char *store = conf_str(conf_section(r->conf, "vault"), "store"),
		   *ledger = conf_str(conf_section(r->conf, "ledger"), "dir");
	enum rc rc = move_to(r, "ledger", ledger, err);

	if (!rc)
		rc = move_to(r, "vault.db", store, err);
	if (!rc && r->has_certs)
		rc = move_to(
			r, "certs.db", conf_str(conf_section(r->conf, "certstore"), "path"), err);
	if (!rc)
		rc = place_conf_files(r, err);
	if (!rc) {
		snprintf(walk_dir, sizeof(walk_dir), "%.3000s/conf", r->work);
		remove_tree(walk_dir);
	}
	return rc;
}

/* --- the store and the ledger --- */

static enum rc
take_root(struct restore *r, struct err *err)
{
	const char *hex = buf_text(&r->root_text);
	enum rc rc = secret_new(MASTER_SIZE, &r->root, err);

	if (!rc &&
		(strspn(hex, "0123456789abcdef") != KEY_TEXT || r->root_text.len != KEY_TEXT + 1))
		rc = err_set(err, ERR_MSG_MALFORMED, "the backup has no store key");
	for (size_t i = 0; !rc && i < MASTER_SIZE; i++) {
		unsigned byte;

		rc = sscanf(hex + 2 * i, "%2x", &byte) == 1
			     ? RC_OK
			     : err_set(err, ERR_MSG_MALFORMED, "the backup has no store key");
		secret_data(r->root)[i] = (unsigned char)byte;
	}
	return rc;
}

static enum rc
new_master(struct restore *r, struct secret **master, struct err *err)
{
	const char *store = conf_str(conf_section(r->conf, "vault"), "store");
	char kdf[MASTER_KDF_SIZE], path[PATH_MAX], *file = NULL, spec[PATH_MAX + 8];
	enum rc rc = master_path(r->spec, r->dir, &file, err);

	if (!rc && strncmp(r->spec, "file:", 5) == 0) {
		rc = restore_in_work(r, file, path, err);
		if (!rc)
			rc = make_parents(path, err);
		snprintf(spec, sizeof(spec), "file:%s", path);
		if (!rc)
			rc = master_make(spec, r->dir, kdf, master, err);
	} else if (!rc) {
		if (strncmp(r->spec, "pkcs11:", 7) == 0)
			rc = vault_read_pins(r->conf, true, err);
		if (!rc)
			rc = master_make(r->spec, r->dir, kdf, master, err);
	}
	if (!rc)
		rc = restore_in_work(r, store, path, err);
	if (!rc)
		rc = store_adopt(path, r->root, r->spec, kdf, *master, err);
	free(file);
	return rc;
}

static enum rc
check_ledger(struct restore *r, struct restore_result *result, struct err *err)
{
	struct ledger_report report;
	struct json_value *value = NULL;
	char path[PATH_MAX];
	enum rc rc = json_parse(r->manifest.data, r->manifest.len, &value, err);
	const char *format = rc ? NULL : json_get_text(value, "format");

	if (!rc && (!format || strcmp(format, "sealgate-backup:1") != 0))
		rc = err_set(err, ERR_CMS_UNSUPPORTED, "a backup of another form");
	if (!rc) {
		const char *time = json_get_text(value, "time");

		r->seq = (uint64_t)json_get_int(value, "seq", 0);
		snprintf(result->time, sizeof(result->time), "%.31s", time ? time : "");
		rc = restore_in_work(
			r, conf_str(conf_section(r->conf, "ledger"), "dir"), path, err);
	}
	if (!rc)
		rc = ledger_verify(path, NULL, 0, &report, err);
	if (!rc && (!report.ok || report.last_checkpoint != r->seq))
		rc = err_set(err, ERR_LEDGER_BROKEN, "the ledger of the backup does not verify: %s",
			report.problem);
	json_free(&value);
	return rc;
}

/* The ledger goes on, and says why. */
static enum rc
record_restore(const struct restore *r, struct secret *master, struct err *err)
{
	struct ledger_record record = LEDGER_RECORD_INIT(LEDGER_ADMIN);
	struct vault *vault = NULL;
	char detail[128];
	enum rc rc = vault_start(r->work_conf, master, &vault, err);

	snprintf(detail, sizeof(detail), "{\"backup_seq\":%" PRIu64 "}", r->seq);
	record.event = "vault.restored";
	record.observed.service = "admin";
	record.observed.uid = geteuid();
	record.observed.pid = getpid();
	record.detail = detail;
	if (!rc)
		rc = ledger_append(vault_ledger(vault), &record, NULL, err);
	vault_stop(&vault);
	return rc;
}

/* --- all of it --- */

static enum rc
begin(struct restore *r, const char *dir, struct err *err)
{
	char parent[PATH_MAX], copy[PATH_MAX], base[PATH_MAX];

	*r = (struct restore){
		.fd = -1, .manifest = BUF_INIT(4096), .root_text = {.max = 4096, .wipe = true}};
	if (strlen(dir) > 3000 || strpbrk(dir, "\"\\\n") || !*dir)
		return err_set(err, ERR_USAGE, "a bad name for a folder");
	snprintf(copy, sizeof(copy), "%s", dir);
	while (strlen(copy) > 1 && copy[strlen(copy) - 1] == '/')
		copy[strlen(copy) - 1] = 0;
	snprintf(base, sizeof(base), "%s", copy);
	if (!realpath(dirname(copy), parent))
		return err_set(err, ERR_FILE, "%s: %s", copy, strerror(errno));
	if (strlen(parent) > 3000)
		return err_set(err, ERR_USAGE, "a bad name for a folder");
	snprintf(r->dir, sizeof(r->dir), "%.3000s/%.255s", strcmp(parent, "/") ? parent : "",
		basename(base));
	if (rmdir(r->dir) && errno != ENOENT)
		return err_set(err, ERR_KEY_EXISTS, "%s: %s", r->dir, strerror(errno));
	snprintf(r->work, sizeof(r->work), "%.3500s.XXXXXX", r->dir);
	if (!mkdtemp(r->work)) {
		r->work[0] = 0;
		return err_set(err, ERR_FILE, "%s: %s", r->dir, strerror(errno));
	}
	return RC_OK;
}

/* All of it to the disk. */
static enum rc
sync_work(const struct restore *r, struct err *err)
{
	int fd = open(r->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 || syncfs(fd);

	if (failed)
		err_set(err, ERR_FILE, "%s: %s", r->work, strerror(errno));
	if (fd >= 0)
		close(fd);
	return failed ? RC_TEMP : RC_OK;
}

/* The vault is started once in the work folder, which then becomes DIR: the last step. */
static enum rc
finish(struct restore *r, struct secret *master, const struct restore_keys *keys, struct err *err)
{
	char parent[PATH_MAX];
	enum rc rc = restore_make_folders(r->work_conf, r->work, err);

	if (!rc)
		rc = record_restore(r, master, err);
	if (!rc && keys->complete)
		rc = keys->complete(r->work_conf, err);
	if (!rc)
		rc = restore_give(r->work_conf, r->work, err);
	if (!rc)
		rc = admin_give_away(r->work_conf, err);
	if (!rc)
		rc = sync_work(r, err);
	if (!rc && (chmod(r->work, 0755) || rename(r->work, r->dir)))
		rc = err_set(err, ERR_FILE, "%s: %s", r->dir, strerror(errno));
	if (rc)
		return rc;
	snprintf(r->work, sizeof(r->work), "%s", r->dir); /* to be removed if need be */
	snprintf(parent, sizeof(parent), "%s", r->dir);
	return file_sync_dir(dirname(parent), err);
}

static enum rc
restore(struct restore *r, const char *path, const char *master_spec,
	const struct restore_keys *keys, struct restore_result *result, struct err *err)
{
	struct secret *cek = NULL, *master = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum rc rc = fd < 0 ? err_set(err, ERR_FILE, "%s: %s", path, strerror(errno))
			    : restore_open(fd, path, keys, &cek, err);

	if (!rc)
		rc = unpack(r, fd, path, cek, err);
	if (fd >= 0)
		close(fd);
	secret_free(&cek);
	if (!rc)
		rc = take_root(r, err);
	if (!rc)
		rc = restore_conf(r, master_spec, err);
	if (!rc)
		rc = place(r, err);
	if (!rc)
		rc = check_ledger(r, result, err);
	if (!rc)
		rc = new_master(r, &master, err);
	if (!rc)
		rc = finish(r, master, keys, err);
	secret_free(&master);
	return rc;
}

enum rc
restore_backup(const char *path, const char *dir, const char *master,
	const struct restore_keys *keys, struct restore_result *result, struct err *err)
{
	struct restore r;
	enum rc rc = begin(&r, dir, err);

	*result = (struct restore_result){0};
	if (!rc)
		rc = restore(&r, path, master, keys, result, err);
	if (!rc) {
		result->seq = r.seq;
		snprintf(result->conf, sizeof(result->conf), "%.4000s/sealgate.conf", r.dir);
		snprintf(result->master, sizeof(result->master), "%s", r.spec);
	} else if (r.work[0]) {
		remove_tree(r.work);
	}
	secret_free(&r.root);
	buf_fini(&r.root_text);
	buf_fini(&r.manifest);
	conf_unref(&r.conf);
	conf_unref(&r.work_conf);
	return rc;
}
