/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin_backup.h - what goes with the request for a backup
 */
#ifndef KEYSTORE_ADMIN_BACKUP_H
#define KEYSTORE_ADMIN_BACKUP_H

#include "base/buf.h"

#define TAR_NAME 251 /* with its NUL: below conf/ in the archive */

/* Parts of the blob; a NAME stands before its FILE. */
#define ADMIN_PART_CERTS  'c' /* PEM, DER or PKCS#7 */
#define ADMIN_PART_KEK_ID 'i'
#define ADMIN_PART_KEK    'k'
#define ADMIN_PART_NAME   'n'
#define ADMIN_PART_FILE   'f'
#define ADMIN_PART_CERTDB 'd' /* the size of certs.db, in digits; its bytes are asked for later */
enum rc admin_pack_part(struct buf *out, char kind, const void *data, size_t len, struct err *err);

#endif
