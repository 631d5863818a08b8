/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backup.h - the vault's state in one encrypted file, made while it runs
 *
 * A tar archive inside AuthEnvelopedData (AES-256-GCM, DER), for certificates, for a passphrase, or
 * for both:
 *
 *     backup.json     what it is: time, node, the ledger's last record
 *     store.key       64 hex digits: the store key. Who can open the backup has every key.
 *     conf/…          the files that came with the request
 *     ledger/…        the segments, up to a checkpoint
 *     certs.db        other people's certificates, as they are fed in
 *     vault.db        the key store at one moment, not later than that checkpoint
 *
 * It is made piece by piece, as fast as somebody takes it. On the vault's disk is for that time a
 * copy of the store, without a name and as encrypted as the store is.
 *
 * Threads: one at a time.
 */
#ifndef KEYSTORE_BACKUP_H
#define KEYSTORE_BACKUP_H

#include "crypto/cms_envelope.h"
#include "crypto/kek.h"
#include "keystore/vault.h"

#define BACKUP_PIECE (1u << 20) /* about as much is given at a time */

struct backup_file {
	const char *name; /* below conf/ */
	const void *data;
	size_t len;
};

struct backup_options {
	const struct certset *recipients;
	const struct kek *kek; /* or NULL */
	const struct backup_file *files;
	size_t n_files;
	uint64_t certs; /* size of certs.db; 0: none */
};

struct backup;
/* Copies the files. */
enum rc backup_begin(struct vault *vault, const struct backup_options *options, struct backup **out,
	struct err *err);
/* Appends the next piece of the encrypted archive; *done: that was the last. */
enum rc backup_next(struct backup *backup, struct buf *out, bool *done, struct err *err);
/* It goes on only with more of certs.db: how much is missing; 0: it does not wait for that. */
uint64_t backup_wants(const struct backup *backup);
/* Copies it. ERR_USAGE: more than is wanted. */
enum rc backup_feed(struct backup *backup, const void *data, size_t len, struct err *err);
/* The last record that is in it. */
uint64_t backup_seq(const struct backup *backup);
uint64_t backup_size(const struct backup *backup); /* of the archive */
void backup_free(struct backup **backup);

#endif
