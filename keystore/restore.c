/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/restore.h"

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
#include "base/log.h"
#include "base/tar.h"
#include "crypto/cms_envelope.h"
#include "crypto/kek.h"
#include "crypto/p12.h"
#include "keystore/admin_cmd.h"
#include "keystore/ledger_verify.h"
#include "keystore/master.h"
#include "keystore/restore_owner.h"
#include "keystore/store_root.h"

#define KEY_TEXT (2 * MASTER_SIZE)
#define KEKS_MAX 4

struct restore {
	char dir[PATH_MAX];  /* where it shall be */
	char work[PATH_MAX]; /* where it is until then */
	struct secret *root;
	struct buf manifest;
	/* the file that is being read */
	char file[PATH_MAX];
	int fd; /* -1: into memory */
	struct buf *memory;
	struct buf root_text;
	/* afterwards */
	struct conf *conf;      /* as it will be */
	struct conf *work_conf; /* the same while everything is in the work folder */
	bool has_certs;
	const char *spec;
	char spec_text[512];
	uint64_t seq;
};

/* --- opening the envelope --- */

static bool
same_name(const struct rinfo *rinfo, const struct cert *cert)
{
	size_t len, serial_len, ski_len;
	const unsigned char *issuer = cert_issuer_der(cert, &len),
			    *serial = cert_serial_bytes(cert, &serial_len),
			    *ski = cert_ski(cert, &ski_len);

	if (rinfo->type == RINFO_OTHER)
		return false;
	if (rinfo->ski_len)
		return ski && ski_len == rinfo->ski_len && memcmp(ski, rinfo->ski, ski_len) == 0;
	return rinfo->issuer_len == len && rinfo->serial_len == serial_len &&
	       memcmp(issuer, rinfo->issuer, len) == 0 &&
	       memcmp(serial, rinfo->serial, serial_len) == 0;
}

/* With one of the officers' keys. RC_NONE: it is for none of them. */
static enum rc
open_by_key(const struct cms_enveloped *e, const struct restore_keys *keys, struct secret **cek,
	struct err *err)
{
	struct secret *fallback = NULL;
	enum rc rc = secret_random(32, &fallback, err);

	for (size_t i = 0; !rc && !*cek && i < e->n; i++)
		for (size_t k = 0; !rc && !*cek && k < keys->n; k++)
			for (size_t m = 0; !rc && !*cek && m < keys->officers[k].n; m++) {
				const struct p12_item *item = &keys->officers[k].items[m];

				if (item->cert && same_name(&e->rinfos[i], item->cert))
					rc = rinfo_open(e->rinfos[i].der, e->rinfos[i].der_len,
						e->rinfos[i].index, e->cipher, item->pkey, fallback,
						cek, err);
			}
	secret_free(&fallback);
	return rc ? rc : *cek ? RC_OK : RC_NONE;
}

static enum rc
open_by_passphrase(const struct cms_enveloped *e, const struct restore_keys *keys,
	struct secret **cek, struct err *err)
{
	struct secret *passphrase = NULL, *key = NULL;
	char id[KEK_ID_MAX + 1];
	enum rc rc = RC_NONE;
	int tries = 0;

	for (size_t i = 0; rc == RC_NONE && keys->passphrase && i < e->n; i++) {
		secret_free(&key);
		rc = kek_parse(e->rinfos[i].der, e->rinfos[i].der_len, id, err);
		/* Each costs a quarter of a second; we write one. */
		if (!rc && ++tries > KEKS_MAX)
			rc = err_set(err, ERR_LIMIT, "too many passphrases");
		if (!rc && !passphrase)
			rc = keys->passphrase(&passphrase, err);
		if (!rc)
			rc = kek_remake(id, passphrase, &key, err);
		if (!rc)
			rc = kek_open(e->rinfos[i].der, e->rinfos[i].der_len, key, cek, err);
	}
	secret_free(&passphrase);
	secret_free(&key);
	return rc;
}

static enum rc
read_header(int fd, const char *path, struct cms_enveloped **out, struct err *err)
{
	struct cms_header_reader *reader = NULL;
	static unsigned char chunk[SINK_CHUNK];
	struct sink sink;
	ssize_t n = 1;
	enum rc rc = cms_header_reader_new(&reader, err);

	if (!rc)
		sink = cms_header_reader_sink(reader);
	while (!rc && n > 0 && !cms_header_done(reader)) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0)
			rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
		else if (n > 0)
			rc = sink_feed(&sink, chunk, (size_t)n, err);
	}
	if (!rc)
		rc = cms_header_take(reader, out, err);
	cms_header_reader_free(&reader);
	return rc;
}

static enum rc
find_cek(int fd, const char *path, const struct restore_keys *keys, struct secret **cek,
	struct err *err)
{
	struct cms_enveloped *e = NULL;
	enum rc rc = read_header(fd, path, &e, err);

	if (rc) {
		err_prefix(err, "%s: no backup", path);
		return rc;
	}
	if (e->kind != CMS_AUTH_ENVELOPED || e->cipher != CIPHER_AES256_GCM)
		rc = err_set(err, ERR_CMS_UNSUPPORTED, "%s: no backup of ours", path);
	if (!rc)
		rc = open_by_key(e, keys, cek, err);
	if (rc == RC_NONE)
		rc = open_by_passphrase(e, keys, cek, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_VAULT_NO_KEY, "%s: it is for none of these keys", path);
	cms_enveloped_free(&e);
	return rc;
}

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

/* --- the configuration --- */

/* A path of the old configuration in the new folder. */
static enum rc
map_path(const struct restore *r, const char *old_dir, const char *path, struct buf *out,
	struct err *err)
{
	size_t len = strlen(old_dir);

	if (strncmp(path, old_dir, len) == 0 && path[len] == '/')
		return buf_appendf(out, err, "%s%s", r->dir, path + len);
	return buf_appendf(out, err, "%s%s", r->dir, path);
}

/* A path of ours. A token's module is the system's. */
static bool
is_ours(const struct conf_option *row)
{
	return row->type == CONF_PATH &&
	       !(strcmp(row->section, "tokens") == 0 && strcmp(row->name, "module") == 0);
}

/* Is TEXT, which begins with a slash, a path that an option has? */
static bool
is_option(const struct conf *conf, const char *text)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n);

	for (size_t i = 0; i < n; i++) {
		size_t groups = rows[i].list ? conf_count(conf, rows[i].section) : 1;

		for (size_t g = 0; is_ours(&rows[i]) && g < groups; g++) {
			const struct conf_group *group =
				rows[i].list ? conf_item(conf, rows[i].section, g)
					     : conf_section(conf, rows[i].section);
			const char *value = conf_str(group, rows[i].name);

			if (value && strcmp(value, text) == 0)
				return true;
		}
	}
	return false;
}

/* One quoted string of the file, as it shall stand there. */
static enum rc
map_string(const struct restore *r, const struct conf *old, const char *old_dir, const char *text,
	struct buf *out, struct err *err)
{
	static const char *const prefixes[] = {"unix:", "file:"};

	if (strcmp(text, conf_str(conf_section(old, "vault"), "master_key")) == 0)
		return buf_append_str(out, r->spec, err);
	for (size_t i = 0; i < 2; i++)
		if (strncmp(text, prefixes[i], 5) == 0 && text[5] == '/') {
			enum rc rc = buf_append_str(out, prefixes[i], err);

			return rc ? rc : map_path(r, old_dir, text + 5, out, err);
		}
	if (text[0] == '/' && is_option(old, text))
		return map_path(r, old_dir, text, out, err);
	return buf_append_str(out, text, err);
}

/* The text of the file with its paths changed; comments stay. */
static enum rc
map_conf(const struct restore *r, const struct conf *old, const char *old_dir, const char *text,
	struct buf *out, struct err *err)
{
	char string[4096];
	enum rc rc = RC_OK;

	while (!rc && *text) {
		size_t n;

		if (*text == '#' || (text[0] == '/' && text[1] == '/')) {
			n = strcspn(text, "\n");
			rc = buf_append(out, text, n, err);
		} else if (text[0] == '/' && text[1] == '*') {
			const char *end = strstr(text, "*/");

			n = end ? (size_t)(end - text) + 2 : strlen(text);
			rc = buf_append(out, text, n, err);
		} else if (*text == '"') {
			for (n = 1; text[n] && text[n] != '"'; n++)
				n += text[n] == '\\' && text[n + 1];
			rc = buf_append_char(out, '"', err);
			if (!rc && n < sizeof(string) && !memchr(text, '\\', n)) {
				memcpy(string, text + 1, n - 1);
				string[n - 1] = 0;
				rc = map_string(r, old, old_dir, string, out, err);
			} else if (!rc) {
				rc = buf_append(out, text + 1, n - 1, err);
			}
			if (!rc && text[n] == '"')
				rc = buf_append_char(out, text[n++], err);
		} else {
			n = 1;
			rc = buf_append_char(out, *text, err);
		}
		text += n;
	}
	return rc;
}

/* Where a path of the new configuration is now: in the work folder. */
static enum rc
in_work(const struct restore *r, const char *path, char out[PATH_MAX], struct err *err)
{
	size_t len = strlen(r->dir);

	if (strncmp(path, r->dir, len) != 0 || path[len] != '/' ||
		(size_t)snprintf(out, PATH_MAX, "%s%s", r->work, path + len) >= PATH_MAX)
		return err_set(err, ERR_CONFIG, "%s would not be in %s", path, r->dir);
	return RC_OK;
}

static enum rc
move_to(const struct restore *r, const char *from, const char *path, struct err *err)
{
	char source[PATH_MAX], target[PATH_MAX];
	enum rc rc = in_work(r, path, target, err);

	snprintf(source, sizeof(source), "%.3000s/%s", r->work, from);
	if (!rc)
		rc = make_parents(target, err);
	if (!rc && rename(source, target))
		rc = err_set(err, ERR_FILE, "%s: %s", target, strerror(errno));
	return rc;
}

/* However the backup's configuration is written (strings in two pieces, escapes): no path of the
 * new one leads out of the new folder. */
static enum rc
check_paths(const struct restore *r, const struct conf *conf, struct err *err)
{
	char ignored[PATH_MAX];
	size_t n;
	const struct conf_option *rows = conf_options(&n);
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		size_t groups = rows[i].list ? conf_count(conf, rows[i].section) : 1;

		for (size_t g = 0; !rc && is_ours(&rows[i]) && g < groups; g++) {
			const char *value =
				conf_str(rows[i].list ? conf_item(conf, rows[i].section, g)
						      : conf_section(conf, rows[i].section),
					rows[i].name);

			if (value && (strstr(value, "/../") || strstr(value, "/./")))
				rc = err_set(err, ERR_CONFIG, "%s: not a plain path", value);
			else if (value)
				rc = in_work(r, value, ignored, err);
		}
	}
	return rc;
}

/* The configuration TEXT with the work folder instead of the final one. */
static enum rc
parse_for_work(struct restore *r, const char *text, struct err *err)
{
	struct buf out = BUF_INIT(8u << 20);
	char name[PATH_MAX + 32];
	size_t len = strlen(r->dir);
	enum rc rc = RC_OK;

	while (!rc && *text)
		if (strncmp(text, r->dir, len) == 0 && text[len] == '/') {
			rc = buf_append_str(&out, r->work, err);
			text += len;
		} else {
			rc = buf_append_char(&out, *text++, err);
		}
	snprintf(name, sizeof(name), "%s/sealgate.conf", r->work);
	if (!rc)
		rc = conf_parse(buf_text(&out), name, r->work, &r->work_conf, err);
	buf_fini(&out);
	return rc;
}

/* The folder that the old configuration lay in, from its manifest beside it. */
static enum rc
take_conf(struct restore *r, const char *master, struct err *err)
{
	struct buf text = BUF_INIT(8u << 20), dir = BUF_INIT(PATH_MAX), out = BUF_INIT(8u << 20);
	char path[PATH_MAX], name[PATH_MAX + 32];
	struct conf *old = NULL;
	enum rc rc;

	snprintf(path, sizeof(path), "%.3000s/conf/sealgate.dir", r->work);
	rc = file_read(path, &dir, err);
	snprintf(path, sizeof(path), "%.3000s/conf/sealgate.conf", r->work);
	if (!rc)
		rc = file_read(path, &text, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_MSG_MALFORMED, "the backup has no configuration");
	if (!rc)
		rc = conf_parse(buf_text(&text), "sealgate.conf", buf_text(&dir), &old, err);
	if (!rc) {
		const char *spec = conf_str(conf_section(old, "vault"), "master_key");

		if (master) {
			r->spec = master;
		} else if (strncmp(spec, "file:", 5) != 0) {
			r->spec = "file:master.key";
		} else if (spec[5] == '/') {
			struct buf mapped = BUF_INIT(PATH_MAX);

			rc = map_path(r, buf_text(&dir), spec + 5, &mapped, err);
			snprintf(r->spec_text, sizeof(r->spec_text), "file:%.500s",
				buf_text(&mapped));
			r->spec = r->spec_text;
			buf_fini(&mapped);
		} else {
			snprintf(r->spec_text, sizeof(r->spec_text), "%s", spec);
			r->spec = r->spec_text;
		}
	}
	if (!rc)
		rc = map_conf(r, old, buf_text(&dir), buf_text(&text), &out, err);
	snprintf(name, sizeof(name), "%s/sealgate.conf", r->dir);
	if (!rc)
		rc = conf_parse(buf_text(&out), name, r->dir, &r->conf, err);
	if (!rc)
		rc = check_paths(r, r->conf, err);
	snprintf(path, sizeof(path), "%.3000s/sealgate.conf", r->work);
	if (!rc)
		rc = file_write_new(path, out.data, out.len, 0644, err);
	if (!rc)
		rc = parse_for_work(r, buf_text(&out), err);
	conf_unref(&old);
	buf_fini(&text);
	buf_fini(&dir);
	buf_fini(&out);
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
		rc = in_work(r, file, path, err);
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
		rc = in_work(r, store, path, err);
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
		rc = in_work(r, conf_str(conf_section(r->conf, "ledger"), "dir"), path, err);
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
			    : find_cek(fd, path, keys, &cek, err);

	if (!rc)
		rc = unpack(r, fd, path, cek, err);
	if (fd >= 0)
		close(fd);
	secret_free(&cek);
	if (!rc)
		rc = take_root(r, err);
	if (!rc)
		rc = take_conf(r, master_spec, err);
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
