/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restore.h - a backup (backup.h) becomes a folder from which the vault starts
 *
 * Everything is read into a folder beside it, which gets its name when the archive was whole and
 * authentic, the ledger verifies, and the store opens. Nothing is left of one that was not. Files
 * of the configuration that stood outside its folder get a place in the new folder by their whole
 * path; the configuration is changed to name those.
 *
 * The ledger goes on with the record "vault.restored": it names the last record of the backup. What
 * the ledger had behind that is not in this one, and anchors from then say so.
 */
#ifndef KEYSTORE_RESTORE_H
#define KEYSTORE_RESTORE_H

#include "base/conf.h"
#include "base/secret.h"
#include "crypto/cert.h"

#include <stdint.h>

struct restore_keys {
	const struct p12 *officers; /* private keys with their certificates; or NULL */
	size_t n;
	/* Asked when the backup is for a passphrase and no key fits; NULL: there is none. */
	enum rc (*passphrase)(struct secret **out, struct err *err);
	/* For what is not the vault's, before the folder gets its name and its owners; or NULL. */
	enum rc (*complete)(const struct conf *conf, struct err *err);
};

struct restore_result {
	uint64_t seq;     /* last record of the backup */
	char time[32];    /* when it was made */
	char conf[4096];  /* the configuration file */
	char master[512]; /* where the new master key is */
};

/*
 * PATH: the backup. DIR: must not be there, or be empty. MASTER: source of the new master key as in
 * vault.master_key; NULL: the file that the configuration named, or else "file:master.key".
 */
enum rc restore_backup(const char *path, const char *dir, const char *master,
	const struct restore_keys *keys, struct restore_result *result, struct err *err);

#endif
