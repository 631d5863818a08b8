/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master.h - where the master key comes from
 *
 * vault.master_key is one of
 *
 *   file:PATH        64 hex digits in a file of mode 0400 that belongs to us or to root; a relative
 *                    PATH starts at the configuration's folder
 *   credential:NAME  the same in $CREDENTIALS_DIRECTORY/NAME, which systemd fills
 *   ask              a passphrase asked on the terminal (or read as one line from standard input
 * when there is none), stretched by scrypt with the parameters that stand in the store
 */
#ifndef KEYSTORE_MASTER_H
#define KEYSTORE_MASTER_H

#include "base/secret.h"
#include "keystore/wrap.h"

#include <stdbool.h>
#include <sys/types.h>

#define MASTER_KDF_SIZE 4096

/* Has SPEC parameters that stand in the store? */
bool master_needs_kdf(const char *spec);

/* KDF: parameters from the store, "" when there are none. DIR: where relative paths begin. OWNER:
 * whose the file may be besides ours and root's: the vault's user, when root starts it. */
enum rc master_read(const char *spec, const char *dir, const char *kdf, uid_t owner,
	struct secret **out, struct err *err);
/*
 * For a new store: makes the file (refusing to replace one), reads the credential, or asks twice
 * and chooses KDF parameters, which the caller keeps in the store.
 */
enum rc master_make(const char *spec, const char *dir, char kdf[MASTER_KDF_SIZE],
	struct secret **out, struct err *err);

/* The file that SPEC ("file:…", "credential:…") names; NULL for another source. Free with free().
 */
enum rc master_path(const char *spec, const char *dir, char **path, struct err *err);
/* A master key in a new file of its own. */
enum rc master_write(const char *path, struct secret *master, struct err *err);

/* Asks for a passphrase, twice for a new one: ERR_USAGE when they differ. */
enum rc master_ask(const char *text, bool twice, struct secret **out, struct err *err);
/* Asks for a passphrase; tests put their own in its place. */
typedef enum rc master_prompt(const char *text, struct secret **out, struct err *err);
void master_set_prompt(master_prompt *prompt);

#endif
