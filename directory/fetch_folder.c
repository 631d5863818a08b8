/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_folder.h"

#include "base/file.h"
#include "base/log.h"
#include "base/strmap.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const folders[] = {"crl", "aia", "ocsp"};
#define FAILED "failed"
#define NEW    "new" /* where files are written before they are renamed into one of those */

/* A folder of MODE; one that is there keeps its mode, unless root is to give it away. */
static enum rc
make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	bool made = mkdir(path, 0700) == 0;

	if (!made && errno != EEXIST)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_FILE, "%s: is no folder", path);
	if (uid != (uid_t)-1 && geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid) &&
		lchown(path, uid, gid) != 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (made && chmod(path, mode) != 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return RC_OK;
}

enum rc
fetch_folder_make(const char *dir, uid_t uid, gid_t gid, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = make_dir(dir, 0750, uid, gid, err);

	for (size_t i = 0; rc == RC_OK && i < sizeof(folders) / sizeof(*folders); i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, folders[i]) >= sizeof(path))
			return err_set(err, ERR_CONFIG, "fetch.dir: too long");
		rc = make_dir(path, 0755, uid, gid, err);
	}
	snprintf(path, sizeof(path), "%.4000s/" FAILED, dir);
	if (rc == RC_OK)
		rc = make_dir(path, 0755, uid, gid, err);
	snprintf(path, sizeof(path), "%.4000s/" FETCH_FOLDER_KNOWN, dir);
	if (rc == RC_OK)
		rc = make_dir(path, 0755, uid, gid, err);
	snprintf(path, sizeof(path), "%.4000s/" NEW, dir);
	return rc == RC_OK ? make_dir(path, 0700, uid, gid, err) : rc;
}

/* "crl/ab….beside.crl" */
static void
beside_path(const struct fetch_item *item, char *out, size_t size)
{
	snprintf(out, size, "crl/%s.beside.crl", item->name);
}

/* The names that may be, in OUT as texts one after the other. */
static enum rc
known_names(const struct fetch_list *list, struct buf *out, struct strmap *map, struct err *err)
{
	char path[WANT_NAME_MAX + 24];
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < fetch_list_count(list); i++) {
		fetch_item_path(fetch_list_at(list, i), path, sizeof(path));
		rc = buf_append(out, path, strlen(path) + 1, err);
		beside_path(fetch_list_at(list, i), path, sizeof(path));
		if (rc == RC_OK && fetch_list_at(list, i)->kind == WANT_CRL)
			rc = buf_append(out, path, strlen(path) + 1, err);
	}
	for (const char *p = buf_text(out); rc == RC_OK && p < out->data + out->len;
		p += strlen(p) + 1)
		rc = strmap_put(map, p, 0, NULL, err);
	return rc;
}

/* Was it written before OLDEST? */
static bool
is_old(const char *path, int64_t oldest)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_mtime < oldest;
}

static enum rc
tidy_one(const char *dir, const char *folder, const struct strmap *map, int64_t oldest,
	struct err *err)
{
	char path[PATH_MAX], name[PATH_MAX];
	char **names = NULL;
	size_t n = 0, number, removed = 0;
	enum rc rc;

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	rc = file_list(path, 1000000, &names, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		snprintf(name, sizeof(name), "%.32s/%.255s", folder, names[i]);
		if (strmap_find(map, name, &number))
			continue;
		snprintf(name, sizeof(name), "%.3000s/%.255s", path, names[i]);
		removed += is_old(name, oldest) && unlink(name) == 0;
	}
	if (removed)
		log_event(LOGL_INFO, NULL, "fetched-tidied", "folder", folder, "files",
			LOG_NUM(removed), NULL);
	file_list_free(&names, n);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
fetch_folder_tidy(const char *dir, const struct fetch_list *list, int64_t oldest, struct err *err)
{
	struct buf names = BUF_INIT(256u << 20);
	struct strmap map = {0};
	enum rc rc = known_names(list, &names, &map, err);

	for (size_t i = 0; rc == RC_OK && i < sizeof(folders) / sizeof(*folders); i++)
		rc = tidy_one(dir, folders[i], &map, oldest, err);
	if (rc == RC_OK)
		rc = tidy_one(dir, FAILED, &map, INT64_MAX, err);
	if (rc == RC_OK)
		rc = tidy_one(dir, NEW, &map, INT64_MAX, err);
	strmap_fini(&map);
	buf_fini(&names);
	return rc;
}

static void
full_path(const char *dir, const struct fetch_item *item, bool beside, char out[PATH_MAX])
{
	char path[WANT_NAME_MAX + 24];

	if (beside)
		beside_path(item, path, sizeof(path));
	else
		fetch_item_path(item, path, sizeof(path));
	snprintf(out, PATH_MAX, "%.3800s/%s", dir, path);
}

enum rc
fetch_folder_read(const char *dir, const struct fetch_item *item, struct buf *out, struct err *err)
{
	char path[PATH_MAX];

	full_path(dir, item, false, path);
	return file_read(path, out, err);
}

enum rc
fetch_folder_write(const char *dir, const struct fetch_item *item, const struct buf *data,
	bool beside, struct err *err)
{
	char path[PATH_MAX], fresh[PATH_MAX], *slash;
	enum rc rc;

	/* Readers take every file of a folder: they never see one that is being written. */
	full_path(dir, item, beside, path);
	snprintf(fresh, sizeof(fresh), "%.3800s/" NEW "/%s", dir, item->name);
	rc = file_write(fresh, buf_text(data), data->len, 0644, err);
	if (rc != RC_OK)
		return rc;
	if (rename(fresh, path) != 0) {
		rc = err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
		(void)unlink(fresh);
		return rc;
	}
	slash = strrchr(path, '/');
	*slash = '\0';
	return file_sync_dir(path, err);
}

void
fetch_folder_drop_beside(const char *dir, const struct fetch_item *item)
{
	char path[PATH_MAX];

	if (item->kind != WANT_CRL)
		return;
	full_path(dir, item, true, path);
	(void)unlink(path);
}

void
fetch_folder_remove(const char *dir, const struct fetch_item *item)
{
	char path[PATH_MAX];

	full_path(dir, item, false, path);
	(void)unlink(path);
	fetch_folder_drop_beside(dir, item);
	if (item->kind == WANT_CA)
		fetch_folder_give_up(dir, item->name, false);
}

void
fetch_folder_give_up(const char *dir, const char *name, bool given_up)
{
	char path[PATH_MAX];
	struct err err = ERR_INIT;

	snprintf(path, sizeof(path), "%.3800s/" FAILED "/%.200s", dir, name);
	if (!given_up)
		(void)unlink(path);
	else if (file_write(path, "", 0, 0644, &err) != RC_OK)
		log_error(LOGL_WARN, NULL, "fetch-folder", &err, NULL);
}

bool
fetch_folder_has(const char *dir, const struct fetch_item *item)
{
	char path[PATH_MAX];

	full_path(dir, item, false, path);
	return access(path, R_OK) == 0;
}
