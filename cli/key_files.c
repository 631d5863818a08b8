/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/key_files.h"

#include "base/file.h"
#include "cli/text_file.h"
#include "cli/zip_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char *name; /* for people */
	char *path; /* NULL: in the archive */
	size_t archive, index;
	bool found;
};

struct key_files {
	struct entry *entries;
	size_t n;
	struct zip_read **archives;
	size_t n_archives;
	size_t *by_label; /* all entries, sorted by label; made when first needed */
};

static const char *
label_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* NAME for people: names in archives come in any encoding, and any may hold control characters. */
static char *
readable(const char *prefix, const char *name)
{
	struct secret *text = NULL;
	char *out = NULL;

	if (text_decode(name, strlen(name), &text, NULL) == RC_OK)
		name = (const char *)secret_data(text);
	if (asprintf(&out, "%s%s%s", prefix, *prefix ? "/" : "", name) < 0)
		out = NULL;
	for (unsigned char *p = (unsigned char *)out; p && *p; p++)
		if (*p < 32 || *p == 127 || (!text && *p > 127))
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* U+0080 to U+009F */
			p[0] = p[1] = '?';
	secret_free(&text);
	return out;
}

/* Takes PATH (may be NULL). */
static enum rc
add(struct key_files *files, const char *prefix, const char *name, char *path, bool found,
	struct err *err)
{
	bool full = files->n >= KEY_FILES_MAX;
	struct entry *grown;
	char *text = readable(prefix, name);

	if (text && !full && (files->n & (files->n - 1)) == 0) {
		grown = realloc(files->entries, (files->n ? 2 * files->n : 1) * sizeof(*grown));
		if (grown) {
			files->entries = grown;
		} else {
			free(text);
			text = NULL;
		}
	}
	if (!text || full) {
		free(path);
		free(text);
		return full ? err_set(err, ERR_LIMIT, "more than %u files", KEY_FILES_MAX)
			    : err_set(err, ERR_MEMORY, "names of files");
	}
	files->entries[files->n++] = (struct entry){.name = text, .path = path, .found = found};
	return RC_OK;
}

static enum rc
add_archive(struct key_files *files, const char *path, struct err *err)
{
	struct zip_read **grown =
		realloc(files->archives, (files->n_archives + 1) * sizeof(struct zip_read *));
	struct zip_read *zip = NULL;
	enum rc rc;

	if (!grown)
		return err_set(err, ERR_MEMORY, "ZIP archive");
	files->archives = grown;
	rc = zip_read_open(path, &zip, err);
	if (rc != RC_OK) {
		err_prefix(err, "%s", path);
		return rc;
	}
	files->archives[files->n_archives++] = zip; /* the list's from here */
	for (size_t i = 0; rc == RC_OK && i < zip_read_count(zip); i++) {
		const char *name = zip_read_name(zip, i);
		size_t len = name ? strlen(name) : 0;

		if (len == 0 || name[len - 1] == '/')
			continue;
		rc = add(files, path, name, NULL, true, err);
		if (rc == RC_OK) {
			files->entries[files->n - 1].archive = files->n_archives - 1;
			files->entries[files->n - 1].index = i;
		}
	}
	return rc;
}

static int
not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static enum rc
add_folder(struct key_files *files, const char *path, int depth, struct err *err)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, not_hidden, alphasort);
	enum rc rc = RC_OK;

	if (n < 0)
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char *below = rc == RC_OK ? file_join(path, names[i]->d_name) : NULL;
		struct stat st;

		free(names[i]);
		if (rc != RC_OK)
			continue;
		if (!below)
			rc = err_set(err, ERR_MEMORY, "names of files");
		else if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode) && depth < KEY_FILES_DEPTH)
			rc = add_folder(files, below, depth + 1, err);
		else if (stat(below, &st) == 0 && S_ISREG(st.st_mode)) {
			rc = add(files, "", below, below, true, err);
			below = NULL; /* the entry's */
		}
		free(below);
	}
	free(names);
	return rc;
}

static enum rc
add_path(struct key_files *files, const char *path, struct err *err)
{
	struct stat st;
	char *copy;

	if (stat(path, &st))
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return add_folder(files, path, 0, err);
	if (S_ISREG(st.st_mode) && zip_read_is(path))
		return add_archive(files, path, err);
	copy = strdup(path);
	return copy ? add(files, "", path, copy, false, err)
		    : err_set(err, ERR_MEMORY, "names of files");
}

enum rc
key_files_open(char *const *paths, size_t n, struct key_files **out, struct err *err)
{
	enum rc rc = RC_OK;

	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_MEMORY, "names of files");
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = add_path(*out, paths[i], err);
	if (rc != RC_OK)
		key_files_close(out);
	return rc;
}

void
key_files_close(struct key_files **files)
{
	struct key_files *f = *files;

	*files = NULL;
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++) {
		free(f->entries[i].name);
		free(f->entries[i].path);
	}
	for (size_t i = 0; i < f->n_archives; i++)
		zip_read_close(&f->archives[i]);
	free(f->entries);
	free(f->archives);
	free(f->by_label);
	free(f);
}

size_t
key_files_count(const struct key_files *files)
{
	return files->n;
}

const char *
key_files_name(const struct key_files *files, size_t i)
{
	return files->entries[i].name;
}

const char *
key_files_label(const struct key_files *files, size_t i)
{
	return label_of(files->entries[i].name);
}

bool
key_files_was_found(const struct key_files *files, size_t i)
{
	return files->entries[i].found;
}

static enum rc
read_plain(const char *path, struct secret **out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;
	enum rc rc = RC_OK;

	*out = NULL;
	if (fd < 0 || fstat(fd, &st))
		rc = err_set(err, ERR_FILE, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_FILE, "it is no plain file");
	else if (st.st_size > (off_t)KEY_FILE_MAX)
		rc = err_set(err, ERR_LIMIT, "it has more than %u bytes", KEY_FILE_MAX);
	else
		rc = secret_new((size_t)st.st_size, out, err);
	while (rc == RC_OK && n > 0 && len < (size_t)st.st_size) {
		n = read(fd, secret_data(*out) + len, (size_t)st.st_size - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			rc = err_set(err, ERR_FILE, "%s", strerror(errno));
		else
			len += (size_t)n;
	}
	if (rc == RC_OK)
		secret_truncate(*out, len);
	else
		secret_free(out);
	if (fd >= 0)
		close(fd);
	return rc;
}

enum rc
key_files_read(const struct key_files *files, size_t i, struct secret **out, struct err *err)
{
	const struct entry *entry = &files->entries[i];

	return entry->path ? read_plain(entry->path, out, err)
			   : zip_read_entry(files->archives[entry->archive], entry->index,
				     KEY_FILE_MAX, out, err);
}

/* --- by name --- */

static int
compare_labels(const void *a, const void *b, void *ctx)
{
	const struct key_files *files = ctx;

	return strcmp(key_files_label(files, *(const size_t *)a),
		key_files_label(files, *(const size_t *)b));
}

static enum rc
sort_labels(struct key_files *files, struct err *err)
{
	if (files->by_label)
		return RC_OK;
	files->by_label = malloc((files->n + 1) * sizeof(*files->by_label));
	if (!files->by_label)
		return err_set(err, ERR_MEMORY, "names of files");
	for (size_t i = 0; i < files->n; i++)
		files->by_label[i] = i;
	qsort_r(files->by_label, files->n, sizeof(*files->by_label), compare_labels, files);
	return RC_OK;
}

/* The first place in the sorted list whose label does not come before NAME of LEN bytes. */
static size_t
first_place(const struct key_files *files, const char *name, size_t len)
{
	size_t low = 0, high = files->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strncmp(key_files_label(files, files->by_label[middle]), name, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum rc
key_files_find(const struct key_files *files, const char *name, size_t *i, struct err *err)
{
	struct key_files *f = (struct key_files *)files; /* only its index is made */
	const char *label = label_of(name);
	size_t found = 0;
	enum rc rc = sort_labels(f, err);

	if (rc != RC_OK)
		return rc;
	for (size_t k = first_place(files, label, strlen(label) + 1);
		k < files->n && strcmp(key_files_label(files, f->by_label[k]), label) == 0; k++) {
		size_t len = strlen(key_files_name(files, f->by_label[k])), tail = strlen(name);

		if (label != name &&
			(len < tail || strcmp(key_files_name(files, f->by_label[k]) + len - tail,
					       name) != 0))
			continue;
		*i = f->by_label[k];
		found++;
	}
	if (found > 1)
		return err_set(err, ERR_USAGE, "several files are called %.200s", name);
	return found ? RC_OK : RC_NONE;
}

/* Up to the last dot of the label. */
static size_t
stem(const char *label)
{
	const char *dot = strrchr(label, '.');

	return dot && dot > label ? (size_t)(dot - label) : strlen(label);
}

enum rc
key_files_siblings(
	const struct key_files *files, size_t i, key_files_each *each, void *ctx, struct err *err)
{
	struct key_files *f = (struct key_files *)files;
	const char *name = key_files_name(files, i), *label = key_files_label(files, i);
	size_t len = stem(label), folder = (size_t)(label - name);
	enum rc rc = sort_labels(f, err);

	for (size_t k = rc == RC_OK ? first_place(files, label, len) : files->n;
		rc == RC_OK && k < files->n &&
		strncmp(key_files_label(files, f->by_label[k]), label, len) == 0;
		k++) {
		size_t other = f->by_label[k];
		const char *that = key_files_name(files, other);

		if (other != i && stem(key_files_label(files, other)) == len &&
			(size_t)(key_files_label(files, other) - that) == folder &&
			memcmp(that, name, folder) == 0)
			rc = each(ctx, other, err);
	}
	return rc;
}
