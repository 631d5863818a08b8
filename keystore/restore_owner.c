/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/restore_owner.h"

#include "base/file.h"

#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct owner {
	uid_t uid;
	gid_t gid;
};

/* Whose what SECTION names is; ours when we are not root or there is no such user. */
static struct owner
owner_of(const struct conf *conf, const char *section)
{
	bool vault = strcmp(section, "vault") == 0 || strcmp(section, "ledger") == 0 ||
		     strcmp(section, "tokens") == 0;
	const struct passwd *pw =
		geteuid() ? NULL
			  : getpwnam(conf_str(
				    conf_section(conf, vault ? "vault" : "milter"), "user"));

	return pw ? (struct owner){pw->pw_uid, pw->pw_gid} : (struct owner){geteuid(), getegid()};
}

/* PATH lies in the new folder: nobody else is in there yet, and there are no links in it. */
static enum rc
give(const char *path, struct owner owner, mode_t mode, struct err *err)
{
	if ((geteuid() == 0 && lchown(path, owner.uid, owner.gid)) || chmod(path, mode))
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	return RC_OK;
}

static bool
lies_in(const char *path, const char *work)
{
	size_t len = strlen(work);

	return strncmp(path, work, len) == 0 && path[len] == '/';
}

static const struct place {
	const char *section, *name;
	bool file; /* the folder is the one above */
	mode_t mode;
} places[] = {{"vault", "socket", true, 0755}, {"vault", "admin_socket", true, 0755},
	{"vault", "store", true, 0700}, {"milter", "spool", false, 0700},
	{"journal", "path", true, 0700}, {"notices", "store", true, 0700},
	{"replies", "path", true, 0700}, {"certstore", "path", true, 0700},
	{"trust", "crl_dir", false, 0755}};

#define PLACES (sizeof(places) / sizeof(*places))

/* The folder of PLACE; false: it is the new folder itself. */
static bool
folder_of(const struct conf *conf, const struct place *place, const char *work, char path[PATH_MAX])
{
	char value[PATH_MAX];

	snprintf(value, sizeof(value), "%s",
		conf_str(conf_section(conf, place->section), place->name));
	snprintf(path, PATH_MAX, "%s", place->file ? dirname(value) : value);
	return lies_in(path, work);
}

enum rc
restore_make_folders(const struct conf *conf, const char *work, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < PLACES; i++)
		if (folder_of(conf, &places[i], work, path))
			rc = file_make_dir(path, places[i].mode, err);
	return rc;
}

static int
open_folder(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	return what == FTW_D && ftw->level > 0 && chmod(path, 0755) ? -1 : 0;
}

/* For the owner's eyes only? */
static bool
is_secret(const char *name)
{
	static const char *const open[] = {"ca_file", "cert_file", "file", "alias_map", "login_map",
		"list_map", "intermediates", "templates", "crl_dir"};

	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
		if (strcmp(open[i], name) == 0)
			return false;
	return true;
}

/* What one option names: a file, or a folder with files. */
static enum rc
give_path(const char *path, const char *name, struct owner owner, struct err *err)
{
	mode_t mode = is_secret(name) ? 0400 : 0644;
	char **names = NULL;
	struct stat st;
	size_t n = 0;
	enum rc rc;

	if (lstat(path, &st))
		return RC_OK; /* not there */
	if (S_ISREG(st.st_mode))
		return give(path, owner, mode, err);
	if (!S_ISDIR(st.st_mode))
		return RC_OK;
	rc = file_list(path, 100000, &names, &n, err);
	for (size_t i = 0; !rc && i < n; i++) {
		char *one = file_join(path, names[i]);

		rc = one ? give(one, owner, mode, err) : err_set(err, ERR_MEMORY, "restore");
		free(one);
	}
	file_list_free(&names, n);
	return rc == RC_NONE ? RC_OK : rc;
}

/* The state has owners of its own (below, and admin_give_away). */
static bool
is_state(const struct conf_option *row)
{
	for (size_t i = 0; i < PLACES; i++)
		if (strcmp(places[i].section, row->section) == 0 &&
			strcmp(places[i].name, row->name) == 0 && strcmp(row->name, "crl_dir") != 0)
			return true;
	return row->type != CONF_PATH || strcmp(row->section, "ledger") == 0;
}

static enum rc
give_files(const struct conf *conf, const char *work, struct err *err)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n);
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		size_t groups = rows[i].list ? conf_count(conf, rows[i].section) : 1;

		for (size_t g = 0; !rc && !is_state(&rows[i]) && g < groups; g++) {
			const char *value =
				conf_str(rows[i].list ? conf_item(conf, rows[i].section, g)
						      : conf_section(conf, rows[i].section),
					rows[i].name);

			if (value && lies_in(value, work))
				rc = give_path(
					value, rows[i].name, owner_of(conf, rows[i].section), err);
		}
	}
	return rc;
}

enum rc
restore_give(const struct conf *conf, const char *work, struct err *err)
{
	const char *certs = conf_str(conf_section(conf, "certstore"), "path"),
		   *ledger = conf_str(conf_section(conf, "ledger"), "dir");
	char path[PATH_MAX];
	enum rc rc = RC_OK;

	if (nftw(work, open_folder, 16, FTW_PHYS))
		rc = err_set(err, ERR_FILE, "%s: %s", work, strerror(errno));
	if (!rc)
		rc = give_files(conf, work, err);
	if (!rc && access(certs, F_OK) == 0)
		rc = give(certs, owner_of(conf, "certstore"), 0640, err);
	for (size_t i = 0; !rc && i < PLACES; i++) {
		bool socket = strcmp(places[i].section, "vault") == 0 &&
			      strcmp(places[i].name, "store") != 0;

		if (folder_of(conf, &places[i], work, path) && !socket)
			rc = give(path, owner_of(conf, places[i].section), places[i].mode, err);
	}
	/* Sockets beside something else: who is let in, sees the folder. */
	return rc                    ? rc
	       : chmod(ledger, 0700) ? err_set(err, ERR_FILE, "%s: %s", ledger, strerror(errno))
				     : RC_OK;
}
