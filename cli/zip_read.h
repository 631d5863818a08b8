/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zip_read.h - the files in a ZIP archive, one at a time, into memory that is not swapped
 *
 * Nothing is ever written to a disk, so what the names say about folders does not matter. An
 * archive that is encrypted itself is refused, entry by entry.
 *
 * Limits: ZIP_ENTRIES_MAX entries; MAX bytes of one, as asked for; a ratio of ZIP_RATIO_MAX for
 * what is larger than ZIP_RATIO_FROM.
 */
#ifndef CLI_ZIP_READ_H
#define CLI_ZIP_READ_H

#include "base/secret.h"

#include <stdbool.h>

#define ZIP_ENTRIES_MAX 100000u
#define ZIP_RATIO_MAX   100u
#define ZIP_RATIO_FROM  65536u

struct zip_read;

/* Does the file begin as a ZIP archive does? */
bool zip_read_is(const char *path);
/* ERR_USAGE: it is damaged; ERR_LIMIT; ERR_FILE. */
enum rc zip_read_open(const char *path, struct zip_read **out, struct err *err);
/* The same over bytes, which have to stay. */
enum rc zip_read_memory(const void *data, size_t len, struct zip_read **out, struct err *err);
void zip_read_close(struct zip_read **zip);

size_t zip_read_count(const struct zip_read *zip);
/* In whatever encoding; NULL: none. Ends in '/': a folder. */
const char *zip_read_name(struct zip_read *zip, size_t i);
enum rc
zip_read_entry(struct zip_read *zip, size_t i, size_t max, struct secret **out, struct err *err);

#endif
