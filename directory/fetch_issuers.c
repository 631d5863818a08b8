/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/fetch_issuers.h"

#include "base/file.h"
#include "directory/fetch_folder.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
path_of(const char *dir, const struct cert *cert, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.3800s/" FETCH_FOLDER_KNOWN "/%s.cer", dir,
		cert_fingerprint(cert));
}

static bool
is_known(const struct certset *known, const struct cert *cert)
{
	for (size_t i = 0; i < known->n; i++)
		if (memcmp(cert_sha256(known->v[i]), cert_sha256(cert), SHA256_SIZE) == 0)
			return true;
	return false;
}

/* The first of the set goes, with its file. */
static void
drop_first(const char *dir, struct certset *known)
{
	char path[PATH_MAX];

	path_of(dir, known->v[0], path);
	(void)unlink(path);
	cert_unref(&known->v[0]);
	memmove(known->v, known->v + 1, --known->n * sizeof(struct cert *));
}

static enum rc
load_one(const char *path, struct certset *known, struct err *err)
{
	struct buf file = BUF_INIT(CERT_MAX_BYTES);
	struct cert *cert = NULL;
	enum rc rc = file_read(path, &file, NULL);

	if (rc == RC_OK)
		rc = cert_parse(file.data, file.len, &cert, NULL);
	rc = rc == RC_OK && known->n < ISSUERS_KNOWN_MAX ? certset_add(known, cert, err) : RC_OK;
	cert_unref(&cert);
	buf_fini(&file);
	return rc;
}

enum rc
fetch_issuers_load(const char *dir, struct certset *known, struct err *err)
{
	char path[PATH_MAX], file[PATH_MAX];
	char **names = NULL;
	size_t n = 0;
	enum rc rc;

	snprintf(path, sizeof(path), "%.3500s/" FETCH_FOLDER_KNOWN, dir);
	rc = file_list(path, 2 * ISSUERS_KNOWN_MAX, &names, &n, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		snprintf(file, sizeof(file), "%.3700s/%.255s", path, names[i]);
		rc = load_one(file, known, err);
	}
	file_list_free(&names, n);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
fetch_issuers_add(
	const char *dir, struct certset *known, const void *der, size_t len, struct err *err)
{
	struct cert *cert = NULL;
	char path[PATH_MAX];
	enum rc rc = cert_parse(der, len, &cert, err);

	if (rc == RC_OK && is_known(known, cert))
		rc = RC_NONE;
	if (rc == RC_OK && known->n == ISSUERS_KNOWN_MAX)
		drop_first(dir, known);
	if (rc == RC_OK)
		rc = certset_add(known, cert, err);
	if (rc == RC_OK) {
		path_of(dir, cert, path);
		rc = file_write(path, der, len, 0644, err);
	}
	cert_unref(&cert);
	return rc;
}
