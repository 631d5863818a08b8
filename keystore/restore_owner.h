/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restore_owner.h - folders, owners and modes in a gateway's folder that is made from a backup
 *
 * A backup has neither: they follow from which option of the configuration names a file. What the
 * vault alone uses is the vault user's, all else the milter user's; keys and passwords are readable
 * for their owner only. Owners are set by root only; others restore for themselves.
 */
#ifndef KEYSTORE_RESTORE_OWNER_H
#define KEYSTORE_RESTORE_OWNER_H

#include "base/conf.h"

/* Folders that nothing was restored into: for sockets, spool, journal and so on. CONF's paths lie
 * in WORK. */
enum rc restore_make_folders(const struct conf *conf, const char *work, struct err *err);
enum rc restore_give(const struct conf *conf, const char *work, struct err *err);

#endif
