/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restore_private.h - between the files that make up restore.h
 *
 * A backup is opened (restore_open.c) and unpacked into a work folder beside the one that is
 * wanted; its configuration is rewritten for that one (restore_conf.c); then store and ledger are
 * taken to where the configuration says, checked, and the work folder gets its name (restore.c).
 */
#ifndef KEYSTORE_RESTORE_PRIVATE_H
#define KEYSTORE_RESTORE_PRIVATE_H

#include "keystore/restore.h"

#include <limits.h>

#include "base/conf.h"

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

/* The content key of the backup in FD, by the first of KEYS that fits. ERR_VAULT_NO_KEY: none. */
enum rc restore_open(int fd, const char *path, const struct restore_keys *keys, struct secret **cek,
	struct err *err);
/* The configuration, rewritten for the new folder; MASTER: where its master key will be, or NULL.
 * Fills conf, work_conf and spec. */
enum rc restore_conf(struct restore *r, const char *master, struct err *err);
/* Where a path of the new configuration is now: in the work folder. ERR_CONFIG: elsewhere. */
enum rc
restore_in_work(const struct restore *r, const char *path, char out[PATH_MAX], struct err *err);

#endif
