/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger_disk.h - what the ledger's writer does to its folder, step by step
 *
 * Every change goes through struct ledger_disk, so that a test can note each one, let it fail, or
 * take the power away behind it. Names are those of files in the ledger's folder. All errors are
 * ERR_LEDGER.
 */
#ifndef KEYSTORE_LEDGER_DISK_H
#define KEYSTORE_LEDGER_DISK_H

#include "keystore/ledger.h"

#define LEDGER_FILE_MODE 0640

/* DISK with the system's calls where it has none. */
struct ledger_disk ledger_disk_complete(const struct ledger_disk *disk);

/* Opens DIR/NAME for writing with FLAGS. */
enum rc ledger_disk_open(const struct ledger_disk *disk, const char *dir, const char *name,
	int flags, int *fd, struct err *err);
/* Writes all of it at offset AT and syncs. */
enum rc ledger_disk_write(const struct ledger_disk *disk, int fd, const char *data, size_t len,
	int64_t at, struct err *err);
/* Cuts to SIZE, durably. */
enum rc ledger_disk_cut(const struct ledger_disk *disk, int fd, int64_t size, struct err *err);
/* A file with DATA in it, replacing one of that name; durable, but its name only with the next
 * ledger_disk_sync. */
enum rc ledger_disk_put(const struct ledger_disk *disk, const char *dir, const char *name,
	const void *data, size_t len, struct err *err);
enum rc ledger_disk_rename(const struct ledger_disk *disk, const char *dir, const char *from,
	const char *to, struct err *err);
/* RC_OK also when there is none. */
enum rc ledger_disk_unlink(
	const struct ledger_disk *disk, const char *dir, const char *name, struct err *err);
/* Bytes that are free on DIR's disk for whoever runs this; -1: unknown. */
int64_t ledger_disk_room(const char *dir);
enum rc ledger_disk_sync(const struct ledger_disk *disk, const char *dir, struct err *err);

#endif
