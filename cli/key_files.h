/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_files.h - files that may have keys in them: named one by one, in folders, in ZIP archives
 *
 * Only names are kept in memory; each file is read when its turn comes. Folders are walked in the
 * order of names, without symbolic links to folders and without names that begin with a dot.
 *
 * Limits: KEY_FILES_MAX files, folders KEY_FILES_DEPTH deep, KEY_FILE_MAX bytes in one file.
 */
#ifndef CLI_KEY_FILES_H
#define CLI_KEY_FILES_H

#include "base/secret.h"

#include <stdbool.h>

#define KEY_FILES_MAX   1000000u
#define KEY_FILES_DEPTH 8
#define KEY_FILE_MAX    (4u << 20)

struct key_files;

/* PATHS: files, folders, ZIP archives. ERR_FILE, ERR_LIMIT, ERR_USAGE name the one that is wrong.
 */
enum rc key_files_open(char *const *paths, size_t n, struct key_files **out, struct err *err);
void key_files_close(struct key_files **files);

size_t key_files_count(const struct key_files *files);
/* For people: UTF-8 without control characters; "certs.zip/2026/alice.p12". */
const char *key_files_name(const struct key_files *files, size_t i);
/* Its last part. */
const char *key_files_label(const struct key_files *files, size_t i);
/* Was it found in a folder or an archive, and not named itself? */
bool key_files_was_found(const struct key_files *files, size_t i);
enum rc
key_files_read(const struct key_files *files, size_t i, struct secret **out, struct err *err);

/* Which file does NAME mean: the whole name, or the last part of only one? RC_NONE; ERR_USAGE:
 * several. */
enum rc key_files_find(const struct key_files *files, const char *name, size_t *i, struct err *err);
/* Calls EACH for the files in I's folder that have its name up to the last dot. */
typedef enum rc key_files_each(void *ctx, size_t i, struct err *err);
enum rc key_files_siblings(
	const struct key_files *files, size_t i, key_files_each *each, void *ctx, struct err *err);

/* What a file looks like. */
enum key_content {
	KEY_CONTENT_KEYS,  /* PKCS#12, or PEM with a private key and certificates */
	KEY_CONTENT_ALONE, /* a private key, its certificate elsewhere */
	KEY_CONTENT_CERTS, /* certificates, no key */
	KEY_CONTENT_OTHER  /* none of these */
};
enum key_content key_content(struct secret *bytes);
/* Does the name of a file say that it should have a key in it? */
bool key_name_promises(const char *name);

#endif
